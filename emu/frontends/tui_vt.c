// SPDX-License-Identifier: MIT
// The small terminal. Sequences that it does not know are read to their end and ignored.
#include "frontends/tui_vt.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define HISTORY_LINES 2000
#define PARAMETERS_MAX 8
#define TAB 8

enum vt_state { VT_TEXT, VT_ESCAPE, VT_CSI, VT_OSC, VT_CHARSET };

struct tui_vt {
    int width, height;
    struct tui_cell *cells;   // [height * width]
    struct tui_cell *history; // ring of HISTORY_LINES rows
    u64 scrolled;             // rows that left the top since the start
    int x, y, saved_x, saved_y;
    int top, bottom;          // scrolling region, bottom excluded
    bool wrap_pending, hidden_cursor;
    u8 style;
    enum vt_state state;
    int parameters[PARAMETERS_MAX];
    int parameter_count;
    bool is_private;
    char utf8[5];
    unsigned utf8_used, utf8_need;
    u8 answer[64];
    size_t answer_used;
};

static struct tui_cell *row_of(const struct tui_vt *vt, int y)
{
    return vt->cells + (size_t)y * (size_t)vt->width;
}

static void blank(struct tui_vt *vt, int y, int from, int to)
{
    for (int x = from; x < to && x < vt->width; x++) {
        row_of(vt, y)[x] = (struct tui_cell){' ', TUI_PLAIN};
    }
}

struct tui_vt *tui_vt_create(int width, int height)
{
    struct tui_vt *vt = xcalloc(1, sizeof(*vt));
    vt->width = width;
    vt->height = height;
    vt->bottom = height;
    vt->cells = xcalloc((size_t)width * (size_t)height, sizeof(struct tui_cell));
    vt->history = xcalloc((size_t)width * HISTORY_LINES, sizeof(struct tui_cell));
    for (int y = 0; y < height; y++) {
        blank(vt, y, 0, width);
    }
    return vt;
}

void tui_vt_destroy(struct tui_vt *vt)
{
    if (vt) {
        free(vt->cells);
        free(vt->history);
        free(vt);
    }
}

static size_t row_bytes(const struct tui_vt *vt)
{
    return (size_t)vt->width * sizeof(struct tui_cell);
}

// The rows top..bottom-1 move up (count > 0) or down.
static void scroll(struct tui_vt *vt, int top, int bottom, int count)
{
    for (int i = 0; i < (count > 0 ? count : -count) && bottom - top > 0; i++) {
        size_t moved = (size_t)(bottom - top - 1) * row_bytes(vt);
        if (count > 0) {
            if (top == 0 && bottom == vt->height) {
                memcpy(vt->history + (vt->scrolled % HISTORY_LINES) * (size_t)vt->width,
                       row_of(vt, 0), row_bytes(vt));
                vt->scrolled++;
            }
            memmove(row_of(vt, top), row_of(vt, top + 1), moved);
            blank(vt, bottom - 1, 0, vt->width);
        } else {
            memmove(row_of(vt, top + 1), row_of(vt, top), moved);
            blank(vt, top, 0, vt->width);
        }
    }
}

static void line_feed(struct tui_vt *vt)
{
    if (vt->y == vt->bottom - 1) {
        scroll(vt, vt->top, vt->bottom, 1);
    } else if (vt->y < vt->height - 1) {
        vt->y++;
    }
}

static void put(struct tui_vt *vt, u32 character)
{
    if (vt->wrap_pending) {
        vt->x = 0;
        line_feed(vt);
        vt->wrap_pending = false;
    }
    row_of(vt, vt->y)[vt->x] = (struct tui_cell){character, vt->style};
    if (vt->x == vt->width - 1) {
        vt->wrap_pending = true;
    } else {
        vt->x++;
    }
}

static int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

static void move_to(struct tui_vt *vt, int x, int y)
{
    vt->x = clamp(x, 0, vt->width - 1);
    vt->y = clamp(y, 0, vt->height - 1);
    vt->wrap_pending = false;
}

