// SPDX-License-Identifier: MIT
// Page faults: demand zero, file pages, copy-on-write, write-enable of shared pages, stack growth,
// spurious ones.
#include "abi/signal.h"
#include "fs/fs.h"
#include "mm/mm_internal.h"
#include "proc/signal.h"

u64 mm_prot(u64 vm_flags)
{
    u64 prot;

    // x86 has neither write-only nor execute-only pages: any access makes them readable.
    if (!(vm_flags & VM_ACCESS_FLAGS))
        return PTE_PROTNONE | PTE_USER | PTE_ACCESSED | nx_mask;
    prot = PTE_PRESENT | PTE_USER | PTE_ACCESSED;
    if (!(vm_flags & VM_EXEC))
        prot |= nx_mask;
    if ((vm_flags & (VM_SHARED | VM_WRITE)) == (VM_SHARED | VM_WRITE))
        prot |= PTE_WRITE;
    return prot;
}

static u64 prot_readonly(const struct vm_area_struct *vma)
{
    return vma->vm_page_prot & ~PTE_WRITE;
}

// Bits of an entry made by a write fault. VM_WRITE may be missing: a forced write of a debugger
// stays read-only.
static u64 prot_written(const struct vm_area_struct *vma)
{
    return (vma->vm_page_prot | PTE_DIRTY | PTE_ACCESSED) |
           ((vma->vm_flags & VM_WRITE) ? PTE_WRITE : 0);
}

// The entry's lock, and whether the entry is still what the fault saw.
static bool lock_unchanged(struct vm_fault *vmf)
{
    spin_lock(&vmf->vma->vm_mm->page_table_lock);
    return pte_read(vmf->pte) == vmf->orig_pte;
}

static void unlock_pte(struct vm_fault *vmf)
{
    spin_unlock(&vmf->vma->vm_mm->page_table_lock);
}

static void install_anon(struct vm_fault *vmf, struct page *p)
{
    struct vm_area_struct *vma = vmf->vma;

    page_add_anon_rmap(p, vma, vmf->address);
    mm_add(vma->vm_mm, MM_ANONPAGES, 1);
    lru_cache_add(p); // first: once the entry is there, another thread's madvise may free the page
    pte_set(vmf->pte, page_to_phys(p) | prot_written(vma));
}

static void install_file(struct vm_fault *vmf, pte_t *pte, struct page *p, u64 prot)
{
    page_add_file_rmap(p);
    mm_add(vmf->vma->vm_mm, page_counter(p), 1);
    pte_set(pte, page_to_phys(p) | prot);
}

static vm_fault_t fault_anonymous(struct vm_fault *vmf)
{
    struct vm_area_struct *vma = vmf->vma;
    struct page *p;

    if (vma->vm_flags & VM_SHARED) // a shared area always has a file
        return VM_FAULT_SIGBUS;
    if (!(vmf->flags & FAULT_FLAG_WRITE)) {
        if (lock_unchanged(vmf))
            pte_set(vmf->pte, page_to_phys(zero_page) | prot_readonly(vma));
        unlock_pte(vmf);
        return 0;
    }
    p = alloc_page(GFP_USER | __GFP_ZERO);
    if (!p)
        return VM_FAULT_OOM;
    if (!lock_unchanged(vmf)) {
        unlock_pte(vmf);
        put_page(p);
        return 0;
    }
    install_anon(vmf, p);
    unlock_pte(vmf);
    return 0;
}

// --- file pages

// Few: a short-lived program touches little of its text, and each page costs again when it is
// unmapped.
#define FAULT_AROUND_PAGES 4UL

