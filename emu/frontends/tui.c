// SPDX-License-Identifier: MIT
// The terminal debugger: its frame, its bars, and the loop that runs the guest while it draws.
#include "frontends/tui_internal.h"

#include "base/memory.h"
#include "host/posix_clock.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define SLICE_MS 30
#define SIGNALS_MS 500 // between looks at what may end the process while no key comes
#define BUSY_DRAW_NS 50000000
#define RUN_STEPS (UINT64_C(1) << 40) // a slice ends by time, not by steps
#define WIDE 120                      // columns from which the lower half shows two panels

static const char *const panel_titles[] = {
#define PANEL(name, title) title,
#include "frontends/tui_panels.def"
#undef PANEL
};

struct tui *tui_create(const struct tui_config *config)
{
    struct tui *t = xcalloc(1, sizeof(*t));
    t->config = *config;
    t->target = config->target;
    t->disas = disas_create(target_symbols(t->target));
    t->selected = -1;
    t->cells.cursor_x = t->cells.cursor_y = -1;
    t->panel_step = UINT64_MAX;
    target_get_regs(t->target, target_cpu(t->target), &t->regs);
    t->before = t->regs;
    tui_door_allow_until(config->door, UINT64_MAX);
    tui_say(t, "c runs, s steps, S steps back, ? helps, q quits");
    return t;
}

void tui_destroy(struct tui *t)
{
    if (t) {
        disas_destroy(t->disas);
        tui_cells_free(&t->cells);
        tui_pager_free(&t->pager);
        tui_pager_free(&t->panel_text);
        free(t);
    }
}

void tui_say(struct tui *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(t->message, sizeof(t->message), format, args);
    va_end(args);
}

void tui_place(struct tui *t, u64 address, char *out, size_t size)
{
    struct symbols *symbols = target_symbols(t->target);
    struct symbol_place place;
    *out = '\0';
    if (!symbols || !symbols_place(symbols, address, &place) || !place.name) {
        return;
    }
    snprintf(out, size, place.offset ? "%s+0x%llx" : "%s", place.name,
             (unsigned long long)place.offset);
}

// New registers are compared with those of the place before.
void tui_stopped(struct tui *t)
{
    u64 step = target_step(t->target);
    if (step != t->regs_step) {
        t->before = t->regs;
        t->regs_step = step;
    }
    target_get_regs(t->target, target_cpu(t->target), &t->regs);
    t->selected = -1;
    t->panel_step = UINT64_MAX;
}

static void task_text(struct tui *t, char *out, size_t size)
{
    struct guest_task task;
    struct guest *guest = target_guest(t->target);
    *out = '\0';
    if (guest && guest_current(guest, target_cpu(t->target), &task)) {
        snprintf(out, size, "%d %s", task.pid, task.comm);
    }
}

static void group_digits(u64 value, char *out)
{
    char digits[32];
    int length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    for (int i = 0; i < length; i++) {
        *out++ = digits[i];
        if ((length - i - 1) % 3 == 0 && i + 1 < length) {
            *out++ = ',';
        }
    }
    *out = '\0';
}

static void draw_status(struct tui *t)
{
    struct tui_rect r = {0, 0, t->cells.width, 1};
    char step[48], task[40];
    tui_fill(&t->cells, r, TUI_BAR);
    group_digits(target_step(t->target), step);
    task_text(t, task, sizeof(task));
    struct timeline *timeline = target_timeline(t->target);
    int x = tui_print(&t->cells, r, 1, 0, TUI_BAR, "step %s ", step);
    x = tui_text(&t->cells, r, x, 0, (t->regs.cpl == 3 ? TUI_USER : TUI_KERNEL) | TUI_REVERSE,
                 t->regs.cpl == 3 ? " ring 3 user " : " ring 0 kernel ");
    if (machine_cpu_count(target_machine(t->target)) > 1) {
        x = tui_print(&t->cells, r, x + 1, 0, TUI_BAR, "cpu %u ", target_cpu(t->target));
    }
    x = tui_print(&t->cells, r, x + 1, 0, TUI_BAR, "%s", *task ? task : "no task");
    x = tui_print(&t->cells, r, x + 2, 0, TUI_BAR, "cr3 %llx", (unsigned long long)t->regs.cr3);
    if (t->running) {
        tui_text(&t->cells, r, x + 2, 0, TUI_BAR | TUI_BOLD, "running");
    } else if (timeline_step(timeline) < timeline_end(timeline)) {
        group_digits(timeline_end(timeline), step);
        tui_print(&t->cells, r, x + 2, 0, TUI_ALERT, " past, of %s ", step);
    } else {
        tui_text(&t->cells, r, x + 2, 0, TUI_BAR | TUI_BOLD,
                 timeline_is_live(timeline) ? "live" : "end of recording");
    }
}

