// SPDX-License-Identifier: MIT
// Raw disk images with locks.
#include "host/posix_block.h"

#include "base/memory.h"
#include "host/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>

struct posix_block {
    int fd;
    u64 size_bytes;
    enum posix_block_mode mode;
    struct overlay *overlay; // snapshot mode
};

static bool block_read(void *ctx, u64 offset, void *bytes, size_t size)
{
    struct posix_block *block = ctx;
    u8 *to = bytes;
    while (size) {
        ssize_t n = pread(block->fd, to, size, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) { // end of file: the image shrank under us
            return false;
        }
        to += n;
        offset += (u64)n;
        size -= (size_t)n;
    }
    return true;
}

bool posix_block_read_base(struct posix_block *block, u64 offset, void *bytes, size_t size)
{
    return block_read(block, offset, bytes, size);
}

static bool block_write(void *ctx, u64 offset, const void *bytes, size_t size)
{
    struct posix_block *block = ctx;
    const u8 *from = bytes;
    if (offset > block->size_bytes || size > block->size_bytes - offset) {
        return false; // never grow an image
    }
    while (size) {
        ssize_t n = pwrite(block->fd, from, size, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        from += n;
        offset += (u64)n;
        size -= (size_t)n;
    }
    return true;
}

static bool block_flush(void *ctx)
{
    struct posix_block *block = ctx;
    return fdatasync(block->fd) == 0;
}

static const struct host_block_ops file_ops = {
    .read = block_read, .write = block_write, .flush = block_flush};

static struct status lock_image(const struct posix_block *block, const char *path)
{
    bool exclusive = block->mode == POSIX_BLOCK_WRITE;
    struct flock lock = {.l_type = (short)(exclusive ? F_WRLCK : F_RDLCK), .l_whence = SEEK_SET};
    if (fcntl(block->fd, F_OFD_SETLK, &lock) == 0) {
        return status_success();
    }
    if (errno == EAGAIN || errno == EACCES) {
        return status_error(STATUS_BAD_INPUT,
                            "%s is in use by another machine; end that one or use a copy", path);
    }
    if (errno == ENOLCK || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP) {
        return status_success(); // a file system without locks
    }
    return status_error(STATUS_BAD_INPUT, "cannot lock %s: %s", path, strerror(errno));
}

// Size and format of the open file.
static struct status inspect_image(struct posix_block *block, const char *path)
{
    struct stat st;
    if (fstat(block->fd, &st) != 0) {
        return status_error(STATUS_BAD_INPUT, "cannot read %s: %s", path, strerror(errno));
    }
    if (S_ISBLK(st.st_mode)) {
        if (ioctl(block->fd, BLKGETSIZE64, &block->size_bytes) != 0) {
            return status_error(STATUS_BAD_INPUT, "cannot size %s: %s", path, strerror(errno));
        }
    } else if (S_ISREG(st.st_mode)) {
        block->size_bytes = (u64)st.st_size;
    } else {
        return status_error(STATUS_BAD_INPUT, "%s is no disk image: a regular file is needed",
                            path);
    }
    if (!block->size_bytes || block->size_bytes % 512) {
        return status_error(STATUS_BAD_INPUT,
                            "%s has %llu bytes; a raw disk image is a positive multiple of 512",
                            path, (unsigned long long)block->size_bytes);
    }
    char magic[4];
    if (block_read(block, 0, magic, sizeof(magic)) && memcmp(magic, "QFI\xfb", 4) == 0) {
        return status_error(STATUS_BAD_INPUT,
                            "%s is a qcow2 image; convert it: qemu-img convert -O raw %s %s.raw",
                            path, path, path);
    }
    return status_success();
}

struct status posix_block_open(struct posix_block **out, const char *path,
                               enum posix_block_mode mode)
{
    int flags = mode == POSIX_BLOCK_WRITE ? O_RDWR : O_RDONLY;
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        const char *hint = "";
        if (errno == EACCES || errno == EROFS) {
            hint = mode == POSIX_BLOCK_WRITE ? "; add ,snapshot or ,ro to use it unchanged" : "";
        }
        return status_error(STATUS_BAD_INPUT, "cannot open disk %s: %s%s", path, strerror(errno),
                            hint);
    }
    struct posix_block *block = xcalloc(1, sizeof(*block));
    block->fd = fd;
    block->mode = mode;
    struct status s = inspect_image(block, path);
    if (status_ok(&s)) {
        s = lock_image(block, path);
    }
    if (!status_ok(&s)) {
        posix_block_close(block);
        return s;
    }
    if (mode == POSIX_BLOCK_SNAPSHOT) {
        struct host_block base = {.ops = &file_ops, .ctx = block, .size_bytes = block->size_bytes};
        block->overlay = overlay_create(&base);
    }
    *out = block;
    return status_success();
}

void posix_block_close(struct posix_block *block)
{
    if (!block) {
        return;
    }
    overlay_destroy(block->overlay);
    if (block->mode == POSIX_BLOCK_WRITE) {
        fdatasync(block->fd);
    }
    close(block->fd);
    free(block);
}

struct host_block posix_block_host(struct posix_block *block)
{
    if (block->overlay) {
        return overlay_host(block->overlay);
    }
    return (struct host_block){
        .ops = &file_ops,
        .ctx = block,
        .size_bytes = block->size_bytes,
        .read_only = block->mode == POSIX_BLOCK_READ,
    };
}

struct overlay *posix_block_overlay(const struct posix_block *block)
{
    return block->overlay;
}
