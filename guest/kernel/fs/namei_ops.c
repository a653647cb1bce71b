// SPDX-License-Identifier: MIT
// Changes of directories: create, mkdir, mknod, symlink, link, unlink, rmdir, rename, with their
// permission rules.
#include "arch/x86_64/uaccess.h"
#include "fs/internal.h"
#include "syscall/syscall.h"

int may_create(struct inode *dir, struct dentry *d)
{
    if (d->d_inode) {
        return -EEXIST;
    }
    if (!dir->i_nlink) {
        return -ENOENT;
    }
    return inode_permission(dir, MAY_WRITE | MAY_EXEC);
}

int may_delete(struct inode *dir, struct dentry *victim, bool is_dir)
{
    struct inode *i = victim->d_inode;
    if (!i) {
        return -ENOENT;
    }
    int error = inode_permission(dir, MAY_WRITE | MAY_EXEC);
    if (error) {
        return error;
    }
    if ((dir->i_mode & S_ISVTX) && i->i_uid != current_fsuid() && dir->i_uid != current_fsuid() &&
        !capable(CAP_FOWNER)) {
        return -EPERM;
    }
    if (is_dir) {
        if (!S_ISDIR(i->i_mode)) {
            return -ENOTDIR;
        }
        if (victim->d_parent == victim) {
            return -EBUSY;
        }
    } else if (S_ISDIR(i->i_mode)) {
        return -EISDIR;
    }
    return 0;
}

int vfs_create(struct inode *dir, struct dentry *d, umode_t mode)
{
    int error = may_create(dir, d);
    if (error) {
        return error;
    }
    return dir->i_op->create ? dir->i_op->create(dir, d, mode) : -EACCES;
}

int vfs_mkdir(struct inode *dir, struct dentry *d, umode_t mode)
{
    int error = may_create(dir, d);
    if (error) {
        return error;
    }
    return dir->i_op->mkdir ? dir->i_op->mkdir(dir, d, (mode & (S_IRWXUGO | S_ISVTX)) | S_IFDIR)
                            : -EPERM;
}

int vfs_mknod(struct inode *dir, struct dentry *d, umode_t mode, dev_t dev)
{
    int error = may_create(dir, d);
    if (error) {
        return error;
    }
    if ((S_ISCHR(mode) || S_ISBLK(mode)) && !capable(CAP_MKNOD)) {
        return -EPERM;
    }
    return dir->i_op->mknod ? dir->i_op->mknod(dir, d, mode, dev) : -EPERM;
}

int vfs_symlink(struct inode *dir, struct dentry *d, const char *target)
{
    int error = may_create(dir, d);
    if (error) {
        return error;
    }
    return dir->i_op->symlink ? dir->i_op->symlink(dir, d, target) : -EPERM;
}

int vfs_link(struct dentry *old, struct inode *dir, struct dentry *d)
{
    struct inode *i = old->d_inode;
    int error = may_create(dir, d);
    if (error) {
        return error;
    }
    if (dir->i_sb != i->i_sb) {
        return -EXDEV;
    }
    if (S_ISDIR(i->i_mode) || !dir->i_op->link) {
        return -EPERM;
    }
    down_write(&i->i_rwsem);
    bool linkable = i->i_nlink || (i->i_state & I_LINKABLE);
    error = linkable ? dir->i_op->link(old, dir, d) : -ENOENT;
    if (!error && (i->i_state & I_LINKABLE)) {
        spin_lock(&i->i_lock);
        i->i_state &= ~(unsigned long)I_LINKABLE;
        spin_unlock(&i->i_lock);
    }
    up_write(&i->i_rwsem);
    return error;
}

int vfs_unlink(struct inode *dir, struct dentry *d)
{
    int error = may_delete(dir, d, false);
    if (error) {
        return error;
    }
    if (!dir->i_op->unlink) {
        return -EPERM;
    }
    struct inode *i = d->d_inode;
    down_write(&i->i_rwsem);
    error = d->d_flags & DCACHE_MOUNTED ? -EBUSY : dir->i_op->unlink(dir, d);
    up_write(&i->i_rwsem);
    if (!error) {
        ihold(i); // its pages go after the locks
        d_delete(d);
        iput(i);
    }
    return error;
}

int vfs_rmdir(struct inode *dir, struct dentry *d)
{
    int error = may_delete(dir, d, true);
    if (error) {
        return error;
    }
    if (!dir->i_op->rmdir) {
        return -EPERM;
    }
    struct inode *i = d->d_inode;
    down_write(&i->i_rwsem);
    error = -EBUSY;
    if (!(d->d_flags & DCACHE_MOUNTED)) {
        shrink_dcache_parent(d);
        error = dir->i_op->rmdir(dir, d);
    }
    up_write(&i->i_rwsem);
    if (!error) {
        d_delete(d);
    }
    return error;
}

