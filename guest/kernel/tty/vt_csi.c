// SPDX-License-Identifier: MIT
// Control sequences (ESC [ ...): cursor, erasing, inserting, modes, reports; colours and
// attributes. console_codes(4).
#include "lib/printf.h"
#include "lib/string.h"
#include "tty/vt_screen.h"

static unsigned count_of(const struct vt_screen *s) // first parameter, a missing one or 0 is 1
{
    return max(s->parser.params[0], 1);
}

// --- the cursor

// Up and down stop at the region's edge, if they start inside.
static void move_rows(struct vt_screen *s, long by)
{
    long y = (long)s->at.y + by;
    if (by < 0 && s->at.y >= s->top)
        y = max(y, (long)s->top);
    if (by > 0 && s->at.y <= s->bottom)
        y = min(y, (long)s->bottom);
    vt_goto(s, s->at.x, y);
}

// Absolute: with DECOM relative to the region, and inside it.
static void go_row(struct vt_screen *s, long x, long y)
{
    if (s->at.origin)
        y = min(y + s->top, (long)s->bottom);
    vt_goto(s, x, y);
}

static void set_region(struct vt_screen *s)
{
    unsigned top = count_of(s), bottom = s->parser.params[1] ? s->parser.params[1] : s->rows;
    bottom = min(bottom, s->rows);
    if (top >= bottom)
        return;
    s->top = top - 1;
    s->bottom = bottom - 1;
    go_row(s, 0, 0);
}

static bool cursor(struct vt_screen *s, u8 final)
{
    unsigned n = count_of(s);
    const u16 *p = s->parser.params;
    switch (final) {
    case 'A':
        move_rows(s, -(long)n);
        break;
    case 'B':
    case 'e':
        move_rows(s, n);
        break;
    case 'C':
    case 'a':
        vt_goto(s, (long)s->at.x + n, s->at.y);
        break;
    case 'D':
        vt_goto(s, (long)s->at.x - n, s->at.y);
        break;
    case 'E':
    case 'F':
        s->at.x = 0;
        move_rows(s, final == 'E' ? (long)n : -(long)n);
        break;
    case 'G':
    case '`':
        vt_goto(s, (long)n - 1, s->at.y);
        break;
    case 'd':
        go_row(s, s->at.x, (long)n - 1);
        break;
    case 'H':
    case 'f':
        go_row(s, p[1] ? p[1] - 1 : 0, (long)n - 1);
        break;
    case 'r':
        set_region(s);
        break;
    case 's':
        vt_save(s);
        break;
    case 'u':
        vt_restore(s);
        break;
    default:
        return false;
    }
    return true;
}

// --- erasing, inserting, deleting

static void erase_display(struct vt_screen *s)
{
    struct vt_position *at = &s->at;
    switch (s->parser.params[0]) {
    case 0:
        vt_clear(s, at->y, at->x, s->cols);
        vt_clear_lines(s, at->y + 1, s->rows);
        break;
    case 1:
        vt_clear_lines(s, 0, at->y);
        vt_clear(s, at->y, 0, at->x + 1);
        break;
    case 3:
        s->history_count = 0;
        vt_clear_lines(s, 0, s->rows);
        break;
    case 2:
        vt_clear_lines(s, 0, s->rows);
        break;
    }
    at->wrap_pending = false;
}

static void erase_line(struct vt_screen *s)
{
    unsigned how = s->parser.params[0];
    if (how <= 2)
        vt_clear(s, s->at.y, how == 0 ? s->at.x : 0, how == 1 ? s->at.x + 1 : s->cols);
    s->at.wrap_pending = false;
}

// IL and DL work from the cursor's line to the region's end, inside the region only.
static void lines(struct vt_screen *s, bool insert)
{
    if (s->at.y < s->top || s->at.y > s->bottom)
        return;
    if (insert)
        vt_scroll_down(s, s->at.y, s->bottom, count_of(s));
    else
        vt_scroll_up(s, s->at.y, s->bottom, count_of(s));
    vt_goto(s, 0, s->at.y);
}

static bool editing(struct vt_screen *s, u8 final)
{
    int n = (int)min(count_of(s), s->cols);
    switch (final) {
    case 'J':
        erase_display(s);
        break;
    case 'K':
        erase_line(s);
        break;
    case 'X':
        vt_clear(s, s->at.y, s->at.x, min(s->at.x + (unsigned)n, s->cols));
        s->at.wrap_pending = false;
        break;
    case '@':
        vt_shift_cells(s, n);
        break;
    case 'P':
        vt_shift_cells(s, -n);
        break;
    case 'L':
    case 'M':
        lines(s, final == 'L');
        break;
    case 'S':
        vt_scroll_up(s, s->top, s->bottom, count_of(s));
        break;
    case 'T':
        vt_scroll_down(s, s->top, s->bottom, count_of(s));
        break;
    default:
        return false;
    }
    return true;
}

// --- modes

static void private_mode(struct vt_screen *s, unsigned mode, bool on)
{
    switch (mode) {
    case 1:
        s->modes.application_cursor = on;
        break;
    case 5:
        s->modes.reverse_screen = on;
        s->colors_changed = true;
        break;
    case 6:
        s->at.origin = on;
        go_row(s, 0, 0);
        break;
    case 7:
        s->modes.autowrap = on;
        break;
    case 25:
        s->modes.cursor_hidden = !on;
        break;
    }
}

static void set_modes(struct vt_screen *s, bool on)
{
    for (unsigned i = 0; i <= s->parser.count; i++) {
        unsigned mode = s->parser.params[i];
        if (s->parser.prefix == '?')
            private_mode(s, mode, on);
        else if (!s->parser.prefix && mode == 4)
            s->modes.insert = on;
        else if (!s->parser.prefix && mode == 20)
            s->modes.newline = on;
    }
}

static void clear_tabs(struct vt_screen *s)
{
    if (s->parser.params[0] == 0)
        s->tabs[s->at.x / 64] &= ~(1UL << (s->at.x % 64));
    else if (s->parser.params[0] == 3)
        memset(s->tabs, 0, sizeof(s->tabs));
}

static void report(struct vt_screen *s)
{
    char text[24];
    unsigned y = s->at.origin && s->at.y >= s->top ? s->at.y - s->top : s->at.y;
    if (s->parser.params[0] == 5) {
        vt_send(s, "\033[0n");
    } else if (s->parser.params[0] == 6) {
        scnprintf(text, sizeof(text), "\033[%u;%uR", y + 1, s->at.x + 1);
        vt_send(s, text);
    }
}

void vt_csi(struct vt_screen *s, u8 final)
{
    u8 prefix = s->parser.prefix;
    if (final == 'h' || final == 'l') {
        set_modes(s, final == 'h');
    } else if (prefix == '?' && final == 'c') {
        s->modes.cursor_shape = (u8)(s->parser.params[0] & 15);
    } else if (prefix) {
        return;
    } else if (final == 'm') {
        vt_sgr(s);
    } else if (final == 'n') {
        report(s);
    } else if (final == 'c') {
        if (!s->parser.params[0])
            vt_send(s, "\033[?6c"); // a VT102
    } else if (final == 'g') {
        clear_tabs(s);
    } else if (!cursor(s, final)) {
        editing(s, final);
    }
}
