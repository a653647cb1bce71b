// SPDX-License-Identifier: MIT
// The end: registers, backtrace, last log lines, then the debug-exit port and a halt.
#include "arch/x86_64/irqflags.h"
#include "arch/x86_64/smp.h"
#include "arch/x86_64/thread.h"
#include "drivers/power.h"
#include "lib/printf.h"
#include "lib/printk.h"
#include "sched/sched.h"

#define LAST_LINES 20
#define PANIC_EXIT 0x100

void backtrace_print(u64 frame, u64 ip); // arch
u64 backtrace_start(const struct pt_regs *regs);
void regs_print(const struct pt_regs *regs);

static int panic_cpu = -1; // the CPU that panicked first

static void panic_end(void) __noreturn;
static void panic_end(void)
{
    debug_exit(PANIC_EXIT);
    cpu_halt();
}

static void panic_message(const char *fmt, va_list ap)
{
    char text[256];
    vsnprintf(text, sizeof(text), fmt, ap);
    unsigned count = (unsigned)min(log_next_seq() - log_first_seq(), (u64)LAST_LINES);
    local_irq_disable();
    int none = -1, me = (int)smp_processor_id();
    bool first = __atomic_compare_exchange_n(&panic_cpu, &none, me, false, __ATOMIC_SEQ_CST,
                                             __ATOMIC_SEQ_CST);
    if (!first && none != me)
        cpu_halt(); // another CPU is at it
    if (first)
        smp_stop_others();
    log_panic_mode();
    if (!first) {
        klog(LOG_EMERG, "panic within panic: %s", text);
        panic_end();
    }
    log_repeat_last(count);
    klog(LOG_EMERG, "Kernel panic: %s", text);
    klog(LOG_EMERG, "CPU %u, task %s (pid %d), preempt count %#x", smp_processor_id(),
         current->comm, current->pid, (unsigned)preempt_count());
}

void panic(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    panic_message(fmt, ap);
    va_end(ap);
    backtrace_print((u64)__builtin_frame_address(0), 0);
    panic_end();
}

void panic_regs(const struct pt_regs *regs, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    panic_message(fmt, ap);
    va_end(ap);
    regs_print(regs);
    if (!user_mode(regs))
        backtrace_print(regs->bp, backtrace_start(regs));
    panic_end();
}

void dump_stack(void)
{
    backtrace_print((u64)__builtin_frame_address(0), 0);
}
