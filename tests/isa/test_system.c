// SPDX-License-Identifier: MIT
// System instructions that no oracle can run: what they do to registers and memory, at which privilege, in which mode,
// each checked against the SDM's pseudo-code.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "tests/isa/bare.h"

#define CODE BARE_USER
#define DATA (BARE_USER + 0x10000)
#define STACK (BARE_USER + 0x20000)
#define CR0_EM_TS 0xCu

static struct bare *b;

static int setup(void **state)
{
    b = bare_create(TLB_FULL);
    return 0;
}

static int teardown(void **state)
{
    bare_destroy(b);
    return 0;
}

enum place { RING3, RING0, CODE32 };

// Runs code in 64-bit mode at ring 3 or 0, or in 32-bit code at ring 3, with RBX = DATA, RCX = 1, RDX = 2; changed by
// edit. Returns the registers at its end; *vector is what it raised, -1 if nothing.
static struct cpu_regs run(enum place place, const char *code, size_t size, void (*edit)(struct cpu_regs *), int *vector)
{
    static const u8 stop[2] = {0xEB, 0xFE};
    physmem_write(b->mem, CODE, code, size);
    physmem_write(b->mem, CODE + size, stop, 2);
    struct cpu_regs r = bare_user_regs(b, CODE);
    memset(r.gpr, 0, sizeof(r.gpr));
    r.gpr[CPU_RBX] = DATA, r.gpr[CPU_RCX] = 1, r.gpr[CPU_RDX] = 2, r.gpr[CPU_RSP] = STACK;
    if (place == RING0) {
        r.seg[CPU_CS] = (struct cpu_segment){0x08, 0xA09B, 0xFFFFFFFF, 0};
        r.seg[CPU_SS] = (struct cpu_segment){0x10, 0xC093, 0xFFFFFFFF, 0};
        r.cpl = 0;
    } else if (place == CODE32) {
        r.seg[CPU_CS].attributes = 0xC0FB;
    }
    if (edit) {
        edit(&r);
    }
    cpu_set_regs(b->cpu, &r);
    u64 rip = CODE;
    for (unsigned i = 0; i < 100 && rip != CODE + size; i++) {
        cpu_run(b->cpu, 1);
        cpu_get_regs(b->cpu, &r);
        if (r.rip >= BARE_HANDLERS && r.rip < BARE_HANDLERS + 32 * 16) {
            break;
        }
        rip = r.rip;
    }
    *vector = rip == CODE + size ? -1 : (int)(r.rip - BARE_HANDLERS) / 16;
    return r;
}
#define RUN(place, code, edit)                                                                     \
    ({                                                                                             \
        int vector_;                                                                               \
        struct cpu_regs r_ = run(place, code, sizeof(code) - 1, edit, &vector_);                   \
        assert_int_equal(vector_, -1);                                                             \
        r_;                                                                                        \
    })
#define RAISES(place, code, edit, expected)                                                        \
    do {                                                                                           \
        int vector_;                                                                               \
        run(place, code, sizeof(code) - 1, edit, &vector_);                                        \
        assert_int_equal(vector_, expected);                                                       \
    } while (0)

static u64 memory(u64 at)
{
    u64 value;
    memcpy(&value, b->mem->ram + at, 8);
    return value;
}

static void test_random(void **state)
{
    struct cpu_regs r = RUN(RING3, "\x48\x0F\xC7\xF0\x49\x89\xC0\x48\x0F\xC7\xF8\x66\x0F\xC7\xF1", NULL);
    assert_int_not_equal(r.gpr[CPU_R8], r.gpr[CPU_RAX]); // one stream, so never twice the same
    assert_true(r.gpr[CPU_R8] >> 32 && r.gpr[CPU_RAX] >> 32);
    assert_int_equal(r.gpr[CPU_RCX] >> 16, 0); // 16 bits leave the rest
    assert_int_equal(r.rflags & 0x8D5, 1);
    u64 first = r.gpr[CPU_R8];
    r = RUN(RING3, "\x0F\xC7\xF0", NULL); // 32 bits: zero-extended; the stream goes on
    assert_int_equal(r.gpr[CPU_RAX] >> 32, 0);
    bare_destroy(b);
    b = bare_create(TLB_FULL);
    r = RUN(RING3, "\x48\x0F\xC7\xF0", NULL); // another machine with the same seed
    assert_int_equal(r.gpr[CPU_RAX], first);
}

static void test_random_is_state(void **state)
{
    u8 saved[16384];
    assert_true(cpu_state_size(b->cpu) <= sizeof(saved));
    cpu_state_save(b->cpu, saved);
    u64 first = RUN(RING3, "\x48\x0F\xC7\xF0", NULL).gpr[CPU_RAX];
    cpu_state_load(b->cpu, saved);
    assert_int_equal(RUN(RING3, "\x48\x0F\xC7\xF8", NULL).gpr[CPU_RAX], first);
}