// --- the place of a new name: parent locked, mount writable; ends with done_path_create

struct dentry *lookup_create(int dfd, const char *name, struct path *parent, bool is_dir)
{
    struct qstr last;
    int type;
    int error = filename_parent(dfd, name, parent, &last, &type);
    if (error) {
        return ERR_PTR(error);
    }
    error = -EEXIST;
    if (type != 0) { // ".", "..", "/"
        goto put;
    }
    int denied = mnt_want_write(parent->mnt);
    struct inode *dir = parent->dentry->d_inode;
    down_write(&dir->i_rwsem);
    struct dentry *d = lookup_hash(&last, parent->dentry);
    error = PTR_ERR_OR_ZERO(d);
    if (!error && d->d_inode) {
        error = -EEXIST;
    } else if (!error && !is_dir && last.name[last.len]) {
        error = -ENOENT; // "new/" names a directory
    } else if (!error) {
        error = denied;
    }
    if (!error) {
        return d;
    }
    if (!IS_ERR(d)) {
        dput(d);
    }
    up_write(&dir->i_rwsem);
    if (!denied) {
        mnt_drop_write(parent->mnt);
    }
put:
    path_put(parent);
    return ERR_PTR(error);
}

void done_path_create(struct path *parent, struct dentry *d)
{
    dput(d);
    up_write(&parent->dentry->d_inode->i_rwsem);
    mnt_drop_write(parent->mnt);
    path_put(parent);
}

static umode_t apply_umask(umode_t mode)
{
    return mode & (umode_t)~current->fs->umask;
}

static int do_mknod(int dfd, const char *name, umode_t mode, dev_t dev)
{
    struct path parent;
    switch (mode & S_IFMT) {
    case 0:
        mode |= S_IFREG;
        break;
    case S_IFREG:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
        break;
    case S_IFDIR:
        return -EPERM;
    default:
        return -EINVAL;
    }
    struct dentry *d = lookup_create(dfd, name, &parent, false);
    if (IS_ERR(d)) {
        return (int)PTR_ERR(d);
    }
    struct inode *dir = parent.dentry->d_inode;
    mode = apply_umask(mode);
    int error = S_ISREG(mode) ? vfs_create(dir, d, mode) : vfs_mknod(dir, d, mode, dev);
    done_path_create(&parent, d);
    return error;
}

static int do_mkdir(int dfd, const char *name, umode_t mode)
{
    struct path parent;
    struct dentry *d = lookup_create(dfd, name, &parent, true);
    if (IS_ERR(d)) {
        return (int)PTR_ERR(d);
    }
    int error = vfs_mkdir(parent.dentry->d_inode, d, apply_umask(mode));
    done_path_create(&parent, d);
    return error;
}

static int do_symlink(const char *target, int dfd, const char *name)
{
    struct path parent;
    struct dentry *d = lookup_create(dfd, name, &parent, false);
    if (IS_ERR(d)) {
        return (int)PTR_ERR(d);
    }
    int error = vfs_symlink(parent.dentry->d_inode, d, target);
    done_path_create(&parent, d);
    return error;
}

static int link_to(struct path *old, int dfd, const char *name)
{
    struct path parent;
    struct dentry *d = lookup_create(dfd, name, &parent, false);
    if (IS_ERR(d)) {
        return (int)PTR_ERR(d);
    }
    int error = -EXDEV;
    if (old->mnt == parent.mnt) {
        error = vfs_link(old->dentry, parent.dentry->d_inode, d);
    }
    done_path_create(&parent, d);
    return error;
}

// Locks the parent and looks the victim up. rmdir's and unlink's rules differ only in the callback
// and the odd names.
static int do_remove(int dfd, const char *name, bool is_dir)
{
    struct path parent;
    struct qstr last;
    int type;
    int error = filename_parent(dfd, name, &parent, &last, &type);
    if (error) {
        return error;
    }
    if (type != 0) {
        static const int dir_errors[] = {0, -EBUSY, -EINVAL, -ENOTEMPTY}; // LAST_ROOT, DOT, DOTDOT
        path_put(&parent);
        return is_dir ? dir_errors[type] : -EISDIR;
    }
    error = mnt_want_write(parent.mnt);
    if (error) {
        path_put(&parent);
        return error;
    }
    struct inode *dir = parent.dentry->d_inode, *kept = NULL;
    down_write(&dir->i_rwsem);
    struct dentry *d = lookup_hash(&last, parent.dentry);
    error = PTR_ERR_OR_ZERO(d);
    if (!error) {
        bool slash = last.name[last.len];
        if (!d->d_inode) {
            error = -ENOENT;
        } else if (is_dir) {
            error = vfs_rmdir(dir, d);
        } else if (slash) {
            error = d_is_dir(d) ? -EISDIR : -ENOTDIR;
        } else {
            kept = d->d_inode;
            ihold(kept); // truncation of the last link happens after the directory is unlocked
            error = vfs_unlink(dir, d);
        }
        dput(d);
    }
    up_write(&dir->i_rwsem);
    iput(kept);
    mnt_drop_write(parent.mnt);
    path_put(&parent);
    return error;
}

