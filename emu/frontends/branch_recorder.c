// SPDX-License-Identifier: MIT
// A kill loses half a second of a run without branches, a few seconds of one with them.
#include "frontends/branch_recorder.h"

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
};

static void begin(struct branch_recorder *r)
{
    r->writer = NULL;
    r->error = session_begin_recording(r->session, r->path, r->self_contained, &r->writer);
    r->written = 0;
    r->cuts = input_log_cuts(r->session->log);
    r->written_ns = posix_monotonic_ns();
}

static void write_up_to(struct branch_recorder *r, const struct log_position *position)
{
    const struct input_log *log = r->session->log;
    u64 count = input_log_count(log);
    log_writer_inputs(r->writer, log, r->written, count, position);
    r->written = count;
    r->written_ns = posix_monotonic_ns();
}

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
        write_up_to(r, &end.position);
        error = log_writer_finish(r->writer, &end);
    }
    free(r);
    return error;
}
