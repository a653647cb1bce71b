// SPDX-License-Identifier: MIT
// The idle class and loop, CPU time accounting, load average.
#include "lib/math.h"
#include "sched/sched_internal.h"

#define LOAD_INTERVAL (5 * NSEC_PER_SEC)
#define LOAD_SHIFT 11 // as Linux's FSHIFT

static struct task_struct *idle_pick(struct run_queue *rq)
{
    return rq->idle;
}
static void idle_put(struct run_queue *rq, struct task_struct *t)
{
    (void)rq;
    (void)t;
}
static bool idle_preempts(struct run_queue *rq, struct task_struct *woken)
{
    (void)rq;
    (void)woken;
    return true;
}

const struct sched_class idle_class = {
    .pick_next = idle_pick, .put_prev = idle_put, .preempts = idle_preempts, .rank = 0};

// HLT with interrupts enabled by the instruction before it, so that a wake-up in between is not
// lost.
void cpu_idle_loop(void)
{
    for (;;) {
        local_irq_disable();
        if (this_cpu_read(need_resched)) {
            local_irq_enable();
            schedule();
            continue;
        }
        __asm__ volatile("sti\n hlt" ::: "memory");
        if (this_cpu_read(need_resched))
            schedule();
    }
}

u64 sched_idle_ns(void)
{
    u64 sum = 0;
    for (unsigned c = 0; c < nr_cpus_online; c++) {
        struct run_queue *rq = &runqueues[c];
        unsigned long flags;
        spin_lock_irqsave(&rq->lock, flags);
        sum += rq->idle_ns + (rq->idle_since ? ktime_get() - rq->idle_since : 0);
        spin_unlock_irqrestore(&rq->lock, flags);
    }
    return sum;
}

void sched_cpu_times(unsigned cpu, struct cpu_times *out)
{
    struct run_queue *rq = &runqueues[cpu];
    unsigned long flags;
    spin_lock_irqsave(&rq->lock, flags);
    *out = (struct cpu_times){
        .user = rq->user_ns,
        .nice = rq->nice_ns,
        .system = rq->system_ns,
        .idle = rq->idle_ns + (rq->idle_since ? ktime_get() - rq->idle_since : 0),
    };
    spin_unlock_irqrestore(&rq->lock, flags);
}

void account_time(struct run_queue *rq, struct task_struct *t, bool user, u64 ns)
{
    if (user) {
        t->utime += ns;
        *(task_nice(t) > 0 ? &rq->nice_ns : &rq->user_ns) += ns;
    } else {
        t->stime += ns;
        rq->system_ns += ns;
    }
}

// The ticks say how user and system share the exact run time.
void task_cputime(struct task_struct *t, u64 *utime_ns, u64 *stime_ns)
{
    u64 total = task_sched_runtime(t), u = READ_ONCE(t->utime), s = READ_ONCE(t->stime);
    if (!s) {
        *utime_ns = u ? total : 0;
        *stime_ns = u ? 0 : total;
        return;
    }
    *utime_ns = mul_div_u64(total, u, u + s);
    *stime_ns = total - *utime_ns;
}

static u64 load_next;
static u64 loads[3]; // LOAD_SHIFT fraction bits
static DEFINE_SPINLOCK(load_lock);

// exp(-5 s / {1, 5, 15} min) with LOAD_SHIFT fraction bits.
static const u64 decay[3] = {1884, 2014, 2037};

static u64 active_tasks(void)
{
    long n = 0;
    for (unsigned c = 0; c < nr_cpus_online; c++)
        n += (long)READ_ONCE(runqueues[c].nr_running) + READ_ONCE(runqueues[c].nr_uninterruptible);
    return n > 0 ? (u64)n : 0;
}

// Samples every 5 s; intervals that went by while the tick was stopped count as idle but for the
// last.
void loadavg_update(u64 now)
{
    if (now < READ_ONCE(load_next))
        return;
    unsigned long flags;
    spin_lock_irqsave(&load_lock, flags);
    while (now >= load_next) {
        load_next += LOAD_INTERVAL;
        u64 active = now < load_next ? active_tasks() << LOAD_SHIFT : 0;
        for (int i = 0; i < 3; i++) {
            u64 v = loads[i] * decay[i] + active * ((1UL << LOAD_SHIFT) - decay[i]);
            if (active >= loads[i])
                v += (1UL << LOAD_SHIFT) - 1;
            loads[i] = v >> LOAD_SHIFT;
        }
    }
    spin_unlock_irqrestore(&load_lock, flags);
}

void sched_loadavg(u64 avg[3])
{
    loadavg_update(ktime_get());
    for (int i = 0; i < 3; i++)
        avg[i] = READ_ONCE(loads[i]);
}
