// SPDX-License-Identifier: MIT
// Kinds of instructions, weighted towards what compilers emit, and the shape of a program:
// functions, then a main loop.
#include "tests/lockstep/generator.h"

#include <string.h>

#include "tests/lockstep/emitter.h"

#define COUNTERS (DATA + 3 * PAGE_SIZE + 0xF00) // of loops
#define BODY_BYTES 2600                         // of a program, about

static void emit_one(struct generator *g);

static const u8 sizes[4] = {1, 2, 4, 8};

// Operand width 0 to 3 becomes prefix and REX.W.
static unsigned any_width(struct generator *g)
{
    static const u8 widths[] = {0, 1, 2, 2, 2, 2, 3, 3, 3, 3};
    return widths[pick(g, ARRAY_LEN(widths))];
}

static void set_width(struct encoding *e, unsigned width)
{
    if (width == 1) {
        e->prefix[e->prefix_count++] = 0x66;
    }
    e->wide = width == 3;
}

// Byte registers 4 to 7 are AH to BH, or SPL to DIL behind a REX.
static void byte_registers(struct generator *g, struct encoding *e, unsigned width)
{
    e->force_rex = width == 0 && chance(g, 3);
}

static void note_written(struct generator *g, const struct encoding *e, bool reg, bool rm)
{
    if (reg) {
        forget(g, e->reg);
        forget(g, e->reg & 3u); // AH and its like
    }
    if (rm && !e->rm.mem) {
        forget(g, e->rm.reg);
        forget(g, e->rm.reg & 3u);
    }
}

static u64 small_or_any(struct generator *g)
{
    return chance(g, 3) ? random_value(&g->r) : pick(g, 64);
}

// RSP is left alone, mostly.
static unsigned any_register(struct generator *g)
{
    unsigned n = pick(g, 16);
    return n == 4 && !chance(g, 30) ? 5 : n;
}

static void note_patch(struct generator *g, unsigned offset, unsigned size, unsigned mask)
{
    struct program *p = g->p;
    unsigned n = p->patch_count < PATCHES_MAX ? p->patch_count++ : pick(g, PATCHES_MAX);
    p->patches[n] = (struct patch_site){.offset = (u16)offset, .size = (u8)size, .mask = (u8)mask};
}

static void emit_alu(struct generator *g)
{
    unsigned width = any_width(g), op = pick(g, 8);
    struct encoding e = {.opcode = (u8)(op << 3 | (width != 0) | pick(g, 2) << 1), .has_rm = true};
    if (chance(g, 12)) { // TEST
        e.opcode = width ? 0x85 : 0x84;
    }
    bool to_reg = e.opcode & 2;
    e.rm = to_reg && chance(g, 2) ? memory_rm(g, sizes[width]) : any_rm(g, sizes[width]);
    e.reg = (u8)any_register(g);
    bool lock = e.rm.mem && !to_reg && op != 7 && e.opcode < 0x40 && chance(g, 12);
    if (lock) {
        e.prefix[e.prefix_count++] = 0xF0;
    }
    set_width(&e, width);
    byte_registers(g, &e, width);
    encode(g, &e);
    if (!lock && !e.rm.mem && e.prefix_count == 0 && chance(g, 12)) {
        note_patch(g, g->at - 2, 1, 0x38); // another operation
    }
    note_written(g, &e, to_reg, !to_reg);
}

static void emit_alu_immediate(struct generator *g)
{
    unsigned width = any_width(g);
    struct encoding e = {.has_rm = true, .reg = (u8)pick(g, 8), .imm = small_or_any(g)};
    bool byte = width == 0 || chance(g, 2);
    e.opcode = width == 0 ? 0x80 : byte ? 0x83 : 0x81;
    if (chance(g, 8)) { // TEST
        e.opcode = width ? 0xF7 : 0xF6;
        e.reg = (u8)pick(g, 2);
        byte = width == 0;
    }
    e.imm_size = byte ? 1 : width == 1 ? 2 : 4;
    e.rm = chance(g, 3) ? memory_rm(g, sizes[width]) : register_rm(any_register(g));
    if (e.rm.mem && e.reg != 7 && e.opcode < 0x90 && chance(g, 12)) {
        e.prefix[e.prefix_count++] = 0xF0;
    }
    set_width(&e, width);
    byte_registers(g, &e, width);
    encode(g, &e);
    if (chance(g, 10)) {
        note_patch(g, g->at - e.imm_size, e.imm_size, 0xFF);
    }
    note_written(g, &e, false, true);
}

