// SPDX-License-Identifier: MIT
// From bytes to actions: UTF-8, control characters, escape sequences. console_codes(4).
#include "lib/string.h"
#include "tty/font/font.h"
#include "tty/vt_screen.h"

#define ESC 0x1b
#define BEL 7
#define REPLACEMENT 0xfffd

enum {
    GROUND,
    ESCAPE,
    CSI_START,  // ESC [
    CSI_PARAMS, // and a parameter, prefix or intermediate
    CSI_ECHOED, // ESC [ [, a function key's echo: one more byte
    CHARSET_G0,
    CHARSET_G1,
    HASH,
    PERCENT,
    OSC, // ESC ]
    OSC_PALETTE,
    STRING, // until BEL or ESC \: DCS, APC, PM, titles
};

// The special graphics of the VT100, 0x5f to 0x7e.
static const u16 line_drawing[] = {' ',    0x25c6, 0x2592, 0x2409, 0x240c, 0x240d, 0x240a, 0xb0,
                                   0xb1,   0x2424, 0x240b, 0x2518, 0x2510, 0x250c, 0x2514, 0x253c,
                                   0x23ba, 0x23bb, 0x2500, 0x23bc, 0x23bd, 0x251c, 0x2524, 0x2534,
                                   0x252c, 0x2502, 0x2264, 0x2265, 0x3c0,  0x2260, 0xa3,   0xb7};

static void print(struct vt_screen *s, u32 code)
{
    u8 charset = s->at.charsets[s->at.shifted];
    if (charset == VT_CHARSET_LINES && code >= 0x5f && code <= 0x7e)
        code = line_drawing[code - 0x5f];
    else if (charset == VT_CHARSET_CP437 && code < 256)
        code = font_cp437[code];
    vt_put(s, code);
}

static void control(struct vt_screen *s, u8 c)
{
    switch (c) {
    case '\b':
        s->at.wrap_pending = false;
        s->at.x -= s->at.x > 0;
        break;
    case '\t':
        vt_tab(s);
        break;
    case '\n':
    case 11:
    case 12:
        vt_line_feed(s);
        if (s->modes.newline)
            s->at.x = 0;
        break;
    case '\r':
        s->at.x = 0;
        s->at.wrap_pending = false;
        break;
    case 14: // SO
    case 15: // SI
        s->at.shifted = c == 14;
        s->modes.show_controls = false;
        break;
    case 24:
    case 26:
        s->parser.state = GROUND;
        break;
    case ESC:
        s->parser.state = ESCAPE;
        s->parser.intermediate = 0;
        break;
    }
}

// Not well-formed sequences become one replacement character for each maximal part (Unicode 3.9).
static void utf8_byte(struct vt_screen *s, u8 c)
{
    struct vt_parser *p = &s->parser;
    if (p->code_left && (c & 0xc0) == 0x80) {
        p->code = p->code << 6 | (c & 0x3f);
        if (--p->code_left)
            return;
        bool bad =
            p->code < p->code_min || p->code > 0x10ffff || (p->code >= 0xd800 && p->code <= 0xdfff);
        if (bad || p->code >= 0xa0) // C1 controls are ignored
            print(s, bad ? REPLACEMENT : p->code);
        return;
    }
    if (p->code_left)
        print(s, REPLACEMENT);
    p->code_left = 0;
    if (c < 0x80) {
        print(s, c);
    } else if (c >= 0xc2 && c < 0xf5) {
        p->code_left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        p->code_min = c < 0xe0 ? 0x80 : c < 0xf0 ? 0x800 : 0x10000;
        p->code = c & (0x3fu >> p->code_left);
    } else {
        print(s, REPLACEMENT);
    }
}

static void ground(struct vt_screen *s, u8 c)
{
    if (s->modes.show_controls && c != ESC && c != '\n' && c != '\r' && c != 14 && c != 15) {
        if (c) // as a VGA's character generator shows it
            vt_put(s, font_cp437[c]);
        return;
    }
    if (c < 32 || c == 127) {
        if (s->parser.code_left && c != 127) {
            s->parser.code_left = 0;
            print(s, REPLACEMENT);
        }
        control(s, c);
        return;
    }
    if (s->modes.utf8)
        utf8_byte(s, c);
    else if (c < 0x80 || c >= 0xa0)
        print(s, c);
}

static void csi_begin(struct vt_screen *s)
{
    struct vt_parser *p = &s->parser;
    p->state = CSI_START;
    p->prefix = p->intermediate = p->count = 0;
    memset(p->params, 0, sizeof(p->params));
}

static void escape(struct vt_screen *s, u8 c)
{
    struct vt_parser *p = &s->parser;
    static const struct {
        u8 byte, state;
    } goes_on[] = {{'(', CHARSET_G0}, {')', CHARSET_G1}, {'#', HASH},   {'%', PERCENT}, {']', OSC},
                   {'P', STRING},     {'_', STRING},     {'^', STRING}, {'X', STRING}};
    p->state = c >= 0x20 && c < 0x30 ? CSI_ECHOED : GROUND; // unknown: one more byte is part of it
    p->osc_length = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(goes_on); i++)
        if (goes_on[i].byte == c)
            p->state = goes_on[i].state;
    switch (c) {
    case '[':
        csi_begin(s);
        break;
    case 'c':
        vt_screen_reset(s);
        break;
    case 'D':
        vt_line_feed(s);
        break;
    case 'E':
        s->at.x = 0;
        vt_line_feed(s);
        break;
    case 'M':
        vt_reverse_line_feed(s);
        break;
    case 'H':
        s->tabs[s->at.x / 64] |= 1UL << (s->at.x % 64);
        break;
    case 'Z':
        vt_send(s, "\033[?6c");
        break;
    case '7':
        vt_save(s);
        break;
    case '8':
        vt_restore(s);
        break;
    case '=':
    case '>':
        s->modes.application_keypad = c == '=';
        break;
    }
}

