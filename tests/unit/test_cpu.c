// SPDX-License-Identifier: MIT
// The CPU from outside: hashed state, CPUID and MSRs, shutdown, signals at the boundary.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bus/io_space.h"
#include "cpu/state.h"

#define RAM_BYTES (16u << 20)

struct fixture {
    struct physmem *mem;
    struct io_space *ports, *mmio;
    struct mmu_shared *shared;
    struct vclock clock;
    struct probes probes;
    struct cpu_apic apic;
    unsigned current_cpu;
    u64 apic_base, apic_tsc_offset;
    struct cpu *cpu;
    struct hash *hash;
};

static bool apic_read(void *ctx, u32 msr, u64 *value)
{
    *value = ((struct fixture *)ctx)->apic_base;
    return msr == 0x1B;
}

static bool apic_write(void *ctx, u32 msr, u64 value)
{
    return false;
}

static u8 apic_acknowledge(void *ctx)
{
    return 0x40;
}

static u8 apic_get_cr8(void *ctx)
{
    return 0;
}

static void apic_set_cr8(void *ctx, u8 value)
{
}

static void apic_set_tsc_offset(void *ctx, u64 offset)
{
    ((struct fixture *)ctx)->apic_tsc_offset = offset;
}

static const struct cpu_apic_ops apic_ops = {
    apic_acknowledge, apic_get_cr8, apic_set_cr8, apic_read, apic_write, apic_set_tsc_offset,
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct status s = physmem_create(&f->mem, RAM_BYTES);
    assert_true(status_ok(&s));
    f->ports = io_space_create(0x10000);
    f->mmio = io_space_create(UINT64_C(1) << 40);
    f->shared = mmu_shared_create(f->mem, f->mmio, TLB_FULL);
    f->clock.step_ps = 1000;
    f->apic = (struct cpu_apic){&apic_ops, f};
    f->apic_base = 0xFEE00900;
    struct cpu_config config = {.model = "v2",
                                .mmu = f->shared,
                                .mem = f->mem,
                                .ports = f->ports,
                                .clock = &f->clock,
                                .probes = &f->probes,
                                .apic = &f->apic,
                                .current_cpu = &f->current_cpu,
                                .tsc_hz = 1000000000,
                                .crystal_hz = 25000000};
    s = cpu_create(&f->cpu, &config);
    assert_true(status_ok(&s));
    f->hash = hash_create();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    hash_destroy(f->hash);
    cpu_destroy(f->cpu);
    mmu_shared_destroy(f->shared);
    io_space_destroy(f->ports);
    io_space_destroy(f->mmio);
    physmem_destroy(f->mem);
    free(f);
    return 0;
}

static u64 state_hash(struct fixture *f)
{
    hash_restart(f->hash);
    cpu_hash(f->cpu, f->hash);
    return hash_value(f->hash);
}

// Flipping one bit of any element of any field changes the hash, and comes back when it is flipped
// back.
static void test_every_field_counts(void **state)
{
    struct fixture *f = *state;
    size_t size = cpu_state_size(f->cpu), at = 0;
    u8 *saved = malloc(size), *again = malloc(size);
    cpu_state_save(f->cpu, saved);
    u64 original = state_hash(f);
    unsigned elements = 0;
    for (const struct field *field = cpu_fields(); field->name; field++) {
        for (u32 i = 0; i < field->count; i++, elements++) {
            saved[at] ^= 1;
            cpu_state_load(f->cpu, saved);
            if (state_hash(f) == original) {
                fail_msg("%s[%u] does not count", field->name, i);
            }
            cpu_state_save(f->cpu, again);
            assert_memory_equal(saved, again, size);
            saved[at] ^= 1;
            cpu_state_load(f->cpu, saved);
            assert_int_equal(state_hash(f), original);
            at += field->elem_size;
        }
    }
    assert_int_equal(at, size);
    assert_true(elements > 150);
    free(saved);
    free(again);
}

