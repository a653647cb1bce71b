// SPDX-License-Identifier: MIT
// Keys to bytes: characters, control characters, function and cursor keys, the keypad; and the
// keys that are for the kernel itself.
#include "drivers/input/keymap.h"

#include "drivers/input/scancodes.h"

#define ESC 0x1b
#define DEL 0x7f

// The character of a key, alone and with Shift. Letters follow Caps Lock.
static const struct {
    u8 plain, shifted;
} characters[] = {
    [KEY_1] = {'1', '!'},          [KEY_2] = {'2', '@'},           [KEY_3] = {'3', '#'},
    [KEY_4] = {'4', '$'},          [KEY_5] = {'5', '%'},           [KEY_6] = {'6', '^'},
    [KEY_7] = {'7', '&'},          [KEY_8] = {'8', '*'},           [KEY_9] = {'9', '('},
    [KEY_0] = {'0', ')'},          [KEY_MINUS] = {'-', '_'},       [KEY_EQUAL] = {'=', '+'},
    [KEY_Q] = {'q', 'Q'},          [KEY_W] = {'w', 'W'},           [KEY_E] = {'e', 'E'},
    [KEY_R] = {'r', 'R'},          [KEY_T] = {'t', 'T'},           [KEY_Y] = {'y', 'Y'},
    [KEY_U] = {'u', 'U'},          [KEY_I] = {'i', 'I'},           [KEY_O] = {'o', 'O'},
    [KEY_P] = {'p', 'P'},          [KEY_LEFTBRACE] = {'[', '{'},   [KEY_RIGHTBRACE] = {']', '}'},
    [KEY_A] = {'a', 'A'},          [KEY_S] = {'s', 'S'},           [KEY_D] = {'d', 'D'},
    [KEY_F] = {'f', 'F'},          [KEY_G] = {'g', 'G'},           [KEY_H] = {'h', 'H'},
    [KEY_J] = {'j', 'J'},          [KEY_K] = {'k', 'K'},           [KEY_L] = {'l', 'L'},
    [KEY_SEMICOLON] = {';', ':'},  [KEY_APOSTROPHE] = {'\'', '"'}, [KEY_GRAVE] = {'`', '~'},
    [KEY_BACKSLASH] = {'\\', '|'}, [KEY_Z] = {'z', 'Z'},           [KEY_X] = {'x', 'X'},
    [KEY_C] = {'c', 'C'},          [KEY_V] = {'v', 'V'},           [KEY_B] = {'b', 'B'},
    [KEY_N] = {'n', 'N'},          [KEY_M] = {'m', 'M'},           [KEY_COMMA] = {',', '<'},
    [KEY_DOT] = {'.', '>'},        [KEY_SLASH] = {'/', '?'},       [KEY_SPACE] = {' ', ' '},
    [KEY_102ND] = {'<', '>'},      [KEY_ESC] = {ESC, ESC},         [KEY_BACKSPACE] = {DEL, DEL},
    [KEY_SYSRQ] = {0x1c, 0x1c},
};

// What follows ESC [ for keys that send a number and a tilde.
static const u8 tilde_numbers[] = {
    [KEY_HOME] = 1,     [KEY_INSERT] = 2, [KEY_DELETE] = 3, [KEY_END] = 4, [KEY_PAGEUP] = 5,
    [KEY_PAGEDOWN] = 6, [KEY_F6] = 17,    [KEY_F7] = 18,    [KEY_F8] = 19, [KEY_F9] = 20,
    [KEY_F10] = 21,     [KEY_F11] = 23,   [KEY_F12] = 24,
};
static const u8 shifted_function_numbers[] = {25, 26, 28, 29, 31, 32, 33, 34}; // F13..F20

// The keypad: its digit, what it is without Num Lock, its letter in application mode.
static const struct {
    u8 character, application;
    u16 without_lock; // 0: the character always
} keypad[] = {
    [KEY_KP7] = {'7', 'w', KEY_HOME},     [KEY_KP8] = {'8', 'x', KEY_UP},
    [KEY_KP9] = {'9', 'y', KEY_PAGEUP},   [KEY_KPMINUS] = {'-', 'S', 0},
    [KEY_KP4] = {'4', 't', KEY_LEFT},     [KEY_KP5] = {'5', 'u', KEY_KP5},
    [KEY_KP6] = {'6', 'v', KEY_RIGHT},    [KEY_KPPLUS] = {'+', 'l', 0},
    [KEY_KP1] = {'1', 'q', KEY_END},      [KEY_KP2] = {'2', 'r', KEY_DOWN},
    [KEY_KP3] = {'3', 's', KEY_PAGEDOWN}, [KEY_KP0] = {'0', 'p', KEY_INSERT},
    [KEY_KPDOT] = {'.', 'n', KEY_DELETE}, [KEY_KPASTERISK] = {'*', 'R', 0},
    [KEY_KPSLASH] = {'/', 'Q', 0},        [KEY_KPENTER] = {'\r', 'M', 0},
};

