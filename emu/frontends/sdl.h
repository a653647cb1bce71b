// SPDX-License-Identifier: MIT
// A window on an own thread, which alone calls SDL: it shows the last picture it was given, and
// posts what a person does. It never touches the machine.
#ifndef VIV_FRONTENDS_SDL_H
#define VIV_FRONTENDS_SDL_H

#include "display/surface.h"
#include "frontends/strip.h"
#include "host/posix_input.h"

struct sdl_window;

// What a person wants of a film; keys of a window that shows a replay.
enum sdl_wish {
    SDL_WISH_NONE, SDL_WISH_QUIT, SDL_WISH_PAUSE, SDL_WISH_BACK, SDL_WISH_FORWARD,
    SDL_WISH_REVERSE, SDL_WISH_FRAME, SDL_WISH_FRAME_BACK, SDL_WISH_BEGIN, SDL_WISH_END,
};

struct sdl_config {
    struct posix_input *input; // gets events, and is woken by wishes
    bool film;                 // keys are wishes instead of events
    u32 width, height;         // of the first picture
};

// STATUS_BAD_INPUT: there is no display to open a window on; the text names the headless way.
struct status sdl_open(struct sdl_window **out, const struct sdl_config *config);
void sdl_close(struct sdl_window *w);

// Shows s, of which rows have changed; copies them.
void sdl_show(struct sdl_window *w, const struct surface *s, struct surface_rows rows);
// Another row of the strip, if it is shown.
void sdl_add_sample(struct sdl_window *w, const struct strip_sample *sample);
// All of it, shown or not: a film's.
void sdl_set_strip(struct sdl_window *w, const struct strip *strip);
void sdl_set_title(struct sdl_window *w, const char *title);
enum sdl_wish sdl_next_wish(struct sdl_window *w);

#endif
