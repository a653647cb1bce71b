// SPDX-License-Identifier: MIT
// What posix_fadvise(2) does to the page cache, as mincore(2) sees it. usage: fadvise FILE
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGES 64
static int fd;
static unsigned char *map;

static int resident(void)
{
    unsigned char in[PAGES];
    int n = 0;
    if (mincore(map, PAGES * 4096, in)) {
        return -1;
    }
    for (int i = 0; i < PAGES; i++) {
        n += in[i] & 1;
    }
    return n;
}

static void advise(const char *what, long offset, long length, int advice)
{
    int error = posix_fadvise(fd, offset, length, advice);
    usleep(100000); // reads that it started
    printf("%s: %d, %d pages\n", what, error, resident());
}

int main(int argc, char **argv)
{
    static char page[4096];
    fd = open(argv[argc - 1], O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int i = 0; i < PAGES; i++) {
        page[0] = (char)i;
        if (write(fd, page, sizeof(page)) != sizeof(page)) {
            return 2;
        }
    }
    map = mmap(NULL, PAGES * 4096, PROT_READ, MAP_SHARED, fd, 0);
    printf("written: %d pages\n", resident());
    fsync(fd);
    advise("drop part", 4096 + 1, 2 * 4096, POSIX_FADV_DONTNEED);
    advise("drop all", 0, 0, POSIX_FADV_DONTNEED);
    advise("want part", 0, 16 * 4096, POSIX_FADV_WILLNEED);
    advise("want all", 0, 0, POSIX_FADV_WILLNEED);
    advise("drop again", 0, 0, POSIX_FADV_DONTNEED);
    advise("random", 0, 0, POSIX_FADV_RANDOM);
    if (pread(fd, page, 1, 0) != 1) {
        return 2;
    }
    printf("one byte read at random: %d pages\n", resident());
    advise("drop", 0, 0, POSIX_FADV_DONTNEED);
    advise("normal", 0, 0, POSIX_FADV_NORMAL);
    if (pread(fd, page, 1, 0) != 1) {
        return 2;
    }
    usleep(100000);
    printf("one byte read: %s\n", resident() > 1 ? "read ahead" : "alone");
    if (pwrite(fd, "x", 1, 5 * 4096) != 1) {
        return 2;
    }
    advise("drop a dirty one", 5 * 4096, 4096, POSIX_FADV_DONTNEED);
    if (pread(fd, page, 1, 5 * 4096) != 1) {
        return 2;
    }
    printf("it says %c\n", page[0]);
    return 0;
}
