// SPDX-License-Identifier: MIT
// What a workload of tools/bench is: a unit of work that can be repeated and has a checksum.
#ifndef BENCH_WORKLOADS_H
#define BENCH_WORKLOADS_H

#include <stdint.h>

struct workload {
    const char *name;
    // Makes the data, before the clock runs; may be NULL.
    void (*prepare)(void);
    // One unit. The checksum is the same each time and on every machine.
    uint64_t (*unit)(void);
};

// Each ends with an entry without a name.
extern const struct workload integer_workloads[], memory_workloads[], float_workloads[],
    kernel_workloads[];

// Ends the program with a message when something that must hold does not.
void need(int holds, const char *what);

// A xorshift generator (Marsaglia, "Xorshift RNGs", 2003); the state must not be 0.
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

// Folds a value into a checksum.
static inline uint64_t fold(uint64_t sum, uint64_t value)
{
    return (sum ^ value) * 0x9e3779b97f4a7c15u;
}

#endif
