// SPDX-License-Identifier: MIT
// ext2: inodes to and from their table.
#include "fs/ext2/ext2.h"

// The inode's slot in the table; its buffer is referenced for the caller. ERR_PTR, *bh NULL. must:
// waits for memory.
static struct ext2_inode *slot(struct super_block *sb, ino_t ino, struct buffer_head **bh,
                               bool must)
{
    struct ext2_sb *s = ext2_sb(sb);
    if ((ino != EXT2_ROOT_INO && ino < s->first_ino) || ino > s->inodes_count) {
        return ERR_PTR(-EIO);
    }
    unsigned group = (unsigned)(ino - 1) / s->inodes_per_group;
    unsigned n = (unsigned)(ino - 1) % s->inodes_per_group;
    struct ext2_group *d = ext2_group(s, group, NULL);
    sector_t block = d->inode_table + n / s->inodes_per_block;
    struct buffer_head *b = must ? sb_bread_must(sb, block) : sb_bread(sb, block);
    if (IS_ERR(b)) {
        return (struct ext2_inode *)b;
    }
    *bh = b;
    return (struct ext2_inode *)((*bh)->data + n % s->inodes_per_block * s->inode_size);
}

static void set_symlink(struct inode *i)
{
    struct ext2_info *e = ext2_i(i);
    u64 acl_blocks = e->file_acl ? i->i_sb->s_blocksize / 512 : 0;
    if (i->i_blocks == acl_blocks && i->i_size < (loff_t)sizeof(e->block)) {
        ((char *)e->block)[i->i_size] = '\0';
        i->i_op = &ext2_fast_symlink_iops;
    } else {
        i->i_op = &ext2_symlink_iops;
        i->i_data.a_ops = &ext2_aops;
    }
}

void ext2_set_ops(struct inode *i)
{
    switch (i->i_mode & S_IFMT) {
    case S_IFREG:
        i->i_op = &ext2_file_iops;
        i->i_fop = &ext2_file_fops;
        i->i_data.a_ops = &ext2_aops;
        break;
    case S_IFDIR:
        i->i_op = &ext2_dir_iops;
        i->i_fop = &ext2_dir_fops;
        break;
    case S_IFLNK:
        set_symlink(i);
        break;
    default:
        init_special_inode(i, i->i_mode, i->i_rdev);
        i->i_op = &ext2_special_iops;
    }
}

// Device numbers: 8 + 8 bits in block[0], else the longer form in block[1].
static dev_t read_rdev(const u32 *block)
{
    if (block[0]) {
        return MKDEV(block[0] >> 8 & 0xff, block[0] & 0xff);
    }
    return new_decode_dev(block[1]);
}

static void write_rdev(u32 *block, dev_t dev)
{
    bool small = MAJOR(dev) < 256 && MINOR(dev) < 256;
    block[0] = small ? MAJOR(dev) << 8 | MINOR(dev) : 0;
    block[1] = small ? 0 : (u32)new_encode_dev(dev);
}

static int load(struct inode *i, const struct ext2_inode *raw)
{
    struct ext2_info *e = ext2_i(i);
    i->i_mode = raw->mode;
    i->i_uid = raw->uid | (u32)raw->uid_high << 16;
    i->i_gid = raw->gid | (u32)raw->gid_high << 16;
    i->i_nlink = raw->links_count;
    i->i_size = raw->size;
    i->i_atime = (struct timespec64){.tv_sec = (s32)raw->atime};
    i->i_mtime = (struct timespec64){.tv_sec = (s32)raw->mtime};
    i->i_ctime = (struct timespec64){.tv_sec = (s32)raw->ctime};
    i->i_blocks = raw->blocks;
    i->i_generation = raw->generation;
    e->flags = raw->flags;
    e->file_acl = raw->file_acl;
    e->group = (u32)(i->i_ino - 1) / ext2_sb(i->i_sb)->inodes_per_group;
    if (!i->i_nlink && (!i->i_mode || raw->dtime)) {
        return -ESTALE; // deleted
    }
    if (S_ISREG(i->i_mode)) {
        i->i_size |= (loff_t)raw->size_high << 32;
    }
    if (i->i_size < 0 || (S_ISDIR(i->i_mode) && (i->i_size & (i->i_sb->s_blocksize - 1))) ||
        (S_ISLNK(i->i_mode) && i->i_size >= PATH_MAX)) {
        ext2_error(i->i_sb, "inode %lu: size %ld", i->i_ino, i->i_size);
        return -EIO;
    }
    memcpy(e->block, raw->block, sizeof(e->block));
    if (S_ISCHR(i->i_mode) || S_ISBLK(i->i_mode)) {
        i->i_rdev = read_rdev(raw->block);
    }
    return 0;
}

