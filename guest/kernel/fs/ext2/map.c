// SPDX-License-Identifier: MIT
// ext2: from file blocks to disk blocks over direct, single, double and triple indirect blocks;
// truncation.
#include "fs/ext2/ext2.h"

// Way to a file block: offsets[0] in the inode, the others in indirect blocks. Depth, or 0 if it is
// too big a number.
static int path_to(const struct ext2_sb *s, u64 n, unsigned offsets[4])
{
    u64 per = s->addr_per_block;
    unsigned bits = s->addr_bits;
    if (n < EXT2_NDIR) {
        offsets[0] = (unsigned)n;
        return 1;
    }
    n -= EXT2_NDIR;
    if (n < per) {
        offsets[0] = EXT2_IND;
        offsets[1] = (unsigned)n;
        return 2;
    }
    n -= per;
    if (n < per * per) {
        offsets[0] = EXT2_DIND;
        offsets[1] = (unsigned)(n >> bits);
        offsets[2] = (unsigned)(n & (per - 1));
        return 3;
    }
    n -= per * per;
    if (n < per * per * per) {
        offsets[0] = EXT2_TIND;
        offsets[1] = (unsigned)(n >> (2 * bits));
        offsets[2] = (unsigned)(n >> bits & (per - 1));
        offsets[3] = (unsigned)(n & (per - 1));
        return 4;
    }
    return 0;
}

loff_t ext2_max_size(unsigned bits)
{
    u64 per = 1u << (bits - 2);
    u64 blocks = EXT2_NDIR + per + per * per + per * per * per;
    u64 by_sectors = (1UL << 32) - 1; // i_blocks counts 512-byte units in 32 bits
    return (loff_t)min(blocks << bits, (by_sectors << 9) & ~((1UL << bits) - 1));
}

// May a file own this block? Not outside the file system, not a super block, descriptor, bitmap or
// inode table.
static bool sane(const struct inode *i, u32 block)
{
    struct ext2_sb *s = ext2_sb(i->i_sb);
    if (block <= s->first_data_block + DIV_ROUND_UP(s->groups, s->groups_per_block) ||
        block >= s->blocks_count) {
        return false;
    }
    const struct ext2_group *g =
        ext2_group(s, (block - s->first_data_block) / s->blocks_per_group, NULL);
    return block != g->block_bitmap && block != g->inode_bitmap &&
           (block < g->inode_table ||
            block - g->inode_table >= s->inodes_per_group / s->inodes_per_block);
}

// Follows the path. Returns how many levels are there; *block is the last one found (0 at level 0),
// *bh the indirect block that holds (or would hold) the next pointer, referenced, NULL for the
// inode. -EIO.
static int follow(struct inode *i, const unsigned *offsets, int depth, u32 *block,
                  struct buffer_head **bh)
{
    u32 at = ext2_i(i)->block[offsets[0]];
    int level = 0;
    *bh = NULL;
    *block = 0;
    while (at) {
        if (!sane(i, at)) {
            ext2_error(i->i_sb, "inode %lu: block %u outside the file system", i->i_ino, at);
            brelse(*bh);
            return -EIO;
        }
        *block = at;
        if (++level == depth) {
            break;
        }
        brelse(*bh);
        struct buffer_head *next = sb_bread(i->i_sb, at);
        *bh = IS_ERR(next) ? NULL : next;
        if (IS_ERR(next)) {
            return (int)PTR_ERR(next);
        }
        at = ((u32 *)(*bh)->data)[offsets[level]];
    }
    return level;
}

static u32 goal_for(struct inode *i, u32 near)
{
    struct ext2_info *e = ext2_i(i);
    return near ? near + 1 : e->last_block ? e->last_block + 1 : 0;
}

// Gives back blocks that never became part of the file.
static void give_back(struct inode *i, const u32 *blocks, int n)
{
    for (int k = 0; k < n; k++) {
        bforget_block(i->i_sb, blocks[k]);
        ext2_free_blocks(i, blocks[k], 1, blocks[k]);
    }
}