static bool held(const struct keymap_state *s, unsigned left, unsigned right)
{
    return test_bit(left, s->held) || test_bit(right, s->held);
}
static bool shift(const struct keymap_state *s)
{
    return held(s, KEY_LEFTSHIFT, KEY_RIGHTSHIFT);
}
static bool ctrl(const struct keymap_state *s)
{
    return held(s, KEY_LEFTCTRL, KEY_RIGHTCTRL);
}
static bool alt(const struct keymap_state *s)
{
    return held(s, KEY_LEFTALT, KEY_RIGHTALT);
}

static void put(struct keymap_result *r, u8 byte)
{
    if (r->n < KEYMAP_BYTES)
        r->bytes[r->n++] = byte;
}

static void put_text(struct keymap_result *r, const char *text)
{
    while (*text)
        put(r, (u8)*text++);
}

static void act(struct keymap_result *r, enum keymap_action action, int argument)
{
    r->action = action;
    r->argument = argument;
}

// Ctrl with a key, by Linux's default keymap; -1: nothing.
static int control_character(u16 key, u8 c)
{
    if (c >= 'a' && c <= 'z')
        return c & 0x1f;
    switch (key) {
    case KEY_2:
    case KEY_SPACE:
    case KEY_GRAVE:
        return 0;
    case KEY_3:
    case KEY_LEFTBRACE:
    case KEY_ESC:
        return ESC;
    case KEY_4:
    case KEY_BACKSLASH:
    case KEY_SYSRQ:
        return 0x1c;
    case KEY_5:
    case KEY_RIGHTBRACE:
        return 0x1d;
    case KEY_6:
        return 0x1e;
    case KEY_7:
    case KEY_MINUS:
        return 0x1f;
    case KEY_8:
    case KEY_SLASH:
        return DEL;
    case KEY_APOSTROPHE:
        return 0x07;
    case KEY_BACKSPACE:
        return 0x08;
    default:
        return -1;
    }
}

static void put_character(const struct keymap_state *s, struct keymap_result *r, u16 key)
{
    u8 plain = characters[key].plain;
    bool letter = plain >= 'a' && plain <= 'z';
    bool upper = shift(s) != (letter && (s->locks & VT_LED_CAPS));
    int c = upper ? characters[key].shifted : plain;
    if (ctrl(s))
        c = control_character(key, plain);
    if (c < 0)
        return;
    if (alt(s))
        put(r, ESC);
    put(r, (u8)c);
}

static void put_enter(const struct keymap_state *s, const struct vt_keyboard_modes *modes,
                      struct keymap_result *r)
{
    if (alt(s))
        put(r, ESC);
    put(r, '\r');
    if (modes->newline)
        put(r, '\n');
}

static void put_cursor(const struct vt_keyboard_modes *modes, struct keymap_result *r, char letter)
{
    put_text(r, modes->application_cursor ? "\033O" : "\033[");
    put(r, (u8)letter);
}

static void put_tilde(struct keymap_result *r, u8 number)
{
    put_text(r, "\033[");
    if (number >= 10)
        put(r, (u8)('0' + number / 10));
    put(r, (u8)('0' + number % 10));
    put(r, '~');
}

static void function_key(const struct keymap_state *s, struct keymap_result *r, u16 key)
{
    unsigned number = key >= KEY_F11 ? key - KEY_F11 + 11u : key - KEY_F1 + 1u;
    if (alt(s)) {
        act(r, KEYMAP_SWITCH, (int)number);
    } else if (shift(s) && number <= ARRAY_SIZE(shifted_function_numbers)) {
        put_tilde(r, shifted_function_numbers[number - 1]);
    } else if (number <= 5) {
        put_text(r, "\033[[");
        put(r, (u8)('A' + number - 1));
    } else {
        put_tilde(r, tilde_numbers[key]);
    }
}

// Cursor keys and those around them. True: the key is one.
static bool editing_key(const struct keymap_state *s, const struct vt_keyboard_modes *modes,
                        struct keymap_result *r, u16 key)
{
    switch (key) {
    case KEY_UP:
        put_cursor(modes, r, 'A');
        return true;
    case KEY_DOWN:
        put_cursor(modes, r, 'B');
        return true;
    case KEY_LEFT:
    case KEY_RIGHT:
        if (alt(s))
            act(r, KEYMAP_STEP, key == KEY_LEFT ? -1 : 1);
        else
            put_cursor(modes, r, key == KEY_LEFT ? 'D' : 'C');
        return true;
    case KEY_PAGEUP:
    case KEY_PAGEDOWN:
        if (shift(s))
            act(r, KEYMAP_SCROLL, key == KEY_PAGEUP ? 1 : -1);
        else
            put_tilde(r, tilde_numbers[key]);
        return true;
    case KEY_DELETE:
        if (ctrl(s) && alt(s)) {
            act(r, KEYMAP_REBOOT, 0);
            return true;
        }
        fallthrough;
    case KEY_HOME:
    case KEY_INSERT:
    case KEY_END:
        put_tilde(r, tilde_numbers[key]);
        return true;
    default:
        return false;
    }
}

