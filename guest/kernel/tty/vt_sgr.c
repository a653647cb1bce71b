// SPDX-License-Identifier: MIT
// Attributes and colours of a terminal (SGR), and its palette. console_codes(4), ECMA-48 8.3.117.
#include "tty/vt_screen.h"

#define ANY_FG (0xffUL << VT_FG_SHIFT)

static void set_fg(struct vt_screen *s, unsigned color)
{
    s->at.attr = (s->at.attr & ~ANY_FG) | (u64)color << VT_FG_SHIFT;
}

static void set_bg(struct vt_screen *s, unsigned color)
{
    s->at.attr = (s->at.attr & ~VT_BG_MASK) | (u64)color << VT_BG_SHIFT;
}

// --- 256 colours: 16 of the palette, a cube of 6x6x6, 24 greys

static unsigned cube_level(unsigned i) // 0, 95, 135, ... 255
{
    return i ? 55 + 40 * i : 0;
}

static unsigned cube_index(unsigned value) // the nearest level
{
    return value < 48 ? 0 : value < 115 ? 1 : (value - 35) / 40;
}

static unsigned nearest(unsigned r, unsigned g, unsigned b)
{
    r = min(r, 255u), g = min(g, 255u), b = min(b, 255u);
    unsigned ri = cube_index(r), gi = cube_index(g), bi = cube_index(b);
    if (ri == gi && gi == bi) { // greys have finer steps
        unsigned grey = (r + g + b) / 3;
        return grey < 4 ? 16 : grey > 246 ? 231 : grey < 8 ? 232 : 232 + min((grey - 3) / 10, 23u);
    }
    return 16 + 36 * ri + 6 * gi + bi;
}

void vt_default_palette(struct vt_screen *s)
{
    for (unsigned i = 0; i < 16; i++) { // bits: red, green, blue, bright; dark yellow is brown
        unsigned low = i & 8 ? 0x55 : 0, high = i & 8 ? 0xff : 0xaa;
        unsigned r = i & 1 ? high : low, g = i & 2 ? high : low, b = i & 4 ? high : low;
        s->palette[i] = r << 16 | (i == 3 ? 0x55 : g) << 8 | b;
    }
    s->colors_changed = true;
}

u32 vt_palette_color(const struct vt_screen *s, unsigned index)
{
    if (index < 16)
        return s->palette[index];
    if (index >= 232) {
        unsigned grey = 8 + 10 * (index - 232);
        return grey << 16 | grey << 8 | grey;
    }
    index -= 16;
    return cube_level(index / 36) << 16 | cube_level(index / 6 % 6) << 8 | cube_level(index % 6);
}

// 38 and 48: ";5;n" or ";2;r;g;b". Returns the index of its last parameter.
static unsigned extended(struct vt_screen *s, unsigned i)
{
    const u16 *p = s->parser.params;
    unsigned last = s->parser.count, which = p[i], color;
    if (i + 2 <= last && p[i + 1] == 5) {
        color = p[i + 2] & 0xff;
        i += 2;
    } else if (i + 4 <= last && p[i + 1] == 2) {
        color = nearest(p[i + 2], p[i + 3], p[i + 4]);
        i += 4;
    } else {
        return last;
    }
    if (which == 38)
        set_fg(s, color);
    else
        set_bg(s, color);
    return i;
}

static void flag(struct vt_screen *s, unsigned p)
{
    static const struct {
        u64 set, clear;
    } flags[30] = {
        [1] = {VT_BOLD, VT_DIM},  [2] = {VT_DIM, VT_BOLD},      [3] = {VT_ITALIC, 0},
        [4] = {VT_UNDERLINE, 0},  [5] = {VT_BLINK, 0},          [7] = {VT_REVERSE, 0},
        [21] = {VT_UNDERLINE, 0}, [22] = {0, VT_BOLD | VT_DIM}, [23] = {0, VT_ITALIC},
        [24] = {0, VT_UNDERLINE}, [25] = {0, VT_BLINK},         [27] = {0, VT_REVERSE},
    };
    s->at.attr = (s->at.attr & ~flags[p].clear) | flags[p].set;
}

static void one(struct vt_screen *s, unsigned p)
{
    if (p == 0)
        s->at.attr = VT_ATTR_DEFAULT;
    else if (p >= 10 && p <= 12)
        s->modes.show_controls = p != 10;
    else if (p < 30)
        flag(s, p);
    else if (p <= 37)
        set_fg(s, p - 30);
    else if (p == 39)
        set_fg(s, VT_FG_DEFAULT);
    else if (p >= 40 && p <= 47)
        set_bg(s, p - 40);
    else if (p == 49)
        set_bg(s, VT_BG_DEFAULT);
    else if (p >= 90 && p <= 97)
        set_fg(s, p - 90 + 8);
    else if (p >= 100 && p <= 107)
        set_bg(s, p - 100 + 8);
}

void vt_sgr(struct vt_screen *s)
{
    for (unsigned i = 0; i <= s->parser.count; i++) {
        unsigned p = s->parser.params[i];
        if (p == 38 || p == 48)
            i = extended(s, i);
        else
            one(s, p);
    }
}
