// SPDX-License-Identifier: MIT
// ext2: on-disk structures (little-endian, as the second extended file system's documentation gives
// them) and what the files of this directory share.
#pragma once

#include "fs/buffer.h"
#include "fs/internal.h"

#define EXT2_ROOT_INO 2
#define EXT2_GOOD_OLD_FIRST_INO 11
#define EXT2_LINK_MAX 32000
#define EXT2_VALID_FS 1
#define EXT2_ERROR_FS 2
#define EXT2_COMPAT_DIR_INDEX 0x20
#define EXT2_INCOMPAT_FILETYPE 0x2
#define EXT2_RO_COMPAT_SPARSE_SUPER 0x1
#define EXT2_RO_COMPAT_LARGE_FILE 0x2
#define EXT2_INDEX_FL 0x1000 // a hashed directory; changing it as a linear one clears this
#define EXT2_NDIR 12
#define EXT2_IND 12
#define EXT2_DIND 13
#define EXT2_TIND 14
#define EXT2_N_BLOCKS 15

struct ext2_super {
    u32 inodes_count, blocks_count, r_blocks_count, free_blocks_count, free_inodes_count,
        first_data_block;
    u32 log_block_size, log_frag_size, blocks_per_group, frags_per_group, inodes_per_group;
    u32 mtime, wtime;
    u16 mnt_count, max_mnt_count, magic, state, errors, minor_rev_level;
    u32 lastcheck, checkinterval, creator_os, rev_level;
    u16 def_resuid, def_resgid;
    u32 first_ino;
    u16 inode_size, block_group_nr;
    u32 feature_compat, feature_incompat, feature_ro_compat;
    u8 uuid[16];
    char volume_name[16], last_mounted[64];
    u32 rest[206];
};
struct ext2_group {
    u32 block_bitmap, inode_bitmap, inode_table;
    u16 free_blocks_count, free_inodes_count, used_dirs_count, pad;
    u32 reserved[3];
};
struct ext2_inode {
    u16 mode, uid;
    u32 size, atime, ctime, mtime, dtime;
    u16 gid, links_count;
    u32 blocks, flags, osd1, block[EXT2_N_BLOCKS], generation, file_acl, size_high, faddr;
    u8 frag, fsize;
    u16 pad;
    u16 uid_high, gid_high;
    u32 reserved;
};
struct ext2_dirent {
    u32 inode;
    u16 rec_len;
    u8 name_len, file_type;
    char name[];
};
#define DIRENT_SIZE(name_len) ALIGN_UP((unsigned)(name_len) + 8u, 4u)

// Blocks that were freed but may still be claimed on disk by `holder`, the metadata block that
// pointed at them. They are given out again only when the holder has been written and a flush that
// began later is through.
struct ext2_pending {
    struct list_head entry;
    u32 start, count, holder;
    bool written;
    u64 flush_seen;
};

struct ext2_sb {
    struct super_block *sb;
    struct buffer_head *super_bh;
    struct ext2_super *es; // in super_bh
    struct buffer_head **group_bh;
    // The geometry, checked at mount: later the copy in super_bh is only written to.
    u32 first_data_block, blocks_count, inodes_count, blocks_per_group, inodes_per_group;
    unsigned groups, groups_per_block, inodes_per_block, addr_per_block, addr_bits;
    unsigned inode_size, first_ino;
    struct mutex alloc; // bitmaps, group descriptors, counts, pending
    struct list_head pending;
    unsigned pending_count;
    u32 generation;
    u16 mount_state;
    unsigned errors; // logged so far
};
struct ext2_info {
    u32 block[EXT2_N_BLOCKS];
    u32 flags, file_acl;
    u32 group;
    u32 last_block;   // allocated last, on disk
    struct mutex map; // block[] and indirect blocks while they change
    struct inode vfs;
};

static inline struct ext2_sb *ext2_sb(const struct super_block *sb)
{
    return sb->s_fs_info;
}
static inline struct ext2_info *ext2_i(const struct inode *i)
{
    return container_of(i, struct ext2_info, vfs);
}

// super.c
struct ext2_group *ext2_group(struct ext2_sb *s, unsigned group, struct buffer_head **bh);
void ext2_error(struct super_block *sb, const char *fmt, ...)
    __printf(2, 3); // logs, marks the file system
// balloc.c
// Up to *count adjacent free blocks near goal (0 = anywhere in the inode's group): the first, or 0
// with *error.
u32 ext2_new_blocks(struct inode *i, u32 goal, unsigned *count, int *error);
void ext2_free_blocks(struct inode *i, u32 block, unsigned count, u32 holder);
// Frees the notes of blocks whose holders have become durable; takes `alloc`.
void ext2_pending_reap(struct super_block *sb);
void ext2_pending_drop_all(struct ext2_sb *s);
// ialloc.c
struct inode *ext2_new_inode(struct inode *dir,
                             umode_t mode); // hashed, I_NEW cleared, nlink 1; ERR_PTR
void ext2_free_inode(struct inode *i);
// inode.c
struct inode *ext2_iget(struct super_block *sb, ino_t ino);
int ext2_write_inode(struct inode *i, struct writeback_control *wbc);
int ext2_update_inode(struct inode *i, bool sync, u32 *table_block); // into its table's buffer
void ext2_evict_inode(struct inode *i);
void ext2_set_ops(struct inode *i);
int ext2_setattr(struct dentry *d, struct iattr *a);
// map.c
// Block number of file block `n`, 0 = hole. create: holes are filled (*fresh tells). 0 or -errno.
int ext2_map(struct inode *i, u32 n, bool create, u32 *block, bool *fresh);
void ext2_truncate_blocks(struct inode *i, loff_t size);
loff_t ext2_max_size(unsigned bits);
// file.c
extern const struct address_space_operations ext2_aops;
extern const struct file_operations ext2_file_fops;
extern const struct inode_operations ext2_file_iops;
int ext2_zero_tail(struct inode *i, loff_t size); // the rest of the last block on truncation
int ext2_fsync(struct file *f, loff_t start, loff_t end, bool datasync);
// dir.c
extern const struct file_operations ext2_dir_fops;
int ext2_find(struct inode *dir, const struct qstr *name, u32 *ino); // *ino 0 = no such name
int ext2_add_link(struct inode *dir, const struct qstr *name, struct inode *i);
int ext2_delete_entry(struct inode *dir, const struct qstr *name);
int ext2_set_entry(struct inode *dir, const struct qstr *name,
                   struct inode *i); // existing entry -> other inode
int ext2_make_empty(struct inode *dir, struct inode *parent);
int ext2_dir_empty(struct inode *dir); // 0, -ENOTEMPTY, -ENOMEM, -EIO
// namei.c
extern const struct inode_operations ext2_dir_iops, ext2_symlink_iops, ext2_fast_symlink_iops,
    ext2_special_iops;
