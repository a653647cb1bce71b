// SPDX-License-Identifier: MIT
// /dev/null, zero, full, random, urandom, kmsg (mem(4), random(4), kmsg's record format).
#include "arch/x86_64/uaccess.h"
#include "fs/internal.h"
#include "fs/poll.h"
#include "init/init.h"
#include "mm/shmem.h"

static ssize_t null_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    return 0;
}

static ssize_t null_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    size_t n = iov_iter_count(from);
    iov_iter_advance(from, n);
    return (ssize_t)n;
}

static loff_t null_llseek(struct file *f, loff_t off, int whence)
{
    return f->f_pos = 0;
}

static ssize_t zero_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    size_t done = 0;
    while (iov_iter_count(to)) {
        size_t want = min(iov_iter_count(to), (size_t)65536);
        size_t got = iov_iter_zero(want, to);
        done += got;
        if (got < want) {
            return done ? (ssize_t)done : -EFAULT;
        }
        if (signal_pending(current)) {
            return (ssize_t)done;
        }
        if (iov_iter_count(to)) {
            cond_resched();
        }
    }
    return (ssize_t)done;
}

// A private mapping of /dev/zero is anonymous memory, a shared one shared anonymous memory.
static int zero_mmap(struct file *f, struct vm_area_struct *vma)
{
    if (vma->vm_flags & VM_SHARED) {
        return shmem_zero_setup(vma);
    }
    vma->vm_ops = NULL;
    return 0;
}

static ssize_t full_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    return -ENOSPC;
}

static ssize_t random_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    u8 block[256];
    size_t done = 0;
    while (iov_iter_count(to)) {
        size_t want = min(iov_iter_count(to), sizeof(block));
        random_bytes(block, want);
        size_t got = copy_to_iter(block, want, to);
        done += got;
        if (got < want) {
            return done ? (ssize_t)done : -EFAULT;
        }
        if (signal_pending(current)) {
            break;
        }
        cond_resched();
    }
    return (ssize_t)done;
}

static ssize_t random_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    u8 block[256];
    size_t done = 0, got;
    while ((got = copy_from_iter(block, sizeof(block), from)) != 0) {
        random_mix(block, got);
        done += got;
    }
    return done || !iov_iter_count(from) ? (ssize_t)done : -EFAULT;
}

// RNDGETENTCNT: the pool is always full.
static long random_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    return cmd == 0x80045200 ? put_user(256, (int __user *)arg) : -ENOTTY;
}

// --- kmsg: one record per read, "prio,seq,usec,-;text\n"; a write is a log line, with "<prio>" in
// front if wanted

struct kmsg_reader {
    struct mutex lock;
    u64 seq;
    char text[1024], line[1152];
};

static int kmsg_open(struct inode *i, struct file *f)
{
    if (!(f->f_mode & FMODE_READ)) {
        return 0;
    }
    if (!capable(CAP_SYSLOG)) {
        return -EPERM;
    }
    struct kmsg_reader *r = kmalloc(sizeof(*r), GFP_KERNEL);
    if (!r) {
        return -ENOMEM;
    }
    mutex_init(&r->lock);
    r->seq = log_first_seq();
    f->private_data = r;
    return 0;
}

static int kmsg_release(struct inode *i, struct file *f)
{
    kfree(f->private_data);
    return 0;
}

