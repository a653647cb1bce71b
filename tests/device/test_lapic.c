// SPDX-License-Identifier: MIT
// The local APICs (SDM 3A chapter 11), at register level.
#include "device/fixture.h"

enum { ID = 0x20, TPR = 0x80, PPR = 0xA0, EOI = 0xB0, LDR = 0xD0, DFR = 0xE0, SVR = 0xF0,
       ISR = 0x100, IRR = 0x200,
       ESR = 0x280, ICR = 0x300, ICR2 = 0x310, LVT_TIMER = 0x320, LVT_LINT0 = 0x350,
       LVT_LINT1 = 0x360,
       LVT_ERROR = 0x370, INITIAL = 0x380, CURRENT = 0x390, DIVIDE = 0x3E0 };

static void enable_all(struct fixture *f)
{
    for (unsigned i = 0; i < FIXTURE_CPUS; i++) {
        lapic_put(f, i, SVR, 0x1FF);
        lapic_put(f, i, LVT_LINT0, 0x10000);
    }
}

static void send(struct fixture *f, unsigned from, u8 destination, u32 low)
{
    lapic_put(f, from, ICR2, (u32)destination << 24);
    lapic_put(f, from, ICR, low);
}

// 11.4.7.1, and the virtual wire that firmware leaves on CPU 0.
static void reset_state(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(lapic_get(f, 0, SVR), 0x1FF);
    assert_int_equal(lapic_get(f, 0, LVT_LINT0), 0x700);
    assert_int_equal(lapic_get(f, 1, SVR), 0xFF);
    assert_int_equal(lapic_get(f, 1, LVT_LINT0), 0x10000);
    assert_int_equal(lapic_get(f, 1, DFR), 0xFFFFFFFF);
    for (unsigned i = 0; i < FIXTURE_CPUS; i++) {
        assert_int_equal(lapic_get(f, i, ID), i << 24);
        assert_int_equal(lapic_get(f, i, 0x30), 0x50014);
    }
}

// 11.8.3: priorities, nesting, EOI.
static void priorities(void **state)
{
    struct fixture *f = *state;
    enable_all(f);
    send(f, 1, 0, 0xC051); // the trigger mode of an IPI counts for nothing
    assert_true(f->cpu[0].intr);
    assert_int_equal(lapic_get(f, 0, 0x1A0), 0);
    assert_int_equal(lapic_get(f, 0, IRR + 0x20), 1 << 0x11);
    assert_int_equal(acknowledge(f, 0), 0x51);
    assert_int_equal(lapic_get(f, 0, ISR + 0x20), 1 << 0x11);
    assert_int_equal(lapic_get(f, 0, PPR), 0x50);
    send(f, 1, 0, 0x405F); // same class: waits
    assert_false(f->cpu[0].intr);
    send(f, 1, 0, 0x4060);
    assert_true(f->cpu[0].intr);
    assert_int_equal(acknowledge(f, 0), 0x60);
    lapic_put(f, 0, EOI, 0);
    assert_int_equal(lapic_get(f, 0, PPR), 0x50);
    assert_false(f->cpu[0].intr);
    lapic_put(f, 0, EOI, 0);
    assert_true(f->cpu[0].intr);
    assert_int_equal(acknowledge(f, 0), 0x5F);
}

static void task_priority(void **state)
{
    struct fixture *f = *state;
    enable_all(f);
    const struct cpu_apic *apic = &f->apics[0];
    apic->ops->set_cr8(apic->apic, 5);
    assert_int_equal(lapic_get(f, 0, TPR), 0x50);
    send(f, 1, 0, 0x4051);
    assert_false(f->cpu[0].intr);
    lapic_put(f, 0, TPR, 0x4F);
    assert_int_equal(apic->ops->get_cr8(apic->apic), 4);
    assert_int_equal(lapic_get(f, 0, PPR), 0x4F);
    assert_true(f->cpu[0].intr);
    lapic_put(f, 0, TPR, 0x50);
    assert_false(f->cpu[0].intr);
    assert_int_equal(acknowledge(f, 0), 0xFF); // spurious: the request waits
    assert_int_equal(lapic_get(f, 0, ISR + 0x70), 0);
}

