// SPDX-License-Identifier: MIT
// Inside signal/: queue entries and pending sets. All with siglock held unless noted.
#pragma once

#include "proc/signal.h"

struct sigqueue *sigqueue_alloc(struct task_struct *t, gfp_t gfp,
                                bool override_limit); // NULL: limit or no memory
void sigqueue_free(struct sigqueue *q);
void sigpending_remove(struct sigpending *p, u64 mask); // forgets these signals
void recalc_sigpending_and_wake(struct task_struct *t);
void set_task_blocked_locked(struct task_struct *t, const sigset_t_k *set); // t = current
// Signals of the process that t will not take now: wake another thread for them.
void retarget_shared_pending(struct task_struct *t, const sigset_t_k *which);

// A signal that get_signal took for a handler.
struct ksignal {
    int sig;
    struct linux_siginfo info;
    struct linux_sigaction action;
};
// The next signal with a handler, or false. Stops, ends and ignores on the way. Task context, no
// locks.
bool get_signal(struct ksignal *k);
// Puts the frame on the user stack and points regs at the handler; 0 or -EFAULT.
int setup_rt_frame(struct ksignal *k, struct pt_regs *regs, const sigset_t_k *saved_mask);
int altstack_set(const struct linux_stack *fresh, u64 sp, u64 min_size); // 0 or -errno
void altstack_reset(struct task_struct *t);
// SS_ONSTACK, SS_DISABLE or 0 for a stack pointer.
int altstack_flags(const struct task_struct *t, u64 sp);
