// SPDX-License-Identifier: MIT
// Arithmetic, moves, bits, strings; and what all kinds share.
#include "tests/lockstep/kinds.h"

unsigned any_width(struct generator *g)
{
    static const u8 widths[] = {0, 1, 2, 2, 2, 2, 3, 3, 3, 3};
    return widths[pick(g, ARRAY_LEN(widths))];
}

void set_width(struct encoding *e, unsigned width)
{
    if (width == 1) {
        e->prefix[e->prefix_count++] = 0x66;
    }
    e->wide = width == 3;
}

void byte_registers(struct generator *g, struct encoding *e, unsigned width)
{
    e->force_rex = width == 0 && chance(g, 3);
}

void note_written(struct generator *g, const struct encoding *e, bool reg, bool rm)
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

u64 small_or_any(struct generator *g)
{
    return chance(g, 3) ? random_value(&g->r) : pick(g, 64);
}

unsigned any_register(struct generator *g)
{
    unsigned n = pick(g, 16);
    return n == 4 && !chance(g, 30) ? 5 : n;
}

void note_patch(struct generator *g, unsigned offset, unsigned size, unsigned mask)
{
    struct program *p = g->p;
    unsigned n = p->patch_count < PATCHES_MAX ? p->patch_count++ : pick(g, PATCHES_MAX);
    p->patches[n] = (struct patch_site){.offset = (u16)offset, .size = (u8)size, .mask = (u8)mask};
}

void write_plain(struct generator *g, const void *bytes, unsigned size)
{
    begin_insn(g);
    put_bytes(g, bytes, size);
    end_insn(g);
}

