// SPDX-License-Identifier: MIT
// brk grows, shrinks and never returns an errno; the stack grows by itself and ends in SIGSEGV.
#include "t.h"
#include <sys/resource.h>
#include <sys/syscall.h>

static char *brk_to(char *to)
{
    return (char *)syscall(SYS_brk, to);
}

static int deep(int n)
{
    volatile char frame[8192];
    frame[0] = (char)n;
    frame[8191] = 1;
    return n == 0 ? 0 : deep(n - 1) + frame[8191] + (frame[0] - frame[0]);
}

static int forever(int n)
{
    volatile char frame[4096];
    frame[0] = (char)n;
    return forever(n + 1) + frame[0];
}

int main(void)
{
    char *start = brk_to(NULL);
    say("aligned start is kept %d\n", brk_to(NULL) == start);
    char *end = brk_to(start + 100000);
    say("grown by %ld\n", (long)(end - start));
    memset(start, 'x', 100000);
    say("shrunk by %ld\n", (long)(end - brk_to(start + 50000)));
    say("again %ld\n", (long)(brk_to(start + 100000) - start));
    say("dropped pages are zero %d\n", start[60000 + 4096]);
    say("below the start is refused %d\n", brk_to((char *)4096) == start + 100000);
    struct rlimit old, limit;
    getrlimit(RLIMIT_DATA, &old);
    limit = old;
    limit.rlim_cur = 1 << 16;
    setrlimit(RLIMIT_DATA, &limit);
    say("beyond the limit is refused %d\n", brk_to(start + (64 << 20)) == start + 100000);
    setrlimit(RLIMIT_DATA, &old);
    say("deep %d\n", deep(700));
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit core = {0, 0};
        setrlimit(RLIMIT_CORE, &core);
        _exit(forever(0));
    }
    int status;
    waitpid(pid, &status, 0);
    show_status("overflow", status);
    return 0;
}
