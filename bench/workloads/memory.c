// SPDX-License-Identifier: MIT
// Workloads of memory: chains of pointers in a first-level, second-level cache and in DRAM, and
// copying.
#include <emmintrin.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "workloads.h"

struct line {
    struct line *next;
    char rest[56];
};
enum {
    L1_LINES = 16384 / 64,
    L2_LINES = 262144 / 64,
    DRAM_LINES = (64 << 20) / 64,
    L1_HOPS = 2000000,
    L2_HOPS = 1000000
};

static struct line *chain;

// A random permutation of one cycle (Sattolo's algorithm), so that every line is visited.
static void make_chain(size_t lines)
{
    uint64_t state = 88172645463325252u;
    uint32_t *order = malloc(lines * sizeof(*order));
    chain = mmap(NULL, lines * sizeof(*chain), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                 -1, 0);
    need(order && chain != MAP_FAILED, "memory for the chain");
    for (size_t i = 0; i < lines; i++) {
        order[i] = (uint32_t)i;
    }
    for (size_t i = lines - 1; i > 0; i--) {
        size_t j = next_random(&state) % i;
        uint32_t other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
    for (size_t i = 0; i < lines; i++) {
        chain[i].next = &chain[order[i]];
    }
    free(order);
}

static uint64_t hop(size_t hops)
{
    const struct line *at = chain;
    for (size_t i = 0; i < hops; i++) {
        at = at->next;
    }
    return (uint64_t)(at - chain);
}

static void prepare_l1(void)
{
    make_chain(L1_LINES);
}

static void prepare_l2(void)
{
    make_chain(L2_LINES);
}

static void prepare_dram(void)
{
    make_chain(DRAM_LINES);
}

static uint64_t unit_l1(void)
{
    return hop(L1_HOPS);
}

static uint64_t unit_l2(void)
{
    return hop(L2_HOPS);
}

// Nearly once around: no line is visited twice.
static uint64_t unit_dram(void)
{
    return hop(DRAM_LINES - 1000);
}

enum { BLOCK = 1 << 16, COPIES = 64 };
static unsigned char from[BLOCK * 2], to[BLOCK * 2];

static void prepare_copy(void)
{
    uint64_t state = 1;
    for (size_t i = 0; i < sizeof(from); i++) {
        from[i] = (unsigned char)next_random(&state);
    }
}

static uint64_t sum_of_copies(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof(to); i += 997) {
        sum = fold(sum, to[i]);
    }
    return sum;
}

// The C library's: musl's is REP MOVSQ. Sizes from 64 bytes to 64 KiB, as many bytes of each, to
// odd places.
static uint64_t unit_memcpy(void)
{
    static void *(*volatile copy)(void *, const void *, size_t) = memcpy;
    for (size_t size = 64; size <= BLOCK; size *= 4) {
        for (size_t done = 0; done < BLOCK * COPIES / 4; done += size) {
            copy(to + done % BLOCK + size % 31, from + (done * 3 & (BLOCK - 1)), size);
        }
    }
    return sum_of_copies();
}

// A loop of 16-byte loads and stores, as compilers and other libraries have it.
static uint64_t unit_copy_loop(void)
{
    for (int n = 0; n < COPIES; n++) {
        unsigned char *out = to + n * 16;
        for (size_t i = 0; i < BLOCK; i += 16) {
            _mm_storeu_si128((__m128i *)(void *)(out + i),
                             _mm_loadu_si128((const __m128i *)(const void *)(from + n + i)));
        }
        __asm__ volatile("" ::: "memory"); // all the copies, not only the last
    }
    return sum_of_copies();
}

const struct workload memory_workloads[] = {
    {"chase-l1", prepare_l1, unit_l1},           {"chase-l2", prepare_l2, unit_l2},
    {"chase-dram", prepare_dram, unit_dram},     {"memcpy", prepare_copy, unit_memcpy},
    {"copy-loop", prepare_copy, unit_copy_loop}, {NULL, NULL, NULL},
};
