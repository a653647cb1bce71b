// SPDX-License-Identifier: MIT
// Moving a machine through time: runs are cut where checkpoints are, seeks begin at one.
#include "replay/timeline.h"

#include "base/check.h"
#include "base/memory.h"
#include "machine/watch.h"
#include "replay/checkpoints.h"
#include "replay/input_log_internal.h"

#include <stdlib.h>

#define SPACING_STEPS (UINT64_C(1) << 24)     // between checkpoints that every run leaves
#define SPACING_MAX_STEPS (UINT64_C(1) << 26) // where keeping what was written would cost too much
#define STEPS_PER_PAGE UINT64_C(8192)    // steps that take a multiple of the time to keep a page
#define DENSE_STEPS UINT64_C(4096)       // nearer than this to where a seek goes, none are left
#define CANCEL_STEPS (UINT64_C(1) << 16) // between questions whether a seek is cancelled
#define CHECKPOINTS_MAX 1024

struct timeline {
    struct machine *m;
    struct input_log *log;
    const struct vclock *clock;
    u64 memory_bytes;
    struct checkpoints points;
    unsigned disk_count;
    bool at_step; // the machine stands at the first state of its step
    // The guest has ended itself: it is not to run on. The result says how.
    bool ended;
    struct machine_result result;
    struct status (*boot)(void *ctx);
    void *boot_ctx;
    struct status boot_status;
    struct timeline_store store; // find NULL: none
    u64 branch_step; // the earliest branch: the store's later ones are of another history
    struct machine_result end_result;
    u64 observed_steps; // 0: nobody is told
    void (*on_step)(void *ctx);
    void *on_step_ctx;
};

// One movement forward.
struct movement {
    u64 until;
    bool dense; // leave checkpoints ever closer to until
    bool (*cancel)(void *ctx);
    void *ctx;
    bool cancelled;
};

struct timeline *timeline_create(struct machine *m, struct input_log *log, u64 memory_bytes)
{
    struct timeline *t = xcalloc(1, sizeof(*t));
    t->m = m;
    t->log = log;
    t->clock = machine_clock(m);
    t->memory_bytes = memory_bytes;
    t->at_step = true;
    t->boot_status = status_success();
    t->end_result.exit = MACHINE_EXIT_HOST;
    t->branch_step = UINT64_MAX;
    checkpoints_init(&t->points, m);
    checkpoints_take(&t->points, input_log_position(log), false);
    return t;
}

void timeline_destroy(struct timeline *t)
{
    if (t) {
        checkpoints_free(&t->points);
        free(t);
    }
}

void timeline_add_disk(struct timeline *t, struct overlay *disk)
{
    CHECK(t->disk_count < CHECKPOINT_DISKS && t->points.count == 1);
    t->points.disks[t->disk_count] = disk;
    t->points.list[0]->disks[t->disk_count] = overlay_save(disk);
    t->points.list_bytes += overlay_copy_bytes(t->points.list[0]->disks[t->disk_count]);
    t->disk_count++;
}

void timeline_set_boot(struct timeline *t, struct status (*boot)(void *ctx), void *ctx)
{
    t->boot = boot;
    t->boot_ctx = ctx;
}

struct status timeline_boot_status(const struct timeline *t)
{
    return t->boot_status;
}

void timeline_set_store(struct timeline *t, const struct timeline_store *store)
{
    t->store = *store;
}

void timeline_set_end_result(struct timeline *t, const struct machine_result *result)
{
    t->end_result = *result;
}

void timeline_on_step(struct timeline *t, u64 every_steps, void (*fn)(void *ctx), void *ctx)
{
    t->observed_steps = every_steps;
    t->on_step = fn;
    t->on_step_ctx = ctx;
}

struct machine *timeline_machine(const struct timeline *t)
{
    return t->m;
}

struct input_log *timeline_log(const struct timeline *t)
{
    return t->log;
}

u64 timeline_step(const struct timeline *t)
{
    return t->clock->step;
}

u64 timeline_begin(const struct timeline *t)
{
    return t->points.list[0]->step;
}

u64 timeline_end(const struct timeline *t)
{
    u64 step, vtime_ns;
    input_log_end(t->log, &step, &vtime_ns);
    return step;
}

bool timeline_is_live(const struct timeline *t)
{
    return !t->log->ends;
}

bool timeline_is_at_step(const struct timeline *t)
{
    return t->at_step;
}

bool timeline_at_end(const struct timeline *t)
{
    return input_log_is_at_end(t->log);
}

