// SPDX-License-Identifier: MIT
// The HPET (IA-PC HPET Specification 1.0a), ACPI's fixed hardware (ACPI 6.5, 4.8), configuration
// space in memory, and the single ports 80, 92, CF9 and F0.
#include "device/fixture.h"

#define HPET UINT64_C(0xFED00000)
#define ECAM UINT64_C(0xFEB00000)
#define TICK_NS 10
#define PM_HZ 3579545
enum { ENABLE = 1, LEGACY = 2 };
enum { T_LEVEL = 2, T_INTERRUPT = 4, T_PERIODIC = 8, T_SET = 0x40, T_32 = 0x100 };

static u64 hpet_get(struct fixture *f, u32 reg)
{
    return io_space_read(f->bus.mmio, HPET + reg, 8);
}

static void hpet_put(struct fixture *f, u32 reg, u64 value)
{
    io_space_write(f->bus.mmio, HPET + reg, value, 8);
}

static u32 timer(unsigned n)
{
    return 0x100 + 0x20 * n;
}

static void hpet_identity(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(hpet_get(f, 0) >> 32, TICK_NS * 1000000);
    assert_int_equal(mmio_read(f, HPET), 0x8086A201);
    hpet_put(f, 0, 0);
    assert_int_equal(mmio_read(f, HPET), 0x8086A201);
    for (unsigned n = 0; n < 3; n++) {
        assert_int_equal(hpet_get(f, timer(n)) & 0xFFFFFFFF00000030, 0x00F0000000000030);
        assert_true(hpet_get(f, timer(n) + 8) == UINT64_MAX);
    }
    assert_int_equal(hpet_get(f, 0x160), 0); // no fourth timer
}

static void hpet_counter(void **state)
{
    struct fixture *f = *state;
    fixture_advance(f, 1000);
    assert_int_equal(hpet_get(f, 0xF0), 0); // halted
    hpet_put(f, 0xF0, UINT64_C(0xFFFFFFF0));
    hpet_put(f, 0x10, ENABLE);
    fixture_advance(f, 20 * TICK_NS + 9);
    assert_true(hpet_get(f, 0xF0) == UINT64_C(0x100000004));
    assert_int_equal(mmio_read(f, HPET + 0xF4), 1); // halves
    hpet_put(f, 0xF0, 0);                           // "only while halted"
    assert_true(hpet_get(f, 0xF0) == UINT64_C(0x100000004));
    hpet_put(f, 0x10, 0);
    fixture_advance(f, 1000);
    assert_true(hpet_get(f, 0xF0) == UINT64_C(0x100000004));
    mmio_write(f, HPET + 0xF0, 7);
    assert_true(hpet_get(f, 0xF0) == UINT64_C(0x100000007));
}

// A one-shot comparator at the IOAPIC's pin 20, edge: one message at its tick, none before.
static void hpet_one_shot(void **state)
{
    struct fixture *f = *state;
    lapic_put(f, 0, 0xF0, 0x1FF);
    ioapic_put(f, 20, 0x51);
    hpet_put(f, timer(2), T_INTERRUPT | 20 << 9);
    assert_int_equal(hpet_get(f, timer(2)) >> 9 & 31, 20);
    hpet_put(f, timer(2) + 8, 100);
    hpet_put(f, 0x10, ENABLE);
    fixture_advance(f, 100 * TICK_NS - 1);
    assert_false(f->cpu[0].intr);
    fixture_advance(f, 1);
    assert_true(f->cpu[0].intr);
    assert_int_equal(acknowledge(f, 0), 0x51);
    lapic_put(f, 0, 0xB0, 0);
    fixture_advance(f, 1000000);
    assert_false(f->cpu[0].intr);
    assert_int_equal(hpet_get(f, 0x20), 0); // edges have no status
}

static void hpet_level(void **state)
{
    struct fixture *f = *state;
    lapic_put(f, 0, 0xF0, 0x1FF);
    ioapic_put(f, 21, 0x8052);
    hpet_put(f, timer(1), T_INTERRUPT | T_LEVEL | 21 << 9);
    hpet_put(f, timer(1) + 8, 50);
    hpet_put(f, 0x10, ENABLE);
    fixture_advance(f, 50 * TICK_NS);
    assert_int_equal(hpet_get(f, 0x20), 2);
    assert_int_equal(acknowledge(f, 0), 0x52);
    lapic_put(f, 0, 0xB0, 0); // still up: comes again
    assert_int_equal(acknowledge(f, 0), 0x52);
    hpet_put(f, 0x20, 2);
    assert_int_equal(hpet_get(f, 0x20), 0);
    lapic_put(f, 0, 0xB0, 0);
    assert_false(f->cpu[0].intr);
}

