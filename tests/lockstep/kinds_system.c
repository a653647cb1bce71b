// SPDX-License-Identifier: MIT
// Code that changes, segments, control registers, page tables, the device.
#include "tests/lockstep/kinds.h"

// FS and GS bases, SS.
void write_segment(struct generator *g)
{
    unsigned reg = pick(g, 4);
    if (chance(g, 3)) {
        load_constant(g, 0, g->p->ring0 ? 0x10 : 0x1B);
        static const u8 mov_ss[] = {0x8E, 0xD0};
        write_plain(g, mov_ss, 2);
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

// A store to code that may be exchanged: directly, by the alias, the large page, the kernel's half,
// or the device.
void write_self_modification(struct generator *g)
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

void write_system(struct generator *g)
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
    write_plain(g, anywhere[n] + 1, anywhere[n][0]);
    for (unsigned i = 0; i < 4; i++) {
        forget(g, i);
    }
    forget(g, 11);
}

static void write_mov_cr(struct generator *g, unsigned cr, u64 value)
{
    unsigned reg = pick(g, 2) * 8 + pick(g, 4);
    load_constant(g, reg, value);
    u8 code[4] = {0x41, 0x0F, 0x22, (u8)(0xC0 | cr << 3 | (reg & 7))};
    write_plain(g, reg < 8 ? code + 1 : code, reg < 8 ? 3 : 4);
}

// Stores to entries of the tables of code and data; what is stored is taken back by a later one.
static void write_table_store(struct generator *g)
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

void write_ring0(struct generator *g)
{
    const struct program *p = g->p;
    static const u8 cli[] = {0xFA}, sti[] = {0xFB}, hlt[] = {0xFB, 0xF4},
                    swapgs[] = {0x0F, 0x01, 0xF8};
    switch (pick(g, 12)) {
    case 0:
        write_plain(g, chance(g, 2) ? cli : sti, 1);
        break;
    case 1:
        write_plain(g, hlt, 2); // one instruction for the handlers
        break;
    case 2:
        write_plain(g, swapgs, 3);
        break;
    case 3:
    case 4:
        write_mov_cr(g, 3, P_TABLES + 0x1000 * pick(g, 2));
        break;
    case 5:
        write_mov_cr(g, 0, p->cr0 ^ (chance(g, 2) ? 0x10000 : chance(g, 2) ? 8 : 0));
        break;
    case 6:
        write_mov_cr(g, 4, p->cr4 ^ (chance(g, 2) ? 0x80 : 0));
        break;
    case 7: { // ports
        load_constant(g, 2, 0x500 + (chance(g, 4) ? DEVICE_PATCH : 0x20 + pick(g, 0x40)));
        u8 code = (u8)(0xEC + pick(g, 4));
        write_plain(g, &code, 1);
        forget(g, 0);
        break;
    }
    default:
        write_table_store(g);
        break;
    }
}

// The timer, or a bit of MXCSR.
void write_control(struct generator *g)
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

void write_garbage(struct generator *g)
{
    u64 bytes = random_u64(&g->r);
    if (g->polite) {
        return;
    }
    write_plain(g, &bytes, 1 + pick(g, 6));
    forget_all(g);
}
