// SPDX-License-Identifier: MIT
// Inode write-back: the flusher thread (expired and background), sync. A machine with nothing dirty
// has no timer running.
#include "lib/printk.h"
#include "mm/mm_internal.h"
#include "mm/writeback.h"

int sysctl_dirty_expire_centisecs = 3000, sysctl_dirty_writeback_centisecs = 500;

#define WHOLE_FILE ((loff_t)(~0UL >> 1))
#define CENTISECOND 10000000UL // ns

static DECLARE_WAIT_QUEUE_HEAD(flusher_wait);
static unsigned dirty_inodes_exist, flush_now; // requests to the thread

void writeback_inode_dirtied(void)
{
    if (__atomic_exchange_n(&dirty_inodes_exist, 1, __ATOMIC_SEQ_CST) == 0)
        wake_up(&flusher_wait);
}

void wakeup_flusher(void)
{
    if (__atomic_exchange_n(&flush_now, 1, __ATOMIC_SEQ_CST) == 0)
        wake_up(&flusher_wait);
}

void inode_wait_for_writeback(struct inode *inode)
{
    if (READ_ONCE(inode->i_state) & I_WRITEBACK)
        wait_event(inode->i_wait, !(READ_ONCE(inode->i_state) & I_WRITEBACK));
}

// Claims the inode for one writer. False: another one is at it and we need not wait.
static bool claim_inode(struct inode *inode, bool wait)
{
    for (;;) {
        spin_lock(&inode->i_lock);
        if (!(inode->i_state & I_WRITEBACK)) {
            inode->i_state |= I_WRITEBACK;
            spin_unlock(&inode->i_lock);
            return true;
        }
        spin_unlock(&inode->i_lock);
        if (!wait)
            return false;
        inode_wait_for_writeback(inode);
    }
}

// Ends the claim: an inode with something left stays on s_dirty, at the tail.
static void release_inode(struct inode *inode, struct address_space *m)
{
    struct super_block *sb = inode->i_sb;

    spin_lock(&sb->s_inode_lock);
    spin_lock(&inode->i_lock);
    inode->i_state &= ~(unsigned long)I_WRITEBACK;
    if (m && mapping_can_writeback(m) && xa_marked(&m->i_pages, XA_MARK_DIRTY))
        inode->i_state |= I_DIRTY_PAGES;
    if (!(inode->i_state & I_DIRTY)) {
        list_del_init(&inode->i_dirty_list);
    } else if (!list_empty(&inode->i_dirty_list)) {
        inode->i_dirty_since = ktime_get();
        list_move_tail(&inode->i_dirty_list, &sb->s_dirty);
    }
    spin_unlock(&inode->i_lock);
    spin_unlock(&sb->s_inode_lock);
    wake_up_all(&inode->i_wait);
}

int writeback_single_inode(struct inode *inode, struct writeback_control *wbc)
{
    // A device node's pages belong to the device's own inode.
    struct address_space *m = inode->i_mapping->host == inode ? inode->i_mapping : NULL;
    bool wait = wbc->sync_mode == WB_SYNC_ALL;
    unsigned long dirty;
    int err = 0, late;

    if (!claim_inode(inode, wait))
        return 0;
    if (m) {
        err = do_writepages(m, wbc);
        if (wait) {
            late = filemap_fdatawait_range(m, wbc->range_start, wbc->range_end);
            err = err ? err : late;
        }
    }
    spin_lock(&inode->i_lock);
    dirty = inode->i_state & I_DIRTY;
    inode->i_state &= ~dirty;
    spin_unlock(&inode->i_lock);
    smp_mb(); // pairs with mark_inode_dirty_flags
    if ((dirty & (I_DIRTY_SYNC | I_DIRTY_DATASYNC)) && inode->i_sb->s_op->write_inode) {
        late = inode->i_sb->s_op->write_inode(inode, wbc);
        err = err ? err : late;
    }
    release_inode(inode, m);
    return err;
}

// Next inode of sb to write, counted: at the head of s_dirty, dirtied at or before `before`.
// Claimed ones are passed over unless the caller waits for them.
static struct inode *next_dirty(struct super_block *sb, u64 before, bool wait)
{
    struct inode *inode, *found = NULL;

    spin_lock(&sb->s_inode_lock);
    list_for_each_entry(inode, &sb->s_dirty, i_dirty_list)
    {
        if (inode->i_dirty_since > before)
            break; // the list is in this order
        if (!wait && (READ_ONCE(inode->i_state) & I_WRITEBACK))
            continue;
        found = igrab(inode);
        if (found)
            break;
    }
    spin_unlock(&sb->s_inode_lock);
    return found;
}

