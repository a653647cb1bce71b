// SPDX-License-Identifier: MIT
// Virtual terminals: which one is in the foreground, and its keyboard's modes.
#include "tty/vt.h"

#include "tty/tty.h"

static struct tty_struct *vt_ttys[VT_COUNT];
static unsigned foreground; // index
static void (*keyboard_changed)(void);
static u8 keyboard_locks;

void vt_receive(const u8 *bytes, size_t n)
{
    struct tty_struct *tty = READ_ONCE(vt_ttys[READ_ONCE(foreground)]);
    if (tty)
        tty_receive(tty, bytes, n, TTY_NORMAL);
}

void vt_switch(unsigned number)
{
    if (number < 1 || number > VT_COUNT || !vt_ttys[number - 1])
        return;
    WRITE_ONCE(foreground, number - 1);
    if (keyboard_changed)
        keyboard_changed();
}

void vt_scroll_back(int lines)
{
    (void)lines; // no display yet
}

struct vt_keyboard_modes vt_keyboard_modes(void)
{
    return (struct vt_keyboard_modes){.raw = VT_KB_UNICODE, .leds = keyboard_locks};
}

void vt_set_keyboard_notify(void (*changed)(void))
{
    keyboard_changed = changed;
}

void vt_keyboard_locks(u8 locks)
{
    WRITE_ONCE(keyboard_locks, locks);
}