// Why it stands still is always to be seen.
static void draw_reason(struct tui *t)
{
    struct tui_rect r = {0, t->cells.height - 2, t->cells.width, 1};
    const struct target_stop *stop = target_last_stop(t->target);
    u8 style = t->running || stop->kind == TARGET_STOP_STEP || stop->kind == TARGET_STOP_START ||
                       stop->kind == TARGET_STOP_SEEK
                   ? TUI_BAR
                   : TUI_ALERT;
    tui_fill(&t->cells, r, style);
    const char *text = t->running           ? "the guest runs"
                       : t->paused_by_user ? "paused"
                                           : stop->text;
    tui_text(&t->cells, r, 1, 0, style, text);
}

static void draw_last_line(struct tui *t)
{
    static const char *const prompts[] = {[TUI_COMMAND] = ":",
                                          [TUI_SEARCH] = "/",
                                          [TUI_SEEK] = "go to step: ",
                                          [TUI_WHO_WROTE] = "who wrote (address): ",
                                          [TUI_WHEN_MAPPED] = "when mapped (address): ",
                                          [TUI_BREAK] = "breakpoint at: ",
                                          [TUI_BOOKMARK] = "bookmark name: ",
                                          [TUI_MEMORY] = "memory at: "};
    struct tui_rect r = {0, t->cells.height - 1, t->cells.width, 1};
    tui_fill(&t->cells, r, TUI_PLAIN);
    if (t->prompt) {
        int x = tui_text(&t->cells, r, 0, 0, TUI_NAME, prompts[t->prompt]);
        int room = r.width - x - 1;
        bool fits = t->line_used <= (size_t)(room > 0 ? room : 0);
        size_t skip = fits ? 0 : t->line_used - (size_t)room;
        x = tui_text(&t->cells, r, x, 0, TUI_PLAIN, t->line + (room > 0 ? skip : t->line_used));
        t->cells.cursor_x = x < r.width ? x : r.width - 1;
        t->cells.cursor_y = r.y;
    } else if (t->typing) {
        tui_text(&t->cells, r, 0, 0, TUI_DIM,
                 "keys go to the guest; Ctrl-A gives them back, Ctrl-A Ctrl-A sends it");
    } else {
        tui_text(&t->cells, r, 0, 0, TUI_DIM, t->message);
    }
}

static void draw_titles(struct tui *t, int y)
{
    struct tui_rect r = {0, y, t->cells.width, 1};
    int x = 0;
    tui_fill(&t->cells, r, TUI_FRAME);
    for (int i = 0; i < TUI_PANEL_COUNT; i++) {
        bool chosen = (int)t->panel == i;
        bool room = r.width >= WIDE || chosen;
        x = tui_print(&t->cells, r, x, 0, chosen ? TUI_FOCUS : TUI_FRAME, " %d %s ", i + 1,
                      room ? panel_titles[i] : "");
    }
}

static void draw_console(struct tui *t, struct tui_rect r)
{
    u64 step = target_step(t->target);
    bool now = step >= timeline_end(target_timeline(t->target));
    tui_vt_draw(tui_door_screen(t->config.door, now ? UINT64_MAX : step), &t->cells, r,
                t->panel == TUI_PANEL_console ? t->scroll : 0, t->typing && !t->prompt);
}

static void draw_panel(struct tui *t, enum tui_panel panel, struct tui_rect r)
{
    switch (panel) {
    case TUI_PANEL_timeline:
        tui_draw_timeline(t, r);
        break;
    case TUI_PANEL_console:
        draw_console(t, r);
        break;
    case TUI_PANEL_stack:
        tui_draw_stack(t, r);
        break;
    case TUI_PANEL_memory:
        tui_draw_memory(t, r);
        break;
    case TUI_PANEL_walk:
        tui_draw_walk(t, r);
        break;
    case TUI_PANEL_syscalls:
        tui_draw_syscalls(t, r);
        break;
    case TUI_PANEL_tables:
        tui_draw_command(t, r, "cr;idt;gdt;tss;msr");
        break;
    case TUI_PANEL_points:
        tui_draw_command(t, r, "points;bookmark");
        break;
    case TUI_PANEL_tasks:
        tui_draw_command(t, r, "tasks");
        break;
    case TUI_PANEL_COUNT:
        break;
    }
}

static void draw_lower(struct tui *t, int y, int height)
{
    struct tui_rect r = {0, y, t->cells.width, height};
    if (r.width < WIDE || t->panel == TUI_PANEL_timeline) {
        if (r.width >= WIDE) { // beside the timeline: the console
            struct tui_rect right = {r.width - 60, y, 60, height};
            r.width -= 61;
            draw_panel(t, TUI_PANEL_console, right);
        }
        draw_panel(t, t->panel, r);
        return;
    }
    struct tui_rect left = {0, y, r.width / 2, height};
    struct tui_rect right = {left.width + 1, y, r.width - left.width - 1, height};
    draw_panel(t, TUI_PANEL_timeline, left);
    draw_panel(t, t->panel, right);
}

