// SPDX-License-Identifier: MIT
// The workloads of tools/bench. "work NAME..." runs each and prints "begin NAME" and "end NAME
// TICKS" as it goes; the bench takes wall time on the host from those lines, and on viv TICKS (the
// TSC) are steps.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

static volatile uint64_t sink;

static void work_integer(void)
{
    uint64_t a = 1, b = 2, c = 3;
    for (long i = 0; i < 100000000; i++) {
        a += b ^ (uint64_t)i;
        b = (b << 7) | (b >> 57);
        c -= a & 0xff;
    }
    sink = a + b + c;
}

static void work_sieve(void)
{
    enum { LIMIT = 2000000 };
    char *composite = calloc(LIMIT, 1);
    for (int round = 0; round < 5; round++) {
        memset(composite, 0, LIMIT);
        for (uint64_t i = 2; i * i < LIMIT; i++) {
            for (uint64_t j = composite[i] ? LIMIT : i * i; j < LIMIT; j += i) {
                composite[j] = 1;
            }
        }
    }
    sink = (uint64_t)composite[LIMIT - 1];
    free(composite);
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void work_sort(void)
{
    enum { COUNT = 300000 };
    uint32_t *values = malloc(COUNT * sizeof(*values)), seed = 1;
    for (int i = 0; i < COUNT; i++) {
        values[i] = seed = seed * 1664525u + 1013904223u;
    }
    qsort(values, COUNT, sizeof(*values), compare);
    sink = values[COUNT / 2];
    free(values);
}

static void work_getppid(void)
{
    for (int i = 0; i < 100000; i++) {
        syscall(SYS_getppid);
    }
}

static void work_pipe(void)
{
    int there[2], back[2];
    char c = 0;
    if (pipe(there) < 0 || pipe(back) < 0) {
        exit(1);
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(there[1]);
        while (read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1) {
        }
        _exit(0);
    }
    for (int i = 0; i < 5000; i++) {
        if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1) {
            exit(1);
        }
    }
    close(there[1]);
    waitpid(pid, NULL, 0);
}

static void work_fork(void)
{
    for (int i = 0; i < 300; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            _exit(0);
        }
        waitpid(pid, NULL, 0);
    }
}

static void work_touch(void)
{
    for (int i = 0; i < 20; i++) {
        char *p = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (int j = 0; j < 4 << 20; j += 4096) {
            p[j] = 1;
        }
        munmap(p, 4 << 20);
    }
}

// Many small files and one large one, written, synced, read back, removed.
static void work_files(void)
{
    static char block[65536];
    char name[64];
    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "/var/tmp/bench-%d", i);
        int fd = open(name, O_CREAT | O_TRUNC | O_RDWR, 0644);
        if (fd < 0 || write(fd, block, 3000) != 3000) {
            exit(1);
        }
        close(fd);
    }
    int fd = open("/var/tmp/bench-large", O_CREAT | O_TRUNC | O_RDWR, 0644);
    for (int i = 0; i < 128; i++) {
        if (write(fd, block, sizeof(block)) != sizeof(block)) {
            exit(1);
        }
    }
    fsync(fd);
    lseek(fd, 0, SEEK_SET);
    for (ssize_t n; (n = read(fd, block, sizeof(block))) > 0;) {
        sink += (uint64_t)block[n - 1];
    }
    close(fd);
    unlink("/var/tmp/bench-large");
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "/var/tmp/bench-%d", i);
        unlink(name);
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} works[] = {
    {"integer", work_integer}, {"sieve", work_sieve}, {"sort", work_sort},
    {"getppid", work_getppid}, {"pipe", work_pipe},   {"fork", work_fork},
    {"touch", work_touch},     {"files", work_files},
};

static void run(const char *name)
{
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        if (strcmp(works[i].name, name) == 0) {
            printf("begin %s\n", name);
            unsigned long long start = __rdtsc();
            works[i].run();
            printf("end %s %llu\n", name, __rdtsc() - start);
            return;
        }
    }
    fprintf(stderr, "work: no workload named %s\n", name);
    exit(64);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        run(argv[i]);
    }
    return 0;
}
