// SPDX-License-Identifier: MIT
// Loops of vector instructions with few memory operands, used again and again, on both engines: operands lie across the ends
// of pages that are writable, read-only or absent, their registers change in between, some exceptions are unmasked.
// Compared: registers, vector registers, MXCSR, memory. Usage: test_vector_blocks [PROGRAMS [SEED]]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "tests/isa/bare.h"
#include "tests/isa/generate.h"

enum { CODE = BARE_USER, DATA = BARE_USER + 0x10000, STACK = DATA + 0x7800 };
enum { PAGES = 6, CODE_BYTES = 1024, OPERANDS = 3, MODES = 4, STEPS = 900, SOME = 8 };
enum { CR4_VECTORS = 0x40600 }; // OSXSAVE, OSFXSR, OSXMMEXCPT

// Of operands; the counter is RBP.
static const u8 bases[] = {CPU_RSI, CPU_RBX, 10}, indices[] = {CPU_RAX, 9, 12};

static unsigned a_base(struct random *r)
{
    return bases[random_below(r, ARRAY_LEN(bases))];
}

static unsigned an_index(struct random *r)
{
    return indices[random_below(r, ARRAY_LEN(indices))];
}

struct memory_operand {
    u8 base, index, scale;
    s8 disp;
};

struct program {
    u8 code[CODE_BYTES];
    unsigned size;
    struct memory_operand operands[OPERANDS];
};


// A legacy encoding with ModRM; store: memory is written, so it has no register form here.
struct template {
    u8 prefix, map, opcode;
    bool w, gpr;
};

static const struct template templates[] = {
    {0xF2, 0, 0x10, 0, 0}, {0xF2, 0, 0x11, 0, 0}, {0xF3, 0, 0x10, 0, 0}, {0xF3, 0, 0x11, 0, 0}, // MOVSD MOVSS
    {0, 0, 0x10, 0, 0},    {0, 0, 0x11, 0, 0},    {0, 0, 0x28, 0, 0},    {0, 0, 0x29, 0, 0},    // MOVUPS MOVAPS
    {0x66, 0, 0x6F, 0, 0}, {0x66, 0, 0x7F, 0, 0}, {0xF3, 0, 0x6F, 0, 0}, {0xF3, 0, 0x7F, 0, 0}, // MOVDQA MOVDQU
    {0x66, 0, 0xD6, 0, 0}, {0x66, 0, 0x17, 0, 0}, {0x66, 0, 0x13, 0, 0},                        // MOVQ MOVHPD MOVLPD
    {0xF2, 0, 0x58, 0, 0}, {0xF2, 0, 0x59, 0, 0}, {0xF2, 0, 0x5C, 0, 0}, {0xF2, 0, 0x5E, 0, 0}, // ADDSD MULSD SUBSD DIVSD
    {0, 0, 0x58, 0, 0},    {0x66, 0, 0x59, 0, 0}, {0x66, 0, 0xFE, 0, 0}, {0x66, 0, 0xEF, 0, 0}, // ADDPS MULPD PADDD PXOR
    {0xF2, 0, 0x2C, 1, 1}, {0x66, 0, 0x6E, 1, 0}, {0x66, 0, 0x7E, 1, 0}, {0x66, 0, 0x2E, 0, 0}, // CVTTSD2SI MOVQ UCOMISD
    {0x66, 0x38, 0x00, 0, 0}, {0x66, 0x38, 0x17, 0, 0},                                         // PSHUFB PTEST
};

static void put(struct program *p, const void *bytes, unsigned count)
{
    memcpy(p->code + p->size, bytes, count);
    p->size += count;
}

static void put1(struct program *p, unsigned byte)
{
    p->code[p->size++] = (u8)byte;
}

// ModRM, SIB, disp8.
static void put_operand(struct program *p, unsigned reg, const struct memory_operand *m)
{
    put1(p, 0x44 | (reg & 7) << 3);
    put1(p, (unsigned)m->scale << 6 | (m->index & 7u) << 3 | (m->base & 7u));
    put1(p, (u8)m->disp);
}

