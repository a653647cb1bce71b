// SPDX-License-Identifier: MIT
// The end of a thread and of a process: _exit(2), reparenting, zombies, what a dead task leaves in
// the sums.
#include "arch/x86_64/uaccess.h"
#include "fs/file.h"
#include "lib/printk.h"
#include "mm/mm.h"
#include "proc/futex.h"
#include "proc/proc_internal.h"
#include "sched/sched.h"
#include "sched/wait.h"
#include "signal/sigset.h"
#include "tty/tty.h"

void thread_group_cputime(struct task_struct *t, u64 *utime, u64 *stime)
{
    struct signal_struct *s = t->signal;
    struct task_struct *other;
    *utime = s->utime;
    *stime = s->stime;
    for_each_thread(t, other) {
        u64 u, k;
        task_cputime(other, &u, &k);
        *utime += u;
        *stime += k;
    }
}

void thread_group_cputime_adjusted(struct task_struct *t, u64 *utime, u64 *stime)
{
    unsigned long flags;
    *utime = *stime = 0;
    if (!lock_task_sighand(t, &flags))
        return;
    thread_group_cputime(t, utime, stime);
    spin_unlock_irqrestore(&t->sighand->siglock, flags);
}

void mm_release(struct task_struct *t)
{
    if (t->robust_list) {
        exit_robust_list(t);
        t->robust_list = NULL;
    }
    if (t->clear_child_tid) {
        // Zero first, then wake: a joiner that looks in between must not sleep.
        if (t->mm && atomic_read(&t->mm->mm_users) > 1) {
            (void)put_user(0, t->clear_child_tid);
            futex_wake_shared(t->clear_child_tid, 1);
        }
        t->clear_child_tid = NULL;
    }
    if (t->vfork_done) {
        spin_lock(&t->alloc_lock);
        struct completion *done = t->vfork_done;
        t->vfork_done = NULL;
        if (done)
            complete(done);
        spin_unlock(&t->alloc_lock);
    }
}

int zap_other_threads(struct task_struct *t)
{
    struct task_struct *other;
    int count = 0;
    t->signal->group_stop_count = 0;
    for_each_thread(t, other) {
        if (other == t)
            continue;
        other->jobctl &= ~(JOBCTL_STOP_PENDING | JOBCTL_STOP_CONSUME);
        count++;
        if (other->exit_state)
            continue;
        sig_add(&other->pending.signal, SIGKILL);
        signal_wake_up(other, true);
    }
    return count;
}

void do_group_exit(int code)
{
    struct signal_struct *s = current->signal;
    spin_lock_irq(&current->sighand->siglock);
    if (s->flags & SIGNAL_GROUP_EXIT) {
        code = s->group_exit_code;
    } else if (s->group_exec_task) {
        code = 0; // an exec of a sibling takes us away
    } else {
        s->group_exit_code = code;
        s->flags = (s->flags & SIGNAL_UNKILLABLE) | SIGNAL_GROUP_EXIT;
        zap_other_threads(current);
    }
    spin_unlock_irq(&current->sighand->siglock);
    do_exit(code);
}

// --- family

static struct task_struct *find_alive_thread(struct task_struct *t)
{
    struct task_struct *other;
    for_each_thread(t, other) {
        if (!(other->flags & PF_EXITING))
            return other;
    }
    return NULL;
}

// A sibling thread, else the nearest ancestor that asked for orphans (PR_SET_CHILD_SUBREAPER), else
// init.
static struct task_struct *find_new_reaper(struct task_struct *father)
{
    struct task_struct *thread = find_alive_thread(father);
    struct task_struct *init = task_active_pid_ns(father)->child_reaper;
    if (thread)
        return thread;
    if (father->signal->has_child_subreaper) {
        for (struct task_struct *p = father->real_parent; p != &init_task && p != init;
             p = p->real_parent) {
            if (!p->signal->is_child_subreaper)
                continue;
            thread = find_alive_thread(p);
            if (thread)
                return thread;
        }
    }
    if (init && !(init->flags & PF_EXITING))
        return init;
    thread = init ? find_alive_thread(init) : NULL;
    return thread ? thread : &init_task;
}

