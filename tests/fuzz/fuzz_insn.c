// SPDX-License-Identifier: MIT
// Any bytes as code, in any mode, with any registers: the emulator survives, keeps to its budget,
// and a machine without any cache, run step by step, ends in the same state and memory. Where both
// decoders know an instruction they agree on its length.
//
// Input: mode; steps; RFLAGS bits, and one for CR0.NE, CR4.VME and PVI; 4 bytes that the registers
// are made of; 2 bytes: number of the page whose rights change, and those; the rest is code.
#include "base/check.h"
#include "base/memory.h"
#include "debugger/disas.h"
#include "isa/decode.h"
#include "tests/fuzz/input.h"
#include "tests/isa/bare.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define CODE (BARE_USER + 0xFC0) // so that it crosses a page
#define CODE_MAX 0x800
#define STEPS_MAX 64

enum mode { USER_64, KERNEL_64, USER_COMPAT, KERNEL_32, REAL_16, PAGED_32, MODE_COUNT };

struct side {
    struct bare *b;
    u64 mark; // epoch at which RAM was as it is at the start
    struct hash *hash;
};

struct fuzz {
    struct side truth, full;
    u8 *pristine;
    struct decoder *decoder;
    struct disas *disas;
};

static void side_create(struct side *s, enum tlb_geometry geometry)
{
    s->b = bare_create(geometry);
    s->mark = physmem_next_epoch(s->b->mem);
    s->hash = hash_create();
}

// The next page from rpn on that was changed since, or the number of pages. Most of a search would
// be spent here if it was watched.
#ifdef __clang__
__attribute__((no_sanitize("address", "undefined", "coverage")))
#endif
static u32
next_changed(const struct physmem *mem, u32 rpn, u64 since)
{
    u32 count = (u32)(mem->ram_bytes >> PAGE_SHIFT);
    while (rpn < count && mem->page_epoch[rpn] <= since) {
        rpn++;
    }
    return rpn;
}

// RAM that differs from the start's is put back.
static void put_back(struct fuzz *f, struct side *s)
{
    struct physmem *mem = s->b->mem;
    u32 rpn = 0, count = (u32)(mem->ram_bytes >> PAGE_SHIFT);
    while ((rpn = next_changed(mem, rpn, s->mark)) < count) {
        physmem_write_page(mem, rpn, 0, f->pristine + ((u64)rpn << PAGE_SHIFT), PAGE_SIZE);
        rpn++;
    }
    s->mark = physmem_next_epoch(mem);
}

static struct fuzz *fuzz_create(void)
{
    struct fuzz *f = xcalloc(1, sizeof(*f));
    side_create(&f->truth, TLB_OFF);
    side_create(&f->full, TLB_FULL);
    f->pristine = xcalloc(1, BARE_RAM_BYTES);
    memcpy(f->pristine, f->truth.b->mem->ram, BARE_RAM_BYTES);
    struct decoder_options options = {.tzcnt = true, .lzcnt = true};
    f->decoder = decoder_create(&options);
    f->disas = disas_create(NULL);
    return f;
}

static void enter_mode(struct cpu_regs *r, enum mode mode)
{
    switch (mode) {
    case USER_64:
        break;
    case KERNEL_64:
        bare_flat_segments(r, 0xA09B, 0xC093, 0);
        break;
    case USER_COMPAT:
        bare_flat_segments(r, 0xC0FB, 0xC0F3, 3);
        break;
    case PAGED_32: // the tables are those of 64-bit mode: most of it faults
    case KERNEL_32:
        bare_flat_segments(r, 0xC09B, 0xC093, 0);
        r->cr0 = mode == PAGED_32 ? 0x80010031 : 0x31;
        r->cr3 = BARE_TABLES + 0x2000;
        r->cr4 = 0x610;
        r->efer = 0;
        break;
    default:
        bare_real_mode(r, CODE);
        break;
    }
}

// A value from the seed: pointers into the user area more often than not.
static u64 register_value(u64 *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    u64 x = *state >> 20;
    switch (x % 8) {
    case 0:
        return *state ^ *state << 31;
    case 1:
        return x >> 4 & 0x3F;
    case 2:
        return UINT64_C(1) << (x >> 4 & 63);
    case 3:
        return ~UINT64_C(0) << (x >> 4 & 63);
    default:
        return BARE_USER + (x >> 4 & 0x7FFF);
    }
}

static void start(struct fuzz *f, struct side *s, struct input in)
{
    put_back(f, s);
    cpu_reset(s->b->cpu);
    struct cpu_regs regs = bare_user_regs(s->b, CODE);
    enum mode mode = (enum mode)(input_u8(&in) % MODE_COUNT);
    input_u8(&in); // steps
    u8 flags = input_u8(&in);
    u64 state = input_take(&in, 4);
    for (unsigned i = 0; i < 16; i++) {
        regs.gpr[i] = register_value(&state);
    }
    regs.gpr[CPU_RSP] = BARE_USER + 0x6000 + (state >> 40 & 15);
    regs.rflags = 2 | (flags & 1) | (flags & 2) << 5 | (flags & 4) << 6 | (flags & 8) << 6 |
                  (flags & 16) << 6 | (u64)(flags & 32) << 13 | (u64)(flags & 64) << 10;
    u8 page = input_u8(&in), rights = input_u8(&in);
    if (page & 0x80) {
        bare_set_page(s->b, BARE_USER + (u64)(page & 7) * PAGE_SIZE,
                      (rights & 7) | (u64)(rights & 0x60) | (u64)(rights >> 7) << 63);
    }
    enter_mode(&regs, mode);
    if (flags & 128) { // what DOS' time knew: x87 errors by interrupt, virtual interrupt flags
        regs.cr0 &= ~UINT64_C(0x20);
        regs.cr4 |= 3;
    }
    size_t n = in.size - in.at < CODE_MAX ? in.size - in.at : CODE_MAX;
    physmem_write(s->b->mem, CODE, in.data + in.at, n);
    cpu_set_regs(s->b->cpu, &regs);
    s->b->clock.step = 0;
}

