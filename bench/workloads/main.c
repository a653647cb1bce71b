// SPDX-License-Identifier: MIT
// "workloads NAME UNITS" does UNITS units of a workload between the lines "BEGIN NAME" and "END
// NAME UNITS CHECKSUM", from whose arrival the host takes the time. "workloads nothing" ends at
// once: it is what the exec workload executes.
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "workloads.h"

void need(int holds, const char *what)
{
    if (!holds) {
        printf("FAILED %s\n", what);
        fflush(stdout);
        _exit(1);
    }
}

static const struct workload *find(const char *name)
{
    const struct workload *lists[] = {integer_workloads, memory_workloads, float_workloads,
                                      kernel_workloads};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        for (const struct workload *w = lists[i]; w->name; w++) {
            if (strcmp(w->name, name) == 0) {
                return w;
            }
        }
    }
    return NULL;
}

// The guests have one CPU; where there are more, one is used too, or a switch would be a wake-up of
// another CPU.
static void stay_on_one_cpu(void)
{
    cpu_set_t one;
    int cpu = sched_getcpu();
    CPU_ZERO(&one);
    CPU_SET((unsigned)(cpu < 0 ? 0 : cpu), &one);
    sched_setaffinity(0, sizeof(one), &one);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "nothing") == 0) {
        return 0;
    }
    const struct workload *w = argc == 3 ? find(argv[1]) : NULL;
    long units = w ? atol(argv[2]) : 0;
    if (units < 1) {
        fprintf(stderr, "usage: workloads NAME UNITS\n");
        return 64;
    }
    stay_on_one_cpu();
    if (w->prepare) {
        w->prepare();
    }
    printf("BEGIN %s\n", w->name);
    fflush(stdout);
    tcdrain(STDOUT_FILENO); // the line is out before the work begins; fails on pipes, where that is
                            // so anyway
    uint64_t sum = w->unit();
    for (long i = 1; i < units; i++) {
        need(w->unit() == sum, "two units with different checksums");
    }
    printf("END %s %ld %016llx\n", w->name, units, (unsigned long long)sum);
    fflush(stdout);
    return 0;
}
