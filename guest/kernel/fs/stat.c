// SPDX-License-Identifier: MIT
// stat(2) and its family, statx(2), readlink(2), statfs(2), utimensat(2).
#include "abi/time.h"
#include "arch/x86_64/uaccess.h"
#include "fs/internal.h"
#include "syscall/syscall.h"

void generic_fillattr(struct inode *i, struct kstat *st)
{
    st->dev = i->i_sb->s_dev;
    st->ino = i->i_ino;
    st->mode = i->i_mode;
    st->nlink = i->i_nlink;
    st->uid = i->i_uid;
    st->gid = i->i_gid;
    st->rdev = i->i_rdev;
    st->size = i_size_read(i);
    st->atime = i->i_atime;
    st->mtime = i->i_mtime;
    st->ctime = i->i_ctime;
    st->blksize = 1U << i->i_blkbits;
    st->blocks = i->i_blocks;
}

int vfs_getattr(const struct path *path, struct kstat *st)
{
    struct inode *i = path->dentry->d_inode;
    st->has_btime = false;
    st->attributes = st->attributes_mask = 0;
    st->mnt_id = (u64)path->mnt->mnt_id;
    if (i->i_op->getattr) {
        return i->i_op->getattr(path, st);
    }
    generic_fillattr(i, st);
    return 0;
}

static long put_stat(const struct kstat *k, struct linux_stat __user *u)
{
    struct linux_stat st = {
        .st_dev = new_encode_dev(k->dev),
        .st_ino = k->ino,
        .st_nlink = k->nlink,
        .st_mode = k->mode,
        .st_uid = k->uid,
        .st_gid = k->gid,
        .st_rdev = new_encode_dev(k->rdev),
        .st_size = k->size,
        .st_blksize = k->blksize,
        .st_blocks = (s64)k->blocks,
        .st_atime_sec = (u64)k->atime.tv_sec,
        .st_atime_nsec = (u64)k->atime.tv_nsec,
        .st_mtime_sec = (u64)k->mtime.tv_sec,
        .st_mtime_nsec = (u64)k->mtime.tv_nsec,
        .st_ctime_sec = (u64)k->ctime.tv_sec,
        .st_ctime_nsec = (u64)k->ctime.tv_nsec,
    };
    return copy_to_user(u, &st, sizeof(st)) ? -EFAULT : 0;
}

static int stat_fd(unsigned fd, struct kstat *k)
{
    struct fd f = fdget_raw(fd);
    if (!f.file) {
        return -EBADF;
    }
    int error = vfs_getattr(&f.file->f_path, k);
    fdput(f);
    return error;
}

static int stat_at(int dfd, const char __user *uname, int flags, struct kstat *k)
{
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE)) {
        return -EINVAL;
    }
    if ((flags & AT_EMPTY_PATH) && dfd >= 0) {
        char first;
        if (get_user(first, uname)) {
            return -EFAULT;
        }
        if (!first) {
            return stat_fd((unsigned)dfd, k);
        }
    }
    struct path path;
    unsigned how = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
                   (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    int error = user_path_at(dfd, uname, how, &path);
    if (!error) {
        error = vfs_getattr(&path, k);
        path_put(&path);
    }
    return error;
}

SYSCALL_DEFINE(stat)
{
    struct kstat k;
    int error = stat_at(AT_FDCWD, ARG_PTR(0), 0, &k);
    return error ? error : put_stat(&k, ARG_PTR(1));
}
SYSCALL_DEFINE(lstat)
{
    struct kstat k;
    int error = stat_at(AT_FDCWD, ARG_PTR(0), AT_SYMLINK_NOFOLLOW, &k);
    return error ? error : put_stat(&k, ARG_PTR(1));
}
SYSCALL_DEFINE(fstat)
{
    struct kstat k;
    int error = stat_fd(ARG_UINT(0), &k);
    return error ? error : put_stat(&k, ARG_PTR(1));
}
SYSCALL_DEFINE(newfstatat)
{
    struct kstat k;
    int error = stat_at(ARG_INT(0), ARG_PTR(1), ARG_INT(3), &k);
    return error ? error : put_stat(&k, ARG_PTR(2));
}

static struct linux_statx_timestamp statx_time(struct timespec64 t)
{
    return (struct linux_statx_timestamp){.tv_sec = t.tv_sec, .tv_nsec = (u32)t.tv_nsec};
}

