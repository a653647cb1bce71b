// SPDX-License-Identifier: MIT
// ext2: mounting, state of the super block, statfs, remounting.
#include <stdarg.h>

#include "fs/ext2/ext2.h"
#include "fs/seq_file.h"

#define SUPPORTED_INCOMPAT EXT2_INCOMPAT_FILETYPE
#define SUPPORTED_RO_COMPAT (EXT2_RO_COMPAT_SPARSE_SUPER | EXT2_RO_COMPAT_LARGE_FILE)

#define MAX_LOGGED 20 // errors per mount: a broken disk must not flood the log

static struct kmem_cache *inode_cache;

static struct inode *alloc_inode(struct super_block *sb)
{
    struct ext2_info *e = kmem_cache_alloc(inode_cache, GFP_NOFS | __GFP_ZERO);
    if (!e) {
        return NULL;
    }
    mutex_init(&e->map);
    return &e->vfs;
}

static void free_inode(struct inode *i)
{
    if (S_ISLNK(i->i_mode)) {
        kfree(i->i_private);
    }
    kmem_cache_free(inode_cache, ext2_i(i));
}

static u32 now(void)
{
    return (u32)(ktime_get_real() / NSEC_PER_SEC);
}

void ext2_error(struct super_block *sb, const char *fmt, ...)
{
    struct ext2_sb *s = ext2_sb(sb);
    va_list ap;
    char text[160];
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (s->errors < MAX_LOGGED) {
        s->errors++;
        pr_err("ext2 (%s): %s", sb->s_id, text);
    }
    if (!(sb->s_flags & MS_RDONLY)) {
        s->mount_state |= EXT2_ERROR_FS;
        s->es->state |= EXT2_ERROR_FS;
        mark_buffer_dirty(s->super_bh);
    }
}

struct ext2_group *ext2_group(struct ext2_sb *s, unsigned group, struct buffer_head **bh)
{
    struct buffer_head *b = s->group_bh[group / s->groups_per_block];
    if (bh) {
        *bh = b;
    }
    return (struct ext2_group *)b->data + group % s->groups_per_block;
}

// The state on disk: unclean while mounted for writing.
static int write_state(struct ext2_sb *s, bool clean)
{
    txn_begin(s->sb, 1);
    s->es->state = clean ? s->mount_state : s->mount_state & (u16)~EXT2_VALID_FS;
    s->es->wtime = now();
    mark_buffer_dirty(s->super_bh);
    txn_end(s->sb);
    return sync_dirty_buffer(s->super_bh);
}

static int start_writing(struct ext2_sb *s)
{
    struct ext2_super *es = s->es;
    if (!(es->state & EXT2_VALID_FS)) {
        pr_warn("ext2 (%s): not unmounted cleanly, e2fsck is recommended", s->sb->s_id);
    } else if (es->state & EXT2_ERROR_FS) {
        pr_warn("ext2 (%s): has errors, e2fsck is recommended", s->sb->s_id);
    }
    s->mount_state = es->state;
    es->mnt_count++;
    es->mtime = now();
    return write_state(s, false);
}

static void put_super(struct super_block *sb)
{
    struct ext2_sb *s = ext2_sb(sb);
    if (!s) {
        return;
    }
    if (s->es && !(sb->s_flags & MS_RDONLY) && sb->s_dying && s->mount_state) {
        filemap_write_and_wait(&sb->s_bdev->inode->i_data);
        blkdev_issue_flush(sb->s_bdev);
        write_state(s, true);
    }
    for (unsigned k = 0; s->group_bh && k * s->groups_per_block < s->groups; k++) {
        brelse(s->group_bh[k]);
    }
    kvfree(s->group_bh);
    brelse(s->super_bh);
    ext2_pending_drop_all(s);
    kfree(s);
    sb->s_fs_info = NULL;
}

static int sync_fs(struct super_block *sb, bool wait)
{
    struct ext2_sb *s = ext2_sb(sb);
    s->es->wtime = now();
    mark_buffer_dirty(s->super_bh);
    return 0; // the caller writes the device's buffers and flushes
}

static u32 overhead(struct ext2_sb *s)
{
    // Group copies of super block and descriptors are counted as in statfs of other
    // implementations: bitmaps and tables.
    u32 table = s->inodes_per_group / s->inodes_per_block;
    u32 blocks = s->first_data_block + s->groups * (table + 2);
    u32 copy = 1 + DIV_ROUND_UP(s->groups, s->groups_per_block);
    for (unsigned g = 0; g < s->groups; g++) {
        bool has = g < 2;
        for (unsigned base = 3; base < 8 && !has; base += 2) {
            u64 power = base;
            while (power < g) {
                power *= base;
            }
            has = power == g;
        }
        blocks += has || !(s->es->feature_ro_compat & EXT2_RO_COMPAT_SPARSE_SUPER) ? copy : 0;
    }
    return blocks;
}

