// SPDX-License-Identifier: MIT
// 16- and 32-bit code in segments with bases, limits and types, against the host's own CPU (the process's LDT): random
// instructions with every ModRM, address and operand size and segment override. Compared: registers, flags, memory, faults.
// Usage: test_segments [TRIALS [SEED]]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "tests/isa/bare.h"
#include "tests/isa/generate.h"

enum { CODE_16_SEGMENT, CODE_32_SEGMENT, DATA, READ_ONLY_DATA, DOWN_16, DOWN_32, STACK_16, STACK_32, EXECUTE_ONLY, SEGMENTS };

#define GUEST_LDT 0x4000 // below user memory, of SEGMENTS descriptors

// What the tests' LDT holds. Expand-down segments begin behind their limit.
static const struct host_segment segments[SEGMENTS] = {
    [CODE_16_SEGMENT] = {.base = HOST_CODE, .limit = 0xFFFF, .code = true},
    [CODE_32_SEGMENT] = {.base = HOST_CODE, .limit = 0xFFFF, .code = true, .is_32 = true},
    [DATA] = {.base = HOST_DATA + 0x11, .limit = 0x1EFF},
    [READ_ONLY_DATA] = {.base = HOST_DATA, .limit = 0x1FFF, .read_only = true},
    [DOWN_16] = {.base = HOST_DATA - 0x1000, .limit = 0xFFF, .expand_down = true},
    [DOWN_32] = {.base = HOST_DATA - 0x800, .limit = 0x7FF, .expand_down = true, .is_32 = true},
    [STACK_16] = {.base = HOST_DATA, .limit = 0x1FFF},
    [STACK_32] = {.base = HOST_DATA, .limit = 0x1FFF, .is_32 = true},
    [EXECUTE_ONLY] = {.base = HOST_DATA, .limit = 0x1FFF, .code = true, .read_only = true},
};

// An instruction: opcode bytes, what follows, and the flags that are not to be compared.
enum follows { NOTHING, MODRM, MODRM_I8, MODRM_IW, IMM8, IMM_W, ADDRESS, ENTER };
static const struct shape {
    u8 first, last; // opcodes, inclusive
    u8 map;         // 1: 0F
    u8 follows;
    u8 digits; // ModRM.reg allowed, 0: any
    u32 unknown;
} shapes[] = {
    {0x00, 0x03, 0, MODRM, 0, 0},           {0x10, 0x13, 0, MODRM, 0, 0},      {0x18, 0x1B, 0, MODRM, 0, 0},
    {0x20, 0x23, 0, MODRM, 0, 0x10},        {0x28, 0x2B, 0, MODRM, 0, 0},      {0x30, 0x33, 0, MODRM, 0, 0x10},
    {0x38, 0x3B, 0, MODRM, 0, 0},           {0x40, 0x4F, 0, NOTHING, 0, 0},    {0x50, 0x5F, 0, NOTHING, 0, 0},
    {0x60, 0x60, 0, NOTHING, 0, 0},         {0x68, 0x68, 0, IMM_W, 0, 0},      {0x6A, 0x6A, 0, IMM8, 0, 0},
    {0x80, 0x80, 0, MODRM_I8, 0, 0x10},     {0x81, 0x81, 0, MODRM_IW, 0, 0x10}, {0x83, 0x83, 0, MODRM_I8, 0, 0x10},
    {0x84, 0x8B, 0, MODRM, 0, 0x10},        {0x8D, 0x8D, 0, MODRM, 0, 0},      {0x8F, 0x8F, 0, MODRM, 0x01, 0},
    {0x91, 0x99, 0, NOTHING, 0, 0},         {0xA0, 0xA3, 0, ADDRESS, 0, 0},    {0xA4, 0xA7, 0, NOTHING, 0, 0},
    {0xAA, 0xAF, 0, NOTHING, 0, 0},         {0xC0, 0xC1, 0, MODRM_I8, 0, 0x8D5}, {0xC6, 0xC6, 0, MODRM_I8, 0x01, 0},
    {0xC7, 0xC7, 0, MODRM_IW, 0x01, 0},     {0xC8, 0xC8, 0, ENTER, 0, 0},      {0xC9, 0xC9, 0, NOTHING, 0, 0},
    {0xD7, 0xD7, 0, NOTHING, 0, 0},         {0xF6, 0xF7, 0, MODRM, 0x0C, 0},   {0xFE, 0xFE, 0, MODRM, 0x03, 0},
    {0xFF, 0xFF, 0, MODRM, 0x43, 0},        {0xB6, 0xB7, 1, MODRM, 0, 0},      {0xBE, 0xBF, 1, MODRM, 0, 0},
    {0xA3, 0xA3, 1, MODRM, 0, 0x8D4},       {0xAB, 0xAB, 1, MODRM, 0, 0x8D4},  {0xC0, 0xC1, 1, MODRM, 0, 0},
    {0x40, 0x4F, 1, MODRM, 0, 0},           {0x90, 0x9F, 1, MODRM, 0, 0},      {0x62, 0x62, 0, MODRM, 0, 0},
};

