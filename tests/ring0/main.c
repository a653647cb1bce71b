// SPDX-License-Identifier: MIT
// A kernel that only makes mistakes: runs snippets in rings 0 and 3 and prints what the CPU made of
// each, one line a trap. The same lines are expected of viv, of QEMU and of silicon.
#include "kernel.h"

static void exceptions(void)
{
    test("");
    in_kernel("ud2", S(ud2), 0);
    in_user("ud2 user", S(ud2), 0);
    in_kernel("int3", S(int3), 0);
    in_user("int3 user", S(int3), 0);
    in_user("int1 user", S(int1), 0);
    in_kernel("divide", S(divide), 0);
    in_kernel("16 bytes", S(into_long_instruction), 0);
    in_kernel("lock register", S(lock_register), 0);
    in_kernel("push es", S(push_es_in_long_mode), 0);
    now.show_flags = true;
    in_kernel("flags int trap gate", S(int_trap_gate), 0);
    in_user_as("flags interrupt gate", S(ud2), 0, USER_CS, 0x44AD7 & ~0x100u);
    in_user_as("flags trap gate", S(int_trap_gate), 0, USER_CS, 0x242602);
    now.show_flags = false;
}

static void gates(void)
{
    test("");
    in_user("int dpl 0", S(int_dpl0), 0);
    in_kernel("int dpl 0 kernel", S(int_dpl0), 0);
    in_user("int absent", S(int_absent), 0);
    in_user("int bad type", S(int_bad_type), 0);
    in_user("int to user code", S(int_user_target), 0);
    in_kernel("int to user code kernel", S(int_user_target), 0);
    in_user("int null target", S(int_null_target), 0);
    in_user("int conforming", S(int_conforming), 0);
    now.show_rsp = true;
    in_user("int ist", S(int_ist), 0);
    in_kernel("int ist kernel", S(int_ist), 0);
    in_kernel("int stack kernel", S(int_trap_gate), 0);
    in_user("int stack user", S(int_trap_gate), 0);
    struct table_pointer pointer = {0x2FF, (u64)idt};
    __asm__ volatile("lidt %0" : : "m"(pointer));
    in_kernel("int beyond idt", S(int_dpl0), 0);
    in_user("int beyond idt user", S(int_trap_gate), 0);
}

static void double_faults(void)
{
    test("");
    now.show_rsp = true;
    idt[2 * 14] &= ~((u64)1 << 47);
    in_kernel("page fault, gate absent", S(load), WINDOW);
    in_user("page fault, gate absent, user", S(load), WINDOW);
    test("");
    now.show_rsp = true;
    idt[2 * 6] &= ~((u64)1 << 47);
    in_kernel("#UD, gate absent", S(ud2), 0); // benign first: #NP is delivered
    idt[2 * 11] &= ~((u64)1 << 47);
    in_kernel("#UD, #NP, gates absent", S(ud2), 0);
    test("");
    *(u64 *)(tss + 4) = (u64)WINDOW + 0x2000; // kernel stack not mapped
    now.show_rsp = true;
    in_user("#UD, stack unmapped", S(ud2), 0);
    in_user("int, stack unmapped", S(int_trap_gate), 0);
    *(u64 *)(tss + 4) = (u64)1 << 63;
    in_user("#UD, stack not canonical", S(ud2), 0);
    test("");
    in_kernel("push, stack unmapped", S(push_at), WINDOW + 0x2000);
}

