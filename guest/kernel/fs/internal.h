// SPDX-License-Identifier: MIT
// What the files of fs/ share among themselves.
#pragma once

#include "fs/fd_table.h"
#include "fs/mount.h"
#include "fs/namei.h"
#include "lib/printf.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/cred.h"
#include "sched/sched.h"

struct seq_file;
struct super_block;

// dcache.c
void dcache_init(void);
struct dentry *dget_parent(struct dentry *d);
void d_exchange(struct dentry *a, struct dentry *b);
void shrink_dcache_parent(struct dentry *d); // kills unused descendants
void d_invalidate(struct dentry *d);         // unhashes d and drops what is unused below
bool is_subdir(struct dentry *d, struct dentry *ancestor);
extern spinlock_t dcache_lock; // names, parents, hash, counts that fall to 0
bool d_unhashed(const struct dentry *d);
bool d_is_dir(const struct dentry *d);
bool simple_empty(
    struct dentry *dir); // no positive child in the dcache (file systems that live in it)
int always_delete_dentry(const struct dentry *d);

// inode.c
void inode_init(void);
void evict_inodes(struct super_block *sb); // all unused ones; returns with in-use ones left
u64 inodes_count(void);
void truncate_setsize(struct inode *i, loff_t size);
int inode_newsize_ok(struct inode *i, loff_t size); // RLIMIT_FSIZE, s_maxbytes
bool inode_owner_or_capable(const struct inode *i);
int simple_setattr(struct dentry *d, struct iattr *a);
int simple_getattr(const struct path *path, struct kstat *st);
int simple_link(struct dentry *old, struct inode *dir, struct dentry *d);
int simple_unlink(struct inode *dir, struct dentry *d);
int simple_rmdir(struct inode *dir, struct dentry *d);
int simple_rename(struct inode *odir, struct dentry *od, struct inode *ndir, struct dentry *nd,
                  unsigned flags);
ssize_t generic_read_dir(struct file *f, struct iov_iter *to, loff_t *pos); // -EISDIR
int dcache_iterate(struct file *f, struct dir_context *ctx); // entries = positive children
loff_t dcache_dir_lseek(struct file *f, loff_t off, int whence);
extern const struct file_operations dcache_dir_fops;
void simple_dir_times(struct inode *dir);
unsigned mode_to_dtype(umode_t mode);

// super.c, mount.c
void mount_init(void);
struct super_block *alloc_super(struct file_system_type *t, unsigned flags);
void deactivate_super(struct super_block *sb);
struct file_system_type *get_fs_type(const char *name, size_t len);
int do_remount_sb(struct super_block *sb, unsigned flags, const char *data, bool force);
bool lookup_mnt(struct path *path); // path at a mount point -> root of what is mounted there
bool follow_up(struct path *path);  // root of a mount -> its mount point
int path_umount(struct path *path, int flags);
dev_t new_anon_dev(void);
void filesystems_show(struct seq_file *m);
struct mnt_namespace *current_mnt_ns(void);
extern spinlock_t mount_lock; // the tree of mounts
const char *mount_option(const char *data, const char *name, char *buf,
                         size_t size); // NULL if absent

// file.c
void files_init(void);
struct file *alloc_file(const struct path *path, unsigned flags,
                        const struct file_operations *fops); // takes path
int vfs_open(const struct path *path, struct file *f);       // fills f; references path
struct file *alloc_empty_file(unsigned flags);
int chrdev_open(struct inode *i, struct file *f);
u64 files_count(void);
extern const struct file_operations def_chr_fops, bad_dev_fops;

// locks.c
void locks_remove_posix(struct file *f, struct files_struct *owner);
void locks_remove_file(struct file *f); // flock and OFD locks at the last reference
void locks_free_context(struct inode *i);
void locks_init(void);

// namei.c
struct dentry *lookup_create(int dfd, const char *name, struct path *parent,
                             bool is_dir); // parent locked
void done_path_create(struct path *parent, struct dentry *d);
int vfs_create(struct inode *dir, struct dentry *d, umode_t mode);
int vfs_symlink(struct inode *dir, struct dentry *d, const char *target);
int vfs_link(struct dentry *old, struct inode *dir, struct dentry *d);
int vfs_rename(struct inode *odir, struct dentry *od, struct inode *ndir, struct dentry *nd,
               unsigned flags);
int filename_parent(int dfd, const char *name, struct path *parent, struct qstr *last, int *type);
struct dentry *lookup_hash(const struct qstr *name, struct dentry *parent); // parent's inode locked
int may_delete(struct inode *dir, struct dentry *victim, bool is_dir);
int may_create(struct inode *dir, struct dentry *d);
char *page_get(void); // PATH_MAX bytes, from a cache
void page_release(char *p);
extern struct mutex rename_mutex; // rank LOCK_RENAME: directories change parents

// others
void eventpoll_init(void);
void tmpfs_init(void);
void devtmpfs_init(void);
void proc_init(void);
void sysfs_init(void);
void ext2_init(void);
void mem_devices_init(void);
void buffer_init(void);
int fill_statfs(struct path *path, struct linux_statfs *st);
int anon_path(const char *name, umode_t mode,
              struct path *path); // a fresh nameless inode; S_ISFIFO: "pipe:[ino]"
struct mount *
kern_mount_internal(struct file_system_type *t); // a mount outside every namespace; ERR_PTR

// fs_writeback.c, inode.c
void inode_clear_dirty(struct inode *i);     // forgets that it is dirty
int sync_filesystem(struct super_block *sb); // s_umount held; everything durable
// Next super block with a reference, dropping prev's (NULL starts); super_put ends early.
struct super_block *super_next(struct super_block *prev);
void super_put(struct super_block *sb);
void namei_init(void);
void chrdevs_show(struct seq_file *m);

// libfs.c
#define DT_DIR_TYPE 4u
struct dentry *simple_lookup(struct inode *dir, struct dentry *d);
void simple_set_cookie(struct dentry *d);                    // place in the order of dcache_iterate
bool dir_emit_dots(struct file *f, struct dir_context *ctx); // positions 0 and 1; false = full
const char *simple_get_link(struct dentry *d, struct inode *i, void **cookie);
extern const struct inode_operations simple_symlink_iops;

static inline const char *filename_text(const struct filename *n)
{
    return n->name;
}
// Evaluates expr with `name` = the text of a path from user space; its value, or getname's error.
#define WITH_NAME(name, uptr, expr)                                                                \
    ({                                                                                             \
        struct filename *wn_ = getname(uptr);                                                      \
        long wr_ = PTR_ERR_OR_ZERO(wn_);                                                           \
        if (!wr_) {                                                                                \
            const char *name = filename_text(wn_);                                                 \
            wr_ = (expr);                                                                          \
            putname(wn_);                                                                          \
        }                                                                                          \
        wr_;                                                                                       \
    })