struct attempt {
    u8 bytes[24];
    unsigned size, opcode; // where that is
    u16 selectors[4];
    bool is_32;
    u32 unknown;
    bool poke; // before the run, poke_value is stored where the branch finds it
    u32 poke_offset, poke_value;
    struct host_state before;
};

static void add(struct attempt *a, unsigned byte)
{
    a->bytes[a->size++] = (u8)byte;
}

static void add_random(struct random *r, struct attempt *a, unsigned count)
{
    while (count--) {
        add(a, random_below(r, 3) ? (unsigned)random_u64(r) & 0xFF : random_below(r, 2));
    }
}

// ModRM with SIB and displacement, by the address size.
static void add_modrm(struct random *r, struct attempt *a, const struct shape *s, bool address_32)
{
    unsigned modrm = random_below(r, 256), digit = modrm >> 3 & 7;
    while (s->digits && !(s->digits >> digit & 1)) {
        digit = random_below(r, 8);
    }
    if (s->first == 0x8D || s->first == 0x62) {
        modrm &= 0xBF; // memory only: another instruction otherwise
    }
    modrm = (modrm & 0xC7) | digit << 3;
    unsigned mod = modrm >> 6, rm = modrm & 7;
    add(a, modrm);
    if (mod == 3) {
        return;
    }
    unsigned base = rm;
    if (address_32 && rm == 4) {
        base = random_below(r, 8);
        add(a, random_below(r, 32) << 3 | base);
    }
    bool absolute = mod == 0 && base == (address_32 ? 5 : 6);
    if (absolute || mod == 2) { // within reach, mostly
        u32 offset = random_below(r, 8) ? random_below(r, 0x2100) : (u32)random_u64(r);
        for (unsigned i = 0; i < (address_32 ? 4 : 2); i++) {
            add(a, offset >> (8 * i) & 0xFF);
        }
    } else if (mod == 1) {
        add_random(r, a, 1);
    }
}

// Loads of DS, ES and SS, and questions about selectors: of the LDT, null, beyond it. ECX: the selector.
static void make_selector_use(struct random *r, struct attempt *a)
{
    static const char *const codes[] = {"\x8E\xD9", "\x8E\xC1", "\x8E\xD1", "\x0F\x02\xC1", "\x0F\x03\xC1",
                                        "\x0F\x00\xE1", "\x0F\x00\xE9", "\x51\x1F", "\x51\x07", "\x8E\xC9"};
    const char *code = codes[random_below(r, ARRAY_LEN(codes))];
    if (random_below(r, 3) == 0 && code[0] != '\x51') {
        add(a, 0x66);
    }
    a->opcode = a->size;
    for (unsigned i = 0; code[i] || i < 2; i++) {
        add(a, (u8)code[i]);
    }
    a->before.gpr[1] = random_below(r, 6) ? random_below(r, SEGMENTS + 3) << 3 | 4 | random_below(r, 4) : random_below(r, 4);
}

#define TARGET (HOST_TARGET - HOST_CODE)

// Jcc, JMP and CALL to TARGET or somewhere, by both operand sizes; JMP, CALL and RET through what lies in memory.
static void make_branch(struct random *r, struct attempt *a)
{
    bool operand_32 = a->is_32;
    if (random_below(r, 3) == 0) {
        add(a, 0x66), operand_32 = !operand_32;
    }
    a->opcode = a->size;
    unsigned kind = random_below(r, 6), bytes = operand_32 ? 4 : 2;
    if (kind >= 4) { // RET; JMP or CALL through ES, DS or SS
        a->poke = true;
        add(a, kind == 4 ? 0xC3 : 0xFF);
        if (kind == 5) {
            a->poke_offset = random_below(r, 0x1000);
            add(a, (a->is_32 ? 0x05 : 0x06) | (random_below(r, 2) ? 0x20 : 0x10)); // an absolute address
            for (unsigned i = 0; i < (a->is_32 ? 4u : 2u); i++) {
                add(a, a->poke_offset >> (8 * i) & 0xFF);
            }
        } else if (random_below(r, 2)) {
            a->bytes[a->opcode] = 0xC2;
            add(a, random_below(r, 256)), add(a, 0);
        }
        a->poke_value = random_below(r, 8) || !operand_32 ? TARGET : 0x10000 + random_below(r, 0x10000);
        return;
    }
    if (kind < 2) {
        add(a, 0x0F), add(a, 0x80 | random_below(r, 16));
    } else {
        add(a, 0xE6 + kind); // E8, E9
    }
    u32 from = (u32)(HOST_INSN - HOST_CODE) + a->size + bytes;
    u32 target = random_below(r, 8) ? TARGET : 0x10000 + random_below(r, 0x10000), distance = target - from;
    if (!operand_32 && target != TARGET) {
        distance = TARGET - from; // 16 bits reach nothing past the limit
    }
    for (unsigned i = 0; i < bytes; i++) {
        add(a, distance >> (8 * i) & 0xFF);
    }
}

