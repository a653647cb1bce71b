// SPDX-License-Identifier: MIT
// The console's font: 8x16 dots, made from the texts in this folder by make_font.py.
#pragma once

#include "lib/types.h"

#define FONT_WIDTH 8
#define FONT_HEIGHT 16
#define FONT_REPLACEMENT 0xfffdu // always there, as is U+0020..U+007E without gaps, in front

extern const unsigned font_count;
extern const u16 font_codes[];            // Unicode, ascending
extern const u16 font_cp437[256];         // Unicode of a PC's character set (code page 437)
extern const u8 font_rows[][FONT_HEIGHT]; // bit 7 is the left-most dot