// 11.6.1 and 11.6.2: destinations.
static void destinations(void **state)
{
    struct fixture *f = *state;
    enable_all(f);
    send(f, 0, 0, 0xC4040); // all but self
    assert_false(f->cpu[0].intr);
    for (unsigned i = 1; i < FIXTURE_CPUS; i++) {
        assert_int_equal(acknowledge(f, i), 0x40);
        lapic_put(f, i, EOI, 0);
    }
    send(f, 2, 0, 0x44041); // self
    assert_int_equal(acknowledge(f, 2), 0x41);
    send(f, 2, 0xFF, 0x4042); // physical broadcast
    for (unsigned i = 0; i < FIXTURE_CPUS; i++) {
        assert_true(f->cpu[i].intr || i == 2);
        lapic_put(f, i, LDR, 1u << (24 + i));
    }
    fixture_reset(f);
    enable_all(f);
    for (unsigned i = 0; i < FIXTURE_CPUS; i++) {
        lapic_put(f, i, LDR, 1u << (24 + i));
    }
    send(f, 0, 0x0A, 0x4850); // logical flat: CPUs 1 and 3
    assert_true(!f->cpu[0].intr && f->cpu[1].intr && !f->cpu[2].intr && f->cpu[3].intr);
    for (unsigned i = 0; i < FIXTURE_CPUS; i++) {
        lapic_put(f, i, DFR, 0x0FFFFFFF);
        lapic_put(f, i, LDR, (i / 2) << 28 | 1u << (24 + i % 2));
    }
    send(f, 1, 0x02, 0x4860); // cluster 0, second member
    assert_int_equal(acknowledge(f, 1), 0x60);
    send(f, 1, 0xF1, 0x4870); // first member of every cluster
    assert_int_equal(acknowledge(f, 0), 0x70);
    assert_int_equal(acknowledge(f, 2), 0x70);
}

static void lowest_priority(void **state)
{
    struct fixture *f = *state;
    enable_all(f);
    for (unsigned i = 0; i < FIXTURE_CPUS; i++) {
        lapic_put(f, i, LDR, 1u << (24 + i));
        lapic_put(f, i, TPR, i == 2 ? 0x10 : 0x30);
    }
    send(f, 0, 0x0F, 0x4955);
    assert_true(!f->cpu[0].intr && !f->cpu[1].intr && f->cpu[2].intr && !f->cpu[3].intr);
}

static void init_and_startup(void **state)
{
    struct fixture *f = *state;
    enable_all(f);
    unsigned yields = f->cpu[0].yields;
    lapic_put(f, 1, TPR, 0x20);
    send(f, 0, 1, 0xC500); // INIT, level assert
    assert_int_equal(f->cpu[1].inits, 1);
    assert_int_equal(lapic_get(f, 1, TPR), 0);
    assert_int_equal(lapic_get(f, 1, SVR), 0xFF);
    send(f, 0, 1, 0x8500); // de-assert: nothing
    assert_int_equal(f->cpu[1].inits, 1);
    send(f, 0, 1, 0x4608);
    assert_int_equal(f->cpu[1].sipis, 1);
    assert_int_equal(f->cpu[1].sipi_vector, 8);
    send(f, 0, 3, 0x4400);
    assert_int_equal(f->cpu[3].nmis, 1);
    assert_true(f->cpu[0].yields > yields); // sending ends the turn
}

// 11.5.3
static void errors(void **state)
{
    struct fixture *f = *state;
    enable_all(f);
    lapic_put(f, 0, LVT_ERROR, 0xFE);
    send(f, 0, 1, 0x4005);
    assert_int_equal(lapic_get(f, 0, ESR), 0); // until it is written
    lapic_put(f, 0, ESR, 0);
    assert_int_equal(lapic_get(f, 0, ESR), 0x20);
    assert_int_equal(acknowledge(f, 0), 0xFE);
    lapic_put(f, 0, EOI, 0);
    lapic_get(f, 0, 0x40); // reserved register
    lapic_put(f, 0, ESR, 0);
    assert_int_equal(lapic_get(f, 0, ESR), 0x80);
    f->bus.apic_message(f->bus.apic_message_ctx, 0xFEE01000, 0x4003);
    lapic_put(f, 1, ESR, 0);
    assert_int_equal(lapic_get(f, 1, ESR), 0x40);
    lapic_put(f, 0, ESR, 0);
    assert_int_equal(lapic_get(f, 0, ESR), 0);
}

