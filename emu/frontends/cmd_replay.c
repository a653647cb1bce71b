// SPDX-License-Identifier: MIT
// "viv replay": repeats a recorded run, and says whether it was the same.
#include "frontends/cmd_replay.h"

#include "base/bits.h"
#include "base/memory.h"
#include "frontends/film.h"
#include "frontends/frames.h"
#include "frontends/gdb.h"
#include "frontends/outcome.h"
#include "frontends/screenshots.h"
#include "replay/player.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COPY_PIECE (1u << 20)

// A replay on its way, and the checkpoints it leaves in a new version of its file.
struct replay {
    struct session *session;
    struct player *player;
    struct log_writer *writer; // NULL: none wanted
    struct checkpoint_saver *saver;
    u64 checkpoint_steps;
    struct screenshots *shots;
    struct frames *frames;
};

// Runs the recording; resets boot again as they did.
static struct machine_result play(struct replay *r, u64 until_step, struct status *error)
{
    for (;;) {
        struct machine *m = r->session->machine;
        *error = screenshots_take(r->shots, m);
        if (!status_ok(error)) {
            return (struct machine_result){.exit = MACHINE_EXIT_UNTIL};
        }
        u64 until = screenshots_next(r->shots, m, until_step), step = machine_clock(m)->step;
        bool checkpoint = false;
        if (r->writer && until - step > r->checkpoint_steps - step % r->checkpoint_steps) {
            until = step + r->checkpoint_steps - step % r->checkpoint_steps;
            checkpoint = true;
        }
        struct machine_result result = player_run(r->player, until);
        bool over = player_is_at_end(r->player) || player_diverged(r->player, NULL, 0);
        if (result.exit == MACHINE_EXIT_RESET && !r->session->reset_ends && !over) {
            *error = session_reboot(r->session);
            if (!status_ok(error)) {
                return result;
            }
        } else if (result.exit != MACHINE_EXIT_UNTIL || until == until_step || over) {
            return result;
        } else if (checkpoint) {
            checkpoint_chunk_write(r->writer, r->saver, r->session->machine, r->session->log);
        }
    }
}

// Everything but old checkpoints and the end goes into the new file.
static struct status begin_file(struct replay *r, const struct run_options *o)
{
    struct session *s = r->session;
    if (!log_reader_end(s->reader)) {
        return status_error(STATUS_BAD_INPUT, "%s was cut off: it cannot take checkpoints",
                            o->replay);
    }
    struct status result = log_writer_create(&r->writer, o->replay, &s->recording);
    if (status_ok(&result)) {
        result = log_reader_copy(s->reader, r->writer);
    }
    struct checkpoint_parts parts = session_parts(s);
    r->saver = checkpoint_saver_create(&parts);
    r->checkpoint_steps = o->checkpoint_steps;
    return result;
}

// Only a whole one takes the old one's place.
static struct status end_file(struct replay *r, const struct status *so_far, bool interrupted)
{
    struct status written = status_success();
    if (r->writer) {
        if (status_ok(so_far) && !interrupted) {
            written = log_writer_finish(r->writer, log_reader_end(r->session->reader));
        } else {
            log_writer_abandon(r->writer);
        }
    }
    checkpoint_saver_destroy(r->saver);
    return status_ok(so_far) ? written : *so_far;
}

static struct status copy_disk(const struct host_block *disk, int fd, const char *path)
{
    struct status s = status_success();
    u8 *piece = xcalloc(1, COPY_PIECE);
    for (u64 at = 0; at < disk->size_bytes && status_ok(&s); at += COPY_PIECE) {
        u64 left = disk->size_bytes - at;
        size_t part = left < COPY_PIECE ? (size_t)left : COPY_PIECE;
        if (!disk->ops->read(disk->ctx, at, piece, part)) {
            s = status_error(STATUS_BAD_INPUT, "cannot read the disk at byte %llu",
                             (unsigned long long)at);
        } else if (pwrite(fd, piece, part, (off_t)at) != (ssize_t)part) {
            s = status_error(STATUS_BAD_INPUT, "cannot write %s: %s", path, strerror(errno));
        }
    }
    free(piece);
    return s;
}

