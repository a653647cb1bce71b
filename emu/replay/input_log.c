// SPDX-License-Identifier: MIT
// The machine's door: records what comes from the outside, plays what came before.
#include "replay/input_log.h"

#include "base/check.h"
#include "base/memory.h"
#include "replay/input_log_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *input_kind_name(enum input_kind kind)
{
    static const char *const names[] = {
#define INPUT(name, help) #name,
#include "replay/inputs.def"
#undef INPUT
    };
    CHECK(kind < INPUT_KIND_COUNT);
    return names[kind];
}

static bool is_before(u64 step, u64 vtime_ns, u64 other_step, u64 other_vtime_ns)
{
    return step != other_step ? step < other_step : vtime_ns < other_vtime_ns;
}

bool input_log_is_history(const struct input_log *log)
{
    return log->next < input_store_count(log->store) ||
           is_before(log->clock->step, vclock_ns(log->clock), log->end_step, log->end_vtime_ns);
}

static const struct input_record *peek(const struct input_log *log)
{
    return log->next < input_store_count(log->store) ? input_store_get(log->store, log->next)
                                                     : NULL;
}

static void diverge(struct input_log *log, const struct input_record *r, const char *what)
{
    if (!log->diverged) {
        log->diverged = true;
        snprintf(log->divergence, sizeof(log->divergence),
                 "input %llu (%s of line %u at step %llu, vtime %llu ns) %s at step %llu, vtime "
                 "%llu ns",
                 (unsigned long long)r->seq, input_kind_name(r->kind), r->line,
                 (unsigned long long)r->step, (unsigned long long)r->vtime_ns, what,
                 (unsigned long long)log->clock->step, (unsigned long long)vclock_ns(log->clock));
    }
}

bool input_log_diverged(const struct input_log *log, char *line, size_t size)
{
    if (log->diverged) {
        snprintf(line, size, "%s", log->divergence);
    }
    return log->diverged;
}

const struct input_record *input_log_due(struct input_log *log, enum input_kind kind)
{
    const struct input_record *r = peek(log);
    if (!r) {
        return NULL;
    }
    u64 now_ns = vclock_ns(log->clock);
    if (is_before(r->step, r->vtime_ns, log->clock->step, now_ns)) {
        diverge(log, r, "was not taken and the machine is already");
        return NULL;
    }
    return r->kind == kind && r->step == log->clock->step && r->vtime_ns == now_ns ? r : NULL;
}

static void add_record(struct input_log *log, const struct input_record *record)
{
    input_store_add(log->store, record);
    log->write_count += input_kind_is_write(record->kind);
}

void input_log_record(struct input_log *log, enum input_kind kind, u8 line, const u8 *bytes,
                      u32 size)
{
    CHECK(log->next == input_store_count(log->store));
    const struct input_record record = {.step = log->clock->step,
                                        .vtime_ns = vclock_ns(log->clock),
                                        .kind = kind,
                                        .line = line,
                                        .size = size,
                                        .bytes = bytes};
    add_record(log, &record);
    log->next++;
}

// Serial lines.

static void line_write(void *ctx, const u8 *bytes, size_t size)
{
    struct input_line *line = ctx;
    const struct input_log *log = line->log;
    if (!log->muted && log->clock->step >= log->shown_step) {
        line->live.ops->write(line->live.ctx, bytes, size);
    }
}

static long play_read(struct input_log *log, u8 line, u8 *bytes, size_t room)
{
    const struct input_record *r = input_log_due(log, INPUT_SERIAL);
    if (r && r->line == line && r->size <= room) {
        memcpy(bytes, r->bytes, r->size);
        log->next++;
        return (long)r->size;
    }
    r = input_log_due(log, INPUT_SERIAL_EOF);
    if (r && r->line == line) {
        log->next++;
        return -1;
    }
    return 0;
}

static long line_read(void *ctx, u8 *bytes, size_t room)
{
    struct input_line *line = ctx;
    struct input_log *log = line->log;
    if (input_log_is_history(log)) {
        return play_read(log, line->index, bytes, room);
    }
    long got = log->ends ? 0 : line->live.ops->read(line->live.ctx, bytes, room);
    if (got > 0) {
        input_log_record(log, INPUT_SERIAL, line->index, bytes, (u32)got);
    } else if (got < 0) {
        input_log_record(log, INPUT_SERIAL_EOF, line->index, NULL, 0);
    }
    return got;
}

