// SPDX-License-Identifier: MIT
// Run queues and scheduling classes; seen by sched/ only.
#pragma once

#include "lib/bitops.h"
#include "sched/sched.h"
#include "sched/wait.h"

#define TICK_NS (4 * NSEC_PER_MSEC)
#define SCHED_LATENCY_NS (6 * NSEC_PER_MSEC)
#define SCHED_MIN_GRANULARITY_NS (750 * NSEC_PER_USEC)
#define SCHED_WAKEUP_GRANULARITY_NS (1 * NSEC_PER_MSEC)
#define RR_TIMESLICE_NS (100 * NSEC_PER_MSEC)
#define WEIGHT_IDLE_PRIO 3

struct cfs_rq {
    struct rb_root_cached tasks; // runnable but the running one
    u64 min_vruntime;
    u64 load; // sum of weights, the running one included
    unsigned nr_running;
    struct sched_entity *curr;
};
struct rt_rq {
    DECLARE_BITMAP(bitmap, MAX_RT_PRIO); // bit = 99 - rt_priority: first set = highest
    struct list_head queue[MAX_RT_PRIO];
    unsigned nr_running;
};
struct run_queue {
    spinlock_t lock; // rank LOCK_RUN_QUEUE, interrupts off
    u64 clock;       // ktime_get() at the last update
    struct task_struct *curr, *idle, *prev;
    unsigned nr_running;
    long nr_uninterruptible;
    struct cfs_rq cfs;
    struct rt_rq rt;
    u64 nr_switches;
    u64 tick_next;  // absolute; KTIME_MAX while the tick is stopped
    u64 idle_since; // 0 while not idle
    u64 idle_ns;
    u64 user_ns, nice_ns, system_ns; // by ticks
    unsigned ticks;
};
extern struct run_queue runqueues[NR_CPUS];

static inline struct run_queue *this_rq(void)
{
    return &runqueues[smp_processor_id()];
}
static inline struct run_queue *task_rq(const struct task_struct *t)
{
    return &runqueues[t->cpu];
}

// All called with the run queue's lock.
struct sched_class {
    void (*enqueue)(struct run_queue *rq, struct task_struct *t, bool wakeup);
    void (*dequeue)(struct run_queue *rq, struct task_struct *t, bool sleeping);
    struct task_struct *(*pick_next)(
        struct run_queue *rq); // takes it off the queue's order; NULL if none
    void (*put_prev)(struct run_queue *rq,
                     struct task_struct *t); // a running task stops running, still runnable or not
    void (*tick)(struct run_queue *rq, struct task_struct *t);
    bool (*preempts)(struct run_queue *rq, struct task_struct *woken); // same class as rq->curr
    void (*yield)(struct run_queue *rq, struct task_struct *t);
    void (*update_curr)(struct run_queue *rq);
    int rank; // higher goes first
};
extern const struct sched_class rt_class, fair_class, idle_class;
static inline const struct sched_class *class_of(const struct task_struct *t)
{
    if (t->rt_priority)
        return &rt_class;
    return t->flags & PF_IDLE ? &idle_class : &fair_class;
}

void rq_init(struct run_queue *rq, struct task_struct *idle);
void fair_init(void);
void set_load_weight(struct task_struct *t);
void fair_task_fork(struct run_queue *rq, struct task_struct *t);
u64 sched_weight_of_nice(int nice);
void timer_reprogram(void); // this CPU; interrupts off
void loadavg_update(u64 now);
void account_time(struct run_queue *rq, struct task_struct *t, bool user, u64 ns);

// The lock of the queue that t belongs to, interrupts off.
static inline struct run_queue *lock_task_rq(struct task_struct *t, unsigned long *flags)
{
    for (;;) {
        struct run_queue *rq = task_rq(t);
        spin_lock_irqsave(&rq->lock, *flags);
        if (likely(rq == task_rq(t)))
            return rq;
        spin_unlock_irqrestore(&rq->lock, *flags);
    }
}

// The clocks of two CPUs may be a few cycles apart; a queue's never goes back.
static inline void update_clock(struct run_queue *rq)
{
    rq->clock = max(rq->clock, ktime_get());
}

// With the queue's lock.
static inline void activate(struct run_queue *rq, struct task_struct *t, bool wakeup)
{
    class_of(t)->enqueue(rq, t, wakeup);
    t->on_rq = ON_RQ;
    rq->nr_running++;
}

static inline void deactivate(struct run_queue *rq, struct task_struct *t)
{
    class_of(t)->dequeue(rq, t, true);
    t->on_rq = OFF_RQ;
    rq->nr_running--;
}

void check_preempt(struct run_queue *rq, struct task_struct *woken);

// balance.c: several CPUs. Unless said otherwise with this CPU's queue locked.
unsigned select_cpu(const struct task_struct *t); // where t, which does not run, had best run
void set_task_cpu(struct task_struct *t, unsigned cpu); // lock of t's old queue held; t on no queue
void balance_newly_idle(struct run_queue *rq);          // pulls one task if there is one
void balance_rt(struct run_queue *rq);                  // as that, real-time tasks only
void balance_tick(struct run_queue *rq);
void push_waiting_rt(struct run_queue *rq); // what has been queued last may be elsewhere then
void wake_idle_cpu(const struct run_queue *rq); // no lock held: one that can pull from this queue
bool must_leave(const struct run_queue *rq, const struct task_struct *t); // by its affinity
bool should_push(const struct run_queue *rq,
                 const struct task_struct *t); // another CPU could run it
void enqueue_moved(struct task_struct *t); // ON_RQ_MOVING ends; no lock held, interrupts off