static void test_hints(void **state)
{
    struct cpu_regs r = RUN(RING3,
                            "\x0F\x18\x03\x0F\x18\x0B\x0F\x18\x13\x0F\x18\x1B" // prefetchnta, t0, t1, t2
                            "\x0F\x0D\x03\x0F\x0D\x0B\x0F\x0D\x13"             // prefetch, prefetchw, prefetchwt1
                            "\x0F\xAE\xF8\x0F\xAE\xE8\x0F\xAE\xF0"             // sfence, lfence, mfence
                            "\x0F\x01\xE8"                                     // serialize
                            "\x0F\xAE\x3B\x66\x0F\xAE\x3B\x66\x0F\xAE\x33",    // clflush, clflushopt, clwb
                            NULL);
    assert_int_equal(r.gpr[CPU_RBX], DATA);
    RAISES(RING3, "\x0F\x0B", NULL, 6);     // ud2
    RAISES(RING3, "\x0F\xB9\xC0", NULL, 6); // ud1
    RAISES(RING3, "\x0F\xFF\xC0", NULL, 6); // ud0
}

static void bad_address(struct cpu_regs *r)
{
    r->gpr[CPU_RBX] = UINT64_C(1) << 47;
}

static void absent_page(struct cpu_regs *r)
{
    bare_set_page(b, DATA, BARE_PAGE_ABSENT);
}

static void test_flushes_check_their_operand(void **state)
{
    RAISES(RING3, "\x0F\xAE\x3B", bad_address, 13);
    RAISES(RING3, "\x66\x0F\xAE\x3B", bad_address, 13);
    RAISES(RING3, "\x66\x0F\xAE\x33", bad_address, 13);
    RUN(RING3, "\x0F\x18\x03", bad_address); // a hint
    RAISES(RING3, "\x66\x0F\xAE\x33", absent_page, 14);
}

static void test_caches(void **state)
{
    RUN(RING0, "\x0F\x08\x0F\x09", NULL); // invd, wbinvd
    RAISES(RING3, "\x0F\x08", NULL, 13);
    RAISES(RING3, "\x0F\x09", NULL, 13);
}

static void task_switched(struct cpu_regs *r)
{
    r->cr0 |= CR0_EM_TS;
}

static void test_clts(void **state)
{
    assert_int_equal(RUN(RING0, "\x0F\x06", task_switched).cr0 & CR0_EM_TS, 4);
    RAISES(RING3, "\x0F\x06", NULL, 13);
    RAISES(RING3, "\x9B", task_switched, 7); // fwait, CR0.MP being set
    RAISES(RING3, "\xD9\xE8", task_switched, 7);
}

static void test_mwait(void **state)
{
    int vector;
    RAISES(RING3, "\x0F\x01\xC9", NULL, 6);
    RAISES(RING0, "\x0F\x01\xC8", NULL, 6);  // monitor is not offered
    RAISES(RING0, "\x0F\x01\xC9", NULL, 13); // an extension in ECX
    struct cpu_regs r = run(RING0, "\x31\xC9\x0F\x01\xC9\xEB\x00", 7, NULL, &vector);
    assert_true(r.halted);
    assert_int_equal(r.rip, CODE + 5);
}

static void fsgsbase(struct cpu_regs *r)
{
    r->cr4 |= 0x10000;
}

static void test_bases(void **state)
{
    // mov rax, 0x123456789; wrgsbase rax; rdgsbase r8; wrfsbase eax; rdfsbase r9
    struct cpu_regs r = RUN(RING3, "\x48\xB8\x89\x67\x45\x23\x01\x00\x00\x00\xF3\x48\x0F\xAE\xD8\xF3\x49\x0F\xAE\xC8"
                            "\xF3\x0F\xAE\xD0\xF3\x49\x0F\xAE\xC1", fsgsbase);
    assert_int_equal(r.gpr[CPU_R8], 0x123456789);
    assert_int_equal(r.gpr[CPU_R8 + 1], 0x23456789);
    assert_int_equal(r.seg[CPU_GS].base, 0x123456789);
    RAISES(RING3, "\xF3\x48\x0F\xAE\xDB\x90", bad_address, 6); // CR4.FSGSBASE is clear
}

