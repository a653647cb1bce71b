// SPDX-License-Identifier: MIT
// What the tracer reads from a guest without disturbing it.
#ifndef VIV_TRACE_GUEST_VIEW_H
#define VIV_TRACE_GUEST_VIEW_H

#include "machine/machine.h"

// How a kernel's tasks are told apart.
enum guest_task_identity {
    GUEST_TASK_BY_STACK,  // RSP0 of the TSS (SDM 3A 7.7) is the task's own kernel stack
    GUEST_TASK_BY_MEMORY, // it is not (Linux on x86-64 enters on a stack of the CPU): address space
                          // and FS base
};

// A number that is the running task's own, as long as it is in user mode or just entering or
// leaving. By memory, it changes when the task executes a program or sets its FS base.
u64 guest_task_key(const struct machine *m, unsigned cpu, enum guest_task_identity *identity);

// Guest memory as a CPU sees it now; false where it is not mapped.
bool guest_read(const struct machine *m, unsigned cpu, u64 linear, void *out, u64 size);

// The entry that decides about linear in 4-level paging: the leaf, or the first non-present entry
// on the way (0 if that lies outside RAM).
u64 guest_pte(const struct machine *m, u64 cr3, u64 linear);

#endif
