// SPDX-License-Identifier: MIT
// RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_MEMLOCK, and mappings too large for any machine.
#include "t.h"
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define MB (1L << 20)

static void limit(int what, rlim_t n)
{
    struct rlimit r;
    getrlimit(what, &r);
    r.rlim_cur = n;
    if (setrlimit(what, &r) < 0) {
        show("setrlimit", -1);
    }
}

static long try_map(long size, int prot, int flags)
{
    void *p = mmap(NULL, (size_t)size, prot, flags | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        return -1;
    }
    munmap(p, (size_t)size);
    return 0;
}

static void in_child(const char *name, void (*f)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        f();
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    say("%s: exit %d signal %d\n", name, WEXITSTATUS(status),
        WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static void address_space(void)
{
    limit(RLIMIT_AS, 64 * MB);
    show("below AS", try_map(32 * MB, PROT_READ, MAP_PRIVATE));
    show("above AS", try_map(128 * MB, PROT_READ, MAP_PRIVATE));
    show("above AS, no access", try_map(128 * MB, PROT_NONE, MAP_PRIVATE));
}

static void data(void)
{
    limit(RLIMIT_DATA, 16 * MB);
    show("below DATA", try_map(8 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE));
    show("above DATA", try_map(32 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE));
    show("read-only does not count", try_map(32 * MB, PROT_READ, MAP_PRIVATE));
    show("shared does not count", try_map(32 * MB, PROT_READ | PROT_WRITE, MAP_SHARED));
    char *b = (char *)syscall(SYS_brk, 0);
    say("brk refused %d\n", (char *)syscall(SYS_brk, b + 32 * MB) == b);
    say("brk granted %d\n", (char *)syscall(SYS_brk, b + MB) == b + MB);
}

static void eat_stack(int depth)
{
    volatile char block[8192];
    block[0] = (char)depth;
    if (depth) {
        eat_stack(depth - 1);
    }
    block[1] = block[0];
}

static void stack_small(void)
{
    limit(RLIMIT_STACK, MB);
    eat_stack(64);
    say("half of it used\n");
    eat_stack(400);
    say("not reached\n");
}

static void stack_large(void)
{
    eat_stack(400);
    say("3 MiB used\n");
}

static void locked(void)
{
    char *p = mmap(NULL, (size_t)MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    limit(RLIMIT_MEMLOCK, 65536);
    if (setuid(1000) < 0) {
        say("cannot become a user\n");
    }
    show("mlock below", mlock(p, 32768));
    show("mlock again", mlock(p, 32768));
    show("mlock above", mlock(p + 65536, 65536));
    show("map locked above", try_map(128 * 1024, PROT_READ, MAP_PRIVATE | MAP_LOCKED));
    show("munlock", munlock(p, 32768));
    show("mlock after munlock", mlock(p + 65536, 65536));
    limit(RLIMIT_MEMLOCK, 0);
    show("mlock with limit 0", mlock(p, 4096));
    show("munlock with limit 0", munlock(p + 65536, 65536));
}

int main(void)
{
    in_child("address space", address_space);
    in_child("data", data);
    in_child("small stack", stack_small);
    in_child("large stack", stack_large);
    in_child("locked", locked);
    show("half of the address space", try_map(1L << 46, PROT_READ | PROT_WRITE, MAP_PRIVATE));
    show("too long", try_map(1L << 47, PROT_READ, MAP_PRIVATE));
    show("too long, wrapping",
         (long)mmap(NULL, (size_t)-4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    show("rounds to 0",
         (long)mmap(NULL, (size_t)-1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    show("noreserve", try_map(1L << 40, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE));
    return 0;
}
