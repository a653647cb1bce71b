// SPDX-License-Identifier: MIT
// blocks: pieces of four squares fall into a well; full rows go. Arrows, space, p, q; blocks -n
// FRAMES plays without them, to a mark.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "screen.h"

#define WIDTH 640
#define HEIGHT 480
#define COLUMNS 10
#define ROWS 20
#define SQUARE 22
#define LEFT ((WIDTH - COLUMNS * SQUARE) / 2)
#define TOP 20
#define PERIOD_NS (1000000000u / 50)
#define FLASH_FRAMES 12
#define PIECES 7

// Four squares of a 4 by 4 grid each, as first turned; the others are made by turning.
static const struct {
    uint16_t squares; // bit 15 is the upper left
    uint8_t size;     // of the grid that turns
    uint32_t colour;
} pieces[PIECES] = {
    {0x0f00, 4, 0x38c8e0}, {0x6600, 4, 0xf0d040}, {0x4e00, 3, 0xb060e0}, {0x6c00, 3, 0x60d060},
    {0xc600, 3, 0xf06060}, {0x8e00, 3, 0x6080f0}, {0x2e00, 3, 0xf0a040},
};

struct falling {
    unsigned kind;
    uint16_t squares;
    int x, y;
};
static struct {
    uint8_t well[ROWS][COLUMNS]; // kind + 1
    struct falling now;
    unsigned next, bag[PIECES], left_in_bag;
    unsigned score, rows, level, best;
    unsigned frames_to_drop, flash;
    bool over, paused;
} game;
static uint32_t random_state;

