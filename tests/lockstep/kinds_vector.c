// SPDX-License-Identifier: MIT
// SSE, AVX, x87, and instructions that save them.
#include "tests/lockstep/kinds.h"

enum { VEX_ONLY = 1, LEGACY_ONLY = 2, NDS = 4, L_TOO = 8, IMM = 16 };

// Valid ones: opcodes of a map, the prefixes (bits: none 66 F3 F2) and forms that they have.
static const struct {
    u8 map, first, last, prefixes, flags;
} vector_rows[] = {
    {MAP_0F, 0x10, 0x11, 0x3, L_TOO},
    {MAP_0F, 0x10, 0x11, 0xC, LEGACY_ONLY},
    {MAP_0F, 0x14, 0x15, 0x3, NDS | L_TOO},
    {MAP_0F, 0x28, 0x29, 0x3, L_TOO},
    {MAP_0F, 0x2A, 0x2A, 0xC, NDS},
    {MAP_0F, 0x2C, 0x2D, 0xC, 0},
    {MAP_0F, 0x2E, 0x2F, 0x3, 0},
    {MAP_0F, 0x51, 0x51, 0x3, L_TOO},
    {MAP_0F, 0x51, 0x51, 0xC, NDS},
    {MAP_0F, 0x54, 0x57, 0x3, NDS | L_TOO},
    {MAP_0F, 0x58, 0x59, 0xF, NDS | L_TOO},
    {MAP_0F, 0x58, 0x59, 0xC, NDS},
    {MAP_0F, 0x5C, 0x5F, 0xF, NDS | L_TOO},
    {MAP_0F, 0x5A, 0x5A, 0xC, NDS},
    {MAP_0F, 0x5B, 0x5B, 0x7, L_TOO},
    {MAP_0F, 0x60, 0x6D, 0x2, NDS | L_TOO},
    {MAP_0F, 0x6E, 0x6E, 0x2, 0},
    {MAP_0F, 0x6F, 0x6F, 0x6, L_TOO},
    {MAP_0F, 0x7F, 0x7F, 0x6, L_TOO},
    {MAP_0F, 0x7E, 0x7E, 0x6, 0},
    {MAP_0F, 0x70, 0x70, 0xE, L_TOO | IMM},
    {MAP_0F, 0x74, 0x76, 0x2, NDS | L_TOO},
    {MAP_0F, 0xC2, 0xC2, 0xF, NDS | L_TOO | IMM},
    {MAP_0F, 0xC6, 0xC6, 0x3, NDS | L_TOO | IMM},
    {MAP_0F, 0xD1, 0xD5, 0x2, NDS | L_TOO},
    {MAP_0F, 0xD6, 0xD6, 0x2, 0},
    {MAP_0F, 0xD8, 0xE5, 0x2, NDS | L_TOO},
    {MAP_0F, 0xE8, 0xEF, 0x2, NDS | L_TOO},
    {MAP_0F, 0xF1, 0xF6, 0x2, NDS | L_TOO},
    {MAP_0F, 0xF8, 0xFE, 0x2, NDS | L_TOO},
    {MAP_0F38, 0x00, 0x0B, 0x2, NDS | L_TOO},
    {MAP_0F38, 0x1C, 0x1E, 0x2, L_TOO},
    {MAP_0F38, 0x20, 0x25, 0x2, L_TOO},
    {MAP_0F38, 0x28, 0x29, 0x2, NDS | L_TOO},
    {MAP_0F38, 0x30, 0x35, 0x2, L_TOO},
    {MAP_0F38, 0x37, 0x40, 0x2, NDS | L_TOO},
    {MAP_0F38, 0x45, 0x47, 0x2, NDS | L_TOO | VEX_ONLY},
    {MAP_0F38, 0x58, 0x59, 0x2, L_TOO | VEX_ONLY},
    {MAP_0F38, 0x78, 0x79, 0x2, L_TOO | VEX_ONLY},
    {MAP_0F38, 0x96, 0x9F, 0x2, NDS | L_TOO | VEX_ONLY},
    {MAP_0F38, 0xA6, 0xAF, 0x2, NDS | L_TOO | VEX_ONLY},
    {MAP_0F38, 0xB6, 0xBF, 0x2, NDS | L_TOO | VEX_ONLY},
    {MAP_0F3A, 0x08, 0x09, 0x2, L_TOO | IMM},
    {MAP_0F3A, 0x0A, 0x0B, 0x2, NDS | IMM},
    {MAP_0F3A, 0x0C, 0x0F, 0x2, NDS | L_TOO | IMM},
    {MAP_0F3A, 0x14, 0x17, 0x2, IMM},
};

