// SPDX-License-Identifier: MIT
// What bytes of a keyboard and a mouse mean, and what keys send to a terminal: logic of fern's
// drivers/input.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/input/keymap.h"
#include "drivers/input/mouse_packets.h"
#include "drivers/input/scancodes.h"

// --- scan codes

// Decodes `n` bytes; returns how many keys came, the last of them in *key.
static int decode(u8 set, const char *bytes, size_t n, struct scancode_key *key)
{
    struct scancode_decoder d = {.set = set};
    int count = 0;
    for (size_t i = 0; i < n; i++)
        count += scancode_decode(&d, (u8)bytes[i], key);
    return count;
}
#define DECODE(set, text, key) decode(set, text, sizeof(text) - 1, key)

static void expect_key(u8 set, const char *bytes, size_t n, u16 code, bool pressed)
{
    struct scancode_key key = {0};
    assert_int_equal(decode(set, bytes, n, &key), 1);
    assert_int_equal(key.keycode, code);
    assert_int_equal(key.pressed, pressed);
}
#define EXPECT_KEY(set, text, code, pressed) expect_key(set, text, sizeof(text) - 1, code, pressed)

// Sequences as the IBM and Microsoft tables have them, not as our rows do.
static void test_known_sequences(void **state)
{
    EXPECT_KEY(1, "\x1e", KEY_A, true);
    EXPECT_KEY(1, "\x9e", KEY_A, false);
    EXPECT_KEY(2, "\x1c", KEY_A, true);
    EXPECT_KEY(2, "\xf0\x1c", KEY_A, false);
    EXPECT_KEY(1, "\x01", KEY_ESC, true);
    EXPECT_KEY(2, "\x76", KEY_ESC, true);
    EXPECT_KEY(1, "\x41", KEY_F7, true);
    EXPECT_KEY(2, "\x83", KEY_F7, true);
    EXPECT_KEY(1, "\xe0\x48", KEY_UP, true);
    EXPECT_KEY(1, "\xe0\xc8", KEY_UP, false);
    EXPECT_KEY(2, "\xe0\x75", KEY_UP, true);
    EXPECT_KEY(2, "\xe0\xf0\x75", KEY_UP, false);
    EXPECT_KEY(1, "\xe0\x1c", KEY_KPENTER, true);
    EXPECT_KEY(2, "\xe0\x5a", KEY_KPENTER, true);
    EXPECT_KEY(1, "\x54", KEY_SYSRQ, true);
    EXPECT_KEY(2, "\x84", KEY_SYSRQ, true);
    // Cursor keys while Num Lock is on, and Print Screen: shifts that nobody pressed.
    EXPECT_KEY(1, "\xe0\x2a\xe0\x4b", KEY_LEFT, true);
    EXPECT_KEY(1, "\xe0\xcb\xe0\xaa", KEY_LEFT, false);
    EXPECT_KEY(2, "\xe0\x12\xe0\x7c", KEY_SYSRQ, true);
    EXPECT_KEY(2, "\xe0\xf0\x7c\xe0\xf0\x12", KEY_SYSRQ, false);
}

static void test_pause(void **state)
{
    struct scancode_key key;
    assert_int_equal(DECODE(1, "\xe1\x1d\x45\xe1\x9d\xc5", &key), 1);
    assert_true(key.keycode == KEY_PAUSE && key.pressed && key.momentary);
    assert_int_equal(DECODE(2, "\xe1\x14\x77\xe1\xf0\x14\xf0\x77", &key), 1);
    assert_true(key.keycode == KEY_PAUSE && key.pressed && key.momentary);
    // What comes behind it is a key again.
    EXPECT_KEY(1, "\x1e", KEY_A, true);
    assert_int_equal(DECODE(1, "\xe1\x1d\x45\xe1\x9d\xc5\x1e", &key), 2);
    assert_int_equal(key.keycode, KEY_A);
}

