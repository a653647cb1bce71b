// SPDX-License-Identifier: MIT
// Scheduling calls: policies, parameters, priorities, nice clamping, inheritance, FIFO over others.
#define _GNU_SOURCE
#include <sched.h>
#include "t.h"
#include <sys/resource.h>

static void policy(const char *what)
{
    struct sched_param p = {.sched_priority = -1};
    int policy = sched_getscheduler(0);
    sched_getparam(0, &p);
    say("%s: policy %d priority %d\n", what, policy, p.sched_priority);
}

int main(void)
{
    int policies[] = {SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE, 77};
    for (int i = 0; i < 6; i++) {
        say("policy %d: min %d max %d\n", policies[i], sched_get_priority_min(policies[i]), sched_get_priority_max(policies[i]));
    }
    policy("start");
    struct sched_param p = {.sched_priority = 10};
    show("OTHER with priority", sched_setscheduler(0, SCHED_OTHER, &p));
    show("FIFO", sched_setscheduler(0, SCHED_FIFO, &p));
    policy("fifo");
    p.sched_priority = 100;
    show("too high", sched_setparam(0, &p));
    p.sched_priority = 0;
    show("FIFO 0", sched_setscheduler(0, SCHED_FIFO, &p));
    pid_t pid = fork();
    if (pid == 0) {
        policy("inherited");
        p.sched_priority = 0;
        show("BATCH", sched_setscheduler(0, SCHED_BATCH, &p));
        policy("batch");
        show("IDLE", sched_setscheduler(0, SCHED_IDLE, &p));
        policy("idle");
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    p.sched_priority = 5;
    show("RR reset on fork", sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &p));
    struct timespec slice = {0, 0};
    show("rr interval", sched_rr_get_interval(0, &slice));
    if (sched_getscheduler(0) == (SCHED_RR | SCHED_RESET_ON_FORK)) { // other policies: the host version's own tuning
        say("slice %ld\n", slice.tv_nsec);
    }
    pid = fork();
    if (pid == 0) {
        policy("reset");
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    p.sched_priority = 0;
    sched_setscheduler(0, SCHED_OTHER, &p);
    show("no such process", sched_setscheduler(999999, SCHED_OTHER, &p));
    show("nice 5", setpriority(PRIO_PROCESS, 0, 5));
    errno = 0;
    show("getpriority", getpriority(PRIO_PROCESS, 0));
    show("clamped", setpriority(PRIO_PROCESS, 0, 100));
    show("is 19", getpriority(PRIO_PROCESS, 0));
    show("below", setpriority(PRIO_PROCESS, 0, -100));
    say("is -20 %d\n", getpriority(PRIO_PROCESS, 0));
    show("nobody", getpriority(PRIO_PROCESS, 999999));
    show("bad which", getpriority(9, 0));
    show("yield", sched_yield());
    cpu_set_t set;
    show("affinity", sched_getaffinity(0, sizeof(set), &set));
    say("has a processor %d\n", CPU_COUNT(&set) > 0);
    CPU_ZERO(&set);
    show("empty affinity", sched_setaffinity(0, sizeof(set), &set));
    return 0;
}
