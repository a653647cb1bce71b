// SPDX-License-Identifier: MIT
// Scheduler core: run queues, picking, switching, waking, the tick.
#include "abi/sched.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/smp.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "mm/vmalloc.h"
#include "proc/rseq.h"
#include "sched/kthread.h"
#include "sched/sched_internal.h"

struct run_queue runqueues[NR_CPUS];

void resched_curr(u32 cpu)
{
    if (!__atomic_exchange_n(&cpus[cpu].need_resched, 1, __ATOMIC_SEQ_CST) &&
        cpu != smp_processor_id())
        smp_send_reschedule(cpu);
}

void check_preempt(struct run_queue *rq, struct task_struct *woken)
{
    const struct sched_class *mine = class_of(rq->curr), *other = class_of(woken);
    if (other->rank > mine->rank || (other == mine && mine->preempts && mine->preempts(rq, woken)))
        resched_curr(woken->cpu);
    if (unlikely(nr_cpus_online > 1) && rq->rt.nr_running > 1)
        push_waiting_rt(rq);
}

// The lock of the queue that a sleeping task is to wake up in, instead of rq's. Asleep and off its
// queue, nobody but its waker touches it: TASK_WAKING keeps other wakers away in between.
static __noinline struct run_queue *move_sleeping(struct run_queue *rq, struct task_struct *t)
{
    unsigned cpu = select_cpu(t);
    if (cpu == t->cpu)
        return rq;
    __atomic_store_n(&t->state, TASK_WAKING, __ATOMIC_RELAXED);
    set_task_cpu(t, cpu);
    spin_unlock_raw(&rq->lock);
    preempt_enable_no_resched();
    rq = task_rq(t);
    spin_lock(&rq->lock);
    return rq;
}

bool wake_up_state(struct task_struct *t, unsigned mask)
{
    unsigned long flags;
    bool woken = false;
    smp_mb(); // the condition before the state: pairs with set_current_state
    struct run_queue *rq = lock_task_rq(t, &flags);
    if (t->state & mask) {
        woken = true;
        if (!t->on_rq) {
            if (t->state & TASK_UNINTERRUPTIBLE)
                rq->nr_uninterruptible--;
            if (unlikely(nr_cpus_online > 1))
                rq = move_sleeping(rq, t);
            update_clock(rq);
            activate(rq, t, true);
            __atomic_store_n(&t->state, TASK_RUNNING, __ATOMIC_RELEASE);
            check_preempt(rq, t);
        } else {
            __atomic_store_n(&t->state, TASK_RUNNING, __ATOMIC_RELEASE);
        }
    }
    spin_unlock_irqrestore(&rq->lock, flags);
    return woken;
}

void sched_fork(struct task_struct *t)
{
    t->state = TASK_NEW;
    t->on_rq = OFF_RQ;
    t->on_cpu = false;
    t->se.on_rq = t->rt.on_rq = false;
    t->se.sum_exec_runtime = t->se.prev_sum_exec = t->se.vruntime = 0;
    t->nvcsw = t->nivcsw = t->utime = t->stime = 0;
    t->cpu = smp_processor_id();
    t->start_time = ktime_get();
    if (t->reset_on_fork) {
        if (t->rt_priority || t->static_prio < 120)
            t->static_prio = 120;
        t->policy = SCHED_NORMAL;
        t->rt_priority = 0;
        t->reset_on_fork = false;
    }
    t->rt.slice_left = RR_TIMESLICE_NS;
    set_load_weight(t);
}

