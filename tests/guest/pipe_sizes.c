// SPDX-License-Identifier: MIT
// Pipe capacity: how much fits with writes of each size, resizing, packets, FIONREAD, atomicity, odd calls.
#include "t.h"
#include <sys/ioctl.h>

static long capacity(int size, int pipe_size)
{
    static char b[200000];
    int p[2];
    long total = 0;
    pipe2(p, O_NONBLOCK);
    if (pipe_size) {
        fcntl(p[1], F_SETPIPE_SZ, pipe_size);
    }
    for (long n; (n = write(p[1], b, (size_t)size)) > 0;) {
        total += n;
    }
    close(p[0]);
    close(p[1]);
    return total;
}

static int queued(int fd)
{
    int n = -1;
    ioctl(fd, FIONREAD, &n);
    return n;
}

int main(void)
{
    static const int sizes[] = {1, 3, 100, 511, 4095, 4096, 4097, 5000, 8192, 65535, 65536, 65537, 100000};
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        say("%d: %ld %ld\n", sizes[i], capacity(sizes[i], 0), capacity(sizes[i], 4096));
    }
    int p[2];
    char b[70000], *volatile nowhere = (char *)16;
    pipe2(p, O_NONBLOCK);
    show("size", fcntl(p[0], F_GETPIPE_SZ));
    show("to 5000", fcntl(p[0], F_SETPIPE_SZ, 5000));
    show("to 1", fcntl(p[0], F_SETPIPE_SZ, 1));
    show("to 1 MiB", fcntl(p[0], F_SETPIPE_SZ, 1 << 20));
    show("write", write(p[1], b, 20000));
    show("too small now", fcntl(p[0], F_SETPIPE_SZ, 4096));
    show("just fits", fcntl(p[0], F_SETPIPE_SZ, 32768));
    say("queued %d\n", queued(p[0]));
    show("read", read(p[0], b, 70000));
    show("read empty", read(p[0], b, 1));
    show("read 0", read(p[0], b, 0));
    show("write 0", write(p[1], b, 0));
    show("wrong end", write(p[0], b, 1));
    show("wrong end", read(p[1], b, 1));
    show("lseek", lseek(p[0], 0, SEEK_SET));
    show("pread", pread(p[0], b, 1, 0));
    show("ftruncate", ftruncate(p[1], 0));
    show("fsync", fsync(p[1]));
    show("bad buffer", write(p[1], nowhere, 10));
    write(p[1], "abc", 3);
    show("bad target", read(p[0], nowhere, 10));
    say("queued %d\n", queued(p[0]));
    close(p[0]);
    close(p[1]);
    show("packets", pipe2(p, O_DIRECT | O_NONBLOCK));
    write(p[1], "first", 5);
    write(p[1], "second", 6);
    show("one packet", read(p[0], b, 100));
    show("cut", read(p[0], b, 2));
    show("rest is lost", read(p[0], b, 100));
    show("bad flags", pipe2(p, O_TRUNC));
    struct stat s;
    fstat(p[0], &s);
    say("fifo %d mode %o links %d size %ld\n", S_ISFIFO(s.st_mode), s.st_mode & 07777, (int)s.st_nlink, (long)s.st_size);
    say("flags %o %o\n", fcntl(p[0], F_GETFL), fcntl(p[1], F_GETFL));
    return 0;
}
