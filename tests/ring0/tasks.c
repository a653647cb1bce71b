// SPDX-License-Identifier: MIT
// The 32-bit test kernel for hardware task switches (SDM 3A chapter 8) and virtual-8086 mode (3B chapter 21).
#include "tasks.h"

#include "legacy_kernel.h"

struct tss32 {
    u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
    u32 eax, ecx, edx, ebx, esp, ebp, esi, edi;
    u32 es, cs, ss, ds, fs, gs, ldt;
    u16 trap, iomap;
};

struct tss16 {
    u16 link, sp0, ss0, sp1, ss1, sp2, ss2, ip, flags;
    u16 ax, cx, dx, bx, sp, bp, si, di;
    u16 es, cs, ss, ds, ldt;
};

#define LOW_ENTRY 0x9100 // a jump to where the 16-bit task begins

extern char v86_begin[], v86_end[];
static u64 task_gdt[TASK_GDT_BYTES / 8] __attribute__((aligned(8)));
static u64 ldt[4];
static struct tss32 b;
static struct tss16 task16;
static u32 task_stack[256];

static u64 system_descriptor(const void *base, u32 limit, u32 access)
{
    u32 at = (u32)base;
    return limit | (u64)(at & 0xFFFFFF) << 16 | (u64)access << 40 | (u64)(at >> 24) << 56;
}

static u64 task_gate(u32 selector, u32 access)
{
    return (u64)selector << 16 | (u64)access << 40;
}

static void load_gdt(void)
{
    struct {
        u16 limit;
        u32 base;
    } __attribute__((packed)) pointer = {TASK_GDT_BYTES - 1, (u32)task_gdt};
    __asm__ volatile("lgdt %0" : : "m"(pointer));
}

static void reset_task_b(const char *entry)
{
    b = (struct tss32){.esp0 = (u32)trap_stack_top,
                       .ss0 = KERNEL_DS,
                       .eip = (u32)entry,
                       .eflags = 2,
                       .esp = (u32)(task_stack + 250),
                       .es = KERNEL_DS,
                       .cs = KERNEL_CS,
                       .ss = KERNEL_DS,
                       .ds = KERNEL_DS,
                       .iomap = 104};
}

static void reset_task_16(const char *entry)
{
    u8 *low = (u8 *)LOW_ENTRY;
    *(u32 *)low = 0xE9E4B70F; // movzwl %sp, %esp: the upper half is undefined; jmp entry
    *(u32 *)(low + 4) = (u32)entry - (LOW_ENTRY + 8);
    task16 = (struct tss16){.ip = LOW_ENTRY,
                            .flags = 2,
                            .sp = 0x7000,
                            .es = KERNEL_DS,
                            .cs = KERNEL_CS,
                            .ss = KERNEL_DS,
                            .ds = KERNEL_DS};
}

// The tables of reset(), and ours behind them; entry: where the new tasks begin.
static void task_reset(const char *entry)
{
    __asm__ volatile("lgdt gdt_pointer");
    reset();
    for (unsigned i = 0; i < GDT_BYTES / 8; i++) {
        task_gdt[i] = gdt[i];
    }
    task_gdt[TASK_B / 8] = system_descriptor(&b, 103, 0x89);
    task_gdt[TASK_B_USER / 8] = system_descriptor(&b, 103, 0xE9);
    task_gdt[TASK_16 / 8] = system_descriptor(&task16, 43, 0x81);
    task_gdt[TASK_GATE / 8] = task_gate(TASK_B, 0xE5);
    task_gdt[TASK_GATE_ABSENT / 8] = task_gate(TASK_B, 0x65);
    task_gdt[TASK_GATE_LDT / 8] = task_gate(0x0C, 0xE5);
    task_gdt[TASK_SHORT / 8] = system_descriptor(&b, 102, 0x89);
    task_gdt[TASK_ABSENT / 8] = system_descriptor(&b, 103, 0x09);
    task_gdt[LDT_B / 8] = system_descriptor(ldt, sizeof(ldt) - 1, 0x82);
    task_gdt[ABSENT_LDT / 8] = system_descriptor(ldt, sizeof(ldt) - 1, 0x02);
    task_gdt[ABSENT_CS / 8] = 0x00CF7B000000FFFF;
    task_gdt[CONFORMING_CS / 8] = 0x00CF9F000000FFFF;
    ldt[1] = 0x00CF93000000FFFF | (u64)(WINDOW_FRAME & 0xFFFFFF) << 16;
    idt[VECTOR_TASK] = task_gate(TASK_B, 0xE5);
    idt[VECTOR_TASK_BUSY] = task_gate(TSS_SELECTOR, 0xE5);
    idt[VECTOR_CONFORMING] |= (u64)3 << 45;
    idt[VECTOR_CONFORMING] = (idt[VECTOR_CONFORMING] & ~(u64)0xFFFF0000) | (u64)CONFORMING_CS << 16;
    load_gdt();
    reset_task_b(entry);
    reset_task_16(entry);
    WRITE_REG("dr6", 0);
    WRITE_REG("dr7", 0);
}