// Maps pages of the neighbourhood that are in the cache anyway. Never blocks, takes no fault's
// place.
static void map_around(struct vm_fault *vmf)
{
    struct vm_area_struct *vma = vmf->vma;
    struct address_space *m = vma->vm_file->f_mapping;
    u64 window = ALIGN_DOWN(vmf->address, FAULT_AROUND_PAGES * PAGE_SIZE);
    u64 first = max(window, vma->vm_start);
    u64 last = min(window + FAULT_AROUND_PAGES * PAGE_SIZE, vma->vm_end); // never crosses a table
    struct page *pages[FAULT_AROUND_PAGES];
    unsigned long index = linear_index(vma, first), end = linear_index(vma, last - PAGE_SIZE);
    unsigned long file_pages =
        (unsigned long)((i_size_read(m->host) + (loff_t)PAGE_SIZE - 1) >> PAGE_SHIFT);
    unsigned long base = index;
    unsigned n, ready = 0;

    n = find_get_pages(m, &index, end, FAULT_AROUND_PAGES, pages);
    for (unsigned i = 0; i < n; i++) {
        struct page *p = pages[i];

        if (PageUptodate(p) && !PageLocked(p) && trylock_page(p)) {
            if (p->mapping == m && PageUptodate(p) && p->index < file_pages) {
                pages[ready++] = p;
                continue;
            }
            unlock_page(p);
        }
        put_page(p);
    }
    if (!ready)
        return;
    pte_t *first_pte = vmf->pte - ((vmf->address - first) >> PAGE_SHIFT);
    bool mapped[FAULT_AROUND_PAGES];

    spin_lock(&vma->vm_mm->page_table_lock);
    for (unsigned i = 0; i < ready; i++) {
        struct page *p = pages[i];
        pte_t *pte = first_pte + (p->index - base);

        mapped[i] = pte_none(pte_read(pte));
        if (mapped[i]) // the lookup's reference becomes the entry's
            install_file(vmf, pte, p, prot_readonly(vma));
    }
    spin_unlock(&vma->vm_mm->page_table_lock);
    for (unsigned i = 0; i < ready; i++) {
        unlock_page(pages[i]);
        if (!mapped[i])
            put_page(pages[i]);
    }
}

// Asks the file for the page: locked and referenced in vmf->page when the result is 0 or
// VM_FAULT_MAJOR.
static vm_fault_t file_page(struct vm_fault *vmf)
{
    vm_fault_t ret = vmf->vma->vm_ops->fault(vmf);

    if (ret & (VM_FAULT_ERROR | VM_FAULT_NOPAGE | VM_FAULT_RETRY))
        return ret;
    if (!(ret & VM_FAULT_LOCKED))
        lock_page(vmf->page);
    return ret & VM_FAULT_MAJOR;
}

static vm_fault_t fault_file_read(struct vm_fault *vmf)
{
    struct vm_area_struct *vma = vmf->vma;
    vm_fault_t ret;

    if (vma->vm_ops->fault == filemap_fault) {
        map_around(vmf);
        if (!pte_none(pte_read(vmf->pte)))
            return 0;
    }
    ret = file_page(vmf);
    if (ret & (VM_FAULT_ERROR | VM_FAULT_NOPAGE | VM_FAULT_RETRY))
        return ret;
    bool done = lock_unchanged(vmf);

    if (done)
        install_file(vmf, vmf->pte, vmf->page, prot_readonly(vma));
    unlock_pte(vmf);
    unlock_page(vmf->page);
    if (!done)
        put_page(vmf->page);
    return ret;
}

// A write to a private mapping of a page that is not mapped yet: straight to the copy.
static vm_fault_t fault_file_cow(struct vm_fault *vmf)
{
    struct page *copy = alloc_page(GFP_USER);
    vm_fault_t ret;

    if (!copy)
        return VM_FAULT_OOM;
    ret = file_page(vmf);
    if (ret & (VM_FAULT_ERROR | VM_FAULT_NOPAGE | VM_FAULT_RETRY)) {
        put_page(copy);
        return ret;
    }
    copy_page(page_address(copy), page_address(vmf->page));
    bool done = lock_unchanged(vmf);

    if (done)
        install_anon(vmf, copy);
    unlock_pte(vmf);
    unlock_page(vmf->page);
    put_page(vmf->page);
    if (!done)
        put_page(copy);
    return ret;
}

// Lets the file system prepare a shared page for writing. 0: vmf->page is locked, dirty and still
// in the file.
static vm_fault_t make_writable(struct vm_fault *vmf)
{
    const struct vm_operations_struct *ops = vmf->vma->vm_ops;
    struct page *p = vmf->page;
    vm_fault_t ret = 0;

    if (ops && ops->page_mkwrite) {
        ret = ops->page_mkwrite(vmf);
        if (ret & (VM_FAULT_ERROR | VM_FAULT_NOPAGE | VM_FAULT_RETRY))
            return ret;
    }
    if (!(ret & VM_FAULT_LOCKED))
        lock_page(p);
    if (!p->mapping) {
        unlock_page(p);
        return VM_FAULT_NOPAGE;
    }
    set_page_dirty(p);
    return 0;
}

