// SPDX-License-Identifier: MIT
// Commands about breakpoints, watchpoints and catches.
#include "debugger/commands.h"

#include "base/bits.h"
#include "trace/syscalls.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define SYSCALLS_MAX 512

// "[pid N] [if CONDITION]" at the end of the line.
static bool read_filter(struct target *t, const char *args, struct target_point *p, FILE *out)
{
    u64 pid;
    if (args_accept(&args, "pid")) {
        if (!args_number(t, &args, &pid, out)) {
            return false;
        }
        p->pid = (int)pid;
    }
    if (args_accept(&args, "if")) {
        if (strlen(args) >= sizeof(p->condition)) {
            fprintf(out, "the condition is longer than %zu characters\n", sizeof(p->condition) - 1);
            return false;
        }
        strcpy(p->condition, args);
        return true;
    }
    if (!args_end(args)) {
        fprintf(out, "\"%s\" is not understood\n", args);
        return false;
    }
    return true;
}

// A name of a program's means it in that program only: others run other code there.
static void only_in_program(struct target *t, struct target_point *p)
{
    struct symbol_place place;
    if (!t->guest || !t->symbols || p->address >> 63) {
        return;
    }
    if (!symbols_name(t->symbols, p->address, &place)) {
        symbols_set_program(t->symbols, NULL); // of a program that does not run now
        symbols_name(t->symbols, p->address, &place);
        target_choose_program(t);
    }
    if (place.object && strlen(place.object) < sizeof(p->program)) {
        strcpy(p->program, place.object);
    }
}

static bool add(struct target *t, struct target_point *p, FILE *out)
{
    int number;
    p->enabled = true;
    struct status s = target_point_add(t, p, &number);
    if (!status_ok(&s)) {
        fprintf(out, "%s\n", s.text);
        return false;
    }
    point_describe(t, target_point_get(t, number), out);
    return true;
}

static bool add_break(struct target *t, const char *args, bool temporary, FILE *out)
{
    struct target_point p = {.kind = TARGET_POINT_BREAK, .temporary = temporary, .selector = -1};
    if (args_end(args) || strncmp(args, "if ", 3) == 0) {
        p.address = place_here(t).rip;
    } else if (!args_place(t, &args, &p.address, out)) {
        return false;
    }
    only_in_program(t, &p);
    return read_filter(t, args, &p, out) && add(t, &p, out);
}

bool cmd_break(struct target *t, const char *args, FILE *out)
{
    return add_break(t, args, false, out);
}

bool cmd_tbreak(struct target *t, const char *args, FILE *out)
{
    return add_break(t, args, true, out);
}

static bool add_watch(struct target *t, const char *args, enum target_point_kind kind, FILE *out)
{
    struct target_point p = {.kind = kind, .selector = -1};
    struct expr_env env = target_env(t);
    struct expr_value value;
    if (args_end(args)) {
        return command_usage("watch", out);
    }
    struct status s = expr_evaluate_prefix(args, &env, &value, &args);
    if (!status_ok(&s)) {
        fprintf(out, "%s\n", s.text);
        return false;
    }
    p.address = value.is_memory ? value.address : value.value; // "watch *(u32 *)a" is of a
    p.size = value.is_memory ? value.size : 8;
    if (isdigit((unsigned char)*args) && !args_number(t, &args, &p.size, out)) {
        return false;
    }
    if (!read_filter(t, args, &p, out)) {
        return false;
    }
    if (!p.pid && !(p.address >> 63)) {
        p.pid = target_pid(t); // a user address means something in one address space
    }
    return add(t, &p, out);
}

bool cmd_watch(struct target *t, const char *args, FILE *out)
{
    return add_watch(t, args, TARGET_POINT_WATCH_WRITE, out);
}

bool cmd_rwatch(struct target *t, const char *args, FILE *out)
{
    return add_watch(t, args, TARGET_POINT_WATCH_READ, out);
}

bool cmd_awatch(struct target *t, const char *args, FILE *out)
{
    return add_watch(t, args, TARGET_POINT_WATCH_ACCESS, out);
}

static bool find_syscall(const char *name, s64 *number)
{
    for (u64 i = 0; i < SYSCALLS_MAX; i++) {
        const struct syscall_row *row = syscall_row(i);
        if (row && row->name && strcmp(row->name, name) == 0) {
            *number = (s64)i;
            return true;
        }
    }
    return false;
}

static const struct {
    const char *name;
    u32 bits;
    bool selects; // a number may follow
} catch_kinds[] = {
    {"syscall", TARGET_CATCH_SYSCALL | TARGET_CATCH_SYSCALL_RETURN, true},
    {"fault", TARGET_CATCH_FAULT, false},
    {"exception", TARGET_CATCH_EXCEPTION, true},
    {"interrupt", TARGET_CATCH_INTERRUPT, true},
    {"ring", TARGET_CATCH_RING, false},
    {"cr3", TARGET_CATCH_CR3, false},
    {"msr", TARGET_CATCH_MSR, true},
    {"io", TARGET_CATCH_IO, true},
};

