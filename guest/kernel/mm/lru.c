// SPDX-License-Identifier: MIT
// LRU lists of pages that reclaim may look at, the last reference of such pages, counters of the
// lists.
#include "mm/mm_internal.h"

struct lru lru;
s64 vm_events[NR_VM_EVENTS], page_states[NR_PAGE_STATES];

enum lru_list page_lru_list(const struct page *p)
{
    unsigned long f = __atomic_load_n(&p->flags, __ATOMIC_RELAXED);
    bool active = f & BIT(PG_active);

    if (f & BIT(PG_unevictable))
        return LRU_UNEVICTABLE;
    if (f & BIT(PG_swapbacked))
        return active ? LRU_ACTIVE_ANON : LRU_INACTIVE_ANON;
    return active ? LRU_ACTIVE_FILE : LRU_INACTIVE_FILE;
}

// lru.lock held for these two.
static void link_page(struct page *p)
{
    enum lru_list l = page_lru_list(p);

    SetPageLRU(p);
    list_add(&p->lru, &lru.list[l]);
    lru.size[l]++;
}

static void unlink_page(struct page *p)
{
    list_del_init(&p->lru);
    lru.size[page_lru_list(p)]--;
    ClearPageLRU(p);
}

void lru_cache_add(struct page *p)
{
    unsigned long flags;

    if (PageAnon(p))
        SetPageActive(p);
    spin_lock_irqsave(&lru.lock, flags);
    link_page(p);
    spin_unlock_irqrestore(&lru.lock, flags);
}

void lru_del(struct page *p)
{
    unsigned long flags;

    spin_lock_irqsave(&lru.lock, flags);
    if (PageLRU(p))
        unlink_page(p);
    spin_unlock_irqrestore(&lru.lock, flags);
}

// First touch marks, the second one activates.
void mark_page_accessed(struct page *p)
{
    unsigned long flags;

    if (!PageReferenced(p)) {
        SetPageReferenced(p);
        return;
    }
    if (PageActive(p) || !PageLRU(p))
        return;
    spin_lock_irqsave(&lru.lock, flags);
    if (PageLRU(p) && !PageActive(p)) {
        unlink_page(p);
        SetPageActive(p);
        link_page(p);
        ClearPageReferenced(p);
        count_vm_event(PGACTIVATE);
    }
    spin_unlock_irqrestore(&lru.lock, flags);
}

void lru_deactivate(struct page *p)
{
    unsigned long flags;

    spin_lock_irqsave(&lru.lock, flags);
    if (PageLRU(p) && PageActive(p)) {
        unlink_page(p);
        ClearPageActive(p);
        ClearPageReferenced(p);
        link_page(p);
        count_vm_event(PGDEACTIVATE);
    }
    spin_unlock_irqrestore(&lru.lock, flags);
}

void lru_lazyfree(struct page *p)
{
    unsigned long flags;

    spin_lock_irqsave(&lru.lock, flags);
    if (PageLRU(p) && PageSwapBacked(p)) {
        unlink_page(p);
        ClearPageActive(p);
        ClearPageReferenced(p);
        ClearPageSwapBacked(p);
        link_page(p);
        count_vm_event(PGLAZYFREE);
    }
    spin_unlock_irqrestore(&lru.lock, flags);
}

unsigned lru_isolate(enum lru_list which, unsigned nr, struct list_head *out)
{
    unsigned long flags;
    unsigned taken = 0;

    spin_lock_irqsave(&lru.lock, flags);
    for (struct list_head *e = lru.list[which].prev; e != &lru.list[which] && taken < nr;) {
        struct page *p = list_entry(e, struct page, lru);

        e = e->prev;
        if (!atomic_inc_not_zero(&p->refcount))
            continue; // on its way out: the release hook waits for our lock
        unlink_page(p);
        list_add(&p->lru, out);
        taken++;
    }
    spin_unlock_irqrestore(&lru.lock, flags);
    return taken;
}

bool lru_isolate_page(struct page *p)
{
    unsigned long flags;
    bool got = false;

    spin_lock_irqsave(&lru.lock, flags);
    if (PageLRU(p)) {
        get_page(p);
        unlink_page(p);
        got = true;
    }
    spin_unlock_irqrestore(&lru.lock, flags);
    return got;
}

void lru_putback(struct page *p)
{
    unsigned long flags;

    spin_lock_irqsave(&lru.lock, flags);
    link_page(p);
    spin_unlock_irqrestore(&lru.lock, flags);
    put_page(p);
}

// What a page leaves behind when its last reference goes. Off its list already.
static void page_forget(struct page *p)
{
    if (PageAnon(p))
        anon_root_put(p->anon_root);
    p->mapping = NULL;
    p->flags &= ~(BIT(PG_anon) | BIT(PG_swapbacked) | BIT(PG_active) | BIT(PG_referenced) |
                  BIT(PG_uptodate) | BIT(PG_dirty) | BIT(PG_error) | BIT(PG_unevictable) |
                  BIT(PG_reclaim) | BIT(PG_waiters));
}

void page_release_hook(struct page *p)
{
    lru_del(p);
    page_forget(p);
}

void release_pages(struct page **pages, unsigned nr)
{
    unsigned long flags = 0;
    unsigned dead = 0;
    bool locked = false;

    for (unsigned i = 0; i < nr; i++) {
        struct page *p = pages[i];

        if (!atomic_dec_and_test(&p->refcount))
            continue;
        if (PageLRU(p)) {
            if (!locked)
                spin_lock_irqsave(&lru.lock, flags);
            locked = true;
            unlink_page(p);
        }
        pages[dead++] = p;
    }
    if (locked)
        spin_unlock_irqrestore(&lru.lock, flags);
    for (unsigned i = 0; i < dead; i++) {
        page_forget(pages[i]);
        free_pages_block(pages[i], 0);
    }
}

u64 nr_active_file(void)
{
    return lru.size[LRU_ACTIVE_FILE];
}

u64 nr_inactive_file(void)
{
    return lru.size[LRU_INACTIVE_FILE];
}

u64 nr_active_anon(void)
{
    return lru.size[LRU_ACTIVE_ANON];
}

u64 nr_inactive_anon(void)
{
    return lru.size[LRU_INACTIVE_ANON];
}

u64 nr_file_pages(void)
{
    return page_state(NR_FILE_PAGES_STATE);
}

u64 nr_dirty_pages(void)
{
    return page_state(NR_FILE_DIRTY);
}

u64 nr_writeback_pages(void)
{
    return page_state(NR_WRITEBACK);
}

u64 nr_anon_pages(void)
{
    return page_state(NR_ANON_MAPPED);
}

u64 nr_mapped_pages(void)
{
    return page_state(NR_FILE_MAPPED);
}

u64 nr_shmem_pages(void)
{
    return page_state(NR_SHMEM);
}
