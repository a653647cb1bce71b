// SPDX-License-Identifier: MIT
// getdents64(2) and getdents(2).
#include "abi/dirent.h"
#include "arch/x86_64/uaccess.h"
#include "fs/internal.h"
#include "syscall/syscall.h"

unsigned mode_to_dtype(umode_t mode)
{
    return (mode & S_IFMT) >> 12;
}

struct getdents {
    struct dir_context ctx;
    char __user *next;
    char __user *last; // the entry written last; its d_off waits for the next one's position
    size_t room;
    int error;
    bool old; // getdents(2): type behind the name
};

// Entries go to user space through a small bounce buffer.
static bool emit(struct dir_context *ctx, const char *name, int len, loff_t pos, u64 ino,
                 unsigned dtype)
{
    struct getdents *g = container_of(ctx, struct getdents, ctx);
    union {
        struct linux_dirent64 d;
        char bytes[offsetof(struct linux_dirent64, d_name) + NAME_MAX + 9];
    } u;
    size_t head = g->old ? 18 : offsetof(struct linux_dirent64, d_name);
    size_t size = ALIGN_UP(head + (size_t)len + 1 + (g->old ? 1 : 0), 8UL);
    g->error = -EINVAL; // the buffer is too small, unless something fitted before
    if (size > g->room || len > NAME_MAX) {
        return false;
    }
    g->error = -EFAULT;
    if (g->last && put_user((s64)pos, (s64 *)(g->last + 8))) {
        return false;
    }
    memset(&u, 0, size);
    u.d.d_ino = ino;
    u.d.d_reclen = (u16)size;
    if (g->old) {
        u.bytes[size - 1] = (char)dtype;
    } else {
        u.d.d_type = (u8)dtype;
    }
    memcpy(u.bytes + head, name, (size_t)len);
    if (copy_to_user(g->next, &u, size)) {
        return false;
    }
    g->error = 0;
    g->last = g->next;
    g->next += size;
    g->room -= size;
    return true;
}

static long iterate_locked(struct file *f, struct getdents *g)
{
    struct inode *i = f->f_inode;
    if (!f->f_op->iterate) {
        return -ENOTDIR;
    }
    down_read(&i->i_rwsem);
    long error = -ENOENT;
    if (i->i_nlink) {
        g->ctx.pos = f->f_pos;
        error = f->f_op->iterate(f, &g->ctx);
        f->f_pos = g->ctx.pos;
        touch_atime(&f->f_path);
    }
    up_read(&i->i_rwsem);
    return error;
}

static long do_getdents(unsigned fd, char __user *buf, unsigned size, bool old)
{
    struct getdents g = {.ctx = {.actor = emit}, .next = buf, .room = size, .old = old};
    struct fd f = fdget_pos(fd);
    if (!f.file) {
        return -EBADF;
    }
    long error = iterate_locked(f.file, &g);
    if (!error && !g.last) {
        error = g.error;
    }
    if (g.last) {
        error = put_user((s64)g.ctx.pos, (s64 *)(g.last + 8)) ? -EFAULT : g.next - buf;
    }
    fdput_pos(f);
    return error;
}

SYSCALL_DEFINE(getdents64)
{
    return do_getdents(ARG_UINT(0), ARG_PTR(1), ARG_UINT(2), false);
}
SYSCALL_DEFINE(getdents)
{
    return do_getdents(ARG_UINT(0), ARG_PTR(1), ARG_UINT(2), true);
}
