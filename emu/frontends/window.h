// SPDX-License-Identifier: MIT
// --display sdl: what connects a session with its window, on the machine's thread.
#ifndef VIV_FRONTENDS_WINDOW_H
#define VIV_FRONTENDS_WINDOW_H

#include "frontends/sdl.h"
#include "host/posix_door.h"
#include "trace/ledger.h"

struct window;

// Opens it, before there is a machine. STATUS_BAD_INPUT: it cannot be.
struct status window_open(struct window **out, bool film);
// After the session's door is gone. w may be NULL.
void window_close(struct window *w);

// Keys, mouse and the power button come from the window. Before the machine is made.
void window_connect(struct window *w, struct posix_door *door, struct host *host);
// From now on it shows this machine, as time passes at the door. STATUS_BAD_INPUT: it has no
// display.
struct status window_watch(struct window *w, struct posix_door *door, struct machine *m);
// Whose figures the strip shows; as long as the machine runs.
void window_set_ledger(struct window *w, const struct ledger *ledger);

// For who decides himself when to look (a film).
struct sdl_window *window_sdl(struct window *w);
struct posix_input *window_input(struct window *w);
// Shows what the machine shows now, if that is new.
void window_show(struct window *w, struct machine *m);
// What happened since *sums was true, and now is again.
struct strip_sample window_sample(struct machine *m, const struct ledger *ledger,
                                  struct strip_sample *sums);

#endif
