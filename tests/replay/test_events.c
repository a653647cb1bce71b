// SPDX-License-Identifier: MIT
// Keys, movements and the power button in the log: taken at slice ends and in idle waits, played
// again at the same states and at no others, cut off with the history that they belong to.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "replay/input_log.h"

#define EVENTS_MAX 32

// A person, a machine that notes what it is told and when, and the log between them.
struct world {
    struct host_input_event queue[EVENTS_MAX];
    unsigned queued, taken;
    void (*live_ready)(void *dev);
    void *live_dev[HOST_INPUT_KINDS];
    struct input_log *log;
    struct vclock clock;
    struct {
        u64 step, vtime_ns;
        struct host_input_event event;
    } seen[EVENTS_MAX];
    unsigned seen_count;
};

static bool live_read(void *ctx, enum host_input_kind kind, struct host_input_event *e)
{
    struct world *w = ctx;
    if (w->taken == w->queued || w->queue[w->taken].kind != kind) {
        return false;
    }
    *e = w->queue[w->taken++];
    return true;
}

static void live_set_ready(void *ctx, enum host_input_kind kind, void (*ready)(void *dev),
                           void *dev)
{
    struct world *w = ctx;
    w->live_ready = ready;
    w->live_dev[kind] = dev;
}

static const struct host_input_ops live_ops = {live_read, live_set_ready};

static bool live_poll(void *ctx, bool slice_end)
{
    return false;
}

// A wait that input ends has lasted a third of what it might have.
static u64 live_idle(void *ctx, u64 now_ns, u64 deadline_ns)
{
    const struct world *w = ctx;
    if (w->taken == w->queued) {
        return deadline_ns;
    }
    w->live_ready(w->live_dev[w->queue[w->taken].kind]);
    return now_ns + (deadline_ns - now_ns) / 3;
}

static const struct host_door_ops live_door = {live_poll, live_idle};

static void device_ready(void *ctx)
{
    struct world *w = ctx;
    const struct host *host = input_log_host(w->log);
    struct host_input_event e;
    for (unsigned kind = 0; kind < HOST_INPUT_KINDS; kind++) {
        while (host->input.ops->read(host->input.ctx, (enum host_input_kind)kind, &e)) {
            assert_true(w->seen_count < EVENTS_MAX);
            w->seen[w->seen_count].step = w->clock.step;
            w->seen[w->seen_count].vtime_ns = vclock_ns(&w->clock);
            w->seen[w->seen_count++].event = e;
        }
    }
}

static void world_open(struct world *w)
{
    memset(w, 0, sizeof(*w));
    w->clock.step_ps = 1000;
    struct host live = {.input = {&live_ops, w}, .door = {&live_door, w}};
    w->log = input_log_create(&live);
    input_log_set_clock(w->log, &w->clock);
    const struct host *host = input_log_host(w->log);
    for (unsigned kind = 0; kind < HOST_INPUT_KINDS; kind++) {
        host->input.ops->set_ready(host->input.ctx, (enum host_input_kind)kind, device_ready, w);
    }
}

static void post(struct world *w, struct host_input_event e)
{
    w->queue[w->queued++] = e;
    w->live_ready(w->live_dev[e.kind]);
}

// What the run loop does at a slice's end.
static bool slice_end(struct world *w, u64 steps)
{
    const struct host_door *door = &input_log_host(w->log)->door;
    w->clock.step += steps;
    return door->ops->poll(door->ctx, true);
}

// What it does while every CPU is halted.
static void sleep_until(struct world *w, u64 deadline_ns)
{
    const struct host_door *door = &input_log_host(w->log)->door;
    for (u64 now; (now = vclock_ns(&w->clock)) < deadline_ns;) {
        w->clock.idle_ns += door->ops->idle(door->ctx, now, deadline_ns) - now;
    }
}

static const struct host_input_event pressed = {
    .kind = HOST_INPUT_KEY, .key = 0xE075, .pressed = true};
