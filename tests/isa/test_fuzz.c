// SPDX-License-Identifier: MIT
// Random bytes as code, in every mode and ring: the emulator survives, keeps to its budget, and a
// machine without any cache ends in the same state. Usage: test_fuzz [TRIALS [SEED [STEPS]]]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "tests/isa/bare.h"
#include "tests/isa/generate.h"

#define KEPT_LOW                                                                                   \
    0xA0000 // RAM that is put back before each trial: tables, handlers, real-mode memory ...
#define KEPT_USER 0x8000 // ... and this much at BARE_USER: code, data, stack
#define CODE (BARE_USER + 0xFF0)
#define DATA (BARE_USER + 0x3000)
#define STACK (BARE_USER + 0x6000)
#define CODE_BYTES 0x2000

enum mode { USER_64, KERNEL_64, KERNEL_32, REAL_16, MODE_COUNT };

struct side {
    struct bare *b;
    u8 *low, *user; // pristine copies
    struct hash *hash;
};

static void side_create(struct side *s, enum tlb_geometry geometry)
{
    s->b = bare_create(geometry);
    s->low = xcalloc(1, KEPT_LOW);
    s->user = xcalloc(1, KEPT_USER);
    memcpy(s->low, s->b->mem->ram, KEPT_LOW);
    s->hash = hash_create();
}

static void side_destroy(struct side *s)
{
    bare_destroy(s->b);
    free(s->low);
    free(s->user);
    hash_destroy(s->hash);
}

static void put_back(struct bare *b, u64 address, const u8 *pristine, u64 size)
{
    for (u64 i = 0; i < size; i += PAGE_SIZE) {
        if (memcmp(b->mem->ram + address + i, pristine + i, PAGE_SIZE) != 0) {
            physmem_write(b->mem, address + i, pristine + i, PAGE_SIZE);
        }
    }
}

static void enter_mode(struct cpu_regs *r, enum mode mode)
{
    switch (mode) {
    case USER_64:
        break;
    case KERNEL_64:
        bare_flat_segments(r, 0xA09B, 0xC093, 0);
        break;
    case KERNEL_32:
        bare_flat_segments(r, 0xC09B, 0xC093, 0);
        r->cr0 = 0x31; // no paging
        r->cr3 = r->cr4 = r->efer = 0;
        break;
    default:
        bare_real_mode(r, CODE);
        break;
    }
}

static void start(struct side *s, struct random *r, enum mode mode, const u8 *code)
{
    memcpy(s->user + (CODE - BARE_USER), code, CODE_BYTES);
    cpu_reset(s->b->cpu);
    put_back(s->b, 0, s->low, KEPT_LOW);
    put_back(s->b, BARE_USER, s->user, KEPT_USER);
    struct cpu_regs regs = bare_user_regs(s->b, CODE);
    static const u64 pointers[] = {
        DATA, DATA + 0xFFD, STACK, BARE_USER + 0x7FF8, BARE_TABLES + 0x13000, CODE + 0x20};
    for (unsigned i = 0; i < 16; i++) {
        regs.gpr[i] = random_below(r, 3)
                          ? pointers[random_below(r, ARRAY_LEN(pointers))] + random_below(r, 16)
                          : random_value(r);
    }
    regs.gpr[CPU_RCX] = random_below(r, 2) ? random_below(r, 50) : regs.gpr[CPU_RCX];
    regs.gpr[CPU_RSP] = STACK;
    regs.rflags = (random_u64(r) & (random_below(r, 4) ? 0x4CD5 : 0x4DD5)) | 2; // with TF at times
    enter_mode(&regs, mode);
    cpu_set_regs(s->b->cpu, &regs);
    s->b->clock.step = 0;
}

static u64 state_of(struct side *s, enum cpu_exit why)
{
    hash_restart(s->hash);
    cpu_hash(s->b->cpu, s->hash);
    hash_u64(s->hash, s->b->clock.step);
    hash_u64(s->hash, why);
    hash_bytes(s->hash, s->b->mem->ram, KEPT_LOW);
    hash_bytes(s->hash, s->b->mem->ram + BARE_USER, KEPT_USER);
    return hash_value(s->hash);
}

