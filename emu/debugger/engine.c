// SPDX-License-Identifier: MIT
// Running the machine until something is met: forward stopping at the first, back by running one
// interval of history after the other, each noting its last.
#include "debugger/target_internal.h"

#include "base/bits.h"

#include <string.h>

#define CHUNK_STEPS (UINT64_C(1) << 19) // between questions whether to cancel
#define ALWAYS (BIT(PROBE_transition) | BIT(PROBE_page_fault))

bool target_cancelled(struct target *t)
{
    return t->config.cancel && t->config.cancel(t->config.ctx);
}

static bool in_ranges(const struct goal *goal, const struct watch_hit *hit)
{
    for (unsigned i = 0; i < goal->range_count; i++) {
        const struct watch_range *r = &goal->ranges[i];
        if ((r->kinds & hit->kind) && hit->address < r->first + r->size &&
            r->first < hit->address + hit->size) {
            return true;
        }
    }
    return false;
}

static void goal_met(struct run *run, const struct met *met)
{
    if (run->back ? met->step < run->limit : !run->met.found) {
        run->met = *met;
    }
}

static bool stop_now(const struct run *run)
{
    return run->pending_count || (!run->back && run->met.found);
}

// What is met is judged from the CPU where it happens: while something looks, that is the target's.
static unsigned look_from(struct target *t, unsigned cpu)
{
    unsigned before = t->cpu;
    t->cpu = cpu;
    return before;
}

static void take_access(struct target *t, const struct watch_hit *hit)
{
    struct run *run = &t->run;
    const struct goal *goal = run->goal;
    if (in_ranges(goal, hit) && (!goal->on_access || goal->on_access(goal->ctx, hit))) {
        u64 after = run->back && goal->after_access && hit->kind != WATCH_EXECUTE;
        struct met met = {.found = true, .step = hit->step + after, .cpu = hit->cpu, .hit = *hit};
        goal_met(run, &met);
    }
    if (goal->points) {
        points_on_access(t, hit);
    }
}

static bool on_watch(void *ctx, const struct watch_hit *hit)
{
    struct target *t = ctx;
    struct run *run = &t->run;
    if (!t->running) {
        return false; // on the way of a seek
    }
    bool execute = hit->kind == WATCH_EXECUTE;
    if (execute && (hit->restarted || (!run->back && hit->step == run->resume_step))) {
        return false; // told at its first attempt; the state one goes on from
    }
    struct watch_hit copy = *hit;
    copy.size = execute ? 1 : hit->size;
    unsigned selected = look_from(t, hit->cpu);
    take_access(t, &copy);
    look_from(t, selected);
    return stop_now(run);
}

static void tell_outer(struct target *t, const struct probe_event *event)
{
    if (!t->run.back && event->step >= t->outer_step && (t->outer.enabled & BIT(event->kind))) {
        probe_emit(&t->outer, event);
    }
}

static void on_probe(void *ctx, const struct probe_event *event)
{
    struct target *t = ctx;
    struct run *run = &t->run;
    events_take(t->events, event);
    tell_outer(t, event);
    const struct goal *goal = run->goal;
    if (!t->running || !goal) {
        return;
    }
    unsigned selected = look_from(t, event->cpu);
    if ((goal->probes & BIT(event->kind)) &&
        (!goal->on_event || goal->on_event(goal->ctx, event))) {
        struct met met = {.found = true,
                          .step = event->step + !goal->before_event,
                          .cpu = event->cpu,
                          .is_event = true,
                          .event = *event};
        goal_met(run, &met);
    }
    if (goal->points) {
        points_on_event(t, event);
    }
    look_from(t, selected);
    if (stop_now(run)) {
        machine_stop_soon(t->m);
    }
}

// Tells the machine what to watch, if that has changed: each change costs it decoded code.
static void install(struct target *t, const struct goal *goal)
{
    struct watch_range ranges[ARRAY_LEN(t->installed)];
    memset(ranges, 0, sizeof(ranges)); // padding is compared below
    memcpy(ranges, goal->ranges, goal->range_count * sizeof(*ranges));
    unsigned count = goal->range_count;
    if (goal->points) {
        count += points_ranges(t, ranges + count, (unsigned)ARRAY_LEN(ranges) - count);
    }
    if (count != t->installed_count || memcmp(ranges, t->installed, count * sizeof(*ranges)) != 0) {
        memcpy(t->installed, ranges, count * sizeof(*ranges));
        t->installed_count = count;
        machine_set_watch(t->m, ranges, count, on_watch, t);
    }
}

static void begin(struct target *t, const struct goal *goal, u64 probes)
{
    struct probes *p = machine_probes(t->m);
    p->sink = on_probe;
    p->ctx = t;
    p->enabled = probes | goal->probes | (goal->points ? points_probes(t) : 0);
    t->run.goal = goal;
    install(t, goal);
}

static void end(struct target *t)
{
    t->run.goal = NULL;
    machine_probes(t->m)->enabled = 0;
}

