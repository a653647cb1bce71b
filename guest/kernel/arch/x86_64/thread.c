// SPDX-License-Identifier: MIT
// A task's architecture part: first stack frame, the switch, entry to a new program, FS and GS
// bases.
#include "arch/x86_64/thread.h"

#include "abi/errno.h"
#include "abi/sched.h"
#include "arch/x86_64/arch.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/paging.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "sched/sched.h"

#define MSR_FS_BASE 0xc0000100
#define MSR_KERNEL_GS_BASE 0xc0000102 // holds the user's GS base while in the kernel

void ret_from_fork(void);
void switch_stacks(u64 *save, u64 next);

struct pt_regs *task_pt_regs(const struct task_struct *t)
{
    return (struct pt_regs *)((u64)t->stack + KERNEL_STACK_SIZE - sizeof(struct pt_regs));
}

void copy_thread(struct task_struct *p, int (*fn)(void *), void *arg, u64 sp, bool set_tls, u64 tls)
{
    struct pt_regs *regs = task_pt_regs(p);
    struct {
        u64 r15, r14, r13, r12, bx, bp,
            ret; // then the user frame: ret_from_fork returns through it
    } *frame = (void *)((u64)regs - sizeof(*frame));
    memset(frame, 0, sizeof(*frame));
    frame->ret = (u64)ret_from_fork;
    frame->bx = (u64)fn;
    frame->r12 = (u64)arg;
    if (fn) {
        memset(regs, 0, sizeof(*regs));
    } else {
        *regs = *current_pt_regs();
        regs->ax = 0;
        if (sp)
            regs->sp = sp;
    }
    p->thread.fs_base = set_tls ? tls : current->thread.fs_base;
    p->thread.gs_base = current->thread.gs_base;
    p->thread.sp = (u64)frame;
}

void start_thread(struct pt_regs *regs, u64 ip, u64 sp)
{
    memset(regs, 0, sizeof(*regs));
    regs->ip = ip;
    regs->sp = sp;
    regs->cs = USER_CS;
    regs->ss = USER_DS;
    regs->flags = FLAGS_IF;
    regs->orig_ax = ~0UL;
    preempt_disable();
    current->thread.fs_base = current->thread.gs_base = 0;
    wrmsr(MSR_FS_BASE, 0);
    wrmsr(MSR_KERNEL_GS_BASE, 0);
    preempt_enable();
    fpu_reset_current();
}

// The caller (schedule) holds the run-queue lock with interrupts off.
struct task_struct *switch_to(struct task_struct *prev, struct task_struct *next)
{
    struct cpu *c = this_cpu();
    u64 top = (u64)next->stack + KERNEL_STACK_SIZE;
    if (next->mm || next->active_mm)
        mm_switch(next->mm ? next->mm : next->active_mm);
    fpu_switch(prev, next);
    if (prev->thread.fs_base != next->thread.fs_base)
        wrmsr(MSR_FS_BASE, next->thread.fs_base);
    if (prev->thread.gs_base != next->thread.gs_base)
        wrmsr(MSR_KERNEL_GS_BASE, next->thread.gs_base);
    c->task = next;
    c->kernel_sp = top;
    c->arch->tss.rsp0 = top;
    switch_stacks(&prev->thread.sp, next->thread.sp);
    return prev;
}

long arch_prctl_current(int code, u64 arg)
{
    long err = 0;
    preempt_disable();
    switch (code) {
    case ARCH_SET_FS:
        if (arg >= TASK_SIZE) {
            err = -EPERM;
            break;
        }
        current->thread.fs_base = arg;
        wrmsr(MSR_FS_BASE, arg);
        break;
    case ARCH_SET_GS:
        if (arg >= TASK_SIZE) {
            err = -EPERM;
            break;
        }
        current->thread.gs_base = arg;
        wrmsr(MSR_KERNEL_GS_BASE, arg);
        break;
    default:
        err = -EINVAL; // ARCH_GET_* store through a user pointer: the system call does that from
                       // thread.fs_base
    }
    preempt_enable();
    return err;
}
