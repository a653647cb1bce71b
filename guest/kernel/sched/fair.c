// SPDX-License-Identifier: MIT
// The fair class: virtual runtime on a red-black tree, weights by nice level, sleeper credit,
// wake-up preemption.
#include "abi/sched.h"
#include "lib/math.h"
#include "sched/sched_internal.h"

static u64 weights[40];
static u32 inverse[40];

// weight(nice) = 1024 * 1.25^-nice, in 32.32 fixed point from nice 0 outwards.
void fair_init(void)
{
    u64 up = (u64)NICE_0_LOAD << 32, down = up; // at most 2^49
    for (int i = 0; i <= 20; i++) {
        weights[20 - i] = (up + (1UL << 31)) >> 32;
        if (i < 20)
            weights[20 + i] = (down + (1UL << 31)) >> 32;
        up = up * 5 / 4;
        down = down * 4 / 5;
    }
    for (int i = 0; i < 40; i++)
        inverse[i] = (u32)(0xffffffffUL / weights[i]);
}

u64 sched_weight_of_nice(int nice)
{
    return weights[nice + 20];
}

void set_load_weight(struct task_struct *t)
{
    int nice = task_nice(t);
    if (t->policy == SCHED_IDLE)
        t->se.load = (struct load_weight){WEIGHT_IDLE_PRIO, (u32)(0xffffffffUL / WEIGHT_IDLE_PRIO)};
    else
        t->se.load = (struct load_weight){weights[nice + 20], inverse[nice + 20]};
}

static struct task_struct *task_of(struct sched_entity *se)
{
    return container_of(se, struct task_struct, se);
}

static u64 scale(u64 ns, const struct sched_entity *se)
{
    if (se->load.weight == NICE_0_LOAD)
        return ns;
    return (u64)(((unsigned __int128)ns * NICE_0_LOAD * se->load.inv_weight) >> 32);
}

static bool before(u64 a, u64 b)
{
    return (s64)(a - b) < 0;
}

static bool entity_less(const struct rb_node *a, const struct rb_node *b)
{
    return before(rb_entry(a, struct sched_entity, node)->vruntime,
                  rb_entry(b, struct sched_entity, node)->vruntime);
}

static struct sched_entity *leftmost(struct cfs_rq *cfs)
{
    struct rb_node *n = rb_first_cached(&cfs->tasks);
    return n ? rb_entry(n, struct sched_entity, node) : NULL;
}

// min_vruntime only grows: the smallest of the running and the leftmost.
static void update_min_vruntime(struct cfs_rq *cfs)
{
    struct sched_entity *left = leftmost(cfs), *curr = cfs->curr;
    u64 v = cfs->min_vruntime;
    if (curr && curr->on_rq)
        v = left && before(left->vruntime, curr->vruntime) ? left->vruntime : curr->vruntime;
    else if (left)
        v = left->vruntime;
    if (before(cfs->min_vruntime, v))
        cfs->min_vruntime = v;
}

static void fair_update_curr(struct run_queue *rq)
{
    struct sched_entity *se = rq->cfs.curr;
    if (!se || rq->clock <= se->exec_start)
        return;
    u64 delta = rq->clock - se->exec_start;
    se->exec_start = rq->clock;
    se->sum_exec_runtime += delta;
    se->vruntime += scale(delta, se);
    update_min_vruntime(&rq->cfs);
}

static u64 period(unsigned nr)
{
    return max((u64)SCHED_LATENCY_NS, nr * (u64)SCHED_MIN_GRANULARITY_NS);
}

// What se may run of one period, in ns of real time.
static u64 slice(struct cfs_rq *cfs, const struct sched_entity *se)
{
    unsigned nr = cfs->nr_running + !se->on_rq;
    u64 load = cfs->load + (se->on_rq ? 0 : se->load.weight);
    u64 ns = mul_div_u64(period(nr), se->load.weight, load);
    return max(ns, (u64)SCHED_MIN_GRANULARITY_NS);
}

