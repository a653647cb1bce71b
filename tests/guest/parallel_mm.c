// SPDX-License-Identifier: MIT
// Threads that map, unmap, protect, move and give up memory side by side, with forks among them.
#include "parallel.h"
#include <setjmp.h>
#include <sys/mman.h>

#define PAGE 4096
#define THREADS 4

static char *map(size_t pages)
{
    char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

// Each page holds its owner's mark, whatever the neighbours do.
static void *churn(void *arg)
{
    unsigned seed = (unsigned)(intptr_t)arg * 77 + 1;
    for (int round = 0; round < rounds(60); round++) {
        size_t pages = 1 + next_random(&seed) % 40;
        char *p = map(pages);
        char mark = (char)next_random(&seed) | 1;
        for (size_t i = 0; i < pages; i++) {
            CHECK(p[i * PAGE] == 0);
            p[i * PAGE] = mark;
        }
        CHECK(mprotect(p, pages * PAGE, PROT_READ) == 0);
        for (size_t i = 0; i < pages; i++) {
            CHECK(p[i * PAGE] == mark);
        }
        CHECK(mprotect(p, pages * PAGE, PROT_READ | PROT_WRITE) == 0);
        p[(pages - 1) * PAGE + 1] = mark;
        char *q = mremap(p, pages * PAGE, (pages + 8) * PAGE, MREMAP_MAYMOVE);
        CHECK(q != MAP_FAILED && q[0] == mark && q[(pages - 1) * PAGE + 1] == mark && q[(pages + 7) * PAGE] == 0);
        CHECK(madvise(q, PAGE, MADV_DONTNEED) == 0 && q[0] == 0);
        CHECK(munmap(q, (pages + 8) * PAGE) == 0);
    }
    return NULL;
}

// One page, written by all and thrown away by one: what is read is zero or a mark, never something else.
static char *contested;

static void *contend(void *arg)
{
    int me = (int)(intptr_t)arg;
    for (int round = 0; round < rounds(1500); round++) {
        if (me == 0) {
            CHECK(madvise(contested, 4 * PAGE, MADV_DONTNEED) == 0);
        } else {
            volatile int *word = (volatile int *)(contested + (round & 3) * PAGE) + me;
            *word = me * 1000;
            int seen = *word;
            CHECK(seen == 0 || seen == me * 1000);
        }
    }
    return NULL;
}

// Threads write their own counters while another one forks: a child sees each counter at one moment, and its own
// writes stay its own.
static volatile long *counters;
static atomic_int stop;

static void *count(void *arg)
{
    int me = (int)(intptr_t)arg;
    if (me) {
        while (!atomic_load(&stop)) {
            counters[me * 512]++;
        }
        return NULL;
    }
    for (int round = 0; round < rounds(12); round++) {
        pid_t pid = fork();
        if (pid == 0) {
            long before[THREADS];
            for (int i = 1; i < THREADS; i++) {
                before[i] = counters[i * 512];
            }
            for (int i = 1; i < THREADS; i++) {
                if (counters[i * 512] != before[i]) { // nobody counts here
                    _exit(1);
                }
                counters[i * 512] = -1;
            }
            _exit(0);
        }
        int status = 0;
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        for (int i = 1; i < THREADS; i++) {
            CHECK(counters[i * 512] >= 0);
        }
    }
    atomic_store(&stop, 1);
    return NULL;
}

// A thread writes to memory that another one protects: it ends in its handler, or the write is there.
static sigjmp_buf back[THREADS];
static __thread int self;

static void on_segv(int sig)
{
    (void)sig;
    siglongjmp(back[self], 1);
}

static char *guarded;

static void *poke(void *arg)
{
    self = (int)(intptr_t)arg;
    volatile int caught = 0;
    for (volatile int round = 0; round < rounds(400); round++) {
        if (self == 0) {
            CHECK(mprotect(guarded, 8 * PAGE, PROT_READ) == 0);
            volatile char *p = guarded + (round % 8) * PAGE;
            char before[64];
            memcpy(before, (char *)p, sizeof(before));
            for (int i = 0; i < 50; i++) { // read-only for everybody from when mprotect returned
                CHECK(memcmp(before, (char *)p, sizeof(before)) == 0);
            }
            CHECK(mprotect(guarded, 8 * PAGE, PROT_READ | PROT_WRITE) == 0);
        } else if (sigsetjmp(back[self], 1) == 0) {
            guarded[(round % 8) * PAGE + self] = (char)round;
        } else {
            caught++;
        }
    }
    return NULL;
}

int main(void)
{
    in_threads(THREADS, churn);
    done("mapping and unmapping");
    contested = map(4);
    in_threads(THREADS, contend);
    done("pages thrown away");
    counters = (volatile long *)map(THREADS);
    in_threads(THREADS, count);
    done("forks of a busy process");
    struct sigaction a = {.sa_handler = on_segv, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &a, NULL);
    guarded = map(8);
    in_threads(THREADS, poke);
    done("protection");
    return 0;
}