// What a branch through memory finds: at the stack pointer, or in DS. Outside the writable pages nothing is put.
static void poke(const struct attempt *a, u8 *data)
{
    const struct host_segment *s = &segments[a->selectors[a->bytes[a->opcode] == 0xFF ? 2 : 1] >> 3];
    u32 offset = a->bytes[a->opcode] == 0xFF ? a->poke_offset : (u32)a->before.gpr[4];
    if (!s->is_32 && a->bytes[a->opcode] != 0xFF) {
        offset &= 0xFFFF;
    }
    u64 at = s->base + offset - HOST_DATA;
    if (a->poke && at <= 0x2000 - 4) {
        memcpy(data + at, &a->poke_value, 4);
    }
}

static void make_instruction(struct random *r, struct attempt *a)
{
    unsigned kind = random_below(r, 10);
    if (kind < 2) {
        (kind ? make_selector_use : make_branch)(r, a);
        return;
    }
    static const u8 overrides[] = {0x26, 0x36, 0x3E};
    const struct shape *s = &shapes[random_below(r, ARRAY_LEN(shapes))];
    bool operand_32 = a->is_32, address_32 = a->is_32;
    bool string = s->first >= 0xA4 && s->last <= 0xAF && !s->map && s->follows == NOTHING;
    if (random_below(r, 3) == 0) {
        add(a, 0x66), operand_32 = !operand_32;
    }
    if (random_below(r, 3) == 0) {
        add(a, 0x67), address_32 = !address_32;
    }
    if (random_below(r, 3) == 0) {
        add(a, overrides[random_below(r, 3)]);
    }
    if (string && random_below(r, 2)) {
        add(a, 0xF2 + random_below(r, 2));
    }
    if (s->map) {
        add(a, 0x0F);
    }
    a->opcode = a->size;
    add(a, s->first + random_below(r, s->last - s->first + 1u));
    if (s->follows == MODRM || s->follows == MODRM_I8 || s->follows == MODRM_IW) {
        add_modrm(r, a, s, address_32);
    }
    bool wide = s->follows == MODRM_IW || s->follows == IMM_W;
    add_random(r, a, s->follows == MODRM_I8 || s->follows == IMM8 ? 1 : wide ? (operand_32 ? 4 : 2) : 0);
    if (s->follows == ADDRESS) {
        add_random(r, a, 1), add(a, random_below(r, 0x22));
        for (unsigned i = 2; i < (address_32 ? 4u : 2u); i++) {
            add(a, 0);
        }
    } else if (s->follows == ENTER) {
        add_random(r, a, 1), add(a, 0), add(a, random_below(r, 4));
    }
    a->unknown = s->unknown;
}

static void make_attempt(struct random *r, struct attempt *a)
{
    static const u8 data[] = {DATA, DATA, READ_ONLY_DATA, DOWN_16, DOWN_32, STACK_32};
    memset(a, 0, sizeof(*a));
    a->is_32 = random_below(r, 3) == 0;
    a->selectors[0] = HOST_SELECTOR(a->is_32 ? CODE_32_SEGMENT : CODE_16_SEGMENT);
    a->selectors[1] = HOST_SELECTOR(random_below(r, 2) ? STACK_16 : STACK_32);
    a->selectors[2] = HOST_SELECTOR(data[random_below(r, ARRAY_LEN(data))]);
    a->selectors[3] = random_below(r, 8) ? HOST_SELECTOR(data[random_below(r, ARRAY_LEN(data))]) : 0;
    for (unsigned i = 0; i < 8; i++) {
        u32 value = random_below(r, 4) ? random_below(r, 0x1100) : (u32)random_value(r);
        a->before.gpr[i] = value | (random_below(r, 4) ? 0 : (u32)random_u64(r) & 0xFFFF0000u);
    }
    a->before.gpr[1] = random_below(r, 40);
    a->before.gpr[4] = random_below(r, 8) ? 0x200 + random_below(r, 0x1C00) : random_below(r, 0x20);
    if (a->selectors[1] == HOST_SELECTOR(STACK_16)) {
        a->before.gpr[4] |= (u32)random_u64(r) & 0xFFFF0000u; // of no consequence
    }
    a->before.rflags = (random_u64(r) & 0x8D5) | (random_below(r, 4) ? 0 : 0x400) | 2;
    make_instruction(r, a);
}

