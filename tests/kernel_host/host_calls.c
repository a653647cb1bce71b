// SPDX-License-Identifier: MIT
// Bodies of host_calls.h.
#include "host_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int at = -1; // directory that paths are relative to

static long result(long r)
{
    return r < 0 ? -errno : r;
}

void host_temp_dir(char *buf, size_t size)
{
    snprintf(buf, size, "/tmp/test_fs.XXXXXX");
    if (!mkdtemp(buf)) {
        abort();
    }
    umask(022);
}

void host_remove_dir(const char *root)
{
    char command[200];
    snprintf(command, sizeof(command), "chmod -R u+rwx %s; rm -rf %s %s.img %s.img.out", root, root,
             root, root);
    host_system(command);
}

void host_fresh_dir(const char *root)
{
    if (at >= 0) {
        close(at);
    }
    host_remove_dir(root);
    mkdir(root, 0755);
    at = open(root, O_RDONLY | O_DIRECTORY);
}

int host_system(const char *command)
{
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int host_open(const char *p, int flags, unsigned mode)
{
    return (int)result(openat(at, p, flags, mode));
}
int host_close(int fd)
{
    return (int)result(close(fd));
}
long host_read(int fd, void *b, size_t n)
{
    return result(read(fd, b, n));
}
long host_write(int fd, const void *b, size_t n)
{
    return result(write(fd, b, n));
}
long host_pread(int fd, void *b, size_t n, long off)
{
    return result(pread(fd, b, n, off));
}
long host_pwrite(int fd, const void *b, size_t n, long off)
{
    return result(pwrite(fd, b, n, off));
}
long host_ftruncate(int fd, long n)
{
    return result(ftruncate(fd, n));
}
long host_truncate(const char *p, long n)
{
    return result(fchdir(at)) < 0 ? -errno : result(truncate(p, n));
}
long host_fsync(int fd)
{
    (void)fd; // what it does there is not compared, and it is slow
    return 0;
}
long host_fchmod(int fd, unsigned mode)
{
    return result(fchmod(fd, mode));
}
long host_chmod(const char *p, unsigned mode)
{
    return result(fchmodat(at, p, mode, 0));
}
long host_mkdir(const char *p, unsigned mode)
{
    return result(mkdirat(at, p, mode));
}
long host_rmdir(const char *p)
{
    return result(unlinkat(at, p, AT_REMOVEDIR));
}
long host_unlink(const char *p)
{
    return result(unlinkat(at, p, 0));
}
long host_link(const char *p, const char *q)
{
    return result(linkat(at, p, at, q, 0));
}
long host_symlink(const char *p, const char *q)
{
    return result(symlinkat(p, at, q));
}
long host_rename(const char *p, const char *q, unsigned flags)
{
    return result(syscall(SYS_renameat2, at, p, at, q, flags));
}
long host_lstat(const char *p, long *size, long *mode, long *links)
{
    struct stat s;
    long r = result(fstatat(at, p, &s, AT_SYMLINK_NOFOLLOW));
    if (r == 0) {
        *size = s.st_size;
        *mode = s.st_mode;
        *links = (long)s.st_nlink;
    }
    return r;
}
