// SPDX-License-Identifier: MIT
// --perfetto: a trace for the Perfetto viewer (ui.perfetto.dev): system calls with their faults by
// thread, interrupts and what runs by CPU, counters, flows. Times are the guest's virtual time.
#ifndef VIV_TRACE_SINK_PERFETTO_H
#define VIV_TRACE_SINK_PERFETTO_H

#include "trace/ledger.h"
#include "trace/switches.h"
#include "trace/tasks.h"
#include "trace/trace_guest.h"

#include <stdio.h>

struct sink_perfetto;

// guest outlives it.
struct sink_perfetto *sink_perfetto_create(struct tasks *tasks, const struct trace_guest *guest,
                                           FILE *out);
// Ends what is open.
void sink_perfetto_destroy(struct sink_perfetto *s);

// Before the tasks see the event.
void sink_perfetto_event(struct sink_perfetto *s, const struct probe_event *event);
// A page fault by its ledger number.
void sink_perfetto_fault(struct sink_perfetto *s, const struct probe_event *event, u64 number);
void sink_perfetto_fault_ended(struct sink_perfetto *s, u64 number, enum fault_outcome outcome);
void sink_perfetto_switch(struct sink_perfetto *s, const struct switch_event *event);
// The code that runs on a CPU makes the task with this id (struct trace_task) ready to run.
void sink_perfetto_wakes(struct sink_perfetto *s, unsigned cpu, u64 id, u64 step, u64 vtime_ns);

#endif