// What a piece of a forward run ended with. True: it is to go on.
static bool go_on(struct target *t, const struct machine_result *result, enum engine_end *end_why)
{
    struct run *run = &t->run;
    points_judge(t);
    if (run->met.found) {
        run->met.step = timeline_step(t->timeline);
        t->cpu = run->met.cpu;
        *end_why = ENGINE_MET;
        return false;
    }
    if (run->goal->own_step && machine_stopped_after_step(t->m)) {
        return false; // ENGINE_REACHED
    }
    switch (result->exit) {
    case MACHINE_EXIT_UNTIL:
    case MACHINE_EXIT_STOPPED:
        return true;
    case MACHINE_EXIT_HOST:
        *end_why = timeline_at_end(t->timeline) ? ENGINE_END : ENGINE_CANCELLED;
        t->result = *result;
        return false;
    default:
        *end_why = ENGINE_EXIT;
        t->result = *result;
        t->ended_step = timeline_step(t->timeline);
        return false;
    }
}

enum engine_end engine_forward(struct target *t, const struct goal *goal, u64 until_step)
{
    u64 step = timeline_step(t->timeline);
    if (step == t->ended_step) {
        return ENGINE_EXIT;
    }
    enum engine_end why = ENGINE_REACHED;
    t->run = (struct run){.resume_step = t->origin};
    if (goal->points) {
        points_begin(t);
    }
    begin(t, goal, ALWAYS | t->outer.enabled);
    events_run_begin(t->events, step);
    while (step < until_step) {
        u64 chunk = until_step - step < CHUNK_STEPS ? until_step : step + CHUNK_STEPS;
        if (goal->own_step) {
            machine_stop_after_step(t->m, t->cpu);
        }
        t->running = true;
        struct machine_result result = timeline_run(t->timeline, chunk);
        t->running = false;
        step = timeline_step(t->timeline);
        events_run_end(t->events, step);
        t->outer_step = step > t->outer_step ? step : t->outer_step;
        if (!go_on(t, &result, &why)) {
            break;
        }
        if (step < until_step && target_cancelled(t)) {
            why = ENGINE_CANCELLED;
            break;
        }
        events_run_begin(t->events, step);
    }
    events_run_end(t->events, step);
    machine_stopped_after_step(t->m); // no longer wanted
    end(t);
    if (why == ENGINE_MET && !timeline_is_at_step(t->timeline)) {
        engine_return(t, step); // the state that every way here leads to
    }
    return why;
}

// Runs history from here to a step. False: cancelled.
static bool scan(struct target *t, u64 to)
{
    while (timeline_step(t->timeline) < to) {
        u64 step = timeline_step(t->timeline);
        u64 chunk = to - step < CHUNK_STEPS ? to : step + CHUNK_STEPS;
        t->running = true;
        struct machine_result result = timeline_scan(t->timeline, chunk);
        t->running = false;
        points_judge(t);
        if (result.exit == MACHINE_EXIT_HOST && !timeline_at_end(t->timeline)) {
            return false; // the door: a signal
        }
        if (result.exit != MACHINE_EXIT_UNTIL && result.exit != MACHINE_EXIT_STOPPED) {
            return true; // the guest ended there: nothing lies beyond
        }
        if (target_cancelled(t)) {
            return false;
        }
    }
    return true;
}

static bool cancel(void *ctx)
{
    return target_cancelled(ctx);
}

bool engine_seek(struct target *t, u64 step)
{
    return timeline_seek(t->timeline, step, t->config.cancel ? cancel : NULL, t);
}

void engine_return(struct target *t, u64 step)
{
    timeline_seek(t->timeline, step, NULL, NULL);
}

static bool interval_is_clean(struct target *t, const struct goal *goal, u64 from, u64 to)
{
    for (unsigned i = 0; i < goal->page_count; i++) {
        if (timeline_page_dirty(t->timeline, goal->pages[i], from, to)) {
            return false;
        }
    }
    return goal->page_count != 0;
}

enum engine_end engine_back(struct target *t, const struct goal *goal, u64 before, u64 lowest)
{
    u64 high = before;
    enum engine_end why = ENGINE_REACHED;
    t->run = (struct run){.back = true, .limit = before};
    begin(t, goal, 0);
    while (high > lowest) {
        u64 low = timeline_checkpoint_before(t->timeline, high - 1);
        low = low < lowest ? lowest : low;
        if (!interval_is_clean(t, goal, low, high)) {
            if (!engine_seek(t, low) || !scan(t, high)) {
                why = ENGINE_CANCELLED;
                break;
            }
            if (t->run.met.found && t->run.met.step >= lowest) {
                why = ENGINE_MET;
                break;
            }
        }
        high = low;
    }
    end(t);
    return why;
}

enum engine_end engine_scan(struct target *t, const struct goal *goal, u64 from, u64 to)
{
    t->run = (struct run){.back = true, .limit = 0};
    bool done = engine_seek(t, from);
    if (done) {
        begin(t, goal, ALWAYS);
        done = scan(t, to);
        end(t);
    }
    return done ? ENGINE_REACHED : ENGINE_CANCELLED;
}