static void put_legacy(struct random *r, struct program *p)
{
    const struct template *t = &templates[random_below(r, ARRAY_LEN(templates))];
    const struct memory_operand *m = &p->operands[random_below(r, OPERANDS)];
    bool memory = random_below(r, 4) != 0 || t->opcode == 0x17 || t->opcode == 0x13;
    unsigned reg = t->gpr ? an_index(r) : random_below(r, 16);
    bool general = !memory && (t->opcode == 0x6E || t->opcode == 0x7E);
    unsigned rm = !general ? random_below(r, 16) : t->opcode == 0x6E || !random_below(r, 4) ? an_index(r) : 13;
    if (t->prefix) {
        put1(p, t->prefix);
    }
    put1(p, 0x40 | (unsigned)t->w << 3 | (reg & 8) >> 1 | (memory ? (m->index & 8u) >> 2 | (m->base & 8u) >> 3 : rm >> 3));
    put1(p, 0x0F);
    if (t->map) {
        put1(p, t->map);
    }
    put1(p, t->opcode);
    if (memory) {
        put_operand(p, reg, m);
    } else {
        put1(p, 0xC0 | (reg & 7) << 3 | (rm & 7));
    }
}

// VMOVDQU load and store, VADDPS, of 128 or 256 bits; VZEROUPPER.
static void put_vex(struct random *r, struct program *p)
{
    static const u8 kinds[][2] = {{0x6F, 2}, {0x7F, 2}, {0x58, 0}, {0x6F, 1}, {0x7F, 1}};
    const struct memory_operand *m = &p->operands[random_below(r, OPERANDS)];
    unsigned kind = random_below(r, ARRAY_LEN(kinds) + 1), reg = random_below(r, 16);
    if (kind == ARRAY_LEN(kinds)) {
        put(p, "\xC5\xF8\x77", 3);
        return;
    }
    unsigned vvvv = kinds[kind][0] == 0x58 ? random_below(r, 16) : 0;
    put1(p, 0xC4);
    put1(p, (reg & 8 ? 0 : 0x80) | (m->index & 8 ? 0 : 0x40) | (m->base & 8 ? 0 : 0x20) | 1);
    put1(p, (~vvvv & 15) << 3 | random_below(r, 2) << 2 | kinds[kind][1]);
    put1(p, kinds[kind][0]);
    put_operand(p, reg, m);
}

static void put_integer(struct random *r, struct program *p)
{
    bool base = random_below(r, 2);
    unsigned reg = base ? a_base(r) : an_index(r), from = base ? a_base(r) : an_index(r);
    const struct memory_operand *m = &p->operands[random_below(r, OPERANDS)];
    switch (random_below(r, 9)) {
    case 0: // add reg, 16
        put(p, (const u8[]){(u8)(0x48 | reg >> 3), 0x83, (u8)(0xC0 | (reg & 7)), 16}, 4);
        break;
    case 1: // sub reg8, 16: of one that has a low byte with REX
        put(p, (const u8[]){(u8)(0x40 | reg >> 3), 0x80, (u8)(0xE8 | (reg & 7)), 16}, 4);
        break;
    case 2: // mov reg, from
        put(p, (const u8[]){(u8)(0x48 | from >> 3 << 2 | reg >> 3), 0x89, (u8)(0xC0 | (from & 7) << 3 | (reg & 7))}, 3);
        break;
    case 3: // mov [operand], reg
        put(p, (const u8[]){(u8)(0x48 | (reg & 8) >> 1 | (m->index & 8) >> 2 | m->base >> 3), 0x89}, 2);
        put_operand(p, reg, m);
        break;
    case 4: // xchg reg, from
        put(p, (const u8[]){(u8)(0x48 | from >> 3 << 2 | reg >> 3), 0x87, (u8)(0xC0 | (from & 7) << 3 | (reg & 7))}, 3);
        break;
    case 5: // pushfq; popfq, which ends a block
        put(p, "\x9C\x9D", 2);
        break;
    case 6: // ldmxcsr or stmxcsr of something on the stack
        put(p, (const u8[]){0x0F, 0xAE, (u8)(0x54 | random_below(r, 2) << 3), 0x24, (u8)(random_below(r, MODES) * 4)}, 5);
        break;
    case 7: // mov ah, al: the whole of rax changes
        put(p, "\x88\xC4", 2);
        break;
    default: // cmp reg, from
        put(p, (const u8[]){(u8)(0x48 | from >> 3 << 2 | reg >> 3), 0x39, (u8)(0xC0 | (from & 7) << 3 | (reg & 7))}, 3);
        break;
    }
}