static void fair_enqueue(struct run_queue *rq, struct task_struct *t, bool wakeup)
{
    struct cfs_rq *cfs = &rq->cfs;
    struct sched_entity *se = &t->se;
    fair_update_curr(rq);
    if (wakeup) {
        // A sleeper gets at most half a latency of credit, and never runs backwards.
        u64 floor = cfs->min_vruntime - (t->policy == SCHED_IDLE ? 0 : SCHED_LATENCY_NS / 2);
        if (before(se->vruntime, floor))
            se->vruntime = floor;
    }
    se->on_rq = true;
    cfs->nr_running++;
    cfs->load += se->load.weight;
    if (cfs->curr != se)
        rb_add_cached(&se->node, &cfs->tasks, entity_less);
}

static void fair_dequeue(struct run_queue *rq, struct task_struct *t, bool sleeping)
{
    struct cfs_rq *cfs = &rq->cfs;
    struct sched_entity *se = &t->se;
    fair_update_curr(rq);
    if (cfs->curr != se)
        rb_erase_cached(&se->node, &cfs->tasks);
    se->on_rq = false;
    cfs->nr_running--;
    cfs->load -= se->load.weight;
    update_min_vruntime(cfs);
    (void)sleeping;
}

static struct task_struct *fair_pick_next(struct run_queue *rq)
{
    struct sched_entity *se = leftmost(&rq->cfs);
    if (!se)
        return NULL;
    rb_erase_cached(&se->node, &rq->cfs.tasks);
    rq->cfs.curr = se;
    se->exec_start = rq->clock;
    se->prev_sum_exec = se->sum_exec_runtime;
    return task_of(se);
}

static void fair_put_prev(struct run_queue *rq, struct task_struct *t)
{
    fair_update_curr(rq);
    rq->cfs.curr = NULL;
    if (t->se.on_rq)
        rb_add_cached(&t->se.node, &rq->cfs.tasks, entity_less);
}

static void fair_tick(struct run_queue *rq, struct task_struct *t)
{
    struct sched_entity *se = &t->se, *left = leftmost(&rq->cfs);
    fair_update_curr(rq);
    if (!left)
        return;
    u64 ran = se->sum_exec_runtime - se->prev_sum_exec, allowed = slice(&rq->cfs, se);
    if (ran > allowed ||
        (ran >= SCHED_MIN_GRANULARITY_NS && (s64)(se->vruntime - left->vruntime) > (s64)allowed))
        resched_curr(t->cpu);
}

static bool fair_preempts(struct run_queue *rq, struct task_struct *woken)
{
    struct task_struct *curr = rq->curr;
    if (curr->policy == SCHED_IDLE && woken->policy != SCHED_IDLE)
        return true;
    if (woken->policy != SCHED_NORMAL)
        return false;
    fair_update_curr(rq);
    s64 lag = (s64)(curr->se.vruntime - woken->se.vruntime);
    return lag > (s64)scale(SCHED_WAKEUP_GRANULARITY_NS, &woken->se);
}

static void fair_yield(struct run_queue *rq, struct task_struct *t)
{
    struct rb_node *last = rb_last(&rq->cfs.tasks.root);
    fair_update_curr(rq);
    if (last && before(t->se.vruntime, rb_entry(last, struct sched_entity, node)->vruntime))
        t->se.vruntime = rb_entry(last, struct sched_entity, node)->vruntime;
}

// A child starts one slice behind the smallest, so that forking gains nothing.
void fair_task_fork(struct run_queue *rq, struct task_struct *t)
{
    struct cfs_rq *cfs = &rq->cfs;
    fair_update_curr(rq);
    u64 start = cfs->min_vruntime;
    if (cfs->curr && before(start, cfs->curr->vruntime))
        start = cfs->curr->vruntime;
    u64 behind = cfs->min_vruntime + scale(slice(cfs, &t->se), &t->se);
    t->se.vruntime = before(start, behind) ? behind : start;
}

const struct sched_class fair_class = {
    .enqueue = fair_enqueue,
    .dequeue = fair_dequeue,
    .pick_next = fair_pick_next,
    .put_prev = fair_put_prev,
    .tick = fair_tick,
    .preempts = fair_preempts,
    .yield = fair_yield,
    .update_curr = fair_update_curr,
    .rank = 1,
};