// What is not state does not count: counters, caches, the reason's text.
static void test_caches_do_not_count(void **state)
{
    struct fixture *f = *state;
    u64 original = state_hash(f);
    f->cpu->counters.instructions++;
    f->cpu->boundary = !f->cpu->boundary;
    f->cpu->kicked = true;
    f->cpu->gpr[SLOT_CODE] += 4096;
    f->cpu->steps_left--;
    assert_int_equal(state_hash(f), original);
    mmu_flush_all(f->shared);
    assert_int_equal(state_hash(f), original);
}

static void test_power_on_state(void **state)
{
    struct fixture *f = *state;
    struct cpu_regs r;
    cpu_get_regs(f->cpu, &r);
    assert_int_equal(r.rip, 0xFFF0);
    assert_int_equal(r.seg[CPU_CS].base, 0xFFFF0000);
    assert_int_equal(r.cr0, 0x60000010);
    assert_int_equal(r.rflags, 2);
    assert_int_equal(r.gpr[CPU_RDX], 0x806F8);
    r.gpr[3] = 77;
    r.rflags = 0x8D7;
    cpu_set_regs(f->cpu, &r);
    struct cpu_regs back;
    cpu_get_regs(f->cpu, &back);
    assert_memory_equal(&r, &back, sizeof(r));
}

static void test_cpuid(void **state)
{
    struct fixture *f = *state;
    u32 out[4];
    cpu_cpuid(f->cpu, 0, 0, out);
    assert_int_equal(out[0], 0x16);
    assert_memory_equal(&out[1], "Genu", 4);
    assert_memory_equal(&out[3], "ineI", 4);
    assert_memory_equal(&out[2], "ntel", 4);
    cpu_cpuid(f->cpu, 1, 0, out);
    assert_true(out[3] & 1u << 9);
    assert_false(out[2] & 1u << 27);
    f->apic_base &= ~UINT64_C(0x800);
    cpu_cpuid(f->cpu, 1, 0, out);
    assert_false(out[3] & 1u << 9); // APIC switched off
    cpu_cpuid(f->cpu, 0x15, 0, out);
    assert_int_equal((u64)out[2] * out[1] / out[0], 1000000000);
    assert_int_equal(out[2], 25000000);
    cpu_cpuid(f->cpu, 0x80000008, 0, out);
    assert_int_equal(out[0], 48 << 8 | MMU_PHYS_BITS);
    cpu_cpuid(f->cpu, 4, 4, out);
    assert_int_equal(out[0], 0);
    u32 highest[4];
    cpu_cpuid(f->cpu, 0x16, 0, highest);
    cpu_cpuid(f->cpu, 0x40000000, 0, out);
    assert_memory_equal(out, highest, sizeof(out));
    struct cpu *none;
    struct cpu_config config = f->cpu->config;
    config.model = "v9";
    struct status s = cpu_create(&none, &config);
    assert_int_equal(s.code, STATUS_USAGE);
}

