// SPDX-License-Identifier: MIT
// read(2), write(2) and their vectored and positioned forms, lseek(2), sendfile(2),
// copy_file_range(2).
#include "arch/x86_64/uaccess.h"
#include "fs/internal.h"
#include "proc/signal.h"
#include "syscall/syscall.h"

#define MAX_RW (0x7fffffffUL & PAGE_MASK)

ssize_t vfs_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    if (!(f->f_mode & FMODE_READ)) {
        return -EBADF;
    }
    if (!f->f_op->read) {
        return -EINVAL;
    }
    ssize_t n = f->f_op->read(f, to, pos);
    if (n > 0) {
        current->io.rchar += (u64)n;
    }
    current->io.syscr++;
    return n;
}

ssize_t vfs_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    if (!(f->f_mode & FMODE_WRITE)) {
        return -EBADF;
    }
    if (!f->f_op->write) {
        return -EINVAL;
    }
    ssize_t n = f->f_op->write(f, from, pos);
    if (n > 0) {
        current->io.wchar += (u64)n;
    }
    current->io.syscw++;
    return n;
}

ssize_t kernel_read(struct file *f, void *buf, size_t n, loff_t *pos)
{
    struct iov_iter it;
    if (!f->f_op->read) {
        return -EINVAL;
    }
    iov_iter_init_kernel(&it, true, buf, n);
    return f->f_op->read(f, &it, pos);
}

ssize_t kernel_write(struct file *f, const void *buf, size_t n, loff_t *pos)
{
    struct iov_iter it;
    if (!f->f_op->write) {
        return -EINVAL;
    }
    iov_iter_init_kernel(&it, false, (void *)buf, n);
    return f->f_op->write(f, &it, pos);
}

static inline size_t clamp_count(size_t n)
{
    return min(n, (size_t)MAX_RW);
}

static __always_inline ssize_t rw_here(struct file *f, struct iov_iter *it, bool reading)
{
    return reading ? vfs_read(f, it, &f->f_pos) : vfs_write(f, it, &f->f_pos);
}

// read(2) and write(2): at the file's own position. Inline, for they are what programs call most.
static __always_inline ssize_t sequential(unsigned fd, void __user *buf, size_t n, bool reading)
{
    struct fd f = fdget_pos(fd);
    struct iov_iter it;
    if (!f.file) {
        return -EBADF;
    }
    ssize_t result = -EFAULT;
    if (access_ok(buf, n)) {
        iov_iter_init_user(&it, reading, buf, clamp_count(n));
        result = rw_here(f.file, &it, reading);
    }
    fdput_pos(f);
    return result;
}

SYSCALL_DEFINE(read)
{
    return sequential(ARG_UINT(0), ARG_PTR(1), ARG_ULONG(2), true);
}
SYSCALL_DEFINE(write)
{
    return sequential(ARG_UINT(0), ARG_PTR(1), ARG_ULONG(2), false);
}

static ssize_t rw_at(struct file *f, struct iov_iter *it, loff_t pos, bool reading)
{
    if (pos < 0) {
        return -EINVAL;
    }
    if (!(f->f_mode & (reading ? FMODE_PREAD : FMODE_PWRITE))) {
        return -ESPIPE;
    }
    return reading ? vfs_read(f, it, &pos) : vfs_write(f, it, &pos);
}

static ssize_t positioned(unsigned fd, void __user *buf, size_t n, loff_t pos, bool reading)
{
    struct iov_iter it;
    if (pos < 0) {
        return -EINVAL;
    }
    struct fd f = fdget(fd);
    if (!f.file) {
        return -EBADF;
    }
    ssize_t result = -EFAULT;
    if (access_ok(buf, n)) {
        iov_iter_init_user(&it, reading, buf, clamp_count(n));
        result = rw_at(f.file, &it, pos, reading);
    }
    fdput(f);
    return result;
}

SYSCALL_DEFINE(pread64)
{
    return positioned(ARG_UINT(0), ARG_PTR(1), ARG_ULONG(2), ARG_LONG(3), true);
}
SYSCALL_DEFINE(pwrite64)
{
    return positioned(ARG_UINT(0), ARG_PTR(1), ARG_ULONG(2), ARG_LONG(3), false);
}

// --- vectors

#define NEAR_SEGS 8