static int parameter(const struct tui_vt *vt, int index, int fallback)
{
    return index < vt->parameter_count && vt->parameters[index] ? vt->parameters[index] : fallback;
}

static void erase_display(struct tui_vt *vt, int what)
{
    for (int y = 0; y < vt->height; y++) {
        if (what == 2 || what == 3 || (what == 0 && y > vt->y) || (what == 1 && y < vt->y)) {
            blank(vt, y, 0, vt->width);
        }
    }
    if (what == 0) {
        blank(vt, vt->y, vt->x, vt->width);
    } else if (what == 1) {
        blank(vt, vt->y, 0, vt->x + 1);
    }
}

static void erase_line(struct tui_vt *vt, int what)
{
    blank(vt, vt->y, what == 0 ? vt->x : 0, what == 1 ? vt->x + 1 : vt->width);
}

static void select_rendition(struct tui_vt *vt)
{
    for (int i = 0; i < vt->parameter_count || i == 0; i++) {
        switch (i < vt->parameter_count ? vt->parameters[i] : 0) {
        case 0:
            vt->style = TUI_PLAIN;
            break;
        case 1:
            vt->style |= TUI_BOLD;
            break;
        case 7:
            vt->style |= TUI_REVERSE;
            break;
        case 22:
            vt->style &= (u8)~TUI_BOLD;
            break;
        case 27:
            vt->style &= (u8)~TUI_REVERSE;
            break;
        default: // colours are left out
            break;
        }
    }
}

static void answer(struct tui_vt *vt, const char *text)
{
    size_t size = strlen(text);
    if (size <= sizeof(vt->answer) - vt->answer_used) {
        memcpy(vt->answer + vt->answer_used, text, size);
        vt->answer_used += size;
    }
}

static void report(struct tui_vt *vt)
{
    char text[32];
    if (parameter(vt, 0, 0) == 6) {
        snprintf(text, sizeof(text), "\033[%d;%dR", vt->y + 1, vt->x + 1);
        answer(vt, text);
    } else if (parameter(vt, 0, 0) == 5) {
        answer(vt, "\033[0n");
    }
}

// Characters right of the cursor make room (count > 0) or close up.
static void shift_line(struct tui_vt *vt, int count)
{
    struct tui_cell *row = row_of(vt, vt->y);
    int n = clamp(count > 0 ? count : -count, 0, vt->width - vt->x);
    size_t moved = (size_t)(vt->width - vt->x - n) * sizeof(*row);
    if (count > 0) {
        memmove(row + vt->x + n, row + vt->x, moved);
        blank(vt, vt->y, vt->x, vt->x + n);
    } else {
        memmove(row + vt->x, row + vt->x + n, moved);
        blank(vt, vt->y, vt->width - n, vt->width);
    }
}

static void set_region(struct tui_vt *vt)
{
    int top = parameter(vt, 0, 1) - 1, bottom = parameter(vt, 1, vt->height);
    if (top >= 0 && bottom <= vt->height && bottom - top >= 2) {
        vt->top = top;
        vt->bottom = bottom;
        move_to(vt, 0, 0);
    }
}

static void move_cursor(struct tui_vt *vt, u8 final)
{
    int n = parameter(vt, 0, 1);
    switch (final) {
    case 'A':
        move_to(vt, vt->x, vt->y - n);
        break;
    case 'B':
        move_to(vt, vt->x, vt->y + n);
        break;
    case 'C':
        move_to(vt, vt->x + n, vt->y);
        break;
    case 'D':
        move_to(vt, vt->x - n, vt->y);
        break;
    case 'G':
        move_to(vt, n - 1, vt->y);
        break;
    case 'd':
        move_to(vt, vt->x, n - 1);
        break;
    default:
        move_to(vt, parameter(vt, 1, 1) - 1, n - 1);
        break;
    }
}

