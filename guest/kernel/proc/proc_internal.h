// SPDX-License-Identifier: MIT
// What the files of proc/, signal/ and syscall/ share among themselves.
#pragma once

#include "proc/cred.h"
#include "proc/nsproxy.h"
#include "proc/signal.h"
#include "proc/task.h"

static inline bool thread_group_leader(const struct task_struct *t)
{
    return t->exit_signal >= 0;
}
static inline bool thread_group_empty(const struct task_struct *t)
{
    return list_is_singular(&t->signal->thread_head);
}
static inline bool same_thread_group(const struct task_struct *a, const struct task_struct *b)
{
    return a->signal == b->signal;
}
static inline bool is_global_init(const struct task_struct *t)
{
    return t->tgid == 1;
}

// Number 1 of the first namespace; ERR_PTR if it is taken.
struct pid *alloc_init_pid(void);
// proc/pid.c: with tasklist_lock held.
// Gives `to` the identity of `from` (PID and TGID) and the other way round; exec by a thread that
// is not the leader.
void exchange_tids(struct task_struct *to, struct task_struct *from);
void transfer_pid(struct task_struct *from, struct task_struct *to, enum pid_type type);

// proc/signal_struct.c
struct signal_struct *signal_struct_alloc(struct signal_struct *parent); // NULL without memory
void put_signal_struct(struct signal_struct *s);
struct sighand_struct *
sighand_alloc(const struct sighand_struct *from); // copies the actions of `from`
void put_sighand(struct sighand_struct *s);
struct sighand_struct *lock_task_sighand(struct task_struct *t,
                                         unsigned long *flags); // NULL: t is released

// proc/exit.c
bool will_become_orphaned_pgrp(struct pid *pgrp, struct task_struct *ignored); // tasklist_lock held
// User and system time of a whole thread group, dead threads included. siglock held.
void thread_group_cputime(struct task_struct *t, u64 *utime, u64 *stime);
// The same, takes the lock.
void thread_group_cputime_adjusted(struct task_struct *t, u64 *utime, u64 *stime);
int zap_other_threads(struct task_struct *t); // siglock held; returns how many

// signal/
bool signal_group_exiting(const struct signal_struct *s);
void init_sigpending(struct sigpending *p);
void flush_sigqueue(struct sigpending *p);
void flush_signal_handlers(struct sighand_struct *s, bool force_default);
void exit_signals(struct task_struct *t);
// Sends the parent its signal about `t` (a zombie leader). True: nobody will wait, release it.
// tasklist_lock held.
bool do_notify_parent(struct task_struct *t, int sig);
// Marks of an unfinished group stop (jobctl); siglock held.
bool task_participate_group_stop(struct task_struct *t);
void do_notify_parent_cldstop(struct task_struct *t, int why); // tasklist_lock held
int check_kill_permission(int sig, struct linux_siginfo *info, struct task_struct *t);
// As kill_pgrp but with a permission check for each process: 0 if any was reached.
int kill_pgrp_checked(struct pid *pgrp, int sig, struct linux_siginfo *info); // tasklist_lock held

// signal/itimer.c
void itimers_init(struct signal_struct *s);
void itimers_exit(struct signal_struct *s);    // last thread gone; may wait for a callback
void itimer_real_rearm(struct signal_struct *s); // SIGALRM was dequeued; siglock held
void cpu_timer_update(struct task_struct *t);  // an expiry or RLIMIT_CPU changed; siglock held
