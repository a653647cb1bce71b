// SPDX-License-Identifier: MIT
// Sleeping on bits of a page: the page lock and write-back. Waiters stand in a hashed wait queue.
#include "mm/mm_internal.h"
#include "sched/wait.h"

#define PAGE_WAIT_QUEUES 64
static wait_queue_head_t page_queues[PAGE_WAIT_QUEUES];

void page_lock_init(void);
void page_lock_init(void)
{
    for (int i = 0; i < PAGE_WAIT_QUEUES; i++)
        init_waitqueue_head(&page_queues[i]);
}

static wait_queue_head_t *page_queue(const struct page *p)
{
    return &page_queues[page_to_pfn(p) % PAGE_WAIT_QUEUES];
}

struct page_waiter {
    struct wait_queue_entry entry;
    struct page *page;
};

static int page_wake(struct wait_queue_entry *e, unsigned mode, void *key)
{
    struct page_waiter *w = container_of(e, struct page_waiter, entry);

    return w->page == key ? autoremove_wake_function(e, mode, NULL) : 0;
}

// Wakes all that wait for any bit of p. PG_waiters is cleared first; a waiter sets it again before
// it looks at its bit.
static void wake_page(struct page *p)
{
    if (TestClearPageWaiters(p))
        __wake_up(page_queue(p), TASK_NORMAL | TASK_WAKEKILL, 0, p);
}

// Sleeps until done(p). -EINTR when killed in a killable sleep.
static int page_wait(struct page *p, bool (*done)(struct page *p), unsigned state)
{
    struct page_waiter w = {
        .entry = {.private = current, .func = page_wake, .entry = LIST_HEAD_INIT(w.entry.entry)},
        .page = p};
    wait_queue_head_t *q = page_queue(p);
    int err = 0;

    might_sleep();
    for (;;) {
        prepare_to_wait(q, &w.entry, state);
        SetPageWaiters(p);
        if (done(p))
            break;
        if (wait_interrupted(state)) {
            err = -EINTR;
            break;
        }
        schedule();
    }
    finish_wait(q, &w.entry);
    return err;
}

static bool is_unlocked(struct page *p)
{
    return !PageLocked(p);
}

static bool not_under_writeback(struct page *p)
{
    return !PageWriteback(p);
}

void lock_page(struct page *p)
{
    might_sleep();
    if (unlikely(!trylock_page(p)))
        page_wait(p, trylock_page, TASK_UNINTERRUPTIBLE);
}

int lock_page_killable(struct page *p)
{
    might_sleep();
    return likely(trylock_page(p)) ? 0 : page_wait(p, trylock_page, TASK_KILLABLE);
}

void unlock_page(struct page *p)
{
    BUG_ON(!PageLocked(p));
    ClearPageLocked(p);
    if (unlikely(PageWaiters(p)))
        wake_page(p);
}

void wait_on_page_locked(struct page *p)
{
    if (PageLocked(p))
        page_wait(p, is_unlocked, TASK_UNINTERRUPTIBLE);
}

void wait_on_page_writeback(struct page *p)
{
    if (PageWriteback(p))
        page_wait(p, not_under_writeback, TASK_UNINTERRUPTIBLE);
}

void set_page_writeback(struct page *p)
{
    struct address_space *m = p->mapping;
    unsigned long flags;

    if (TestSetPageWriteback(p))
        return;
    get_page(p); // until end_page_writeback
    mod_page_state(NR_WRITEBACK, 1);
    if (!m)
        return;
    spin_lock_irqsave(&m->tree_lock, flags);
    xa_set_mark(&m->i_pages, p->index, XA_MARK_WRITEBACK);
    if (!PageDirty(p))
        xa_clear_mark(&m->i_pages, p->index, XA_MARK_DIRTY);
    spin_unlock_irqrestore(&m->tree_lock, flags);
}

void end_page_writeback(struct page *p)
{
    struct address_space *m = p->mapping; // stays: truncation waits for write-back
    unsigned long flags;

    if (m) {
        spin_lock_irqsave(&m->tree_lock, flags);
        ClearPageWriteback(p);
        xa_clear_mark(&m->i_pages, p->index, XA_MARK_WRITEBACK);
        spin_unlock_irqrestore(&m->tree_lock, flags);
    } else {
        ClearPageWriteback(p);
    }
    mod_page_state(NR_WRITEBACK, -1);
    mod_page_state(NR_WRITTEN, 1);
    smp_mb();
    if (PageWaiters(p))
        wake_page(p);
    put_page(p);
}
