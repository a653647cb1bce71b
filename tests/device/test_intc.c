// SPDX-License-Identifier: MIT
// The 8259 pair and the IOAPIC, at register level.
#include "device/fixture.h"

static u8 inta(struct fixture *f)
{
    return f->bus.pic_acknowledge(f->bus.pic);
}

// 8259A: initialisation, masks, priorities, EOI.
static void pic_priorities(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    assert_int_equal(in(f, 0x21, 1), 0);
    isa_set(f, 5, true);
    assert_true(f->cpu[0].intr); // through LINT0, virtual wire
    isa_set(f, 3, true);
    assert_int_equal(in(f, 0x20, 1), 0x28); // IRR
    assert_int_equal(inta(f), 0x23);
    assert_false(f->cpu[0].intr); // IR5 waits behind IR3
    isa_set(f, 1, true);
    assert_true(f->cpu[0].intr); // IR1 interrupts it
    assert_int_equal(inta(f), 0x21);
    out(f, 0x20, 0x0B, 1); // OCW3: read ISR
    assert_int_equal(in(f, 0x20, 1), 0x0A);
    out(f, 0x20, 0x20, 1); // non-specific EOI ends the highest
    assert_int_equal(in(f, 0x20, 1), 0x08);
    assert_false(f->cpu[0].intr);
    out(f, 0x20, 0x63, 1); // specific EOI of IR3
    assert_true(f->cpu[0].intr);
    assert_int_equal(inta(f), 0x25);
    out(f, 0x20, 0x20, 1);
    assert_false(f->cpu[0].intr); // edges: the lines are still up
}

static void pic_mask(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    out(f, 0x21, 0xFF, 1);
    isa_set(f, 4, true);
    assert_false(f->cpu[0].intr);
    out(f, 0x21, 0xEF, 1);
    assert_true(f->cpu[0].intr); // the request had been latched
    assert_int_equal(in(f, 0x21, 1), 0xEF);
}

static void pic_slave(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    isa_set(f, 14, true);
    isa_set(f, 8, true);
    assert_int_equal(inta(f), 0x28);
    assert_int_equal(in(f, 0x20, 1), 0x00); // the slave's INT is down until it can be served
    isa_set(f, 4, true);
    assert_false(f->cpu[0].intr); // behind the cascade
    out(f, 0xA0, 0x20, 1);
    out(f, 0x20, 0x20, 1);
    assert_int_equal(inta(f), 0x2E);
    out(f, 0xA0, 0x20, 1);
    out(f, 0x20, 0x20, 1);
    assert_int_equal(inta(f), 0x24);
}

static void pic_spurious(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    isa_set(f, 4, true);
    isa_set(f, 4, false); // gone before it was acknowledged
    assert_false(f->cpu[0].intr);
    assert_int_equal(inta(f), 0x27);
    out(f, 0x20, 0x0B, 1);
    assert_int_equal(in(f, 0x20, 1), 0); // without an in-service bit
}

static void pic_level(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    assert_int_equal(in(f, 0x4D1, 1), 0x0E); // elcr-reset: IRQ 9, 10 and 11
    out(f, 0x4D0, 0xFF, 1);
    assert_int_equal(in(f, 0x4D0, 1), 0xF8); // IRQ 0-2 cannot be level
    out(f, 0x4D0, 0x20, 1);
    isa_set(f, 5, true);
    assert_int_equal(inta(f), 0x25);
    assert_false(f->cpu[0].intr);
    out(f, 0x20, 0x20, 1);
    assert_true(f->cpu[0].intr); // the level asks again
    isa_set(f, 5, false);
    assert_false(f->cpu[0].intr);
}

static void pic_auto_eoi(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    out(f, 0x20, 0x11, 1);
    out(f, 0x21, 0x20, 1);
    out(f, 0x21, 0x04, 1);
    out(f, 0x21, 0x03, 1); // AEOI
    isa_set(f, 3, true);
    isa_set(f, 6, true);
    assert_int_equal(inta(f), 0x23);
    assert_int_equal(inta(f), 0x26);
    out(f, 0x20, 0x80, 1); // rotate in automatic EOI mode
    isa_set(f, 3, false);
    isa_set(f, 3, true);
    assert_int_equal(inta(f), 0x23); // now of lowest priority: IR4 is the highest
    isa_set(f, 1, true);
    isa_set(f, 6, false);
    isa_set(f, 6, true);
    assert_int_equal(inta(f), 0x26);
}

