// SPDX-License-Identifier: MIT
// What fern's operations cost, in steps: the TSC counts steps on viv, so figures are exact. Prints "name steps" lines.
// The operations are the rows of the cost table that fern is held to; each is the minimum over rounds after a warm-up.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define ROUNDS 20

static char page[4096];
static int zero_fd, tmpfs_fd, pipe_fd[2];

static void op_getppid(void)
{
    syscall(SYS_getppid);
}

static void op_read_zero(void)
{
    char c;
    if (read(zero_fd, &c, 1) != 1) {
        _exit(1);
    }
}

static void op_pread_tmpfs(void)
{
    if (pread(tmpfs_fd, page, 4096, 0) != 4096) {
        _exit(1);
    }
}

static void op_stat(void)
{
    struct stat st;
    if (stat("/etc/passwd", &st) < 0) {
        _exit(1);
    }
}

static void op_open_close(void)
{
    int fd = open("/etc/passwd", O_RDONLY);
    if (fd < 0) {
        _exit(1);
    }
    close(fd);
}

static void on_signal(int sig)
{
    (void)sig;
}

static void op_sigaction(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
}

static void op_signal(void)
{
    syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
}

static void op_pipe_self(void)
{
    char c = 0;
    if (write(pipe_fd[1], &c, 1) != 1 || read(pipe_fd[0], &c, 1) != 1) {
        _exit(1);
    }
}

static void op_mmap_munmap(void)
{
    char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p, 65536);
}

