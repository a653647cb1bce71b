// SPDX-License-Identifier: MIT
// viv replay --frames DIR: a numbered PNG for each frame that differs from the one before, 30
// frames in a second of guest time.
#ifndef VIV_FRONTENDS_FRAMES_H
#define VIV_FRONTENDS_FRAMES_H

#include "base/status.h"
#include "machine/machine.h"

struct frames;

// Makes the directory, which must not be there or be empty, and attaches to the machine's frame
// clock: the first frame is that of its present state. STATUS_BAD_INPUT: it cannot be written, or
// the machine has no display.
struct status frames_begin(struct frames **out, const char *directory, struct machine *m);
// Writes the last frame and the list for a video encoder, frames.ffconcat (FFmpeg's concat format:
// each file and how many seconds it is shown). f may be NULL.
struct status frames_end(struct frames *f);

#endif
