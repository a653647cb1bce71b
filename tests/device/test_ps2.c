// SPDX-License-Identifier: MIT
// The keyboard controller, the keyboard and the mouse (IBM PS/2 Hardware Interface Technical
// Reference).
#include "device/fixture.h"

enum { STATUS_OUTPUT = 1, STATUS_SYSTEM = 4, STATUS_COMMAND = 8, STATUS_AUX = 0x20 };

static void command(struct fixture *f, u8 value)
{
    out(f, 0x64, value, 1);
}

static void data(struct fixture *f, u8 value)
{
    out(f, 0x60, value, 1);
}

static u8 ask(struct fixture *f, u8 value)
{
    command(f, value);
    assert_true(in(f, 0x64, 1) & STATUS_OUTPUT);
    return (u8)in(f, 0x60, 1);
}

static void config(struct fixture *f, u8 value)
{
    command(f, 0x60);
    data(f, value);
}

// Reads the bytes and that there are no more; each comes from the device that aux says.
static void expect(struct fixture *f, bool aux, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        u32 status = in(f, 0x64, 1);
        assert_true(status & STATUS_OUTPUT);
        assert_int_equal(status & STATUS_AUX, aux ? STATUS_AUX : 0);
        assert_int_equal(in(f, 0x60, 1), (u8)bytes[i]);
    }
    assert_false(in(f, 0x64, 1) & STATUS_OUTPUT);
}
#define KEYBOARD(bytes) expect(f, false, bytes, sizeof(bytes) - 1)
#define MOUSE(bytes) expect(f, true, bytes, sizeof(bytes) - 1)

static void to_mouse(struct fixture *f, u8 value)
{
    command(f, 0xD4);
    data(f, value);
}

static void key(struct fixture *f, u16 code, bool pressed)
{
    input_add(f,
              (struct host_input_event){.kind = HOST_INPUT_KEY, .key = code, .pressed = pressed});
}

static void move(struct fixture *f, int dx, int dy, int dz, u8 buttons)
{
    input_add(f, (struct host_input_event){.kind = HOST_INPUT_MOUSE, .dx = (s16)dx, .dy = (s16)dy,
                                           .dz = (s16)dz, .buttons = buttons});
}

static void controller_commands(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, 0x20), 0x65); // keyboard's interrupt, tested, mouse off, translation
    assert_int_equal(ask(f, 0xAA), 0x55);
    assert_int_equal(ask(f, 0xAB), 0);
    assert_int_equal(ask(f, 0xA9), 0);
    assert_int_equal(ask(f, 0xA4), 0xF1);
    assert_int_equal(ask(f, 0xC0), 0x80);
    assert_int_equal(in(f, 0x64, 1), 0x10 | STATUS_COMMAND | STATUS_SYSTEM);
    command(f, 0xAD);
    assert_int_equal(ask(f, 0x20), 0x75);
    command(f, 0xAE);
    command(f, 0xA8);
    assert_int_equal(ask(f, 0x20), 0x45);
    command(f, 0xA7);
    assert_int_equal(ask(f, 0x20), 0x65);
    command(f, 0x7F);
    data(f, 0x5A);
    assert_int_equal(ask(f, 0x3F), 0x5A); // the last byte of its RAM
    assert_int_equal(in(f, 0x64, 1) & STATUS_COMMAND, STATUS_COMMAND);
    data(f, 0xEE);
    assert_int_equal(in(f, 0x64, 1) & STATUS_COMMAND, 0);
}

static void output_port(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, 0xD0), 0xCF);
    command(f, 0xD1);
    data(f, 0xCD);
    assert_false(f->a20[DEVICE_A20_8042]);
    assert_int_equal(ask(f, 0xD0), 0xCD);
    command(f, 0xDF);
    assert_true(f->a20[DEVICE_A20_8042]);
    command(f, 0xDD);
    assert_false(f->a20[DEVICE_A20_8042]);
    command(f, 0xFF); // pulses nothing
    command(f, 0xF1); // nothing that has an effect
    assert_int_equal(f->stops, 0);
    command(f, 0xFE);
    assert_int_equal(f->stops, 1);
    assert_int_equal(f->stop_why, MACHINE_STOP_RESET);
    command(f, 0xD1);
    data(f, 0xCE);
    assert_int_equal(f->stops, 2);
}