static void emit_mov(struct generator *g)
{
    unsigned width = any_width(g), what = pick(g, 10);
    struct encoding e = {.opcode = width ? 0x89 : 0x88, .has_rm = true, .reg = (u8)any_register(g)};
    if (what < 4) { // load
        e.opcode |= 2;
        e.rm = memory_rm(g, sizes[width]);
    } else if (what < 7) { // store
        e.rm = memory_rm(g, sizes[width]);
    } else if (what < 9) {
        e.opcode |= (u8)(pick(g, 2) << 1);
        e.rm = register_rm(any_register(g));
    } else {
        e.opcode = width ? 0xC7 : 0xC6;
        e.reg = 0;
        e.rm = any_rm(g, sizes[width]);
        e.rm = e.rm.mem ? e.rm : register_rm(any_register(g));
        e.imm = small_or_any(g);
        e.imm_size = width == 0 ? 1 : width == 1 ? 2 : 4;
    }
    set_width(&e, width);
    byte_registers(g, &e, width);
    encode(g, &e);
    if (e.imm_size && chance(g, 3)) {
        note_patch(g, g->at - e.imm_size, e.imm_size, 0xFF);
    }
    note_written(g, &e, e.opcode & 2 && e.opcode < 0xC0, !(e.opcode & 2) || e.opcode >= 0xC0);
}

static void emit_constant(struct generator *g)
{
    unsigned reg = any_register(g);
    load_constant(g, reg == 4 ? 0 : reg, chance(g, 2) ? any_target(g, 8) : small_or_any(g));
    if (chance(g, 6)) {
        note_patch(g, g->at - 4, 4, 0xF8);
    }
}

static void emit_lea(struct generator *g)
{
    struct encoding e = {
        .opcode = 0x8D, .has_rm = true, .reg = (u8)any_register(g), .wide = !chance(g, 3)};
    e.rm = memory_rm(g, 8);
    encode(g, &e);
    note_written(g, &e, true, false);
}

static void emit_extend(struct generator *g)
{
    unsigned width = 1 + pick(g, 3), from = width == 1 ? 0 : pick(g, 2);
    struct encoding e = {
        .map = MAP_0F, .opcode = (u8)((chance(g, 2) ? 0xB6 : 0xBE) + from), .has_rm = true};
    if (chance(g, 4)) { // MOVSXD
        e.map = MAP_0;
        e.opcode = 0x63;
        from = 2;
    }
    e.rm = any_rm(g, sizes[from]);
    e.reg = (u8)any_register(g);
    set_width(&e, width);
    byte_registers(g, &e, from);
    encode(g, &e);
    note_written(g, &e, true, false);
}

static void emit_shift(struct generator *g)
{
    static const u8 opcodes[] = {0xC0, 0xD0, 0xD2};
    unsigned width = any_width(g), how = pick(g, 3);
    struct encoding e = {
        .opcode = (u8)(opcodes[how] | (width != 0)), .has_rm = true, .reg = (u8)pick(g, 8)};
    e.imm_size = how == 0;
    e.imm = chance(g, 4) ? pick(g, 256) : pick(g, 65);
    e.rm = chance(g, 3) ? memory_rm(g, sizes[width]) : register_rm(any_register(g));
    if (chance(g, 8) && width) { // SHLD, SHRD
        static const u8 doubles[] = {0xA4, 0xA5, 0xAC, 0xAD};
        e.map = MAP_0F;
        e.opcode = doubles[pick(g, 4)];
        e.imm_size = !(e.opcode & 1);
        e.imm &= width == 1 ? 15 : 63; // beyond the width it is undefined
        e.reg = (u8)any_register(g);
    }
    if (how == 2 && chance(g, 2)) {
        load_constant(g, 1, pick(g, 70));
    }
    set_width(&e, width);
    byte_registers(g, &e, width);
    encode(g, &e);
    note_written(g, &e, false, true);
}

