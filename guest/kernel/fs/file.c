// SPDX-License-Identifier: MIT
// Open files: their allocation, the last reference, anonymous files, opening of device nodes.
#include "fs/block.h"
#include "fs/internal.h"
#include "fs/pipe.h"
#include "fs/poll.h"
#include "proc/signal.h"

static struct kmem_cache *file_cache;
static atomic_t open_files;
static struct super_block *anon_sb;
static struct mount *anon_mnt;

struct file *alloc_empty_file(unsigned flags)
{
    struct file *f = kmem_cache_alloc(file_cache, GFP_KERNEL | __GFP_ZERO);
    if (!f) {
        return ERR_PTR(-ENOMEM);
    }
    atomic_set(&f->f_count, 1);
    f->f_flags = flags & ~(O_CLOEXEC | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC);
    spin_lock_init(&f->f_lock);
    mutex_init(&f->f_pos_lock);
    INIT_LIST_HEAD(&f->f_ep_links);
    f->f_cred = get_cred(current_cred());
    atomic_inc(&open_files);
    return f;
}

static void free_file(struct file *f)
{
    put_cred(f->f_cred);
    put_pid(f->f_owner.pid);
    atomic_dec(&open_files);
    kmem_cache_free(file_cache, f);
}

static unsigned mode_of_flags(unsigned flags)
{
    static const unsigned modes[4] = {FMODE_READ, FMODE_WRITE, FMODE_READ | FMODE_WRITE, 0};
    return modes[flags & O_ACCMODE];
}

static unsigned position_mode(const struct file_operations *fops)
{
    return fops->stream ? 0 : FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
}

struct file *alloc_file(const struct path *path, unsigned flags, const struct file_operations *fops)
{
    struct file *f = alloc_empty_file(flags);
    if (IS_ERR(f)) {
        return f;
    }
    f->f_path = *path;
    f->f_inode = path->dentry->d_inode;
    f->f_mapping = f->f_inode->i_mapping;
    f->f_op = fops;
    f->f_mode = mode_of_flags(flags) | position_mode(fops) | FMODE_OPENED;
    return f;
}

static int no_open(struct inode *i, struct file *f)
{
    return -ENXIO;
}
const struct file_operations bad_dev_fops = {.open = no_open};
const struct file_operations def_chr_fops = {.open = chrdev_open};

static bool counts_as_writer(const struct file *f)
{
    umode_t mode = f->f_inode->i_mode;
    return (f->f_mode & FMODE_WRITE) && (S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode));
}

// The write access and the mount's writer count stay with the file until its end.
static int take_write_access(struct file *f)
{
    int error = get_write_access(f->f_inode);
    if (error) {
        return error;
    }
    error = mnt_want_write(f->f_path.mnt);
    if (error) {
        put_write_access(f->f_inode);
    }
    return error;
}

int vfs_open(const struct path *path, struct file *f)
{
    struct inode *inode = path->dentry->d_inode;
    f->f_path = *path;
    path_get(path);
    f->f_inode = inode;
    f->f_mapping = inode->i_mapping;
    if (f->f_flags & O_PATH) {
        f->f_mode = FMODE_PATH | FMODE_OPENED;
        f->f_op = &bad_dev_fops;
        return 0;
    }
    f->f_mode = mode_of_flags(f->f_flags);
    f->f_op = inode->i_fop ? inode->i_fop : &bad_dev_fops;
    int error = counts_as_writer(f) ? take_write_access(f) : 0;
    if (error) {
        goto put;
    }
    // The open operation may replace f_op (device nodes).
    f->f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
    if (f->f_op->open) {
        error = f->f_op->open(inode, f);
    }
    if (error) {
        if (counts_as_writer(f)) {
            mnt_drop_write(path->mnt);
            put_write_access(inode);
        }
        goto put;
    }
    if (f->f_op->stream) {
        f->f_mode &= ~(FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE);
    }
    f->f_mode |= FMODE_OPENED;
    f->f_wb_err = inode->i_mapping->wb_err;
    return 0;
put:
    path_put(path);
    f->f_path.dentry = NULL;
    f->f_mode = 0;
    return error;
}

void fput_now(struct file *f)
{
    if (!atomic_dec_and_test(&f->f_count)) {
        return;
    }
    if (f->f_mode & FMODE_OPENED) {
        struct path path = f->f_path;
        struct inode *inode = f->f_inode;
        if (f->f_mode & FMODE_WATCHED) {
            eventpoll_release(f);
        }
        if (inode->i_flctx) {
            locks_remove_file(f);
        }
        if (!(f->f_mode & FMODE_PATH)) {
            if ((f->f_flags & O_ASYNC) && f->f_op->fasync) {
                f->f_op->fasync(-1, f, false);
            }
            if (f->f_op->release) {
                f->f_op->release(inode, f);
            }
            if (counts_as_writer(f)) {
                mnt_drop_write(path.mnt);
                put_write_access(inode);
            }
        }
        path_put(&path);
    }
    free_file(f);
}

static void fput_work(struct task_work *w)
{
    struct file *f = container_of(w, struct file, f_task_work);
    atomic_set(&f->f_count, 1);
    fput_now(f);
}