static unsigned random_below(unsigned n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

// --- rules

static bool has(uint16_t squares, int x, int y)
{
    return squares >> (15 - y * 4 - x) & 1;
}

static uint16_t turned(const struct falling *f)
{
    int size = pieces[f->kind].size;
    uint16_t out = 0;
    for (int y = 0; y < size; y++) {
        for (int x = 0; x < size; x++) {
            if (has(f->squares, x, y)) {
                out |= (uint16_t)(1u << (15 - x * 4 - (size - 1 - y)));
            }
        }
    }
    return out;
}

static bool fits(const struct falling *f)
{
    for (int i = 0; i < 16; i++) {
        int x = f->x + i % 4, y = f->y + i / 4;
        if (!has(f->squares, i % 4, i / 4)) {
            continue;
        }
        if (x < 0 || x >= COLUMNS || y >= ROWS || (y >= 0 && game.well[y][x])) {
            return false;
        }
    }
    return true;
}

// Each kind once before any comes again.
static unsigned draw_from_bag(void)
{
    if (!game.left_in_bag) {
        for (unsigned i = 0; i < PIECES; i++) {
            game.bag[i] = i;
        }
        game.left_in_bag = PIECES;
    }
    unsigned i = random_below(game.left_in_bag), kind = game.bag[i];
    game.bag[i] = game.bag[--game.left_in_bag];
    return kind;
}

static unsigned frames_per_row(void)
{
    return game.level < 18 ? 40 - game.level * 2 : 4;
}

static void new_piece(void)
{
    game.now = (struct falling){game.next, pieces[game.next].squares, COLUMNS / 2 - 2, -1};
    game.next = draw_from_bag();
    game.frames_to_drop = frames_per_row();
    game.over = !fits(&game.now);
}

static void new_game(void)
{
    unsigned best = game.score > game.best ? game.score : game.best;
    memset(&game, 0, sizeof(game));
    game.best = best;
    game.next = draw_from_bag();
    new_piece();
}

static bool row_is_full(int y)
{
    for (int x = 0; x < COLUMNS; x++) {
        if (!game.well[y][x]) {
            return false;
        }
    }
    return true;
}

static void remove_full_rows(void)
{
    static const unsigned points[] = {0, 100, 300, 500, 800};
    unsigned removed = 0;
    for (int y = ROWS - 1; y >= 0;) {
        if (!row_is_full(y)) {
            y--;
            continue;
        }
        memmove(game.well[1], game.well[0], (size_t)y * COLUMNS);
        memset(game.well[0], 0, COLUMNS);
        removed++;
    }
    game.rows += removed;
    game.score += points[removed] * (game.level + 1);
    game.level = game.rows / 10;
}

static void settle(void)
{
    for (int i = 0; i < 16; i++) {
        int x = game.now.x + i % 4, y = game.now.y + i / 4;
        if (has(game.now.squares, i % 4, i / 4) && y >= 0) {
            game.well[y][x] = (uint8_t)(game.now.kind + 1);
        }
    }
    for (int y = 0; y < ROWS; y++) {
        game.flash = row_is_full(y) ? FLASH_FRAMES : game.flash;
    }
    if (!game.flash) {
        new_piece();
    }
}

static bool move(int dx, int dy)
{
    struct falling f = game.now;
    f.x += dx;
    f.y += dy;
    bool good = fits(&f);
    game.now = good ? f : game.now;
    return good;
}

// Beside a wall a turned piece moves aside.
static void turn(void)
{
    static const int aside[] = {0, 1, -1, 2, -2};
    struct falling f = game.now;
    f.squares = turned(&game.now);
    for (unsigned i = 0; i < sizeof(aside) / sizeof(*aside); i++) {
        f.x = game.now.x + aside[i];
        if (fits(&f)) {
            game.now = f;
            return;
        }
    }
}

static void fall(void)
{
    if (move(0, 1)) {
        game.frames_to_drop = frames_per_row();
    } else {
        settle();
    }
}

static void play_frame(const struct input *in)
{
    if (game.flash) {
        if (!--game.flash) {
            remove_full_rows();
            new_piece();
        }
        return;
    }
    if (in->pressed[KEY_LEFT]) {
        move(-1, 0);
    }
    if (in->pressed[KEY_RIGHT]) {
        move(1, 0);
    }
    if (in->pressed[KEY_UP]) {
        turn();
    }
    if (in->pressed[KEY_SPACE]) {
        while (move(0, 1)) {
            game.score += 2;
        }
        settle();
    } else if (in->pressed[KEY_DOWN] || !--game.frames_to_drop) {
        fall();
    }
}

// --- picture

static void draw_square(struct picture *p, int x, int y, uint32_t colour)
{
    draw_box(p, x, y, SQUARE - 1, SQUARE - 1, colour);
    draw_box(p, x, y, SQUARE - 1, 3, colour_mix(colour, 0xffffff, 110));
    draw_box(p, x, y, 3, SQUARE - 1, colour_mix(colour, 0xffffff, 60));
    draw_box(p, x, y + SQUARE - 4, SQUARE - 1, 3, colour_mix(colour, 0x000000, 110));
    draw_box(p, x + SQUARE - 4, y, 3, SQUARE - 1, colour_mix(colour, 0x000000, 70));
}

static void draw_piece(struct picture *p, const struct falling *f, int left, int top, bool ghost)
{
    for (int i = 0; i < 16; i++) {
        int x = left + (f->x + i % 4) * SQUARE, y = top + (f->y + i / 4) * SQUARE;
        if (!has(f->squares, i % 4, i / 4) || y < TOP) {
            continue;
        }
        if (ghost) {
            draw_frame(p, x + 1, y + 1, SQUARE - 3, SQUARE - 3, 0x48506a);
        } else {
            draw_square(p, x, y, pieces[f->kind].colour);
        }
    }
}

static void draw_well(struct picture *p)
{
    draw_box(p, LEFT - 4, TOP - 4, COLUMNS * SQUARE + 7, ROWS * SQUARE + 7, 0x5a6488);
    draw_box(p, LEFT - 1, TOP - 1, COLUMNS * SQUARE + 1, ROWS * SQUARE + 1, 0x10131f);
    for (int y = 0; y < ROWS; y++) {
        bool flash = game.flash / 3 % 2 && row_is_full(y);
        for (int x = 0; x < COLUMNS; x++) {
            int at_x = LEFT + x * SQUARE, at_y = TOP + y * SQUARE;
            if (game.well[y][x]) {
                draw_square(p, at_x, at_y, flash ? 0xffffff : pieces[game.well[y][x] - 1].colour);
            } else {
                draw_box(p, at_x + SQUARE / 2 - 1, at_y + SQUARE / 2 - 1, 1, 1, 0x2a3048);
            }
        }
    }
}

static void draw_number(struct picture *p, int y, const char *name, unsigned value)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", value);
    draw_text(p, 36, y, 0x8a94b8, "%s", name);
    draw_text_scaled(p, 36, y + 16, 2, 0xf0f2ff, text);
}

