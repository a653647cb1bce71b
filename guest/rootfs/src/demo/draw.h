// SPDX-License-Identifier: MIT
// Drawing into a picture in memory: what the demos share. Coordinates in dots, from the upper left;
// whatever lies outside is not drawn. Colours are 0xRRGGBB.
#pragma once

#include <stdint.h>

struct picture {
    int width, height;
    uint32_t *dots; // row after row
};

#define TEXT_WIDTH 8 // of a character
#define TEXT_HEIGHT 16

int picture_make(struct picture *p, int width, int height); // 0, or -1 without memory
void draw_fill(struct picture *p, uint32_t colour);
void draw_box(struct picture *p, int x, int y, int width, int height, uint32_t colour);
void draw_frame(struct picture *p, int x, int y, int width, int height, uint32_t colour);
void draw_line(struct picture *p, int x0, int y0, int x1, int y1, uint32_t colour);
void draw_disc(struct picture *p, int x, int y, int radius, uint32_t colour);
// ASCII and Latin-1 in UTF-8; every dot `scale` wide and high. Returns where the text ends.
int draw_text_scaled(struct picture *p, int x, int y, int scale, uint32_t colour, const char *text);
int draw_text(struct picture *p, int x, int y, uint32_t colour, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
// `part` of 256 of the second colour, the rest of the first.
uint32_t colour_mix(uint32_t first, uint32_t second, unsigned part);
// A colour of the circle: hue 0..767, all equally bright.
uint32_t colour_of_hue(unsigned hue);

// glyph.c: 16 rows of a character, bit 7 is the left-most dot.
const uint8_t *glyph_rows(uint32_t code);