static bool at_filter(const char *args)
{
    return args_end(args) || strncmp(args, "if ", 3) == 0 || strncmp(args, "pid ", 4) == 0 ||
           strncmp(args, "entry", 5) == 0 || strncmp(args, "return", 6) == 0;
}

static bool read_selector(struct target *t, const char **args, struct target_point *p, FILE *out)
{
    char word[40];
    const char *rest = *args;
    if (at_filter(*args)) {
        return true;
    }
    if ((p->catches & TARGET_CATCH_SYSCALL) && args_word(&rest, word, sizeof(word)) &&
        find_syscall(word, &p->selector)) {
        *args = rest;
        return true;
    }
    u64 value;
    if (!args_number(t, args, &value, out)) {
        return false;
    }
    p->selector = (s64)value;
    return true;
}

bool cmd_catch(struct target *t, const char *args, FILE *out)
{
    struct target_point p = {.kind = TARGET_POINT_CATCH, .selector = -1};
    char word[24];
    if (!args_word(&args, word, sizeof(word))) {
        return command_usage("catch", out);
    }
    for (size_t i = 0; i < ARRAY_LEN(catch_kinds); i++) {
        if (strcmp(catch_kinds[i].name, word) == 0) {
            p.catches = catch_kinds[i].bits;
            if (catch_kinds[i].selects && !read_selector(t, &args, &p, out)) {
                return false;
            }
        }
    }
    if (!p.catches) {
        return command_usage("catch", out);
    }
    if (args_accept(&args, "entry")) {
        p.catches &= ~(u32)TARGET_CATCH_SYSCALL_RETURN;
    } else if (args_accept(&args, "return")) {
        p.catches &= ~(u32)TARGET_CATCH_SYSCALL;
    }
    return read_filter(t, args, &p, out) && add(t, &p, out);
}

static struct target_point *args_point(struct target *t, const char **args, FILE *out)
{
    u64 number;
    if (!args_number(t, args, &number, out)) {
        return NULL;
    }
    struct target_point *p = target_point_get(t, (int)number);
    if (!p) {
        fprintf(out, "there is no point %llu\n", (unsigned long long)number);
    }
    return p;
}

bool cmd_condition(struct target *t, const char *args, FILE *out)
{
    struct expr_env env = target_env(t);
    char word[16];
    if (!args_word(&args, word, sizeof(word))) {
        return command_usage("condition", out);
    }
    struct target_point *p = target_point_get(t, atoi(word));
    if (!p) {
        fprintf(out, "there is no point %s\n", word);
        return false;
    }
    struct status s = *args ? expr_check(args, &env) : status_success();
    if (!status_ok(&s) || strlen(args) >= sizeof(p->condition)) {
        fprintf(out, "%s\n", status_ok(&s) ? "the condition is too long" : s.text);
        return false;
    }
    strcpy(p->condition, args);
    point_describe(t, p, out);
    return true;
}

bool cmd_ignore(struct target *t, const char *args, FILE *out)
{
    char word[16];
    u64 count;
    struct target_point *p =
        args_word(&args, word, sizeof(word)) ? target_point_get(t, atoi(word)) : NULL;
    if (!p || args_end(args)) {
        return command_usage("ignore", out);
    }
    if (!args_number(t, &args, &count, out)) {
        return false;
    }
    p->ignore = count;
    point_describe(t, p, out);
    return true;
}

static bool set_enabled(struct target *t, const char *args, bool enabled, FILE *out)
{
    if (args_end(args)) {
        for (unsigned i = 0; i < t->point_count; i++) {
            t->points[i].p.enabled = enabled;
        }
        return true;
    }
    while (!args_end(args)) {
        struct target_point *p = args_point(t, &args, out);
        if (!p) {
            return false;
        }
        p->enabled = enabled;
    }
    return true;
}

bool cmd_enable(struct target *t, const char *args, FILE *out)
{
    return set_enabled(t, args, true, out);
}

bool cmd_disable(struct target *t, const char *args, FILE *out)
{
    return set_enabled(t, args, false, out);
}

bool cmd_delete(struct target *t, const char *args, FILE *out)
{
    if (args_end(args)) {
        t->point_count = 0;
        return true;
    }
    while (!args_end(args)) {
        struct target_point *p = args_point(t, &args, out);
        if (!p) {
            return false;
        }
        target_point_remove(t, p->number);
    }
    return true;
}

bool cmd_points(struct target *t, const char *args, FILE *out)
{
    for (unsigned i = 0; i < t->point_count; i++) {
        point_describe(t, &t->points[i].p, out);
    }
    if (!t->point_count) {
        fputs("no breakpoints, watchpoints or catches\n", out);
    }
    return true;
}
