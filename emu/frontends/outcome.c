// SPDX-License-Identifier: MIT
// Exit statuses, messages and figures (DESIGN.md, section 7).
#include "frontends/outcome.h"

#include "frontends/guest_names.h"
#include "frontends/window.h"
#include "host/posix_clock.h"
#include "trace/sink_text.h"
#include "trace/tracer.h"

#include <errno.h>
#include <string.h>

#define SIGPIPE_NUMBER 13
#define GUEST_PANIC 0x100 // fern's value on the debug-exit port

int outcome_fail(const struct status *s)
{
    fprintf(stderr, "viv: %s\n", s->text);
    return s->code;
}

static struct status open_output(const char *path, FILE **out)
{
    if (!path || !*path) {
        *out = stderr;
        return status_success();
    }
    *out = fopen(path, "we");
    return *out ? status_success()
                : status_error(STATUS_BAD_INPUT, "cannot write %s: %s", path, strerror(errno));
}

struct status outcome_watch_open(struct outcome_watch *w, const struct run_options *o)
{
    struct status s = status_success();
    if (o->trace) {
        const char *file;
        s = trace_kinds_parse(o->trace, &w->kinds, &file);
        if (status_ok(&s)) {
            s = open_output(file, &w->text);
        }
    }
    if (status_ok(&s) && o->strace) {
        const struct strace_options *so = &o->strace_options;
        s = open_output(so->output ? so->output : o->strace, &w->strace);
        w->strace_options = *so;
    }
    if (status_ok(&s) && o->perfetto) {
        s = open_output(o->perfetto, &w->perfetto);
    }
    return s;
}

void outcome_watch_begin(struct outcome_watch *w, struct session *s)
{
    w->tracer = tracer_create(s->machine);
    bool asks = (w->strace && w->strace_options.paths) || (w->kinds & TRACE_SCHED) || w->perfetto;
    if (asks) {
        w->names = guest_names_open(s);
        struct trace_guest guest = guest_names_answers(w->names);
        tracer_set_guest(w->tracer, &guest);
    }
    if (w->text) {
        tracer_add_text(w->tracer, w->kinds, NULL, w->text);
    }
    if (w->strace) {
        w->strace_options.rtc_base_s = s->recording.rtc_base_s;
        tracer_add_strace(w->tracer, &w->strace_options, w->strace);
    }
    if (w->perfetto) {
        tracer_add_perfetto(w->tracer, w->perfetto);
    }
    w->begin_host_ns = posix_monotonic_ns();
}

static void close_output(FILE *f)
{
    if (f && f != stderr && (ferror(f) | fclose(f))) {
        fputs("viv: a trace could not be written completely\n", stderr);
    }
}

void outcome_watch_close(struct outcome_watch *w)
{
    close_output(w->text);
    close_output(w->strace);
    close_output(w->perfetto);
}

// Why the outside ended the run: the process's status and, unless the user knows, one line.
static int door_status(const struct posix_door *door, char line[OUTCOME_LINE])
{
    int detail;
    switch (posix_door_why(door, &detail)) {
    case POSIX_DOOR_SIGNAL:
        snprintf(line, OUTCOME_LINE, "ended by signal %d (%s)", detail, strsignal(detail));
        return 128 + detail;
    case POSIX_DOOR_TIME_LIMIT:
        snprintf(line, OUTCOME_LINE,
                 "time limit reached; raise --timeout if the guest needs longer");
        return OUTCOME_TIME_LIMIT;
    case POSIX_DOOR_WINDOW_CLOSED:
        snprintf(line, OUTCOME_LINE,
                 "the window was closed; the guest did not switch itself off within %d s",
                 POSIX_CLOSE_SECONDS);
        return 0;
    case POSIX_DOOR_OUTPUT_CLOSED:
        return 128 + SIGPIPE_NUMBER;
    case POSIX_DOOR_OUTPUT_FAILED:
        snprintf(line, OUTCOME_LINE, "cannot write output: %s", strerror(detail));
        return STATUS_BAD_INPUT;
    case POSIX_DOOR_QUIT:
    case POSIX_DOOR_OPEN:
        break;
    }
    return 0;
}

static int debug_exit_status(u32 value, char line[OUTCOME_LINE])
{
    if (value <= 0xFF) {
        return (int)value;
    }
    if (value == GUEST_PANIC) {
        snprintf(line, OUTCOME_LINE,
                 "the guest kernel panicked; its report is in its log (--log FILE keeps it)");
    } else {
        snprintf(line, OUTCOME_LINE, "the guest wrote 0x%x to the debug-exit port: no exit status",
                 value);
    }
    return OUTCOME_GUEST_FAILED;
}

// Output that was lost turns every other outcome into a failure.
static bool output_failed(const struct session *s)
{
    int detail;
    return posix_door_why(s->door, &detail) == POSIX_DOOR_OUTPUT_FAILED;
}

