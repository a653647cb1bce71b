// SPDX-License-Identifier: MIT
// mmap and munmap: choosing an address, checks, limits, the new area, taking a range away.
#include "fs/fs.h"
#include "fs/mount.h"
#include "mm/mm_internal.h"
#include "mm/shmem.h"
#include "proc/cred.h"
#include "proc/signal.h"

u64 sysctl_stack_guard_gap = 256 * PAGE_SIZE;

// --- where

static bool range_free(struct mm_struct *mm, u64 addr, u64 len)
{
    struct vm_area_struct *next = find_vma(mm, addr);

    return addr + len <= mm->task_size && addr + len >= addr &&
           (!next || addr + len <= vma_start_gap(next));
}

// Highest gap of len bytes that ends at or below `limit`.
static u64 find_top_down(struct mm_struct *mm, u64 len, u64 limit)
{
    struct vm_area_struct *vma = find_vma(mm, limit - 1);
    u64 gap_end = limit;

    if (vma) {
        gap_end = min(gap_end, vma_start_gap(vma));
        vma = vma_prev(vma);
    } else if (!list_empty(&mm->mmap_list)) {
        vma = list_last_entry(&mm->mmap_list, struct vm_area_struct, vm_list);
    }
    for (;; vma = vma_prev(vma)) {
        u64 gap_start = vma ? vma->vm_end : (u64)PAGE_SIZE * 16;

        if (gap_end >= gap_start && gap_end - gap_start >= len)
            return gap_end - len;
        if (!vma)
            return (u64)-ENOMEM;
        gap_end = vma_start_gap(vma);
    }
}

static u64 find_bottom_up(struct mm_struct *mm, u64 len, u64 from, u64 limit)
{
    u64 addr = from;

    for (struct vm_area_struct *vma = find_vma(mm, addr);; vma = vma_next(vma)) {
        if (addr + len > limit)
            return (u64)-ENOMEM;
        if (!vma || addr + len <= vma_start_gap(vma))
            return addr;
        addr = max(addr, vma->vm_end);
    }
}

u64 get_unmapped_area(struct mm_struct *mm, u64 addr, u64 len, u64 flags)
{
    if (len > mm->task_size)
        return (u64)-ENOMEM;
    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
        if (addr & ~PAGE_MASK)
            return (u64)-EINVAL;
        return addr > mm->task_size - len ? (u64)-ENOMEM : addr;
    }
    if (flags & MAP_32BIT)
        return find_bottom_up(mm, len, 0x40000000, 0x80000000);
    if (addr) {
        addr = PAGE_ALIGN(addr);
        if (range_free(mm, addr, len))
            return addr;
    }
    u64 found = find_top_down(mm, len, mm->mmap_base);
    if (IS_ERR_VALUE(found))
        found = find_bottom_up(mm, len, mm->task_size / 3, mm->task_size);
    return found;
}

void mm_pick_layout(struct mm_struct *mm)
{
    u64 gap = current->signal ? rlimit(RLIMIT_STACK) : 8UL << 20;

    mm->task_size = TASK_SIZE;
    gap = gap > TASK_SIZE ? TASK_SIZE : gap + sysctl_stack_guard_gap;
    gap = clamp(gap, (u64)128 << 20, TASK_SIZE / 6 * 5);
    mm->mmap_base = PAGE_ALIGN(TASK_SIZE - gap);
}

// --- limits

static bool is_data_mapping(u64 vm_flags)
{
    return (vm_flags & (VM_WRITE | VM_SHARED | VM_GROWSDOWN)) == VM_WRITE;
}

bool may_expand_vm(struct mm_struct *mm, u64 vm_flags, const struct file *file, u64 pages)
{
    (void)file;
    if (!current->signal)
        return true;
    if (mm->total_vm + pages > rlimit(RLIMIT_AS) >> PAGE_SHIFT)
        return false;
    if (is_data_mapping(vm_flags) && mm->data_vm + pages > rlimit(RLIMIT_DATA) >> PAGE_SHIFT)
        return false;
    return true;
}

int mlock_limit_ok(struct mm_struct *mm, u64 more_pages)
{
    u64 limit = rlimit(RLIMIT_MEMLOCK);

    if (capable(CAP_IPC_LOCK))
        return 0;
    if (limit == 0)
        return -EPERM;
    return mm->locked_vm + more_pages > limit >> PAGE_SHIFT ? -EAGAIN : 0;
}

int sys_check_range(u64 start, u64 len, u64 *end)
{
    u64 n = PAGE_ALIGN(len);

    if ((start & ~PAGE_MASK) || n < len || start + n < start || start + n > TASK_SIZE)
        return -EINVAL;
    *end = start + n;
    return 0;
}