static void paging(void)
{
    test("");
    in_kernel("read absent", S(load), WINDOW + 8);
    in_kernel("write absent", S(store), WINDOW + 8);
    in_kernel("rmw absent", S(add_memory), WINDOW + 8);
    in_user("read absent user", S(load), WINDOW + 8);
    in_user("write absent user", S(store), WINDOW + 8);
    in_user("fetch absent user", S(jump), WINDOW + 8);
    in_kernel("fetch absent", S(jump), WINDOW + 8);
    map(0, PAGE | 2);
    in_user("read supervisor", S(load), WINDOW);
    in_user("write supervisor", S(store), WINDOW);
    in_user("fetch supervisor", S(jump), WINDOW);
    map(0, PAGE | 4);
    in_user("write read-only user", S(store), WINDOW);
    in_kernel("write read-only", S(store), WINDOW);
    WRITE_REG("cr0", CR0_BASE & ~0x10000);
    in_kernel("write read-only without WP", S(store), WINDOW);
    in_user("write read-only user without WP", S(store), WINDOW);
    map(0, PAGE | 6 | (u64)1 << 63);
    in_user("fetch no-execute user", S(jump), WINDOW);
    in_kernel("fetch no-execute", S(jump), WINDOW);
    map(0, PAGE | 6 | (u64)1 << 51);
    in_user("reserved bit", S(load), WINDOW);
    in_kernel("reserved bit write", S(store), WINDOW);
    test("");
    map(0, PAGE | 6);
    map(1, 0);
    *(volatile u64 *)WINDOW = 0x9090909090909090;
    in_kernel("crossing read", S(load), WINDOW + 0xFFC);
    in_kernel("crossing write", S(store), WINDOW + 0xFFC);
    in_kernel("crossing fetch", S(jump), WINDOW + 0xFFF);
    in_kernel("call to absent", S(call), WINDOW + 0x1000);
    in_kernel("push from absent", S(push_memory), WINDOW + 0x1000);
    in_kernel("pop to absent", S(pop_memory), WINDOW + 0x1000);
}

static void print_pte(const char *name)
{
    print(name);
    print_item(": pd=", window_pd[0] & 0xFFF);
    print_item(" pt=", window_pt[0] & 0xFFF);
    print_item(",", window_pt[1] & 0xFFF);
    print("\n");
}

static void clear_accessed(void)
{
    pdpt[1] &= ~(u64)0x60;
    window_pd[0] &= ~(u64)0x60;
    window_pt[0] &= ~(u64)0x60;
    window_pt[1] &= ~(u64)0x60;
    WRITE_REG("cr3", (u64)pml4);
}

static void accessed_bits(void)
{
    test("");
    map(0, PAGE | 2);
    map(1, PAGE + 0x1002);
    clear_accessed();
    print_pte("nothing");
    in_kernel("read", S(load), WINDOW);
    print_pte("read");
    clear_accessed();
    in_kernel("write", S(store), WINDOW);
    print_pte("write");
    clear_accessed();
    in_kernel("crossing write", S(store), WINDOW + 0xFFC);
    print_pte("crossing write");
    map(1, 0);
    clear_accessed();
    in_kernel("crossing write, second absent", S(store), WINDOW + 0xFFC);
    print_pte("crossing write, second absent");
    map(0, 0);
    clear_accessed();
    in_kernel("leaf absent", S(load), WINDOW);
    print_pte("leaf absent");
    map(0, PAGE);
    clear_accessed();
    in_kernel("write refused", S(store), WINDOW);
    print("leaf of a refused write:");
    print_item(" pt=", window_pt[0] & 0xFFF);
    print("\n");
    map(0, PAGE | 2);
    clear_accessed();
    WRITE_REG("cr4", CR4_BASE);
    in_kernel("add", S(add_memory), WINDOW);
    print_pte("add");
}

static void smep_smap(void)
{
    test("");
    map(0, PAGE | 6);
    *(volatile u64 *)WINDOW = 0x00C0C7C748FF3148; // some code
    WRITE_REG("cr4", CR4_BASE | CR4_SMEP);
    in_kernel("smep fetch", S(jump), WINDOW);
    in_kernel("smep read", S(load), WINDOW);
    in_kernel("smep absent", S(jump), WINDOW + 0x1000);
    WRITE_REG("cr4", CR4_BASE | CR4_SMAP);
    in_kernel("smap read", S(load), WINDOW);
    in_kernel("smap write", S(store), WINDOW);
    in_kernel("smap read, stac", S(load_stac), WINDOW);
    in_user("smap user reads", S(load), WINDOW);
    in_user("clac user", S(clac), 0);
    map(0, PAGE | 2);
    in_kernel("smap supervisor page", S(load), WINDOW);
}

