// SPDX-License-Identifier: MIT
// Device state as a whole: every field is hashed, save and load lose nothing, bad trees are
// refused; and the two devices that end a run.
#include "device/fixture.h"

#include "base/hash.h"
#include "base/memory.h"

#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

static u64 hash_all(struct fixture *f)
{
    struct hash *h = hash_create();
    for (unsigned i = 0; i < f->device_count; i++) {
        fields_hash(h, f->devices[i]->class->fields, f->devices[i]->state);
    }
    size_t size = pci_state_size(f->bus.pci);
    u8 *pci = xcalloc(1, size);
    pci_state_save(f->bus.pci, pci);
    hash_bytes(h, pci, size);
    u64 value = hash_value(h);
    free(pci);
    hash_destroy(h);
    return value;
}

static void busy(struct fixture *f)
{
    pic_initialise(f);
    out(f, 0x43, 0x34, 1);
    out(f, 0x40, 0x34, 1);
    out(f, 0x40, 0x12, 1);
    out(f, 0x3F9, 1, 1);
    out(f, 0x3FA, 0x87, 1);
    out(f, 0x3FC, 0x0B, 1);
    serial_type(f, 0, "some input that takes its time");
    out(f, 0x70, 0x0B, 1);
    out(f, 0x71, 0x72, 1);
    lapic_put(f, 0, 0x320, 0x20050);
    lapic_put(f, 0, 0x3E0, 0xB);
    lapic_put(f, 0, 0x380, 12345);
    ioapic_put(f, 4, 0x44);
    pci_config_write(f->bus.pci, 0x10, 0x24, 0xE0000000, 4);
    pci_config_write(f->bus.pci, 0x10, 0x04, 6, 2);
    mmio_write(f, 0xE0000100, 0x100000);
    mmio_write(f, 0xE0000118, 0x11);
    mmio_write(f, 0xFED00100, 0x4C | 20 << 9); // the HPET: periodic
    mmio_write(f, 0xFED00108, 3000);
    mmio_write(f, 0xFED00010, 1);
    out(f, 0x602, 1, 2); // the ACPI timer's interrupt
    out(f, 0x64, 0xD4, 1);
    out(f, 0x60, 0xF4, 1); // the mouse reports
    input_add(f, (struct host_input_event){.kind = HOST_INPUT_MOUSE, .dx = 600});
    input_add(f, (struct host_input_event){.kind = HOST_INPUT_KEY, .key = 0xE075, .pressed = true});
    fixture_advance(f, 1234567);
}

static void every_field_is_hashed(void **state)
{
    struct fixture *f = *state;
    busy(f);
    u64 before = hash_all(f);
    unsigned flipped = 0;
    for (unsigned i = 0; i < f->device_count; i++) {
        for (const struct field *field = f->devices[i]->class->fields; field->name; field++) {
            u8 *bytes = (u8 *)f->devices[i]->state + field->offset;
            for (u32 at = 0; at < field->elem_size * field->count; at++) {
                bytes[at] ^= 0x40;
                assert_true(hash_all(f) != before);
                bytes[at] ^= 0x40;
                flipped++;
            }
        }
    }
    assert_true(hash_all(f) == before);
    assert_true(flipped > 2000);
}

// Field lists that forgot something: a copy made through them must go on exactly like the original.
static void saved_state_continues(void **state)
{
    struct fixture *f = *state;
    struct fixture *copy = fixture_create();
    busy(f);
    copy->clock = f->clock;
    for (unsigned i = 0; i < f->device_count; i++) {
        const struct device_class *class = f->devices[i]->class;
        u8 *saved = xcalloc(1, fields_size(class->fields));
        fields_save(class->fields, f->devices[i]->state, saved);
        fields_load(class->fields, copy->devices[i]->state, saved);
        free(saved);
    }
    u8 *pci = xcalloc(1, pci_state_size(f->bus.pci));
    pci_state_save(f->bus.pci, pci);
    pci_state_load(copy->bus.pci, pci);
    free(pci);
    for (unsigned i = 0; i < copy->device_count; i++) {
        if (copy->devices[i]->class->loaded) {
            copy->devices[i]->class->loaded(copy->devices[i]);
        }
    }
    event_queue_rebuild(copy->bus.events);
    copy->serial[0] = (struct fake_serial){.ready = copy->serial[0].ready,
                                           .ready_dev = copy->serial[0].ready_dev};
    memcpy(copy->serial[0].input, f->serial[0].input, sizeof(f->serial[0].input));
    copy->serial[0].input_size = f->serial[0].input_size;
    copy->serial[0].input_read = f->serial[0].input_read;
    for (unsigned i = 0; i < 2000; i++) {
        struct fixture *both[2] = {f, copy};
        for (unsigned k = 0; k < 2; k++) {
            fixture_advance(both[k], 4321);
            in(both[k], 0x3F8, 1);
            if (i % 7 == 0) {
                acknowledge(both[k], 0);
                lapic_put(both[k], 0, 0xB0, 0);
                out(both[k], 0x20, 0x20, 1);
                out(both[k], 0x70, 0x0C, 1);
                in(both[k], 0x71, 1);
            }
        }
        assert_int_equal(mmio_read(f, 0xE0000118), mmio_read(copy, 0xE0000118));
        assert_true(hash_all(f) == hash_all(copy));
    }
    fixture_destroy(copy);
}

