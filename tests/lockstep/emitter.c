// SPDX-License-Identifier: MIT
// Encoding, and operands.
#include "tests/lockstep/emitter.h"

#include <string.h>

#include "base/check.h"

void begin_insn(struct generator *g)
{
    g->begin = g->at;
}

void end_insn(struct generator *g)
{
    for (unsigned i = g->begin; i < g->at; i++) {
        g->p->next[i] = (u16)g->at;
    }
    g->p->insn_count++;
}

void put_bytes(struct generator *g, const void *bytes, unsigned size)
{
    CHECK(g->at + size <= CODE_BYTES);
    memcpy(g->p->code + g->at, bytes, size);
    g->at += size;
}

static void put_byte(struct generator *g, unsigned byte)
{
    u8 b = (u8)byte;
    put_bytes(g, &b, 1);
}

void forget(struct generator *g, unsigned reg)
{
    g->known[reg & 15] = false;
}

void forget_all(struct generator *g)
{
    memset(g->known, 0, sizeof(g->known));
}

static u8 rex_of(const struct encoding *e)
{
    u8 rex = (u8)(e->wide << 3 | (e->has_rm ? e->reg >> 3 << 2 : 0));
    if (!e->has_rm) {
        return (u8)(rex | e->reg >> 3);
    }
    if (!e->rm.mem) {
        return (u8)(rex | e->rm.reg >> 3);
    }
    return (u8)(rex | (e->rm.index < 16 ? e->rm.index >> 3 << 1 : 0) |
                (e->rm.base < 16 ? e->rm.base >> 3 : 0));
}

static void put_prefixes(struct generator *g, const struct encoding *e)
{
    if (e->rm.mem && e->rm.segment) {
        put_byte(g, e->rm.segment);
    }
    if (e->rm.mem && e->rm.addr32) {
        put_byte(g, 0x67);
    }
    put_bytes(g, e->prefix, e->prefix_count);
}

static void put_vex(struct generator *g, const struct encoding *e)
{
    u8 rex = rex_of(e);
    u8 last = (u8)(e->vex_w << 7 | (~e->vvvv & 15) << 3 | e->vex_l << 2 | e->pp);
    bool is_short = e->map == MAP_0F && !e->vex_w && !(rex & 3);
    if (is_short && !chance(g, 4)) {
        put_byte(g, 0xC5);
        put_byte(g, (~rex & 4) << 5 | (last & 0x7F));
    } else {
        put_byte(g, 0xC4);
        put_byte(g, (~rex & 7u) << 5 | e->map);
        put_byte(g, last);
    }
    put_byte(g, e->opcode);
}

static void put_opcode(struct generator *g, const struct encoding *e)
{
    u8 rex = rex_of(e);
    if (rex || e->force_rex) {
        put_byte(g, 0x40 | rex);
    }
    if (e->map != MAP_0) {
        put_byte(g, 0x0F);
    }
    if (e->map >= MAP_0F38) {
        put_byte(g, e->map == MAP_0F38 ? 0x38 : 0x3A);
    }
    put_byte(g, e->has_rm ? e->opcode : e->opcode | (e->reg & 7));
}

static void put_memory(struct generator *g, const struct encoding *e)
{
    const struct rm *m = &e->rm;
    u8 reg = (u8)((e->reg & 7) << 3);
    s32 disp = m->disp;
    if (m->rip) {
        put_byte(g, reg | 5);
        disp = (s32)(m->target - (CODE + g->at + 4 + e->imm_size));
        put_bytes(g, &disp, 4);
        return;
    }
    if (m->base == 16) {
        put_byte(g, reg | 4);
        put_byte(g, m->scale << 6 | (m->index < 16 ? m->index & 7 : 4) << 3 | 5);
        put_bytes(g, &disp, 4);
        return;
    }
    bool sib = m->index < 16 || (m->base & 7) == 4;
    unsigned mod = !disp && (m->base & 7) != 5 ? 0 : disp == (s8)disp ? 1 : 2;
    put_byte(g, mod << 6 | reg | (sib ? 4 : m->base & 7));
    if (sib) {
        put_byte(g, m->scale << 6 | (m->index < 16 ? m->index & 7 : 4) << 3 | (m->base & 7));
    }
    put_bytes(g, &disp, mod == 0 ? 0 : mod == 1 ? 1 : 4);
}

void encode(struct generator *g, const struct encoding *e)
{
    begin_insn(g);
    put_prefixes(g, e);
    if (e->vex) {
        put_vex(g, e);
    } else {
        put_opcode(g, e);
    }
    if (e->has_rm && e->rm.mem) {
        put_memory(g, e);
    } else if (e->has_rm) {
        put_byte(g, 0xC0 | (e->reg & 7) << 3 | (e->rm.reg & 7));
    }
    put_bytes(g, &e->imm, e->imm_size);
    end_insn(g);
}

