// SPDX-License-Identifier: MIT
// Metadata blocks of a block device's page cache. K-fs owns it.
#pragma once

#include "fs/block.h"

struct buffer_head {
    unsigned long state; // BH_*
    struct page *page;
    char *data;
    sector_t block;
    u32 size;
    atomic_t count;
    struct block_device *bdev;
    struct buffer_head *next_in_page;
};
enum { BH_Uptodate, BH_Dirty, BH_Lock, BH_Mapped, BH_New };
struct buffer_head *sb_bread(struct super_block *sb, sector_t block); // NULL on error
struct buffer_head *sb_getblk(struct super_block *sb, sector_t block);
void mark_buffer_dirty(struct buffer_head *bh);
int sync_dirty_buffer(struct buffer_head *bh);
void brelse(struct buffer_head *bh);