// The first disk as the guest left it. An existing file is not replaced.
static struct status write_disk(const struct session *s, const char *path)
{
    unsigned n = 0;
    while (n < DISKS_MAX && !s->disks[n]) {
        n++;
    }
    if (n == DISKS_MAX) {
        return status_error(STATUS_BAD_INPUT, "--write-disk %s: the machine has no disk", path);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        return status_error(STATUS_BAD_INPUT, "cannot create %s: %s", path, strerror(errno));
    }
    struct host_block disk = posix_block_host(s->disks[n]);
    struct status result = copy_disk(&disk, fd, path);
    if (close(fd) != 0 && status_ok(&result)) {
        result = status_error(STATUS_BAD_INPUT, "cannot write %s: %s", path, strerror(errno));
    }
    return result;
}

// How a replay ended, when it was not cut short by its user: as the recorded run did.
static int replay_status(const struct session *s, const struct player *player,
                         const struct machine_result *r, char line[OUTCOME_LINE])
{
    if (!player_is_at_end(player) || r->exit != MACHINE_EXIT_HOST) {
        return outcome_status(s, r, line);
    }
    struct log_position last = log_reader_last(s->reader);
    if (!log_reader_end(s->reader)) {
        snprintf(line, OUTCOME_LINE,
                 "the recording was cut off; it goes as far as step %llu (vtime %.3f s)",
                 (unsigned long long)last.step, (double)last.vtime_ns / 1e9);
    } else {
        snprintf(line, OUTCOME_LINE, "the recording ends at step %llu: its run was ended there",
                 (unsigned long long)last.step);
    }
    return 0;
}

// The replay again from each checkpoint to the next.
static struct status verify_checkpoints(struct session *s, const char *name, u64 *checked)
{
    const struct log_chunk *chunks;
    size_t count = log_reader_chunks(s->reader, &chunks);
    struct status result = status_success();
    u64 last_step = UINT64_MAX;
    for (size_t i = count; i-- > 0 && status_ok(&result);) {
        if (chunks[i].type != LOG_CHUNK_CHECKPOINT) {
            continue;
        }
        result = session_enter(s, chunks[i].step_last);
        struct replay r = {.session = s};
        r.player = player_create(s->reader, s->log, s->machine);
        if (status_ok(&result)) {
            struct machine_result ended = play(&r, last_step, &result);
            if (ended.exit == MACHINE_EXIT_HOST && !player_is_at_end(r.player)) {
                result = status_error(OUTCOME_INTERRUPTED,
                                      "interrupted while the checkpoint at "
                                      "step %llu was verified",
                                      (unsigned long long)chunks[i].step_last);
            }
        }
        char why[300];
        if (status_ok(&result) && player_diverged(r.player, why, sizeof(why))) {
            result = status_error(STATUS_BAD_INPUT, "%s: from the checkpoint at step %llu: %s",
                                  name, (unsigned long long)chunks[i].step_last, why);
        }
        *checked += player_checked(r.player);
        player_destroy(r.player);
        last_step = chunks[i].step_last;
    }
    return result;
}

static struct status finish(struct replay *r, const struct run_options *o, bool interrupted,
                            u64 *checked)
{
    struct session *s = r->session;
    char why[300];
    struct status error = status_success();
    if (player_diverged(r->player, why, sizeof(why))) {
        error = status_error(STATUS_BAD_INPUT, "%s: %s", o->replay, why);
    }
    if (status_ok(&error) && o->write_disk) {
        error = write_disk(s, o->write_disk);
    }
    *checked = player_checked(r->player);
    if (status_ok(&error) && o->verify && !interrupted) {
        error = verify_checkpoints(s, o->replay, checked);
    }
    return error;
}

