// SPDX-License-Identifier: MIT
// Nothing but the instructions decides: random programs that rewrite their code and page tables
// reach the same state at the same step in every TLB geometry and however the steps are cut into
// budgets. Usage: test_loop [PROGRAMS [SEED]]
#include <stdio.h>
#include <stdlib.h>

#include "tests/isa/program.h"

#define CHECKPOINTS 40
#define STEPS 1000 // between checkpoints

static const struct variant {
    const char *name;
    enum tlb_geometry geometry;
    unsigned max_budget; // steps per cpu_run: 1..this at random; 0: all at once
} variants[] = {
    {"no TLB, single steps", TLB_OFF, 1}, // the truth
    {"no TLB, whole", TLB_OFF, 0},           {"tiny TLB, random cuts", TLB_TINY, 50},
    {"full TLB, whole", TLB_FULL, 0},        {"full TLB, random cuts", TLB_FULL, 20},
    {"full TLB, single steps", TLB_FULL, 1},
};

struct result {
    u64 hash[CHECKPOINTS];
    struct cpu_counters counters;
};

static void advance(struct bare *b, struct random *cuts, unsigned max_budget)
{
    u64 until = b->clock.step + STEPS;
    while (b->clock.step < until) {
        u64 left = until - b->clock.step,
            budget = max_budget ? 1 + random_below(cuts, max_budget) : left;
        cpu_run(b->cpu, budget < left ? budget : left);
    }
}

static bool run_variant(const struct variant *v, u64 seed, struct result *out)
{
    struct random r = {seed * 2 + 1}, cuts = {seed * 4 + 3};
    struct bare *b = bare_create(v->geometry);
    struct hash *h = hash_create();
    program_load(b, &r);
    for (unsigned i = 0; i < CHECKPOINTS; i++) {
        advance(b, &cuts, v->max_budget);
        out->hash[i] = program_hash(b, h);
    }
    cpu_get_counters(b->cpu, &out->counters);
    struct bare_exception e = bare_exception(b);
    if (e.vector >= 0) {
        printf("seed %lu: the program ended in exception %d at %lx\n", seed, e.vector, e.rip);
    }
    hash_destroy(h);
    bare_destroy(b);
    return e.vector < 0;
}

static bool equal(const struct result *a, const struct result *b, const char *name, u64 seed)
{
    for (unsigned i = 0; i < CHECKPOINTS; i++) {
        if (a->hash[i] != b->hash[i]) {
            printf("seed %lu: %s differs from the truth after %u steps\n", seed, name,
                   (i + 1) * STEPS);
            return false;
        }
    }
    if (a->counters.instructions != b->counters.instructions ||
        a->counters.ring0_steps != b->counters.ring0_steps) {
        printf("seed %lu: %s counts %lu instructions, the truth %lu\n", seed, name,
               b->counters.instructions, a->counters.instructions);
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    u64 programs = argc > 1 ? strtoull(argv[1], NULL, 0) : 20,
        seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    unsigned failures = 0;
    for (u64 i = 0; i < programs; i++, seed++) {
        struct result truth, other;
        failures += !run_variant(&variants[0], seed, &truth);
        for (unsigned v = 1; v < ARRAY_LEN(variants); v++) {
            run_variant(&variants[v], seed, &other);
            failures += !equal(&truth, &other, variants[v].name, seed);
        }
    }
    printf("%lu programs of %u steps, %zu variants: %u failures\n", programs, CHECKPOINTS * STEPS,
           ARRAY_LEN(variants), failures);
    return failures != 0;
}
