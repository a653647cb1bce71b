// SPDX-License-Identifier: MIT
// A terminal's screen as a grid of cells, and what output does to it: pure logic, nothing is drawn
// here. console_codes(4); ECMA-48.
#pragma once

#include "lib/types.h"

#define VT_MAX_COLS 240
#define VT_MAX_ROWS 96
#define VT_PARAMS 16

// A cell: bits 0..20 the character (Unicode), 24..31 VT_*, 32..39 foreground, 40..47 background
// (indices of the palette of 256 colours).
typedef u64 vt_cell;
#define VT_CHAR_MASK 0x1fffffUL
#define VT_BOLD (1UL << 24)
#define VT_DIM (1UL << 25)
#define VT_ITALIC (1UL << 26)
#define VT_UNDERLINE (1UL << 27)
#define VT_BLINK (1UL << 28)
#define VT_REVERSE (1UL << 29)
#define VT_CURSOR (1UL << 30) // only in what is drawn
#define VT_CURSOR_SHAPE_SHIFT 48
#define VT_FG_SHIFT 32
#define VT_BG_SHIFT 40
#define VT_BG_MASK (0xffUL << VT_BG_SHIFT)
#define VT_FG_DEFAULT 7
#define VT_BG_DEFAULT 0
#define VT_ATTR_DEFAULT ((u64)VT_FG_DEFAULT << VT_FG_SHIFT | (u64)VT_BG_DEFAULT << VT_BG_SHIFT)
#define VT_BLANK (VT_ATTR_DEFAULT | ' ')

enum vt_charset { VT_CHARSET_ASCII, VT_CHARSET_LINES, VT_CHARSET_CP437, VT_CHARSET_LATIN1 };

struct vt_position {
    unsigned x, y;
    bool wrap_pending; // the last column is written: the next character goes to the next line
    u64 attr;          // of what is written, without the character
    u8 charsets[2];    // G0 and G1: enum vt_charset
    u8 shifted;        // which of them
    bool origin;       // DECOM
};

struct vt_modes {
    bool autowrap, insert, newline, reverse_screen, cursor_hidden;
    bool application_cursor, application_keypad; // for the keyboard
    bool utf8;
    bool show_controls; // SGR 11: bytes are glyphs of code page 437
    u8 cursor_shape;    // ESC [ ? n c: 0 default (a line), 1 none, 2..6 from a line to a block
};

struct vt_parser {
    u8 state; // of vt_parser.c
    u8 prefix, intermediate;
    u8 count;
    u16 params[VT_PARAMS];
    u32 code;     // of the UTF-8 sequence
    u8 code_left; // bytes still to come
    u32 code_min; // smaller ones are overlong
    u8 osc_length;
    char osc[8];
};

struct vt_screen {
    unsigned cols, rows;
    vt_cell *line[VT_MAX_ROWS]; // from the top
    bool dirty[VT_MAX_ROWS];    // changed since the owner has cleared it
    unsigned scrolled;          // by how many lines the whole screen has moved up since then
    vt_cell **history;          // ring of the lines that have left the top; may be empty
    unsigned history_size, history_next, history_count;
    struct vt_position at, saved;
    unsigned top, bottom; // of the scrolling region, both included
    u64 tabs[(VT_MAX_COLS + 63) / 64];
    struct vt_modes modes;
    struct vt_parser parser;
    u32 last_char;
    u32 palette[16];     // ESC ] P changes it: 0xRRGGBB
    bool colors_changed; // also by DECSCNM: what is drawn is wrong
    // What the terminal sends by itself (reports); NULL: it does not.
    void (*answer)(void *context, const char *bytes, size_t n);
    void *context;
};

// Bytes of memory for vt_screen_init.
size_t vt_screen_memory(unsigned cols, unsigned rows, unsigned history);
// Blank, all modes as after power-on. memory: 8-byte aligned; s->answer is kept.
void vt_screen_init(struct vt_screen *s, unsigned cols, unsigned rows, unsigned history,
                    void *memory);
// ESC c.
void vt_screen_reset(struct vt_screen *s);
// Takes the lines and modes of another screen, which may have another size; its last lines stay.
void vt_screen_take_over(struct vt_screen *s, const struct vt_screen *from);
void vt_screen_write(struct vt_screen *s, const u8 *bytes, size_t n);
// Row y of what is seen when looking `back` lines (at most history_count) into the past.
const vt_cell *vt_screen_view(const struct vt_screen *s, unsigned back, unsigned y);

// --- for vt_parser.c, vt_csi.c and vt_sgr.c
void vt_put(struct vt_screen *s, u32 code);
void vt_line_feed(struct vt_screen *s);
void vt_reverse_line_feed(struct vt_screen *s);
void vt_goto(struct vt_screen *s, long x, long y);                          // clipped to the screen
void vt_clear(struct vt_screen *s, unsigned y, unsigned from, unsigned to); // columns [from, to)
void vt_clear_lines(struct vt_screen *s, unsigned from, unsigned to);       // rows [from, to)
void vt_scroll_up(struct vt_screen *s, unsigned top, unsigned bottom, unsigned n);
void vt_scroll_down(struct vt_screen *s, unsigned top, unsigned bottom, unsigned n);
void vt_shift_cells(struct vt_screen *s, int n); // at the cursor: n > 0 makes room, < 0 deletes
void vt_save(struct vt_screen *s);
void vt_restore(struct vt_screen *s);
void vt_reset_tabs(struct vt_screen *s);
void vt_tab(struct vt_screen *s);
void vt_align(struct vt_screen *s); // DECALN: a screen full of E
void vt_default_palette(struct vt_screen *s);
void vt_csi(struct vt_screen *s, u8 final);
void vt_sgr(struct vt_screen *s);
void vt_send(struct vt_screen *s, const char *text);
u32 vt_palette_color(const struct vt_screen *s, unsigned index); // 0xRRGGBB
