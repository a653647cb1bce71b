// SPDX-License-Identifier: MIT
// Runs, compares, and finds the step. Registers and devices are compared each time; memory, whose
// comparison costs both their write translations, when enough was run since.
#include "replay/lockstep.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_STEPS 0x4000 // run between comparisons of memory
#define BURST 200           // comparisons a few steps apart that follow each other

struct side {
    struct timeline *t;
    struct machine *m;
    u64 compared_epoch; // pages of later epochs have not been compared
};

struct lockstep {
    struct side a, b;
    u64 random, dense_step;
    unsigned burst; // comparisons that are left of it
    u64 fed;        // inputs of a that b has
    u64 equal_step; // all was equal
    u64 seen_step;
    enum lockstep_difference difference;
    char line[700];
    struct lockstep_counts counts;
};

static struct side side_of(struct timeline *t)
{
    return (struct side){.t = t, .m = timeline_machine(t)};
}

struct lockstep *lockstep_create(struct timeline *a, struct timeline *b, u64 seed, u64 dense_step)
{
    struct lockstep *l = xcalloc(1, sizeof(*l));
    l->a = side_of(a);
    l->b = side_of(b);
    l->random = seed;
    l->dense_step = dense_step;
    l->equal_step = timeline_step(a);
    return l;
}

void lockstep_destroy(struct lockstep *l)
{
    free(l);
}

static u64 random_below(struct lockstep *l, u64 count) // SplitMix64
{
    u64 x = l->random += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return (x ^ x >> 31) % count;
}

// Mostly many steps to the next comparison, at times few, at times few again and again.
static u64 random_distance(struct lockstep *l)
{
    if (!l->burst && !random_below(l, 1000)) {
        l->burst = BURST;
    }
    if (l->burst) {
        l->burst--;
        return 1 + random_below(l, 16);
    }
    static const u64 ranges[] = {0x400,   0x4000,  0x10000, 0x10000,
                                 0x10000, 0x10000, 0x40000, 0x40000};
    return 1 + random_below(l, ranges[random_below(l, ARRAY_LEN(ranges))]);
}

static u64 next_distance(struct lockstep *l)
{
    u64 here = timeline_step(l->a.t);
    if (here >= l->dense_step) {
        return 1;
    }
    u64 distance = random_distance(l);
    return l->dense_step - here < distance ? l->dense_step - here : distance;
}

// b gets what a has got, and may go as far.
static void feed(struct lockstep *l, bool ended)
{
    const struct input_log *from = timeline_log(l->a.t);
    struct input_log *to = timeline_log(l->b.t);
    for (u64 count = input_log_count(from); l->fed < count; l->fed++) {
        input_log_append(to, input_log_get(from, l->fed));
    }
    const struct vclock *clock = machine_clock(l->a.m);
    // A machine that has ended itself did so after its last step, and so must the other.
    input_log_set_end(to, clock->step + ended, vclock_ns(clock));
}

static bool same_small(struct lockstep *l)
{
    l->counts.comparisons++;
    return machine_hash_small(l->a.m) == machine_hash_small(l->b.m);
}

static bool same_memory(struct lockstep *l)
{
    l->counts.memory_comparisons++;
    struct physmem *a = machine_memory(l->a.m), *b = machine_memory(l->b.m);
    u64 since_a = l->a.compared_epoch, since_b = l->b.compared_epoch;
    l->a.compared_epoch = physmem_next_epoch(a);
    l->b.compared_epoch = physmem_next_epoch(b);
    u64 count = a->ram_bytes >> PAGE_SHIFT;
    for (u32 rpn = 0; rpn < count; rpn++) {
        bool written = a->page_epoch[rpn] > since_a || b->page_epoch[rpn] > since_b;
        if (written && memcmp(physmem_page(a, rpn), physmem_page(b, rpn), PAGE_SIZE) != 0) {
            l->a.compared_epoch = since_a; // the page has not been found equal
            l->b.compared_epoch = since_b;
            return false;
        }
    }
    return true;
}

static bool is_end(enum machine_exit exit)
{
    return exit != MACHINE_EXIT_UNTIL && exit != MACHINE_EXIT_HOST && exit != MACHINE_EXIT_STOPPED;
}

static void differ(struct lockstep *l, enum lockstep_difference what)
{
    u64 a = timeline_step(l->a.t), b = timeline_step(l->b.t);
    l->seen_step = a > b ? a : b;
    l->difference = what;
}

