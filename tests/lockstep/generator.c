// SPDX-License-Identifier: MIT
// The kinds of instructions, weighted towards what compilers emit, and the shape of a program:
// functions, then a main loop.
#include "tests/lockstep/generator.h"

#include <string.h>

#include "tests/lockstep/kinds.h"

#define BODY_BYTES 2600 // of a program, about

static const struct {
    void (*emit)(struct generator *g);
    unsigned weight;
} kinds[] = {
    {write_alu, 200},
    {write_alu_immediate, 100},
    {write_mov, 200},
    {write_constant, 30},
    {write_lea, 40},
    {write_extend, 50},
    {write_shift, 60},
    {write_group3, 40},
    {write_imul, 20},
    {write_condition, 50},
    {write_bits, 30},
    {write_bmi, 25},
    {write_odd_integer, 8},
    {write_exchange, 25},
    {write_flag, 25},
    {write_stack, 50},
    {write_string, 15},
    {write_vector, 90},
    {write_x87, 25},
    {write_forward_branch, 80},
    {write_loop, 35},
    {write_call, 30},
    {write_self_modification, 14},
    {write_system, 10},
    {write_indirect_jump, 15},
    {write_segment, 8},
    {write_state, 6},
    {write_frame, 10},
    {write_control, 5},
    {write_garbage, 3},
};

// Each program has a taste: some kinds are left out of it, so that blocks get long, or are of one
// kind.
void write_one(struct generator *g)
{
    unsigned total = 0;
    if (g->at > CODE_BYTES - 600) {
        return;
    }
    if (g->p->ring0 && chance(g, 30)) {
        write_ring0(g);
        return;
    }
    if (g->walks && chance(g, 12)) {
        (chance(g, 3) ? write_string : write_walk)(g);
        return;
    }
    u64 taste = g->p->data_seed;
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        total += taste >> i & 1 || i < 3 ? kinds[i].weight : 0;
    }
    unsigned n = pick(g, total), i = 0;
    while (true) {
        unsigned weight = taste >> i & 1 || i < 3 ? kinds[i].weight : 0;
        if (n < weight) {
            break;
        }
        n -= weight;
        i++;
    }
    kinds[i].emit(g);
}

// Somewhere in what is left; often so that a page ends within.
static void skip_some(struct generator *g)
{
    unsigned to_edge = PAGE_SIZE - g->at % PAGE_SIZE;
    if (g->gap_count < ARRAY_LEN(g->gaps) && chance(g, 2)) {
        g->gaps[g->gap_count++] = g->at;
        g->at += 72; // and what an access of 32 bytes reaches
        to_edge = PAGE_SIZE - g->at % PAGE_SIZE;
    }
    g->at += chance(g, 3) && to_edge > 60 && g->at < 0x3000 ? to_edge - pick(g, 60) : pick(g, 100);
}

static void write_function(struct generator *g)
{
    static const u8 ret[] = {0xC3};
    skip_some(g);
    unsigned entry = g->at;
    forget_all(g);
    for (unsigned n = 1 + pick(g, 20); n && g->at - entry < 300; n--) {
        write_one(g);
    }
    write_plain(g, ret, 1);
    g->functions[g->function_count++] = entry;
}

static void write_main(struct generator *g)
{
    struct program *p = g->p;
    skip_some(g);
    forget_all(g);
    p->start = (u16)g->at;
    load_constant(g, 4, STACK + STACK_PAGES * PAGE_SIZE - 0x100 - pick(g, 0x1000));
    static const unsigned limits[] = {100, 300, 600, BODY_BYTES};
    unsigned limit = 20 + pick(g, limits[pick(g, ARRAY_LEN(limits))]);
    while (g->at - p->start < limit && g->at < CODE_BYTES - 600) {
        write_one(g);
    }
    u8 code[5] = {0xE9};
    s32 distance = (s32)(p->start - (g->at + 5));
    memcpy(code + 1, &distance, 4);
    write_plain(g, code, 5);
}

static void choose_state(struct generator *g)
{
    struct program *p = g->p;
    static const u32 mxcsr[] = {0x1F80, 0x1F80, 0x1F80, 0x9FC0, 0x7F80, 0x1D80};
    for (unsigned i = 0; i < 16; i++) {
        p->gpr[i] = chance(g, 2) ? any_target(g, 8) : random_value(&g->r);
    }
    p->ring0 = chance(g, 2);
    p->rflags = (random_u64(&g->r) & 0x8D5) | 2 | (chance(g, 8) ? 0 : 0x200);
    p->cr0 = 0x80010033 | (chance(g, 2) ? 0x40000 : 0);
    p->cr4 = 0x506A0 |
             (chance(g, 4) ? 0x300000 : 0); // PAE PGE OSFXSR OSXMMEXCPT FSGSBASE OSXSAVE, SMEP SMAP
    p->rflags |= p->ring0 && p->cr4 & 0x200000 ? 0x40000 : 0; // AC: or all data were out of reach
    p->mxcsr = mxcsr[pick(g, ARRAY_LEN(mxcsr))];
    p->period = chance(g, 3) ? 10 + pick(g, 100) : 500 + pick(g, 1500);
    p->data_seed = random_u64(&g->r) | random_u64(&g->r);
    p->data_seed |= chance(g, 4) ? UINT32_MAX : 0;
}

void program_generate(struct program *p, u64 seed)
{
    memset(p, 0, sizeof(*p));
    p->seed = seed;
    struct generator g = {.p = p, .r = {(seed + 1) * UINT64_C(0x9E3779B97F4A7C15) | 1}};
    for (unsigned i = 0; i < 8; i++) {
        random_u64(&g.r);
    }
    choose_state(&g);
    g.walks = seed % 2 == 0;
    g.polite = chance(&g, 2);
    g.at = pick(&g, 0x1000);
    for (unsigned n = pick(&g, 5); n; n--) {
        write_function(&g);
    }
    write_main(&g);
}
