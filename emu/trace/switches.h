// SPDX-License-Identifier: MIT
// Context switches, seen at the next event that a CPU makes: a ring crossing, an interrupt, a write
// to CR3. What runs between two of these without either is not seen.
#ifndef VIV_TRACE_SWITCHES_H
#define VIV_TRACE_SWITCHES_H

#include "trace/tasks.h"
#include "trace/trace_guest.h"

struct switch_event {
    u64 step, vtime_ns; // of the event that showed it
    u8 cpu;
    struct trace_task from, to; // from.id 0: the first task seen
};

struct switches;

typedef void (*switch_fn)(void *ctx, const struct switch_event *event);

// guest: NULL, or outlives it.
struct switches *switches_create(struct tasks *tasks, const struct trace_guest *guest, switch_fn fn,
                                 void *ctx);
void switches_destroy(struct switches *s);
// After the tasks have seen the event.
void switches_look(struct switches *s, const struct probe_event *event);
// Who runs on a CPU as far as seen; id 0: nobody yet.
const struct trace_task *switches_current(const struct switches *s, unsigned cpu);

#endif