static void note_end(struct lockstep *l, const struct machine_result *a,
                     const struct machine_result *b)
{
    char why[200];
    if (input_log_diverged(timeline_log(l->b.t), why, sizeof(why))) {
        snprintf(l->line, sizeof(l->line), "the second did not take its input: %s", why);
    } else if (a->exit != b->exit || timeline_step(l->a.t) != timeline_step(l->b.t)) {
        snprintf(l->line, sizeof(l->line),
                 "one stops at step %llu (%d%s%s), the other at %llu "
                 "(%d%s%s)",
                 (unsigned long long)timeline_step(l->a.t), (int)a->exit, *a->text ? ": " : "",
                 a->text, (unsigned long long)timeline_step(l->b.t), (int)b->exit,
                 *b->text ? ": " : "", b->text);
    } else {
        return;
    }
    differ(l, LOCKSTEP_END);
}

// The second follows to where the first is, at times with a stop on the way.
static struct machine_result follow(struct lockstep *l, const struct machine_result *first)
{
    bool ended = is_end(first->exit);
    u64 here = timeline_step(l->b.t), goal = timeline_step(l->a.t);
    feed(l, ended);
    if (goal > here + 1 && !random_below(l, 4)) {
        timeline_run(l->b.t, here + 1 + random_below(l, goal - here - 1));
    }
    return timeline_run(l->b.t, goal + ended);
}

struct machine_result lockstep_run(struct lockstep *l, u64 until_step)
{
    for (;;) {
        u64 here = timeline_step(l->a.t), distance = next_distance(l);
        u64 goal = until_step - here < distance ? until_step : here + distance;
        struct machine_result a = timeline_run(l->a.t, goal);
        if (a.exit == MACHINE_EXIT_HOST) {
            return a; // whoever is outside wants no more: what is left is not compared
        }
        struct machine_result b = follow(l, &a);
        if (b.exit == MACHINE_EXIT_HOST && !input_log_is_at_end(timeline_log(l->b.t)) &&
            !input_log_diverged(timeline_log(l->b.t), l->line, sizeof(l->line))) {
            return b;
        }
        note_end(l, &a, &b);
        if (!l->difference && !same_small(l)) {
            differ(l, LOCKSTEP_STATE);
        }
        bool last = a.exit != MACHINE_EXIT_UNTIL || goal == until_step;
        if (!l->difference && (last || goal - l->equal_step >= MEMORY_STEPS)) {
            if (same_memory(l)) {
                l->equal_step = goal;
            } else {
                differ(l, LOCKSTEP_MEMORY);
            }
        }
        if (l->difference || last) {
            return a;
        }
    }
}

enum lockstep_difference lockstep_differs(const struct lockstep *l, char *line, size_t size)
{
    snprintf(line, size, "%s", l->line);
    return l->difference;
}

void lockstep_range(const struct lockstep *l, u64 *equal_step, u64 *seen_step)
{
    *equal_step = l->equal_step;
    *seen_step = l->seen_step;
}

struct lockstep_counts lockstep_counts(const struct lockstep *l)
{
    return l->counts;
}

// One search.
struct search {
    struct lockstep *l;
    bool (*cancel)(void *ctx);
    void *ctx;
    bool cancelled;
};

// Both run from the last equal step to step, without a stop. A search that is cancelled finds all
// equal, and so ends.
static bool equal_at(struct search *s, u64 step)
{
    struct lockstep *l = s->l;
    s->cancelled = s->cancelled || !timeline_seek(l->a.t, l->equal_step, s->cancel, s->ctx) ||
                   !timeline_seek(l->b.t, l->equal_step, s->cancel, s->ctx);
    if (s->cancelled) {
        return true;
    }
    timeline_checkpoint(l->a.t); // the next search begins here, too
    timeline_checkpoint(l->b.t);
    timeline_scan(l->a.t, step);
    timeline_scan(l->b.t, step);
    return timeline_step(l->a.t) == timeline_step(l->b.t) &&
           machine_hash(l->a.m) == machine_hash(l->b.m);
}

// Doubling strides first: a difference may heal (a register is loaded anew).
bool lockstep_find(struct lockstep *l, u64 *step, bool (*cancel)(void *ctx), void *ctx)
{
    struct search s = {.l = l, .cancel = cancel, .ctx = ctx};
    u64 low = l->equal_step, high = low;
    for (u64 stride = 1; high < l->seen_step; stride *= 2) {
        high = l->seen_step - low > stride ? low + stride : l->seen_step;
        if (!equal_at(&s, high)) {
            break;
        }
        low = high;
    }
    if (low == high || s.cancelled) {
        return false;
    }
    while (high - low > 1) {
        u64 middle = low + (high - low) / 2;
        *(equal_at(&s, middle) ? &low : &high) = middle;
    }
    *step = high;
    return !equal_at(&s, high);
}
