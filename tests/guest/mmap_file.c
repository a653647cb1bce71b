// SPDX-License-Identifier: MIT
// File mappings: shared writes reach the file, private ones do not, SIGBUS beyond the end, truncation, the tail is zero.
#include "t.h"
#include <sys/mman.h>
#include <setjmp.h>

static sigjmp_buf escape;
static volatile int code;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)context;
    code = sig * 100 + info->si_code;
    siglongjmp(escape, 1);
}

static void probe(const char *what, volatile char *p)
{
    if (sigsetjmp(escape, 1) == 0) {
        say("%s: %d\n", what, *p);
    } else {
        say("%s: fault %d\n", what, code);
    }
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    int fd = open("m", O_RDWR | O_CREAT | O_TRUNC, 0644);
    ftruncate(fd, 5000);
    pwrite(fd, "begin", 5, 0);
    char *s = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *p = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    say("%.5s %.5s\n", s, p);
    s[0] = 'B';
    p[1] = 'E';
    char text[6] = "";
    pread(fd, text, 5, 0);
    say("file %s private %.5s shared %.5s\n", text, p, s);
    pwrite(fd, "xyz", 3, 2);
    say("after write: shared %.5s private %.5s\n", s, p);
    probe("tail", s + 4999);
    probe("after the end, same page", s + 5001);
    probe("page beyond the end", s + 8192);
    ftruncate(fd, 10000);
    probe("page now inside", s + 8192);
    s[9000] = 'q';
    ftruncate(fd, 100);
    probe("truncated away", s + 4096);
    ftruncate(fd, 10000);
    probe("grown again is zero", s + 9000);
    show("msync", msync(s, 4096, MS_SYNC));
    show("munmap", munmap(s, 4 * 4096));
    int ro = open("m", O_RDONLY);
    show("shared write of read-only fd", (long)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0));
    char *q = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0);
    say("private write of read-only fd %d\n", q != MAP_FAILED);
    close(fd);
    close(ro);
    unlink("m");
    q[0] = 'z';
    say("still there %.5s\n", q);
    int wo = open("w", O_WRONLY | O_CREAT, 0600);
    show("mapping a write-only fd", (long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, wo, 0));
    int dir = open(".", O_RDONLY);
    show("mapping a directory", (long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, dir, 0));
    return 0;
}
