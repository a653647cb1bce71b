// SPDX-License-Identifier: MIT
// Real-time class: one list per priority; SCHED_RR rotates after a slice, SCHED_FIFO does not.
// sched(7).
#include "abi/sched.h"
#include "sched/sched_internal.h"

static unsigned slot_of(const struct task_struct *t)
{
    return 99 - (unsigned)t->rt_priority;
}

static void rt_update_curr(struct run_queue *rq)
{
    struct sched_entity *se = &rq->curr->se;
    if (!rq->curr->rt_priority || rq->clock <= se->exec_start)
        return;
    se->sum_exec_runtime += rq->clock - se->exec_start;
    se->exec_start = rq->clock;
}

static void rt_enqueue(struct run_queue *rq, struct task_struct *t, bool wakeup)
{
    (void)wakeup;
    list_add_tail(&t->rt.node, &rq->rt.queue[slot_of(t)]);
    __set_bit(slot_of(t), rq->rt.bitmap);
    rq->rt.nr_running++;
    t->rt.on_rq = true;
}

static void rt_dequeue(struct run_queue *rq, struct task_struct *t, bool sleeping)
{
    (void)sleeping;
    rt_update_curr(rq);
    list_del(&t->rt.node);
    if (list_empty(&rq->rt.queue[slot_of(t)]))
        __clear_bit(slot_of(t), rq->rt.bitmap);
    rq->rt.nr_running--;
    t->rt.on_rq = false;
}

// The running task stays at the head of its list.
static struct task_struct *rt_pick_next(struct run_queue *rq)
{
    if (!rq->rt.nr_running)
        return NULL;
    unsigned s = (unsigned)find_first_bit(rq->rt.bitmap, MAX_RT_PRIO);
    struct task_struct *t = list_first_entry(&rq->rt.queue[s], struct task_struct, rt.node);
    t->se.exec_start = rq->clock;
    return t;
}

static void rt_put_prev(struct run_queue *rq, struct task_struct *t)
{
    (void)t;
    rt_update_curr(rq);
}

static void rt_tick(struct run_queue *rq, struct task_struct *t)
{
    rt_update_curr(rq);
    if (t->policy != SCHED_RR)
        return;
    if (t->rt.slice_left > TICK_NS) {
        t->rt.slice_left -= TICK_NS;
        return;
    }
    t->rt.slice_left = RR_TIMESLICE_NS;
    struct list_head *q = &rq->rt.queue[slot_of(t)];
    if (!list_is_singular(q)) {
        list_move_tail(&t->rt.node, q);
        resched_curr(t->cpu);
    }
}

static bool rt_preempts(struct run_queue *rq, struct task_struct *woken)
{
    return woken->rt_priority > rq->curr->rt_priority;
}

static void rt_yield(struct run_queue *rq, struct task_struct *t)
{
    list_move_tail(&t->rt.node, &rq->rt.queue[slot_of(t)]);
}

const struct sched_class rt_class = {
    .enqueue = rt_enqueue,
    .dequeue = rt_dequeue,
    .pick_next = rt_pick_next,
    .put_prev = rt_put_prev,
    .tick = rt_tick,
    .preempts = rt_preempts,
    .yield = rt_yield,
    .update_curr = rt_update_curr,
    .rank = 2,
};
