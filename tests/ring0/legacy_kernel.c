// SPDX-License-Identifier: MIT
// What the 32-bit test kernels share: traps, tables, ways to run a snippet.
#include "legacy_kernel.h"

u32 tss[26];
const char *name, *start;
bool quiet;
u32 outcome, more_flags;

void print_place(const char *title, u32 value)
{
    print(title);
    if (value - (u32)start < 512) {
        print("+");
        print_hex(value - (u32)start);
    } else if (value - WINDOW < 0x10000) {
        print("window+");
        print_hex(value - WINDOW);
    } else {
        print_hex(value);
    }
}

static void print_virtual_flags(const struct trap *t)
{
    print(t->eflags & 0x80000 ? " vif" : "");
    print(t->eflags & 0x100000 ? " vip" : "");
}

void trap(struct trap *t)
{
    if (quiet) {
        outcome = t->vector == VECTOR_DONE ? OUTCOME_DONE : t->vector << 16 | (t->error & 0xFFFF);
        leave();
    }
    print(name);
    if (t->vector == VECTOR_DONE) {
        print_item(": done eax=", t->eax);
        print_item(" cs=", t->cs);
        print_virtual_flags(t);
        print("\n");
        leave();
    }
    print_item(": vector=", t->vector);
    if (t->error != ~(u32)0) {
        print_item(" error=", t->error);
    }
    if (t->vector == 14) {
        print_place(" cr2=", READ_REG("cr2"));
    }
    print_place(" eip=", t->eip);
    print_item(" cs=", t->cs);
    print(t->eflags & 0x10000 ? " rf" : "");
    print_virtual_flags(t);
    if (t->eflags & 0x20000) {
        print_item(" vm ss=", t->ss);
        print_item(" esp=", t->esp);
        for (unsigned i = 0; i < 4; i++) {
            print(&" es=\0 ds=\0 fs=\0 gs="[5 * i]);
            print_hex((&t->ss)[1 + i]);
        }
        u32 fs, gs; // the handler's: null
        __asm__ volatile("movl %%fs, %0; movl %%gs, %1" : "=r"(fs), "=r"(gs));
        print(fs | gs ? " fs or gs is left" : "");
        print_item(" frame ends at ", (u32)(&t->ss + 5) - (u32)stack_top);
    } else if (t->cs & 3) {
        print_item(" ss=", t->ss);
        print_item(" frame ends at ", (u32)(t + 1) - (u32)stack_top);
    }
    print("\n");
    u32 cs;
    __asm__ volatile("movl %%cs, %0" : "=r"(cs));
    if (cs & 3) { // a conforming handler: back to ring 0, with a stack again
        tss[2] = KERNEL_DS;
        __asm__ volatile("int %0" : : "i"(VECTOR_DONE), "a"(0));
    }
    leave();
}

void set_gate(unsigned vector, u32 target, unsigned type, unsigned dpl)
{
    idt[vector] = (target & 0xFFFF) | (u32)KERNEL_CS << 16 | (u64)type << 40 | (u64)dpl << 45 |
                  (u64)1 << 47 | (u64)(target >> 16) << 48;
}

void begin_kernel(void)
{
    console_begin();
    outb(0x21, 0xFF);
    outb(0xA1, 0xFF);
    reset();
}

void reset(void)
{
    WRITE_REG("cr0", 0x11);
    WRITE_REG("cr4", 0);
    for (unsigned v = 0; v < 256; v++) {
        set_gate(v, (u32)stubs + 16 * v, 14, v == VECTOR_DONE || v == 4 || v == 5 ? 3 : 0);
    }
    // A 16-bit gate reaches the low 64 KiB only: a jump there leads to the handler.
    u8 *low = (u8 *)0x9000;
    low[0] = 0xE9;
    *(u32 *)(low + 1) = (u32)narrow_handler - 0x9005;
    set_gate(VECTOR_NARROW, 0x9000, 6, 3);
    __asm__ volatile("lidt idt_pointer");
    tss[1] = (u32)trap_stack_top;
    tss[2] = KERNEL_DS;
    tss[25] = 104 << 16;
    gdt[TSS_SELECTOR / 8] = (sizeof(tss) - 1) | (u64)((u32)tss & 0xFFFFFF) << 16 | (u64)0x89 << 40;
    __asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR));
    gdt[CALL_GATE / 8] = ((u32)gate_target & 0xFFFF) | (u32)KERNEL_CS << 16 | (u64)2 << 32 |
                         (u64)0xEC << 40 | (u64)((u32)gate_target >> 16) << 48;
    wrmsr(0x174, KERNEL_CS);
    wrmsr(0x175, (u32)snippet_stack_top - 64);
    wrmsr(0x176, (u32)sysenter_target);
}

void in_kernel(const char *what, const char *snippet, u32 argument)
{
    name = what, start = snippet;
    run_kernel(snippet, argument);
    __asm__ volatile("pushl $2; popfl");
}

void in_user(const char *what, const char *snippet, u32 argument)
{
    name = what, start = snippet;
    run_user(snippet, argument, 2);
    __asm__ volatile("movl %0, %%ds; movl %0, %%es; pushl $2; popfl" : : "r"(KERNEL_DS));
}
