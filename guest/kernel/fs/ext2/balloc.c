// SPDX-License-Identifier: MIT
// ext2: block bitmaps. A freed block is used again only after the metadata that pointed at it is
// durable.
#include "fs/ext2/ext2.h"

#define PENDING_MAX 2048

static u32 group_first(const struct ext2_sb *s, unsigned group)
{
    return s->first_data_block + group * s->blocks_per_group;
}

static unsigned group_size(const struct ext2_sb *s, unsigned group)
{
    return min(s->blocks_per_group, s->blocks_count - group_first(s, group));
}

// --- blocks that wait

// Those whose holder is written and flushed leave the list. alloc held.
static void reap(struct ext2_sb *s)
{
    struct gendisk *disk = s->sb->s_bdev->disk;
    struct ext2_pending *p, *next;
    list_for_each_entry_safe(p, next, &s->pending, entry) {
        if (!p->written) {
            struct buffer_head *bh = sb_find_get_block(s->sb, p->holder);
            if (!bh || buffer_clean(bh)) {
                p->written = true;
                p->flush_seen = READ_ONCE(disk->flush_started);
            }
            brelse(bh);
        }
        if (p->written && READ_ONCE(disk->flush_done) > p->flush_seen) {
            list_del(&p->entry);
            kfree(p);
            s->pending_count--;
        }
    }
}

// Makes all of them available now.
static void settle(struct ext2_sb *s)
{
    struct ext2_pending *p;
    list_for_each_entry(p, &s->pending, entry) {
        struct buffer_head *bh = p->written ? NULL : sb_find_get_block(s->sb, p->holder);
        if (bh) {
            sync_dirty_buffer(bh);
        }
        brelse(bh);
    }
    reap(s);
    if (s->pending_count) {
        blkdev_issue_flush(s->sb->s_bdev);
        reap(s);
    }
}

void ext2_pending_reap(struct super_block *sb)
{
    struct ext2_sb *s = ext2_sb(sb);
    mutex_lock(&s->alloc);
    reap(s);
    mutex_unlock(&s->alloc);
}

void ext2_pending_drop_all(struct ext2_sb *s)
{
    while (!list_empty(&s->pending)) {
        struct ext2_pending *p = list_first_entry(&s->pending, struct ext2_pending, entry);
        list_del(&p->entry);
        kfree(p);
    }
    s->pending_count = 0;
}

// End of the waiting range that contains block, or 0 if it does not wait.
static u32 waits_until(const struct ext2_sb *s, u32 block)
{
    const struct ext2_pending *p;
    list_for_each_entry(p, &s->pending, entry) {
        if (block >= p->start && block - p->start < p->count) {
            return p->start + p->count;
        }
    }
    return 0;
}

static void remember(struct ext2_sb *s, u32 start, u32 count, u32 holder)
{
    struct ext2_pending *p;
    if (!list_empty(&s->pending)) {
        p = list_last_entry(&s->pending, struct ext2_pending, entry);
        if (!p->written && p->holder == holder &&
            (p->start + p->count == start || start + count == p->start)) {
            p->start = min(p->start, start);
            p->count += count;
            return;
        }
    }
    if (s->pending_count >= PENDING_MAX) {
        settle(s);
    }
    p = kmalloc(sizeof(*p), GFP_NOFS);
    if (!p) { // without a note, the order must be kept here and now
        struct buffer_head *bh = sb_find_get_block(s->sb, holder);
        if (bh) {
            sync_dirty_buffer(bh);
        }
        brelse(bh);
        blkdev_issue_flush(s->sb->s_bdev);
        return;
    }
    *p = (struct ext2_pending){.start = start, .count = count, .holder = holder};
    list_add_tail(&p->entry, &s->pending);
    s->pending_count++;
}

// --- allocation

// First usable bit in [from, size) of a group, or size.
static unsigned find_free(struct ext2_sb *s, unsigned group, const unsigned long *map,
                          unsigned from, unsigned size)
{
    u32 base = group_first(s, group);
    while ((from = (unsigned)find_next_zero_bit(map, size, from)) < size) {
        u32 until = waits_until(s, base + from);
        if (!until) {
            return from;
        }
        from = min(until - base, size);
    }
    return size;
}