// NOT NEG MUL IMUL DIV IDIV, INC DEC.
static void emit_group3(struct generator *g)
{
    unsigned width = any_width(g), op = pick(g, 8);
    struct encoding e = {
        .opcode = op < 2 ? 0xFE : 0xF6, .has_rm = true, .reg = (u8)(op < 2 ? op : op)};
    e.opcode |= width != 0;
    e.rm = chance(g, 3) ? memory_rm(g, sizes[width]) : register_rm(any_register(g));
    if (op >= 6 && !chance(g, 5)) { // a division that succeeds
        load_constant(g, 2, 0);
        e.rm = chance(g, 2) ? memory_rm(g, sizes[width]) : register_rm(any_register(g) | 8);
    }
    if (e.rm.mem && op < 4 && chance(g, 8)) {
        e.prefix[e.prefix_count++] = 0xF0;
    }
    set_width(&e, width);
    byte_registers(g, &e, width);
    encode(g, &e);
    note_written(g, &e, false, op < 4);
    if (op >= 4) {
        forget(g, 0);
        forget(g, 2);
    }
}

static void emit_imul(struct generator *g)
{
    unsigned width = 1 + pick(g, 3), how = pick(g, 3);
    struct encoding e = {
        .map = how == 0 ? MAP_0F : MAP_0, .has_rm = true, .reg = (u8)any_register(g)};
    e.opcode = how == 0 ? 0xAF : how == 1 ? 0x6B : 0x69;
    e.imm = random_value(&g->r);
    e.imm_size = how == 0 ? 0 : how == 1 ? 1 : width == 1 ? 2 : 4;
    e.rm = any_rm(g, sizes[width]);
    set_width(&e, width);
    encode(g, &e);
    note_written(g, &e, true, false);
}

static void emit_condition(struct generator *g)
{
    bool set = chance(g, 2);
    unsigned width = set ? 0 : 1 + pick(g, 3);
    struct encoding e = {
        .map = MAP_0F, .opcode = (u8)((set ? 0x90 : 0x40) | pick(g, 16)), .has_rm = true};
    e.rm = any_rm(g, sizes[width]);
    e.reg = (u8)(set ? 0 : any_register(g));
    set_width(&e, width);
    byte_registers(g, &e, width);
    encode(g, &e);
    note_written(g, &e, !set, set);
}

static void emit_bits(struct generator *g)
{
    static const u8 opcodes[] = {0xA3, 0xAB, 0xB3, 0xBB, 0xBA, 0xBA, 0xBC, 0xBD, 0xB8};
    unsigned width = 1 + pick(g, 3);
    struct encoding e = {
        .map = MAP_0F, .opcode = opcodes[pick(g, ARRAY_LEN(opcodes))], .has_rm = true};
    bool by_immediate = e.opcode == 0xBA, scan = e.opcode > 0xBB || e.opcode == 0xB8;
    e.imm_size = by_immediate;
    e.imm = pick(g, 256);
    e.reg = (u8)(by_immediate ? 4 + pick(g, 4) : any_register(g));
    e.rm = any_rm(g, 8);
    if (!by_immediate && !scan && e.rm.mem && !chance(g, 4)) {
        load_constant(g, e.reg == 4 ? e.reg = 5 : e.reg, (u64)pick(g, 0x2000)); // it reaches far
        e.rm = chance(g, 8) ? e.rm : memory_rm(g, 8);
    }
    if (scan && (e.opcode == 0xB8 || chance(g, 2))) { // POPCNT, TZCNT, LZCNT
        e.prefix[e.prefix_count++] = 0xF3;
    }
    if (!scan && e.rm.mem && chance(g, 6)) {
        e.prefix[e.prefix_count++] = 0xF0;
    }
    set_width(&e, width);
    encode(g, &e);
    note_written(g, &e, scan, !scan);
}

