// SPDX-License-Identifier: MIT
// fernscope: a live picture of the kernel. The fair class's trees, what every frame of memory is
// used for, and how often per second it is called, faults and switches; ten times a second.
// fernscope BUSY [cow] has something to show at once, fernscope -n FRAMES draws so many, to a mark.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scope_data.h"
#include "scope_load.h"
#include "screen.h"

#define WIDTH 1024
#define HEIGHT 768
#define PERIOD_NS 100000000u
#define HISTORY 144 // samples
#define CHARTS 4
#define BACKGROUND 0x0d1018
#define PANEL 0x151a26
#define INK 0xd8def0
#define FAINT 0x7c86a4

#define TREE_X 12
#define TREE_Y 44
#define TREE_WIDTH 576
#define TREE_HEIGHT 330
#define CHART_Y 384
#define CHART_HEIGHT 86
#define HALF ((TREE_WIDTH - 8) / 2) // two panels side by side
#define MAP_X 600
#define MAP_Y 44
#define MAP_WIDTH 412
#define MAP_HEIGHT 716
#define MAP_DOTS_Y 40 // of the panel, above the map
#define MAP_DOTS_HEIGHT (MAP_HEIGHT - MAP_DOTS_Y - 8)

struct chart {
    const char *name;
    uint32_t colour;
    double values[HISTORY]; // per second; the newest is last
};
static struct chart charts[CHARTS] = {{.name = "system calls", .colour = 0x58c8f0},
                                      {.name = "page faults", .colour = 0xf0a050},
                                      {.name = "context switches", .colour = 0x70d878},
                                      {.name = "interrupts", .colour = 0xd880e8}};
static const uint32_t kind_colours[PAGE_KINDS] = {
    [PAGE_FREE] = 0x1c2230,  [PAGE_KERNEL] = 0x59617c,       [PAGE_SLAB] = 0x9a72c8,
    [PAGE_CACHE] = 0x2c6f94, [PAGE_CACHE_MAPPED] = 0x58b4d8, [PAGE_OWNED] = 0x60d060,
    [PAGE_COW] = 0xffe14a};

static void panel(struct picture *p, int x, int y, int width, int height, const char *title)
{
    draw_box(p, x, y, width, height, PANEL);
    draw_frame(p, x, y, width, height, 0x2a3246);
    draw_text(p, x + 8, y + 6, INK, "%s", title);
}

// --- trees

struct area {
    int x, y, width, height;
};
struct place {
    int x, y;
};

static struct place place_of(const struct scope_tree *t, unsigned i, const struct area *a,
                             unsigned depths)
{
    int step_y = depths > 1 ? (a->height - 60) / (int)depths : 60;
    step_y = step_y > 62 ? 62 : step_y;
    return (struct place){a->x + (int)(2 * i + 1) * a->width / (int)(2 * t->count),
                          a->y + 18 + (int)t->nodes[i].depth * step_y};
}

// In order of keys, a left child comes before its parent, a right one behind it, with nothing less
// deep in between.
static unsigned parent_of(const struct scope_tree *t, unsigned i)
{
    int step = t->nodes[i].side == 'L' ? 1 : -1;
    unsigned at = i;
    do {
        at += (unsigned)step;
    } while (at < t->count && t->nodes[at].depth + 1 != t->nodes[i].depth);
    return at < t->count ? at : i;
}

static int radius_of(const struct scope_node *n)
{
    int radius = 5;
    for (uint64_t w = n->weight; w > 256 && radius < 13; w /= 2) {
        radius++;
    }
    return radius;
}

static void label(struct picture *p, const struct scope_tree *t, const struct scope_node *n,
                  struct place at, int room)
{
    double ms = (double)(int64_t)(n->vruntime - t->min_vruntime) / 1e6;
    char text[40];
    int length = snprintf(text, sizeof(text), "%+.2f", ms), below = at.y + radius_of(n) + 1;
    if (room >= 44) {
        draw_box(p, at.x - length * TEXT_WIDTH / 2, below + 2, length * TEXT_WIDTH, 12,
                 PANEL); // over edges
        draw_text(p, at.x - length * TEXT_WIDTH / 2, below, INK, "%s", text);
    }
    length = room >= 80 ? snprintf(text, sizeof(text), "%.9s %d", n->comm, n->pid)
                        : snprintf(text, sizeof(text), "%d", n->pid);
    if (room >= 32) {
        draw_box(p, at.x - length * TEXT_WIDTH / 2, below + 16, length * TEXT_WIDTH, 12, PANEL);
        draw_text(p, at.x - length * TEXT_WIDTH / 2, below + 14, FAINT, "%s", text);
    }
}

