// SPDX-License-Identifier: MIT
// Runs in pieces that end where hashes are due; writes what there is after 2^26 steps or a second.
#include "replay/recorder.h"

#include "base/bits.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define FLUSH_NS 500000000      // of host time
#define FLUSH_INPUT_NS 50000000 // if there is input, before a wait, which may be long
#define HASHES_MAX 64           // kept before they are written

struct recorder {
    struct log_writer *writer;
    struct input_log *log;
    struct machine *machine;
    u64 (*host_ns)(void);
    unsigned state_shift, memory_shift;
    u64 written_seq;      // inputs before it are in the file
    u64 written_vtime_ns; // complete up to here
    u64 flushed_host_ns;
    struct log_hash hashes[HASHES_MAX + 2];
    size_t hash_count;
    u64 hashed_step;                // states up to here have been hashed
    struct checkpoint_saver *saver; // NULL: no checkpoints
    u64 checkpoint_steps;           // between them
};

static struct log_position position(const struct recorder *r)
{
    const struct vclock *clock = machine_clock(r->machine);
    return (struct log_position){.step = clock->step, .vtime_ns = vclock_ns(clock)};
}

// Inputs first: a hash in the file says that all inputs up to it are there too.
static void flush(struct recorder *r)
{
    struct log_position now = position(r);
    u64 count = input_log_count(r->log);
    if (count != r->written_seq || (!r->hash_count && now.vtime_ns != r->written_vtime_ns)) {
        log_writer_inputs(r->writer, r->log, r->written_seq, count, &now);
    }
    if (r->hash_count) {
        log_writer_hashes(r->writer, r->hashes, r->hash_count, &now);
        r->hash_count = 0;
    }
    r->written_seq = count;
    r->written_vtime_ns = now.vtime_ns;
}

static void flush_if_due(struct recorder *r, u64 after_ns)
{
    u64 now_ns = r->host_ns();
    if (now_ns - r->flushed_host_ns >= after_ns) {
        flush(r);
        r->flushed_host_ns = now_ns;
    }
}

static void before_idle(void *ctx)
{
    const struct recorder *r = ctx;
    flush_if_due(ctx, input_log_count(r->log) != r->written_seq ? FLUSH_INPUT_NS : FLUSH_NS);
}

static void add_hash(struct recorder *r, enum log_hash_kind kind, u64 value)
{
    r->hashes[r->hash_count++] = (struct log_hash){
        .step = machine_clock(r->machine)->step, .value = value, .kind = (u8)kind};
}

// Hashes the state if one is due at this step.
static void hash_here(struct recorder *r)
{
    u64 step = machine_clock(r->machine)->step;
    if (step <= r->hashed_step || step % BIT(r->state_shift)) {
        return;
    }
    r->hashed_step = step;
    add_hash(r, LOG_HASH_STATE, machine_hash_small(r->machine));
    bool memory = step % BIT(r->memory_shift) == 0;
    if (memory) {
        add_hash(r, LOG_HASH_MEMORY, machine_hash_ram(r->machine));
    }
    flush_if_due(r, memory || r->hash_count >= HASHES_MAX ? 0 : FLUSH_NS);
    if (r->saver && step % r->checkpoint_steps == 0) {
        checkpoint_chunk_write(r->writer, r->saver, r->machine, r->log);
    }
}

struct recorder *recorder_create(struct log_writer *writer, const struct recording *recording,
                                 struct input_log *log, struct machine *machine,
                                 u64 (*host_ns)(void))
{
    struct recorder *r = xcalloc(1, sizeof(*r));
    r->writer = writer;
    r->log = log;
    r->machine = machine;
    r->host_ns = host_ns;
    r->state_shift = recording->state_hash_shift;
    r->memory_shift = recording->memory_hash_shift;
    r->hashed_step = machine_clock(machine)->step;
    flush(r);
    r->flushed_host_ns = host_ns();
    input_log_on_idle(log, before_idle, r);
    return r;
}

void recorder_set_checkpoints(struct recorder *r, const struct checkpoint_parts *parts,
                              u64 interval_steps)
{
    r->saver = checkpoint_saver_create(parts);
    r->checkpoint_steps = align_up(interval_steps ? interval_steps : 1, BIT(r->memory_shift));
}

struct machine_result recorder_run(struct recorder *r, u64 until_step)
{
    for (;;) {
        u64 step = machine_clock(r->machine)->step;
        u64 next = align_down(step, BIT(r->state_shift)) + BIT(r->state_shift);
        struct machine_result result =
            machine_run(r->machine, next < until_step ? next : until_step);
        if (result.exit == MACHINE_EXIT_UNTIL) {
            hash_here(r);
        }
        if (result.exit != MACHINE_EXIT_UNTIL || machine_clock(r->machine)->step >= until_step) {
            return result;
        }
    }
}

struct status recorder_finish(struct recorder *r, const struct machine_result *result)
{
    input_log_on_idle(r->log, NULL, NULL);
    flush(r);
    struct status s;
    if (result) {
        struct log_end end = {
            .position = position(r),
            .exit = (u8)result->exit,
            .value = result->value,
            .hashed = true,
            .state_hash = machine_hash_small(r->machine),
            .memory_hash = machine_hash_ram(r->machine),
        };
        memcpy(end.text, result->text, sizeof(end.text));
        s = log_writer_finish(r->writer, &end);
    } else {
        s = log_writer_finish(r->writer, NULL);
    }
    checkpoint_saver_destroy(r->saver);
    free(r);
    return s;
}