// Makes the levels [have, depth) and hangs them in. `bh`: where the first pointer goes (NULL: the
// inode).
static int extend(struct inode *i, const unsigned *offsets, int have, int depth,
                  struct buffer_head *bh, u32 near, u32 *block)
{
    struct ext2_info *e = ext2_i(i);
    u32 made[4] = {0};
    int n = 0, error = 0;
    for (; n < depth - have; n++) {
        unsigned one = 1;
        made[n] = ext2_new_blocks(i, goal_for(i, n ? made[n - 1] : near), &one, &error);
        if (!made[n]) {
            give_back(i, made, n);
            return error;
        }
    }
    // Indirect blocks first, so that nothing that is reachable points at garbage.
    for (int k = 0; k < n - 1; k++) {
        struct buffer_head *ind = sb_new_block(i->i_sb, made[k]);
        if (!ind) {
            give_back(i, made, n);
            return -ENOMEM;
        }
        ((u32 *)ind->data)[offsets[have + k + 1]] = made[k + 1];
        mark_buffer_dirty(ind);
        brelse(ind);
    }
    if (bh) {
        ((u32 *)bh->data)[offsets[have]] = made[0];
        mark_buffer_dirty(bh);
    } else {
        e->block[offsets[0]] = made[0];
    }
    *block = made[n - 1];
    e->last_block = *block;
    i->i_blocks += (u64)n * (i->i_sb->s_blocksize / 512);
    mark_inode_dirty(i);
    return 0;
}

// The pointer just before ours, for adjacency on disk.
static u32 neighbour(struct inode *i, const unsigned *offsets, int have,
                     const struct buffer_head *bh)
{
    unsigned at = offsets[have];
    const u32 *table = bh ? (const u32 *)bh->data : ext2_i(i)->block;
    if (at && !(bh == NULL && at >= EXT2_NDIR)) {
        return table[at - 1];
    }
    return bh ? (u32)bh->block : 0;
}

int ext2_map(struct inode *i, u32 n, bool create, u32 *block, bool *fresh)
{
    unsigned offsets[4];
    struct buffer_head *bh;
    struct ext2_info *e = ext2_i(i);
    int depth = path_to(ext2_sb(i->i_sb), n, offsets);
    *fresh = false;
    *block = 0;
    if (!depth) {
        return -EFBIG;
    }
    int have = follow(i, offsets, depth, block, &bh);
    if (have < 0) {
        return have;
    }
    brelse(bh);
    if (have == depth || !create) {
        *block = have == depth ? *block : 0;
        return 0;
    }
    mutex_lock(&e->map);
    txn_begin(i->i_sb, 12);
    have = follow(i, offsets, depth, block, &bh);
    int error = have < 0 ? have : 0;
    if (!error && have < depth) {
        error = extend(i, offsets, have, depth, bh, neighbour(i, offsets, have, bh), block);
        *fresh = !error;
        if (error) {
            *block = 0;
        }
    }
    if (have >= 0) {
        brelse(bh);
    }
    txn_end(i->i_sb);
    mutex_unlock(&e->map);
    return error;
}

// --- truncation

// Adjacent freed blocks are given back together.
struct batch {
    struct inode *inode;
    u32 start, count, holder;
};

static void flush_batch(struct batch *b)
{
    if (b->count) {
        ext2_free_blocks(b->inode, b->start, b->count, b->holder);
        b->count = 0;
    }
}

static void free_one(struct batch *b, u32 block, u32 holder)
{
    if (!sane(b->inode, block)) {
        ext2_error(b->inode->i_sb, "inode %lu: block %u outside the file system", b->inode->i_ino,
                   block);
        return;
    }
    if (b->count && (b->holder != holder || b->start + b->count != block)) {
        flush_batch(b);
    }
    if (!b->count) {
        b->start = block;
        b->holder = holder;
    }
    b->count++;
    b->inode->i_blocks -= b->inode->i_sb->s_blocksize / 512;
}

