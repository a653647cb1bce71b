// SPDX-License-Identifier: MIT
// Dirty inodes and sync: marking, one inode's metadata, whole file systems. mm/writeback.c has the
// flusher.
#include "fs/block.h"
#include "fs/internal.h"
#include "mm/writeback.h"

#define WHOLE_FILE 0x7fffffffffffffffL

void mark_inode_dirty_flags(struct inode *i, unsigned flags)
{
    struct super_block *sb = i->i_sb;
    if (!sb->s_writeback) {
        return;
    }
    // What was changed before the look at the marks: a writer clears them before it reads the
    // inode.
    smp_mb();
    if ((READ_ONCE(i->i_state) & flags) == flags) {
        return;
    }
    spin_lock(&sb->s_inode_lock);
    spin_lock(&i->i_lock);
    bool queued = false;
    bool was_clean = !(i->i_state & I_DIRTY);
    i->i_state |= flags;
    if (was_clean && !(i->i_state & I_FREEING)) {
        i->i_dirty_since = ktime_get();
        if (list_empty(&i->i_dirty_list)) {
            list_add_tail(&i->i_dirty_list, &sb->s_dirty);
            queued = true;
        }
    }
    spin_unlock(&i->i_lock);
    spin_unlock(&sb->s_inode_lock);
    if (queued) {
        writeback_inode_dirtied();
    }
}

void mark_inode_dirty(struct inode *i)
{
    mark_inode_dirty_flags(i, I_DIRTY_SYNC | I_DIRTY_DATASYNC);
}

void inode_clear_dirty(struct inode *i)
{
    struct super_block *sb = i->i_sb;
    spin_lock(&sb->s_inode_lock);
    spin_lock(&i->i_lock);
    i->i_state &= ~(unsigned long)I_DIRTY;
    list_del_init(&i->i_dirty_list);
    spin_unlock(&i->i_lock);
    spin_unlock(&sb->s_inode_lock);
}

int sync_inode_metadata(struct inode *i, bool wait)
{
    struct writeback_control wbc = {
        .nr_to_write = 0, .range_end = WHOLE_FILE, .sync_mode = wait ? WB_SYNC_ALL : WB_SYNC_NONE};
    if (!i->i_sb->s_writeback || !i->i_sb->s_op->write_inode) {
        return 0;
    }
    inode_wait_for_writeback(i);
    spin_lock(&i->i_lock);
    unsigned long dirty = i->i_state & (I_DIRTY_SYNC | I_DIRTY_DATASYNC);
    i->i_state &= ~dirty;
    spin_unlock(&i->i_lock);
    smp_mb(); // pairs with mark_inode_dirty_flags
    int error = dirty || wait ? i->i_sb->s_op->write_inode(i, &wbc) : 0;
    if (error) {
        mark_inode_dirty(i);
    }
    return error;
}

static int write_bdev(struct block_device *bdev)
{
    struct writeback_control wbc = {
        .nr_to_write = WHOLE_FILE, .range_end = WHOLE_FILE, .sync_mode = WB_SYNC_ALL};
    return writeback_single_inode(bdev->inode, &wbc);
}

static void tell_synced(struct super_block *sb)
{
    if (sb->s_op->synced) {
        sb->s_op->synced(sb);
    }
}

int sync_filesystem(struct super_block *sb)
{
    if (!sb->s_writeback || (sb->s_flags & MS_RDONLY)) {
        return 0;
    }
    int error = sync_inodes_sb(sb);
    int late = sb->s_op->sync_fs ? sb->s_op->sync_fs(sb, true) : 0;
    error = error ? error : late;
    if (sb->s_bdev) {
        late = write_bdev(sb->s_bdev);
        error = error ? error : late;
        tell_synced(sb);
        late = blkdev_issue_flush(sb->s_bdev);
        error = error ? error : late;
        tell_synced(sb);
    }
    return error;
}

static void sync_one(struct super_block *sb, void *arg)
{
    int *error = arg;
    int late = sync_filesystem(sb);
    *error = *error ? *error : late;
}

void sync_filesystems(bool wait)
{
    int error = 0;
    if (wait) {
        iterate_supers(sync_one, &error);
    } else {
        wakeup_flusher();
    }
}

int generic_file_fsync(struct file *f, loff_t start, loff_t end, bool datasync)
{
    struct inode *i = f->f_inode;
    int error = filemap_fdatawrite_range(i->i_mapping, start, end, WB_SYNC_ALL);
    int late = filemap_fdatawait_range(i->i_mapping, start, end);
    error = error ? error : late;
    late = sync_inode_metadata(i, true);
    return error ? error : late;
}
