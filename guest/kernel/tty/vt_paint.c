// SPDX-License-Identifier: MIT
// Cells to pixels. Scrolling moves the picture's top through the display's memory and draws only
// the new lines; at the memory's end, the picture is copied back to the beginning.
#include "tty/vt_paint.h"

#include "lib/string.h"
#include "tty/font/font.h"
#include "tty/words.h"

#define UNKNOWN (~0UL) // no cell looks like this
#define CELL_BYTES (FONT_WIDTH * 4)
#define UNDERLINE_ROW 14

void vt_paint_size(unsigned width, unsigned height, unsigned *cols, unsigned *rows)
{
    *cols = clamp(width / FONT_WIDTH, 1u, (unsigned)VT_MAX_COLS);
    *rows = clamp(height / FONT_HEIGHT, 1u, (unsigned)VT_MAX_ROWS);
}

void vt_painter_init(struct vt_painter *p, u8 *pixels, unsigned width, unsigned height,
                     unsigned memory_height, vt_cell *cells)
{
    *p = (struct vt_painter){.pixels = pixels,
                             .pitch = (size_t)width * 4,
                             .width = width,
                             .height = height,
                             .memory_height = memory_height,
                             .cells = cells,
                             .everything = true};
    vt_paint_size(width, height, &p->cols, &p->rows);
    for (unsigned y = 0; y < p->rows; y++)
        p->shown[y] = cells + (size_t)y * p->cols;
}

static u64 *dots_at(struct vt_painter *p, unsigned x, unsigned y)
{
    return (u64 *)(p->pixels + (p->pan + (size_t)y * FONT_HEIGHT) * p->pitch +
                   (size_t)x * CELL_BYTES);
}

static const u8 *glyph(u32 code)
{
    if (code - 0x20 < 0x5f)
        return font_rows[code - 0x20];
    for (unsigned tries = 0; tries < 2; tries++, code = FONT_REPLACEMENT) {
        unsigned low = 0, high = font_count;
        while (low < high) {
            unsigned mid = (low + high) / 2;
            if (font_codes[mid] < code)
                low = mid + 1;
            else
                high = mid;
        }
        if (low < font_count && font_codes[low] == code)
            return font_rows[low];
    }
    return font_rows[0];
}

// Bold makes the eight dark colours bright, dim is dark grey: as Linux's console does it.
static void colors_of(const struct vt_screen *s, vt_cell cell, u32 *fg, u32 *bg)
{
    unsigned f = cell >> VT_FG_SHIFT & 0xff, b = cell >> VT_BG_SHIFT & 0xff;
    if (cell & VT_DIM)
        f = 8;
    else if ((cell & VT_BOLD) && f < 8)
        f += 8;
    bool swap = !(cell & VT_REVERSE) != !s->modes.reverse_screen;
    *fg = vt_palette_color(s, swap ? b : f);
    *bg = vt_palette_color(s, swap ? f : b);
}

struct ink {
    vt_cell attr; // what pairs are for
    u64 pairs[4]; // of dots, the left one in the low half, by two bits of a glyph
    u32 fg;
};

static void ink_for(struct ink *ink, const struct vt_screen *s, vt_cell attr)
{
    u32 fg, bg;
    colors_of(s, attr, &fg, &bg);
    ink->attr = attr;
    ink->fg = fg;
    ink->pairs[0] = (u64)bg << 32 | bg;
    ink->pairs[1] = (u64)fg << 32 | bg;
    ink->pairs[2] = (u64)bg << 32 | fg;
    ink->pairs[3] = (u64)fg << 32 | fg;
}

static void draw_glyph(struct vt_painter *p, const struct ink *ink, u64 *dots, vt_cell cell)
{
    const u8 *rows = glyph(cell & VT_CHAR_MASK);
    size_t step = p->pitch / 8;
    bool italic = cell & VT_ITALIC;
    for (unsigned y = 0; y < FONT_HEIGHT; y++, dots += step) {
        unsigned bits = rows[y];
        if (italic && y < FONT_HEIGHT / 2)
            bits >>= 1;
        if (y == UNDERLINE_ROW && (cell & VT_UNDERLINE))
            bits = 0xff;
        dots[0] = ink->pairs[bits >> 6];
        dots[1] = ink->pairs[bits >> 4 & 3];
        dots[2] = ink->pairs[bits >> 2 & 3];
        dots[3] = ink->pairs[bits & 3];
    }
}

// Rows from the bottom for ESC [ ? n c: none, underline, a third, half, two thirds, block.
static void draw_cursor(struct vt_painter *p, const struct vt_screen *s, const struct ink *ink,
                        u64 *dots)
{
    static const u8 heights[] = {2, 0, 2, 5, 8, 11, 16};
    unsigned shape = s->modes.cursor_shape;
    unsigned height = shape < sizeof(heights) ? heights[shape] : 16;
    for (unsigned y = FONT_HEIGHT - height; y < FONT_HEIGHT; y++)
        fill_words(dots + y * (p->pitch / 8), (u64)ink->fg << 32 | ink->fg, CELL_BYTES / 8);
}

