// SPDX-License-Identifier: MIT
// Another address space from the kernel: pinning its pages, copying to and from it, faulting ranges
// in.
#include "fs/fs.h"
#include "lib/string.h"
#include "mm/mm_internal.h"
#include "mm/shmem.h"

// The page that the entry of addr maps, referenced; NULL if it must be faulted in first. zero_page
// counts.
static struct page *follow_page(struct vm_area_struct *vma, u64 addr, bool write)
{
    struct page *p = NULL;
    pte_t *pte, e;

    spin_lock(&vma->vm_mm->page_table_lock);
    pte = pte_lookup(vma->vm_mm, addr, NULL);
    e = pte ? pte_read(pte) : 0;
    if (pte_present(e) && (!write || pte_write(e))) {
        p = pfn_to_page(pte_pfn(e));
        get_page(p);
    }
    spin_unlock(&vma->vm_mm->page_table_lock);
    return p;
}

// mmap lock held for reading; *locked false when a fault dropped it.
static struct page *pin_page(struct mm_struct *mm, u64 addr, bool write, bool *locked)
{
    struct vm_area_struct *vma = find_vma(mm, addr);

    if (vma && vma->vm_start > addr && (vma->vm_flags & VM_GROWSDOWN) &&
        expand_stack(vma, addr) != 0)
        vma = NULL;
    if (!vma || vma->vm_start > addr || (vma->vm_flags & (VM_IO | VM_PFNMAP)))
        return ERR_PTR(-EFAULT);
    if (!(vma->vm_flags & (write ? VM_WRITE : VM_READ | VM_MAYREAD)))
        return ERR_PTR(-EFAULT);
    for (;;) {
        struct page *p = follow_page(vma, addr, write);
        vm_fault_t ret;

        if (p)
            return p;
        if (fatal_signal_pending(current))
            return ERR_PTR(-EINTR);
        ret = handle_mm_fault(vma, addr, write ? FAULT_FLAG_WRITE : 0);
        if (ret & VM_FAULT_RETRY) {
            *locked = false;
            return NULL;
        }
        if (ret & VM_FAULT_OOM)
            return ERR_PTR(-ENOMEM);
        if (ret & VM_FAULT_ERROR)
            return ERR_PTR(-EFAULT);
        cond_resched();
    }
}

struct page *get_user_page(struct mm_struct *mm, u64 addr, bool write)
{
    struct page *p;

    addr &= PAGE_MASK;
    do {
        bool locked = true;

        if (down_read_killable(&mm->mmap_lock))
            return ERR_PTR(-EINTR);
        p = pin_page(mm, addr, write, &locked);
        if (locked)
            up_read(&mm->mmap_lock);
    } while (!p);
    return p;
}

ssize_t access_process_vm(struct mm_struct *mm, u64 addr, void *buf, size_t len, bool write)
{
    size_t done = 0;

    while (done < len) {
        size_t offset = (addr + done) & ~PAGE_MASK, n = min(PAGE_SIZE - offset, len - done);
        struct page *p = get_user_page(mm, addr + done, write);
        char *at;

        if (IS_ERR(p))
            return done ? (ssize_t)done : PTR_ERR(p);
        at = (char *)page_address(p) + offset;
        if (write) {
            memcpy(at, (char *)buf + done, n);
            if (!PageAnon(p))
                set_page_dirty(p);
        } else {
            memcpy((char *)buf + done, at, n);
        }
        put_page(p);
        done += n;
    }
    return (ssize_t)done;
}

int mm_populate(struct mm_struct *mm, u64 start, u64 len, bool ignore_errors)
{
    u64 end = start + PAGE_ALIGN(len);

    for (u64 addr = start & PAGE_MASK; addr < end; addr += PAGE_SIZE) {
        struct vm_area_struct *vma;
        struct page *p;
        bool write, accessible;

        if (down_read_killable(&mm->mmap_lock))
            return -EINTR;
        vma = find_vma_intersection(mm, addr, addr + 1);
        accessible = vma && (vma->vm_flags & VM_ACCESS_FLAGS);
        // Private writable areas are filled with pages of their own, so that later writes do not
        // fault.
        write = vma && (vma->vm_flags & (VM_WRITE | VM_SHARED)) == VM_WRITE;
        up_read(&mm->mmap_lock);
        if (!accessible) {
            if (!ignore_errors)
                return -ENOMEM;
            continue;
        }
        p = get_user_page(mm, addr, write);
        if (!IS_ERR(p)) {
            put_page(p);
        } else if (!ignore_errors || PTR_ERR(p) == -EINTR || PTR_ERR(p) == -ENOMEM) {
            return (int)PTR_ERR(p);
        }
        cond_resched();
    }
    return 0;
}

vm_fault_t vm_map_device(struct vm_fault *vmf, u64 first_pfn)
{
    struct vm_area_struct *vma = vmf->vma;
    u64 table = vmf->address & ~(PTRS_PER_TABLE * PAGE_SIZE - 1);
    u64 addr = max(table, vma->vm_start);
    u64 end = min(table + PTRS_PER_TABLE * PAGE_SIZE, vma->vm_end);
    u64 pfn = first_pfn + vma->vm_pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT);
    pte_t *pte = vmf->pte - (vmf->address - addr) / PAGE_SIZE;

    spin_lock(&vma->vm_mm->page_table_lock);
    for (; addr < end; addr += PAGE_SIZE, pte++, pfn++)
        if (pte_none(pte_read(pte)))
            pte_set(pte, pfn_pte(pfn, vma->vm_page_prot));
    spin_unlock(&vma->vm_mm->page_table_lock);
    return VM_FAULT_NOPAGE;
}

int shmem_zero_setup(struct vm_area_struct *vma)
{
    struct file *f =
        shmem_file_setup("dev/zero", (loff_t)(vma->vm_end - vma->vm_start), vma->vm_flags);
    int err;

    if (IS_ERR(f))
        return (int)PTR_ERR(f);
    err = f->f_op->mmap ? f->f_op->mmap(f, vma) : -ENODEV;
    if (err) {
        fput(f);
        return err;
    }
    if (vma->vm_file)
        fput(vma->vm_file);
    vma->vm_file = f;
    return 0;
}
