// SPDX-License-Identifier: MIT
// Reverse mapping: from a frame to the entries that map it. Anonymous frames: every mm of the fork
// family, looking the page's index up in its areas. File frames: the areas that the file's mapping
// lists.
#include "mm/mm_internal.h"
#include "mm/slab.h"

struct anon_root *anon_root_alloc(void)
{
    struct anon_root *r = kmalloc(sizeof(*r), GFP_KERNEL);

    if (!r)
        return NULL;
    atomic_set(&r->refcount, 1);
    init_rwsem_rank(&r->rwsem, LOCK_RMAP);
    INIT_LIST_HEAD(&r->mms);
    return r;
}

void anon_root_put(struct anon_root *r)
{
    if (atomic_dec_and_test(&r->refcount))
        kfree(r);
}

void page_add_anon_rmap(struct page *p, struct vm_area_struct *vma, u64 addr)
{
    struct anon_root *r = vma->vm_mm->anon_root;

    atomic_inc(&r->refcount);
    p->anon_root = r;
    p->index = linear_index(vma, addr);
    p->flags |=
        BIT(PG_anon) | BIT(PG_swapbacked) | BIT(PG_uptodate); // nobody else sees the page yet
    atomic_set(&p->mapcount, 1);
    vma->has_anon = true;
    mod_page_state(NR_ANON_MAPPED, 1);
}

void page_add_file_rmap(struct page *p)
{
    if (atomic_inc_return(&p->mapcount) == 1)
        mod_page_state(NR_FILE_MAPPED, 1);
}

void page_dup_rmap(struct page *p)
{
    atomic_inc(&p->mapcount);
}

void page_remove_rmap(struct page *p)
{
    if (!atomic_dec_and_test(&p->mapcount))
        return;
    mod_page_state(PageAnon(p) ? NR_ANON_MAPPED : NR_FILE_MAPPED, -1);
}

// --- walking. Page locked (file pages) or held by reference with its root (anonymous ones).

struct rmap_walk {
    struct page *page;
    // One entry that maps the page; its mm's page-table lock is held. False stops the walk.
    bool (*entry)(struct rmap_walk *w, struct vm_area_struct *vma, pte_t *pte, u64 addr);
    int count;
    bool failed;
};

static bool walk_vma(struct rmap_walk *w, struct vm_area_struct *vma)
{
    struct page *p = w->page;
    u64 addr;
    pte_t *pte;

    if (p->index < vma->vm_pgoff || p->index >= vma->vm_pgoff + vma_pages(vma))
        return true;
    addr = vma->vm_start + ((p->index - vma->vm_pgoff) << PAGE_SHIFT);
    pte = pte_lookup(vma->vm_mm, addr, NULL);
    if (!pte || !pte_present(pte_read(pte)) || pte_pfn(pte_read(pte)) != page_to_pfn(p))
        return true;
    return w->entry(w, vma, pte, addr);
}

static void walk_anon(struct rmap_walk *w, struct anon_root *r)
{
    struct mm_struct *mm;
    bool more = true;

    down_read(&r->rwsem);
    list_for_each_entry(mm, &r->mms, anon_root_link)
    {
        struct vm_area_struct *vma;

        spin_lock(&mm->page_table_lock);
        list_for_each_entry(vma, &mm->mmap_list, vm_list)
        {
            if (more && vma->has_anon)
                more = walk_vma(w, vma);
        }
        spin_unlock(&mm->page_table_lock);
        if (!more)
            break;
    }
    up_read(&r->rwsem);
}

static void walk_file(struct rmap_walk *w, struct address_space *m)
{
    struct vm_area_struct *vma;
    bool more = true;

    down_read(&m->i_mmap_rwsem);
    list_for_each_entry(vma, &m->i_mmap, i_mmap_list)
    {
        spin_lock(&vma->vm_mm->page_table_lock);
        more = walk_vma(w, vma);
        spin_unlock(&vma->vm_mm->page_table_lock);
        if (!more)
            break;
    }
    up_read(&m->i_mmap_rwsem);
}

static void rmap_walk(struct rmap_walk *w)
{
    if (page_mapcount(w->page) == 0)
        return;
    if (PageAnon(w->page))
        walk_anon(w, w->page->anon_root);
    else if (w->page->mapping)
        walk_file(w, w->page->mapping);
}

static bool referenced_entry(struct rmap_walk *w, struct vm_area_struct *vma, pte_t *pte, u64 addr)
{
    if (vma->vm_flags & VM_LOCKED) {
        w->failed = true;
        return false;
    }
    if (pte_hw_present(pte_read(pte)) && pte_young(pte_read(pte))) {
        __atomic_and_fetch(pte, ~PTE_ACCESSED, __ATOMIC_SEQ_CST);
        tlb_flush_page(vma->vm_mm, addr);
        w->count++;
    }
    return true;
}

int page_referenced(struct page *p)
{
    struct rmap_walk w = {.page = p, .entry = referenced_entry};

    rmap_walk(&w);
    return w.failed ? 0 : w.count;
}

static bool unmap_entry(struct rmap_walk *w, struct vm_area_struct *vma, pte_t *pte, u64 addr)
{
    struct mm_struct *mm = vma->vm_mm;
    struct page *p = w->page;
    pte_t old;

    if (vma->vm_flags & VM_LOCKED) {
        w->failed = true;
        return false;
    }
    old = pte_get_and_clear(pte);
    tlb_flush_page(mm, addr);
    if (PageAnon(p)) {
        // Only pages that MADV_FREE gave up reach this (no swap device yet): a page written since
        // then comes back.
        if (PageSwapBacked(p) || pte_dirty(old)) {
            SetPageSwapBacked(p);
            pte_set(pte, old);
            w->failed = true;
            return false;
        }
    } else if (pte_dirty(old) && (vma->vm_flags & VM_SHARED)) {
        set_page_dirty(p);
    }
    // Lazily freed pages have lost PG_swapbacked, but they are anonymous.
    mm_add(mm, page_counter(p), -1);
    page_remove_rmap(p);
    put_page(p); // never the last: the caller has one
    w->count++;
    return true;
}

bool try_to_unmap(struct page *p)
{
    struct rmap_walk w = {.page = p, .entry = unmap_entry};

    rmap_walk(&w);
    return !w.failed && page_mapcount(p) == 0;
}

static bool mkclean_entry(struct rmap_walk *w, struct vm_area_struct *vma, pte_t *pte, u64 addr)
{
    pte_t old = pte_read(pte);

    if (!(vma->vm_flags & VM_SHARED) || !(pte_write(old) || pte_dirty(old)))
        return true;
    old = __atomic_fetch_and(pte, ~(PTE_WRITE | PTE_DIRTY), __ATOMIC_SEQ_CST);
    tlb_flush_page(vma->vm_mm, addr); // of a PROT_NONE entry too: mprotect flushes after its change
    if (pte_dirty(old))
        w->count++;
    return true;
}

int page_mkclean(struct page *p)
{
    struct rmap_walk w = {.page = p, .entry = mkclean_entry};

    rmap_walk(&w);
    return w.count;
}
