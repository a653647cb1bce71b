// SPDX-License-Identifier: MIT
// chrt(1): scheduling policy and priority of a command or of a process.
//   chrt [-f|-r|-o|-b|-i] [-R] PRIORITY COMMAND [ARG]...    chrt [-f|-r|-o|-b|-i] -p [PRIORITY] PID
//   chrt -m
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    char option;
    int policy;
    const char *name;
} policies[] = {{'o', 0, "SCHED_OTHER"}, {'f', 1, "SCHED_FIFO"},  {'r', 2, "SCHED_RR"},
                {'b', 3, "SCHED_BATCH"}, {'i', 5, "SCHED_IDLE"}};
#define NR_POLICIES (sizeof(policies) / sizeof(policies[0]))
#define RESET_ON_FORK 0x40000000

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "chrt: %s: %s\n", what, strerror(errno));
    exit(1);
}

static _Noreturn void usage(void)
{
    fprintf(stderr, "usage: chrt [-f|-r|-o|-b|-i] [-R] PRIORITY COMMAND [ARG]...\n"
                    "       chrt [-f|-r|-o|-b|-i] -p [PRIORITY] PID\n"
                    "       chrt -m\n");
    exit(1);
}

static int number(const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end) {
        usage();
    }
    return (int)value;
}

// musl's own wrappers refuse; the system calls do not.
static void set(int pid, int policy, int priority)
{
    struct sched_param param = {.sched_priority = priority};
    if (syscall(SYS_sched_setscheduler, pid, policy, &param) < 0) {
        fail("cannot set the policy");
    }
}

static void show(int pid)
{
    struct sched_param param;
    long policy = syscall(SYS_sched_getscheduler, pid);
    if (policy < 0 || syscall(SYS_sched_getparam, pid, &param) < 0) {
        fail("cannot get the policy");
    }
    const char *name = "unknown";
    for (size_t i = 0; i < NR_POLICIES; i++) {
        if (policies[i].policy == (policy & ~RESET_ON_FORK)) {
            name = policies[i].name;
        }
    }
    printf("pid %d's current scheduling policy: %s%s\n", pid, name,
           policy & RESET_ON_FORK ? "|SCHED_RESET_ON_FORK" : "");
    printf("pid %d's current scheduling priority: %d\n", pid, param.sched_priority);
}

static void show_limits(void)
{
    for (size_t i = 0; i < NR_POLICIES; i++) {
        printf("%s min/max priority\t: %ld/%ld\n", policies[i].name,
               syscall(SYS_sched_get_priority_min, policies[i].policy),
               syscall(SYS_sched_get_priority_max, policies[i].policy));
    }
}

int main(int argc, char **argv)
{
    int policy = SCHED_RR, option, reset = 0, on_pid = 0;
    while ((option = getopt(argc, argv, "+fropbiRm")) != -1) {
        size_t i = 0;
        while (i < NR_POLICIES && policies[i].option != option) {
            i++;
        }
        if (i < NR_POLICIES) {
            policy = policies[i].policy;
        } else if (option == 'p') {
            on_pid = 1;
        } else if (option == 'R') {
            reset = RESET_ON_FORK;
        } else if (option == 'm') {
            show_limits();
            return 0;
        } else {
            usage();
        }
    }
    int left = argc - optind;
    if (on_pid && left == 1) {
        show(number(argv[optind]));
        return 0;
    }
    if (left < 2 || (on_pid && left != 2)) {
        usage();
    }
    set(on_pid ? number(argv[optind + 1]) : 0, policy | reset, number(argv[optind]));
    if (on_pid) {
        return 0;
    }
    execvp(argv[optind + 1], argv + optind + 1);
    fail(argv[optind + 1]);
}