// Each row, in both sets: what is pressed is what is released, and set 1 is the translation of
// set 2 that controllers make (its table: IBM PS/2 HITR).
static void test_every_key_both_ways(void **state)
{
    static const struct {
        u16 code, set_1, set_2;
    } rows[] = {
#define KEY(name, code, set_1, set_2) {code, set_1, set_2},
#define KEY_AGAIN(name, set_1, set_2) {KEY_##name, set_1, set_2},
#include "abi/linux_keys.def"
#undef KEY
#undef KEY_AGAIN
    };
    bool seen[KEY_MAX + 1] = {false};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        u8 one[] = {0xe0, (u8)rows[i].set_1}, two[] = {0xe0, 0xf0, (u8)rows[i].set_2};
        int skip_1 = rows[i].set_1 >> 8 ? 0 : 1;
        assert_int_equal(scancode_to_key(1, rows[i].set_1), rows[i].code);
        assert_int_equal(scancode_to_key(2, rows[i].set_2), rows[i].code);
        expect_key(1, (char *)one + skip_1, 2u - (unsigned)skip_1, rows[i].code, true);
        one[1] |= 0x80;
        expect_key(1, (char *)one + skip_1, 2u - (unsigned)skip_1, rows[i].code, false);
        if (rows[i].set_2 >> 8)
            expect_key(2, (char *)two, 3, rows[i].code, false);
        else
            expect_key(2, (char *)two + 1, 2, rows[i].code, false);
        assert_int_equal(rows[i].set_1 >> 8, rows[i].set_2 >> 8);
        seen[rows[i].code] = true;
    }
    for (unsigned code = KEY_ESC; code <= KEY_KPDOT; code++) // the first keyboard's 83 keys
        assert_true(seen[code]);
}

// Whatever came before, a key pressed twice is understood the second time at the latest.
static void test_random_bytes_never_wedge_the_keyboard(void **state)
{
    srandom(1);
    for (int run = 0; run < 20000; run++) {
        u8 set = (u8)(1 + run % 2);
        struct scancode_decoder d = {.set = set};
        struct scancode_key key;
        for (int i = random() % 12; i > 0; i--)
            scancode_decode(&d, (u8)random(), &key);
        bool understood = false;
        for (int i = 0; i < 9; i++) // as many as the longest sequence swallows, and one
            understood = scancode_decode(&d, set == 1 ? 0x1e : 0x1c, &key);
        assert_true(understood);
        assert_int_equal(key.keycode, KEY_A);
        assert_true(key.pressed);
    }
}

// --- mouse

#define MS 1000000ull

static bool packet(struct mouse_packets *p, const char *bytes, size_t n, struct mouse_motion *m)
{
    bool done = false;
    for (size_t i = 0; i < n; i++)
        done = mouse_decode(p, (u8)bytes[i], 1000 * MS, m);
    return done;
}

static void test_mouse_packets(void **state)
{
    struct mouse_packets p = {.protocol = MOUSE_PS2};
    struct mouse_motion m;
    assert_true(packet(&p, "\x09\x05\x03", 3, &m));
    assert_true(m.dx == 5 && m.dy == -3 && m.buttons == 1 && m.wheel == 0);
    assert_true(packet(&p, "\x3a\xff\x01", 3, &m));
    assert_true(m.dx == -1 && m.dy == 255 && m.buttons == 2);
    assert_true(packet(&p, "\xc8\x55\x55", 3, &m)); // overflow: the counts say nothing
    assert_true(m.dx == 0 && m.dy == 0);
    p.protocol = MOUSE_WHEEL;
    assert_true(packet(&p, "\x08\x00\x00\xff", 4, &m));
    assert_true(m.wheel == 1);
    p.protocol = MOUSE_BUTTONS;
    assert_true(packet(&p, "\x0c\x00\x00\x31", 4, &m));
    assert_true(m.wheel == -1 && m.buttons == 0x1c);
    assert_true(packet(&p, "\x08\x00\x00\x0f", 4, &m));
    assert_true(m.wheel == 1 && m.buttons == 0);
}

