// SPDX-License-Identifier: MIT
// A screen in memory: what the terminal debugger draws into, and what its tests look at.
#ifndef VIV_FRONTENDS_TUI_CELLS_H
#define VIV_FRONTENDS_TUI_CELLS_H

#include "base/types.h"

#include <stdio.h>

// What a cell means; the terminal decides on its colours.
enum tui_style {
    TUI_PLAIN,
    TUI_DIM,     // what is not the point
    TUI_BAR,     // status lines
    TUI_FRAME,   // titles of panels
    TUI_FOCUS,   // the title of the one that has the keys
    TUI_CHANGED, // differs from the last stop
    TUI_CURRENT, // the current instruction, the selected row
    TUI_USER,    // ring 3
    TUI_KERNEL,  // ring 0
    TUI_FAULT,
    TUI_IRQ,
    TUI_ADDRESS,
    TUI_NAME,
    TUI_ALERT, // why it stopped
    TUI_STYLE_COUNT,
    TUI_STYLE_MASK = 31,
    TUI_BOLD = 32,    // or-ed: as the guest's console wants it
    TUI_REVERSE = 64,
};

struct tui_cell {
    u32 character; // Unicode
    u8 style;
};

struct tui_cells {
    int width, height;
    struct tui_cell *cells;          // [height * width]
    int cursor_x, cursor_y;          // -1: no cursor is shown
};

struct tui_rect {
    int x, y, width, height;
};

void tui_cells_resize(struct tui_cells *c, int width, int height); // and blank
void tui_cells_free(struct tui_cells *c);

void tui_fill(struct tui_cells *c, struct tui_rect r, u8 style);
// UTF-8 text on row y of the rectangle from column x on, cut at its right edge; control characters
// are shown as dots. Returns the column after it.
int tui_text(struct tui_cells *c, struct tui_rect r, int x, int y, u8 style, const char *text);
int tui_print(struct tui_cells *c, struct tui_rect r, int x, int y, u8 style, const char *format,
              ...) __attribute__((format(printf, 6, 7)));
void tui_set(struct tui_cells *c, int x, int y, u32 character, u8 style);

// One character of UTF-8 at *text, which moves on; U+FFFD for what is none.
u32 tui_decode(const char **text);

// As plain text, a line a row, blanks at the ends cut.
void tui_cells_print(const struct tui_cells *c, FILE *out);

#endif
