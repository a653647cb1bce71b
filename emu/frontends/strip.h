// SPDX-License-Identifier: MIT
// The strip beside the guest's screen: what happened in the last seconds, newest at the bottom.
#ifndef VIV_FRONTENDS_STRIP_H
#define VIV_FRONTENDS_STRIP_H

#include "base/types.h"

#define STRIP_WIDTH 160
#define STRIP_ROWS 256 // one a sample

// What happened between two looks at the machine.
struct strip_sample {
    u64 steps, ring0_steps, transitions, faults;
};

// The last STRIP_ROWS samples; all zero: none yet.
struct strip {
    struct strip_sample samples[STRIP_ROWS];
    unsigned next;
};

void strip_add(struct strip *s, const struct strip_sample *sample);

// Paints STRIP_WIDTH x STRIP_ROWS pixels, 0x00RRGGBB. A row's left half are privilege transitions
// (green), its right half page faults (red), both by powers of two, before a ground that is the
// brighter the more of the steps were ring 0's; black: the guest slept.
void strip_paint(const struct strip *s, u32 *pixels);

#endif
