// SPDX-License-Identifier: MIT
// File system types and super blocks: making, sharing, remounting, shutting down.
#include "fs/block.h"
#include "fs/internal.h"
#include "fs/seq_file.h"
#include "mm/writeback.h"

LIST_HEAD(super_blocks);
DEFINE_SPINLOCK(sb_lock);
static LIST_HEAD(types);

int register_filesystem(struct file_system_type *t)
{
    spin_lock(&sb_lock);
    list_add_tail(&t->entry, &types);
    spin_unlock(&sb_lock);
    return 0;
}

struct file_system_type *get_fs_type(const char *name, size_t len)
{
    struct file_system_type *t, *found = NULL;
    spin_lock(&sb_lock);
    list_for_each_entry(t, &types, entry) {
        if (strlen(t->name) == len && !memcmp(t->name, name, len)) {
            found = t;
            break;
        }
    }
    spin_unlock(&sb_lock);
    return found;
}

// /proc/filesystems; types are never unregistered.
void filesystems_show(struct seq_file *m)
{
    struct file_system_type *t;
    list_for_each_entry(t, &types, entry) {
        seq_printf(m, "%s\t%s\n", t->fs_flags & FS_REQUIRES_DEV ? "" : "nodev", t->name);
    }
}

dev_t new_anon_dev(void)
{
    static atomic_t last;
    return MKDEV(0, atomic_inc_return(&last));
}

struct super_block *alloc_super(struct file_system_type *t, unsigned flags)
{
    static const struct super_operations no_ops;
    struct super_block *sb = kzalloc(sizeof(*sb), GFP_KERNEL);
    if (!sb) {
        return NULL;
    }
    INIT_LIST_HEAD(&sb->s_list);
    INIT_LIST_HEAD(&sb->s_inodes);
    INIT_LIST_HEAD(&sb->s_dirty);
    init_rwsem(&sb->s_umount);
    spin_lock_init(&sb->s_inode_lock);
    atomic_set(&sb->s_active, 1);
    sb->s_type = t;
    sb->s_flags = flags & (MS_RDONLY | MS_SYNCHRONOUS | MS_DIRSYNC);
    sb->s_op = &no_ops;
    sb->s_blocksize = PAGE_SIZE;
    sb->s_blocksize_bits = PAGE_SHIFT;
    sb->s_time_gran = 1;
    sb->s_maxbytes = 0x7ffffffffffff000L;
    kstrlcpy(sb->s_id, t->name, sizeof(sb->s_id));
    return sb;
}

static void publish(struct super_block *sb)
{
    spin_lock(&sb_lock);
    list_add_tail(&sb->s_list, &super_blocks);
    spin_unlock(&sb_lock);
}

// Nobody has it mounted any more: writes everything, drops dentries and inodes.
static void shut_down(struct super_block *sb)
{
    struct dentry *root = sb->s_root;
    down_write(&sb->s_umount);
    if (root) {
        shrink_dcache_parent(root);
        sync_filesystem(sb);
        sb->s_root = NULL;
        sb->s_dying = true;
        d_drop(root);
        dput(root);
    }
    sb->s_dying = true;
    evict_inodes(sb);
    if (!list_empty(&sb->s_inodes)) {
        pr_err("%s: inodes still in use at unmount", sb->s_id);
    }
    if (sb->s_op->put_super) {
        sb->s_op->put_super(sb);
    }
    spin_lock(&sb_lock);
    list_del_init(&sb->s_list);
    spin_unlock(&sb_lock);
    up_write(&sb->s_umount);
}

void kill_anon_super(struct super_block *sb)
{
    shut_down(sb);
    kfree(sb);
}

void kill_block_super(struct super_block *sb)
{
    struct block_device *bdev = sb->s_bdev;
    shut_down(sb);
    blkdev_issue_flush(bdev);
    blkdev_put(bdev);
    kfree(sb);
}

void deactivate_super(struct super_block *sb)
{
    if (atomic_dec_and_test(&sb->s_active)) {
        sb->s_type->kill_sb(sb);
    }
}

struct dentry *mount_nodev(struct file_system_type *t, unsigned flags, const char *data,
                           int (*fill)(struct super_block *, const char *data, bool silent))
{
    struct super_block *sb = alloc_super(t, flags);
    if (!sb) {
        return ERR_PTR(-ENOMEM);
    }
    sb->s_dev = new_anon_dev();
    int error = fill(sb, data, flags & MS_SILENT);
    if (error) {
        t->kill_sb(sb);
        return ERR_PTR(error);
    }
    publish(sb);
    return dget(sb->s_root);
}