static void choose_valid_vector(struct generator *g, struct encoding *e)
{
    unsigned n = pick(g, ARRAY_LEN(vector_rows)), flags = vector_rows[n].flags;
    e->map = vector_rows[n].map;
    e->opcode =
        (u8)(vector_rows[n].first + pick(g, vector_rows[n].last - vector_rows[n].first + 1u));
    do {
        e->pp = (u8)pick(g, 4);
    } while (!(vector_rows[n].prefixes >> e->pp & 1));
    e->imm_size = (flags & IMM) != 0;
    e->vex = flags & VEX_ONLY || (!(flags & LEGACY_ONLY) && chance(g, 2));
    e->vex_l = e->vex && flags & L_TOO && (e->pp < 2 || e->opcode == 0x6F || e->opcode == 0x7F) &&
               chance(g, 2);
    e->vex_w = e->map == MAP_0F38 && e->opcode > 0x90 && chance(g, 2);
    e->vvvv = (u8)(flags & NDS ? pick(g, 16) : 0);
    e->wide =
        !e->vex && (e->opcode == 0x2A || e->opcode == 0x2D || e->opcode == 0x6E) && chance(g, 2);
}

// Operations on XMM and YMM registers: what the maps have, some of it no instruction.
static void choose_any_vector(struct generator *g, struct encoding *e)
{
    static const u8 floats[] = {0x10, 0x11, 0x12, 0x14, 0x15, 0x16, 0x28, 0x29, 0x2A,
                                0x2C, 0x2D, 0x2E, 0x2F, 0x50, 0x51, 0x54, 0x55, 0x56,
                                0x57, 0x58, 0x59, 0x5A, 0x5B, 0x5C, 0x5D, 0x5E, 0x5F,
                                0xC2, 0xC6, 0xE6, 0x58, 0x59, 0x5C, 0x5E, 0x10, 0x11};
    static const u8 immediates[] = {0xC2, 0xC6, 0x70, 0x71, 0x72, 0x73, 0xC4, 0xC5};
    static const u8 extended[] = {0x0C, 0x0D, 0x0E, 0x0F, 0x14, 0x15, 0x16, 0x17, 0x20, 0x21, 0x22,
                                  0x08, 0x09, 0x0A, 0x0B, 0x40, 0x41, 0x42, 0x4A, 0x4B, 0x4C, 0x02,
                                  0x04, 0x05, 0x06, 0x18, 0x19, 0x38, 0x39, 0x46, 0x00, 0x01};
    e->map = MAP_0F;
    unsigned what = pick(g, 20);
    e->pp = (u8)pick(g, 4);
    if (what < 9) {
        e->opcode = floats[pick(g, sizeof(floats))];
    } else if (what < 15) {
        e->opcode = (u8)(chance(g, 2) ? 0x60 + pick(g, 0x20) : 0xD0 + pick(g, 0x30));
        e->pp = chance(g, 5) ? e->pp : 1;
        e->opcode = e->opcode == 0x77 ? 0x6F : e->opcode;
    } else if (what < 19) {
        e->map = MAP_0F38;
        e->opcode = (u8)pick(g, chance(g, 2) ? 0x42 : 0xC0);
        e->pp = 1;
    } else {
        e->map = MAP_0F3A;
        e->opcode = extended[pick(g, sizeof(extended))];
        e->pp = 1;
        e->imm_size = 1;
    }
    for (unsigned i = 0; i < sizeof(immediates) && e->map == MAP_0F; i++) {
        e->imm_size |= e->opcode == immediates[i];
    }
    e->vex = chance(g, 2);
    e->vex_l = e->vex && chance(g, 2);
    e->vex_w = e->map != MAP_0F && chance(g, 2);
    e->vvvv = (u8)(chance(g, 10) ? 0 : pick(g, 16));
    e->wide = !e->vex && chance(g, 4);
}

