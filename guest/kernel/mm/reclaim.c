// SPDX-License-Identifier: MIT
// Page reclaim: clean file pages from the tail of the inactive list, pages given up by MADV_FREE,
// then the shrinkers. kswapd keeps the zone above its high watermark; allocations that fail reclaim
// directly.
#include "fs/fs.h"
#include "lib/printk.h"
#include "mm/mm_internal.h"
#include "mm/proc_mm.h"
#include "mm/shrinker.h"
#include "mm/writeback.h"

#define SCAN_BATCH 32

static LIST_HEAD(shrinkers);
static DEFINE_MUTEX(shrinker_mutex);
static DECLARE_WAIT_QUEUE_HEAD(kswapd_wait);
static unsigned kswapd_wanted;
static struct task_struct *kswapd_task;

void shrinker_register(struct shrinker *s)
{
    mutex_lock(&shrinker_mutex);
    list_add_tail(&s->entry, &shrinkers);
    mutex_unlock(&shrinker_mutex);
}

u64 shrink_all(gfp_t gfp, u64 nr)
{
    struct shrinker *s;
    u64 freed = 0;

    // A shrinker may allocate; the inner reclaim must not wait for us.
    if (!mutex_trylock(&shrinker_mutex))
        return 0;
    list_for_each_entry(s, &shrinkers, entry)
    {
        u64 count = s->count();

        if (count)
            freed += s->scan(min(count, nr), gfp);
    }
    mutex_unlock(&shrinker_mutex);
    return freed;
}

bool page_evictable(const struct page *p)
{
    return !(PageSwapBacked(p) ||
             (p->mapping && !PageAnon(p) && test_bit(AS_UNEVICTABLE, &p->mapping->flags)));
}

enum verdict { PAGE_FREE, PAGE_KEEP, PAGE_ACTIVATE };

// Was the page used since the last look?
static enum verdict check_references(struct page *p)
{
    int ptes = page_referenced(p);
    bool touched = TestClearPageReferenced(p);

    if (ptes > 1 || (ptes && touched))
        return PAGE_ACTIVATE;
    if (ptes) {
        SetPageReferenced(p);
        return PAGE_KEEP;
    }
    return PAGE_FREE;
}

// Starts writing a dirty page. The page lock is dropped by writepage when this returns true.
static bool page_out(struct page *p)
{
    struct writeback_control wbc = {.nr_to_write = 1,
                                    .range_end = (loff_t)(~0UL >> 1),
                                    .sync_mode = WB_SYNC_NONE,
                                    .for_reclaim = true};
    struct address_space *m = p->mapping;
    int err;

    if (!m || !m->a_ops->writepage || !clear_page_dirty_for_io(p))
        return false;
    err = m->a_ops->writepage(p, &wbc);
    if (err && err != -ENOMEM)
        mapping_set_error(m, err);
    return true;
}

// The page is locked and isolated; the isolation's reference is the only one besides those of cache
// and mappings.
static enum verdict try_reclaim(struct page *p, gfp_t gfp, bool may_write, bool *locked)
{
    enum verdict v;

    if (PageWriteback(p) || !page_evictable(p))
        return PAGE_KEEP;
    v = check_references(p);
    if (v != PAGE_FREE)
        return v;
    if (page_mapcount(p) && !try_to_unmap(p))
        return PAGE_ACTIVATE;
    if (PageAnon(p)) // clean and given up: nobody but us
        return page_count(p) == 1 ? PAGE_FREE : PAGE_KEEP;
    if (!p->mapping)
        return PAGE_FREE; // truncated: our reference is the last, or somebody else's
    if (PageDirty(p)) {
        if (may_write && (gfp & __GFP_FS) && page_out(p))
            *locked = false;
        return PAGE_KEEP;
    }
    if (PagePrivate(p) && (!(gfp & __GFP_FS) || !p->mapping->a_ops->releasepage ||
                           !p->mapping->a_ops->releasepage(p, gfp)))
        return PAGE_KEEP;
    return remove_mapping(p->mapping, p) ? PAGE_FREE : PAGE_KEEP;
}

static u64 shrink_inactive(unsigned nr, gfp_t gfp, bool kswapd)
{
    LIST_HEAD(isolated);
    unsigned taken = lru_isolate(LRU_INACTIVE_FILE, nr, &isolated);
    u64 freed = 0;

    count_vm_events(kswapd ? PGSCAN_KSWAPD : PGSCAN_DIRECT, taken);
    while (!list_empty(&isolated)) {
        struct page *p = list_last_entry(&isolated, struct page, lru);
        enum verdict v = PAGE_KEEP;
        bool locked;

        list_del_init(&p->lru);
        locked = trylock_page(p);
        if (locked) {
            v = try_reclaim(p, gfp, kswapd, &locked);
            if (locked)
                unlock_page(p);
        }
        if (v == PAGE_ACTIVATE) {
            SetPageActive(p);
            count_vm_event(PGACTIVATE);
        }
        if (v == PAGE_FREE) {
            freed++;
            if (PageAnon(p))
                count_vm_event(PGLAZYFREED);
        }
        lru_putback(p); // a freed page goes with this last reference
    }
    count_vm_events(kswapd ? PGSTEAL_KSWAPD : PGSTEAL_DIRECT, (s64)freed);
    return freed;
}

