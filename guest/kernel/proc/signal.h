// SPDX-License-Identifier: MIT
// Signals: sending, shared state of a thread group, delivery. K-proc owns signal/.
#pragma once

#include "abi/resource.h"
#include "abi/signal.h"
#include "proc/pid.h"
#include "sched/kthread.h"

struct tty_struct;
struct user_struct;
struct sigqueue {
    struct list_head list;
    struct linux_siginfo info;
    struct user_struct *user; // whose RLIMIT_SIGPENDING it counts against; counted
    bool prealloc; // POSIX timers
};
struct k_sigaction {
    struct linux_sigaction sa;
};
struct sighand_struct {
    spinlock_t siglock; // taken with interrupts off
    atomic_t count;
    struct k_sigaction action[64];
    wait_queue_head_t signalfd_wqh;
    struct deferred rcu;
};

#define JOBCTL_STOP_PENDING 0x1u
#define JOBCTL_STOP_CONSUME 0x2u
#define JOBCTL_STOP_DEQUEUED 0x4u // a stop signal was taken off the queue; SIGCONT clears it
#define SIGNAL_STOP_STOPPED 0x1u
#define SIGNAL_STOP_CONTINUED 0x2u
#define SIGNAL_GROUP_EXIT 0x4u
#define SIGNAL_CLD_STOPPED 0x10u
#define SIGNAL_CLD_CONTINUED 0x20u
#define SIGNAL_CLD_MASK (SIGNAL_CLD_STOPPED | SIGNAL_CLD_CONTINUED)
#define SIGNAL_STOP_MASK (SIGNAL_CLD_MASK | SIGNAL_STOP_STOPPED | SIGNAL_STOP_CONTINUED)
#define SIGNAL_UNKILLABLE 0x40u

struct itimer {
    struct hrtimer timer;
    u64 interval;
};
struct cpu_itimer {
    u64 expires, interval; // ns of process CPU time; 0 = off
};
// Shared by a thread group; lock: sighand->siglock unless noted.
struct signal_struct {
    atomic_t sigcnt; // references
    atomic_t live;   // threads that have not started to exit
    int nr_threads;
    struct list_head thread_head; // lock: tasklist + siglock
    wait_queue_head_t wait_chldexit;
    struct task_struct *curr_target;
    struct task_struct *leader_task; // lives as long as any thread does: for timer callbacks
    struct sigpending shared_pending;
    int group_exit_code;
    int notify_count;
    struct task_struct *group_exec_task;
    int group_stop_count;
    unsigned flags; // SIGNAL_*
    bool is_child_subreaper, has_child_subreaper;
    struct itimer real_timer;      // ITIMER_REAL
    struct cpu_itimer it[2];       // ITIMER_VIRTUAL, ITIMER_PROF
    struct hrtimer cpu_timer;      // looks at it[] and RLIMIT_CPU while any of them is set
    struct list_head posix_timers;
    struct pid *pids[PIDTYPE_MAX]; // lock: tasklist
    bool leader;                   // session leader
    struct tty_struct *tty;        // controlling terminal; lock: siglock. Counted
    struct pid *tty_old_pgrp;
    // sums of dead threads, and of waited-for children
    u64 utime, stime, cutime, cstime, sum_sched_runtime;
    u64 nvcsw, nivcsw, cnvcsw, cnivcsw, min_flt, maj_flt, cmin_flt, cmaj_flt;
    u64 inblock, oublock, cinblock, coublock, maxrss, cmaxrss;
    struct { u64 rchar, wchar, syscr, syscw, read_bytes, write_bytes; } io;
    struct linux_rlimit64 rlim[RLIM_NLIMITS];
    short oom_score_adj, oom_score_adj_min;
    bool oom_flag_origin;
    struct mutex cred_guard_mutex;
    struct deferred rcu;
};
static inline u64 rlimit(unsigned r)
{
    return __atomic_load_n(&current->signal->rlim[r].rlim_cur, __ATOMIC_RELAXED);
}

// Of the idle task and of kernel threads before they get their own.
extern struct signal_struct init_signals;
extern struct sighand_struct init_sighand;

#define SEND_SIG_NOINFO ((struct linux_siginfo *)0) // from a user, SI_USER
#define SEND_SIG_PRIV ((struct linux_siginfo *)1)   // from the kernel, SI_KERNEL
// Any context that may take siglock. Permission checks are the caller's. 0 or -errno (-EAGAIN:
// queue full).
int send_sig_info(int sig, struct linux_siginfo *info, struct task_struct *t); // thread-directed
int group_send_sig_info(int sig, struct linux_siginfo *info,
                        struct task_struct *t); // process-directed
int send_sig(int sig, struct task_struct *t, int priv);
int kill_pid(struct pid *p, int sig, int priv);
int kill_pgrp(struct pid *pgrp, int sig, int priv); // takes tasklist_lock
// A fault of current: unblocks and resets an ignored or blocked handler. si_addr for
// SEGV/BUS/FPE/ILL/TRAP.
void force_sig_fault(int sig, int code, void __user *addr);
void force_sig(int sig);
void recalc_sigpending(void); // siglock held
void signal_wake_up(struct task_struct *t, bool fatal); // siglock held
bool is_current_pgrp_orphaned(void);
bool is_ignored_or_blocked(int sig); // by current: for SIGTTIN/SIGTTOU rules
int dequeue_signal(struct task_struct *t, const sigset_t_k *mask,
                   struct linux_siginfo *info); // siglock held
void set_current_blocked(const sigset_t_k *set);
void signal_init(void);
// Sleep helper for sigtimedwait, ppoll... : installs a mask until the return to user mode.
int set_user_sigmask(const void __user *umask, size_t size);
void restore_saved_sigmask_unless(bool interrupted);