static void draw_tree(struct picture *p, const struct scope_tree *t, const struct area *a)
{
    unsigned depths = 1;
    int room = t->count ? a->width / (int)t->count : 0;
    for (unsigned i = 0; i < t->count; i++) {
        depths = t->nodes[i].depth + 1 > depths ? t->nodes[i].depth + 1 : depths;
    }
    for (unsigned i = 0; i < t->count; i++) {
        struct place here = place_of(t, i, a, depths), up = place_of(t, parent_of(t, i), a, depths);
        draw_line(p, here.x, here.y, up.x, up.y, 0x5a6688);
        draw_line(p, here.x + 1, here.y, up.x + 1, up.y, 0x5a6688);
    }
    for (unsigned i = 0; i < t->count; i++) {
        struct place here = place_of(t, i, a, depths);
        if (i == 0) { // who is next
            draw_disc(p, here.x, here.y, radius_of(&t->nodes[i]) + 3, 0xffffff);
        }
        draw_disc(p, here.x, here.y, radius_of(&t->nodes[i]),
                  colour_of_hue(scope_hue(t->nodes[i].pid)));
        label(p, t, &t->nodes[i], here, depths > 1 ? room * 2 : room);
    }
    if (!t->count) {
        draw_text(p, a->x + a->width / 2 - 72, a->y + a->height / 2 - 8, FAINT,
                  "nobody else waits");
    }
}

// The line above a tree: what does not wait in it.
static void draw_queue(struct picture *p, const struct scope_tree *t, const struct area *a,
                       unsigned cpu)
{
    int x = draw_text(p, a->x, a->y, FAINT, "CPU %u: %u runnable", cpu, t->running);
    if (t->has_current) {
        x = draw_text(p, x, a->y, FAINT, ", runs ");
        x = draw_text(p, x, a->y, colour_of_hue(scope_hue(t->current.pid)), "%s", t->current.comm);
    }
    if (x - a->x < a->width - 240) {
        draw_text(p, a->x + a->width - 25 * TEXT_WIDTH, a->y, FAINT, "min_vruntime %9.3f s",
                  (double)t->min_vruntime / 1e9);
    }
}

static void draw_trees(struct picture *p, const struct scope *s)
{
    panel(p, TREE_X, TREE_Y, TREE_WIDTH, TREE_HEIGHT,
          "the fair class: who waits, by virtual runtime (ms from the least)");
    for (unsigned cpu = 0; cpu < s->nr_trees; cpu++) {
        const struct scope_tree *t = &s->trees[cpu];
        int columns = s->nr_trees > 1 ? 2 : 1, lines = ((int)s->nr_trees + columns - 1) / columns;
        struct area a = {.width = (TREE_WIDTH - 16) / columns,
                         .height = (TREE_HEIGHT - 30) / lines};
        a.x = TREE_X + 8 + (int)cpu % columns * a.width;
        a.y = TREE_Y + 28 + (int)cpu / columns * a.height;
        draw_queue(p, t, &a, cpu);
        a.y += 22;
        a.height -= 22;
        draw_tree(p, t, &a);
    }
}

// --- charts

static void add_sample(struct chart *c, double value)
{
    memmove(c->values, c->values + 1, sizeof(c->values) - sizeof(*c->values));
    c->values[HISTORY - 1] = value;
}

// 10, 20, 50, 100...: the first that is not below the highest value.
static double round_scale(double top)
{
    double scale = 10;
    for (int i = 0; scale < top; i++) {
        scale *= i % 3 == 1 ? 2.5 : 2;
    }
    return scale;
}

static void draw_chart(struct picture *p, const struct chart *c, int x, int y, int width)
{
    double top = 0;
    for (int i = 0; i < HISTORY; i++) {
        top = c->values[i] > top ? c->values[i] : top;
    }
    double scale = round_scale(top);
    panel(p, x, y, width, CHART_HEIGHT, c->name);
    char text[32];
    int length = snprintf(text, sizeof(text), "%.0f /s", c->values[HISTORY - 1]);
    draw_text(p, x + width - 8 - length * TEXT_WIDTH, y + 6, c->colour, "%s", text);
    int bottom = y + CHART_HEIGHT - 4, height = CHART_HEIGHT - 30;
    for (int i = 0; i < HISTORY; i++) {
        int left = x + 4 + i * (width - 8) / HISTORY,
            right = x + 4 + (i + 1) * (width - 8) / HISTORY;
        int h = (int)(c->values[i] / scale * height);
        draw_box(p, left, bottom - h, right - left, h, colour_mix(PANEL, c->colour, 120));
        draw_box(p, left, bottom - h - 1, right - left, 2, c->colour);
    }
    draw_text(p, x + 8, y + 22, 0x4c566e, "%.0f", scale);
}

