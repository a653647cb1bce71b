// SPDX-License-Identifier: MIT
// Inode attributes: permission checks, owner and mode rules, times, writers against executors.
#include "fs/internal.h"
#include "proc/signal.h"

struct timespec64 current_time(const struct inode *inode)
{
    u64 now = ktime_get_real();
    struct timespec64 t = {.tv_sec = (s64)(now / NSEC_PER_SEC),
                           .tv_nsec = (long)(now % NSEC_PER_SEC)};
    u32 gran = inode->i_sb->s_time_gran;
    if (gran >= NSEC_PER_SEC) {
        t.tv_nsec = 0;
    } else if (gran > 1) {
        t.tv_nsec -= t.tv_nsec % gran;
    }
    return t;
}

static int class_permission(const struct inode *i, int mask)
{
    unsigned mode = i->i_mode;
    if (i->i_uid == current_fsuid()) {
        mode >>= 6;
    } else if (((mode >> 3) ^ mode) & (unsigned)mask & 7 ? in_group_p(i->i_gid) : false) {
        mode >>= 3;
    }
    return ((unsigned)mask & ~mode & 7) ? -EACCES : 0;
}

int generic_permission(struct inode *i, int mask)
{
    mask &= MAY_READ | MAY_WRITE | MAY_EXEC;
    if (!class_permission(i, mask)) {
        return 0;
    }
    if (S_ISDIR(i->i_mode)) {
        if (!(mask & MAY_WRITE) && capable(CAP_DAC_READ_SEARCH)) {
            return 0;
        }
        return capable(CAP_DAC_OVERRIDE) ? 0 : -EACCES;
    }
    if (mask == MAY_READ && capable(CAP_DAC_READ_SEARCH)) {
        return 0;
    }
    if ((!(mask & MAY_EXEC) || (i->i_mode & S_IXUGO)) && capable(CAP_DAC_OVERRIDE)) {
        return 0;
    }
    return -EACCES;
}

int inode_permission(struct inode *i, int mask)
{
    if ((mask & MAY_WRITE) && (i->i_sb->s_flags & MS_RDONLY) &&
        (S_ISREG(i->i_mode) || S_ISDIR(i->i_mode) || S_ISLNK(i->i_mode))) {
        return -EROFS;
    }
    if (i->i_op->permission) {
        return i->i_op->permission(i, mask);
    }
    return generic_permission(i, mask);
}

bool inode_owner_or_capable(const struct inode *i)
{
    return i->i_uid == current_fsuid() || capable(CAP_FOWNER);
}

void inode_init_owner(struct inode *i, const struct inode *dir, umode_t mode)
{
    i->i_uid = current_fsuid();
    i->i_gid = current_fsgid();
    if (dir && (dir->i_mode & S_ISGID)) {
        i->i_gid = dir->i_gid;
        if (S_ISDIR(mode)) {
            mode |= S_ISGID;
        } else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && !in_group_p(i->i_gid) &&
                   !capable(CAP_FSETID)) {
            mode &= (umode_t)~S_ISGID;
        }
    }
    i->i_mode = mode;
}

int inode_newsize_ok(struct inode *i, loff_t size)
{
    if (size > i->i_size) {
        u64 limit = rlimit(RLIMIT_FSIZE);
        if (limit != RLIM_INFINITY && (u64)size > limit) {
            send_sig(SIGXFSZ, current, 0);
            return -EFBIG;
        }
        if (size > i->i_sb->s_maxbytes) {
            return -EFBIG;
        }
    }
    return 0;
}

int setattr_prepare(struct dentry *d, struct iattr *a)
{
    struct inode *i = d->d_inode;
    unsigned valid = a->ia_valid;
    if (valid & ATTR_SIZE) {
        int error = inode_newsize_ok(i, a->ia_size);
        if (error) {
            return error;
        }
    }
    if ((valid & ATTR_UID) && !(i->i_uid == current_fsuid() && a->ia_uid == i->i_uid) &&
        !capable(CAP_CHOWN)) {
        return -EPERM;
    }
    if ((valid & ATTR_GID) &&
        !(i->i_uid == current_fsuid() && (in_group_p(a->ia_gid) || a->ia_gid == i->i_gid)) &&
        !capable(CAP_CHOWN)) {
        return -EPERM;
    }
    if (valid & ATTR_MODE) {
        if (!inode_owner_or_capable(i)) {
            return -EPERM;
        }
        gid_t gid = (valid & ATTR_GID) ? a->ia_gid : i->i_gid;
        if (!in_group_p(gid) && !capable(CAP_FSETID)) {
            a->ia_mode &= (umode_t)~S_ISGID;
        }
    }
    if ((valid & (ATTR_MTIME_SET | ATTR_ATIME_SET)) && !inode_owner_or_capable(i)) {
        return -EPERM;
    }
    return 0;
}

static struct timespec64 truncate_time(const struct inode *i, struct timespec64 t)
{
    u32 gran = i->i_sb->s_time_gran;
    t.tv_nsec = gran >= NSEC_PER_SEC ? 0 : t.tv_nsec - t.tv_nsec % (long)gran;
    return t;
}