static void emit_bmi(struct generator *g)
{
    static const struct {
        u8 opcode, pp, map;
    } rows[] = {{0xF2, 0, 2}, {0xF3, 0, 2}, {0xF5, 0, 2}, {0xF5, 2, 2}, {0xF5, 3, 2}, {0xF6, 3, 2},
                {0xF7, 0, 2}, {0xF7, 1, 2}, {0xF7, 2, 2}, {0xF7, 3, 2}, {0xF0, 3, 3}};
    unsigned n = pick(g, ARRAY_LEN(rows));
    struct encoding e = {.vex = true,
                         .vex_w = chance(g, 2),
                         .map = rows[n].map,
                         .opcode = rows[n].opcode,
                         .pp = rows[n].pp};
    e.has_rm = true;
    e.vvvv = (u8)any_register(g);
    e.reg = (u8)(e.opcode == 0xF3 ? 1 + pick(g, 3) : any_register(g));
    e.vvvv = e.map == MAP_0F3A ? 0 : e.vvvv;
    e.imm_size = e.map == MAP_0F3A;
    e.imm = pick(g, 256);
    e.rm = any_rm(g, e.vex_w ? 8 : 4);
    encode(g, &e);
    note_written(g, &e, true, false);
    forget(g, e.vvvv);
}

// CRC32, MOVBE, ADCX, ADOX, BSWAP, MOVNTI.
static void emit_odd_integer(struct generator *g)
{
    unsigned width = 1 + pick(g, 3), what = pick(g, 5);
    struct encoding e = {.map = MAP_0F38,
                         .opcode = (u8)(0xF0 | pick(g, 2)),
                         .has_rm = true,
                         .reg = (u8)any_register(g)};
    e.rm = memory_rm(g, 8);
    if (what == 0) {
        e.prefix[e.prefix_count++] = 0xF2;
        e.rm = any_rm(g, 8);
    } else if (what == 1) {
        e.opcode = 0xF6;
        e.prefix[e.prefix_count++] = chance(g, 2) ? 0x66 : 0xF3;
        e.rm = any_rm(g, 8);
        width = 2 + pick(g, 2);
    } else if (what == 2) {
        e = (struct encoding){.map = MAP_0F, .opcode = 0xC8, .reg = e.reg};
        width |= 2;
    } else if (what == 3) {
        e.map = MAP_0F;
        e.opcode = 0xC3;
        width |= 2;
    }
    set_width(&e, width);
    encode(g, &e);
    forget(g, e.reg);
}

static void emit_exchange(struct generator *g)
{
    static const u8 opcodes[] = {0x86, 0xB0, 0xC0, 0xC7};
    unsigned width = any_width(g);
    struct encoding e = {.opcode = opcodes[pick(g, 4)], .has_rm = true, .reg = (u8)any_register(g)};
    e.map = e.opcode == 0x86 ? MAP_0 : MAP_0F;
    if (e.opcode == 0xC7) { // CMPXCHG8B, CMPXCHG16B
        e.reg = 1;
        width |= 2;
        e.rm = memory_at(g, any_target(g, 16) & ~UINT64_C(15));
        forget(g, 0);
        forget(g, 2);
    } else {
        e.opcode |= width != 0;
        e.rm = any_rm(g, sizes[width]);
        e.rm = !e.rm.mem && e.rm.reg == 4 ? register_rm(5) : e.rm;
        forget(g, 0);
    }
    if (e.rm.mem && chance(g, 2)) {
        e.prefix[e.prefix_count++] = 0xF0;
    }
    set_width(&e, width);
    byte_registers(g, &e, width);
    encode(g, &e);
    note_written(g, &e, e.reg != 1 || e.opcode != 0xC7, true);
}

static void emit_plain(struct generator *g, const void *bytes, unsigned size)
{
    begin_insn(g);
    put_bytes(g, bytes, size);
    end_insn(g);
}

static void emit_flag(struct generator *g)
{
    static const u8 one[] = {0xF5, 0xF8, 0xF9, 0xFC, 0xFC, 0xFC,
                             0xFD, 0x9E, 0x9F, 0x90, 0x98, 0x99};
    u8 code = one[pick(g, sizeof(one))];
    u8 wide[2] = {chance(g, 2) ? 0x48 : 0x66, code};
    if (code >= 0x98 && code <= 0x99 && chance(g, 2)) {
        emit_plain(g, wide, 2);
    } else {
        emit_plain(g, &code, 1);
    }
    forget(g, 0);
    forget(g, 2);
}