static void draw_charts(struct picture *p)
{
    for (int i = 0; i < CHARTS; i++) {
        draw_chart(p, &charts[i], TREE_X + i % 2 * (HALF + 8), CHART_Y + i / 2 * (CHART_HEIGHT + 8),
                   HALF);
    }
}

// Whose the colours of the map are.
static void draw_processes(struct picture *p, const struct scope *s)
{
    int x = TREE_X + HALF + 8, y = CHART_Y + 2 * (CHART_HEIGHT + 8);
    panel(p, x, y, HALF, HEIGHT - 46 - y, "pages          own  shared");
    for (unsigned i = 0; i < SCOPE_LARGEST && s->largest[i].pid; i++) {
        const struct scope_process *l = &s->largest[i];
        int row = y + 26 + (int)i * 16;
        draw_box(p, x + 8, row + 3, 10, 10, colour_of_hue(scope_hue(l->pid)));
        draw_text(p, x + 24, row, INK, "%-10.10s%6u%8u", l->comm, l->own, l->shared);
        draw_text(p, x + 24 + 25 * TEXT_WIDTH, row, FAINT, "%6d", l->pid);
    }
}

static void draw_calls(struct picture *p, const struct scope *s)
{
    const struct scope_call *calls[SCOPE_CALLS];
    unsigned n = scope_busiest(s, calls);
    int y = CHART_Y + 2 * (CHART_HEIGHT + 8), height = HEIGHT - 46 - y;
    panel(p, TREE_X, y, HALF, height, "most frequent calls");
    for (unsigned i = 0; i < n && (int)(i + 1) * 16 + 26 < height; i++) {
        int row = y + 26 + (int)i * 16, bar = (int)(calls[i]->delta * 90 / calls[0]->delta);
        draw_text(p, TREE_X + 8, row, INK, "%-15.15s", calls[i]->name);
        draw_box(p, TREE_X + 136, row + 3, bar + 1, 10, colour_mix(PANEL, 0x58c8f0, 170));
        draw_text(p, TREE_X + 144 + bar, row, FAINT, "%lu", (unsigned long)calls[i]->delta);
    }
}

// --- memory

static uint32_t frame_colour(const struct scope_frame *f)
{
    return f->kind == PAGE_OWNED ? colour_of_hue(f->owner) : kind_colours[f->kind];
}

// Several frames in one cell: the one that says most.
static const struct scope_frame *of_cell(const struct scope *s, unsigned first, unsigned n)
{
    const struct scope_frame *best = &s->frames[first];
    for (unsigned i = first + 1; i < first + n && i < s->nr_frames; i++) {
        best = s->frames[i].kind > best->kind ? &s->frames[i] : best;
    }
    return best;
}

static void draw_frames(struct picture *p, const struct scope *s)
{
    int size = 6, columns, left = MAP_X + 8, top = MAP_Y + MAP_DOTS_Y;
    unsigned per_cell = 1;
    while (size > 2 && (MAP_WIDTH - 16) / size * (MAP_DOTS_HEIGHT / size) < (int)s->nr_frames) {
        size--;
    }
    columns = (MAP_WIDTH - 16) / size;
    while ((unsigned)(columns * (MAP_DOTS_HEIGHT / size)) * per_cell < s->nr_frames) {
        per_cell *= 2;
    }
    for (unsigned i = 0, cell = 0; i < s->nr_frames; i += per_cell, cell++) {
        uint32_t colour = frame_colour(per_cell == 1 ? &s->frames[i] : of_cell(s, i, per_cell));
        int x = left + (int)cell % columns * size, y = top + (int)cell / columns * size;
        uint32_t *dots = p->dots + (long)y * WIDTH + x;
        for (int row = 0; row < (size > 3 ? size - 1 : size); row++, dots += WIDTH) {
            for (int column = 0; column < (size > 3 ? size - 1 : size); column++) {
                dots[column] = colour;
            }
        }
    }
}

