// SPDX-License-Identifier: MIT
// Two machines beside each other that must be in the same state at every step: the first lives, the
// second gets the inputs that the first has got. They are compared after random numbers of steps.
#ifndef VIV_REPLAY_LOCKSTEP_H
#define VIV_REPLAY_LOCKSTEP_H

#include "replay/timeline.h"

struct lockstep;

// Both of the same tree, kernel and disks, at their start. b's log is empty and has no input of its
// own. From here on only the lockstep moves them. seed: of the distances between comparisons;
// comparisons are a few steps apart from dense_step on (UINT64_MAX: only at times).
struct lockstep *lockstep_create(struct timeline *a, struct timeline *b, u64 seed, u64 dense_step);
void lockstep_destroy(struct lockstep *l);

// As timeline_run() of the first. Ends with its result, or where the two differ.
struct machine_result lockstep_run(struct lockstep *l, u64 until_step);

enum lockstep_difference {
    LOCKSTEP_SAME,
    LOCKSTEP_STATE,  // registers, devices or time
    LOCKSTEP_MEMORY, // nothing but RAM
    LOCKSTEP_END,    // one ended, or took its input, elsewhere than the other
};
// What ended lockstep_run(). line: one line about it, "" if there is nothing to say but the state.
enum lockstep_difference lockstep_differs(const struct lockstep *l, char *line, size_t size);
// All of the state was equal at equal_step, and not at seen_step.
void lockstep_range(const struct lockstep *l, u64 *equal_step, u64 *seen_step);

// Runs both again from the last equal step, to ever closer goals, and leaves them at the first step
// at which they differ. False: they did not differ this time (what a cache held then may not be
// there now), or cancel(ctx) said to stop.
bool lockstep_find(struct lockstep *l, u64 *step, bool (*cancel)(void *ctx), void *ctx);

struct lockstep_counts {
    u64 comparisons, memory_comparisons;
};
struct lockstep_counts lockstep_counts(const struct lockstep *l);

#endif
