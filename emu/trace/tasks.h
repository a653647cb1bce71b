// SPDX-License-Identifier: MIT
// The guest's tasks as seen from outside: who enters the kernel, with which system call, and how it
// comes back. Needs no help from the guest.
#ifndef VIV_TRACE_TASKS_H
#define VIV_TRACE_TASKS_H

#include "machine/machine.h"
#include "trace/syscalls.h"

#define TASKS_MAX 1024

// SIGCHLD for a parent without a handler, which no frame in its memory will show.
struct child_signal {
    bool waits;
    bool killed; // value is a signal, else an exit status
    int pid, value;
    u32 uid;
};

struct task {
    bool used, in_call, ended, claimed; // claimed: the child of the running fork has been seen
    bool ignores_children;              // SIGCHLD is ignored or handled: nothing to infer
    bool child_ignored;                 // SIGCHLD is SIG_IGN, which survives an execve
    unsigned index;
    unsigned leader; // index of its process's first task
    int parent;      // index of the process that made its own; -1: not known
    u64 parent_born; // whether that slot is still the same task
    u32 uid;
    u64 blocked;                      // signal mask, as far as its calls tell
    struct child_signal child_signal; // leader only
    struct child_signal handled_child; // the same, for a handler that may be told nothing
    int sent, sent_by;                // the last signal that kill() sent it, and who
    char name[32];                    // of its program, "" if not known
    u64 call_steps;                   // the kernel's work for the running call, so far
    u64 entered_ns;                   // vtime at which it began
    u64 key;                          // its identity (guest_view.h)
    int pid;                          // 0: not known yet
    int child;                        // index of the task the running fork made, -1
    unsigned cpu;                     // where it was last seen
    struct syscall_view call; // of the running call; read() works for the task that is current
    u64 return_rip, user_rsp; // expected after the call
    u64 entry_rip;            // where an interrupt or exception took it
    u64 seen, born;           // when it was last, and first, seen; counts events
};

// What happened when a task came back to user mode.
enum task_return {
    TASK_RETURN,  // the call's result is in call.result
    TASK_RESTART, // the call will be executed again
};

struct task_signal {
    int number;
    u64 siginfo;                      // address; 0: none was written, or see child
    const struct child_signal *child; // inferred, as is the sender
    int sender;                       // pid, 0: not known
};

// How a task ended.
struct task_end {
    bool killed; // value is a signal, else an exit status
    bool other;  // by another thread's exit_group
    int value;
};

struct task_listener {
    void (*enter)(void *ctx, struct task *t, const struct probe_event *event); // call is filled
    void (*leave)(void *ctx, struct task *t, const struct probe_event *event, enum task_return how);
    void (*signal)(void *ctx, struct task *t, const struct task_signal *signal);
    void (*named)(void *ctx, struct task *t); // its pid is known now
    void (*born)(void *ctx, struct task *t);
    // NULL, or:
    void (*ended)(void *ctx, struct task *t, const struct task_end *end);
    void (*forked)(void *ctx, struct task *child, struct task *parent); // the child is in user mode
    void *ctx;
};

struct tasks;

struct tasks *tasks_create(struct machine *m);
void tasks_destroy(struct tasks *t);
void tasks_listen(struct tasks *t, const struct task_listener *listener); // copied; at most four
void tasks_transition(struct tasks *t, const struct probe_event *event);

// What tasks read from the guest is read as this CPU sees it, until the next transition.
void tasks_look_from(struct tasks *t, unsigned cpu);

struct machine *tasks_machine(const struct tasks *t);
// Who runs, or is served by the kernel, on a CPU as far as ring crossings tell; NULL: not known.
struct task *tasks_current(struct tasks *t, unsigned cpu);
// Who a CPU is about by the machine's state now: during an event that the tasks may not have seen.
struct task *tasks_running(struct tasks *t, unsigned cpu);
// The task with this key that lives; NULL: never seen in user mode.
struct task *tasks_find(struct tasks *t, u64 key);
struct task *tasks_get(struct tasks *t, unsigned index);
unsigned tasks_live(const struct tasks *t);

#endif
