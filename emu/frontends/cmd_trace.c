// SPDX-License-Identifier: MIT
// "viv trace": repeats a recorded run and writes what happened in it.
#include "frontends/cmd_trace.h"

#include "frontends/guest_names.h"
#include "frontends/outcome.h"
#include "frontends/trace_options.h"
#include "replay/player.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define STATUS_CHECK_FAILED 1

// What belongs to one replay.
struct view {
    const struct trace_options *o;
    struct run_options run;
    struct session session;
    struct guest_names *names;
    struct tracer *tracer;
    FILE *out, *perfetto;
    int stopped; // status of a run that its user ended; 0: it went to its end
};

static struct status open_file(const char *path, FILE **out)
{
    *out = fopen(path, "we");
    return *out ? status_success()
                : status_error(STATUS_BAD_INPUT, "cannot write %s: %s", path, strerror(errno));
}

static struct status open_outputs(struct view *v)
{
    struct status s = status_success();
    v->out = stdout;
    if (v->o->strace.output) {
        s = open_file(v->o->strace.output, &v->out);
    }
    if (status_ok(&s) && v->o->perfetto) {
        s = open_file(v->o->perfetto, &v->perfetto);
    }
    return s;
}

static bool close_outputs(struct view *v)
{
    bool ok = !v->out || (!ferror(v->out) && fflush(v->out) == 0);
    if (v->out && v->out != stdout) {
        ok = fclose(v->out) == 0 && ok;
    }
    if (v->perfetto) {
        ok = !ferror(v->perfetto) && ok;
        ok = fclose(v->perfetto) == 0 && ok;
    }
    return ok;
}

static struct status attach(struct view *v)
{
    const struct trace_options *o = v->o;
    v->names = guest_names_open(&v->session);
    struct trace_guest guest = guest_names_answers(v->names);
    for (unsigned i = 0; i < o->check_count; i++) {
        if (check_needs_extable(o->checks[i]) && !guest.in_extable) {
            return status_error(STATUS_USAGE,
                                "--check '%s': extable needs a kernel whose exception table is "
                                "known (fern's, Linux's)",
                                check_expression(o->checks[i]));
        }
    }
    v->tracer = tracer_create(v->session.machine);
    tracer_set_guest(v->tracer, &guest);
    if (o->kinds & ~(unsigned)TRACE_SYSCALLS) {
        tracer_add_text(v->tracer, o->kinds & ~(unsigned)TRACE_SYSCALLS, &o->filter, v->out);
    }
    if (o->kinds & TRACE_SYSCALLS) {
        struct strace_options strace = o->strace;
        strace.rtc_base_s = v->session.recording.rtc_base_s;
        tracer_add_strace(v->tracer, &strace, v->out);
    }
    if (v->perfetto) {
        tracer_add_perfetto(v->tracer, v->perfetto);
    }
    for (unsigned i = 0; i < o->check_count; i++) {
        tracer_add_check(v->tracer, o->checks[i]);
    }
    return status_success();
}

// Nothing after the last wanted step matters, unless an assertion looks at the end.
static u64 last_step(const struct trace_options *o)
{
    return o->check_count || o->perfetto ? UINT64_MAX : o->filter.to_step;
}

static struct status play(struct view *v)
{
    struct session *s = &v->session;
    struct status error = status_success();
    struct player *player = player_create(s->reader, s->log, s->machine);
    input_log_mute(s->log, true);
    struct machine_result result = player_run(player, last_step(v->o));
    while (result.exit == MACHINE_EXIT_RESET && !s->reset_ends && !player_is_at_end(player) &&
           status_ok(&error)) {
        error = session_reboot(s);
        if (status_ok(&error)) {
            result = player_run(player, last_step(v->o));
        }
    }
    char why[300], line[OUTCOME_LINE] = "";
    if (!player_is_at_end(player) && result.exit == MACHINE_EXIT_HOST) {
        v->stopped = outcome_status(s, &result, line);
        fprintf(stderr, "viv: %s\n", line);
    } else if (player_is_at_end(player) && !log_reader_end(s->reader)) {
        fprintf(stderr, "viv: the recording was cut off; it goes as far as step %llu\n",
                (unsigned long long)log_reader_last(s->reader).step);
    }
    if (status_ok(&error) && player_diverged(player, why, sizeof(why))) {
        error = status_error(STATUS_BAD_INPUT, "%s: %s", v->o->file, why);
    }
    player_destroy(player);
    return error;
}

// One line an assertion, as a test prints them; the status of the process.
static int print_verdicts(struct view *v)
{
    int status = 0;
    u64 hash = v->o->check_count ? machine_hash(v->session.machine) : 0;
    for (unsigned i = 0; i < v->o->check_count; i++) {
        char text[400];
        const struct check *c = v->o->checks[i];
        if (check_verdict(c, hash, text, sizeof(text))) {
            printf("ok - %s\n", check_expression(c));
        } else {
            printf("not ok - %s: %s\n", check_expression(c), text);
            status = STATUS_CHECK_FAILED;
        }
    }
    return status;
}

static struct status run(struct view *v)
{
    v->run.replay = v->o->file;
    v->run.log_inputs = true;
    struct status s = open_outputs(v);
    if (status_ok(&s)) {
        s = session_open(&v->session, &v->run);
    }
    // The door ignores it, for the guest's console; a view ends with its reader, as filters do.
    if (v->out == stdout) {
        signal(SIGPIPE, SIG_DFL);
    }
    if (status_ok(&s)) {
        s = attach(v);
    }
    if (status_ok(&s)) {
        s = play(v);
    }
    tracer_destroy(v->tracer);
    guest_names_close(v->names);
    return s;
}

int cmd_trace(int argc, char **argv)
{
    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        trace_options_help();
        return 0;
    }
    struct trace_options o;
    struct view v = {.o = &o};
    int status = 0;
    struct status s = trace_options_parse(&o, argc, argv);
    if (status_ok(&s)) {
        char *engine[] = {"--cpu-engine", (char *)o.engine};
        s = options_parse(&v.run, o.engine ? 2 : 0, engine);
    }
    if (status_ok(&s) && v.run.lockstep) {
        s = status_error(STATUS_USAGE, "--cpu-engine lockstep belongs to viv run");
    }
    if (status_ok(&s)) {
        s = run(&v);
        status = v.stopped;
        if (status_ok(&s) && !v.stopped) {
            status = print_verdicts(&v);
        }
        session_close(&v.session);
    }
    if (!close_outputs(&v) && status_ok(&s)) {
        s = status_error(STATUS_BAD_INPUT, "the trace could not be written: %s", strerror(errno));
    }
    options_free(&v.run);
    trace_options_free(&o);
    return status_ok(&s) ? status : outcome_fail(&s);
}