SYSCALL_DEFINE(statx)
{
    struct kstat k;
    int flags = ARG_INT(2);
    if (ARG_UINT(3) & 0x80000000U || (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE) {
        return -EINVAL;
    }
    int error = stat_at(ARG_INT(0), ARG_PTR(1), flags, &k);
    if (error) {
        return error;
    }
    struct linux_statx x = {
        .stx_mask = STATX_BASIC_STATS | STATX_MNT_ID | (k.has_btime ? STATX_BTIME : 0),
        .stx_blksize = k.blksize,
        .stx_attributes = k.attributes,
        .stx_nlink = k.nlink,
        .stx_uid = k.uid,
        .stx_gid = k.gid,
        .stx_mode = k.mode,
        .stx_ino = k.ino,
        .stx_size = (u64)k.size,
        .stx_blocks = k.blocks,
        .stx_attributes_mask = k.attributes_mask,
        .stx_atime = statx_time(k.atime),
        .stx_ctime = statx_time(k.ctime),
        .stx_mtime = statx_time(k.mtime),
        .stx_rdev_major = MAJOR(k.rdev),
        .stx_rdev_minor = MINOR(k.rdev),
        .stx_dev_major = MAJOR(k.dev),
        .stx_dev_minor = MINOR(k.dev),
        .stx_mnt_id = k.mnt_id,
    };
    if (k.has_btime) {
        x.stx_btime = statx_time(k.btime);
    }
    return copy_to_user(ARG_PTR(4), &x, sizeof(x)) ? -EFAULT : 0;
}

// --- readlink

// Text of a link into a user buffer, cut to its size. Magic links show where they lead.
static long read_link(const struct path *path, char __user *ubuf, int size)
{
    struct inode *i = path->dentry->d_inode;
    void *cookie = NULL;
    long n;
    if (!S_ISLNK(i->i_mode)) {
        return -EINVAL;
    }
    touch_atime(path);
    if (i->i_op->get_link_path) {
        struct path target, root;
        char *page = page_get();
        if (!page) {
            return -ENOMEM;
        }
        n = i->i_op->get_link_path(path->dentry, &target);
        if (!n) {
            get_fs_root(current->fs, &root);
            char *text = d_path(&target, &root, page, PATH_MAX);
            path_put(&root);
            path_put(&target);
            n = PTR_ERR(text);
            if (!IS_ERR(text)) {
                n = min_t(long, size, (long)strlen(text));
                n = copy_to_user(ubuf, text, (size_t)n) ? -EFAULT : n;
            }
        }
        page_release(page);
        return n;
    }
    const char *text = i->i_op->get_link(path->dentry, i, &cookie);
    if (IS_ERR(text)) {
        return PTR_ERR(text);
    }
    n = min_t(long, size, (long)strlen(text));
    n = copy_to_user(ubuf, text, (size_t)n) ? -EFAULT : n;
    if (i->i_op->put_link) {
        i->i_op->put_link(cookie);
    }
    return n;
}

static long readlink_at(int dfd, const char __user *uname, char __user *ubuf, int size)
{
    struct path path;
    if (size <= 0) {
        return -EINVAL;
    }
    long n = user_path_at(dfd, uname, LOOKUP_EMPTY, &path);
    if (n) {
        return n;
    }
    char first = 1;
    bool empty = !get_user(first, uname) && !first;
    n = read_link(&path, ubuf, size);
    if (n == -EINVAL && empty) {
        n = -ENOENT;
    }
    path_put(&path);
    return n;
}

SYSCALL_DEFINE(readlink)
{
    return readlink_at(AT_FDCWD, ARG_PTR(0), ARG_PTR(1), ARG_INT(2));
}
SYSCALL_DEFINE(readlinkat)
{
    return readlink_at(ARG_INT(0), ARG_PTR(1), ARG_PTR(2), ARG_INT(3));
}

// --- statfs

int fill_statfs(struct path *path, struct linux_statfs *st)
{
    struct super_block *sb = path->dentry->d_sb;
    *st = (struct linux_statfs){.f_type = (s64)sb->s_magic,
                                .f_bsize = sb->s_blocksize,
                                .f_frsize = sb->s_blocksize,
                                .f_namelen = NAME_MAX};
    int error = sb->s_op->statfs ? sb->s_op->statfs(path->dentry, st) : 0;
    unsigned flags = path->mnt->mnt_flags | sb->s_flags;
    st->f_flags =
        ST_VALID | (flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_SYNCHRONOUS));
    st->f_flags |= (flags & MS_NOATIME ? 1024 : 0) | (flags & MS_NODIRATIME ? 2048 : 0) |
                   (flags & MS_RELATIME ? 4096 : 0); // ST_NOATIME, ST_NODIRATIME, ST_RELATIME
    return error;
}

static long put_statfs(struct path *path, void __user *u)
{
    struct linux_statfs st;
    int error = fill_statfs(path, &st);
    if (error) {
        return error;
    }
    return copy_to_user(u, &st, sizeof(st)) ? -EFAULT : 0;
}

SYSCALL_DEFINE(statfs)
{
    struct path path;
    long error = user_path_at(AT_FDCWD, ARG_PTR(0), LOOKUP_FOLLOW, &path);
    if (!error) {
        error = put_statfs(&path, ARG_PTR(1));
        path_put(&path);
    }
    return error;
}
SYSCALL_DEFINE(fstatfs)
{
    struct fd f = fdget_raw(ARG_UINT(0));
    if (!f.file) {
        return -EBADF;
    }
    long error = put_statfs(&f.file->f_path, ARG_PTR(1));
    fdput(f);
    return error;
}

