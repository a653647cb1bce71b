// SPDX-License-Identifier: MIT
// The 8254 with port 0x61, and the real-time clock.
#include "device/fixture.h"

#define PIT_HZ 1193182

static void to_tick(struct fixture *f, u64 tick)
{
    u64 ns = vclock_ns_of_ticks(tick, PIT_HZ);
    assert_true(ns >= fixture_now(f));
    fixture_advance(f, ns - fixture_now(f));
}

static u64 tick_now(struct fixture *f)
{
    return vclock_ticks(fixture_now(f), PIT_HZ);
}

static void pit_program(struct fixture *f, unsigned channel, unsigned mode, u16 count)
{
    out(f, 0x43, channel << 6 | 0x30 | mode << 1, 1);
    out(f, (u16)(0x40 + channel), count & 0xFF, 1);
    out(f, (u16)(0x40 + channel), count >> 8, 1);
}

static u16 pit_count(struct fixture *f, unsigned channel)
{
    out(f, 0x43, channel << 6, 1); // counter latch
    u32 low = in(f, (u16)(0x40 + channel), 1);
    return (u16)(low | in(f, (u16)(0x40 + channel), 1) << 8);
}

static u8 pit_status(struct fixture *f, unsigned channel)
{
    out(f, 0x43, 0xE0 | 2 << channel, 1); // read-back, status only
    return (u8)in(f, (u16)(0x40 + channel), 1);
}

// Mode 0: out goes high N + 1 clocks after the count was written.
static void pit_mode0(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    out(f, 0x43, 0x30, 1);
    assert_int_equal(pit_status(f, 0), 0x70); // out low, null count, both bytes, mode 0
    out(f, 0x40, 100, 1);
    out(f, 0x40, 0, 1);
    u64 start = tick_now(f);
    to_tick(f, start + 1);
    assert_int_equal(pit_status(f, 0), 0x30);
    assert_int_equal(pit_count(f, 0), 100);
    to_tick(f, start + 41);
    assert_int_equal(pit_count(f, 0), 60);
    to_tick(f, start + 100);
    assert_false(f->cpu[0].intr);
    to_tick(f, start + 101);
    assert_true(f->cpu[0].intr);
    assert_int_equal(acknowledge(f, 0), 0x20);
    out(f, 0x20, 0x20, 1);
    assert_int_equal(pit_status(f, 0), 0xB0);
    to_tick(f, start + 103);
    assert_int_equal(pit_count(f, 0), 0xFFFE); // counts on
    fixture_advance(f, 200000000);
    assert_false(f->cpu[0].intr); // once
}

// The first byte of a new count stops mode 0.
static void pit_mode0_first_byte(void **state)
{
    struct fixture *f = *state;
    pit_program(f, 0, 0, 50);
    u64 start = tick_now(f);
    to_tick(f, start + 200);
    assert_int_equal(pit_status(f, 0) & 0x80, 0x80);
    out(f, 0x40, 10, 1);
    assert_int_equal(pit_status(f, 0) & 0x80, 0);
    to_tick(f, start + 400);
    assert_int_equal(pit_status(f, 0) & 0x80, 0);
    out(f, 0x40, 0, 1);
    to_tick(f, start + 411);
    assert_int_equal(pit_status(f, 0) & 0x80, 0x80);
}

// Mode 2: low for the last clock of each period; the interrupt is the rise after it.
static void pit_mode2(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    pit_program(f, 0, 2, 1000);
    u64 start = tick_now(f) + 1;
    to_tick(f, start);
    assert_true(f->cpu[0].intr); // out went high when the control word was written: one edge
    acknowledge(f, 0);
    out(f, 0x20, 0x20, 1);
    for (u64 i = 1; i <= 3; i++) {
        to_tick(f, start + 1000 * i - 1);
        assert_int_equal(pit_status(f, 0) & 0x80, 0);
        assert_int_equal(pit_count(f, 0), 1);
        assert_false(f->cpu[0].intr);
        to_tick(f, start + 1000 * i);
        assert_true(f->cpu[0].intr);
        assert_int_equal(pit_count(f, 0), 1000);
        acknowledge(f, 0);
        out(f, 0x20, 0x20, 1);
    }
    out(f, 0x40, 0xF4, 1); // 500, from the next period on
    out(f, 0x40, 0x01, 1);
    assert_int_equal(pit_status(f, 0) & 0x40, 0x40);
    to_tick(f, start + 3999);
    assert_int_equal(pit_count(f, 0), 1);
    to_tick(f, start + 4000);
    assert_int_equal(pit_count(f, 0), 500);
    assert_int_equal(pit_status(f, 0) & 0x40, 0);
    acknowledge(f, 0);
    out(f, 0x20, 0x20, 1);
    to_tick(f, start + 4499);
    assert_false(f->cpu[0].intr);
    to_tick(f, start + 4500);
    assert_true(f->cpu[0].intr);
}

