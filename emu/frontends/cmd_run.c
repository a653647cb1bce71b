// SPDX-License-Identifier: MIT
// "viv run": runs the machine once, reports why it ended, and exits with the guest's status.
#include "frontends/cmd_run.h"

#include "frontends/gdb.h"
#include "frontends/lockstep.h"
#include "frontends/outcome.h"
#include "frontends/screenshots.h"
#include "frontends/window.h"
#include "host/posix_clock.h"
#include "replay/player.h"
#include "replay/recorder.h"
#include "trace/tracer.h"

#include <string.h>

// One run: with a recorder if it is recorded.
struct run {
    struct session *session;
    const struct run_options *o;
    struct recorder *recorder;
    struct screenshots *shots;
};

// In pieces that end where a picture is wanted.
static struct machine_result run_on(struct run *r, struct status *error)
{
    struct machine *m = r->session->machine;
    for (;;) {
        *error = screenshots_take(r->shots, m);
        u64 until = screenshots_next(r->shots, m, r->o->until_step);
        struct machine_result result = {.exit = MACHINE_EXIT_UNTIL};
        if (status_ok(error)) {
            result = r->recorder ? recorder_run(r->recorder, until) : machine_run(m, until);
        }
        if (!status_ok(error) || result.exit != MACHINE_EXIT_UNTIL || until == r->o->until_step) {
            return result;
        }
    }
}

static struct status begin_recording(struct run *r)
{
    struct session *s = r->session;
    struct log_writer *writer = NULL;
    struct status result = session_begin_recording(s, r->o->record, r->o->self_contained, &writer);
    if (status_ok(&result)) {
        r->recorder =
            recorder_create(writer, &s->recording, s->log, s->machine, posix_monotonic_ns);
    }
    if (r->recorder && r->o->checkpoint_steps) {
        struct checkpoint_parts parts = session_parts(s);
        recorder_set_checkpoints(r->recorder, &parts, r->o->checkpoint_steps);
    }
    return result;
}

// Replays silently to the step from which the run goes on live.
static struct status go_to_start(struct session *s, const struct run_options *o)
{
    struct status result = session_enter(s, o->from_step);
    if (!status_ok(&result)) {
        return result;
    }
    struct player *player = player_create(s->reader, s->log, s->machine);
    input_log_mute(s->log, true);
    struct machine_result r = player_run(player, o->from_step);
    while (status_ok(&result) && r.exit == MACHINE_EXIT_RESET && !s->reset_ends) {
        result = session_reboot(s);
        r = player_run(player, o->from_step);
    }
    char why[300];
    if (player_diverged(player, why, sizeof(why))) {
        result = status_error(STATUS_BAD_INPUT, "%s: %s", o->replay, why);
    } else if (r.exit == MACHINE_EXIT_HOST && !player_is_at_end(player)) {
        result = status_error(OUTCOME_INTERRUPTED, "interrupted before step %llu was reached",
                              (unsigned long long)o->from_step);
    } else if (r.exit != MACHINE_EXIT_UNTIL || machine_clock(s->machine)->step != o->from_step) {
        result = status_error(STATUS_BAD_INPUT, "%s ends at step %llu, before step %llu", o->replay,
                              (unsigned long long)log_reader_last(s->reader).step,
                              (unsigned long long)o->from_step);
    }
    player_destroy(player);
    input_log_mute(s->log, false);
    input_log_cut(s->log);
    return result;
}

static struct machine_result run_to_end(struct run *r, struct status *error)
{
    struct machine_result result = run_on(r, error);
    // A command's reset is its end.
    while (result.exit == MACHINE_EXIT_RESET && !r->session->reset_ends) {
        *error = session_reboot(r->session);
        if (!status_ok(error)) {
            break;
        }
        result = run_on(r, error);
    }
    return result;
}

