// SPDX-License-Identifier: MIT
// Where two runs part, and in what their machines differ there.
#ifndef VIV_REPLAY_DIVERGENCE_H
#define VIV_REPLAY_DIVERGENCE_H

#include "replay/log_reader.h"
#include "replay/timeline.h"

// What the recordings' hashes say: nothing differs at or before equal_step, something does at
// differs_step (UINT64_MAX: no hash differs). Hints: only running both tells.
struct divergence_range {
    u64 equal_step, differs_step;
};
struct divergence_range divergence_of_hashes(const struct log_reader *a,
                                             const struct log_reader *b);

// The first step at which the machines' states differ, from range->equal_step up to last_step;
// UINT64_MAX: none was seen (differences that heal within a stride are not). Seeks in both
// timelines, which must be of recordings; both stand at that step afterwards. Ends, with any
// result, within milliseconds of cancel(ctx) saying so (NULL: never).
u64 divergence_find(struct timeline *a, struct timeline *b, const struct divergence_range *range,
                    u64 last_step, bool (*cancel)(void *ctx), void *ctx);

// Calls line(ctx, text) for each register, device field and page of memory that differs (at most
// lines_max, then how many more).
void divergence_describe(struct machine *a, struct machine *b, unsigned lines_max,
                         void (*line)(void *ctx, const char *text), void *ctx);

// The first input that differs or that only one has, and its step (the earlier one); false: the
// logs are the same up to last_step. text: one line.
bool divergence_of_inputs(const struct input_log *a, const struct input_log *b, u64 last_step,
                          u64 *step, char *text, size_t size);

#endif
