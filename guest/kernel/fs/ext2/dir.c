// SPDX-License-Identifier: MIT
// ext2: directory blocks, linear. They are metadata: buffers of the device. The directory's i_rwsem
// is held.
#include "abi/dirent.h"
#include "fs/ext2/ext2.h"

static const u8 type_of_mode[16] = {
    [1] = 5, [2] = 3, [4] = 2, [6] = 4, [8] = 1, [10] = 7, [12] = 6};
static const u8 dtype_of_type[8] = {DT_UNKNOWN, DT_REG,  DT_DIR,  DT_CHR,
                                    DT_BLK,     DT_FIFO, DT_SOCK, DT_LNK};

static unsigned blocks_of(const struct inode *dir)
{
    return (unsigned)(dir->i_size >> dir->i_blkbits);
}

// Directory block n, referenced. ERR_PTR(-ENOMEM), or -EIO: a hole or unreadable. must: waits for
// memory.
static struct buffer_head *dir_block(struct inode *dir, unsigned n, bool must)
{
    for (;;) {
        u32 block;
        bool fresh;
        int error = ext2_map(dir, n, false, &block, &fresh);
        if (!error && !block) {
            ext2_error(dir->i_sb, "directory %lu: block %u is missing", dir->i_ino, n);
            error = -EIO;
        }
        struct buffer_head *bh = error ? ERR_PTR(error) : sb_bread(dir->i_sb, block);
        if (!must || bh != ERR_PTR(-ENOMEM)) {
            return bh;
        }
        msleep(1);
    }
}

static struct ext2_dirent *entry_at(const struct buffer_head *bh, unsigned at)
{
    return (struct ext2_dirent *)(bh->data + at);
}

// An entry that cannot be: the rest of the block is not looked at.
static bool broken(struct inode *dir, const struct buffer_head *bh, unsigned at)
{
    const struct ext2_dirent *e = entry_at(bh, at);
    unsigned left = bh->size - at;
    if (left < 12 || e->rec_len < DIRENT_SIZE(e->name_len) || e->rec_len % 4 || e->rec_len > left ||
        e->inode > ext2_sb(dir->i_sb)->inodes_count) {
        ext2_error(dir->i_sb, "directory %lu: broken entry in block %lu at %u", dir->i_ino,
                   bh->block, at);
        return true;
    }
    return false;
}

struct place {
    struct buffer_head *bh;
    unsigned at, before; // before: entry in front of it in the block (== at for the first)
};

// Finds the entry; *p's buffer is referenced. 0, -ENOENT, -ENOMEM or -EIO (broken blocks are passed
// over first).
static int find(struct inode *dir, const struct qstr *name, struct place *p, bool must)
{
    int error = -ENOENT;
    for (unsigned n = 0; n < blocks_of(dir); n++) {
        struct buffer_head *bh = dir_block(dir, n, must);
        if (IS_ERR(bh)) {
            error = (int)PTR_ERR(bh);
            if (error == -ENOMEM) {
                return error;
            }
            continue;
        }
        for (unsigned at = 0, before = 0; at < bh->size;) {
            if (broken(dir, bh, at)) {
                error = -EIO;
                break;
            }
            struct ext2_dirent *e = entry_at(bh, at);
            if (e->inode && e->name_len == name->len && !memcmp(e->name, name->name, name->len)) {
                *p = (struct place){bh, at, before};
                return 0;
            }
            before = at;
            at += e->rec_len;
        }
        brelse(bh);
    }
    return error;
}

int ext2_find(struct inode *dir, const struct qstr *name, u32 *ino)
{
    struct place p;
    *ino = 0;
    int error = find(dir, name, &p, false);
    if (!error) {
        *ino = entry_at(p.bh, p.at)->inode;
        brelse(p.bh);
    }
    return error == -ENOENT ? 0 : error;
}

static void fill(struct inode *dir, struct ext2_dirent *e, const char *name, unsigned len,
                 const struct inode *i)
{
    bool typed = ext2_sb(dir->i_sb)->es->feature_incompat & EXT2_INCOMPAT_FILETYPE;
    e->inode = (u32)i->i_ino;
    e->name_len = (u8)len;
    e->file_type = typed ? type_of_mode[i->i_mode >> 12] : 0;
    memcpy(e->name, name, len);
}

static void changed(struct inode *dir)
{
    dir->i_mtime = dir->i_ctime = current_time(dir);
    ext2_i(dir)->flags &= ~(u32)EXT2_INDEX_FL;
    mark_inode_dirty(dir);
}

// Puts the entry into a block if there is room. True if it did.
static bool insert_into(struct inode *dir, struct buffer_head *bh, const struct qstr *name,
                        const struct inode *i)
{
    unsigned need = DIRENT_SIZE(name->len);
    for (unsigned at = 0; at < bh->size && !broken(dir, bh, at);) {
        struct ext2_dirent *e = entry_at(bh, at);
        unsigned used = e->inode ? DIRENT_SIZE(e->name_len) : 0;
        if (e->rec_len >= used + need) {
            struct ext2_dirent *slot = entry_at(bh, at + used);
            if (used) {
                slot->rec_len = (u16)(e->rec_len - used);
                e->rec_len = (u16)used;
            }
            fill(dir, slot, name->name, name->len, i);
            mark_buffer_dirty(bh);
            return true;
        }
        at += e->rec_len;
    }
    return false;
}