static void test_msrs(void **state)
{
    static const struct {
        u32 msr;
        u64 value;
        bool accepted;
    } writes[] = {
        {0x10, 12345, true},
        {0x3B, 7, true},
        {0x8B, 0, true},
        {0xFE, 0, false},
        {0x10A, 0, false},
        {0x174, UINT64_C(0x100000000), false},
        {0x175, UINT64_C(0x800000000000), false},
        {0x176, UINT64_C(0xFFFF800000000000), true},
        {0x1A0, 0x1801, true},
        {0x1A0, 0x1801 | 1 << 22, false},
        {0x200, 6, true},
        {0x200, 2, false},
        {0x201, UINT64_C(0xFFFF000800), true},
        {0x201, UINT64_C(0x1FFFF000800), false},
        {0x250, UINT64_C(0x0606060606060606), true},
        {0x250, UINT64_C(0x0706060606060606), false},
        {0x277, UINT64_C(0x0007010600070106), true},
        {0x277, UINT64_C(0x0207010600070106), false},
        {0x2FF, 0xC06, true},
        {0x2FF, 0x1006, false},
        {0x6E0, 0, false}, // this test's APIC refuses
        {0xC0000080, 0x901, true},
        {0xC0000080, 0x4000, false},
        {0xC0000081, ~UINT64_C(0), true},
        {0xC0000082, UINT64_C(0x7FFFFFFFFFFF), true},
        {0xC0000082, UINT64_C(0x7FFFFFFFFFFF) + 1, false},
        {0xC0000084, UINT64_C(0x100000000), false},
        {0xC0000103, 0xFFFFFFFF, true},
        {0x12345, 0, false},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        u64 before = 0, after = 0;
        bool exists = cpu_read_msr(f->cpu, writes[i].msr, &before);
        bool accepted = cpu_write_msr(f->cpu, writes[i].msr, writes[i].value);
        if (accepted != writes[i].accepted) {
            fail_msg("msr 0x%x = 0x%llx", writes[i].msr, (unsigned long long)writes[i].value);
        }
        if (!accepted) {
            assert_int_equal(f->cpu->fault.vector, EXC_GP);
            assert_int_equal(f->cpu->fault.error_code, 0);
        }
        if (exists) {
            assert_true(cpu_read_msr(f->cpu, writes[i].msr, &after));
            u64 expected = accepted ? writes[i].value : before;
            expected = writes[i].msr == 0x8B ? before : expected;
            assert_int_equal(after, expected); // the clock stands still
        }
    }
    // The feature-control lock holds.
    assert_true(cpu_write_msr(f->cpu, 0x3A, 1));
    assert_false(cpu_write_msr(f->cpu, 0x3A, 0));
    // Writing the TSC moves TSC_ADJUST.
    u64 adjust;
    f->clock.step = 1000;
    f->cpu->run_start_step = 1000;
    assert_true(cpu_write_msr(f->cpu, 0x10, 5000));
    assert_int_equal(f->apic_tsc_offset, 4000);
    assert_true(cpu_read_msr(f->cpu, 0x3B, &adjust));
    assert_int_equal(adjust, 4000);
}

// 64-bit code at 0x8000 with identity pages and an IDT in which nothing is present.
static void enter_long_mode(struct fixture *f, const void *code, size_t size)
{
    static const u64 tables[][2] = {{0x1000, 0x2003}, {0x2000, 0x3003}, {0x3000, 0x83}};
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        physmem_write(f->mem, tables[i][0], &tables[i][1], 8);
    }
    physmem_write(f->mem, 0x8000, code, size);
    struct cpu_regs r;
    cpu_get_regs(f->cpu, &r);
    r.cr0 = 0x80010011;
    r.cr4 = 0x20;
    r.cr3 = 0x1000;
    r.efer = 0x500;
    r.seg[CPU_CS] = (struct cpu_segment){8, 0xA09B, 0xFFFFFFFF, 0};
    r.seg[CPU_SS] = (struct cpu_segment){16, 0xC093, 0xFFFFFFFF, 0};
    r.idtr_limit = 0;
    r.rip = 0x8000;
    r.gpr[CPU_RSP] = 0x7000;
    cpu_set_regs(f->cpu, &r);
}

static void test_triple_fault(void **state)
{
    struct fixture *f = *state;
    enter_long_mode(f, "\x90\x0F\x0B", 3); // nop, ud2
    assert_int_equal(cpu_run(f->cpu, 100), CPU_EXIT_SHUTDOWN);
    assert_non_null(strstr(cpu_shutdown_reason(f->cpu), "#UD"));
    assert_non_null(strstr(cpu_shutdown_reason(f->cpu), "0x8001"));
    // It stays shut down and costs nothing more.
    u64 step = f->clock.step;
    assert_int_equal(cpu_run(f->cpu, 100), CPU_EXIT_SHUTDOWN);
    assert_int_equal(f->clock.step, step);
}

