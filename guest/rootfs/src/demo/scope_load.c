// SPDX-License-Identifier: MIT
// fernscope's own load.
#include "scope_load.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BUSY_MAX 15
#define FAMILY 3
#define FAMILY_PAGES 4096u
#define PAGE 4096u

static pid_t busy[BUSY_MAX], family;
static unsigned nr_busy;

// The child's side of fork: named, and gone when its parent is.
static void settle(const char *name)
{
    prctl(PR_SET_NAME, name);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
}

static _Noreturn void compute(void)
{
    volatile unsigned long n = 0;
    for (;;) {
        n = n + 1;
    }
}

void load_more(void)
{
    static const int nices[] = {0, 5, -5, 10, 0, 3, -3};
    if (nr_busy == BUSY_MAX) {
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        settle("busy");
        setpriority(PRIO_PROCESS, 0, nices[nr_busy % (sizeof(nices) / sizeof(*nices))]);
        compute();
    }
    if (pid > 0) {
        busy[nr_busy++] = pid;
    }
}

static void end(pid_t pid)
{
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}

void load_less(void)
{
    if (nr_busy) {
        end(busy[--nr_busy]);
    }
}

// Writes its pages one after the other: each becomes its own.
static _Noreturn void part_ways(volatile char *memory)
{
    struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    for (unsigned page = 0;; page = (page + 7) % FAMILY_PAGES) {
        memory[(size_t)page * PAGE]++;
        if (page % 8 == 0) {
            nanosleep(&pause, NULL);
        }
    }
}

// Every few seconds the children end and others take their place, who share everything again.
static _Noreturn void be_parent(void)
{
    struct timespec life = {.tv_sec = 6};
    char *memory = mmap(NULL, (size_t)FAMILY_PAGES * PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        _exit(1);
    }
    memset(memory, 1, (size_t)FAMILY_PAGES * PAGE);
    for (;;) {
        pid_t children[FAMILY];
        for (int i = 0; i < FAMILY; i++) {
            children[i] = fork();
            if (children[i] == 0) {
                settle("cow-child");
                part_ways(memory);
            }
        }
        nanosleep(&life, NULL);
        for (int i = 0; i < FAMILY; i++) {
            end(children[i]);
        }
    }
}

void load_family(void)
{
    if (family > 0) {
        end(family);
        family = 0;
        return;
    }
    family = fork();
    if (family == 0) {
        settle("cow-parent");
        be_parent();
    }
}

void load_end(void)
{
    while (nr_busy) {
        load_less();
    }
    if (family > 0) {
        load_family();
    }
}

unsigned load_count(void)
{
    return nr_busy;
}
