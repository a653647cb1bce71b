// SPDX-License-Identifier: MIT
// XSAVE, XSAVEOPT, XSAVEC, XRSTOR and XGETBV against the host's own CPU: standard and compacted areas, any mask, components in
// and out of use, headers that are not valid, areas that are not aligned. Components are either initial or hold something
// else, because a processor may also count one as in use whose values are initial.
// Usage: test_xsave [TRIALS [SEED]]
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "base/bits.h"
#include "tests/isa/bare.h"
#include "tests/isa/generate.h"

enum { GUEST_CODE = BARE_USER, GUEST_DATA = BARE_USER + 0x10000, AREA = 896, HEADER = 512, YMM_HIGH = 576 };

struct image {
    u8 start[AREA], tested[AREA], end[AREA]; // the state before; the area under test; the state after
    u64 rax, rdx;                            // the mask; what the instruction left there
} __attribute__((aligned(64)));
_Static_assert(offsetof(struct image, rax) == 0xA80, "make_code() knows it");

static const struct operation {
    const char *name;
    u8 bytes[4], size;
    bool loads, compacts;
} operations[] = {
    {"xsave", {0x0F, 0xAE, 0x26}, 3, false, false},        {"xsave64", {0x48, 0x0F, 0xAE, 0x26}, 4, false, false},
    {"xsaveopt", {0x0F, 0xAE, 0x36}, 3, false, false},     {"xsaveopt64", {0x48, 0x0F, 0xAE, 0x36}, 4, false, false},
    {"xsavec", {0x0F, 0xC7, 0x26}, 3, false, true},        {"xsavec64", {0x48, 0x0F, 0xC7, 0x26}, 4, false, true},
    {"xrstor", {0x0F, 0xAE, 0x2E}, 3, true, false},        {"xrstor64", {0x48, 0x0F, 0xAE, 0x2E}, 4, true, false},
    {"xgetbv", {0x0F, 0x01, 0xD0}, 3, false, false},
};

static struct bare *guest;
static u8 *host_code;
static sigjmp_buf trapped;
static volatile int host_vector;

static void on_signal(int number, siginfo_t *info, void *context)
{
    host_vector = (int)((ucontext_t *)context)->uc_mcontext.gregs[REG_TRAPNO];
    siglongjmp(trapped, 1);
}

// xrstor64 [rdi] of all; rax, rdx, ecx = 1; the instruction on [rsi]; rax and rdx kept; xsave64 [rdi + 2 * 896] of all.
static unsigned make_code(u8 *code, const struct operation *o)
{
    static const u8 before[] = {0xB8, 7, 0, 0, 0, 0x31, 0xD2, 0x48, 0x0F, 0xAE, 0x2F, 0x48, 0x8B, 0x87, 0x80, 0x0A, 0, 0,
                                0x48, 0x8B, 0x97, 0x88, 0x0A, 0, 0, 0xB9, 1, 0, 0, 0};
    static const u8 after[] = {0x48, 0x89, 0x87, 0x80, 0x0A, 0, 0, 0x48, 0x89, 0x97, 0x88, 0x0A, 0, 0,
                               0xB8, 7, 0, 0, 0, 0x31, 0xD2, 0x48, 0x0F, 0xAE, 0xA7, 0x00, 7, 0, 0};
    memcpy(code, before, sizeof(before));
    memcpy(code + sizeof(before), o->bytes, o->size);
    memcpy(code + sizeof(before) + o->size, after, sizeof(after));
    return (unsigned)(sizeof(before) + o->size + sizeof(after));
}