void wake_up_new_task(struct task_struct *t)
{
    unsigned long flags;
    if (nr_cpus_online > 1) {
        preempt_disable();
        set_task_cpu(t, select_cpu(t)); // nobody else does while it is TASK_NEW
        if (t->rseq.told_cpu != t->cpu)
            rseq_preempted(t); // its copy of the area names a CPU that its parent has left
        preempt_enable();
    }
    struct run_queue *rq = lock_task_rq(t, &flags);
    update_clock(rq);
    if (class_of(t) == &fair_class)
        fair_task_fork(rq, t);
    activate(rq, t, false);
    __atomic_store_n(&t->state, TASK_RUNNING, __ATOMIC_RELEASE);
    check_preempt(rq, t); // t may be on another queue afterwards
    spin_unlock_irqrestore(&rq->lock, flags);
}

static struct task_struct *pick_next(struct run_queue *rq)
{
    struct task_struct *t = NULL;
    if (rq->rt.nr_running)
        t = rt_class.pick_next(rq);
    if (!t && rq->cfs.nr_running)
        t = fair_class.pick_next(rq);
    return t ? t : rq->idle;
}

// The tick runs while something other than idle does.
static void tick_follow(struct run_queue *rq, struct task_struct *next)
{
    if (next == rq->idle) {
        rq->idle_since = rq->clock;
        rq->tick_next = KTIME_MAX;
        timer_reprogram();
    } else if (rq->tick_next == KTIME_MAX) {
        if (rq->idle_since) {
            rq->idle_ns += rq->clock - rq->idle_since;
            rq->idle_since = 0;
        }
        rq->tick_next = rq->clock + TICK_NS;
        timer_reprogram();
    }
}

// On the new task's stack, run-queue lock still held and interrupts off from the old task's
// schedule().
static void finish_switch(void)
{
    struct run_queue *rq = this_rq();
    struct task_struct *prev = rq->prev;
    rq->prev = NULL;
    bool dead = prev->state == TASK_DEAD, moving = prev->on_rq == ON_RQ_MOVING;
    __atomic_store_n(&prev->on_cpu, false, __ATOMIC_RELEASE);
    if (unlikely(moving)) {
        set_task_cpu(prev, select_cpu(prev));
        spin_unlock_raw(&rq->lock);
        enqueue_moved(prev);
    } else {
        spin_unlock_raw(&rq->lock);
    }
    local_irq_enable();
    preempt_enable_no_resched(); // the lock's
    if (dead)
        put_task_struct(prev);
}

// With several CPUs: prev, still runnable, may have to go on elsewhere.
static __noinline void push_prev(struct run_queue *rq, struct task_struct *prev)
{
    deactivate(rq, prev);
    prev->on_rq = ON_RQ_MOVING; // finish_switch takes it where it may run
}

// Nothing, or less important things than before, to do here: other CPUs may have more.
static __noinline void pull_work(struct run_queue *rq, const struct task_struct *prev)
{
    if (!rq->nr_running)
        balance_newly_idle(rq);
    else if (prev->rt_priority && !rq->rt.nr_running)
        balance_rt(rq);
}

static void schedule_locked(bool preempted)
{
    local_irq_disable();
    struct run_queue *rq = this_rq();
    spin_lock(&rq->lock);
    struct task_struct *prev = rq->curr, *next;
    this_cpu_write(need_resched, 0);
    update_clock(rq);
    unsigned state = prev->state;
    bool voluntary = !preempted && state != TASK_RUNNING;
    if (voluntary) {
        if (wait_interrupted(state)) {
            prev->state = TASK_RUNNING;
        } else {
            deactivate(rq, prev);
            if (state & TASK_UNINTERRUPTIBLE)
                rq->nr_uninterruptible++;
        }
    }
    bool many = unlikely(nr_cpus_online > 1);
    if (many && prev->on_rq == ON_RQ && must_leave(rq, prev))
        push_prev(rq, prev);
    class_of(prev)->put_prev(rq, prev);
    if (many)
        pull_work(rq, prev);
    next = pick_next(rq);
    if (next == prev) {
        spin_unlock_raw(&rq->lock);
        local_irq_enable();
        preempt_enable_no_resched();
        return;
    }
    if (many && prev->rt_priority && prev->on_rq == ON_RQ && should_push(rq, prev))
        push_prev(rq, prev);
    tick_follow(rq, next);
    rq->nr_switches++;
    *(voluntary ? &prev->nvcsw : &prev->nivcsw) += 1;
    if (!voluntary) // one who sleeps is in a system call, where no sequence may be
        rseq_preempted(prev);
    rq->curr = next;
    rq->prev = prev;
    next->on_cpu = true;
    lock_debug_release(&rq->lock); // the next one lets it go, on its own list
    switch_to(prev, next);
    finish_switch();
}

