// SPDX-License-Identifier: MIT
// One-shot timers: per CPU a tree for each clock base; the LAPIC is armed for the earliest of them
// and the tick.
#include "sched/timer.h"

#include "arch/x86_64/apic.h"
#include "lib/printk.h"
#include "sched/sched_internal.h"

static struct timer_cpu {
    spinlock_t lock;
    struct rb_root_cached base[2];
    struct hrtimer *running;
    u64 armed; // deadline the LAPIC holds, KTIME_MAX = none
} timer_cpus[NR_CPUS];

static bool timer_less(const struct rb_node *a, const struct rb_node *b)
{
    return rb_entry(a, struct hrtimer, node)->expires < rb_entry(b, struct hrtimer, node)->expires;
}

// CLOCK_MONOTONIC time at which the base's first timer is due.
static u64 base_next(const struct timer_cpu *c, enum hrtimer_base base)
{
    struct rb_node *n = rb_first_cached(&c->base[base]);
    if (!n)
        return KTIME_MAX;
    u64 expires = rb_entry(n, struct hrtimer, node)->expires;
    if (base == HRTIMER_MONOTONIC)
        return expires;
    u64 offset = ktime_real_offset();
    return expires > offset ? expires - offset : 0;
}

static void program(struct timer_cpu *c)
{
    u64 next = min(base_next(c, HRTIMER_MONOTONIC), base_next(c, HRTIMER_REALTIME));
    next = min(next, this_rq()->tick_next);
    if (next == c->armed)
        return;
    c->armed = next;
    u64 now = ktime_get();
    apic_timer_arm(next == KTIME_MAX ? ~0UL : next > now ? next - now : 0);
}

void timer_reprogram(void)
{
    struct timer_cpu *c = &timer_cpus[smp_processor_id()];
    spin_lock(&c->lock);
    program(c);
    spin_unlock_raw(&c->lock);
    preempt_enable_no_resched();
}

void hrtimer_init(struct hrtimer *t, hrtimer_func_t func, enum hrtimer_base base)
{
    *t = (struct hrtimer){.func = func, .base = base, .cpu = smp_processor_id()};
}

static struct timer_cpu *lock_timer(struct hrtimer *t, unsigned long *flags)
{
    *flags = local_irq_save();
    for (;;) {
        struct timer_cpu *c = &timer_cpus[READ_ONCE(t->cpu)];
        spin_lock(&c->lock);
        if (c == &timer_cpus[t->cpu])
            return c;
        spin_unlock(&c->lock);
    }
}

// Takes t off its tree and locks the one that it is to go to: that of the CPU which starts it, but
// while the callback runs it stays where that is. Its new home is known before the old one's lock
// is let go.
static struct timer_cpu *move_here(struct hrtimer *t, unsigned long *flags)
{
    for (;;) {
        struct timer_cpu *c = lock_timer(t, flags);
        if (t->state == HRTIMER_QUEUED) {
            rb_erase_cached(&t->node, &c->base[t->base]);
            t->state = c->running == t ? HRTIMER_RUNNING : HRTIMER_IDLE;
        }
        if (c->running == t || t->cpu == smp_processor_id())
            return c;
        WRITE_ONCE(t->cpu, smp_processor_id());
        spin_unlock_irqrestore(&c->lock, *flags);
    }
}

static void enqueue(struct timer_cpu *c, struct hrtimer *t)
{
    t->state = HRTIMER_QUEUED;
    rb_add_cached(&t->node, &c->base[t->base], timer_less);
}

void hrtimer_start(struct hrtimer *t, u64 expires)
{
    unsigned long flags;
    struct timer_cpu *c = move_here(t, &flags);
    t->expires = expires;
    enqueue(c, t);
    if (t->cpu == smp_processor_id())
        program(c); // else the end of the callback's interrupt does
    spin_unlock_irqrestore(&c->lock, flags);
}

// -1: its callback runs right now.
static int try_cancel(struct hrtimer *t)
{
    unsigned long flags;
    struct timer_cpu *c = lock_timer(t, &flags);
    int ret = 0;
    if (t->state == HRTIMER_QUEUED) {
        rb_erase_cached(&t->node, &c->base[t->base]);
        t->state = c->running == t ? HRTIMER_RUNNING : HRTIMER_IDLE;
        ret = 1; // the LAPIC stays armed: an early interrupt re-arms it
    }
    if (c->running == t)
        ret = -1;
    spin_unlock_irqrestore(&c->lock, flags);
    return ret;
}

bool hrtimer_try_cancel(struct hrtimer *t)
{
    return try_cancel(t) > 0;
}