static void charset(struct vt_screen *s, unsigned which, u8 c)
{
    u8 set = c == '0' ? VT_CHARSET_LINES : c == 'U' ? VT_CHARSET_CP437 : VT_CHARSET_ASCII;
    s->at.charsets[which] = set;
    s->parser.state = GROUND;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

// ESC ] P nrrggbb, without an end.
static void palette_byte(struct vt_screen *s, u8 c)
{
    struct vt_parser *p = &s->parser;
    if (hex_digit((char)c) < 0) {
        p->state = GROUND;
        return;
    }
    p->osc[p->osc_length++] = (char)c;
    if (p->osc_length < 7)
        return;
    u32 value = 0;
    for (unsigned i = 1; i < 7; i++)
        value = value << 4 | (u32)hex_digit(p->osc[i]);
    s->palette[hex_digit(p->osc[0])] = value;
    s->colors_changed = true;
    p->state = GROUND;
}

static void osc_byte(struct vt_screen *s, u8 c)
{
    s->parser.state = c == 'P' ? OSC_PALETTE : c == 'R' || c == BEL ? GROUND : STRING;
    if (c == 'R')
        vt_default_palette(s);
}

static void csi_byte(struct vt_screen *s, u8 c)
{
    struct vt_parser *p = &s->parser;
    if (p->state == CSI_START && c == '[') {
        p->state = CSI_ECHOED;
        return;
    }
    if (p->state == CSI_START && c >= '<' && c <= '?') {
        p->prefix = c;
    } else if (c >= '0' && c <= '9') {
        u32 value = p->params[p->count] * 10u + (c - '0');
        p->params[p->count] = (u16)min(value, 0xffffu);
    } else if (c == ';' || c == ':') {
        p->count += p->count + 1 < VT_PARAMS;
        p->params[p->count] = 0;
    } else if (c >= 0x20 && c < 0x30) {
        p->intermediate = c;
    } else {
        p->state = GROUND;
        if (c >= 0x40 && c < 0x7f && !p->intermediate)
            vt_csi(s, c);
        return;
    }
    p->state = CSI_PARAMS;
}

static void sequence_byte(struct vt_screen *s, u8 c)
{
    struct vt_parser *p = &s->parser;
    bool in_string = p->state == STRING || p->state == OSC || p->state == OSC_PALETTE;
    if (c < 32 && !(in_string && c == BEL)) { // within a sequence controls act at once
        if (!in_string || c == ESC || c == 24 || c == 26)
            control(s, c);
        return;
    }
    switch (p->state) {
    case ESCAPE:
        escape(s, c);
        break;
    case CSI_START:
    case CSI_PARAMS:
        csi_byte(s, c);
        break;
    case CHARSET_G0:
    case CHARSET_G1:
        charset(s, p->state == CHARSET_G1, c);
        break;
    case HASH:
        p->state = GROUND;
        if (c == '8')
            vt_align(s);
        break;
    case PERCENT:
        p->state = GROUND;
        if (c == '@' || c == 'G' || c == '8')
            s->modes.utf8 = c != '@';
        break;
    case OSC:
        osc_byte(s, c);
        break;
    case OSC_PALETTE:
        palette_byte(s, c);
        break;
    case STRING:
        if (c == BEL)
            p->state = GROUND;
        break;
    default: // CSI_ECHOED
        p->state = GROUND;
    }
}

// Plain ASCII up to the end of the line goes straight into the cells; returns how many bytes did.
static size_t plain_run(struct vt_screen *s, const u8 *bytes, size_t n)
{
    if (s->at.wrap_pending || s->modes.insert || s->parser.code_left || s->modes.show_controls ||
        s->at.charsets[s->at.shifted] != VT_CHARSET_ASCII)
        return 0;
    vt_cell *cell = s->line[s->at.y] + s->at.x;
    u64 attr = s->at.attr;
    size_t limit = min(n, (size_t)(s->cols - 1 - s->at.x)), i = 0;
    for (; i < limit && (u8)(bytes[i] - 32) < 127 - 32; i++)
        cell[i] = bytes[i] | attr;
    if (i) {
        s->at.x += (unsigned)i;
        s->dirty[s->at.y] = true;
    }
    return i;
}

void vt_screen_write(struct vt_screen *s, const u8 *bytes, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t run = s->parser.state == GROUND ? plain_run(s, bytes + i, n - i) : 0;
        i += run;
        if (run)
            continue;
        if (s->parser.state == GROUND)
            ground(s, bytes[i]);
        else
            sequence_byte(s, bytes[i]);
        i++;
    }
}

void vt_send(struct vt_screen *s, const char *text)
{
    if (s->answer)
        s->answer(s->context, text, strlen(text));
}
