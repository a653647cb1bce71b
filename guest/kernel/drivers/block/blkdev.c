// SPDX-License-Identifier: MIT
// Disks and block devices: registration, lookup by path or number, the file operations of their
// nodes.
#include "arch/x86_64/uaccess.h"
#include "fs/block.h"
#include "fs/buffer.h"
#include "fs/namei.h"
#include "fs/seq_file.h"
#include "lib/printf.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "mm/writeback.h"
#include "proc/cred.h"
#include "sched/sched.h"

#define WHOLE 0x7fffffffffffffffL

static LIST_HEAD(disks);
static LIST_HEAD(devices);
static DEFINE_MUTEX(devices_mutex); // both lists, holders
static struct super_block *bdev_sb;

static struct inode *bdev_inode(struct block_device *bdev)
{
    struct inode *i = new_inode(bdev_sb);
    if (!i) {
        return NULL;
    }
    i->i_ino = get_next_ino();
    i->i_mode = S_IFBLK | 0600;
    i->i_rdev = bdev->dev;
    i->i_bdev = bdev;
    i->i_size = (loff_t)(bdev->nr_sectors * 512);
    i->i_data.a_ops = &bdev_aops;
    i->i_data.gfp_mask = GFP_NOFS; // its pages are made inside file system operations
    return i;
}

int add_disk(struct gendisk *disk)
{
    struct block_device *bdev = kzalloc(sizeof(*bdev), GFP_KERNEL);
    if (!bdev) {
        return -ENOMEM;
    }
    *bdev = (struct block_device){.dev = disk->first_dev,
                                  .disk = disk,
                                  .nr_sectors = disk->capacity,
                                  .block_size = PAGE_SIZE};
    bdev->inode = bdev_inode(bdev);
    if (!bdev->inode) {
        kfree(bdev);
        return -ENOMEM;
    }
    mutex_lock(&devices_mutex);
    list_add_tail(&disk->entry, &disks);
    list_add_tail(&bdev->entry, &devices);
    mutex_unlock(&devices_mutex);
    pr_info("%s: %lu sectors of %u bytes (%lu MiB)%s", disk->name, disk->capacity,
            disk->logical_block_size, disk->capacity / 2048, disk->read_only ? ", read-only" : "");
    return devtmpfs_create(disk->name, S_IFBLK | 0660, bdev->dev);
}

static struct block_device *find_dev(dev_t dev)
{
    struct block_device *b;
    list_for_each_entry(b, &devices, entry) {
        if (b->dev == dev) {
            return b;
        }
    }
    return NULL;
}

// holder != NULL asks for exclusive use; several calls with the same one share.
struct block_device *blkdev_get_by_dev(dev_t dev, unsigned mode, void *holder)
{
    mutex_lock(&devices_mutex);
    struct block_device *b = find_dev(dev);
    int error = 0;
    if (!b) {
        error = -ENXIO;
    } else if ((mode & FMODE_WRITE) && b->disk->read_only) {
        error = -EACCES;
    } else if (holder && b->holder && b->holder != holder) {
        error = -EBUSY;
    } else {
        atomic_inc(&b->openers);
        if (holder) {
            b->holder = holder;
        }
    }
    mutex_unlock(&devices_mutex);
    return error ? ERR_PTR(error) : b;
}

// "/dev/sda" before any node can be reached: the kernel mounting its root.
static struct block_device *get_by_name(const char *name, unsigned mode, void *holder)
{
    struct block_device *b;
    dev_t dev = 0;
    mutex_lock(&devices_mutex);
    list_for_each_entry(b, &devices, entry) {
        if (!strcmp(b->disk->name, name)) {
            dev = b->dev;
        }
    }
    mutex_unlock(&devices_mutex);
    return dev ? blkdev_get_by_dev(dev, mode, holder) : ERR_PTR(-ENOENT);
}

struct block_device *blkdev_get_by_path(const char *path, unsigned mode, void *holder)
{
    struct path p;
    if (!path || !*path) {
        return ERR_PTR(-EINVAL);
    }
    int error = kern_path(path, LOOKUP_FOLLOW, &p);
    if (error) {
        return !current->mm && !strncmp(path, "/dev/", 5) ? get_by_name(path + 5, mode, holder)
                                                          : ERR_PTR(error);
    }
    struct inode *i = p.dentry->d_inode;
    struct block_device *b =
        S_ISBLK(i->i_mode) ? blkdev_get_by_dev(i->i_rdev, mode, holder) : ERR_PTR(-ENOTBLK);
    path_put(&p);
    return b;
}

void blkdev_put(struct block_device *bdev)
{
    mutex_lock(&devices_mutex);
    bool last = atomic_dec_and_test(&bdev->openers);
    if (last) {
        bdev->holder = NULL;
    }
    mutex_unlock(&devices_mutex);
    if (last) { // what somebody else does to the disk meanwhile must be seen by the next one
        filemap_write_and_wait(&bdev->inode->i_data);
        truncate_inode_pages(&bdev->inode->i_data, 0);
    }
}

