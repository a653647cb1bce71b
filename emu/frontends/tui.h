// SPDX-License-Identifier: MIT
// The terminal debugger: panels on the debugger's core (debugger/target.h).
#ifndef VIV_FRONTENDS_TUI_H
#define VIV_FRONTENDS_TUI_H

#include "debugger/target.h"
#include "frontends/tui_door.h"

struct tui_config {
    struct target *target;
    struct tui_door *door; // what the machine was built on; without live input in a replay
    bool can_type;         // the guest takes keys
};

struct tui;

struct tui *tui_create(const struct tui_config *config);
void tui_destroy(struct tui *t);

// Runs on the terminal until the user quits. Returns viv's exit status.
int tui_main(struct tui *t);

// What the target asks while it runs or searches (target_config.cancel): a look at the keyboard.
bool tui_cancel(void *tui);

// For tests, without a terminal: a screen of that size, keys one by one (enum tui_key and
// characters), and what is drawn. tui_key: false when the user quits.
void tui_resize(struct tui *t, int width, int height);
bool tui_key(struct tui *t, int key);
// One slice of a running guest, about so many milliseconds. False if nothing runs.
bool tui_slice(struct tui *t, unsigned ms);
const struct tui_cells *tui_draw(struct tui *t);

#endif
