// SPDX-License-Identifier: MIT
// Pictures at most 60 times a second of host time, figures in the title once a second.
#include "frontends/window.h"

#include "base/memory.h"
#include "host/posix_clock.h"

#include <stdio.h>
#include <stdlib.h>

#define FRAME_NS UINT64_C(16000000)
#define TITLE_NS UINT64_C(1000000000)
#define FIRST_WIDTH 1024
#define FIRST_HEIGHT 768

struct window {
    struct posix_input *input;
    struct sdl_window *sdl;
    struct surface surface;
    struct machine *machine;
    u64 shown_ns; // host time of the last look
    // Of the title's last figures.
    u64 title_ns, title_step;
    struct cpu_counters title_counters;
    const struct ledger *ledger; // NULL: no strip
    struct strip_sample sums;    // as of the last look
};

struct status window_open(struct window **out, bool film)
{
    struct window *w = xcalloc(1, sizeof(*w));
    struct status s = posix_input_create(&w->input);
    if (status_ok(&s)) {
        struct sdl_config config = {w->input, film, FIRST_WIDTH, FIRST_HEIGHT};
        s = sdl_open(&w->sdl, &config);
    }
    if (!status_ok(&s)) {
        window_close(w);
        return s;
    }
    surface_init(&w->surface);
    *out = w;
    return s;
}

void window_close(struct window *w)
{
    if (w) {
        sdl_close(w->sdl);
        posix_input_destroy(w->input);
        surface_free(&w->surface);
        free(w);
    }
}

void window_connect(struct window *w, struct posix_door *door, struct host *host)
{
    host->input = posix_input_host(w->input);
    posix_door_set_input(door, w->input);
}

struct sdl_window *window_sdl(struct window *w)
{
    return w->sdl;
}

struct posix_input *window_input(struct window *w)
{
    return w->input;
}

void window_show(struct window *w, struct machine *m)
{
    struct surface_rows rows;
    if (surface_update(&w->surface, m, &rows)) {
        sdl_show(w->sdl, &w->surface, rows);
    }
}

static void update_title(struct window *w, u64 now_ns)
{
    u64 step = machine_clock(w->machine)->step, steps = step - w->title_step;
    struct cpu_counters c = machine_counters(w->machine);
    u64 kernel = c.ring0_steps - w->title_counters.ring0_steps;
    double seconds = (double)(now_ns - w->title_ns) / 1e9;
    char title[160];
    snprintf(title, sizeof(title), "viv: %.1f M steps/s, %.0f %% in ring 0 (Ctrl-Alt-G: %s)",
             (double)steps / seconds / 1e6, steps ? 100.0 * (double)kernel / (double)steps : 0.0,
             "mouse, F: full screen, S: picture, T: timeline");
    if (w->title_ns) {
        sdl_set_title(w->sdl, title);
    }
    w->title_ns = now_ns;
    w->title_step = step;
    w->title_counters = c;
}

void window_set_ledger(struct window *w, const struct ledger *ledger)
{
    w->ledger = ledger;
}

struct strip_sample window_sample(struct machine *m, const struct ledger *ledger,
                                  struct strip_sample *sums)
{
    struct cpu_counters c = machine_counters(m);
    const struct strip_sample now = {machine_clock(m)->step, c.ring0_steps,
                                     ledger_count(ledger, PROBE_transition),
                                     ledger_count(ledger, PROBE_page_fault)};
    const struct strip_sample since = {now.steps - sums->steps, now.ring0_steps - sums->ring0_steps,
                                       now.transitions - sums->transitions,
                                       now.faults - sums->faults};
    *sums = now;
    return since;
}

static u64 look(void *ctx)
{
    struct window *w = ctx;
    u64 now_ns = posix_monotonic_ns(), since_ns = now_ns - w->shown_ns;
    if (now_ns - w->title_ns >= TITLE_NS) {
        update_title(w, now_ns);
    }
    if (since_ns < FRAME_NS) {
        return FRAME_NS - since_ns;
    }
    w->shown_ns = now_ns;
    window_show(w, w->machine);
    if (w->ledger) {
        const struct strip_sample since = window_sample(w->machine, w->ledger, &w->sums);
        sdl_add_sample(w->sdl, &since);
    }
    return UINT64_MAX;
}

struct status window_watch(struct window *w, struct posix_door *door, struct machine *m)
{
    struct device_picture picture;
    if (!machine_picture(m, &picture)) {
        return status_error(STATUS_BAD_INPUT, "--display sdl: this machine has no display");
    }
    w->machine = m;
    const struct posix_watcher watcher = {look, w};
    posix_door_set_watcher(door, &watcher);
    return status_success();
}
