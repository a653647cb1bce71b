// SPDX-License-Identifier: MIT
// Painting the strip: a row a sample, lengths by powers of two.
#include "frontends/strip.h"

#define HALF (STRIP_WIDTH / 2)
#define POWER_WIDTH 4 // pixels for each doubling: 2^19 fill a half
#define GREEN 0x40C060
#define RED 0xE05040
#define GROUND_MIN 0x18
#define GROUND_RANGE 0x40

void strip_add(struct strip *s, const struct strip_sample *sample)
{
    s->samples[s->next] = *sample;
    s->next = (s->next + 1) % STRIP_ROWS;
}

static u32 length_of(u64 count)
{
    u32 powers = count ? 64 - (u32)__builtin_clzll(count) : 0;
    u32 length = powers * POWER_WIDTH;
    return length < HALF ? length : HALF;
}

static u32 ground_of(const struct strip_sample *s)
{
    if (!s->steps) {
        return 0;
    }
    u32 level = GROUND_MIN + (u32)(GROUND_RANGE * s->ring0_steps / s->steps);
    return level << 16 | level << 8 | level;
}

void strip_paint(const struct strip *s, u32 *pixels)
{
    for (unsigned y = 0; y < STRIP_ROWS; y++) {
        const struct strip_sample *sample = &s->samples[(s->next + y) % STRIP_ROWS];
        u32 *row = pixels + (size_t)y * STRIP_WIDTH, ground = ground_of(sample);
        u32 transitions = length_of(sample->transitions), faults = length_of(sample->faults);
        for (u32 x = 0; x < HALF; x++) {
            row[x] = x < transitions ? GREEN : ground;
            row[HALF + x] = x < faults ? RED : ground;
        }
    }
}