static void pic_rotation(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    out(f, 0x20, 0xC4, 1); // set priority: IR4 lowest, IR5 highest
    isa_set(f, 1, true);
    isa_set(f, 5, true);
    assert_int_equal(inta(f), 0x25);
    out(f, 0x20, 0xA0, 1); // rotate on non-specific EOI: IR5 lowest
    isa_set(f, 5, false);
    isa_set(f, 5, true);
    isa_set(f, 7, true);
    assert_int_equal(inta(f), 0x27);
    out(f, 0x20, 0x20, 1);
    assert_int_equal(inta(f), 0x21);
    out(f, 0x20, 0x20, 1);
    assert_int_equal(inta(f), 0x25);
}

static void pic_special_mask(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    isa_set(f, 3, true);
    assert_int_equal(inta(f), 0x23);
    isa_set(f, 6, true);
    assert_false(f->cpu[0].intr);
    out(f, 0x21, 0x08, 1); // mask IR3 itself
    assert_false(f->cpu[0].intr);
    out(f, 0x20, 0x68, 1); // special mask mode: lower ones get through now
    assert_true(f->cpu[0].intr);
    assert_int_equal(inta(f), 0x26);
}

// A masked in-service bit is not what a non-specific EOI ends in special mask mode.
static void pic_special_mask_eoi(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    isa_set(f, 3, true);
    inta(f);
    out(f, 0x21, 0x08, 1);
    out(f, 0x20, 0x68, 1);
    isa_set(f, 6, true);
    inta(f);
    out(f, 0x20, 0x20, 1);
    out(f, 0x20, 0x0B, 1);
    assert_int_equal(in(f, 0x20, 1), 0x08);
}

// Special fully nested mode: a higher request of the slave interrupts a lower one of the slave.
static void pic_special_fully_nested(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    out(f, 0x20, 0x11, 1);
    out(f, 0x21, 0x20, 1);
    out(f, 0x21, 0x04, 1);
    out(f, 0x21, 0x11, 1);
    isa_set(f, 14, true);
    assert_int_equal(inta(f), 0x2E);
    isa_set(f, 9, true);
    assert_true(f->cpu[0].intr);
    assert_int_equal(inta(f), 0x29);
}

static void pic_poll(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    out(f, 0x20, 0x0C, 1);
    assert_int_equal(in(f, 0x20, 1), 0x00);
    isa_set(f, 6, true);
    out(f, 0x20, 0x0C, 1);
    assert_int_equal(in(f, 0x20, 1), 0x86); // acknowledged by the read
    assert_false(f->cpu[0].intr);
    out(f, 0x20, 0x0B, 1);
    assert_int_equal(in(f, 0x20, 1), 0x40);
}

static void ioapic_registers(void **state)
{
    struct fixture *f = *state;
    mmio_write(f, IOAPIC_BASE, 1);
    assert_int_equal(mmio_read(f, IOAPIC_BASE + 0x10), 0x170020); // 24 pins
    mmio_write(f, IOAPIC_BASE, 0);
    mmio_write(f, IOAPIC_BASE + 0x10, 0x05000000);
    assert_int_equal(mmio_read(f, IOAPIC_BASE + 0x10), 0x05000000);
    assert_int_equal(ioapic_get(f, 23), 0x10000); // masked
    ioapic_put(f, 23, ~UINT64_C(0));
    assert_int_equal(ioapic_get(f, 23), UINT64_C(0xFF0000000001AFFF)); // read-only bits stay clear
    mmio_write(f, IOAPIC_BASE, 0x40); // beyond the last pin
    mmio_write(f, IOAPIC_BASE + 0x10, 0x12345678);
    assert_int_equal(mmio_read(f, IOAPIC_BASE + 0x10), 0);
}