static void test_processor_id(void **state)
{
    // wrmsr TSC_AUX = 7
    RUN(RING0, "\xB9\x03\x01\x00\xC0\xB8\x07\x00\x00\x00\x31\xD2\x0F\x30", NULL);
    struct cpu_regs r = RUN(RING3, "\xF3\x0F\xC7\xF8\x49\x89\xC0\x0F\x01\xF9", NULL); // rdpid, rdtscp
    assert_int_equal(r.gpr[CPU_R8], 7);
    assert_int_equal(r.gpr[CPU_RCX], 7);
}

static void test_tables(void **state)
{
    struct cpu_regs r = RUN(RING3, "\x0F\x01\x03\x0F\x01\x4B\x10", NULL); // sgdt, sidt 16(%rbx)
    assert_int_equal(memory(DATA) & 0xFFFF, r.gdtr_limit);
    assert_int_equal(memory(DATA + 2), r.gdtr_base);
    assert_int_equal(memory(DATA + 16) & 0xFFFF, r.idtr_limit);
    assert_int_equal(memory(DATA + 18), r.idtr_base);
}

// 6 bytes of base and limit whose upper byte only a 32-bit operand loads.
static void test_table_operand_size(void **state)
{
    static const u8 table[10] = {0x37, 0, 0x00, 0x10, 0x20, 0x30, 0, 0, 0, 0};
    memcpy(b->mem->ram + DATA, table, sizeof(table));
    struct cpu_regs r = RUN(RING0, "\x66\x0F\x01\x13", NULL); // lgdt: the prefix does not matter in 64-bit code
    assert_int_equal(r.gdtr_base, 0x30201000);
    assert_int_equal(r.gdtr_limit, 0x37);
}

static void test_far_pointers(void **state)
{
    static const u8 pointer[10] = {0x78, 0x56, 0x34, 0x12, 0x1B, 0};
    memcpy(b->mem->ram + DATA, pointer, sizeof(pointer));
    // lss eax; lfs edi; lgs esi
    struct cpu_regs r = RUN(RING3, "\x0F\xB2\x03\x0F\xB4\x3B\x0F\xB5\x33", NULL);
    assert_int_equal(r.gpr[CPU_RAX], 0x12345678);
    assert_int_equal(r.gpr[CPU_RDI], 0x12345678);
    assert_int_equal(r.gpr[CPU_RSI], 0x12345678);
    assert_int_equal(r.seg[CPU_FS].selector, 0x1B);
    assert_int_equal(r.seg[CPU_GS].selector, 0x1B);
    assert_int_equal(r.seg[CPU_SS].selector, 0x1B);
    r = RUN(CODE32, "\xC5\x03\xC4\x3B", NULL); // lds eax; les edi
    assert_int_equal(r.gpr[CPU_RAX], 0x12345678);
    assert_int_equal(r.seg[CPU_ES].selector, 0x1B);
    RAISES(RING3, "\xC5\x03", NULL, 6); // VEX there, and no such instruction
}

static u64 port_read(void *ctx, u64 offset, unsigned size)
{
    return UINT64_C(0x44332211) + offset;
}

static void port_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    *(u64 *)ctx = value | (u64)size << 32;
}

static void string_port(struct cpu_regs *r)
{
    r->gpr[CPU_RDX] = 0x200;
    r->gpr[CPU_RCX] = 2;
    r->gpr[CPU_RDI] = r->gpr[CPU_RSI] = DATA;
}

static void test_string_ports(void **state)
{
    static const struct io_ops ops = {.read = port_read, .write = port_write};
    u64 written = 0;
    struct status s = io_space_add(b->ports, 0x200, 4, &ops, &written, "test");
    assert_true(status_ok(&s));
    struct cpu_regs r = RUN(RING0, "\xF3\x6C\x66\x6D\x6D", string_port); // rep insb, insw, insd
    assert_int_equal(memory(DATA), UINT64_C(0x4433221122111111));
    assert_int_equal(r.gpr[CPU_RDI], DATA + 8);
    RUN(RING0, "\x6E", string_port); // outsb
    assert_int_equal(written, UINT64_C(0x100000011));
    RUN(RING0, "\x66\x6F", string_port); // outsw
    assert_int_equal(written, UINT64_C(0x200001111));
    RUN(RING0, "\x6F", string_port); // outsd
    assert_int_equal(written, UINT64_C(0x422111111));
}

static void osxsave(struct cpu_regs *r)
{
    r->cr4 |= 0x40000;
    r->gpr[CPU_RDI] = DATA + 0x800;
}

static u32 memory32(u64 at)
{
    return (u32)memory(at);
}

