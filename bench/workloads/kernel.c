// SPDX-License-Identifier: MIT
// Workloads of the kernel: system calls, pipes, processes, page faults, signals, switches between
// processes.
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workloads.h"

static uint64_t unit_getppid(void)
{
    uint64_t right = 0;
    long parent = getppid();
    for (int i = 0; i < 20000; i++) {
        right += syscall(SYS_getppid) == parent;
    }
    return right;
}

// Processes in a ring, this one among them, each waiting for a byte from the one before it. The
// others end when their pipe does.
enum { RING = 8, WORKING_SET = 16 << 10 };
static int ring_in, ring_out;
static unsigned char *set;

static void pass_on(int in, int out, size_t touched)
{
    unsigned char byte;
    while (read(in, &byte, 1) == 1) {
        for (size_t i = 0; i < touched; i += 64) {
            set[i]++;
        }
        byte++;
        need(write(out, &byte, 1) == 1, "a write to the ring");
    }
    _exit(0);
}

static void make_ring(int others, size_t touched)
{
    int pipes[RING][2];
    set = calloc(1, WORKING_SET);
    need(set != NULL, "memory");
    for (int i = 0; i <= others; i++) {
        need(pipe(pipes[i]) == 0, "pipe");
    }
    for (int i = 0; i < others; i++) {
        pid_t pid = fork();
        need(pid >= 0, "fork");
        if (pid == 0) {
            for (int j = 0; j <= others; j++) {
                j == i ? 0 : close(pipes[j][0]);
                j == i + 1 ? 0 : close(pipes[j][1]);
            }
            pass_on(pipes[i][0], pipes[i + 1][1], touched);
        }
    }
    ring_out = pipes[0][1];
    ring_in = pipes[others][0];
    for (int i = 0; i <= others; i++) {
        i == 0 ? 0 : close(pipes[i][1]);
        i == others ? 0 : close(pipes[i][0]);
    }
}

static uint64_t turn_ring(int rounds, size_t touched)
{
    uint64_t sum = 0;
    for (int i = 0; i < rounds; i++) {
        unsigned char byte = (unsigned char)i;
        need(write(ring_out, &byte, 1) == 1 && read(ring_in, &byte, 1) == 1, "the ring");
        for (size_t j = 0; j < touched; j += 64) {
            set[j]++;
        }
        sum += byte;
    }
    return sum;
}

static void prepare_pipe(void)
{
    make_ring(1, 0);
}

static uint64_t unit_pipe(void)
{
    return turn_ring(1000, 0);
}

static void prepare_switch(void)
{
    make_ring(RING - 1, WORKING_SET);
}

static uint64_t unit_switch(void)
{
    return turn_ring(200, WORKING_SET);
}

static uint64_t children(int count, int execute)
{
    char *const arguments[] = {"workloads", "nothing", NULL};
    char *const nothing[] = {NULL};
    uint64_t well = 0;
    for (int i = 0; i < count; i++) {
        int status = -1;
        pid_t pid = fork();
        need(pid >= 0, "fork");
        if (pid == 0) {
            if (execute) {
                execve("/proc/self/exe", arguments, nothing);
                _exit(127);
            }
            _exit(i & 0x7f);
        }
        need(waitpid(pid, &status, 0) == pid && WIFEXITED(status), "a child's end");
        well += WEXITSTATUS(status) == (execute ? 0 : i & 0x7f);
    }
    return well;
}

static uint64_t unit_fork(void)
{
    return children(50, 0);
}

static uint64_t unit_exec(void)
{
    return children(20, 1);
}

// Small pages, whatever the kernel's policy: one fault for each.
static uint64_t unit_touch(void)
{
    enum { BYTES = 4 << 20 };
    uint64_t sum = 0;
    unsigned char *p =
        mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    need(p != MAP_FAILED, "mmap");
    madvise(p, BYTES, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < BYTES; i += 4096) {
        p[i] = (unsigned char)(i >> 12);
    }
    for (size_t i = 0; i < BYTES; i += 65536) {
        sum = fold(sum, p[i] + p[i + 1]);
    }
    munmap(p, BYTES);
    return sum;
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    signals = signals + number;
}

static void prepare_signal(void)
{
    struct sigaction action = {.sa_handler = count_signal};
    need(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
}

static uint64_t unit_signal(void)
{
    pid_t self = getpid();
    signals = 0;
    for (int i = 0; i < 3000; i++) {
        kill(self, SIGUSR1);
    }
    return (uint64_t)signals;
}

const struct workload kernel_workloads[] = {
    {"getppid", NULL, unit_getppid},
    {"pipe", prepare_pipe, unit_pipe},
    {"fork", NULL, unit_fork},
    {"exec", NULL, unit_exec},
    {"touch", NULL, unit_touch},
    {"signal", prepare_signal, unit_signal},
    {"switch", prepare_switch, unit_switch},
    {NULL, NULL, NULL},
};
