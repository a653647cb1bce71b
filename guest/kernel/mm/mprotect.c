// SPDX-License-Identifier: MIT
// mprotect(2): new access rights for areas and the entries that exist.
#include "fs/fs.h"
#include "mm/mm_internal.h"
#include "syscall/syscall.h"

// The entry with the rights of `prot`. Write permission is given only where it was there before:
// the next write fault decides about copies and dirty tracking.
static pte_t change_entry(pte_t e, u64 prot, u64 vm_flags)
{
    pte_t n = (e & (PTE_ADDR_MASK | PTE_DIRTY)) | prot;

    n &= ~PTE_WRITE;
    if (pte_hw_present(e) && pte_write(e) && (vm_flags & VM_WRITE))
        n |= PTE_WRITE;
    return n;
}

static void change_table(struct vm_area_struct *vma, pte_t *pte, u64 addr, u64 end)
{
    struct mm_struct *mm = vma->vm_mm;

    spin_lock(&mm->page_table_lock);
    for (; addr < end; addr += PAGE_SIZE, pte++) {
        if (!pte_present(
                pte_read(pte))) // none, or a swap entry: it gets its rights when it comes in
            continue;
        pte_set(pte, change_entry(pte_get_and_clear(pte), vma->vm_page_prot, vma->vm_flags));
    }
    spin_unlock(&mm->page_table_lock);
}

static void change_protection(struct vm_area_struct *vma, u64 start, u64 end)
{
    bool any = false;

    for (u64 addr = start; addr < end;) {
        u64 table_end;
        pte_t *pte = pte_lookup(vma->vm_mm, addr, &table_end);

        if (pte) {
            change_table(vma, pte, addr, min(end, table_end));
            any = true;
        }
        addr = table_end;
    }
    if (any)
        tlb_flush_range(vma->vm_mm, start, end);
}

// [start, end) lies inside vma. Returns the area that covers it afterwards, or ERR_PTR.
static struct vm_area_struct *protect_area(struct vm_area_struct *vma, u64 start, u64 end,
                                           u64 flags)
{
    struct mm_struct *mm = vma->vm_mm;
    u64 pages = (end - start) >> PAGE_SHIFT, charged = 0;
    int err;

    if (flags == vma->vm_flags)
        return vma;
    // A private area that becomes writable may need pages of its own.
    if ((flags & VM_WRITE) &&
        !(vma->vm_flags & (VM_ACCOUNT | VM_WRITE | VM_SHARED | VM_NORESERVE))) {
        if (!may_expand_vm(mm, flags, vma->vm_file, 0) || vm_acct_memory(pages) != 0)
            return ERR_PTR(-ENOMEM);
        charged = pages;
        flags |= VM_ACCOUNT;
    }
    err = vma_split_range(mm, start, end);
    if (err) {
        vm_unacct_memory(charged);
        return ERR_PTR(err);
    }
    vma = find_vma(mm, start);
    vma_account(mm, vma->vm_flags, vma->vm_file, -(long)pages);
    vma->vm_flags = flags;
    vma->vm_page_prot = mm_prot(flags);
    vma_account(mm, flags, vma->vm_file, (long)pages);
    change_protection(vma, start, end);
    return vma_merge_existing(vma);
}

static int do_mprotect(struct mm_struct *mm, u64 start, u64 end, u64 prot)
{
    u64 access = ((prot & PROT_READ) ? VM_READ : 0) | ((prot & PROT_WRITE) ? VM_WRITE : 0) |
                 ((prot & PROT_EXEC) ? VM_EXEC : 0);
    struct vm_area_struct *vma = find_vma(mm, start);

    if (!vma || vma->vm_start >= end)
        return -ENOMEM;
    if (prot & PROT_GROWSDOWN) {
        if (!(vma->vm_flags & VM_GROWSDOWN))
            return -EINVAL;
        start = vma->vm_start;
    } else if (vma->vm_start > start) {
        return -ENOMEM;
    }
    for (u64 addr = start; addr < end;) {
        u64 stop, flags;

        if (!vma || vma->vm_start > addr)
            return -ENOMEM;
        flags = (vma->vm_flags & ~VM_ACCESS_FLAGS) | access;
        if ((flags & ~(flags >> 4)) & VM_ACCESS_FLAGS)
            return -EACCES;
        stop = min(end, vma->vm_end);
        vma = protect_area(vma, addr, stop, flags);
        if (IS_ERR(vma))
            return (int)PTR_ERR(vma);
        addr = stop;
        vma = find_vma(mm, addr);
    }
    return 0;
}

SYSCALL_DEFINE(mprotect)
{
    u64 start = ARG_ULONG(0), len = ARG_ULONG(1), prot = ARG_ULONG(2), end;
    struct mm_struct *mm = current->mm;
    int err;

    if ((prot & (PROT_GROWSDOWN | PROT_GROWSUP)) == (PROT_GROWSDOWN | PROT_GROWSUP))
        return -EINVAL;
    if (start & ~PAGE_MASK)
        return -EINVAL;
    if (len == 0)
        return 0;
    end = start + PAGE_ALIGN(len);
    if (end <= start)
        return -ENOMEM;
    if (prot & ~(u64)(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_GROWSDOWN | PROT_GROWSUP |
                      8 /* PROT_SEM */))
        return -EINVAL;
    if (prot & PROT_GROWSUP)
        return -EINVAL; // no area grows up here
    if (down_write_killable(&mm->mmap_lock))
        return -EINTR;
    err = do_mprotect(mm, start, end, prot);
    up_write(&mm->mmap_lock);
    return err;
}
