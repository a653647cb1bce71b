// SPDX-License-Identifier: MIT
// Stack, branches, calls, loops.
#include "tests/lockstep/kinds.h"

#include <string.h>

#define COUNTERS (DATA + 3 * PAGE_SIZE + 0xF00) // of loops

void write_stack(struct generator *g)
{
    unsigned what = pick(g, 8), reg = any_register(g);
    struct encoding push = {.opcode = 0x50, .reg = (u8)reg},
                    pop = {.opcode = 0x58, .reg = (u8)any_register(g)};
    if (what == 0) { // through memory
        push = (struct encoding){.opcode = 0xFF, .has_rm = true, .reg = 6, .rm = memory_rm(g, 8)};
    } else if (what == 1) {
        push = (struct encoding){.opcode = chance(g, 2) ? 0x68 : 0x6A, .imm = random_value(&g->r)};
        push.imm_size = push.opcode == 0x68 ? 4 : 1;
    } else if (what == 2) {
        push = (struct encoding){.opcode = 0x9C}; // PUSHF
    }
    if (chance(g, 16)) {
        push.prefix[push.prefix_count++] = pop.prefix[pop.prefix_count++] = 0x66;
    }
    encode(g, &push);
    for (unsigned n = pick(g, 3); n; n--) {
        write_one(g);
    }
    if (what == 3) {
        pop = (struct encoding){.opcode = 0x8F, .has_rm = true, .rm = memory_rm(g, 8)};
    } else if (what == 2 && chance(g, 3)) {
        // POPF, with what may be there: TF at times.
        struct encoding change = {.opcode = 0x81,
                                  .has_rm = true,
                                  .wide = true,
                                  .reg = 6,
                                  .imm_size = 4,
                                  .rm = {.mem = true, .base = 4, .index = 16}};
        static const u32 flags[] = {0x8D5, 0x8D5, 0x400, 0x40000, 0x100, 0x200000};
        change.imm = flags[pick(g, 6)];
        if (change.imm == 0x100) {
            struct encoding few = {
                .opcode = 0xC7,
                .has_rm = true,
                .imm_size = 4,
                .imm = pick(g, 12),
                .rm = {.mem = true, .base = 16, .index = 16, .disp = VARS + V_TF_LEFT}};
            encode(g, &few);
        }
        encode(g, &change);
        pop = (struct encoding){.opcode = 0x9D};
    }
    encode(g, &pop);
    note_written(g, &pop, true, true);
}

void write_forward_branch(struct generator *g)
{
    bool is_long = chance(g, 3), unconditional = chance(g, 8);
    u8 code[6] = {0x0F, (u8)(0x80 | pick(g, 16))};
    unsigned size = is_long ? 6 : 2;
    if (!is_long) {
        code[0] = (u8)(0x70 | pick(g, 16));
        code[0] = chance(g, 20) ? (u8)(0xE0 + pick(g, 4)) : code[0]; // LOOPNE to JRCXZ
    }
    if (unconditional) {
        code[0] = is_long ? 0xE9 : 0xEB;
        size = is_long ? 5 : 2;
    }
    write_plain(g, code, size);
    unsigned behind = g->at;
    for (unsigned n = 1 + pick(g, 5); n && g->at - behind < 80; n--) {
        write_one(g);
    }
    if (g->at - behind > 127 && !is_long) {
        return; // never taken far: it goes to itself's end
    }
    s32 distance = (s32)(g->at - behind);
    memcpy(g->p->code + behind - (is_long ? 4 : 1), &distance, is_long ? 4 : 1);
    forget_all(g);
}

// Over a few instructions by way of a register or of memory.
void write_indirect_jump(struct generator *g)
{
    unsigned reg = any_register(g) | 8, to;
    struct encoding jump = {.opcode = 0xFF, .has_rm = true, .reg = 4, .rm = register_rm(reg)};
    load_constant(g, reg, CODE);
    to = g->at - 4;
    if (chance(g, 2)) {
        struct rm slot = memory_at(g, DATA + 2 * PAGE_SIZE + 0x400 + 8 * pick(g, 64));
        struct encoding store = {
            .opcode = 0x89, .has_rm = true, .wide = true, .reg = (u8)reg, .rm = slot};
        encode(g, &store);
        jump.rm = slot;
        if (slot.rip) {
            return;
        }
    }
    encode(g, &jump);
    for (unsigned n = pick(g, 4); n; n--) {
        write_one(g);
    }
    u32 target = CODE + g->at;
    memcpy(g->p->code + to, &target, 4);
    forget_all(g);
}

void write_frame(struct generator *g)
{
    static const u8 enter[] = {0x55, 0x48, 0x89, 0xE5}, leave[] = {0xC9};
    write_plain(g, enter, 1);
    write_plain(g, enter + 1, 3);
    forget(g, 5);
    for (unsigned n = pick(g, 4); n; n--) {
        write_one(g);
    }
    write_plain(g, leave, 1);
}

static struct rm counter_rm(unsigned n)
{
    return (struct rm){.mem = true, .base = 16, .index = 16, .disp = (s32)(COUNTERS + 4 * n)};
}

void write_loop(struct generator *g)
{
    if (g->depth == 2 || g->counters == 32) {
        return;
    }
    unsigned n = g->counters++;
    struct encoding set = {
        .opcode = 0xC7, .has_rm = true, .rm = counter_rm(n), .imm_size = 4, .imm = 1 + pick(g, 60)};
    struct encoding down = {
        .opcode = chance(g, 2) ? 0xFF : 0x83, .has_rm = true, .reg = 1, .rm = counter_rm(n)};
    if (down.opcode == 0x83) {
        down.reg = 5;
        down.imm = 1;
        down.imm_size = 1;
    }
    encode(g, &set);
    forget_all(g);
    unsigned head = g->at;
    g->depth++;
    for (unsigned i = 1 + pick(g, 12); i && g->at - head < 400; i--) {
        write_one(g);
    }
    g->depth--;
    encode(g, &down);
    u8 code[6] = {0x0F, chance(g, 2) ? 0x85 : 0x8F};
    s32 distance = (s32)(head - (g->at + 6));
    memcpy(code + 2, &distance, 4);
    write_plain(g, code, 6);
}

void write_call(struct generator *g)
{
    if (!g->function_count) {
        return;
    }
    unsigned to = g->functions[pick(g, g->function_count)];
    s32 distance = (s32)(to - (g->at + 5));
    u8 code[5] = {0xE8};
    struct encoding indirect = {.opcode = 0xFF, .has_rm = true, .reg = 2};
    switch (pick(g, 4)) {
    case 0: // by a register, at times where the large page has the function
        indirect.rm = register_rm(8 + pick(g, 8));
        load_constant(g, indirect.rm.reg, chance(g, 4) ? LARGE + world_code_gpa(to) : CODE + to);
        encode(g, &indirect);
        break;
    case 1: { // by memory
        u64 slot = DATA + 2 * PAGE_SIZE + 8 * pick(g, 64);
        struct encoding store = {
            .opcode = 0xC7, .has_rm = true, .wide = true, .imm_size = 4, .imm = CODE + to};
        store.rm = memory_at(g, slot);
        encode(g, &store);
        indirect.rm = memory_at(g, slot);
        encode(g, &indirect);
        break;
    }
    default:
        memcpy(code + 1, &distance, 4);
        write_plain(g, code, 5);
        break;
    }
    forget_all(g);
}
