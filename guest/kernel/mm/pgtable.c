// SPDX-License-Identifier: MIT
// User page tables of an address space: finding and making level-1 tables (SDM vol. 3
// section 4.5.4).
#include "mm/mm_internal.h"

pte_t *pte_lookup(struct mm_struct *mm, u64 addr, u64 *table_end)
{
    pte_t *table = mm->pgd;

    for (int level = 4; level > 1; level--) {
        pte_t e = pte_read(&table[pte_index(addr, level)]);

        if (!pte_hw_present(e)) {
            if (table_end) {
                u64 span = 1UL << (PAGE_SHIFT + 9 * (level - 1));
                *table_end = ALIGN_DOWN(addr, span) + span;
            }
            return NULL;
        }
        table = pte_table(e);
    }
    if (table_end)
        *table_end = ALIGN_DOWN(addr, PTE_TABLE_SPAN) + PTE_TABLE_SPAN;
    return &table[pte_index(addr, 1)];
}

// Links a fresh table at *slot unless another thread was faster. 0 or -ENOMEM.
static int table_make(struct mm_struct *mm, pte_t *slot)
{
    struct page *p = alloc_page(GFP_KERNEL | __GFP_ZERO);

    if (!p)
        return -ENOMEM;
    spin_lock(&mm->page_table_lock);
    if (!pte_hw_present(pte_read(slot))) {
        pte_set(slot, page_to_phys(p) | PTE_TABLE_FLAGS);
        mm->nr_page_tables++;
        atomic64_inc(&mem_pagetable_pages);
        p = NULL;
    }
    spin_unlock(&mm->page_table_lock);
    if (p)
        put_page(p);
    return 0;
}

pte_t *pte_alloc(struct mm_struct *mm, u64 addr)
{
    pte_t *table = mm->pgd;

    for (int level = 4; level > 1; level--) {
        pte_t *slot = &table[pte_index(addr, level)];
        pte_t e = pte_read(slot);

        if (unlikely(!pte_hw_present(e))) {
            if (table_make(mm, slot) != 0)
                return NULL;
            e = pte_read(slot);
        }
        table = pte_table(e);
    }
    return &table[pte_index(addr, 1)];
}

// Unlinks one table if all that it maps lies in [floor, ceiling). Its children have been dealt
// with.
static void free_one_table(struct mmu_gather *g, pte_t *slot, u64 base, u64 span, u64 floor,
                           u64 ceiling)
{
    if (base < floor || base + span > ceiling)
        return;
    struct page *p = pfn_to_page(pte_pfn(*slot));

    pte_set(slot, 0);
    g->mm->nr_page_tables--;
    atomic64_dec(&mem_pagetable_pages);
    g->tables = true;
    if (gather_add(g, p))
        gather_flush(g);
}

static void free_level(struct mmu_gather *g, pte_t *table, int level, u64 start, u64 end, u64 floor,
                       u64 ceiling)
{
    u64 span = 1UL << (PAGE_SHIFT + 9 * (level - 1));
    u64 base = ALIGN_DOWN(start, span);

    for (; base < end; base += span) {
        pte_t *slot = &table[pte_index(base, level)];

        if (!pte_hw_present(*slot))
            continue;
        if (level > 2)
            free_level(g, pte_table(*slot), level - 1, max(base, start), min(base + span, end),
                       floor, ceiling);
        free_one_table(g, slot, base, span, floor, ceiling);
    }
}

void free_user_tables(struct mmu_gather *g, u64 start, u64 end, u64 floor, u64 ceiling)
{
    // Widen to the hole's edges at table granularity, so that tables left by earlier partial unmaps
    // go too.
    u64 lo = max(ALIGN_DOWN(start, PTE_TABLE_SPAN), floor);
    u64 hi = min(ALIGN_UP(end, PTE_TABLE_SPAN), ceiling);

    if (lo < hi)
        free_level(g, g->mm->pgd, 4, lo, hi, floor, ceiling);
}
