// SPDX-License-Identifier: MIT
// Text files made on reading. A single-show file is made whole at its first read; an iterated one
// record by record.
#include "fs/seq_file.h"

#include "fs/internal.h"

#define BUF_MAX (4UL << 20)

void seq_write(struct seq_file *m, const void *p, size_t n)
{
    if (m->count + n > m->size) {
        m->overflow = true;
        m->count = m->size;
        return;
    }
    memcpy(m->buf + m->count, p, n);
    m->count += n;
}

void seq_putc(struct seq_file *m, char c)
{
    seq_write(m, &c, 1);
}

void seq_puts(struct seq_file *m, const char *s)
{
    seq_write(m, s, strlen(s));
}

void seq_printf(struct seq_file *m, const char *fmt, ...)
{
    va_list ap;
    if (m->overflow) {
        return;
    }
    va_start(ap, fmt);
    size_t room = m->size - m->count;
    int n = vsnprintf(m->buf + m->count, room, fmt, ap);
    va_end(ap);
    if ((size_t)n >= room) {
        m->overflow = true;
        m->count = m->size;
    } else {
        m->count += (size_t)n;
    }
}

// One more record of an iterated file; 1 = there was one, 0 = the end, or -errno.
static int next_record(struct seq_file *m, void **v)
{
    if (!*v || IS_ERR(*v)) {
        return (int)PTR_ERR(*v);
    }
    int error = m->op->show(m, *v);
    if (error < 0) {
        return error;
    }
    *v = m->op->next(m, *v, &m->index);
    return 1;
}

static int show_all(struct seq_file *m)
{
    if (m->single_show) {
        return m->single_show(m, m->private);
    }
    m->index = 0;
    void *v = m->op->start(m, &m->index);
    int more;
    do {
        more = next_record(m, &v);
    } while (more > 0 && !m->overflow);
    m->op->stop(m, v);
    return more < 0 ? more : 0;
}

static int fill(struct seq_file *m)
{
    size_t size = m->size ? m->size : PAGE_SIZE;
    for (;;) {
        if (!m->buf) {
            m->buf = kvmalloc(size, GFP_KERNEL);
            if (!m->buf) {
                return -ENOMEM;
            }
            m->size = size;
        }
        m->count = 0;
        m->overflow = false;
        int error = show_all(m);
        if (error || !m->overflow) {
            return error;
        }
        kvfree(m->buf);
        m->buf = NULL;
        size *= 2;
        if (size > BUF_MAX) {
            return -ENOMEM;
        }
    }
}

ssize_t seq_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    struct seq_file *m = f->private_data;
    ssize_t result = 0;
    mutex_lock(&m->lock);
    if (!m->buf || *pos == 0) { // a reader that starts again sees the present
        result = fill(m);
    }
    if (!result && *pos < (loff_t)m->count) {
        size_t n = min(iov_iter_count(to), m->count - (size_t)*pos);
        size_t done = copy_to_iter(m->buf + *pos, n, to);
        *pos += (loff_t)done;
        result = done || !n ? (ssize_t)done : -EFAULT;
    }
    mutex_unlock(&m->lock);
    return result;
}

loff_t seq_lseek(struct file *f, loff_t off, int whence)
{
    if (whence == SEEK_CUR) {
        off += f->f_pos;
    } else if (whence != SEEK_SET) {
        return -EINVAL;
    }
    if (off < 0) {
        return -EINVAL;
    }
    return f->f_pos = off;
}

static struct seq_file *seq_alloc(struct file *f)
{
    struct seq_file *m = kzalloc(sizeof(*m), GFP_KERNEL);
    if (m) {
        mutex_init(&m->lock);
        f->private_data = m;
    }
    return m;
}

int single_open(struct file *f, int (*show)(struct seq_file *, void *), void *priv)
{
    struct seq_file *m = seq_alloc(f);
    if (!m) {
        return -ENOMEM;
    }
    m->single_show = show;
    m->private = priv;
    return 0;
}

int seq_open(struct file *f, const struct seq_operations *op)
{
    struct seq_file *m = seq_alloc(f);
    if (!m) {
        return -ENOMEM;
    }
    m->op = op;
    return 0;
}

int seq_release(struct inode *i, struct file *f)
{
    struct seq_file *m = f->private_data;
    if (m) {
        kvfree(m->buf);
        kfree(m);
    }
    return 0;
}

void seq_bit_list(struct seq_file *m, u64 bits)
{
    const char *comma = "";
    for (unsigned first = 0; first < 64; first++) {
        unsigned last = first;
        if (!(bits >> first & 1)) {
            continue;
        }
        while (last < 63 && (bits >> (last + 1) & 1)) {
            last++;
        }
        seq_printf(m, "%s%u", comma, first);
        if (last > first) {
            seq_printf(m, "-%u", last);
        }
        comma = ",";
        first = last;
    }
}
