// SPDX-License-Identifier: MIT
// The 32-bit test kernel for transitions between modes (SDM 3A 9.8, 4.1.2) and the rights of 32-bit and PAE paging
// (4.6) in every combination of entries, control bits and accesses.
#include "legacy_kernel.h"

#define CODE64 0x78
#define TSS16 0x80
#define MODES_GDT_BYTES 0x88
#define ALIAS 0x80000000u // physical memory again, for ring 3
#define CR4_PSE 0x10u
#define CR4_PAE 0x20u
#define CR4_SMEP 0x100000u
#define CR4_SMAP 0x200000u
#define CR0_PG_WP 0x80010011u
#define CR0_PG 0x80000011u
#define EFER 0xC0000080u
#define NX ((u64)1 << 63)

extern char code16_begin[], code16_end[], a20_begin[], a20_end[], real_test_begin[], real_test_end[];
static u64 modes_gdt[MODES_GDT_BYTES / 8] __attribute__((aligned(8)));
static u16 tss16[22];

#define M(name)                                                                                    \
    ({                                                                                             \
        extern char m_##name[];                                                                    \
        m_##name;                                                                                  \
    })

static void load_modes_gdt(void)
{
    struct {
        u16 limit;
        u32 base;
    } __attribute__((packed)) pointer = {MODES_GDT_BYTES - 1, (u32)modes_gdt};
    __asm__ volatile("lgdt gdt_pointer");
    reset();
    wrmsr(EFER, 0);
    for (unsigned i = 0; i < GDT_BYTES / 8; i++) {
        modes_gdt[i] = gdt[i];
    }
    modes_gdt[CODE64 / 8] = 0x00AF9B000000FFFF;
    modes_gdt[TSS16 / 8] = 43 | (u64)((u32)tss16 & 0xFFFFFF) << 16 | (u64)0x81 << 40;
    __asm__ volatile("lgdt %0" : : "m"(pointer));
}

static void clear_tables(void)
{
    for (volatile u32 *p = (u32 *)TABLES; p < (u32 *)(TABLES + 0x8000); p++) {
        *p = 0;
    }
}

// The window's two entries that matter, and what makes them hold.
struct tables {
    bool pae;
    u32 *pde, *pte; // PAE: the low half of 8 bytes
};

// Identity for the supervisor, the alias for all; the window's page at WINDOW_FRAME.
static struct tables make_32bit(void)
{
    u32 *pd = (u32 *)TABLES, *pt = pd + 1024;
    clear_tables();
    for (unsigned i = 0; i < 4; i++) {
        pd[i] = i << 22 | 0x83;
        pd[(ALIAS >> 22) + i] = i << 22 | 0x87;
    }
    pd[WINDOW >> 22] = (u32)pt | 7;
    pt[0] = WINDOW_FRAME | 7;
    WRITE_REG("cr3", pd);
    return (struct tables){false, pd + (WINDOW >> 22), pt};
}

static struct tables make_pae(void)
{
    u64 *pdpt = (u64 *)TABLES, *pd = pdpt + 512, *window_pd = pd + 512, *alias_pd = window_pd + 512, *pt = alias_pd + 512;
    clear_tables();
    for (unsigned i = 0; i < 8; i++) {
        pd[i] = (u64)i << 21 | 0x83;
        alias_pd[i] = (u64)i << 21 | 0x87;
    }
    pdpt[0] = (u32)pd | 1;
    pdpt[WINDOW >> 30] = (u32)window_pd | 1;
    pdpt[ALIAS >> 30] = (u32)alias_pd | 1;
    window_pd[0] = (u32)pt | 7;
    pt[0] = WINDOW_FRAME | 7;
    WRITE_REG("cr3", pdpt);
    return (struct tables){true, (u32 *)window_pd, (u32 *)pt};
}

static void print_outcome(const char *what)
{
    print(what);
    if (outcome == OUTCOME_DONE) {
        print("ok");
    } else if (outcome >> 16 == 14) {
        print_hex(outcome & 0xFFFF);
    } else {
        print_item("vector ", outcome >> 16);
    }
}

static void attempt(const char *what, bool user, const char *snippet)
{
    WRITE_REG("cr3", READ_REG("cr3")); // whatever is cached
    if (user) {
        run_user(snippet + ALIAS, WINDOW, 2);
        __asm__ volatile("movl %0, %%ds; movl %0, %%es" : : "r"(KERNEL_DS));
    } else {
        run_kernel(snippet, WINDOW);
    }
    __asm__ volatile("pushl $2; popfl");
    print_outcome(what);
}