static void test_mxcsr(void **state)
{
    // movl $0x1FA0, 0x400(%rbx); ldmxcsr 0x400(%rbx); stmxcsr 0x404(%rbx)
    RUN(RING3, "\xC7\x83\x00\x04\x00\x00\xA0\x1F\x00\x00\x0F\xAE\x93\x00\x04\x00\x00\x0F\xAE\x9B\x04\x04\x00\x00", NULL);
    assert_int_equal(memory32(DATA + 0x404), 0x1FA0);
    // the same with a reserved bit
    RAISES(RING3, "\xC7\x83\x00\x04\x00\x00\xA0\x1F\x01\x00\x0F\xAE\x93\x00\x04\x00\x00", NULL, 13);
    // xor ecx, ecx; xor edx, edx; mov eax, 7; xsetbv; vldmxcsr 0x404(%rbx); vstmxcsr 0x408(%rbx)
    RUN(RING0, "\x31\xC9\x31\xD2\xB8\x07\x00\x00\x00\x0F\x01\xD1\xC5\xF8\xAE\x93\x04\x04\x00\x00"
        "\xC5\xF8\xAE\x9B\x08\x04\x00\x00", osxsave);
    assert_int_equal(memory32(DATA + 0x408), 0x1FA0);
}

static void test_fxsave(void **state)
{
    // fninit; movd %eax, %mm0; fxsave (%rbx); emms; fxsave64 0x200(%rbx); fxrstor (%rbx); fxsave 0x400(%rbx);
    // fxrstor64 0x200(%rbx); fxsave 0x600(%rbx)
    RUN(RING3, "\xDB\xE3\x0F\x6E\xC0\x0F\xAE\x03\x0F\x77\x48\x0F\xAE\x83\x00\x02\x00\x00\x0F\xAE\x0B"
        "\x0F\xAE\x83\x00\x04\x00\x00\x48\x0F\xAE\x8B\x00\x02\x00\x00\x0F\xAE\x83\x00\x06\x00\x00", NULL);
    assert_int_equal(memory32(DATA), 0x37F);
    assert_int_equal(memory(DATA + 24) & 0xFFFFFFFF, 0x1F80);
    assert_int_equal(memory(DATA + 4) & 0xFF, 0xFF); // MMX: all registers in use
    assert_int_equal(memory(DATA + 0x204) & 0xFF, 0);
    assert_int_equal(memory(DATA + 0x404) & 0xFF, 0xFF);
    assert_int_equal(memory(DATA + 0x604) & 0xFF, 0);
    RAISES(RING3, "\x0F\xAE\x43\x08", NULL, 13); // not aligned
}

static void test_masked_stores(void **state)
{
    // mov $0x80, %eax; movd %eax, %xmm1; pcmpeqd %xmm0, %xmm0; maskmovdqu %xmm1, %xmm0
    RUN(RING3, "\xB8\x80\x00\x00\x00\x66\x0F\x6E\xC8\x66\x0F\x76\xC0\x66\x0F\xF7\xC1", osxsave);
    assert_int_equal(memory(DATA + 0x800), 0xFF);
    // the same with MMX, the mask 0x8000
    RUN(RING3, "\xB8\x00\x80\x00\x00\x0F\x6E\xC8\x0F\x76\xC0\x0F\xF7\xC1", osxsave);
    assert_int_equal(memory(DATA + 0x800), 0xFFFF);
    // xsetbv as above; mov $0x800000, %eax; vmovd %eax, %xmm1; vpcmpeqd %xmm0, %xmm0, %xmm0; vmaskmovdqu %xmm1, %xmm0
    RUN(RING0, "\x31\xC9\x31\xD2\xB8\x07\x00\x00\x00\x0F\x01\xD1\xB8\x00\x00\x80\x00\xC5\xF9\x6E\xC8"
        "\xC5\xF9\x76\xC0\xC5\xF9\xF7\xC1", osxsave);
    assert_int_equal(memory(DATA + 0x800), 0xFFFFFF);
}

static void test_xsaves(void **state)
{
    // mov $3, %eax; xor %edx, %edx; xsaves (%rbx); xrstors (%rbx)
    RUN(RING0, "\xB8\x03\x00\x00\x00\x31\xD2\x0F\xC7\x2B\x0F\xC7\x1B", osxsave);
    assert_int_equal(memory(DATA + 520) >> 63, 1); // compacted
    RAISES(RING3, "\xB8\x03\x00\x00\x00\x31\xD2\x0F\xC7\x2B", osxsave, 13);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_random),       TEST(test_random_is_state),
        TEST(test_hints),        TEST(test_flushes_check_their_operand),
        TEST(test_caches),       TEST(test_clts),
        TEST(test_mwait),        TEST(test_bases),
        TEST(test_processor_id), TEST(test_tables),
        TEST(test_table_operand_size),
        TEST(test_mxcsr),        TEST(test_fxsave),
        TEST(test_masked_stores), TEST(test_xsaves),
        TEST(test_far_pointers), TEST(test_string_ports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