void write_vector(struct generator *g)
{
    struct encoding e = {.has_rm = true, .reg = (u8)pick(g, 16), .imm = random_u64(&g->r)};
    if (g->polite || chance(g, 2)) {
        choose_valid_vector(g, &e);
    } else {
        choose_any_vector(g, &e);
    }
    e.rm = chance(g, 2)
               ? memory_at(g, any_target(g, 32) & (chance(g, 4) ? ~UINT64_C(0) : ~UINT64_C(15)))
               : register_rm(pick(g, 16));
    static const u8 prefixes[] = {0, 0x66, 0xF3, 0xF2};
    if (!e.vex && e.pp) {
        e.prefix[e.prefix_count++] = prefixes[e.pp];
    }
    encode(g, &e);
    note_written(g, &e, true, true);
}

void write_x87(struct generator *g)
{
    static const u8 sane[][2] = {{0xD9, 0xC0}, {0xD8, 0xC1}, {0xD8, 0xC9}, {0xD9, 0xE8},
                                 {0xD9, 0xEB}, {0xDE, 0xC1}, {0xDE, 0xC9}, {0xDD, 0xD8},
                                 {0xD9, 0xC9}, {0xDB, 0xF1}, {0xDF, 0xE0}, {0xD9, 0xFA}};
    struct encoding e = {.opcode = (u8)(0xD8 + pick(g, 8)), .has_rm = true, .reg = (u8)pick(g, 8)};
    unsigned what = pick(g, 10);
    if (what < 5) {
        write_plain(g, sane[pick(g, ARRAY_LEN(sane))], 2);
    } else if (what < 9) { // memory operands but environments and whole states
        e.rm = memory_rm(g, 10);
        bool whole = (e.opcode == 0xD9 && (e.reg & 3) == 0 && e.reg) ||
                     (e.opcode == 0xDD && (e.reg == 4 || e.reg == 6)) ||
                     (e.opcode == 0xD9 && e.reg >= 4);
        e.reg = whole ? 0 : e.reg;
        encode(g, &e);
    } else {
        e.rm = register_rm(pick(g, 8));
        encode(g, &e);
    }
    forget(g, 0);
}

// FXSAVE and the like; VZEROUPPER, VZEROALL, EMMS.
void write_state(struct generator *g)
{
    static const u8 plain[][4] = {
        {3, 0xC5, 0xF8, 0x77}, {3, 0xC5, 0xFC, 0x77}, {2, 0x0F, 0x77}, {2, 0xDB, 0xE3}};
    static const u8 saves[] = {0, 1, 4, 5, 3};
    if (chance(g, 2)) {
        unsigned n = pick(g, ARRAY_LEN(plain));
        write_plain(g, plain[n] + 1, plain[n][0]);
        return;
    }
    struct encoding e = {
        .map = MAP_0F, .opcode = 0xAE, .has_rm = true, .reg = saves[pick(g, sizeof(saves))]};
    load_constant(g, 0, pick(g, 8));
    load_constant(g, 2, 0);
    e.rm = memory_at(g, DATA + PAGE_SIZE + 0x400 * (e.reg / 4));
    e.rm = e.rm.base == 0 || e.rm.base == 2
               ? (struct rm){.mem = true, .base = 16, .index = 16, .disp = DATA + PAGE_SIZE}
               : e.rm;
    e.wide = chance(g, 2);
    encode(g, &e);
}