// Takes up to *count blocks from bit `from` on (or from the start) of a group. 0 = none there.
static u32 take_from_group(struct ext2_sb *s, unsigned group, unsigned from, unsigned *count,
                           int *error)
{
    struct buffer_head *group_bh;
    struct ext2_group *d = ext2_group(s, group, &group_bh);
    if (!d->free_blocks_count) {
        return 0;
    }
    struct buffer_head *bh = sb_bread(s->sb, d->block_bitmap);
    if (IS_ERR(bh)) {
        *error = (int)PTR_ERR(bh);
        return 0;
    }
    unsigned long *map = (unsigned long *)bh->data;
    unsigned size = group_size(s, group);
    unsigned bit = find_free(s, group, map, from, size);
    if (bit >= size && from) {
        bit = find_free(s, group, map, 0, from);
        bit = bit >= from ? size : bit;
    }
    if (bit >= size) {
        brelse(bh);
        return 0;
    }
    u32 first = group_first(s, group) + bit;
    unsigned n = 0;
    while (n < *count && bit + n < size && !test_bit(bit + n, map) &&
           !(n && waits_until(s, first + n))) {
        __set_bit(bit + n, map);
        n++;
    }
    *count = n;
    d->free_blocks_count -= (u16)n;
    s->es->free_blocks_count -= n;
    mark_buffer_dirty(bh);
    mark_buffer_dirty(group_bh);
    mark_buffer_dirty(s->super_bh);
    brelse(bh);
    return first;
}

static bool may_use_reserve(const struct ext2_sb *s)
{
    return capable(CAP_SYS_RESOURCE) || s->es->def_resuid == current_fsuid() ||
           (s->es->def_resgid && in_group_p(s->es->def_resgid));
}

static u32 search(struct ext2_sb *s, u32 goal, unsigned *count, int *error)
{
    unsigned start = (goal - s->first_data_block) / s->blocks_per_group;
    for (unsigned k = 0; k < s->groups && !*error; k++) {
        unsigned group = (start + k) % s->groups;
        unsigned from = k ? 0 : goal - group_first(s, group);
        u32 block = take_from_group(s, group, from, count, error);
        if (block) {
            return block;
        }
    }
    return 0;
}

u32 ext2_new_blocks(struct inode *i, u32 goal, unsigned *count, int *error)
{
    struct ext2_sb *s = ext2_sb(i->i_sb);
    *error = 0;
    if (!goal || goal < s->first_data_block || goal >= s->blocks_count) {
        goal = group_first(s, ext2_i(i)->group);
    }
    mutex_lock(&s->alloc);
    u32 block = 0;
    if (s->es->free_blocks_count > s->es->r_blocks_count ||
        (s->es->free_blocks_count && may_use_reserve(s))) {
        reap(s);
        block = search(s, goal, count, error);
        if (!block && !*error && s->pending_count) {
            settle(s);
            block = search(s, goal, count, error);
        }
    }
    mutex_unlock(&s->alloc);
    if (!block && !*error) {
        *error = -ENOSPC;
    }
    return block;
}

void ext2_free_blocks(struct inode *i, u32 block, unsigned count, u32 holder)
{
    struct ext2_sb *s = ext2_sb(i->i_sb);
    if (block < s->first_data_block || block >= s->blocks_count ||
        count > s->blocks_count - block) {
        ext2_error(i->i_sb, "inode %lu: freeing blocks %u+%u outside the file system", i->i_ino,
                   block, count);
        return;
    }
    mutex_lock(&s->alloc);
    while (count) {
        unsigned group = (block - s->first_data_block) / s->blocks_per_group;
        unsigned bit = block - group_first(s, group), freed = 0;
        unsigned n = min(count, group_size(s, group) - bit);
        struct buffer_head *group_bh;
        struct ext2_group *d = ext2_group(s, group, &group_bh);
        struct buffer_head *bh = sb_bread_must(i->i_sb, d->block_bitmap);
        if (IS_ERR(bh)) {
            ext2_error(i->i_sb, "block bitmap of group %u is unreadable", group);
            break;
        }
        for (unsigned k = 0; k < n; k++) {
            if (test_bit(bit + k, (unsigned long *)bh->data)) {
                __clear_bit(bit + k, (unsigned long *)bh->data);
                freed++;
            } else {
                ext2_error(i->i_sb, "block %u was free already", block + k);
            }
        }
        d->free_blocks_count += (u16)freed;
        s->es->free_blocks_count += freed;
        mark_buffer_dirty(bh);
        mark_buffer_dirty(group_bh);
        mark_buffer_dirty(s->super_bh);
        brelse(bh);
        remember(s, block, n, holder);
        block += n;
        count -= n;
    }
    mutex_unlock(&s->alloc);
}
