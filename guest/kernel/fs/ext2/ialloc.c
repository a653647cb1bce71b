// SPDX-License-Identifier: MIT
// ext2: inode bitmaps. Directories spread over the groups with room, files stay in their
// directory's group.
#include "fs/ext2/ext2.h"

static u16 free_inodes(struct ext2_sb *s, unsigned group)
{
    return ext2_group(s, group, NULL)->free_inodes_count;
}

// The group with the most free blocks among those with an average number of free inodes.
static unsigned group_for_dir(struct ext2_sb *s, unsigned parent)
{
    unsigned average = s->es->free_inodes_count / s->groups, best = s->groups;
    for (unsigned k = 0; k < s->groups; k++) {
        unsigned g = (parent + k) % s->groups;
        struct ext2_group *d = ext2_group(s, g, NULL);
        if (d->free_inodes_count && d->free_inodes_count >= average &&
            (best == s->groups ||
             d->free_blocks_count > ext2_group(s, best, NULL)->free_blocks_count)) {
            best = g;
        }
    }
    return best;
}

static unsigned group_for_file(struct ext2_sb *s, unsigned parent)
{
    for (unsigned k = 0; k < s->groups; k++) {
        unsigned g = (parent + k) % s->groups;
        struct ext2_group *d = ext2_group(s, g, NULL);
        if (d->free_inodes_count && d->free_blocks_count) {
            return g;
        }
    }
    for (unsigned g = 0; g < s->groups; g++) {
        if (free_inodes(s, g)) {
            return g;
        }
    }
    return s->groups;
}

// Takes a free inode of the group; its number, or 0 with *error. alloc held.
static u32 take(struct ext2_sb *s, unsigned group, bool dir, int *error)
{
    struct buffer_head *group_bh;
    struct ext2_group *d = ext2_group(s, group, &group_bh);
    struct buffer_head *bh = sb_bread(s->sb, d->inode_bitmap);
    if (IS_ERR(bh)) {
        *error = (int)PTR_ERR(bh);
        return 0;
    }
    unsigned from = group ? 0 : s->first_ino - 1, size = s->inodes_per_group;
    unsigned bit = (unsigned)find_next_zero_bit((unsigned long *)bh->data, size, from);
    u32 ino = 0;
    if (bit < size) {
        __set_bit(bit, (unsigned long *)bh->data);
        d->free_inodes_count--;
        s->es->free_inodes_count--;
        d->used_dirs_count += dir;
        mark_buffer_dirty(bh);
        mark_buffer_dirty(group_bh);
        mark_buffer_dirty(s->super_bh);
        ino = group * size + bit + 1;
    }
    brelse(bh);
    return ino;
}

struct inode *ext2_new_inode(struct inode *dir, umode_t mode)
{
    struct ext2_sb *s = ext2_sb(dir->i_sb);
    struct inode *i = new_inode(dir->i_sb);
    if (!i) {
        return ERR_PTR(-ENOMEM);
    }
    int error = 0;
    u32 ino = 0;
    mutex_lock(&s->alloc);
    i->i_generation = ++s->generation;
    unsigned parent = ext2_i(dir)->group;
    unsigned group = S_ISDIR(mode) ? group_for_dir(s, parent) : group_for_file(s, parent);
    for (unsigned k = 0; group < s->groups && k < s->groups && !ino && !error; k++) {
        unsigned g = (group + k) % s->groups;
        ino = free_inodes(s, g) ? take(s, g, S_ISDIR(mode), &error) : 0;
    }
    mutex_unlock(&s->alloc);
    if (!ino) {
        i->i_nlink = 0;
        i->i_ino = 0; // nothing on disk to free
        iput(i);
        return ERR_PTR(error ? error : -ENOSPC);
    }
    i->i_ino = ino;
    inode_init_owner(i, dir, mode);
    i->i_atime = i->i_mtime = i->i_ctime = current_time(i);
    ext2_i(i)->group = (ino - 1) / s->inodes_per_group;
    insert_inode_hash(i);
    mark_inode_dirty(i);
    return i;
}

void ext2_free_inode(struct inode *i)
{
    struct ext2_sb *s = ext2_sb(i->i_sb);
    unsigned group = (unsigned)(i->i_ino - 1) / s->inodes_per_group;
    unsigned bit = (unsigned)(i->i_ino - 1) % s->inodes_per_group;
    if (i->i_ino < s->first_ino || i->i_ino > s->inodes_count) {
        ext2_error(i->i_sb, "freeing inode %lu", i->i_ino);
        return;
    }
    mutex_lock(&s->alloc);
    struct buffer_head *group_bh;
    struct ext2_group *d = ext2_group(s, group, &group_bh);
    struct buffer_head *bh = sb_bread_must(i->i_sb, d->inode_bitmap);
    if (!IS_ERR(bh) && test_bit(bit, (unsigned long *)bh->data)) {
        __clear_bit(bit, (unsigned long *)bh->data);
        d->free_inodes_count++;
        s->es->free_inodes_count++;
        d->used_dirs_count -= S_ISDIR(i->i_mode);
        mark_buffer_dirty(bh);
        mark_buffer_dirty(group_bh);
        mark_buffer_dirty(s->super_bh);
    } else {
        ext2_error(i->i_sb, "inode %lu was free already", i->i_ino);
    }
    brelse(IS_ERR(bh) ? NULL : bh);
    mutex_unlock(&s->alloc);
}
