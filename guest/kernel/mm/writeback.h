// SPDX-License-Identifier: MIT
// Inode-level write-back: the flusher thread and what sync, fsync and eviction call. K-mm owns the
// bodies; the three functions at the end are K-fs's.
#pragma once

#include "fs/fs.h"

// Contract with mark_inode_dirty_flags (fs/inode.c): an inode that becomes dirty goes to the tail
// of sb->s_dirty with i_dirty_since = ktime_get(), under s_inode_lock (lock order: s_inode_lock,
// then i_lock), then this is called. Any task context, spinlocks allowed.
void writeback_inode_dirtied(void);
// Pages of inode (wbc's range), waits for them with WB_SYNC_ALL, then its metadata through
// s_op->write_inode; takes the inode off s_dirty when it is clean. The caller holds a reference. 0
// or the first error.
int writeback_single_inode(struct inode *inode, struct writeback_control *wbc);
// Dirty inodes of sb whose i_dirty_since <= dirtied_before (KTIME_MAX = all). Returns pages
// written.
long writeback_sb_inodes(struct super_block *sb, struct writeback_control *wbc, u64 dirtied_before);
// sync(2) of one super block: all dirty inodes are written and waited for; sync_fs is the caller's.
// 0 or first error.
int sync_inodes_sb(struct super_block *sb);
// Evicting an inode: waits until the flusher has let go of it (I_WRITEBACK clear). May sleep.
void inode_wait_for_writeback(struct inode *inode);
void wakeup_flusher(void); // any context: background write-back now
int do_writepages(struct address_space *m, struct writeback_control *wbc);
void writeback_init(void); // starts the flusher thread; after kthread_init and fs_init

// dirty_background_ratio, dirty_ratio: per cent of available memory; the others: hundredths of a
// second.
extern int sysctl_dirty_background_ratio, sysctl_dirty_ratio, sysctl_dirty_expire_centisecs,
    sysctl_dirty_writeback_centisecs;

// --- provided by fs/
// Calls fn for every active super block (the one of block devices' inodes too) with s_umount held
// for reading.
void iterate_supers(void (*fn)(struct super_block *sb, void *arg), void *arg);
// One more reference unless the inode is being freed (then NULL). Spinlocks allowed (takes i_lock).
struct inode *igrab(struct inode *inode);
// Clears set-user-id and set-group-id of a file that is about to be written by an unprivileged
// task. i_rwsem held.
int file_remove_privs(struct file *f);
