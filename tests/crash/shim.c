// SPDX-License-Identifier: MIT
// Preloaded into viv by test_crash.py: logs, in order, each write to the disk image, each completed flush of it, and each
// write to stdout, so that the image can be rebuilt as it might have been at any cut.
// Record: type 'W' 'F' 'O', u64 offset, u64 length, bytes.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int log_fd = -1;

static ssize_t (*real_write(void))(int, const void *, size_t)
{
    return (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
}

static void record(char type, uint64_t offset, const void *bytes, uint64_t size)
{
    if (log_fd < 0) {
        log_fd = open(getenv("CRASH_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
    char head[17];
    head[0] = type;
    memcpy(head + 1, &offset, 8);
    memcpy(head + 9, &size, 8);
    if (real_write()(log_fd, head, sizeof(head)) != sizeof(head) ||
        real_write()(log_fd, bytes, size) != (ssize_t)size) {
        abort();
    }
}

static int is_image(int fd)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(getenv("CRASH_IMAGE"), &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    ssize_t (*next)(int, const void *, size_t, off_t) =
        (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
    ssize_t n = next(fd, bytes, size, offset);
    if (n > 0 && is_image(fd)) {
        record('W', (uint64_t)offset, bytes, (uint64_t)n);
    }
    return n;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t offset)
{
    return pwrite(fd, bytes, size, offset);
}

int fdatasync(int fd)
{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    int result = next(fd);
    if (result == 0 && is_image(fd)) {
        record('F', 0, "", 0);
    }
    return result;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    ssize_t n = real_write()(fd, bytes, size);
    if (fd == 1 && n > 0) {
        record('O', 0, bytes, (uint64_t)n);
    }
    return n;
}