// Bytes that often are instructions: prefixes, a favoured opcode map, few immediates.
static void make_code(struct random *r, u8 *code)
{
    static const u8 prefixes[] = {0x66, 0x67, 0xF2, 0xF3, 0xF0, 0x48, 0x41, 0x4C, 0x64, 0x65, 0x2E};
    for (unsigned i = 0; i < CODE_BYTES;) {
        for (unsigned n = random_below(r, 3); n && i < CODE_BYTES; n--) {
            code[i++] = prefixes[random_below(r, sizeof(prefixes))];
        }
        if (i < CODE_BYTES && random_below(r, 2)) {
            code[i++] = 0x0F;
        }
        for (unsigned n = 2 + random_below(r, 4); n && i < CODE_BYTES; n--) {
            code[i++] = random_below(r, 4) ? (u8)random_u64(r) : (u8)random_below(r, 8);
        }
    }
}

static enum cpu_exit run(struct side *s, u64 steps, unsigned cut)
{
    enum cpu_exit why = CPU_EXIT_BUDGET;
    while (s->b->clock.step < steps && (why == CPU_EXIT_BUDGET || why == CPU_EXIT_KICK)) {
        u64 before = s->b->clock.step, budget = steps - before < cut ? steps - before : cut;
        why = cpu_run(s->b->cpu, budget);
        CHECK(s->b->clock.step - before <= budget);
        if (why == CPU_EXIT_BUDGET) {
            CHECK(s->b->clock.step - before == budget);
        }
    }
    return why;
}

// What a person wants to know of a failure.
static void print_state(const struct side *s, const char *name)
{
    struct cpu_regs r;
    u8 bytes[16] = {0};
    cpu_get_regs(s->b->cpu, &r);
    u64 linear = r.efer & 0x400 ? r.rip : (u32)(r.seg[CPU_CS].base + r.rip);
    cpu_debug_read(s->b->cpu, linear, bytes, sizeof(bytes));
    printf("  %s: step %lu rip %lx cpl %u flags %lx rax %lx rcx %lx rsi %lx rdi %lx rsp %lx cr2 "
           "%lx code",
           name, s->b->clock.step, r.rip, r.cpl, r.rflags, r.gpr[0], r.gpr[1], r.gpr[6], r.gpr[7],
           r.gpr[4], r.cr2);
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        printf(" %02x", bytes[i]);
    }
    printf("\n");
}

static void print_memory(const struct side *a, const struct side *b)
{
    unsigned shown = 0;
    for (u64 i = 0; i < BARE_USER + KEPT_USER && shown < 4;
         i += i == KEPT_LOW - 1 ? BARE_USER - KEPT_LOW + 1 : 1) {
        if (a->b->mem->ram[i] != b->b->mem->ram[i]) {
            printf("  memory at %lx: %02x and %02x\n", i, a->b->mem->ram[i], b->b->mem->ram[i]);
            shown++;
        }
    }
}

static const char *const mode_names[MODE_COUNT] = {"64-bit user", "64-bit kernel", "32-bit",
                                                   "real"};

int main(int argc, char **argv)
{
    u64 trials = argc > 1 ? strtoull(argv[1], NULL, 0) : 2000,
        seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    struct side truth, full;
    unsigned failures = 0;
    u64 steps_done = 0;
    side_create(&truth, TLB_OFF);
    side_create(&full, TLB_FULL);
    for (u64 i = 0; i < trials; i++, seed++) {
        struct random r = {seed * 2 + 1}, again;
        u8 code[CODE_BYTES];
        for (unsigned n = 0; n < 8; n++) {
            random_u64(&r);
        }
        make_code(&r, code);
        enum mode mode = (enum mode)random_below(&r, MODE_COUNT);
        u64 steps = 1 + random_below(&r, 60);
        steps = argc > 3 ? strtoull(argv[3], NULL, 0) : steps;
        again = r;
        start(&truth, &r, mode, code);
        start(&full, &again, mode, code);
        u64 want = state_of(&truth, run(&truth, steps, 1)),
            got = state_of(&full, run(&full, steps, 64));
        steps_done += truth.b->clock.step;
        if (want != got && failures++ < 10) {
            printf("seed %lu: %s code differs from the truth within %lu steps (at %lu and %lu)\n",
                   seed, mode_names[mode], steps, truth.b->clock.step, full.b->clock.step);
            print_state(&truth, "truth");
            print_state(&full, "full TLB");
            print_memory(&truth, &full);
        }
    }
    printf("%lu trials, %lu steps: %u failures\n", trials, steps_done, failures);
    side_destroy(&truth);
    side_destroy(&full);
    return failures != 0;
}
