// SPDX-License-Identifier: MIT
// x87 programs against the host's own CPU: random instructions one after the other, with exceptions masked and unmasked,
// until FNSAVE or #MF. Compared: all that they stored, environments with instruction and operand pointer included, AX, the
// fault. Transcendental functions, where processors differ: near the exact values (libm's).
// Usage: test_x87 [PROGRAMS [SEED]]
#include <cpuid.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "tests/isa/bare.h"
#include "tests/isa/generate.h"

#define SAVE_OFFSET 0xE00 // where the last FNSAVE goes
#define PROGRAM_MAX 256

struct program {
    u8 bytes[PROGRAM_MAX];
    unsigned size;
};

static const u8 data_modrm = 0x83; // disp32(%rbx); the digit goes into bits 3..5

// Bits: which digits of D8..DF are instructions on memory that all processors do alike. (DB /1, DD /1, DF /1: FISTTP.)
static const u8 memory_forms[8] = {0xFF, 0xFD, 0xFF, 0xAD, 0xFF, 0xDD, 0xFF, 0xFD};

// Second bytes from C0 on that are x87 instructions with one exact result. Not those after which C1 is undefined (FFREE)
// or the vendor's own (FCOMI and its like); test_vector has them.
static bool is_register_form(unsigned opcode, unsigned modrm)
{
    switch (opcode) {
    case 0: return true;
    case 1: return modrm <= 0xD0 || modrm == 0xE0 || modrm == 0xE1 || modrm == 0xE4 || modrm == 0xE5 ||
                   (modrm >= 0xE8 && modrm <= 0xEE) || (modrm >= 0xF4 && modrm <= 0xF8) || modrm == 0xFA || modrm == 0xFC ||
                   modrm == 0xFD;
    case 2: return modrm < 0xE0 || modrm == 0xE9;
    case 3: return modrm < 0xE0 || modrm == 0xE2;
    case 4: return modrm < 0xD0 || modrm >= 0xE0;
    case 5: return modrm >= 0xD0 && modrm < 0xF0;
    case 6: return modrm < 0xD0 || modrm == 0xD9 || modrm >= 0xE0;
    default: return modrm == 0xE0;
    }
}

static void put(struct program *p, const void *bytes, unsigned size)
{
    memcpy(p->bytes + p->size, bytes, size);
    p->size += size;
}

static void put_memory(struct program *p, bool narrow, unsigned opcode, unsigned digit, u32 offset)
{
    u8 head[3] = {0x66, (u8)(0xD8 + opcode), (u8)(data_modrm | digit << 3)};
    put(p, narrow ? head : head + 1, narrow ? 3 : 2);
    put(p, &offset, 4);
}

static void put_random(struct random *r, struct program *p)
{
    unsigned opcode = random_below(r, 8), modrm = 0xC0 + random_below(r, 64);
    if (random_below(r, 6) == 0) {
        put_memory(p, false, 3, 5, random_below(r, 64) * 8); // fld of 80 bits
        return;
    }
    if (random_below(r, 2) == 0) {
        unsigned digit = random_below(r, 8);
        bool environment = (opcode == 1 || opcode == 5) && (digit == 4 || digit == 6);
        if (!(memory_forms[opcode] >> digit & 1) || (environment && random_below(r, 4))) {
            return;
        }
        // Loads of environments take what another instruction stored.
        bool narrow = environment && random_below(r, 3) == 0;
        u32 offset = narrow ? 0xA00 : environment ? 0x800 : random_below(r, 64) * 8;
        put_memory(p, narrow, opcode, digit, offset);
    } else if (is_register_form(opcode, modrm)) {
        u8 bytes[2] = {(u8)(0xD8 + opcode), (u8)modrm};
        put(p, bytes, 2);
    }
}

static void make_program(struct random *r, struct program *p)
{
    p->size = 0;
    put(p, "\xDB\xE3", 2); // fninit, which leaves the registers as they are
    for (unsigned i = 0; i < 8; i++) {
        put(p, "\xD9\xEE", 2); // fldz
    }
    put(p, "\xDB\xE3", 2);
    put_memory(p, false, 1, 5, 0x700);         // fldcw
    put_memory(p, false, 5, 6, 0x800);         // fnsave: what FLDENV and FRSTOR may load
    put_memory(p, true, 5, 6, 0xA00);          // the same in 94 bytes
    put(p, "\xDB\xE3", 2);
    put_memory(p, false, 1, 5, 0x700);
    for (unsigned i = 4 + random_below(r, 14); i > 0; i--) {
        put_random(r, p);
    }
    if (random_below(r, 2)) {
        put_memory(p, random_below(r, 2), 1, 6, 0xD00); // fnstenv
    }
    put_memory(p, random_below(r, 4) == 0, 5, 6, SAVE_OFFSET);
}

