// SPDX-License-Identifier: MIT
// Operations of file systems that live in the dentry cache (tmpfs, devtmpfs): every entry is a
// pinned dentry.
#include "fs/internal.h"

void simple_dir_times(struct inode *dir)
{
    dir->i_mtime = dir->i_ctime = current_time(dir);
}

int simple_getattr(const struct path *path, struct kstat *st)
{
    struct inode *i = path->dentry->d_inode;
    generic_fillattr(i, st);
    st->blocks = i->i_data.nrpages * (PAGE_SIZE / 512);
    st->blksize = PAGE_SIZE;
    return 0;
}

struct dentry *simple_lookup(struct inode *dir, struct dentry *d)
{
    d_add(d, NULL);
    return NULL;
}

int simple_link(struct dentry *old, struct inode *dir, struct dentry *d)
{
    struct inode *i = old->d_inode;
    simple_dir_times(dir);
    i->i_ctime = dir->i_ctime;
    inc_nlink(i);
    ihold(i);
    dget(d); // the pin
    d_instantiate(d, i);
    return 0;
}

int simple_unlink(struct inode *dir, struct dentry *d)
{
    struct inode *i = d->d_inode;
    simple_dir_times(dir);
    i->i_ctime = dir->i_ctime;
    drop_nlink(i);
    dput(d); // the pin
    return 0;
}

int simple_rmdir(struct inode *dir, struct dentry *d)
{
    if (!simple_empty(d)) {
        return -ENOTEMPTY;
    }
    drop_nlink(d->d_inode); // its "."
    simple_unlink(dir, d);
    drop_nlink(dir); // its ".."
    return 0;
}

static void move_dir_links(struct inode *from, struct inode *to, const struct dentry *d)
{
    if (d_is_dir(d) && from != to) {
        drop_nlink(from);
        inc_nlink(to);
    }
}

int simple_rename(struct inode *odir, struct dentry *od, struct inode *ndir, struct dentry *nd,
                  unsigned flags)
{
    if (flags & RENAME_EXCHANGE) {
        move_dir_links(odir, ndir, od);
        move_dir_links(ndir, odir, nd);
    } else {
        if (nd->d_inode) {
            if (d_is_dir(nd) && !simple_empty(nd)) {
                return -ENOTEMPTY;
            }
            bool dir = d_is_dir(nd);
            simple_unlink(ndir, nd);
            if (dir) {
                drop_nlink(nd->d_inode);
                drop_nlink(ndir);
            }
        }
        move_dir_links(odir, ndir, od);
    }
    simple_dir_times(odir);
    simple_dir_times(ndir);
    od->d_inode->i_ctime = current_time(od->d_inode);
    return 0;
}

ssize_t generic_read_dir(struct file *f, struct iov_iter *to, loff_t *pos)
{
    return -EISDIR;
}

#define BATCH 48

static u64 cookie_of(const struct dentry *d)
{
    return (u64)d->d_fsdata;
}

// The children with the smallest cookies >= pos, in order, referenced; how many. Cookies grow with
// creation and stay (d_fsdata), so that a reader is not confused by what others add and remove.
static unsigned children_from(struct dentry *dir, u64 pos, struct dentry **batch)
{
    struct dentry *d;
    unsigned n = 0;
    spin_lock(&dcache_lock);
    list_for_each_entry(d, &dir->d_subdirs, d_child) {
        if (!d->d_inode || d_unhashed(d) || cookie_of(d) < pos ||
            (n == BATCH && cookie_of(d) > cookie_of(batch[n - 1]))) {
            continue;
        }
        n = n == BATCH ? BATCH - 1 : n;
        unsigned at = n++;
        for (; at && cookie_of(batch[at - 1]) > cookie_of(d); at--) {
            batch[at] = batch[at - 1];
        }
        batch[at] = d;
    }
    for (unsigned k = 0; k < n; k++) {
        dget(batch[k]);
    }
    spin_unlock(&dcache_lock);
    return n;
}

void simple_set_cookie(struct dentry *d)
{
    static atomic64_t last = {2};
    d->d_fsdata = (void *)atomic64_inc_return(&last);
}

bool dir_emit_dots(struct file *f, struct dir_context *ctx)
{
    struct dentry *d = f->f_path.dentry;
    if (ctx->pos == 0) {
        if (!ctx->actor(ctx, ".", 1, 0, d->d_inode->i_ino, DT_DIR_TYPE)) {
            return false;
        }
        ctx->pos = 1;
    }
    if (ctx->pos == 1) {
        struct dentry *parent = dget_parent(d);
        bool ok = ctx->actor(ctx, "..", 2, 1, parent->d_inode->i_ino, DT_DIR_TYPE);
        dput(parent);
        if (!ok) {
            return false;
        }
        ctx->pos = 2;
    }
    return true;
}

static bool emit_child(struct dir_context *ctx, const struct dentry *d)
{
    const struct inode *i = d->d_inode;
    u64 cookie = cookie_of(d);
    if (!ctx->actor(ctx, d->d_name.name, (int)d->d_name.len, (loff_t)cookie, i->i_ino,
                    mode_to_dtype(i->i_mode))) {
        return false;
    }
    ctx->pos = (loff_t)cookie + 1;
    return true;
}

int dcache_iterate(struct file *f, struct dir_context *ctx)
{
    struct dentry *batch[BATCH];
    unsigned n;
    bool more = dir_emit_dots(f, ctx);
    while (more && (n = children_from(f->f_path.dentry, (u64)ctx->pos, batch)) != 0) {
        for (unsigned k = 0; k < n; k++) {
            more = more && emit_child(ctx, batch[k]);
            dput(batch[k]);
        }
        cond_resched();
    }
    return 0;
}

loff_t dcache_dir_lseek(struct file *f, loff_t off, int whence)
{
    if (whence == SEEK_CUR) {
        off += f->f_pos;
    } else if (whence != SEEK_SET) {
        return -EINVAL;
    }
    if (off < 0) {
        return -EINVAL;
    }
    f->f_pos = off;
    return off;
}

static int noop_fsync(struct file *f, loff_t start, loff_t end, bool datasync)
{
    return 0; // nothing below memory
}

const struct file_operations dcache_dir_fops = {
    .llseek = dcache_dir_lseek,
    .read = generic_read_dir,
    .iterate = dcache_iterate,
    .fsync = noop_fsync,
};

// --- symbolic links whose text hangs on i_private

const char *simple_get_link(struct dentry *d, struct inode *i, void **cookie)
{
    return i->i_private;
}
const struct inode_operations simple_symlink_iops = {.get_link = simple_get_link};
