// SPDX-License-Identifier: MIT
// Reading the command line of "viv trace".
#include "frontends/trace_options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct status parse_number(const char *option, const char *text, u64 max, u64 *value)
{
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 0);
    if (!isdigit((unsigned char)*text) || *end || errno || *value > max) {
        return status_error(STATUS_USAGE, "%s %s: a number up to %llu expected", option, text,
                            (unsigned long long)max);
    }
    return status_success();
}

static struct status small_number(const char *option, const char *text, u64 max, int *value)
{
    u64 n = 0;
    struct status s = parse_number(option, text, max, &n);
    *value = (int)n;
    return s;
}

static struct status set_from(struct trace_options *o, const char *value)
{
    return parse_number("--from", value, UINT64_MAX, &o->filter.from_step);
}

static struct status set_to(struct trace_options *o, const char *value)
{
    return parse_number("--to", value, UINT64_MAX, &o->filter.to_step);
}

static struct status set_pid(struct trace_options *o, const char *value)
{
    return small_number("--pid", value, INT32_MAX, &o->filter.pid);
}

static struct status set_ring(struct trace_options *o, const char *value)
{
    return small_number("--ring", value, 3, &o->filter.ring);
}

static struct status set_vector(struct trace_options *o, const char *value)
{
    return small_number("--vector", value, 255, &o->filter.vector);
}

static struct status set_name(struct trace_options *o, const char *value)
{
    o->filter.name = value;
    return status_success();
}

static struct status set_check(struct trace_options *o, const char *value)
{
    if (o->check_count == TRACER_CHECKS_MAX) {
        return status_error(STATUS_USAGE, "--check: at most %d", TRACER_CHECKS_MAX);
    }
    struct status s = check_create(&o->checks[o->check_count], value);
    o->check_count += status_ok(&s);
    return s;
}

static struct status set_perfetto(struct trace_options *o, const char *value)
{
    o->perfetto = value;
    return status_success();
}

static struct status set_engine(struct trace_options *o, const char *value)
{
    o->engine = value;
    return status_success();
}

struct option_row {
    const char *name, *argument;
    struct status (*set)(struct trace_options *o, const char *value);
    const char *help;
};

static const struct option_row rows[] = {
    {"--from", "STEP", set_from, "only what happens from this step on"},
    {"--to", "STEP", set_to, "only what happens before this step"},
    {"--pid", "PID", set_pid, "only this process or thread"},
    {"--ring", "0-3", set_ring, "only transitions, faults and interrupts from this ring"},
    {"--vector", "N", set_vector, "only exceptions and interrupts of this vector"},
    {"--name", "NAME", set_name, "only this cause, exception, outcome, system call or task"},
    {"--check", "ASSERTION", set_check,
     "e.g. 'never(fault where ring==0 and not extable)'; exit status 1 if it does not hold"},
    {"--perfetto", "FILE", set_perfetto, "a trace for ui.perfetto.dev"},
    {"--cpu-engine", "jit|interp", set_engine,
     "how instructions are executed; no effect on results"},
};

void trace_options_help(void)
{
    puts("usage: viv trace FILE [transitions,faults,syscalls,sched,irqs] [OPTION]...");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        printf("  %-12s %-21s %s\n", rows[i].name, rows[i].argument, rows[i].help);
    }
    strace_options_help();
    puts("An assertion is never(EVENT where ...), always(EVENT where ...), count(EVENT where ...)\n"
         "CMP N or final-hash == HASH. EVENT is fault, transition, syscall, irq or switch; "
         "conditions\n"
         "compare fields with numbers and words, joined by and, or, not. Fields: step vtime cpu "
         "pid\n"
         "comm; ring rip cr3 (fault transition irq); vector (transition irq); error (fault\n"
         "transition); cause name to target (transition); address write fetch present outcome\n"
         "extable (fault); name number result failed errno returned duration arg0-arg5 (syscall);\n"
         "from_pid to_pid from_comm to_comm (switch).");
}

// "--name VALUE" or "--name=VALUE"; *found is false if it is no option of ours.
static struct status take_long(struct trace_options *o, int argc, char **argv, int *i, bool *found)
{
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        size_t length = strlen(rows[r].name);
        const char *rest = argv[*i] + length;
        if (strncmp(argv[*i], rows[r].name, length) != 0 || (*rest && *rest != '=')) {
            continue;
        }
        *found = true;
        if (!*rest && *i + 1 == argc) {
            return status_error(STATUS_USAGE, "%s needs %s", rows[r].name, rows[r].argument);
        }
        return rows[r].set(o, *rest ? rest + 1 : argv[++*i]);
    }
    *found = false;
    return status_success();
}

static struct status take_word(struct trace_options *o, const char *word)
{
    const char *file;
    if (word[0] == '-') {
        return status_error(STATUS_USAGE, "unknown option %s; see viv trace --help", word);
    }
    if (!o->file) {
        o->file = word;
        return status_success();
    }
    if (o->kinds) {
        return status_error(STATUS_USAGE, "%s: one list of views; see viv trace --help", word);
    }
    struct status s = trace_kinds_parse(word, &o->kinds, &file);
    if (!status_ok(&s) || file) {
        return status_error(
            STATUS_USAGE, "%s: transitions, faults, syscalls, sched and irqs can be viewed", word);
    }
    return s;
}

static struct status parse(struct trace_options *o, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        struct status s;
        bool found = strace_options_take(&o->strace, argc, argv, &i, &s);
        if (!found) {
            s = take_long(o, argc, argv, &i, &found);
        }
        if (!found) {
            s = take_word(o, argv[i]);
        }
        if (!status_ok(&s)) {
            return s;
        }
    }
    return status_success();
}

// The views' filters for the system calls in strace's terms.
static struct status join(struct trace_options *o)
{
    struct strace_options *so = &o->strace;
    so->from_step = o->filter.from_step;
    so->to_step = o->filter.to_step;
    if (o->filter.pid > 0 && so->pid_count < STRACE_PIDS_MAX) {
        so->pids[so->pid_count++] = o->filter.pid;
    }
    if (o->filter.name && (o->kinds & TRACE_SYSCALLS)) {
        return syscall_set_parse(&so->calls, o->filter.name);
    }
    return status_success();
}

struct status trace_options_parse(struct trace_options *o, int argc, char **argv)
{
    *o = (struct trace_options){.filter = TRACE_FILTER_ALL};
    strace_options_init(&o->strace);
    struct status s = parse(o, argc, argv);
    if (status_ok(&s) && (!o->file || !(o->kinds || o->check_count || o->perfetto))) {
        s = status_error(STATUS_USAGE, "usage: viv trace FILE VIEW [OPTION]...; see viv trace "
                                       "--help");
    }
    return status_ok(&s) ? join(o) : s;
}

void trace_options_free(struct trace_options *o)
{
    for (unsigned i = 0; i < o->check_count; i++) {
        check_destroy(o->checks[i]);
    }
}
