// SPDX-License-Identifier: MIT
// The guest's tasks as seen from outside: who enters the kernel, with which system call, and how it
// comes back. Needs no help from the guest.
#ifndef VIV_TRACE_TASKS_H
#define VIV_TRACE_TASKS_H

#include "machine/machine.h"
#include "trace/syscalls.h"

#define TASKS_MAX 1024

struct task {
    bool used, in_call, ended, claimed; // claimed: the child of the running fork has been seen
    unsigned index;
    u64 key;                  // its identity (guest_view.h)
    int pid;                  // 0: not known yet
    int child;                // index of the task the running fork made, -1
    unsigned cpu;             // where it was last seen
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
    u64 siginfo; // address
};

struct task_listener {
    void (*enter)(void *ctx, struct task *t, const struct probe_event *event); // call is filled
    void (*leave)(void *ctx, struct task *t, const struct probe_event *event, enum task_return how);
    void (*signal)(void *ctx, struct task *t, const struct task_signal *signal);
    void (*named)(void *ctx, struct task *t); // its pid is known now
    void (*born)(void *ctx, struct task *t);
    void *ctx;
};

struct tasks;

struct tasks *tasks_create(struct machine *m);
void tasks_destroy(struct tasks *t);
void tasks_listen(struct tasks *t, const struct task_listener *listener); // copied; at most two
void tasks_transition(struct tasks *t, const struct probe_event *event);

struct task *tasks_get(struct tasks *t, unsigned index);
unsigned tasks_live(const struct tasks *t);

#endif