static void control_sequence(struct tui_vt *vt, u8 final)
{
    int n = clamp(parameter(vt, 0, 1), 0, 10000);
    switch (final) {
    case 'A':
    case 'B':
    case 'C':
    case 'D':
    case 'G':
    case 'd':
    case 'H':
    case 'f':
        move_cursor(vt, final);
        break;
    case 'J':
        erase_display(vt, parameter(vt, 0, 0));
        break;
    case 'K':
        erase_line(vt, parameter(vt, 0, 0));
        break;
    case 'L':
    case 'M':
        if (vt->y >= vt->top && vt->y < vt->bottom) {
            n = clamp(n, 0, vt->bottom - vt->y);
            scroll(vt, vt->y, vt->bottom, final == 'L' ? -n : n);
        }
        break;
    case '@':
    case 'P':
        shift_line(vt, final == '@' ? n : -n);
        break;
    case 'S':
    case 'T':
        n = clamp(n, 0, vt->height);
        scroll(vt, vt->top, vt->bottom, final == 'S' ? n : -n);
        break;
    case 'h':
    case 'l':
        if (vt->is_private && parameter(vt, 0, 0) == 25) {
            vt->hidden_cursor = final == 'l';
        }
        break;
    case 'm':
        select_rendition(vt);
        break;
    case 'n':
        report(vt);
        break;
    case 'r':
        set_region(vt);
        break;
    default:
        break;
    }
}

static void escape(struct tui_vt *vt, u8 byte)
{
    vt->state = VT_TEXT;
    switch (byte) {
    case '[':
        vt->state = VT_CSI;
        vt->parameter_count = 0;
        vt->is_private = false;
        memset(vt->parameters, 0, sizeof(vt->parameters));
        break;
    case ']':
        vt->state = VT_OSC;
        break;
    case '(':
    case ')':
        vt->state = VT_CHARSET;
        break;
    case '7':
        vt->saved_x = vt->x;
        vt->saved_y = vt->y;
        break;
    case '8':
        move_to(vt, vt->saved_x, vt->saved_y);
        break;
    case 'D':
        line_feed(vt);
        break;
    case 'E':
        vt->x = 0;
        line_feed(vt);
        break;
    case 'M':
        if (vt->y == vt->top) {
            scroll(vt, vt->top, vt->bottom, -1);
        } else {
            move_to(vt, vt->x, vt->y - 1);
        }
        break;
    case 'c':
        vt->top = 0;
        vt->bottom = vt->height;
        vt->style = TUI_PLAIN;
        erase_display(vt, 2);
        move_to(vt, 0, 0);
        break;
    default:
        break;
    }
}

static void csi_byte(struct tui_vt *vt, u8 byte)
{
    if (byte >= '0' && byte <= '9') {
        vt->parameter_count = vt->parameter_count ? vt->parameter_count : 1;
        int *p = &vt->parameters[vt->parameter_count - 1];
        *p = clamp(*p * 10 + byte - '0', 0, 10000);
    } else if (byte == ';') {
        vt->parameter_count = vt->parameter_count ? vt->parameter_count : 1;
        if (vt->parameter_count < PARAMETERS_MAX) {
            vt->parameter_count++;
        }
    } else if (byte == '?' || byte == '>' || byte == '=') {
        vt->is_private = true;
    } else if (byte >= 0x40 && byte < 0x7F) {
        vt->state = VT_TEXT;
        control_sequence(vt, byte);
    }
}

static void control(struct tui_vt *vt, u8 byte)
{
    switch (byte) {
    case '\b':
        move_to(vt, vt->x - 1, vt->y);
        break;
    case '\t':
        move_to(vt, (vt->x / TAB + 1) * TAB, vt->y);
        break;
    case '\n':
    case '\v':
    case '\f':
        vt->wrap_pending = false;
        line_feed(vt);
        break;
    case '\r':
        move_to(vt, 0, vt->y);
        break;
    case 27:
        vt->state = VT_ESCAPE;
        break;
    default:
        break;
    }
}