// --- taking away

// Frees the tables around a hole that has just been made at [start, end).
static void free_hole_tables(struct mmu_gather *g, struct mm_struct *mm, u64 start, u64 end)
{
    struct vm_area_struct *next = find_vma(mm, start);
    u64 floor = 0, ceiling = 1UL << 47;

    if (next) {
        struct vm_area_struct *prev = vma_prev(next);

        ceiling = next->vm_start;
        floor = prev ? prev->vm_end : 0;
    } else if (!list_empty(&mm->mmap_list)) {
        floor = list_last_entry(&mm->mmap_list, struct vm_area_struct, vm_list)->vm_end;
    }
    free_user_tables(g, start, end, floor, ceiling);
}

void mm_detach_unmap(struct mm_struct *mm, u64 start, u64 end)
{
    struct mmu_gather g;
    struct vm_area_struct *vma, *n;
    LIST_HEAD(dead);
    u64 accounted = 0;

    for (vma = find_vma(mm, start); vma && vma->vm_start < end; vma = n) {
        n = vma_next(vma);
        vma_unlink(vma);
        vma_account(mm, vma->vm_flags, vma->vm_file, -(long)vma_pages(vma));
        if (vma->vm_flags & VM_ACCOUNT)
            accounted += vma_pages(vma);
        list_add_tail(&vma->vm_list, &dead);
    }
    if (list_empty(&dead))
        return;
    gather_start(&g, mm);
    list_for_each_entry(vma, &dead, vm_list) zap_range(&g, vma, vma->vm_start, vma->vm_end, NULL);
    list_for_each_entry(vma, &dead, vm_list) vma_unlink_file(vma);
    free_hole_tables(&g, mm, start, end);
    gather_flush(&g);
    list_for_each_entry_safe(vma, n, &dead, vm_list) vma_close_free(vma);
    vm_unacct_memory(accounted);
}

int do_munmap(struct mm_struct *mm, u64 addr, u64 len)
{
    int err;

    if ((addr & ~PAGE_MASK) || addr > TASK_SIZE || len > TASK_SIZE - addr)
        return -EINVAL;
    len = PAGE_ALIGN(len);
    if (len == 0)
        return -EINVAL;
    if (!find_vma_intersection(mm, addr, addr + len))
        return 0;
    err = vma_split_range(mm, addr, addr + len);
    if (err)
        return err;
    mm_detach_unmap(mm, addr, addr + len);
    return 0;
}

int vm_munmap(u64 addr, u64 len)
{
    struct mm_struct *mm = current->mm;
    int err;

    if (down_write_killable(&mm->mmap_lock))
        return -EINTR;
    err = do_munmap(mm, addr, len);
    up_write(&mm->mmap_lock);
    return err;
}

// --- a new area

static u64 prot_to_vm(u64 prot)
{
    return ((prot & PROT_READ) ? VM_READ : 0) | ((prot & PROT_WRITE) ? VM_WRITE : 0) |
           ((prot & PROT_EXEC) ? VM_EXEC : 0);
}

static u64 map_flags_to_vm(u64 flags)
{
    return ((flags & MAP_GROWSDOWN) ? VM_GROWSDOWN : 0) | ((flags & MAP_LOCKED) ? VM_LOCKED : 0);
}

static int file_map_flags(struct file *file, u64 flags, u64 *vm_flags)
{
    const u64 legacy = MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE |
                       MAP_EXECUTABLE | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK |
                       MAP_STACK | MAP_HUGETLB | MAP_32BIT | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE;

    switch (flags & MAP_TYPE) {
    case MAP_SHARED_VALIDATE:
        if (flags & ~(legacy | MAP_SHARED_VALIDATE))
            return -ENOTSUP;
        fallthrough;
    case MAP_SHARED:
        if ((*vm_flags & VM_WRITE) && !(file->f_mode & FMODE_WRITE))
            return -EACCES;
        *vm_flags |= VM_SHARED | VM_MAYSHARE;
        if (!(file->f_mode & FMODE_WRITE))
            *vm_flags &= ~(VM_MAYWRITE | VM_SHARED); // a shared mapping that can never write
        fallthrough;
    case MAP_PRIVATE:
        if (!(file->f_mode & FMODE_READ))
            return -EACCES;
        if (file->f_path.mnt && (file->f_path.mnt->mnt_flags & MS_NOEXEC)) {
            if (*vm_flags & VM_EXEC)
                return -EPERM;
            *vm_flags &= ~VM_MAYEXEC;
        }
        if (!file->f_op || !file->f_op->mmap)
            return -ENODEV;
        return *vm_flags & VM_GROWSDOWN ? -EINVAL : 0;
    default:
        return -EINVAL;
    }
}

