// SPDX-License-Identifier: MIT
// The frame around the tests: state, ways to run a snippet, and what a trap prints.
#ifndef KERNEL_H
#define KERNEL_H

#include "console.h"
#include "cpuid.h"
#include "msr.h"
#include "ring0.h"

struct trap {
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    u64 vector, error, rip, cs, rflags, rsp, ss;
};

struct table_pointer {
    u16 limit;
    u64 base;
} __attribute__((packed));

extern u64 gdt[], pml4[], pdpt[], pd[], window_pd[], window_pt[];
extern char stubs[], s_end[], gate_target[], syscall_target[];
extern char stack_top[], snippet_stack_top[], trap_stack_top[], ist_top[], df_top[],
    user_stack_top[];
extern struct table_pointer gdt_pointer;
int run_kernel(const void *snippet, u64 argument);
int run_user(const void *snippet, u64 argument, u64 cs, u64 rflags);
void leave(void) __attribute__((noreturn));
void trap(struct trap *t);
int main(void);

extern u64 idt[512];
extern u8 tss[104 + 0x20];

struct now {
    const char *name, *start; // of the snippet as it runs
    bool go_on;               // #DB and #BP: print and continue
    bool show_rsp, show_flags;
};
extern struct now now; // what is being tested
// Takes a trap instead of trap(): true: the snippet, or whoever it was, goes on.
extern bool (*on_trap)(struct trap *t);

#define READ_REG(reg)                                                                              \
    ({                                                                                             \
        u64 value_;                                                                                \
        __asm__ volatile("movq %%" reg ", %0" : "=r"(value_));                                     \
        value_;                                                                                    \
    })
#define WRITE_REG(reg, value) __asm__ volatile("movq %0, %%" reg : : "r"((u64)(value)) : "memory")

#define CR0_BASE 0x80010033
#define CR4_BASE 0x6A0
#define CR4_SMEP (1u << 20)
#define CR4_SMAP (1u << 21)

// An open page of the window; for map().
#define PAGE (WINDOW_FRAME | 1)
void map(unsigned page, u64 entry);

void set_call_gate(unsigned selector, u64 target, u16 code, unsigned dpl, bool present);
void reset_tables(void);
// A fresh state for the tests that follow.
void test(const char *name);

// Run a snippet in the current state and print what comes of it.
void in_kernel(const char *name, const char *snippet, u64 argument);
void in_user(const char *name, const char *snippet, u64 argument);
void in_user_as(const char *name, const char *snippet, u64 argument, u64 cs, u64 rflags);

#define S(name)                                                                                    \
    ({                                                                                             \
        extern char s_##name[];                                                                    \
        s_##name;                                                                                  \
    })

#endif
