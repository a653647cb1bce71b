// SPDX-License-Identifier: MIT
// Preemption control. Spinlocks disable it; preempt_enable reschedules when it is due.
#pragma once

#include "arch/x86_64/irqflags.h"
#include "arch/x86_64/percpu.h"

#define PREEMPT_HARDIRQ 0x10000

void preempt_schedule(void); // sched/core.c

static inline void preempt_disable(void)
{
    preempt_count_add(1);
    barrier();
}
static inline void preempt_enable_no_resched(void)
{
    barrier();
    preempt_count_sub(1);
}
static inline void preempt_enable(void)
{
    barrier();
    preempt_count_sub(1);
    if (unlikely(this_cpu_read(need_resched)) && preempt_count() == 0)
        preempt_schedule();
}
static inline bool in_irq(void)
{
    return preempt_count() >= PREEMPT_HARDIRQ;
}
static inline bool in_atomic(void)
{
    return preempt_count() != 0;
}
// Debug builds panic when a function that may sleep is called with preemption or interrupts off.
#ifdef FERN_DEBUG_LOCKS
extern bool scheduler_running;
void might_sleep_check(const char *file, int line);
#define might_sleep() might_sleep_check(__FILE__, __LINE__)
#else
#define might_sleep() ((void)0)
#endif
