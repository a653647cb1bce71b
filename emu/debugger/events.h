// SPDX-License-Identifier: MIT
// Transitions and page faults of the history around one place, whichever way one came there: kept
// while the guest runs on, rebuilt by scanning where time was jumped over.
#ifndef VIV_DEBUGGER_EVENTS_H
#define VIV_DEBUGGER_EVENTS_H

#include "debugger/guest.h"
#include "machine/machine.h"
#include "trace/ledger.h"

struct events;

struct event_row {
    struct probe_event event;
    u64 task;         // the running task's own number where user mode is entered or left; else 0
    u64 outcome_step; // page faults: when it ended; UINT64_MAX: not yet
    enum fault_outcome outcome;
    s64 syscall; // of a system call's entry: its number; else -1
};

// guest: what is known of the kernel, or NULL; outlives this.
struct events *events_create(struct machine *m, struct guest *guest);
void events_destroy(struct events *e);

// A run goes forward from step. What it meets is taken in order.
void events_run_begin(struct events *e, u64 step);
void events_take(struct events *e, const struct probe_event *event);
void events_run_end(struct events *e, u64 step);

// History after step is no more.
void events_cut(struct events *e, u64 step);

// The steps [from, to) of which all events are known.
u64 events_from(const struct events *e);
u64 events_to(const struct events *e);
// Forgets everything: known is [step, step).
void events_reset(struct events *e, u64 step);

// What lies before events_from(), filled by a scan from step on: between begin and end events are
// taken by events_take(). complete: the scan reached events_from().
void events_fill_begin(struct events *e, u64 step);
bool events_fill_open(const struct events *e); // faults of the filled part have not ended yet
void events_fill_end(struct events *e, bool complete);

u64 events_count(const struct events *e);
const struct event_row *events_get(const struct events *e, u64 index); // 0: the oldest
// The number of rows whose event lies before step: index of the first that does not.
u64 events_before(const struct events *e, u64 step);
// How the fault of a row had ended by that step.
enum fault_outcome events_outcome(const struct event_row *row, u64 step);

#endif