static void draw_memory(struct picture *p, const struct scope *s)
{
    static const char *const names[PAGE_KINDS] = {"free",   "kernel", "slab", "cache",
                                                  "mapped", "own",    "COW"};
    panel(p, MAP_X, MAP_Y, MAP_WIDTH, MAP_HEIGHT, "");
    draw_text(p, MAP_X + 8, MAP_Y + 3, INK, "memory: %u MiB by page; own pages by process",
              s->nr_frames / 256);
    int x = MAP_X + 8;
    for (int kind = 0; kind < PAGE_KINDS; kind++) {
        draw_box(p, x, MAP_Y + 24, 8, 8, kind_colours[kind]);
        x = draw_text(p, x + 11, MAP_Y + 20, FAINT, "%s", names[kind]) + 9;
    }
    if (s->nr_frames) {
        draw_frames(p, s);
    }
}

static void draw_top(struct picture *p, const struct scope *s, uint64_t now)
{
    draw_text_scaled(p, 12, 4, 2, 0x70d878, "fernscope");
    draw_text(p, 170, 8, INK,
              "up %lu.%lu s   %u processes   %u KiB shared by copy-on-write   %u KiB free",
              (unsigned long)(now / 1000000000u), (unsigned long)(now / 100000000u % 10),
              s->processes, s->of_kind[PAGE_COW] * 4, s->of_kind[PAGE_FREE] * 4);
    draw_text(p, 12, HEIGHT - 34, FAINT,
              "+ -  busy processes (%u)  c  sharing by COW  space  stop  q  end", load_count());
}

// --- sampling

// What was counted before the first look did not happen in its tenth of a second: only a run whose
// time begins there takes it so.
static void sample(struct scope *s, uint64_t *before_ns, uint64_t now, bool from_begin)
{
    struct scope_counters old = s->counters;
    double seconds = (double)(now - *before_ns) / 1e9;
    scope_read_counters(s);
    if ((old.calls || from_begin) && seconds > 0) {
        add_sample(&charts[0], (double)(s->counters.calls - old.calls) / seconds);
        add_sample(&charts[1], (double)(s->counters.faults - old.faults) / seconds);
        add_sample(&charts[2], (double)(s->counters.switches - old.switches) / seconds);
        add_sample(&charts[3], (double)(s->counters.interrupts - old.interrupts) / seconds);
    }
    *before_ns = now;
    scope_read_trees(s);
    scope_read_frames(s);
}

static void handle_keys(const struct input *in, bool *stopped)
{
    if (in->pressed[KEY_EQUAL] || in->pressed[KEY_KPPLUS]) {
        load_more();
    }
    if (in->pressed[KEY_MINUS] || in->pressed[KEY_KPMINUS]) {
        load_less();
    }
    if (in->pressed[KEY_C] && !in->held[KEY_LEFTCTRL] && !in->held[KEY_RIGHTCTRL]) {
        load_family();
    }
    *stopped ^= in->pressed[KEY_SPACE];
    if (in->pressed[KEY_Q] || in->pressed[KEY_ESC]) {
        screen_quit();
    }
}

static void load_at_once(int argc, char **argv)
{
    for (int busy = argc > 1 ? atoi(argv[1]) : 0; busy > 0; busy--) {
        load_more();
    }
    if (argc > 2 && !strcmp(argv[2], "cow")) {
        load_family();
    }
}

static void draw(struct picture *p, const struct scope *s, uint64_t now)
{
    draw_fill(p, BACKGROUND);
    draw_top(p, s, now);
    draw_trees(p, s);
    draw_charts(p);
    draw_calls(p, s);
    draw_processes(p, s);
    draw_memory(p, s);
}

int main(int argc, char **argv)
{
    static struct screen s;
    static struct input in;
    static struct scope scope;
    unsigned asked = argc > 1 && !strcmp(argv[1], "-n") ? screen_frames_asked(argc, argv) : 0;
    bool stopped = false, more;
    uint64_t before = 0, frame = 0;
    screen_open(&s, WIDTH, HEIGHT);
    if (!asked) {
        load_at_once(argc, argv);
    }
    do {
        uint64_t now = asked ? ++frame * PERIOD_NS : now_ns();
        if (!asked) {
            input_read(&in);
            handle_keys(&in, &stopped);
        }
        if (!stopped) {
            sample(&scope, &before, now, asked);
        }
        draw(&s.picture, &scope, now);
        if (!asked) {
            pace(PERIOD_NS);
        }
        more = screen_show(&s);
    } while (more && (!asked || frame != asked));
    if (more) {
        screen_mark("fernscope");
    }
    load_end();
    return 0;
}
