// SPDX-License-Identifier: MIT
// A copy of what a machine's display shows, kept up to date by page epochs: rows in pages that
// nobody wrote to since are not looked at. Taking it changes nothing in the machine.
#ifndef VIV_DISPLAY_SURFACE_H
#define VIV_DISPLAY_SURFACE_H

#include "machine/machine.h"

// Pixels are 0x00RRGGBB, row by row without gaps.
struct surface {
    u32 width, height;
    u32 *pixels; // width * height
    // Where they were copied from.
    struct device_picture from;
    u64 epoch; // rows in pages of newer epochs may have changed
};

// Rows first .. first + count - 1; count 0: none.
struct surface_rows {
    u32 first, count;
};

// An empty surface, 0 x 0. surface_free() it.
void surface_init(struct surface *s);
void surface_free(struct surface *s);

// Copies what m shows now: black of the preferred size while its display is off, 0 x 0 if it has
// none. True: it is another picture than before, by its pixels or its size; *changed (if not NULL)
// has the rows from the first to the last that differ, all of them when the size does.
bool surface_update(struct surface *s, struct machine *m, struct surface_rows *changed);

// Of size and pixels.
u64 surface_hash(const struct surface *s);

#endif