void setattr_copy(struct inode *i, const struct iattr *a)
{
    unsigned valid = a->ia_valid;
    if (valid & ATTR_UID) {
        i->i_uid = a->ia_uid;
    }
    if (valid & ATTR_GID) {
        i->i_gid = a->ia_gid;
    }
    if (valid & ATTR_ATIME) {
        i->i_atime = truncate_time(i, a->ia_atime);
    }
    if (valid & ATTR_MTIME) {
        i->i_mtime = truncate_time(i, a->ia_mtime);
    }
    if (valid & ATTR_CTIME) {
        i->i_ctime = truncate_time(i, a->ia_ctime);
    }
    if (valid & ATTR_MODE) {
        i->i_mode = (i->i_mode & S_IFMT) | (a->ia_mode & S_IALLUGO);
    }
}

int notify_change(struct dentry *d, struct iattr *a)
{
    struct inode *i = d->d_inode;
    struct timespec64 now = current_time(i);
    unsigned valid = a->ia_valid;
    a->ia_ctime = now;
    if (!(valid & ATTR_ATIME_SET)) {
        a->ia_atime = now;
    }
    if (!(valid & ATTR_MTIME_SET)) {
        a->ia_mtime = now;
    }
    if (valid & ATTR_KILL_PRIV) {
        umode_t mode = i->i_mode & (umode_t)~S_ISUID;
        if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)) {
            mode &= (umode_t)~S_ISGID;
        }
        a->ia_valid &= ~ATTR_KILL_PRIV;
        if (!S_ISDIR(i->i_mode) && mode != i->i_mode && !(valid & ATTR_MODE)) {
            i->i_mode = mode; // no owner check: the change itself was allowed
            mark_inode_dirty(i);
        }
        if (!a->ia_valid) {
            return 0;
        }
    }
    a->ia_valid |= ATTR_CTIME;
    return i->i_op->setattr ? i->i_op->setattr(d, a) : simple_setattr(d, a);
}

int simple_setattr(struct dentry *d, struct iattr *a)
{
    struct inode *i = d->d_inode;
    int error = setattr_prepare(d, a);
    if (error) {
        return error;
    }
    if (a->ia_valid & ATTR_SIZE) {
        truncate_setsize(i, a->ia_size);
    }
    setattr_copy(i, a);
    mark_inode_dirty(i);
    return 0;
}

void truncate_setsize(struct inode *i, loff_t size)
{
    bool shrinks = size < i->i_size;

    // The new size first: a fault that comes after the unmapping below sees it.
    i_size_write(i, size);
    if (shrinks) {
        truncate_pagecache(i, size);
    }
}

int file_remove_privs(struct file *f)
{
    struct inode *i = f->f_inode;
    if (!(i->i_mode & (S_ISUID | S_ISGID)) || !S_ISREG(i->i_mode) || capable(CAP_FSETID)) {
        return 0;
    }
    struct iattr a = {.ia_valid = ATTR_KILL_PRIV};
    return notify_change(f->f_path.dentry, &a);
}

static bool time_equal(struct timespec64 a, struct timespec64 b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

void file_update_time(struct file *f)
{
    struct inode *i = f->f_inode;
    struct timespec64 now = current_time(i);
    if (time_equal(i->i_mtime, now) && time_equal(i->i_ctime, now)) {
        return;
    }
    i->i_mtime = i->i_ctime = now;
    mark_inode_dirty_flags(i, I_DIRTY_SYNC);
}

static bool not_later(struct timespec64 a, struct timespec64 b)
{
    return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec <= b.tv_nsec);
}

// relatime: once after each change, and once a day.
void touch_atime(const struct path *path)
{
    struct inode *i = path->dentry->d_inode;
    unsigned flags = path->mnt->mnt_flags | i->i_sb->s_flags;
    if ((flags & (MS_NOATIME | MS_RDONLY)) || ((flags & MS_NODIRATIME) && S_ISDIR(i->i_mode))) {
        return;
    }
    if (!(flags & MS_STRICTATIME) && !not_later(i->i_atime, i->i_mtime) &&
        !not_later(i->i_atime, i->i_ctime) &&
        (s64)(ktime_get_real() / NSEC_PER_SEC) - i->i_atime.tv_sec < 24 * 3600) {
        return;
    }
    struct timespec64 now = current_time(i);
    if (time_equal(now, i->i_atime)) {
        return;
    }
    if (mnt_want_write(path->mnt)) {
        return;
    }
    i->i_atime = now;
    mark_inode_dirty_flags(i, I_DIRTY_SYNC);
    mnt_drop_write(path->mnt);
}

int get_write_access(struct inode *i)
{
    int n = atomic_read(&i->i_writecount);
    do {
        if (n < 0) {
            return -ETXTBSY;
        }
    } while (!atomic_try_cmpxchg(&i->i_writecount, &n, n + 1));
    return 0;
}

void put_write_access(struct inode *i)
{
    atomic_dec(&i->i_writecount);
}

int deny_write_access(struct file *f)
{
    atomic_t *count = &f->f_inode->i_writecount;
    int n = atomic_read(count);
    do {
        if (n > 0) {
            return -ETXTBSY;
        }
    } while (!atomic_try_cmpxchg(count, &n, n - 1));
    return 0;
}

void allow_write_access(struct file *f)
{
    atomic_inc(&f->f_inode->i_writecount);
}
