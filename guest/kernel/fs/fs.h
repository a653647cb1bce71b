// SPDX-License-Identifier: MIT
// VFS objects: super_block, inode, dentry, file and their operations. Names and meanings as on
// Linux. The VFS does paths, permissions, locks, caches and truncation; file systems do inode
// operations and block mapping.
#pragma once

#include "abi/fcntl.h"
#include "abi/stat.h"
#include "abi/statfs.h"
#include "fs/uio.h"
#include "lib/err.h"
#include "mm/page_cache.h"
#include "sched/kthread.h"
#include "sched/wait.h"

struct block_device;
struct cred;
struct dentry;
struct file_system_type;
struct inode;
struct mount;
struct path;
struct poll_table;
struct seq_file;
struct super_block;
struct task_struct;

#define NAME_MAX 255
#define PATH_MAX 4096

struct timespec64 {
    s64 tv_sec;
    long tv_nsec;
};
struct timespec64
current_time(const struct inode *inode); // truncated to the superblock's granularity

struct qstr {
    const char *name;
    u32 len;
    u32 hash;
};

// --- super block
struct super_operations {
    struct inode *(*alloc_inode)(struct super_block *sb);
    void (*free_inode)(struct inode *inode);
    int (*write_inode)(
        struct inode *inode,
        struct writeback_control *wbc);       // metadata to its buffer (disk if WB_SYNC_ALL)
    void (*evict_inode)(struct inode *inode); // last reference: truncate pages; if i_nlink == 0
                                              // free on disk; clear_inode
    void (*put_super)(struct super_block *sb);
    int (*sync_fs)(struct super_block *sb, bool wait);
    // Optional. In a sync: when the device's buffers are written, and again when flushed.
    void (*synced)(struct super_block *sb);
    int (*statfs)(struct dentry *d, struct linux_statfs *st);
    int (*remount_fs)(struct super_block *sb, unsigned flags, const char *data);
    int (*show_options)(struct seq_file *m, struct dentry *root);
};
struct super_block {
    struct list_head s_list;
    dev_t s_dev;
    u64 s_magic;
    unsigned s_blocksize, s_blocksize_bits;
    loff_t s_maxbytes;
    u32 s_time_gran;
    unsigned s_flags; // SB_RDONLY ... = MS_*
    struct file_system_type *s_type;
    const struct super_operations *s_op;
    struct dentry *s_root;
    struct rw_semaphore s_umount;
    atomic_t s_active; // mounts
    struct block_device *s_bdev;
    spinlock_t s_inode_lock;   // s_dirty
    struct list_head s_inodes; // all; lock: the inode cache's
    struct list_head s_dirty;  // by i_dirty_since
    void *s_fs_info;
    char s_id[32];
    bool s_writeback;   // dirty inodes are written back (not in memory-only file systems)
    bool s_dying;       // being shut down: unused inodes are not kept
    atomic_t s_writers; // files open for writing and changes in progress; remounting read-only asks
                        // for 0
    struct kmem_cache *s_inode_cache; // default allocator if set
};
struct file_system_type {
    const char *name;
    unsigned fs_flags; // FS_REQUIRES_DEV
    // A mounted super block's root dentry (referenced) or ERR_PTR. source: device path or any text.
    struct dentry *(*mount)(struct file_system_type *t, unsigned flags, const char *source,
                            const char *data);
    void (*kill_sb)(struct super_block *sb);
    struct list_head entry;
};
#define FS_REQUIRES_DEV 1u
int register_filesystem(struct file_system_type *t);
struct dentry *mount_bdev(struct file_system_type *t, unsigned flags, const char *source,
                          const char *data,
                          int (*fill)(struct super_block *, const char *data, bool silent));
struct dentry *mount_nodev(struct file_system_type *t, unsigned flags, const char *data,
                           int (*fill)(struct super_block *, const char *data, bool silent));
void kill_block_super(struct super_block *sb);
void kill_anon_super(struct super_block *sb);