static bool is_blank(vt_cell cell)
{
    return (cell & (VT_CHAR_MASK | VT_UNDERLINE | VT_CURSOR)) == ' ';
}

static void draw_blanks(struct vt_painter *p, const struct ink *ink, u64 *dots, unsigned n)
{
    for (unsigned y = 0; y < FONT_HEIGHT; y++)
        fill_words(dots + y * (p->pitch / 8), ink->pairs[0], (size_t)n * CELL_BYTES / 8);
}

// Draws the cells of row y that look different.
static void paint_row(struct vt_painter *p, struct vt_screen *s, const vt_cell *want, unsigned y,
                      unsigned cursor_x)
{
    vt_cell *shown = p->shown[y];
    struct ink ink = {.attr = UNKNOWN};
    vt_cell cursor = VT_CURSOR | (u64)s->modes.cursor_shape << VT_CURSOR_SHAPE_SHIFT;
    for (unsigned x = 0; x < p->cols; x++) {
        vt_cell cell = want[x] | (x == cursor_x ? cursor : 0);
        if (cell == shown[x])
            continue;
        vt_cell attr = cell & ~(VT_CHAR_MASK | cursor);
        if (attr != ink.attr)
            ink_for(&ink, s, attr);
        u64 *dots = dots_at(p, x, y);
        unsigned n = 1;
        shown[x] = cell;
        if (is_blank(cell)) { // with its like that follow
            for (; x + 1 < p->cols && x + 1 != cursor_x && want[x + 1] == cell &&
                   shown[x + 1] != cell;
                 x++, n++)
                shown[x + 1] = cell;
            draw_blanks(p, &ink, dots, n);
        } else {
            draw_glyph(p, &ink, dots, cell);
        }
        if (cell & VT_CURSOR)
            draw_cursor(p, s, &ink, dots);
        p->painted += n;
    }
}

// The picture's top moves down by n lines; what comes in at the bottom is not known.
static void scroll_by_panning(struct vt_painter *p, unsigned n)
{
    vt_cell *gone[VT_MAX_ROWS];
    unsigned kept = p->rows - n, by = n * FONT_HEIGHT;
    memcpy(gone, p->shown, n * sizeof(gone[0]));
    memmove(p->shown, p->shown + n, kept * sizeof(gone[0]));
    memcpy(p->shown + kept, gone, n * sizeof(gone[0]));
    for (unsigned y = kept; y < p->rows; y++)
        fill_words(p->shown[y], UNKNOWN, p->cols);
    if (p->pan + by + p->height > p->memory_height) {
        copy_words((u64 *)p->pixels, (const u64 *)(p->pixels + (p->pan + by) * p->pitch),
                   (size_t)kept * FONT_HEIGHT * p->pitch / 8);
        p->pan = 0;
    } else {
        p->pan += by;
    }
    unsigned below = p->rows * FONT_HEIGHT; // a strip that is no line's
    fill_words((u64 *)(p->pixels + (p->pan + below) * p->pitch), 0,
               (p->height - below) * p->pitch / 8);
}

static void dirty_all(const struct vt_painter *p, struct vt_screen *s)
{
    for (unsigned y = 0; y < p->rows; y++)
        s->dirty[y] = true;
}

static void forget_everything(struct vt_painter *p, struct vt_screen *s)
{
    p->everything = false;
    p->pan = 0;
    fill_words((u64 *)p->pixels, 0, (size_t)p->height * p->pitch / 8);
    fill_words(p->cells, UNKNOWN, (size_t)p->cols * p->rows);
    s->scrolled = 0;
    dirty_all(p, s);
}

static void take_scrolling(struct vt_painter *p, struct vt_screen *s, bool may_pan)
{
    unsigned n = s->scrolled;
    s->scrolled = 0;
    if (n && n < p->rows && may_pan && p->memory_height >= p->height + FONT_HEIGHT) {
        scroll_by_panning(p, n);
        p->cursor_y = p->cursor_y >= n ? p->cursor_y - n : 0;
    } else if (n) {
        dirty_all(p, s);
    }
}

void vt_paint(struct vt_painter *p, struct vt_screen *s, unsigned back, bool may_pan)
{
    if (s->colors_changed || (!may_pan && p->pan))
        p->everything = true;
    s->colors_changed = false;
    if (p->everything)
        forget_everything(p, s);
    take_scrolling(p, s, may_pan && !back);
    if (p->back != back || back) // the dirt is of other rows than those that are seen
        dirty_all(p, s);
    p->back = back;
    bool visible = !s->modes.cursor_hidden && s->at.y + back < p->rows;
    unsigned cursor_y = s->at.y + back;
    s->dirty[p->cursor_y] = true;
    if (visible)
        s->dirty[cursor_y] = true;
    for (unsigned y = 0; y < p->rows; y++) {
        if (!s->dirty[y])
            continue;
        paint_row(p, s, vt_screen_view(s, back, y), y,
                  visible && y == cursor_y ? s->at.x : VT_MAX_COLS);
        s->dirty[y] = false;
    }
    if (visible)
        p->cursor_y = cursor_y;
}
