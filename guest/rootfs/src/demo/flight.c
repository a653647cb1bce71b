// SPDX-License-Identifier: MIT
// flight: over an endless landscape, 640 by 480. Height and colour of each spot come from maps that
// are made at the start; for each column of the screen a ray goes from near to far and draws what
// rises above all before it. Keys and mouse steer; flight -n FRAMES flies without them, to a mark.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "screen.h"

#define WIDTH 640
#define HEIGHT 480
#define MAP_BITS 10
#define MAP (1 << MAP_BITS) // spots in each direction; then it begins again
#define MASK (MAP - 1)
#define WATER 40
#define FAR 900            // how far one sees, in spots
#define NEAR 200           // up to where spots are seen as such, and therefore rounded
#define ROUNDING (8 * 256) // by how much a rounded spot may be higher, 8 bits behind the point
#define FOG_FROM 380       // where the haze begins
#define HAZE 0xc9d8e6
#define SCALE 340 // dots that a height of 1 has at distance 1
#define PERIOD_NS (1000000000u / 60)
#define TURN 0.035f

static uint8_t heights[MAP * MAP];
static uint32_t colours[MAP * MAP];
static uint32_t sky[HEIGHT * 3]; // by angle above the horizon

struct pilot {
    float x, y, height, heading, pitch, bank, speed;
    bool paused;
};

// --- the landscape

static uint32_t random_state = 2463534242u;

static int random_below(int n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return (int)(random_state % (unsigned)n);
}

static int rough(int average, int size)
{
    int v = average + random_below(size + 1) - size / 2;
    return v < 0 ? 0 : v > 255 ? 255 : v;
}

static int at(int x, int y)
{
    return heights[(y & MASK) << MAP_BITS | (x & MASK)];
}

static void set(int x, int y, int v)
{
    heights[(y & MASK) << MAP_BITS | (x & MASK)] = (uint8_t)v;
}

// Midpoints of squares, then of their edges, ever smaller; it closes at the map's borders.
static void make_heights(void)
{
    for (int y = 0; y < MAP; y += 256) {
        for (int x = 0; x < MAP; x += 256) {
            set(x, y, random_below(200));
        }
    }
    for (int step = 256; step > 1; step /= 2) {
        int half = step / 2, size = step * 3 / 4 + 2;
        for (int y = half; y < MAP; y += step) {
            for (int x = half; x < MAP; x += step) {
                int sum = at(x - half, y - half) + at(x + half, y - half) + at(x - half, y + half) +
                          at(x + half, y + half);
                set(x, y, rough(sum / 4, size));
            }
        }
        for (int y = 0; y < MAP; y += half) {
            for (int x = y / half % 2 ? 0 : half; x < MAP; x += step) {
                int sum = at(x - half, y) + at(x + half, y) + at(x, y - half) + at(x, y + half);
                set(x, y, rough(sum / 4, size));
            }
        }
    }
}

static void smooth(void)
{
    static uint8_t copy[MAP * MAP];
    memcpy(copy, heights, sizeof(copy));
    for (int y = 0; y < MAP; y++) {
        for (int x = 0; x < MAP; x++) {
            int sum = 0;
            for (int k = 0; k < 9; k++) {
                sum += copy[((y + k / 3 - 1) & MASK) << MAP_BITS | ((x + k % 3 - 1) & MASK)];
            }
            set(x, y, sum / 9);
        }
    }
}

// Wide plains and few peaks.
static void sharpen(void)
{
    for (int i = 0; i < MAP * MAP; i++) {
        int h = heights[i];
        heights[i] = (uint8_t)(h * h / 255 * 3 / 4 + h / 4);
    }
}

static uint32_t colour_at_height(int h)
{
    static const struct {
        int height;
        uint32_t colour;
    } bands[] = {{0, 0x123a6b},   {WATER - 1, 0x2f7fb5}, {WATER, 0xd8c58a}, {WATER + 6, 0x5f9a3c},
                 {95, 0x2f6b2a},  {125, 0x6b6a45},       {150, 0x7d7468},   {175, 0xa8a49c},
                 {190, 0xf4f6fa}, {256, 0xffffff}};
    unsigned i = 0;
    while (bands[i + 1].height <= h) {
        i++;
    }
    int span = bands[i + 1].height - bands[i].height;
    return colour_mix(bands[i].colour, bands[i + 1].colour,
                      (unsigned)((h - bands[i].height) * 256 / span));
}

// The sun stands low in the west: slopes that face it are bright.
static void make_colours(void)
{
    for (int y = 0; y < MAP; y++) {
        for (int x = 0; x < MAP; x++) {
            int h = at(x, y), slope = at(x - 2, y - 1) - at(x + 2, y + 1);
            int light = h < WATER ? 0 : -slope * 9;
            uint32_t c = colour_at_height(h);
            light = light > 90 ? 90 : light < -140 ? -140 : light;
            c = light >= 0 ? colour_mix(c, 0xfff2d0, (unsigned)light)
                           : colour_mix(c, 0x101828, (unsigned)-light);
            colours[y << MAP_BITS | x] =
                colour_mix(c, 0x000000, (unsigned)random_below(h < WATER ? 6 : 16));
            if (h < WATER) { // the sea is flat
                set(x, y, WATER);
            }
        }
    }
}

