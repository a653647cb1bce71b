// SPDX-License-Identifier: MIT
// The guest's console inside a panel: a small terminal (what busybox's vi, top and line editing use
// of ECMA-48 and the DEC VT102).
#ifndef VIV_FRONTENDS_TUI_VT_H
#define VIV_FRONTENDS_TUI_VT_H

#include "frontends/tui_cells.h"

struct tui_vt;

struct tui_vt *tui_vt_create(int width, int height);
void tui_vt_destroy(struct tui_vt *vt);

// What the guest writes.
void tui_vt_feed(struct tui_vt *vt, const u8 *bytes, size_t size);
// Answers that the guest asked for (where the cursor is); the next answer overwrites none that was
// not taken. Returns the bytes put into out, at most room.
size_t tui_vt_take_answer(struct tui_vt *vt, u8 *out, size_t room);

// Draws the terminal's lowest rows that fit; back > 0 scrolls into the lines that have left the
// top. cursor: show it.
void tui_vt_draw(const struct tui_vt *vt, struct tui_cells *c, struct tui_rect r, int back,
                 bool cursor);
int tui_vt_history(const struct tui_vt *vt); // lines that have left the top and are kept

#endif
