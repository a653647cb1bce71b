// SPDX-License-Identifier: MIT
// Private to tasks.c and task_family.c.
#ifndef VIV_TRACE_TASKS_INTERNAL_H
#define VIV_TRACE_TASKS_INTERNAL_H

#include "trace/guest_view.h"
#include "trace/tasks.h"

enum {
    NR_RT_SIGACTION = 13,
    NR_RT_SIGPROCMASK = 14,
    NR_RT_SIGRETURN = 15,
    NR_GETPID = 39,
    NR_CLONE = 56,
    NR_FORK = 57,
    NR_VFORK = 58,
    NR_EXECVE = 59,
    NR_EXIT = 60,
    NR_WAIT4 = 61,
    NR_KILL = 62,
    NR_SETUID = 105,
    NR_SETREUID = 113,
    NR_SETRESUID = 117,
    NR_PRCTL = 157,
    NR_ARCH_PRCTL = 158,
    NR_GETTID = 186,
    NR_SET_TID_ADDRESS = 218,
    NR_TKILL = 200,
    NR_EXIT_GROUP = 231,
    NR_TGKILL = 234,
    NR_EXECVEAT = 322,
    NR_CLONE3 = 435,
};

#define LISTENERS_MAX 4
#define BIRTHS_MAX 64
#define CPUS_MAX 64

// A child whose parent's fork has returned before the child was seen.
struct birth {
    u64 rip, rsp;
    u64 tid_address; // where the kernel stored the pid in the child's memory; 0: nowhere
    int pid;         // 0: free
    int parent;      // index of the task that forked
    u64 parent_born;
    u64 flags; // CLONE_*
};

struct tasks {
    struct machine *m;
    enum guest_task_identity identity;
    struct task all[TASKS_MAX];
    unsigned live;
    u64 clock;
    bool any; // a task was seen before
    struct birth births[BIRTHS_MAX];
    unsigned next_birth;
    struct task_listener listeners[LISTENERS_MAX];
    unsigned listener_count;
    unsigned cpu; // of the event at hand
    u64 step;     // of the event at hand
    unsigned top; // slots in use are below
    struct {
        int task;  // index of who runs or is served, -1
        bool call; // a system call is charged
        u64 since; // step from which the kernel's work is not charged yet
    } cpus[CPUS_MAX];
};

// The current task's memory.
bool tasks_read(struct tasks *ts, u64 address, void *out, u64 size);
u64 tasks_stack(struct tasks *ts); // its stack pointer
void tasks_set_pid(struct tasks *ts, struct task *t, int pid);
void tasks_end(struct tasks *ts, struct task *t, const struct task_end *end);
bool tasks_is_fork(u64 number);

// What follows from who made whom (task_family.c): which process a task belongs to, the signals
// that no handler takes, deaths that only a parent sees.
void family_born(struct tasks *ts, struct task *t, struct task *maker, u64 flags);
u64 family_clone_flags(struct tasks *ts, const struct syscall_view *call);
void family_name(struct tasks *ts, struct task *t, u64 rsp); // from a new image's stack
void family_exits(struct tasks *ts, struct task *t, bool whole_process, int status);
void family_before_leave(struct tasks *ts, struct task *t);
void family_after_leave(struct tasks *ts, struct task *t);
// Before it is told: completes what Linux does not write for handlers without SA_SIGINFO. child
// holds what the signal then refers to.
void family_signal(struct tasks *ts, struct task *t, struct task_signal *signal,
                   struct child_signal *child);
void family_in_user_mode(struct tasks *ts, struct task *t);

#endif