static void make_sky(void)
{
    for (int i = 0; i < HEIGHT * 3; i++) {
        int up = i * 256 / (HEIGHT * 2);
        sky[i] = colour_mix(HAZE, 0x3f74c0, up > 255 ? 256 : (unsigned)up);
    }
}

// --- one frame

// Height and colour between four spots; 8 bits of x and y are behind the point.
static int height_between(int x, int y)
{
    int fx = x & 255, fy = y & 255;
    int row = y >> 8 & MASK, below = (row + 1) & MASK, left = x >> 8 & MASK,
        right = (left + 1) & MASK;
    int a = heights[row << MAP_BITS | left] * (256 - fx) + heights[row << MAP_BITS | right] * fx;
    int b =
        heights[below << MAP_BITS | left] * (256 - fx) + heights[below << MAP_BITS | right] * fx;
    return (a * (256 - fy) + b * fy) >> 8; // 8 bits behind the point
}

static uint32_t colour_between(int x, int y)
{
    unsigned fx = x & 255, fy = y & 255;
    int row = y >> 8 & MASK, below = (row + 1) & MASK, left = x >> 8 & MASK,
        right = (left + 1) & MASK;
    return colour_mix(
        colour_mix(colours[row << MAP_BITS | left], colours[row << MAP_BITS | right], fx),
        colour_mix(colours[below << MAP_BITS | left], colours[below << MAP_BITS | right], fx), fy);
}

static uint32_t hazy(uint32_t colour, int distance)
{
    if (distance <= FOG_FROM) {
        return colour;
    }
    return colour_mix(colour, HAZE, (unsigned)((distance - FOG_FROM) * 256 / (FAR - FOG_FROM)));
}

// From near to far: all that is drawn before hides what comes behind.
static void draw_column(struct picture *p, const struct pilot *me, int column, int horizon)
{
    float angle = me->heading + ((float)column / WIDTH - 0.5f) * 1.2f;
    int dx = (int)(cosf(angle) * 256), dy = (int)(sinf(angle) * 256);
    int x0 = (int)(me->x * 256), y0 = (int)(me->y * 256), top = HEIGHT,
        eye = (int)(me->height * 256);
    uint32_t *dots = p->dots + column;
    for (int z = 4 * 256, step = 128; z < FAR * 256 && top > 0;
         z += step) { // 8 bits behind the point
        int x = x0 + (int)((long)dx * z >> 8), y = y0 + (int)((long)dy * z >> 8);
        int spot = (y >> 8 & MASK) << MAP_BITS | (x >> 8 & MASK);
        bool near = z < NEAR * 256;
        // Whether it may rise above what is drawn, without a division, since it mostly does not.
        long drop = eye - (heights[spot] << 8) - (near ? ROUNDING : 0);
        bool seen = drop * SCALE < (long)(top - horizon) * z;
        if (seen) {
            int height = near ? height_between(x, y) : heights[spot] << 8;
            int row = (eye - height) * SCALE / z + horizon;
            uint32_t c = near ? colour_between(x, y) : hazy(colours[spot], z >> 8);
            row = row < 0 ? 0 : row;
            for (uint32_t *d = dots + (long)(top - 1) * WIDTH; top > row; top--, d -= WIDTH) {
                *d = c;
            }
        }
        step = near ? (z < 64 * 256 ? 128 : z >> 7) : z >> 6;
        step <<= !seen; // behind a crest nothing shows for a while
    }
    for (int row = 0; row < top; row++) {
        int up = horizon - row;
        dots[(long)row * WIDTH] = sky[up < 0 ? 0 : up >= HEIGHT * 3 ? HEIGHT * 3 - 1 : up];
    }
}

static void draw_land(struct picture *p, const struct pilot *me)
{
    for (int column = 0; column < WIDTH; column++) {
        float tilt = ((float)column - WIDTH / 2) * me->bank;
        draw_column(p, me, column, (int)(HEIGHT * 0.42f + me->pitch * 220 + tilt));
    }
}

