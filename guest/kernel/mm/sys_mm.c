// SPDX-License-Identifier: MIT
// System calls on address spaces: mmap, munmap, brk, msync, mincore, mlock and friends.
#include "fs/file.h"
#include "mm/mm_internal.h"
#include "mm/slab.h"
#include "proc/cred.h"
#include "proc/signal.h"
#include "syscall/syscall.h"

SYSCALL_DEFINE(mmap)
{
    u64 flags = ARG_ULONG(3);
    struct file *file = NULL;
    long ret;

    if (ARG_ULONG(5) & ~PAGE_MASK)
        return -EINVAL;
    if (flags & MAP_HUGETLB)
        return flags & MAP_ANONYMOUS ? -ENOMEM : -EINVAL; // no huge pages are reserved, ever
    if (!(flags & MAP_ANONYMOUS)) {
        file = fget((unsigned)ARG_UINT(4));
        if (!file)
            return -EBADF;
    }
    ret = vm_mmap(file, ARG_ULONG(0), ARG_ULONG(1), ARG_ULONG(2), flags, ARG_ULONG(5));
    if (file)
        fput(file);
    return ret;
}

SYSCALL_DEFINE(munmap)
{
    return vm_munmap(ARG_ULONG(0), ARG_ULONG(1));
}

static bool brk_allowed(struct mm_struct *mm, u64 brk)
{
    u64 limit = rlimit(RLIMIT_DATA);

    if (brk < mm->start_brk)
        return false;
    return limit == RLIM_INFINITY ||
           (brk - mm->start_brk) + (mm->end_data - mm->start_data) <= limit;
}

// Never an errno: the break as it is afterwards (brk(2), "C library/kernel differences").
SYSCALL_DEFINE(brk)
{
    struct mm_struct *mm = current->mm;
    u64 brk = ARG_ULONG(0), old_end, new_end, from = 0;
    struct vm_area_struct *next;
    bool ok = false, locked = false;

    if (down_write_killable(&mm->mmap_lock))
        return (long)mm->brk;
    if (!brk_allowed(mm, brk))
        goto out;
    old_end = PAGE_ALIGN(mm->brk);
    new_end = PAGE_ALIGN(brk);
    if (new_end < brk || new_end > TASK_SIZE)
        goto out;
    if (new_end <= old_end) {
        ok = new_end == old_end || do_munmap(mm, new_end, old_end - new_end) == 0;
        goto out;
    }
    next = find_vma(mm, old_end);
    if (next && new_end + PAGE_SIZE > vma_start_gap(next))
        goto out;
    ok = do_brk(mm, old_end, new_end - old_end, 0) == 0;
    locked = ok && (mm->def_flags & VM_LOCKED);
    from = old_end;
out:
    if (ok)
        mm->brk = brk;
    brk = mm->brk;
    up_write(&mm->mmap_lock);
    if (locked)
        mm_populate(mm, from, brk - from, true);
    return (long)brk;
}

// --- msync

// Writes the part of a shared file area; the mmap lock (read) is dropped meanwhile.
static int sync_area(struct mm_struct *mm, struct vm_area_struct *vma, u64 start, u64 end)
{
    struct file *f = get_file(vma->vm_file);
    loff_t from = (loff_t)(linear_index(vma, start) << PAGE_SHIFT);
    int err = 0;

    up_read(&mm->mmap_lock);
    if (f->f_op->fsync)
        err = f->f_op->fsync(f, from, from + (loff_t)(end - start) - 1, true);
    fput(f);
    down_read(&mm->mmap_lock);
    return err;
}

static int msync_range(struct mm_struct *mm, u64 start, u64 end, int flags)
{
    int unmapped = 0;

    while (start < end) {
        struct vm_area_struct *vma = find_vma(mm, start);
        u64 stop;
        int err;

        if (!vma || vma->vm_start >= end)
            return -ENOMEM;
        if (start < vma->vm_start) {
            unmapped = -ENOMEM;
            start = vma->vm_start;
        }
        if ((flags & MS_INVALIDATE) && (vma->vm_flags & VM_LOCKED))
            return -EBUSY;
        stop = min(end, vma->vm_end);
        if ((flags & MS_SYNC) && vma->vm_file && (vma->vm_flags & VM_SHARED)) {
            err = sync_area(mm, vma, start, stop);
            if (err)
                return err;
        }
        start = stop;
    }
    return unmapped;
}