// Bytes that software puts there as if a device had sent them, the way drivers look for the mouse's
// port.
static void loopback(void **state)
{
    struct fixture *f = *state;
    command(f, 0xD2);
    data(f, 0x77);
    KEYBOARD("\x77");
    command(f, 0xD3);
    data(f, 0x5A);
    MOUSE("\x5A");
}

static void keyboard_commands(void **state)
{
    struct fixture *f = *state;
    config(f, 0x25); // no translation
    data(f, 0xFF);
    KEYBOARD("\xFA\xAA");
    data(f, 0xF2);
    KEYBOARD("\xFA\xAB\x83");
    data(f, 0xEE);
    KEYBOARD("\xEE");
    data(f, 0xED);
    KEYBOARD("\xFA");
    data(f, 0x05);
    KEYBOARD("\xFA");
    data(f, 0xF3);
    data(f, 0x20);
    KEYBOARD("\xFA\xFA");
    data(f, 0xFE); // resend
    KEYBOARD("\xFA");
    data(f, 0xF0);
    data(f, 0);
    KEYBOARD("\xFA\xFA\x02");
    data(f, 0xF0);
    data(f, 3); // acknowledged, but there is no set 3
    data(f, 0xF0);
    data(f, 0);
    KEYBOARD("\xFA\xFA\xFA\xFA\x02");
    data(f, 0x01); // no command
    KEYBOARD("\xFE");
    data(f, 0xED); // a command instead of its argument
    data(f, 0xF4);
    KEYBOARD("\xFA\xFA");
}

static void scan_codes(void **state)
{
    struct fixture *f = *state;
    config(f, 0x25);
    key(f, 0x1C, true); // A
    key(f, 0x1C, false);
    KEYBOARD("\x1C\xF0\x1C");
    key(f, 0xE075, true); // up
    key(f, 0xE075, false);
    KEYBOARD("\xE0\x75\xE0\xF0\x75");
    key(f, HOST_KEY_PAUSE, true);
    key(f, HOST_KEY_PAUSE, false);
    KEYBOARD("\xE1\x14\x77\xE1\xF0\x14\xF0\x77");
    data(f, 0xF5); // scanning off
    key(f, 0x1C, true);
    data(f, 0xF4);
    KEYBOARD("\xFA\xFA");
    data(f, 0xF0);
    data(f, 1);
    KEYBOARD("\xFA\xFA");
    key(f, 0xE075, true);
    key(f, 0xE075, false);
    KEYBOARD("\xE0\x48\xE0\xC8");
}

static void translation(void **state)
{
    struct fixture *f = *state;
    static const struct {
        u16 set_2;
        u8 set_1;
    } keys[] = {{0x76, 0x01}, {0x16, 0x02}, {0x1C, 0x1E}, {0x5A, 0x1C}, {0x29, 0x39}, {0x12, 0x2A},
                {0x14, 0x1D}, {0x05, 0x3B}, {0x83, 0x41}, {0x78, 0x57}, {0x07, 0x58}, {0x77, 0x45},
                {0x7E, 0x46}, {0x61, 0x56}, {0x66, 0x0E}, {0x4A, 0x35}, {0x84, 0x54}, {0x58, 0x3A}};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char bytes[] = {(char)keys[i].set_1, (char)(keys[i].set_1 | 0x80)};
        key(f, keys[i].set_2, true);
        key(f, keys[i].set_2, false);
        expect(f, false, bytes, 2);
    }
    data(f, 0xF2);
    KEYBOARD("\xFA\xAB\x41"); // its identification, too
}

