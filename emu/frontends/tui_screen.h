// SPDX-License-Identifier: MIT
// The host's terminal by ncursesw: shows a screen of cells, reads keys.
#ifndef VIV_FRONTENDS_TUI_SCREEN_H
#define VIV_FRONTENDS_TUI_SCREEN_H

#include "base/status.h"
#include "frontends/tui_cells.h"

// Keys that are no characters, beyond Unicode.
enum tui_key {
    TUI_KEY_NONE = -1,
    TUI_KEY_UP = 0x110000,
    TUI_KEY_DOWN,
    TUI_KEY_LEFT,
    TUI_KEY_RIGHT,
    TUI_KEY_PAGE_UP,
    TUI_KEY_PAGE_DOWN,
    TUI_KEY_HOME,
    TUI_KEY_END,
    TUI_KEY_INSERT,
    TUI_KEY_DELETE,
    TUI_KEY_BACKSPACE,
    TUI_KEY_BACK_TAB,
    TUI_KEY_RESIZE,
};

// STATUS_USAGE where standard input or output is no terminal, or TERM is unknown.
struct status tui_screen_open(void);
void tui_screen_close(void);

void tui_screen_size(int *width, int *height);
void tui_screen_show(const struct tui_cells *c);
// A character, an enum tui_key, or TUI_KEY_NONE after so many milliseconds (-1: waits).
int tui_screen_key(int timeout_ms);

#endif
