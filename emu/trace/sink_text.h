// SPDX-License-Identifier: MIT
// --trace, viv trace: one line per transition, page fault, system call, switch, interrupt.
#ifndef VIV_TRACE_SINK_TEXT_H
#define VIV_TRACE_SINK_TEXT_H

#include "base/status.h"
#include "trace/ledger.h"
#include "trace/switches.h"
#include "trace/tasks.h"

#include <stdio.h>

enum {
    TRACE_TRANSITIONS = 1,
    TRACE_FAULTS = 2,
    TRACE_SYSCALLS = 4,
    TRACE_SCHED = 8,
    TRACE_IRQS = 16
};

// Which lines are written; trace_filter_all lets every one through.
struct trace_filter {
    u64 from_step, to_step; // from <= step < to
    int pid, ring, vector;  // -1: any; pid also matches the process of a thread
    const char *name;       // of a cause, outcome, system call or task; NULL: any
};
#define TRACE_FILTER_ALL ((struct trace_filter){0, UINT64_MAX, -1, -1, -1, NULL})

// Reads a list like "transitions,faults"; *file gets what follows '=', NULL if nothing.
struct status trace_kinds_parse(const char *text, unsigned *kinds, const char **file);

struct sink_text;

// The names of a cause (trace/probe.h), and of an exception: "#PF".
const char *trace_cause_name(unsigned cause);
const char *trace_exception_name(u8 vector);

// tasks: NULL if neither system calls nor a filter by process need them. filter is copied.
struct sink_text *sink_text_create(struct tasks *tasks, unsigned kinds,
                                   const struct trace_filter *filter, FILE *out);
void sink_text_show_cpus(struct sink_text *s); // "[CPU]" behind every step
void sink_text_destroy(struct sink_text *s);

void sink_text_transition(struct sink_text *s, const struct probe_event *event);
// A fault begins; its line is completed by sink_text_fault_ended() with the same number.
void sink_text_fault(struct sink_text *s, const struct probe_event *event, u64 number);
void sink_text_fault_ended(struct sink_text *s, const struct probe_event *event, u64 number,
                           enum fault_outcome outcome);
void sink_text_switch(struct sink_text *s, const struct switch_event *event);

#endif
