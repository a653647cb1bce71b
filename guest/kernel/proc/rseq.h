// SPDX-License-Identifier: MIT
// Restartable sequences, rseq(2): registration and what happens on the way back to user mode.
#pragma once

#include "sched/sched.h"

struct pt_regs;

// Before a return to user mode after current was off the CPU: aborts the sequence it was in and
// tells it its CPU. SIGSEGV if the registered area is bad. Task context, interrupts on.
void rseq_resume(struct pt_regs *regs);
// Before the frame of a signal handler is made from regs: aborts the sequence, so that the handler
// returns to its abort address.
void rseq_signal(struct pt_regs *regs);
// Run-queue lock held: current is taken off the CPU and may be in a sequence.
static inline void rseq_preempted(struct task_struct *t)
{
    if (t->rseq.area)
        __atomic_or_fetch(&t->work, BIT(TW_RSEQ), __ATOMIC_RELAXED);
}
// exec, and a child that shares its parent's memory: nothing is registered.
static inline void rseq_forget(struct task_struct *t)
{
    t->rseq.area = NULL;
}