// Reset twice from anywhere gives one state, but for the clocks that go on.
static void reset_forgets(void **state)
{
    struct fixture *f = *state;
    busy(f);
    fixture_reset(f);
    u64 once = hash_all(f);
    busy(f);
    f->clock.step = 1234567;
    fixture_reset(f);
    f->serial[0].input_read = 0;
    assert_true(hash_all(f) == once);
    assert_false(f->cpu[0].intr);
}

static void debug_exit(void **state)
{
    struct fixture *f = *state;
    out(f, 0xF4, 7, 4);
    assert_int_equal(f->stops, 1);
    assert_int_equal(f->stop_why, MACHINE_STOP_DEBUG_EXIT);
    assert_int_equal(f->stop_value, 7);
    out(f, 0xF4, 0x100, 4);
    assert_int_equal(f->stop_value, 0x100);
    out(f, 0xF6, 1, 1);
    assert_int_equal(f->stops, 2);
}

static void power_off(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(in(f, 0x604, 2), 1); // SCI_EN
    out(f, 0x604, 1 << 13 | 5 << 10, 2);  // a sleep type that does not exist
    assert_int_equal(f->stops, 0);
    assert_int_equal(in(f, 0x604, 2), 5 << 10 | 1);
    out(f, 0x602, 0x0100, 2);
    assert_int_equal(in(f, 0x600, 4), 0x01000000);
    out(f, 0x605, 1 << 5, 1); // by byte: SLP_EN with SLP_TYP 0
    assert_int_equal(f->stops, 1);
    assert_int_equal(f->stop_why, MACHINE_STOP_POWER_OFF);
}

static void reset_control(void **state)
{
    struct fixture *f = *state;
    out(f, 0xCF8, 0x80000000, 4);
    out(f, 0xCF9, 0x02, 1); // what kind, as Linux announces it
    assert_int_equal(in(f, 0xCF9, 1), 0x02);
    assert_int_equal(in(f, 0xCF8, 4), 0x80000000);
    assert_int_equal(in(f, 0xCFC, 4), 0x29C08086);
    assert_int_equal(in(f, 0xCFE, 2), 0x29C0);
    assert_int_equal(in(f, 0xCF8, 2), 0xFFFF); // no register of that size
    assert_int_equal(f->stops, 0);
    out(f, 0xCF9, 0x06, 1);
    assert_int_equal(f->stops, 1);
    assert_int_equal(f->stop_why, MACHINE_STOP_RESET);
    out(f, 0xCF9, 0x06, 1); // no edge
    assert_int_equal(f->stops, 1);
    fixture_reset(f);
    assert_int_equal(in(f, 0xCF9, 1), 0);
    assert_int_equal(in(f, 0xCF8, 4), 0);
    assert_int_equal(in(f, 0xCFC, 4), 0xFFFFFFFF); // configuration accesses are off
}

// Absent ports: what kernels probe for finds nothing (PLATFORM.md).
static void absent_ports(void **state)
{
    struct fixture *f = *state;
    static const u16 ports[] = {0x66, 0x2E, 0x4E, 0x1F0, 0x3C0, 0xB2};
    for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
        assert_int_equal(in(f, ports[i], 1), 0xFF);
        out(f, ports[i], 0, 1);
    }
}

// A guest that writes anything anywhere: ports and registers of every size, and time goes on. Run
// under the sanitizers, the point is that nothing breaks; two such guests are also equal.
static void wild_guest(void **state)
{
    struct fixture *both[2] = {*state, fixture_create()};
    static const u16 ports[] = {0x20, 0x21,  0xA0,  0xA1,  0x4D0, 0x40,  0x43,  0x61, 0x70,
                                0x71, 0x3F8, 0x2F8, 0x600, 0x604, 0xCF8, 0xCFC, 0xF4};
    for (unsigned k = 0; k < 2; k++) {
        struct fixture *f = both[k];
        u64 x = 0x9E3779B97F4A7C15;
        serial_type(f, 0, "some input");
        for (unsigned i = 0; i < 100000; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            u16 port = (u16)(ports[x % ARRAY_LEN(ports)] + (x >> 8 & 7));
            unsigned size = 1u << (x >> 12 & 3);
            u64 address = (x >> 16 & 1 ? LAPIC_BASE : IOAPIC_BASE) + (x >> 20 & 0xFFF);
            u64 value = x >> 34;
            f->bus.current_cpu = x >> 14 & 3;
            switch (x >> 60) {
            case 0:
            case 1:
            case 2:
                io_space_read(f->bus.ports, port, size > 4 ? 4 : size);
                break;
            case 3:
                io_space_read(f->bus.mmio, address, size);
                break;
            case 4:
            case 5:
                io_space_write(f->bus.mmio, x >> 17 & 1 ? address & ~UINT64_C(15) : address, value,
                               x >> 18 & 1 ? 4 : size);
                break;
            case 6:
                acknowledge(f, f->bus.current_cpu);
                break;
            case 7:
                fixture_advance(f, value & 0xFFFF);
                break;
            case 8:
                f->apics[0].ops->write_msr(f->apics[0].apic, 0x6E0,
                                           fixture_now(f) + (value & 0xFFF));
                break;
            default:
                io_space_write(f->bus.ports, port, value, size > 4 ? 4 : size);
                break;
            }
        }
    }
    assert_true(hash_all(both[0]) == hash_all(both[1]));
    fixture_destroy(both[1]);
}