static void make_program(struct random *r, struct program *p)
{
    p->size = 0;
    for (unsigned i = 0; i < OPERANDS; i++) {
        struct memory_operand *m = &p->operands[i];
        *m = p->operands[0];
        if (i == 0 || random_below(r, 2)) {
            m->base = (u8)a_base(r);
            m->index = random_below(r, 2) ? CPU_RSP : (u8)an_index(r); // RSP: none
            m->scale = m->index == CPU_RSP ? 0 : (u8)random_below(r, 2);
        }
        m->disp = (s8)(random_below(r, 4) * 16 - 32 + (random_below(r, SOME) ? 0 : random_below(r, 16)));
    }
    unsigned count = 3 + random_below(r, 20);
    for (unsigned i = 0; i < count; i++) {
        unsigned kind = random_below(r, 16);
        if (kind < 11) {
            put_legacy(r, p);
        } else if (kind < 13) {
            put_vex(r, p);
        } else {
            put_integer(r, p);
        }
    }
    s32 back = -(s32)(p->size + 8); // dec ebp; jnz first
    put(p, "\xFF\xCD\x0F\x85", 4);
    put(p, &back, 4);
    put(p, "\xEB\xFE", 2);
}

static u64 address(struct random *r)
{
    u64 page = DATA + (1 + random_below(r, PAGES - 2)) * PAGE_SIZE;
    return random_below(r, 2) ? page + random_below(r, 12) * 16 - 96 : page + random_below(r, PAGE_SIZE / 16) * 16;
}

// What both machines begin with.
struct start {
    u64 gpr[16];
    u8 fpu[CPU_FPU_BYTES];
    u8 memory[PAGES * PAGE_SIZE];
    u64 rights[PAGES];
    u32 modes[MODES]; // MXCSR, on the stack
};

static void make_start(struct random *r, struct start *s)
{
    static const u64 rights[] = {BARE_PAGE_WRITE, BARE_PAGE_WRITE, BARE_PAGE_WRITE, BARE_PAGE_READ, BARE_PAGE_ABSENT};
    for (unsigned i = 0; i < 16; i++) {
        s->gpr[i] = address(r);
    }
    for (unsigned i = 0; i < ARRAY_LEN(indices); i++) {
        s->gpr[indices[i]] = random_below(r, 16) * 16;
    }
    s->gpr[CPU_RBP] = 3 + random_below(r, 30);
    for (unsigned i = 0; i < PAGES; i++) {
        s->rights[i] = random_below(r, 4) ? BARE_PAGE_WRITE : rights[random_below(r, ARRAY_LEN(rights))];
    }
    for (unsigned i = 0; i < sizeof(s->memory); i += 8) {
        u64 value = random_below(r, SOME) ? 0x4030000000000000 | random_u64(r) >> 12 : random_u64(r);
        memcpy(s->memory + i, &value, 8);
    }
    for (unsigned i = 160; i + 8 <= CPU_FPU_BYTES; i += 8) {
        u64 value = 0x4030000000000000 | random_u64(r) >> 12;
        memcpy(s->fpu + i, &value, 8);
    }
    for (unsigned i = 0; i < MODES; i++) {
        s->modes[i] = 0x1F80 | random_below(r, 4) << 13 | (random_below(r, 4) ? 0 : 0x8040);
        s->modes[i] &= random_below(r, SOME) ? ~0u : ~(random_below(r, 64) << 7);
    }
    u16 control = 0x37F;
    memcpy(s->fpu, &control, 2);
    memcpy(s->fpu + 24, &s->modes[0], 4);
}

// How it ended.
struct end {
    struct cpu_regs regs;
    u8 fpu[CPU_FPU_BYTES];
    u8 memory[PAGES * PAGE_SIZE];
};

