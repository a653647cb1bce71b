// SPDX-License-Identifier: MIT
// rename(2) and renameat2(2): checks, the order of locks, the move in the dentry cache.
#include "fs/internal.h"
#include "syscall/syscall.h"

static int rename_checks(struct inode *odir, struct dentry *od, struct inode *ndir,
                         struct dentry *nd, unsigned flags)
{
    bool is_dir = d_is_dir(od), exchange = flags & RENAME_EXCHANGE;
    int error = may_delete(odir, od, is_dir);
    if (error) {
        return error;
    }
    if (!nd->d_inode) {
        error = may_create(ndir, nd);
    } else {
        error = may_delete(ndir, nd, exchange ? d_is_dir(nd) : is_dir);
    }
    if (error) {
        return error;
    }
    if (!odir->i_op->rename) {
        return -EPERM;
    }
    if (odir != ndir) { // ".." changes: that is a write to the directory itself
        if (is_dir && (error = inode_permission(od->d_inode, MAY_WRITE)) != 0) {
            return error;
        }
        if (exchange && d_is_dir(nd) && (error = inode_permission(nd->d_inode, MAY_WRITE)) != 0) {
            return error;
        }
    }
    return 0;
}

int vfs_rename(struct inode *odir, struct dentry *od, struct inode *ndir, struct dentry *nd,
               unsigned flags)
{
    if (od->d_inode && od->d_inode == nd->d_inode) {
        return 0; // two names of one file
    }
    int error = rename_checks(odir, od, ndir, nd, flags);
    if (error) {
        return error;
    }
    struct inode *victim = nd->d_inode;
    bool exchange = flags & RENAME_EXCHANGE;
    if (victim) {
        ihold(victim);
        down_write(&victim->i_rwsem);
    }
    error = -EBUSY;
    if (!((od->d_flags | nd->d_flags) & DCACHE_MOUNTED)) {
        if (victim && S_ISDIR(victim->i_mode) && !exchange) {
            shrink_dcache_parent(nd);
        }
        error = odir->i_op->rename(odir, od, ndir, nd, flags);
    }
    if (!error) {
        if (exchange) {
            d_exchange(od, nd);
        } else {
            d_move(od, nd);
        }
    }
    if (victim) {
        up_write(&victim->i_rwsem);
        iput(victim);
    }
    return error;
}

// Both directories, ancestors first.
static void lock_rename(struct dentry *a, struct dentry *b)
{
    if (a == b) {
        down_write(&a->d_inode->i_rwsem);
        return;
    }
    mutex_lock(&rename_mutex);
    struct dentry *first = a, *second = b;
    if (is_subdir(a, b) || (!is_subdir(b, a) && (u64)b->d_inode < (u64)a->d_inode)) {
        first = b;
        second = a;
    }
    down_write(&first->d_inode->i_rwsem);
    down_write(&second->d_inode->i_rwsem);
}

static void unlock_rename(struct dentry *a, struct dentry *b)
{
    up_write(&a->d_inode->i_rwsem);
    if (a != b) {
        up_write(&b->d_inode->i_rwsem);
        mutex_unlock(&rename_mutex);
    }
}

static int rename_locked(struct path *op, const struct qstr *olast, struct path *np,
                         const struct qstr *nlast, unsigned flags)
{
    struct dentry *od = lookup_hash(olast, op->dentry);
    if (IS_ERR(od)) {
        return (int)PTR_ERR(od);
    }
    struct dentry *nd = lookup_hash(nlast, np->dentry);
    if (IS_ERR(nd)) {
        dput(od);
        return (int)PTR_ERR(nd);
    }
    int error = 0;
    if (!od->d_inode) {
        error = -ENOENT;
    } else if ((flags & RENAME_NOREPLACE) && nd->d_inode) {
        error = -EEXIST;
    } else if ((flags & RENAME_EXCHANGE) && !nd->d_inode) {
        error = -ENOENT;
    } else if (!d_is_dir(od) && (olast->name[olast->len] ||
                                 (!(flags & RENAME_EXCHANGE) && nlast->name[nlast->len]))) {
        error = -ENOTDIR;
    } else if ((flags & RENAME_EXCHANGE) && !d_is_dir(nd) && nlast->name[nlast->len]) {
        error = -ENOTDIR;
    } else if (is_subdir(np->dentry, od)) {
        error = -EINVAL; // a directory into itself
    } else if (is_subdir(op->dentry, nd)) {
        error = flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
    } else {
        error = vfs_rename(op->dentry->d_inode, od, np->dentry->d_inode, nd, flags);
    }
    dput(nd);
    dput(od);
    return error;
}

static int do_rename(int odfd, const char *from, int ndfd, const char *to, unsigned flags)
{
    struct path op, np;
    struct qstr olast, nlast;
    int otype, ntype;
    if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) {
        return -EINVAL; // RENAME_WHITEOUT is for union mounts
    }
    if (flags == (RENAME_NOREPLACE | RENAME_EXCHANGE)) {
        return -EINVAL;
    }
    int error = filename_parent(odfd, from, &op, &olast, &otype);
    if (error) {
        return error;
    }
    error = filename_parent(ndfd, to, &np, &nlast, &ntype);
    if (error) {
        path_put(&op);
        return error;
    }
    if (op.mnt != np.mnt) {
        error = -EXDEV;
    } else if (otype != 0) {
        error = -EBUSY;
    } else if (ntype != 0) {
        error = flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
    } else {
        error = mnt_want_write(op.mnt);
        if (!error) {
            lock_rename(op.dentry, np.dentry);
            error = rename_locked(&op, &olast, &np, &nlast, flags);
            unlock_rename(op.dentry, np.dentry);
            mnt_drop_write(op.mnt);
        }
    }
    path_put(&np);
    path_put(&op);
    return error;
}

static long rename_user(int odfd, const char __user *from, int ndfd, const char __user *to,
                        unsigned flags)
{
    return WITH_NAME(a_name, from,
                     WITH_NAME(b_name, to, do_rename(odfd, a_name, ndfd, b_name, flags)));
}
SYSCALL_DEFINE(rename)
{
    return rename_user(AT_FDCWD, ARG_PTR(0), AT_FDCWD, ARG_PTR(1), 0);
}
SYSCALL_DEFINE(renameat)
{
    return rename_user(ARG_INT(0), ARG_PTR(1), ARG_INT(2), ARG_PTR(3), 0);
}
SYSCALL_DEFINE(renameat2)
{
    return rename_user(ARG_INT(0), ARG_PTR(1), ARG_INT(2), ARG_PTR(3), ARG_UINT(4));
}