bool will_become_orphaned_pgrp(struct pid *pgrp, struct task_struct *ignored)
{
    struct task_struct *t;
    for_each_task_of_pid(pgrp, PIDTYPE_PGID, t) {
        if (t == ignored || (t->exit_state && thread_group_empty(t)) ||
            is_global_init(t->real_parent))
            continue;
        if (task_pgrp(t->real_parent) != pgrp && task_session(t->real_parent) == task_session(t))
            return false;
    }
    return true;
}

bool is_current_pgrp_orphaned(void)
{
    spin_lock(&tasklist_lock);
    bool orphaned = will_become_orphaned_pgrp(task_pgrp(current), NULL);
    spin_unlock(&tasklist_lock);
    return orphaned;
}

static bool has_stopped_jobs(struct pid *pgrp)
{
    struct task_struct *t;
    for_each_task_of_pid(pgrp, PIDTYPE_PGID, t) {
        if (t->signal->flags & SIGNAL_STOP_STOPPED)
            return true;
    }
    return false;
}

static void signal_pgrp_locked(struct pid *pgrp, int sig)
{
    struct task_struct *t;
    for_each_task_of_pid(pgrp, PIDTYPE_PGID, t)
        group_send_sig_info(sig, SEND_SIG_PRIV, t);
}

// POSIX: a newly orphaned process group with stopped members gets SIGHUP and SIGCONT. parent NULL:
// t itself exits.
static void kill_orphaned_pgrp(struct task_struct *t, struct task_struct *parent)
{
    struct pid *pgrp = task_pgrp(t);
    struct task_struct *ignored = t;
    if (!parent)
        parent = t->real_parent;
    else
        ignored = NULL;
    if (task_pgrp(parent) != pgrp && task_session(parent) == task_session(t) &&
        will_become_orphaned_pgrp(pgrp, ignored) && has_stopped_jobs(pgrp)) {
        signal_pgrp_locked(pgrp, SIGHUP);
        signal_pgrp_locked(pgrp, SIGCONT);
    }
}

static void reparent_child(struct task_struct *father, struct task_struct *p,
                           struct task_struct *reaper, struct list_head *dead)
{
    struct task_struct *t;
    for_each_thread(p, t) {
        t->real_parent = t->parent = reaper;
        if (t->pdeath_signal)
            group_send_sig_info(t->pdeath_signal, SEND_SIG_NOINFO, t);
    }
    list_move_tail(&p->sibling, &reaper->children);
    if (same_thread_group(reaper, father))
        return;
    p->exit_signal = SIGCHLD;
    if (p->exit_state == EXIT_ZOMBIE && thread_group_empty(p) &&
        do_notify_parent(p, p->exit_signal)) {
        p->exit_state = EXIT_DEAD;
        list_add(&p->dead_entry, dead);
    }
    kill_orphaned_pgrp(p, father);
}

static void forget_original_parent(struct task_struct *father, struct list_head *dead)
{
    struct task_struct *p, *next;
    if (list_empty(&father->children))
        return;
    struct task_struct *reaper = find_new_reaper(father);
    list_for_each_entry_safe(p, next, &father->children, sibling)
        reparent_child(father, p, reaper, dead);
}

// --- the end

// The sums of a thread move to its group's. siglock held.
static void add_to_group(struct signal_struct *s, struct task_struct *t)
{
    u64 u, k;
    task_cputime(t, &u, &k);
    s->utime += u;
    s->stime += k;
    s->sum_sched_runtime += task_sched_runtime(t);
    s->nvcsw += t->nvcsw;
    s->nivcsw += t->nivcsw;
    s->min_flt += t->min_flt;
    s->maj_flt += t->maj_flt;
    s->io.rchar += t->io.rchar;
    s->io.wchar += t->io.wchar;
    s->io.syscr += t->io.syscr;
    s->io.syscw += t->io.syscw;
    s->io.read_bytes += t->io.read_bytes;
    s->io.write_bytes += t->io.write_bytes;
}