static int run_host(const struct operation *o, struct image *image, unsigned shift)
{
    host_code[make_code(host_code, o)] = 0xC3;
    static u8 keep[512] __attribute__((aligned(16)));
    __asm__ volatile("fxsave64 %0" : "=m"(keep));
    host_vector = -1;
    if (sigsetjmp(trapped, 0) == 0) {
        u64 entry = (u64)(uintptr_t)host_code;
        __asm__ volatile("call *%%rax\n\tvzeroupper"
                         : "+a"(entry)
                         : "D"(image), "S"(image->tested + shift)
                         : "rcx", "rdx", "memory", "cc");
    }
    __asm__ volatile("fxrstor64 %0" : : "m"(keep));
    return host_vector;
}

static void start_guest(const u8 *code, unsigned size, u64 rsi, u8 cpl)
{
    physmem_write(guest->mem, GUEST_CODE, code, size);
    struct cpu_regs regs = bare_user_regs(guest, GUEST_CODE);
    regs.cr4 |= 0x40600;
    regs.gpr[CPU_RDI] = GUEST_DATA;
    regs.gpr[CPU_RSI] = rsi;
    regs.cpl = cpl;
    if (!cpl) {
        regs.seg[CPU_CS] = (struct cpu_segment){8, 0xA09B, 0xFFFFFFFF, 0};
    }
    cpu_set_regs(guest->cpu, &regs);
}

static int run_guest(const struct operation *o, struct image *image, unsigned shift)
{
    u8 code[128];
    unsigned n = make_code(code, o);
    code[n] = 0xEB, code[n + 1] = 0xFE; // jmp $
    physmem_write(guest->mem, GUEST_DATA, image, sizeof(*image));
    start_guest(code, n + 2, GUEST_DATA + AREA + shift, 3);
    cpu_run(guest->cpu, 40);
    physmem_read(guest->mem, GUEST_DATA, image, sizeof(*image));
    struct cpu_regs regs;
    cpu_get_regs(guest->cpu, &regs);
    return regs.rip == GUEST_CODE + n ? -1 : bare_exception(guest).vector;
}

static void fill(struct random *r, u8 *bytes, unsigned size)
{
    for (unsigned i = 0; i < size; i += 8) {
        u64 value = random_u64(r) | 1; // not initial
        memcpy(bytes + i, &value, 8);
    }
}

// An area whose components of the header's XSTATE_BV are in use.
static void make_area(struct random *r, u8 *area, u64 components)
{
    u16 control = (u16)(0x37F | random_below(r, 3) << 10);
    u32 mxcsr = random_below(r, 2) ? 0x1F80 : 0x1F80 | random_below(r, 4) << 13 | random_below(r, 64);
    fill(r, area, AREA);
    memset(area, 0, 32);
    memcpy(area, &control, 2);
    area[4] = 0xFF;
    memcpy(area + 24, &mxcsr, 4);
    for (unsigned i = 0; i < 8; i++) {
        memset(area + 32 + i * 16 + 10, 0, 6);
    }
    memset(area + HEADER, 0, 64);
    memcpy(area + HEADER, &components, 8);
}

// For XRSTOR: a compacted header half of the time, now and then one that is not valid.
static void spoil_header(struct random *r, u8 *area, u64 components)
{
    u64 compacted = BIT(63) | components | random_below(r, 8), bad = BIT(3 + 40 * random_below(r, 2));
    if (random_below(r, 2)) {
        memcpy(area + HEADER + 8, &compacted, 8);
    }
    unsigned kind = random_below(r, 24);
    unsigned at = kind == 0 ? 0 : kind == 1 ? 8 : kind == 2 ? 16 : kind == 3 ? 24 : kind == 4 ? 56 : 64;
    if (at < 64) {
        u64 word;
        memcpy(&word, area + HEADER + at, 8);
        word ^= bad;
        memcpy(area + HEADER + at, &word, 8);
    } else if (kind == 5) {
        area[HEADER] |= 7; // perhaps beyond XCOMP_BV
    } else if (kind == 6) {
        area[26] = 0xFF; // reserved bits of MXCSR
    }
}