static int replay(struct session *s, const struct run_options *o, struct outcome_watch *w)
{
    struct replay r = {.session = s};
    struct status error = status_success();
    if (o->checkpoint_steps) {
        error = begin_file(&r, o);
    }
    r.player = player_create(s->reader, s->log, s->machine);
    input_log_mute(s->log, o->verify);
    outcome_watch_begin(w, s);
    struct machine_result result = {0};
    if (status_ok(&error)) {
        error = screenshots_open(&r.shots, o, s->machine);
    }
    if (status_ok(&error) && o->frames) {
        error = frames_begin(&r.frames, o->frames, s->machine);
    }
    if (status_ok(&error)) {
        result = play(&r, o->until_step, &error);
    }
    struct status framed = frames_end(r.frames);
    error = status_ok(&error) ? framed : error;
    error = screenshots_finish(r.shots, s->machine, &error);
    posix_door_flush(s->door);
    char line[OUTCOME_LINE] = "";
    int status = replay_status(s, r.player, &result, line);
    bool interrupted = result.exit == MACHINE_EXIT_HOST && !player_is_at_end(r.player);
    u64 checked = 0, last_step = machine_clock(s->machine)->step;
    outcome_report(s, o, w);
    if (status_ok(&error)) {
        error = finish(&r, o, interrupted, &checked);
    }
    error = end_file(&r, &error, interrupted);
    if (status_ok(&error) && o->verify && !interrupted) {
        fprintf(stderr, "viv: %s: %llu hashes are right, up to step %llu\n", o->replay,
                (unsigned long long)checked, (unsigned long long)last_step);
        status = 0;
    }
    player_destroy(r.player);
    return outcome_end(&error, status, line);
}

static struct status check_options(struct run_options *o)
{
    if (o->machine_option) {
        return status_error(STATUS_USAGE, "%s: the machine is that of the recording; leave it out",
                            o->machine_option);
    }
    if (o->record || o->from) {
        return status_error(STATUS_USAGE, "%s belongs to viv run",
                            o->record ? "--record" : "--from");
    }
    if (o->lockstep) {
        return status_error(STATUS_USAGE, "--cpu-engine lockstep belongs to viv run");
    }
    if (o->file_count + (o->replay != NULL) != 1) {
        return status_error(STATUS_USAGE, "usage: viv replay FILE [OPTION]...");
    }
    o->replay = o->replay ? o->replay : o->files[0];
    o->log_inputs = true;
    if (o->checkpoint_steps && o->until_step != UINT64_MAX) {
        return status_error(STATUS_USAGE,
                            "--checkpoints needs the whole replay; leave --until out");
    }
    bool only_film = !o->gdb && !o->frames && !o->screenshot_count && !o->verify &&
                     !o->write_disk && !o->checkpoint_steps && !o->trace && !o->strace &&
                     !o->perfetto && !o->stats && o->until_step == UINT64_MAX;
    if (o->sdl && !only_film) {
        return status_error(STATUS_USAGE,
                            "--display sdl shows a film; leave the other options out");
    }
    if (o->gdb && (o->frames || o->screenshot_count)) {
        return status_error(STATUS_USAGE, "%s and --gdb do not go together",
                            o->frames ? "--frames" : "--screenshot");
    }
    // Where memory is hashed: those states are known to be right.
    o->checkpoint_steps = align_up(o->checkpoint_steps, UINT64_C(1) << 26);
    if (o->gdb && (o->verify || o->write_disk || o->until_step != UINT64_MAX)) {
        return status_error(STATUS_USAGE, "%s and --gdb do not go together",
                            o->verify       ? "--verify"
                            : o->write_disk ? "--write-disk"
                                            : "--until");
    }
    o->goes_live = o->gdb != NULL;
    return status_success();
}

static int replay_or_debug(struct session *s, const struct run_options *o, struct outcome_watch *w)
{
    return o->gdb ? gdb_main(s, o, w) : o->sdl ? film_main(s, o, w) : replay(s, o, w);
}

int cmd_replay(int argc, char **argv)
{
    static const struct outcome_command command = {
        "usage: viv replay FILE [OPTION]...   (options that describe a machine: see viv run)",
        check_options, replay_or_debug};
    return outcome_main(&command, argc, argv);
}
