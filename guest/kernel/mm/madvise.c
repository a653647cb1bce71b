// SPDX-License-Identifier: MIT
// madvise(2).
#include "fs/fs.h"
#include "mm/mm_internal.h"
#include "syscall/syscall.h"

#define FALLOC_FL_KEEP_SIZE 1
#define FALLOC_FL_PUNCH_HOLE 2

// Advice that only changes flags: what they become, or -errno.
static long advised_flags(const struct vm_area_struct *vma, int advice)
{
    u64 f = vma->vm_flags;

    switch (advice) {
    case MADV_NORMAL:
        return (long)(f & ~(VM_RAND_READ | VM_SEQ_READ));
    case MADV_SEQUENTIAL:
        return (long)((f & ~VM_RAND_READ) | VM_SEQ_READ);
    case MADV_RANDOM:
        return (long)((f & ~VM_SEQ_READ) | VM_RAND_READ);
    case MADV_DONTFORK:
        return (long)(f | VM_DONTCOPY);
    case MADV_DOFORK:
        return f & VM_IO ? -EINVAL : (long)(f & ~VM_DONTCOPY);
    case MADV_WIPEONFORK:
        return vma->vm_file || (f & VM_SHARED) ? -EINVAL : (long)(f | VM_WIPEONFORK);
    case MADV_KEEPONFORK:
        return (long)(f & ~VM_WIPEONFORK);
    case MADV_DONTDUMP:
        return (long)(f | VM_DONTDUMP);
    case MADV_DODUMP:
        return f & VM_PFNMAP ? -EINVAL : (long)(f & ~VM_DONTDUMP);
    default:
        return -EINVAL;
    }
}

static int advise_flags(struct vm_area_struct **vma, u64 start, u64 end, int advice)
{
    struct mm_struct *mm = (*vma)->vm_mm;
    long flags = advised_flags(*vma, advice);
    int err;

    if (flags < 0)
        return (int)flags;
    if ((u64)flags == (*vma)->vm_flags)
        return 0;
    err = vma_split_range(mm, start, end);
    if (err)
        return err == -ENOMEM ? -EAGAIN : err;
    *vma = find_vma(mm, start);
    (*vma)->vm_flags = (u64)flags;
    *vma = vma_merge_existing(*vma);
    return 0;
}

static int advise_willneed(struct vm_area_struct *vma, u64 start, u64 end)
{
    unsigned long first = linear_index(vma, start), last = linear_index(vma, end - 1) + 1;

    // Anonymous memory without swap is there or is zero.
    if (vma->vm_file && vma->vm_file->f_mapping->a_ops)
        start_reads(vma->vm_file, vma->vm_file->f_mapping, first, last - first);
    return 0;
}

// Marks anonymous pages of one table as given up: clean entries of pages that reclaim may throw
// away.
static void lazyfree_table(struct vm_area_struct *vma, pte_t *pte, u64 addr, u64 end)
{
    struct mm_struct *mm = vma->vm_mm;

    spin_lock(&mm->page_table_lock);
    for (; addr < end; addr += PAGE_SIZE, pte++) {
        pte_t e = pte_read(pte);
        struct page *p;

        if (!pte_hw_present(e))
            continue;
        p = pfn_to_page(pte_pfn(e));
        if (p == zero_page || !PageAnon(p) || page_mapcount(p) != 1)
            continue; // shared with a relative: it decides for itself
        __atomic_and_fetch(pte, ~(PTE_DIRTY | PTE_ACCESSED), __ATOMIC_SEQ_CST);
        tlb_flush_page(mm, addr);
        ClearPageDirty(p);
        lru_lazyfree(p);
    }
    spin_unlock(&mm->page_table_lock);
}

static int advise_free(struct vm_area_struct *vma, u64 start, u64 end)
{
    if (vma->vm_file || (vma->vm_flags & (VM_SHARED | VM_LOCKED | VM_PFNMAP)))
        return -EINVAL;
    for (u64 addr = start; addr < end;) {
        u64 table_end;
        pte_t *pte = pte_lookup(vma->vm_mm, addr, &table_end);

        if (pte)
            lazyfree_table(vma, pte, addr, min(end, table_end));
        addr = table_end;
    }
    return 0;
}

// COLD and PAGEOUT: pages of this mm alone go to the inactive list.
static int advise_cold(struct vm_area_struct *vma, u64 start, u64 end)
{
    if (vma->vm_flags & (VM_LOCKED | VM_PFNMAP))
        return -EINVAL;
    for (u64 addr = start; addr < end;) {
        u64 table_end, stop;
        pte_t *pte = pte_lookup(vma->vm_mm, addr, &table_end);

        stop = min(end, table_end);
        if (pte) {
            spin_lock(&vma->vm_mm->page_table_lock);
            for (; addr < stop; addr += PAGE_SIZE, pte++) {
                pte_t e = pte_read(pte);
                struct page *p = pfn_to_page(pte_pfn(e));

                if (!pte_hw_present(e) || p == zero_page || page_mapcount(p) != 1)
                    continue;
                __atomic_and_fetch(pte, ~PTE_ACCESSED, __ATOMIC_SEQ_CST);
                tlb_flush_page(vma->vm_mm, addr);
                lru_deactivate(p);
            }
            spin_unlock(&vma->vm_mm->page_table_lock);
        }
        addr = stop;
    }
    return 0;
}