bool hrtimer_cancel(struct hrtimer *t)
{
    int ret;
    while ((ret = try_cancel(t)) < 0)
        cpu_relax();
    return ret > 0;
}

u64 hrtimer_remaining(const struct hrtimer *t)
{
    u64 now = t->base == HRTIMER_REALTIME ? ktime_get_real() : ktime_get(),
        expires = READ_ONCE(t->expires);
    return hrtimer_active(t) && expires > now ? expires - now : 0;
}

u64 hrtimer_forward(struct hrtimer *t, u64 now, u64 interval)
{
    if (now < t->expires)
        return 0;
    u64 steps = (now - t->expires) / interval + 1;
    t->expires += steps * interval;
    return steps;
}

// c->lock held, interrupts off; dropped around the callback.
static void run_base(struct timer_cpu *c, enum hrtimer_base base, u64 now)
{
    struct rb_node *n;
    while ((n = rb_first_cached(&c->base[base]))) {
        struct hrtimer *t = rb_entry(n, struct hrtimer, node);
        if (t->expires > now)
            break;
        rb_erase_cached(n, &c->base[base]);
        t->state = HRTIMER_RUNNING;
        c->running = t;
        spin_unlock_raw(&c->lock);
        preempt_enable_no_resched();
        enum hrtimer_restart again = t->func(t);
        spin_lock(&c->lock);
        c->running = NULL;
        if (again == HRTIMER_NORESTART && t->state == HRTIMER_RUNNING)
            t->state = HRTIMER_IDLE;
        else if (t->state == HRTIMER_RUNNING)
            enqueue(c, t);
    }
}

// A callback that lets its timer's memory go must return HRTIMER_NORESTART after handing it to
// somebody who calls hrtimer_cancel first; sleepers' timers on stacks do exactly that.
void timer_interrupt(bool user)
{
    struct timer_cpu *c = &timer_cpus[smp_processor_id()];
    struct run_queue *rq = this_rq();
    u64 now = ktime_get();
    spin_lock(&c->lock);
    c->armed = KTIME_MAX;
    run_base(c, HRTIMER_MONOTONIC, now);
    run_base(c, HRTIMER_REALTIME, now + ktime_real_offset());
    spin_unlock_raw(&c->lock);
    preempt_enable_no_resched();
    if (now >= rq->tick_next) {
        rq->tick_next += TICK_NS * ((now - rq->tick_next) / TICK_NS + 1);
        sched_tick(user);
    }
    log_wake_readers();
    timer_reprogram();
}

struct sleeper {
    struct hrtimer timer;
    struct task_struct *task;
    bool expired;
};

static enum hrtimer_restart sleeper_fire(struct hrtimer *t)
{
    struct sleeper *s = container_of(t, struct sleeper, timer);
    __atomic_store_n(&s->expired, true, __ATOMIC_RELEASE);
    wake_up_state(s->task, TASK_NORMAL | TASK_WAKEKILL);
    return HRTIMER_NORESTART;
}

static bool sleep_until(u64 deadline, enum hrtimer_base base)
{
    if (deadline == KTIME_MAX) {
        schedule();
        return true;
    }
    struct sleeper s = {.task = current};
    hrtimer_init(&s.timer, sleeper_fire, base);
    hrtimer_start(&s.timer, deadline);
    if (!READ_ONCE(s.expired))
        schedule();
    hrtimer_cancel(&s.timer);
    __set_current_state(TASK_RUNNING);
    return !s.expired;
}

bool schedule_deadline(ktime_t deadline)
{
    return sleep_until(deadline, HRTIMER_MONOTONIC);
}

bool schedule_deadline_real(u64 deadline)
{
    return sleep_until(deadline, HRTIMER_REALTIME);
}

void msleep(unsigned ms)
{
    u64 deadline = ktime_get() + ms * NSEC_PER_MSEC;
    do
        set_current_state(TASK_UNINTERRUPTIBLE);
    while (schedule_deadline(deadline));
}

int ktime_set_real(u64 ns)
{
    clock_set_real_offset(ns - ktime_get());
    unsigned long flags = local_irq_save();
    timer_reprogram(); // the realtime tree's order does not change, only when it is due
    local_irq_restore(flags);
    return 0;
}

void timer_init(void)
{
    for (int i = 0; i < NR_CPUS; i++) {
        spin_lock_init(&timer_cpus[i].lock);
        timer_cpus[i].base[0] = timer_cpus[i].base[1] = RB_ROOT_CACHED;
        timer_cpus[i].armed = KTIME_MAX;
    }
}