static void addresses(void)
{
    test("");
    const u64 bad = (u64)1 << 47;
    in_kernel("non-canonical load", S(load), bad);
    in_kernel("non-canonical store", S(store), bad - 4);
    in_kernel("non-canonical rbp", S(load_rbp), bad);
    in_kernel("non-canonical push", S(push_at), bad + 64);
    in_kernel("non-canonical jump", S(jump), bad);
    in_kernel("non-canonical call", S(call), bad);
    in_kernel("non-canonical ret", S(return ), bad);
    in_user("non-canonical jump user", S(jump), bad);
    in_user("kernel half user", S(load), ~(u64)0xFFF);
    map(0, PAGE | 6);
    WRITE_REG("cr0", CR0_BASE | 0x40000);
    in_user("alignment check", S(alignment), WINDOW);
    in_kernel("alignment check kernel", S(alignment), WINDOW);
    WRITE_REG("cr0", CR0_BASE);
    in_user("alignment without AM", S(alignment), WINDOW);
}

static void segments(void)
{
    test("");
    in_kernel("ds null", S(load_ds), 0);
    in_user("ds null user", S(load_ds), 3);
    in_kernel("ds beyond", S(load_ds), GDT_BYTES);
    in_kernel("ds absent", S(load_ds), ABSENT_DS);
    in_kernel("ds system", S(load_ds), TSS_SELECTOR);
    in_kernel("ds execute-only", S(load_ds), CODE_XO);
    in_kernel("ds readable code", S(load_ds), KERNEL_CS);
    in_user("ds of kernel", S(load_ds), KERNEL_DS);
    in_user("ds conforming", S(load_ds), CONFORMING_CS | 3);
    in_kernel("ds without ldt", S(load_ds), 0x14);
    in_user("fs of user", S(load_fs), USER_DS);
    in_user("push fs, pop gs", S(push_pop_fs), USER_DS);
    in_user("ss null user", S(load_ss), 3);
    in_kernel("ss null", S(load_ss), 0);
    in_kernel("ss null rpl 3", S(load_ss), 3);
    in_user("ss of kernel", S(load_ss), KERNEL_DS);
    in_kernel("ss of user", S(load_ss), USER_DS);
    in_kernel("ss read-only", S(load_ss), READONLY_DS);
    gdt[READONLY_DS / 8] &= ~((u64)1 << 40);
    in_kernel("ds not yet accessed", S(load_ds), READONLY_DS);
    print_item("accessed: ", gdt[READONLY_DS / 8] >> 40 & 0xFF);
    print("\n");
    in_kernel("ss absent", S(load_ss), ABSENT_DS);
    in_user("lldt user", S(lldt), 0);
    in_kernel("lldt gdt selector", S(lldt), KERNEL_DS);
    in_kernel("lldt ldt selector", S(lldt), 0x94);
    in_kernel("lldt", S(lldt), LDT_SELECTOR);
    in_kernel("ds of ldt", S(load_ds), 0x14);
    in_kernel("ds of ldt beyond", S(load_ds), 0x54);
    in_kernel("lldt null", S(lldt), 0);
    in_kernel("ltr busy", S(ltr), TSS_SELECTOR);
    in_kernel("ltr null", S(ltr), 0);
    reset_tables(); // QEMU loads it
    in_kernel("str", S(str), 0);
    in_user("smsw user", S(smsw), 0);
    for (unsigned selector = 0; selector < GDT_BYTES; selector += 8) {
        in_user("lar user", S(lar), selector | 3);
    }
    for (unsigned selector = 0; selector < GDT_BYTES; selector += 8) {
        in_kernel("lar", S(lar), selector);
        in_kernel("lsl", S(lsl), selector);
        in_kernel("verr verw", S(verr_verw), selector);
    }
}

