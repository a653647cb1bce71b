// SPDX-License-Identifier: MIT
// Draws a terminal's cells as pixels (32 bits each), only where they differ from what is there.
#pragma once

#include "tty/vt_screen.h"

struct vt_painter {
    u8 *pixels; // the display's memory, mapped
    size_t pitch;
    unsigned cols, rows;
    unsigned width, height;      // of the picture in dots
    unsigned memory_height;      // rows of dots in memory: what is above height is for scrolling
    unsigned pan;                // the row of dots that is the picture's top
    vt_cell *shown[VT_MAX_ROWS]; // what each cell looks like
    vt_cell *cells;              // their memory: cols * rows
    unsigned cursor_y;           // where it is drawn
    unsigned back;               // what vt_paint was told last
    bool everything;             // nothing of what is shown is known: draw all
    u64 painted;                 // cells drawn so far, for tests and measurements
};

// cells: room for cols * rows, both as vt_paint_size says.
void vt_painter_init(struct vt_painter *p, u8 *pixels, unsigned width, unsigned height,
                     unsigned memory_height, vt_cell *cells);
void vt_paint_size(unsigned width, unsigned height, unsigned *cols, unsigned *rows);

// Brings the picture up to date with the screen as it is seen `back` lines in the past and clears
// its dirt. may_pan: the picture may move in memory (p->pan changes; the caller tells the display
// then). The screen's size must be the painter's.
void vt_paint(struct vt_painter *p, struct vt_screen *s, unsigned back, bool may_pan);