// IRQ 1 is an edge for each byte; a held clock holds the bytes.
static void keyboard_interrupts(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    key(f, 0xE075, true);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(f->cpu[0].intr);
        assert_int_equal(acknowledge(f, 0), 0x21);
        out(f, 0x20, 0x20, 1);
        in(f, 0x60, 1);
    }
    assert_false(f->cpu[0].intr);
    command(f, 0xAD);
    key(f, 0x1C, true);
    assert_false(in(f, 0x64, 1) & STATUS_OUTPUT);
    command(f, 0xAE);
    KEYBOARD("\x1E");
    config(f, 0x44);
    key(f, 0x1C, true);
    assert_true(in(f, 0x64, 1) & STATUS_OUTPUT);
    in(f, 0x60, 1);
}

// More keys than the keyboard holds wait outside; none is lost.
static void many_keys(void **state)
{
    struct fixture *f = *state;
    config(f, 0x25);
    for (unsigned i = 0; i < 20; i++) {
        key(f, (u16)(0x10 + i), true);
    }
    assert_true(f->input.taken < 20);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(in(f, 0x60, 1), 0x10 + i);
    }
    assert_int_equal(f->input.taken, 20);
    assert_false(in(f, 0x64, 1) & STATUS_OUTPUT);
}

static void mouse_commands(void **state)
{
    struct fixture *f = *state;
    to_mouse(f, 0xFF);
    MOUSE("\xFA\xAA\x00");
    to_mouse(f, 0xF2);
    MOUSE("\xFA\x00");
    to_mouse(f, 0xE9);
    MOUSE("\xFA\x00\x02\x64");
    to_mouse(f, 0xE8);
    to_mouse(f, 0x03);
    MOUSE("\xFA\xFA");
    to_mouse(f, 0xE7);
    MOUSE("\xFA");
    to_mouse(f, 0xF4);
    MOUSE("\xFA");
    to_mouse(f, 0xE9);
    MOUSE("\xFA\x30\x03\x64");
    to_mouse(f, 0xEE); // wrap: everything comes back
    to_mouse(f, 0x12);
    to_mouse(f, 0xF5);
    MOUSE("\xFA\x12\xF5");
    to_mouse(f, 0xEC);
    MOUSE("\xFA");
    to_mouse(f, 0x77);
    MOUSE("\xFE");
}

static void set_rate(struct fixture *f, u8 rate)
{
    to_mouse(f, 0xF3);
    to_mouse(f, rate);
    MOUSE("\xFA\xFA");
}

static void mouse_packets(void **state)
{
    struct fixture *f = *state;
    move(f, 5, 5, 0, 0);
    assert_false(in(f, 0x64, 1) & STATUS_OUTPUT); // not told to report
    to_mouse(f, 0xF4);
    MOUSE("\xFA");
    move(f, 10, -3, 0, 1);
    MOUSE("\x29\x0A\xFD");
    move(f, -300, 0, 0, 0); // more than one packet holds
    MOUSE("\x18\x01\x00\x18\xD3\x00");
    to_mouse(f, 0xF0); // remote: only when asked
    MOUSE("\xFA");
    move(f, 1, 2, 0, 2);
    assert_false(in(f, 0x64, 1) & STATUS_OUTPUT);
    to_mouse(f, 0xEB);
    MOUSE("\xFA\x0A\x01\x02");
}

static void mouse_wheel(void **state)
{
    struct fixture *f = *state;
    set_rate(f, 200);
    set_rate(f, 100);
    set_rate(f, 80);
    to_mouse(f, 0xF2);
    MOUSE("\xFA\x03");
    to_mouse(f, 0xF4);
    MOUSE("\xFA");
    move(f, 0, 0, -1, 4);
    MOUSE("\x0C\x00\x00\xFF");
    set_rate(f, 200);
    set_rate(f, 200);
    set_rate(f, 80);
    to_mouse(f, 0xF2);
    MOUSE("\xFA\x04");
    move(f, 0, 0, 1, 0x10);
    MOUSE("\x08\x00\x00\x21");
}

