// SPDX-License-Identifier: MIT
// The screen in memory.
#include "frontends/tui_cells.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdlib.h>

#define REPLACEMENT 0xFFFD

void tui_cells_resize(struct tui_cells *c, int width, int height)
{
    free(c->cells);
    c->width = width > 0 ? width : 0;
    c->height = height > 0 ? height : 0;
    c->cells = xcalloc((size_t)c->width * (size_t)c->height + 1, sizeof(struct tui_cell));
    c->cursor_x = c->cursor_y = -1;
    tui_fill(c, (struct tui_rect){0, 0, c->width, c->height}, TUI_PLAIN);
}

void tui_cells_free(struct tui_cells *c)
{
    free(c->cells);
    *c = (struct tui_cells){.cursor_x = -1, .cursor_y = -1};
}

void tui_set(struct tui_cells *c, int x, int y, u32 character, u8 style)
{
    if (x >= 0 && x < c->width && y >= 0 && y < c->height) {
        c->cells[y * c->width + x] = (struct tui_cell){character, style};
    }
}

void tui_fill(struct tui_cells *c, struct tui_rect r, u8 style)
{
    for (int y = r.y; y < r.y + r.height; y++) {
        for (int x = r.x; x < r.x + r.width; x++) {
            tui_set(c, x, y, ' ', style);
        }
    }
}

u32 tui_decode(const char **text)
{
    const u8 *p = (const u8 *)*text;
    unsigned more = p[0] < 0x80 ? 0 : (p[0] & 0xE0) == 0xC0 ? 1 : (p[0] & 0xF0) == 0xE0 ? 2 : 3;
    u32 value = more == 0 ? p[0] : p[0] & (0x3Fu >> more);
    bool good = p[0] < 0x80 || (p[0] >= 0xC2 && p[0] < 0xF5);
    for (unsigned i = 1; good && i <= more; i++) {
        good = (p[i] & 0xC0) == 0x80;
        value = value << 6 | (p[i] & 0x3F);
    }
    *text += good ? more + 1 : 1;
    return good ? value : REPLACEMENT;
}

int tui_text(struct tui_cells *c, struct tui_rect r, int x, int y, u8 style, const char *text)
{
    while (*text && x < r.width) {
        u32 character = tui_decode(&text);
        if (x >= 0 && y >= 0 && y < r.height) {
            bool printable = character >= ' ' && (character < 0x7F || character >= 0xA0);
            tui_set(c, r.x + x, r.y + y, printable ? character : '.', style);
        }
        x++;
    }
    return x;
}

int tui_print(struct tui_cells *c, struct tui_rect r, int x, int y, u8 style, const char *format,
              ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return tui_text(c, r, x, y, style, text);
}

static void put_utf8(u32 character, FILE *out)
{
    if (character < 0x80) {
        fputc((int)character, out);
    } else if (character < 0x800) {
        fprintf(out, "%c%c", 0xC0 | character >> 6, 0x80 | (character & 0x3F));
    } else if (character < 0x10000) {
        fprintf(out, "%c%c%c", 0xE0 | character >> 12, 0x80 | (character >> 6 & 0x3F),
                0x80 | (character & 0x3F));
    } else {
        fprintf(out, "%c%c%c%c", 0xF0 | character >> 18, 0x80 | (character >> 12 & 0x3F),
                0x80 | (character >> 6 & 0x3F), 0x80 | (character & 0x3F));
    }
}

void tui_cells_print(const struct tui_cells *c, FILE *out)
{
    for (int y = 0; y < c->height; y++) {
        const struct tui_cell *row = c->cells + y * c->width;
        int end = c->width;
        while (end > 0 && row[end - 1].character == ' ') {
            end--;
        }
        for (int x = 0; x < end; x++) {
            put_utf8(row[x].character, out);
        }
        fputc('\n', out);
    }
}
