// SPDX-License-Identifier: MIT
// Tasks of the guest as gdb's threads.
#include "gdbstub/threads.h"

#include "base/memory.h"
#include "debugger/walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What fern's switch_stacks() leaves on the stack of a task, from its saved stack pointer on
// (guest/kernel/arch/x86_64/entry.S), and Linux's as well (struct inactive_task_frame,
// arch/x86/include/asm/switch_to.h).
enum { SAVED_R15, SAVED_R14, SAVED_R13, SAVED_R12, SAVED_RBX, SAVED_RBP, SAVED_RIP, SAVED_WORDS };

static struct gdb_thread cpu_thread(unsigned cpu)
{
    return (struct gdb_thread){.tid = THREAD_CPU_BASE + cpu, .runs = true, .cpu = cpu};
}

static struct gdb_thread task_thread(const struct guest_task *task)
{
    return (struct gdb_thread){.tid = task->pid, .has_task = true, .task = *task};
}

static bool is_on_stack(const struct guest_task *task, u64 rsp)
{
    return rsp - task->kernel_stack <= GUEST_KERNEL_STACK_BYTES;
}

// Between the kernel's choice of the next task and the change of stacks, the CPU still executes the
// one before.
static bool find_by_stack(struct guest *g, u64 rsp, struct guest_task *out)
{
    struct guest_task *tasks = xcalloc(THREADS_MAX, sizeof(*tasks));
    unsigned count = guest_tasks(g, tasks, THREADS_MAX);
    bool found = false;
    for (unsigned i = 0; i < count && i < THREADS_MAX && !found; i++) {
        found = is_on_stack(&tasks[i], rsp);
        *out = found ? tasks[i] : *out;
    }
    free(tasks);
    return found;
}

struct gdb_thread thread_of_cpu(struct target *t, unsigned cpu)
{
    struct guest *g = target_guest(t);
    struct gdb_thread thread = cpu_thread(cpu);
    if (!g || !guest_current(g, cpu, &thread.task)) {
        return thread;
    }
    struct cpu_regs regs;
    target_get_regs(t, cpu, &regs);
    if (regs.cpl == 0 && !is_on_stack(&thread.task, regs.gpr[CPU_RSP])) {
        thread.foreign = find_by_stack(g, regs.gpr[CPU_RSP], &thread.task);
    }
    thread.has_task = true;
    if (thread.task.pid > 0) { // the idle task of each CPU has pid 0
        thread.tid = thread.task.pid;
    }
    return thread;
}

static unsigned cpu_count(struct target *t)
{
    return machine_cpu_count(target_machine(t));
}

// The thread that runs on some CPU under this number.
static bool find_running(struct target *t, s64 tid, struct gdb_thread *out)
{
    for (unsigned i = 0; i < cpu_count(t); i++) {
        *out = thread_of_cpu(t, i);
        if (out->tid == tid) {
            return true;
        }
    }
    return false;
}

bool thread_find(struct target *t, s64 tid, unsigned cpu, struct gdb_thread *out)
{
    if (tid == THREAD_ANY || tid == THREAD_ALL) {
        *out = thread_of_cpu(t, cpu);
        return true;
    }
    if (find_running(t, tid, out)) {
        return true;
    }
    struct guest *g = target_guest(t);
    struct guest_task task;
    if (!g || tid < 0 || tid >= THREAD_CPU_BASE || !guest_task_by_pid(g, (int)tid, &task)) {
        return false;
    }
    *out = task_thread(&task);
    return true;
}

unsigned thread_list(struct target *t, struct gdb_thread **out)
{
    struct guest *g = target_guest(t);
    struct guest_task *tasks = xcalloc(THREADS_MAX, sizeof(*tasks));
    unsigned task_count = g ? guest_tasks(g, tasks, THREADS_MAX) : 0;
    task_count = task_count < THREADS_MAX ? task_count : THREADS_MAX;
    struct gdb_thread *threads = xcalloc(task_count + cpu_count(t), sizeof(*threads));
    unsigned count = 0;
    for (unsigned i = 0; i < cpu_count(t); i++) {
        threads[count++] = thread_of_cpu(t, i);
    }
    unsigned running = count;
    for (unsigned i = 0; i < task_count; i++) {
        bool known = tasks[i].pid <= 0;
        for (unsigned k = 0; k < running; k++) {
            known = known || threads[k].tid == tasks[i].pid;
        }
        if (!known) {
            threads[count++] = task_thread(&tasks[i]);
        }
    }
    free(tasks);
    *out = threads;
    return count;
}

