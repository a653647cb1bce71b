// SPDX-License-Identifier: MIT
// Tables, traps and printing of the 64-bit test kernel.
#include "kernel.h"

u64 idt[512];
u8 tss[104 + 0x20] __attribute__((aligned(16)));
struct now now;
bool (*on_trap)(struct trap *t);

// Addresses that depend on the build are printed relative to something that does not.
static void print_place(const char *name, u64 value)
{
    print(name);
    u64 start = (u64)now.start;
    if (value >= start && value < start + 256) {
        print("+");
        print_hex(value - start);
    } else if (value >= WINDOW && value < WINDOW + 0x10000) {
        print("window+");
        print_hex(value - WINDOW);
    } else if (value >= (u64)stubs && value < (u64)stubs + 4096) {
        print("stubs+");
        print_hex(value - (u64)stubs);
    } else {
        print_hex(value);
    }
}

static void print_trap(const struct trap *t)
{
    print(now.name);
    print_item(": vector=", t->vector);
    if (t->error != ~(u64)0) {
        print_item(" error=", t->error);
    }
    if (t->vector == 14) {
        print_place(" cr2=", READ_REG("cr2"));
    }
    if (t->vector == 1) {
        print_item(" dr6=", READ_REG("dr6"));
        WRITE_REG("dr6", 0xFFFF0FF0);
    }
    print_place(" rip=", t->rip);
    print_item(" cs=", t->cs);
    print_item(" ss=", t->ss);
    print(t->rflags & 0x10000 ? " rf" : "");
    print(t->rflags & 0x100 ? " tf" : "");
    if (now.show_flags) {
        print_item(" flags=", t->rflags & ~(u64)0x10000);
        u64 flags;
        __asm__ volatile("pushfq; popq %0" : "=r"(flags));
        print_item(" in handler=", flags & 0x14300); // RF, NT, IF, TF
    }
    if (now.show_rsp) {
        print_item(" frame ends at ", (u64)(t + 1) - (u64)stack_top);
    }
    print("\n");
}

static void end_of_interrupt(void)
{
    *(volatile u32 *)0xFEE000B0 = 0;
}

void trap(struct trap *t)
{
    if (on_trap && on_trap(t)) {
        return;
    }
    if (t->vector == VECTOR_DONE) {
        print(now.name);
        print_item(": done rax=", t->rax);
        print_item(" cs=", t->cs);
        print("\n");
        leave();
    }
    print_trap(t);
    if (t->vector == 0x40) {
        end_of_interrupt();
        return;
    }
    if (now.go_on && (t->vector == 1 || t->vector == 3 || t->vector == VECTOR_TRAP_GATE)) {
        t->rflags |= 0x10000; // past an execution breakpoint
        return;
    }
    leave();
}

static void set_gate(unsigned vector, u64 target, u16 selector, unsigned type, unsigned dpl,
                     unsigned ist)
{
    idt[2 * vector] = (target & 0xFFFF) | (u64)selector << 16 | (u64)ist << 32 | (u64)type << 40 |
                      (u64)dpl << 45 | (u64)1 << 47 | (target >> 16 & 0xFFFF) << 48;
    idt[2 * vector + 1] = target >> 32;
}

static void set_system_descriptor(unsigned selector, u64 base, u32 limit, unsigned type)
{
    gdt[selector / 8] = (limit & 0xFFFF) | (base & 0xFFFFFF) << 16 | (u64)type << 40 |
                        (u64)(limit >> 16 & 15) << 48 | (base >> 24 & 0xFF) << 56;
    gdt[selector / 8 + 1] = base >> 32;
}

void set_call_gate(unsigned selector, u64 target, u16 code, unsigned dpl, bool present)
{
    gdt[selector / 8] = (target & 0xFFFF) | (u64)code << 16 | (u64)0xC << 40 | (u64)dpl << 45 |
                        (u64)present << 47 | (target >> 16 & 0xFFFF) << 48;
    gdt[selector / 8 + 1] = target >> 32;
}

