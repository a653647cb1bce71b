// SPDX-License-Identifier: MIT
// gdb's threads: fern's tasks, all in process 1 (they share the kernel); a CPU where no task is
// known to run.
#ifndef VIV_GDBSTUB_THREADS_H
#define VIV_GDBSTUB_THREADS_H

#include "debugger/target.h"
#include "gdbstub/registers.h"

// Thread numbers in packets: 0 any, -1 all, else a task's pid or, from here on, a CPU.
#define THREAD_ANY 0
#define THREAD_ALL (-1)
#define THREAD_CPU_BASE 0x10000000

// More tasks than these are not shown.
#define THREADS_MAX 4096

struct gdb_thread {
    s64 tid;
    bool runs;    // on cpu, now: its registers are the CPU's
    bool foreign; // the CPU is in another task's address space
    unsigned cpu;
    bool has_task;
    struct guest_task task;
};

// What a CPU runs now. In the middle of a switch of tasks that is whose stack it is on.
struct gdb_thread thread_of_cpu(struct target *t, unsigned cpu);
// False: no such thread (any more). THREAD_ANY and THREAD_ALL mean what cpu runs.
bool thread_find(struct target *t, s64 tid, unsigned cpu, struct gdb_thread *out);
// All threads, at most THREADS_MAX; free() releases the array.
unsigned thread_list(struct target *t, struct gdb_thread **out);
// For people: "S sleeping, cr3=..., nice 0".
void thread_describe(const struct gdb_thread *thread, char *text, size_t size);

// The registers: a running thread's are the CPU's, another's what it saved when it was switched
// away. False: they cannot be read.
bool thread_registers(struct target *t, const struct gdb_thread *thread, struct register_file *out);
// Memory as the thread sees it; as target_read() and target_write().
u64 thread_read(struct target *t, const struct gdb_thread *thread, u64 linear, void *out, u64 size);
u64 thread_write(struct target *t, const struct gdb_thread *thread, u64 linear, const void *in,
                 u64 size);

#endif