static vm_fault_t fault_file_shared(struct vm_fault *vmf)
{
    vm_fault_t ret = file_page(vmf), mk;

    if (ret & (VM_FAULT_ERROR | VM_FAULT_NOPAGE | VM_FAULT_RETRY))
        return ret;
    struct address_space *m = vmf->page->mapping;

    unlock_page(vmf->page);
    mk = make_writable(vmf);
    if (mk) {
        put_page(vmf->page);
        return mk;
    }
    bool done = lock_unchanged(vmf);

    if (done)
        install_file(vmf, vmf->pte, vmf->page, prot_written(vmf->vma));
    unlock_pte(vmf);
    unlock_page(vmf->page);
    if (!done)
        put_page(vmf->page);
    balance_dirty_pages(m);
    return ret;
}

// --- write faults on present entries

// A shared page that was mapped read-only so that this first write is noticed. pte lock held;
// dropped.
static vm_fault_t wp_shared(struct vm_fault *vmf, struct page *p)
{
    struct address_space *m;
    vm_fault_t ret;

    get_page(p);
    unlock_pte(vmf);
    vmf->page = p;
    ret = make_writable(vmf);
    if (ret) {
        put_page(p);
        return ret;
    }
    m = p->mapping;
    if (lock_unchanged(vmf)) {
        pte_set(vmf->pte, vmf->orig_pte | PTE_WRITE | PTE_DIRTY | PTE_ACCESSED);
        tlb_flush_page_here(vmf->vma->vm_mm, vmf->address); // others fault, and find it done
    }
    unlock_pte(vmf);
    unlock_page(p);
    put_page(p);
    balance_dirty_pages(m);
    return 0;
}

// pte lock held; dropped. old == NULL: the entry maps the zero page.
static vm_fault_t wp_copy(struct vm_fault *vmf, struct page *old)
{
    struct mm_struct *mm = vmf->vma->vm_mm;
    struct page *copy;

    if (old)
        get_page(old);
    unlock_pte(vmf);
    copy = alloc_page(old ? GFP_USER : GFP_USER | __GFP_ZERO);
    if (!copy) {
        if (old)
            put_page(old);
        return VM_FAULT_OOM;
    }
    if (old)
        copy_page(page_address(copy), page_address(old));
    bool done = lock_unchanged(vmf);

    if (done) {
        pte_get_and_clear(vmf->pte);
        tlb_flush_page(mm, vmf->address);
        if (old) {
            mm_add(mm, page_counter(old), -1);
            page_remove_rmap(old);
        }
        install_anon(vmf, copy);
    }
    unlock_pte(vmf);
    if (!done)
        put_page(copy);
    if (old) {
        put_page(old);
        if (done)
            put_page(old); // the entry's
    }
    return 0;
}

// pte lock held; dropped.
static vm_fault_t fault_write_protected(struct vm_fault *vmf)
{
    struct vm_area_struct *vma = vmf->vma;
    struct page *p = pfn_to_page(pte_pfn(vmf->orig_pte));

    if (vma->vm_flags & VM_PFNMAP) { // shared: mprotect has made it writable again
        bool may = (vma->vm_flags & (VM_SHARED | VM_WRITE)) == (VM_SHARED | VM_WRITE);
        if (may) {
            pte_set(vmf->pte, vmf->orig_pte | PTE_WRITE | PTE_DIRTY | PTE_ACCESSED);
            tlb_flush_page_here(vma->vm_mm, vmf->address);
        }
        unlock_pte(vmf);
        return may ? 0 : VM_FAULT_SIGBUS;
    }
    if (p == zero_page)
        return wp_copy(vmf, NULL);
    if (vma->vm_flags & VM_SHARED)
        return wp_shared(vmf, p);
    // Nobody else holds this private page: it need not be copied.
    if (PageAnon(p) && page_count(p) == 1 && (vma->vm_flags & VM_WRITE)) {
        pte_set(vmf->pte, vmf->orig_pte | PTE_WRITE | PTE_DIRTY | PTE_ACCESSED);
        tlb_flush_page_here(vma->vm_mm, vmf->address);
        unlock_pte(vmf);
        return 0;
    }
    return wp_copy(vmf, p);
}