// --- inode
#define ATTR_MODE 0x1u
#define ATTR_UID 0x2u
#define ATTR_GID 0x4u
#define ATTR_SIZE 0x8u
#define ATTR_ATIME 0x10u
#define ATTR_MTIME 0x20u
#define ATTR_CTIME 0x40u
#define ATTR_ATIME_SET 0x80u
#define ATTR_MTIME_SET 0x100u
#define ATTR_KILL_PRIV 0x800u
#define ATTR_FILE 0x2000u
struct iattr {
    unsigned ia_valid;
    umode_t ia_mode;
    uid_t ia_uid;
    gid_t ia_gid;
    loff_t ia_size;
    struct timespec64 ia_atime, ia_mtime, ia_ctime;
    struct file *ia_file;
};
struct kstat {
    dev_t dev, rdev;
    ino_t ino;
    umode_t mode;
    u32 nlink;
    uid_t uid;
    gid_t gid;
    loff_t size;
    struct timespec64 atime, mtime, ctime, btime;
    bool has_btime;
    u32 blksize;
    u64 blocks;
    u64 mnt_id;
    u64 attributes, attributes_mask;
};
// i_rwsem of the directory (or directories, by lock order) held for writing unless noted.
struct inode_operations {
    struct dentry *(*lookup)(struct inode *dir,
                             struct dentry *d); // i_rwsem held; d_splice_alias/d_add; NULL = d used
    int (*create)(struct inode *dir, struct dentry *d, umode_t mode);
    int (*link)(struct dentry *old, struct inode *dir, struct dentry *d);
    int (*unlink)(struct inode *dir, struct dentry *d);
    int (*symlink)(struct inode *dir, struct dentry *d, const char *target);
    int (*mkdir)(struct inode *dir, struct dentry *d, umode_t mode);
    int (*rmdir)(struct inode *dir, struct dentry *d);
    int (*mknod)(struct inode *dir, struct dentry *d, umode_t mode, dev_t rdev);
    int (*rename)(struct inode *odir, struct dentry *od, struct inode *ndir, struct dentry *nd,
                  unsigned flags);
    // Target text; freed by put_link(cookie) if set. No lock.
    const char *(*get_link)(struct dentry *d, struct inode *inode, void **cookie);
    void (*put_link)(void *cookie);
    // Magic links of /proc: fills *path (referenced). Used instead of get_link by the walk when
    // set.
    int (*get_link_path)(struct dentry *d, struct path *path);
    int (*permission)(struct inode *inode, int mask); // NULL = generic_permission
    int (*setattr)(struct dentry *d, struct iattr *a);
    int (*getattr)(const struct path *path, struct kstat *st);
    int (*tmpfile)(struct inode *dir, struct dentry *d, umode_t mode);
};
struct inode {
    umode_t i_mode;
    uid_t i_uid;
    gid_t i_gid;
    unsigned i_flags;
    const struct inode_operations *i_op;
    const struct file_operations *i_fop;
    struct super_block *i_sb;
    struct address_space *i_mapping; // = &i_data but for block devices
    struct address_space i_data;
    ino_t i_ino;
    u32 i_nlink;
    dev_t i_rdev;
    loff_t i_size; // written under i_rwsem; i_size_read anywhere
    struct timespec64 i_atime, i_mtime, i_ctime;
    spinlock_t i_lock;
    u64 i_blocks; // of 512 bytes
    u8 i_blkbits;
    struct rw_semaphore i_rwsem; // rank LOCK_INODE, ancestors first
    unsigned long i_state;       // I_*; i_lock
    u64 i_dirty_since;
    atomic_t i_count;
    atomic_t i_writecount; // > 0 writers; < 0 being executed (ETXTBSY)
    struct hlist_node i_hash;
    struct list_head i_sb_list, i_dirty_list, i_lru;
    struct list_head i_dentry; // aliases
    wait_queue_head_t i_wait;
    union {
        struct pipe_inode_info *i_pipe;
        struct block_device *i_bdev;
        const struct char_device *i_cdev;
    };
    struct file_lock_context *i_flctx;
    void *i_private;
    u32 i_generation;
};
#define I_NEW 0x1u
#define I_DIRTY_SYNC 0x2u
#define I_DIRTY_DATASYNC 0x4u
#define I_DIRTY_PAGES 0x8u
#define I_FREEING 0x10u
#define I_WRITEBACK 0x20u
#define I_LINKABLE 0x40u // made by O_TMPFILE: may get its first name
#define I_DIRTY (I_DIRTY_SYNC | I_DIRTY_DATASYNC | I_DIRTY_PAGES)

static inline loff_t i_size_read(const struct inode *i)
{
    return __atomic_load_n(&i->i_size, __ATOMIC_RELAXED);
}
static inline void i_size_write(struct inode *i, loff_t n)
{
    __atomic_store_n(&i->i_size, n, __ATOMIC_RELEASE);
}
struct inode *new_inode(struct super_block *sb); // i_count 1, not hashed
struct inode *iget_locked(struct super_block *sb,
                          ino_t ino); // I_NEW set if fresh: fill and unlock_new_inode