static void test_init_and_sipi(void **state)
{
    struct fixture *f = *state;
    struct cpu_signal signal = cpu_signal(f->cpu);
    enter_long_mode(f, "\x90\x90\x90\xF4", 4);
    f->cpu->tsc_aux = 5;
    signal.ops->raise_sipi(signal.cpu, 3); // not waiting: ignored
    assert_int_equal(f->cpu->pending, 0);
    signal.ops->raise_init(signal.cpu);
    assert_int_equal(cpu_run(f->cpu, 1),
                     CPU_EXIT_BUDGET); // the boot CPU starts at the reset vector again
    assert_int_equal(f->cpu->cr0 & 1, 0);
    assert_int_equal(f->cpu->tsc_aux, 5);
    f->cpu->waiting_for_sipi = true;
    f->cpu->halted = true;
    assert_int_equal(cpu_run(f->cpu, 10), CPU_EXIT_HALTED);
    assert_true(cpu_is_asleep(f->cpu));
    signal.ops->raise_sipi(signal.cpu, 9);
    assert_false(cpu_is_asleep(f->cpu));
    physmem_write(f->mem, 0x9000, "\xF4", 1);
    assert_int_equal(cpu_run(f->cpu, 10), CPU_EXIT_HALTED);
    assert_int_equal(f->cpu->seg[CPU_CS].base, 0x9000);
    assert_int_equal(f->cpu->rip, 1);
}

static void test_nmi_wakes_and_is_blocked(void **state)
{
    struct fixture *f = *state;
    struct cpu_signal signal = cpu_signal(f->cpu);
    enter_long_mode(f, "\xF4\x90\xF4", 3);
    u64 gate[2] = {UINT64_C(0x00008E0000089000), 0}, code = UINT64_C(0x00AF9B000000FFFF),
        data = UINT64_C(0x00CF93000000FFFF);
    physmem_write(f->mem, 0x5000 + 2 * 16, gate, 16);
    physmem_write(f->mem, 0x6008, &code, 8);
    physmem_write(f->mem, 0x6010, &data, 8);
    physmem_write(f->mem, 0x9000, "\x90\x90\x48\xCF", 4); // nop, nop, iretq
    f->cpu->idtr_base = 0x5000;
    f->cpu->idtr_limit = 0xFFF;
    f->cpu->gdtr_base = 0x6000;
    f->cpu->gdtr_limit = 0xFF;
    assert_int_equal(cpu_run(f->cpu, 100), CPU_EXIT_HALTED);
    assert_int_equal(f->clock.step, 1);
    signal.ops->raise_nmi(signal.cpu);
    assert_false(cpu_is_asleep(f->cpu));
    assert_int_equal(cpu_run(f->cpu, 2), CPU_EXIT_BUDGET); // delivery and one nop
    assert_int_equal(f->cpu->rip, 0x9001);
    assert_true(f->cpu->nmi_blocked);
    signal.ops->raise_nmi(signal.cpu);
    assert_int_equal(cpu_run(f->cpu, 2), CPU_EXIT_BUDGET); // nop, iretq: the second NMI still waits
    assert_int_equal(f->cpu->rip, 0x8001);
    assert_int_equal(cpu_run(f->cpu, 1), CPU_EXIT_BUDGET);
    assert_int_equal(f->cpu->rip, 0x9000);
    assert_int_equal(cpu_run(f->cpu, 100), CPU_EXIT_HALTED);
    assert_int_equal(f->cpu->rip, 0x8003);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_every_field_counts),
        TEST(test_caches_do_not_count),
        TEST(test_power_on_state),
        TEST(test_cpuid),
        TEST(test_msrs),
        TEST(test_triple_fault),
        TEST(test_init_and_sipi),
        TEST(test_nmi_wakes_and_is_blocked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
