// SPDX-License-Identifier: MIT
// Path walking. flags AT_*-independent LOOKUP_*; errors as path_resolution(7).
#pragma once

#include "fs/fs.h"

#define LOOKUP_FOLLOW 0x1u
#define LOOKUP_DIRECTORY 0x2u
#define LOOKUP_EMPTY 0x4u
#define LOOKUP_PARENT 0x10u
#define LOOKUP_OPEN 0x100u
#define LOOKUP_CREATE 0x200u
#define LOOKUP_EXCL 0x400u

struct filename {
    char *name;
};
struct filename *getname(const char __user *u); // ERR_PTR(-EFAULT, -ENAMETOOLONG, -ENOENT if empty)
struct filename *getname_flags(const char __user *u, unsigned lookup_flags);
void putname(struct filename *n);
int user_path_at(int dfd, const char __user *name, unsigned flags, struct path *out);
int filename_lookup(int dfd, const char *name, unsigned flags, struct path *out);
int kern_path(const char *name, unsigned flags, struct path *out);
struct file *do_filp_open(int dfd, const char *name, int flags, umode_t mode); // ERR_PTR
int vfs_mkdir(struct inode *dir, struct dentry *d, umode_t mode);
int vfs_mknod(struct inode *dir, struct dentry *d, umode_t mode, dev_t dev);
int vfs_unlink(struct inode *dir, struct dentry *d);
int vfs_rmdir(struct inode *dir, struct dentry *d);
int vfs_truncate(const struct path *p, loff_t len);
// Kernel helpers for initramfs and boot: like the system calls, with kernel strings.
int kern_mkdir(const char *path, umode_t mode);
int kern_mknod(const char *path, umode_t mode, dev_t dev);
int kern_symlink(const char *target, const char *path);
int kern_link(const char *old, const char *path);
int kern_unlink(const char *path);
int kern_rmdir(const char *path);
int kern_mount(const char *source, const char *target, const char *type, unsigned flags,
               const char *data);
int kern_chdir(const char *path);
int kern_chroot(const char *path);