// Copies the array (into `near` if it fits) and checks it. *out is what to use and, if != near, to
// free.
static ssize_t import_iovec(const void __user *uvec, unsigned long nr, struct linux_iovec *near,
                            struct linux_iovec **out)
{
    *out = near;
    if (nr > UIO_MAXIOV) {
        return -EINVAL;
    }
    if (nr > NEAR_SEGS) {
        *out = kmalloc(nr * sizeof(**out), GFP_KERNEL);
        if (!*out) {
            *out = near;
            return -ENOMEM;
        }
    }
    if (copy_from_user(*out, uvec, nr * sizeof(**out))) {
        return -EFAULT;
    }
    size_t total = 0;
    for (unsigned long k = 0; k < nr; k++) {
        struct linux_iovec *v = &(*out)[k];
        if ((s64)v->iov_len < 0) {
            return -EINVAL;
        }
        if (!access_ok((void *)v->iov_base, v->iov_len)) {
            return -EFAULT;
        }
        v->iov_len = min(v->iov_len, MAX_RW - total);
        total += v->iov_len;
    }
    return (ssize_t)total;
}

// pos NULL: at the file's own position.
static ssize_t vectored(unsigned fd, const void __user *uvec, unsigned long nr, const loff_t *pos,
                        bool reading)
{
    struct linux_iovec near[NEAR_SEGS], *vec;
    struct iov_iter it;
    struct fd f = pos ? fdget(fd) : fdget_pos(fd);
    if (!f.file) {
        return -EBADF;
    }
    ssize_t n = import_iovec(uvec, nr, near, &vec);
    if (n >= 0) {
        iov_iter_init_iovec(&it, reading, vec, (unsigned)nr, (size_t)n);
        n = pos ? rw_at(f.file, &it, *pos, reading) : rw_here(f.file, &it, reading);
    }
    if (vec != near) {
        kfree(vec);
    }
    fdput_pos(f);
    return n;
}

SYSCALL_DEFINE(readv)
{
    return vectored(ARG_UINT(0), ARG_PTR(1), ARG_ULONG(2), NULL, true);
}
SYSCALL_DEFINE(writev)
{
    return vectored(ARG_UINT(0), ARG_PTR(1), ARG_ULONG(2), NULL, false);
}
SYSCALL_DEFINE(preadv)
{
    loff_t pos = ARG_LONG(3);
    return pos < 0 ? -EINVAL : vectored(ARG_UINT(0), ARG_PTR(1), ARG_ULONG(2), &pos, true);
}
SYSCALL_DEFINE(pwritev)
{
    loff_t pos = ARG_LONG(3);
    return pos < 0 ? -EINVAL : vectored(ARG_UINT(0), ARG_PTR(1), ARG_ULONG(2), &pos, false);
}

// --- lseek

static loff_t set_position(struct file *f, loff_t pos, loff_t limit)
{
    if (pos < 0 || pos > limit) {
        return -EINVAL;
    }
    f->f_pos = pos;
    return pos;
}

loff_t generic_file_llseek(struct file *f, loff_t off, int whence)
{
    struct inode *i = f->f_mapping->host;
    loff_t size = i_size_read(i), max = i->i_sb->s_maxbytes;
    switch (whence) {
    case SEEK_SET:
        return set_position(f, off, max);
    case SEEK_CUR:
        return off ? set_position(f, f->f_pos + off, max) : f->f_pos;
    case SEEK_END:
        return set_position(f, size + off, max);
    case SEEK_DATA:
        return off < 0 || off >= size ? -ENXIO : set_position(f, off, max);
    case SEEK_HOLE:
        return off < 0 || off >= size ? -ENXIO : set_position(f, size, max);
    }
    return -EINVAL;
}

loff_t no_llseek(struct file *f, loff_t off, int whence)
{
    return -ESPIPE;
}

static loff_t vfs_llseek(struct file *f, loff_t off, int whence)
{
    if (!(f->f_mode & FMODE_LSEEK)) {
        return -ESPIPE;
    }
    if ((unsigned)whence > SEEK_HOLE) {
        return -EINVAL;
    }
    return f->f_op->llseek ? f->f_op->llseek(f, off, whence) : generic_file_llseek(f, off, whence);
}

SYSCALL_DEFINE(lseek)
{
    struct fd f = fdget_pos(ARG_UINT(0));
    if (!f.file) {
        return -EBADF;
    }
    loff_t result = vfs_llseek(f.file, ARG_LONG(1), ARG_INT(2));
    fdput_pos(f);
    return result;
}

// --- copies inside the kernel, through one page

