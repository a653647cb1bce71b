// SPDX-License-Identifier: MIT
// Dirty pages: marking, cleaning for I/O, writing a mapping's dirty pages out, waiting, throttling
// writers.
#include "mm/writeback.h"
#include "mm/mm_internal.h"

int sysctl_dirty_background_ratio = 10, sysctl_dirty_ratio = 20;

bool set_page_dirty(struct page *p)
{
    struct address_space *m = p->mapping;
    unsigned long flags;
    bool fresh;

    if (PageDirty(p))
        return false;
    if (!m || !mapping_can_writeback(m))
        return !TestSetPageDirty(p);
    // Bit and account change together: a truncation on another CPU takes back either both or none.
    spin_lock_irqsave(&m->tree_lock, flags);
    fresh = !TestSetPageDirty(p);
    if (fresh && p->mapping == m) {
        xa_set_mark(&m->i_pages, p->index, XA_MARK_DIRTY);
        mod_page_state(NR_FILE_DIRTY, 1);
        mod_page_state(NR_DIRTIED, 1);
    }
    spin_unlock_irqrestore(&m->tree_lock, flags);
    if (fresh)
        mark_inode_dirty_flags(m->host, I_DIRTY_PAGES);
    return fresh;
}

void account_page_redirty(struct page *p)
{
    (void)p;
    mod_page_state(NR_DIRTIED, -1);
}

bool clear_page_dirty_for_io(struct page *p)
{
    struct address_space *m = p->mapping;

    // Later writes through a mapping must fault again, or they would be lost for this round's
    // successor. A dirty entry that we find belongs to this round: the page is written after this.
    if (page_mapcount(p) && page_mkclean(p))
        set_page_dirty(p);
    if (!TestClearPageDirty(p))
        return false;
    if (m && mapping_can_writeback(m))
        mod_page_state(NR_FILE_DIRTY, -1);
    return true;
}

void mapping_set_error(struct address_space *m, int error)
{
    set_bit(error == -ENOSPC ? AS_ENOSPC : AS_EIO, &m->flags);
    __atomic_add_fetch(&m->wb_err, 1, __ATOMIC_RELAXED);
}

int filemap_check_errors(struct address_space *m)
{
    int err = 0;

    if (test_bit(AS_ENOSPC, &m->flags) && test_and_clear_bit(AS_ENOSPC, &m->flags))
        err = -ENOSPC;
    if (test_bit(AS_EIO, &m->flags) && test_and_clear_bit(AS_EIO, &m->flags))
        err = -EIO;
    return err;
}

typedef int (*writepage_t)(struct page *, struct writeback_control *, void *);

// Locks and writes one page that carried the dirty mark. 0 or the error of writepage.
static int write_marked_page(struct address_space *m, struct writeback_control *wbc, struct page *p,
                             writepage_t writepage, void *data)
{
    int err;

    if (wbc->for_reclaim || wbc->sync_mode == WB_SYNC_NONE) {
        if (!trylock_page(p)) {
            wbc->pages_skipped++;
            return 0;
        }
    } else {
        lock_page(p);
    }
    if (p->mapping != m || !PageDirty(p)) {
        unlock_page(p);
        return 0;
    }
    if (PageWriteback(p)) {
        if (wbc->sync_mode == WB_SYNC_NONE) {
            unlock_page(p);
            return 0;
        }
        wait_on_page_writeback(p);
    }
    if (!clear_page_dirty_for_io(p)) {
        unlock_page(p);
        return 0;
    }
    err = writepage(p, wbc, data); // unlocks
    if (err && err != -ENOMEM)     // without memory the page has been made dirty again
        mapping_set_error(m, err);
    wbc->nr_to_write--;
    return err;
}

#define WRITE_BATCH 16

