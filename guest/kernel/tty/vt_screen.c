// SPDX-License-Identifier: MIT
// The grid of a terminal: writing characters, scrolling, erasing, the history of lines.
#include "tty/vt_screen.h"

#include "lib/string.h"
#include "tty/words.h"

static vt_cell erased(const struct vt_screen *s) // erasing keeps the background colour
{
    return ' ' | (u64)VT_FG_DEFAULT << VT_FG_SHIFT | (s->at.attr & VT_BG_MASK);
}

void vt_clear(struct vt_screen *s, unsigned y, unsigned from, unsigned to)
{
    if (from < to)
        fill_words(s->line[y] + from, erased(s), to - from);
    s->dirty[y] = true;
}

void vt_clear_lines(struct vt_screen *s, unsigned from, unsigned to)
{
    for (unsigned y = from; y < to; y++)
        vt_clear(s, y, 0, s->cols);
}

static void dirty_lines(struct vt_screen *s, unsigned from, unsigned to)
{
    for (unsigned y = from; y < to; y++)
        s->dirty[y] = true;
}

// The whole screen moves by one line; the top one goes into the history, whose oldest line is used
// again.
static void scroll_screen(struct vt_screen *s)
{
    vt_cell *fresh = s->line[0];
    if (s->history_size) {
        vt_cell **slot = &s->history[s->history_next];
        fresh = *slot;
        *slot = s->line[0];
        s->history_next = (s->history_next + 1) % s->history_size;
        s->history_count += s->history_count < s->history_size;
    }
    memmove(s->line, s->line + 1, (s->rows - 1) * sizeof(s->line[0]));
    memmove(s->dirty, s->dirty + 1, (s->rows - 1) * sizeof(s->dirty[0]));
    s->line[s->rows - 1] = fresh;
    s->scrolled++;
    vt_clear(s, s->rows - 1, 0, s->cols);
}

static void rotate(vt_cell **line, unsigned n, unsigned by) // towards lower indices
{
    vt_cell *kept[VT_MAX_ROWS];
    memcpy(kept, line, by * sizeof(*line));
    memmove(line, line + by, (n - by) * sizeof(*line));
    memcpy(line + n - by, kept, by * sizeof(*line));
}

void vt_scroll_up(struct vt_screen *s, unsigned top, unsigned bottom, unsigned n)
{
    unsigned height = bottom - top + 1;
    n = min(n, height);
    if (!n)
        return;
    if (height == s->rows) {
        while (n--)
            scroll_screen(s);
        return;
    }
    rotate(s->line + top, height, n);
    dirty_lines(s, top, bottom + 1);
    vt_clear_lines(s, bottom + 1 - n, bottom + 1);
}

void vt_scroll_down(struct vt_screen *s, unsigned top, unsigned bottom, unsigned n)
{
    unsigned height = bottom - top + 1;
    n = min(n, height);
    if (!n)
        return;
    rotate(s->line + top, height, height - n);
    dirty_lines(s, top, bottom + 1);
    vt_clear_lines(s, top, top + n);
}

void vt_line_feed(struct vt_screen *s)
{
    s->at.wrap_pending = false;
    if (s->at.y == s->bottom)
        vt_scroll_up(s, s->top, s->bottom, 1);
    else if (s->at.y + 1 < s->rows)
        s->at.y++;
}

void vt_reverse_line_feed(struct vt_screen *s)
{
    s->at.wrap_pending = false;
    if (s->at.y == s->top)
        vt_scroll_down(s, s->top, s->bottom, 1);
    else if (s->at.y)
        s->at.y--;
}

void vt_goto(struct vt_screen *s, long x, long y)
{
    s->at.wrap_pending = false;
    s->at.x = (unsigned)clamp(x, 0L, (long)s->cols - 1);
    s->at.y = (unsigned)clamp(y, 0L, (long)s->rows - 1);
}

void vt_shift_cells(struct vt_screen *s, int n)
{
    vt_cell *cell = s->line[s->at.y] + s->at.x;
    unsigned rest = s->cols - s->at.x, by = min((unsigned)(n < 0 ? -n : n), rest);
    s->at.wrap_pending = false;
    if (n > 0) {
        memmove(cell + by, cell, (rest - by) * sizeof(*cell));
        vt_clear(s, s->at.y, s->at.x, s->at.x + by);
    } else {
        memmove(cell, cell + by, (rest - by) * sizeof(*cell));
        vt_clear(s, s->at.y, s->cols - by, s->cols);
    }
}

// --- characters

static const struct {
    u32 from, to;
} wide[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},  {0xac00, 0xd7a3},
            {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},  {0xffe0, 0xffe6},
            {0x1f300, 0x1f64f}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}},
  zero[] = {{0x300, 0x36f}, {0x200b, 0x200f}, {0x202a, 0x202e}, {0xfe00, 0xfe0f}, {0xfeff, 0xfeff}};

// Columns that a character takes (Unicode's East Asian width, roughly; combining marks none).
static unsigned width_of(u32 code)
{
    if (code < 0x300)
        return 1;
    for (unsigned i = 0; i < ARRAY_SIZE(zero); i++)
        if (code >= zero[i].from && code <= zero[i].to)
            return 0;
    for (unsigned i = 0; i < ARRAY_SIZE(wide); i++)
        if (code >= wide[i].from && code <= wide[i].to)
            return 2;
    return 1;
}