void schedule_tail(void);
void schedule_tail(void)
{
    finish_switch();
    preempt_enable();
}

void schedule(void)
{
#ifdef FERN_DEBUG_LOCKS
    if (preempt_count())
        panic("scheduling while atomic, preempt count %#x", (unsigned)preempt_count());
#endif
    do {
        preempt_disable();
        schedule_locked(false);
        preempt_enable_no_resched();
    } while (this_cpu_read(need_resched));
}

void preempt_schedule(void)
{
    if (irqs_disabled())
        return;
    do {
        preempt_disable();
        schedule_locked(true);
        preempt_enable_no_resched();
    } while (this_cpu_read(need_resched));
}

// From entry.S with interrupts off, on the return of an interrupt to preemptible kernel code.
void preempt_schedule_irq(void);
void preempt_schedule_irq(void)
{
    do {
        preempt_disable();
        schedule_locked(true);
        local_irq_disable();
        preempt_enable_no_resched();
    } while (this_cpu_read(need_resched));
}

void cond_resched(void)
{
    if (this_cpu_read(need_resched) && preempt_count() == 0)
        preempt_schedule();
}

void yield(void)
{
    unsigned long flags;
    struct run_queue *rq = lock_task_rq(current, &flags);
    update_clock(rq);
    if (class_of(current)->yield)
        class_of(current)->yield(rq, current);
    resched_curr(current->cpu);
    spin_unlock_irqrestore(&rq->lock, flags);
    cond_resched();
}

void schedule_dead(void)
{
    __set_current_state(TASK_DEAD);
    preempt_disable();
    schedule_locked(false);
    BUG();
}

bool wait_interrupted(unsigned state)
{
    if (!(state & (TASK_INTERRUPTIBLE | TASK_WAKEKILL)) || !signal_pending(current))
        return false;
    return (state & TASK_INTERRUPTIBLE) || fatal_signal_pending(current);
}

void sched_tick(bool user)
{
    struct run_queue *rq = this_rq();
    spin_lock(&rq->lock);
    update_clock(rq);
    struct task_struct *t = rq->curr;
    if (t != rq->idle && class_of(t)->tick)
        class_of(t)->tick(rq, t);
    account_time(rq, t, user, TICK_NS);
    if (nr_cpus_online > 1)
        balance_tick(rq);
    spin_unlock_raw(&rq->lock);
    preempt_enable_no_resched();
    if (nr_cpus_online > 1)
        wake_idle_cpu(rq);
    loadavg_update(rq->clock);
}

// Changes of policy, priority and nice: off the queue, change, on again.
static void change_params(struct task_struct *t, int policy, int rt_priority, int static_prio)
{
    unsigned long flags;
    struct run_queue *rq = lock_task_rq(t, &flags);
    update_clock(rq);
    bool queued = t->on_rq == ON_RQ, running = rq->curr == t;
    if (queued)
        class_of(t)->dequeue(rq, t, false);
    if (running)
        class_of(t)->put_prev(rq, t);
    bool was_fair = !t->rt_priority;
    t->policy = policy;
    t->rt_priority = rt_priority;
    t->static_prio = static_prio;
    t->rt.slice_left = RR_TIMESLICE_NS;
    set_load_weight(t);
    if (!was_fair && !rt_priority)
        t->se.vruntime = rq->cfs.min_vruntime;
    if (running) { // put_prev let go of it, but it goes on running: outside the tree
        t->se.exec_start = rq->clock;
        if (class_of(t) == &fair_class)
            rq->cfs.curr = &t->se;
    }
    if (queued)
        class_of(t)->enqueue(rq, t, false);
    if (running || queued)
        resched_curr(t->cpu);
    spin_unlock_irqrestore(&rq->lock, flags);
}

