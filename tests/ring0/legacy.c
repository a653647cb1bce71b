// SPDX-License-Identifier: MIT
// The 32-bit test kernel: segment limits, gates, 32-bit and PAE paging, real mode.
#include "legacy_kernel.h"

static void gates(void)
{
    in_kernel("ud2", S(ud2), 0);
    in_user("ud2 user", S(ud2), 0);
    in_kernel("16-bit gate", S(narrow), 0);
    in_user("into", S(into), 0);
    in_kernel("bound", S(bound), 0);
    in_kernel("bound inside", S(bound_inside), 0);
    in_user("call gate", S(call_gate), 0);
    in_user("sysenter", S(sysenter), 0);
    in_kernel("arpl", S(arpl), 0);
}

static void bad_stacks(void)
{
    // No ring-0 handler can be reached with such a stack: conforming code takes #TS and #SS in
    // ring 3.
    static const u16 stacks[] = {USER_DS, GDT_BYTES, READ_ONLY, ABSENT_DS};
    for (unsigned i = 0; i < 4; i++) {
        reset();
        gdt[SMALL_CS / 8] = 0x00CF9F000000FFFF;
        for (unsigned v = 8; v <= 12; v++) {
            idt[v] = (idt[v] & ~((u64)0xFFFF << 16)) | (u32)SMALL_CS << 16;
        }
        tss[2] = stacks[i];
        name = "stack of the tss", start = S(ud2);
        run_user(S(ud2), 0, 0x3002);
        __asm__ volatile("movl %0, %%ds; movl %0, %%es; pushl $2; popfl" : : "r"(KERNEL_DS));
    }
}

static void segments(void)
{
    reset();
    in_kernel("at the limit", S(load_es), AT(SMALL_DS, 0xFFC));
    in_kernel("over the limit", S(load_es), AT(SMALL_DS, 0xFFD));
    in_kernel("expand-down below", S(load_es), AT(DOWN_DS, 0xFFF));
    in_kernel("expand-down", S(load_es), AT(DOWN_DS, 0x1000));
    in_kernel("execute-only", S(load_es), AT(EXECUTE_ONLY, 0));
    in_kernel("read of code", S(load_es), AT(KERNEL_CS, 0x2000));
    in_kernel("write to code", S(store_es), AT(KERNEL_CS, 0x2000));
    in_kernel("write to read-only", S(store_es), AT(READ_ONLY, 0x2000));
    in_kernel("write through cs", S(cs_store), 0x2000);
    in_kernel("wrap at 4 GiB", S(load_at_limit), 0);
    in_kernel("null es", S(null_es), 0x2000);
    in_kernel("push at the limit", S(stack_limit), 0x1000);
    in_kernel("ss:ebp at the limit", S(stack_ebp), 0xFFC);
    in_kernel("jump over cs limit", S(far_small), 0);
}

static void window(u32 pde, u32 pte)
{
    u32 *pd = (u32 *)TABLES, *pt = pd + 1024;
    if (!(READ_REG("cr0") >> 31)) {
        for (unsigned i = 0; i < 1024; i++) {
            pd[i] = i < 4 ? i << 22 | 0x87 : 0;
            pt[i] = 0;
        }
    }
    pd[WINDOW >> 22] = pde ? pde : (u32)pt | 7;
    pt[0] = pte;
    WRITE_REG("cr3", pd);
}

static void paging_32bit(void)
{
    reset();
    window(0, 0);
    WRITE_REG("cr4", 0x10);
    WRITE_REG("cr0", 0x80010011);
    in_kernel("32-bit: read absent", S(load), WINDOW + 8);
    in_user("32-bit: write absent user", S(store), WINDOW + 8);
    in_user("32-bit: fetch absent user", S(jump), WINDOW + 8);
    window(0, WINDOW_FRAME | 1);
    in_kernel("32-bit: write read-only", S(store), WINDOW);
    in_user("32-bit: supervisor page", S(load), WINDOW);
    window(0, WINDOW_FRAME | 7);
    in_user("32-bit: write", S(store), WINDOW);
    print_item("32-bit: pde ", ((u32 *)TABLES)[WINDOW >> 22] & 0xFFF);
    print_item(" pte ", ((u32 *)TABLES)[1024] & 0xFFF);
    print("\n");
    window(0x400087 & ~0x1000u, 0);
    *(volatile u32 *)0x400010 = 0x12345678;
    in_user("32-bit: 4 MiB page", S(load), WINDOW + 0x10);
    window(0x400087 | 1 << 21, 0);
    in_user("32-bit: reserved bit", S(load), WINDOW + 0x10);
    WRITE_REG("cr0", 0x11);
}

static void paging_pae(void)
{
    u64 *pdpt = (u64 *)TABLES, *pd = pdpt + 512, *window_pd = pd + 512, *pt = window_pd + 512;
    reset();
    for (unsigned i = 0; i < 512; i++) {
        pdpt[i] = pd[i] = window_pd[i] = pt[i] = 0;
    }
    for (unsigned i = 0; i < 8; i++) {
        pd[i] = (u64)i << 21 | 0x87;
    }
    pdpt[0] = (u32)pd | 1;
    pdpt[1] = (u32)window_pd | 1;
    window_pd[0] = (u32)pt | 7;
    pt[0] = WINDOW_FRAME | 7;
    pt[1] = WINDOW_FRAME | 7 | (u64)1 << 63;
    pt[2] = WINDOW_FRAME | 7 | (u64)1 << 53;
    wrmsr(0xC0000080, 0x800);
    WRITE_REG("cr4", 0x20);
    WRITE_REG("cr3", pdpt);
    WRITE_REG("cr0", 0x80010011);
    in_user("pae: write", S(store), WINDOW);
    in_user("pae: fetch no-execute", S(jump), WINDOW + 0x1000);
    in_user("pae: reserved bit", S(load), WINDOW + 0x2000);
    in_user("pae: absent", S(load), WINDOW + 0x3000);
    in_kernel("pae: pointer absent", S(load), 0x80000000);
    pdpt[1] = 0;
    in_user("pae: pointers are registers", S(load), WINDOW);
    in_kernel("pae: reload", S(set_cr3), (u32)pdpt);
    in_kernel("pae: pointer gone", S(load), WINDOW);
    pdpt[2] = 3;
    in_kernel("pae: reserved bit of a pointer", S(set_cr3), (u32)pdpt);
    in_kernel("pae: reserved bit, by cr4", S(set_cr4), 0x30);
    WRITE_REG("cr0", 0x11);
    in_kernel("pae: reserved bit, by cr0", S(set_cr0), 0x80010011);
}

static void real_mode(void)
{
    reset();
    for (const char *p = real_begin; p < real_end; p++) {
        ((volatile char *)REAL_BASE)[p - real_begin] = *p;
    }
    in_kernel("real mode and back", S(real_mode), 0);
}

int main(void)
{
    begin_kernel();
    gates();
    segments();
    paging_32bit();
    paging_pae();
    real_mode();
    bad_stacks();
    end_of_kernel();
}