static void emit_stack(struct generator *g)
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
        emit_one(g);
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

static void emit_string(struct generator *g)
{
    static const u8 opcodes[] = {0xA4, 0xA5, 0xAA, 0xAB, 0xAC, 0xAD, 0xA6, 0xA7, 0xAE, 0xAF, 0xD7};
    u8 opcode = opcodes[pick(g, sizeof(opcodes))];
    unsigned width = opcode & 1 ? 1 + pick(g, 3) : 0, count = pick(g, chance(g, 4) ? 600 : 12);
    if (opcode == 0xD7) {
        load_constant(g, 3, DATA + pick(g, 0x3000));
        emit_plain(g, &opcode, 1);
        forget(g, 0);
        return;
    }
    load_constant(g, 6, any_target(g, 8));
    load_constant(g, 7, chance(g, 5) ? g->value[6] + pick(g, 16) : any_target(g, 8));
    load_constant(g, 1, count);
    struct encoding e = {.opcode = opcode};
    if (!chance(g, 4)) {
        e.prefix[e.prefix_count++] = chance(g, 4) ? 0xF2 : 0xF3;
    }
    set_width(&e, width);
    encode(g, &e);
    forget(g, 0);
    forget(g, 1);
    forget(g, 6);
    forget(g, 7);
}

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

static void emit_vector(struct generator *g)
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

static void emit_x87(struct generator *g)
{
    static const u8 sane[][2] = {{0xD9, 0xC0}, {0xD8, 0xC1}, {0xD8, 0xC9}, {0xD9, 0xE8},
                                 {0xD9, 0xEB}, {0xDE, 0xC1}, {0xDE, 0xC9}, {0xDD, 0xD8},
                                 {0xD9, 0xC9}, {0xDB, 0xF1}, {0xDF, 0xE0}, {0xD9, 0xFA}};
    struct encoding e = {.opcode = (u8)(0xD8 + pick(g, 8)), .has_rm = true, .reg = (u8)pick(g, 8)};
    unsigned what = pick(g, 10);
    if (what < 5) {
        emit_plain(g, sane[pick(g, ARRAY_LEN(sane))], 2);
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

static void emit_forward_branch(struct generator *g)
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
    emit_plain(g, code, size);
    unsigned behind = g->at;
    for (unsigned n = 1 + pick(g, 5); n && g->at - behind < 80; n--) {
        emit_one(g);
    }
    if (g->at - behind > 127 && !is_long) {
        return; // never taken far: it goes to itself's end
    }
    s32 distance = (s32)(g->at - behind);
    memcpy(g->p->code + behind - (is_long ? 4 : 1), &distance, is_long ? 4 : 1);
    forget_all(g);
}

// Over a few instructions by way of a register or of memory.
static void emit_indirect_jump(struct generator *g)
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
        emit_one(g);
    }
    u32 target = CODE + g->at;
    memcpy(g->p->code + to, &target, 4);
    forget_all(g);
}

// FS and GS bases, SS.
static void emit_segment(struct generator *g)
{
    unsigned reg = pick(g, 4);
    if (chance(g, 3)) {
        load_constant(g, 0, g->p->ring0 ? 0x10 : 0x1B);
        static const u8 mov_ss[] = {0x8E, 0xD0};
        emit_plain(g, mov_ss, 2);
        return;
    }
    struct encoding e = {
        .map = MAP_0F, .opcode = 0xAE, .has_rm = true, .wide = true, .reg = (u8)pick(g, 4)};
    e.prefix[e.prefix_count++] = 0xF3;
    e.rm = register_rm(reg);
    if (e.reg >= 2) { // to where they were, mostly
        u64 base = e.reg == 2 ? DATA + 0x808 : DATA - 0x1000;
        load_constant(g, reg, chance(g, 8) ? random_value(&g->r) : base + 8 * pick(g, 3));
    }
    encode(g, &e);
    forget(g, reg);
}

