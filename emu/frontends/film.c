// SPDX-License-Identifier: MIT
// A film is a timeline that runs as fast as host time. Frames that were passed are remembered by
// step, so that it can go back to them, one by one too, and with them what happened since the frame
// before, so that the strip goes back as well.
#include "frontends/film.h"

#include "base/memory.h"
#include "frontends/outcome.h"
#include "frontends/window.h"
#include "host/posix_clock.h"
#include "machine/watch.h"
#include "trace/tracer.h"

#include <poll.h>
#include <stdlib.h>

#define FRAME_NS UINT64_C(16666667)
#define SKIP_NS UINT64_C(1000000000)   // an arrow's
#define GAP_MAX_NS UINT64_C(500000000) // guest time without a frame that is waited for

struct frame_mark {
    u64 step, vtime_ns;
    struct strip_sample since; // the frame before
};

struct film {
    struct session *session;
    struct window *window;
    struct timeline *timeline;
    struct machine *machine;
    struct frame_mark *marks; // in order of steps
    size_t mark_count, mark_room;
    const struct ledger *ledger;
    struct strip_sample sums; // as of the last frame, or where it was sought
    u64 end_vtime_ns;
    bool playing, backwards, quit;
    bool silent;          // seeking: the frame clock means nothing
    u64 run_to_ns;        // vtime up to which nothing is shown, then it stops unless playing
    enum sdl_wish wished; // while it ran
    u64 shown_host_ns, shown_vtime_ns;
};

static u64 vtime_now(const struct film *f)
{
    return vclock_ns(machine_clock(f->machine));
}