// --- system calls: a name from user space, then one of the above

SYSCALL_DEFINE(mkdir)
{
    return WITH_NAME(name, ARG_PTR(0), do_mkdir(AT_FDCWD, name, (umode_t)ARG_UINT(1)));
}
SYSCALL_DEFINE(mkdirat)
{
    return WITH_NAME(name, ARG_PTR(1), do_mkdir(ARG_INT(0), name, (umode_t)ARG_UINT(2)));
}
SYSCALL_DEFINE(mknod)
{
    return WITH_NAME(name, ARG_PTR(0),
                     do_mknod(AT_FDCWD, name, (umode_t)ARG_UINT(1), new_decode_dev(ARG_UINT(2))));
}
SYSCALL_DEFINE(mknodat)
{
    return WITH_NAME(name, ARG_PTR(1),
                     do_mknod(ARG_INT(0), name, (umode_t)ARG_UINT(2), new_decode_dev(ARG_UINT(3))));
}
SYSCALL_DEFINE(rmdir)
{
    return WITH_NAME(name, ARG_PTR(0), do_remove(AT_FDCWD, name, true));
}
SYSCALL_DEFINE(unlink)
{
    return WITH_NAME(name, ARG_PTR(0), do_remove(AT_FDCWD, name, false));
}
SYSCALL_DEFINE(unlinkat)
{
    if (ARG_INT(2) & ~AT_REMOVEDIR) {
        return -EINVAL;
    }
    return WITH_NAME(name, ARG_PTR(1), do_remove(ARG_INT(0), name, ARG_INT(2) & AT_REMOVEDIR));
}

static long symlink_user(const char __user *utarget, int dfd, const char __user *uname)
{
    return WITH_NAME(target, utarget, WITH_NAME(name, uname, do_symlink(target, dfd, name)));
}
SYSCALL_DEFINE(symlink)
{
    return symlink_user(ARG_PTR(0), AT_FDCWD, ARG_PTR(1));
}
SYSCALL_DEFINE(symlinkat)
{
    return symlink_user(ARG_PTR(0), ARG_INT(1), ARG_PTR(2));
}

static long link_user(int odfd, const char __user *uold, int ndfd, const char __user *unew,
                      int flags)
{
    struct path old;
    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) {
        return -EINVAL;
    }
    unsigned how = (flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) |
                   (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    if ((flags & AT_EMPTY_PATH) && !capable(CAP_DAC_READ_SEARCH)) {
        return -ENOENT;
    }
    long error = user_path_at(odfd, uold, how, &old);
    if (error) {
        return error;
    }
    error = WITH_NAME(name, unew, link_to(&old, ndfd, name));
    path_put(&old);
    return error;
}
SYSCALL_DEFINE(link)
{
    return link_user(AT_FDCWD, ARG_PTR(0), AT_FDCWD, ARG_PTR(1), 0);
}
SYSCALL_DEFINE(linkat)
{
    return link_user(ARG_INT(0), ARG_PTR(1), ARG_INT(2), ARG_PTR(3), ARG_INT(4));
}

// --- boot helpers

int kern_mkdir(const char *path, umode_t mode)
{
    return do_mkdir(AT_FDCWD, path, mode);
}
int kern_mknod(const char *path, umode_t mode, dev_t dev)
{
    return do_mknod(AT_FDCWD, path, mode, dev);
}
int kern_symlink(const char *target, const char *path)
{
    return do_symlink(target, AT_FDCWD, path);
}
int kern_unlink(const char *path)
{
    return do_remove(AT_FDCWD, path, false);
}
int kern_rmdir(const char *path)
{
    return do_remove(AT_FDCWD, path, true);
}
int kern_link(const char *old, const char *path)
{
    struct path p;
    int error = kern_path(old, 0, &p);
    if (!error) {
        error = link_to(&p, AT_FDCWD, path);
        path_put(&p);
    }
    return error;
}
