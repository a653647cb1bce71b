// SPDX-License-Identifier: MIT
// Page-table entries and address-space layout (SDM vol. 3 section 4.5). Entries are plain u64.
#pragma once

#include "lib/types.h"

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096UL
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define PAGE_ALIGN(x) (((x) + PAGE_SIZE - 1) & PAGE_MASK)

#define TASK_SIZE 0x7ffffffff000UL // first address above user space
#define DIRECT_MAP_BASE 0xffff888000000000UL
#define VMALLOC_START 0xffffc90000000000UL
#define VMALLOC_END 0xffffc97fffffffffUL
#define FRAME_ARRAY_BASE 0xffffea0000000000UL
#define KERNEL_IMAGE_BASE 0xffffffff80000000UL

#define __va(pa) ((void *)((u64)(pa) + DIRECT_MAP_BASE))
phys_addr_t virt_to_phys(const volatile void *va); // direct map or kernel image only
#define __pa(va) virt_to_phys((const void *)(va))

typedef u64 pte_t; // also the upper levels

#define PTE_PRESENT 0x1UL
#define PTE_WRITE 0x2UL
#define PTE_USER 0x4UL
#define PTE_PWT 0x8UL
#define PTE_PCD 0x10UL
#define PTE_ACCESSED 0x20UL
#define PTE_DIRTY 0x40UL
#define PTE_LARGE 0x80UL // levels 2 and 3
#define PTE_GLOBAL 0x100UL
#define PTE_SOFT1 0x200UL // software bits: free for mm
#define PTE_SOFT2 0x400UL
#define PTE_SOFT3 0x800UL
#define PTE_NX 0x8000000000000000UL
#define PTE_ADDR_MASK 0x000ffffffffff000UL

// A non-present entry encodes: 0 = none; PTE_PROTNONE with a frame (PROT_NONE page that keeps its
// contents); PTE_SWAP with type (bits 2..6) and offset (bits 12..51).
#define PTE_PROTNONE PTE_GLOBAL // with PRESENT clear
#define PTE_SWAP 0x2UL          // with PRESENT clear
static inline bool pte_none(pte_t p)
{
    return p == 0;
}
static inline bool pte_present(pte_t p) // has a frame: mapped or PROT_NONE
{
    return p & (PTE_PRESENT | PTE_PROTNONE);
}
static inline bool pte_hw_present(pte_t p)
{
    return p & PTE_PRESENT;
}
static inline bool pte_is_swap(pte_t p)
{
    return !pte_present(p) && (p & PTE_SWAP);
}
static inline bool pte_write(pte_t p)
{
    return p & PTE_WRITE;
}
static inline bool pte_dirty(pte_t p)
{
    return p & PTE_DIRTY;
}
static inline bool pte_young(pte_t p)
{
    return p & PTE_ACCESSED;
}
static inline u64 pte_pfn(pte_t p)
{
    return (p & PTE_ADDR_MASK) >> PAGE_SHIFT;
}
static inline pte_t pfn_pte(u64 pfn, u64 prot)
{
    return (pfn << PAGE_SHIFT) | prot;
}
// Reads and clears in one step, so that the CPU's A and D updates are not lost.
static inline pte_t pte_get_and_clear(pte_t *p)
{
    return __atomic_exchange_n(p, 0, __ATOMIC_SEQ_CST);
}
static inline pte_t pte_read(const pte_t *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}
static inline void pte_set(pte_t *p, pte_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}

struct mm_struct;
// A root with all kernel slots copied; NULL without memory. pgd_free frees the root page only (user
// tables must be gone).
pte_t *pgd_alloc(void);
void pgd_free(pte_t *pgd);
// Entry of level 1 for `addr`; with alloc, missing tables are made (GFP_KERNEL, zeroed,
// user-accessible). NULL: absent or no memory. The caller holds the page-table lock or otherwise
// excludes table removal.
pte_t *pte_walk(pte_t *pgd, u64 addr, bool alloc);
// Frees the user page tables (not the frames) of a root from which everything has been unmapped.
// Returns how many.
unsigned long pgd_free_user_tables(pte_t *pgd);
// Kernel mappings (vmalloc, ioremap). 0 or -ENOMEM.
int kernel_map_page(u64 va, phys_addr_t pa, u64 prot);
phys_addr_t kernel_unmap_page(u64 va); // returns what was mapped; the caller flushes before reuse
#define PROT_KERNEL_DATA (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY | PTE_GLOBAL | PTE_NX)
#define PROT_KERNEL_MMIO (PROT_KERNEL_DATA | PTE_PCD | PTE_PWT)
// Uncached mapping of device memory; panics never, NULL without memory.
volatile void *ioremap(phys_addr_t pa, size_t size);
void iounmap(volatile void *va);

// On every CPU that has mm loaded; waits for them. Spinlocks may be held that are never taken in
// interrupts.
void tlb_flush_page(struct mm_struct *mm, u64 addr);
// On this CPU only, for an entry that allows more than before: the others fault and look again.
void tlb_flush_page_here(struct mm_struct *mm, u64 addr);
void tlb_flush_range(struct mm_struct *mm, u64 start, u64 end); // end 0: everything
void tlb_flush_mm(struct mm_struct *mm);
void tlb_flush_kernel(u64 start, u64 end); // global entries too, on all CPUs
void mm_switch(struct mm_struct *next);    // loads CR3; interrupts off
void paging_init(void);                 // direct map, kernel permissions, all kernel slots
