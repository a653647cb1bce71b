// SPDX-License-Identifier: MIT
// AVX and XSAVE where no host can be asked: availability, unmasked exceptions, what a fault leaves behind, gathers that go on,
// ring 0's instructions, CPUID of the models. Encodings from GNU as.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/isa/bare.h"

#define CODE BARE_USER
#define DATA (BARE_USER + 0x10000)
#define EDGE (BARE_USER + 0x20000) // an absent page; the ones before it are writable
#define CR0_TS 8u
#define CR4_OSXMMEXCPT 0x400u
#define CR4_OSXSAVE 0x40000u
#define MSR_XSS 0xDA0

static struct bare *b;
static u8 fpu[CPU_FPU_BYTES];

static int setup(void **state)
{
    b = bare_create(TLB_FULL);
    for (u64 a = BARE_USER; a < EDGE; a += PAGE_SIZE) {
        bare_set_page(b, a, BARE_PAGE_WRITE);
    }
    bare_set_page(b, EDGE, BARE_PAGE_ABSENT);
    return 0;
}

static int teardown(void **state)
{
    bare_destroy(b);
    return 0;
}

static struct cpu_regs start(const char *code, size_t size, u8 cpl)
{
    physmem_write(b->mem, CODE, code, size);
    struct cpu_regs r = bare_user_regs(b, CODE);
    r.cr4 |= CR4_OSXSAVE;
    r.cpl = cpl;
    r.gpr[CPU_RSP] = BARE_KERNEL_STACK;
    if (!cpl) {
        r.seg[CPU_CS] = (struct cpu_segment){8, 0xA09B, 0xFFFFFFFF, 0};
    }
    return r;
}

#define REGS(code, cpl) start(code, sizeof(code) - 1, cpl)

// Executes one instruction. -1, or the exception's vector (from ring 3).
static int step(struct cpu_regs *r)
{
    cpu_set_regs(b->cpu, r);
    u8 cpl = r->cpl;
    cpu_run(b->cpu, 1);
    cpu_get_regs(b->cpu, r);
    if (cpl && !r->cpl) {
        return bare_exception(b).vector;
    }
    return !cpl && r->rip - BARE_HANDLERS < 32 * 16 ? (int)(r->rip - BARE_HANDLERS) / 16 : -1;
}

#define STEP(code, cpl)                                                                                                          \
    ({                                                                                                                           \
        struct cpu_regs step_r = REGS(code, cpl);                                                                                \
        step(&step_r);                                                                                                           \
    })

static int xsetbv(u64 value, u8 cpl)
{
    struct cpu_regs r = REGS("\x0F\x01\xD1", cpl);
    r.gpr[CPU_RAX] = (u32)value, r.gpr[CPU_RDX] = value >> 32, r.gpr[CPU_RCX] = 0;
    return step(&r);
}

static void get_fpu(void)
{
    cpu_get_fpu(b->cpu, fpu);
}

static u8 *xmm(unsigned n)
{
    return fpu + 160 + 16 * n;
}

static u8 *ymm_high(unsigned n)
{
    return fpu + 512 + 16 * n;
}

static u32 mxcsr(void)
{
    u32 value;
    memcpy(&value, fpu + 24, 4);
    return value;
}

static void set_mxcsr(u32 value)
{
    memcpy(fpu + 24, &value, 4);
}

#define VADDPS_YMM "\xC5\xF4\x58\xC2" // vaddps ymm0, ymm1, ymm2
#define VADDPS_XMM "\xC5\xF0\x58\xC2"

