// SPDX-License-Identifier: MIT
// test_checkpoints [SEED [MOVES]]: checkpoints against a model: a machine that does not run, a
// clock set by hand, and a few pages that are written by a fixed rule with few values, so that old
// contents come back.
#include "replay/checkpoints.h"

#include "base/memory.h"
#include "machine/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGES 12
#define FIRST_PAGE 256
#define STEPS 4000
#define VALUES 3

static u64 mix(u64 x)
{
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

struct model {
    u8 value[STEPS + 1][PAGES];
    u8 page_of[STEPS + 1]; // the page that the step before this state wrote; PAGES: none
};

struct bench {
    struct machine *m;
    struct vclock *clock;
    struct checkpoints c;
    struct model *model;
    u64 random_state;
    int failures;
};

static u64 random_below(struct bench *b, u64 count)
{
    b->random_state += UINT64_C(0x9E3779B97F4A7C15);
    return mix(b->random_state) % count;
}

static void expect(struct bench *b, bool good, const char *what, u64 step)
{
    if (!good && b->failures++ < 10) {
        fprintf(stderr, "test_checkpoints: %s (step %llu)\n", what, (unsigned long long)step);
    }
}

static struct model *make_model(u64 seed)
{
    struct model *model = xcalloc(1, sizeof(*model));
    model->page_of[0] = PAGES;
    for (u64 t = 1; t <= STEPS; t++) {
        memcpy(model->value[t], model->value[t - 1], PAGES);
        u64 x = mix(seed + t * UINT64_C(0x9E3779B97F4A7C15));
        model->page_of[t] = x % 4 ? PAGES : (u8)(x >> 8) % PAGES;
        if (model->page_of[t] < PAGES) {
            model->value[t][model->page_of[t]] = (u8)((x >> 20) % VALUES);
        }
    }
    return model;
}

static void write_page(struct bench *b, unsigned page, u8 value)
{
    u8 bytes[PAGE_SIZE];
    memset(bytes, value, sizeof(bytes));
    physmem_write_page(machine_memory(b->m), FIRST_PAGE + page, 0, bytes, PAGE_SIZE);
}

static void check(struct bench *b)
{
    for (unsigned p = 0; p < PAGES; p++) {
        const u8 *page = physmem_page(machine_memory(b->m), FIRST_PAGE + p);
        u8 wanted = b->model->value[b->clock->step][p];
        expect(b, page[0] == wanted && page[PAGE_SIZE - 1] == wanted, "a page holds something else",
               b->clock->step);
    }
}

// As the timeline runs: checkpoints that are there are passed.
static void run_to(struct bench *b, u64 step)
{
    while (b->clock->step < step) {
        u64 t = ++b->clock->step;
        if (b->model->page_of[t] < PAGES) {
            write_page(b, b->model->page_of[t], b->model->value[t][b->model->page_of[t]]);
        }
        struct checkpoint *there = checkpoints_at(&b->c, t);
        if (there) {
            checkpoints_pass(&b->c, there);
        }
    }
}

// Brought there instead of run: only what differs is written.
static void import(struct bench *b, u64 step)
{
    checkpoints_load(&b->c, b->c.list[checkpoints_until(&b->c, step) - 1]);
    u64 from = b->clock->step;
    for (unsigned p = 0; p < PAGES; p++) {
        if (b->model->value[from][p] != b->model->value[step][p]) {
            write_page(b, p, b->model->value[step][p]);
        }
    }
    b->clock->step = step;
    checkpoints_take(&b->c, step, true);
}

static void move(struct bench *b)
{
    u64 step = b->clock->step, room = STEPS - step;
    switch (random_below(b, 8)) {
    case 0:
    case 1:
        run_to(b, step + random_below(b, room < 300 ? room + 1 : 300));
        break;
    case 2:
    case 3:
        checkpoints_take(&b->c, step, false);
        break;
    case 4:
        checkpoints_thin(&b->c, step, UINT64_MAX, 2 + (unsigned)random_below(b, 40));
        break;
    case 5:
        import(b, random_below(b, STEPS + 1));
        break;
    default: {
        struct checkpoint *to = b->c.list[random_below(b, b->c.count)];
        checkpoints_load(&b->c, to);
        expect(b, b->clock->step == to->step && to->position == to->step, "another step", to->step);
        break;
    }
    }
    check(b);
}

// A page written between two checkpoints is in the later one's list, unless that one guesses.
static void check_lists(struct bench *b)
{
    for (unsigned i = 1; i < b->c.count; i++) {
        const struct checkpoint *p = b->c.list[i];
        for (u64 t = b->c.list[i - 1]->step + 1; t <= p->step && !p->guessed; t++) {
            u8 page = b->model->page_of[t];
            expect(b, page == PAGES || page_list_has(&p->written, FIRST_PAGE + page),
                   "a written page is not in the list", t);
        }
    }
}

static bool open_machine(struct bench *b)
{
    void *tree;
    struct tree_changes changes = {.mem_bytes = 16 << 20};
    struct host host = {0};
    struct status s = tree_prepare(&tree, tree_builtin, tree_builtin_size, "built-in", &changes);
    if (status_ok(&s)) {
        struct machine_config config = {.tree = tree, .host = &host, .cpu_model = "v2"};
        s = machine_create(&b->m, &config);
        free(tree);
    }
    if (!status_ok(&s)) {
        fprintf(stderr, "test_checkpoints: %s\n", s.text);
    }
    return status_ok(&s);
}

int main(int argc, char **argv)
{
    u64 seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    unsigned moves = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : 30000, most = 0;
    struct bench b = {.random_state = seed, .model = make_model(seed)};
    if (!open_machine(&b)) {
        return 1;
    }
    b.clock = (struct vclock *)(uintptr_t)machine_clock(b.m);
    checkpoints_init(&b.c, b.m);
    checkpoints_take(&b.c, 0, false);
    for (unsigned n = 0; n < moves && !b.failures; n++) {
        move(&b);
        check_lists(&b);
        most = b.c.count > most ? b.c.count : most;
    }
    checkpoints_thin(&b.c, 0, 0, 0); // all but the first and where we are
    expect(&b, b.c.count <= 2, "checkpoints that cannot be thinned", b.c.count);
    expect(&b, checkpoints_bytes(&b.c) < PAGES * 2 * (PAGE_SIZE + 256) + 200000,
           "memory is not given back", checkpoints_bytes(&b.c));
    printf("# %u moves, up to %u checkpoints, %llu bytes at the end\n", moves, most,
           (unsigned long long)checkpoints_bytes(&b.c));
    checkpoints_free(&b.c);
    machine_destroy(b.m);
    free(b.model);
    printf("%s\n", b.failures ? "FAILED" : "passed");
    return b.failures != 0;
}
