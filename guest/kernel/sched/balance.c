// SPDX-License-Identifier: MIT
// Which CPU a task runs on: placement at wake-up and fork, pulling of waiting tasks, pushing of
// tasks that may not or cannot go on where they are. Everything here is for more than one CPU.
#include "arch/x86_64/smp.h"
#include "proc/rseq.h"
#include "sched/sched_internal.h"

#define BALANCE_TICKS 8  // between two looks for a longer queue
#define MOST_LOOKED_AT 32 // waiting tasks, in search of one that may come

static bool may_run_on(const struct task_struct *t, unsigned cpu)
{
    return READ_ONCE(t->cpus_allowed) >> cpu & 1;
}

// A guess, without the lock: a wrong one is mended by the next balance.
static bool cpu_idle(unsigned cpu)
{
    const struct run_queue *rq = &runqueues[cpu];
    return !READ_ONCE(rq->nr_running) && READ_ONCE(rq->curr) == rq->idle;
}

// How important what runs there is: -1 idle, 0 fair, then the real-time priority.
static int cpu_prio(unsigned cpu)
{
    if (cpu_idle(cpu))
        return -1;
    return READ_ONCE(READ_ONCE(runqueues[cpu].curr)->rt_priority);
}

static u64 allowed_mask(const struct task_struct *t)
{
    u64 mask = READ_ONCE(t->cpus_allowed) & cpu_online_mask();
    return mask ? mask : cpu_online_mask();
}

// The CPU whose work matters least; `first` where it is as good.
static unsigned least_important(u64 mask, unsigned first)
{
    unsigned best = mask >> first & 1 ? first : ctz64(mask);
    int prio = cpu_prio(best);
    for (u64 left = mask; left && prio >= 0; left &= left - 1) {
        int p = cpu_prio(ctz64(left));
        if (p < prio) {
            best = ctz64(left);
            prio = p;
        }
    }
    return best;
}

static unsigned shortest_queue(u64 mask, unsigned first)
{
    unsigned best = mask >> first & 1 ? first : ctz64(mask);
    unsigned length = READ_ONCE(runqueues[best].nr_running);
    for (u64 left = mask; left; left &= left - 1) {
        unsigned n = READ_ONCE(runqueues[ctz64(left)].nr_running);
        if (n < length) {
            best = ctz64(left);
            length = n;
        }
    }
    return best;
}

unsigned select_cpu(const struct task_struct *t)
{
    u64 mask = allowed_mask(t);
    unsigned prev = t->cpu, me = smp_processor_id();
    if ((mask >> prev & 1) && cpu_idle(prev))
        return prev;
    if (t->rt_priority)
        return least_important(mask, prev);
    if ((mask >> me & 1) && cpu_idle(me))
        return me;
    for (u64 left = mask; left; left &= left - 1)
        if (cpu_idle(ctz64(left)))
            return ctz64(left);
    return shortest_queue(mask, prev);
}

void set_task_cpu(struct task_struct *t, unsigned cpu)
{
    struct run_queue *from = task_rq(t), *to = &runqueues[cpu];
    if (from == to)
        return;
    // Virtual times of two queues have nothing in common but their distance from the minimum.
    t->se.vruntime += READ_ONCE(to->cfs.min_vruntime) - from->cfs.min_vruntime;
    rseq_preempted(t); // rseq(2): it reads its new CPU before it goes on
    __atomic_store_n(&t->cpu, cpu, __ATOMIC_RELEASE);
}

// Both locks held, t waits in `from`.
static void move_waiting(struct run_queue *from, struct run_queue *to, struct task_struct *t)
{
    class_of(t)->dequeue(from, t, false);
    from->nr_running--;
    set_task_cpu(t, (unsigned)(to - runqueues));
    class_of(t)->enqueue(to, t, false);
    to->nr_running++;
}

static struct task_struct *waiting_rt(const struct run_queue *rq, unsigned cpu)
{
    if (!rq->rt.nr_running)
        return NULL;
    for (unsigned s = (unsigned)find_first_bit(rq->rt.bitmap, MAX_RT_PRIO); s < MAX_RT_PRIO; s++) {
        struct task_struct *t;
        list_for_each_entry(t, &rq->rt.queue[s], rt.node)
        {
            if (t != rq->curr && may_run_on(t, cpu))
                return t;
        }
    }
    return NULL;
}

static struct task_struct *waiting_fair(const struct run_queue *rq, unsigned cpu)
{
    struct rb_node *n = rb_first_cached(&rq->cfs.tasks);
    for (int i = 0; n && i < MOST_LOOKED_AT; i++, n = rb_next(n)) {
        struct task_struct *t = container_of(rb_entry(n, struct sched_entity, node),
                                             struct task_struct, se);
        if (may_run_on(t, cpu))
            return t;
    }
    return NULL;
}

// Takes up to nr waiting tasks from `from`; this queue's lock is held, the other is only tried for:
// so there is no order to keep. Returns how many came, -1 if the lock was taken.
static int pull(struct run_queue *rq, struct run_queue *from, int nr, bool rt_only)
{
    unsigned cpu = (unsigned)(rq - runqueues);
    int n = 0;
    if (!spin_trylock(&from->lock)) {
        cpu_relax();
        return -1;
    }
    update_clock(from);
    while (n < nr) {
        struct task_struct *t = waiting_rt(from, cpu);
        if (!t && !rt_only)
            t = waiting_fair(from, cpu);
        if (!t)
            break;
        move_waiting(from, rq, t);
        n++;
    }
    spin_unlock_raw(&from->lock);
    preempt_enable_no_resched();
    return n;
}

