// SPDX-License-Identifier: MIT
// Kernel threads that exercise switching, timers and wake-ups; run when no process code is linked or with "selftest".
#include "init/init.h"
#include "drivers/power.h"
#include "lib/printk.h"
#include "sched/kthread.h"
#include "sched/wait.h"

static DECLARE_WAIT_QUEUE_HEAD(queue);
static int turn, rounds;
#define ROUNDS 1000

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

static int run(void *unused)
{
    (void)unused;
    u64 start = ktime_get();
    msleep(10);
    pr_info("selftest: msleep(10) took %lu us", (ktime_get() - start) / 1000);
    start = ktime_get();
    struct task_struct *a = kthread_create(player, (void *)0L, "ping");
    struct task_struct *b = kthread_create(player, (void *)1L, "pong");
    if (IS_ERR(a) || IS_ERR(b))
        panic("selftest: no memory");
    wake_up_new_task(a);
    wake_up_new_task(b);
    wait_event(queue, READ_ONCE(rounds) >= ROUNDS);
    int ra = kthread_stop(a), rb = kthread_stop(b);
    pr_info("selftest: %d rounds in %lu us, results %d %d", rounds, (ktime_get() - start) / 1000, ra, rb);
    char value[8];
    if (cmdline_get("selftest", value, sizeof(value)) && value[0] == 'p')
        __asm__ volatile("movl $1, 8" ::: "memory"); // a null pointer, for the panic report
    machine_power_off();
}

static int starter(void *unused)
{
    kthread_init();
    struct task_struct *t = kthread_run(run, unused, "selftest");
    return IS_ERR(t);
}

struct task_struct *kthread_selftest(void)
{
    return kthread_start_first(starter, "starter");
}