void thread_describe(const struct gdb_thread *thread, char *text, size_t size)
{
    const struct guest_task *task = &thread->task;
    if (!thread->has_task) {
        snprintf(text, size, "CPU %u", thread->cpu);
    } else if (thread->runs && thread->tid != task->pid && task->pid > 0) {
        snprintf(text, size, "CPU %u, where now %s (%s) runs, pid %d", thread->cpu, task->comm,
                 task->cr3 ? "user" : "kernel", task->pid);
    } else if (thread->runs) {
        snprintf(text, size, "%s (%s) on CPU %u", task->comm, task->cr3 ? "user" : "kernel",
                 thread->cpu);
    } else {
        snprintf(text, size, "%s (%s) %c", task->comm, task->cr3 ? "user" : "kernel", task->state);
    }
}

static bool saved_registers(struct target *t, const struct guest_task *task,
                            struct register_file *out)
{
    u64 words[SAVED_WORDS];
    u64 rsp = task->kernel_rsp;
    if (!rsp || target_read(t, rsp, words, sizeof(words)) != sizeof(words)) {
        return false;
    }
    out->saved_only = true;
    out->regs.gpr[15] = words[SAVED_R15];
    out->regs.gpr[14] = words[SAVED_R14];
    out->regs.gpr[13] = words[SAVED_R13];
    out->regs.gpr[12] = words[SAVED_R12];
    out->regs.gpr[CPU_RBX] = words[SAVED_RBX];
    out->regs.gpr[CPU_RBP] = words[SAVED_RBP];
    out->regs.gpr[CPU_RSP] = rsp + sizeof(words);
    out->regs.rip = words[SAVED_RIP];
    return true;
}

bool thread_registers(struct target *t, const struct gdb_thread *thread, struct register_file *out)
{
    memset(out, 0, sizeof(*out));
    out->step = timeline_step(target_timeline(t));
    out->orig_rax = UINT64_MAX;
    if (!thread->runs) {
        return saved_registers(t, &thread->task, out);
    }
    target_get_regs(t, thread->cpu, &out->regs);
    target_get_fpu(t, thread->cpu, out->fxsave);
    const struct target_stop *stop = target_last_stop(t);
    if (stop->kind == TARGET_STOP_CATCH && stop->catches & TARGET_CATCH_SYSCALL) {
        out->orig_rax = (u64)stop->caught;
    }
    return true;
}

// The address space of a task that is not in its own, or on another CPU than the target's. False:
// that CPU's serves (kernel threads have none, and the kernel is in all of them).
static bool foreign_space(struct target *t, const struct gdb_thread *thread,
                          struct walk_space *space)
{
    if (thread->runs && !thread->foreign && thread->cpu != target_cpu(t)) {
        *space = walk_space_of_cpu(target_machine(t), thread->cpu);
        return true;
    }
    if ((thread->runs && !thread->foreign) || !thread->task.cr3) {
        return false;
    }
    *space = walk_space_of_cpu(target_machine(t), 0);
    space->cr3 = thread->task.cr3;
    return true;
}

u64 thread_read(struct target *t, const struct gdb_thread *thread, u64 linear, void *out, u64 size)
{
    struct walk_space space;
    if (foreign_space(t, thread, &space)) {
        return walk_read(&space, linear, out, size);
    }
    return target_read(t, linear, out, size);
}

u64 thread_write(struct target *t, const struct gdb_thread *thread, u64 linear, const void *in,
                 u64 size)
{
    struct walk_space space;
    if (!foreign_space(t, thread, &space)) {
        return target_write(t, linear, in, size);
    }
    u64 done = 0;
    while (done < size) {
        struct walk walk;
        walk_linear(&space, linear + done, &walk);
        if (!walk.mapped) {
            break;
        }
        u64 part = 4096 - (linear + done) % 4096;
        part = part < size - done ? part : size - done;
        u64 wrote = target_write_physical(t, walk.gpa, (const u8 *)in + done, part);
        done += wrote;
        if (wrote != part) {
            break;
        }
    }
    return done;
}