static enum cpu_exit run(struct side *s, u64 steps, u64 cut)
{
    enum cpu_exit why = CPU_EXIT_BUDGET;
    while (s->b->clock.step < steps && (why == CPU_EXIT_BUDGET || why == CPU_EXIT_KICK)) {
        u64 before = s->b->clock.step, left = steps - before;
        u64 budget = left < cut ? left : cut;
        why = cpu_run(s->b->cpu, budget);
        CHECK(s->b->clock.step - before <= budget);
        CHECK(why != CPU_EXIT_BUDGET || s->b->clock.step - before == budget);
    }
    return why;
}

static u64 state_of(struct side *s, enum cpu_exit why)
{
    hash_restart(s->hash);
    cpu_hash(s->b->cpu, s->hash);
    hash_u64(s->hash, s->b->clock.step);
    hash_u64(s->hash, why);
    return hash_value(s->hash);
}

static void print_side(const struct side *s, const char *name)
{
    struct cpu_regs r;
    cpu_get_regs(s->b->cpu, &r);
    fprintf(stderr,
            "%s: step %llu cs:rip %x:%llx cpl %u rflags %llx cr0 %llx cr2 %llx cr3 %llx cr4 %llx "
            "efer %llx rax %llx rsp %llx halted %d\n",
            name, (unsigned long long)s->b->clock.step, r.seg[CPU_CS].selector,
            (unsigned long long)r.rip, r.cpl, (unsigned long long)r.rflags,
            (unsigned long long)r.cr0, (unsigned long long)r.cr2, (unsigned long long)r.cr3,
            (unsigned long long)r.cr4, (unsigned long long)r.efer,
            (unsigned long long)r.gpr[CPU_RAX], (unsigned long long)r.gpr[CPU_RSP], r.halted);
}

static void compare_changed(const struct fuzz *f, const struct side *s)
{
    const struct physmem *a = f->truth.b->mem, *b = f->full.b->mem;
    u32 rpn = 0, count = (u32)(a->ram_bytes >> PAGE_SHIFT);
    while ((rpn = next_changed(s->b->mem, rpn, s->mark)) < count) {
        CHECK(!memcmp(physmem_page(a, rpn), physmem_page(b, rpn), PAGE_SIZE));
        rpn++;
    }
}

static void compare_memory(const struct fuzz *f)
{
    compare_changed(f, &f->truth);
    compare_changed(f, &f->full);
}

// What Capstone 4 is known to get wrong: it does not know all prefixes' effects and all maps.
static bool capstone_is_no_judge(const u8 *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        u8 b = bytes[i];
        if (b == 0x66 || b == 0x67 || b == 0xF2 || b == 0xF3 || b == 0xF0 || b == 0x0F ||
            (b & 0xF0) == 0x40 || (b & 0xE7) == 0x26 || (b & 0xFE) == 0x64 || b == 0xC4 ||
            b == 0xC5 || b == 0x62 || b == 0x8F || (b & 0xF8) == 0xD8) {
            return true;
        }
    }
    return false;
}

static void compare_length(struct fuzz *f, const u8 *code, size_t size)
{
    struct insn insn;
    struct disas_insn theirs;
    u8 bytes[15] = {0};
    memcpy(bytes, code, size < sizeof(bytes) ? size : sizeof(bytes));
    if (insn_decode(f->decoder, CODE_64, bytes, sizeof(bytes), 0, &insn) != DECODE_OK ||
        insn.op == OP_INVALID) {
        return;
    }
    disas_insn(f->disas, 64, 0, bytes, sizeof(bytes), &theirs);
    if (!strcmp(theirs.text, "(bad)") || strstr(theirs.text, " ...") ||
        capstone_is_no_judge(bytes, 2)) {
        return;
    }
    if (theirs.length != insn.length) {
        fprintf(stderr, "length %u, Capstone %u: %s\n", insn.length, theirs.length, theirs.text);
    }
    CHECK(theirs.length == insn.length);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct fuzz *f;
    if (!f) {
        f = fuzz_create();
    }
    struct input in = {data, size, 0};
    start(f, &f->truth, in);
    start(f, &f->full, in);
    u64 steps = size > 1 ? 1 + data[1] % STEPS_MAX : 1;
    u64 want = state_of(&f->truth, run(&f->truth, steps, 1));
    u64 got = state_of(&f->full, run(&f->full, steps, STEPS_MAX));
    if (want != got || getenv("FUZZ_VERBOSE")) {
        print_side(&f->truth, "no caches");
        print_side(&f->full, "caches");
    }
    CHECK(want == got);
    compare_memory(f);
    if (size > 9) {
        compare_length(f, data + 9, size - 9);
    }
    return 0;
}