static void test_availability(void **state)
{
    assert_int_equal(STEP(VADDPS_YMM, 3), 6); // XCR0 is 1
    assert_int_equal(xsetbv(3, 0), -1);
    assert_int_equal(STEP(VADDPS_YMM, 3), 6);
    assert_int_equal(xsetbv(7, 0), -1);
    assert_int_equal(STEP(VADDPS_YMM, 3), -1);
    struct cpu_regs r = REGS(VADDPS_YMM, 3);
    r.cr4 &= ~(u64)CR4_OSXSAVE;
    assert_int_equal(step(&r), 6);
    r = REGS(VADDPS_YMM, 3);
    r.cr0 |= CR0_TS;
    assert_int_equal(step(&r), 7);
    r = REGS(VADDPS_YMM, 3);
    r.cr0 |= 4; // EM does not matter
    assert_int_equal(step(&r), -1);
    assert_int_equal(STEP("\xF0" VADDPS_YMM, 3), 6);
    assert_int_equal(STEP("\x66" VADDPS_YMM, 3), 6);
    assert_int_equal(STEP("\xF3" VADDPS_YMM, 3), 6);
    assert_int_equal(STEP("\x40" VADDPS_YMM, 3), 6);
    assert_int_equal(STEP("\xC5\xF0\x10\x00", 3), 6);         // vmovups xmm0, [rax] with VEX.vvvv
    assert_int_equal(STEP("\xC4\xE2\x71\x92\x04\x08", 3), 6); // vgatherdps with index = mask
}

static void test_xsetbv(void **state)
{
    static const u64 bad[] = {0, 2, 5, 4, 6, 8, 0xF, 0x100000007};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(xsetbv(bad[i], 0), 13);
    }
    assert_int_equal(xsetbv(7, 3), 13);
    u32 out[4];
    cpu_cpuid(b->cpu, 0xD, 0, out);
    assert_int_equal(out[1], 576); // for what XCR0 enables
    assert_int_equal(out[2], 832);
    assert_int_equal(xsetbv(7, 0), -1);
    cpu_cpuid(b->cpu, 0xD, 0, out);
    assert_true(out[0] == 7 && out[1] == 832 && out[2] == 832 && out[3] == 0);
    cpu_cpuid(b->cpu, 0xD, 1, out);
    assert_true(out[0] == 15 && out[1] == 832 && out[2] == 0);
    cpu_cpuid(b->cpu, 0xD, 2, out);
    assert_true(out[0] == 256 && out[1] == 576 && out[2] == 0);
    struct cpu_regs r = REGS("\x0F\x01\xD1", 0);
    r.gpr[CPU_RAX] = 7, r.gpr[CPU_RDX] = 0, r.gpr[CPU_RCX] = 1;
    assert_int_equal(step(&r), 13);
    r = REGS("\x0F\x01\xD0", 3);
    r.gpr[CPU_RCX] = 2;
    assert_int_equal(step(&r), 13); // XGETBV(2)
}

// A signalling NaN with the invalid exception unmasked: the flag and nothing else.
static void test_unmasked(void **state)
{
    xsetbv(7, 0);
    for (unsigned vex = 0; vex < 2; vex++) {
        struct cpu_regs r = vex ? REGS(VADDPS_YMM, 3) : REGS(VADDPS_XMM, 3);
        u32 nan = 0x7F800001;
        cpu_set_regs(b->cpu, &r);
        get_fpu();
        memset(xmm(0), 0x11, 16), memset(ymm_high(0), 0x22, 16);
        memcpy(vex ? ymm_high(2) : xmm(2), &nan, 4);
        set_mxcsr(0x1F00);
        cpu_set_fpu(b->cpu, fpu);
        assert_int_equal(step(&r), 19);
        get_fpu();
        assert_int_equal(mxcsr(), 0x1F01);
        assert_true(xmm(0)[0] == 0x11 && ymm_high(0)[15] == 0x22);
        memset(xmm(2), 0, 16);
        set_mxcsr(0x1F00);
        memcpy(xmm(2), &nan, 4);
        cpu_set_fpu(b->cpu, fpu);
        r = REGS(VADDPS_XMM, 3);
        r.cr4 &= ~(u64)CR4_OSXMMEXCPT;
        assert_int_equal(step(&r), 6);
    }
}

