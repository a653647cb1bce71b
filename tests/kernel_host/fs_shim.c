// SPDX-License-Identifier: MIT
// Bodies of fs_shim.h and of the kernel functions that fs/ calls.
#include "fs_shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/uaccess.h"
#include "fs/block.h"
#include "fs/buffer.h"
#include "fs/internal.h"
#include "fs/poll.h"
#include "fs/seq_file.h"
#include "lib/printf.h"
#include "mm/writeback.h"
#include "proc/cred.h"
#include "proc/nsproxy.h"
#include "proc/signal.h"

static struct cred root_cred = {.usage = ATOMIC_INIT(1)};
struct nsproxy init_nsproxy;
static char *disk_image;
u64 shim_disk_writes, shim_disk_flushes;

// --- user memory is memory

unsigned long copy_from_user(void *to, const void __user *from, unsigned long n)
{
    memcpy(to, from, n);
    return 0;
}
unsigned long clear_user(void __user *to, unsigned long n)
{
    memset(to, 0, n);
    return 0;
}
long strncpy_from_user(char *dst, const char __user *src, long count)
{
    size_t n = strnlen(src, (size_t)count);
    memcpy(dst, src, n == (size_t)count ? n : n + 1);
    return (long)n;
}
long get_user_asm(u64 *out, const void __user *p, unsigned size)
{
    *out = 0;
    memcpy(out, p, size);
    return 0;
}
long put_user_asm(u64 v, void __user *p, unsigned size)
{
    memcpy(p, &v, size);
    return 0;
}
int fault_in_readable(const void __user *p, size_t n)
{
    return 0;
}
int fault_in_writeable(void __user *p, size_t n)
{
    return 0;
}
void pagefault_disable(void)
{
}
void pagefault_enable(void)
{
}

// --- strings and objects

size_t kstrlcpy(char *dst, const char *src, size_t size)
{
    size_t n = strlen(src);
    if (size) {
        size_t k = n < size ? n : size - 1;
        memcpy(dst, src, k);
        dst[k] = '\0';
    }
    return n;
}
int kstrtou64(const char *s, unsigned base, u64 *out)
{
    char *end;
    *out = strtoul(s, &end, (int)base);
    return *s && !*end ? 0 : -EINVAL;
}
int scnprintf(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(buf, size, fmt, ap);
    va_end(ap);
    return (size_t)n < size ? n : (int)size - 1;
}
char *kstrndup(const char *s, size_t max, gfp_t gfp)
{
    size_t n = strnlen(s, max);
    char *p = kmalloc(n + 1, gfp);
    if (p) {
        memcpy(p, s, n);
        p[n] = '\0';
    }
    return p;
}
char *kstrdup(const char *s, gfp_t gfp)
{
    return kstrndup(s, strlen(s), gfp);
}
void *kcalloc(size_t n, size_t size, gfp_t gfp)
{
    return kmalloc(n * size, gfp | __GFP_ZERO);
}
void *kvmalloc(size_t size, gfp_t gfp)
{
    return kmalloc(size, gfp);
}
void kvfree(const void *p)
{
    kfree(p);
}
void seq_printf(struct seq_file *m, const char *fmt, ...)
{
}
void seq_puts(struct seq_file *m, const char *s)
{
}

// --- tasks and credentials

void mutex_init(struct mutex *m)
{
}
void mutex_init_rank(struct mutex *m, int rank)
{
}
bool capable(int cap)
{
    return true;
}
bool in_group_p(gid_t gid)
{
    return gid == 0;
}
const struct cred *get_cred(const struct cred *c)
{
    return c;
}
void put_cred(const struct cred *c)
{
}
struct cred *prepare_creds(void)
{
    return NULL;
}
void abort_creds(struct cred *fresh)
{
}
void put_pid(struct pid *p)
{
}
pid_t task_tgid_vnr(struct task_struct *t)
{
    return 1;
}
u64 ktime_get_real(void)
{
    static u64 now = 1767225600 * NSEC_PER_SEC;
    return now += NSEC_PER_SEC / 4;
}
int task_work_add(struct task_struct *t, struct task_work *w)
{
    return -ESRCH;
}
bool schedule_work(struct work_struct *w)
{
    w->func(w);
    return true;
}
void init_completion(struct completion *c)
{
    c->done = 0;
}
void complete(struct completion *c)
{
    c->done++;
}
void wait_for_completion(struct completion *c)
{
    BUG_ON(!c->done);
}

// --- write-back without a flusher

void writeback_inode_dirtied(void)
{
}
void inode_wait_for_writeback(struct inode *i)
{
    BUG_ON(i->i_state & I_WRITEBACK);
}
int writeback_single_inode(struct inode *i, struct writeback_control *wbc)
{
    int error = filemap_fdatawrite_range(&i->i_data, 0, 0x7fffffffffffffffL, wbc->sync_mode);
    unsigned long dirty = i->i_state & (I_DIRTY_SYNC | I_DIRTY_DATASYNC);
    inode_clear_dirty(i);
    if (dirty && i->i_sb->s_op->write_inode) {
        int late = i->i_sb->s_op->write_inode(i, wbc);
        error = error ? error : late;
    }
    if (error) {
        mark_inode_dirty(i);
    }
    return error;
}
int sync_inodes_sb(struct super_block *sb)
{
    struct writeback_control wbc = {
        .sync_mode = WB_SYNC_ALL, .nr_to_write = 1L << 40, .range_end = 1L << 62};
    struct inode *i = NULL;
    int error = 0;
    while ((i = inode_sb_next(sb, i, NULL)) != NULL) {
        int late = writeback_single_inode(i, &wbc);
        error = error ? error : late;
    }
    return error;
}

// --- the rest of fs/

int devtmpfs_create(const char *name, umode_t mode, dev_t dev)
{
    return 0;
}
void eventpoll_release(struct file *f)
{
}

static void disk_submit(struct gendisk *disk, struct bio *bio)
{
    u64 at = bio->sector * 512;
    for (unsigned k = 0; k < bio->vcnt; k++) {
        struct bio_vec *v = &bio->vecs[k];
        char *memory = (char *)page_address(v->page) + v->offset;
        BUG_ON(v->offset + v->len > PAGE_SIZE);
        if (bio->op == REQ_OP_READ) {
            memcpy(memory, disk_image + at, v->len);
        } else {
            memcpy(disk_image + at, memory, v->len);
            shim_disk_writes++;
        }
        at += v->len;
    }
    shim_disk_flushes += bio->op == REQ_OP_FLUSH;
    bio_endio(bio);
}

void fs_shim_init(void *image, size_t size)
{
    static const struct block_device_operations ops = {.submit = disk_submit};
    static struct gendisk disk;
    shim_init();
    disk_image = image;
    current->cred = &root_cred;
    current->fs = &init_fs;
    current->files = &init_files;
    current->nsproxy = &init_nsproxy;
    namei_init();
    dcache_init();
    inode_init();
    files_init();
    tmpfs_init();
    mount_init();
    block_init();
    buffer_init();
    ext2_init();
    disk = (struct gendisk){.name = "sda",
                            .first_dev = MKDEV(8, 0),
                            .capacity = size / 512,
                            .logical_block_size = 512,
                            .max_sectors = 65535,
                            .max_segments = 248,
                            .ops = &ops};
    BUG_ON(add_disk(&disk));
}
