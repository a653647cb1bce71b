// SPDX-License-Identifier: MIT
// Mounts: a tree per mount namespace.
#pragma once

#include "fs/fs.h"

struct mnt_namespace {
    atomic_t count;
    struct mount *root;
    struct list_head list; // all mounts
    u64 event;
    wait_queue_head_t poll;
};
struct mount {
    struct hlist_node mnt_hash; // by (parent, mountpoint)
    struct mount *mnt_parent;
    struct dentry *mnt_mountpoint;
    struct dentry *mnt_root;
    struct super_block *mnt_sb;
    struct list_head mnt_mounts, mnt_child, mnt_list;
    struct mnt_namespace *mnt_ns;
    atomic_t mnt_count;
    int mnt_id;
    unsigned mnt_flags; // MNT_*
    char *mnt_devname;
    int mnt_group_id; // propagation
    struct list_head mnt_share, mnt_slave_list, mnt_slave;
    struct mount *mnt_master;
};
struct mount *mntget(struct mount *m);
void mntput(struct mount *m);
int mnt_want_write(struct mount *m); // 0 or -EROFS
void mnt_drop_write(struct mount *m);
extern struct mnt_namespace init_mnt_ns;
