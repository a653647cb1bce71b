// SPDX-License-Identifier: MIT
// Runs in pieces that end where the recording has hashes or a debugger's writes.
#include "replay/player.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct player {
    const struct log_reader *reader;
    struct input_log *log;
    struct machine *machine;
    const struct log_hash *hashes;
    size_t hash_count;
    size_t next; // hash
    u64 checked;
    u64 good_step; // the last state whose hash was right
    bool at_end, diverged;
    char divergence[300];
};

struct player *player_create(const struct log_reader *reader, struct input_log *log,
                             struct machine *machine)
{
    struct player *p = xcalloc(1, sizeof(*p));
    p->reader = reader;
    p->log = log;
    p->machine = machine;
    p->hash_count = log_reader_hashes(reader, &p->hashes);
    p->good_step = machine_clock(machine)->step;
    while (p->next < p->hash_count && p->hashes[p->next].step < p->good_step) {
        p->next++;
    }
    return p;
}

void player_destroy(struct player *p)
{
    free(p);
}

static void diverge(struct player *p, const char *what, u64 found, u64 recorded)
{
    if (!p->diverged) {
        p->diverged = true;
        snprintf(p->divergence, sizeof(p->divergence),
                 "the replay differs from the recording between steps %llu and %llu: %s hash "
                 "%016llx, recorded %016llx",
                 (unsigned long long)p->good_step,
                 (unsigned long long)machine_clock(p->machine)->step, what,
                 (unsigned long long)found, (unsigned long long)recorded);
    }
}

static void check(struct player *p, enum log_hash_kind kind, u64 recorded)
{
    u64 found =
        kind == LOG_HASH_STATE ? machine_hash_small(p->machine) : machine_hash_ram(p->machine);
    p->checked++;
    if (found != recorded) {
        diverge(p, kind == LOG_HASH_STATE ? "state" : "memory", found, recorded);
    }
}

static void check_here(struct player *p)
{
    u64 step = machine_clock(p->machine)->step;
    while (p->next < p->hash_count && p->hashes[p->next].step == step) {
        check(p, p->hashes[p->next].kind, p->hashes[p->next].value);
        p->next++;
    }
    if (!p->diverged) {
        p->good_step = step;
    }
}

// The last state has hashes of its own, and the run that was recorded its own end.
static struct machine_result end_here(struct player *p, struct machine_result result)
{
    const struct log_end *end = log_reader_end(p->reader);
    struct log_position last = log_reader_last(p->reader);
    const struct vclock *clock = machine_clock(p->machine);
    if (clock->step != last.step || vclock_ns(clock) != last.vtime_ns) {
        return result;
    }
    p->at_end = true;
    if (!end) {
        return result;
    }
    if (end->hashed) {
        check(p, LOG_HASH_STATE, end->state_hash);
        check(p, LOG_HASH_MEMORY, end->memory_hash);
    }
    if (result.exit == MACHINE_EXIT_HOST || result.exit == MACHINE_EXIT_UNTIL) {
        result.exit = (enum machine_exit)end->exit; // else the machine itself has come to its end
        result.value = end->value;
        memcpy(result.text, end->text, sizeof(result.text));
    }
    return result;
}

static u64 next_stop(const struct player *p, u64 until_step)
{
    u64 stop = until_step;
    if (p->next < p->hash_count && p->hashes[p->next].step < stop) {
        stop = p->hashes[p->next].step;
    }
    u64 write = input_log_next_write(p->log);
    stop = write < stop && write > machine_clock(p->machine)->step ? write : stop;
    const struct log_end *end = log_reader_end(p->reader);
    if (end && end->exit == MACHINE_EXIT_UNTIL && end->position.step < stop) {
        stop = end->position.step; // it ended before what is due at that step
    }
    return stop;
}

// What a run that ended before its goal means; false: it was a piece.
static bool is_over(struct player *p, struct machine_result *result, u64 until_step)
{
    char text[200];
    if (input_log_diverged(p->log, text, sizeof(text)) && !p->diverged) {
        p->diverged = true;
        snprintf(p->divergence, sizeof(p->divergence), "the replay differs from the recording: %s",
                 text);
    }
    u64 step = machine_clock(p->machine)->step;
    u64 last_step = log_reader_last(p->reader).step;
    const struct log_end *end = log_reader_end(p->reader);
    if (result->exit == MACHINE_EXIT_UNTIL) {
        bool ends = end && end->exit == MACHINE_EXIT_UNTIL && step == last_step;
        if (ends) {
            *result = end_here(p, *result);
        }
        return ends || p->diverged || step >= until_step;
    }
    if (result->exit != MACHINE_EXIT_HOST || input_log_is_at_end(p->log)) {
        if (result->exit != MACHINE_EXIT_RESET || step == last_step) {
            *result = end_here(p, *result);
        }
        if (!p->at_end && !p->diverged && result->exit != MACHINE_EXIT_RESET) {
            p->diverged = true;
            snprintf(p->divergence, sizeof(p->divergence),
                     "the replay differs from the recording after step %llu: it ends at step %llu, "
                     "the recording at step %llu",
                     (unsigned long long)p->good_step, (unsigned long long)step,
                     (unsigned long long)last_step);
        }
    }
    return true;
}

struct machine_result player_run(struct player *p, u64 until_step)
{
    for (;;) {
        input_log_apply_writes(p->log, p->machine);
        check_here(p);
        struct machine_result result = {.exit = MACHINE_EXIT_UNTIL};
        u64 stop = next_stop(p, until_step);
        if (!p->diverged) {
            result = machine_run(p->machine, stop);
        }
        if (result.exit == MACHINE_EXIT_UNTIL) {
            check_here(p);
        }
        if (is_over(p, &result, until_step)) {
            return result;
        }
    }
}

bool player_is_at_end(const struct player *p)
{
    return p->at_end;
}

bool player_diverged(const struct player *p, char *line, size_t size)
{
    if (p->diverged && size) {
        snprintf(line, size, "%s", p->divergence);
    }
    return p->diverged;
}

u64 player_checked(const struct player *p)
{
    return p->checked;
}
