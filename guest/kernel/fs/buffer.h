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
struct buffer_head *sb_bread(struct super_block *sb, sector_t block); // ERR_PTR(-EIO, -ENOMEM)
// For changes that are past the point of no return: waits for memory. ERR_PTR(-EIO) only.
struct buffer_head *sb_bread_must(struct super_block *sb, sector_t block);
struct buffer_head *sb_getblk(struct super_block *sb, sector_t block); // NULL without memory
void mark_buffer_dirty(struct buffer_head *bh);
int sync_dirty_buffer(struct buffer_head *bh);
void brelse(struct buffer_head *bh);
// The buffer if it is cached, referenced; NULL. Never reads.
struct buffer_head *sb_find_get_block(struct super_block *sb, sector_t block);
// The block is free now: what is cached of it must not be written any more.
void bforget_block(struct super_block *sb, sector_t block);
// A block with new contents: zeroed, uptodate, not yet dirty. NULL without memory.
struct buffer_head *sb_new_block(struct super_block *sb, sector_t block);
extern const struct address_space_operations bdev_aops;
static inline bool buffer_uptodate(const struct buffer_head *bh)
{
    return test_bit(BH_Uptodate, &bh->state);
}
static inline bool buffer_clean(const struct buffer_head *bh) // and not being written
{
    return !test_bit(BH_Dirty, &bh->state) && !test_bit(BH_Lock, &bh->state);
}