void unlock_new_inode(struct inode *i);
void iget_failed(struct inode *i);
struct inode *ilookup(struct super_block *sb, ino_t ino);
void insert_inode_hash(struct inode *i);
void ihold(struct inode *i);
void iput(struct inode *i); // may sleep, evicts
void clear_inode(struct inode *i);
void mark_inode_dirty(struct inode *i);
void mark_inode_dirty_flags(struct inode *i, unsigned flags);
void inode_init_owner(struct inode *i, const struct inode *dir, umode_t mode);
void init_special_inode(struct inode *i, umode_t mode, dev_t rdev);
ino_t get_next_ino(void);
void set_nlink(struct inode *i, u32 n);
void inc_nlink(struct inode *i);
void drop_nlink(struct inode *i);
int inode_permission(struct inode *i, int mask); // MAY_*
int generic_permission(struct inode *i, int mask);
#define MAY_EXEC 1
#define MAY_WRITE 2
#define MAY_READ 4
#define MAY_APPEND 8
int setattr_prepare(struct dentry *d, struct iattr *a);
void setattr_copy(struct inode *i, const struct iattr *a);
int notify_change(struct dentry *d, struct iattr *a); // i_rwsem held
void generic_fillattr(struct inode *i, struct kstat *st);
int vfs_getattr(const struct path *path, struct kstat *st);
void touch_atime(const struct path *path);
void file_update_time(struct file *f);
int get_write_access(struct inode *i); // 0 or -ETXTBSY
void put_write_access(struct inode *i);
int deny_write_access(struct file *f); // exec; 0 or -ETXTBSY
void allow_write_access(struct file *f);

// --- dentry
struct dentry_operations {
    int (*d_revalidate)(struct dentry *d, unsigned flags); // 1 valid, 0 drop it
    int (*d_delete)(const struct dentry *d);               // 1 = do not cache when unused
    void (*d_release)(struct dentry *d);
    char *(*d_dname)(struct dentry *d, char *buf, int len);
};
struct dentry {
    atomic_t d_count;
    unsigned d_flags; // DCACHE_*; d_lock
    spinlock_t d_lock;
    struct hlist_node d_hash;
    struct dentry *d_parent;
    struct qstr d_name;
    char d_iname[40];      // short names
    struct inode *d_inode; // NULL = negative
    const struct dentry_operations *d_op;
    struct super_block *d_sb;
    struct list_head d_child, d_subdirs, d_alias, d_lru;
    void *d_fsdata;
};
#define DCACHE_MOUNTED 0x1u
#define DCACHE_LRU 0x2u
#define DCACHE_UNHASHED_FOREVER 0x4u
struct dentry *dget(struct dentry *d);
void dput(struct dentry *d); // may sleep
struct dentry *d_alloc(struct dentry *parent, const struct qstr *name);
struct dentry *d_make_root(struct inode *i); // consumes i, also on failure
struct dentry *d_lookup(struct dentry *parent, const struct qstr *name);
void d_instantiate(struct dentry *d, struct inode *i); // consumes a reference of i
void d_add(struct dentry *d, struct inode *i);
struct dentry *d_splice_alias(struct inode *i, struct dentry *d);
void d_delete(struct dentry *d);
void d_drop(struct dentry *d);
void d_move(struct dentry *d, struct dentry *target);
u32 full_name_hash(const struct dentry *parent, const char *name, u32 len);
static inline bool d_is_negative(const struct dentry *d)
{
    return !d->d_inode;
}
void shrink_dcache_sb(struct super_block *sb);

// --- path and file
struct path {
    struct mount *mnt;
    struct dentry *dentry;
};
void path_get(const struct path *p);
void path_put(const struct path *p);
// "/a/b" into buf; returns a pointer inside it or ERR_PTR. root: where "/" is.
// root NULL: the top of the mount tree.
char *d_path(const struct path *path, const struct path *root, char *buf, int len);