static int statfs(struct dentry *d, struct linux_statfs *st)
{
    struct ext2_sb *s = ext2_sb(d->d_sb);
    struct ext2_super *es = s->es;
    st->f_blocks = es->blocks_count - overhead(s);
    st->f_bfree = es->free_blocks_count;
    st->f_bavail =
        es->free_blocks_count > es->r_blocks_count ? es->free_blocks_count - es->r_blocks_count : 0;
    st->f_files = es->inodes_count;
    st->f_ffree = es->free_inodes_count;
    u64 id[2];
    memcpy(id, es->uuid, sizeof(id));
    st->f_fsid[0] = (s32)(id[0] ^ id[1]);
    st->f_fsid[1] = (s32)((id[0] ^ id[1]) >> 32);
    return 0;
}

static int remount(struct super_block *sb, unsigned flags, const char *data)
{
    struct ext2_sb *s = ext2_sb(sb);
    bool ro = flags & MS_RDONLY, was = sb->s_flags & MS_RDONLY;
    if (ro == was) {
        return 0;
    }
    if (ro) {
        int error = write_state(s, true);
        return error ? error : blkdev_issue_flush(sb->s_bdev);
    }
    if (s->es->feature_ro_compat & ~(u32)SUPPORTED_RO_COMPAT) {
        return -EROFS;
    }
    return start_writing(s);
}

static const struct super_operations sops = {
    .alloc_inode = alloc_inode,
    .free_inode = free_inode,
    .write_inode = ext2_write_inode,
    .evict_inode = ext2_evict_inode,
    .put_super = put_super,
    .sync_fs = sync_fs,
    .synced = ext2_pending_reap,
    .statfs = statfs,
    .remount_fs = remount,
};

// Numbers that later arithmetic relies on. `size` is the block size.
static const char *check_super(const struct ext2_super *es, unsigned size, u64 device_blocks,
                               unsigned inode_size)
{
    if (es->blocks_per_group == 0 || es->blocks_per_group > size * 8 || es->inodes_per_group == 0 ||
        es->inodes_per_group > size * 8) {
        return "group sizes";
    }
    if (inode_size < 128 || inode_size > size || (inode_size & (inode_size - 1))) {
        return "inode size";
    }
    if (es->inodes_per_group % (size / inode_size)) {
        return "inodes per group";
    }
    if (es->first_data_block != (size == 1024) || es->blocks_count <= es->first_data_block) {
        return "first data block";
    }
    if (es->blocks_count > device_blocks) {
        return "size: the device is smaller";
    }
    return NULL;
}

static const char *check_groups(struct ext2_sb *s)
{
    u32 first = s->first_data_block, total = s->blocks_count;
    u32 table = s->inodes_per_group / s->inodes_per_block;
    for (unsigned g = 0; g < s->groups; g++) {
        struct ext2_group *d = ext2_group(s, g, NULL);
        if (d->block_bitmap < first || d->block_bitmap >= total || d->inode_bitmap < first ||
            d->inode_bitmap >= total || d->inode_table < first || d->inode_table >= total ||
            table > total - d->inode_table) {
            return "group descriptors";
        }
    }
    return NULL;
}

// Reads the super block once the block size is known. 0 or -errno.
static int read_super(struct super_block *sb, struct ext2_sb *s, unsigned bits)
{
    brelse(s->super_bh); // before its page goes
    s->super_bh = NULL;
    s->es = NULL;
    int error = set_blocksize(sb->s_bdev, 1u << bits);
    if (error) {
        return error;
    }
    sb->s_blocksize_bits = bits;
    sb->s_blocksize = 1u << bits;
    struct buffer_head *bh = sb_bread(sb, 1024 >> bits);
    if (IS_ERR(bh)) {
        return (int)PTR_ERR(bh);
    }
    s->super_bh = bh;
    s->es = (struct ext2_super *)(bh->data + (1024 & (sb->s_blocksize - 1)));
    return 0;
}