// Mode 3: square wave, counting by two; an odd count is high for one clock more.
static void pit_mode3(void **state)
{
    struct fixture *f = *state;
    pit_program(f, 0, 3, 1001);
    u64 start = tick_now(f) + 1;
    to_tick(f, start + 500);
    assert_int_equal(pit_status(f, 0) & 0x80, 0x80);
    to_tick(f, start + 501);
    assert_int_equal(pit_status(f, 0) & 0x80, 0);
    to_tick(f, start + 1001);
    assert_int_equal(pit_status(f, 0) & 0x80, 0x80);
    pit_program(f, 0, 3, 1000);
    start = tick_now(f) + 1;
    to_tick(f, start + 100);
    assert_int_equal(pit_count(f, 0), 800);
    to_tick(f, start + 600);
    assert_int_equal(pit_count(f, 0), 800);
    assert_int_equal(pit_status(f, 0) & 0x80, 0);
}

static void pit_mode4(void **state)
{
    struct fixture *f = *state;
    pit_program(f, 0, 4, 20);
    u64 start = tick_now(f) + 1;
    to_tick(f, start + 19);
    assert_int_equal(pit_status(f, 0) & 0x80, 0x80);
    to_tick(f, start + 20);
    assert_int_equal(pit_status(f, 0) & 0x80, 0);
    to_tick(f, start + 21);
    assert_int_equal(pit_status(f, 0) & 0x80, 0x80);
}

// Events that are served late lose no pulse, however short it was.
static void pit_late_events(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    pit_program(f, 0, 4, 100);
    f->clock.step += 1000000;
    event_queue_fire(f->bus.events, fixture_now(f));
    assert_int_equal(acknowledge(f, 0), 0x20);
    out(f, 0x20, 0x20, 1);
    pit_program(f, 0, 2, 1000);
    acknowledge(f, 0); // out went high
    out(f, 0x20, 0x20, 1);
    f->clock.step += 1000000; // more than a period
    assert_false(f->cpu[0].intr);
    event_queue_fire(f->bus.events, fixture_now(f));
    assert_int_equal(acknowledge(f, 0), 0x20);
    out(f, 0x20, 0x20, 1);
    assert_false(f->cpu[0].intr);
    f->clock.step += 1000000;
    in(f, 0x40, 1); // a register access sees them too
    assert_true(f->cpu[0].intr);
}

// Channel 2: gate and output at port 0x61, as TSC calibration uses them.
static void pit_port61(void **state)
{
    struct fixture *f = *state;
    out(f, 0x61, 0, 1);
    pit_program(f, 2, 0, 11932); // 10 ms
    fixture_advance(f, 50000000);
    assert_int_equal(in(f, 0x61, 1) & 0x23, 0); // the gate holds it
    u64 start = tick_now(f);
    out(f, 0x61, 1, 1);
    to_tick(f, start + 5000);
    out(f, 0x61, 0, 1);
    u16 held = pit_count(f, 2);
    to_tick(f, start + 9000);
    assert_int_equal(pit_count(f, 2), held);
    assert_in_range(held, 11932 - 5001, 11932 - 4999);
    out(f, 0x61, 1, 1);
    to_tick(f, start + 4000 + 11931);
    assert_int_equal(in(f, 0x61, 1) & 0x20, 0);
    to_tick(f, start + 4000 + 11935);
    assert_int_equal(in(f, 0x61, 1) & 0x21, 0x21);
}

// Mode 1 waits for the gate's rise.
static void pit_mode1(void **state)
{
    struct fixture *f = *state;
    pit_program(f, 2, 1, 100);
    fixture_advance(f, 1000000);
    assert_int_equal(in(f, 0x61, 1) & 0x20, 0x20);
    u64 start = tick_now(f);
    out(f, 0x61, 1, 1);
    to_tick(f, start + 1);
    assert_int_equal(in(f, 0x61, 1) & 0x20, 0);
    to_tick(f, start + 51);
    out(f, 0x61, 0, 1); // no effect on the count; a new rise retriggers
    out(f, 0x61, 1, 1);
    to_tick(f, start + 120);
    assert_int_equal(in(f, 0x61, 1) & 0x20, 0);
    to_tick(f, start + 152);
    assert_int_equal(in(f, 0x61, 1) & 0x20, 0x20);
}