// FXSAVE and the like; VZEROUPPER, VZEROALL, EMMS.
static void emit_state(struct generator *g)
{
    static const u8 plain[][4] = {
        {3, 0xC5, 0xF8, 0x77}, {3, 0xC5, 0xFC, 0x77}, {2, 0x0F, 0x77}, {2, 0xDB, 0xE3}};
    static const u8 saves[] = {0, 1, 4, 5, 3};
    if (chance(g, 2)) {
        unsigned n = pick(g, ARRAY_LEN(plain));
        emit_plain(g, plain[n] + 1, plain[n][0]);
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

static void emit_frame(struct generator *g)
{
    static const u8 enter[] = {0x55, 0x48, 0x89, 0xE5}, leave[] = {0xC9};
    emit_plain(g, enter, 1);
    emit_plain(g, enter + 1, 3);
    forget(g, 5);
    for (unsigned n = pick(g, 4); n; n--) {
        emit_one(g);
    }
    emit_plain(g, leave, 1);
}

static struct rm counter_rm(unsigned n)
{
    return (struct rm){.mem = true, .base = 16, .index = 16, .disp = (s32)(COUNTERS + 4 * n)};
}

static void emit_loop(struct generator *g)
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
        emit_one(g);
    }
    g->depth--;
    encode(g, &down);
    u8 code[6] = {0x0F, chance(g, 2) ? 0x85 : 0x8F};
    s32 distance = (s32)(head - (g->at + 6));
    memcpy(code + 2, &distance, 4);
    emit_plain(g, code, 6);
}

static void emit_call(struct generator *g)
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
        emit_plain(g, code, 5);
        break;
    }
    forget_all(g);
}

// A store to code that may be exchanged: directly, by the alias, the large page, the kernel's half,
// or the device.
static void emit_self_modification(struct generator *g)
{
    const struct program *p = g->p;
    if (!p->patch_count) {
        return;
    }
    const struct patch_site *s = &p->patches[pick(g, p->patch_count)];
    if (chance(g, 4)) {
        struct encoding e = {
            .opcode = 0xC7, .has_rm = true, .imm_size = 4, .imm = random_u64(&g->r)};
        e.rm = memory_at(g, DATA + 7 * PAGE_SIZE + (chance(g, 4) ? DEVICE_DMA : DEVICE_PATCH));
        encode(g, &e);
        return;
    }
    static const u64 bases[] = {CODE, CODE, CODE_ALIAS, CODE_ALIAS};
    u64 target = bases[pick(g, 4)] + s->offset;
    if (s->mask != 0xFF) { // only these bits: XOR
        struct encoding e = {.opcode = 0x80,
                             .has_rm = true,
                             .reg = 6,
                             .imm_size = 1,
                             .imm = random_u64(&g->r) & s->mask};
        e.rm = memory_at(g, target);
        encode(g, &e);
        return;
    }
    struct encoding e = {
        .opcode = s->size == 1 ? 0x88 : 0x89, .has_rm = true, .reg = (u8)pick(g, 16)};
    e.force_rex = true;
    e.rm = memory_at(g, target);
    set_width(&e, s->size == 2 ? 1 : 2);
    encode(g, &e);
}

static void emit_system(struct generator *g)
{
    static const u8 anywhere[][4] = {{2, 0x0F, 0x31}, {2, 0xCD, 0x80},       {1, 0xCC},
                                     {2, 0x0F, 0xA2}, {2, 0x0F, 0x0B},       {3, 0x0F, 0x01, 0xF9},
                                     {2, 0x0F, 0x05}, {3, 0x0F, 0xAE, 0xF0}, {3, 0x0F, 0x01, 0xD0}};
    unsigned n = pick(g, ARRAY_LEN(anywhere));
    if (g->polite && anywhere[n][2] == 0x0B) {
        return;
    }
    if (g->p->ring0 && anywhere[n][2] == 0x05) {
        return; // SYSRET would leave ring 0 for good
    }
    if (anywhere[n][2] == 0xA2) {
        load_constant(g, 0, pick(g, 14));
        load_constant(g, 1, pick(g, 3));
    }
    emit_plain(g, anywhere[n] + 1, anywhere[n][0]);
    for (unsigned i = 0; i < 4; i++) {
        forget(g, i);
    }
    forget(g, 11);
}

