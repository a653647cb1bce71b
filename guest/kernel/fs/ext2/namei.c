// SPDX-License-Identifier: MIT
// ext2: inode operations of directories and symbolic links.
#include "fs/ext2/ext2.h"

static struct dentry *lookup(struct inode *dir, struct dentry *d)
{
    struct inode *i = NULL;
    if (d->d_name.len > NAME_MAX) {
        return ERR_PTR(-ENAMETOOLONG);
    }
    u32 ino;
    int error = ext2_find(dir, &d->d_name, &ino);
    if (error) {
        return ERR_PTR(error);
    }
    if (ino) {
        i = ext2_iget(dir->i_sb, ino);
        if (i == ERR_PTR(-ESTALE)) {
            ext2_error(dir->i_sb, "directory %lu: entry of the deleted inode %u", dir->i_ino, ino);
            return ERR_PTR(-EIO);
        }
    }
    return d_splice_alias(i, d);
}

// Names a fresh inode; on failure it goes again.
static int add_new(struct inode *dir, struct dentry *d, struct inode *i)
{
    int error = ext2_add_link(dir, &d->d_name, i);
    if (error) {
        i->i_nlink = 0;
        mark_inode_dirty(i);
        iput(i);
        return error;
    }
    d_instantiate(d, i);
    return 0;
}

static int create(struct inode *dir, struct dentry *d, umode_t mode)
{
    struct inode *i = ext2_new_inode(dir, mode);
    if (IS_ERR(i)) {
        return (int)PTR_ERR(i);
    }
    ext2_set_ops(i);
    return add_new(dir, d, i);
}

static int tmpfile(struct inode *dir, struct dentry *d, umode_t mode)
{
    struct inode *i = ext2_new_inode(dir, mode);
    if (IS_ERR(i)) {
        return (int)PTR_ERR(i);
    }
    ext2_set_ops(i);
    i->i_nlink = 0;
    mark_inode_dirty(i);
    d_instantiate(d, i);
    return 0;
}

static int mknod(struct inode *dir, struct dentry *d, umode_t mode, dev_t dev)
{
    struct inode *i = ext2_new_inode(dir, mode);
    if (IS_ERR(i)) {
        return (int)PTR_ERR(i);
    }
    i->i_rdev = dev;
    ext2_set_ops(i);
    return add_new(dir, d, i);
}

static int symlink(struct inode *dir, struct dentry *d, const char *target)
{
    size_t len = strlen(target);
    if (len >= dir->i_sb->s_blocksize) {
        return -ENAMETOOLONG;
    }
    struct inode *i = ext2_new_inode(dir, S_IFLNK | S_IRWXUGO);
    if (IS_ERR(i)) {
        return (int)PTR_ERR(i);
    }
    int error = 0;
    if (len < sizeof(ext2_i(i)->block)) {
        memcpy(ext2_i(i)->block, target, len + 1);
        i->i_size = (loff_t)len;
    } else {
        u32 block;
        bool fresh;
        error = ext2_map(i, 0, true, &block, &fresh);
        struct buffer_head *bh = error ? NULL : sb_new_block(i->i_sb, block);
        if (bh) {
            memcpy(bh->data, target, len);
            mark_buffer_dirty(bh);
            brelse(bh);
            i->i_size = (loff_t)len;
        } else if (!error) {
            error = -ENOMEM;
        }
        i->i_op = &ext2_symlink_iops;
    }
    if (error) {
        i->i_nlink = 0;
        iput(i);
        return error;
    }
    mark_inode_dirty(i);
    ext2_set_ops(i);
    return add_new(dir, d, i);
}

static int link(struct dentry *old, struct inode *dir, struct dentry *d)
{
    struct inode *i = old->d_inode;
    if (i->i_nlink >= EXT2_LINK_MAX) {
        return -EMLINK;
    }
    int error = ext2_add_link(dir, &d->d_name, i);
    if (!error) {
        i->i_ctime = current_time(i);
        inc_nlink(i);
        mark_inode_dirty(i);
        ihold(i);
        d_instantiate(d, i);
    }
    return error;
}

static void unlinked(struct inode *i, const struct inode *dir)
{
    i->i_ctime = dir->i_ctime;
    drop_nlink(i);
    mark_inode_dirty(i);
}

static int unlink(struct inode *dir, struct dentry *d)
{
    int error = ext2_delete_entry(dir, &d->d_name);
    if (!error) {
        unlinked(d->d_inode, dir);
    }
    return error;
}