static u64 interesting(struct random *r)
{
    static const u64 edges[] = {0, 1, 0x8000000000000000, 0x3FF0000000000000, 0x7FF0000000000000, 0x7FF8000000000001,
                                0x7FF0000000000001, 0x000FFFFFFFFFFFFF, 0x41DFFFFFFFC00000, 0x4F0000003F800000,
                                0xC000000000000000, 0x7FFF, 0x3FFF, 0x0000000012345678,
                                // exponents of 80-bit values at either end, and where 64 and 32 bits end
                                0x0001, 0x8001, 0x7FFE, 0xFFFE, 0x0040, 0x43FF, 0x3C00, 0x407F, 0x3F80};
    return random_below(r, 2) ? edges[random_below(r, ARRAY_LEN(edges))] : random_u64(r);
}

static void fill(struct random *r, u8 *data)
{
    memset(data, 0, HOST_DATA_BYTES);
    for (unsigned i = 0; i < 0x300; i += 8) {
        u64 value = interesting(r);
        memcpy(data + i, &value, 8);
    }
    u16 control = (u16)(0x340 | random_below(r, 4) << 10 | (random_below(r, 2) ? 0x3F : random_below(r, 64)));
    memcpy(data + 0x700, &control, 2);
}

// The environment (narrow: of 14 bytes) without what processors keep differently: FCS, FDS, FOP; pointer: FDP as well.
static void forget_selectors(u8 *environment, bool narrow, bool pointer)
{
    memset(environment + (narrow ? 10 : 20), 0, !pointer ? 0 : narrow ? 2 : 4);
    memset(environment + (narrow ? 8 : 16), 0, narrow ? 2 : 4);
    memset(environment + (narrow ? 12 : 24), 0, narrow ? 2 : 4);
}

static void run_guest(struct bare *b, const struct program *p, struct host_state *state)
{
    static const u8 stop[2] = {0xEB, 0xFE};
    physmem_write(b->mem, HOST_INSN, p->bytes, p->size);
    physmem_write(b->mem, HOST_INSN + p->size, stop, 2);
    struct cpu_regs regs = bare_user_regs(b, HOST_INSN);
    memcpy(regs.gpr, state->gpr, sizeof(state->gpr));
    cpu_set_regs(b->cpu, &regs);
    cpu_run(b->cpu, 100);
    cpu_get_regs(b->cpu, &regs);
    struct bare_exception e = bare_exception(b);
    memcpy(state->gpr, regs.gpr, sizeof(state->gpr));
    state->vector = e.vector;
    state->rip = e.vector >= 0 ? e.rip : regs.rip;
}

// Where the program stored environments, and whether they are narrow.
static void forget_environments(const struct program *p, u8 *data)
{
    unsigned a, b = 0, c, d;
    __get_cpuid_count(7, 0, &a, &b, &c, &d);
    bool pointer = b & BIT(6); // this host keeps the data pointer for unmasked exceptions only
    for (unsigned i = 0; i + 6 <= p->size; i++) {
        u32 offset;
        memcpy(&offset, p->bytes + i + 2, 4);
        bool environment = (p->bytes[i] == 0xD9 || p->bytes[i] == 0xDD) && p->bytes[i + 1] == (data_modrm | 6 << 3);
        if (environment && offset >= 0x800 && offset < 0x1000 && !(offset & 0xFF)) {
            forget_selectors(data + offset, i && p->bytes[i - 1] == 0x66, pointer);
        }
    }
}

static bool equal(const struct host_state *want, const struct host_state *got, const u8 *host, const u8 *guest)
{
    return want->vector == got->vector && want->rip == got->rip && want->gpr[0] == got->gpr[0] &&
           memcmp(host, guest, 0x1000) == 0;
}

static void print_difference(const struct program *p, const struct host_state *want, const struct host_state *got,
                             const u8 *host, const u8 *guest)
{
    printf("program:");
    for (unsigned i = 0; i < p->size; i++) {
        printf(" %02x", p->bytes[i]);
    }
    printf("\n  vector %d, %d; rip +%lx, +%lx; rax %lx, %lx\n", want->vector, got->vector, want->rip - HOST_INSN,
           got->rip - HOST_INSN, want->gpr[0], got->gpr[0]);
    for (unsigned i = 0; i < 0x1000; i += 2) {
        if (memcmp(host + i, guest + i, 2) != 0) {
            printf("  memory +%x: host %02x%02x, viv %02x%02x\n", i, host[i + 1], host[i], guest[i + 1], guest[i]);
        }
    }
}

// One program on both sides. An AMD processor forgets the pointers when Linux switches tasks: so it may take a second time.
static bool run_program(struct bare *b, const struct program *p, const u8 *data, bool last, bool *fault)
{
    u8 *guest = b->mem->ram + HOST_DATA;
    host_fill_data(data);
    memcpy(guest, data, 0x2000);
    struct host_state before = {.gpr = {[3] = HOST_DATA, [4] = HOST_DATA + 0x1F00}, .rflags = 2};
    struct host_state want = before, got = before;
    host_run(p->bytes, p->size, HOST_INSN, false, &want);
    __asm__ volatile("fninit"); // the C library's control word, nothing pending
    run_guest(b, p, &got);
    forget_environments(p, host_data());
    forget_environments(p, guest);
    *fault = want.vector >= 0;
    bool same = equal(&want, &got, host_data(), guest);
    if (!same && last) {
        print_difference(p, &want, &got, host_data(), guest);
    }
    return same;
}

