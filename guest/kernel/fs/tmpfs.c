// SPDX-License-Identifier: MIT
// tmpfs: files in the page cache, names in the dentry cache, nothing below. Also the root for an
// initramfs and the files of shared anonymous memory.
#include "fs/tmpfs.h"

#include "arch/x86_64/uaccess.h"
#include "fs/seq_file.h"
#include "mm/shmem.h"

struct tmpfs_sb {
    spinlock_t lock;
    u64 max_pages, used_pages; // 0 = no limit
    u64 max_inodes, used_inodes;
};
struct tmpfs_inode {
    u64 charged; // pages of used_pages that this file stands for; lock of the super block
    struct inode vfs;
};
static struct kmem_cache *inode_cache;
static struct mount *internal_mount;
static const struct inode_operations file_iops, dir_iops, special_iops;
static const struct file_operations file_fops;
static const struct address_space_operations aops;

static struct tmpfs_sb *info(const struct super_block *sb)
{
    return sb->s_fs_info;
}

static struct tmpfs_inode *ti(struct inode *i)
{
    return container_of(i, struct tmpfs_inode, vfs);
}

static struct inode *tmpfs_alloc_inode(struct super_block *sb)
{
    struct tmpfs_inode *t = kmem_cache_alloc(inode_cache, GFP_KERNEL | __GFP_ZERO);
    return t ? &t->vfs : NULL;
}

static void tmpfs_free_inode(struct inode *i)
{
    kmem_cache_free(inode_cache, ti(i));
}

// Brings the charge to what the mapping holds; false (and nothing charged) if one more page does
// not fit.
static bool recharge(struct inode *i, unsigned more)
{
    struct tmpfs_sb *s = info(i->i_sb);
    struct tmpfs_inode *t = ti(i);
    spin_lock(&s->lock);
    u64 want = i->i_data.nrpages + more;
    u64 used = s->used_pages + want - t->charged;
    bool ok = !more || !s->max_pages || used <= s->max_pages;
    if (ok) {
        s->used_pages = used;
        t->charged = want;
    }
    spin_unlock(&s->lock);
    return ok;
}

static void tmpfs_evict_inode(struct inode *i)
{
    struct tmpfs_sb *s = info(i->i_sb);
    truncate_inode_pages(&i->i_data, 0);
    clear_inode(i);
    spin_lock(&s->lock);
    s->used_pages -= ti(i)->charged;
    s->used_inodes--;
    spin_unlock(&s->lock);
    if (S_ISLNK(i->i_mode)) {
        kfree(i->i_private);
    }
}

struct inode *tmpfs_inode(struct super_block *sb, const struct inode *dir, umode_t mode, dev_t dev)
{
    struct tmpfs_sb *s = info(sb);
    spin_lock(&s->lock);
    bool full = s->max_inodes && s->used_inodes >= s->max_inodes;
    s->used_inodes += !full;
    spin_unlock(&s->lock);
    if (full) {
        return ERR_PTR(-ENOSPC);
    }
    struct inode *i = new_inode(sb);
    if (!i) {
        spin_lock(&s->lock);
        s->used_inodes--;
        spin_unlock(&s->lock);
        return ERR_PTR(-ENOMEM);
    }
    i->i_ino = get_next_ino();
    inode_init_owner(i, dir, mode);
    i->i_atime = i->i_mtime = i->i_ctime = current_time(i);
    set_bit(AS_UNEVICTABLE, &i->i_data.flags);
    i->i_data.a_ops = &aops;
    switch (mode & S_IFMT) {
    case S_IFREG:
        i->i_op = &file_iops;
        i->i_fop = &file_fops;
        break;
    case S_IFDIR:
        i->i_op = &dir_iops;
        i->i_fop = &dcache_dir_fops;
        i->i_nlink = 2;
        i->i_size = 40;
        break;
    case S_IFLNK:
        i->i_op = &simple_symlink_iops;
        break;
    default:
        init_special_inode(i, i->i_mode, dev);
        i->i_op = &special_iops;
    }
    return i;
}

// --- pages

static int tmpfs_readpage(struct file *f, struct page *p)
{
    clear_page(page_address(p));
    SetPageUptodate(p);
    unlock_page(p);
    return 0;
}

static int tmpfs_writepage(struct page *p, struct writeback_control *wbc)
{
    SetPageDirty(p); // there is nowhere to write it
    unlock_page(p);
    return 0;
}

static int tmpfs_write_begin(struct file *f, struct address_space *m, loff_t pos, unsigned len,
                             struct page **out)
{
    unsigned long index = (unsigned long)pos >> PAGE_SHIFT;
    struct page *p = find_lock_page(m, index);
    if (!p) {
        if (!recharge(m->host, 1)) {
            return -ENOSPC;
        }
        p = find_or_create_page(m, index, GFP_KERNEL);
        if (!p) {
            recharge(m->host, 0);
            return -ENOMEM;
        }
    }
    if (!PageUptodate(p) && len != PAGE_SIZE) {
        clear_page(page_address(p));
        SetPageUptodate(p);
    }
    *out = p;
    return 0;
}