static void pit_access_and_bcd(void **state)
{
    struct fixture *f = *state;
    out(f, 0x43, 0x95, 1); // channel 2, low byte only, mode 2, BCD
    out(f, 0x61, 1, 1);
    out(f, 0x42, 0x50, 1);
    u64 start = tick_now(f) + 1;
    to_tick(f, start + 11);
    assert_int_equal(in(f, 0x42, 1), 0x39);
    out(f, 0x43, 0x80, 1); // latch, then time goes on
    to_tick(f, start + 20);
    assert_int_equal(in(f, 0x42, 1), 0x39);
    assert_int_equal(in(f, 0x42, 1), 0x30);
    out(f, 0x43, 0xC8, 1); // read-back of count and status: status comes first
    assert_int_equal(in(f, 0x42, 1), 0x95);
    assert_int_equal(in(f, 0x42, 1), 0x30);
}

static void port61_refresh(void **state)
{
    struct fixture *f = *state;
    u32 before = in(f, 0x61, 1);
    fixture_advance(f, 15086);
    assert_int_equal((before ^ in(f, 0x61, 1)) & 0x10, 0x10);
}

static u8 cmos(struct fixture *f, u8 index)
{
    out(f, 0x70, index, 1);
    return (u8)in(f, 0x71, 1);
}

static void cmos_put(struct fixture *f, u8 index, u8 value)
{
    out(f, 0x70, index, 1);
    out(f, 0x71, value, 1);
}

static void assert_time(struct fixture *f, u32 date, u32 time)
{
    assert_int_equal(cmos(f, 9) << 16 | cmos(f, 8) << 8 | cmos(f, 7), date);
    assert_int_equal(cmos(f, 4) << 16 | cmos(f, 2) << 8 | cmos(f, 0), time);
}

static void rtc_time(void **state)
{
    struct fixture *f = *state;
    assert_time(f, 0x240102, 0x030405);
    assert_int_equal(cmos(f, 6), 3); // a Tuesday
    assert_int_equal(cmos(f, 0x32), 0x20);
    assert_int_equal(cmos(f, 0xD), 0x80);
    fixture_advance(f, UINT64_C(59) * 86400 * 1000000000);
    assert_time(f, 0x240301, 0x030405); // 2024 is a leap year
    out(f, 0x70, 0x0B, 1);
    out(f, 0x71, 0x00, 1); // BCD, 12 hours
    fixture_advance(f, UINT64_C(10) * 3600 * 1000000000);
    assert_int_equal(cmos(f, 4), 0x81); // 1 p.m.
}

static void rtc_uip(void **state)
{
    struct fixture *f = *state;
    fixture_advance(f, 999755999);
    assert_int_equal(cmos(f, 0xA), 0x26);
    fixture_advance(f, 1);
    assert_int_equal(cmos(f, 0xA), 0xA6);
    assert_int_equal(cmos(f, 0), 0x05);
    fixture_advance(f, 244000);
    assert_int_equal(cmos(f, 0xA), 0x26);
    assert_int_equal(cmos(f, 0), 0x06);
}

// As Linux sets it: SET and divider reset, registers, divider, SET.
static void rtc_set(void **state)
{
    struct fixture *f = *state;
    fixture_advance(f, 300000000);
    cmos_put(f, 0xB, 0x82);
    cmos_put(f, 0xA, 0x76);
    static const u8 values[][2] = {{0, 0x58}, {2, 0x59}, {4, 0x23}, {6, 5},
                                   {7, 0x31}, {8, 0x12}, {9, 0x99}, {0x32, 0x19}};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        cmos_put(f, values[i][0], values[i][1]);
    }
    fixture_advance(f, UINT64_C(5000000000));
    assert_time(f, 0x991231, 0x235958); // stands still
    cmos_put(f, 0xB, 0x02);
    cmos_put(f, 0xA, 0x26);
    fixture_advance(f, 499999999);
    assert_time(f, 0x991231, 0x235958);
    fixture_advance(f, 1); // half a second after the divider's release
    assert_time(f, 0x991231, 0x235959);
    fixture_advance(f, 1000000000);
    assert_time(f, 0x000101, 0x000000);
    assert_int_equal(cmos(f, 0x32), 0x20);
    assert_int_equal(cmos(f, 6), 6); // the weekday goes on from what was written
}

