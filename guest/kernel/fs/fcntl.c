// SPDX-License-Identifier: MIT
// dup(2) and its forms, fcntl(2), ioctl(2).
#include "abi/termios.h"
#include "arch/x86_64/uaccess.h"
#include "fs/internal.h"
#include "fs/locks.h"
#include "fs/pipe.h"
#include "proc/signal.h"
#include "syscall/syscall.h"

static int dup_from(unsigned fd, unsigned start, unsigned flags)
{
    struct file *f = fget_raw(fd);
    if (!f) {
        return -EBADF;
    }
    int fresh = -EINVAL;
    if (start < rlimit(RLIMIT_NOFILE)) {
        fresh = alloc_fd(start, flags);
    }
    if (fresh < 0) {
        fput(f);
        return fresh;
    }
    fd_install((unsigned)fresh, f);
    return fresh;
}

SYSCALL_DEFINE(dup)
{
    return dup_from(ARG_UINT(0), 0, 0);
}

static long dup_to(unsigned fd, unsigned want, unsigned flags)
{
    struct file *f = fget_raw(fd);
    if (!f) {
        return -EBADF;
    }
    long result = do_dup2(f, want, flags);
    fput(f);
    return result;
}

SYSCALL_DEFINE(dup2)
{
    unsigned fd = ARG_UINT(0), want = ARG_UINT(1);
    if (fd == want) {
        struct fd f = fdget_raw(fd);
        fdput(f);
        return f.file ? (long)fd : -EBADF;
    }
    return dup_to(fd, want, 0);
}

SYSCALL_DEFINE(dup3)
{
    if ((ARG_INT(2) & ~O_CLOEXEC) || ARG_UINT(0) == ARG_UINT(1)) {
        return -EINVAL;
    }
    return dup_to(ARG_UINT(0), ARG_UINT(1), ARG_UINT(2));
}

static long set_async(unsigned fd, struct file *f, bool on)
{
    if (!f->f_op->fasync || on == !!(f->f_flags & O_ASYNC)) {
        return 0;
    }
    return f->f_op->fasync((int)fd, f, on);
}

static long set_flags(unsigned fd, struct file *f, unsigned flags)
{
    const unsigned settable = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;
    if ((flags & O_NOATIME) && !(f->f_flags & O_NOATIME) && !inode_owner_or_capable(f->f_inode)) {
        return -EPERM;
    }
    if ((flags & O_DIRECT) && !(f->f_flags & O_DIRECT) && !S_ISFIFO(f->f_inode->i_mode)) {
        return -EINVAL; // no file system here does direct I/O
    }
    long error = set_async(fd, f, flags & O_ASYNC);
    if (error) {
        return error;
    }
    spin_lock(&f->f_lock);
    f->f_flags = (f->f_flags & ~settable) | (flags & settable);
    spin_unlock(&f->f_lock);
    return 0;
}

static long set_owner(struct file *f, int who)
{
    struct pid *pid = NULL;
    enum pid_type type = who < 0 ? PIDTYPE_PGID : PIDTYPE_TGID;
    if (who == (int)0x80000000) {
        return -EINVAL;
    }
    if (who) {
        pid = find_get_pid(who < 0 ? -who : who);
        if (!pid) {
            return -ESRCH;
        }
    }
    spin_lock(&f->f_lock);
    struct pid *old = f->f_owner.pid;
    f->f_owner.pid = pid;
    f->f_owner.type = type;
    spin_unlock(&f->f_lock);
    put_pid(old);
    return 0;
}

static long get_owner(struct file *f)
{
    spin_lock(&f->f_lock);
    long nr = f->f_owner.pid ? pid_vnr(f->f_owner.pid) : 0;
    nr = f->f_owner.type == PIDTYPE_PGID ? -nr : nr;
    spin_unlock(&f->f_lock);
    return nr;
}

static long file_fcntl(unsigned fd, struct file *f, unsigned cmd, u64 arg)
{
    switch (cmd) {
    case F_GETFL:
        return f->f_flags;
    case F_SETFL:
        return set_flags(fd, f, (unsigned)arg);
    case F_GETLK:
    case F_OFD_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return fcntl_lock(fd, f, cmd, (void __user *)arg);
    case F_SETOWN:
        return set_owner(f, (int)arg);
    case F_GETOWN:
        return get_owner(f);
    case F_GETSIG:
        return f->f_owner.signum;
    case F_SETSIG:
        if (arg > 64) {
            return -EINVAL;
        }
        f->f_owner.signum = (int)arg;
        return 0;
    case F_SETPIPE_SZ:
    case F_GETPIPE_SZ:
        return pipe_fcntl(f, cmd, arg);
    }
    return -EINVAL;
}

SYSCALL_DEFINE(fcntl)
{
    unsigned fd = ARG_UINT(0), cmd = ARG_UINT(1);
    u64 arg = ARG_ULONG(2);
    switch (cmd) { // those that concern the descriptor work on O_PATH files too
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        return dup_from(fd, (unsigned)arg, cmd == F_DUPFD ? 0 : O_CLOEXEC);
    case F_GETFD:
        return fd_get_cloexec(fd);
    case F_SETFD:
        return fd_set_cloexec(fd, arg & FD_CLOEXEC);
    }
    struct fd f = cmd == F_GETFL ? fdget_raw(fd) : fdget(fd);
    if (!f.file) {
        return -EBADF;
    }
    long result = file_fcntl(fd, f.file, cmd, arg);
    fdput(f);
    return result;
}

static long set_nonblock(struct file *f, int __user *arg)
{
    int on;
    if (get_user(on, arg)) {
        return -EFAULT;
    }
    spin_lock(&f->f_lock);
    f->f_flags = on ? f->f_flags | O_NONBLOCK : f->f_flags & ~(unsigned)O_NONBLOCK;
    spin_unlock(&f->f_lock);
    return 0;
}

static long ioctl_async(unsigned fd, struct file *f, int __user *arg)
{
    int on;
    if (get_user(on, arg)) {
        return -EFAULT;
    }
    return f->f_op->fasync ? set_async(fd, f, on) : -ENOTTY;
}

static long do_ioctl(unsigned fd, struct file *f, unsigned cmd, unsigned long arg)
{
    switch (cmd) {
    case 0x5451: // FIOCLEX
        return fd_set_cloexec(fd, true);
    case 0x5450: // FIONCLEX
        return fd_set_cloexec(fd, false);
    case 0x5421: // FIONBIO
        return set_nonblock(f, (int __user *)arg);
    case FIOASYNC:
        return ioctl_async(fd, f, (int __user *)arg);
    case 0x541B: // FIONREAD
        if (S_ISREG(f->f_inode->i_mode)) {
            return put_user((int)(i_size_read(f->f_inode) - f->f_pos), (int __user *)arg);
        }
        break;
    }
    return f->f_op->ioctl ? f->f_op->ioctl(f, cmd, arg) : -ENOTTY;
}

SYSCALL_DEFINE(ioctl)
{
    struct fd f = fdget(ARG_UINT(0));
    if (!f.file) {
        return -EBADF;
    }
    long result = do_ioctl(ARG_UINT(0), f.file, ARG_UINT(1), ARG_ULONG(2));
    fdput(f);
    return result;
}