static int anon_map_flags(u64 flags, u64 addr, u64 *vm_flags, unsigned long *pgoff)
{
    switch (flags & MAP_TYPE) {
    case MAP_SHARED:
        if (*vm_flags & VM_GROWSDOWN)
            return -EINVAL;
        *pgoff = 0;
        *vm_flags |= VM_SHARED | VM_MAYSHARE;
        return 0;
    case MAP_PRIVATE:
        *pgoff = addr >> PAGE_SHIFT;
        return 0;
    default:
        return -EINVAL;
    }
}

// Makes and links the area; boundaries checked, range free, memory charged.
static int install_area(struct mm_struct *mm, struct file *file, u64 addr, u64 len, u64 vm_flags,
                        unsigned long pgoff)
{
    struct vm_area_struct *vma = vma_alloc(mm);
    int err = 0;

    if (!vma)
        return -ENOMEM;
    vma->vm_start = addr;
    vma->vm_end = addr + len;
    vma->vm_flags = vm_flags;
    vma->vm_page_prot = mm_prot(vm_flags);
    vma->vm_pgoff = pgoff;
    if (file) {
        vma->vm_file = get_file(file);
        err = file->f_op->mmap(file, vma);
    } else if (vm_flags & VM_SHARED) {
        err = shmem_zero_setup(vma);
    }
    if (err) {
        if (vma->vm_file)
            fput(vma->vm_file);
        vma_free(vma);
        return err;
    }
    vma_link(mm, vma);
    vma_account(mm, vma->vm_flags, vma->vm_file, (long)(len >> PAGE_SHIFT));
    vma_merge_existing(vma);
    return 0;
}

static int map_region(struct mm_struct *mm, struct file *file, u64 addr, u64 len, u64 vm_flags,
                      unsigned long pgoff)
{
    u64 pages = len >> PAGE_SHIFT;
    int err;

    if (!may_expand_vm(mm, vm_flags, file, pages)) {
        // What a fixed mapping replaces does not count against the limit.
        u64 covered = 0;

        for (struct vm_area_struct *v = find_vma(mm, addr); v && v->vm_start < addr + len;
             v = vma_next(v))
            covered += (min(v->vm_end, addr + len) - max(v->vm_start, addr)) >> PAGE_SHIFT;
        if (!may_expand_vm(mm, vm_flags, file, pages - covered))
            return -ENOMEM;
    }
    err = do_munmap(mm, addr, len);
    if (err)
        return err;
    if (mm_accountable(vm_flags, file)) {
        err = vm_acct_memory(pages);
        if (err)
            return err;
        vm_flags |= VM_ACCOUNT;
    }
    if (!file && !(vm_flags & VM_SHARED)) {
        struct vma_params p = {addr, addr + len, vm_flags, NULL, pgoff, NULL, NULL};

        if (vma_merge_new(mm, &p)) {
            vma_account(mm, vm_flags, NULL, (long)pages);
            return 0;
        }
    }
    err = install_area(mm, file, addr, len, vm_flags, pgoff);
    if (err && (vm_flags & VM_ACCOUNT))
        vm_unacct_memory(pages);
    return err;
}

long do_mmap(struct mm_struct *mm, struct file *file, u64 addr, u64 len, u64 prot, u64 flags,
             unsigned long pgoff)
{
    u64 vm_flags;
    int err;

    if (len == 0)
        return -EINVAL;
    if (flags & MAP_FIXED_NOREPLACE)
        flags |= MAP_FIXED;
    if (!(flags & MAP_FIXED)) {
        addr &= PAGE_MASK;
        if (addr && addr < 16 * PAGE_SIZE)
            addr = 16 * PAGE_SIZE;
    }
    len = PAGE_ALIGN(len);
    if (len == 0)
        return -ENOMEM;
    if (pgoff + (len >> PAGE_SHIFT) < pgoff)
        return -EOVERFLOW;
    if (mm->map_count > sysctl_max_map_count)
        return -ENOMEM;
    addr = get_unmapped_area(mm, addr, len, flags);
    if (IS_ERR_VALUE(addr))
        return (long)addr;
    if ((flags & MAP_FIXED) && addr < 16 * PAGE_SIZE && !capable(CAP_SYS_RAWIO))
        return -EPERM;
    if ((flags & MAP_FIXED_NOREPLACE) && find_vma_intersection(mm, addr, addr + len))
        return -EEXIST;
    vm_flags = prot_to_vm(prot) | map_flags_to_vm(flags) | mm->def_flags | VM_MAYREAD |
               VM_MAYWRITE | VM_MAYEXEC;
    if (vm_flags & VM_LOCKED) {
        err = mlock_limit_ok(mm, len >> PAGE_SHIFT);
        if (err)
            return err;
    }
    err = file ? file_map_flags(file, flags, &vm_flags)
               : anon_map_flags(flags, addr, &vm_flags, &pgoff);
    if (err)
        return err;
    if ((flags & MAP_NORESERVE) && sysctl_overcommit_memory != 2)
        vm_flags |= VM_NORESERVE;
    err = map_region(mm, file, addr, len, vm_flags, pgoff);
    return err ? err : (long)addr;
}

