// SPDX-License-Identifier: MIT
// A kill loses half a second of a run without branches, a few seconds of one with them.
#include "frontends/branch_recorder.h"

#include "base/bits.h"
#include "base/memory.h"
#include "host/posix_clock.h"

#include <stdlib.h>

#define WRITE_NS UINT64_C(500000000)    // of host time between writes
#define RESTART_NS UINT64_C(3000000000) // a new file hashes the images again

struct branch_recorder {
    struct session *session;
    const char *path;
    bool self_contained;
    struct log_writer *writer; // NULL: it could not be begun again, error says why
    struct status error;
    u64 written, cuts; // inputs in the file, and the log's cuts when they were written
    u64 written_ns;    // of host time
    struct log_hash *hashes; // of history as far as it has been passed, by step
    size_t hash_count, hash_room, hashes_written;
    u64 hash_cuts; // the log's cuts when the last was made
};

static void begin(struct branch_recorder *r)
{
    r->writer = NULL;
    r->error = session_begin_recording(r->session, r->path, r->self_contained, &r->writer);
    r->written = 0;
    r->hashes_written = 0;
    r->cuts = input_log_cuts(r->session->log);
    r->written_ns = posix_monotonic_ns();
}

static void write_up_to(struct branch_recorder *r, const struct log_position *position)
{
    const struct input_log *log = r->session->log;
    u64 count = input_log_count(log);
    log_writer_inputs(r->writer, log, r->written, count, position);
    r->written = count;
    size_t hashes = r->hash_count;
    while (hashes && r->hashes[hashes - 1].step > position->step) {
        hashes--; // a branch has undone them, and has not come so far yet
    }
    if (hashes > r->hashes_written) {
        log_writer_hashes(r->writer, r->hashes + r->hashes_written, hashes - r->hashes_written,
                          position);
        r->hashes_written = hashes;
    }
    r->written_ns = posix_monotonic_ns();
}

// --- hashes

static void add_hash(struct branch_recorder *r, u64 step, enum log_hash_kind kind, u64 value)
{
    if (r->hash_count == r->hash_room) {
        r->hash_room = r->hash_room ? 2 * r->hash_room : 256;
        r->hashes = xrealloc(r->hashes, r->hash_room * sizeof(*r->hashes));
    }
    r->hashes[r->hash_count++] = (struct log_hash){.step = step, .value = value, .kind = (u8)kind};
}

static void on_step(void *ctx)
{
    struct branch_recorder *r = ctx;
    struct machine *m = r->session->machine;
    u64 step = machine_clock(m)->step, cuts = input_log_cuts(r->session->log);
    while (cuts != r->hash_cuts && r->hash_count && r->hashes[r->hash_count - 1].step >= step) {
        r->hash_count--; // another future
    }
    r->hash_cuts = cuts;
    if (r->hash_count && r->hashes[r->hash_count - 1].step >= step) {
        return;
    }
    add_hash(r, step, LOG_HASH_STATE, machine_hash_small(m));
    if (step % BIT(r->session->recording.memory_hash_shift) == 0) {
        add_hash(r, step, LOG_HASH_MEMORY, machine_hash_ram(m));
    }
}

void branch_recorder_watch(struct branch_recorder *r, struct timeline *t)
{
    timeline_on_step(t, BIT(r->session->recording.state_hash_shift), on_step, r);
}

// --- the file

void branch_recorder_tick(struct branch_recorder *r)
{
    const struct input_log *log = r->session->log;
    bool stale = r->cuts != input_log_cuts(log);
    u64 age_ns = posix_monotonic_ns() - r->written_ns;
    if (!r->writer || input_log_is_history(log) || age_ns < (stale ? RESTART_NS : WRITE_NS)) {
        return;
    }
    if (stale) {
        log_writer_abandon(r->writer);
        begin(r);
    }
    if (r->writer) {
        const struct vclock *clock = machine_clock(r->session->machine);
        struct log_position here = {.step = clock->step, .vtime_ns = vclock_ns(clock)};
        write_up_to(r, &here);
    }
}

static void before_idle(void *ctx)
{
    branch_recorder_tick(ctx);
}

struct status branch_recorder_open(struct branch_recorder **out, struct session *s,
                                   const char *path, bool self_contained)
{
    struct branch_recorder *r = xcalloc(1, sizeof(*r));
    *r = (struct branch_recorder){.session = s, .path = path, .self_contained = self_contained};
    for (unsigned i = 0; i < s->recording.image_count; i++) {
        r->self_contained = r->self_contained || s->recording.images[i].embedded;
    }
    begin(r);
    struct status error = r->error;
    if (!r->writer) {
        free(r);
        r = NULL;
    } else {
        input_log_on_idle(s->log, before_idle, r);
    }
    *out = r;
    return error;
}

struct status branch_recorder_close(struct branch_recorder *r)
{
    struct input_log *log = r->session->log;
    input_log_on_idle(log, NULL, NULL);
    if (r->writer && r->cuts != input_log_cuts(log)) {
        log_writer_abandon(r->writer);
        begin(r);
    }
    struct status error = r->error;
    if (r->writer) {
        struct log_end end = {.exit = MACHINE_EXIT_HOST};
        input_log_end(log, &end.position.step, &end.position.vtime_ns);
        struct machine *m = r->session->machine;
        const struct vclock *clock = machine_clock(m);
        if (clock->step == end.position.step && vclock_ns(clock) == end.position.vtime_ns) {
            end.hashed = true; // it has not been sent back
            end.state_hash = machine_hash_small(m);
            end.memory_hash = machine_hash_ram(m);
        }
        write_up_to(r, &end.position);
        error = log_writer_finish(r->writer, &end);
    }
    free(r->hashes);
    free(r);
    return error;
}