static void line_set_ready(void *ctx, void (*ready)(void *dev), void *dev)
{
    struct input_line *line = ctx;
    line->ready = ready;
    line->dev = dev;
}

static const struct host_serial_ops line_ops = {
    .write = line_write, .read = line_read, .set_ready = line_set_ready};

// The outside's word that a line has something; passed on where the machine's state says so.
static void live_ready(void *ctx)
{
    ((struct input_line *)ctx)->pending = true;
}

static void tell_port(const struct input_line *line)
{
    if (line->ready) {
        line->ready(line->dev);
    }
}

static bool deliver_pending(struct input_log *log, enum input_kind kind)
{
    bool any = false;
    for (u8 i = 0; i < INPUT_LINES; i++) {
        struct input_line *line = &log->lines[i];
        if (line->pending) {
            line->pending = false;
            input_log_record(log, kind, i, NULL, 0);
            tell_port(line);
            any = true;
        }
    }
    return any;
}

static bool play_ready(struct input_log *log, enum input_kind kind)
{
    const struct input_record *r;
    bool any = false;
    while ((r = input_log_due(log, kind)) != NULL) {
        log->next++;
        tell_port(&log->lines[r->line % INPUT_LINES]);
        any = true;
    }
    return any;
}

// The door.

static bool poll_live(const struct input_log *log, bool slice_end)
{
    const struct host_door *door = &log->live.door;
    return door->ops && door->ops->poll(door->ctx, slice_end);
}

static bool log_poll(void *ctx, bool slice_end)
{
    struct input_log *log = ctx;
    if (input_log_is_history(log)) {
        if (slice_end) {
            play_ready(log, INPUT_READY);
            input_people_play(log, INPUT_EVENT_READY);
        }
        if (log->diverged) {
            return true;
        }
        if (input_log_is_history(log) || log->ends) {
            log->is_at_end = !input_log_is_history(log);
            return poll_live(log, false) || log->is_at_end;
        }
    } else if (log->ends) {
        log->is_at_end = true;
        return true;
    }
    bool end = poll_live(log, slice_end);
    if (slice_end) {
        deliver_pending(log, INPUT_READY);
        input_people_deliver(log, INPUT_EVENT_READY);
    }
    return end;
}

// An idle wait that has been before: it ends where it ended then.
static u64 idle_again(struct input_log *log, u64 now_ns, u64 deadline_ns)
{
    bool told = play_ready(log, INPUT_IDLE_READY);
    told = input_people_play(log, INPUT_IDLE_EVENT_READY) || told;
    if (told || log->diverged) {
        return now_ns; // the run loop looks at the door when no time passes
    }
    const struct input_record *r = peek(log);
    if (r && r->kind == INPUT_IDLE_END && r->step == log->clock->step &&
        r->vtime_ns <= deadline_ns) {
        log->next++;
        return r->vtime_ns;
    }
    if (log->clock->step == log->end_step && log->end_vtime_ns < deadline_ns &&
        log->end_vtime_ns > now_ns) {
        return log->end_vtime_ns;
    }
    if (deadline_ns == HOST_IDLE_FOREVER && r) {
        diverge(log, r, "cannot come: the machine sleeps for ever");
        return now_ns;
    }
    return deadline_ns;
}

static bool any_pending(const struct input_log *log)
{
    bool any = input_people_pending(log);
    for (unsigned i = 0; i < INPUT_LINES; i++) {
        any = any || log->lines[i].pending;
    }
    return any;
}

static u64 idle_live(struct input_log *log, u64 now_ns, u64 deadline_ns)
{
    if (log->on_idle) {
        log->on_idle(log->on_idle_ctx);
    }
    bool told = deliver_pending(log, INPUT_IDLE_READY);
    told = input_people_deliver(log, INPUT_IDLE_EVENT_READY) || told;
    if (told) {
        return now_ns;
    }
    const struct host_door *door = &log->live.door;
    u64 until = door->ops ? door->ops->idle(door->ctx, now_ns, deadline_ns) : deadline_ns;
    // One that ended early for nothing leaves no trace: the rest of the wait follows it, and the
    // sum is the same.
    if (until != HOST_IDLE_FOREVER && until > now_ns && until < deadline_ns && any_pending(log)) {
        const struct input_record end = {
            .step = log->clock->step, .vtime_ns = until, .kind = INPUT_IDLE_END};
        add_record(log, &end);
        log->next++;
    }
    return until;
}