// Files whose last reference went where no task work can run: kernel threads and late exits.
static struct task_work *delayed_files;
static void delayed_fput(struct work_struct *w)
{
    struct task_work *list = xchg(&delayed_files, NULL);
    while (list) {
        struct task_work *next = list->next;
        fput_work(list);
        list = next;
    }
}
static struct work_struct delayed_work = {.entry = LIST_HEAD_INIT(delayed_work.entry),
                                          .func = delayed_fput};

void fput(struct file *f)
{
    if (!atomic_dec_and_test(&f->f_count)) {
        return;
    }
    f->f_task_work.func = fput_work;
    if (!(current->flags & PF_KTHREAD) && !in_irq() && !task_work_add(current, &f->f_task_work)) {
        return;
    }
    struct task_work *head = delayed_files;
    do {
        f->f_task_work.next = head;
    } while (!__atomic_compare_exchange_n(&delayed_files, &head, &f->f_task_work, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    schedule_work(&delayed_work);
}

int filp_close(struct file *f, struct files_struct *owner, bool now)
{
    int error = 0;
    if (!(f->f_mode & FMODE_PATH)) {
        if (f->f_op->flush) {
            error = f->f_op->flush(f);
        }
        if (f->f_inode->i_flctx) {
            locks_remove_posix(f, owner);
        }
    }
    if (now) {
        fput_now(f);
    } else {
        fput(f);
    }
    return error;
}

u64 files_count(void)
{
    return (u64)atomic_read(&open_files);
}

int stream_open(struct inode *i, struct file *f)
{
    f->f_mode &= ~(FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE);
    return 0;
}

int nonseekable_open(struct inode *i, struct file *f)
{
    return stream_open(i, f);
}

// --- anonymous files

static char *anon_dname(struct dentry *d, char *buf, int len)
{
    const char *text = d->d_name.name;
    int n = (int)strlen(text);
    if (n + 1 > len) {
        return ERR_PTR(-ENAMETOOLONG);
    }
    char *at = buf + len - n - 1;
    memcpy(at, text, (size_t)n + 1);
    return at;
}
static char *pipe_dname(struct dentry *d, char *buf, int len)
{
    char text[40];
    int n = scnprintf(text, sizeof(text), "%s:[%lu]", d->d_name.name, d->d_inode->i_ino);
    if (n + 1 > len) {
        return ERR_PTR(-ENAMETOOLONG);
    }
    return memcpy(buf + len - n - 1, text, (size_t)n + 1);
}
static const struct dentry_operations anon_dops = {.d_dname = anon_dname,
                                                   .d_delete = always_delete_dentry};
static const struct dentry_operations pipe_dops = {.d_dname = pipe_dname,
                                                   .d_delete = always_delete_dentry};

int anon_path(const char *name, umode_t mode, struct path *path)
{
    struct inode *inode = new_inode(anon_sb);
    if (!inode) {
        return -ENOMEM;
    }
    inode->i_ino = get_next_ino();
    inode->i_mode = mode;
    inode->i_uid = current_fsuid();
    inode->i_gid = current_fsgid();
    inode->i_atime = inode->i_mtime = inode->i_ctime = current_time(inode);
    struct qstr q = {.name = name, .len = (u32)strlen(name)};
    struct dentry *d = d_alloc(NULL, &q);
    if (!d) {
        iput(inode);
        return -ENOMEM;
    }
    d->d_sb = anon_sb;
    d->d_op = S_ISFIFO(mode) ? &pipe_dops : &anon_dops;
    d_instantiate(d, inode);
    path->dentry = d;
    path->mnt = mntget(anon_mnt);
    return 0;
}

struct file *anon_file(const char *class_name, const struct file_operations *fops, void *priv,
                       unsigned flags)
{
    char name[40];
    struct path path;
    snprintf(name, sizeof(name), "anon_inode:%s", class_name);
    int error = anon_path(name, 0600, &path);
    if (error) {
        return ERR_PTR(error);
    }
    struct file *f = alloc_file(&path, flags, fops);
    if (IS_ERR(f)) {
        path_put(&path);
        return f;
    }
    f->private_data = priv;
    return f;
}

static int anon_fill(struct super_block *sb, const char *data, bool silent)
{
    static const struct super_operations ops = {.statfs = NULL};
    sb->s_magic = ANON_INODE_FS_MAGIC;
    sb->s_op = &ops;
    sb->s_blocksize = PAGE_SIZE;
    sb->s_blocksize_bits = PAGE_SHIFT;
    sb->s_time_gran = 1;
    sb->s_maxbytes = 0x7fffffffffffffffL;
    struct inode *root = new_inode(sb);
    if (!root) {
        return -ENOMEM;
    }
    root->i_mode = S_IFDIR | 0755;
    sb->s_root = d_make_root(root);
    return sb->s_root ? 0 : -ENOMEM;
}

static struct dentry *anon_mount(struct file_system_type *t, unsigned flags, const char *source,
                                 const char *data)
{
    return mount_nodev(t, flags, data, anon_fill);
}
static struct file_system_type anon_type = {
    .name = "anon_inodefs", .mount = anon_mount, .kill_sb = kill_anon_super};

void files_init(void)
{
    file_cache = kmem_cache_create("filp", sizeof(struct file), 64, 0);
    anon_mnt = kern_mount_internal(&anon_type);
    BUG_ON(IS_ERR(anon_mnt));
    anon_sb = anon_mnt->mnt_sb;
}
