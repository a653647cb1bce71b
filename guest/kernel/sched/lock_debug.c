// SPDX-License-Identifier: MIT
// Debug builds: order of ranked locks, sleeping while atomic, a spinlock taken twice on one CPU.
#include "lib/printk.h"
#include "sched/lock.h"
#include "sched/sched.h"

#ifdef FERN_DEBUG_LOCKS

#define SPIN_LIMIT_NS (10 * NSEC_PER_SEC)

bool scheduler_running; // before that, one thread boots with interrupts off

void might_sleep_check(const char *file, int line)
{
    if (!scheduler_running)
        return;
    if (preempt_count() || irqs_disabled())
        panic("sleeping function called at %s:%d with preempt count %#x, interrupts %s", file, line,
              (unsigned)preempt_count(), irqs_disabled() ? "off" : "on");
}

void spin_lock_debug_check(spinlock_t *l)
{
    if (l->locked && l->owner_cpu == (int)smp_processor_id() + 1)
        panic("spinlock %s taken twice on CPU %u", l->name ? l->name : "?", smp_processor_id());
}

void spin_unlock_debug_check(const spinlock_t *l)
{
    if (l->owner_cpu != (int)smp_processor_id() + 1)
        panic("spinlock %s released on CPU %u, taken on CPU %d", l->name ? l->name : "?",
              smp_processor_id(), l->owner_cpu - 1);
}

u64 spin_debug_now(void)
{
    return ktime_get();
}

void spin_debug_waiting(const spinlock_t *l, u64 since)
{
    if (ktime_get() - since > SPIN_LIMIT_NS)
        panic("spinlock %s: waited for longer than %lu s, held by CPU %d", l->name ? l->name : "?",
              SPIN_LIMIT_NS / NSEC_PER_SEC, l->owner_cpu - 1);
}

// Interrupt handlers start their own order; only task context is tracked. Equal ranks are the
// owner's affair (ancestors first for inodes, addresses for page locks).
void lock_debug_acquire(const void *lock, int rank, const char *name)
{
    struct task_struct *t = current;
    if (in_irq())
        return;
    // A preemption in the middle takes the run queue's lock on this very list.
    unsigned long flags = local_irq_save();
    for (int i = 0; rank && i < t->held_count; i++)
        if (t->held[i].rank > rank)
            panic("lock order: %s (rank %d) taken under %s (rank %d)", name, rank, t->held[i].name,
                  t->held[i].rank);
    if (t->held_count < (int)ARRAY_SIZE(t->held)) {
        t->held[t->held_count].lock = lock;
        t->held[t->held_count].rank = rank;
        t->held[t->held_count].name = name;
        t->held_count++;
    }
    local_irq_restore(flags);
}

void lock_debug_release(const void *lock)
{
    struct task_struct *t = current;
    if (in_irq())
        return;
    unsigned long flags = local_irq_save();
    for (int i = t->held_count; i-- > 0;) {
        if (t->held[i].lock != lock)
            continue;
        for (int j = i; j + 1 < t->held_count; j++)
            t->held[j] = t->held[j + 1];
        t->held_count--;
        break;
    }
    local_irq_restore(flags);
}

#endif