struct inode *ext2_iget(struct super_block *sb, ino_t ino)
{
    struct buffer_head *bh = NULL;
    struct inode *i = iget_locked(sb, ino);
    if (!i) {
        return ERR_PTR(-ENOMEM);
    }
    if (!(i->i_state & I_NEW)) {
        return i;
    }
    const struct ext2_inode *raw = slot(sb, ino, &bh, false);
    int error = IS_ERR(raw) ? (int)PTR_ERR(raw) : load(i, raw);
    brelse(bh);
    if (error) {
        ext2_i(i)->group = ~0u; // eviction leaves the disk alone
        iget_failed(i);
        return ERR_PTR(error);
    }
    ext2_set_ops(i);
    unlock_new_inode(i);
    return i;
}

static void store(struct inode *i, struct ext2_inode *raw)
{
    struct ext2_info *e = ext2_i(i);
    raw->mode = i->i_mode;
    raw->uid = (u16)i->i_uid;
    raw->uid_high = (u16)(i->i_uid >> 16);
    raw->gid = (u16)i->i_gid;
    raw->gid_high = (u16)(i->i_gid >> 16);
    raw->links_count = (u16)i->i_nlink;
    raw->size = (u32)i->i_size;
    raw->size_high = S_ISREG(i->i_mode) ? (u32)(i->i_size >> 32) : 0;
    raw->atime = (u32)i->i_atime.tv_sec;
    raw->mtime = (u32)i->i_mtime.tv_sec;
    raw->ctime = (u32)i->i_ctime.tv_sec;
    raw->dtime = i->i_nlink ? 0 : (u32)i->i_ctime.tv_sec;
    raw->blocks = (u32)i->i_blocks;
    raw->flags = e->flags;
    raw->generation = i->i_generation;
    raw->file_acl = e->file_acl;
    memcpy(raw->block, e->block, sizeof(raw->block));
    if (S_ISCHR(i->i_mode) || S_ISBLK(i->i_mode)) {
        write_rdev(raw->block, i->i_rdev);
    }
}

static void note_large_file(struct super_block *sb)
{
    struct ext2_super *es = ext2_sb(sb)->es;
    if (es->rev_level >= 1 && !(es->feature_ro_compat & EXT2_RO_COMPAT_LARGE_FILE)) {
        es->feature_ro_compat |= EXT2_RO_COMPAT_LARGE_FILE;
        mark_buffer_dirty(ext2_sb(sb)->super_bh);
    }
}

int ext2_update_inode(struct inode *i, bool sync, u32 *table_block)
{
    struct buffer_head *bh = NULL;
    struct ext2_inode *raw = slot(i->i_sb, i->i_ino, &bh, true);
    if (IS_ERR(raw)) {
        return (int)PTR_ERR(raw);
    }
    txn_begin(i->i_sb, 2);
    if (S_ISREG(i->i_mode) && i->i_size > 0x7fffffff) {
        note_large_file(i->i_sb);
    }
    store(i, raw);
    mark_buffer_dirty(bh);
    txn_end(i->i_sb);
    if (table_block) {
        *table_block = (u32)bh->block;
    }
    int error = sync ? sync_dirty_buffer(bh) : 0;
    brelse(bh);
    return error;
}

int ext2_write_inode(struct inode *i, struct writeback_control *wbc)
{
    return ext2_update_inode(i, wbc->sync_mode == WB_SYNC_ALL, NULL);
}

static bool has_blocks(const struct inode *i)
{
    if (S_ISLNK(i->i_mode)) {
        return i->i_op == &ext2_symlink_iops;
    }
    return S_ISREG(i->i_mode) || S_ISDIR(i->i_mode);
}

void ext2_evict_inode(struct inode *i)
{
    truncate_inode_pages(&i->i_data, 0);
    bool gone =
        !i->i_nlink && i->i_ino && ext2_i(i)->group != ~0u && !(i->i_sb->s_flags & MS_RDONLY);
    if (gone) {
        i->i_ctime = current_time(i);
        i->i_size = 0;
        if (has_blocks(i)) {
            ext2_truncate_blocks(i, 0);
        }
        ext2_update_inode(i, false, NULL);
    }
    clear_inode(i);
    if (gone) {
        ext2_free_inode(i);
    }
}

int ext2_setattr(struct dentry *d, struct iattr *a)
{
    struct inode *i = d->d_inode;
    int error = setattr_prepare(d, a);
    if (error) {
        return error;
    }
    if (a->ia_valid & ATTR_SIZE) {
        if (!S_ISREG(i->i_mode)) {
            return -EINVAL;
        }
        error = ext2_zero_tail(i, a->ia_size);
        if (error) {
            return error;
        }
        bool shorter = a->ia_size < i->i_size;
        truncate_setsize(i, a->ia_size);
        if (shorter) {
            ext2_truncate_blocks(i, a->ia_size);
        }
        i->i_mtime = i->i_ctime = current_time(i);
    }
    setattr_copy(i, a);
    mark_inode_dirty(i);
    return 0;
}