// A debugger's writes of this step, if they are due.
static void apply_writes(struct timeline *t)
{
    if (input_log_next_write(t->log) == t->clock->step) {
        input_log_apply_writes(t->log, t->m);
    }
}

static void take(struct timeline *t)
{
    checkpoints_take(&t->points, input_log_position(t->log), false);
    checkpoints_thin(&t->points, t->clock->step, t->memory_bytes, CHECKPOINTS_MAX);
}

// Where the next piece of the movement ends.
static u64 next_stop(const struct timeline *t, const struct movement *move)
{
    u64 here = t->clock->step;
    u64 spacing = t->observed_steps && t->observed_steps < SPACING_STEPS ? t->observed_steps
                                                                          : SPACING_STEPS;
    u64 stop = (here / spacing + 1) * spacing;
    u64 write = input_log_next_write(t->log);
    unsigned next = checkpoints_until(&t->points, here);
    u64 point = next < t->points.count ? t->points.list[next]->step : UINT64_MAX;
    stop = stop < write || write <= here ? stop : write;
    stop = stop < point ? stop : point;
    stop = stop < move->until ? stop : move->until;
    if (t->log->ends && here < t->log->end_step && stop > t->log->end_step) {
        stop = t->log->end_step;
    }
    if (move->cancel && stop - here > CANCEL_STEPS) {
        stop = here + CANCEL_STEPS;
    }
    return stop;
}

// A guest that writes a lot gets fewer, so that they cost the run next to nothing.
static bool is_worth_taking(const struct timeline *t)
{
    u64 steps = t->clock->step - t->points.base->step;
    if (t->clock->step % SPACING_STEPS || steps < SPACING_STEPS / 2) {
        return false;
    }
    struct page_list written = page_history_written(t->points.pages);
    free(written.numbers);
    return steps >= SPACING_MAX_STEPS || written.count * STEPS_PER_PAGE <= steps;
}

// The machine has come to the first state of a step that it ran up to.
static void arrive(struct timeline *t, const struct movement *move, u64 *dense_at)
{
    u64 here = t->clock->step;
    t->at_step = true;
    struct checkpoint *point = checkpoints_at(&t->points, here);
    if (point) {
        checkpoints_pass(&t->points, point);
    }
    if (t->observed_steps && here % t->observed_steps == 0) {
        t->on_step(t->on_step_ctx);
    }
    apply_writes(t);
    bool dense = move->dense && here >= *dense_at && move->until - here >= DENSE_STEPS;
    if (!point && (dense || is_worth_taking(t))) {
        take(t);
    }
    if (move->dense && here >= *dense_at) {
        *dense_at = here + (move->until - here) / 2;
    }
}

// After a guest's reset: true if it runs on.
static bool boot_again(struct timeline *t)
{
    if (!t->boot) {
        return false;
    }
    t->boot_status = t->boot(t->boot_ctx);
    return status_ok(&t->boot_status);
}

static bool ends_for_good(enum machine_exit exit)
{
    return exit == MACHINE_EXIT_POWER_OFF || exit == MACHINE_EXIT_DEBUG_EXIT ||
           exit == MACHINE_EXIT_RESET;
}

// One piece. False: the movement ends with t->result.
static bool run_piece(struct timeline *t, const struct movement *move, u64 *dense_at)
{
    if (t->log->ends && !input_log_is_history(t->log)) {
        t->log->is_at_end = true;
        t->result = t->end_result;
        return false;
    }
    u64 stop = next_stop(t, move);
    if (move->dense && *dense_at > t->clock->step && *dense_at < stop) {
        stop = *dense_at;
    }
    t->at_step = false;
    machine_watch_first(t->m); // a piece begins where the one before ended
    t->result = machine_run(t->m, stop);
    if (t->result.exit == MACHINE_EXIT_STOPPED && machine_is_at_step(t->m)) {
        arrive(t, move, dense_at);
        return false;
    }
    if (t->result.exit == MACHINE_EXIT_UNTIL) {
        arrive(t, move, dense_at);
        return true;
    }
    if (t->result.exit == MACHINE_EXIT_RESET && boot_again(t)) {
        return true;
    }
    t->ended = ends_for_good(t->result.exit);
    return false;
}

static struct machine_result move_forward(struct timeline *t, struct movement *move)
{
    u64 here = t->clock->step;
    u64 dense_at = here + (move->until > here ? (move->until - here) / 2 : 0);
    while (!t->ended && t->clock->step < move->until) {
        if (move->cancel && move->cancel(move->ctx)) {
            move->cancelled = true;
            return (struct machine_result){.exit = MACHINE_EXIT_HOST};
        }
        if (!run_piece(t, move, &dense_at)) {
            return t->result;
        }
    }
    return t->ended ? t->result : (struct machine_result){.exit = MACHINE_EXIT_UNTIL};
}