// Runs to the end; everything that is reported is written after the guest's last output.
static int run(struct session *s, const struct run_options *o, struct outcome_watch *w)
{
    struct run r = {.session = s, .o = o};
    struct status error = status_success();
    if (o->from) {
        error = go_to_start(s, o);
    }
    if (status_ok(&error) && o->window) {
        error = window_watch(o->window, s->door, s->machine);
    }
    if (o->lockstep) {
        return lockstep_main(s, o, w);
    }
    if (status_ok(&error) && o->gdb) {
        return gdb_main(s, o, w);
    }
    if (status_ok(&error) && o->record) {
        error = begin_recording(&r);
    }
    if (status_ok(&error)) {
        error = screenshots_open(&r.shots, o, s->machine);
    }
    if (!status_ok(&error)) {
        posix_door_end_terminal(s->door);
        return outcome_fail(&error);
    }
    outcome_watch_begin(w, s);
    if (o->window) {
        window_set_ledger(o->window, tracer_ledger(w->tracer));
    }
    struct machine_result result = run_to_end(&r, &error);
    char line[OUTCOME_LINE] = "";
    posix_door_flush(s->door); // which may fail
    int status = outcome_status(s, &result, line);
    if (r.recorder) {
        struct status written = recorder_finish(r.recorder, &result);
        error = status_ok(&error) ? written : error;
    }
    error = screenshots_finish(r.shots, s->machine, &error);
    outcome_report(s, o, w);
    return outcome_end(&error, status, line);
}

static struct status check_options(struct run_options *o)
{
    if (o->file_count) {
        return status_error(STATUS_USAGE,
                            "what is %s? viv run takes options only; see viv run "
                            "--help",
                            o->files[0]);
    }
    if (o->verify || o->write_disk || (o->replay && !o->from)) {
        return status_error(STATUS_USAGE, "%s belongs to viv replay FILE",
                            o->verify       ? "--verify"
                            : o->write_disk ? "--write-disk"
                                            : "--replay");
    }
    if (o->from && o->machine_option) {
        return status_error(STATUS_USAGE, "%s: the machine is that of the recording; leave it out",
                            o->machine_option);
    }
    if (o->self_contained && !o->record) {
        return status_error(STATUS_USAGE, "--self-contained belongs to --record FILE");
    }
    if (o->checkpoint_steps && !o->record) {
        return status_error(STATUS_USAGE, "--checkpoints belongs to --record FILE or viv replay");
    }
    if (o->frames) {
        return status_error(STATUS_USAGE, "--frames belongs to viv replay FILE");
    }
    if (o->sdl && o->lockstep) {
        return status_error(STATUS_USAGE,
                            "--display sdl and --cpu-engine lockstep do not go together");
    }
    if (o->screenshot_count && (o->gdb || o->lockstep)) {
        return status_error(STATUS_USAGE, "--screenshot and %s do not go together",
                            o->gdb ? "--gdb" : "--cpu-engine lockstep");
    }
    if (o->gdb && o->until_step != UINT64_MAX) {
        return status_error(STATUS_USAGE, "--until: gdb says how far to go; leave it out");
    }
    if (o->lockstep && (o->record || o->from || o->gdb)) {
        return status_error(STATUS_USAGE, "%s and --cpu-engine lockstep do not go together",
                            o->record ? "--record" : o->from ? "--from" : "--gdb");
    }
    o->log_inputs = o->log_inputs || o->lockstep;
    for (unsigned i = 0; i < o->disk_count && (o->record || o->lockstep); i++) {
        if (o->disks[i].mode == POSIX_BLOCK_WRITE && o->lockstep) {
            fprintf(stderr, "viv: a run in lockstep does not write %s\n", o->disks[i].path);
        } else if (o->disks[i].mode == POSIX_BLOCK_WRITE) {
            fprintf(stderr,
                    "viv: a recorded run does not write %s; viv replay --write-disk keeps "
                    "what the guest wrote\n",
                    o->disks[i].path);
        }
    }
    return status_success();
}

int cmd_run(int argc, char **argv)
{
    static const struct outcome_command command = {"usage: viv run [OPTION]...", check_options,
                                                   run};
    return outcome_main(&command, argc, argv);
}