static void ioapic_edge(void **state)
{
    struct fixture *f = *state;
    lapic_put(f, 2, 0xF0, 0x1FF);
    ioapic_put(f, 2, UINT64_C(2) << 56 | 0x10031);
    isa_set(f, 0, true); // masked: the edge is lost
    assert_false(f->cpu[2].intr);
    ioapic_put(f, 2, UINT64_C(2) << 56 | 0x31);
    assert_false(f->cpu[2].intr);
    isa_set(f, 0, false);
    isa_set(f, 0, true); // IRQ 0 is pin 2
    assert_true(f->cpu[2].intr);
    assert_int_equal(acknowledge(f, 2), 0x31);
    lapic_put(f, 2, 0xB0, 0);
    assert_false(f->cpu[2].intr);
    assert_int_equal(ioapic_get(f, 2) & 0x4000, 0); // no remote IRR
}

static void ioapic_level(void **state)
{
    struct fixture *f = *state;
    lapic_put(f, 0, 0xF0, 0x1FF);
    ioapic_put(f, 10, 0x8045);
    isa_set(f, 10, true);
    assert_true(f->cpu[0].intr);
    assert_int_equal(ioapic_get(f, 10) & 0x4000, 0x4000);
    assert_int_equal(lapic_get(f, 0, 0x180 + 0x20) & 0x20, 0x20); // TMR of 0x45
    assert_int_equal(acknowledge(f, 0), 0x45);
    lapic_put(f, 0, 0xB0, 0); // EOI while the line is up: at once again
    assert_true(f->cpu[0].intr);
    assert_int_equal(acknowledge(f, 0), 0x45);
    isa_set(f, 10, false);
    lapic_put(f, 0, 0xB0, 0);
    assert_false(f->cpu[0].intr);
    assert_int_equal(ioapic_get(f, 10) & 0x4000, 0);
    ioapic_put(f, 10, 0x18045); // masked, then unmasked with the line up
    isa_set(f, 10, true);
    assert_false(f->cpu[0].intr);
    ioapic_put(f, 10, 0x8045);
    assert_true(f->cpu[0].intr);
}

static void ioapic_eoi_register(void **state)
{
    struct fixture *f = *state;
    lapic_put(f, 0, 0xF0, 0x1FF);
    ioapic_put(f, 11, 0x8046);
    isa_set(f, 11, true);
    isa_set(f, 11, false);
    assert_int_equal(ioapic_get(f, 11) & 0x4000, 0x4000);
    mmio_write(f, IOAPIC_BASE + 0x40, 0x45);
    assert_int_equal(ioapic_get(f, 11) & 0x4000, 0x4000);
    mmio_write(f, IOAPIC_BASE + 0x40, 0x46);
    assert_int_equal(ioapic_get(f, 11) & 0x4000, 0);
}

// Linux's way to lose a remote IRR without an EOI register: edge and back.
static void ioapic_edge_clears_remote_irr(void **state)
{
    struct fixture *f = *state;
    lapic_put(f, 0, 0xF0, 0x1FF);
    ioapic_put(f, 11, 0x8046);
    isa_set(f, 11, true);
    ioapic_put(f, 11, 0x10046);
    ioapic_put(f, 11, 0x18046);
    assert_int_equal(ioapic_get(f, 11) & 0x4000, 0);
}

static void ioapic_extint(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    lapic_put(f, 0, 0xF0, 0x1FF);
    lapic_put(f, 0, 0x350, 0x10000); // LINT0 masked
    ioapic_put(f, 4, 0x700);
    isa_set(f, 4, true);
    assert_true(f->cpu[0].intr);
    assert_int_equal(acknowledge(f, 0), 0x24); // the 8259's vector
    assert_false(f->cpu[0].intr);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(pic_priorities), T(pic_mask), T(pic_slave), T(pic_spurious), T(pic_level),
        T(pic_auto_eoi),
        T(pic_rotation), T(pic_special_mask), T(pic_special_mask_eoi),
        T(pic_special_fully_nested), T(pic_poll), T(ioapic_registers), T(ioapic_edge),
        T(ioapic_level), T(ioapic_eoi_register), T(ioapic_edge_clears_remote_irr), T(ioapic_extint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
