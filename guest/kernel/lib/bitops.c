// SPDX-License-Identifier: MIT
// Searching bitmaps.
#include "lib/bitops.h"

static unsigned long find_from(const unsigned long *map, unsigned long size, unsigned long start,
                               u64 flip)
{
    while (start < size) {
        u64 word = (map[start / 64] ^ flip) >> (start % 64);
        if (word)
            return min(start + ctz64(word), size);
        start = (start / 64 + 1) * 64;
    }
    return size;
}

unsigned long find_next_bit(const unsigned long *map, unsigned long size, unsigned long start)
{
    return find_from(map, size, start, 0);
}

unsigned long find_next_zero_bit(const unsigned long *map, unsigned long size, unsigned long start)
{
    return find_from(map, size, start, ~0UL);
}
