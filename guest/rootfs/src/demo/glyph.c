// SPDX-License-Identifier: MIT
// The console's font for programs.
#include "tty/font/font.h"

const u8 *glyph_rows(u32 code);

static unsigned find(u32 code)
{
    unsigned low = 0, high = font_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (font_codes[middle] < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const u8 *glyph_rows(u32 code)
{
    unsigned at = find(code);
    if (at == font_count || font_codes[at] != code)
        at = find(FONT_REPLACEMENT);
    return font_rows[at];
}
