// SPDX-License-Identifier: MIT
// Follows each page fault until the task that met it goes on, and tells how it ended.
#ifndef VIV_TRACE_FAULT_WATCH_H
#define VIV_TRACE_FAULT_WATCH_H

#include "machine/machine.h"
#include "trace/ledger.h"

struct fault_watch;

// number: what fault_watch_begin() was given.
typedef void (*fault_ended_fn)(void *ctx, u64 number, enum fault_outcome outcome);

struct fault_watch *fault_watch_create(struct machine *m, fault_ended_fn ended, void *ctx);
// What is still open ends as FAULT_FATAL.
void fault_watch_destroy(struct fault_watch *w);

void fault_watch_begin(struct fault_watch *w, const struct probe_event *event, u64 number);
void fault_watch_transition(struct fault_watch *w, const struct probe_event *event);

#endif
