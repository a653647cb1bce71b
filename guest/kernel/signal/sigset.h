// SPDX-License-Identifier: MIT
// Sets of signals as bits, and what each signal does by default (signal(7)).
#pragma once

#include "proc/signal.h"

#define SIGMASK(sig) (1UL << ((sig)-1))
// What stops, what is ignored and what dumps core when the action is SIG_DFL.
#define SIG_STOP_MASK (SIGMASK(SIGSTOP) | SIGMASK(SIGTSTP) | SIGMASK(SIGTTIN) | SIGMASK(SIGTTOU))
#define SIG_IGNORE_MASK (SIGMASK(SIGCONT) | SIGMASK(SIGCHLD) | SIGMASK(SIGWINCH) | SIGMASK(SIGURG))
#define SIG_KERNEL_ONLY_MASK (SIGMASK(SIGKILL) | SIGMASK(SIGSTOP))
#define SIG_CORE_MASK                                                                              \
    (SIGMASK(SIGQUIT) | SIGMASK(SIGILL) | SIGMASK(SIGTRAP) | SIGMASK(SIGABRT) | SIGMASK(SIGFPE) |  \
     SIGMASK(SIGSEGV) | SIGMASK(SIGBUS) | SIGMASK(SIGSYS) | SIGMASK(SIGXCPU) | SIGMASK(SIGXFSZ))
// Raised by the task's own instructions: these are taken before all others.
#define SIG_SYNCHRONOUS_MASK                                                                       \
    (SIGMASK(SIGSEGV) | SIGMASK(SIGBUS) | SIGMASK(SIGILL) | SIGMASK(SIGTRAP) | SIGMASK(SIGFPE) |   \
     SIGMASK(SIGSYS))

static inline bool sig_valid(int sig)
{
    return sig >= 1 && sig <= LINUX_NSIG;
}
static inline bool sig_in(u64 mask, int sig)
{
    return (mask & SIGMASK(sig)) != 0;
}
static inline bool sig_member(const sigset_t_k *set, int sig)
{
    return sig_in(set->sig, sig);
}
static inline void sig_add(sigset_t_k *set, int sig)
{
    set->sig |= SIGMASK(sig);
}
static inline void sig_del(sigset_t_k *set, int sig)
{
    set->sig &= ~SIGMASK(sig);
}
static inline struct k_sigaction *sig_action(struct task_struct *t, int sig)
{
    return &t->sighand->action[sig - 1];
}
