// SPDX-License-Identifier: MIT
// The frame buffer, the keyboard and the mouse for a demo. The text console comes back when the
// program ends, by whatever way but SIGKILL.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/input.h"
#include "draw.h"

struct screen {
    struct picture picture; // draw here; screen_show() brings it to the display
};

// What a person did since the last input_read().
struct input {
    bool held[KEY_MAX + 1];    // now
    bool pressed[KEY_MAX + 1]; // went down since (repeats count)
    int dx, dy, wheel;         // the mouse's: right, down, away
};

// Takes the display in the given size. Complains on stderr and exits with status 1 where there is
// none.
void screen_open(struct screen *s, int width, int height);
// Copies the picture, unless another terminal is in front. False: the program is to end (^C,
// SIGTERM, or screen_quit()).
bool screen_show(struct screen *s);
void screen_quit(void);
void input_read(struct input *in);
uint64_t now_ns(void); // CLOCK_MONOTONIC
// A run without a person, whose last picture depends on nothing but its length ("NAME -n FRAMES" on
// the command line): FRAMES, or 0 where it is not asked for. Anything else after the name: a line
// on stderr and exit with status 64.
unsigned screen_frames_asked(int argc, char **argv);
// Tells by write(2) of "mark NAME" to stderr that the picture stands; it does for 20 ms.
void screen_mark(const char *name);
// Sleeps until `period_ns` after the last call returned.
void pace(uint64_t period_ns);
