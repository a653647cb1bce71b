// SPDX-License-Identifier: MIT
// "viv debug": a machine, or a recording, under the debugger: on this terminal, for gdb, or by a
// script.
#include "frontends/cmd_debug.h"

#include "base/memory.h"
#include "frontends/branch_recorder.h"
#include "frontends/debug_target.h"
#include "frontends/gdb.h"
#include "frontends/outcome.h"
#include "frontends/tui.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SCRIPT_FAILED 1

static struct status check_options(struct run_options *o)
{
    if (o->file_count) {
        return status_error(STATUS_USAGE, "%s: no option; a recording is given with --replay %s",
                            o->files[0], o->files[0]);
    }
    if (o->replay && o->machine_option) {
        return status_error(STATUS_USAGE, "%s: the machine is that of the recording; leave it out",
                            o->machine_option);
    }
    if (o->from || o->verify || o->write_disk || o->trace || o->strace) {
        return status_error(STATUS_USAGE,
                            "--from, --trace, --strace, --verify and --write-disk belong to viv "
                            "run and viv replay; see viv debug --help");
    }
    if (o->sdl) {
        return status_error(STATUS_USAGE, "--display sdl belongs to viv run and viv replay");
    }
    if (o->frames || o->screenshot_count) {
        return status_error(STATUS_USAGE, "%s belongs to viv run and viv replay",
                            o->frames ? "--frames" : "--screenshot");
    }
    if (o->lockstep) {
        return status_error(STATUS_USAGE, "--cpu-engine lockstep belongs to viv run");
    }
    if (o->gdb && o->script) {
        return status_error(STATUS_USAGE, "--gdb and --script do not go together");
    }
    o->log_inputs = true;
    o->goes_live = o->replay && (o->gdb || !o->script);
    return status_success();
}

// What is recorded grows while the guest runs, so that a kill loses little.
static struct status open_recorder(struct session *s, const struct run_options *o,
                                   struct branch_recorder **out)
{
    *out = NULL;
    return o->record ? branch_recorder_open(out, s, o->record, o->self_contained)
                     : status_success();
}

static struct status close_recorder(struct branch_recorder *r)
{
    return r ? branch_recorder_close(r) : status_success();
}

static bool tick(void *recorder)
{
    if (recorder) {
        branch_recorder_tick(recorder);
    }
    return false;
}

// A line's comment and blanks are nothing; false: the command failed.
static bool run_line(struct target *target, char *line)
{
    line += strspn(line, " \t");
    line[strcspn(line, "\n")] = '\0';
    if (!*line || *line == '#') {
        return true;
    }
    printf("(viv) %s\n", line);
    fflush(stdout); // before what the guest writes
    bool good = target_command(target, line, stdout);
    fflush(stdout);
    return good;
}

static int run_script(struct session *s, const struct run_options *o,
                      struct branch_recorder *recorder)
{
    FILE *script = strcmp(o->script, "-") == 0 ? stdin : fopen(o->script, "re");
    if (!script) {
        struct status bad =
            status_error(STATUS_BAD_INPUT, "cannot read %s: %s", o->script, strerror(errno));
        return outcome_fail(&bad);
    }
    struct debug_target d;
    debug_target_open(&d, s, o, tick, recorder);
    if (recorder) {
        branch_recorder_watch(recorder, d.timeline);
    }
    char *line = NULL;
    size_t room = 0;
    unsigned number = 0;
    bool good = true;
    while (good && !target_quit_wanted(d.target) && getline(&line, &room, script) >= 0) {
        number++;
        good = run_line(d.target, line);
        posix_door_flush(s->door);
        tick(recorder);
    }
    free(line);
    if (!good) {
        fprintf(stderr, "viv: %s:%u: the command failed; the rest was not run\n", o->script,
                number);
    }
    if (script != stdin) {
        fclose(script);
    }
    debug_target_close(&d);
    return good ? 0 : SCRIPT_FAILED;
}

static int debug_by_script(struct run_options *o)
{
    struct session session = {0};
    struct branch_recorder *recorder = NULL;
    int status = 0;
    struct status s = session_open(&session, o);
    if (status_ok(&s)) {
        s = open_recorder(&session, o, &recorder);
    }
    if (status_ok(&s)) {
        status = run_script(&session, o, recorder);
        s = close_recorder(recorder);
    }
    session_close(&session);
    return status_ok(&s) ? status : outcome_fail(&s);
}

static int debug_by_gdb(struct run_options *o)
{
    struct session session = {0};
    int status = 0;
    struct status s = session_open(&session, o);
    if (status_ok(&s)) {
        struct machine_result result = gdb_run(&session, o, &s);
        posix_door_flush(session.door);
        char line[OUTCOME_LINE] = "";
        status = outcome_status(&session, &result, line);
        status = outcome_end(&s, status, line);
    } else {
        status = outcome_fail(&s);
    }
    session_close(&session);
    return status;
}

// The terminal debugger asks its keyboard whether to go on; it exists after the target.
struct late_cancel {
    struct tui *tui;
    struct branch_recorder *recorder;
};

static bool cancel(void *ctx)
{
    struct late_cancel *late = ctx;
    tick(late->recorder);
    return tui_cancel(late->tui);
}

static int run_terminal(struct session *s, const struct run_options *o, struct tui_door *door,
                        struct branch_recorder *recorder)
{
    struct late_cancel late = {.recorder = recorder};
    struct debug_target d;
    struct host_door process = posix_door_host(s->door);
    tui_door_set_process(door, &process);
    tui_door_set_clock(door, machine_clock(s->machine));
    debug_target_open(&d, s, o, cancel, &late);
    if (recorder) {
        branch_recorder_watch(recorder, d.timeline);
    }
    struct tui_config config = {
        .target = d.target, .door = door, .can_type = !o->replay || o->goes_live};
    late.tui = tui_create(&config);
    int status = tui_main(late.tui);
    tui_destroy(late.tui);
    debug_target_close(&d);
    return status;
}

static int debug_on_terminal(struct run_options *o)
{
    struct session session = {0};
    struct tui_door *door = tui_door_create(!o->replay && o->pace != POSIX_PACE_NONE);
    struct host outside = {.door = tui_door_host(door),
                           .serial = {tui_door_console(door), tui_door_output(door)}};
    o->outside = &outside;
    struct status s = session_open(&session, o);
    struct branch_recorder *recorder = NULL;
    int status = 0;
    if (status_ok(&s)) {
        s = open_recorder(&session, o, &recorder);
    }
    if (status_ok(&s)) {
        status = run_terminal(&session, o, door, recorder);
        s = close_recorder(recorder);
    }
    session_close(&session);
    tui_door_destroy(door);
    return status_ok(&s) ? status : outcome_fail(&s);
}

int cmd_debug(int argc, char **argv)
{
    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        puts("usage: viv debug [MACHINE | --replay FILE] [--script FILE | --gdb PORT] [OPTION]...");
        options_help();
        return 0;
    }
    struct run_options o;
    struct status s = options_parse(&o, argc, argv);
    if (status_ok(&s)) {
        s = check_options(&o);
    }
    int status = !status_ok(&s) ? outcome_fail(&s)
                 : o.gdb        ? debug_by_gdb(&o)
                 : o.script     ? debug_by_script(&o)
                                : debug_on_terminal(&o);
    options_free(&o);
    return status;
}