void reset_tables(void)
{
    for (unsigned v = 0; v < 256; v++) {
        set_gate(v, (u64)stubs + 16 * v, KERNEL_CS, 14, v == 3 || v == VECTOR_DONE ? 3 : 0,
                 v == 8 ? 2 : 0);
    }
    set_gate(VECTOR_IST, (u64)stubs + 16 * VECTOR_IST, KERNEL_CS, 14, 3, 1);
    set_gate(VECTOR_BAD_TYPE, (u64)stubs + 16 * VECTOR_BAD_TYPE, KERNEL_CS, 12, 3, 0);
    set_gate(VECTOR_USER_TARGET, (u64)stubs + 16 * VECTOR_USER_TARGET, USER_CS, 14, 3, 0);
    set_gate(VECTOR_NULL_TARGET, (u64)stubs + 16 * VECTOR_NULL_TARGET, 0, 14, 3, 0);
    set_gate(VECTOR_TRAP_GATE, (u64)stubs + 16 * VECTOR_TRAP_GATE, KERNEL_CS, 15, 3, 0);
    set_gate(VECTOR_CONFORMING, (u64)stubs + 16 * VECTOR_CONFORMING, CONFORMING_CS, 14, 3, 0);
    set_gate(VECTOR_ABSENT, (u64)stubs + 16 * VECTOR_ABSENT, KERNEL_CS, 14, 3, 0);
    idt[2 * VECTOR_ABSENT] &= ~((u64)1 << 47);
    struct table_pointer pointer = {sizeof(idt) - 1, (u64)idt};
    __asm__ volatile("lidt %0" : : "m"(pointer));
    __asm__ volatile("lgdt %0" : : "m"(gdt_pointer));
    set_call_gate(CALL_GATE, (u64)gate_target, KERNEL_CS, 3, true);
    set_call_gate(CALL_GATE_ABSENT, (u64)gate_target, KERNEL_CS, 3, false);
    set_system_descriptor(LDT_SELECTOR, (u64)gdt, 0x4F, 0x82);
    for (unsigned i = 0; i < sizeof(tss); i++) {
        tss[i] = 0;
    }
    *(u64 *)(tss + 4) = (u64)trap_stack_top;
    *(u64 *)(tss + 36) = (u64)ist_top - 8; // misaligned on purpose
    *(u64 *)(tss + 44) = (u64)df_top;
    *(u16 *)(tss + 102) = 104;
    for (unsigned i = 104; i < sizeof(tss); i++) {
        tss[i] = 0xFF;
    }
    tss[104 + 0x10] = 0xFE; // port 0x80 is open
    set_system_descriptor(TSS_SELECTOR, (u64)tss, sizeof(tss) - 1, 0x89);
    __asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR));
}

static void reset_state(void)
{
    WRITE_REG("cr4", CR4_BASE);
    WRITE_REG("cr0", CR0_BASE);
    WRITE_REG("dr7", 0x400);
    WRITE_REG("dr6", 0xFFFF0FF0);
    for (unsigned i = 0; i < 16; i++) {
        window_pt[i] = 0;
    }
    pdpt[1] = (u64)window_pd | 7;
    window_pd[0] = (u64)window_pt | 7;
    WRITE_REG("cr3", (u64)pml4);
    wrmsr(0xC0000080, 0xD01);
    wrmsr(0xC0000081, (u64)(USER32_CS) << 48 | (u64)KERNEL_CS << 32);
    wrmsr(0xC0000082, (u64)syscall_target);
    wrmsr(0xC0000084, 0x700);
    reset_tables();
}

static void begin(const char *name, const void *start)
{
    now.name = name;
    now.start = start;
    now.go_on = now.show_rsp = now.show_flags = false;
}

// The current state is the test's; these run and print.
void in_kernel(const char *name, const char *snippet, u64 argument)
{
    now.name = name, now.start = snippet;
    run_kernel(snippet, argument);
    __asm__ volatile("pushq $2; popfq");
}

void in_user_as(const char *name, const char *snippet, u64 argument, u64 cs, u64 rflags)
{
    const char *alias = snippet + USER_ALIAS;
    now.name = name, now.start = alias;
    run_user(alias, argument, cs, rflags);
    __asm__ volatile("pushq $2; popfq");
}

void in_user(const char *name, const char *snippet, u64 argument)
{
    in_user_as(name, snippet, argument, USER_CS, 2);
}

void test(const char *name)
{
    reset_state();
    begin(name, 0);
}

void map(unsigned page, u64 entry)
{
    window_pt[page] = entry;
    __asm__ volatile("invlpg (%0)" : : "r"((u64)WINDOW + page * 4096) : "memory");
}