static ssize_t kmsg_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    struct kmsg_reader *r = f->private_data;
    struct log_record rec;
    mutex_lock(&r->lock);
    u64 seq = r->seq;
    size_t n = log_read(&seq, &rec, r->text, sizeof(r->text));
    ssize_t result = 0;
    if (!n && seq >= log_next_seq()) {
        if (f->f_flags & O_NONBLOCK) {
            result = -EAGAIN;
        } else {
            result = wait_event_interruptible(log_wait, seq < log_next_seq());
        }
        if (!result) {
            n = log_read(&seq, &rec, r->text, sizeof(r->text));
        }
    }
    if (!result && seq != r->seq && r->seq < log_first_seq()) {
        r->seq = log_first_seq(); // some were overwritten before they were read
        result = -EPIPE;
    }
    if (!result) {
        int len = scnprintf(r->line, sizeof(r->line), "%d,%lu,%lu,-;%.*s\n", (int)rec.level,
                            rec.seq, rec.time_ns / 1000, (int)n, r->text);
        if (iov_iter_count(to) < (size_t)len) {
            result = -EINVAL;
        } else if (copy_to_iter(r->line, (size_t)len, to) < (size_t)len) {
            result = -EFAULT;
        } else {
            r->seq = rec.seq + 1;
            result = len;
        }
    }
    mutex_unlock(&r->lock);
    return result;
}

static ssize_t kmsg_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    char line[512];
    size_t total = iov_iter_count(from);
    if (total >= 1024) {
        return -EINVAL;
    }
    size_t n = copy_from_iter(line, min(total, sizeof(line) - 1), from);
    if (n < min(total, sizeof(line) - 1)) {
        return -EFAULT;
    }
    line[n] = '\0';
    const char *text = line;
    int level = LOG_NOTICE;
    const char *close = line[0] == '<' ? strchr(line, '>') : NULL;
    if (close && close - line <= 4) {
        level = 0;
        for (const char *c = line + 1; c < close; c++) {
            level = level * 10 + (*c - '0');
        }
        level &= 7;
        text = close + 1;
    }
    klog((enum log_level)level, "%s", text);
    return (ssize_t)total;
}

static loff_t kmsg_llseek(struct file *f, loff_t off, int whence)
{
    struct kmsg_reader *r = f->private_data;
    if (off || !r) {
        return -ESPIPE;
    }
    switch (whence) {
    case SEEK_SET:
    case SEEK_DATA:
        r->seq = log_first_seq();
        return 0;
    case SEEK_END:
        r->seq = log_next_seq();
        return 0;
    }
    return -EINVAL;
}

static poll_t kmsg_poll(struct file *f, struct poll_table *pt)
{
    struct kmsg_reader *r = f->private_data;
    poll_wait(f, &log_wait, pt);
    return r && r->seq < log_next_seq() ? POLLIN | POLLRDNORM : 0;
}

static const struct file_operations null_fops = {
    .llseek = null_llseek, .read = null_read, .write = null_write};
static const struct file_operations zero_fops = {
    .llseek = null_llseek, .read = zero_read, .write = null_write, .mmap = zero_mmap};
static const struct file_operations full_fops = {
    .llseek = null_llseek, .read = zero_read, .write = full_write};
static const struct file_operations random_fops = {
    .llseek = null_llseek, .read = random_read, .write = random_write, .ioctl = random_ioctl};
static const struct file_operations kmsg_fops = {.llseek = kmsg_llseek,
                                                 .read = kmsg_read,
                                                 .write = kmsg_write,
                                                 .poll = kmsg_poll,
                                                 .open = kmsg_open,
                                                 .release = kmsg_release};

void mem_devices_init(void)
{
    static const struct {
        const char *name;
        unsigned minor;
        umode_t mode;
        const struct file_operations *fops;
    } nodes[] = {
        {"null", 3, 0666, &null_fops},      {"zero", 5, 0666, &zero_fops},
        {"full", 7, 0666, &full_fops},      {"random", 8, 0666, &random_fops},
        {"urandom", 9, 0666, &random_fops}, {"kmsg", 11, 0644, &kmsg_fops},
    };
    for (unsigned k = 0; k < ARRAY_SIZE(nodes); k++) {
        dev_t dev = MKDEV(1, nodes[k].minor);
        int error = register_chrdev(dev, 1, "mem", nodes[k].fops);
        error = error ? error : devtmpfs_create(nodes[k].name, S_IFCHR | nodes[k].mode, dev);
        BUG_ON(error);
    }
}