static void test_mouse_finds_the_packet_again(void **state)
{
    struct mouse_packets p = {.protocol = MOUSE_PS2};
    struct mouse_motion m;
    assert_false(packet(&p, "\x01\x02", 2, &m)); // no first bytes
    assert_true(packet(&p, "\x08\x01\x00", 3, &m));
    assert_false(packet(&p, "\x08\x01", 2, &m)); // the rest is lost
    assert_false(mouse_decode(&p, 0x08, 1600 * MS, &m));
    assert_false(mouse_decode(&p, 0x07, 1600 * MS, &m));
    assert_true(mouse_decode(&p, 0x00, 1600 * MS, &m));
    assert_int_equal(m.dx, 7);
    srandom(2);
    for (int run = 0; run < 20000; run++) {
        p = (struct mouse_packets){.protocol = run % 3 ? MOUSE_BUTTONS : MOUSE_PS2};
        for (int i = random() % 9; i > 0; i--)
            mouse_decode(&p, (u8)random(), 1000 * MS, &m);
        unsigned size = p.protocol == MOUSE_PS2 ? 3 : 4;
        for (unsigned i = 0; i < size; i++)
            assert_int_equal(mouse_decode(&p, i ? 0 : 8, 2000 * MS, &m), i == size - 1);
    }
}

// --- what keys send

static struct keymap_state keys;
static struct vt_keyboard_modes modes;

static struct keymap_result last;

static void start(void)
{
    memset(&keys, 0, sizeof(keys));
    memset(&modes, 0, sizeof(modes));
}

static void press(u16 code)
{
    last = keymap_key(&keys, &modes, code, 1);
}