SYSCALL_DEFINE(msync)
{
    u64 start = ARG_ULONG(0), len = ARG_ULONG(1), end;
    int flags = ARG_INT(2), err;
    struct mm_struct *mm = current->mm;

    if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC))
        return -EINVAL;
    if ((start & ~PAGE_MASK) || ((flags & MS_ASYNC) && (flags & MS_SYNC)))
        return -EINVAL;
    end = start + PAGE_ALIGN(len);
    if (end < start || PAGE_ALIGN(len) < len)
        return -ENOMEM;
    if (end == start)
        return 0;
    down_read(&mm->mmap_lock);
    err = msync_range(mm, start, end, flags);
    up_read(&mm->mmap_lock);
    return err;
}

// --- mincore

static u8 page_in_core(struct vm_area_struct *vma, u64 addr)
{
    struct address_space *m = vma->vm_file && !vma_is_anon(vma) ? vma->vm_file->f_mapping : NULL;
    struct page *p;
    pte_t *pte, e;
    u8 in;

    spin_lock(&vma->vm_mm->page_table_lock);
    pte = pte_lookup(vma->vm_mm, addr, NULL);
    e = pte ? pte_read(pte) : 0;
    spin_unlock(&vma->vm_mm->page_table_lock);
    if (pte_present(e))
        return 1;
    if (!m || !(p = find_get_page(m, linear_index(vma, addr))))
        return 0;
    in = PageUptodate(p);
    put_page(p);
    return in;
}

// Fills vec for up to n pages from start; how many, or -ENOMEM at a hole.
static long mincore_chunk(struct mm_struct *mm, u64 start, u64 n, u8 *vec)
{
    u64 i;

    for (i = 0; i < n; i++) {
        u64 addr = start + (i << PAGE_SHIFT);
        struct vm_area_struct *vma = find_vma(mm, addr);

        if (!vma || vma->vm_start > addr)
            return -ENOMEM;
        vec[i] = page_in_core(vma, addr);
    }
    return (long)i;
}

SYSCALL_DEFINE(mincore)
{
    u64 start = ARG_ULONG(0), len = ARG_ULONG(1), pages;
    u8 __user *out = ARG_PTR(2);
    struct mm_struct *mm = current->mm;
    u8 *vec;
    long ret = 0;

    if (start & ~PAGE_MASK)
        return -EINVAL;
    if (!access_ok((void *)start, len))
        return -ENOMEM;
    pages = PAGE_ALIGN(len) >> PAGE_SHIFT;
    if (!access_ok(out, pages))
        return -EFAULT;
    vec = get_free_page(GFP_KERNEL);
    if (!vec)
        return -EAGAIN;
    while (pages && ret >= 0) {
        u64 n = min(pages, PAGE_SIZE);

        down_read(&mm->mmap_lock);
        ret = mincore_chunk(mm, start, n, vec);
        up_read(&mm->mmap_lock);
        if (ret < 0)
            break;
        if (copy_to_user(out, vec, n))
            ret = -EFAULT;
        pages -= n;
        out += n;
        start += n << PAGE_SHIFT;
    }
    free_page(vec);
    return ret < 0 ? ret : 0;
}

// --- mlock

static void note_locked(struct mm_struct *mm, long pages)
{
    mm->locked_vm += (u64)pages;
    mod_page_state(NR_MLOCK, pages);
}

// Sets or clears VM_LOCKED on [start, end); a hole is -ENOMEM. mmap lock held for writing.
static int set_locked(struct mm_struct *mm, u64 start, u64 end, bool lock)
{
    struct vm_area_struct *vma = find_vma(mm, start);

    for (u64 addr = start; addr < end;) {
        u64 stop, flags;
        int err;

        if (!vma || vma->vm_start > addr)
            return -ENOMEM;
        stop = min(end, vma->vm_end);
        flags = lock ? vma->vm_flags | VM_LOCKED : vma->vm_flags & ~VM_LOCKED;
        if (flags != vma->vm_flags && !(vma->vm_flags & VM_PFNMAP)) {
            err = vma_split_range(mm, addr, stop);
            if (err)
                return err;
            vma = find_vma(mm, addr);
            note_locked(mm, lock ? (long)vma_pages(vma) : -(long)vma_pages(vma));
            vma->vm_flags = flags;
            vma_merge_existing(vma);
        }
        addr = stop;
        vma = find_vma(mm, addr);
    }
    return 0;
}

