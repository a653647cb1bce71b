// SPDX-License-Identifier: MIT
// Registers and frame-pointer backtraces, robust against a broken stack.
#include "arch/x86_64/paging.h"
#include "arch/x86_64/regs.h"
#include "arch/x86_64/thread.h"
#include "lib/printk.h"
#include "sched/sched.h"

#define MAX_FRAMES 32

void backtrace_print(u64 frame, u64 ip);
void regs_print(const struct pt_regs *regs);
u64 backtrace_start(const struct pt_regs *regs);
extern char boot_stack[], boot_stack_top[];

static void line(u64 ip)
{
    char name[96];
    symbol_format(name, sizeof(name), ip);
    klog(LOG_EMERG, "  %016lx %s", ip, name);
}

// Frames must lie on the current task's stack, the boot stack or (double fault) inside the image's
// data.
static bool frame_ok(u64 frame)
{
    u64 stack = (u64)current->stack;
    if (frame & 7)
        return false;
    if (stack && frame >= stack && frame <= stack + KERNEL_STACK_SIZE - 16)
        return true;
    return frame >= KERNEL_IMAGE_BASE && frame < KERNEL_IMAGE_BASE + (64UL << 20);
}

// Where the trace of a trapped context starts. After a call to somewhere wild, as through a null
// pointer, that is the caller: its return address is on top of the stack.
u64 backtrace_start(const struct pt_regs *r)
{
    return r->ip < KERNEL_IMAGE_BASE && frame_ok(r->sp) ? *(const u64 *)r->sp : r->ip;
}

void backtrace_print(u64 frame, u64 ip)
{
    klog(LOG_EMERG, "Backtrace:");
    if (ip)
        line(ip);
    for (int i = 0; i < MAX_FRAMES && frame_ok(frame); i++) {
        const u64 *f = (const u64 *)frame;
        if (f[1] < KERNEL_IMAGE_BASE)
            break;
        line(f[1]);
        if (f[0] <= frame)
            break;
        frame = f[0];
    }
}

void regs_print(const struct pt_regs *r)
{
    char name[96];
    u64 cr2, cr3;
    __asm__ volatile("mov %%cr2, %0\n mov %%cr3, %1" : "=r"(cr2), "=r"(cr3));
    symbol_format(name, sizeof(name), r->ip);
    klog(LOG_EMERG, "RIP %04lx:%016lx %s", r->cs, r->ip, user_mode(r) ? "(user)" : name);
    klog(LOG_EMERG, "RSP %04lx:%016lx FLAGS %08lx CR2 %016lx CR3 %016lx", r->ss, r->sp, r->flags,
         cr2, cr3);
    klog(LOG_EMERG, "RAX %016lx RBX %016lx RCX %016lx RDX %016lx", r->ax, r->bx, r->cx, r->dx);
    klog(LOG_EMERG, "RSI %016lx RDI %016lx RBP %016lx R8  %016lx", r->si, r->di, r->bp, r->r8);
    klog(LOG_EMERG, "R9  %016lx R10 %016lx R11 %016lx R12 %016lx", r->r9, r->r10, r->r11, r->r12);
    klog(LOG_EMERG, "R13 %016lx R14 %016lx R15 %016lx", r->r13, r->r14, r->r15);
}