static void expect_sent(const char *what, const char *bytes, size_t n)
{
    if (last.n != n || memcmp(last.bytes, bytes, n))
        fail_msg("%s: %u bytes: %02x %02x %02x %02x %02x", what, last.n, last.bytes[0],
                 last.bytes[1], last.bytes[2], last.bytes[3], last.bytes[4]);
}
// Presses the key and lets it go.
#define SENDS(code, text)                                                                          \
    do {                                                                                           \
        press(code);                                                                               \
        expect_sent(#code, text, sizeof(text) - 1);                                                \
        keymap_key(&keys, &modes, code, 0);                                                        \
    } while (0)
#define HOLD(code) keymap_key(&keys, &modes, code, 1)
#define RELEASE(code) keymap_key(&keys, &modes, code, 0)

static void test_characters(void **state)
{
    start();
    SENDS(KEY_A, "a");
    SENDS(KEY_1, "1");
    SENDS(KEY_ENTER, "\r");
    SENDS(KEY_BACKSPACE, "\x7f");
    SENDS(KEY_TAB, "\t");
    SENDS(KEY_ESC, "\033");
    SENDS(KEY_LEFTSHIFT, "");
    HOLD(KEY_RIGHTSHIFT);
    SENDS(KEY_A, "A");
    SENDS(KEY_1, "!");
    SENDS(KEY_APOSTROPHE, "\"");
    SENDS(KEY_TAB, "\033\t");
    RELEASE(KEY_RIGHTSHIFT);
    HOLD(KEY_LEFTCTRL);
    SENDS(KEY_C, "\x03");
    SENDS(KEY_Z, "\x1a");
    SENDS(KEY_LEFTBRACE, "\033");
    SENDS(KEY_BACKSLASH, "\x1c");
    SENDS(KEY_SPACE, "\0");
    SENDS(KEY_1, "");
    HOLD(KEY_LEFTALT);
    SENDS(KEY_C, "\033\x03");
    RELEASE(KEY_LEFTCTRL);
    SENDS(KEY_X, "\033x");
    SENDS(KEY_ENTER, "\033\r");
}

// The letters as Linux's TERM=linux has them in terminfo.
static void test_function_and_cursor_keys(void **state)
{
    start();
    SENDS(KEY_F1, "\033[[A");
    SENDS(KEY_F5, "\033[[E");
    SENDS(KEY_F6, "\033[17~");
    SENDS(KEY_F10, "\033[21~");
    SENDS(KEY_F12, "\033[24~");
    SENDS(KEY_HOME, "\033[1~");
    SENDS(KEY_DELETE, "\033[3~");
    SENDS(KEY_END, "\033[4~");
    SENDS(KEY_PAGEDOWN, "\033[6~");
    SENDS(KEY_UP, "\033[A");
    SENDS(KEY_LEFT, "\033[D");
    modes.application_cursor = true;
    SENDS(KEY_UP, "\033OA");
    SENDS(KEY_HOME, "\033[1~");
    HOLD(KEY_LEFTSHIFT);
    SENDS(KEY_F1, "\033[25~");
    SENDS(KEY_F8, "\033[34~");
    modes.newline = true;
    SENDS(KEY_ENTER, "\r\n");
}

static void test_locks_and_keypad(void **state)
{
    start();
    SENDS(KEY_KP8, "\033[A");
    SENDS(KEY_KP5, "\033[G");
    SENDS(KEY_KPDOT, "\033[3~");
    SENDS(KEY_KPPLUS, "+");
    press(KEY_NUMLOCK);
    assert_true(last.locks_changed && keys.locks == VT_LED_NUM);
    SENDS(KEY_KP8, "8");
    SENDS(KEY_KPDOT, ".");
    modes.application_keypad = true;
    SENDS(KEY_KP8, "\033Ox");
    SENDS(KEY_KPENTER, "\033OM");
    press(KEY_CAPSLOCK);
    last = keymap_key(&keys, &modes, KEY_CAPSLOCK, 2); // held: no second time
    assert_false(last.locks_changed);
    SENDS(KEY_A, "A");
    SENDS(KEY_1, "1");
    HOLD(KEY_LEFTSHIFT);
    SENDS(KEY_A, "a");
    SENDS(KEY_1, "!");
}

static void expect_action(u16 code, enum keymap_action action, int argument)
{
    press(code);
    assert_int_equal(last.n, 0);
    assert_int_equal(last.action, action);
    assert_int_equal(last.argument, argument);
    RELEASE(code);
}

static void test_keys_of_the_kernel(void **state)
{
    start();
    HOLD(KEY_LEFTSHIFT);
    expect_action(KEY_PAGEUP, KEYMAP_SCROLL, 1);
    expect_action(KEY_PAGEDOWN, KEYMAP_SCROLL, -1);
    RELEASE(KEY_LEFTSHIFT);
    HOLD(KEY_LEFTALT);
    expect_action(KEY_F2, KEYMAP_SWITCH, 2);
    expect_action(KEY_RIGHT, KEYMAP_STEP, 1);
    expect_action(KEY_LEFT, KEYMAP_STEP, -1);
    HOLD(KEY_RIGHTCTRL);
    expect_action(KEY_F4, KEYMAP_SWITCH, 4);
    expect_action(KEY_DELETE, KEYMAP_REBOOT, 0);
    RELEASE(KEY_RIGHTCTRL);
    expect_action(KEY_SYSRQ, KEYMAP_NONE, 0);
    expect_action(KEY_S, KEYMAP_SYSRQ, 's');
    RELEASE(KEY_LEFTALT);
    SENDS(KEY_S, "s");
}

static void test_untranslated_modes(void **state)
{
    start();
    modes.raw = VT_KB_RAW;
    SENDS(KEY_A, "\x1e");
    last = keymap_key(&keys, &modes, KEY_UP, 0);
    expect_sent("up released", "\xe0\xc8", 2);
    modes.raw = VT_KB_MEDIUMRAW;
    SENDS(KEY_UP, "\x67");
    last = keymap_key(&keys, &modes, KEY_F13, 0);
    expect_sent("F13 released", "\x80\x81\xb7", 3);
    modes.raw = VT_KB_OFF;
    SENDS(KEY_A, "");
    HOLD(KEY_LEFTALT);
    SENDS(KEY_F2, "");
    assert_int_equal(last.action, KEYMAP_NONE);
}

static void test_any_keys_in_any_modes(void **state)
{
    start();
    srandom(3);
    for (int i = 0; i < 200000; i++) {
        modes = (struct vt_keyboard_modes){.raw = (enum vt_keyboard_raw)(random() % 5),
                                           .application_cursor = random() & 1,
                                           .application_keypad = random() & 1,
                                           .newline = random() & 1};
        last = keymap_key(&keys, &modes, (u16)(random() % 0x400), (s32)(random() % 3));
        assert_true(last.n <= KEYMAP_BYTES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_sequences),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_every_key_both_ways),
        cmocka_unit_test(test_random_bytes_never_wedge_the_keyboard),
        cmocka_unit_test(test_mouse_packets),
        cmocka_unit_test(test_mouse_finds_the_packet_again),
        cmocka_unit_test(test_characters),
        cmocka_unit_test(test_function_and_cursor_keys),
        cmocka_unit_test(test_locks_and_keypad),
        cmocka_unit_test(test_keys_of_the_kernel),
        cmocka_unit_test(test_untranslated_modes),
        cmocka_unit_test(test_any_keys_in_any_modes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
