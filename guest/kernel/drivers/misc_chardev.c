// SPDX-License-Identifier: MIT
// /dev/kmsg (the kernel log, record by record) and /dev/debug-exit (ends the machine with a
// status).
#include "arch/x86_64/uaccess.h"
#include "drivers/power.h"
#include "fs/poll.h"
#include "init/init.h"
#include "lib/printf.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/cred.h"

#define MEM_MAJOR 1
#define KMSG_MINOR 11
#define MISC_MAJOR 10
#define DEBUG_EXIT_MINOR 240
#define RECORD_MAX 1024

static int kmsg_open(struct inode *inode, struct file *f)
{
    u64 *seq = kmalloc(sizeof(*seq), GFP_KERNEL);
    if (!seq)
        return -ENOMEM;
    *seq = log_first_seq();
    f->private_data = seq;
    return stream_open(inode, f);
}

static int kmsg_release(struct inode *inode, struct file *f)
{
    (void)inode;
    kfree(f->private_data);
    return 0;
}

// One record: "level,sequence,microseconds,-;text\n". A record that does not fit is -EINVAL; one
// that was overwritten -EPIPE.
static ssize_t kmsg_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    (void)pos;
    u64 *seq = f->private_data, at;
    if (*seq >= log_next_seq()) {
        if (f->f_flags & O_NONBLOCK)
            return -EAGAIN;
        int err = wait_event_interruptible(log_wait, *seq < log_next_seq());
        if (err)
            return err;
    }
    if (*seq < log_first_seq()) {
        *seq = log_first_seq();
        return -EPIPE;
    }
    char text[512], line[RECORD_MAX];
    struct log_record rec;
    at = *seq;
    size_t n = log_read(&at, &rec, text, sizeof(text));
    int len = scnprintf(line, sizeof(line), "%d,%lu,%lu,-;%.*s\n", rec.level, rec.seq,
                        rec.time_ns / 1000, (int)n, text);
    if (iov_iter_count(to) < (size_t)len)
        return -EINVAL;
    if (copy_to_iter(line, (size_t)len, to) != (size_t)len)
        return -EFAULT;
    *seq = rec.seq + 1;
    return len;
}

// A line to the log; "<n>" in front chooses the level.
static ssize_t kmsg_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    (void)f;
    (void)pos;
    char line[512];
    size_t n = iov_iter_count(from), level = LOG_WARNING;
    if (n >= sizeof(line))
        return -EINVAL;
    if (copy_from_iter(line, n, from) != n)
        return -EFAULT;
    line[n] = 0;
    char *text = line, *end = strchr(line, '>');
    u64 prefix;
    if (line[0] == '<' && end) {
        *end = 0;
        if (!kstrtou64(line + 1, 10, &prefix)) {
            level = prefix & 7;
            text = end + 1;
        } else {
            *end = '>';
        }
    }
    klog((enum log_level)level, "%s", text);
    return (ssize_t)n;
}

static loff_t kmsg_llseek(struct file *f, loff_t off, int whence)
{
    u64 *seq = f->private_data;
    if (off)
        return -ESPIPE;
    if (whence == SEEK_END)
        *seq = log_next_seq();
    else if (whence == SEEK_SET || whence == SEEK_DATA)
        *seq = log_first_seq();
    else
        return -EINVAL;
    return 0;
}

static poll_t kmsg_poll(struct file *f, struct poll_table *pt)
{
    u64 *seq = f->private_data;
    poll_wait(f, &log_wait, pt);
    return *seq < log_next_seq() ? POLLIN | POLLRDNORM : 0;
}

static const struct file_operations kmsg_fops = {
    .open = kmsg_open,
    .release = kmsg_release,
    .read = kmsg_read,
    .write = kmsg_write,
    .llseek = kmsg_llseek,
    .poll = kmsg_poll,
};

// Decimal status 0..255: the emulator exits with it. Where there is no such port, the write fails
// and says so.
static ssize_t debug_exit_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    (void)f;
    (void)pos;
    char text[16];
    u64 status;
    size_t n = iov_iter_count(from);
    if (n >= sizeof(text))
        return -EINVAL;
    if (copy_from_iter(text, n, from) != n)
        return -EFAULT;
    text[n] = 0;
    if (kstrtou64(text, 10, &status) || status > 255)
        return -EINVAL;
    debug_exit((u32)status);
    return -ENODEV;
}

static const struct file_operations debug_exit_fops = {
    .open = stream_open, .write = debug_exit_write, .stream = true};

static void node(const char *name, dev_t dev, umode_t mode, const struct file_operations *fops)
{
    int err = register_chrdev(dev, 1, name, fops);
    if (!err)
        err = devtmpfs_create(name, S_IFCHR | mode, dev);
    if (err)
        pr_warn("no /dev/%s: error %d", name, err);
}

void chardev_init(void)
{
    node("kmsg", MKDEV(MEM_MAJOR, KMSG_MINOR), 0644, &kmsg_fops);
    if (debug_exit_present())
        node("debug-exit", MKDEV(MISC_MAJOR, DEBUG_EXIT_MINOR), 0200, &debug_exit_fops);
}