static struct run_queue *longest_queue(const struct run_queue *rq)
{
    struct run_queue *best = NULL;
    unsigned length = 1, me = (unsigned)(rq - runqueues);
    // Starts after this CPU, so that not all of them look at the same one first.
    for (unsigned i = 1; i < nr_cpus_online; i++) {
        struct run_queue *other = &runqueues[(me + i) % nr_cpus_online];
        unsigned n = READ_ONCE(other->nr_running);
        if (n > length) {
            best = other;
            length = n;
        }
    }
    return best;
}

void balance_newly_idle(struct run_queue *rq)
{
    struct run_queue *from = longest_queue(rq);
    int came = from ? pull(rq, from, 1, false) : 0;
    bool taken = came < 0;
    // The longest may have nothing for us.
    for (unsigned c = 0; from && came <= 0 && c < nr_cpus_online; c++) {
        struct run_queue *other = &runqueues[c];
        if (other == rq || other == from || READ_ONCE(other->nr_running) <= 1)
            continue;
        came = pull(rq, other, 1, false);
        taken |= came < 0;
    }
    if (came <= 0 && taken)
        this_cpu_write(need_resched, 1); // the idle loop tries again
}

void balance_rt(struct run_queue *rq)
{
    for (unsigned c = 0; c < nr_cpus_online; c++)
        if (&runqueues[c] != rq && READ_ONCE(runqueues[c].rt.nr_running) > 1 &&
            pull(rq, &runqueues[c], 1, true) > 0)
            return;
}

// The most important real-time task that waits here goes where less important things run.
void push_waiting_rt(struct run_queue *rq)
{
    for (unsigned s = (unsigned)find_first_bit(rq->rt.bitmap, MAX_RT_PRIO); s < MAX_RT_PRIO;
         s = (unsigned)find_next_bit(rq->rt.bitmap, MAX_RT_PRIO, s + 1)) {
        struct task_struct *t = list_first_entry(&rq->rt.queue[s], struct task_struct, rt.node);
        if (t == rq->curr) {
            if (list_is_last(&t->rt.node, &rq->rt.queue[s]))
                continue;
            t = list_next_entry(t, rt.node);
        }
        unsigned cpu = least_important(allowed_mask(t), (unsigned)(rq - runqueues));
        struct run_queue *to = &runqueues[cpu];
        if (to == rq || cpu_prio(cpu) >= t->rt_priority || !spin_trylock(&to->lock))
            return; // the tick tries again
        if (cpu_prio(cpu) < t->rt_priority) {
            update_clock(to);
            move_waiting(rq, to, t);
            resched_curr(cpu);
        }
        spin_unlock_raw(&to->lock);
        preempt_enable_no_resched();
        return;
    }
}

void wake_idle_cpu(const struct run_queue *rq)
{
    if (READ_ONCE(rq->nr_running) < 2)
        return;
    for (unsigned c = 0; c < nr_cpus_online; c++)
        if (cpu_idle(c)) {
            resched_curr(c);
            return;
        }
}

void balance_tick(struct run_queue *rq)
{
    if (rq->rt.nr_running > 1)
        push_waiting_rt(rq);
    if (++rq->ticks % BALANCE_TICKS)
        return;
    struct run_queue *from = longest_queue(rq);
    unsigned longer = from ? READ_ONCE(from->nr_running) : 0;
    if (longer > rq->nr_running + 1)
        pull(rq, from, (int)(longer - rq->nr_running) / 2, false);
}

bool must_leave(const struct run_queue *rq, const struct task_struct *t)
{
    return !may_run_on(t, (unsigned)(rq - runqueues));
}

bool should_push(const struct run_queue *rq, const struct task_struct *t)
{
    unsigned cpu = least_important(allowed_mask(t), (unsigned)(rq - runqueues));
    return &runqueues[cpu] != rq && cpu_prio(cpu) < t->rt_priority;
}

void enqueue_moved(struct task_struct *t)
{
    struct run_queue *rq = task_rq(t);
    spin_lock(&rq->lock);
    update_clock(rq);
    activate(rq, t, false);
    check_preempt(rq, t);
    spin_unlock_raw(&rq->lock);
    preempt_enable_no_resched();
}

// A task that waits or runs on a CPU that it may not use any more goes elsewhere. True: somebody
// else is moving it right now, the caller looks again.
static bool leave(struct task_struct *t, u64 mask)
{
    unsigned long flags;
    struct run_queue *rq = lock_task_rq(t, &flags);
    bool moving = t->on_rq == ON_RQ_MOVING;
    t->cpus_allowed = mask;
    if (t->on_rq != ON_RQ || !must_leave(rq, t)) {
        spin_unlock_irqrestore(&rq->lock, flags);
        return moving;
    }
    if (rq->curr == t) {
        resched_curr(t->cpu); // schedule() there pushes it
        spin_unlock_irqrestore(&rq->lock, flags);
        return false;
    }
    update_clock(rq);
    deactivate(rq, t);
    t->on_rq = ON_RQ_MOVING;
    set_task_cpu(t, select_cpu(t));
    spin_unlock_raw(&rq->lock);
    preempt_enable_no_resched();
    enqueue_moved(t);
    local_irq_restore(flags);
    return false;
}

int sched_setaffinity(struct task_struct *t, u64 mask)
{
    if (!(mask & cpu_online_mask()))
        return -EINVAL;
    while (leave(t, mask))
        cpu_relax();
    // It does not run on a CPU of the old set any more when this returns.
    while (t != current && READ_ONCE(t->on_cpu) && !may_run_on(t, READ_ONCE(t->cpu)))
        cpu_relax();
    cond_resched();
    return 0;
}