static void emit_mov_cr(struct generator *g, unsigned cr, u64 value)
{
    unsigned reg = pick(g, 2) * 8 + pick(g, 4);
    load_constant(g, reg, value);
    u8 code[4] = {0x41, 0x0F, 0x22, (u8)(0xC0 | cr << 3 | (reg & 7))};
    emit_plain(g, reg < 8 ? code + 1 : code, reg < 8 ? 3 : 4);
}

// Stores to entries of the tables of code and data; what is stored is taken back by a later one.
static void emit_table_store(struct generator *g)
{
    unsigned page = pick(g, DATA_PAGES - 1), root = pick(g, 2);
    u64 entry = TABLE_WINDOW + P_PT_DATA_A - P_TABLES + root * 0x1000 + 8 * page;
    static const u64 rights[] = {0x67, 0x67, 0x67, 0x65, 0x07, 0x05, 0x66, 0x47, 0x27};
    u64 value = (P_DATA + (u64)(chance(g, 6) ? pick(g, 7) : page) * PAGE_SIZE) |
                rights[pick(g, ARRAY_LEN(rights))];
    struct encoding e = {
        .opcode = 0xC7, .has_rm = true, .wide = chance(g, 2), .imm_size = 4, .imm = value};
    if (chance(g, 3)) { // clear A or D, as kernels do
        e = (struct encoding){.opcode = 0x80,
                              .has_rm = true,
                              .reg = 4,
                              .imm_size = 1,
                              .imm = chance(g, 2) ? 0xDF : 0xBF};
        e.prefix[0] = 0xF0;
        e.prefix_count = 1;
    }
    e.rm = memory_at(g, entry);
    encode(g, &e);
    if (chance(g,
               4)) { // a page of code: A, or now and then other rights; the next one puts them back
        unsigned n = pick(g, CODE_BYTES / PAGE_SIZE);
        u64 code = TABLE_WINDOW + 0x9000 + 8 * ((CODE >> PAGE_SHIFT & 511) + n);
        struct encoding bits = {
            .opcode = 0x80, .has_rm = true, .reg = chance(g, 2) ? 4 : 1, .imm_size = 1};
        bits.imm = bits.reg == 1 ? 0x23 : chance(g, 8) ? 0xFE : chance(g, 3) ? 0xFD : 0xDF;
        bits.rm = memory_at(g, code);
        encode(g, &bits);
        page = 0;
    }
    if (chance(g, 2)) {
        struct encoding invlpg = {.map = MAP_0F, .opcode = 0x01, .has_rm = true, .reg = 7};
        invlpg.rm = memory_at(g, DATA + page * PAGE_SIZE);
        encode(g, &invlpg);
    }
}

static void emit_ring0(struct generator *g)
{
    const struct program *p = g->p;
    static const u8 cli[] = {0xFA}, sti[] = {0xFB}, hlt[] = {0xFB, 0xF4},
                    swapgs[] = {0x0F, 0x01, 0xF8};
    switch (pick(g, 12)) {
    case 0:
        emit_plain(g, chance(g, 2) ? cli : sti, 1);
        break;
    case 1:
        emit_plain(g, hlt, 2); // one instruction for the handlers
        break;
    case 2:
        emit_plain(g, swapgs, 3);
        break;
    case 3:
    case 4:
        emit_mov_cr(g, 3, P_TABLES + 0x1000 * pick(g, 2));
        break;
    case 5:
        emit_mov_cr(g, 0, p->cr0 ^ (chance(g, 2) ? 0x10000 : chance(g, 2) ? 8 : 0));
        break;
    case 6:
        emit_mov_cr(g, 4, p->cr4 ^ (chance(g, 2) ? 0x80 : 0));
        break;
    case 7: { // ports
        load_constant(g, 2, 0x500 + (chance(g, 4) ? DEVICE_PATCH : 0x20 + pick(g, 0x40)));
        u8 code = (u8)(0xEC + pick(g, 4));
        emit_plain(g, &code, 1);
        forget(g, 0);
        break;
    }
    default:
        emit_table_store(g);
        break;
    }
}

