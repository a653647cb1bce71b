// SPDX-License-Identifier: MIT
// Random mappings of memory and of a file in a window of pages, with protection changes, moves,
// advice, forks, truncation: the result of every call, what every page holds or which fault it
// gives, and the rights that /proc/self/maps shows.
#include "t.h"
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define PAGES 48
#define FILE_PAGES 24
#define PAGE 4096L

static char *window;
static int file_fd;
static uint64_t state;
static sigjmp_buf escape;
static volatile int fault;

static unsigned rnd(unsigned n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((state >> 33) % n);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)context;
    fault = sig * 10 + info->si_code;
    siglongjmp(escape, 1);
}

// Word of a page, or the fault as a negative number.
static long probe(int page, long write)
{
    volatile long *p = (volatile long *)(window + page * PAGE);
    if (sigsetjmp(escape, 1)) {
        return -fault;
    }
    if (write) {
        *p = write;
    }
    return *p;
}

static uint64_t hash;
static void mix(long v)
{
    hash = (hash ^ (uint64_t)v) * 0x100000001b3u;
    hash ^= hash >> 29;
}

static void all_pages(void)
{
    for (int i = 0; i < PAGES; i++) {
        mix(probe(i, 0));
    }
}

// Rights of the pages in the window. No stdio: its buffers could land in a hole of the window.
static int areas(void)
{
    static char text[65536];
    int fd = open("/proc/self/maps", O_RDONLY), n = 0;
    size_t length = 0;
    for (ssize_t got; (got = read(fd, text + length, sizeof(text) - 1 - length)) > 0;) {
        length += (size_t)got;
    }
    close(fd);
    text[length] = 0;
    for (char *line = text; *line; line = strchr(line, '\n') + 1) {
        char *rest;
        unsigned long start = strtoul(line, &rest, 16), end = strtoul(rest + 1, &rest, 16);
        if (end <= (unsigned long)window || start >= (unsigned long)window + PAGES * PAGE) {
            continue;
        }
        // By page: where kernels join neighbours is their business.
        for (int i = 0; i < PAGES; i++) {
            if (start <= (unsigned long)window + i * PAGE &&
                end > (unsigned long)window + i * PAGE) {
                mix(i + rest[1] * 3 + rest[2] * 5 + rest[3] * 7 + rest[4] * 11);
                n++;
            }
        }
    }
    return n;
}

static const char *one_call(int first, int n)
{
    char *at = window + first * PAGE;
    long length = n * PAGE, r;
    int prot = (int)rnd(4), to = (int)rnd((unsigned)(PAGES - n));
    switch (rnd(13)) {
    case 0:
    case 1:
        r = (long)mmap(at, (size_t)length, prot, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        break;
    case 2:
        r = (long)mmap(at, (size_t)length, prot, MAP_FIXED | MAP_SHARED, file_fd,
                       (long)rnd(FILE_PAGES) * PAGE);
        break;
    case 3:
        r = (long)mmap(at, (size_t)length, prot, MAP_FIXED | MAP_PRIVATE, file_fd,
                       (long)rnd(FILE_PAGES) * PAGE);
        break;
    case 4:
        r = munmap(at, (size_t)length);
        break;
    case 5:
    case 6:
        r = mprotect(at, (size_t)length, prot);
        break;
    case 7:
        r = madvise(at, (size_t)length, MADV_DONTNEED);
        break;
    case 8:
        // One page: Linux 6.17 and later also move several areas at once.
        r = (long)mremap(at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, window + to * PAGE);
        break;
    case 9:
        r = ftruncate(file_fd, (long)rnd(FILE_PAGES) * PAGE + (long)rnd(3) * 1000);
        break;
    case 10:
        r = pwrite(file_fd, &first, sizeof(first), (long)rnd(FILE_PAGES) * PAGE);
        break;
    case 11: {
        unsigned char core[PAGES];
        r = mincore(at, (size_t)length, core) < 0 ? -1 : 0;
        break;
    }
    default:
        r = msync(at, (size_t)length, MS_SYNC);
    }
    if (r != -1) {
        mix(r == (long)at ? 1 : r == (long)(window + to * PAGE) ? 2 : r);
        return "done";
    }
    mix(errno);
    return errno_name(errno);
}

static void in_a_child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 10; i++) {
            mix(probe((int)rnd(PAGES), (long)rnd(1000) + 1));
        }
        all_pages();
        _exit((int)(hash & 127));
    }
    int status;
    waitpid(pid, &status, 0);
    mix(WEXITSTATUS(status));
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    file_fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0600);
    char *reserve = mmap(NULL, (PAGES + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    window = reserve + PAGE; // a page of no access on both sides keeps other areas from merging
    munmap(window, PAGES * PAGE);
    for (int seed = 1; seed <= 30; seed++) {
        state = (uint64_t)seed;
        hash = 14695981039346656037u;
        ftruncate(file_fd, 0);
        ftruncate(file_fd, FILE_PAGES * PAGE);
        int errors = 0, count = 0;
        for (int i = 0; i < 150; i++) {
            int first = (int)rnd(PAGES - 1),
                n = 1 + (int)rnd((unsigned)(PAGES - first < 12 ? PAGES - first : 12));
            errors += one_call(first, n)[0] == 'E';
            for (int k = 0; k < 4; k++) {
                mix(probe((int)rnd(PAGES), rnd(2) ? (long)rnd(100000) + 1 : 0));
            }
            if (i % 10 == 0) {
                count = areas();
            }
            if (i % 37 == 0) {
                in_a_child();
            }
        }
        all_pages();
        say("seed %d: %d errors, %d pages, %016lx\n", seed, errors, count, (long)hash);
        munmap(window, PAGES * PAGE);
    }
    return 0;
}
