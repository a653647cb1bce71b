// SPDX-License-Identifier: MIT
// Loops that walk through memory in equal steps, over the ends of pages, and what else compilers
// make of such loops: several accesses by one pointer, an index, a way out in the middle.
#include "tests/lockstep/kinds.h"

#include <string.h>

#define RSP 4

struct walk {
    u8 pointer[2], index, stride, count, data[3]; // registers, all different
    bool indexed;
    bool neat; // nothing lies across the end of a page
    u8 scale;
    unsigned head;
    struct {
        unsigned at; // of a displacement of 4 bytes
    } exits[3];
    unsigned exit_count;
};

static void choose_registers(struct generator *g, u8 *list, unsigned count)
{
    u16 taken = 1 << RSP;
    for (unsigned n = 0; n < count; n++) {
        unsigned reg = pick(g, 16);
        while (taken & 1 << reg) {
            reg = (reg + 1) % 16;
        }
        taken |= (u16)(1 << reg);
        list[n] = (u8)reg;
    }
}

static struct rm walk_rm(struct generator *g, const struct walk *w)
{
    struct rm rm = {.mem = true, .base = w->pointer[pick(g, 2)], .index = 16};
    if (w->indexed && !chance(g, 4)) {
        rm.index = w->index;
        rm.scale = w->scale;
    }
    rm.disp = w->neat || chance(g, 2) ? 0 : (s32)pick(g, 80) - 40;
    if (chance(g, 2)) {
        rm.disp &= ~15;
    }
    return rm;
}

// Registers of the loop itself are left alone, mostly.
static u8 data_register(struct generator *g, const struct walk *w)
{
    return chance(g, 200) ? (u8)pick(g, 4) : w->data[pick(g, 3)];
}

static void write_vector_access(struct generator *g, const struct walk *w)
{
    static const struct {
        u8 opcode, prefix;
    } kinds[] = {{0x10, 0},    {0x11, 0}, {0x10, 0xF3}, {0x11, 0xF3}, {0x10, 0xF2},
                 {0x28, 0},    {0x29, 0}, {0x6F, 0xF3}, {0x7F, 0xF3}, {0xFE, 0x66},
                 {0xEF, 0x66}, {0x58, 0}, {0x7E, 0xF3}, {0xD6, 0x66}};
    unsigned n = pick(g, ARRAY_LEN(kinds));
    struct encoding e = {.map = MAP_0F,
                         .opcode = kinds[n].opcode,
                         .has_rm = true,
                         .reg = (u8)pick(g, 16),
                         .rm = walk_rm(g, w)};
    if (kinds[n].prefix) {
        e.prefix[e.prefix_count++] = kinds[n].prefix;
    }
    encode(g, &e);
}

static void write_access(struct generator *g, const struct walk *w)
{
    unsigned width = any_width(g);
    struct encoding e = {.has_rm = true, .reg = data_register(g, w), .rm = walk_rm(g, w)};
    switch (pick(g, 8)) {
    case 0:
    case 1: // MOV
        e.opcode = (width ? 0x89 : 0x88) | (u8)(pick(g, 2) << 1);
        break;
    case 2: // ADD to CMP
    case 3:
        e.opcode = (u8)(pick(g, 8) << 3 | pick(g, 2) << 1 | (width != 0));
        break;
    case 4: // MOVZX, MOVSX
        e.map = MAP_0F;
        e.opcode = (u8)(0xB6 | pick(g, 2) << 3 | pick(g, 2));
        width = 2;
        break;
    case 5: // shifts by an immediate, and immediates
        e.opcode = chance(g, 2) ? (width ? 0xC1 : 0xC0) : width ? 0x83 : 0x80;
        e.reg = (u8)(e.opcode >= 0xC0 ? 4 + pick(g, 2) : pick(g, 8));
        e.imm = pick(g, 256);
        e.imm_size = 1;
        break;
    default:
        write_vector_access(g, w);
        return;
    }
    set_width(&e, width);
    byte_registers(g, &e, width);
    encode(g, &e);
}

static void write_register_work(struct generator *g, const struct walk *w)
{
    unsigned width = any_width(g);
    struct encoding e = {.opcode = (u8)(pick(g, 8) << 3 | 2 | (width != 0)),
                         .has_rm = true,
                         .reg = data_register(g, w),
                         .rm = register_rm(w->data[pick(g, 3)])};
    set_width(&e, width);
    byte_registers(g, &e, width);
    encode(g, &e);
}

static void write_exit(struct generator *g, struct walk *w)
{
    u8 code[6] = {0x0F, (u8)(0x80 | pick(g, 16))};
    if (w->exit_count < ARRAY_LEN(w->exits)) {
        write_plain(g, code, 6);
        w->exits[w->exit_count++].at = g->at - 4;
    }
}

// reg += by, in one of the ways that there are.
static void write_step(struct generator *g, unsigned reg, s32 by)
{
    struct encoding e = {.opcode = 0x83,
                         .has_rm = true,
                         .wide = !chance(g, 40),
                         .imm = (u64)by,
                         .imm_size = 1,
                         .rm = register_rm(reg)};
    if ((by == 1 || by == -1) && chance(g, 2)) {
        e.opcode = 0xFF;
        e.reg = by < 0;
        e.imm_size = 0;
    } else if (chance(g, 4)) {
        e = (struct encoding){.opcode = 0x8D, .has_rm = true, .wide = true, .reg = (u8)reg};
        e.rm = (struct rm){.mem = true, .base = (u8)reg, .index = 16, .disp = by};
    } else if (by != (s8)by) {
        e.opcode = 0x81;
        e.imm_size = 4;
    } else if (chance(g, 3)) { // SUB
        e.reg = 5;
        e.imm = (u64)-by;
        e.imm_size = by == -128 ? 4 : 1;
        e.opcode = by == -128 ? 0x81 : 0x83;
    }
    encode(g, &e);
}

