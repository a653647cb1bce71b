// SPDX-License-Identifier: MIT
// sync(2), fsync(2), fdatasync(2), syncfs(2).
#include "fs/internal.h"
#include "syscall/syscall.h"

#define WHOLE_FILE 0x7fffffffffffffffL

// Errors of write-back since this file last looked are told once.
static int report_late_errors(struct file *f)
{
    u32 seen = f->f_mapping->wb_err;
    if (seen == f->f_wb_err) {
        return 0;
    }
    f->f_wb_err = seen;
    int error = filemap_check_errors(f->f_mapping);
    return error ? error : -EIO;
}

int vfs_fsync(struct file *f, bool datasync)
{
    if (!f->f_op->fsync) {
        return -EINVAL;
    }
    int error = f->f_op->fsync(f, 0, WHOLE_FILE, datasync);
    int late = report_late_errors(f);
    return error ? error : late;
}

static long fsync_fd(unsigned fd, bool datasync)
{
    struct fd f = fdget(fd);
    if (!f.file) {
        return -EBADF;
    }
    long error = vfs_fsync(f.file, datasync);
    fdput(f);
    return error;
}

SYSCALL_DEFINE(fsync)
{
    return fsync_fd(ARG_UINT(0), false);
}
SYSCALL_DEFINE(fdatasync)
{
    return fsync_fd(ARG_UINT(0), true);
}

SYSCALL_DEFINE(sync)
{
    sync_filesystems(true);
    return 0;
}

SYSCALL_DEFINE(syncfs)
{
    struct fd f = fdget(ARG_UINT(0));
    if (!f.file) {
        return -EBADF;
    }
    struct super_block *sb = f.file->f_path.dentry->d_sb;
    down_read(&sb->s_umount);
    int error = sync_filesystem(sb);
    up_read(&sb->s_umount);
    fdput(f);
    return error;
}
