// SPDX-License-Identifier: MIT
// What a kernel's debug information tells the tracer, from a front end that has it. Everything is
// optional: without it the tracer sees what any kernel shows from outside.
#ifndef VIV_TRACE_TRACE_GUEST_H
#define VIV_TRACE_TRACE_GUEST_H

#include "base/types.h"

struct trace_task {
    u64 id;  // differs between tasks that exist at the same time
    int pid; // of the thread; 0: not known, or the idle task
    int process;
    char name[32]; // "" if not known
};

struct trace_guest {
    void *ctx;
    // The task that a CPU runs; false: not known now.
    bool (*current)(void *ctx, unsigned cpu, struct trace_task *out);
    // What a process's descriptor refers to (AT_FDCWD: its directory).
    bool (*fd_path)(void *ctx, int pid, int fd, char *path, size_t size);
    // Whether the kernel has a fixup for a fault of the instruction at rip.
    bool (*in_extable)(void *ctx, u64 rip);
    // Tasks that run or want to run on a CPU; -1: not known now.
    int (*queued)(void *ctx, unsigned cpu);
    // Functions of the kernel whose first argument is the id of a task that they make ready to run.
    u64 wake_functions[2];
    unsigned wake_function_count;
};

#endif
