// SPDX-License-Identifier: MIT
// Opening by name: the last component under O_CREAT, O_EXCL, O_NOFOLLOW...; O_TMPFILE; programs for
// execve.
#include "fs/namei_walk.h"

struct open_how {
    int flags;
    umode_t mode;
    bool created, exec; // exec: for execve, right to execute instead of to read
};

static int acc_mode(int flags)
{
    static const int modes[4] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE};
    return modes[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
}

static int may_open(const struct path *path, const struct open_how *how)
{
    struct inode *i = path->dentry->d_inode;
    int acc = how->exec ? MAY_EXEC : acc_mode(how->flags);
    switch (i->i_mode & S_IFMT) {
    case S_IFLNK:
        return -ELOOP;
    case S_IFDIR:
        if (acc & MAY_WRITE) {
            return -EISDIR;
        }
        break;
    case S_IFBLK:
    case S_IFCHR:
        if (path->mnt->mnt_flags & MS_NODEV) {
            return -EACCES;
        }
        break;
    }
    if (!how->created) {
        int error = inode_permission(i, acc);
        if (error) {
            return error;
        }
    }
    if ((how->flags & O_NOATIME) && !inode_owner_or_capable(i)) {
        return -EPERM;
    }
    return 0;
}

// O_CREAT: looks the last component up, or makes it. Referenced dentry or ERR_PTR.
static struct dentry *lookup_or_create(struct nameidata *nd, struct open_how *how)
{
    struct dentry *parent = nd->path.dentry;
    struct inode *dir = parent->d_inode;
    struct dentry *d = how->flags & O_EXCL ? NULL : lookup_cached(&nd->last, parent);
    if (d && d->d_inode) {
        return d;
    }
    dput(d);
    int denied = mnt_want_write(nd->path.mnt);
    down_write(&dir->i_rwsem);
    d = lookup_hash(&nd->last, parent);
    if (!IS_ERR(d) && !d->d_inode) {
        umode_t mode = how->mode & (umode_t)~current->fs->umask & S_IALLUGO;
        int error = denied ? denied : vfs_create(dir, d, mode | S_IFREG);
        if (error) {
            dput(d);
            d = ERR_PTR(error);
        } else {
            how->created = true;
        }
    }
    up_write(&dir->i_rwsem);
    if (!denied) {
        mnt_drop_write(nd->path.mnt);
    }
    return d;
}

// The last component of an open: 0 = nd->path is the file, 1 = a link (*text as in step_into), or
// -errno.
static int open_last(struct nameidata *nd, struct open_how *how, const char **text)
{
    bool slash = nd->last_type != LAST_ROOT && nd->last.name[nd->last.len] == '/';
    if (slash) {
        nd->flags |= LOOKUP_DIRECTORY;
    }
    unsigned step = STEP_LAST | (slash ? STEP_SLASH : 0);
    if (nd->last_type == LAST_ROOT) {
        return 0;
    }
    if (nd->last_type != LAST_NORM || !(how->flags & O_CREAT)) {
        return walk_component(nd, step, NULL, text);
    }
    if (slash) {
        return -EISDIR;
    }
    struct dentry *d = lookup_or_create(nd, how);
    if (IS_ERR(d)) {
        return (int)PTR_ERR(d);
    }
    if (!how->created && (how->flags & O_EXCL)) {
        dput(d);
        return -EEXIST;
    }
    return step_into(nd, d, step, NULL, text);
}

static int truncate_opened(struct file *f)
{
    struct iattr a = {.ia_valid = ATTR_SIZE | ATTR_MTIME | ATTR_CTIME | ATTR_FILE, .ia_file = f};
    struct inode *i = f->f_inode;
    if (!capable(CAP_FSETID)) {
        a.ia_valid |= ATTR_KILL_PRIV;
    }
    int error = get_write_access(i); // also for O_RDONLY | O_TRUNC
    if (error) {
        return error;
    }
    error = mnt_want_write(f->f_path.mnt);
    if (!error) {
        down_write(&i->i_rwsem);
        error = notify_change(f->f_path.dentry, &a);
        up_write(&i->i_rwsem);
        mnt_drop_write(f->f_path.mnt);
    }
    put_write_access(i);
    return error;
}

