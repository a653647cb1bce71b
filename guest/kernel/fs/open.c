// SPDX-License-Identifier: MIT
// open(2) and close(2), truncate, fallocate, access, chmod, chown, chdir, chroot.
#include "arch/x86_64/uaccess.h"
#include "fs/internal.h"
#include "proc/signal.h"
#include "syscall/syscall.h"

static long do_sys_open(int dfd, const char __user *uname, int flags, umode_t mode)
{
    if ((flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) == 0) {
        mode = 0;
    }
    struct filename *name = getname(uname);
    if (IS_ERR(name)) {
        return PTR_ERR(name);
    }
    int fd = get_unused_fd_flags((unsigned)flags);
    if (fd >= 0) {
        struct file *f = do_filp_open(dfd, name->name, flags | O_LARGEFILE, mode);
        if (IS_ERR(f)) {
            put_unused_fd((unsigned)fd);
            fd = (int)PTR_ERR(f);
        } else {
            fd_install((unsigned)fd, f);
        }
    }
    putname(name);
    return fd;
}

SYSCALL_DEFINE(open)
{
    return do_sys_open(AT_FDCWD, ARG_PTR(0), ARG_INT(1), (umode_t)ARG_UINT(2));
}
SYSCALL_DEFINE(openat)
{
    return do_sys_open(ARG_INT(0), ARG_PTR(1), ARG_INT(2), (umode_t)ARG_UINT(3));
}
SYSCALL_DEFINE(creat)
{
    return do_sys_open(AT_FDCWD, ARG_PTR(0), O_CREAT | O_WRONLY | O_TRUNC, (umode_t)ARG_UINT(1));
}

SYSCALL_DEFINE(close)
{
    int error = close_fd(ARG_UINT(0));
    // The descriptor is gone: a restart would close another one.
    return error == -ERESTARTSYS || error == -ERESTARTNOINTR || error == -ERESTARTNOHAND ? -EINTR
                                                                                         : error;
}

SYSCALL_DEFINE(close_range)
{
    unsigned first = ARG_UINT(0), last = ARG_UINT(1), flags = ARG_UINT(2);
    if ((flags & ~4U) || first > last) { // CLOSE_RANGE_CLOEXEC; CLOSE_RANGE_UNSHARE is not offered
        return -EINVAL;
    }
    unsigned end = files_max_fds();
    for (unsigned fd = first; fd <= last && fd < end; fd++) {
        if (flags & 4U) {
            fd_set_cloexec(fd, true);
        } else {
            close_fd(fd);
        }
    }
    return 0;
}

static int do_truncate(struct dentry *d, loff_t len, struct file *f)
{
    struct inode *i = d->d_inode;
    struct iattr a = {.ia_valid = ATTR_SIZE | ATTR_MTIME | ATTR_CTIME | (f ? ATTR_FILE : 0),
                      .ia_size = len,
                      .ia_file = f};
    if ((i->i_mode & (S_ISUID | S_ISGID)) && !capable(CAP_FSETID)) {
        a.ia_valid |= ATTR_KILL_PRIV;
    }
    down_write(&i->i_rwsem);
    int error = notify_change(d, &a);
    up_write(&i->i_rwsem);
    return error;
}

int vfs_truncate(const struct path *p, loff_t len)
{
    struct inode *i = p->dentry->d_inode;
    if (S_ISDIR(i->i_mode)) {
        return -EISDIR;
    }
    if (!S_ISREG(i->i_mode)) {
        return -EINVAL;
    }
    int error = mnt_want_write(p->mnt);
    if (error) {
        return error;
    }
    error = inode_permission(i, MAY_WRITE);
    if (!error) {
        error = get_write_access(i);
    }
    if (!error) {
        error = do_truncate(p->dentry, len, NULL);
        put_write_access(i);
    }
    mnt_drop_write(p->mnt);
    return error;
}

SYSCALL_DEFINE(truncate)
{
    struct path path;
    if (ARG_LONG(1) < 0) {
        return -EINVAL;
    }
    int error = user_path_at(AT_FDCWD, ARG_PTR(0), LOOKUP_FOLLOW, &path);
    if (!error) {
        error = vfs_truncate(&path, ARG_LONG(1));
        path_put(&path);
    }
    return error;
}

SYSCALL_DEFINE(ftruncate)
{
    if (ARG_LONG(1) < 0) {
        return -EINVAL;
    }
    struct fd f = fdget(ARG_UINT(0));
    if (!f.file) {
        return -EBADF;
    }
    int error = -EINVAL;
    if (S_ISREG(f.file->f_inode->i_mode) && (f.file->f_mode & FMODE_WRITE)) {
        error = do_truncate(f.file->f_path.dentry, ARG_LONG(1), f.file);
    }
    fdput(f);
    return error;
}

