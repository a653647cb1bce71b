// SPDX-License-Identifier: MIT
// Kernel page tables, page-table walks for everybody, the kernel's root.
#include "arch/x86_64/paging.h"

#include "abi/errno.h"
#include "arch/x86_64/arch.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/vmalloc.h"
#include "sched/sched.h"

#define LARGE_2M (2UL << 20)
#define TABLE_KERNEL (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED)
#define TABLE_USER (TABLE_KERNEL | PTE_USER)

extern char text_start[], text_end[], rodata_end[], data_start[], image_start[], image_end[];
extern pte_t boot_pml4[];
static pte_t *kernel_pgd; // the root that all others copy their upper half from
static bool early = true; // tables come from boot_alloc
// The kernel's own address space: what kernel threads run on. Never counted down to nothing.
struct mm_struct init_mm = {.mm_users = ATOMIC_INIT(2), .mm_count = ATOMIC_INIT(1)};
u64 nx_mask; // PTE_NX where the CPU has it

phys_addr_t virt_to_phys(const volatile void *va)
{
    u64 a = (u64)va;
    return a >= KERNEL_IMAGE_BASE ? a - KERNEL_IMAGE_BASE : a - DIRECT_MAP_BASE;
}

static pte_t *table_of(pte_t entry)
{
    return __va(entry & PTE_ADDR_MASK);
}

static unsigned slot(u64 va, int level) // level 3 = PML4 ... 0 = page table
{
    return va >> (12 + 9 * level) & 511;
}

static u64 table_new(gfp_t gfp)
{
    if (early)
        return boot_alloc(PAGE_SIZE, PAGE_SIZE);
    void *t = get_free_page(gfp | __GFP_ZERO);
    if (!t)
        return 0;
    atomic64_inc(&mem_pagetable_pages);
    return virt_to_phys(t);
}