void write_alu(struct generator *g)
{
    unsigned width = any_width(g), op = pick(g, 8);
    struct encoding e = {.opcode = (u8)(op << 3 | (width != 0) | pick(g, 2) << 1), .has_rm = true};
    if (chance(g, 12)) { // TEST
        e.opcode = width ? 0x85 : 0x84;
    }
    bool to_reg = e.opcode & 2;
    e.rm = to_reg && chance(g, 2) ? memory_rm(g, operand_bytes(width))
                                  : any_rm(g, operand_bytes(width));
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

void write_alu_immediate(struct generator *g)
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
    e.rm = chance(g, 3) ? memory_rm(g, operand_bytes(width)) : register_rm(any_register(g));
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

void write_mov(struct generator *g)
{
    unsigned width = any_width(g), what = pick(g, 10);
    struct encoding e = {.opcode = width ? 0x89 : 0x88, .has_rm = true, .reg = (u8)any_register(g)};
    if (what < 4) { // load
        e.opcode |= 2;
        e.rm = memory_rm(g, operand_bytes(width));
    } else if (what < 7) { // store
        e.rm = memory_rm(g, operand_bytes(width));
    } else if (what < 9) {
        e.opcode |= (u8)(pick(g, 2) << 1);
        e.rm = register_rm(any_register(g));
    } else {
        e.opcode = width ? 0xC7 : 0xC6;
        e.reg = 0;
        e.rm = any_rm(g, operand_bytes(width));
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

void write_constant(struct generator *g)
{
    unsigned reg = any_register(g);
    load_constant(g, reg == 4 ? 0 : reg, chance(g, 2) ? any_target(g, 8) : small_or_any(g));
    if (chance(g, 6)) {
        note_patch(g, g->at - 4, 4, 0xF8);
    }
}

void write_lea(struct generator *g)
{
    struct encoding e = {
        .opcode = 0x8D, .has_rm = true, .reg = (u8)any_register(g), .wide = !chance(g, 3)};
    e.rm = memory_rm(g, 8);
    encode(g, &e);
    note_written(g, &e, true, false);
}

void write_extend(struct generator *g)
{
    unsigned width = 1 + pick(g, 3), from = width == 1 ? 0 : pick(g, 2);
    struct encoding e = {
        .map = MAP_0F, .opcode = (u8)((chance(g, 2) ? 0xB6 : 0xBE) + from), .has_rm = true};
    if (chance(g, 4)) { // MOVSXD
        e.map = MAP_0;
        e.opcode = 0x63;
        from = 2;
    }
    e.rm = any_rm(g, operand_bytes(from));
    e.reg = (u8)any_register(g);
    set_width(&e, width);
    byte_registers(g, &e, from);
    encode(g, &e);
    note_written(g, &e, true, false);
}

void write_shift(struct generator *g)
{
    static const u8 opcodes[] = {0xC0, 0xD0, 0xD2};
    unsigned width = any_width(g), how = pick(g, 3);
    struct encoding e = {
        .opcode = (u8)(opcodes[how] | (width != 0)), .has_rm = true, .reg = (u8)pick(g, 8)};
    e.imm_size = how == 0;
    e.imm = chance(g, 4) ? pick(g, 256) : pick(g, 65);
    e.rm = chance(g, 3) ? memory_rm(g, operand_bytes(width)) : register_rm(any_register(g));
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
void write_group3(struct generator *g)
{
    unsigned width = any_width(g), op = pick(g, 8);
    struct encoding e = {
        .opcode = op < 2 ? 0xFE : 0xF6, .has_rm = true, .reg = (u8)(op < 2 ? op : op)};
    e.opcode |= width != 0;
    e.rm = chance(g, 3) ? memory_rm(g, operand_bytes(width)) : register_rm(any_register(g));
    if (op >= 6 && !chance(g, 5)) { // a division that succeeds
        load_constant(g, 2, 0);
        e.rm = chance(g, 2) ? memory_rm(g, operand_bytes(width)) : register_rm(any_register(g) | 8);
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

void write_imul(struct generator *g)
{
    unsigned width = 1 + pick(g, 3), how = pick(g, 3);
    struct encoding e = {
        .map = how == 0 ? MAP_0F : MAP_0, .has_rm = true, .reg = (u8)any_register(g)};
    e.opcode = how == 0 ? 0xAF : how == 1 ? 0x6B : 0x69;
    e.imm = random_value(&g->r);
    e.imm_size = how == 0 ? 0 : how == 1 ? 1 : width == 1 ? 2 : 4;
    e.rm = any_rm(g, operand_bytes(width));
    set_width(&e, width);
    encode(g, &e);
    note_written(g, &e, true, false);
}

void write_condition(struct generator *g)
{
    bool set = chance(g, 2);
    unsigned width = set ? 0 : 1 + pick(g, 3);
    struct encoding e = {
        .map = MAP_0F, .opcode = (u8)((set ? 0x90 : 0x40) | pick(g, 16)), .has_rm = true};
    e.rm = any_rm(g, operand_bytes(width));
    e.reg = (u8)(set ? 0 : any_register(g));
    set_width(&e, width);
    byte_registers(g, &e, width);
    encode(g, &e);
    note_written(g, &e, !set, set);
}

void write_bits(struct generator *g)
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

void write_bmi(struct generator *g)
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
void write_odd_integer(struct generator *g)
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

void write_exchange(struct generator *g)
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
        e.rm = any_rm(g, operand_bytes(width));
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

void write_flag(struct generator *g)
{
    static const u8 one[] = {0xF5, 0xF8, 0xF9, 0xFC, 0xFC, 0xFC,
                             0xFD, 0x9E, 0x9F, 0x90, 0x98, 0x99};
    u8 code = one[pick(g, sizeof(one))];
    u8 wide[2] = {chance(g, 2) ? 0x48 : 0x66, code};
    if (code >= 0x98 && code <= 0x99 && chance(g, 2)) {
        write_plain(g, wide, 2);
    } else {
        write_plain(g, &code, 1);
    }
    forget(g, 0);
    forget(g, 2);
}

void write_string(struct generator *g)
{
    static const u8 opcodes[] = {0xA4, 0xA5, 0xAA, 0xAB, 0xAC, 0xAD, 0xA6, 0xA7, 0xAE, 0xAF, 0xD7};
    u8 opcode = opcodes[pick(g, g->walks ? 4 : sizeof(opcodes))];
    unsigned width = opcode & 1 ? 1 + pick(g, 3) : 0, count = pick(g, chance(g, 4) ? 600 : 12);
    if (opcode == 0xD7) {
        load_constant(g, 3, DATA + pick(g, 0x3000));
        write_plain(g, &opcode, 1);
        forget(g, 0);
        return;
    }
    load_constant(g, 6, any_target(g, 8));
    load_constant(g, 7, chance(g, 5) ? g->value[6] + pick(g, 16) : any_target(g, 8));
    if (g->walks && chance(g, 2)) {
        // Over the end of a page, or in the one that is read-only.
        unsigned which = chance(g, 2) ? 7 : 6;
        u64 page = DATA + (chance(g, 3) ? 4 : chance(g, 2) ? 5 : 2 + pick(g, 6)) * PAGE_SIZE;
        load_constant(g, which, page + pick(g, 200) - 100);
    }
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
