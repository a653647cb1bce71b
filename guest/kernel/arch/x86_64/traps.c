// SPDX-License-Identifier: MIT
// Exceptions (SDM vol. 3 section 6.15) towards signals, page faults towards mm, and the way back to
// user mode.
#include "abi/signal.h"
#include "arch/x86_64/arch.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/smp.h"
#include "arch/x86_64/thread.h"
#include "arch/x86_64/uaccess.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/vmalloc.h"
#include "proc/rseq.h"
#include "proc/signal.h"
#include "sched/kthread.h"
#include "sched/sched.h"

#define PF_PRESENT 0x1UL
#define PF_WRITE 0x2UL
#define PF_FETCH 0x10UL
#define FIRST_INTERRUPT 32

void interrupt_from_user(struct pt_regs *regs, unsigned vector);
void interrupt_from_kernel(struct pt_regs *regs, unsigned vector);
void interrupt_paranoid(struct pt_regs *regs, unsigned vector);
struct pt_regs *iret_fault(struct pt_regs *regs);
void return_to_user_work(struct pt_regs *regs);
void check_return_to_user(struct pt_regs *regs);

// Vector, name, signal and si_code of what a user program can raise; #PF is handled apart. code 0 =
// SI_KERNEL.
static const struct trap {
    const char *name;
    int sig, code;
} traps[FIRST_INTERRUPT] = {
    [0] = {"divide error", SIGFPE, FPE_INTDIV},
    [1] = {"debug exception", SIGTRAP, TRAP_TRACE},
    [2] = {"NMI", 0, 0},
    [3] = {"breakpoint", SIGTRAP, SI_KERNEL},
    [4] = {"overflow", SIGSEGV, SI_KERNEL},
    [5] = {"bound range exceeded", SIGSEGV, SI_KERNEL},
    [6] = {"invalid opcode", SIGILL, ILL_ILLOPN},
    [7] = {"device not available", SIGFPE, FPE_FLTINV},
    [8] = {"double fault", 0, 0},
    [10] = {"invalid TSS", SIGSEGV, SI_KERNEL},
    [11] = {"segment not present", SIGBUS, SI_KERNEL},
    [12] = {"stack-segment fault", SIGBUS, SI_KERNEL},
    [13] = {"general protection fault", SIGSEGV, SI_KERNEL},
    [14] = {"page fault", SIGSEGV, SEGV_MAPERR},
    [16] = {"x87 floating-point error", SIGFPE, FPE_FLTINV},
    [17] = {"alignment check", SIGBUS, BUS_ADRALN},
    [18] = {"machine check", 0, 0},
    [19] = {"SIMD floating-point exception", SIGFPE, FPE_FLTINV},
};

static u64 read_cr2(void)
{
    u64 v;
    __asm__ volatile("mov %%cr2, %0" : "=r"(v));
    return v;
}

// Which unmasked floating-point exception is pending: bits of the x87 status word or of MXCSR (SDM
// vol. 1 section 4.9).
static int fp_code(unsigned vector)
{
    u32 pending;
    if (vector == 16) {
        u16 status, control;
        __asm__ volatile("fnstsw %0\n fnstcw %1" : "=m"(status), "=m"(control));
        pending = status & ~control & 0x3f;
    } else {
        u32 mxcsr;
        __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
        pending = mxcsr & ~(mxcsr >> 7) & 0x3f;
    }
    return pending & 1      ? FPE_FLTINV
           : pending & 4    ? FPE_FLTDIV
           : pending & 8    ? FPE_FLTOVF
           : pending & 0x12 ? FPE_FLTUND
           : pending & 0x20 ? FPE_FLTRES
                            : FPE_FLTINV;
}

static void user_signal(const struct pt_regs *regs, unsigned vector, u64 error, int sig, int code,
                        u64 addr)
{
    current->thread.trap_nr = vector;
    current->thread.error_code = error;
    if (vector == 14)
        current->thread.cr2 = addr;
    (void)regs;
    if (code == SI_KERNEL)
        force_sig(sig);
    else
        force_sig_fault(sig, code, (void *)addr);
}

static unsigned fault_flags(u64 error)
{
    return (error & PF_WRITE ? FAULT_FLAG_WRITE : 0) | (error & PF_FETCH ? FAULT_FLAG_EXEC : 0);
}