// 2.3.9.2.2: with VAL_SET the comparator is written, the next write is the period.
static void hpet_periodic(void **state)
{
    struct fixture *f = *state;
    lapic_put(f, 0, 0xF0, 0x1FF);
    ioapic_put(f, 22, 0x53);
    hpet_put(f, timer(0), T_INTERRUPT | T_PERIODIC | T_SET | 22 << 9);
    hpet_put(f, timer(0) + 8, 30);
    assert_false(hpet_get(f, timer(0)) & T_SET);
    hpet_put(f, timer(0) + 8, 1000);
    assert_int_equal(hpet_get(f, timer(0) + 8), 30);
    hpet_put(f, 0x10, ENABLE);
    u64 ticks[] = {30, 1000, 1000, 1000};
    for (unsigned i = 0; i < 4; i++) {
        fixture_advance(f, ticks[i] * TICK_NS - 1);
        assert_false(f->cpu[0].intr);
        fixture_advance(f, 1);
        assert_int_equal(acknowledge(f, 0), 0x53);
        lapic_put(f, 0, 0xB0, 0);
    }
    assert_int_equal(hpet_get(f, timer(0) + 8), 4030);
}

// A comparator of 32 bits meets the counter again when its low half comes round.
static void hpet_32_bits(void **state)
{
    struct fixture *f = *state;
    lapic_put(f, 0, 0xF0, 0x1FF);
    ioapic_put(f, 20, 0x51);
    hpet_put(f, 0xF0, UINT64_C(0x1FFFFFFFE));
    hpet_put(f, timer(0), T_INTERRUPT | T_32 | 20 << 9);
    hpet_put(f, timer(0) + 8, UINT64_C(0x700000003));
    assert_int_equal(hpet_get(f, timer(0) + 8), 3);
    hpet_put(f, 0x10, ENABLE);
    fixture_advance(f, 5 * TICK_NS);
    assert_int_equal(acknowledge(f, 0), 0x51);
    lapic_put(f, 0, 0xB0, 0);
    fixture_advance(f, (UINT64_C(1) << 32) * TICK_NS - 1);
    assert_false(f->cpu[0].intr);
    fixture_advance(f, 1);
    assert_true(f->cpu[0].intr);
}

// Legacy replacement: timer 0 is IRQ 0, and the PIT is cut off until it ends.
static void hpet_replaces_the_pit(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    out(f, 0x43, 0x30, 1); // mode 0, soon up
    out(f, 0x40, 10, 1);
    out(f, 0x40, 0, 1);
    hpet_put(f, timer(0) + 8, 1000000);
    hpet_put(f, timer(0), T_INTERRUPT);
    hpet_put(f, 0x10, ENABLE | LEGACY);
    fixture_advance(f, 1000000);
    assert_false(f->cpu[0].intr);
    fixture_advance(f, 9000000);
    assert_true(f->cpu[0].intr);
    assert_int_equal(acknowledge(f, 0), 0x20);
    out(f, 0x20, 0x20, 1);
    hpet_put(f, timer(0), 0);
    assert_false(f->cpu[0].intr);
    hpet_put(f, 0x10, ENABLE); // and the PIT's output, up since long, is an edge
    assert_true(f->cpu[0].intr);
    assert_int_equal(acknowledge(f, 0), 0x20);
}

static void pm_timer(void **state)
{
    struct fixture *f = *state;
    u32 first = in(f, 0x608, 4);
    fixture_advance(f, 1000000000);
    assert_int_equal((in(f, 0x608, 4) - first) & 0xFFFFFF, PM_HZ);
    assert_int_equal(in(f, 0x608, 4) >> 24, 0); // 24 bits
    assert_int_equal(in(f, 0x608, 2), in(f, 0x608, 4) & 0xFFFF);
}

// TMR_STS follows the timer's top bit; with TMR_EN it is the SCI, a level on IRQ 9.
static void pm_timer_interrupts(void **state)
{
    struct fixture *f = *state;
    u64 half_ns = vclock_ns_of_ticks(1 << 23, PM_HZ);
    lapic_put(f, 0, 0xF0, 0x1FF);
    ioapic_put(f, 9, 0x8059);
    out(f, 0x600, 1, 2);
    out(f, 0x602, 1, 2);
    fixture_advance(f, half_ns - fixture_now(f) - 1);
    assert_int_equal(in(f, 0x600, 2), 0);
    assert_false(f->cpu[0].intr);
    fixture_advance(f, 1);
    assert_int_equal(in(f, 0x600, 2), 1);
    assert_int_equal(acknowledge(f, 0), 0x59);
    out(f, 0x600, 1, 2);
    lapic_put(f, 0, 0xB0, 0);
    assert_int_equal(in(f, 0x600, 2), 0);
    assert_false(f->cpu[0].intr);
    out(f, 0x602, 0, 2);
    fixture_advance(f, half_ns);
    assert_int_equal(in(f, 0x600, 2), 1); // status without its enable
    assert_false(f->cpu[0].intr);
}