static vm_fault_t fault_present(struct vm_fault *vmf)
{
    bool write = vmf->flags & FAULT_FLAG_WRITE;

    if (!lock_unchanged(vmf)) {
        unlock_pte(vmf);
        return 0;
    }
    if (!pte_hw_present(vmf->orig_pte)) { // PROT_NONE page of an area that may be accessed again
        pte_set(vmf->pte, (vmf->orig_pte & PTE_ADDR_MASK) | (vmf->orig_pte & PTE_DIRTY) |
                              prot_readonly(vmf->vma));
        unlock_pte(vmf);
        return 0;
    }
    if (write && !pte_write(vmf->orig_pte))
        return fault_write_protected(vmf);
    // Another thread was faster, or this CPU's TLB is stale. Another CPU may be setting the dirty
    // bit.
    __atomic_or_fetch(vmf->pte, PTE_ACCESSED | (write ? PTE_DIRTY : 0), __ATOMIC_SEQ_CST);
    tlb_flush_page_here(vmf->vma->vm_mm, vmf->address);
    unlock_pte(vmf);
    return 0;
}

vm_fault_t handle_mm_fault(struct vm_area_struct *vma, u64 address, unsigned flags)
{
    struct vm_fault vmf = {
        .vma = vma,
        .flags = flags,
        .address = address & PAGE_MASK,
        .pgoff = linear_index(vma, address & PAGE_MASK),
    };

    vmf.pte = pte_alloc(vma->vm_mm, vmf.address);
    if (!vmf.pte)
        return VM_FAULT_OOM;
    vmf.orig_pte = pte_read(vmf.pte);
    if (pte_present(vmf.orig_pte))
        return fault_present(&vmf);
    if (!pte_none(vmf.orig_pte)) // a swap entry, but no swap device exists: its contents are lost
        return VM_FAULT_SIGBUS;
    if (vma_is_anon(vma))
        return fault_anonymous(&vmf);
    if (!(flags & FAULT_FLAG_WRITE))
        return fault_file_read(&vmf);
    return vma->vm_flags & VM_SHARED ? fault_file_shared(&vmf) : fault_file_cow(&vmf);
}

// --- from the trap handler

static bool access_allowed(u64 vm_flags, unsigned flags)
{
    if (flags & FAULT_FLAG_WRITE)
        return vm_flags & VM_WRITE;
    if (flags & FAULT_FLAG_EXEC)
        return vm_flags & VM_EXEC;
    return vm_flags & VM_ACCESS_FLAGS;
}

// The area of a faulting address, a stack grown to it if need be. NULL: none.
static struct vm_area_struct *fault_area(struct mm_struct *mm, u64 address)
{
    struct vm_area_struct *vma = find_vma(mm, address);

    if (!vma || vma->vm_start <= address)
        return vma;
    if (!(vma->vm_flags & VM_GROWSDOWN) || expand_stack(vma, address) != 0)
        return NULL;
    if (vma->vm_flags & VM_LOCKED)
        return vma; // the new part is filled by later faults
    return vma;
}

static int fault_signal(vm_fault_t ret, int *si_code)
{
    if (ret & VM_FAULT_SIGBUS) {
        *si_code = BUS_ADRERR;
        return SIGBUS;
    }
    *si_code = SEGV_MAPERR;
    return SIGSEGV;
}

static void count_fault(vm_fault_t ret)
{
    if (ret & VM_FAULT_MAJOR) {
        current->maj_flt++;
        count_vm_event(PGMAJFAULT);
    } else {
        current->min_flt++;
    }
    count_vm_event(PGFAULT);
}

int mm_user_fault(u64 address, unsigned flags, int *si_code)
{
    struct mm_struct *mm = current->mm;
    vm_fault_t ret;

    *si_code = SEGV_MAPERR;
    if (unlikely(!mm || address >= TASK_SIZE))
        return SIGSEGV;
    for (;;) {
        struct vm_area_struct *vma;

        down_read(&mm->mmap_lock);
        vma = fault_area(mm, address);
        if (!vma) {
            up_read(&mm->mmap_lock);
            return SIGSEGV;
        }
        if (!access_allowed(vma->vm_flags, flags)) {
            up_read(&mm->mmap_lock);
            *si_code = SEGV_ACCERR;
            return SIGSEGV;
        }
        ret = handle_mm_fault(vma, address, flags);
        if (!(ret & VM_FAULT_RETRY))
            up_read(&mm->mmap_lock);
        if (likely(!(ret & (VM_FAULT_ERROR | VM_FAULT_RETRY)))) {
            count_fault(ret);
            return 0;
        }
        if (ret & (VM_FAULT_SIGBUS | VM_FAULT_SIGSEGV))
            return fault_signal(ret, si_code);
        // Out of memory (the allocator has called the OOM killer) or the lock was dropped: again,
        // unless we are the one that dies.
        if (fatal_signal_pending(current))
            return SIGKILL;
        cond_resched();
    }
}