// What the switches left in memory.
// In another snippet than the one that runs: from the first of them on, whatever the compiler made.
static void print_eip(u32 eip)
{
    u32 from_first = eip - (u32)S(task_jump);
    if (eip - (u32)start >= 256 && from_first < 4096) {
        print_item(" eip first+", from_first);
    } else {
        print_place(" eip ", eip);
    }
}

static void print_tasks(void)
{
    print_item("  main: type ", task_gdt[TSS_SELECTOR / 8] >> 40 & 15);
    print_eip(tss[8]);
    print_item(" nt ", tss[9] & 0x4000);
    print_item(" cs ", tss[19] & 0xFFFF);
    print_item("; b: type ", task_gdt[TASK_B / 8] >> 40 & 15);
    print_item(" link ", b.link);
    print_eip(b.eip);
    print_item(" nt ", b.eflags & 0x4000);
    print("\n");
}

static void switches(void)
{
    task_reset(S(task_state));
    in_kernel("jump to a tss", S(task_jump), TASK_B);
    print_tasks();
    task_reset(S(task_back_to_main));
    in_kernel("jump there and back", S(task_jump), TASK_B);
    print_tasks();
    task_reset(S(task_back));
    in_kernel("call a tss", S(task_call), TASK_B);
    print_tasks();
    task_reset(S(task_state));
    in_kernel("call a tss, stay", S(task_call), TASK_B);
    print_tasks();
    task_reset(S(task_back));
    in_kernel("call twice", S(call_twice), TASK_B);
    print_tasks();
    task_reset(S(task_back));
    in_user("call a gate, user", S(task_call), TASK_GATE);
    print_tasks();
    task_reset(S(task_back));
    in_user("call a tss, user", S(task_call), TASK_B_USER);
    task_reset(S(task_back));
    in_user("int to a task, user", S(task_int), 0);
    print_tasks();
    task_reset(S(task_state));
    b.eflags = 0x244ED7; // with IF: nothing is pending
    in_kernel("flags of the task", S(task_jump), TASK_B);
    task_reset(S(task_registers));
    b.ecx = 1, b.edx = 0x20, b.ebx = 0x300, b.ebp = 0x4000, b.esi = 0x50000, b.edi = 0x600000;
    b.fs = USER_DS, b.gs = KERNEL_DS, b.ldt = LDT_B;
    in_kernel("registers of the task", S(task_jump), TASK_B);
    task_reset(S(task_ds));
    b.ldt = LDT_B, b.ds = 0x0C;
    *(volatile u32 *)(WINDOW_FRAME + 8) = 0x1DE5C;
    in_kernel("ds of the task's ldt", S(task_jump), TASK_B);
    task_reset(S(task_state));
    in_kernel("jump to a 16-bit tss", S(task_jump), TASK_16);
    task_reset(S(task_back));
    in_kernel("call a 16-bit tss", S(task_call), TASK_16);
    print_item("  link ", task16.link);
    print_item(" type ", task_gdt[TASK_16 / 8] >> 40 & 15);
    print("\n");
    task_reset(S(task_error));
    idt[13] = task_gate(TASK_B, 0x85);
    in_kernel("error code through a task gate", S(bad_selector), 0);
    print_tasks();
}

static void refused(void)
{
    task_reset(S(task_state));
    in_kernel("busy tss", S(task_jump), TSS_SELECTOR);
    in_kernel("absent tss", S(task_jump), TASK_ABSENT);
    in_kernel("short tss", S(task_jump), TASK_SHORT);
    in_kernel("absent task gate", S(task_call), TASK_GATE_ABSENT);
    in_kernel("task gate to the ldt", S(task_call), TASK_GATE_LDT);
    in_user("tss of ring 0", S(task_call), TASK_B);
    in_kernel("int to a busy task", S(task_int_busy), 0);
    idt[VECTOR_TASK] = task_gate(TASK_B, 0x65);
    in_kernel("int, task gate absent", S(task_int), 0);
    idt[VECTOR_TASK] = task_gate(TASK_ABSENT, 0xE5);
    in_kernel("int, tss absent", S(task_int), 0);
    idt[VECTOR_TASK] = task_gate(TASK_B, 0x85);
    in_user("int, task gate of ring 0", S(task_int), 0);
    tss[0] = 0;
    in_kernel("return to null", S(nested_return), 0);
    tss[0] = TASK_B;
    in_kernel("return to a task that is not busy", S(nested_return), 0);
    tss[0] = TASK_B | 4;
    in_kernel("return to the ldt", S(nested_return), 0);
    print_tasks();
}