// All accesses to the window, for each R/W and U/S of both entries.
static void rights(const char *title, struct tables t, bool nx)
{
    static const char *const names[] = {"--", "w-", "-u", "wu"};
    quiet = true;
    for (unsigned i = 0; i < 16; i++) {
        t.pde[0] = (t.pde[0] & ~6u) | (i >> 2) << 1;
        t.pte[0] = (t.pte[0] & ~6u) | (i & 3) << 1;
        print(title);
        print(names[i >> 2]);
        print(" ");
        print(names[i & 3]);
        attempt(": ring 3 read ", true, M(load));
        attempt(", write ", true, M(store));
        attempt(", fetch ", true, M(jump));
        attempt("; ring 0 read ", false, M(load));
        attempt(", write ", false, M(store));
        attempt(", fetch ", false, M(jump));
        print("\n");
        if (nx) {
            i += 4; // a few are enough
        }
    }
    quiet = false;
}

static void put_code(void)
{
    *(volatile u16 *)WINDOW_FRAME = 0xCD | VECTOR_DONE << 8; // int $VECTOR_DONE
}

static void rights_32bit(void)
{
    load_modes_gdt();
    put_code();
    struct tables t = make_32bit();
    WRITE_REG("cr4", CR4_PSE);
    WRITE_REG("cr0", CR0_PG);
    rights("32-bit ", t, false);
    WRITE_REG("cr0", CR0_PG_WP);
    rights("32-bit wp ", t, false);
    WRITE_REG("cr4", CR4_PSE | CR4_SMEP);
    rights("32-bit smep ", t, false);
    WRITE_REG("cr4", CR4_PSE | CR4_SMAP);
    rights("32-bit smap ", t, false);
    WRITE_REG("cr0", 0x11);
}

static void rights_pae(void)
{
    load_modes_gdt();
    put_code();
    struct tables t = make_pae();
    WRITE_REG("cr4", CR4_PAE);
    WRITE_REG("cr0", CR0_PG_WP);
    rights("pae ", t, false);
    WRITE_REG("cr4", CR4_PAE | CR4_SMEP | CR4_SMAP);
    rights("pae smep smap ", t, false);
    WRITE_REG("cr4", CR4_PAE);
    t.pte[1] = (u32)(NX >> 32);
    rights("pae nx without nxe ", t, true); // a reserved bit
    wrmsr(EFER, 0x800);
    rights("pae nx pte ", t, true);
    t.pte[1] = 0;
    t.pde[1] = (u32)(NX >> 32);
    rights("pae nx pde ", t, true);
    WRITE_REG("cr0", 0x11);
    wrmsr(EFER, 0);
}

static void print_entries(const char *title, struct tables t)
{
    print(title);
    print_item(": pde ", t.pde[0] & 0xFFF);
    print_item(" pte ", t.pte[0] & 0xFFF);
    print("\n");
    t.pde[0] &= ~0x60u;
    t.pte[0] &= ~0x60u;
    WRITE_REG("cr3", READ_REG("cr3"));
}

// A and D of both formats, of large pages too.
static void accessed(const char *title, struct tables t)
{
    print(title);
    print("\n");
    put_code();
    quiet = true;
    t.pde[0] &= ~0x60u, t.pte[0] &= ~0x60u;
    attempt("", false, M(load));
    print_entries(" read", t);
    attempt("", true, M(store));
    print_entries(" write", t);
    attempt("", true, M(jump));
    print_entries(" fetch", t);
    t.pte[0] &= ~4u;
    attempt("", true, M(load));
    print_entries(" refused", t);
    t.pte[0] &= ~1u;
    attempt("", true, M(load));
    print_entries(" absent", t);
    u32 large = WINDOW_FRAME & (t.pae ? ~0x1FFFFFu : ~0x3FFFFFu);
    t.pde[0] = large | 0x87;
    *(volatile u16 *)large = 0xCD | VECTOR_DONE << 8;
    attempt("", false, M(load));
    print_entries(" large read", t);
    attempt("", true, M(store));
    print_entries(" large write", t);
    quiet = false;
}

