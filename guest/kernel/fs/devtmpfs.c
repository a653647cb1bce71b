// SPDX-License-Identifier: MIT
// devtmpfs: one tmpfs that every mount shares, in which the kernel makes the device nodes.
#include "fs/tmpfs.h"

static struct mount *dev_mount;

static struct dentry *devtmpfs_mount(struct file_system_type *t, unsigned flags, const char *source,
                                     const char *data)
{
    if (!dev_mount) {
        return mount_nodev(t, flags, "mode=0755", tmpfs_fill_super);
    }
    atomic_inc(&dev_mount->mnt_sb->s_active);
    return dget(dev_mount->mnt_sb->s_root);
}

static struct file_system_type devtmpfs_type = {
    .name = "devtmpfs", .mount = devtmpfs_mount, .kill_sb = tmpfs_kill_sb};

// The child `name` of dir, locked by the caller: referenced, maybe negative, or ERR_PTR.
static struct dentry *child(struct dentry *dir, const char *name, size_t len)
{
    struct qstr q = {.name = name, .len = (u32)len, .hash = full_name_hash(dir, name, (u32)len)};
    return lookup_hash(&q, dir);
}

// Parent directory of `name` (made where missing), referenced; *last is the final component.
// ERR_PTR.
static struct dentry *parent_of(const char *name, const char **last)
{
    struct dentry *dir = dget(dev_mount->mnt_root);
    const char *slash;
    while ((slash = strchr(name, '/')) != NULL) {
        down_write(&dir->d_inode->i_rwsem);
        struct dentry *d = child(dir, name, (size_t)(slash - name));
        int error = PTR_ERR_OR_ZERO(d);
        if (!error && !d->d_inode) {
            error = tmpfs_make(dir->d_inode, d, S_IFDIR | 0755, 0);
        }
        up_write(&dir->d_inode->i_rwsem);
        dput(dir);
        if (error) {
            if (!IS_ERR(d)) {
                dput(d);
            }
            return ERR_PTR(error);
        }
        dir = d;
        name = slash + 1;
    }
    *last = name;
    return dir;
}

// A node that is there already takes the new mode.
int devtmpfs_create(const char *name, umode_t mode, dev_t dev)
{
    const char *last;
    if (!dev_mount) {
        return -ENODEV;
    }
    struct dentry *dir = parent_of(name, &last);
    if (IS_ERR(dir)) {
        return (int)PTR_ERR(dir);
    }
    down_write(&dir->d_inode->i_rwsem);
    struct dentry *d = child(dir, last, strlen(last));
    int error = PTR_ERR_OR_ZERO(d);
    if (!error) {
        if (!d->d_inode) {
            error = tmpfs_make(dir->d_inode, d, mode, dev);
        } else if (d->d_inode->i_rdev == dev && (d->d_inode->i_mode & S_IFMT) == (mode & S_IFMT)) {
            d->d_inode->i_mode = mode;
        } else {
            error = -EEXIST;
        }
        if (!error) {
            d->d_inode->i_uid = 0;
            d->d_inode->i_gid = 0;
        }
        dput(d);
    }
    up_write(&dir->d_inode->i_rwsem);
    dput(dir);
    return error;
}

int devtmpfs_remove(const char *name)
{
    const char *last;
    struct dentry *dir = parent_of(name, &last);
    if (IS_ERR(dir)) {
        return (int)PTR_ERR(dir);
    }
    down_write(&dir->d_inode->i_rwsem);
    struct dentry *d = child(dir, last, strlen(last));
    int error = PTR_ERR_OR_ZERO(d);
    if (!error) {
        error = d->d_inode ? simple_unlink(dir->d_inode, d) : -ENOENT;
        if (!error) {
            d_delete(d);
        }
        dput(d);
    }
    up_write(&dir->d_inode->i_rwsem);
    dput(dir);
    return error;
}

void devtmpfs_init(void)
{
    register_filesystem(&devtmpfs_type);
    struct mount *m = kern_mount_internal(&devtmpfs_type);
    BUG_ON(IS_ERR(m));
    dev_mount = m;
}
