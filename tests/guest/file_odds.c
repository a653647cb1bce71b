// SPDX-License-Identifier: MIT
// Odd corners of files: O_TMPFILE, O_PATH, AT_EMPTY_PATH, O_APPEND with pwrite, holes, access rules, statx, sealed flags.
#include "t.h"
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#ifndef O_PATH
#define O_PATH 010000000
#endif
#ifndef O_TMPFILE
#define O_TMPFILE 020200000
#endif
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

int main(void)
{
    char b[100] = "";
    struct stat s;
    int fd = open(".", O_TMPFILE | O_RDWR, 0644);
    show("tmpfile", fd < 0 ? -1 : 0);
    write(fd, "nameless", 8);
    fstat(fd, &s);
    say("links %d size %ld\n", (int)s.st_nlink, (long)s.st_size);
    snprintf(b, sizeof(b), "/proc/self/fd/%d", fd);
    show("linkat", linkat(AT_FDCWD, b, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    fstat(fd, &s);
    say("links %d\n", (int)s.st_nlink);
    show("tmpfile read-only", open(".", O_TMPFILE | O_RDONLY, 0644));
    close(fd);

    fd = open("named", O_PATH);
    show("path read", read(fd, b, 1));
    show("path fstat", fstat(fd, &s));
    show("path fchmod", fchmod(fd, 0600));
    show("path ioctl", fcntl(fd, F_GETFL) & O_PATH);
    show("path dup", dup(fd) < 0 ? -1 : 0);
    show("empty path stat", fstatat(fd, "", &s, AT_EMPTY_PATH));
    show("empty path no flag", fstatat(fd, "", &s, 0));
    show("empty name", open("", O_RDONLY));
    symlink("named", "sym");
    int link_fd = open("sym", O_PATH | O_NOFOLLOW);
    show("path of a link", fstat(link_fd, &s));
    say("is link %d\n", S_ISLNK(s.st_mode));
    show("readlinkat", readlinkat(link_fd, "", b, sizeof(b)));
    show("nofollow", open("sym", O_RDONLY | O_NOFOLLOW));
    show("excl on link", open("sym", O_CREAT | O_EXCL | O_WRONLY, 0600));

    fd = open("app", O_CREAT | O_RDWR | O_APPEND, 0600);
    write(fd, "12345", 5);
    show("pwrite appends", pwrite(fd, "X", 1, 0));
    lseek(fd, 1, SEEK_SET);
    write(fd, "Y", 1);
    say("at %ld\n", (long)lseek(fd, 0, SEEK_CUR));
    memset(b, 0, sizeof(b));
    pread(fd, b, 50, 0);
    say("%s\n", b);
    show("clear append", fcntl(fd, F_SETFL, 0));
    pwrite(fd, "Z", 1, 0);
    pread(fd, b, 50, 0);
    say("%s\n", b);
    lseek(fd, 100000, SEEK_SET);
    write(fd, "end", 3);
    fstat(fd, &s);
    say("size %ld sparse %d\n", (long)s.st_size, s.st_blocks * 512 < s.st_size);
    memset(b, 1, sizeof(b));
    pread(fd, b, 50, 5000);
    say("hole %d %d\n", b[0], b[49]);
    show("huge offset", pwrite(fd, "x", 1, -5));
    show("read past", pread(fd, b, 10, 200000));
    show("lseek hole", lseek(fd, 200000, SEEK_DATA));
    show("lseek bad", lseek(fd, 0, 9));
    struct iovec v[2] = {{b, 10}, {b + 10, 20}};
    show("preadv", preadv(fd, v, 2, 99990));
    show("unlink", unlink("app"));
    fstat(fd, &s);
    say("links %d still %ld\n", (int)s.st_nlink, (long)lseek(fd, 0, SEEK_END));

    struct {
        unsigned mask, blksize;
        unsigned long long attributes;
        unsigned nlink, uid, gid;
        unsigned short mode, pad;
        unsigned long long ino, size;
        char rest[208];
    } x;
    memset(&x, 0, sizeof(x));
    show("statx", syscall(SYS_statx, AT_FDCWD, "named", 0, 0x7ff, &x));
    say("mask %x nlink %u mode %o size %llu\n", x.mask & 0x7ff, x.nlink, x.mode, x.size);
    show("statx bad flags", syscall(SYS_statx, AT_FDCWD, "named", 0x6000, 0x7ff, &x));
    show("access dir", access(".", X_OK));
    show("access file x", access("named", X_OK));
    show("access bad mode", access("named", 64));
    show("fallocate", fallocate(fd, 0, 0, 8192));
    show("fallocate bad", fallocate(fd, 0, -1, 10));
    show("fallocate 0", fallocate(fd, 0, 0, 0));
    show("mkfifo", mknod("ff", S_IFIFO | 0600, 0));
    show("fifo nonblock write", open("ff", O_WRONLY | O_NONBLOCK));
    show("mknod dir", mknod("dd", S_IFDIR | 0700, 0));
    show("device", mknod("nul", S_IFCHR | 0600, makedev(1, 3)));
    show("no such device", mknod("nod", S_IFCHR | 0600, makedev(240, 77)));
    show("open it", open("nod", O_RDONLY));
    show("read dir", read(open(".", O_RDONLY), b, 10));
    show("write dir", open(".", O_WRONLY));
    show("creat dir", open(".", O_CREAT, 0600));
    memset(b, 'n', sizeof(b));
    char name[300];
    memset(name, 'n', sizeof(name));
    name[256] = 0;
    show("long name", open(name, O_CREAT | O_WRONLY, 0600));
    name[255] = 0;
    show("longest name", close(open(name, O_CREAT | O_WRONLY, 0600)));
    return 0;
}