static long vfs_fallocate(struct file *f, int mode, loff_t off, loff_t len)
{
    struct inode *i = f->f_inode;
    if (off < 0 || len <= 0) {
        return -EINVAL;
    }
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
        return -ENOTSUP;
    }
    if ((mode & FALLOC_FL_PUNCH_HOLE) &&
        (mode & (FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE)) != FALLOC_FL_KEEP_SIZE) {
        return -ENOTSUP;
    }
    if (!(f->f_mode & FMODE_WRITE)) {
        return -EBADF;
    }
    if (S_ISFIFO(i->i_mode)) {
        return -ESPIPE;
    }
    if (S_ISDIR(i->i_mode)) {
        return -EISDIR;
    }
    if (!S_ISREG(i->i_mode)) {
        return -ENODEV;
    }
    if (off + len > i->i_sb->s_maxbytes || off + len < 0) {
        return -EFBIG;
    }
    return f->f_op->fallocate ? f->f_op->fallocate(f, mode, off, len) : -ENOTSUP;
}

SYSCALL_DEFINE(fallocate)
{
    struct fd f = fdget(ARG_UINT(0));
    if (!f.file) {
        return -EBADF;
    }
    long result = vfs_fallocate(f.file, ARG_INT(1), ARG_LONG(2), ARG_LONG(3));
    fdput(f);
    return result;
}

// --- access: with the real ids unless AT_EACCESS

static long access_path(const struct path *path, int mode)
{
    struct inode *i = path->dentry->d_inode;
    if ((mode & MAY_EXEC) && S_ISREG(i->i_mode) && (path->mnt->mnt_flags & MS_NOEXEC)) {
        return -EACCES;
    }
    int error = inode_permission(i, mode);
    if (!error && (mode & MAY_WRITE) && (path->mnt->mnt_flags & MS_RDONLY) &&
        (S_ISREG(i->i_mode) || S_ISDIR(i->i_mode) || S_ISLNK(i->i_mode))) {
        error = -EROFS;
    }
    return error;
}

// Credentials as if the real ids were the effective ones; NULL without memory, current's own if
// that is the case.
static const struct cred *real_id_creds(void)
{
    const struct cred *c = current_cred();
    if (c->fsuid == c->uid && c->fsgid == c->gid) {
        return c;
    }
    struct cred *fresh = prepare_creds();
    if (fresh) {
        fresh->fsuid = fresh->uid;
        fresh->fsgid = fresh->gid;
        fresh->cap_effective = fresh->uid ? (kernel_cap_t){0} : fresh->cap_permitted;
    }
    return fresh;
}

