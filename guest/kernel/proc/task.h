// SPDX-License-Identifier: MIT
// fork, exit, wait. K-proc.
#pragma once

#include "proc/pid.h"

struct kernel_clone_args {
    u64 flags;
    int __user *pidfd, *child_tid, *parent_tid;
    int exit_signal;
    u64 stack; // stack pointer of the child, 0 = parent's
    u64 tls;
    int (*fn)(void *); // kernel thread
    void *fn_arg;
};
long kernel_clone(struct kernel_clone_args *a); // pid in current's namespace or -errno
// A kernel process that will exec (init, pid 1). pid or -errno.
pid_t kernel_process(int (*fn)(void *), void *arg);
void do_exit(long code) __noreturn;       // this thread
void do_group_exit(int code) __noreturn;  // whole group
// End of a kernel thread that came by proc_adopt_kthread; t = current. The thread then only has to
// be switched away.
void proc_exit_kthread(struct task_struct *t);
void release_task(struct task_struct *t);
void mm_release(struct task_struct *t);   // CLEARTID, robust list, vfork_done
void fork_init(void);
extern int max_threads;
extern atomic_t nr_threads; // tasks alive or zombies, kernel threads included
u64 total_forks(void);      // for /proc/stat "processes"