static void far_transfers(void)
{
    test("");
    in_kernel("far jump", S(far_jump), KERNEL_CS);
    in_kernel("far jump null", S(far_jump), 0);
    in_kernel("far jump data", S(far_jump), KERNEL_DS);
    in_kernel("far jump user code", S(far_jump), USER_CS);
    in_user("far jump user", S(far_jump), USER_CS);
    in_user("far jump to kernel", S(far_jump), KERNEL_CS);
    in_user("far jump conforming", S(far_jump), CONFORMING_CS);
    in_kernel("far jump beyond", S(far_jump), GDT_BYTES + 8);
    in_kernel("far jump tss", S(far_jump), TSS_SELECTOR);
    in_kernel("far call", S(far_call), KERNEL_CS);
    in_user("far call user", S(far_call), USER_CS);
    in_kernel("far return same", S(far_return), KERNEL_CS);
    in_user("far return inwards", S(far_return), KERNEL_CS);
    in_kernel("far return null", S(far_return), 0);
    in_user("call gate", S(through_gate), CALL_GATE | 3);
    in_kernel("call gate same ring", S(through_gate), CALL_GATE);
    in_user("call gate absent", S(through_gate), CALL_GATE_ABSENT | 3);
    set_call_gate(CALL_GATE, (u64)gate_target, KERNEL_CS, 0, true);
    in_user("call gate dpl 0", S(through_gate), CALL_GATE | 3);
    set_call_gate(CALL_GATE, (u64)gate_target, KERNEL_CS32, 3, true);
    in_user("call gate to 32-bit", S(through_gate), CALL_GATE | 3);
    set_call_gate(CALL_GATE, (u64)1 << 47, KERNEL_CS, 3, true);
    in_kernel("call gate not canonical", S(through_gate), CALL_GATE);
}

static void iret(const char *name, u64 rip, u64 cs, u64 rflags, u64 rsp, u64 ss)
{
    static u64 area[256]; // the frame is a stack pointer: a trap pushes below it
    u64 *frame = area + 250, values[5] = {rip, cs, rflags, rsp, ss};
    for (unsigned i = 0; i < 5; i++) {
        frame[i] = values[i];
    }
    in_kernel(name, S(iret_to), (u64)frame);
}

static void interrupt_returns(void)
{
    test("");
    u64 target = (u64)S(nothing), user = target + USER_ALIAS, stack = (u64)snippet_stack_top - 128;
    u64 user_stack = (u64)user_stack_top + USER_ALIAS - 128;
    iret("iret same", target, KERNEL_CS, 2, stack, KERNEL_DS);
    iret("iret same, null ss", target, KERNEL_CS, 2, stack, 0);
    iret("iret user", user, USER_CS, 2, user_stack, USER_DS);
    iret("iret null cs", target, 0, 2, stack, KERNEL_DS);
    iret("iret data cs", target, KERNEL_DS, 2, stack, KERNEL_DS);
    iret("iret cs beyond", target, GDT_BYTES + 16, 2, stack, KERNEL_DS);
    iret("iret cs rpl", target, KERNEL_CS | 3, 2, stack, USER_DS);
    iret("iret ss rpl", user, USER_CS, 2, user_stack, KERNEL_DS);
    iret("iret user null ss", user, USER_CS, 2, user_stack, 3);
    iret("iret ss absent", target, KERNEL_CS, 2, stack, ABSENT_DS);
    iret("iret not canonical", (u64)1 << 47, KERNEL_CS, 2, stack, KERNEL_DS);
    iret("iret user not canonical", (u64)1 << 47, USER_CS, 2, user_stack, USER_DS);
    iret("iret with flags", target, KERNEL_CS, 0x240CD7, stack, KERNEL_DS);
    in_kernel("iret frame absent", S(iret_to), WINDOW + 0x3000);
    in_kernel("iret frame not canonical", S(iret_to), (u64)1 << 47);
    iret("iret compat", (u64)S(compat_regs) + USER_ALIAS, USER32_CS, 2, user_stack, USER_DS);
    in_kernel("popf kernel", S(popf_all), 0x243CD7);
    in_kernel("popfw kernel", S(popfw_all), 0x3CD7);
    in_user_as("popf user", S(popf_all), 0x247FD7 & ~0x4100u, USER_CS, 2);
    in_user_as("popf user, iopl 3", S(popf_all), 0x247FD7 & ~0x4100u, USER_CS, 0x3002);
}