int write_cache_pages(struct address_space *m, struct writeback_control *wbc, writepage_t writepage,
                      void *data)
{
    unsigned long index = (unsigned long)wbc->range_start >> PAGE_SHIFT;
    unsigned long end = (unsigned long)wbc->range_end >> PAGE_SHIFT;
    struct page *pages[WRITE_BATCH];
    bool done = false;
    int first_err = 0;
    unsigned n;

    while (!done && index <= end &&
           (n = find_get_pages_marked(m, &index, end, XA_MARK_DIRTY, WRITE_BATCH, pages)) > 0) {
        for (unsigned i = 0; i < n && !done; i++) {
            int err = write_marked_page(m, wbc, pages[i], writepage, data);

            if (err && !first_err)
                first_err = err;
            done = wbc->nr_to_write <= 0 && wbc->sync_mode == WB_SYNC_NONE;
        }
        release_pages(pages, n);
        cond_resched();
    }
    return first_err;
}

static int call_writepage(struct page *p, struct writeback_control *wbc, void *data)
{
    struct address_space *m = data;

    return m->a_ops->writepage(p, wbc);
}

int do_writepages(struct address_space *m, struct writeback_control *wbc)
{
    if (!m->nrpages || !mapping_can_writeback(m))
        return 0;
    if (m->a_ops->writepages)
        return m->a_ops->writepages(m, wbc);
    return write_cache_pages(m, wbc, call_writepage, m);
}

int filemap_fdatawrite_range(struct address_space *m, loff_t start, loff_t end, enum wb_sync mode)
{
    struct writeback_control wbc = {
        .nr_to_write = (long)(~0UL >> 1),
        .range_start = start,
        .range_end = end,
        .sync_mode = mode,
    };

    if (!xa_marked(&m->i_pages, XA_MARK_DIRTY))
        return 0;
    return do_writepages(m, &wbc);
}

int filemap_fdatawait_range(struct address_space *m, loff_t start, loff_t end)
{
    unsigned long index = (unsigned long)start >> PAGE_SHIFT,
                  last = (unsigned long)end >> PAGE_SHIFT;
    struct page *pages[WRITE_BATCH];
    bool failed = false;
    unsigned n;

    while (index <= last && (n = find_get_pages_marked(m, &index, last, XA_MARK_WRITEBACK,
                                                       WRITE_BATCH, pages)) > 0) {
        for (unsigned i = 0; i < n; i++) {
            wait_on_page_writeback(pages[i]);
            if (TestClearPageError(pages[i]))
                failed = true;
        }
        release_pages(pages, n);
        cond_resched();
    }
    int err = filemap_check_errors(m);

    return err ? err : failed ? -EIO : 0;
}

int filemap_write_and_wait(struct address_space *m)
{
    const loff_t whole = (loff_t)(~0UL >> 1);
    int err = filemap_fdatawrite_range(m, 0, whole, WB_SYNC_ALL);
    int late = filemap_fdatawait_range(m, 0, whole);

    return err ? err : late;
}

// --- throttling

u64 global_dirtyable_pages(void)
{
    return nr_free_pages() + nr_inactive_file() + nr_active_file();
}

void balance_dirty_pages(struct address_space *m)
{
    u64 dirty = nr_dirty_pages();

    if (likely(dirty < 64)) // so little is never throttled, whatever the memory
        return;
    u64 limit = global_dirtyable_pages();

    if (dirty + nr_writeback_pages() <= limit * (u64)sysctl_dirty_background_ratio / 100)
        return;
    wakeup_flusher();
    if (!mapping_can_writeback(m))
        return;
    for (int rounds = 0; rounds < 8; rounds++) {
        struct writeback_control wbc = {
            .nr_to_write = 256,
            .range_end = (loff_t)(~0UL >> 1),
            .sync_mode = WB_SYNC_NONE,
        };

        if (nr_dirty_pages() + nr_writeback_pages() <= limit * (u64)sysctl_dirty_ratio / 100)
            return;
        do_writepages(m, &wbc);
        msleep(10);
        if (fatal_signal_pending(current))
            return;
    }
}