static bool on_keypad(u16 key)
{
    return key < ARRAY_SIZE(keypad) && keypad[key].character;
}

static void keypad_key(const struct keymap_state *s, const struct vt_keyboard_modes *modes,
                       struct keymap_result *r, u16 key)
{
    u16 other = keypad[key].without_lock;
    if (modes->application_keypad && !shift(s)) {
        put_text(r, "\033O");
        put(r, keypad[key].application);
    } else if (key == KEY_KPENTER) {
        put_enter(s, modes, r);
    } else if (!other || (s->locks & VT_LED_NUM)) {
        put(r, keypad[key].character);
    } else if (other == KEY_KP5) {
        put_text(r, "\033[G");
    } else {
        editing_key(s, modes, r, other);
    }
}

static void lock_key(struct keymap_state *s, struct keymap_result *r, u16 key)
{
    u8 lock = key == KEY_CAPSLOCK ? VT_LED_CAPS : key == KEY_NUMLOCK ? VT_LED_NUM : VT_LED_SCROLL;
    s->locks ^= lock;
    r->locks_changed = true;
    if (lock == VT_LED_SCROLL) // holds the output, as ^S does
        put(r, s->locks & lock ? 0x13 : 0x11);
}

// Bytes of set 1, or key codes, for who wants no translation.
static void put_raw(const struct vt_keyboard_modes *modes, struct keymap_result *r, u16 key,
                    bool pressed)
{
    u8 up = pressed ? 0 : 0x80;
    if (modes->raw == VT_KB_MEDIUMRAW) {
        if (key < 128) {
            put(r, (u8)key | up);
        } else {
            put(r, up);
            put(r, (u8)(key >> 7) | 0x80);
            put(r, (u8)key | 0x80);
        }
        return;
    }
    u16 scancode = scancode_of_key(key);
    if (key == KEY_PAUSE) { // one sequence for both
        put_text(r, pressed ? "\xe1\x1d\x45" : "\xe1\x9d\xc5");
    } else if (scancode) {
        if (scancode >> 8)
            put(r, (u8)(scancode >> 8));
        put(r, (u8)scancode | up);
    }
}

static void translate(struct keymap_state *s, const struct vt_keyboard_modes *modes,
                      struct keymap_result *r, u16 key, bool repeat)
{
    if (key == KEY_CAPSLOCK || key == KEY_NUMLOCK || key == KEY_SCROLLLOCK) {
        if (!repeat)
            lock_key(s, r, key);
    } else if ((key >= KEY_F1 && key <= KEY_F10) || key == KEY_F11 || key == KEY_F12) {
        function_key(s, r, key);
    } else if (on_keypad(key)) {
        keypad_key(s, modes, r, key);
    } else if (key == KEY_ENTER) {
        put_enter(s, modes, r);
    } else if (key == KEY_TAB) {
        put_text(r, shift(s) || alt(s) ? "\033\t" : "\t");
    } else if (key == KEY_PAUSE) {
        put_text(r, "\033[P");
    } else if (!editing_key(s, modes, r, key) && key < ARRAY_SIZE(characters) &&
               characters[key].plain) {
        put_character(s, r, key);
    }
}

// Alt-SysRq and then a letter, in every mode. True: the key was taken.
static bool sysrq_key(struct keymap_state *s, struct keymap_result *r, u16 key, s32 value)
{
    if (!alt(s))
        s->sysrq = false;
    if (key == KEY_SYSRQ && alt(s)) {
        s->sysrq |= value == 1;
        return true;
    }
    if (!s->sysrq || key == KEY_LEFTALT || key == KEY_RIGHTALT)
        return false;
    if (value == 1 && key < ARRAY_SIZE(characters) && characters[key].plain)
        act(r, KEYMAP_SYSRQ, characters[key].plain);
    return true;
}

struct keymap_result keymap_key(struct keymap_state *s, const struct vt_keyboard_modes *modes,
                                u16 keycode, s32 value)
{
    struct keymap_result r = {0};
    if (keycode > KEY_MAX)
        return r;
    value ? __set_bit(keycode, s->held) : __clear_bit(keycode, s->held);
    if (sysrq_key(s, &r, keycode, value))
        return r;
    if (modes->raw == VT_KB_RAW || modes->raw == VT_KB_MEDIUMRAW)
        put_raw(modes, &r, keycode, value);
    else if (modes->raw != VT_KB_OFF && value)
        translate(s, modes, &r, keycode, value == 2);
    return r;
}
