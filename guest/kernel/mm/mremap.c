// SPDX-License-Identifier: MIT
// mremap(2): shrinking, growing in place, moving an area with its page-table entries.
#include "fs/fs.h"
#include "mm/mm_internal.h"
#include "syscall/syscall.h"

struct remap {
    struct mm_struct *mm;
    u64 addr, old_len, new_addr, new_len, flags;
    u64 populate_from, populate_len; // locked memory that must be filled afterwards
};

static void move_entry(struct mm_struct *mm, pte_t *to, pte_t *from)
{
    (void)mm;
    pte_set(to, pte_get_and_clear(from));
}

// Moves the entries of [from, from + len). Returns how many bytes were moved: fewer without memory
// for tables.
// Reverse mapping of files looks at one area after the other: mapping (NULL: anonymous memory)
// keeps it away, lest it miss an entry on its way. No CPU may use the old place once the entry can
// be found, and changed, in the new one.
static u64 move_entries(struct mm_struct *mm, struct address_space *m, u64 from, u64 to, u64 len)
{
    u64 done = 0;

    while (done < len) {
        u64 table_end, n;
        pte_t *src = pte_lookup(mm, from + done, &table_end), *dst;

        if (!src) {
            done = min(len, table_end - from);
            continue;
        }
        dst = pte_alloc(mm, to + done);
        if (!dst)
            break;
        n = min(table_end - (from + done), len - done);
        n = min(n, ALIGN_DOWN(to + done, PTE_TABLE_SPAN) + PTE_TABLE_SPAN - (to + done));
        if (m)
            down_write(&m->i_mmap_rwsem);
        spin_lock(&mm->page_table_lock);
        for (u64 i = 0; i < n >> PAGE_SHIFT; i++)
            if (!pte_none(pte_read(&src[i])))
                move_entry(mm, &dst[i], &src[i]);
        tlb_flush_mm(mm);
        spin_unlock(&mm->page_table_lock);
        if (m)
            up_write(&m->i_mmap_rwsem);
        done += n;
        cond_resched();
    }
    return done;
}

// The area that [addr, addr + old_len) lies in, with limits for growth checked; ERR_PTR.
static struct vm_area_struct *area_to_resize(const struct remap *r)
{
    struct vm_area_struct *vma = find_vma(r->mm, r->addr);
    u64 grow = r->new_len > r->old_len ? (r->new_len - r->old_len) >> PAGE_SHIFT : 0;

    if (!vma || vma->vm_start > r->addr)
        return ERR_PTR(-EFAULT);
    if (r->old_len == 0 && !(vma->vm_flags & (VM_SHARED | VM_MAYSHARE)))
        return ERR_PTR(-EINVAL); // duplicates shared memory only
    if ((r->flags & MREMAP_DONTUNMAP) && (vma->vm_flags & (VM_DONTEXPAND | VM_PFNMAP)))
        return ERR_PTR(-EINVAL);
    if (r->old_len > vma->vm_end - r->addr)
        return ERR_PTR(-EFAULT);
    if (grow == 0)
        return vma;
    if (vma->vm_flags & (VM_DONTEXPAND | VM_PFNMAP))
        return ERR_PTR(-EFAULT);
    unsigned long pgoff = linear_index(vma, r->addr);

    if (pgoff + (r->new_len >> PAGE_SHIFT) < pgoff)
        return ERR_PTR(-EINVAL);
    if (vma->vm_flags & VM_LOCKED) {
        int err = mlock_limit_ok(r->mm, grow);

        if (err)
            return ERR_PTR(err);
    }
    if (!may_expand_vm(r->mm, vma->vm_flags, vma->vm_file, grow))
        return ERR_PTR(-ENOMEM);
    return vma;
}

static struct vm_area_struct *make_target(struct vm_area_struct *vma, const struct remap *r)
{
    struct vm_area_struct *n = vma_dup(vma, r->mm);

    if (!n)
        return NULL;
    n->vm_start = r->new_addr;
    n->vm_end = r->new_addr + r->new_len;
    n->vm_pgoff = linear_index(vma, r->addr);
    if (!vma->vm_file && !vma->has_anon) // no page knows its index yet: as if mapped here, so that
                                         // it can join neighbours
        n->vm_pgoff = r->new_addr >> PAGE_SHIFT;
    if (n->vm_ops && n->vm_ops->open)
        n->vm_ops->open(n);
    vma_link(r->mm, n);
    vma_account(r->mm, n->vm_flags, n->vm_file, (long)(r->new_len >> PAGE_SHIFT));
    return n;
}

// The range at new_addr is free.
static long move_area(struct vm_area_struct *vma, struct remap *r)
{
    struct mm_struct *mm = r->mm;
    u64 new_pages = r->new_len >> PAGE_SHIFT, moved, len = min(r->old_len, r->new_len);
    bool accounted = vma->vm_flags & VM_ACCOUNT, locked = vma->vm_flags & VM_LOCKED;
    struct vm_area_struct *target;

    if (mm->map_count >= sysctl_max_map_count - 3)
        return -ENOMEM;
    if (accounted && vm_acct_memory(new_pages) != 0)
        return -ENOMEM;
    target = make_target(vma, r);
    if (!target) {
        if (accounted)
            vm_unacct_memory(new_pages);
        return -ENOMEM;
    }
    struct address_space *m = vma->vm_file ? vma->vm_file->f_mapping : NULL;

    moved = r->old_len ? move_entries(mm, m, r->addr, r->new_addr, len) : 0;
    if (moved < len) {
        // The tables of the old place still exist: going back cannot fail.
        move_entries(mm, m, r->new_addr, r->addr, moved);
        mm_detach_unmap(mm, r->new_addr, r->new_addr + r->new_len);
        return -ENOMEM;
    }
    vma_merge_existing(target);
    if (r->old_len && !(r->flags & MREMAP_DONTUNMAP)) {
        int err = do_munmap(mm, r->addr, r->old_len);

        if (err) // an area more than allowed: the old place stays, empty
            pr_debug("mremap: old place kept (%d)", err);
    }
    if (locked) {
        r->populate_from = r->new_addr;
        r->populate_len = r->new_len;
    }
    return (long)r->new_addr;
}

