// SPDX-License-Identifier: MIT
// Scan code sets 1 and 2 (IBM PS/2 HITR, Keyboards). Set 1 marks a release with the top bit, set 2
// with a byte in front. Shifts behind E0 are made up by the keyboard, so that old programs see the
// cursor keys unshifted: they mean nothing.
#include "drivers/input/scancodes.h"

#include "abi/input.h"

#define PREFIX_E0 0xE0
#define PREFIX_E1 0xE1
#define PREFIX_RELEASE 0xF0
#define RELEASED_1 0x80
#define SCANCODES 0x88 // F7 has 0x83 in set 2, the highest
#define PAUSE_REST_1 5 // 1D 45 E1 9D C5
#define PAUSE_REST_2 7 // 14 77 E1 F0 14 F0 77
#define PAUSE_SCANCODE 0xE11D

#define E0(code) ((code) >> 8 == PREFIX_E0)
#define KEY_AGAIN(name, set_1, set_2) KEY(name, KEY_##name, set_1, set_2)
static const u8 keys_of_set_1[2][SCANCODES] = {
#define KEY(name, code, set_1, set_2) [E0(set_1)][(set_1)&0xFF] = (code),
#include "abi/linux_keys.def"
#undef KEY
};
static const u8 keys_of_set_2[2][SCANCODES] = {
#define KEY(name, code, set_1, set_2) [E0(set_2)][(set_2)&0xFF] = (code),
#include "abi/linux_keys.def"
#undef KEY
};
#undef KEY_AGAIN

u16 scancode_to_key(u8 set, u16 scancode)
{
    u8 code = (u8)scancode;
    if (code >= SCANCODES || (scancode >> 8 && !E0(scancode)))
        return KEY_RESERVED;
    return set == 1 ? keys_of_set_1[E0(scancode)][code] : keys_of_set_2[E0(scancode)][code];
}

u16 scancode_of_key(u16 keycode)
{
    static const u16 scancodes[] = {
#define KEY(name, code, set_1, set_2) [code] = (set_1),
#define KEY_AGAIN(name, set_1, set_2)
#include "abi/linux_keys.def"
#undef KEY
#undef KEY_AGAIN
    };
    return keycode < ARRAY_SIZE(scancodes) ? scancodes[keycode] : 0;
}

static void restart(struct scancode_decoder *d)
{
    d->prefix = 0;
    d->pause_left = 0;
    d->released = false;
}

static bool is_fake_shift(const struct scancode_decoder *d, u8 code)
{
    if (d->prefix != PREFIX_E0)
        return false;
    return d->set == 1 ? code == 0x2A || code == 0x36 : code == 0x12 || code == 0x59;
}

// The bytes behind E1, all of them the Pause key's.
static bool pause_byte(struct scancode_decoder *d, struct scancode_key *key)
{
    if (--d->pause_left)
        return false;
    restart(d);
    *key = (struct scancode_key){PAUSE_SCANCODE, KEY_PAUSE, true, true};
    return true;
}

bool scancode_decode(struct scancode_decoder *d, u8 byte, struct scancode_key *key)
{
    if (byte == 0x00 || byte == 0xFF) { // the keyboard lost some, or itself
        restart(d);
        return false;
    }
    if (d->pause_left)
        return pause_byte(d, key);
    if (byte == PREFIX_E0) {
        d->prefix = byte;
        return false;
    }
    if (byte == PREFIX_E1) {
        restart(d);
        d->pause_left = d->set == 1 ? PAUSE_REST_1 : PAUSE_REST_2;
        return false;
    }
    if (d->set == 2 && byte == PREFIX_RELEASE) {
        d->released = true;
        return false;
    }
    u8 code = d->set == 1 ? byte & (u8)~RELEASED_1 : byte;
    bool pressed = d->set == 1 ? !(byte & RELEASED_1) : !d->released;
    bool nothing = is_fake_shift(d, code);
    u16 scancode = (u16)(d->prefix == PREFIX_E0 ? PREFIX_E0 << 8 | code : code);
    restart(d);
    if (nothing)
        return false;
    *key = (struct scancode_key){scancode, scancode_to_key(d->set, scancode), pressed, false};
    key->momentary = key->keycode == KEY_PAUSE; // Ctrl-Pause sends press and release at once
    return true;
}