static int open_at(struct nameidata *nd, struct open_how *how, struct file *f)
{
    struct inode *i = nd->path.dentry->d_inode;
    if ((nd->flags & LOOKUP_DIRECTORY) && !S_ISDIR(i->i_mode)) {
        return -ENOTDIR;
    }
    if ((how->flags & O_CREAT) && S_ISDIR(i->i_mode)) {
        return -EISDIR;
    }
    if (how->flags & O_PATH) {
        return vfs_open(&nd->path, f);
    }
    int error = may_open(&nd->path, how);
    if (error) {
        return error;
    }
    error = vfs_open(&nd->path, f);
    if (!error && (how->flags & O_TRUNC) && S_ISREG(i->i_mode) && !how->created) {
        error = truncate_opened(f);
    }
    return error;
}

// O_TMPFILE: a file without a name in the directory `name`.
static int open_nameless(int dfd, const char *name, struct nameidata *nd, struct open_how *how,
                         struct file *f)
{
    static const struct qstr no_name = {.name = "#tmp", .len = 4};
    int error = path_lookup(dfd, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, nd);
    if (error) {
        return error;
    }
    struct inode *dir = nd->path.dentry->d_inode;
    if (!dir->i_op->tmpfile) {
        return -ENOTSUP;
    }
    if ((how->flags & O_ACCMODE) == O_RDONLY) {
        return -EINVAL;
    }
    error = inode_permission(dir, MAY_WRITE | MAY_EXEC);
    if (error) {
        return error;
    }
    error = mnt_want_write(nd->path.mnt);
    if (error) {
        return error;
    }
    struct dentry *d = d_alloc(nd->path.dentry, &no_name);
    error = -ENOMEM;
    if (d) {
        umode_t mode = how->mode & (umode_t)~current->fs->umask & S_IALLUGO;
        error = dir->i_op->tmpfile(dir, d, mode | S_IFREG);
        if (!error) {
            spin_lock(&d->d_inode->i_lock);
            d->d_inode->i_state |= how->flags & O_EXCL ? 0 : I_LINKABLE;
            spin_unlock(&d->d_inode->i_lock);
            struct path path = {nd->path.mnt, d};
            error = vfs_open(&path, f);
        }
        dput(d);
    }
    mnt_drop_write(nd->path.mnt);
    return error;
}

static int open_walk(int dfd, const char *name, struct nameidata *nd, struct open_how *how,
                     struct file *f)
{
    unsigned flags = LOOKUP_OPEN;
    if (how->flags & O_DIRECTORY) {
        flags |= LOOKUP_DIRECTORY;
    }
    if (!(how->flags & O_NOFOLLOW) && (how->flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL)) {
        flags |= LOOKUP_FOLLOW;
    }
    int error = walk_start(dfd, name, nd, flags);
    const char *s = name;
    while (!error) {
        error = link_path_walk(s, nd);
        if (error) {
            break;
        }
        const char *text = NULL;
        int step = open_last(nd, how, &text);
        if (step < 0) {
            error = step;
            break;
        }
        if (!step || !text) {
            return open_at(nd, how, f);
        }
        s = text;
    }
    return error;
}

static struct file *open_file(int dfd, const char *name, struct open_how *how)
{
    struct nameidata nd = {.stack = nd.near};
    struct file *f = alloc_empty_file((unsigned)how->flags);
    if (IS_ERR(f)) {
        return f;
    }
    int error = (how->flags & O_TMPFILE) == O_TMPFILE ? open_nameless(dfd, name, &nd, how, f)
                                                      : open_walk(dfd, name, &nd, how, f);
    walk_end(&nd);
    if (error) {
        fput_now(f);
        return ERR_PTR(error);
    }
    return f;
}

struct file *do_filp_open(int dfd, const char *name, int flags, umode_t mode)
{
    struct open_how how = {.flags = flags, .mode = mode};
    if (flags & O_PATH) {
        how.flags &= O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
    }
    return open_file(dfd, name, &how);
}

struct file *open_exec_kernel(const char *name)
{
    struct open_how how = {.flags = O_RDONLY | O_LARGEFILE, .exec = true};
    struct file *f = open_file(AT_FDCWD, name, &how);
    if (IS_ERR(f)) {
        return f;
    }
    int error = -EACCES;
    if (S_ISREG(f->f_inode->i_mode) && !(f->f_path.mnt->mnt_flags & MS_NOEXEC)) {
        error = deny_write_access(f);
    }
    if (error) {
        fput_now(f);
        return ERR_PTR(error);
    }
    return f;
}

struct file *open_exec(const char __user *uname)
{
    struct filename *n = getname(uname);
    if (IS_ERR(n)) {
        return (struct file *)n;
    }
    struct file *f = open_exec_kernel(n->name);
    putname(n);
    return f;
}

struct file *filp_open(const char *path, int flags, umode_t mode)
{
    return do_filp_open(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}
