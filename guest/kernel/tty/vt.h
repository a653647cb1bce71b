// SPDX-License-Identifier: MIT
// Virtual terminals tty1..tty4 on the display, as the keyboard sees them. console_codes(4),
// ioctl_console(2).
#pragma once

#include "lib/types.h"

#define VT_COUNT 4

// The four functions below may be called from the keyboard's interrupt, its bottom half or a task;
// none sleeps. Without a display they do nothing.

// Input for the foreground terminal's line discipline (bytes as a terminal sends them).
void vt_receive(const u8 *bytes, size_t n);

// Terminal `number` (1..VT_COUNT, others are ignored) comes to the foreground: soon, in the bottom
// half. Also from one in KD_GRAPHICS: VT_PROCESS is not implemented.
void vt_switch(unsigned number);

// Looks `lines` further back (negative: forward) in the foreground terminal's history; the next
// output or input ends it.
void vt_scroll_back(int lines);

enum vt_keyboard_raw { VT_KB_XLATE, VT_KB_RAW, VT_KB_MEDIUMRAW, VT_KB_UNICODE, VT_KB_OFF };
#define VT_LED_SCROLL 1 // as KDSETLED counts them
#define VT_LED_NUM 2
#define VT_LED_CAPS 4
struct vt_keyboard_modes {
    enum vt_keyboard_raw raw; // KDSKBMODE
    bool application_cursor;  // DECCKM: arrow keys send ESC O instead of ESC [
    bool application_keypad;  // DECPAM
    bool newline;             // LNM: Enter sends CR LF
    bool leds_given;          // KDSETLED has set the LEDs: they no longer follow the locks
    u8 leds;                  // VT_LED_*, if leds_given
};
// Of the foreground terminal, as they are at this moment.
struct vt_keyboard_modes vt_keyboard_modes(void);

// The keyboard's driver is told when the modes, the LEDs among them, may have changed (also by a
// switch); any context, must not sleep. NULL: nobody.
void vt_set_keyboard_notify(void (*changed)(void));

// Lock keys as they are now, for KDGKBLED: the keyboard's driver says so.
void vt_keyboard_locks(u8 locks);

// --- for the display (task context, may sleep)

// Makes tty0..tty4, drawn on display_get(). 0 or -errno.
int vt_init(void);
// The display has another mode: the terminals get its size.
void vt_display_changed(void);
// /dev/fb0 is used from now on: the picture's top goes to row 0, now, and stays there.
void vt_stop_panning(void);

// --- for tty_io.c

struct tty_struct;
// The terminal that `number` (0: the one in the foreground) stands for, or NULL.
struct tty_struct *vt_tty(unsigned number);
// The one that the last console= on the command line names, or NULL.
struct tty_struct *vt_console_tty(void);
