// SPDX-License-Identifier: MIT
// "viv run": runs the machine once, reports why it ended, and exits with the guest's status.
#include "frontends/cmd_run.h"

#include "frontends/session.h"
#include "host/posix_clock.h"
#include "trace/sink_text.h"
#include "trace/tracer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define STATUS_TIME_LIMIT 124
#define STATUS_GUEST_FAILED 125
#define SIGPIPE_NUMBER 13
#define GUEST_PANIC 0x100 // fern's value on the debug-exit port

// Where the traces go; NULL: not wanted.
struct watch {
    FILE *text, *strace;
    unsigned kinds;
};

static int fail(const struct status *s)
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

static struct status watch_open(struct watch *w, const struct run_options *o)
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
        s = open_output(o->strace, &w->strace);
    }
    return s;
}

static void close_output(FILE *f)
{
    if (f && f != stderr && (ferror(f) | fclose(f))) {
        fputs("viv: a trace could not be written completely\n", stderr);
    }
}

static void watch_close(struct watch *w)
{
    close_output(w->text);
    close_output(w->strace);
}

// Why the outside ended the run: the process's status and, unless the user knows, one line.
static int door_status(const struct posix_door *door, char line[300])
{
    int detail;
    switch (posix_door_why(door, &detail)) {
    case POSIX_DOOR_SIGNAL:
        snprintf(line, 300, "ended by signal %d (%s)", detail, strsignal(detail));
        return 128 + detail;
    case POSIX_DOOR_TIME_LIMIT:
        snprintf(line, 300, "time limit reached; raise --timeout if the guest needs longer");
        return STATUS_TIME_LIMIT;
    case POSIX_DOOR_OUTPUT_CLOSED:
        return 128 + SIGPIPE_NUMBER;
    case POSIX_DOOR_OUTPUT_FAILED:
        snprintf(line, 300, "cannot write output: %s", strerror(detail));
        return STATUS_BAD_INPUT;
    case POSIX_DOOR_QUIT:
    case POSIX_DOOR_OPEN:
        break;
    }
    return 0;
}

static int debug_exit_status(u32 value, char line[300])
{
    if (value <= 0xFF) {
        return (int)value;
    }
    if (value == GUEST_PANIC) {
        snprintf(line, 300,
                 "the guest kernel panicked; its report is in its log (--log FILE keeps it)");
    } else {
        snprintf(line, 300, "the guest wrote 0x%x to the debug-exit port: no exit status", value);
    }
    return STATUS_GUEST_FAILED;
}

// Output that was lost turns every other outcome into a failure.
static bool output_failed(const struct session *s)
{
    int detail;
    return posix_door_why(s->door, &detail) == POSIX_DOOR_OUTPUT_FAILED;
}

static int end_status(const struct session *s, const struct machine_result *r, char line[300])
{
    switch (output_failed(s) ? MACHINE_EXIT_HOST : r->exit) {
    case MACHINE_EXIT_UNTIL:
        snprintf(line, 300, "stopped at step %llu (--until)",
                 (unsigned long long)machine_clock(s->machine)->step);
        return 0;
    case MACHINE_EXIT_POWER_OFF:
        return 0;
    case MACHINE_EXIT_RESET:
        snprintf(line, 300, "the command reset the machine; without --exec it would boot again");
        return 0;
    case MACHINE_EXIT_DEBUG_EXIT:
        return debug_exit_status(r->value, line);
    case MACHINE_EXIT_SHUTDOWN:
        snprintf(line, 300, "the guest shut down its CPU at step %llu: %s",
                 (unsigned long long)machine_clock(s->machine)->step, r->text);
        return STATUS_GUEST_FAILED;
    case MACHINE_EXIT_STUCK:
        snprintf(line, 300,
                 "every CPU is halted, no event is pending and no input can come (step %llu); "
                 "the guest waits for nothing",
                 (unsigned long long)machine_clock(s->machine)->step);
        return STATUS_GUEST_FAILED;
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

// Runs to the end; everything that is reported is written after the guest's last output.
static int run(struct session *s, const struct run_options *o, const struct watch *w)
{
    struct tracer *tracer = tracer_create(s->machine);
    if (w->text) {
        tracer_add_text(tracer, w->kinds, w->text);
    }
    if (w->strace) {
        tracer_add_strace(tracer, w->strace);
    }
    u64 begin = posix_monotonic_ns();
    struct status rebooted = status_success();
    struct machine_result result = machine_run(s->machine, o->until_step);
    while (result.exit == MACHINE_EXIT_RESET && !o->exec) { // a command's reset is its end
        rebooted = session_reboot(s, o);
        if (!status_ok(&rebooted)) {
            break;
        }
        result = machine_run(s->machine, o->until_step);
    }
    u64 wall_ns = posix_monotonic_ns() - begin;
    posix_door_end_terminal(s->door);
    char line[300] = "";
    int status = end_status(s, &result, line);
    if (o->stats) {
        print_stats(s->machine, tracer_ledger(tracer), wall_ns);
    }
    tracer_destroy(tracer);
    report_undefined(s->machine);
    if (!status_ok(&rebooted)) {
        return fail(&rebooted);
    }
    if (*line) {
        fprintf(stderr, "viv: %s\n", line);
    }
    return status;
}

int cmd_run(int argc, char **argv)
{
    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        puts("usage: viv run [OPTION]...");
        options_help();
        return 0;
    }
    struct run_options o;
    struct watch w = {0};
    struct session session = {0};
    int status = 0;
    struct status s = options_parse(&o, argc, argv);
    if (status_ok(&s)) {
        s = watch_open(&w, &o);
    }
    if (status_ok(&s)) {
        s = session_open(&session, &o);
    }
    if (status_ok(&s)) {
        status = run(&session, &o, &w);
    }
    session_close(&session);
    watch_close(&w);
    options_free(&o);
    return status_ok(&s) ? status : fail(&s);
}