static const struct host_input_event released = {.kind = HOST_INPUT_KEY, .key = 0xE075};
static const struct host_input_event moved = {
    .kind = HOST_INPUT_MOUSE, .dx = -300, .dy = 299, .dz = -1, .buttons = 0x15};
static const struct host_input_event power = {.kind = HOST_INPUT_POWER};

static void run(struct world *w, bool live)
{
    assert_false(slice_end(w, 1000));
    if (live) {
        post(w, pressed);
        assert_int_equal(w->seen_count, 0); // not before a slice's end
    }
    assert_false(slice_end(w, 1000));
    assert_int_equal(w->seen_count, 1);
    if (live) {
        w->queue[w->queued++] = moved; // comes while it sleeps
    }
    sleep_until(w, vclock_ns(&w->clock) + 90000);
    assert_int_equal(w->seen_count, 2);
    if (live) {
        post(w, released);
        post(w, power);
    }
    assert_false(slice_end(w, 500));
    assert_int_equal(w->seen_count, 4);
    slice_end(w, 500);
    assert_int_equal(w->seen_count, 4);
}

static void check_seen(const struct world *w)
{
    static const struct host_input_event *const wanted[] = {&pressed, &moved, &released, &power};
    static const u64 steps[] = {2000, 2000, 2500, 2500}, times[] = {2000, 32000, 92500, 92500};
    for (unsigned i = 0; i < 4; i++) {
        const struct host_input_event *e = &w->seen[i].event;
        assert_int_equal(w->seen[i].step, steps[i]);
        assert_int_equal(w->seen[i].vtime_ns, times[i]);
        assert_int_equal(e->kind, wanted[i]->kind);
        assert_int_equal(e->key, wanted[i]->key);
        assert_int_equal(e->pressed, wanted[i]->pressed);
        assert_int_equal(e->dx, wanted[i]->dx);
        assert_int_equal(e->dy, wanted[i]->dy);
        assert_int_equal(e->dz, wanted[i]->dz);
        assert_int_equal(e->buttons, wanted[i]->buttons);
    }
}

static void back_to_the_start(struct world *w)
{
    input_log_seek(w->log, 0);
    w->clock = (struct vclock){.step_ps = 1000};
    w->seen_count = 0;
}

static void played_again(void **state)
{
    struct world w;
    char why[200];
    world_open(&w);
    run(&w, true);
    check_seen(&w);
    for (unsigned i = 0; i < 2; i++) {
        back_to_the_start(&w);
        w.queue[w.queued++] = pressed; // what a person does now is for later
        run(&w, false);
        check_seen(&w);
    }
    assert_false(input_log_diverged(w.log, why, sizeof(why)));
    input_log_destroy(w.log);
}

static void cut_off(void **state)
{
    struct world w;
    world_open(&w);
    run(&w, true);
    back_to_the_start(&w);
    assert_false(slice_end(&w, 1000));
    assert_false(slice_end(&w, 1000));
    assert_int_equal(w.seen_count, 1);
    input_log_cut(w.log);
    sleep_until(&w, vclock_ns(&w.clock) + 90000);
    assert_false(slice_end(&w, 500));
    assert_int_equal(w.seen_count, 1);
    post(&w, power);
    assert_false(slice_end(&w, 500));
    assert_int_equal(w.seen_count, 2);
    assert_int_equal(w.seen[1].event.kind, HOST_INPUT_POWER);
    input_log_destroy(w.log);
}

static void another_machine_diverges(void **state)
{
    struct world w;
    char why[200];
    world_open(&w);
    run(&w, true);
    back_to_the_start(&w);
    assert_false(slice_end(&w, 1500)); // its slices are others
    slice_end(&w, 1500);
    assert_true(input_log_diverged(w.log, why, sizeof(why)));
    assert_non_null(strstr(why, "EVENT"));
    input_log_destroy(w.log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(played_again),
        cmocka_unit_test(cut_off),
        cmocka_unit_test(another_machine_diverges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