int outcome_status(const struct session *s, const struct machine_result *r, char line[OUTCOME_LINE])
{
    switch (output_failed(s) ? MACHINE_EXIT_HOST : r->exit) {
    case MACHINE_EXIT_UNTIL:
        snprintf(line, OUTCOME_LINE, "stopped at step %llu (--until)",
                 (unsigned long long)machine_clock(s->machine)->step);
        return 0;
    case MACHINE_EXIT_POWER_OFF:
        return 0;
    case MACHINE_EXIT_RESET:
        snprintf(line, OUTCOME_LINE,
                 "the command reset the machine; without --exec it would boot again");
        return 0;
    case MACHINE_EXIT_DEBUG_EXIT:
        return debug_exit_status(r->value, line);
    case MACHINE_EXIT_SHUTDOWN:
        snprintf(line, OUTCOME_LINE, "the guest shut down its CPU at step %llu: %s",
                 (unsigned long long)machine_clock(s->machine)->step, r->text);
        return OUTCOME_GUEST_FAILED;
    case MACHINE_EXIT_STUCK:
        snprintf(line, OUTCOME_LINE,
                 "%s (step %llu); if the guest is to be typed at, leave standard input open or use "
                 "--display sdl",
                 r->text, (unsigned long long)machine_clock(s->machine)->step);
        return OUTCOME_GUEST_FAILED;
    case MACHINE_EXIT_HOST:
    case MACHINE_EXIT_STOPPED: // nothing is watched here
        break;
    }
    return door_status(s->door, line);
}

struct undefined_list {
    char text[600];
    size_t used;
};

static void add_undefined(void *ctx, const char *mnemonic, u64 count)
{
    struct undefined_list *list = ctx;
    size_t room = sizeof(list->text) - list->used;
    int n = snprintf(list->text + list->used, room, "%s%s (%llu)", list->used ? ", " : "", mnemonic,
                     (unsigned long long)count);
    list->used += n > 0 && (size_t)n < room ? (size_t)n : 0;
}

static void report_undefined(const struct machine *m)
{
    struct undefined_list list = {.used = 0};
    machine_each_undefined(m, add_undefined, &list);
    if (list.used) {
        list.text[list.used] = '\0';
        fprintf(stderr, "viv: instructions met that viv does not implement (times): %s\n",
                list.text);
    }
}

static void print_stats(struct machine *m, const struct ledger *ledger, u64 wall_ns)
{
    const struct vclock *clock = machine_clock(m);
    struct cpu_counters sum = machine_counters(m);
    double seconds = (double)wall_ns / 1e9;
    fprintf(stderr, "steps: %llu\n", (unsigned long long)clock->step);
    fprintf(stderr, "instructions: %llu\n", (unsigned long long)sum.instructions);
    fprintf(stderr, "wall_seconds: %.3f\n", seconds);
    fprintf(stderr, "steps_per_second: %.0f\n", seconds > 0 ? (double)clock->step / seconds : 0);
    fprintf(stderr, "vtime_seconds: %.9f\n", (double)vclock_ns(clock) / 1e9);
    fprintf(stderr, "ring0_steps: %llu\n", (unsigned long long)sum.ring0_steps);
    fprintf(stderr, "ring3_steps: %llu\n", (unsigned long long)sum.ring3_steps);
    fprintf(stderr, "transitions: %llu\n",
            (unsigned long long)ledger_count(ledger, PROBE_transition));
    fprintf(stderr, "page_faults: %llu\n",
            (unsigned long long)ledger_count(ledger, PROBE_page_fault));
    fprintf(stderr, "ram_touched_bytes: %llu\n", (unsigned long long)machine_ram_touched(m));
    fprintf(stderr, "state_hash: %016llx\n", (unsigned long long)machine_hash(m));
}

void outcome_report(struct session *s, const struct run_options *o, struct outcome_watch *w)
{
    u64 wall_ns = posix_monotonic_ns() - w->begin_host_ns;
    posix_door_end_terminal(s->door);
    if (o->stats) {
        print_stats(s->machine, tracer_ledger(w->tracer), wall_ns);
    }
    tracer_destroy(w->tracer);
    w->tracer = NULL;
    guest_names_close(w->names);
    w->names = NULL;
    report_undefined(s->machine);
}

int outcome_end(const struct status *error, int status, const char *line)
{
    if (!status_ok(error)) {
        return outcome_fail(error);
    }
    if (*line) {
        fprintf(stderr, "viv: %s\n", line);
    }
    return status;
}

int outcome_main(const struct outcome_command *c, int argc, char **argv)
{
    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        puts(c->usage);
        options_help();
        return 0;
    }
    struct run_options o;
    struct outcome_watch w = {0};
    struct session session = {0};
    int status = 0;
    struct status s = options_parse(&o, argc, argv);
    if (status_ok(&s)) {
        s = c->check(&o);
    }
    if (status_ok(&s)) {
        s = outcome_watch_open(&w, &o);
    }
    if (status_ok(&s) && o.sdl) {
        s = window_open(&o.window, o.replay && !o.from);
    }
    if (status_ok(&s)) {
        s = session_open(&session, &o);
    }
    if (status_ok(&s)) {
        status = c->run(&session, &o, &w);
    }
    session_close(&session);
    window_close(o.window);
    outcome_watch_close(&w);
    options_free(&o);
    return status_ok(&s) ? status : outcome_fail(&s);
}
