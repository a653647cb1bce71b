// SPDX-License-Identifier: MIT
// Boxes, lines, text.
#include "draw.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int picture_make(struct picture *p, int width, int height)
{
    *p = (struct picture){.width = width, .height = height};
    p->dots = calloc((size_t)width * (size_t)height, sizeof(*p->dots));
    return p->dots ? 0 : -1;
}

void draw_fill(struct picture *p, uint32_t colour)
{
    draw_box(p, 0, 0, p->width, p->height, colour);
}

void draw_box(struct picture *p, int x, int y, int width, int height, uint32_t colour)
{
    int right = x + width, bottom = y + height;
    x = x < 0 ? 0 : x;
    y = y < 0 ? 0 : y;
    right = right > p->width ? p->width : right;
    bottom = bottom > p->height ? p->height : bottom;
    for (; y < bottom; y++) {
        uint32_t *row = p->dots + (long)y * p->width;
        for (int at = x; at < right; at++) {
            row[at] = colour;
        }
    }
}

void draw_frame(struct picture *p, int x, int y, int width, int height, uint32_t colour)
{
    draw_box(p, x, y, width, 1, colour);
    draw_box(p, x, y + height - 1, width, 1, colour);
    draw_box(p, x, y, 1, height, colour);
    draw_box(p, x + width - 1, y, 1, height, colour);
}

// Bresenham's algorithm.
void draw_line(struct picture *p, int x0, int y0, int x1, int y1, uint32_t colour)
{
    int dx = abs(x1 - x0), dy = -abs(y1 - y0), error = dx + dy;
    int step_x = x0 < x1 ? 1 : -1, step_y = y0 < y1 ? 1 : -1;
    for (;;) {
        if (x0 >= 0 && x0 < p->width && y0 >= 0 && y0 < p->height) {
            p->dots[(long)y0 * p->width + x0] = colour;
        }
        if (x0 == x1 && y0 == y1) {
            return;
        }
        int twice = 2 * error;
        if (twice >= dy) {
            error += dy;
            x0 += step_x;
        }
        if (twice <= dx) {
            error += dx;
            y0 += step_y;
        }
    }
}

void draw_disc(struct picture *p, int x, int y, int radius, uint32_t colour)
{
    for (int dy = -radius; dy <= radius; dy++) {
        int half = 0;
        while ((half + 1) * (half + 1) + dy * dy <= radius * radius + radius) {
            half++;
        }
        draw_box(p, x - half, y + dy, 2 * half + 1, 1, colour);
    }
}

// The next character of UTF-8 with at most two bytes.
static uint32_t next_code(const char **text)
{
    uint32_t c = (uint8_t) * (*text)++;
    if (c >= 0xc0 && c < 0xe0 && (**text & 0xc0) == 0x80) {
        c = (c & 0x1f) << 6 | ((uint8_t) * (*text)++ & 0x3f);
    }
    return c;
}

int draw_text_scaled(struct picture *p, int x, int y, int scale, uint32_t colour, const char *text)
{
    while (*text) {
        const uint8_t *rows = glyph_rows(next_code(&text));
        for (int row = 0; row < TEXT_HEIGHT; row++) {
            for (int at = 0; at < TEXT_WIDTH; at++) {
                if (rows[row] >> (7 - at) & 1) {
                    draw_box(p, x + at * scale, y + row * scale, scale, scale, colour);
                }
            }
        }
        x += TEXT_WIDTH * scale;
    }
    return x;
}

int draw_text(struct picture *p, int x, int y, uint32_t colour, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return draw_text_scaled(p, x, y, 1, colour, text);
}

uint32_t colour_mix(uint32_t first, uint32_t second, unsigned part)
{
    uint32_t red_blue = (first & 0xff00ff) * (256 - part) + (second & 0xff00ff) * part;
    uint32_t green = (first & 0x00ff00) * (256 - part) + (second & 0x00ff00) * part;
    return (red_blue >> 8 & 0xff00ff) | (green >> 8 & 0x00ff00);
}

uint32_t colour_of_hue(unsigned hue)
{
    static const uint32_t corners[] = {0xff5050, 0xe0c030, 0x50d850, 0x30c8d8, 0x6080ff, 0xd860e0};
    hue %= 768;
    return colour_mix(corners[hue / 128], corners[(hue / 128 + 1) % 6], hue % 128 * 2);
}
