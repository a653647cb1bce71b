// SPDX-License-Identifier: MIT
// fork: a child's copy of its parent's page-table entries. Private pages become read-only on both
// sides (copy-on-write).
#include "mm/mm_internal.h"

// File and shared areas without private copies are filled by faults: cheaper than copying what exec
// throws away.
static bool must_copy(const struct vm_area_struct *vma)
{
    return vma->has_anon || (vma->vm_flags & VM_PFNMAP) || (vma->vm_flags & VM_LOCKED);
}

static void copy_present(struct mm_struct *dst, pte_t *dst_pte, pte_t *src_pte, u64 vm_flags,
                         long counts[NR_MM_COUNTERS])
{
    pte_t e = pte_read(src_pte);

    if (!(vm_flags & VM_PFNMAP)) {
        struct page *p = pfn_to_page(pte_pfn(e));

        if (vma_is_cow(vm_flags) && pte_write(e)) {
            // The CPU may set the dirty bit meanwhile: clear with an atomic operation.
            __atomic_and_fetch(src_pte, ~PTE_WRITE, __ATOMIC_SEQ_CST);
            e = pte_read(src_pte);
        }
        if (vm_flags & VM_SHARED)
            e &= ~PTE_DIRTY;
        if (p != zero_page) {
            get_page(p);
            page_dup_rmap(p);
            counts[page_counter(p)]++;
        }
        e &= ~PTE_ACCESSED;
    }
    pte_set(dst_pte, e);
    (void)dst;
}

// Entries [addr, end) of one level-1 table.
static void copy_table(struct mm_struct *dst, struct mm_struct *src, pte_t *dst_pte, pte_t *src_pte,
                       u64 addr, u64 end, u64 vm_flags)
{
    long counts[NR_MM_COUNTERS] = {0};

    spin_lock(&src->page_table_lock);
    ptl_lock_nested(&dst->page_table_lock);
    for (; addr < end; addr += PAGE_SIZE, dst_pte++, src_pte++) {
        pte_t e = pte_read(src_pte);

        if (pte_none(e))
            continue;
        if (pte_present(e)) {
            copy_present(dst, dst_pte, src_pte, vm_flags, counts);
        } else { // a swap entry: the slot's count is the swap device's business, there is none yet
            pte_set(dst_pte, e);
            counts[MM_SWAPENTS]++;
        }
    }
    spin_unlock(&dst->page_table_lock);
    spin_unlock(&src->page_table_lock);
    for (int i = 0; i < NR_MM_COUNTERS; i++)
        if (counts[i])
            mm_add(dst, (enum mm_counter)i, counts[i]);
}

int copy_page_range(struct mm_struct *dst, struct vm_area_struct *dst_vma,
                    struct vm_area_struct *src_vma)
{
    struct mm_struct *src = src_vma->vm_mm;

    if (!must_copy(src_vma))
        return 0;
    for (u64 addr = src_vma->vm_start; addr < src_vma->vm_end;) {
        u64 table_end;
        pte_t *src_pte = pte_lookup(src, addr, &table_end), *dst_pte;
        u64 end = min(src_vma->vm_end, table_end);

        if (src_pte) {
            dst_pte = pte_alloc(dst, addr);
            if (!dst_pte)
                return -ENOMEM;
            copy_table(dst, src, dst_pte, src_pte, addr, end, dst_vma->vm_flags);
            cond_resched();
        }
        addr = end;
    }
    return 0;
}