static unsigned run_programs(struct bare *b, struct random *r, unsigned programs)
{
    static u8 data[HOST_DATA_BYTES];
    unsigned failed = 0, faults = 0;
    for (unsigned i = 0; i < programs && failed < 10; i++) {
        struct program p;
        bool same = false, fault = false;
        make_program(r, &p);
        fill(r, data);
        for (unsigned attempt = 0; attempt < 3 && !same; attempt++) {
            same = run_program(b, &p, data, attempt == 2, &fault);
        }
        faults += fault;
        failed += !same;
    }
    printf("# %u x87 programs, %u with #MF, %u differ\n", programs, faults, failed);
    return failed;
}

// One function: its opcode, what it computes of ST1 and ST0, and the range of these.
struct function {
    const char *name;
    const char *code;
    long double (*exact)(long double y, long double x);
    long double x_first, x_last, y_first, y_last;
    bool pushes; // a second result (1 of FPTAN, the cosine of FSINCOS) lies above
};

static long double exact_sine(long double y, long double x) { return sinl(x); }
static long double exact_cosine(long double y, long double x) { return cosl(x); }
static long double exact_tangent(long double y, long double x) { return tanl(x); }
static long double exact_angle(long double y, long double x) { return atan2l(y, x); }
static long double exact_f2xm1(long double y, long double x) { return expm1l(x * M_LN2l); }
static long double exact_fyl2x(long double y, long double x) { return y * log2l(x); }
static long double exact_fyl2xp1(long double y, long double x) { return y * log1pl(x) / M_LN2l; }

static const struct function functions[] = {
    {"fsin", "\xD9\xFE", exact_sine, -3, 3, 0, 0, false},
    {"fcos", "\xD9\xFF", exact_cosine, -1.5L, 1.5L, 0, 0, false},
    {"fsincos", "\xD9\xFB", exact_sine, -3, 3, 0, 0, true},
    {"fptan", "\xD9\xF2", exact_tangent, -1.5L, 1.5L, 0, 0, true},
    {"fpatan", "\xD9\xF3", exact_angle, -100, 100, -100, 100, false},
    {"f2xm1", "\xD9\xF0", exact_f2xm1, -1, 1, 0, 0, false},
    {"fyl2x", "\xD9\xF1", exact_fyl2x, 0.01L, 1000, -50, 50, false},
    {"fyl2xp1", "\xD9\xF9", exact_fyl2xp1, -0.29L, 0.41L, -50, 50, false},
};

static long double between(struct random *r, long double first, long double last)
{
    return first + (last - first) * ((long double)random_u64(r) / 18446744073709551616.0L);
}

static unsigned run_functions(struct bare *b, struct random *r, unsigned trials)
{
    unsigned failed = 0;
    for (unsigned n = 0; n < ARRAY_LEN(functions) * trials; n++) {
        const struct function *f = &functions[n % ARRAY_LEN(functions)];
        struct program p = {.size = 0};
        put(&p, "\xDB\xE3", 2);
        put_memory(&p, false, 3, 5, 0x20); // fld y, fld x
        put_memory(&p, false, 3, 5, 0);
        put(&p, f->code, 2);
        put(&p, "\x9B\xDD\xD8", f->pushes ? 3 : 1); // fwait, drop what lies above
        put_memory(&p, false, 3, 7, 0x40);
        long double x = between(r, f->x_first, f->x_last), y = between(r, f->y_first, f->y_last), result = 0;
        u8 *data = b->mem->ram + HOST_DATA;
        memcpy(data, &x, 10);
        memcpy(data + 0x20, &y, 10);
        struct host_state state = {.gpr = {[3] = HOST_DATA, [4] = HOST_DATA + 0x1F00}, .rflags = 2};
        run_guest(b, &p, &state);
        memcpy(&result, data + 0x40, 10);
        long double exact = f->exact(y, x), error = fabsl(result - exact), unit = fabsl(exact) * 0x1p-63L;
        if (state.vector >= 0 || !(error <= 4 * unit + 0x1p-66L)) {
            printf("%s of %.21Lg, %.21Lg: %.21Lg, exact %.21Lg\n", f->name, x, y, result, exact);
            failed++;
        }
    }
    printf("# %u transcendental functions of x87, %u too far off\n", (unsigned)ARRAY_LEN(functions) * trials, failed);
    return failed;
}

int main(int argc, char **argv)
{
    struct random r = {argc > 2 ? strtoull(argv[2], NULL, 0) * 2 + 1 : 1};
    unsigned programs = argc > 1 ? (unsigned)atoi(argv[1]) : 2000;
    if (!host_init()) {
        printf("skipped: the test's addresses are taken in this process\n");
        return 77;
    }
    struct bare *b = bare_create(TLB_FULL);
    unsigned failed = run_programs(b, &r, programs);
    failed += run_functions(b, &r, programs / 16 + 1);
    bare_destroy(b);
    return failed ? 1 : 0;
}