// The timer, or a bit of MXCSR.
static void emit_control(struct generator *g)
{
    struct encoding e = {.opcode = 0xC7, .has_rm = true, .imm_size = 4, .imm = pick(g, 1000)};
    if (chance(g, 2)) {
        e.rm = memory_at(g, DATA + 7 * PAGE_SIZE + DEVICE_TIMER);
        encode(g, &e);
        return;
    }
    static const u32 values[] = {0x1F80, 0x1F80, 0x9FC0, 0x7F80, 0x1F00,
                                 0x1000, 0x0000, 0x3FA0, 0x1F80, 0xFFFF};
    u64 cell = DATA + 6 * PAGE_SIZE + 0x800;
    e.imm = values[pick(g, ARRAY_LEN(values))];
    e.rm = memory_at(g, cell);
    encode(g, &e);
    struct encoding load = {
        .map = MAP_0F, .opcode = 0xAE, .has_rm = true, .reg = 2, .rm = memory_at(g, cell)};
    encode(g, &load);
}

static void emit_garbage(struct generator *g)
{
    u64 bytes = random_u64(&g->r);
    if (g->polite) {
        return;
    }
    emit_plain(g, &bytes, 1 + pick(g, 6));
    forget_all(g);
}

static const struct {
    void (*emit)(struct generator *g);
    unsigned weight;
} kinds[] = {
    {emit_alu, 200},
    {emit_alu_immediate, 100},
    {emit_mov, 200},
    {emit_constant, 30},
    {emit_lea, 40},
    {emit_extend, 50},
    {emit_shift, 60},
    {emit_group3, 40},
    {emit_imul, 20},
    {emit_condition, 50},
    {emit_bits, 30},
    {emit_bmi, 25},
    {emit_odd_integer, 8},
    {emit_exchange, 25},
    {emit_flag, 25},
    {emit_stack, 50},
    {emit_string, 15},
    {emit_vector, 90},
    {emit_x87, 25},
    {emit_forward_branch, 80},
    {emit_loop, 35},
    {emit_call, 30},
    {emit_self_modification, 14},
    {emit_system, 10},
    {emit_indirect_jump, 15},
    {emit_segment, 8},
    {emit_state, 6},
    {emit_frame, 10},
    {emit_control, 5},
    {emit_garbage, 3},
};

// Each program has a taste: some kinds are left out of it, so that blocks get long, or are of one
// kind.
static void emit_one(struct generator *g)
{
    unsigned total = 0;
    if (g->at > CODE_BYTES - 600) {
        return;
    }
    if (g->p->ring0 && chance(g, 30)) {
        emit_ring0(g);
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

static void emit_function(struct generator *g)
{
    static const u8 ret[] = {0xC3};
    skip_some(g);
    unsigned entry = g->at;
    forget_all(g);
    for (unsigned n = 1 + pick(g, 20); n && g->at - entry < 300; n--) {
        emit_one(g);
    }
    emit_plain(g, ret, 1);
    g->functions[g->function_count++] = entry;
}

static void emit_main(struct generator *g)
{
    struct program *p = g->p;
    skip_some(g);
    forget_all(g);
    p->start = (u16)g->at;
    load_constant(g, 4, STACK + STACK_PAGES * PAGE_SIZE - 0x100 - pick(g, 0x1000));
    static const unsigned limits[] = {100, 300, 600, BODY_BYTES};
    unsigned limit = 20 + pick(g, limits[pick(g, ARRAY_LEN(limits))]);
    while (g->at - p->start < limit && g->at < CODE_BYTES - 600) {
        emit_one(g);
    }
    u8 code[5] = {0xE9};
    s32 distance = (s32)(p->start - (g->at + 5));
    memcpy(code + 1, &distance, 4);
    emit_plain(g, code, 5);
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
    g.polite = chance(&g, 2);
    g.at = pick(&g, 0x1000);
    for (unsigned n = pick(&g, 5); n; n--) {
        emit_function(&g);
    }
    emit_main(&g);
}