static void draw_pager(struct tui *t, struct tui_rect r)
{
    struct tui_pager *p = &t->pager;
    p->top = p->top > p->count - 1 ? p->count - 1 : p->top;
    p->top = p->top < 0 ? 0 : p->top;
    tui_fill(&t->cells, r, TUI_PLAIN);
    for (int y = 0; y < r.height && p->top + y < p->count; y++) {
        tui_text(&t->cells, r, 0, y, TUI_PLAIN, p->lines[p->top + y]);
    }
    bool more = p->count > r.height;
    tui_say(t, more ? "lines %d-%d of %d: arrows, PgUp, PgDn; any other key closes"
                    : "any key closes",
            p->top + 1, p->top + r.height < p->count ? p->top + r.height : p->count, p->count);
}

const struct tui_cells *tui_draw(struct tui *t)
{
    struct tui_cells *c = &t->cells;
    tui_fill(c, (struct tui_rect){0, 0, c->width, c->height}, TUI_PLAIN);
    c->cursor_x = c->cursor_y = -1;
    int body = c->height - 4; // two bars, the titles, the last line
    int upper = body * 2 / 5 > 10 ? body * 2 / 5 : body / 2;
    if (t->panel == TUI_PANEL_console && t->typing && c->height < 40) {
        upper = body > 24 ? body - 24 : 0; // the guest's terminal has 24 rows
    }
    int registers = c->width >= 90 ? 43 : c->width >= 60 ? 21 : 0;
    if (t->pager.text) {
        draw_pager(t, (struct tui_rect){0, 1, c->width, c->height - 3});
    } else if (body > 0) {
        struct tui_rect code = {0, 1, c->width - registers - (registers > 0), upper};
        tui_draw_code(t, code);
        if (registers) {
            tui_draw_registers(t, (struct tui_rect){c->width - registers, 1, registers, upper});
        }
        draw_titles(t, 1 + upper);
        draw_lower(t, 2 + upper, body - upper);
    }
    draw_status(t);
    if (c->height >= 3) {
        draw_reason(t);
    }
    if (c->height >= 2) {
        draw_last_line(t);
    }
    return c;
}

void tui_resize(struct tui *t, int width, int height)
{
    tui_cells_resize(&t->cells, width, height);
}

bool tui_key(struct tui *t, int key)
{
    return tui_handle_key(t, key);
}

void tui_show(struct tui *t)
{
    if (t->on_terminal) {
        tui_screen_show(tui_draw(t));
    }
}

bool tui_slice(struct tui *t, unsigned ms)
{
    if (!t->running) {
        return false;
    }
    tui_door_allow_until(t->config.door, posix_monotonic_ns() + (u64)ms * 1000000);
    const struct target_stop *stop = target_run_slice(t->target, RUN_STEPS);
    tui_door_allow_until(t->config.door, UINT64_MAX);
    if (stop->kind != TARGET_STOP_CANCELLED && stop->kind != TARGET_STOP_STEP) {
        t->running = false;
        t->typing = false;
        *t->message = '\0';
    }
    tui_stopped(t);
    return true;
}

// A search over history may take seconds: it tells where it is, and Ctrl-C or Escape end it.
bool tui_cancel(void *tui)
{
    struct tui *t = tui;
    if (!t || !t->on_terminal || !t->busy) {
        return false;
    }
    u64 now = posix_monotonic_ns();
    if (now - t->busy_drawn_ns > BUSY_DRAW_NS) {
        char step[48];
        t->busy_drawn_ns = now;
        group_digits(target_step(t->target), step);
        struct tui_rect r = {0, t->cells.height - 2, t->cells.width, 1};
        tui_fill(&t->cells, r, TUI_BAR);
        tui_print(&t->cells, r, 1, 0, TUI_BAR, "at step %s … Ctrl-C ends it", step);
        tui_screen_show(&t->cells);
        int key = tui_screen_key(0);
        return key == 3 || key == 27;
    }
    return false;
}

void tui_run_command(struct tui *t, const char *line)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    u64 step = target_step(t->target);
    t->busy = true;
    target_command(t->target, line, out);
    t->busy = false;
    fclose(out);
    char *end = strchr(text, '\n');
    if (end && end[1]) {
        tui_pager_set(&t->pager, text);
        t->pager.top = 0;
    } else {
        tui_say(t, "%.*s", (int)(end ? end - text : (long)size), text);
        free(text);
    }
    t->paused_by_user = false;
    if (target_step(t->target) != step) {
        tui_stopped(t);
    }
    t->panel_step = UINT64_MAX;
    target_get_regs(t->target, target_cpu(t->target), &t->regs);
}

int tui_main(struct tui *t)
{
    struct status s = tui_screen_open();
    if (!status_ok(&s)) {
        fprintf(stderr, "viv: %s\n", s.text);
        return s.code;
    }
    int width, height;
    t->on_terminal = true;
    tui_screen_size(&width, &height);
    tui_resize(t, width, height);
    while (!t->quit && !tui_door_ends(t->config.door)) {
        tui_show(t);
        int key = tui_screen_key(t->running ? 0 : SIGNALS_MS);
        if (key == TUI_KEY_RESIZE) {
            tui_screen_size(&width, &height);
            tui_resize(t, width, height);
        } else if (key != TUI_KEY_NONE) {
            tui_handle_key(t, key);
        } else {
            tui_slice(t, SLICE_MS);
        }
    }
    tui_screen_close();
    return 0;
}
