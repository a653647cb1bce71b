// SPDX-License-Identifier: MIT
// What devtmpfs takes from tmpfs.
#pragma once

#include "fs/internal.h"

int tmpfs_fill_super(struct super_block *sb, const char *data, bool silent);
void tmpfs_kill_sb(struct super_block *sb);
struct inode *tmpfs_inode(struct super_block *sb, const struct inode *dir, umode_t mode,
                          dev_t dev);                                         // ERR_PTR
int tmpfs_make(struct inode *dir, struct dentry *d, umode_t mode, dev_t dev); // directory locked