// vmaskmovps [rsi], ymm1, ymm0 and vmaskmovps ymm0, ymm1, [rsi] over the end of a page.
static void test_masked_moves(void **state)
{
    u8 before[16], after[16];
    xsetbv(7, 0);
    struct cpu_regs r = REGS("\xC4\xE2\x75\x2E\x06", 3);
    r.gpr[CPU_RSI] = EDGE - 16;
    cpu_set_regs(b->cpu, &r);
    get_fpu();
    memset(xmm(1), 0xFF, 16), memset(ymm_high(1), 0x7F, 16);
    memset(xmm(0), 0x5A, 16);
    cpu_set_fpu(b->cpu, fpu);
    assert_int_equal(step(&r), -1);
    physmem_read(b->mem, EDGE - 16, after, 16);
    assert_memory_equal(after, xmm(0), 16);
    ymm_high(1)[15] = 0x80; // the last element: the one fault, and nothing is written
    memset(xmm(0), 0xA5, 16);
    cpu_set_fpu(b->cpu, fpu);
    memcpy(before, after, 16);
    r = REGS("\xC4\xE2\x75\x2E\x06", 3);
    r.gpr[CPU_RSI] = EDGE - 16;
    assert_int_equal(step(&r), 14);
    assert_int_equal(r.cr2, EDGE + 12);
    physmem_read(b->mem, EDGE - 16, after, 16);
    assert_memory_equal(after, before, 16);
    r = REGS("\xC4\xE2\x75\x2C\x06", 3);
    r.gpr[CPU_RSI] = EDGE - 16;
    assert_int_equal(step(&r), 14);
    ymm_high(1)[15] = 0;
    cpu_set_fpu(b->cpu, fpu);
    r = REGS("\xC4\xE2\x75\x2C\x06", 3);
    r.gpr[CPU_RSI] = EDGE - 16;
    assert_int_equal(step(&r), -1);
    get_fpu();
    assert_memory_equal(xmm(0), before, 16);
    assert_int_equal(ymm_high(0)[0], 0);
}

// vpgatherdd ymm1, [rsi + ymm3 * 4], ymm2: element 5 lies on the absent page.
static void test_gather_goes_on(void **state)
{
    u32 words[8], indices[8] = {0, 1, 2, 3, 4, 64, 6, 7};
    xsetbv(7, 0);
    for (u32 i = 0; i < 8; i++) {
        words[i] = 100 + i;
    }
    physmem_write(b->mem, EDGE - 256, words, sizeof(words));
    struct cpu_regs r = REGS("\xC4\xE2\x6D\x90\x0C\x9E", 3);
    r.gpr[CPU_RSI] = EDGE - 256;
    cpu_set_regs(b->cpu, &r);
    get_fpu();
    memset(xmm(1), 0xEE, 16), memset(ymm_high(1), 0xEE, 16);
    memset(xmm(2), 0xFF, 16), memset(ymm_high(2), 0xFF, 16);
    memset(xmm(2) + 4, 0, 4); // element 1 is not asked for
    memcpy(xmm(3), indices, 16), memcpy(ymm_high(3), indices + 4, 16);
    cpu_set_fpu(b->cpu, fpu);
    assert_int_equal(step(&r), 14);
    assert_int_equal(r.cr2, EDGE);
    get_fpu();
    u32 low[4], high[4], mask[4];
    memcpy(low, xmm(1), 16), memcpy(high, ymm_high(1), 16), memcpy(mask, ymm_high(2), 16);
    assert_true(low[0] == 100 && low[1] == 0xEEEEEEEE && low[2] == 102 && low[3] == 103);
    assert_true(high[0] == 104 && high[1] == 0xEEEEEEEE);
    assert_true(mask[0] == 0 && mask[1] == 0xFFFFFFFF && mask[3] == 0xFFFFFFFF);
    indices[5] = 5;
    memcpy(ymm_high(3), indices + 4, 16);
    cpu_set_fpu(b->cpu, fpu);
    r = REGS("\xC4\xE2\x6D\x90\x0C\x9E", 3);
    r.gpr[CPU_RSI] = EDGE - 256;
    assert_int_equal(step(&r), -1);
    get_fpu();
    memcpy(high, ymm_high(1), 16);
    assert_true(high[1] == 105 && high[2] == 106 && high[3] == 107);
    memset(mask, 0, sizeof(mask));
    assert_memory_equal(ymm_high(2), mask, 16);
    assert_memory_equal(xmm(2), mask, 16);
}