// 11.4.7.2
static void software_disable(void **state)
{
    struct fixture *f = *state;
    enable_all(f);
    lapic_put(f, 1, LVT_LINT1, 0x400);
    lapic_put(f, 1, SVR, 0xFF);
    assert_int_equal(lapic_get(f, 1, LVT_LINT1), 0x10400);
    lapic_put(f, 1, LVT_LINT1, 0x400);
    assert_int_equal(lapic_get(f, 1, LVT_LINT1), 0x10400); // cannot be unmasked
    send(f, 0, 1, 0x4050);
    lapic_put(f, 1, SVR, 0x1FF);
    assert_false(f->cpu[1].intr); // not accepted meanwhile
    lapic_put(f, 1, SVR, 0xFF);
    send(f, 0, 1, 0x4400);
    assert_int_equal(f->cpu[1].nmis, 1); // NMIs still are
}

// 11.5.4: 25 MHz is 40 ns a tick.
static void timer_one_shot(void **state)
{
    struct fixture *f = *state;
    enable_all(f);
    lapic_put(f, 0, DIVIDE, 0xB); // by 1
    lapic_put(f, 0, LVT_TIMER, 0x40);
    lapic_put(f, 0, INITIAL, 1000);
    fixture_advance(f, 4000);
    assert_int_equal(lapic_get(f, 0, CURRENT), 900);
    fixture_advance(f, 35999);
    assert_false(f->cpu[0].intr);
    assert_int_equal(lapic_get(f, 0, CURRENT), 1);
    fixture_advance(f, 1);
    assert_true(f->cpu[0].intr);
    assert_int_equal(lapic_get(f, 0, CURRENT), 0);
    assert_int_equal(acknowledge(f, 0), 0x40);
    lapic_put(f, 0, EOI, 0);
    fixture_advance(f, 1000000);
    assert_false(f->cpu[0].intr);
    lapic_put(f, 0, INITIAL, 1000);
    lapic_put(f, 0, INITIAL, 0); // stops
    fixture_advance(f, 1000000);
    assert_false(f->cpu[0].intr);
}

static void timer_periodic(void **state)
{
    struct fixture *f = *state;
    enable_all(f);
    lapic_put(f, 0, DIVIDE, 0x3); // by 16: 640 ns
    lapic_put(f, 0, LVT_TIMER, 0x20040);
    fixture_advance(f, 40);
    u64 start = fixture_now(f);
    lapic_put(f, 0, INITIAL, 100);
    for (unsigned i = 1; i <= 5; i++) {
        fixture_advance(f, 63999);
        assert_false(f->cpu[0].intr);
        fixture_advance(f, 1);
        assert_true(f->cpu[0].intr);
        assert_int_equal(fixture_now(f), start + 64000 * i);
        assert_int_equal(acknowledge(f, 0), 0x40);
        lapic_put(f, 0, EOI, 0);
        assert_int_equal(lapic_get(f, 0, CURRENT), 100);
    }
    lapic_put(f, 0, LVT_TIMER, 0x30040); // masked: goes on without interrupts
    fixture_advance(f, 64000 + 640 * 30);
    assert_false(f->cpu[0].intr);
    assert_int_equal(lapic_get(f, 0, CURRENT), 70);
}

static void timer_divide_change(void **state)
{
    struct fixture *f = *state;
    enable_all(f);
    lapic_put(f, 0, DIVIDE, 0xB);
    lapic_put(f, 0, LVT_TIMER, 0x40);
    lapic_put(f, 0, INITIAL, 1000);
    fixture_advance(f, 20000);
    lapic_put(f, 0, DIVIDE, 0x0); // by 2
    assert_int_equal(lapic_get(f, 0, CURRENT), 500);
    fixture_advance(f, 39999);
    assert_false(f->cpu[0].intr);
    fixture_advance(f, 1);
    assert_true(f->cpu[0].intr);
}