// The new task is at ring 3, so that its faults find a stack.
static void bad_task(const char *what, u32 *field, u32 value)
{
    b.cs = USER_CS, b.ss = b.ds = b.es = USER_DS;
    b.esp = (u32)user_stack_top - 64;
    *field = value;
    in_kernel(what, S(task_jump), TASK_B);
    if ((task_gdt[TASK_B / 8] >> 40 & 15) != 11) {
        print("  b is not busy\n");
    }
    if (b.trap || (READ_REG("dr7") & 0xFF)) {
        print_item("  dr6 ", READ_REG("dr6"));
        print_item(" dr7 ", READ_REG("dr7"));
        print("\n");
    }
    task_reset(S(task_state));
}

static void bad_tasks(void)
{
    task_reset(S(task_state));
    bad_task("task of ring 3", &b.eax, 0);
    bad_task("null cs", &b.cs, 0x3);
    bad_task("cs is data", &b.cs, USER_DS);
    bad_task("cs beyond", &b.cs, 0x203);
    bad_task("cs of ring 0", &b.cs, KERNEL_CS | 3);
    bad_task("cs absent", &b.cs, ABSENT_CS | 3);
    bad_task("null ss", &b.ss, 0);
    bad_task("ss of ring 0", &b.ss, KERNEL_DS);
    bad_task("ds of ring 0", &b.ds, KERNEL_DS);
    bad_task("es execute-only", &b.es, EXECUTE_ONLY);
    bad_task("fs absent", &b.fs, ABSENT_DS);
    bad_task("gs beyond", &b.gs, 0x200);
    bad_task("null ds", &b.ds, 0);
    bad_task("ldt is none", &b.ldt, KERNEL_DS);
    bad_task("ldt absent", &b.ldt, ABSENT_LDT);
    bad_task("ldt in the ldt", &b.ldt, LDT_B | 4);
    task_gdt[USER_CS / 8] = 0x0040FB000000FFFF; // to 64 KiB
    bad_task("eip beyond the limit", &b.eax, 0);
    b.trap = 1;
    bad_task("debug trap", &b.eax, 0);
    WRITE_REG("dr7", 0x7FF); // nothing is hit there
    bad_task("local breakpoints", &b.eax, 0);
}

// The switch touches both TSSs and both descriptors: what is missing or read-only faults before anything has changed.
static void print_fault_of_switch(const char *what)
{
    in_kernel(what, S(task_jump), TASK_B);
    print(what);
    print_item(", types of both: ", (task_gdt[TSS_SELECTOR / 8] >> 40 & 15) << 4 | (task_gdt[TASK_B / 8] >> 40 & 15));
    print("\n");
}