static long lock_range(u64 start, u64 len, bool populate)
{
    struct mm_struct *mm = current->mm;
    u64 end = PAGE_ALIGN(start + len), already = 0;
    int err;

    start &= PAGE_MASK;
    if (end < start)
        return -EINVAL;
    if (end == start)
        return 0;
    if (!capable(CAP_IPC_LOCK) && rlimit(RLIMIT_MEMLOCK) == 0)
        return -EPERM;
    if (down_write_killable(&mm->mmap_lock))
        return -EINTR;
    for (struct vm_area_struct *v = find_vma(mm, start); v && v->vm_start < end; v = vma_next(v))
        if (v->vm_flags & VM_LOCKED)
            already += (min(v->vm_end, end) - max(v->vm_start, start)) >> PAGE_SHIFT;
    err = mlock_limit_ok(mm, ((end - start) >> PAGE_SHIFT) - already)
              ? -ENOMEM
              : set_locked(mm, start, end, true);
    up_write(&mm->mmap_lock);
    if (!err && populate)
        err = mm_populate(mm, start, end - start, false);
    return err;
}

SYSCALL_DEFINE(mlock)
{
    return lock_range(ARG_ULONG(0), ARG_ULONG(1), true);
}

#define MLOCK_ONFAULT 1
SYSCALL_DEFINE(mlock2)
{
    if (ARG_INT(2) & ~MLOCK_ONFAULT)
        return -EINVAL;
    return lock_range(ARG_ULONG(0), ARG_ULONG(1), !(ARG_INT(2) & MLOCK_ONFAULT));
}

SYSCALL_DEFINE(munlock)
{
    struct mm_struct *mm = current->mm;
    u64 start = ARG_ULONG(0) & PAGE_MASK, end = PAGE_ALIGN(ARG_ULONG(0) + ARG_ULONG(1));
    int err;

    if (end < start)
        return -EINVAL;
    if (down_write_killable(&mm->mmap_lock))
        return -EINTR;
    err = end == start ? 0 : set_locked(mm, start, end, false);
    up_write(&mm->mmap_lock);
    return err;
}

// Every area of the mm, one after the other. mmap lock held for writing.
static void set_all_locked(struct mm_struct *mm, bool lock)
{
    struct vm_area_struct *vma;

    list_for_each_entry(vma, &mm->mmap_list, vm_list)
    {
        bool is = vma->vm_flags & VM_LOCKED;

        if (is == lock || (vma->vm_flags & VM_PFNMAP))
            continue;
        vma->vm_flags ^= VM_LOCKED;
        note_locked(mm, lock ? (long)vma_pages(vma) : -(long)vma_pages(vma));
    }
}

SYSCALL_DEFINE(mlockall)
{
    struct mm_struct *mm = current->mm;
    int flags = ARG_INT(0);

    if (!flags || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT)
        return -EINVAL;
    if (!capable(CAP_IPC_LOCK) && rlimit(RLIMIT_MEMLOCK) == 0)
        return -EPERM;
    if (down_write_killable(&mm->mmap_lock))
        return -EINTR;
    if ((flags & MCL_CURRENT) && !capable(CAP_IPC_LOCK) &&
        mm->total_vm > rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT) {
        up_write(&mm->mmap_lock);
        return -ENOMEM;
    }
    mm->def_flags = (flags & MCL_FUTURE) ? mm->def_flags | VM_LOCKED : mm->def_flags & ~VM_LOCKED;
    if (flags & MCL_CURRENT)
        set_all_locked(mm, true);
    up_write(&mm->mmap_lock);
    if ((flags & MCL_CURRENT) && !(flags & MCL_ONFAULT)) {
        // Area by area: populating the holes between them would take for ever.
        for (u64 addr = 0;;) {
            struct vm_area_struct *vma;
            u64 start, end;

            down_read(&mm->mmap_lock);
            vma = find_vma(mm, addr);
            start = vma ? vma->vm_start : 0;
            end = vma ? vma->vm_end : 0;
            up_read(&mm->mmap_lock);
            if (!vma)
                break;
            mm_populate(mm, start, end - start, true);
            addr = end;
        }
    }
    return 0;
}

SYSCALL_DEFINE(munlockall)
{
    struct mm_struct *mm = current->mm;

    if (down_write_killable(&mm->mmap_lock))
        return -EINTR;
    mm->def_flags &= ~VM_LOCKED;
    set_all_locked(mm, false);
    up_write(&mm->mmap_lock);
    return 0;
}