static int node_of(void *fdt, const char *path)
{
    int node = fdt_path_offset(fdt, path);
    assert_true(node >= 0);
    return node;
}

static void no_reg(void *fdt)
{
    fdt_delprop(fdt, node_of(fdt, "/isa/pit@40"), "reg");
}

static void short_reg(void *fdt)
{
    fdt_setprop_u32(fdt, node_of(fdt, "/ioapic@fec00000"), "reg", 1);
}

static void port_overlap(void *fdt)
{
    fdt32_t reg[2] = {cpu_to_fdt32(0x3FC), cpu_to_fdt32(8)};
    fdt_setprop(fdt, node_of(fdt, "/isa/serial@2f8"), "reg", reg, sizeof(reg));
}

static void port_range(void *fdt)
{
    fdt32_t reg[2] = {cpu_to_fdt32(0xFFFC), cpu_to_fdt32(8)};
    fdt_setprop(fdt, node_of(fdt, "/isa/rtc@70"), "reg", reg, sizeof(reg));
}

static void shared_irq(void *fdt)
{
    fdt_setprop_u32(fdt, node_of(fdt, "/isa/serial@2f8"), "interrupts", 4);
}

static void wild_irq(void *fdt)
{
    fdt_setprop_u32(fdt, node_of(fdt, "/isa/serial@2f8"), "interrupts", 16);
}

static void no_irq(void *fdt)
{
    fdt_delprop(fdt, node_of(fdt, "/isa/rtc@70"), "interrupts");
}

static void devfn_taken(void *fdt)
{
    fdt_setprop_u32(fdt, node_of(fdt, "/isa/pci@cf8/sata@10"), "reg", 0);
}

static void devfn_wild(void *fdt)
{
    fdt_setprop_u32(fdt, node_of(fdt, "/isa/pci@cf8/sata@10"), "reg", 256);
}

static void no_crystal(void *fdt)
{
    fdt_setprop_u32(fdt, node_of(fdt, "/cpus/cpu@0"), "crystal-frequency", 0);
}

static void absurd_clock(void *fdt)
{
    fdt_setprop_u32(fdt, node_of(fdt, "/isa/pit@40"), "clock-frequency", 0);
}

static void one_block(void *fdt)
{
    fdt32_t reg[2] = {cpu_to_fdt32(0x604), cpu_to_fdt32(2)};
    fdt_setprop(fdt, node_of(fdt, "/isa/power@604"), "reg", reg, sizeof(reg));
}

static void few_wires(void *fdt)
{
    fdt_setprop_u32(fdt, node_of(fdt, "/isa/pci@cf8"), "interrupts", 10);
}

static void bad_trees(void **state)
{
    static const struct {
        void (*edit)(void *fdt);
        const char *text;
    } cases[] = {
        {no_reg, "/isa/pit@40"},
        {short_reg, "/ioapic@fec00000"},
        {port_overlap, "0x3fc"},
        {port_range, "0xfffc"},
        {shared_irq, "/isa/serial@2f8"},
        {wild_irq, "/isa/serial@2f8"},
        {no_irq, "/isa/rtc@70"},
        {devfn_taken, "/isa/pci@cf8/sata@10"},
        {devfn_wild, "/isa/pci@cf8/sata@10"},
        {no_crystal, "crystal-frequency"},
        {absurd_clock, "/isa/pit@40"},
        {one_block, "/isa/power@604"},
        {few_wires, "/isa/pci@cf8"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct status s;
        assert_null(fixture_try(cases[i].edit, &s));
        assert_int_equal(s.code, STATUS_BAD_INPUT);
        if (!strstr(s.text, cases[i].text)) {
            fail_msg("\"%s\" does not say \"%s\"", s.text, cases[i].text);
        }
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(every_field_is_hashed), T(saved_state_continues), T(reset_forgets), T(debug_exit),
        T(power_off), T(reset_control), T(wild_guest), T(absent_ports), cmocka_unit_test(bad_trees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
