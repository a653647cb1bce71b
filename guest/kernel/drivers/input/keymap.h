// SPDX-License-Identifier: MIT
// What a key means on a virtual terminal: the US layout, by Linux's default keymap (keymaps(5),
// console_codes(4)). Nothing but logic: tested on the host.
#pragma once

#include "abi/input.h"
#include "lib/bitops.h"
#include "tty/vt.h"

#define KEYMAP_BYTES 8

// The keyboard as the terminals see it. Zeroed at the start.
struct keymap_state {
    DECLARE_BITMAP(held, KEY_MAX + 1);
    u8 locks;   // VT_LED_*
    bool sysrq; // Alt-SysRq was pressed and Alt is still held
};

enum keymap_action {
    KEYMAP_NONE,
    KEYMAP_SWITCH, // to terminal `argument`
    KEYMAP_STEP,   // to the one before (-1) or behind (1)
    KEYMAP_SCROLL, // look `argument` half screens back
    KEYMAP_REBOOT, // Ctrl-Alt-Del
    KEYMAP_SYSRQ,  // the character is in `argument`
};
struct keymap_result {
    u8 bytes[KEYMAP_BYTES]; // for the terminal
    u8 n;
    bool locks_changed;
    enum keymap_action action;
    int argument;
};
// A key event (value: 0 released, 1 pressed, 2 repeated) in the modes of the foreground terminal.
struct keymap_result keymap_key(struct keymap_state *s, const struct vt_keyboard_modes *modes,
                                u16 keycode, s32 value);
