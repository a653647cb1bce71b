// SPDX-License-Identifier: MIT
// Text files made on reading (/proc). A single show function fills a buffer that grows until it
// fits.
#pragma once

#include <stdarg.h>

#include "fs/fs.h"

struct seq_file {
    char *buf;
    size_t size, count;
    loff_t index;
    void *private;
    bool overflow;
    const struct seq_operations *op;
    struct mutex lock;
    int (*single_show)(struct seq_file *m, void *v);
};
struct seq_operations {
    void *(*start)(struct seq_file *m, loff_t *pos);
    void (*stop)(struct seq_file *m, void *v);
    void *(*next)(struct seq_file *m, void *v, loff_t *pos);
    int (*show)(struct seq_file *m, void *v);
};
void seq_printf(struct seq_file *m, const char *fmt, ...) __printf(2, 3);
void seq_puts(struct seq_file *m, const char *s);
void seq_putc(struct seq_file *m, char c);
void seq_bit_list(struct seq_file *m, u64 bits); // ranges of set bits: "0-2,5"
void seq_write(struct seq_file *m, const void *p, size_t n);
int single_open(struct file *f, int (*show)(struct seq_file *, void *), void *priv);
int seq_open(struct file *f, const struct seq_operations *op);
ssize_t seq_read(struct file *f, struct iov_iter *to, loff_t *pos);
loff_t seq_lseek(struct file *f, loff_t off, int whence);
int seq_release(struct inode *i, struct file *f);

// procfs entries of drivers and subsystems. parent path relative to /proc, e.g. "interrupts",
// "sys/vm/overcommit_memory". write: whole buffer with terminator, 0 or -errno; may be NULL.
int proc_register(const char *path, umode_t mode, int (*show)(struct seq_file *m, void *v),
                  int (*write)(const char *text, size_t len), void *priv);
// A read-only file of sysfs, path relative to /sys; folders are made where missing. 0 or -errno.
int sysfs_register(const char *path, int (*show)(struct seq_file *m, void *v), void *priv);