// 11.5.4.1
static void timer_tsc_deadline(void **state)
{
    struct fixture *f = *state;
    const struct cpu_apic *apic = &f->apics[0];
    u64 value;
    enable_all(f);
    fixture_advance(f, 1000);
    assert_true(apic->ops->write_msr(apic->apic, 0x6E0, 5000)); // not in deadline mode: ignored
    assert_true(apic->ops->read_msr(apic->apic, 0x6E0, &value));
    assert_int_equal(value, 0);
    lapic_put(f, 0, LVT_TIMER, 0x40040);
    apic->ops->write_msr(apic->apic, 0x6E0, 5000);
    lapic_put(f, 0, INITIAL, 7); // ignored here
    assert_int_equal(lapic_get(f, 0, CURRENT), 0);
    fixture_advance(f, 3999);
    assert_false(f->cpu[0].intr);
    apic->ops->read_msr(apic->apic, 0x6E0, &value);
    assert_int_equal(value, 5000);
    fixture_advance(f, 1);
    assert_true(f->cpu[0].intr);
    apic->ops->read_msr(apic->apic, 0x6E0, &value);
    assert_int_equal(value, 0);
    assert_int_equal(acknowledge(f, 0), 0x40);
    lapic_put(f, 0, EOI, 0);

    apic->ops->write_msr(apic->apic, 0x6E0, 10); // past: at the next boundary
    assert_false(f->cpu[0].intr);
    fixture_advance(f, 0);
    assert_int_equal(acknowledge(f, 0), 0x40);
    lapic_put(f, 0, EOI, 0);

    apic->ops->write_msr(apic->apic, 0x6E0, 20000);
    apic->ops->set_tsc_offset(apic->apic, 10000); // the TSC jumps ahead
    fixture_advance(f, 4999);
    assert_false(f->cpu[0].intr);
    fixture_advance(f, 1);
    assert_true(f->cpu[0].intr);
    acknowledge(f, 0);
    lapic_put(f, 0, EOI, 0);

    apic->ops->write_msr(apic->apic, 0x6E0, 30000);
    lapic_put(f, 0, LVT_TIMER, 0x40); // leaving the mode disarms
    fixture_advance(f, 1000000);
    assert_false(f->cpu[0].intr);
    lapic_put(f, 0, LVT_TIMER, 0x40040);
    apic->ops->write_msr(apic->apic, 0x6E0, UINT64_MAX); // never
    fixture_advance(f, 1000000);
    assert_false(f->cpu[0].intr);
}

static void base_msr(void **state)
{
    struct fixture *f = *state;
    const struct cpu_apic *apic = &f->apics[0];
    u64 value;
    assert_true(apic->ops->read_msr(apic->apic, 0x1B, &value));
    assert_int_equal(value, 0xFEE00900);
    f->apics[1].ops->read_msr(f->apics[1].apic, 0x1B, &value);
    assert_int_equal(value, 0xFEE00800);
    assert_false(apic->ops->write_msr(apic->apic, 0x1B, 0xFEE00901));
    assert_false(apic->ops->read_msr(apic->apic, 0x802, &value));
    assert_true(apic->ops->write_msr(apic->apic, 0x1B, 0xFED00900));
    assert_int_equal(mmio_read(f, LAPIC_BASE + 0x30), 0xFFFFFFFF);
    assert_int_equal(mmio_read(f, 0xFED00030), 0x50014);
    assert_int_equal(f->cpu[0].apic_page, 0xFED00000);
    f->bus.current_cpu = 1; // has its own where it was, and nothing at CPU 0's
    assert_int_equal(mmio_read(f, LAPIC_BASE + 0x30), 0x50014);
    assert_int_equal(mmio_read(f, 0xFED00030), 0xFFFFFFFF);
    assert_int_equal(f->cpu[1].apic_page, LAPIC_BASE);
    f->bus.current_cpu = 0;
    apic->ops->set_cr8(apic->apic, 3);
    // off: its pins are INTR and NMI
    assert_true(apic->ops->write_msr(apic->apic, 0x1B, 0xFED00100));
    assert_int_equal(mmio_read(f, 0xFED00030), 0xFFFFFFFF);
    assert_int_equal(f->cpu[0].apic_page, CPU_NO_APIC_PAGE);
    assert_int_equal(apic->ops->get_cr8(apic->apic), 0); // and its state is gone
    pic_initialise(f);
    isa_set(f, 4, true);
    assert_true(f->cpu[0].intr);
    assert_int_equal(acknowledge(f, 0), 0x24);
}

