// SPDX-License-Identifier: MIT
// --screenshot FILE.png[@STEP]: pictures of the display at steps and at the end of a run.
#ifndef VIV_FRONTENDS_SCREENSHOTS_H
#define VIV_FRONTENDS_SCREENSHOTS_H

#include "frontends/options.h"

struct screenshots;

// Creates the files. STATUS_BAD_INPUT: one cannot be written, or the machine has no display.
// *out is NULL where none is asked for; the functions below take that too.
struct status screenshots_open(struct screenshots **out, const struct run_options *o,
                               const struct machine *m);
// How far the machine may run from here: until_step, or before it the next step of a picture.
u64 screenshots_next(const struct screenshots *shots, const struct machine *m, u64 until_step);
// Takes those of the step at which the machine stands.
struct status screenshots_take(struct screenshots *shots, struct machine *m);
// The run is over (so_far: how it went): takes those of its end, frees all. A picture of a step
// that did not come is an error (STATUS_BAD_INPUT), and its file is removed.
struct status screenshots_finish(struct screenshots *shots, struct machine *m,
                                 const struct status *so_far);

#endif