static struct super_block *find_by_bdev(struct block_device *bdev)
{
    struct super_block *sb, *found = NULL;
    spin_lock(&sb_lock);
    list_for_each_entry(sb, &super_blocks, s_list) {
        if (sb->s_bdev == bdev && sb->s_root && atomic_inc_not_zero(&sb->s_active)) {
            found = sb;
            break;
        }
    }
    spin_unlock(&sb_lock);
    return found;
}

struct dentry *mount_bdev(struct file_system_type *t, unsigned flags, const char *source,
                          const char *data,
                          int (*fill)(struct super_block *, const char *data, bool silent))
{
    unsigned mode = FMODE_READ | (flags & MS_RDONLY ? 0 : FMODE_WRITE);
    struct block_device *bdev = blkdev_get_by_path(source, mode, t);
    if (IS_ERR(bdev)) {
        return (struct dentry *)bdev;
    }
    struct super_block *sb = find_by_bdev(bdev);
    if (sb) { // mounted already: one super block serves all
        blkdev_put(bdev);
        if (sb->s_type == t && !((flags ^ sb->s_flags) & MS_RDONLY)) {
            return dget(sb->s_root);
        }
        deactivate_super(sb);
        return ERR_PTR(-EBUSY);
    }
    sb = alloc_super(t, flags);
    if (!sb) {
        blkdev_put(bdev);
        return ERR_PTR(-ENOMEM);
    }
    sb->s_bdev = bdev;
    sb->s_dev = bdev->dev;
    sb->s_writeback = true;
    kstrlcpy(sb->s_id, bdev->disk->name, sizeof(sb->s_id));
    int error = fill(sb, data, flags & MS_SILENT);
    if (error) {
        t->kill_sb(sb);
        return ERR_PTR(error);
    }
    publish(sb);
    return dget(sb->s_root);
}

// Files without a name that are still open would need writing at their end.
static bool has_orphans(struct super_block *sb)
{
    struct inode *i = NULL;
    while (sb->s_writeback && (i = inode_sb_next(sb, i, NULL)) != NULL) {
        if (!i->i_nlink && atomic_read(&i->i_count) > 1) {
            iput(i);
            return true;
        }
    }
    return false;
}

int do_remount_sb(struct super_block *sb, unsigned flags, const char *data, bool force)
{
    bool read_only = flags & MS_RDONLY, was = sb->s_flags & MS_RDONLY;
    int error = 0;
    down_write(&sb->s_umount);
    if (!read_only && was && sb->s_bdev && sb->s_bdev->disk->read_only) {
        error = -EACCES;
        goto out;
    }
    if (read_only && !was) {
        shrink_dcache_parent(sb->s_root);
        sb->s_flags |= MS_RDONLY; // no new writer from here on
        smp_mb();
        if (!force && (atomic_read(&sb->s_writers) || has_orphans(sb))) {
            error = -EBUSY;
        }
        sb->s_flags &= ~(unsigned)MS_RDONLY;
        if (!error) {
            error = sync_filesystem(sb);
        }
        if (error && !force) {
            goto out;
        }
    }
    if (sb->s_op->remount_fs) {
        error = sb->s_op->remount_fs(sb, flags, data);
    }
    if (!error || force) {
        sb->s_flags = (sb->s_flags & ~(unsigned)(MS_RDONLY | MS_SYNCHRONOUS)) |
                      (flags & (MS_RDONLY | MS_SYNCHRONOUS));
    }
out:
    up_write(&sb->s_umount);
    return error;
}

struct super_block *super_next(struct super_block *prev)
{
    struct super_block *sb, *found = NULL;
    spin_lock(&sb_lock);
    struct list_head *at = prev ? prev->s_list.next : super_blocks.next;
    for (; at != &super_blocks; at = at->next) {
        sb = list_entry(at, struct super_block, s_list);
        if (atomic_inc_not_zero(&sb->s_active)) {
            found = sb;
            break;
        }
    }
    spin_unlock(&sb_lock);
    super_put(prev);
    return found;
}

void super_put(struct super_block *sb)
{
    if (sb) {
        deactivate_super(sb);
    }
}

void iterate_supers(void (*fn)(struct super_block *sb, void *arg), void *arg)
{
    struct super_block *sb = NULL;
    while ((sb = super_next(sb)) != NULL) {
        down_read(&sb->s_umount);
        if (sb->s_root) {
            fn(sb, arg);
        }
        up_read(&sb->s_umount);
    }
}

static void make_read_only(struct super_block *sb)
{
    if (sb->s_bdev && !(sb->s_flags & MS_RDONLY)) {
        do_remount_sb(sb, MS_RDONLY, NULL, true);
    }
}

void emergency_remount_ro(void)
{
    struct super_block *sb = NULL;
    while ((sb = super_next(sb)) != NULL) {
        if (sb->s_root) {
            make_read_only(sb);
        }
    }
}