static bool x2_write(struct fixture *f, unsigned cpu, u32 msr, u64 value)
{
    f->bus.current_cpu = cpu;
    return f->apics[cpu].ops->write_msr(f->apics[cpu].apic, msr, value);
}

static u64 x2_read(struct fixture *f, unsigned cpu, u32 msr)
{
    u64 value = 0;
    assert_true(f->apics[cpu].ops->read_msr(f->apics[cpu].apic, msr, &value));
    return value;
}

// 11.12.5: how the mode is entered and left.
static void x2apic_modes(void **state)
{
    struct fixture *f = *state;
    u64 value;
    assert_false(x2_write(f, 0, 0x1B, 0xFEE00500)); // extended, not enabled
    assert_true(x2_write(f, 0, 0x1B, 0xFEE00D00));
    assert_int_equal(x2_read(f, 0, 0x1B), 0xFEE00D00);
    assert_int_equal(f->cpu[0].apic_page, CPU_NO_APIC_PAGE);
    assert_int_equal(mmio_read(f, LAPIC_BASE + 0x30), 0xFFFFFFFF);
    assert_int_equal(x2_read(f, 0, 0x803), 0x50014);
    assert_false(x2_write(f, 0, 0x1B, 0xFEE00900)); // not back
    assert_true(x2_write(f, 0, 0x1B, 0xFEE00D00));
    assert_true(x2_write(f, 0, 0x1B, 0xFEE00100));
    assert_false(f->apics[0].ops->read_msr(f->apics[0].apic, 0x803, &value));
    assert_false(x2_write(f, 0, 0x1B, 0xFEE00D00)); // by way of xAPIC mode
    assert_true(x2_write(f, 0, 0x1B, 0xFEE00900));
    assert_int_equal(lapic_get(f, 0, 0x30), 0x50014);
}