struct machine_result timeline_run(struct timeline *t, u64 until_step)
{
    struct movement move = {.until = until_step};
    return move_forward(t, &move);
}

struct machine_result timeline_scan(struct timeline *t, u64 until_step)
{
    struct movement move = {.until = until_step};
    input_log_mute(t->log, true);
    struct machine_result result = move_forward(t, &move);
    input_log_mute(t->log, false);
    return result;
}

static void load(struct timeline *t, struct checkpoint *point)
{
    input_log_seek(t->log, point->position); // first: it notes how far history reaches
    checkpoints_load(&t->points, point);
    t->ended = false;
    t->at_step = true;
    apply_writes(t);
}

// To a checkpoint of the store, which becomes one of ours. False: it could not be had; the machine
// is at one of ours before it.
static bool load_from_store(struct timeline *t, u64 step)
{
    struct checkpoint *before = t->points.list[checkpoints_until(&t->points, step) - 1];
    load(t, before); // what is written from here on is what differs
    struct status s = t->store.restore(t->store.ctx, step);
    if (!status_ok(&s) || t->clock->step != step) {
        t->store.find = NULL;
        load(t, before);
        return false;
    }
    checkpoints_take(&t->points, input_log_position(t->log), true);
    checkpoints_thin(&t->points, step, t->memory_bytes, CHECKPOINTS_MAX);
    apply_writes(t);
    return true;
}

static void seek_quietly(struct timeline *t, struct movement *move)
{
    u64 here = t->clock->step, stored;
    struct checkpoint *point = t->points.list[checkpoints_until(&t->points, move->until) - 1];
    bool ahead = here < move->until || (here == move->until && t->at_step);
    bool from_here = ahead && here >= point->step;
    u64 begin = from_here ? here : point->step;
    u64 until = move->until < t->branch_step ? move->until : t->branch_step; // it knows no branches
    bool is_stored = t->store.find && t->store.find(t->store.ctx, until, &stored);
    if (is_stored && stored >= begin + SPACING_STEPS) {
        load_from_store(t, stored);
    } else if (!from_here) {
        load(t, point);
    }
    move_forward(t, move);
}

bool timeline_seek(struct timeline *t, u64 step, bool (*cancel)(void *ctx), void *ctx)
{
    u64 begin = timeline_begin(t), end = timeline_end(t);
    step = step < begin ? begin : step > end ? end : step;
    struct movement move = {.until = step, .dense = true, .cancel = cancel, .ctx = ctx};
    struct probes *probes = machine_probes(t->m);
    u64 enabled = probes->enabled;
    probes->enabled = 0;
    machine_mute_watch(t->m, true);
    input_log_mute(t->log, true);
    seek_quietly(t, &move);
    input_log_mute(t->log, false);
    machine_mute_watch(t->m, false);
    probes->enabled = enabled;
    return !move.cancelled && t->clock->step == step;
}

u64 timeline_checkpoint_before(const struct timeline *t, u64 step)
{
    unsigned n = checkpoints_until(&t->points, step);
    return t->points.list[n ? n - 1 : 0]->step;
}

void timeline_checkpoint(struct timeline *t)
{
    if (t->at_step) {
        take(t);
    }
}

unsigned timeline_checkpoint_count(const struct timeline *t)
{
    return t->points.count;
}

u64 timeline_checkpoint_bytes(const struct timeline *t)
{
    return checkpoints_bytes(&t->points);
}

void timeline_branch(struct timeline *t)
{
    if (!t->at_step) {
        timeline_seek(t, t->clock->step, NULL, NULL);
    }
    checkpoints_cut(&t->points, t->clock->step);
    input_log_cut(t->log);
    t->ended = false;
    t->branch_step = t->branch_step < t->clock->step ? t->branch_step : t->clock->step;
}

bool timeline_page_dirty(const struct timeline *t, u32 rpn, u64 from, u64 to)
{
    const struct checkpoints *c = &t->points;
    unsigned i = checkpoints_until(c, from);
    for (; i < c->count && c->list[i - (i > 0)]->step < to; i++) {
        if (c->list[i]->guessed || page_list_has(&c->list[i]->written, rpn)) {
            return true;
        }
    }
    if (i < c->count || c->list[c->count - 1]->step >= to) {
        return false;
    }
    // The rest lies after the last checkpoint: known only if the machine has been there.
    bool been = c->base == c->list[c->count - 1] && t->clock->step >= to;
    return !been || page_history_was_written(c->pages, rpn);
}