// Stores that reach the absent page write nothing: 32 bytes, a conversion, an XSAVE area.
static void test_faulting_stores(void **state)
{
    static const struct {
        const char *code;
        unsigned size, before;
    } stores[] = {
        {"\xC5\xFE\x7F\x06", 4, 16},         // vmovdqu [rsi], ymm0
        {"\xC4\xE3\x7D\x1D\x06\x00", 6, 8},  // vcvtps2ph [rsi], ymm0, 0
        {"\xC4\xE3\x7D\x39\x06\x01", 6, 8},  // vextracti128 [rsi], ymm0, 1
        {"\x48\x0F\xAE\x26", 4, 576},        // xsave64 [rsi]: only the AVX part lies beyond
        {"\x48\x0F\xC7\x26", 4, 576},        // xsavec64
    };
    xsetbv(7, 0);
    for (unsigned i = 0; i < ARRAY_LEN(stores); i++) {
        u8 zero[1024] = {0}, after[1024];
        physmem_write(b->mem, EDGE - 1024, zero, sizeof(zero));
        struct cpu_regs r = start(stores[i].code, stores[i].size, 3);
        r.gpr[CPU_RSI] = EDGE - stores[i].before;
        r.gpr[CPU_RAX] = r.gpr[CPU_RDX] = UINT32_MAX;
        cpu_set_regs(b->cpu, &r);
        get_fpu();
        memset(xmm(0), 0x3F, 16), memset(ymm_high(0), 0x3F, 16);
        set_mxcsr(0x1F80);
        cpu_set_fpu(b->cpu, fpu);
        assert_int_equal(step(&r), 14);
        physmem_read(b->mem, EDGE - 1024, after, sizeof(after));
        assert_memory_equal(after, zero, sizeof(zero));
        get_fpu();
        assert_int_equal(mxcsr(), 0x1F80);
    }
}

// XSAVES and XRSTORS: ring 0 only, always compacted.
static void test_supervisor_save(void **state)
{
    xsetbv(7, 0);
    assert_int_equal(STEP("\x48\x0F\xC7\x2E", 3), 13);
    assert_int_equal(STEP("\x48\x0F\xC7\x1E", 3), 13);
    struct cpu_regs r = REGS("\x48\x0F\xC7\x2E", 0); // xsaves64 [rsi]
    r.gpr[CPU_RSI] = DATA, r.gpr[CPU_RAX] = r.gpr[CPU_RDX] = UINT32_MAX;
    cpu_set_regs(b->cpu, &r);
    get_fpu();
    memset(xmm(4), 0x44, 16), memset(ymm_high(5), 0x55, 16);
    cpu_set_fpu(b->cpu, fpu);
    assert_int_equal(step(&r), -1);
    u64 header[2];
    physmem_read(b->mem, DATA + 512, header, sizeof(header));
    assert_int_equal(header[0] & 6, 6);
    assert_true(header[1] == (UINT64_C(1) << 63 | 7));
    u8 saved[CPU_FPU_BYTES];
    memcpy(saved, fpu, sizeof(saved));
    memset(xmm(4), 0, 16), memset(ymm_high(5), 0, 16);
    cpu_set_fpu(b->cpu, fpu);
    r = REGS("\x48\x0F\xC7\x1E", 0); // xrstors64 [rsi]
    r.gpr[CPU_RSI] = DATA, r.gpr[CPU_RAX] = r.gpr[CPU_RDX] = UINT32_MAX;
    assert_int_equal(step(&r), -1);
    get_fpu();
    assert_memory_equal(fpu, saved, sizeof(saved));
    header[1] = 0; // a standard area is none for XRSTORS
    physmem_write(b->mem, DATA + 512, header, sizeof(header));
    r = REGS("\x48\x0F\xC7\x1E", 0);
    r.gpr[CPU_RSI] = DATA, r.gpr[CPU_RAX] = r.gpr[CPU_RDX] = UINT32_MAX;
    assert_int_equal(step(&r), 13);
    r = REGS("\x0F\x30", 0); // wrmsr
    r.gpr[CPU_RCX] = MSR_XSS, r.gpr[CPU_RAX] = 0x100, r.gpr[CPU_RDX] = 0;
    assert_int_equal(step(&r), 13);
    r = REGS("\x0F\x30", 0);
    r.gpr[CPU_RCX] = MSR_XSS, r.gpr[CPU_RAX] = r.gpr[CPU_RDX] = 0;
    assert_int_equal(step(&r), -1);
}