static u64 log_idle(void *ctx, u64 now_ns, u64 deadline_ns)
{
    struct input_log *log = ctx;
    if (input_log_is_history(log)) {
        return idle_again(log, now_ns, deadline_ns);
    }
    return log->ends ? now_ns : idle_live(log, now_ns, deadline_ns);
}

static const struct host_door_ops door_ops = {.poll = log_poll, .idle = log_idle};

struct input_log *input_log_create(const struct host *live)
{
    struct input_log *log = xcalloc(1, sizeof(*log));
    log->live = log->host = *live;
    log->host.door = (struct host_door){.ops = &door_ops, .ctx = log};
    log->store = input_store_create();
    for (u8 i = 0; i < INPUT_LINES; i++) {
        struct input_line *line = &log->lines[i];
        *line = (struct input_line){.log = log, .index = i, .live = live->serial[i]};
        if (line->live.ops) {
            log->host.serial[i] = (struct host_serial){.ops = &line_ops, .ctx = line};
            if (line->live.ops->set_ready) {
                line->live.ops->set_ready(line->live.ctx, live_ready, line);
            }
        }
    }
    input_people_connect(log);
    return log;
}

void input_log_destroy(struct input_log *log)
{
    if (log) {
        input_store_destroy(log->store);
        free(log);
    }
}

const struct host *input_log_host(struct input_log *log)
{
    return &log->host;
}

void input_log_set_clock(struct input_log *log, const struct vclock *clock)
{
    log->clock = clock;
}

u64 input_log_count(const struct input_log *log)
{
    return input_store_count(log->store);
}

const struct input_record *input_log_get(const struct input_log *log, u64 seq)
{
    return input_store_get(log->store, seq);
}

void input_log_append(struct input_log *log, const struct input_record *record)
{
    add_record(log, record);
}

u64 input_log_position(const struct input_log *log)
{
    return log->next;
}

static void note_shown(struct input_log *log)
{
    if (!log->muted && log->clock->step > log->shown_step) {
        log->shown_step = log->clock->step;
    }
}

void input_log_seek(struct input_log *log, u64 position)
{
    CHECK(position <= input_store_count(log->store));
    input_log_end(log, &log->end_step, &log->end_vtime_ns);
    note_shown(log);
    log->next = position;
    log->is_at_end = log->diverged = false;
}

void input_log_end(const struct input_log *log, u64 *step, u64 *vtime_ns)
{
    bool behind = log->ends || input_log_is_history(log);
    u64 end_step = log->end_step, end_vtime_ns = log->end_vtime_ns;
    *step = behind ? end_step : log->clock->step;
    *vtime_ns = behind ? end_vtime_ns : vclock_ns(log->clock);
}

void input_log_set_end(struct input_log *log, u64 step, u64 vtime_ns)
{
    log->ends = true;
    log->end_step = step;
    log->end_vtime_ns = vtime_ns;
}

bool input_log_is_at_end(const struct input_log *log)
{
    return log->is_at_end;
}

u64 input_log_cuts(const struct input_log *log)
{
    return log->cuts;
}

void input_log_cut(struct input_log *log)
{
    log->cuts += input_log_is_history(log);
    for (u64 i = log->next; i < input_store_count(log->store); i++) {
        enum input_kind kind = input_store_get(log->store, i)->kind;
        log->write_count -= input_kind_is_write(kind);
    }
    input_store_cut(log->store, log->next);
    log->end_step = log->clock->step;
    log->end_vtime_ns = vclock_ns(log->clock);
    if (log->shown_step > log->end_step) {
        log->shown_step = log->end_step; // the other future's output was not this one's
    }
    log->ends = log->is_at_end = log->diverged = false;
    for (unsigned i = 0; i < INPUT_LINES; i++) {
        // What was told to the ports lies in the future that is gone. Told too often does no harm.
        log->lines[i].pending = log->lines[i].live.ops != NULL;
    }
    input_people_retell(log);
}

void input_log_mute(struct input_log *log, bool muted)
{
    note_shown(log);
    log->muted = muted;
}

void input_log_on_idle(struct input_log *log, void (*fn)(void *ctx), void *ctx)
{
    log->on_idle = fn;
    log->on_idle_ctx = ctx;
}