static int tmpfs_write_end(struct file *f, struct address_space *m, loff_t pos, unsigned len,
                           unsigned copied, struct page *p)
{
    struct inode *i = m->host;
    if (!PageUptodate(p)) {
        if (copied < PAGE_SIZE) {
            memset((char *)page_address(p) + copied, 0, PAGE_SIZE - copied);
        }
        SetPageUptodate(p);
    }
    SetPageDirty(p);
    if (pos + copied > i->i_size) {
        i_size_write(i, pos + copied);
    }
    unlock_page(p);
    put_page(p);
    return (int)copied;
}

static const struct address_space_operations aops = {
    .readpage = tmpfs_readpage,
    .writepage = tmpfs_writepage,
    .write_begin = tmpfs_write_begin,
    .write_end = tmpfs_write_end,
};

// --- files

static int tmpfs_setattr(struct dentry *d, struct iattr *a)
{
    struct inode *i = d->d_inode;
    int error = setattr_prepare(d, a);
    if (error) {
        return error;
    }
    if (a->ia_valid & ATTR_SIZE) {
        truncate_setsize(i, a->ia_size);
        recharge(i, 0);
        i->i_mtime = i->i_ctime = current_time(i);
    }
    setattr_copy(i, a);
    return 0;
}

static int punch_hole(struct inode *i, loff_t off, loff_t len)
{
    unmap_mapping_range(&i->i_data, off, len, false);
    truncate_inode_pages_range(&i->i_data, off, off + len - 1);
    recharge(i, 0);
    return 0;
}

static int allocate(struct file *f, loff_t off, loff_t len)
{
    struct address_space *m = &f->f_inode->i_data;
    for (loff_t pos = off & (loff_t)PAGE_MASK; pos < off + len; pos += PAGE_SIZE) {
        struct page *p;
        int error = tmpfs_write_begin(f, m, pos, 0, &p);
        if (error) {
            return error;
        }
        unlock_page(p);
        put_page(p);
        if (signal_pending(current)) {
            return -EINTR;
        }
        cond_resched();
    }
    return 0;
}

static long tmpfs_fallocate(struct file *f, int mode, loff_t off, loff_t len)
{
    struct inode *i = f->f_inode;
    long error;
    if (mode & FALLOC_FL_ZERO_RANGE) {
        return -ENOTSUP;
    }
    down_write(&i->i_rwsem);
    if (mode & FALLOC_FL_PUNCH_HOLE) {
        error = punch_hole(i, off, len);
    } else {
        error = inode_newsize_ok(i, off + len);
        error = error ? error : allocate(f, off, len);
        if (!error && !(mode & FALLOC_FL_KEEP_SIZE) && off + len > i->i_size) {
            i_size_write(i, off + len);
        }
    }
    if (!error) {
        i->i_mtime = i->i_ctime = current_time(i);
    }
    up_write(&i->i_rwsem);
    return error;
}

static loff_t tmpfs_llseek(struct file *f, loff_t off, int whence)
{
    struct inode *i = f->f_inode;
    if (whence != SEEK_DATA && whence != SEEK_HOLE) {
        return generic_file_llseek(f, off, whence);
    }
    loff_t size = i_size_read(i);
    if (off < 0 || off >= size) {
        return -ENXIO;
    }
    for (loff_t pos = off; pos < size; pos = (pos | (loff_t)(PAGE_SIZE - 1)) + 1) {
        struct page *p = find_get_page(&i->i_data, (unsigned long)pos >> PAGE_SHIFT);
        if (p) {
            put_page(p);
        }
        if (!!p == (whence == SEEK_DATA)) {
            return f->f_pos = pos;
        }
    }
    return whence == SEEK_DATA ? -ENXIO : (f->f_pos = size);
}

static int tmpfs_fsync(struct file *f, loff_t start, loff_t end, bool datasync)
{
    return 0; // memory is all there is
}

static const struct file_operations file_fops = {
    .llseek = tmpfs_llseek,
    .read = generic_file_read,
    .write = generic_file_write,
    .mmap = generic_file_mmap,
    .fsync = tmpfs_fsync,
    .fallocate = tmpfs_fallocate,
};
static const struct inode_operations file_iops = {.setattr = tmpfs_setattr,
                                                  .getattr = simple_getattr};
static const struct inode_operations special_iops = {.setattr = simple_setattr};

// --- directories