static void text_byte(struct tui_vt *vt, u8 byte)
{
    bool continues = (byte & 0xC0) == 0x80;
    if (vt->utf8_need && !continues) {
        vt->utf8_need = 0;
        put(vt, 0xFFFD);
    }
    if (vt->utf8_need) {
        vt->utf8[vt->utf8_used++] = (char)byte;
        if (vt->utf8_used == vt->utf8_need) {
            const char *p = vt->utf8;
            vt->utf8[vt->utf8_used] = '\0';
            vt->utf8_need = 0;
            put(vt, tui_decode(&p));
        }
    } else if (byte >= 0xC2 && byte < 0xF5) {
        vt->utf8[0] = (char)byte;
        vt->utf8_used = 1;
        vt->utf8_need = byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
    } else if (byte < ' ') {
        control(vt, byte);
    } else if (byte != 0x7F) {
        put(vt, byte < 0x80 ? byte : 0xFFFD);
    }
}

void tui_vt_feed(struct tui_vt *vt, const u8 *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        u8 byte = bytes[i];
        switch (vt->state) {
        case VT_TEXT:
            text_byte(vt, byte);
            break;
        case VT_ESCAPE:
            escape(vt, byte);
            break;
        case VT_CSI:
            if (byte < ' ') {
                control(vt, byte);
            } else {
                csi_byte(vt, byte);
            }
            break;
        case VT_OSC: // ends with BEL or ESC backslash
            vt->state = byte == 7 ? VT_TEXT : byte == 27 ? VT_CHARSET : VT_OSC;
            break;
        case VT_CHARSET:
            vt->state = VT_TEXT;
            break;
        }
    }
}

size_t tui_vt_take_answer(struct tui_vt *vt, u8 *out, size_t room)
{
    size_t size = vt->answer_used < room ? vt->answer_used : room;
    memcpy(out, vt->answer, size);
    vt->answer_used -= size;
    memmove(vt->answer, vt->answer + size, vt->answer_used);
    return size;
}

int tui_vt_history(const struct tui_vt *vt)
{
    return vt->scrolled < HISTORY_LINES ? (int)vt->scrolled : HISTORY_LINES;
}

// The row that counts from the oldest kept line.
static const struct tui_cell *line_at(const struct tui_vt *vt, int index)
{
    int kept = tui_vt_history(vt);
    if (index >= kept) {
        return row_of(vt, index - kept);
    }
    u64 line = vt->scrolled - (u64)kept + (u64)index;
    return vt->history + (line % HISTORY_LINES) * (size_t)vt->width;
}

// Rows below the cursor that hold nothing need no room.
static int rows_used(const struct tui_vt *vt)
{
    int used = vt->y + 1;
    for (int y = vt->height - 1; y >= used; y--) {
        for (int x = 0; x < vt->width; x++) {
            if (row_of(vt, y)[x].character != ' ') {
                return y + 1;
            }
        }
    }
    return used;
}

void tui_vt_draw(const struct tui_vt *vt, struct tui_cells *c, struct tui_rect r, int back,
                 bool cursor)
{
    int kept = tui_vt_history(vt);
    int end = kept + rows_used(vt) - clamp(back, 0, kept);
    int first = end - r.height > 0 ? end - r.height : 0;
    tui_fill(c, r, TUI_PLAIN);
    for (int y = 0; y < r.height && first + y < end; y++) {
        const struct tui_cell *row = line_at(vt, first + y);
        for (int x = 0; x < r.width && x < vt->width; x++) {
            tui_set(c, r.x + x, r.y + y, row[x].character ? row[x].character : ' ', row[x].style);
        }
    }
    int cursor_row = kept + vt->y - first;
    if (cursor && !back && !vt->hidden_cursor && cursor_row < r.height && vt->x < r.width) {
        c->cursor_x = r.x + vt->x;
        c->cursor_y = r.y + cursor_row;
    }
}
