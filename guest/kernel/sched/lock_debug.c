// SPDX-License-Identifier: MIT
// Debug builds: order of ranked locks and of classes of spinlocks, locks that interrupts take,
// owners, waits that take too long, sleeping while atomic.
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

// --- classes: which has been taken while which was held, and in which contexts

#define CLASSES 128
#define NO_CLASS (-1)
enum { SEEN_IN_IRQ = 1, SEEN_IRQS_ON = 2 };

static struct lock_class {
    const char *name;
    u32 seen;
    u64 after[CLASSES / 64]; // classes that have been taken while one of this was held
} classes[CLASSES];

static int class_of_lock(const char *name)
{
    if (!name || !scheduler_running)
        return NO_CLASS;
    unsigned at = (unsigned)((u64)name * 0x9e3779b97f4a7c15UL >> 57);
    for (unsigned i = 0; i < CLASSES; i++, at = (at + 1) % CLASSES) {
        const char *found = NULL;
        if (__atomic_compare_exchange_n(&classes[at].name, &found, name, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST) ||
            found == name)
            return (int)at;
    }
    return NO_CLASS; // too many: not checked
}

static bool class_after(int first, int second)
{
    return READ_ONCE(classes[first].after[second / 64]) >> (second % 64) & 1;
}

// Is there a chain of locks taken under each other from one class to another?
static bool class_leads_to(int from, int to)
{
    u64 reached[CLASSES / 64] = {0};
    reached[from / 64] |= BIT(from % 64);
    for (bool grown = true; grown;) {
        grown = false;
        for (int c = 0; c < CLASSES; c++) {
            if (!(reached[c / 64] >> (c % 64) & 1))
                continue;
            for (unsigned w = 0; w < ARRAY_SIZE(reached); w++) {
                u64 more = READ_ONCE(classes[c].after[w]) & ~reached[w];
                grown |= more != 0;
                reached[w] |= more;
            }
        }
    }
    return reached[to / 64] >> (to % 64) & 1;
}

// Locks of one class under each other are the owner's affair.
static void check_class_order(struct task_struct *t, int cls)
{
    for (int i = 0; i < t->held_count; i++) {
        int outer = t->held[i].cls;
        if (outer == NO_CLASS || outer == cls || class_after(outer, cls))
            continue;
        if (class_leads_to(cls, outer))
            panic("lock order: %s taken under %s, which elsewhere is taken under it",
                  classes[cls].name, classes[outer].name);
        __atomic_or_fetch(&classes[outer].after[cls / 64], BIT(cls % 64), __ATOMIC_RELAXED);
    }
}

// A lock that interrupts take must be taken with interrupts off everywhere.
static void check_context(int cls)
{
    u32 now = in_irq() ? SEEN_IN_IRQ : irqs_disabled() ? 0 : SEEN_IRQS_ON;
    u32 seen = READ_ONCE(classes[cls].seen);
    if (!(now & ~seen))
        return;
    seen = __atomic_or_fetch(&classes[cls].seen, now, __ATOMIC_RELAXED);
    if (seen == (SEEN_IN_IRQ | SEEN_IRQS_ON))
        panic("spinlock %s: taken %s, and elsewhere %s", classes[cls].name,
              in_irq() ? "in an interrupt" : "with interrupts on",
              in_irq() ? "with interrupts on" : "in an interrupt");
}

static void remember(struct task_struct *t, const void *lock, int rank, const char *name, int cls)
{
    if (t->held_count == (int)ARRAY_SIZE(t->held))
        return;
    __auto_type h = &t->held[t->held_count++];
    h->lock = lock;
    h->rank = rank;
    h->name = name;
    h->cls = cls;
}

static void acquire(const void *lock, int rank, const char *name, int cls)
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
    if (cls != NO_CLASS)
        check_class_order(t, cls);
    remember(t, lock, rank, name, cls);
    local_irq_restore(flags);
}

// Interrupt handlers start their own order; only task context is tracked. Equal ranks are the
// owner's affair (ancestors first for inodes, addresses for page locks).
void lock_debug_acquire(const void *lock, int rank, const char *name)
{
    acquire(lock, rank, name, NO_CLASS);
}

void spin_debug_acquire(spinlock_t *l)
{
    int cls = class_of_lock(l->name);
    if (cls != NO_CLASS)
        check_context(cls);
    acquire(l, l->rank, l->name, cls);
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