static int read_groups(struct super_block *sb, struct ext2_sb *s)
{
    struct ext2_super *es = s->es;
    s->groups = DIV_ROUND_UP(es->blocks_count - es->first_data_block, es->blocks_per_group);
    s->groups_per_block = sb->s_blocksize / sizeof(struct ext2_group);
    unsigned blocks = DIV_ROUND_UP(s->groups, s->groups_per_block);
    if ((u64)s->groups * es->inodes_per_group < es->inodes_count) {
        return -EINVAL;
    }
    s->group_bh = kvmalloc(blocks * sizeof(*s->group_bh), GFP_KERNEL | __GFP_ZERO);
    if (!s->group_bh) {
        return -ENOMEM;
    }
    for (unsigned k = 0; k < blocks; k++) {
        struct buffer_head *bh = sb_bread(sb, es->first_data_block + 1 + k);
        if (IS_ERR(bh)) {
            return (int)PTR_ERR(bh);
        }
        s->group_bh[k] = bh;
    }
    return 0;
}

static int load(struct super_block *sb, struct ext2_sb *s, bool silent)
{
    int error = read_super(sb, s, 10);
    if (error) {
        return error;
    }
    if (s->es->magic != EXT2_SUPER_MAGIC || s->es->log_block_size > 2) {
        if (!silent) {
            pr_err("ext2 (%s): no ext2 file system", sb->s_id);
        }
        return -EINVAL;
    }
    unsigned bits = 10 + s->es->log_block_size;
    error = bits == 10 ? 0 : read_super(sb, s, bits);
    if (error) {
        return error;
    }
    struct ext2_super *es = s->es;
    bool dynamic = es->rev_level >= 1;
    s->inode_size = dynamic ? es->inode_size : 128;
    s->first_ino = dynamic ? es->first_ino : EXT2_GOOD_OLD_FIRST_INO;
    if (dynamic && (es->feature_incompat & ~(u32)SUPPORTED_INCOMPAT)) {
        pr_err("ext2 (%s): unknown features %#x", sb->s_id,
               es->feature_incompat & ~(u32)SUPPORTED_INCOMPAT);
        return -EINVAL;
    }
    if (dynamic && (es->feature_ro_compat & ~(u32)SUPPORTED_RO_COMPAT) &&
        !(sb->s_flags & MS_RDONLY)) {
        pr_err("ext2 (%s): features %#x allow mounting read-only", sb->s_id, es->feature_ro_compat);
        return -EROFS;
    }
    const char *wrong =
        check_super(es, sb->s_blocksize, sb->s_bdev->nr_sectors >> (bits - 9), s->inode_size);
    if (!wrong) {
        s->first_data_block = es->first_data_block;
        s->blocks_count = es->blocks_count;
        s->inodes_count = es->inodes_count;
        s->blocks_per_group = es->blocks_per_group;
        s->inodes_per_group = es->inodes_per_group;
        s->inodes_per_block = sb->s_blocksize / s->inode_size;
        s->addr_bits = bits - 2;
        s->addr_per_block = 1u << s->addr_bits;
        error = read_groups(sb, s);
        if (error) {
            return error;
        }
        wrong = check_groups(s);
    }
    if (wrong) {
        pr_err("ext2 (%s): broken super block: %s", sb->s_id, wrong);
        return -EINVAL;
    }
    return 0;
}

static int fill_super(struct super_block *sb, const char *data, bool silent)
{
    struct ext2_sb *s = kzalloc(sizeof(*s), GFP_KERNEL);
    if (!s) {
        return -ENOMEM;
    }
    s->sb = sb;
    mutex_init(&s->alloc);
    INIT_LIST_HEAD(&s->pending);
    sb->s_fs_info = s;
    sb->s_op = &sops;
    sb->s_magic = EXT2_SUPER_MAGIC;
    sb->s_time_gran = NSEC_PER_SEC;
    int error = load(sb, s, silent);
    if (error) {
        return error;
    }
    sb->s_maxbytes = ext2_max_size(sb->s_blocksize_bits);
    struct inode *root = ext2_iget(sb, EXT2_ROOT_INO);
    if (IS_ERR(root)) {
        return (int)PTR_ERR(root);
    }
    if (!S_ISDIR(root->i_mode) || !root->i_size) {
        iput(root);
        pr_err("ext2 (%s): the root is no directory", sb->s_id);
        return -EINVAL;
    }
    sb->s_root = d_make_root(root);
    if (!sb->s_root) {
        return -ENOMEM;
    }
    return sb->s_flags & MS_RDONLY ? 0 : start_writing(s);
}

static struct dentry *ext2_mount(struct file_system_type *t, unsigned flags, const char *source,
                                 const char *data)
{
    return mount_bdev(t, flags, source, data, fill_super);
}

static struct file_system_type ext2_type = {
    .name = "ext2", .fs_flags = FS_REQUIRES_DEV, .mount = ext2_mount, .kill_sb = kill_block_super};

void ext2_init(void)
{
    inode_cache = kmem_cache_create("ext2_inode_cache", sizeof(struct ext2_info), 64, 0);
    register_filesystem(&ext2_type);
}