int tmpfs_make(struct inode *dir, struct dentry *d, umode_t mode, dev_t dev)
{
    struct inode *i = tmpfs_inode(dir->i_sb, dir, mode, dev);
    if (IS_ERR(i)) {
        return (int)PTR_ERR(i);
    }
    if (S_ISDIR(mode)) {
        inc_nlink(dir);
    }
    simple_set_cookie(d);
    d_instantiate(d, i);
    dget(d); // pins it: this is the only place where the name is
    simple_dir_times(dir);
    return 0;
}

static int tmpfs_create(struct inode *dir, struct dentry *d, umode_t mode)
{
    return tmpfs_make(dir, d, mode, 0);
}

static int tmpfs_symlink(struct inode *dir, struct dentry *d, const char *target)
{
    char *text = kstrdup(target, GFP_KERNEL);
    if (!text) {
        return -ENOMEM;
    }
    int error = tmpfs_make(dir, d, S_IFLNK | S_IRWXUGO, 0);
    if (error) {
        kfree(text);
        return error;
    }
    d->d_inode->i_private = text;
    d->d_inode->i_size = (loff_t)strlen(text);
    return 0;
}

static int tmpfs_link(struct dentry *old, struct inode *dir, struct dentry *d)
{
    simple_set_cookie(d);
    return simple_link(old, dir, d);
}

static int tmpfs_tmpfile(struct inode *dir, struct dentry *d, umode_t mode)
{
    struct inode *i = tmpfs_inode(dir->i_sb, dir, mode, 0);
    if (IS_ERR(i)) {
        return (int)PTR_ERR(i);
    }
    i->i_nlink = 0;
    d_instantiate(d, i);
    return 0;
}

static const struct inode_operations dir_iops = {
    .lookup = simple_lookup,
    .create = tmpfs_create,
    .link = tmpfs_link,
    .unlink = simple_unlink,
    .symlink = tmpfs_symlink,
    .mkdir = tmpfs_create,
    .rmdir = simple_rmdir,
    .mknod = tmpfs_make,
    .rename = simple_rename,
    .setattr = simple_setattr,
    .tmpfile = tmpfs_tmpfile,
};

// --- super block

static int tmpfs_statfs(struct dentry *d, struct linux_statfs *st)
{
    struct tmpfs_sb *s = info(d->d_sb);
    st->f_blocks = s->max_pages;
    st->f_bfree = st->f_bavail = s->max_pages > s->used_pages ? s->max_pages - s->used_pages : 0;
    st->f_files = s->max_inodes;
    st->f_ffree = s->max_inodes > s->used_inodes ? s->max_inodes - s->used_inodes : 0;
    return 0;
}

// "64k", "10m", "50%" of memory. False if it is no size.
static bool parse_size(const char *text, u64 *pages)
{
    u64 n = 0;
    if (*text < '0' || *text > '9') {
        return false;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        n = n * 10 + (u64)(*text - '0');
    }
    switch (*text) {
    case '%':
        *pages = totalram_pages() * n / 100;
        return !text[1];
    case 'g':
    case 'G':
        n <<= 10;
        fallthrough;
    case 'm':
    case 'M':
        n <<= 10;
        fallthrough;
    case 'k':
    case 'K':
        n <<= 10;
        text++;
    }
    *pages = DIV_ROUND_UP(n, PAGE_SIZE);
    return !*text;
}

static int parse_options(struct tmpfs_sb *s, const char *data, u64 *mode, u64 *uid, u64 *gid)
{
    char text[32];
    if (mount_option(data, "size", text, sizeof(text)) && !parse_size(text, &s->max_pages)) {
        return -EINVAL;
    }
    if (mount_option(data, "nr_inodes", text, sizeof(text)) &&
        kstrtou64(text, 10, &s->max_inodes)) {
        return -EINVAL;
    }
    if (mount_option(data, "mode", text, sizeof(text)) && kstrtou64(text, 8, mode)) {
        return -EINVAL;
    }
    if (mount_option(data, "uid", text, sizeof(text)) && kstrtou64(text, 10, uid)) {
        return -EINVAL;
    }
    if (mount_option(data, "gid", text, sizeof(text)) && kstrtou64(text, 10, gid)) {
        return -EINVAL;
    }
    return 0;
}

static int tmpfs_remount(struct super_block *sb, unsigned flags, const char *data)
{
    u64 ignored = 0;
    struct tmpfs_sb want = *info(sb);
    int error = parse_options(&want, data, &ignored, &ignored, &ignored);
    if (!error) {
        struct tmpfs_sb *s = info(sb);
        spin_lock(&s->lock);
        if (want.max_pages && want.max_pages < s->used_pages) {
            error = -EINVAL;
        } else {
            s->max_pages = want.max_pages;
            s->max_inodes = want.max_inodes;
        }
        spin_unlock(&s->lock);
    }
    return error;
}