static int mkdir(struct inode *dir, struct dentry *d, umode_t mode)
{
    if (dir->i_nlink >= EXT2_LINK_MAX) {
        return -EMLINK;
    }
    struct inode *i = ext2_new_inode(dir, mode);
    if (IS_ERR(i)) {
        return (int)PTR_ERR(i);
    }
    ext2_set_ops(i);
    i->i_nlink = 2;
    int error = ext2_make_empty(i, dir);
    if (error) {
        i->i_nlink = 0;
        iput(i);
        return error;
    }
    error = add_new(dir, d, i);
    if (!error) {
        inc_nlink(dir);
        mark_inode_dirty(dir);
    }
    return error;
}

static int rmdir(struct inode *dir, struct dentry *d)
{
    struct inode *i = d->d_inode;
    int error = ext2_dir_empty(i);
    error = error ? error : unlink(dir, d);
    if (!error) {
        i->i_size = 0;
        drop_nlink(i);
        drop_nlink(dir);
        mark_inode_dirty(i);
        mark_inode_dirty(dir);
    }
    return error;
}

static const struct qstr dotdot = {.name = "..", .len = 2};

// A directory that moved points at its new parent.
static int reparent(struct inode *i, struct inode *from, struct inode *to)
{
    if (!S_ISDIR(i->i_mode) || from == to) {
        return 0;
    }
    int error = ext2_set_entry(i, &dotdot, to);
    if (!error) {
        drop_nlink(from);
        inc_nlink(to);
        mark_inode_dirty(from);
        mark_inode_dirty(to);
    }
    return error;
}

static int exchange(struct inode *odir, struct dentry *od, struct inode *ndir, struct dentry *nd)
{
    struct inode *a = od->d_inode, *b = nd->d_inode;
    int error = ext2_set_entry(ndir, &nd->d_name, a);
    error = error ? error : ext2_set_entry(odir, &od->d_name, b);
    error = error ? error : reparent(a, odir, ndir);
    error = error ? error : reparent(b, ndir, odir);
    if (!error) {
        a->i_ctime = current_time(a);
        b->i_ctime = current_time(b);
        mark_inode_dirty(a);
        mark_inode_dirty(b);
    }
    return error;
}

static int rename(struct inode *odir, struct dentry *od, struct inode *ndir, struct dentry *nd,
                  unsigned flags)
{
    struct inode *i = od->d_inode, *victim = nd->d_inode;
    if (flags & RENAME_EXCHANGE) {
        return exchange(odir, od, ndir, nd);
    }
    bool dir = S_ISDIR(i->i_mode);
    int error = victim && dir ? ext2_dir_empty(victim) : 0;
    if (error) {
        return error;
    }
    if (!victim && dir && odir != ndir && ndir->i_nlink >= EXT2_LINK_MAX) {
        return -EMLINK;
    }
    // The new name first: at no time is the file without one.
    error = victim ? ext2_set_entry(ndir, &nd->d_name, i) : ext2_add_link(ndir, &nd->d_name, i);
    error = error ? error : ext2_delete_entry(odir, &od->d_name);
    if (error) {
        return error;
    }
    if (victim) {
        unlinked(victim, ndir);
        if (dir) {
            victim->i_size = 0;
            drop_nlink(victim);
            drop_nlink(ndir);
            mark_inode_dirty(victim);
            mark_inode_dirty(ndir);
        }
    }
    i->i_ctime = current_time(i);
    mark_inode_dirty(i);
    return reparent(i, odir, ndir);
}

// --- symbolic links

static const char *fast_get_link(struct dentry *d, struct inode *i, void **cookie)
{
    return (const char *)ext2_i(i)->block;
}

static const char *slow_get_link(struct dentry *d, struct inode *i, void **cookie)
{
    u32 block;
    bool fresh;
    int error = ext2_map(i, 0, false, &block, &fresh);
    error = error || block ? error : -EIO;
    struct buffer_head *bh = error ? ERR_PTR(error) : sb_bread(i->i_sb, block);
    if (IS_ERR(bh)) {
        return (const char *)bh;
    }
    char *text = kstrndup(bh->data, min((size_t)i->i_size, (size_t)bh->size), GFP_KERNEL);
    brelse(bh);
    *cookie = text;
    return text ? text : ERR_PTR(-ENOMEM);
}

static void slow_put_link(void *cookie)
{
    kfree(cookie);
}

const struct inode_operations ext2_fast_symlink_iops = {.get_link = fast_get_link,
                                                        .setattr = ext2_setattr};
const struct inode_operations ext2_symlink_iops = {
    .get_link = slow_get_link, .put_link = slow_put_link, .setattr = ext2_setattr};
const struct inode_operations ext2_special_iops = {.setattr = ext2_setattr};
const struct inode_operations ext2_dir_iops = {
    .lookup = lookup,
    .create = create,
    .link = link,
    .unlink = unlink,
    .symlink = symlink,
    .mkdir = mkdir,
    .rmdir = rmdir,
    .mknod = mknod,
    .rename = rename,
    .setattr = ext2_setattr,
    .tmpfile = tmpfile,
};
