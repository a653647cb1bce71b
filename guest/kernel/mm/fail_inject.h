// SPDX-License-Identifier: MIT
// Fault injection as Linux has it: writing N to /proc/self/fail-nth makes the task's N-th
// allocation from then on fail.
#pragma once

#include "mm/gfp.h"
#include "sched/sched.h"

// Asked by every allocator before it looks for memory. Any context.
static inline bool should_fail_alloc(gfp_t gfp)
{
    struct task_struct *t = current;

    if (likely(!READ_ONCE(t->fail_nth)))
        return false;
    if (in_irq() || (gfp & __GFP_NOFAIL) || (t->flags & PF_MEMALLOC))
        return false;
    return --t->fail_nth == 0;
}
