// SPDX-License-Identifier: MIT
// Architecture part of a task: kernel stack frame, switching, entry to user mode, CPU traps towards
// signals.
#pragma once

#include "arch/x86_64/regs.h"
#include "lib/types.h"

#define KERNEL_STACK_SIZE 16384UL

struct task_struct;

struct thread_struct {
    u64 sp;      // saved kernel stack pointer while not running
    u64 fs_base; // live in the MSR while running
    u64 gs_base;
    u64 cr2; // of the last user fault, for the signal frame
    u64 trap_nr;
    u64 error_code;
    void *fpu_state; // 64-byte aligned, fpu_state_size bytes
    void *fpu_alloc_base;
    u32 fpu_cpu; // where its registers were last live: still there if that CPU's fpu_owner says so
};

// The user frame of a task (top of its kernel stack); valid for user tasks and for kernel threads
// about to exec.
struct pt_regs *task_pt_regs(const struct task_struct *t);
#define current_pt_regs() task_pt_regs(current)

// Prepares a new task's stack. fn != NULL: runs fn(arg) in kernel mode (when fn returns 0, goes to
// user mode with task_pt_regs, so a kernel thread may exec). fn == NULL: child of the current user
// task, returns 0 from the syscall; sp != 0 replaces the stack pointer; set_tls: tls is the new FS
// base. fpu_alloc must have been done.
void copy_thread(struct task_struct *p, int (*fn)(void *), void *arg, u64 sp, bool set_tls,
                 u64 tls);
// exec: registers zero except ip, sp, flags; selectors; FS/GS bases zero; FPU reset.
void start_thread(struct pt_regs *regs, u64 ip, u64 sp);
struct task_struct *switch_to(struct task_struct *prev, struct task_struct *next);
long arch_prctl_current(int code, u64 arg); // ARCH_SET_FS...: 0 or -errno
// A frame with 176 registers for ptrace comes later.

// Called by the return-to-user loop with interrupts on (signal/ implements): delivers at most all
// pending signals.
void do_signal(struct pt_regs *regs);