// The last frame before both; NULL: there is none.
static const struct frame_mark *frame_before(const struct film *f, u64 step, u64 vtime_ns)
{
    size_t low = 0, high = f->mark_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (f->marks[middle].step < step && f->marks[middle].vtime_ns <= vtime_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low ? &f->marks[low - 1] : NULL;
}

// The frames up to here.
static void show_strip(struct film *f)
{
    struct strip strip = {.next = 0};
    const struct frame_mark *last = frame_before(f, timeline_step(f->timeline) + 1, UINT64_MAX);
    size_t count = last ? (size_t)(last - f->marks) + 1 : 0;
    for (size_t i = count > STRIP_ROWS ? count - STRIP_ROWS : 0; i < count; i++) {
        strip_add(&strip, &f->marks[i].since);
    }
    sdl_set_strip(window_sdl(f->window), &strip);
}

static void show(struct film *f)
{
    char title[200];
    window_show(f->window, f->machine);
    show_strip(f);
    snprintf(title, sizeof(title),
             "viv: %.2f of %.2f s, step %llu%s (space, arrows, R: reverse, comma, period: frame)",
             (double)vtime_now(f) / 1e9, (double)f->end_vtime_ns / 1e9,
             (unsigned long long)timeline_step(f->timeline),
             !f->playing    ? ", paused"
             : f->backwards ? ", backwards"
                            : "");
    sdl_set_title(window_sdl(f->window), title);
    f->shown_host_ns = posix_monotonic_ns();
    f->shown_vtime_ns = vtime_now(f);
}

static void mark_frame(struct film *f)
{
    struct frame_mark here = {machine_clock(f->machine)->step, vtime_now(f),
                              window_sample(f->machine, f->ledger, &f->sums)};
    if (f->mark_count && f->marks[f->mark_count - 1].step >= here.step) {
        return;
    }
    if (f->mark_count == f->mark_room) {
        f->mark_room = f->mark_room ? 2 * f->mark_room : 1024;
        f->marks = xrealloc(f->marks, f->mark_room * sizeof(f->marks[0]));
    }
    f->marks[f->mark_count++] = here;
}

// Waits in host time, or until something is wished, which it returns.
static enum sdl_wish wait_for_wish(struct film *f, u64 until_host_ns)
{
    for (;;) {
        posix_input_pump(window_input(f->window));
        enum sdl_wish wish = sdl_next_wish(window_sdl(f->window));
        u64 now = posix_monotonic_ns();
        if (wish || now >= until_host_ns) {
            return wish;
        }
        struct pollfd fd = {.fd = posix_input_fd(window_input(f->window)), .events = POLLIN};
        poll(&fd, 1, (int)((until_host_ns - now + 999999) / 1000000));
    }
}

static void on_frame(void *ctx, u64 now_ns, u64 *due_ns)
{
    struct film *f = ctx;
    *due_ns = now_ns + FRAME_NS;
    if (f->silent) {
        return;
    }
    mark_frame(f);
    if (now_ns < f->run_to_ns) {
        f->wished = sdl_next_wish(window_sdl(f->window));
    } else {
        u64 gap_ns = now_ns - f->shown_vtime_ns;
        bool arrived = f->run_to_ns != 0;
        f->run_to_ns = 0;
        u64 due = f->shown_host_ns + (gap_ns < GAP_MAX_NS ? gap_ns : GAP_MAX_NS);
        f->wished = wait_for_wish(f, arrived ? 0 : due);
        show(f);
        if (arrived && !f->playing) {
            machine_stop_soon(f->machine);
        }
    }
    if (f->wished) {
        machine_stop_soon(f->machine);
    }
}

static void restart_clock(struct film *f)
{
    machine_set_frame_clock(f->machine, on_frame, f, vtime_now(f) + FRAME_NS);
    f->shown_host_ns = posix_monotonic_ns();
    f->shown_vtime_ns = vtime_now(f);
}

static void seek(struct film *f, u64 step)
{
    f->silent = true;
    timeline_seek(f->timeline, step, NULL, NULL);
    f->silent = false;
    window_sample(f->machine, f->ledger, &f->sums);
    f->run_to_ns = 0;
    restart_clock(f);
    show(f);
}

static bool door_is_open(const struct film *f)
{
    int detail;
    return posix_door_why(f->session->door, &detail) == POSIX_DOOR_OPEN;
}

// Forward, until something is wished, the frame is there, or the recording ends.
static void run_forward(struct film *f)
{
    f->wished = SDL_WISH_NONE;
    struct machine_result r = timeline_run(f->timeline, UINT64_MAX);
    if (r.exit != MACHINE_EXIT_STOPPED) {
        f->playing = false;
        f->run_to_ns = 0;
        f->quit = !door_is_open(f);
        show(f);
    }
}

static void run_backwards(struct film *f)
{
    const struct frame_mark *before = frame_before(f, timeline_step(f->timeline), UINT64_MAX);
    f->playing = f->backwards = before != NULL;
    u64 begin_ns = f->shown_host_ns, from_ns = vtime_now(f);
    seek(f, before ? before->step : timeline_begin(f->timeline));
    u64 gap_ns = from_ns - vtime_now(f);
    f->wished = wait_for_wish(f, begin_ns + (gap_ns < GAP_MAX_NS ? gap_ns : GAP_MAX_NS));
}

static void back_by(struct film *f, u64 ns)
{
    u64 now = vtime_now(f), to = now > ns ? now - ns : 0;
    const struct frame_mark *mark = frame_before(f, timeline_step(f->timeline), to);
    seek(f, mark ? mark->step : timeline_begin(f->timeline));
}

static void grant(struct film *f, enum sdl_wish wish)
{
    switch (wish) {
    case SDL_WISH_NONE:
        break;
    case SDL_WISH_QUIT:
        f->quit = true;
        break;
    case SDL_WISH_PAUSE:
        f->playing = !f->playing;
        f->backwards = false;
        restart_clock(f);
        show(f);
        break;
    case SDL_WISH_REVERSE:
        f->backwards = !(f->playing && f->backwards);
        f->playing = true;
        restart_clock(f);
        break;
    case SDL_WISH_FORWARD:
        f->backwards = false;
        f->run_to_ns = vtime_now(f) + SKIP_NS;
        break;
    case SDL_WISH_BACK:
        back_by(f, SKIP_NS);
        break;
    case SDL_WISH_FRAME:
        f->playing = f->backwards = false;
        f->run_to_ns = vtime_now(f) + 1;
        break;
    case SDL_WISH_FRAME_BACK:
        f->playing = f->backwards = false;
        back_by(f, 0);
        break;
    case SDL_WISH_BEGIN:
        seek(f, timeline_begin(f->timeline));
        break;
    case SDL_WISH_END:
        f->backwards = false;
        f->run_to_ns = UINT64_MAX;
        break;
    }
}

static void play(struct film *f)
{
    f->playing = true;
    restart_clock(f);
    show(f);
    while (!f->quit) {
        f->wished = SDL_WISH_NONE;
        if (f->playing && f->backwards) {
            run_backwards(f);
        } else if (f->playing || f->run_to_ns) {
            run_forward(f);
        } else {
            int fd = posix_input_fd(window_input(f->window));
            f->quit = !posix_door_wait(f->session->door, &fd, 1);
            f->wished = wait_for_wish(f, 0);
        }
        grant(f, f->wished);
    }
}

int film_main(struct session *s, const struct run_options *o, struct outcome_watch *w)
{
    struct device_picture picture;
    if (!machine_picture(s->machine, &picture)) {
        struct status none = status_error(
            STATUS_BAD_INPUT, "--display sdl: the machine of %s has no display", o->replay);
        return outcome_fail(&none);
    }
    struct film f = {.session = s, .window = o->window, .machine = s->machine};
    outcome_watch_begin(w, s);
    f.ledger = tracer_ledger(w->tracer);
    f.timeline = session_timeline(s, TIMELINE_MEMORY_DEFAULT);
    f.end_vtime_ns = log_reader_last(s->reader).vtime_ns;
    mark_frame(&f);
    play(&f);
    machine_set_frame_clock(s->machine, NULL, NULL, 0);
    char why[300];
    bool diverged = input_log_diverged(s->log, why, sizeof(why));
    timeline_destroy(f.timeline);
    free(f.marks);
    outcome_report(s, o, w);
    struct status end =
        diverged ? status_error(STATUS_BAD_INPUT, "%s: %s", o->replay, why) : status_success();
    return outcome_end(&end, 0, "");
}