// Somebody else may have been faster: the entry that stands there now.
static pte_t table_link(pte_t *e, pte_t fresh)
{
    pte_t found = 0;
    if (__atomic_compare_exchange_n(e, &found, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return fresh;
    atomic64_dec(&mem_pagetable_pages);
    free_page(table_of(fresh));
    return found;
}

// The entry of `level` for va; tables above are made when `flags` (their entry bits) is not 0.
// NULL: absent, or no memory.
static pte_t *walk(pte_t *pgd, u64 va, int level, u64 flags, gfp_t gfp)
{
    pte_t *t = pgd;
    for (int l = 3; l > level; l--) {
        pte_t *e = &t[slot(va, l)];
        pte_t v = pte_read(e);
        if (!(v & PTE_PRESENT)) {
            if (!flags)
                return NULL;
            u64 table = table_new(gfp);
            if (!table)
                return NULL;
            v = table_link(e, table | flags);
        }
        t = table_of(v);
    }
    return &t[slot(va, level)];
}

pte_t *pte_walk(pte_t *pgd, u64 addr, bool alloc)
{
    return walk(pgd, addr, 0, alloc ? TABLE_USER : 0, GFP_KERNEL);
}

static void map_early(u64 va, u64 pa, u64 prot, int level)
{
    *walk(kernel_pgd, va, level, TABLE_KERNEL, 0) = pa | (prot & ~(nx_mask ? 0 : PTE_NX));
}

static void map_direct(void)
{
    u64 top = max(boot_max_ram(), 4UL << 30);
    if (cpu_features.gbpages) {
        for (u64 pa = 0; pa < top; pa += 1UL << 30)
            map_early(DIRECT_MAP_BASE + pa, pa, PROT_KERNEL_DATA | PTE_LARGE, 2);
        return;
    }
    for (u64 pa = 0; pa < top; pa += LARGE_2M)
        map_early(DIRECT_MAP_BASE + pa, pa, PROT_KERNEL_DATA | PTE_LARGE, 1);
}

static void map_image(void)
{
    for (u64 va = (u64)image_start; va < (u64)image_end; va += PAGE_SIZE) {
        u64 prot = PROT_KERNEL_DATA;
        if (va < (u64)text_end)
            prot = PTE_PRESENT | PTE_ACCESSED | PTE_GLOBAL;
        else if (va < (u64)rodata_end)
            prot = PTE_PRESENT | PTE_ACCESSED | PTE_GLOBAL | PTE_NX;
        map_early(va, va - KERNEL_IMAGE_BASE, prot, 0);
    }
}

static void load_cr3(u64 pa)
{
    __asm__ volatile("mov %0, %%cr3" ::"r"(pa) : "memory");
}

// Frame array: 4 KiB pages, only where there are frames.
static void map_frame_array(void)
{
    max_pfn = boot_max_ram() >> PAGE_SHIFT;
    u64 size = PAGE_ALIGN(max_pfn * sizeof(struct page));
    u64 pa = boot_alloc(size, PAGE_SIZE);
    for (u64 off = 0; off < size; off += PAGE_SIZE)
        map_early(FRAME_ARRAY_BASE + off, pa + off, PROT_KERNEL_DATA, 0);
}

void paging_init(void)
{
    nx_mask = cpu_features.nx ? PTE_NX : 0;
    kernel_pgd = __va(boot_alloc(PAGE_SIZE, PAGE_SIZE));
    map_direct();
    map_image();
    map_frame_array();
    // The vmalloc slot's table, so that every root shares it from the start.
    walk(kernel_pgd, VMALLOC_START, 2, TABLE_KERNEL, 0);
    init_mm.pgd = kernel_pgd;
    load_cr3(virt_to_phys(kernel_pgd));
    cpus[0].active_mm = &init_mm;
    cpu_enable_protections();
}

// From here on tables come from the buddy allocator.
void paging_late(void);
void paging_late(void)
{
    early = false;
}

pte_t *pgd_alloc(void)
{
    pte_t *pgd = get_free_page(GFP_KERNEL);
    if (!pgd)
        return NULL;
    memset(pgd, 0, PAGE_SIZE / 2);
    memcpy(pgd + 256, kernel_pgd + 256, PAGE_SIZE / 2);
    atomic64_inc(&mem_pagetable_pages);
    return pgd;
}

void pgd_free(pte_t *pgd)
{
    atomic64_dec(&mem_pagetable_pages);
    free_page(pgd);
}

static unsigned long free_level(pte_t entry, int level)
{
    pte_t *t = table_of(entry);
    unsigned long n = 1;
    for (int i = 0; level && i < 512; i++)
        if (t[i] & PTE_PRESENT)
            n += free_level(t[i], level - 1);
    free_page(t);
    return n;
}

unsigned long pgd_free_user_tables(pte_t *pgd)
{
    unsigned long n = 0;
    for (int i = 0; i < 256; i++) {
        if (pgd[i] & PTE_PRESENT)
            n += free_level(pgd[i], 2);
        pgd[i] = 0;
    }
    atomic64_sub((s64)n, &mem_pagetable_pages);
    return n;
}

int kernel_map_page(u64 va, phys_addr_t pa, u64 prot)
{
    pte_t *e = walk(kernel_pgd, va, 0, TABLE_KERNEL, GFP_KERNEL);
    if (!e)
        return -ENOMEM;
    pte_set(e, pa | (prot & (nx_mask ? ~0UL : ~PTE_NX)));
    return 0;
}

phys_addr_t kernel_unmap_page(u64 va)
{
    pte_t *e = walk(kernel_pgd, va, 0, 0, 0);
    pte_t old = e ? pte_get_and_clear(e) : 0;
    return old & PTE_ADDR_MASK;
}

volatile void *ioremap(phys_addr_t pa, size_t size)
{
    u64 offset = pa & (PAGE_SIZE - 1), len = PAGE_ALIGN(size + offset);
    u64 va = vmalloc_reserve(len);
    if (!va)
        return NULL;
    for (u64 at = 0; at < len; at += PAGE_SIZE) {
        if (kernel_map_page(va + at, pa - offset + at, PROT_KERNEL_MMIO)) {
            vmalloc_release(va);
            return NULL;
        }
    }
    return (volatile void *)(va + offset);
}

void iounmap(volatile void *p)
{
    vmalloc_release((u64)p & PAGE_MASK);
}