static void draw_message(struct picture *p, const char *text, const char *below)
{
    int x = WIDTH / 2 - (int)strlen(text) * TEXT_WIDTH, y = TOP + 170;
    draw_box(p, LEFT, y - 14, COLUMNS * SQUARE - 1, 80, 0x1c2238);
    draw_text_scaled(p, x, y, 2, 0xffffff, text);
    draw_text(p, WIDTH / 2 - (int)strlen(below) * TEXT_WIDTH / 2, y + 40, 0xb0b8d8, "%s", below);
}

static void draw_game(struct picture *p)
{
    static const char *const help[] = {"left right  move",   "up          turn",
                                       "down        faster", "space       drop",
                                       "p           pause",  "q           end"};
    for (int y = 0; y < HEIGHT; y++) {
        draw_box(p, 0, y, WIDTH, 1, colour_mix(0x1a2038, 0x0a0c14, (unsigned)(y * 256 / HEIGHT)));
    }
    draw_well(p);
    if (!game.flash && !game.over) {
        struct falling ghost = game.now;
        do {
            ghost.y++;
        } while (fits(&ghost));
        ghost.y--;
        draw_piece(p, &ghost, LEFT, TOP, true);
        draw_piece(p, &game.now, LEFT, TOP, false);
    }
    draw_text_scaled(p, 36, 24, 3, 0x38c8e0, "BLOCKS");
    draw_number(p, 100, "score", game.score);
    draw_number(p, 160, "best", game.score > game.best ? game.score : game.best);
    draw_number(p, 220, "rows", game.rows);
    draw_number(p, 280, "level", game.level + 1);
    draw_text(p, LEFT + COLUMNS * SQUARE + 40, 24, 0x8a94b8, "next");
    struct falling next = {game.next, pieces[game.next].squares, 0, 0};
    draw_piece(p, &next, LEFT + COLUMNS * SQUARE + 40, 52, false);
    for (int i = 0; i < 6; i++) {
        draw_text(p, LEFT + COLUMNS * SQUARE + 40, 330 + i * 20, 0x8a94b8, "%s", help[i]);
    }
    if (game.over) {
        draw_message(p, "GAME OVER", "Enter: again");
    } else if (game.paused) {
        draw_message(p, "PAUSE", "p: go on");
    }
}

// What a player does who is not there.
static void play_by_itself(struct input *in, unsigned frame)
{
    static const uint8_t keys[] = {KEY_LEFT,  KEY_LEFT,  KEY_LEFT, KEY_UP,    KEY_SPACE, KEY_DOWN,
                                   KEY_RIGHT, KEY_RIGHT, KEY_DOWN, KEY_SPACE, KEY_UP,    KEY_DOWN};
    memset(in->pressed, 0, sizeof(in->pressed));
    in->pressed[keys[frame % sizeof(keys)]] = true;
}

int main(int argc, char **argv)
{
    unsigned asked = screen_frames_asked(argc, argv), frame = 0;
    bool more;
    static struct screen s;
    static struct input in;
    screen_open(&s, WIDTH, HEIGHT);
    random_state = asked ? 1 : (uint32_t)now_ns();
    new_game();
    do {
        if (asked) {
            play_by_itself(&in, frame);
        } else {
            input_read(&in);
        }
        frame++;
        if (in.pressed[KEY_Q] || in.pressed[KEY_ESC]) {
            break;
        }
        game.paused ^= in.pressed[KEY_P] && !game.over;
        if (game.over && in.pressed[KEY_ENTER]) {
            new_game();
        } else if (!game.over && !game.paused) {
            play_frame(&in);
        }
        draw_game(&s.picture);
        if (!asked) {
            pace(PERIOD_NS);
        }
        more = screen_show(&s);
    } while (more && frame != asked);
    if (more && asked) {
        screen_mark("blocks");
    }
    fprintf(stderr, "blocks: %u points, %u rows\n", game.score, game.rows);
    return 0;
}
