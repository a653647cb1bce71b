// SPDX-License-Identifier: MIT
// Queues of pending signals: what is pending, taking the next one off, throwing away.
#include "lib/bitops.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/proc_internal.h"
#include "sched/sched.h"
#include "signal/sigqueue.h"
#include "signal/sigset.h"

static struct kmem_cache *sigqueue_cache;

void signal_init(void)
{
    sigqueue_cache = kmem_cache_create("sigqueue", sizeof(struct sigqueue), 0, 0);
}

struct sigqueue *sigqueue_alloc(struct task_struct *t, gfp_t gfp, bool override_limit)
{
    // The receiver's user pays, as long as the receiver lives (its cred pointer is stable under
    // siglock's holder).
    struct user_struct *u = t->cred->user;
    u64 limit = __atomic_load_n(&t->signal->rlim[RLIMIT_SIGPENDING].rlim_cur, __ATOMIC_RELAXED);
    int pending = atomic_inc_return(&u->sigpending);
    struct sigqueue *q = NULL;
    if (override_limit || (u64)pending <= limit)
        q = kmem_cache_alloc(sigqueue_cache, gfp);
    if (!q) {
        atomic_dec(&u->sigpending);
        return NULL;
    }
    INIT_LIST_HEAD(&q->list);
    q->prealloc = false;
    q->user = get_user_struct(u);
    return q;
}

void sigqueue_free(struct sigqueue *q)
{
    if (q->prealloc)
        return;
    atomic_dec(&q->user->sigpending);
    put_user_struct(q->user);
    kmem_cache_free(sigqueue_cache, q);
}

void init_sigpending(struct sigpending *p)
{
    INIT_LIST_HEAD(&p->list);
    p->signal.sig = 0;
}

void flush_sigqueue(struct sigpending *p)
{
    struct sigqueue *q, *next;
    p->signal.sig = 0;
    list_for_each_entry_safe(q, next, &p->list, list) {
        list_del_init(&q->list);
        sigqueue_free(q);
    }
}

void sigpending_remove(struct sigpending *p, u64 mask)
{
    if (!(p->signal.sig & mask))
        return;
    p->signal.sig &= ~mask;
    struct sigqueue *q, *next;
    list_for_each_entry_safe(q, next, &p->list, list) {
        if (sig_in(mask, q->info.si_signo)) {
            list_del_init(&q->list);
            sigqueue_free(q);
        }
    }
}

// Takes the first entry of `sig` off; the bit stays while there is another one.
static void collect_signal(struct sigpending *p, int sig, struct linux_siginfo *info)
{
    struct sigqueue *q, *first = NULL;
    bool more = false;
    list_for_each_entry(q, &p->list, list) {
        if (q->info.si_signo != sig)
            continue;
        if (first) {
            more = true;
            break;
        }
        first = q;
    }
    if (!more)
        sig_del(&p->signal, sig);
    if (first) {
        list_del_init(&first->list);
        *info = first->info;
        sigqueue_free(first);
        return;
    }
    // Sent when there was no memory for an entry: all that is known is the number.
    memset(info, 0, sizeof(*info));
    info->si_signo = sig;
    info->si_code = SI_USER;
}

static int dequeue_from(struct sigpending *p, const sigset_t_k *mask, struct linux_siginfo *info)
{
    u64 ready = p->signal.sig & ~mask->sig;
    if (!ready)
        return 0;
    if (ready & SIG_SYNCHRONOUS_MASK)
        ready &= SIG_SYNCHRONOUS_MASK;
    int sig = (int)ctz64(ready) + 1;
    collect_signal(p, sig, info);
    return sig;
}

int dequeue_signal(struct task_struct *t, const sigset_t_k *mask, struct linux_siginfo *info)
{
    int sig = dequeue_from(&t->pending, mask, info);
    if (!sig) {
        sig = dequeue_from(&t->signal->shared_pending, mask, info);
        if (sig == SIGALRM)
            itimer_real_rearm(t->signal);
    }
    recalc_sigpending();
    if (sig && sig_in(SIG_STOP_MASK, sig))
        t->jobctl |= JOBCTL_STOP_DEQUEUED;
    return sig;
}

static bool recalc_sigpending_task(struct task_struct *t)
{
    u64 pending = t->pending.signal.sig | t->signal->shared_pending.signal.sig;
    if ((t->jobctl & JOBCTL_STOP_PENDING) || (pending & ~t->blocked.sig) ||
        (t->signal->flags & SIGNAL_CLD_MASK)) {
        set_bit(TW_SIGPENDING, &t->work);
        return true;
    }
    // Not cleared here: the task may have been told to look for another reason (a fatal signal of
    // the group).
    return false;
}

void recalc_sigpending_and_wake(struct task_struct *t)
{
    if (recalc_sigpending_task(t))
        signal_wake_up(t, false);
}

void recalc_sigpending(void)
{
    struct task_struct *t = current;
    if (!recalc_sigpending_task(t) && signal_pending(t))
        clear_bit(TW_SIGPENDING, &t->work);
}

void signal_wake_up(struct task_struct *t, bool fatal)
{
    set_bit(TW_SIGPENDING, &t->work);
    bool woken = wake_up_state(t, TASK_INTERRUPTIBLE | (fatal ? TASK_WAKEKILL : 0));
    // A task that runs in user mode elsewhere must come into the kernel to see it.
    if (!woken && t != current && t->on_cpu && t->cpu != smp_processor_id())
        resched_curr(t->cpu);
}

void set_task_blocked_locked(struct task_struct *t, const sigset_t_k *set)
{
    if (signal_pending(t) && !list_is_singular(&t->signal->thread_head)) {
        sigset_t_k newly = {set->sig & ~t->blocked.sig};
        retarget_shared_pending(t, &newly);
    }
    t->blocked = *set;
    recalc_sigpending();
}

void set_current_blocked(const sigset_t_k *set)
{
    struct task_struct *t = current;
    sigset_t_k clean = {set->sig & ~SIG_KERNEL_ONLY_MASK};
    if (t->blocked.sig == clean.sig)
        return;
    spin_lock_irq(&t->sighand->siglock);
    set_task_blocked_locked(t, &clean);
    spin_unlock_irq(&t->sighand->siglock);
}

void retarget_shared_pending(struct task_struct *t, const sigset_t_k *which)
{
    u64 left = t->signal->shared_pending.signal.sig & which->sig;
    struct task_struct *other;
    for_each_thread(t, other) {
        if (!left)
            return;
        if (other == t || (other->flags & PF_EXITING) || !(left & ~other->blocked.sig))
            continue;
        left &= other->blocked.sig;
        if (!signal_pending(other))
            signal_wake_up(other, false);
    }
}

bool fatal_signal_pending(const struct task_struct *t)
{
    return signal_pending(t) && sig_member(&t->pending.signal, SIGKILL);
}
