// SPDX-License-Identifier: MIT
// On one processor, CPU-bound processes share it by the weights of their nice values, within 5 %.
#define _GNU_SOURCE
#include <sched.h>
#include "t.h"
#include <sys/mman.h>
#include <sys/resource.h>

enum { RUN_MS = 1500 };

static volatile int *go;
static volatile double *used_ms;

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void compete(const int *nices, int count, const double *weights)
{
    pid_t pids[4];
    *go = 0;
    for (int i = 0; i < count; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            setpriority(PRIO_PROCESS, 0, nices[i]);
            while (!*go) {
                sched_yield();
            }
            double start = cpu_ms();
            while (*go == 1) {
                used_ms[i] = cpu_ms() - start;
            }
            _exit(0);
        }
    }
    sleep_ms(50);
    *go = 1;
    sleep_ms(RUN_MS);
    *go = 2;
    double total = 0, weight = 0;
    for (int i = 0; i < count; i++) {
        waitpid(pids[i], NULL, 0);
    }
    for (int i = 0; i < count; i++) {
        total += used_ms[i];
        weight += weights[i];
    }
    for (int i = 0; i < count; i++) {
        double wanted = weights[i] / weight, seen = used_ms[i] / total;
        say("nice %d within 5 %% %d\n", nices[i], seen > wanted - 0.05 && seen < wanted + 0.05);
    }
    // The host shares its processors with others, sometimes with many.
    say("some of the time was used %d\n", total > RUN_MS * 0.05);
}

int main(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof(one), &one);
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    go = (int *)page;
    used_ms = (double *)(page + 64);
    setpriority(PRIO_PROCESS, 0, -20);
    compete((int[]){0, 0, 0}, 3, (double[]){1024, 1024, 1024});
    compete((int[]){0, 5}, 2, (double[]){1024, 335});
    compete((int[]){0, 10, 19}, 3, (double[]){1024, 110, 15});
    return 0;
}
