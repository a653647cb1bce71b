// SPDX-License-Identifier: MIT
// Helpers of the tests with work on many CPUs: rounds, random numbers of a thread's own, checks that count. What they
// print does not depend on who was faster. ROUNDS=N in the environment makes them N times as long.
#ifndef TESTS_GUEST_PARALLEL_H
#define TESTS_GUEST_PARALLEL_H

#include "t.h"
#include <pthread.h>
#include <stdatomic.h>

static atomic_int failures;

#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what) && atomic_fetch_add(&failures, 1) < 10) {                                                          \
            say("line %d: not so: %s (errno %s)\n", __LINE__, #what, errno_name(errno));                               \
        }                                                                                                              \
    } while (0)

static inline int rounds(int n)
{
    const char *factor = getenv("ROUNDS");
    return factor ? n * atoi(factor) : n;
}

static inline unsigned next_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

// Runs body(0..n-1) in n threads and waits for them.
static inline void in_threads(int n, void *(*body)(void *))
{
    pthread_t threads[32];
    for (int i = 0; i < n; i++) {
        if (pthread_create(&threads[i], NULL, body, (void *)(intptr_t)i)) {
            say("no thread\n");
            exit(1);
        }
    }
    for (int i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
    }
}

// Runs body(0..n-1) in n processes; counts those that fail.
static inline void in_processes(int n, void (*body)(int))
{
    for (int i = 0; i < n; i++) {
        if (fork() == 0) {
            atomic_store(&failures, 0);
            body(i);
            _exit(atomic_load(&failures) ? 1 : 0);
        }
    }
    for (int i = 0; i < n; i++) {
        int status = 0;
        CHECK(wait(&status) > 0);
        CHECK(status == 0);
    }
}

static inline void done(const char *what)
{
    say("%s: %s\n", what, atomic_load(&failures) ? "failed" : "as it should be");
    atomic_store(&failures, 0);
}

#endif