int ext2_add_link(struct inode *dir, const struct qstr *name, struct inode *i)
{
    for (unsigned n = 0; n < blocks_of(dir); n++) {
        struct buffer_head *bh = dir_block(dir, n, false);
        if (IS_ERR(bh)) {
            return (int)PTR_ERR(bh);
        }
        bool done = insert_into(dir, bh, name, i);
        brelse(bh);
        if (done) {
            changed(dir);
            return 0;
        }
    }
    u32 block;
    bool fresh;
    int error = ext2_map(dir, blocks_of(dir), true, &block, &fresh);
    if (error) {
        return error;
    }
    struct buffer_head *bh = sb_new_block(dir->i_sb, block);
    if (!bh) {
        ext2_truncate_blocks(dir, dir->i_size);
        return -ENOMEM;
    }
    entry_at(bh, 0)->rec_len = (u16)bh->size;
    fill(dir, entry_at(bh, 0), name->name, name->len, i);
    mark_buffer_dirty(bh);
    brelse(bh);
    i_size_write(dir, dir->i_size + (loff_t)dir->i_sb->s_blocksize);
    changed(dir);
    return 0;
}

int ext2_delete_entry(struct inode *dir, const struct qstr *name)
{
    struct place p;
    int error = find(dir, name, &p, true);
    if (error) {
        return error;
    }
    struct ext2_dirent *e = entry_at(p.bh, p.at);
    if (p.before != p.at) {
        entry_at(p.bh, p.before)->rec_len += e->rec_len;
    }
    e->inode = 0;
    mark_buffer_dirty(p.bh);
    brelse(p.bh);
    changed(dir);
    return 0;
}

int ext2_set_entry(struct inode *dir, const struct qstr *name, struct inode *i)
{
    struct place p;
    int error = find(dir, name, &p, true);
    if (error) {
        return error;
    }
    fill(dir, entry_at(p.bh, p.at), name->name, name->len, i);
    mark_buffer_dirty(p.bh);
    brelse(p.bh);
    changed(dir);
    return 0;
}

int ext2_make_empty(struct inode *dir, struct inode *parent)
{
    u32 block;
    bool fresh;
    int error = ext2_map(dir, 0, true, &block, &fresh);
    if (error) {
        return error;
    }
    struct buffer_head *bh = sb_new_block(dir->i_sb, block);
    if (!bh) {
        return -ENOMEM;
    }
    struct ext2_dirent *dot = entry_at(bh, 0), *dotdot = entry_at(bh, 12);
    dot->rec_len = 12;
    fill(dir, dot, ".", 1, dir);
    dotdot->rec_len = (u16)(bh->size - 12);
    fill(dir, dotdot, "..", 2, parent);
    mark_buffer_dirty(bh);
    brelse(bh);
    i_size_write(dir, dir->i_sb->s_blocksize);
    mark_inode_dirty(dir);
    return 0;
}

static bool is_dot(const struct ext2_dirent *e)
{
    return (e->name_len == 1 && e->name[0] == '.') ||
           (e->name_len == 2 && e->name[0] == '.' && e->name[1] == '.');
}

int ext2_dir_empty(struct inode *dir)
{
    for (unsigned n = 0; n < blocks_of(dir); n++) {
        struct buffer_head *bh = dir_block(dir, n, false);
        if (IS_ERR(bh)) {
            return (int)PTR_ERR(bh); // what cannot be read may not be lost
        }
        bool used = false;
        for (unsigned at = 0; at < bh->size && !used;) {
            if (broken(dir, bh, at)) {
                used = true;
                break;
            }
            const struct ext2_dirent *e = entry_at(bh, at);
            used = e->inode && !is_dot(e);
            at += e->rec_len;
        }
        brelse(bh);
        if (used) {
            return -ENOTEMPTY;
        }
    }
    return 0;
}

// The position is a byte offset; after changes it may point into an entry, so each block is walked
// from its start.
static int iterate(struct file *f, struct dir_context *ctx)
{
    struct inode *dir = f->f_inode;
    bool typed = ext2_sb(dir->i_sb)->es->feature_incompat & EXT2_INCOMPAT_FILETYPE;
    while (ctx->pos < dir->i_size) {
        unsigned n = (unsigned)(ctx->pos >> dir->i_blkbits);
        loff_t start = (loff_t)n << dir->i_blkbits;
        struct buffer_head *bh = dir_block(dir, n, false);
        if (bh == ERR_PTR(-ENOMEM)) {
            return -ENOMEM;
        }
        if (IS_ERR(bh)) {
            ctx->pos = start + (loff_t)dir->i_sb->s_blocksize;
            continue;
        }
        for (unsigned at = 0; at < bh->size;) {
            if (broken(dir, bh, at)) {
                brelse(bh);
                return -EIO;
            }
            const struct ext2_dirent *e = entry_at(bh, at);
            if (e->inode && start + at >= ctx->pos) {
                unsigned type = typed ? dtype_of_type[e->file_type & 7] : DT_UNKNOWN;
                if (!ctx->actor(ctx, e->name, e->name_len, start + at, e->inode, type)) {
                    ctx->pos = start + at;
                    brelse(bh);
                    return 0;
                }
            }
            at += e->rec_len;
        }
        brelse(bh);
        ctx->pos = start + (loff_t)dir->i_sb->s_blocksize;
    }
    return 0;
}

const struct file_operations ext2_dir_fops = {
    .llseek = generic_file_llseek,
    .read = generic_read_dir,
    .iterate = iterate,
    .fsync = ext2_fsync,
};