void load_constant(struct generator *g, unsigned reg, u64 value)
{
    struct encoding e = {.opcode = 0xB8, .reg = (u8)reg, .imm = value, .imm_size = 4};
    if (value > UINT32_MAX && (u64)(s64)(s32)value == value) {
        e = (struct encoding){.opcode = 0xC7,
                              .has_rm = true,
                              .wide = true,
                              .rm = register_rm(reg),
                              .imm = value,
                              .imm_size = 4};
    } else if (value > UINT32_MAX) {
        e.wide = true;
        e.imm_size = 8;
    }
    encode(g, &e);
    g->known[reg] = true;
    g->value[reg] = value;
}

struct rm register_rm(unsigned reg)
{
    return (struct rm){.reg = (u8)reg};
}

// Mostly somewhere in writable data; at times astride a page's end, or where it is absent,
// read-only, the device, code, the kernel's.
u64 any_target(struct generator *g, unsigned size)
{
    u64 data = chance(g, 6) ? (u64)(s64)(KERNEL) + KERNEL_DATA : DATA;
    unsigned what = pick(g, g->polite && !chance(g, 60) ? 78 : 100);
    if (g->gap_count && chance(g, 25)) { // in a page of code
        return (chance(g, 3) ? CODE_ALIAS : CODE) + g->gaps[pick(g, g->gap_count)] + pick(g, 32);
    }
    if (g->polite && what >= 78 && what < 92) { // astride two pages that are there
        return data + (1 + pick(g, 3)) * PAGE_SIZE - pick(g, size + 2);
    }
    if (what < 78) {
        unsigned page = pick(g, 5), offset = pick(g, PAGE_SIZE - size);
        return data + (page == 4 ? 6 : page) * PAGE_SIZE + (chance(g, 3) ? offset : offset & ~7u);
    }
    if (what < 92) {
        return data + (1 + pick(g, DATA_PAGES - 2)) * PAGE_SIZE - pick(g, size + 2);
    }
    switch (what) {
    case 92:
    case 93:
        return data + 7 * PAGE_SIZE + 0x20 + pick(g, 0x100) * 8; // not those that do something
    case 94:
        return STACK + pick(g, STACK_PAGES * PAGE_SIZE - 64);
    case 95:
        return CODE + pick(g, CODE_BYTES - 64);
    case 96:
        return LARGE + P_DATA + pick(g, 0x6000);
    case 97:
        return (u64)(s64)(KERNEL) + P_VARS + 0x800 + pick(g, 0x700);
    case 98:
        return UINT64_C(0x7FFFFFFFFFF8) + pick(g, 16); // the end of what is canonical
    default:
        return random_value(&g->r);
    }
}

static int known_base(struct generator *g, u64 target)
{
    for (unsigned n = 0, i = pick(g, 16); n < 16; n++, i = (i + 1) & 15) {
        if (g->known[i] && (u64)(s64)(s32)(target - g->value[i]) == target - g->value[i]) {
            return (int)i;
        }
    }
    return -1;
}

struct rm memory_at(struct generator *g, u64 target)
{
    struct rm m = {.mem = true, .base = 16, .index = 16, .target = target};
    unsigned how = pick(g, 16);
    if (chance(g, 24)) { // FS and GS are set to these at the start
        m.segment = chance(g, 2) ? 0x64 : 0x65;
        target -= m.segment == 0x64 ? DATA + 0x808 : DATA - 0x1000;
    }
    if (how == 0 && !m.segment &&
        (u64)(s64)(s32)(target - (CODE + g->at)) == target - (CODE + g->at)) {
        m.rip = true;
        return m;
    }
    if (how == 1 && (u64)(s64)(s32)target == target) {
        m.disp = (s32)target;
        return m;
    }
    int base = known_base(g, target);
    if (base < 0) {
        static const u8 bases[] = {0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 5};
        base = bases[pick(g, 16)];
        load_constant(g, (unsigned)base,
                      target - (chance(g, 3) ? 0 : (u64)(s64)(s32)(pick(g, 512) - 256u)));
    }
    m.base = (u8)base;
    u64 rest = target - g->value[base];
    unsigned index = pick(g, 16);
    if (chance(g, 4) && index != 4 && g->known[index]) {
        m.index = (u8)index;
        m.scale = (u8)pick(g, 4);
        rest -= g->value[index] << m.scale;
    } else if (chance(g, 8) && index != 4 && (int)index != base) {
        m.index = (u8)index; // a small number, or whatever it is
        m.scale = (u8)pick(g, 4);
        u64 small = pick(g, 8);
        if (!chance(g, 6)) {
            load_constant(g, index, small);
            rest -= small << m.scale;
        }
    }
    m.disp = (s32)rest;
    m.addr32 = chance(g, 24);
    return m;
}

struct rm memory_rm(struct generator *g, unsigned size)
{
    return memory_at(g, any_target(g, size));
}

struct rm any_rm(struct generator *g, unsigned size)
{
    return chance(g, 2) ? memory_rm(g, size) : register_rm(pick(g, 16));
}