long vm_mmap(struct file *file, u64 addr, u64 len, u64 prot, u64 flags, u64 offset_bytes)
{
    struct mm_struct *mm = current->mm;
    bool locked;
    long ret;

    if (offset_bytes & ~PAGE_MASK)
        return -EINVAL;
    if (down_write_killable(&mm->mmap_lock))
        return -EINTR;
    ret = do_mmap(mm, file, addr, len, prot, flags, offset_bytes >> PAGE_SHIFT);
    locked = (mm->def_flags & VM_LOCKED) || (flags & MAP_LOCKED);
    up_write(&mm->mmap_lock);
    if (!IS_ERR_VALUE(ret) && (locked || (flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE))
        mm_populate(mm, (u64)ret, len, true);
    return ret;
}

long do_brk(struct mm_struct *mm, u64 addr, u64 len, u64 vm_flags)
{
    int err;

    len = PAGE_ALIGN(len);
    if (len == 0)
        return 0;
    if (mm->map_count > sysctl_max_map_count)
        return -ENOMEM;
    vm_flags |= VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | mm->def_flags;
    if (get_unmapped_area(mm, addr, len, MAP_FIXED) != addr)
        return -ENOMEM;
    if (vm_flags & VM_LOCKED) {
        err = mlock_limit_ok(mm, len >> PAGE_SHIFT);
        if (err)
            return err;
    }
    return map_region(mm, NULL, addr, len, vm_flags, addr >> PAGE_SHIFT);
}

// --- stacks

#define INITIAL_STACK_PAGES 33UL // what Linux shows: 128 KiB and the page of the strings

int mm_setup_stack(struct mm_struct *mm, u64 top, u64 vm_flags)
{
    u64 size =
        min(INITIAL_STACK_PAGES * PAGE_SIZE, max(rlimit(RLIMIT_STACK) & PAGE_MASK, PAGE_SIZE));
    int err;

    if (top & ~PAGE_MASK)
        return -EINVAL;
    vm_flags |=
        VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_GROWSDOWN | mm->def_flags;
    err = map_region(mm, NULL, top - size, size, vm_flags, (top - size) >> PAGE_SHIFT);
    if (!err)
        mm->start_stack = top;
    return err;
}

// May the area start at `address` instead? Limits, then the gap to what lies below.
static int stack_growth_ok(struct vm_area_struct *vma, u64 address, u64 grow)
{
    struct mm_struct *mm = vma->vm_mm;
    struct vm_area_struct *prev = vma_prev(vma);

    if (address < 16 * PAGE_SIZE)
        return -EPERM;
    if (prev && !(prev->vm_flags & VM_GROWSDOWN) && (prev->vm_flags & VM_ACCESS_FLAGS) &&
        address - prev->vm_end < sysctl_stack_guard_gap)
        return -ENOMEM;
    if (prev && prev->vm_end > address)
        return -ENOMEM;
    if (vma->vm_end - address > rlimit(RLIMIT_STACK))
        return -ENOMEM;
    if (!may_expand_vm(mm, vma->vm_flags, NULL, grow))
        return -ENOMEM;
    if ((vma->vm_flags & VM_LOCKED) && mlock_limit_ok(mm, grow))
        return -ENOMEM;
    return 0;
}

int expand_stack(struct vm_area_struct *vma, u64 address)
{
    struct mm_struct *mm = vma->vm_mm;
    int err = 0;

    address &= PAGE_MASK;
    // The mmap lock may be held for reading only: the page-table lock makes concurrent growths take
    // turns, and all other writers of bounds and links hold the mmap lock for writing.
    spin_lock(&mm->page_table_lock);
    if (address < vma->vm_start) {
        u64 grow = (vma->vm_start - address) >> PAGE_SHIFT;

        err = stack_growth_ok(vma, address, grow);
        if (!err && (vma->vm_flags & VM_ACCOUNT))
            err = vm_acct_memory(grow);
        if (!err) {
            vma->vm_start = address;
            vma->vm_pgoff -= grow;
            vma_account(mm, vma->vm_flags, NULL, (long)grow);
        }
    }
    spin_unlock(&mm->page_table_lock);
    return err;
}