static long do_access(int dfd, const char __user *uname, int mode, int flags)
{
    if (mode & ~7 || flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) {
        return -EINVAL;
    }
    const struct cred *saved = current->cred, *used = saved;
    if (!(flags & AT_EACCESS)) {
        used = real_id_creds();
        if (!used) {
            return -ENOMEM;
        }
    }
    struct path path;
    unsigned how = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
                   (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    current->cred = used;
    long error = user_path_at(dfd, uname, how, &path);
    if (!error) {
        error = access_path(&path, mode);
        path_put(&path);
    }
    current->cred = saved;
    if (used != saved) {
        abort_creds((struct cred *)used);
    }
    return error;
}

SYSCALL_DEFINE(access)
{
    return do_access(AT_FDCWD, ARG_PTR(0), ARG_INT(1), 0);
}
SYSCALL_DEFINE(faccessat)
{
    return do_access(ARG_INT(0), ARG_PTR(1), ARG_INT(2), 0);
}
SYSCALL_DEFINE(faccessat2)
{
    return do_access(ARG_INT(0), ARG_PTR(1), ARG_INT(2), ARG_INT(3));
}

// --- mode and owner

static long change_attr(const struct path *path, struct iattr *a)
{
    struct inode *i = path->dentry->d_inode;
    long error = mnt_want_write(path->mnt);
    if (error) {
        return error;
    }
    down_write(&i->i_rwsem);
    if ((a->ia_valid & ATTR_MODE) && !(a->ia_valid & (ATTR_UID | ATTR_GID))) {
        a->ia_mode = (a->ia_mode & S_IALLUGO) | (i->i_mode & S_IFMT);
    }
    error = notify_change(path->dentry, a);
    up_write(&i->i_rwsem);
    mnt_drop_write(path->mnt);
    return error;
}

static long chmod_path(const struct path *path, unsigned mode)
{
    struct iattr a = {.ia_valid = ATTR_MODE | ATTR_CTIME, .ia_mode = (umode_t)mode};
    return change_attr(path, &a);
}

static long chown_path(const struct path *path, uid_t uid, gid_t gid)
{
    struct iattr a = {.ia_valid = ATTR_CTIME};
    if (uid != (uid_t)-1) {
        a.ia_valid |= ATTR_UID;
        a.ia_uid = uid;
    }
    if (gid != (gid_t)-1) {
        a.ia_valid |= ATTR_GID;
        a.ia_gid = gid;
    }
    if (!S_ISDIR(path->dentry->d_inode->i_mode)) {
        a.ia_valid |= ATTR_KILL_PRIV;
    }
    return change_attr(path, &a);
}

static long chmod_at(int dfd, const char __user *uname, unsigned mode)
{
    struct path path;
    long error = user_path_at(dfd, uname, LOOKUP_FOLLOW, &path);
    if (!error) {
        error = chmod_path(&path, mode);
        path_put(&path);
    }
    return error;
}

static long chown_at(int dfd, const char __user *uname, uid_t uid, gid_t gid, int flags)
{
    struct path path;
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) {
        return -EINVAL;
    }
    unsigned how = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
                   (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    long error = user_path_at(dfd, uname, how, &path);
    if (!error) {
        error = chown_path(&path, uid, gid);
        path_put(&path);
    }
    return error;
}

SYSCALL_DEFINE(chmod)
{
    return chmod_at(AT_FDCWD, ARG_PTR(0), ARG_UINT(1));
}
SYSCALL_DEFINE(fchmodat)
{
    return chmod_at(ARG_INT(0), ARG_PTR(1), ARG_UINT(2));
}
SYSCALL_DEFINE(fchmod)
{
    struct fd f = fdget(ARG_UINT(0));
    if (!f.file) {
        return -EBADF;
    }
    long error = chmod_path(&f.file->f_path, ARG_UINT(1));
    fdput(f);
    return error;
}
SYSCALL_DEFINE(chown)
{
    return chown_at(AT_FDCWD, ARG_PTR(0), ARG_UINT(1), ARG_UINT(2), 0);
}
SYSCALL_DEFINE(lchown)
{
    return chown_at(AT_FDCWD, ARG_PTR(0), ARG_UINT(1), ARG_UINT(2), AT_SYMLINK_NOFOLLOW);
}
SYSCALL_DEFINE(fchownat)
{
    return chown_at(ARG_INT(0), ARG_PTR(1), ARG_UINT(2), ARG_UINT(3), ARG_INT(4));
}
SYSCALL_DEFINE(fchown)
{
    struct fd f = fdget(ARG_UINT(0));
    if (!f.file) {
        return -EBADF;
    }
    long error = chown_path(&f.file->f_path, ARG_UINT(1), ARG_UINT(2));
    fdput(f);
    return error;
}

SYSCALL_DEFINE(umask)
{
    struct fs_struct *fs = current->fs;
    spin_lock(&fs->lock);
    int old = fs->umask;
    fs->umask = ARG_INT(0) & S_IRWXUGO;
    spin_unlock(&fs->lock);
    return old;
}

// --- directories of the task

static int enter_dir(const struct path *path)
{
    if (!d_is_dir(path->dentry)) {
        return -ENOTDIR;
    }
    int error = inode_permission(path->dentry->d_inode, MAY_EXEC);
    if (!error) {
        set_fs_pwd(current->fs, path);
    }
    return error;
}

static int change_root(const struct path *path)
{
    int error = inode_permission(path->dentry->d_inode, MAY_EXEC);
    if (!error && !capable(CAP_SYS_CHROOT)) {
        error = -EPERM;
    }
    if (!error) {
        set_fs_root(current->fs, path);
    }
    return error;
}

SYSCALL_DEFINE(chdir)
{
    struct path path;
    int error = user_path_at(AT_FDCWD, ARG_PTR(0), LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &path);
    if (!error) {
        error = enter_dir(&path);
        path_put(&path);
    }
    return error;
}

SYSCALL_DEFINE(fchdir)
{
    struct fd f = fdget_raw(ARG_UINT(0));
    if (!f.file) {
        return -EBADF;
    }
    int error = enter_dir(&f.file->f_path);
    fdput(f);
    return error;
}

SYSCALL_DEFINE(chroot)
{
    struct path path;
    int error = user_path_at(AT_FDCWD, ARG_PTR(0), LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &path);
    if (!error) {
        error = change_root(&path);
        path_put(&path);
    }
    return error;
}

int kern_chdir(const char *name)
{
    struct path path;
    int error = kern_path(name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &path);
    if (!error) {
        set_fs_pwd(current->fs, &path);
        path_put(&path);
    }
    return error;
}

int kern_chroot(const char *name)
{
    struct path path;
    int error = kern_path(name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &path);
    if (!error) {
        set_fs_root(current->fs, &path);
        path_put(&path);
    }
    return error;
}