// Takes a dead task off all lists. tasklist_lock held.
static void unhash_task(struct task_struct *t)
{
    struct sighand_struct *sighand = t->sighand;
    struct signal_struct *s = t->signal;
    spin_lock_irq(&sighand->siglock);
    bool last = thread_group_empty(t);
    if (s->notify_count > 0 && --s->notify_count == 0)
        wake_up_process(s->group_exec_task);
    if (s->curr_target == t)
        s->curr_target = NULL;
    add_to_group(s, t);
    s->nr_threads--;
    detach_pid(t, PIDTYPE_PID);
    if (last) {
        detach_pid(t, PIDTYPE_TGID);
        detach_pid(t, PIDTYPE_PGID);
        detach_pid(t, PIDTYPE_SID);
        list_del_init(&t->tasks);
        list_del_init(&t->sibling);
    }
    list_del_init(&t->thread_node);
    flush_sigqueue(&t->pending);
    t->sighand = NULL;
    spin_unlock_irq(&sighand->siglock);
    if (last)
        flush_sigqueue(&s->shared_pending);
    put_sighand(sighand);
}

void release_task(struct task_struct *t)
{
    for (;;) {
        struct task_struct *leader = t->group_leader;
        spin_lock(&tasklist_lock);
        unhash_task(t);
        // The last thread of a group whose leader is a zombie already: now the parent hears of it.
        bool zap_leader = false;
        if (leader != t && leader->exit_state == EXIT_ZOMBIE && thread_group_empty(leader)) {
            zap_leader = do_notify_parent(leader, leader->exit_signal);
            if (zap_leader)
                leader->exit_state = EXIT_DEAD;
        }
        spin_unlock(&tasklist_lock);
        atomic_dec(&t->cred->user->processes);
        atomic_dec(&nr_threads);
        put_task_struct(t);
        if (!zap_leader)
            return;
        t = leader;
    }
}

void task_release_proc(struct task_struct *t)
{
    put_cred(t->cred);
    put_signal_struct(t->signal);
}

static void exit_notify(struct task_struct *t, bool group_dead)
{
    LIST_HEAD(dead);
    bool autoreap = true;
    spin_lock(&tasklist_lock);
    forget_original_parent(t, &dead);
    if (group_dead)
        kill_orphaned_pgrp(t->group_leader, NULL);
    t->exit_state = EXIT_ZOMBIE;
    if (thread_group_leader(t))
        autoreap = thread_group_empty(t) && do_notify_parent(t, t->exit_signal);
    if (autoreap) {
        t->exit_state = EXIT_DEAD;
        list_add(&t->dead_entry, &dead);
    }
    if (t->signal->notify_count < 0)
        wake_up_process(t->signal->group_exec_task);
    spin_unlock(&tasklist_lock);

    struct task_struct *p, *next;
    list_for_each_entry_safe(p, next, &dead, dead_entry) {
        list_del_init(&p->dead_entry);
        release_task(p);
    }
}

void proc_exit_kthread(struct task_struct *t)
{
    exit_signals(t);
    atomic_dec(&t->signal->live);
    exit_fs(t);
    task_work_close(t);
    put_nsproxy(t->nsproxy);
    exit_notify(t, true);
}

// The last thread's status is the process's, when nobody called exit_group.
static void set_group_exit_code(struct task_struct *t, int code)
{
    struct signal_struct *s = t->signal;
    spin_lock_irq(&t->sighand->siglock);
    if (!(s->flags & SIGNAL_GROUP_EXIT)) {
        s->flags |= SIGNAL_GROUP_EXIT;
        s->group_exit_code = code;
        s->group_stop_count = 0;
    }
    spin_unlock_irq(&t->sighand->siglock);
}

void do_exit(long code)
{
    struct task_struct *t = current;
    if (in_irq())
        panic("exit of %s (%d) in an interrupt", t->comm, t->pid);
    if (t->pid == 0)
        panic("exit of the idle task");
    exit_signals(t);
    bool group_dead = atomic_dec_and_test(&t->signal->live);
    if (group_dead) {
        set_group_exit_code(t, (int)code);
        if (is_global_init(t))
            panic("init ended, status 0x%x", t->signal->group_exit_code
                                                 ? (unsigned)t->signal->group_exit_code
                                                 : (unsigned)code);
        itimers_exit(t->signal);
    }
    t->exit_code = (int)code;
    mm_release(t);
    exit_mm();
    exit_files(t);
    exit_fs(t);
    if (group_dead && t->signal->leader)
        disassociate_ctty(true);
    task_work_close(t);
    put_nsproxy(t->nsproxy);
    exit_notify(t, group_dead);
    schedule_dead();
}
