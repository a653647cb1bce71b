// SPDX-License-Identifier: MIT
// Scheduling classes against a simulated clock: CFS shares by weight, pick order, sleeper credit, preemption; FIFO and RR.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "abi/sched.h"
#include "core_shim.h"
#include "sched/sched_internal.h"

const struct sched_class idle_class = {.rank = 0};
static struct run_queue *rq = &runqueues[0];
static struct task_struct tasks[8];

static int setup(void **state)
{
    (void)state;
    memset(rq, 0, sizeof(*rq));
    memset(tasks, 0, sizeof(tasks));
    fair_init();
    for (int i = 0; i < MAX_RT_PRIO; i++)
        INIT_LIST_HEAD(&rq->rt.queue[i]);
    rq->cfs.tasks = RB_ROOT_CACHED;
    rq->cfs.min_vruntime = (u64)-(1L << 20); // wraps during the test
    rq->curr = rq->idle = &init_task;
    rq->clock = shim_now = 1000000;
    return 0;
}

static struct task_struct *make(int i, int policy, int nice, int rt_priority)
{
    struct task_struct *t = &tasks[i];
    t->policy = policy;
    t->static_prio = 120 + nice;
    t->rt_priority = rt_priority;
    t->rt.slice_left = RR_TIMESLICE_NS;
    set_load_weight(t);
    if (!rt_priority)
        t->se.vruntime = rq->cfs.min_vruntime;
    return t;
}

static void enqueue(struct task_struct *t, bool wakeup)
{
    class_of(t)->enqueue(rq, t, wakeup);
    t->on_rq = true;
}

// What schedule() does between two tasks.
static void reschedule(void)
{
    shim_resched = false;
    if (rq->curr != rq->idle)
        class_of(rq->curr)->put_prev(rq, rq->curr);
    struct task_struct *t = rt_class.pick_next(rq);
    rq->curr = t ? t : fair_class.pick_next(rq);
    assert_non_null(rq->curr);
}

static void run_ns(u64 ns)
{
    for (u64 end = rq->clock + ns; rq->clock < end;) {
        rq->clock = shim_now += TICK_NS;
        class_of(rq->curr)->tick(rq, rq->curr);
        if (shim_resched)
            reschedule();
    }
    class_of(rq->curr)->update_curr(rq);
}

static void weights_follow_the_rule(void **state)
{
    (void)state;
    for (int nice = -20; nice < 20; nice++) {
        double exact = 1024 * pow(1.25, -nice);
        assert_true(fabs((double)sched_weight_of_nice(nice) - exact) <= exact * 0.001 + 0.51);
    }
    assert_int_equal(sched_weight_of_nice(0), 1024);
}

static void shares_follow_weights(void **state)
{
    (void)state;
    static const int nices[] = {0, 5, -5, 10, 0};
    double sum = 0;
    for (int i = 0; i < 5; i++) {
        enqueue(make(i, SCHED_NORMAL, nices[i], 0), false);
        sum += (double)sched_weight_of_nice(nices[i]);
    }
    reschedule();
    run_ns(60 * NSEC_PER_SEC);
    for (int i = 0; i < 5; i++) {
        double expected = 60e9 * (double)sched_weight_of_nice(nices[i]) / sum;
        assert_true(fabs((double)tasks[i].se.sum_exec_runtime - expected) < expected * 0.05);
    }
}

static void smallest_vruntime_runs(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        make(i, SCHED_NORMAL, 0, 0)->se.vruntime += (u64)((i * 7) % 4) * 1000000;
        enqueue(&tasks[i], false);
    }
    static const int order[] = {0, 3, 2, 1}; // (i * 7) % 4 = 0 3 2 1
    for (int i = 0; i < 4; i++) {
        struct task_struct *t = fair_class.pick_next(rq);
        assert_ptr_equal(t, &tasks[order[i]]);
        rq->curr = t;
        fair_class.dequeue(rq, t, true);
        fair_class.put_prev(rq, t);
    }
    assert_null(fair_class.pick_next(rq));
}