// --- times

struct time_pair {
    bool now; // both "now": write permission is enough
    struct linux_timespec t[2];
};

static bool valid_nsec(s64 ns)
{
    return ns == UTIME_NOW || ns == UTIME_OMIT || (ns >= 0 && ns < (s64)NSEC_PER_SEC);
}

static long set_times(const struct path *path, const struct time_pair *p)
{
    struct inode *i = path->dentry->d_inode;
    struct iattr a = {.ia_valid = ATTR_CTIME | ATTR_ATIME | ATTR_MTIME};
    bool touch = p->now || (p->t[0].tv_nsec == UTIME_NOW && p->t[1].tv_nsec == UTIME_NOW);
    if (!p->now) {
        if (p->t[0].tv_nsec == UTIME_OMIT) {
            a.ia_valid &= ~ATTR_ATIME;
        } else if (p->t[0].tv_nsec != UTIME_NOW) {
            a.ia_valid |= ATTR_ATIME_SET;
            a.ia_atime = (struct timespec64){p->t[0].tv_sec, p->t[0].tv_nsec};
        }
        if (p->t[1].tv_nsec == UTIME_OMIT) {
            a.ia_valid &= ~ATTR_MTIME;
        } else if (p->t[1].tv_nsec != UTIME_NOW) {
            a.ia_valid |= ATTR_MTIME_SET;
            a.ia_mtime = (struct timespec64){p->t[1].tv_sec, p->t[1].tv_nsec};
        }
    }
    long error = mnt_want_write(path->mnt);
    if (error) {
        return error;
    }
    if (touch) {
        error = inode_owner_or_capable(i) ? 0 : inode_permission(i, MAY_WRITE);
    } else if (!inode_owner_or_capable(i)) {
        error = -EPERM;
    }
    if (!error) {
        down_write(&i->i_rwsem);
        error = notify_change(path->dentry, &a);
        up_write(&i->i_rwsem);
    }
    mnt_drop_write(path->mnt);
    return error;
}

static long do_utimes(int dfd, const char __user *uname, const struct time_pair *p, int flags)
{
    struct path path;
    if (!p->now && p->t[0].tv_nsec == UTIME_OMIT && p->t[1].tv_nsec == UTIME_OMIT) {
        return 0;
    }
    if (!uname && dfd != AT_FDCWD) {
        struct fd f = fdget((unsigned)dfd);
        if (!f.file) {
            return -EBADF;
        }
        long error = flags ? -EINVAL : set_times(&f.file->f_path, p);
        fdput(f);
        return error;
    }
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) {
        return -EINVAL;
    }
    unsigned how = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
                   (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    long error = user_path_at(dfd, uname, how, &path);
    if (!error) {
        error = set_times(&path, p);
        path_put(&path);
    }
    return error;
}

SYSCALL_DEFINE(utimensat)
{
    struct time_pair p = {.now = !ARG_PTR(2)};
    if (!p.now) {
        if (copy_from_user(p.t, ARG_PTR(2), sizeof(p.t))) {
            return -EFAULT;
        }
        if (!valid_nsec(p.t[0].tv_nsec) || !valid_nsec(p.t[1].tv_nsec)) {
            return -EINVAL;
        }
    }
    return do_utimes(ARG_INT(0), ARG_PTR(1), &p, ARG_INT(3));
}

static long utimes_user(int dfd, const char __user *uname, const void __user *utv)
{
    struct time_pair p = {.now = !utv};
    struct linux_timeval tv[2];
    if (!p.now) {
        if (copy_from_user(tv, utv, sizeof(tv))) {
            return -EFAULT;
        }
        for (int k = 0; k < 2; k++) {
            if (tv[k].tv_usec < 0 || tv[k].tv_usec >= 1000000) {
                return -EINVAL;
            }
            p.t[k] = (struct linux_timespec){tv[k].tv_sec, tv[k].tv_usec * 1000};
        }
    }
    return do_utimes(dfd, uname, &p, 0);
}
SYSCALL_DEFINE(utimes)
{
    return utimes_user(AT_FDCWD, ARG_PTR(0), ARG_PTR(1));
}
SYSCALL_DEFINE(futimesat)
{
    return utimes_user(ARG_INT(0), ARG_PTR(1), ARG_PTR(2));
}
SYSCALL_DEFINE(utime)
{
    struct time_pair p = {.now = !ARG_PTR(1)};
    s64 t[2];
    if (!p.now) {
        if (copy_from_user(t, ARG_PTR(1), sizeof(t))) {
            return -EFAULT;
        }
        p.t[0].tv_sec = t[0];
        p.t[1].tv_sec = t[1];
    }
    return do_utimes(AT_FDCWD, ARG_PTR(0), &p, 0);
}