// PWRBTN_STS stays until it is written, and with PWRBTN_EN is the SCI.
static void power_button(void **state)
{
    struct fixture *f = *state;
    const struct host_input_event press = {.kind = HOST_INPUT_POWER};
    lapic_put(f, 0, 0xF0, 0x1FF);
    ioapic_put(f, 9, 0x8059);
    out(f, 0x600, 1, 2);
    input_add(f, press);
    assert_int_equal(in(f, 0x600, 2), 0x100);
    assert_false(f->cpu[0].intr);
    out(f, 0x602, 0x100, 2);
    assert_int_equal(acknowledge(f, 0), 0x59);
    out(f, 0x600, 1, 2); // the timer's bit alone
    assert_int_equal(in(f, 0x600, 2), 0x100);
    out(f, 0x600, 0x100, 2);
    lapic_put(f, 0, 0xB0, 0);
    assert_int_equal(in(f, 0x600, 2), 0);
    assert_false(f->cpu[0].intr);
    input_add(f, press);
    assert_int_equal(acknowledge(f, 0), 0x59);
}

static void pm_control(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(in(f, 0x604, 2), 1); // SCI_EN
    out(f, 0x604, 1 << 13 | 3 << 10, 2);  // a sleep state that does not exist
    assert_int_equal(f->stops, 0);
    out(f, 0x604, 1 << 13, 2);
    assert_int_equal(f->stops, 1);
    assert_int_equal(f->stop_why, MACHINE_STOP_POWER_OFF);
}

static void configuration_in_memory(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mmio_read(f, ECAM), 0x29C08086);
    assert_int_equal(mmio_read(f, ECAM + (0x10 << 12)), 0x29228086); // 00:02.0
    assert_int_equal(mmio_read(f, ECAM + (0x11 << 12)), 0xFFFFFFFF); // no such function
    assert_int_equal(mmio_read(f, ECAM + (0x10 << 12) + 0x100), 0xFFFFFFFF); // nothing extended
    mmio_write(f, ECAM + (0x10 << 12) + 0x24, 0xE0000000);
    out(f, 0xCF8, 0x80001024, 4);
    assert_int_equal(in(f, 0xCFC, 4), 0xE0000000);
}

static void port_92(void **state)
{
    struct fixture *f = *state;
    assert_true(f->a20[DEVICE_A20_8042]);
    assert_false(f->a20[DEVICE_A20_PORT_92]);
    out(f, 0x92, 2, 1);
    assert_true(f->a20[DEVICE_A20_PORT_92]);
    assert_int_equal(in(f, 0x92, 1), 2);
    assert_int_equal(f->stops, 0);
    out(f, 0x92, 3, 1);
    assert_int_equal(f->stops, 1);
    assert_int_equal(f->stop_why, MACHINE_STOP_RESET);
    out(f, 0x92, 1, 1); // no rising edge
    assert_int_equal(f->stops, 1);
    assert_false(f->a20[DEVICE_A20_PORT_92]);
}

static void post_code(void **state)
{
    struct fixture *f = *state;
    out(f, 0x80, 0xA5, 1);
    assert_int_equal(in(f, 0x80, 1), 0xA5);
}

static void reset_control(void **state)
{
    struct fixture *f = *state;
    out(f, 0xCF9, 2, 1);
    assert_int_equal(f->stops, 0);
    out(f, 0xCF9, 6, 1);
    assert_int_equal(f->stop_why, MACHINE_STOP_RESET);
    assert_int_equal(f->stops, 1);
}

// FERR# is interrupt 13 until port F0 is written, and then IGNNE# until FERR# is gone.
static void x87_errors(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    out(f, 0xF0, 0, 1); // nothing to ignore
    assert_false(f->cpu[0].ignne);
    for (unsigned i = 0; i < 2; i++) {
        irq_set(&f->bus.ferr, true);
        out(f, 0xA0, 0x0A, 1);
        assert_int_equal(in(f, 0xA0, 1) & 0x20, 0x20);
        assert_int_equal(f->bus.pic_acknowledge(f->bus.pic), 0x2D);
        out(f, 0xA0, 0x20, 1);
        out(f, 0x20, 0x20, 1);
        assert_false(f->cpu[0].ignne);
        out(f, 0xF0, 0, 1);
        assert_true(f->cpu[0].ignne);
        irq_set(&f->bus.ferr, false);
        assert_false(f->cpu[0].ignne);
    }
    irq_set(&f->bus.ferr, true); // gone before the handler writes: still latched
    irq_set(&f->bus.ferr, false);
    assert_int_equal(in(f, 0xA0, 1) & 0x20, 0x20);
    out(f, 0xF0, 0, 1);
    assert_int_equal(in(f, 0xA0, 1) & 0x20, 0);
    assert_false(f->cpu[0].ignne);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(power_button),
        TEST(hpet_identity), TEST(hpet_counter), TEST(hpet_one_shot), TEST(hpet_level),
        TEST(hpet_periodic), TEST(hpet_32_bits), TEST(hpet_replaces_the_pit), TEST(pm_timer),
        TEST(pm_timer_interrupts), TEST(pm_control), TEST(configuration_in_memory), TEST(port_92),
        TEST(post_code), TEST(reset_control), TEST(x87_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
