// SPDX-License-Identifier: MIT
// /proc/PID/fd and /proc/PID/fdinfo.
#include "fs/proc/proc.h"

static int fd_link(struct dentry *d, struct path *path)
{
    struct task_struct *t = proc_task(d->d_inode);
    if (!t) {
        return -ENOENT;
    }
    int error = -EACCES;
    if (proc_may_look(t)) {
        struct file *f = fget_task(t, proc_i(d->d_inode)->fd);
        error = f ? 0 : -ENOENT;
        if (f) {
            *path = f->f_path;
            path_get(path);
            fput(f);
        }
    }
    put_task_struct(t);
    return error;
}

static int fd_revalidate(struct dentry *d, unsigned flags)
{
    struct task_struct *t = d->d_inode ? proc_task(d->d_inode) : NULL;
    struct file *f = t ? fget_task(t, proc_i(d->d_inode)->fd) : NULL;
    if (t) {
        put_task_struct(t);
    }
    if (!f) {
        return 0;
    }
    fput(f);
    return 1;
}

static const struct dentry_operations fd_dops = {.d_revalidate = fd_revalidate,
                                                 .d_delete = always_delete_dentry};
static const struct inode_operations fd_link_iops = {.get_link_path = fd_link};

static int fdinfo_show(struct seq_file *m, void *v)
{
    const struct inode *i = m->private;
    struct task_struct *t = proc_task(i);
    struct file *f = t ? fget_task(t, proc_i(i)->fd) : NULL;
    if (t) {
        put_task_struct(t);
    }
    if (!f) {
        return -ENOENT;
    }
    seq_printf(m, "pos:\t%lld\nflags:\t0%o\nmnt_id:\t%d\nino:\t%lu\n", (long long)f->f_pos,
               f->f_flags, f->f_path.mnt ? f->f_path.mnt->mnt_id : 0,
               (unsigned long)f->f_inode->i_ino);
    fput(f);
    return 0;
}

static int fdinfo_open(struct inode *i, struct file *f)
{
    struct task_struct *t = proc_task(i);
    if (!t) {
        return -ESRCH;
    }
    bool allowed = proc_may_look(t);
    put_task_struct(t);
    return allowed ? single_open(f, fdinfo_show, i) : -EACCES;
}

static const struct inode_operations fdinfo_file_iops = {.setattr = NULL};
static const struct file_operations fdinfo_file_fops = {
    .open = fdinfo_open, .read = seq_read, .llseek = seq_lseek, .release = seq_release};

static struct dentry *lookup(struct inode *dir, struct dentry *d, bool info)
{
    unsigned number;
    struct task_struct *t = proc_task(dir);
    struct dentry *result = ERR_PTR(-ENOENT);
    if (!t) {
        return result;
    }
    struct file *f = NULL;
    if (!proc_may_look(t)) {
        result = ERR_PTR(-EACCES);
    } else if (!proc_parse_number(&d->d_name, &number)) {
        f = fget_task(t, number);
    }
    if (f) {
        umode_t rights = (umode_t)(((f->f_mode & FMODE_READ) ? 0500 : 0) |
                                   ((f->f_mode & FMODE_WRITE) ? 0300 : 0));
        struct inode *i =
            proc_pid_inode(dir->i_sb, t, info ? S_IFREG | 0444 : (umode_t)(S_IFLNK | rights),
                           proc_i(dir)->is_thread);
        if (i) {
            proc_i(i)->fd = number;
            i->i_op = info ? &fdinfo_file_iops : &fd_link_iops;
            i->i_fop = info ? &fdinfo_file_fops : NULL;
            d->d_op = &fd_dops;
            d_add(d, i);
            result = NULL;
        } else {
            result = ERR_PTR(-ENOMEM);
        }
        fput(f);
    }
    put_task_struct(t);
    return result;
}

static struct dentry *fd_lookup(struct inode *dir, struct dentry *d)
{
    return lookup(dir, d, false);
}

static struct dentry *fdinfo_lookup(struct inode *dir, struct dentry *d)
{
    return lookup(dir, d, true);
}

static int iterate(struct file *f, struct dir_context *ctx, unsigned dtype)
{
    struct task_struct *t = proc_task(f->f_inode);
    if (!t) {
        return -ENOENT;
    }
    if (!proc_may_look(t)) {
        put_task_struct(t);
        return -EACCES;
    }
    if (dir_emit_dots(f, ctx)) {
        unsigned fd = (unsigned)(ctx->pos - 2);
        bool cloexec;
        struct file *open;
        while ((open = fget_task_next(t, &fd, &cloexec)) != NULL) {
            char name[12];
            int n = snprintf(name, sizeof(name), "%u", fd);
            fput(open);
            if (!ctx->actor(ctx, name, n, 2 + (loff_t)fd, (u64)fd + 1, dtype)) {
                break;
            }
            ctx->pos = 2 + (loff_t)++fd;
        }
    }
    put_task_struct(t);
    return 0;
}

static int fd_iterate(struct file *f, struct dir_context *ctx)
{
    return iterate(f, ctx, mode_to_dtype(S_IFLNK));
}

static int fdinfo_iterate(struct file *f, struct dir_context *ctx)
{
    return iterate(f, ctx, mode_to_dtype(S_IFREG));
}

const struct inode_operations proc_fd_iops = {.lookup = fd_lookup};
const struct inode_operations proc_fdinfo_iops = {.lookup = fdinfo_lookup};
const struct file_operations proc_fd_fops = {
    .llseek = dcache_dir_lseek, .read = generic_read_dir, .iterate = fd_iterate};
const struct file_operations proc_fdinfo_fops = {
    .llseek = dcache_dir_lseek, .read = generic_read_dir, .iterate = fdinfo_iterate};