static void privileged(void)
{
    test("");
    in_user("hlt", S(hlt), 0);
    in_user("cli", S(cli), 0);
    in_user("sti", S(sti), 0);
    in_user_as("cli, iopl 3", S(cli), 0, USER_CS, 0x3002);
    in_user("in, bitmap allows", S(in), 0);
    tss[104 + 0x10] = 0xFF;
    in_user("in, bitmap forbids", S(in), 0);
    in_user("outs, bitmap forbids", S(outsb), 0);
    in_user_as("in, iopl 3", S(in), 0, USER_CS, 0x3002);
    in_user_as("outs, iopl 3", S(outsb), 0, USER_CS, 0x3002);
    in_user("rdmsr", S(rdmsr), 0x10);
    in_user("wrmsr", S(wrmsr), 0x10);
    in_user("invlpg", S(invlpg), 0);
    in_user("lgdt", S(lgdt), WINDOW);
    in_user("mov cr8", S(get_cr8), 0);
    in_user("mov cr3", S(set_cr3), 0);
    in_user("mov dr7", S(set_dr7), 0);
    in_user("swapgs", S(swapgs), 0);
    in_user("sysret", S(sysret_back), 0);
    in_user("rdtsc", S(rdtsc), 0);
    in_user("rdfsbase without cr4", S(rdfsbase), 0);
    WRITE_REG("cr4", CR4_BASE | 4 | 0x10000);
    in_user("rdtsc with tsd", S(rdtsc), 0);
    in_kernel("rdtsc with tsd, kernel", S(rdtsc), 0);
    in_user("wrfsbase", S(wrfsbase), 0x123456789A);
    in_user("wrfsbase not canonical", S(wrfsbase), (u64)1 << 47);
    in_user("rdpmc", S(rdpmc), 0);
}

static void registers(void)
{
    test("");
    in_kernel("cr0 pg without pe", S(set_cr0), 0x80000000);
    in_kernel("cr0 nw without cd", S(set_cr0), CR0_BASE | 0x20000000);
    in_kernel("cr0 upper half", S(set_cr0), CR0_BASE | (u64)1 << 32);
    in_kernel("cr0 clear pg", S(set_cr0), CR0_BASE & 0x7FFFFFFF);
    in_kernel("cr3 reserved", S(set_cr3), (u64)pml4 | (u64)1 << 60);
    in_kernel("cr4 reserved", S(set_cr4), CR4_BASE | 1u << 15);
    in_kernel("cr4 upper half", S(set_cr4), CR4_BASE | (u64)1 << 40);
    in_kernel("cr4 clear pae", S(set_cr4), CR4_BASE & ~0x20u);
    in_kernel("cr8", S(set_cr8), 5);
    in_kernel("cr8 zero", S(set_cr8), 0);
    in_kernel("cr8 reserved", S(set_cr8), 16);
    in_kernel("cr1", S(get_cr1), 0);
    in_kernel("dr7", S(set_dr7), 0x400);
    in_kernel("dr7 upper half", S(set_dr7), (u64)1 << 32);
    WRITE_REG("cr4", CR4_BASE | 8);
    in_kernel("dr4 with de", S(set_dr4), 0);
    WRITE_REG("cr4", CR4_BASE);
    in_kernel("dr7 gd", S(set_dr7), 0x2400);
    in_kernel("dr access with gd", S(set_dr7), 0x400);
    in_kernel("rdmsr unknown", S(rdmsr), 0x12345678);
    in_kernel("wrmsr unknown", S(wrmsr), 0x12345678);
    in_kernel("wrmsr lstar", S(wrmsr_noncanonical), 0xC0000082);
    in_kernel("wrmsr fs base", S(wrmsr_noncanonical), 0xC0000100);
    in_kernel("wrmsr efer", S(wrmsr_noncanonical), 0xC0000080);
    in_kernel("wrmsr pat", S(wrmsr_noncanonical), 0x277);
    in_kernel("lmsw keeps pe", S(lmsw), 0x32);
    u64 descriptor[2] = {0, 0};
    in_kernel("invpcid type", S(invpcid), (u64)descriptor);
    struct table_pointer pointer = {0xFFF, (u64)1 << 47};
    in_kernel("lgdt not canonical", S(lgdt), (u64)&pointer);
}