static void draw_instruments(struct picture *p, const struct pilot *me, unsigned fps)
{
    static const char help[] =
        "arrows, mouse: steer  PgUp PgDn: height  + -: speed  space: pause  q: end";
    int degrees = (int)(me->heading * 57.29578f) % 360;
    draw_text(p, 9, 9, 0x102030, "%u frames/s", fps);
    draw_text(p, 8, 8, 0xffffff, "%u frames/s", fps);
    draw_text(p, WIDTH - 240, 9, 0x102030, "height %3d  course %03d  %3d/s", (int)me->height,
              (degrees + 360) % 360, (int)me->speed);
    draw_text(p, WIDTH - 241, 8, 0xffffff, "height %3d  course %03d  %3d/s", (int)me->height,
              (degrees + 360) % 360, (int)me->speed);
    draw_text(p, 9, HEIGHT - 21, 0x102030, "%s", help);
    draw_text(p, 8, HEIGHT - 22, 0xffffff, "%s", help);
    int cx = WIDTH / 2, cy = HEIGHT / 2, lean = (int)(me->bank * 36);
    draw_line(p, cx - 36, cy - lean, cx - 12, cy - lean / 3, 0xffe060);
    draw_line(p, cx + 12, cy + lean / 3, cx + 36, cy + lean, 0xffe060);
    draw_box(p, cx - 1, cy - 1, 3, 3, 0xffe060);
}

// --- steering

static float towards(float value, float goal, float part)
{
    return value + (goal - value) * part;
}

static void steer(struct pilot *me, const struct input *in, float seconds)
{
    const bool *k = in->held;
    float turn = (float)(k[KEY_RIGHT] - k[KEY_LEFT]) + (float)in->dx * 0.15f;
    float nose = (float)(k[KEY_DOWN] - k[KEY_UP]) - (float)in->dy * 0.1f;
    me->bank = towards(me->bank, turn * -0.25f, 0.08f);
    me->bank = me->bank > 0.6f ? 0.6f : me->bank < -0.6f ? -0.6f : me->bank;
    me->heading -= me->bank * TURN * 2.2f * seconds * 60;
    me->pitch = towards(me->pitch, nose * 0.5f, 0.05f);
    me->speed +=
        (float)(k[KEY_EQUAL] + k[KEY_KPPLUS] - k[KEY_MINUS] - k[KEY_KPMINUS]) * 60 * seconds;
    me->speed += (float)in->wheel * 8;
    me->speed = me->speed < 0 ? 0 : me->speed > 400 ? 400 : me->speed;
    me->height +=
        (me->pitch * me->speed * 0.9f + (float)(k[KEY_PAGEUP] - k[KEY_PAGEDOWN]) * 80) * seconds;
    me->x += cosf(me->heading) * me->speed * seconds;
    me->y += sinf(me->heading) * me->speed * seconds;
    float ground = (float)at((int)me->x, (int)me->y) + 12;
    float ahead =
        (float)at((int)(me->x + cosf(me->heading) * 30), (int)(me->y + sinf(me->heading) * 30)) +
        16;
    ground = ground > ahead ? ground : ahead;
    if (me->height < ground) {
        me->height = towards(me->height, ground, 0.2f);
    }
    me->height = me->height > 420 ? 420 : me->height;
}

// What a pilot does who is not there: straight on, a right turn, down, a left turn with the nose
// up.
static void steer_by_itself(struct input *in, unsigned frame)
{
    unsigned part = frame / 24 % 4;
    in->held[KEY_RIGHT] = part == 1;
    in->held[KEY_PAGEDOWN] = part == 2;
    in->held[KEY_LEFT] = in->held[KEY_DOWN] = part == 3;
}

static void make_land(void)
{
    make_heights();
    smooth();
    sharpen();
    smooth();
    make_colours();
    smooth();
    make_sky();
}

int main(int argc, char **argv)
{
    static struct screen s;
    static struct input in;
    struct pilot me = {.x = 860, .y = 1000, .height = 200, .heading = 0.6f, .speed = 90};
    unsigned asked = screen_frames_asked(argc, argv);
    make_land();
    screen_open(&s, WIDTH, HEIGHT);
    uint64_t before = asked ? 0 : now_ns(), second = before, frames = 0;
    unsigned fps = 0, total = 0;
    bool more;
    do {
        uint64_t now = asked ? (uint64_t)total * PERIOD_NS : now_ns();
        float seconds = (float)(now - before) / 1e9f;
        before = now;
        if (now - second >= 1000000000u) {
            fps = (unsigned)(frames * 1000000000u / (now - second));
            second = now;
            frames = 0;
        }
        frames++;
        total++;
        if (asked) {
            steer_by_itself(&in, total);
        } else {
            input_read(&in);
        }
        me.paused ^= in.pressed[KEY_SPACE];
        if (in.pressed[KEY_Q] || in.pressed[KEY_ESC]) {
            break;
        }
        if (!me.paused) {
            steer(&me, &in, seconds > 0.1f ? 0.1f : seconds);
        }
        draw_land(&s.picture, &me);
        draw_instruments(&s.picture, &me, fps);
        if (!asked) {
            pace(PERIOD_NS);
        }
        more = screen_show(&s);
    } while (more && total != asked);
    if (more && asked) {
        screen_mark("flight");
    }
    fprintf(stderr, "flight: %u frames\n", total);
    return 0;
}