static void put_one(struct vt_screen *s, u32 code)
{
    if (s->at.wrap_pending) {
        s->at.x = 0;
        vt_line_feed(s);
    }
    if (s->modes.insert)
        vt_shift_cells(s, 1);
    s->line[s->at.y][s->at.x] = code | s->at.attr;
    s->dirty[s->at.y] = true;
    if (s->at.x + 1 < s->cols)
        s->at.x++;
    else
        s->at.wrap_pending = s->modes.autowrap;
}

// A wide one (there is no glyph for any) leaves an empty cell behind it, as Linux does.
void vt_put(struct vt_screen *s, u32 code)
{
    unsigned width = width_of(code);
    if (!width)
        return;
    if (width == 2 && s->at.x + 1 == s->cols && s->modes.autowrap) {
        s->at.x = 0;
        vt_line_feed(s);
    }
    put_one(s, code);
    if (width == 2)
        put_one(s, ' ');
}

// --- positions and tabs

void vt_save(struct vt_screen *s)
{
    s->saved = s->at;
}

void vt_restore(struct vt_screen *s)
{
    s->at = s->saved;
    bool pending = s->at.wrap_pending;
    vt_goto(s, s->at.x, s->at.y);
    s->at.wrap_pending = pending && s->at.x + 1 == s->cols;
}

void vt_reset_tabs(struct vt_screen *s)
{
    for (unsigned i = 0; i < ARRAY_SIZE(s->tabs); i++)
        s->tabs[i] = 0x0101010101010101UL;
}

void vt_tab(struct vt_screen *s)
{
    s->at.wrap_pending = false;
    while (s->at.x + 1 < s->cols) {
        s->at.x++;
        if (s->tabs[s->at.x / 64] >> (s->at.x % 64) & 1)
            break;
    }
}

void vt_align(struct vt_screen *s)
{
    for (unsigned y = 0; y < s->rows; y++)
        fill_words(s->line[y], VT_ATTR_DEFAULT | 'E', s->cols);
    dirty_lines(s, 0, s->rows);
    vt_goto(s, 0, 0);
}

// --- life

size_t vt_screen_memory(unsigned cols, unsigned rows, unsigned history)
{
    return ((size_t)cols * (rows + history) + history) * sizeof(vt_cell);
}

void vt_screen_reset(struct vt_screen *s)
{
    s->at = (struct vt_position){.attr = VT_ATTR_DEFAULT};
    s->saved = s->at;
    s->modes = (struct vt_modes){.autowrap = true, .utf8 = true};
    s->parser = (struct vt_parser){.state = 0};
    s->top = 0;
    s->bottom = s->rows - 1;
    s->last_char = 0;
    vt_reset_tabs(s);
    vt_default_palette(s);
    vt_clear_lines(s, 0, s->rows);
}

void vt_screen_init(struct vt_screen *s, unsigned cols, unsigned rows, unsigned history,
                    void *memory)
{
    vt_cell *cells = memory;
    s->cols = cols;
    s->rows = rows;
    s->history_size = history;
    s->history_next = s->history_count = s->scrolled = 0;
    for (unsigned y = 0; y < rows; y++, cells += cols)
        s->line[y] = cells;
    s->history = (vt_cell **)(cells + (size_t)history * cols);
    for (unsigned i = 0; i < history; i++, cells += cols)
        s->history[i] = cells;
    vt_screen_reset(s);
}

static void copy_line(struct vt_screen *s, vt_cell *to, const vt_cell *cells, unsigned n)
{
    n = min(n, s->cols);
    memcpy(to, cells, n * sizeof(*to));
    fill_words(to + n, VT_BLANK, s->cols - n);
}

// A line of the other screen by its number: 0 is its top, negative ones are history.
static const vt_cell *old_line(const struct vt_screen *from, long number)
{
    return number < 0 ? vt_screen_view(from, (unsigned)-number, 0) : from->line[number];
}

// If the cursor would be below the new bottom, the lines above it scroll away; where there is more
// room than before, lines come back from the history.
void vt_screen_take_over(struct vt_screen *s, const struct vt_screen *from)
{
    long top = 0, rows = from->rows, history = from->history_count;
    if (from->at.y >= s->rows)
        top = (long)from->at.y - s->rows + 1;
    else if (s->rows > from->rows)
        top = -min(history, (long)(s->rows - from->rows));
    long old = min(history + top, (long)s->history_size);
    for (long i = 0; i < old; i++)
        copy_line(s, s->history[i], old_line(from, top - old + i), from->cols);
    s->history_count = (unsigned)old;
    s->history_next = s->history_size ? (unsigned)old % s->history_size : 0;
    for (long y = 0; y < s->rows && top + y < rows; y++)
        copy_line(s, s->line[y], old_line(from, top + y), from->cols);
    s->at = from->at;
    s->saved = from->saved;
    vt_goto(s, from->at.x, (long)from->at.y - top);
    s->modes = from->modes;
    s->parser = from->parser;
    memcpy(s->palette, from->palette, sizeof(s->palette));
    dirty_lines(s, 0, s->rows);
}

const vt_cell *vt_screen_view(const struct vt_screen *s, unsigned back, unsigned y)
{
    if (y >= back)
        return s->line[y - back];
    unsigned age = back - y; // 1 is the line that left last
    return s->history[(s->history_next + s->history_size - age) % s->history_size];
}