static struct cpu_segment hidden(u16 selector)
{
    const struct host_segment *s = &segments[selector >> 3];
    if (!selector) {
        return (struct cpu_segment){0};
    }
    u16 type = (u16)(0xF1 | s->code << 3 | !s->read_only << 1 | s->expand_down << 2);
    return (struct cpu_segment){selector, (u16)(type | s->is_32 << 14), s->limit, s->base};
}

// As Linux makes them: accessed, AVL set.
static void make_guest_ldt(struct bare *b)
{
    for (unsigned i = 0; i < SEGMENTS; i++) {
        struct cpu_segment s = hidden(HOST_SELECTOR(i));
        u64 d = (s.limit & 0xFFFF) | (s.base & 0xFFFFFF) << 16 | (u64)(s.attributes & 0xFF) << 40 |
                (u64)(s.attributes >> 8 & 0xF0) << 48 | UINT64_C(1) << 52 | (s.base >> 24) << 56;
        physmem_write(b->mem, GUEST_LDT + 8 * i, &d, 8);
    }
}

static void run_guest(struct bare *b, const struct attempt *a, struct host_state *state, u16 selectors[3])
{
    static const u8 stop[2] = {0xEB, 0xFE};
    static const u8 which[] = {CPU_CS, CPU_SS, CPU_DS, CPU_ES};
    u64 offset = HOST_INSN - HOST_CODE;
    physmem_write(b->mem, HOST_INSN, a->bytes, a->size);
    physmem_write(b->mem, HOST_INSN + a->size, stop, 2);
    physmem_write(b->mem, HOST_TARGET, stop, 2);
    struct cpu_regs r = bare_user_regs(b, offset);
    memcpy(r.gpr, state->gpr, sizeof(r.gpr));
    r.rflags = state->rflags;
    for (unsigned i = 0; i < ARRAY_LEN(which); i++) {
        r.seg[which[i]] = hidden(a->selectors[i]);
    }
    r.ldtr = (struct cpu_segment){0x28, 0x82, SEGMENTS * 8 - 1, GUEST_LDT};
    cpu_set_regs(b->cpu, &r);
    for (unsigned i = 0; i < 200 && r.rip != offset + a->size && r.rip != TARGET && r.cpl == 3; i++) {
        cpu_run(b->cpu, 1);
        cpu_get_regs(b->cpu, &r);
    }
    selectors[0] = r.seg[CPU_SS].selector, selectors[1] = r.seg[CPU_DS].selector;
    selectors[2] = r.seg[CPU_ES].selector;
    struct bare_exception e = bare_exception(b);
    memcpy(state->gpr, r.gpr, sizeof(r.gpr));
    state->vector = e.vector;
    state->error_code = e.error_code;
    state->cr2 = e.vector == 14 ? r.cr2 : 0;
    state->rip = e.vector >= 0 ? e.rip : r.rip;
    state->rflags = e.vector >= 0 ? e.rflags : r.rflags;
    state->gpr[4] = e.vector >= 0 ? e.rsp : r.gpr[4];
}

static bool equal(const struct attempt *a, const struct host_state *want, const struct host_state *got, bool memory)
{
    // A CALL past the limit without room on the stack: #GP in the SDM, #SS in AMD's manual.
    // CMPS and BOUND with two faulting operands: the vendors differ in which comes first, and in what PUSHA has written by then.
    u8 opcode = a->bytes[a->opcode];
    bool call = opcode == 0xE8 || (opcode == 0xFF && (a->bytes[a->opcode + 1] & 0x38) == 0x10);
    bool twice = (opcode & 0xFE) == 0xA6 || opcode == 0x62 || call;
    if (twice && want->vector >= 0 && got->vector >= 0) {
        return true;
    }
    memory |= opcode == 0x60 && want->vector >= 0;
    u64 flags = 0xCD5 & ~(u64)a->unknown;
    u64 code = want->vector == 14 && want->cr2 - HOST_CODE >= 0x200000 ? ~UINT64_C(1) : UINT64_MAX;
    return memory && memcmp(want->gpr, got->gpr, sizeof(want->gpr)) == 0 && want->vector == got->vector &&
           want->rip == got->rip && (want->error_code & code) == (got->error_code & code) && want->cr2 == got->cr2 &&
           !((want->rflags ^ got->rflags) & flags);
}