static int tmpfs_show_options(struct seq_file *m, struct dentry *root)
{
    struct tmpfs_sb *s = info(root->d_sb);
    umode_t mode = root->d_inode->i_mode & S_IALLUGO;
    if (s->max_pages != totalram_pages() / 2) {
        seq_printf(m, ",size=%luk", s->max_pages * (PAGE_SIZE / 1024));
    }
    if (mode != 01777) {
        seq_printf(m, ",mode=%03o", mode);
    }
    return 0;
}

static void tmpfs_put_super(struct super_block *sb)
{
    kfree(sb->s_fs_info);
}

static const struct super_operations sops = {
    .alloc_inode = tmpfs_alloc_inode,
    .free_inode = tmpfs_free_inode,
    .evict_inode = tmpfs_evict_inode,
    .put_super = tmpfs_put_super,
    .statfs = tmpfs_statfs,
    .remount_fs = tmpfs_remount,
    .show_options = tmpfs_show_options,
};

int tmpfs_fill_super(struct super_block *sb, const char *data, bool silent)
{
    struct tmpfs_sb *s = kzalloc(sizeof(*s), GFP_KERNEL);
    u64 mode = 01777, uid = current_fsuid(), gid = current_fsgid();
    if (!s) {
        return -ENOMEM;
    }
    spin_lock_init(&s->lock);
    s->max_pages = totalram_pages() / 2;
    s->max_inodes = totalram_pages() / 2;
    sb->s_fs_info = s;
    sb->s_op = &sops;
    sb->s_magic = TMPFS_MAGIC;
    int error = parse_options(s, data, &mode, &uid, &gid);
    if (error) {
        return error;
    }
    struct inode *root = tmpfs_inode(sb, NULL, (umode_t)(S_IFDIR | (mode & S_IALLUGO)), 0);
    if (IS_ERR(root)) {
        return (int)PTR_ERR(root);
    }
    root->i_uid = (uid_t)uid;
    root->i_gid = (gid_t)gid;
    sb->s_root = d_make_root(root);
    return sb->s_root ? 0 : -ENOMEM;
}

// Drops the pins of everything below, so that the generic shutdown finds it unused.
static void unpin_all(struct dentry *dir)
{
    for (;;) {
        struct dentry *d, *victim = NULL;
        spin_lock(&dcache_lock);
        list_for_each_entry(d, &dir->d_subdirs, d_child) {
            if (d->d_inode && !d_unhashed(d)) {
                victim = dget(d);
                break;
            }
        }
        spin_unlock(&dcache_lock);
        if (!victim) {
            return;
        }
        unpin_all(victim);
        d_drop(victim);
        dput(victim);
        dput(victim);
    }
}

void tmpfs_kill_sb(struct super_block *sb)
{
    if (sb->s_root) {
        unpin_all(sb->s_root);
    }
    kill_anon_super(sb);
}

static struct dentry *tmpfs_mount(struct file_system_type *t, unsigned flags, const char *source,
                                  const char *data)
{
    return mount_nodev(t, flags, data, tmpfs_fill_super);
}

static struct file_system_type tmpfs_type = {
    .name = "tmpfs", .mount = tmpfs_mount, .kill_sb = tmpfs_kill_sb};

struct file *shmem_file_setup(const char *name, loff_t size, u64 vm_flags)
{
    struct inode *i = tmpfs_inode(internal_mount->mnt_sb, NULL, S_IFREG | S_IRWXUGO, 0);
    if (IS_ERR(i)) {
        return (struct file *)i;
    }
    struct qstr q = {.name = name, .len = (u32)strlen(name)};
    struct dentry *d = d_alloc(NULL, &q);
    if (!d) {
        iput(i);
        return ERR_PTR(-ENOMEM);
    }
    d->d_sb = internal_mount->mnt_sb;
    i->i_nlink = 0;
    i->i_size = size;
    d_instantiate(d, i);
    struct path path = {mntget(internal_mount), d};
    struct file *f = alloc_file(&path, O_RDWR, &file_fops);
    if (IS_ERR(f)) {
        path_put(&path);
        return f;
    }
    // What vfs_open would have counted, so that the last fput finds it.
    get_write_access(i);
    mnt_want_write(path.mnt);
    return f;
}

void tmpfs_init(void)
{
    inode_cache = kmem_cache_create("tmpfs_inode_cache", sizeof(struct tmpfs_inode), 64, 0);
    register_filesystem(&tmpfs_type);
    internal_mount = kern_mount_internal(&tmpfs_type);
    BUG_ON(IS_ERR(internal_mount));
    // Shared anonymous memory is bounded by overcommit, not by a file system's size.
    info(internal_mount->mnt_sb)->max_pages = 0;
    info(internal_mount->mnt_sb)->max_inodes = 0;
}
