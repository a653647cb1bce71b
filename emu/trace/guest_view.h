// SPDX-License-Identifier: MIT
// What the tracer reads from a guest without disturbing it.
#ifndef VIV_TRACE_GUEST_VIEW_H
#define VIV_TRACE_GUEST_VIEW_H

#include "machine/machine.h"

// The running task's kernel stack as the current TSS has it (SDM 3A 7.7). 0 if unreadable.
u64 guest_kernel_stack(const struct machine *m, unsigned cpu);

// The entry that decides about linear in 4-level paging: the leaf, or the first non-present entry on the way (0 if that
// lies outside RAM).
u64 guest_pte(const struct machine *m, u64 cr3, u64 linear);

#endif