// Keeps the inactive list long enough to tell used pages from unused ones.
static void balance_lists(unsigned nr)
{
    LIST_HEAD(isolated);

    if (lru.size[LRU_INACTIVE_FILE] > lru.size[LRU_ACTIVE_FILE])
        return;
    lru_isolate(LRU_ACTIVE_FILE, nr, &isolated);
    while (!list_empty(&isolated)) {
        struct page *p = list_last_entry(&isolated, struct page, lru);

        list_del_init(&p->lru);
        page_referenced(p); // clears: it has the time on the inactive list to be used again
        ClearPageActive(p);
        count_vm_event(PGDEACTIVATE);
        lru_putback(p);
    }
}

static u64 shrink_lists(u64 want, gfp_t gfp, bool kswapd)
{
    u64 freed = 0;

    for (int priority = 6; priority >= 0 && freed < want; priority--) {
        u64 scan = max(lru.size[LRU_INACTIVE_FILE] >> priority, (u64)SCAN_BATCH);

        for (u64 done = 0; done < scan && freed < want; done += SCAN_BATCH) {
            balance_lists(SCAN_BATCH);
            freed += shrink_inactive(SCAN_BATCH, gfp, kswapd);
            cond_resched();
        }
        if (gfp & __GFP_FS)
            shrink_all(gfp, 64U << (6 - priority));
    }
    return freed;
}

u64 reclaim_pages(gfp_t gfp, unsigned order, u64 nr)
{
    u64 want = max(nr, (u64)1 << order), freed, before = nr_free_pages();

    count_vm_event(ALLOCSTALL);
    freed = shrink_lists(want, gfp, false);
    if (!freed && (gfp & __GFP_IO) && (nr_dirty_pages() || nr_writeback_pages())) {
        // All that is left to free is dirty: have it written, and give the disk a moment.
        wakeup_flusher();
        msleep(5);
        freed = shrink_lists(want, gfp, false);
    }
    if (!freed) { // the shrinkers free objects, whose pages come back when a slab is empty
        u64 after = nr_free_pages();

        freed = after > before ? after - before : 0;
    }
    return freed;
}

// --- kswapd

void kswapd_wake(void)
{
    if (kswapd_task && __atomic_exchange_n(&kswapd_wanted, 1, __ATOMIC_SEQ_CST) == 0)
        wake_up(&kswapd_wait);
}

static int kswapd_thread(void *unused)
{
    (void)unused;
    current->flags |= PF_MEMALLOC;
    for (;;) {
        wait_event_interruptible(kswapd_wait, READ_ONCE(kswapd_wanted));
        __atomic_store_n(&kswapd_wanted, 0, __ATOMIC_SEQ_CST);
        count_vm_event(PAGEOUTRUN);
        for (int idle = 0; nr_free_pages() < watermark_high() && idle < 4;) {
            if (shrink_lists(SCAN_BATCH * 2, GFP_KERNEL, true))
                continue;
            idle++;
            if (nr_dirty_pages() || nr_writeback_pages()) {
                wakeup_flusher();
                msleep(10);
            }
        }
    }
    return 0;
}

void reclaim_start(void)
{
    struct task_struct *t = kthread_run(kswapd_thread, NULL, "kswapd0");

    if (IS_ERR(t))
        panic("reclaim: no kswapd (%ld)", PTR_ERR(t));
    kswapd_task = t;
}

void reclaim_init(void)
{
    spin_lock_init_rank(&lru.lock, LOCK_LRU);
    for (int i = 0; i < NR_LRU; i++)
        INIT_LIST_HEAD(&lru.list[i]);
}

// /proc/sys/vm/drop_caches
static bool has_pages(const struct inode *inode)
{
    return inode->i_data.nrpages != 0;
}

static void drop_super_pages(struct super_block *sb, void *arg)
{
    struct inode *inode = NULL;

    (void)arg;
    while ((inode = inode_sb_next(sb, inode, has_pages)) != NULL)
        invalidate_mapping_pages(&inode->i_data, 0, ~0UL);
}

int drop_caches(int what)
{
    if (what < 1 || what > 3)
        return -EINVAL;
    if (what & 1) {
        iterate_supers(drop_super_pages, NULL);
        count_vm_event(DROP_PAGECACHE);
    }
    if (what & 2) {
        while (shrink_all(GFP_KERNEL, 1024))
            cond_resched();
    }
    return 0;
}