static void op_fork(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static void op_vfork(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static char *true_argv[] = {"/bin/busybox", "true", NULL};
static char *sh_argv[] = {"/bin/sh", "-c", "true", NULL};

static void run_child(char **argv)
{
    pid_t pid = fork();
    if (pid == 0) {
        execv(argv[0], argv);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
}

static void op_fork_exec(void)
{
    run_child(true_argv);
}

static void op_sh(void)
{
    run_child(sh_argv);
}

static void *thread_main(void *arg)
{
    return arg;
}

static void op_thread(void)
{
    pthread_t t;
    pthread_create(&t, NULL, thread_main, NULL);
    pthread_join(t, NULL);
}

static void report(const char *name, unsigned long long steps)
{
    printf("%s %llu\n", name, steps);
}

static void measure(const char *name, void (*op)(void), int per_round)
{
    unsigned long long best = ~0ull;
    for (int round = 0; round < ROUNDS; round++) {
        unsigned long long start = __rdtsc();
        for (int i = 0; i < per_round; i++) {
            op();
        }
        unsigned long long each = (__rdtsc() - start) / (unsigned)per_round;
        best = each < best ? each : best;
    }
    report(name, best);
}

// One fault a page: steps of touching `count` fresh pages, a page.
static unsigned long long touch_pages(volatile char *p, int count, int write)
{
    unsigned long long start = __rdtsc();
    for (int i = 0; i < count; i++) {
        if (write) {
            p[(size_t)i * 4096] = 1;
        } else {
            (void)p[(size_t)i * 4096];
        }
    }
    return (__rdtsc() - start) / (unsigned)count;
}

static void measure_anonymous_fault(void)
{
    unsigned long long best = ~0ull;
    for (int round = 0; round < ROUNDS; round++) {
        char *p = mmap(NULL, 256 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        unsigned long long each = touch_pages(p, 256, 1);
        best = each < best ? each : best;
        munmap(p, 256 * 4096);
    }
    report("anonymous-fault", best);
}

static void measure_cow_fault(void)
{
    char *p = mmap(NULL, 256 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 1, 256 * 4096);
    unsigned long long *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *shared = ~0ull;
    for (int round = 0; round < 5; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            unsigned long long each = touch_pages(p, 256, 1);
            *shared = each < *shared ? each : *shared;
            _exit(0);
        }
        waitpid(pid, NULL, 0);
    }
    report("cow-fault", *shared);
}

static void measure_file_fault(void)
{
    unsigned long long best = ~0ull;
    int fd = open("/bin/busybox", O_RDONLY);
    for (int round = 0; round < 5; round++) {
        char *p = mmap(NULL, 256 * 4096, PROT_READ, MAP_PRIVATE, fd, 0);
        unsigned long long each = touch_pages(p, 256, 0);
        best = each < best ? each : best;
        munmap(p, 256 * 4096);
    }
    close(fd);
    report("cached-file-fault", best);
}

// Byte to a child and back through two pipes.
static void measure_pipe_round_trip(void)
{
    int there[2], back[2];
    char c = 0;
    if (pipe(there) < 0 || pipe(back) < 0) {
        _exit(1);
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(there[1]);
        while (read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1) {
        }
        _exit(0);
    }
    close(there[0]);
    unsigned long long best = ~0ull;
    for (int i = 0; i < 200; i++) {
        unsigned long long start = __rdtsc();
        if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1) {
            _exit(1);
        }
        unsigned long long each = __rdtsc() - start;
        best = each < best ? each : best;
    }
    close(there[1]);
    waitpid(pid, NULL, 0);
    report("pipe-round-trip", best);
}

static int *futex_words;

static void futex_hand_over(int from, int to)
{
    __atomic_store_n(&futex_words[to], 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &futex_words[to], FUTEX_WAKE, 1, NULL, NULL, 0);
    while (!__atomic_load_n(&futex_words[from], __ATOMIC_SEQ_CST)) {
        syscall(SYS_futex, &futex_words[from], FUTEX_WAIT, 0, NULL, NULL, 0);
    }
    __atomic_store_n(&futex_words[from], 0, __ATOMIC_SEQ_CST);
}

static void measure_futex_round_trip(void)
{
    futex_words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    if (pid == 0) {
        for (;;) {
            while (!__atomic_load_n(&futex_words[1], __ATOMIC_SEQ_CST)) {
                syscall(SYS_futex, &futex_words[1], FUTEX_WAIT, 0, NULL, NULL, 0);
            }
            __atomic_store_n(&futex_words[1], 0, __ATOMIC_SEQ_CST);
            __atomic_store_n(&futex_words[0], 1, __ATOMIC_SEQ_CST);
            syscall(SYS_futex, &futex_words[0], FUTEX_WAKE, 1, NULL, NULL, 0);
        }
    }
    unsigned long long best = ~0ull;
    for (int i = 0; i < 200; i++) {
        unsigned long long start = __rdtsc();
        futex_hand_over(0, 1);
        unsigned long long each = __rdtsc() - start;
        best = each < best ? each : best;
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    report("futex-round-trip", best);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    zero_fd = open("/dev/zero", O_RDONLY);
    tmpfs_fd = open("/tmp/cost-file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (zero_fd < 0 || tmpfs_fd < 0 || write(tmpfs_fd, page, 4096) != 4096 || pipe(pipe_fd) < 0) {
        perror("costs");
        return 1;
    }
    op_sigaction();
    measure("getppid", op_getppid, 100);
    measure("read-zero", op_read_zero, 100);
    measure("pread-tmpfs", op_pread_tmpfs, 100);
    measure("stat", op_stat, 50);
    measure("open-close", op_open_close, 50);
    measure("sigaction", op_sigaction, 100);
    measure("signal", op_signal, 50);
    measure("pipe-self", op_pipe_self, 50);
    measure_pipe_round_trip();
    measure_futex_round_trip();
    measure_anonymous_fault();
    measure_cow_fault();
    measure_file_fault();
    measure("mmap-munmap-64k", op_mmap_munmap, 20);
    measure("fork-exit-wait", op_fork, 2);
    measure("vfork-exit-wait", op_vfork, 2);
    measure("fork-exec", op_fork_exec, 1);
    measure("sh-c", op_sh, 1);
    measure("pthread", op_thread, 5);
    unlink("/tmp/cost-file");
    return 0;
}
