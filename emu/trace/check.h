// SPDX-License-Identifier: MIT
// Assertions over a run, for CI: never(fault where ring==0 and not extable), always(syscall where
// not failed), count(irq where vector==0x30) < 100, final-hash == 0123456789abcdef.
#ifndef VIV_TRACE_CHECK_H
#define VIV_TRACE_CHECK_H

#include "base/status.h"
#include "trace/ledger.h"
#include "trace/switches.h"
#include "trace/tasks.h"

struct check;

enum check_event_kind {
    CHECK_FAULT,
    CHECK_TRANSITION,
    CHECK_SYSCALL,
    CHECK_IRQ,
    CHECK_SWITCH,
    CHECK_EVENT_KINDS
};

// One thing that happened; what belongs to other kinds is NULL.
struct check_event {
    enum check_event_kind kind;
    u64 step, vtime_ns;
    u8 cpu;
    const struct probe_event *event;  // fault, transition, irq; a system call's return
    enum fault_outcome outcome;       // fault
    bool in_extable;                  // fault, if check_needs_extable()
    const struct syscall_view *call;  // syscall; not done: it never returned
    u64 duration_ns;                  // syscall
    const struct switch_event *swtch; // switch
    struct trace_task task;           // who; id 0: not known
};

// STATUS_USAGE with one line that shows where the expression stops making sense.
struct status check_create(struct check **out, const char *expression);
void check_destroy(struct check *c);

bool check_wants(const struct check *c, enum check_event_kind kind);
bool check_needs_extable(const struct check *c);
void check_see(struct check *c, const struct check_event *event);

// The run is over. True if the assertion holds; else text says where it did not, and why.
bool check_verdict(const struct check *c, u64 final_hash, char *text, size_t size);
const char *check_expression(const struct check *c);

#endif