static void user_page_fault(struct pt_regs *regs, u64 error)
{
    u64 addr = read_cr2();
    int code = SEGV_MAPERR, sig = SIGSEGV;
    local_irq_enable();
    if (addr < TASK_SIZE)
        sig =
            mm_user_fault(addr, fault_flags(error) | FAULT_FLAG_USER | FAULT_FLAG_KILLABLE, &code);
    if (sig)
        user_signal(regs, 14, error | 4, sig, code, addr);
}

static void kernel_fault(struct pt_regs *regs, unsigned vector, u64 error, u64 addr) __noreturn;
static void kernel_fault(struct pt_regs *regs, unsigned vector, u64 error, u64 addr)
{
    if (vector == 14)
        panic_regs(regs, "kernel page fault at %#lx, error code %#lx%s", addr, error,
                   addr < PAGE_SIZE ? " (null pointer)" : "");
    panic_regs(regs, "%s in kernel mode, error code %#lx",
               vector < FIRST_INTERRUPT ? traps[vector].name : "trap", error);
}

static void kernel_page_fault(struct pt_regs *regs, u64 error)
{
    u64 addr = read_cr2(), fixup = exception_fixup(regs->ip);
    if (!fixup)
        kernel_fault(regs, 14, error, addr);
    int code;
    if (addr < TASK_SIZE && current->mm && !pagefault_disabled() && !in_atomic() &&
        (regs->flags & FLAGS_IF)) {
        local_irq_enable();
        int sig = mm_user_fault(addr, fault_flags(error), &code);
        local_irq_disable();
        if (!sig)
            return;
    }
    regs->ip = fixup;
}

void interrupt_from_user(struct pt_regs *regs, unsigned vector)
{
    if (vector >= FIRST_INTERRUPT) {
        regs->orig_ax = ~0UL;
        interrupt_vector(regs, vector);
        return;
    }
    u64 error = regs->orig_ax;
    regs->orig_ax = ~0UL;
    if (vector == 14) {
        user_page_fault(regs, error);
        return;
    }
    int code = vector == 16 || vector == 19 ? fp_code(vector) : traps[vector].code;
    if (!traps[vector].sig)
        panic_regs(regs, "unexpected %s from user mode",
                   traps[vector].name ? traps[vector].name : "exception");
    local_irq_enable();
    user_signal(regs, vector, error, traps[vector].sig, code, regs->ip);
}

void interrupt_from_kernel(struct pt_regs *regs, unsigned vector)
{
    if (vector >= FIRST_INTERRUPT) {
        interrupt_vector(regs, vector);
        return;
    }
    if (vector == 14) {
        kernel_page_fault(regs, regs->orig_ax);
        return;
    }
    u64 fixup = exception_fixup(regs->ip); // a non-canonical user pointer raises #GP
    if (vector == 13 && fixup) {
        regs->ip = fixup;
        return;
    }
    kernel_fault(regs, vector, regs->orig_ax, 0);
}

void interrupt_paranoid(struct pt_regs *regs, unsigned vector)
{
    if (vector == 2 && smp_stopping())
        cpu_halt();
    if (vector == 8 && is_stack_guard(read_cr2()))
        panic_regs(regs, "kernel stack overflow in %s at %#lx", current->comm, read_cr2());
    kernel_fault(regs, vector, regs->orig_ax, read_cr2());
}

// The return to user mode failed (a non-canonical address from sigreturn, for one). The general
// registers of the fault are the user's; the frame that IRETQ refused is still at the top of the
// stack.
struct pt_regs *iret_fault(struct pt_regs *regs)
{
    struct pt_regs *user = current_pt_regs();
    memmove(user, regs, offset_of(struct pt_regs, orig_ax));
    user->orig_ax = ~0UL;
    local_irq_enable();
    user_signal(user, 13, 0, SIGSEGV, SI_KERNEL, 0);
    return user;
}

// On the way to user mode with interrupts off and something to do.
void return_to_user_work(struct pt_regs *regs)
{
    for (;;) {
        unsigned long work = __atomic_load_n(&current->work, __ATOMIC_ACQUIRE);
        bool resched = this_cpu_read(need_resched);
        if (!work && !resched)
            return;
        local_irq_enable();
        if (resched)
            schedule();
        if (work & BIT(TW_TASK_WORK))
            task_work_run();
        if (work & BIT(TW_RSEQ))
            rseq_resume(regs);
        if (work & BIT(TW_SIGPENDING))
            do_signal(regs);
        local_irq_disable();
    }
}

void check_return_to_user(struct pt_regs *regs)
{
    if (preempt_count() || current->pagefault_disabled)
        panic_regs(regs, "return to user mode with preempt count %d, faults disabled %d",
                   preempt_count(), current->pagefault_disabled);
}