// One that slept for long gets at most half a latency of credit, so it cannot starve who stayed.
static void sleeper_credit_is_bounded(void **state)
{
    (void)state;
    enqueue(make(0, SCHED_NORMAL, 0, 0), false);
    struct task_struct *sleeper = make(1, SCHED_NORMAL, 0, 0);
    reschedule();
    run_ns(10 * NSEC_PER_SEC);
    enqueue(sleeper, true);
    s64 credit = (s64)(rq->cfs.min_vruntime - sleeper->se.vruntime);
    assert_true(credit > 0 && credit <= (s64)SCHED_LATENCY_NS / 2);
    assert_true(fair_class.preempts(rq, sleeper));
    u64 before = tasks[0].se.sum_exec_runtime;
    reschedule();
    run_ns(NSEC_PER_SEC);
    assert_true(tasks[0].se.sum_exec_runtime - before > 450 * NSEC_PER_MSEC);
}

static void batch_and_idle_do_not_preempt(void **state)
{
    (void)state;
    enqueue(make(0, SCHED_NORMAL, 0, 0), false);
    reschedule();
    run_ns(NSEC_PER_SEC);
    enqueue(make(1, SCHED_BATCH, 0, 0), true);
    assert_false(fair_class.preempts(rq, &tasks[1]));
    enqueue(make(2, SCHED_IDLE, 0, 0), true);
    assert_false(fair_class.preempts(rq, &tasks[2]));
    rq->curr = &tasks[2];
    assert_true(fair_class.preempts(rq, &tasks[0]));
}

static void idle_policy_gets_its_weight(void **state)
{
    (void)state;
    enqueue(make(0, SCHED_NORMAL, 0, 0), false);
    enqueue(make(1, SCHED_IDLE, 0, 0), false);
    reschedule();
    run_ns(100 * NSEC_PER_SEC);
    double share = (double)tasks[1].se.sum_exec_runtime / 100e9;
    assert_true(share > 0.001 && share < 0.01); // 3 of 1027
}

static void fork_gains_nothing(void **state)
{
    (void)state;
    enqueue(make(0, SCHED_NORMAL, 0, 0), false);
    reschedule();
    run_ns(NSEC_PER_SEC);
    struct task_struct *child = make(1, SCHED_NORMAL, 0, 0);
    fair_task_fork(rq, child);
    assert_true((s64)(child->se.vruntime - rq->cfs.min_vruntime) > 0);
}

static void fifo_runs_until_it_stops(void **state)
{
    (void)state;
    enqueue(make(0, SCHED_NORMAL, -20, 0), false);
    enqueue(make(1, SCHED_FIFO, 0, 10), false);
    enqueue(make(2, SCHED_FIFO, 0, 10), false);
    enqueue(make(3, SCHED_FIFO, 0, 5), false);
    reschedule();
    assert_ptr_equal(rq->curr, &tasks[1]);
    run_ns(NSEC_PER_SEC);
    assert_ptr_equal(rq->curr, &tasks[1]);
    assert_int_equal(tasks[2].se.sum_exec_runtime, 0);
    rt_class.yield(rq, &tasks[1]);
    reschedule();
    assert_ptr_equal(rq->curr, &tasks[2]);
    assert_true(rt_class.preempts(rq, make(4, SCHED_FIFO, 0, 11)));
    assert_false(rt_class.preempts(rq, make(5, SCHED_FIFO, 0, 10)));
}

static void rr_takes_turns(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        enqueue(make(i, SCHED_RR, 0, 20), false);
    reschedule();
    run_ns(30 * RR_TIMESLICE_NS);
    for (int i = 0; i < 3; i++)
        assert_int_equal(tasks[i].se.sum_exec_runtime / RR_TIMESLICE_NS, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(weights_follow_the_rule, setup),
        cmocka_unit_test_setup(shares_follow_weights, setup),
        cmocka_unit_test_setup(smallest_vruntime_runs, setup),
        cmocka_unit_test_setup(sleeper_credit_is_bounded, setup),
        cmocka_unit_test_setup(batch_and_idle_do_not_preempt, setup),
        cmocka_unit_test_setup(idle_policy_gets_its_weight, setup),
        cmocka_unit_test_setup(fork_gains_nothing, setup),
        cmocka_unit_test_setup(fifo_runs_until_it_stops, setup),
        cmocka_unit_test_setup(rr_takes_turns, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