// Both widths of instruction pointers, both ways; eight registers outside 64-bit code.
static void test_fxsave(void **state)
{
    static const char *const saves[] = {"\x0F\xAE\x06", "\x48\x0F\xAE\x06"}, *const loads[] = {"\x0F\xAE\x0E", "\x48\x0F\xAE\x0E"};
    for (unsigned wide = 0; wide < 2; wide++) {
        struct cpu_regs r = start(saves[wide], 3 + wide, 3);
        r.gpr[CPU_RSI] = DATA;
        cpu_set_regs(b->cpu, &r);
        get_fpu();
        for (unsigned i = 0; i < 16; i++) {
            memset(xmm(i), (int)(0x10 + i), 16);
        }
        memset(fpu + 32, 0x42, 10); // ST0
        set_mxcsr(0x1FA0);
        cpu_set_fpu(b->cpu, fpu);
        assert_int_equal(step(&r), -1);
        get_fpu();
        u8 saved[CPU_FPU_BYTES], image[512];
        memcpy(saved, fpu, sizeof(saved));
        physmem_read(b->mem, DATA, image, sizeof(image));
        assert_memory_equal(image + 24, saved + 24, 392);
        memset(fpu + 24, 0, 4), memset(fpu + 32, 0, 384);
        cpu_set_fpu(b->cpu, fpu);
        r = start(loads[wide], 3 + wide, 3);
        r.gpr[CPU_RSI] = DATA;
        assert_int_equal(step(&r), -1);
        get_fpu();
        assert_memory_equal(fpu, saved, sizeof(saved));
        r = start(loads[wide], 3 + wide, 3);
        r.gpr[CPU_RSI] = DATA + 8;
        assert_int_equal(step(&r), 13);
    }
}

// The forms without REX.W.
static void test_supervisor_save_narrow(void **state)
{
    xsetbv(7, 0);
    struct cpu_regs r = REGS("\x0F\xC7\x2E", 0); // xsaves [rsi]
    r.gpr[CPU_RSI] = DATA, r.gpr[CPU_RAX] = 7, r.gpr[CPU_RDX] = 0;
    cpu_set_regs(b->cpu, &r);
    get_fpu();
    memset(ymm_high(15), 0x66, 16);
    cpu_set_fpu(b->cpu, fpu);
    assert_int_equal(step(&r), -1);
    memset(ymm_high(15), 0, 16);
    cpu_set_fpu(b->cpu, fpu);
    r = REGS("\x0F\xC7\x1E", 0); // xrstors [rsi]
    r.gpr[CPU_RSI] = DATA, r.gpr[CPU_RAX] = 7, r.gpr[CPU_RDX] = 0;
    assert_int_equal(step(&r), -1);
    get_fpu();
    assert_int_equal(ymm_high(15)[9], 0x66);
}

