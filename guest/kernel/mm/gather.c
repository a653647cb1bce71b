// SPDX-License-Identifier: MIT
// Unmapping: clear entries, flush the TLBs of the mm's CPUs, then free the frames.
#include "mm/mm_internal.h"

void gather_start(struct mmu_gather *g, struct mm_struct *mm)
{
    g->mm = mm;
    g->start = ~0UL;
    g->end = 0;
    g->nr = 0;
    g->tables = false;
}

static void flush_tlbs(struct mmu_gather *g)
{
    if (g->tables)
        tlb_flush_mm(g->mm);
    else if (g->end > g->start)
        tlb_flush_range(g->mm, g->start, g->end);
    g->start = ~0UL;
    g->end = 0;
    g->tables = false;
}

void gather_flush(struct mmu_gather *g)
{
    flush_tlbs(g);
    if (g->nr) {
        release_pages(g->pages, g->nr);
        g->nr = 0;
    }
}

// Takes one present entry away. Returns its page when the gather must drop the entry's reference.
static struct page *zap_present(struct vm_area_struct *vma, pte_t *pte, u64 addr,
                                const struct zap_details *details)
{
    struct mm_struct *mm = vma->vm_mm;
    struct page *p = pfn_to_page(pte_pfn(*pte));

    if (vma->vm_flags & VM_PFNMAP) {
        pte_get_and_clear(pte);
        return NULL;
    }
    if (details && (PageAnon(p) || p == zero_page || p->mapping != details->only_mapping))
        return NULL;
    pte_t old = pte_get_and_clear(pte);

    if (p == zero_page)
        return NULL;
    mm_add(mm, page_counter(p), -1);
    if (!PageAnon(p)) {
        if (pte_dirty(old) && (vma->vm_flags & VM_SHARED) && !PageDirty(p))
            set_page_dirty(p);
        if (pte_young(old) && !PageReferenced(p))
            SetPageReferenced(p);
    }
    page_remove_rmap(p);
    return p;
}

// One level-1 table's part of the range. Returns where it stopped (the gather was full) or `end`.
static u64 zap_table(struct mmu_gather *g, struct vm_area_struct *vma, pte_t *pte, u64 addr,
                     u64 end, const struct zap_details *details)
{
    bool full = false, written = false;

    spin_lock(&g->mm->page_table_lock);
    for (; addr < end && !full; addr += PAGE_SIZE, pte++) {
        pte_t e = pte_read(pte);

        if (pte_none(e))
            continue;
        if (pte_present(e)) {
            struct page *p = zap_present(vma, pte, addr, details);

            if (pte_read(pte) == 0 && pte_hw_present(e))
                gather_range(g, addr);
            if (p) {
                written |= pte_hw_present(e) && pte_write(e) && !PageAnon(p);
                full = gather_add(g, p);
            }
        } else if (!details) { // a swap entry
            pte_get_and_clear(pte);
            mm_add(g->mm, MM_SWAPENTS, -1);
        }
    }
    // Another CPU may go on writing through its TLB to a file's page that reverse mapping does not
    // lead to us any more: write-back would clean the page, and the write be lost.
    if (written)
        flush_tlbs(g);
    spin_unlock(&g->mm->page_table_lock);
    return addr;
}

void zap_range(struct mmu_gather *g, struct vm_area_struct *vma, u64 start, u64 end,
               const struct zap_details *details)
{
    for (u64 addr = start; addr < end;) {
        u64 table_end;
        pte_t *pte = pte_lookup(g->mm, addr, &table_end);

        if (!pte) {
            addr = table_end;
            continue;
        }
        addr = zap_table(g, vma, pte, addr, min(end, table_end), details);
        if (g->nr == GATHER_PAGES) {
            gather_flush(g);
            cond_resched();
        }
    }
}

void zap_vma_range(struct vm_area_struct *vma, u64 start, u64 end)
{
    struct mmu_gather g;

    gather_start(&g, vma->vm_mm);
    zap_range(&g, vma, start, end, NULL);
    gather_flush(&g);
}
