// SPDX-License-Identifier: MIT
// The parts that a thread group shares: signal_struct and sighand_struct, namespaces; their
// lifetimes.
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/proc_internal.h"
#include "sched/sched.h"
#include "tty/tty.h"

struct sighand_struct init_sighand = {
    .siglock = SPIN_LOCK_INIT_RANK("siglock", 0),
    .count = ATOMIC_INIT(1),
    .signalfd_wqh = WAIT_QUEUE_HEAD_INIT(init_sighand.signalfd_wqh),
};

struct signal_struct init_signals = {
    .sigcnt = ATOMIC_INIT(1),
    .live = ATOMIC_INIT(1),
    .nr_threads = 1,
    .thread_head = LIST_HEAD_INIT(init_signals.thread_head),
    .wait_chldexit = WAIT_QUEUE_HEAD_INIT(init_signals.wait_chldexit),
    .shared_pending = {.list = LIST_HEAD_INIT(init_signals.shared_pending.list)},
    .posix_timers = LIST_HEAD_INIT(init_signals.posix_timers),
    .cred_guard_mutex = MUTEX_INIT(init_signals.cred_guard_mutex),
    .rlim =
        {
            [RLIMIT_CPU] = {RLIM_INFINITY, RLIM_INFINITY},
            [RLIMIT_FSIZE] = {RLIM_INFINITY, RLIM_INFINITY},
            [RLIMIT_DATA] = {RLIM_INFINITY, RLIM_INFINITY},
            [RLIMIT_STACK] = {8UL << 20, RLIM_INFINITY},
            [RLIMIT_CORE] = {0, RLIM_INFINITY},
            [RLIMIT_RSS] = {RLIM_INFINITY, RLIM_INFINITY},
            [RLIMIT_NPROC] = {1024, 1024}, // fork_init scales it
            [RLIMIT_NOFILE] = {1024, 1048576},
            [RLIMIT_MEMLOCK] = {8UL << 20, 8UL << 20},
            [RLIMIT_AS] = {RLIM_INFINITY, RLIM_INFINITY},
            [RLIMIT_LOCKS] = {RLIM_INFINITY, RLIM_INFINITY},
            [RLIMIT_SIGPENDING] = {1024, 1024}, // fork_init scales it
            [RLIMIT_MSGQUEUE] = {819200, 819200},
            [RLIMIT_NICE] = {0, 0},
            [RLIMIT_RTPRIO] = {0, 0},
            [RLIMIT_RTTIME] = {RLIM_INFINITY, RLIM_INFINITY},
        },
};

struct uts_namespace init_uts_ns = {
    .count = ATOMIC_INIT(1),
    .sem = RWSEM_INIT(init_uts_ns.sem),
    .name =
        {
            .sysname = "Linux",
            .nodename = "(none)",
            .release = "6.1.0-fern",
            .version = "#1 SMP PREEMPT fern",
            .machine = "x86_64",
            .domainname = "(none)",
        },
};

struct nsproxy init_nsproxy = {.count = ATOMIC_INIT(1), .uts_ns = &init_uts_ns};

void get_nsproxy(struct nsproxy *n)
{
    atomic_inc(&n->count);
}

void put_nsproxy(struct nsproxy *n)
{
    // No namespaces beside the first ones yet: its count never reaches zero.
    atomic_dec(&n->count);
}

struct signal_struct *signal_struct_alloc(struct signal_struct *parent)
{
    struct signal_struct *s = kzalloc(sizeof(*s), GFP_KERNEL);
    if (!s)
        return NULL;
    atomic_set(&s->sigcnt, 1);
    atomic_set(&s->live, 1);
    s->nr_threads = 1;
    INIT_LIST_HEAD(&s->thread_head);
    init_waitqueue_head(&s->wait_chldexit);
    init_sigpending(&s->shared_pending);
    INIT_LIST_HEAD(&s->posix_timers);
    mutex_init(&s->cred_guard_mutex);
    itimers_init(s);
    memcpy(s->rlim, parent->rlim, sizeof(s->rlim));
    s->oom_score_adj = parent->oom_score_adj;
    s->oom_score_adj_min = parent->oom_score_adj_min;
    s->has_child_subreaper = parent->has_child_subreaper || parent->is_child_subreaper;
    return s;
}

static void signal_struct_free(struct deferred *d)
{
    struct signal_struct *s = container_of(d, struct signal_struct, rcu);
    if (s->tty)
        tty_put(s->tty);
    put_pid(s->tty_old_pgrp);
    kfree(s);
}

void put_signal_struct(struct signal_struct *s)
{
    if (atomic_dec_and_test(&s->sigcnt))
        defer_free(&s->rcu, signal_struct_free);
}

struct sighand_struct *sighand_alloc(const struct sighand_struct *from)
{
    struct sighand_struct *s = kmalloc(sizeof(*s), GFP_KERNEL);
    if (!s)
        return NULL;
    spin_lock_init(&s->siglock);
    atomic_set(&s->count, 1);
    init_waitqueue_head(&s->signalfd_wqh);
    memcpy(s->action, from->action, sizeof(s->action));
    return s;
}

static void sighand_free(struct deferred *d)
{
    kfree(container_of(d, struct sighand_struct, rcu));
}

void put_sighand(struct sighand_struct *s)
{
    if (atomic_dec_and_test(&s->count))
        defer_free(&s->rcu, sighand_free);
}

struct sighand_struct *lock_task_sighand(struct task_struct *t, unsigned long *flags)
{
    // Interrupts stay off between the read and the lock: defer_free waits for that; exec and
    // release_task change the pointer under the lock.
    for (;;) {
        unsigned long f = local_irq_save();
        struct sighand_struct *s = __atomic_load_n(&t->sighand, __ATOMIC_ACQUIRE);
        if (!s) {
            local_irq_restore(f);
            return NULL;
        }
        spin_lock(&s->siglock);
        if (likely(s == __atomic_load_n(&t->sighand, __ATOMIC_RELAXED))) {
            *flags = f;
            return s;
        }
        spin_unlock_irqrestore(&s->siglock, f);
    }
}
