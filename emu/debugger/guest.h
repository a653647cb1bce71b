// SPDX-License-Identifier: MIT
// What the memory of fern, or of Linux, says about its tasks, address spaces, files and run queues,
// by its debug information (for Linux, BTF). Reads only; works at any moment, also in mid-update:
// every list is bounded.
#ifndef VIV_DEBUGGER_GUEST_H
#define VIV_DEBUGGER_GUEST_H

#include "debugger/symbols.h"
#include "debugger/walk.h"
#include "machine/machine.h"

#include <stdio.h>

struct guest;

// NULL if the symbols hold no kernel whose layout is known (then the debugger knows CPUs only).
struct guest *guest_create(struct machine *m, struct symbols *symbols);
void guest_destroy(struct guest *g);
// Why guest_create gave NULL: names the structure or member that is missing. Success: it would not.
struct status guest_check(struct symbols *symbols);

// Whether it is a Linux kernel (else fern).
bool guest_is_linux(const struct guest *g);

struct guest_task {
    u64 address; // of the kernel's struct task
    int pid, tgid, ppid;
    char comm[17];
    char state; // R S D T t Z X I as ps(1)
    int cpu;    // where it runs now, -1
    u64 cr3;    // 0: a kernel thread
    u64 vruntime_ns;
    int nice, policy;
    int rt_priority;  // 1-99; 0: fair
    u64 kernel_rsp;   // saved, when it does not run
    u64 kernel_stack; // lowest address of its kernel stack
};
#define GUEST_KERNEL_STACK_BYTES 0x4000u // of fern and of Linux on x86-64

// The task that CPU runs; false before there is one. Its address alone, 0 before, takes less.
u64 guest_current_address(struct guest *g, unsigned cpu);
// A number that is the running task's own: what any kernel shows of it (guest_task_key, which see),
// or where that does not do for Linux's kernel threads, the address. g may be NULL.
u64 guest_task_number(struct guest *g, const struct machine *m, unsigned cpu);
// Where Linux keeps that address; 0: another kernel.
u64 guest_current_place(struct guest *g, unsigned cpu);
bool guest_current(struct guest *g, unsigned cpu, struct guest_task *out);
// Fills up to room tasks in pid order, threads included; returns how many there are.
unsigned guest_tasks(struct guest *g, struct guest_task *out, unsigned room);
bool guest_task_by_pid(struct guest *g, int pid, struct guest_task *out);
// Path of the program that a task executes, "" for a kernel thread.
void guest_program(struct guest *g, const struct guest_task *task, char *path, u64 size);

// The address space of a task (the kernel's of one that has none), for reading its memory at any
// moment.
struct walk_space guest_space(struct guest *g, const struct guest_task *task);

// The kernel's own half, from whatever address space the CPUs are in.
struct walk_space guest_kernel_space(struct guest *g);

// Makes the symbols those of the program that the task executes and of what it has mapped
// (symbols_set_program, symbols_map); of all programs for a kernel thread.
void guest_follow(struct guest *g, const struct guest_task *task);

struct guest_area {
    u64 begin, end, offset;
    char rights[5]; // "rw-p"
    char name[128]; // path, [heap], [stack], ""
};
unsigned guest_areas(struct guest *g, const struct guest_task *task, struct guest_area *out,
                     unsigned room);

struct guest_file {
    int fd;
    char path[160]; // or pipe:[n], anon_inode:…
    u32 flags;
    u64 position;
};
unsigned guest_files(struct guest *g, const struct guest_task *task, struct guest_file *out,
                     unsigned room);

// The task's working directory; "" where it has none.
void guest_directory(struct guest *g, const struct guest_task *task, char *path, u64 size);

// The CFS tree of a CPU in order, and the real-time queues before it; the running task first.
struct guest_queued {
    struct guest_task task;
    u64 vruntime_ns;
    bool running;
};
unsigned guest_run_queue(struct guest *g, unsigned cpu, struct guest_queued *out, unsigned room);

// The same as tables for people.
void guest_print_tasks(FILE *out, struct guest *g);
void guest_print_areas(FILE *out, struct guest *g, const struct guest_task *task);
void guest_print_files(FILE *out, struct guest *g, const struct guest_task *task);
void guest_print_run_queue(FILE *out, struct guest *g, unsigned cpu);

#endif