static void debug_exceptions(void)
{
    test("");
    now.go_on = true;
    in_kernel("single step", S(single_step), (u64)gdt);
    in_user("single step user", S(single_step), (u64)gdt + USER_ALIAS);
    in_kernel("single step over ss", S(single_step_ss), 0);
    in_kernel("single step int", S(single_step_int), 0);
    map(0, PAGE | 6);
    WRITE_REG("dr0", WINDOW);
    in_kernel("watch at once", S(watch_at_once), WINDOW);
    WRITE_REG("dr0", (u64)S(nothing) + 2);
    WRITE_REG("dr7", 0x401);
    in_kernel("breakpoint", S(nothing), 0);
    map(0, PAGE | 6);
    WRITE_REG("dr0", WINDOW);
    WRITE_REG("dr7", 0x000D0401); // 4 bytes, writes
    in_kernel("watch write", S(watch_store), WINDOW);
    WRITE_REG("dr7", 0x000F0402); // reads, too
    in_user("watch access", S(watch_store), WINDOW);
    in_kernel("watch elsewhere", S(watch_store), WINDOW + 4);
    WRITE_REG("cr4", CR4_BASE | 8);
    WRITE_REG("dr0", 0x80);
    WRITE_REG("dr7", 0x00020401); // a port
    in_kernel("watch port", S(in), 0);
    WRITE_REG("cr4", CR4_BASE);
    WRITE_REG("dr7", 0x400);
}

static void fast_calls(void)
{
    test("");
    in_user_as("syscall", S(syscall), 0, USER_CS, 0x602);
    in_user_as("syscall compat", S(compat_syscall), 0, USER32_CS, 2);
    in_kernel("sysret", S(sysret_back), USER_ALIAS);
    in_kernel("sysret 32", S(sysret_32), USER_ALIAS);
    in_kernel("sysret not canonical", S(sysret_to), (u64)1 << 47);
    wrmsr(0xC0000080, 0xD00);
    in_user("syscall disabled", S(syscall), 0);
}

static void compatibility(void)
{
    test("");
    in_user_as("compat", S(compat_regs), 0, USER32_CS, 2);
    in_user_as("compat page fault", S(compat_load), WINDOW + 4, USER32_CS, 2);
    in_user_as("compat to 64", S(compat_far_to_64), 0, USER32_CS, 2);
    in_user_as("compat null es", S(compat_beyond_limit), 0, USER32_CS, 2);
}

static void interrupts(void)
{
    test("");
    wrmsr(0x1B, rdmsr(0x1B) | 0x800);
    *(volatile u32 *)0xFEE000F0 = 0x1FF; // APIC on
    in_kernel("sti shadow", S(self_ipi), 0);
    in_kernel("mov ss shadow", S(self_ipi_ss), 0);
    in_kernel("hlt", S(self_ipi_hlt), 0);
    in_kernel("rep after sti", S(self_ipi_rep), (u64)gdt);
}

int main(void)
{
    console_begin();
    outb(0x21, 0xFF);
    outb(0xA1, 0xFF);
    exceptions();
    gates();
    double_faults();
    paging();
    accessed_bits();
    smep_smap();
    addresses();
    segments();
    far_transfers();
    interrupt_returns();
    privileged();
    debug_exceptions();
    fast_calls();
    compatibility();
    interrupts();
    if (!on_tcg()) {
        registers();
    }
    end_of_kernel();
}