// Frees a whole subtree: `block` is data at depth 0, else an indirect block.
static void free_tree(struct batch *b, u32 block, int depth, u32 holder)
{
    struct super_block *sb = b->inode->i_sb;
    if (depth > 0 && sane(b->inode, block)) {
        struct buffer_head *bh = sb_bread_must(sb, block);
        if (!IS_ERR(bh)) {
            const u32 *table = (const u32 *)bh->data;
            for (unsigned k = 0; k < ext2_sb(sb)->addr_per_block; k++) {
                if (table[k]) {
                    free_tree(b, table[k], depth - 1, holder);
                }
            }
            brelse(bh);
        } else {
            ext2_error(sb, "inode %lu: indirect block %u is unreadable", b->inode->i_ino, block);
        }
    }
    if (depth > 0 || !S_ISREG(b->inode->i_mode)) {
        bforget_block(sb, block);
    }
    free_one(b, block, holder);
}

// Frees the file blocks >= first (relative to this subtree) below a kept or dropped pointer.
// Returns true if all of the subtree went, so that its own block may go too. span: file blocks
// under one pointer of this block.
static void cut_tree(struct batch *b, u32 block, int depth, u64 first)
{
    struct super_block *sb = b->inode->i_sb;
    struct buffer_head *bh = sane(b->inode, block) ? sb_bread_must(sb, block) : ERR_PTR(-EIO);
    if (IS_ERR(bh)) {
        ext2_error(sb, "inode %lu: indirect block %u is unreadable", b->inode->i_ino, block);
        return;
    }
    u32 *table = (u32 *)bh->data;
    unsigned bits = ext2_sb(sb)->addr_bits * (unsigned)(depth - 1);
    unsigned k = (unsigned)(first >> bits);
    if (first & ((1UL << bits) - 1)) {
        if (table[k]) {
            cut_tree(b, table[k], depth - 1, first & ((1UL << bits) - 1));
        }
        k++;
    }
    unsigned from = k;
    u32 *gone = kmalloc(ext2_sb(sb)->addr_per_block * sizeof(u32), GFP_NOFS | __GFP_NOFAIL);
    memcpy(gone, table, ext2_sb(sb)->addr_per_block * sizeof(u32));
    memset(table + from, 0, (ext2_sb(sb)->addr_per_block - from) * sizeof(u32));
    mark_buffer_dirty(bh); // before the blocks are free: it is their holder
    for (; k < ext2_sb(sb)->addr_per_block; k++) {
        if (gone[k]) {
            free_tree(b, gone[k], depth - 1, block);
        }
    }
    kfree(gone);
    brelse(bh);
}

void ext2_truncate_blocks(struct inode *i, loff_t size)
{
    struct ext2_info *e = ext2_i(i);
    struct ext2_sb *s = ext2_sb(i->i_sb);
    struct batch b = {.inode = i};
    u64 first = ((u64)size + i->i_sb->s_blocksize - 1) >> i->i_sb->s_blocksize_bits;
    u64 start = EXT2_NDIR, span = s->addr_per_block;
    u32 gone[EXT2_N_BLOCKS], holder = 0;
    mutex_lock(&e->map);
    txn_begin(i->i_sb, 32);
    memcpy(gone, e->block, sizeof(gone));
    for (u64 k = first; k < EXT2_NDIR; k++) {
        e->block[k] = 0;
    }
    for (int level = 1; level <= 3; level++) {
        if (first <= start) {
            e->block[EXT2_NDIR + level - 1] = 0;
        }
        start += span;
        span *= s->addr_per_block;
    }
    e->last_block = 0;
    ext2_update_inode(i, false, &holder); // the pointers go first, the blocks after
    for (u64 k = first; k < EXT2_NDIR; k++) {
        if (gone[k]) {
            free_tree(&b, gone[k], 0, holder);
        }
    }
    start = EXT2_NDIR;
    span = s->addr_per_block;
    for (int level = 1; level <= 3; level++) {
        u32 block = gone[EXT2_NDIR + level - 1];
        if (block && first <= start) {
            free_tree(&b, block, level, holder);
        } else if (block && first < start + span) {
            cut_tree(&b, block, level, first - start);
        }
        start += span;
        span *= s->addr_per_block;
    }
    flush_batch(&b);
    ext2_update_inode(i, false, NULL); // i_blocks
    mark_inode_dirty(i);
    txn_end(i->i_sb);
    mutex_unlock(&e->map);
}