static void paged_tasks(void)
{
    u32 *pd = (u32 *)TABLES, *pt = pd + 1024;
    task_reset(S(task_state));
    for (unsigned i = 0; i < 1024; i++) {
        pd[i] = i < 4 ? i << 22 | 0x87 : 0;
        pt[i] = 0;
    }
    pd[WINDOW >> 22] = (u32)pt | 7;
    WRITE_REG("cr3", pd);
    WRITE_REG("cr4", 0x10);
    b.cr3 = (u32)pd;
    task_gdt[TASK_B / 8] = system_descriptor((void *)(WINDOW + 0xFF0), 103, 0x89);
    WRITE_REG("cr0", 0x80010011);
    print_fault_of_switch("tss absent");
    pt[0] = WINDOW_FRAME | 3;
    WRITE_REG("cr3", pd);
    print_fault_of_switch("second page of the tss absent");
    for (unsigned i = 0; i < sizeof(b); i++) { // half in the one page, half in the other
        ((volatile u8 *)(WINDOW_FRAME + 0xFF0))[i] = ((u8 *)&b)[i];
    }
    pt[1] = (WINDOW_FRAME + 0x1000) | 1;
    WRITE_REG("cr3", pd);
    print_fault_of_switch("jump to a tss on two pages, one of them read-only");
    // The old task's TSS: B saves its state to where it cannot be written.
    task_reset(S(task_back_to_main));
    WRITE_REG("cr3", pd);
    WRITE_REG("cr4", 0x10);
    b.cr3 = (u32)pd;
    task_gdt[TASK_B / 8] = system_descriptor((void *)(WINDOW + 0xFF0), 103, 0x89);
    for (unsigned i = 0; i < sizeof(b); i++) {
        ((volatile u8 *)(WINDOW_FRAME + 0xFF0))[i] = ((u8 *)&b)[i];
    }
    WRITE_REG("cr0", 0x80010011);
    print_fault_of_switch("state saved to a read-only page");
    // The first instruction of a task is fetched through its own tables.
    task_reset(S(task_state));
    WRITE_REG("cr3", pd);
    WRITE_REG("cr4", 0x10);
    u32 *other = pt + 1024;
    for (unsigned i = 0; i < 1024; i++) {
        other[i] = i < 4 ? i << 22 | 0x87 : 0;
    }
    other[WINDOW >> 22] = (u32)pt | 7;
    pd[WINDOW >> 22] = 0;
    pt[0] = WINDOW_FRAME | 3;
    *(volatile u16 *)WINDOW_FRAME = 0xCD | VECTOR_DONE << 8;
    b.cr3 = (u32)other;
    b.eip = WINDOW;
    b.eax = 0x77;
    WRITE_REG("cr0", 0x80010011);
    print_fault_of_switch("tables of the task");
    WRITE_REG("cr0", 0x11);
}

static void v86(const char *what, const char *code, u32 flags)
{
    in_kernel(what, S(enter_v86), flags << 16 | (u32)(code - v86_begin));
}

#define V(name)                                                                                    \
    ({                                                                                             \
        extern char v_##name[];                                                                    \
        v_##name;                                                                                  \
    })

static void vm86(void)
{
    task_reset(S(task_state));
    for (const char *p = v86_begin; p < v86_end; p++) {
        ((volatile char *)V86_BASE)[p - v86_begin] = *p;
    }
    *(volatile u16 *)(V86_DS * 16 + 0x110) = 0x1234;
    v86("v86: hlt", V(hlt), 0x3000);
    v86("v86: cli, iopl 0", V(cli), 0);
    v86("v86: cli", V(cli), 0x3000);
    v86("v86: sti, iopl 2", V(sti), 0x2000);
    v86("v86: pushf, iopl 0", V(pushf), 0);
    v86("v86: pushf", V(pushf), 0x3000);
    v86("v86: popf, iopl 0", V(popf), 0);
    v86("v86: popf", V(popf), 0x3000);
    v86("v86: int n, iopl 0", V(done), 0);
    v86("v86: int n", V(done), 0x3000);
    v86("v86: int n, gate of ring 0", V(int_21), 0x3000);
    v86("v86: int3, gate of ring 0", V(int3), 0);
    v86("v86: into", V(into), 0);
    v86("v86: int n, conforming code", V(int_conforming), 0x3000);
    v86("v86: iret, iopl 0", V(iret), 0);
    v86("v86: iret", V(iret), 0x3000);
    v86("v86: in", V(in), 0x3000);
    v86("v86: mov cr0", V(mov_cr0), 0x3000);
    v86("v86: smsw", V(smsw), 0x3000);
    v86("v86: sldt", V(sldt), 0x3000);
    v86("v86: lar", V(lar), 0x3000);
    v86("v86: arpl", V(arpl), 0x3000);
    v86("v86: vex", V(vex), 0x3000);
    v86("v86: segments", V(segments), 0x3000);
    v86("v86: over the limit", V(over_limit), 0x3000);
    v86("v86: push over the limit", V(push_limit), 0x3000);
    v86("v86: write through cs", V(write_cs), 0x3000);
    v86("v86: far transfers", V(far), 0x3000);
    v86("v86: jump past 64 KiB", V(jump_far), 0x3000);
    v86("v86: ud2", V(ud2), 0);
    in_kernel("v86: enter past 64 KiB", S(enter_v86_far), 0);
    b.eflags = 0x23002;
    b.eip = (u32)(V(ud2) - v86_begin);
    b.cs = V86_CS, b.ss = V86_SS, b.esp = 0x700, b.es = 0xB01, b.ds = 0xA01, b.fs = 0xC01, b.gs = 0xD01;
    in_kernel("v86: as a task", S(task_jump), TASK_B);
    print_tasks();
}

int main(void)
{
    begin_kernel();
    in_kernel("ud2", S(ud2), 0);
    switches();
    refused();
    bad_tasks();
    paged_tasks();
    vm86();
    end_of_kernel();
}