static void print_difference(const struct attempt *a, const struct host_state *want, const struct host_state *got,
                             bool memory)
{
    printf("%u-bit code, cs ss ds es %x %x %x %x:", a->is_32 ? 32 : 16, a->selectors[0] >> 3, a->selectors[1] >> 3,
           a->selectors[2] >> 3, a->selectors[3] >> 3);
    for (unsigned i = 0; i < a->size; i++) {
        printf(" %02x", a->bytes[i]);
    }
    printf("\n");
    for (unsigned i = 0; i < 8; i++) {
        if (want->gpr[i] != got->gpr[i]) {
            printf("  register %u: before %lx, host %lx, viv %lx\n", i, a->before.gpr[i], want->gpr[i], got->gpr[i]);
        }
    }
    printf("  vector %d, %d; error code %lx, %lx; cr2 %lx, %lx; rip %lx, %lx; flags %lx, %lx; memory %s\n", want->vector,
           got->vector, want->error_code, got->error_code, want->cr2, got->cr2, want->rip, got->rip, want->rflags & 0xCD5,
           got->rflags & 0xCD5, memory ? "equal" : "differs");
}

int main(int argc, char **argv)
{
    unsigned trials = argc > 1 ? (unsigned)atoi(argv[1]) : 20000, failed = 0, faults = 0;
    struct random r = {argc > 2 ? strtoull(argv[2], NULL, 0) * 2 + 1 : 1};
    bool ready = host_init();
    for (unsigned i = 0; ready && i < SEGMENTS; i++) {
        ready = host_set_segment(i, &segments[i]);
    }
    if (!ready) {
        printf("skipped: no LDT, or the test's addresses are taken in this process\n");
        return 77;
    }
    static u8 fill[HOST_DATA_BYTES];
    struct bare *b = bare_create(TLB_FULL);
    for (unsigned i = 0; i < sizeof(fill); i++) {
        fill[i] = (u8)random_u64(&r);
    }
    bare_set_page(b, HOST_DATA + 0x2000, BARE_PAGE_READ);
    for (u64 page = HOST_DATA + 0x3000; page < BARE_RAM_BYTES; page += PAGE_SIZE) {
        bare_set_page(b, page, BARE_PAGE_ABSENT);
    }
    for (u64 page = HOST_CODE + 0x3000; page < HOST_DATA; page += PAGE_SIZE) {
        bare_set_page(b, page, BARE_PAGE_ABSENT);
    }
    make_guest_ldt(b);
    for (unsigned i = 0; i < trials && failed < 20; i++) {
        struct attempt a;
        make_attempt(&r, &a);
        struct host_state want = a.before, got = a.before;
        host_fill_data(fill);
        memcpy(b->mem->ram + HOST_DATA, fill, sizeof(fill));
        poke(&a, host_data());
        poke(&a, b->mem->ram + HOST_DATA);
        host_run_segments(a.bytes, a.size, HOST_INSN, a.selectors, a.is_32, &want);
        want.gpr[4] = (u32)want.gpr[4]; // Linux's espfix leaves something above, if an interrupt comes
        u16 host_selectors[3], guest_selectors[3];
        host_last_selectors(host_selectors);
        run_guest(b, &a, &got, guest_selectors);
        faults += want.vector >= 0;
        if (want.vector < 0 && memcmp(host_selectors, guest_selectors, sizeof(host_selectors)) != 0) {
            printf("SS, DS, ES: host %x %x %x, viv %x %x %x\n", host_selectors[0], host_selectors[1], host_selectors[2],
                   guest_selectors[0], guest_selectors[1], guest_selectors[2]);
            got.vector = 255;
        }
        bool memory = memcmp(host_data(), b->mem->ram + HOST_DATA, HOST_DATA_BYTES) == 0;
        if (!equal(&a, &want, &got, memory)) {
            failed++;
            print_difference(&a, &want, &got, memory);
        }
    }
    printf("%u instructions in segments, %u faults, %u differences\n", trials, faults, failed);
    bare_destroy(b);
    return failed ? 1 : 0;
}