// 11.12.1.2, 11.12.9 to 11: what can be read and written, destinations of 32 bits.
static void x2apic_registers(void **state)
{
    static const u32 no_read[] = {0x809, 0x80B, 0x80C, 0x80E, 0x82F, 0x831, 0x83F, 0x801, 0x83A};
    static const u32 no_write[] = {0x802, 0x803, 0x809, 0x80A, 0x80D, 0x80E, 0x810, 0x818, 0x820,
                                   0x82F, 0x831, 0x839, 0x83A};
    struct fixture *f = *state;
    u64 value;
    for (unsigned i = 0; i < FIXTURE_CPUS; i++) {
        assert_true(x2_write(f, i, 0x1B, i ? 0xFEE00C00 : 0xFEE00D00));
        assert_true(x2_write(f, i, 0x80F, 0x1FF));
        assert_int_equal(x2_read(f, i, 0x802), i);
        assert_int_equal(x2_read(f, i, 0x80D), 1u << i);
    }
    for (unsigned i = 0; i < ARRAY_LEN(no_read); i++) {
        assert_false(f->apics[0].ops->read_msr(f->apics[0].apic, no_read[i], &value));
    }
    for (unsigned i = 0; i < ARRAY_LEN(no_write); i++) {
        assert_false(x2_write(f, 0, no_write[i], 0));
    }
    assert_false(x2_write(f, 0, 0x808, 0x100));
    assert_false(x2_write(f, 0, 0x80B, 1));
    assert_false(x2_write(f, 0, 0x828, 1));
    assert_false(x2_write(f, 0, 0x832, UINT64_C(1) << 32));
    assert_false(x2_write(f, 0, 0x830, 0x1041)); // delivery status is reserved here
    assert_true(x2_write(f, 0, 0x830, UINT64_C(2) << 32 | 0x4041));
    assert_int_equal(x2_read(f, 0, 0x830), UINT64_C(2) << 32 | 0x4041);
    assert_true(f->cpu[2].intr);
    assert_int_equal(acknowledge(f, 2), 0x41);
    assert_true(x2_write(f, 2, 0x80B, 0));
    assert_true(x2_write(f, 0, 0x830, UINT64_C(0xFF) << 32 | 0x4042)); // nobody has this ID
    assert_true(x2_write(f, 0, 0x830, UINT64_C(0xA) << 32 | 0x4843));  // logical: 1 and 3
    assert_true(x2_write(f, 0, 0x830, UINT64_C(0x1000F) << 32 | 0x4844)); // another cluster
    for (unsigned i = 0; i < FIXTURE_CPUS; i++) {
        assert_int_equal(f->cpu[i].intr, i & 1);
    }
    assert_int_equal(acknowledge(f, 1), 0x43);
    assert_int_equal(acknowledge(f, 3), 0x43);
    assert_true(x2_write(f, 0, 0x830, UINT64_C(0xFFFFFFFF) << 32 | 0x4845));
    assert_int_equal(acknowledge(f, 0), 0x45);
    assert_int_equal(acknowledge(f, 2), 0x45);
    assert_true(x2_write(f, 0, 0x80B, 0));
    assert_true(x2_write(f, 0, 0x83F, 0x46));
    assert_int_equal(acknowledge(f, 0), 0x46);
    assert_int_equal(x2_read(f, 0, 0x830), UINT64_C(0xFFFFFFFF) << 32 | 0x4845);
    assert_true(x2_write(f, 0, 0x80B, 0));
    mmio_write(f, LAPIC_BASE, 0);
    io_space_write(f->bus.mmio, IOAPIC_BASE, 0x20 + 2 * 4, 4);
    ioapic_put(f, 4, UINT64_C(3) << 56 | 0x47); // 8 bits reach these IDs, too
    assert_true(x2_write(f, 3, 0x80B, 0));
    isa_set(f, 4, true);
    assert_int_equal(acknowledge(f, 3), 0x47);
}

static void msi(void **state)
{
    struct fixture *f = *state;
    enable_all(f);
    f->bus.apic_message(f->bus.apic_message_ctx, 0xFEE03000, 0x0077);
    assert_int_equal(acknowledge(f, 3), 0x77);
    f->bus.apic_message(f->bus.apic_message_ctx, 0x1000, 0xABCD1234); // not the window: memory
    u32 word = 0;
    assert_true(physmem_read(f->bus.mem, 0x1000, &word, 4));
    assert_int_equal(word, 0xABCD1234);
    f->bus.apic_message(f->bus.apic_message_ctx, 0xFEEFF000, 0x4500); // INIT to all
    assert_int_equal(f->cpu[0].inits + f->cpu[1].inits + f->cpu[2].inits + f->cpu[3].inits, 4);
}

static void lint_level(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    enable_all(f);
    lapic_put(f, 0, LVT_LINT0, 0x8055); // fixed, level
    isa_set(f, 4, true);
    assert_int_equal(lapic_get(f, 0, LVT_LINT0), 0xC055); // remote IRR
    assert_int_equal(acknowledge(f, 0), 0x55);
    lapic_put(f, 0, EOI, 0);
    assert_int_equal(acknowledge(f, 0), 0x55); // still up
    isa_set(f, 4, false);
    lapic_put(f, 0, EOI, 0);
    assert_int_equal(lapic_get(f, 0, LVT_LINT0), 0x8055);
    assert_false(f->cpu[0].intr);
    lapic_put(f, 0, LVT_LINT0, 0x400);
    isa_set(f, 4, true);
    assert_int_equal(f->cpu[0].nmis, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(reset_state), T(priorities), T(task_priority), T(destinations), T(lowest_priority),
        T(init_and_startup), T(errors), T(software_disable), T(timer_one_shot), T(timer_periodic),
        T(timer_divide_change), T(timer_tsc_deadline), T(base_msr), T(x2apic_modes), T(x2apic_registers),
        T(msi), T(lint_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