// Instruction and operand pointers (AMD keeps them only with an exception), MXCSR_MASK, what no area has.
static void forget(u8 *area)
{
    memset(area + 6, 0, 18);
    memset(area + 28, 0, 4);
    memset(area + 416, 0, HEADER - 416);
    memset(area + YMM_HIGH + 256, 0, AREA - YMM_HIGH - 256);
    for (unsigned i = 0; i < 8; i++) {
        memset(area + 32 + i * 16 + 10, 0, 6);
    }
}

static void report(const struct operation *o, const struct image *start, const struct image *host, const struct image *seen)
{
    printf("# %s mask %llx\n", o->name, (unsigned long long)start->rax);
    for (unsigned i = 0, lines = 0; i < sizeof(*host) && lines < 4; i += 8) {
        u64 values[3];
        memcpy(&values[0], (const u8 *)start + i, 8);
        memcpy(&values[1], (const u8 *)host + i, 8);
        memcpy(&values[2], (const u8 *)seen + i, 8);
        if (values[1] != values[2]) {
            printf("#   at %u: before %016llx host %016llx guest %016llx\n", i, (unsigned long long)values[0],
                   (unsigned long long)values[1], (unsigned long long)values[2]);
            lines++;
        }
    }
}

// One run on both; what differs is told if complain.
static bool compare(const struct operation *o, const struct image *start, unsigned shift, bool complain)
{
    static struct image host, seen;
    host = seen = *start;
    int wanted = run_host(o, &host, shift), got = run_guest(o, &seen, shift);
    if (o->bytes[1] == 0x01) { // XGETBV: the host has more
        host.rax &= 7, seen.rax &= 7;
    }
    forget(host.tested), forget(seen.tested);
    forget(host.end), forget(seen.end);
    memset(host.end + HEADER, 0, 64), memset(seen.end + HEADER, 0, 64);
    if (wanted == got && memcmp(&host, &seen, sizeof(host)) == 0) {
        return true;
    }
    if (complain) {
        printf("# exception: host %d, guest %d\n", wanted, got);
        report(o, start, &host, &seen);
    }
    return false;
}

// The host's kernel may interrupt the code, and what it restores counts as in use from then on, initial or not: once more.
static bool trial(struct random *r, const struct operation *o, bool complain)
{
    static struct image start;
    unsigned shift = random_below(r, 16) ? 0 : 8;
    u64 components = random_below(r, 8);
    memset(&start, 0, sizeof(start));
    make_area(r, start.start, random_below(r, 8));
    make_area(r, start.tested, components);
    if (o->loads) {
        spoil_header(r, start.tested, components);
    }
    start.rax = random_below(r, 8) | (u64)random_below(r, 2) << 40;
    for (unsigned attempt = 0; attempt < 3; attempt++) {
        if (compare(o, &start, shift, complain && attempt == 2)) {
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    unsigned trials = argc > 1 ? (unsigned)atoi(argv[1]) : 2000, failed = 0;
    struct random random = {argc > 2 ? (u64)atoi(argv[2]) : 1};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER};
    static const u8 enable[] = {0xB8, 7, 0, 0, 0, 0x31, 0xD2, 0x31, 0xC9, 0x0F, 0x01, 0xD1, 0xEB, 0xFE}; // xsetbv
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    guest = bare_create(TLB_FULL);
    host_code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (u64 a = BARE_USER; a < BARE_USER + 0x20000; a += PAGE_SIZE) {
        bare_set_page(guest, a, BARE_PAGE_WRITE);
    }
    start_guest(enable, sizeof(enable), 0, 0);
    cpu_run(guest->cpu, 8);
    for (unsigned i = 0; i < ARRAY_LEN(operations); i++) {
        unsigned differ = 0;
        for (unsigned n = 0; n < trials; n++) {
            differ += !trial(&random, &operations[i], differ < 4);
        }
        printf("%s - %s: %u trials, %u differ\n", differ ? "not ok" : "ok", operations[i].name, trials, differ);
        failed += differ;
    }
    bare_destroy(guest);
    return failed != 0;
}