static void mouse_scaling(void **state)
{
    struct fixture *f = *state;
    to_mouse(f, 0xE7);
    to_mouse(f, 0xF4);
    MOUSE("\xFA\xFA");
    move(f, 3, -5, 0, 0);
    MOUSE("\x28\x03\xF7");
    move(f, 20, 1, 0, 0);
    MOUSE("\x08\x28\x01");
}

static void mouse_interrupts(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    config(f, 0x47);
    to_mouse(f, 0xF4);
    assert_true(f->cpu[0].intr);
    assert_int_equal(acknowledge(f, 0), 0x2C);
    out(f, 0xA0, 0x20, 1);
    out(f, 0x20, 0x20, 1);
    MOUSE("\xFA");
    assert_false(f->cpu[0].intr);
}

// After half a second about 11 times a second, as the keyboard is set when it is switched on; only
// the last key that went down, until it goes up.
static void typematic(void **state)
{
    const u64 ms = 1000000;
    struct fixture *f = *state;
    config(f, 0x05); // no translation
    key(f, 0x1C, true);
    KEYBOARD("\x1C");
    fixture_advance(f, 500 * ms - 1);
    KEYBOARD("");
    fixture_advance(f, 1);
    KEYBOARD("\x1C");
    fixture_advance(f, 91 * ms);
    KEYBOARD("");
    fixture_advance(f, ms);
    KEYBOARD("\x1C");
    key(f, 0xE074, true);
    KEYBOARD("\xE0\x74");
    fixture_advance(f, 500 * ms);
    KEYBOARD("\xE0\x74");
    key(f, 0x1C, false);
    KEYBOARD("\xF0\x1C");
    fixture_advance(f, 92 * ms);
    KEYBOARD("\xE0\x74");
    key(f, 0xE074, false);
    KEYBOARD("\xE0\xF0\x74");
    fixture_advance(f, 2000 * ms);
    KEYBOARD("");
}

// F3: the fastest rate after the shortest delay. What nobody reads is not piled up, and disabling
// the keyboard ends it.
static void typematic_rate(void **state)
{
    const u64 ms = 1000000;
    struct fixture *f = *state;
    config(f, 0x05);
    data(f, 0xF3);
    KEYBOARD("\xFA");
    data(f, 0x00);
    KEYBOARD("\xFA");
    key(f, 0x1C, true);
    KEYBOARD("\x1C");
    fixture_advance(f, 250 * ms);
    KEYBOARD("\x1C");
    fixture_advance(f, 34 * ms);
    KEYBOARD("\x1C");
    fixture_advance(f, 5000 * ms);
    unsigned codes = 0;
    for (; in(f, 0x64, 1) & STATUS_OUTPUT; codes++) {
        assert_int_equal(in(f, 0x60, 1), 0x1C);
    }
    assert_in_range(codes, 5, 17);
    key(f, 0xE114, true); // Pause does not repeat, and it is the last key
    while (in(f, 0x64, 1) & STATUS_OUTPUT) {
        in(f, 0x60, 1);
    }
    fixture_advance(f, 1000 * ms);
    KEYBOARD("");
    key(f, 0x1C, true);
    KEYBOARD("\x1C");
    data(f, 0xF5);
    KEYBOARD("\xFA");
    fixture_advance(f, 1000 * ms);
    KEYBOARD("");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(typematic), TEST(typematic_rate),
        TEST(controller_commands), TEST(output_port), TEST(loopback), TEST(keyboard_commands),
        TEST(scan_codes), TEST(translation), TEST(keyboard_interrupts), TEST(many_keys),
        TEST(mouse_commands), TEST(mouse_packets), TEST(mouse_wheel), TEST(mouse_scaling),
        TEST(mouse_interrupts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