// Eight registers, and the upper ones are left alone.
static void test_compatibility_mode(void **state)
{
    static const char *const codes[] = {"\xC5\xFC\x77", "\xC4\xE1\x7C\x77", "\xC5\xF4\x57\xC1"}; // vzeroall, again, vxorps ymm0
    xsetbv(7, 0);
    for (unsigned i = 0; i < ARRAY_LEN(codes); i++) {
        struct cpu_regs r = start(codes[i], 4, 3);
        r.seg[CPU_CS].attributes = 0xC0FB; // 32-bit
        cpu_set_regs(b->cpu, &r);
        get_fpu();
        for (unsigned n = 0; n < 16; n++) {
            memset(xmm(n), 0x77, 16), memset(ymm_high(n), 0x77, 16);
        }
        cpu_set_fpu(b->cpu, fpu);
        assert_int_equal(step(&r), -1);
        get_fpu();
        assert_int_equal(xmm(0)[3], 0);
        assert_int_equal(ymm_high(0)[3], 0);
        assert_int_equal(xmm(7)[3], i == 2 ? 0x77 : 0);
        assert_int_equal(xmm(8)[3], 0x77);
        assert_int_equal(ymm_high(15)[3], 0x77);
    }
}

static void expect_features(const char *model, u32 leaf, u32 subleaf, unsigned reg, u32 present, u32 absent)
{
    struct bare *other = bare_create_model(TLB_FULL, model);
    u32 out[4];
    cpu_cpuid(other->cpu, leaf, subleaf, out);
    if ((out[reg] & present) != present || (out[reg] & absent)) {
        fail_msg("%s: CPUID %x.%x is %x, must have %x and not %x", model, leaf, subleaf, out[reg], present, absent);
    }
    bare_destroy(other);
}

// psABI's micro-architecture levels, and what falls with AVX and XSAVE.
static void test_models(void **state)
{
    enum { SSE3 = 1, SSSE3 = 1 << 9, FMA = 1 << 12, CX16 = 1 << 13, SSE41 = 1 << 19, SSE42 = 1 << 20, MOVBE = 1 << 22,
           POPCNT = 1 << 23, XSAVE = 1 << 26, AVX = 1 << 28, F16C = 1 << 29, AVX2 = 1 << 5, BMI = 1 << 3 | 1 << 8 };
    u32 level2 = SSE3 | SSSE3 | CX16 | SSE41 | SSE42 | POPCNT, level3 = FMA | MOVBE | XSAVE | AVX | F16C;
    expect_features("v2", 1, 0, 2, level2, level3);
    expect_features("v2", 7, 0, 1, 0, AVX2 | BMI);
    expect_features("v3", 1, 0, 2, level2 | level3, 0);
    expect_features("v3", 7, 0, 1, AVX2 | BMI, 0);
    expect_features("v3", 0x80000001, 0, 2, 1 | 1 << 5, 0); // LAHF, LZCNT
    expect_features("v3,-avx", 1, 0, 2, level2 | XSAVE, AVX | FMA | F16C);
    expect_features("v3,-avx", 7, 0, 1, BMI, AVX2);
    expect_features("v3,-avx", 0xD, 0, 0, 3, 4);
    expect_features("v3,-xsave", 1, 0, 2, level2, XSAVE | AVX | FMA | F16C);
    expect_features("v3,-xsave", 0xD, 1, 0, 0, 15);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_availability),      T(test_xsetbv),          T(test_unmasked),        T(test_masked_moves),
        T(test_gather_goes_on),    T(test_faulting_stores), T(test_supervisor_save), T(test_compatibility_mode),
        T(test_models),            T(test_fxsave),          T(test_supervisor_save_narrow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
