// SPDX-License-Identifier: MIT
// What the 32-bit test kernels share.
#ifndef LEGACY_KERNEL_H
#define LEGACY_KERNEL_H

#include "console.h"
#include "legacy.h"

struct trap {
    u32 ds, edi, esi, ebp, esp_unused, ebx, edx, ecx, eax;
    // the last two only from ring 3; from virtual-8086 mode ES, DS, FS, GS lie behind them
    u32 vector, error, eip, cs, eflags, esp, ss;
};

extern u64 gdt[], idt[];
extern char stubs[], narrow_handler[], gate_target[], sysenter_target[], real_begin[], real_end[];
extern char stack_top[], snippet_stack_top[], trap_stack_top[], user_stack_top[];
int run_kernel(const void *snippet, u32 argument);
int run_user(const void *snippet, u32 argument, u32 eflags);
void leave(void) __attribute__((noreturn));
void trap(struct trap *t);
int main(void);

extern u32 tss[26];
extern const char *name, *start; // of the test under way
extern bool quiet;               // nothing is printed: outcome has vector << 16 | error code
extern u32 outcome;
extern u32 more_flags;           // EFLAGS of virtual-8086 mode above bit 15
#define OUTCOME_DONE 0xFFFFFFFF

static inline void wrmsr(u32 msr, u32 value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"(value), "d"(0));
}

#define WRITE_REG(reg, value) __asm__ volatile("movl %0, %%" reg : : "r"((u32)(value)) : "memory")
#define READ_REG(reg)                                                                              \
    ({                                                                                             \
        u32 value_;                                                                                \
        __asm__ volatile("movl %%" reg ", %0" : "=r"(value_));                                     \
        value_;                                                                                    \
    })

// An address, as the distance from the snippet or the window where it is near.
void print_place(const char *title, u32 value);
void set_gate(unsigned vector, u32 target, unsigned type, unsigned dpl);
// What a kernel begins with: the serial line on, the 8259s masked, and reset().
void begin_kernel(void);
// Tables and control registers as every test finds them.
void reset(void);
// Run a snippet and print what comes of it.
void in_kernel(const char *what, const char *snippet, u32 argument);
void in_user(const char *what, const char *snippet, u32 argument);

#define S(name)                                                                                    \
    ({                                                                                             \
        extern char s_##name[];                                                                    \
        s_##name;                                                                                  \
    })
#define AT(selector, offset) ((u32)(selector) << 16 | (offset))

#endif