static ssize_t copy_files(struct file *in, loff_t *in_pos, struct file *out, loff_t *out_pos,
                          size_t count)
{
    size_t done = 0;
    ssize_t error = 0;
    char *page = get_free_page(GFP_KERNEL);
    if (!page) {
        return -ENOMEM;
    }
    while (done < count) {
        loff_t from = *in_pos;
        size_t want = min(count - done, PAGE_SIZE);
        ssize_t n = kernel_read(in, page, want, &from);
        if (n <= 0) {
            error = n;
            break;
        }
        ssize_t put = 0;
        while (put < n) {
            ssize_t w = kernel_write(out, page + put, (size_t)(n - put), out_pos);
            if (w <= 0) {
                error = w;
                break;
            }
            put += w;
        }
        *in_pos = in->f_op->stream ? from : *in_pos + put;
        done += (size_t)put;
        if (put < n || (size_t)n < want) {
            break;
        }
        if (signal_pending(current)) {
            break;
        }
        cond_resched();
    }
    free_page(page);
    return done ? (ssize_t)done : error;
}

// A position in user memory, or the file's own.
static long read_offset(const void __user *u, struct file *f, loff_t *pos)
{
    if (!u) {
        *pos = f->f_pos;
        return 0;
    }
    if (copy_from_user(pos, u, sizeof(*pos))) {
        return -EFAULT;
    }
    return *pos < 0 ? -EINVAL : 0;
}

static long write_offset(void __user *u, struct file *f, loff_t pos)
{
    if (!u) {
        f->f_pos = pos;
        return 0;
    }
    return copy_to_user(u, &pos, sizeof(pos)) ? -EFAULT : 0;
}

static ssize_t do_sendfile(struct file *out, struct file *in, void __user *uoff, size_t count)
{
    loff_t pos;
    if (!(in->f_mode & FMODE_READ) || !(out->f_mode & FMODE_WRITE)) {
        return -EBADF;
    }
    if (uoff && !(in->f_mode & FMODE_PREAD)) {
        return -ESPIPE;
    }
    if (!in->f_op->read || !out->f_op->write || in->f_op->stream || (out->f_flags & O_APPEND)) {
        return -EINVAL;
    }
    long error = read_offset(uoff, in, &pos);
    if (error) {
        return error;
    }
    ssize_t n = copy_files(in, &pos, out, &out->f_pos, clamp_count(count));
    if (n > 0) {
        error = write_offset(uoff, in, pos);
    }
    return error ? error : n;
}

SYSCALL_DEFINE(sendfile)
{
    struct fd in = fdget(ARG_UINT(1)), out = fdget_pos(ARG_UINT(0));
    ssize_t n = -EBADF;
    if (in.file && out.file) {
        n = do_sendfile(out.file, in.file, ARG_PTR(2), ARG_ULONG(3));
    }
    fdput_pos(out);
    fdput(in);
    return n;
}

static ssize_t do_copy_range(struct file *in, void __user *uin, struct file *out, void __user *uout,
                             size_t count)
{
    loff_t ipos, opos;
    if (S_ISDIR(in->f_inode->i_mode) || S_ISDIR(out->f_inode->i_mode)) {
        return -EISDIR;
    }
    if (!S_ISREG(in->f_inode->i_mode) || !S_ISREG(out->f_inode->i_mode)) {
        return -EINVAL;
    }
    if (!(in->f_mode & FMODE_READ) || !(out->f_mode & FMODE_WRITE) || (out->f_flags & O_APPEND)) {
        return -EBADF;
    }
    long error = read_offset(uin, in, &ipos);
    error = error ? error : read_offset(uout, out, &opos);
    if (error) {
        return error;
    }
    loff_t size = i_size_read(in->f_inode);
    count = ipos >= size ? 0 : min(clamp_count(count), (size_t)(size - ipos));
    if (in->f_inode == out->f_inode && opos + (loff_t)count > ipos && opos < ipos + (loff_t)count) {
        return -EINVAL;
    }
    ssize_t n = count ? copy_files(in, &ipos, out, &opos, count) : 0;
    if (n > 0) {
        error = write_offset(uin, in, ipos);
        error = error ? error : write_offset(uout, out, opos);
    }
    return error ? error : n;
}

SYSCALL_DEFINE(copy_file_range)
{
    struct fd in = fdget(ARG_UINT(0)), out = fdget(ARG_UINT(2));
    ssize_t n = -EBADF;
    if (in.file && out.file) {
        n = ARG_UINT(5) ? -EINVAL
                        : do_copy_range(in.file, ARG_PTR(1), out.file, ARG_PTR(3), ARG_ULONG(4));
    }
    fdput(out);
    fdput(in);
    return n;
}