int sched_setscheduler(struct task_struct *t, int policy, int rt_priority)
{
    bool rt = policy == SCHED_FIFO || policy == SCHED_RR;
    if (!rt && policy != SCHED_NORMAL && policy != SCHED_BATCH && policy != SCHED_IDLE)
        return -EINVAL;
    if (rt ? rt_priority < 1 || rt_priority > 99 : rt_priority != 0)
        return -EINVAL;
    change_params(t, policy, rt_priority, t->static_prio);
    return 0;
}

void set_user_nice(struct task_struct *t, int nice)
{
    change_params(t, t->policy, t->rt_priority, 120 + clamp(nice, -20, 19));
}

int task_prio_stat(const struct task_struct *t)
{
    return t->rt_priority ? -1 - t->rt_priority : 20 + task_nice(t);
}

u64 sched_rr_interval_ns(struct task_struct *t)
{
    if (t->policy == SCHED_FIFO)
        return 0;
    return t->policy == SCHED_RR ? RR_TIMESLICE_NS : SCHED_LATENCY_NS;
}

char task_state_char(const struct task_struct *t)
{
    if (t->exit_state & EXIT_ZOMBIE)
        return 'Z';
    if (t->exit_state & EXIT_DEAD)
        return 'X';
    if (t->state & TASK_UNINTERRUPTIBLE)
        return 'D';
    if (t->state & TASK_STOPPED_STATE)
        return 'T';
    if (t->state & TASK_TRACED_STATE)
        return 't';
    return t->state & TASK_INTERRUPTIBLE ? 'S' : 'R';
}

u64 task_sched_runtime(struct task_struct *t)
{
    unsigned long flags;
    struct run_queue *rq = lock_task_rq(t, &flags);
    if (rq->curr == t) {
        update_clock(rq);
        if (class_of(t)->update_curr)
            class_of(t)->update_curr(rq);
    }
    u64 ns = t->se.sum_exec_runtime;
    spin_unlock_irqrestore(&rq->lock, flags);
    return ns;
}

unsigned long nr_running(void)
{
    unsigned long n = 0;
    for (unsigned c = 0; c < nr_cpus_online; c++)
        n += READ_ONCE(runqueues[c].nr_running);
    return n;
}

u64 nr_context_switches(void)
{
    u64 n = 0;
    for (unsigned c = 0; c < nr_cpus_online; c++)
        n += READ_ONCE(runqueues[c].nr_switches);
    return n;
}

void rq_init(struct run_queue *rq, struct task_struct *idle)
{
    spin_lock_init_rank(&rq->lock, LOCK_RUN_QUEUE);
    rq->curr = rq->idle = idle;
    rq->tick_next = KTIME_MAX;
    for (int i = 0; i < MAX_RT_PRIO; i++)
        INIT_LIST_HEAD(&rq->rt.queue[i]);
    rq->cfs.tasks = RB_ROOT_CACHED;
    // Near the wrap, so that a wrong comparison shows itself within minutes.
    rq->cfs.min_vruntime = (u64) - (1L << 20);
    update_clock(rq);
    rq->idle_since = rq->clock;
}

void sched_init_idle(struct task_struct *idle, unsigned cpu)
{
    sched_fork(idle);
    idle->flags |= PF_IDLE;
    idle->cpu = cpu;
    idle->state = TASK_RUNNING;
    idle->on_cpu = true;
    rq_init(&runqueues[cpu], idle);
}

void sched_init(void)
{
    fair_init();
    rq_init(&runqueues[0], &init_task);
    set_load_weight(&init_task);
}
