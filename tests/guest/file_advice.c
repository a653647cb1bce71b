// SPDX-License-Identifier: MIT
// posix_fadvise(2): what is refused and what is taken; a file's contents are the same whatever was
// advised.
#include "t.h"
#include <sys/syscall.h>

#ifndef O_PATH
#define O_PATH 010000000
#endif

static void advise(const char *what, int fd, long offset, long length, int advice)
{
    long result = syscall(SYS_fadvise64, fd, offset, length, advice);
    say("%s %d: %ld %s\n", what, advice, result, result < 0 ? errno_name(errno) : "");
}

static char block[20000], seen[20000];

int main(void)
{
    char name[] = "advice-XXXXXX";
    int fd = mkstemp(name), p[2], path = open(name, O_PATH);
    for (size_t i = 0; i < sizeof(block); i++) {
        block[i] = (char)(i * 7);
    }
    say("wrote %zd\n", write(fd, block, sizeof(block)));
    for (int advice = -1; advice < 8; advice++) {
        advise("file", fd, 0, 0, advice);
        say("same %d\n",
            pread(fd, seen, sizeof(seen), 0) == sizeof(seen) && !memcmp(seen, block, sizeof(seen)));
    }
    fsync(fd);
    advise("part", fd, 5000, 9000, POSIX_FADV_DONTNEED);
    advise("beyond", fd, 1 << 20, 4096, POSIX_FADV_WILLNEED);
    advise("negative length", fd, 0, -1, POSIX_FADV_NORMAL);
    advise("negative offset", fd, -4096, 4096, POSIX_FADV_DONTNEED);
    advise("wraps", fd, 0x7fffffffffffffff, 0x7fffffffffffffff, POSIX_FADV_WILLNEED);
    say("same %d\n",
        pread(fd, seen, sizeof(seen), 0) == sizeof(seen) && !memcmp(seen, block, sizeof(seen)));
    pipe(p);
    advise("pipe", p[0], 0, 0, POSIX_FADV_NORMAL);
    advise("pipe", p[0], 0, -1, 77);
    advise("nothing", 999, 0, 0, POSIX_FADV_NORMAL);
    advise("path", path, 0, 0, POSIX_FADV_NORMAL);
    int null = open("/dev/null", O_RDWR), folder = open(".", O_RDONLY);
    advise("null", null, 0, 0, POSIX_FADV_WILLNEED);
    advise("null", null, 0, 0, 77);
    advise("folder", folder, 0, 0, POSIX_FADV_DONTNEED);
    unlink(name);
    return 0;
}