static long remap_to(struct remap *r)
{
    struct vm_area_struct *vma;
    int err;

    if (r->flags & MREMAP_FIXED) {
        err = do_munmap(r->mm, r->new_addr, r->new_len);
        if (err)
            return err;
    }
    if (r->old_len > r->new_len) {
        err = do_munmap(r->mm, r->addr + r->new_len, r->old_len - r->new_len);
        if (err)
            return err;
        r->old_len = r->new_len;
    }
    vma = area_to_resize(r);
    if (IS_ERR(vma))
        return PTR_ERR(vma);
    u64 to =
        get_unmapped_area(r->mm, r->new_addr, r->new_len, r->flags & MREMAP_FIXED ? MAP_FIXED : 0);

    if (IS_ERR_VALUE(to))
        return (long)to;
    r->new_addr = to;
    return move_area(vma, r);
}

static bool can_grow_here(struct vm_area_struct *vma, u64 delta)
{
    u64 end = vma->vm_end + delta;
    struct vm_area_struct *next = vma_next(vma);

    return end > vma->vm_end && end <= TASK_SIZE && (!next || end <= vma_start_gap(next));
}

static long grow_here(struct vm_area_struct *vma, struct remap *r)
{
    u64 delta = r->new_len - r->old_len, pages = delta >> PAGE_SHIFT;

    if ((vma->vm_flags & VM_ACCOUNT) && vm_acct_memory(pages) != 0)
        return -ENOMEM;
    vma_set_bounds(vma, vma->vm_start, vma->vm_end + delta, vma->vm_pgoff);
    vma_account(r->mm, vma->vm_flags, vma->vm_file, (long)pages);
    if (vma->vm_flags & VM_LOCKED) {
        r->populate_from = r->addr + r->old_len;
        r->populate_len = delta;
    }
    vma_merge_existing(vma);
    return (long)r->addr;
}

// A target given by the caller: aligned, in user space, apart from the source.
static bool target_valid(const struct remap *r)
{
    if (!(r->flags & MREMAP_FIXED))
        return true;
    if ((r->new_addr & ~PAGE_MASK) || r->new_len > TASK_SIZE ||
        r->new_addr > TASK_SIZE - r->new_len)
        return false;
    return r->addr + r->old_len <= r->new_addr || r->new_addr + r->new_len <= r->addr;
}

static long do_mremap(struct remap *r)
{
    struct vm_area_struct *vma = find_vma_intersection(r->mm, r->addr, r->addr + 1);
    int err;

    if (!vma)
        return -EFAULT; // before the target is unmapped
    if (r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
        return remap_to(r);
    if (r->old_len >= r->new_len) {
        if (r->old_len == r->new_len)
            return (long)r->addr;
        err = do_munmap(r->mm, r->addr + r->new_len, r->old_len - r->new_len);
        return err ? err : (long)r->addr;
    }
    vma = area_to_resize(r);
    if (IS_ERR(vma))
        return PTR_ERR(vma);
    if (r->old_len == vma->vm_end - r->addr && can_grow_here(vma, r->new_len - r->old_len))
        return grow_here(vma, r);
    if (!(r->flags & MREMAP_MAYMOVE))
        return -ENOMEM;
    u64 to = get_unmapped_area(r->mm, 0, r->new_len, 0);

    if (IS_ERR_VALUE(to))
        return (long)to;
    r->new_addr = to;
    return move_area(vma, r);
}

SYSCALL_DEFINE(mremap)
{
    struct remap r = {
        .mm = current->mm,
        .addr = ARG_ULONG(0),
        .old_len = PAGE_ALIGN(ARG_ULONG(1)),
        .new_len = PAGE_ALIGN(ARG_ULONG(2)),
        .flags = ARG_ULONG(3),
    };
    long ret;

    if (r.flags & ~(u64)(MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP))
        return -EINVAL;
    if ((r.flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(r.flags & MREMAP_MAYMOVE))
        return -EINVAL;
    if ((r.flags & MREMAP_DONTUNMAP) && r.old_len != r.new_len)
        return -EINVAL;
    if ((r.addr & ~PAGE_MASK) || r.new_len == 0)
        return -EINVAL;
    if (r.flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
        r.new_addr = ARG_ULONG(4);
    if (!target_valid(&r))
        return -EINVAL;
    if (down_write_killable(&r.mm->mmap_lock))
        return -EINTR;
    ret = do_mremap(&r);
    up_write(&r.mm->mmap_lock);
    if (!IS_ERR_VALUE(ret) && r.populate_len)
        mm_populate(r.mm, r.populate_from, r.populate_len, true);
    return ret;
}