static void rtc_update_interrupt(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    cmos_put(f, 0xB, 0x12);
    fixture_advance(f, 999999999);
    assert_false(f->cpu[0].intr);
    fixture_advance(f, 1);
    assert_true(f->cpu[0].intr);
    assert_int_equal(acknowledge(f, 0), 0x28);
    assert_int_equal(cmos(f, 0xC) & 0x90, 0x90);
    assert_int_equal(cmos(f, 0xC), 0);
    out(f, 0xA0, 0x20, 1);
    out(f, 0x20, 0x20, 1);
    fixture_advance(f, 1000000000);
    assert_true(f->cpu[0].intr);
}

static void rtc_alarm(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    cmos_put(f, 1, 0x10);
    cmos_put(f, 3, 0x04);
    cmos_put(f, 5, 0xFF); // every hour
    cmos_put(f, 0xB, 0x22);
    fixture_advance(f, 4999999999);
    assert_false(f->cpu[0].intr);
    fixture_advance(f, 1);
    assert_true(f->cpu[0].intr);
    acknowledge(f, 0);
    out(f, 0xA0, 0x20, 1);
    out(f, 0x20, 0x20, 1);
    assert_int_equal(cmos(f, 0xC) & 0xA0, 0xA0);
    fixture_advance(f, UINT64_C(3599999999999));
    assert_false(f->cpu[0].intr);
    fixture_advance(f, 1);
    assert_true(f->cpu[0].intr);
    cmos_put(f, 0xB, 0x02);
    cmos(f, 0xC);
    cmos_put(f, 5, 0x77); // never
    cmos_put(f, 0xB, 0x22);
    assert_true(event_queue_next(f->bus.events) == EVENT_NEVER);
}

static void rtc_periodic(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    cmos_put(f, 0xB, 0x42); // 1024 Hz
    unsigned count = 0;
    for (unsigned i = 0; i < 1000; i++) {
        fixture_advance(f, 1000000);
        if (f->cpu[0].intr) {
            count++;
            acknowledge(f, 0);
            assert_int_equal(cmos(f, 0xC) & 0xC0, 0xC0);
            out(f, 0xA0, 0x20, 1);
            out(f, 0x20, 0x20, 1);
        }
    }
    assert_int_equal(count, 1000);
    cmos_put(f, 0xB, 0x02);
    cmos(f, 0xC);
    fixture_advance(f, 976563);
    assert_int_equal(cmos(f, 0xC) & 0xC0, 0x40); // the flag comes without the interrupt
}

static void rtc_memory_survives_reset(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(cmos(f, 0x35) << 8 | cmos(f, 0x34), 16 * 16); // 32 MiB: 16 above 16, in 64 KiB
    cmos_put(f, 0x40, 0x5A);
    cmos_put(f, 0xB, 0x72);
    fixture_advance(f, 2000000000);
    fixture_reset(f);
    assert_int_equal(cmos(f, 0x40), 0x5A);
    assert_int_equal(cmos(f, 0xB), 0x02);
    assert_time(f, 0x240102, 0x030407);
    assert_int_equal(in(f, 0x70, 1), 0xFF);
}

// Nonsense in every register: any time may result, but nothing may break.
static void rtc_nonsense(void **state)
{
    struct fixture *f = *state;
    u32 x = 1;
    for (unsigned i = 0; i < 20000; i++) {
        x = x * 1664525 + 1013904223;
        cmos_put(f, x >> 8 & 0x7F, (u8)(x >> 16));
        fixture_advance(f, (x >> 24) * 100000);
        cmos(f, x >> 3 & 0x7F);
    }
    assert_int_equal(cmos(f, 0xD), 0x80);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(pit_mode0), T(pit_mode0_first_byte), T(pit_mode1), T(pit_mode2), T(pit_mode3),
        T(pit_mode4),
        T(pit_late_events),
        T(pit_port61), T(pit_access_and_bcd), T(port61_refresh), T(rtc_time), T(rtc_uip),
        T(rtc_set),
        T(rtc_update_interrupt), T(rtc_alarm), T(rtc_periodic), T(rtc_memory_survives_reset),
        T(rtc_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