int set_blocksize(struct block_device *bdev, unsigned size)
{
    if (size < 512 || size > PAGE_SIZE || (size & (size - 1)) ||
        size < bdev->disk->logical_block_size) {
        return -EINVAL;
    }
    if (bdev->block_size != size) {
        int error = filemap_write_and_wait(&bdev->inode->i_data);
        truncate_inode_pages(&bdev->inode->i_data, 0);
        bdev->block_size = size;
        return error;
    }
    return 0;
}

// --- the node

static int blkdev_open(struct inode *i, struct file *f)
{
    struct block_device *b =
        blkdev_get_by_dev(i->i_rdev, f->f_mode & (FMODE_READ | FMODE_WRITE), NULL);
    if (IS_ERR(b)) {
        return (int)PTR_ERR(b);
    }
    if ((f->f_flags & O_EXCL) && b->holder) {
        blkdev_put(b);
        return -EBUSY;
    }
    f->private_data = b;
    f->f_mapping = &b->inode->i_data;
    return 0;
}

static int blkdev_release(struct inode *i, struct file *f)
{
    blkdev_put(f->private_data);
    return 0;
}

static int blkdev_fsync(struct file *f, loff_t start, loff_t end, bool datasync)
{
    struct block_device *b = f->private_data;
    int error = filemap_fdatawrite_range(f->f_mapping, start, end, WB_SYNC_ALL);
    int late = filemap_fdatawait_range(f->f_mapping, start, end);
    error = error ? error : late;
    late = blkdev_issue_flush(b);
    return error ? error : late;
}

static long blkdev_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct block_device *b = f->private_data;
    void __user *u = (void __user *)arg;
    switch (cmd) {
    case 0x1260: // BLKGETSIZE
        return put_user(b->nr_sectors, (u64 __user *)u);
    case 0x80081272: // BLKGETSIZE64
        return put_user(b->nr_sectors * 512, (u64 __user *)u);
    case 0x1268: // BLKSSZGET
        return put_user((int)b->disk->logical_block_size, (int __user *)u);
    case 0x127b: // BLKPBSZGET
        return put_user((int)b->disk->physical_block_size, (int __user *)u);
    case 0x80081270: // BLKBSZGET
        return put_user((int)b->block_size, (int __user *)u);
    case 0x125e: // BLKROGET
        return put_user((int)b->disk->read_only, (int __user *)u);
    case 0x1261: // BLKFLSBUF
        if (!capable(CAP_SYS_ADMIN)) {
            return -EACCES;
        }
        filemap_write_and_wait(&b->inode->i_data);
        invalidate_mapping_pages(&b->inode->i_data, 0, ~0UL);
        return 0;
    }
    return b->disk->ops->ioctl ? b->disk->ops->ioctl(b->disk, cmd, arg) : -ENOTTY;
}

const struct file_operations def_blk_fops = {
    .read = generic_file_read,
    .write = generic_file_write,
    .ioctl = blkdev_ioctl,
    .mmap = generic_file_mmap,
    .open = blkdev_open,
    .release = blkdev_release,
    .fsync = blkdev_fsync,
};

// --- /proc

void partitions_show(struct seq_file *m)
{
    struct gendisk *d;
    seq_puts(m, "major minor  #blocks  name\n\n");
    list_for_each_entry(d, &disks, entry) {
        seq_printf(m, "%4d  %7d %10lu %s\n", MAJOR(d->first_dev), MINOR(d->first_dev),
                   d->capacity / 2, d->name);
    }
}

void diskstats_show(struct seq_file *m)
{
    struct gendisk *d;
    list_for_each_entry(d, &disks, entry) {
        u64 r = d->stat[0].ticks_ns / NSEC_PER_MSEC, w = d->stat[1].ticks_ns / NSEC_PER_MSEC;
        seq_printf(m, "%4d %7d %s %lu 0 %lu %lu %lu 0 %lu %lu %d %lu %lu 0 0 0 0 0 0\n",
                   MAJOR(d->first_dev), MINOR(d->first_dev), d->name, d->stat[0].ios,
                   d->stat[0].sectors, r, d->stat[1].ios, d->stat[1].sectors, w,
                   atomic_read(&d->in_flight), r + w, r + w);
    }
}

static int bdev_fill(struct super_block *sb, const char *data, bool silent)
{
    static const struct super_operations ops;
    sb->s_op = &ops;
    sb->s_magic = 0x62646576; // "bdev"
    sb->s_writeback = true;
    struct inode *root = new_inode(sb);
    if (root) {
        root->i_mode = S_IFDIR | 0755;
    }
    sb->s_root = d_make_root(root);
    return sb->s_root ? 0 : -ENOMEM;
}

static struct dentry *bdev_mount(struct file_system_type *t, unsigned flags, const char *source,
                                 const char *data)
{
    return mount_nodev(t, flags, data, bdev_fill);
}

void block_init(void)
{
    static struct file_system_type type = {
        .name = "bdev", .mount = bdev_mount, .kill_sb = kill_anon_super};
    struct dentry *root = bdev_mount(&type, 0, "bdev", NULL);
    if (IS_ERR(root)) {
        panic("block devices: error %ld", PTR_ERR(root));
    }
    bdev_sb = root->d_sb;
}