static void formats(void)
{
    load_modes_gdt();
    struct tables t = make_32bit();
    WRITE_REG("cr4", CR4_PSE);
    WRITE_REG("cr0", CR0_PG_WP);
    accessed("32-bit", t);
    // PSE-36: bits 13 and up are address bits 32 and up. There is no memory there.
    volatile u32 *low = (volatile u32 *)(0x400000 + 8);
    *low = 0x55;
    t.pde[0] = 0x400000 | 0x2087;
    WRITE_REG("cr3", READ_REG("cr3"));
    *(volatile u32 *)(WINDOW + 8) = 0x66;
    print_item("pse-36: below ", *low);
    print("\n");
    WRITE_REG("cr0", 0x11);
    t = make_pae();
    WRITE_REG("cr4", CR4_PAE);
    WRITE_REG("cr0", CR0_PG_WP);
    accessed("pae", t);
    WRITE_REG("cr0", 0x11);
    // Without PSE bit 7 of a PDE means nothing: the identity needs tables.
    u32 *pd = (u32 *)TABLES, *pt = pd + 1024;
    clear_tables();
    for (unsigned i = 0; i < 4096; i++) {
        pt[i] = i << 12 | 7;
    }
    for (unsigned i = 0; i < 4; i++) {
        pd[i] = ((u32)pt + 4096 * i) | 0x87;
    }
    WRITE_REG("cr3", pd);
    WRITE_REG("cr4", 0);
    in_kernel("4 KiB pages without pse", M(enable_stepwise), 0);
    print_item(" a ", pd[0] & 0xFFF);
    print("\n");
    WRITE_REG("cr0", 0x11);
}

static u32 make_4level(void)
{
    u64 *pml4 = (u64 *)TABLES, *pdpt = pml4 + 512, *pd = pdpt + 512;
    clear_tables();
    pml4[0] = (u32)pdpt | 7;
    pdpt[0] = (u32)pd | 7;
    for (unsigned i = 0; i < 8; i++) {
        pd[i] = (u64)i << 21 | 0x87;
    }
    return (u32)pml4;
}

static void copy_low(const char *begin, const char *end)
{
    for (const char *p = begin; p < end; p++) {
        ((volatile char *)REAL_BASE)[p - begin] = *p;
    }
}

static void address_line_20(void)
{
    load_modes_gdt();
    copy_low(a20_begin, a20_end);
    in_kernel("a20", M(in_low_memory), 0);
}

// Vector and distance from the test's beginning, or what it left in AX.
static void real_mode(void)
{
    static const char *const names[] = {
        "word at ffff", "dword at fffd", "word at ffff of ss", "divide", "into", "bound", "cs written", "lldt", "str",
        "lar", "arpl", "offset 10000", "limit of 4 GiB", "smsw", "vex", "jump to 12345", "int and far call", "di wraps",
        "lods at ffff", "int3", "int1", "single step", "vector past the idt", "lock nop", "eflags", "esp", "enter", "les"};
    load_modes_gdt();
    copy_low(real_test_begin, real_test_end);
    *(volatile u32 *)(REAL_BASE + 0x12345) = 0xC30BADB8; // mov $0xBAD, %ax; ret: where no limit holds
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        quiet = false;
        print("real mode: ");
        in_kernel(names[i], M(real_test), i);
    }
}

static void long_mode(void)
{
    load_modes_gdt();
    copy_low(code16_begin, code16_end);
    in_kernel("to 64-bit code and back", M(long_mode), make_4level());
    load_modes_gdt();
    in_kernel("by 16-bit code", M(long_to_16), make_4level());
    load_modes_gdt();
    make_4level();
    WRITE_REG("cr3", TABLES);
    wrmsr(EFER, 0x100);
    in_kernel("long mode without pae", M(try_cr0), CR0_PG_WP);
    WRITE_REG("cr4", CR4_PAE);
    __asm__ volatile("ltr %w0" : : "r"(TSS16));
    in_kernel("long mode with a 16-bit tss", M(try_cr0), CR0_PG_WP);
    load_modes_gdt();
    make_32bit();
    WRITE_REG("cr4", CR4_PSE);
    WRITE_REG("cr0", CR0_PG_WP);
    in_kernel("lme while paging", M(set_efer), 0x100);
    in_kernel("pae switched on while paging", M(set_cr4), CR4_PSE);
    in_kernel("pcide outside long mode", M(set_cr4), CR4_PSE | 0x20000);
    in_kernel("paging off", M(set_cr0), 0x11);
    in_kernel("efer reserved", M(set_efer), 0x200);
    in_kernel("lme", M(set_efer), 0x100);
    in_kernel("lma is read-only", M(set_efer), 0x500);
    wrmsr(EFER, 0);
}

int main(void)
{
    begin_kernel();
    in_kernel("ud2", S(ud2), 0);
    long_mode();
    address_line_20();
    real_mode();
    formats();
    rights_32bit();
    rights_pae();
    end_of_kernel();
}