static void run(struct bare *b, const struct program *p, const struct start *s, struct end *end)
{
    for (unsigned i = 0; i < PAGES; i++) {
        bare_set_page(b, DATA + i * PAGE_SIZE, s->rights[i]);
    }
    physmem_write(b->mem, CODE, p->code, p->size);
    physmem_write(b->mem, DATA, s->memory, sizeof(s->memory));
    struct cpu_regs regs = bare_user_regs(b, CODE);
    regs.cr4 |= CR4_VECTORS;
    memcpy(regs.gpr, s->gpr, sizeof(s->gpr));
    regs.gpr[CPU_RSP] = STACK;
    physmem_write(b->mem, STACK, s->modes, sizeof(s->modes));
    cpu_set_regs(b->cpu, &regs);
    cpu_set_fpu(b->cpu, s->fpu);
    cpu_run(b->cpu, STEPS);
    cpu_get_regs(b->cpu, &end->regs);
    cpu_get_fpu(b->cpu, end->fpu);
    physmem_read(b->mem, DATA, end->memory, sizeof(end->memory));
}

static bool equal(const struct end *a, const struct end *b)
{
    return a->regs.rip == b->regs.rip && a->regs.rflags == b->regs.rflags && a->regs.cr2 == b->regs.cr2 &&
           memcmp(a->regs.gpr, b->regs.gpr, sizeof(a->regs.gpr)) == 0 && memcmp(a->fpu, b->fpu, sizeof(a->fpu)) == 0 &&
           memcmp(a->memory, b->memory, sizeof(a->memory)) == 0;
}

// XSETBV of 7, in ring 0.
static void enable_avx(struct bare *b)
{
    static const u8 code[] = {0xB8, 7, 0, 0, 0, 0x31, 0xD2, 0x31, 0xC9, 0x0F, 0x01, 0xD1, 0xEB, 0xFE};
    physmem_write(b->mem, CODE, code, sizeof(code));
    struct cpu_regs regs = bare_user_regs(b, CODE);
    regs.cr4 |= CR4_VECTORS;
    regs.cpl = 0;
    regs.seg[CPU_CS] = (struct cpu_segment){8, 0xA09B, 0xFFFFFFFF, 0};
    cpu_set_regs(b->cpu, &regs);
    cpu_run(b->cpu, 8);
}

static struct bare *machine(const char *engine, enum tlb_geometry geometry)
{
    setenv("VIV_TEST_ENGINE", engine, 1);
    setenv("VIV_TEST_HOT", "1", 1);
    struct bare *b = bare_create(geometry);
    enable_avx(b);
    return b;
}

static void report(u64 seed, const struct program *p, const struct end *want, const struct end *got)
{
    printf("# program %llu: rip %llx and %llx, flags %llx and %llx, code", (unsigned long long)seed,
           (unsigned long long)want->regs.rip, (unsigned long long)got->regs.rip, (unsigned long long)want->regs.rflags,
           (unsigned long long)got->regs.rflags);
    for (unsigned i = 0; i < p->size; i++) {
        printf(" %02x", p->code[i]);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    static struct program p;
    static struct start s;
    static struct end want, got;
    unsigned programs = argc > 1 ? (unsigned)atoi(argv[1]) : 1000, failed = 0, faults = 0;
    u64 first = argc > 2 ? (u64)atoi(argv[2]) : 1;
    struct bare *interp = machine("interp", TLB_OFF), *jit = machine("jit", TLB_FULL);
    for (u64 seed = first; seed < first + programs; seed++) {
        struct random r = {seed * UINT64_C(0x9E3779B97F4A7C15)};
        make_program(&r, &p);
        make_start(&r, &s);
        run(interp, &p, &s, &want);
        run(jit, &p, &s, &got);
        faults += want.regs.rip < CODE;
        if (!equal(&want, &got) && failed++ < 20) {
            report(seed, &p, &want, &got);
        }
    }
    printf("%s - %u programs, %u with a fault, %u differ\n", failed ? "not ok" : "ok", programs, faults, failed);
    bare_destroy(interp);
    bare_destroy(jit);
    return failed != 0;
}
