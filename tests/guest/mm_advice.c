// SPDX-License-Identifier: MIT
// madvise, mincore, msync, mlock: what they do to contents, and their errors.
#include "t.h"
#include <sys/mman.h>

#define PAGE 4096L
#ifndef MADV_POPULATE_WRITE // musl 1.2.3 has no name for it
#define MADV_POPULATE_WRITE 23
#endif

static int child_sees(volatile char *p)
{
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        _exit(*p);
    }
    int status;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static char *area(long pages)
{
    char *p = mmap(NULL, (size_t)(pages * PAGE), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (long i = 0; i < pages; i++) {
        p[i * PAGE] = (char)(i + 1);
    }
    return p;
}

static void contents(void)
{
    char *p = area(8);
    show("dontneed", madvise(p, 2 * PAGE, MADV_DONTNEED));
    say("zero %d kept %d\n", p[0] | p[PAGE], p[2 * PAGE]);
    show("dontfork", madvise(p + 2 * PAGE, PAGE, MADV_DONTFORK));
    say("child: not forked %d, next %d\n", child_sees(p + 2 * PAGE), child_sees(p + 3 * PAGE));
    show("dofork", madvise(p + 2 * PAGE, PAGE, MADV_DOFORK));
    say("child: forked %d\n", child_sees(p + 2 * PAGE));
    show("wipeonfork", madvise(p + 4 * PAGE, PAGE, MADV_WIPEONFORK));
    say("child: wiped %d, parent %d\n", child_sees(p + 4 * PAGE), p[4 * PAGE]);
    show("keeponfork", madvise(p + 4 * PAGE, PAGE, MADV_KEEPONFORK));
    say("child: kept %d\n", child_sees(p + 4 * PAGE));
    show("free", madvise(p + 5 * PAGE, PAGE, MADV_FREE));
    p[5 * PAGE] = 77;
    say("written after free %d\n", p[5 * PAGE]);
    show("willneed", madvise(p, 8 * PAGE, MADV_WILLNEED));
    show("random", madvise(p, 8 * PAGE, MADV_RANDOM));
    show("sequential", madvise(p, 8 * PAGE, MADV_SEQUENTIAL));
    show("normal", madvise(p, 8 * PAGE, MADV_NORMAL));
    show("populate", madvise(p, 8 * PAGE, MADV_POPULATE_WRITE));
    munmap(p, 8 * PAGE);
}

static void advice_errors(void)
{
    char *p = area(4);
    show("unknown advice", madvise(p, PAGE, 77));
    show("unaligned", madvise(p + 1, PAGE, MADV_DONTNEED));
    show("length 0", madvise(p, 0, MADV_DONTNEED));
    munmap(p + PAGE, PAGE);
    p[2 * PAGE] = 9;
    show("hole", madvise(p, 4 * PAGE, MADV_DONTNEED));
    say("behind the hole %d\n", p[2 * PAGE]);
    show("nothing there", madvise(p + PAGE, PAGE, MADV_DONTNEED));
    mlock(p, PAGE);
    show("dontneed of locked", madvise(p, PAGE, MADV_DONTNEED));
    munlock(p, PAGE);
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    ftruncate(fd, PAGE);
    char *s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    s[0] = 5;
    show("wipeonfork of a file", madvise(s, PAGE, MADV_WIPEONFORK));
    show("free of a file", madvise(s, PAGE, MADV_FREE));
    show("dontneed of a file", madvise(s, PAGE, MADV_DONTNEED));
    say("file kept %d\n", s[0]);
}

static void core_and_sync(void)
{
    unsigned char v[4] = {9, 9, 9, 9};
    char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    p[PAGE] = 1;
    show("mincore", mincore(p, 4 * PAGE, v));
    say("in core %d %d %d %d\n", v[0] & 1, v[1] & 1, v[2] & 1, v[3] & 1);
    show("mincore unaligned", mincore(p + 1, PAGE, v));
    show("mincore bad vector", mincore(p, PAGE, (unsigned char *)8));
    munmap(p + 2 * PAGE, PAGE);
    show("mincore hole", mincore(p, 4 * PAGE, v));
    show("msync bad flags", msync(p, PAGE, 64));
    show("msync both", msync(p, PAGE, MS_SYNC | MS_ASYNC));
    show("msync unaligned", msync(p + 1, PAGE, MS_SYNC));
    show("msync hole", msync(p, 4 * PAGE, MS_SYNC));
    show("msync", msync(p, PAGE, MS_SYNC));
    mlock(p, PAGE);
    show("msync invalidate of locked", msync(p, PAGE, MS_INVALIDATE));
    show("mlock hole", mlock(p, 4 * PAGE));
    show("munlock hole", munlock(p, 4 * PAGE));
    show("mlockall 0", mlockall(0));
    show("mlockall bad", mlockall(64));
    show("munlockall", munlockall());
}

int main(void)
{
    contents();
    advice_errors();
    core_and_sync();
    return 0;
}