// Writes each inode that was dirty when we started once. First error in *err.
static long write_dirty_inodes(struct super_block *sb, struct writeback_control *wbc, u64 before,
                               int *err)
{
    u64 start = min(before, (u64)ktime_get());
    bool all = wbc->sync_mode == WB_SYNC_ALL;
    long budget = wbc->nr_to_write;
    struct inode *inode;

    while ((inode = next_dirty(sb, start, all)) != NULL) {
        struct writeback_control one = *wbc;
        int e = writeback_single_inode(inode, &one);

        if (e && !*err)
            *err = e;
        wbc->nr_to_write = one.nr_to_write;
        iput(inode);
        cond_resched();
        if (wbc->nr_to_write <= 0 && !all)
            break;
        if (e && !all)
            break;
        if (e && ktime_get() <= start) // no time passes between failures: do not spin
            break;
    }
    return budget - wbc->nr_to_write;
}

long writeback_sb_inodes(struct super_block *sb, struct writeback_control *wbc, u64 dirtied_before)
{
    int err = 0;

    return write_dirty_inodes(sb, wbc, dirtied_before, &err);
}

static bool under_writeback(const struct inode *inode)
{
    return xa_marked(&inode->i_data.i_pages, XA_MARK_WRITEBACK);
}

int sync_inodes_sb(struct super_block *sb)
{
    struct writeback_control start = {
        .nr_to_write = WHOLE_FILE, .range_end = WHOLE_FILE, .sync_mode = WB_SYNC_NONE};
    struct writeback_control wait = {
        .nr_to_write = WHOLE_FILE, .range_end = WHOLE_FILE, .sync_mode = WB_SYNC_ALL};
    struct inode *inode = NULL;
    int err = 0;

    write_dirty_inodes(sb, &start, KTIME_MAX, &err); // all I/O at once ...
    err = 0;
    write_dirty_inodes(sb, &wait, KTIME_MAX, &err); // ... then what is left, waiting
    // Pages that the first round put under write-back on inodes that are clean by now.
    while ((inode = inode_sb_next(sb, inode, under_writeback)) != NULL) {
        int late = filemap_fdatawait_range(&inode->i_data, 0, WHOLE_FILE);

        err = err ? err : late;
    }
    return err;
}

// --- the thread

struct flush_round {
    u64 before;
    bool left; // some super block still has dirty inodes
};

static bool over_background(void)
{
    return nr_dirty_pages() > global_dirtyable_pages() * (u64)sysctl_dirty_background_ratio / 100;
}

static void flush_super(struct super_block *sb, void *arg)
{
    struct flush_round *r = arg;
    struct writeback_control wbc = {
        .nr_to_write = 4096, .range_end = WHOLE_FILE, .sync_mode = WB_SYNC_NONE};

    if (!list_empty(&sb->s_dirty))
        writeback_sb_inodes(sb, &wbc, r->before);
    if (!list_empty(&sb->s_dirty))
        r->left = true;
}

static void flush_once(u64 before, struct flush_round *r)
{
    *r = (struct flush_round){.before = before};
    iterate_supers(flush_super, r);
}

static int flusher_thread(void *unused)
{
    (void)unused;
    current->flags |= PF_MEMALLOC; // write-back frees memory: it may use the reserves
    for (;;) {
        u64 interval = (u64)sysctl_dirty_writeback_centisecs * CENTISECOND;
        struct flush_round r = {0};

        // An interval of 0 leaves it to sync and to memory pressure.
        wait_event_interruptible(flusher_wait, (interval && READ_ONCE(dirty_inodes_exist)) ||
                                                   READ_ONCE(flush_now));
        if (!READ_ONCE(flush_now))
            wait_event_interruptible_deadline(flusher_wait, READ_ONCE(flush_now),
                                              ktime_get() + interval);
        bool now = __atomic_exchange_n(&flush_now, 0, __ATOMIC_SEQ_CST);

        __atomic_store_n(&dirty_inodes_exist, 0, __ATOMIC_SEQ_CST);
        if (now || over_background()) {
            flush_once(KTIME_MAX, &r);
        } else {
            u64 age = (u64)sysctl_dirty_expire_centisecs * CENTISECOND, t = ktime_get();

            flush_once(t > age ? t - age : 0, &r);
        }
        if (r.left)
            __atomic_store_n(&dirty_inodes_exist, 1, __ATOMIC_SEQ_CST);
    }
    return 0;
}

void writeback_init(void)
{
    struct task_struct *t = kthread_run(flusher_thread, NULL, "writeback");

    if (IS_ERR(t))
        panic("writeback: no flusher thread (%ld)", PTR_ERR(t));
}
