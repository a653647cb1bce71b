// SPDX-License-Identifier: MIT
// mmap: zero fill, fixed, hints, errors, unmapping the middle, protections and the signals of forbidden access.
#include "t.h"
#include <sys/mman.h>
#include <setjmp.h>

static sigjmp_buf escape;
static volatile int seen_signal, seen_code;
static void *volatile seen_address;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)context;
    seen_signal = sig;
    seen_code = info->si_code;
    seen_address = info->si_addr;
    siglongjmp(escape, 1);
}

static void probe(const char *what, volatile char *p, bool write)
{
    if (sigsetjmp(escape, 1) == 0) {
        char c = *p;
        if (write) {
            *p = (char)(c + 1);
        }
        say("%s: fine\n", what);
    } else {
        say("%s: signal %d code %d address right %d\n", what, seen_signal, seen_code, seen_address == p);
    }
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    size_t page = 4096;
    char *p = mmap(NULL, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long sum = 0;
    for (size_t i = 0; i < 8 * page; i++) {
        sum += p[i];
    }
    say("zero filled %ld\n", sum);
    memset(p, 'a', 8 * page);
    show("munmap middle", munmap(p + 3 * page, 2 * page));
    probe("before the hole", p + 3 * page - 1, true);
    probe("in the hole", p + 3 * page, false);
    probe("after the hole", p + 5 * page, true);
    show("mprotect read", mprotect(p, page, PROT_READ));
    probe("read of read-only", p, false);
    probe("write of read-only", p, true);
    show("mprotect none", mprotect(p, page, PROT_NONE));
    probe("read of none", p, false);
    show("mprotect back", mprotect(p, page, PROT_READ | PROT_WRITE));
    say("content kept %c\n", p[0]);
    show("mprotect over the hole", mprotect(p, 8 * page, PROT_READ | PROT_WRITE));
    char *q = mmap(p + 3 * page, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    say("fixed in place %d\n", q == p + 3 * page);
    char *r = mmap(p, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    say("noreplace %s\n", r == MAP_FAILED ? errno_name(errno) : "mapped");
    show("length 0", (long)mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    show("no type", (long)mmap(NULL, page, PROT_READ, MAP_ANONYMOUS, -1, 0));
    show("bad fd", (long)mmap(NULL, page, PROT_READ, MAP_PRIVATE, 77, 0));
    show("unaligned offset", (long)mmap(NULL, page, PROT_READ, MAP_PRIVATE, 0, 5));
    show("unaligned fixed", (long)mmap((void *)5, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    show("huge", (long)mmap(NULL, 1ul << 60, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    show("munmap unaligned", munmap(p + 1, page));
    show("munmap length 0", munmap(p, 0));
    show("munmap nothing there", munmap(p + 4 * page, page));
    probe("null", NULL, false);
    probe("non-canonical", (char *)0x8000000000000000, false);
    return 0;
}