static s32 any_step(struct generator *g, const struct walk *w)
{
    if (w->neat) {
        return 16;
    }
    static const s16 steps[] = {1, 1, 2, 4, 8, 8, 16, 16, 32, 24, 12, 3, 64, 100, 520};
    s32 by = steps[pick(g, ARRAY_LEN(steps))];
    return chance(g, 5) ? -by : by;
}

static void write_body(struct generator *g, struct walk *w)
{
    for (unsigned n = 1 + pick(g, 6); n; n--) {
        switch (pick(g, 8)) {
        case 0:
            write_exit(g, w);
            break;
        case 1:
        case 2:
            write_register_work(g, w);
            break;
        default:
            write_access(g, w);
            break;
        }
    }
}

static void write_steps(struct generator *g, const struct walk *w, s32 by)
{
    bool add_register = !w->neat && chance(g, 6);
    for (unsigned n = 0; n < 2; n++) {
        if (chance(g, 3) && w->indexed) {
            continue; // it stays
        }
        if (add_register) {
            struct encoding add = {.opcode = 0x01,
                                   .has_rm = true,
                                   .wide = true,
                                   .reg = w->stride,
                                   .rm = register_rm(w->pointer[n])};
            encode(g, &add);
        } else {
            write_step(g, w->pointer[n], chance(g, 4) ? any_step(g, w) : by);
        }
        if (chance(g, 4)) {
            write_access(g, w);
        }
    }
}

// The loop's condition and its jump back.
static void write_end(struct generator *g, const struct walk *w, s32 index_step)
{
    u8 code[6] = {0x0F, 0x85};
    if (w->indexed && !chance(g, 3)) {
        struct encoding compare = {.opcode = 0x81,
                                   .has_rm = true,
                                   .wide = !chance(g, 4),
                                   .reg = 7,
                                   .imm_size = 4,
                                   .rm = register_rm(w->index)};
        compare.imm = (u64)((s64)index_step * (1 + pick(g, chance(g, 2) ? 8 : 200)));
        write_step(g, w->index, index_step);
        encode(g, &compare);
        code[1] = chance(g, 3) && index_step > 0 ? 0x82 : 0x85;
    } else {
        write_step(g, w->count, -1);
        if (chance(g, 3)) {
            struct encoding test = {.opcode = 0x85,
                                    .has_rm = true,
                                    .wide = true,
                                    .reg = w->count,
                                    .rm = register_rm(w->count)};
            encode(g, &test);
        }
    }
    s32 distance = (s32)(w->head - (g->at + 6));
    memcpy(code + 2, &distance, 4);
    write_plain(g, code, 6);
}

// Often shortly before a page's end (or its beginning): of the one before that which is read-only.
static u64 any_begin(struct generator *g, bool neat)
{
    u64 data = chance(g, 6) ? (u64)(s64)(KERNEL) + KERNEL_DATA : DATA;
    unsigned page = chance(g, 2) ? 4 : 1 + pick(g, 7);
    u64 target = chance(g, 2) ? any_target(g, 64) : data + page * PAGE_SIZE + 100 - pick(g, 500);
    return neat || chance(g, 2) ? target & ~UINT64_C(15) : target;
}

// The TLB gets to know the page that is read-only.
static void write_read(struct generator *g, u8 reg)
{
    struct encoding load = {.opcode = 0x8B, .has_rm = true, .reg = reg};
    load.rm = (struct rm){.mem = true, .base = 16, .index = 16, .disp = DATA + 4 * PAGE_SIZE};
    encode(g, &load);
}

void write_walk(struct generator *g)
{
    struct walk w = {.indexed = chance(g, 2), .scale = (u8)(chance(g, 2) ? 0 : pick(g, 4))};
    w.neat = !w.indexed && chance(g, 2);
    u8 all[8];
    if (g->depth) {
        return;
    }
    choose_registers(g, all, ARRAY_LEN(all));
    memcpy(w.pointer, all, 2);
    w.index = all[2];
    w.stride = all[3];
    w.count = all[4];
    memcpy(w.data, all + 5, 3);
    for (unsigned n = 0; n < 2; n++) {
        load_constant(g, w.pointer[n], any_begin(g, w.neat));
    }
    if (chance(g, 2)) {
        write_read(g, w.stride);
    }
    load_constant(g, w.stride, chance(g, 10) ? small_or_any(g) : pick(g, chance(g, 2) ? 10 : 300));
    load_constant(g, w.count, 1 + pick(g, chance(g, 2) ? 20 : 500));
    load_constant(g, w.index, 0);
    forget_all(g);
    w.head = g->at;
    bool first = chance(g, 6);
    s32 by = any_step(g, &w);
    if (first) {
        write_steps(g, &w, by);
    }
    write_body(g, &w);
    if (!first) {
        write_steps(g, &w, by);
    }
    write_end(g, &w, any_step(g, &w));
    for (unsigned n = 0; n < w.exit_count; n++) {
        s32 distance = (s32)(g->at - (w.exits[n].at + 4));
        memcpy(g->p->code + w.exits[n].at, &distance, 4);
    }
    forget_all(g);
}
