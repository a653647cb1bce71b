// SPDX-License-Identifier: MIT
// "selftest" on the command line: kernel threads exercise switching, timers and wake-ups, then the
// machine goes off.
#include "drivers/power.h"
#include "init/init.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "sched/kthread.h"
#include "sched/wait.h"

#define ROUNDS 1000

static DECLARE_WAIT_QUEUE_HEAD(queue);
static int turn, rounds;

static int player(void *arg)
{
    int me = (int)(long)arg;
    for (;;) {
        wait_event(queue, READ_ONCE(turn) == me || kthread_should_stop());
        if (kthread_should_stop())
            return me + 1;
        WRITE_ONCE(rounds, rounds + 1);
        WRITE_ONCE(turn, !me);
        wake_up_all(&queue);
    }
}

#ifdef FERN_DEBUG_LOCKS
// Each breaks one rule that debug builds check: the panic is the expected end.
static DEFINE_SPINLOCK(first);
static DEFINE_SPINLOCK(second);

static enum hrtimer_restart take_in_interrupt(struct hrtimer *t)
{
    (void)t;
    spin_lock(&first);
    spin_unlock(&first);
    return HRTIMER_NORESTART;
}

static void break_a_rule(const char *which)
{
    struct hrtimer timer;
    spin_lock(&first);
    if (!strcmp(which, "twice"))
        spin_lock(&first);
    if (!strcmp(which, "sleep"))
        msleep(1);
    if (!strcmp(which, "order"))
        spin_lock(&second);
    if (!strcmp(which, "order"))
        spin_unlock(&second);
    spin_unlock(&first);
    if (!strcmp(which, "order")) {
        spin_lock(&second);
        spin_lock(&first);
    }
    if (!strcmp(which, "irq")) {
        hrtimer_init(&timer, take_in_interrupt, HRTIMER_MONOTONIC);
        hrtimer_start(&timer, ktime_get());
        msleep(1);
    }
}
#endif

void kthread_selftest(const char *which)
{
#ifdef FERN_DEBUG_LOCKS
    break_a_rule(which);
#endif
    (void)which;
    u64 start = ktime_get();
    msleep(10);
    pr_info("selftest: msleep(10) took %lu us", (ktime_get() - start) / 1000);
    start = ktime_get();
    struct task_struct *a = kthread_run(player, (void *)0L, "ping");
    struct task_struct *b = kthread_run(player, (void *)1L, "pong");
    if (IS_ERR(a) || IS_ERR(b))
        panic("selftest: no memory");
    wait_event(queue, READ_ONCE(rounds) >= ROUNDS);
    int ra = kthread_stop(a), rb = kthread_stop(b);
    pr_info("selftest: %d rounds in %lu us, results %d %d", rounds, (ktime_get() - start) / 1000,
            ra, rb);
    machine_power_off();
}