struct dir_context {
    bool (*actor)(struct dir_context *ctx, const char *name, int len, loff_t pos, u64 ino,
                  unsigned dtype); // false = full
    loff_t pos;
};
// f_pos locking and O_APPEND are done by the caller (vfs). pos: where, and moved.
struct file_operations {
    loff_t (*llseek)(struct file *f, loff_t off, int whence);
    ssize_t (*read)(struct file *f, struct iov_iter *to, loff_t *pos);
    ssize_t (*write)(struct file *f, struct iov_iter *from, loff_t *pos);
    int (*iterate)(struct file *f, struct dir_context *ctx); // i_rwsem held for reading
    poll_t (*poll)(struct file *f, struct poll_table *pt);
    long (*ioctl)(struct file *f, unsigned cmd, unsigned long arg); // -ENOTTY when unknown
    int (*mmap)(struct file *f, struct vm_area_struct *vma);
    int (*open)(struct inode *i, struct file *f);
    int (*flush)(struct file *f);                    // each close(2)
    int (*fasync)(int fd, struct file *f, bool on);  // O_ASYNC; 0 or -errno (fs/fasync.h)
    int (*release)(struct inode *i, struct file *f); // last reference
    int (*fsync)(struct file *f, loff_t start, loff_t end, bool datasync);
    long (*fallocate)(struct file *f, int mode, loff_t off, loff_t len);
    bool stream; // no position: lseek gives ESPIPE
};
struct file {
    struct path f_path;
    struct inode *f_inode;
    const struct file_operations *f_op;
    atomic_t f_count;
    unsigned f_flags; // O_*; f_lock for O_APPEND/O_NONBLOCK changes
    unsigned f_mode;  // FMODE_*
    spinlock_t f_lock;
    struct mutex f_pos_lock;
    loff_t f_pos;
    const struct cred *f_cred;
    struct address_space *f_mapping;
    void *private_data;
    struct {
        struct pid *pid;
        enum pid_type type;
        int signum;
    } f_owner;
    u32 f_wb_err;
    unsigned long ra_next, ra_size; // read-ahead window, pages
    int ra_advice;                  // POSIX_FADV_NORMAL, _RANDOM or _SEQUENTIAL
    struct list_head f_ep_links;    // epoll items
    struct task_work f_task_work;
};
#define FMODE_READ 0x1u
#define FMODE_WRITE 0x2u
#define FMODE_LSEEK 0x4u
#define FMODE_PREAD 0x8u
#define FMODE_PWRITE 0x10u
#define FMODE_EXEC 0x20u
#define FMODE_PATH 0x4000u
#define FMODE_OPENED 0x80000u
#define FMODE_WATCHED 0x100000u // an epoll file has or had it in its set
static inline struct file *get_file(struct file *f)
{
    atomic_inc(&f->f_count);
    return f;
}
void fput(struct file *f); // any task context; the last one runs as task work
// Kernel-internal I/O. pos moves. Bytes or -errno.
ssize_t kernel_read(struct file *f, void *buf, size_t n, loff_t *pos);
ssize_t kernel_write(struct file *f, const void *buf, size_t n, loff_t *pos);
ssize_t vfs_read(struct file *f, struct iov_iter *to, loff_t *pos);
ssize_t vfs_write(struct file *f, struct iov_iter *from, loff_t *pos);
int vfs_fsync(struct file *f, bool datasync);
struct file *filp_open(const char *path, int flags, umode_t mode); // kernel path; ERR_PTR
struct file *
open_exec(const char __user *upath); // for execve: permission, regular, deny_write_access
struct file *open_exec_kernel(const char *path);
// A file without a name (pipe, epoll, ...) on the anonymous super block.
struct file *anon_file(const char *class_name, const struct file_operations *fops, void *priv,
                       unsigned flags);
loff_t generic_file_llseek(struct file *f, loff_t off, int whence);
loff_t no_llseek(struct file *f, loff_t off, int whence);
int nonseekable_open(struct inode *i, struct file *f);
int stream_open(struct inode *i, struct file *f);
int generic_file_fsync(struct file *f, loff_t start, loff_t end, bool datasync);

// --- character devices and device nodes
struct char_device {
    struct list_head entry;
    dev_t dev;
    unsigned count;
    const char *name;
    const struct file_operations *fops;
};
#define MKDEV(ma, mi) (((dev_t)(ma) << 20) | (dev_t)(mi))
#define MAJOR(d) ((unsigned)((d) >> 20))
#define MINOR(d) ((unsigned)((d)&0xfffff))
static inline u64 new_encode_dev(dev_t d)
{
    u64 ma = MAJOR(d), mi = MINOR(d);
    return (mi & 0xff) | (ma << 8) | ((mi & ~0xffUL) << 12);
}
static inline dev_t new_decode_dev(u64 d)
{
    return MKDEV((d & 0xfff00) >> 8, (d & 0xff) | ((d >> 12) & 0xfff00));
}
// Registers the number and makes the node in devtmpfs (name may have '/', NULL = no node). 0 or
// -errno. After fs_init.
int register_chrdev(dev_t first, unsigned count, const char *driver,
                    const struct file_operations *fops);
int devtmpfs_create(const char *name, umode_t mode, dev_t dev); // mode has S_IFCHR or S_IFBLK
int devtmpfs_remove(const char *name);

// --- transactions around metadata changes (empty in ext2)
int txn_begin(struct super_block *sb, unsigned credits);
void txn_end(struct super_block *sb);

// --- helpers for the page cache's users and its write-back
int file_remove_privs(struct file *f);               // suid and sgid bits; inode lock held
int sync_inode_metadata(struct inode *i, bool wait); // the inode only, if dirty
struct inode *igrab(struct inode *i); // one more reference, or NULL if it is being freed
// The next inode of sb that `want` (NULL: any; called under a spinlock) chooses, counted; drops
// prev's reference (NULL starts).
struct inode *inode_sb_next(struct super_block *sb, struct inode *prev,
                            bool (*want)(const struct inode *i));

void sync_filesystems(bool wait);
void emergency_remount_ro(void); // reboot path
void fs_init(void);