// The backing store goes too. Drops the mmap lock: *locked false.
static int advise_remove(struct vm_area_struct *vma, u64 start, u64 end, bool *locked)
{
    struct mm_struct *mm = vma->vm_mm;
    struct file *f = vma->vm_file;
    loff_t offset;
    int err;

    if (vma->vm_flags & VM_LOCKED)
        return -EINVAL;
    if (!f || !f->f_op->fallocate)
        return -EINVAL;
    if ((vma->vm_flags & (VM_SHARED | VM_WRITE)) != (VM_SHARED | VM_WRITE))
        return -EACCES;
    offset = (loff_t)(linear_index(vma, start) << PAGE_SHIFT);
    get_file(f);
    up_read(&mm->mmap_lock);
    *locked = false;
    err = (int)f->f_op->fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                                  (loff_t)(end - start));
    fput(f);
    return err;
}

static bool takes_write_lock(int advice)
{
    switch (advice) {
    case MADV_DONTNEED:
    case MADV_FREE:
    case MADV_WILLNEED:
    case MADV_REMOVE:
    case MADV_COLD:
    case MADV_PAGEOUT:
        return false;
    default:
        return true;
    }
}

static int advise_area(struct vm_area_struct **vma, u64 start, u64 end, int advice, bool *locked)
{
    switch (advice) {
    case MADV_DONTNEED:
        if ((*vma)->vm_flags & (VM_LOCKED | VM_PFNMAP))
            return -EINVAL;
        zap_vma_range(*vma, start, end);
        return 0;
    case MADV_FREE:
        return advise_free(*vma, start, end);
    case MADV_WILLNEED:
        return advise_willneed(*vma, start, end);
    case MADV_COLD:
    case MADV_PAGEOUT:
        return advise_cold(*vma, start, end);
    case MADV_REMOVE:
        return advise_remove(*vma, start, end, locked);
    default:
        return advise_flags(vma, start, end, advice);
    }
}

// Applies advice to what is mapped; a hole is -ENOMEM, but what lies behind it is done too.
static int walk_areas(struct mm_struct *mm, u64 start, u64 end, int advice, bool *locked)
{
    struct vm_area_struct *vma = find_vma(mm, start);
    int hole = 0;

    for (u64 addr = start; addr < end;) {
        u64 stop;
        int err;

        if (!vma || vma->vm_start >= end)
            return -ENOMEM;
        if (addr < vma->vm_start) {
            hole = -ENOMEM;
            addr = vma->vm_start;
        }
        stop = min(end, vma->vm_end);
        err = advise_area(&vma, addr, stop, advice, locked);
        if (err)
            return err;
        addr = stop;
        if (addr >= end)
            break;
        if (!*locked) {
            down_read(&mm->mmap_lock);
            *locked = true;
        }
        vma = find_vma(mm, addr);
    }
    return hole;
}

static bool known_advice(int advice)
{
    switch (advice) {
    case MADV_NORMAL ... MADV_DONTNEED:
    case MADV_FREE:
    case MADV_REMOVE:
    case MADV_DONTFORK:
    case MADV_DOFORK:
    case MADV_DONTDUMP:
    case MADV_DODUMP:
    case MADV_WIPEONFORK:
    case MADV_KEEPONFORK:
    case MADV_COLD:
    case MADV_PAGEOUT:
    case MADV_POPULATE_READ:
    case MADV_POPULATE_WRITE:
        return true;
    default: // no KSM, no huge pages, no poisoning here
        return false;
    }
}

// MADV_POPULATE_*: unlike MAP_POPULATE, failures are told.
static int advise_populate(struct mm_struct *mm, u64 start, u64 end, bool write)
{
    for (u64 addr = start; addr < end; addr += PAGE_SIZE) {
        struct page *p = get_user_page(mm, addr, write);

        if (IS_ERR(p)) {
            struct vm_area_struct *vma;
            bool mapped;

            if (PTR_ERR(p) != -EFAULT)
                return (int)PTR_ERR(p);
            down_read(&mm->mmap_lock);
            vma = find_vma_intersection(mm, addr, addr + 1);
            mapped = vma != NULL;
            up_read(&mm->mmap_lock);
            return mapped ? -EINVAL : -ENOMEM;
        }
        put_page(p);
    }
    return 0;
}

SYSCALL_DEFINE(madvise)
{
    u64 start = ARG_ULONG(0), len = ARG_ULONG(1), end;
    int advice = ARG_INT(2), err;
    struct mm_struct *mm = current->mm;
    bool locked = true;

    if (!known_advice(advice))
        return -EINVAL;
    if ((start & ~PAGE_MASK) || (len && !PAGE_ALIGN(len)))
        return -EINVAL;
    end = start + PAGE_ALIGN(len);
    if (end < start)
        return -EINVAL;
    if (end == start)
        return 0;
    if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
        return advise_populate(mm, start, end, advice == MADV_POPULATE_WRITE);
    if (takes_write_lock(advice)) {
        if (down_write_killable(&mm->mmap_lock))
            return -EINTR;
        err = walk_areas(mm, start, end, advice, &locked);
        up_write(&mm->mmap_lock);
        return err;
    }
    down_read(&mm->mmap_lock);
    err = walk_areas(mm, start, end, advice, &locked);
    if (locked)
        up_read(&mm->mmap_lock);
    return err;
}
