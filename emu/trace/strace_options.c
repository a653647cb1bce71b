// SPDX-License-Identifier: MIT
// Letters, alone or several behind one dash, with their arguments behind them or in the next word.
#include "trace/strace_options.h"

#include "base/memory.h"
#include "trace/decode.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char letters[] = "fcCwTtryznZqaeopsS";
static const char letters_with_argument[] = "aeopsS";

static const char *const help_lines[][2] = {
    {"-e trace=SET", "[!]all,none,NAME,%CLASS,/REGEX: the system calls to show; also -e SET"},
    {"-e signal=SET", "[!]all,none,NAME: the signals to show"},
    {"-e status=SET", "successful,failed: as -z and -Z"},
    {"-e viv=SET", "steps: step and rings before each line; faults: page faults as !!! lines"},
    {"-p PID[,PID]", "only these processes; -f is the default and does nothing"},
    {"-z, -Z", "only calls that succeeded, only calls that failed"},
    {"-c, -C", "a summary at the end, instead of the lines or after them"},
    {"-S KEY", "sort the summary by time, calls, errors, name, none"},
    {"-w", "the summary counts the time from entry to return"},
    {"-t, -tt, -ttt", "the guest's time of day: seconds, microseconds, since 1970"},
    {"-r", "time since the line before"},
    {"-T", "time in each call; all times are the guest's virtual time"},
    {"-n", "system call numbers"},
    {"-y", "paths behind file descriptors"},
    {"-s SIZE", "show at most this many bytes of strings"},
    {"-a COLUMN", "where results are aligned"},
    {"-o FILE", "write there instead of standard error"},
    {"-q", "no lines for exits"},
};

void strace_options_init(struct strace_options *o)
{
    *o = (struct strace_options){.signals = UINT64_MAX,
                                 .lines = true,
                                 .sort = 't',
                                 .string_max = STRACE_STRING_MAX,
                                 .column = STRACE_COLUMN,
                                 .to_step = UINT64_MAX};
    syscall_set_all(&o->calls);
}

void strace_options_help(void)
{
    puts("strace's options:");
    for (size_t i = 0; i < ARRAY_LEN(help_lines); i++) {
        printf("  %-34s %s\n", help_lines[i][0], help_lines[i][1]);
    }
}

static struct status parse_unsigned(char letter, const char *text, unsigned *value)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || errno || n > (1u << 20)) {
        return status_error(STATUS_USAGE, "-%c %s: a number expected", letter, text);
    }
    *value = (unsigned)n;
    return status_success();
}

// The next of several words; *rest is consumed.
static bool next_word(const char **rest, const char *separators, char word[64])
{
    *rest += strspn(*rest, separators);
    size_t length = strcspn(*rest, separators);
    snprintf(word, 64, "%.*s", (int)(length < 63 ? length : 63), *rest);
    *rest += length;
    return length != 0;
}

static struct status parse_pids(struct strace_options *o, const char *text)
{
    char word[64];
    for (const char *rest = text; next_word(&rest, ", \t\n", word);) {
        unsigned pid;
        struct status s = parse_unsigned('p', word, &pid);
        if (!status_ok(&s)) {
            return s;
        }
        if (!pid || o->pid_count == STRACE_PIDS_MAX) {
            return status_error(STATUS_USAGE, "-p %s: 1 to %d processes, none of them 0", text,
                                STRACE_PIDS_MAX);
        }
        o->pids[o->pid_count++] = (int)pid;
    }
    return o->pid_count ? status_success()
                        : status_error(STATUS_USAGE, "-p %s: a process id expected", text);
}

static int signal_number(const char *name)
{
    for (int number = 1; number <= 64; number++) {
        struct text full = {0};
        decode_signal(&full, number);
        bool same =
            strcasecmp(text_get(&full), name) == 0 || strcasecmp(text_get(&full) + 3, name) == 0;
        text_free(&full);
        if (same) {
            return number;
        }
    }
    char *end;
    long number = strtol(name, &end, 10);
    return isdigit((unsigned char)*name) && !*end && number >= 1 && number <= 64 ? (int)number : 0;
}

static struct status parse_signals(struct strace_options *o, const char *text)
{
    bool inverted = *text == '!';
    u64 set = 0;
    char word[64];
    for (const char *rest = text + inverted; next_word(&rest, ",", word);) {
        int number = signal_number(word);
        if (strcmp(word, "all") == 0) {
            set = UINT64_MAX;
        } else if (number) {
            set |= UINT64_C(1) << (number - 1);
        } else if (strcmp(word, "none") != 0) {
            return status_error(STATUS_USAGE, "-e signal=%s: no such signal", word);
        }
    }
    o->signals = inverted ? ~set : set;
    return status_success();
}

static struct status parse_status(struct strace_options *o, const char *text)
{
    o->succeeded = o->failed = false;
    char word[64];
    for (const char *rest = text; next_word(&rest, ",", word);) {
        bool all = strcmp(word, "all") == 0;
        bool success = all || strcmp(word, "successful") == 0;
        bool failure = all || strcmp(word, "failed") == 0;
        if (!success && !failure) {
            return status_error(STATUS_USAGE, "-e status=%s: successful, failed or all expected",
                                text);
        }
        o->succeeded = o->succeeded || success;
        o->failed = o->failed || failure;
    }
    return status_success();
}

static struct status parse_own(struct strace_options *o, const char *text)
{
    char word[64];
    for (const char *rest = text; next_word(&rest, ",", word);) {
        if (strcmp(word, "steps") == 0) {
            o->steps = true;
        } else if (strcmp(word, "faults") == 0) {
            o->faults = true;
        } else {
            return status_error(STATUS_USAGE, "-e viv=%s: steps and faults are known", text);
        }
    }
    return status_success();
}

static struct status parse_expression(struct strace_options *o, const char *text)
{
    static const struct {
        const char *names; // "a|b|"
        struct status (*parse)(struct strace_options *o, const char *text);
    } rows[] = {
        {"signal|signals|s|", parse_signals}, {"status|", parse_status}, {"viv|", parse_own}};
    const char *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : 0;
    if (!length || strncmp(text, "trace=", 6) == 0 || strncmp(text, "t=", 2) == 0) {
        return syscall_set_parse(&o->calls, length ? equals + 1 : text);
    }
    char *name = xasprintf("%.*s|", (int)length, text);
    struct status s = status_error(
        STATUS_USAGE, "-e %s: trace, signal, status and viv can be chosen in this version", text);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *at = strstr(rows[i].names, name);
        if (at && (at == rows[i].names || at[-1] == '|')) {
            s = rows[i].parse(o, equals + 1);
        }
    }
    free(name);
    return s;
}

static struct status parse_sort(struct strace_options *o, const char *text)
{
    static const char *const keys[] = {"time",  "total-time", "calls",   "count", "errors",
                                       "error", "name",       "syscall", "none",  "nothing"};
    static const char letters_of[] = "ttcceenn\0\0";
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (strcmp(text, keys[i]) == 0) {
            o->sort = letters_of[i];
            return status_success();
        }
    }
    return status_error(STATUS_USAGE, "-S %s: time, calls, errors, name or none expected", text);
}

static struct status set_with_argument(struct strace_options *o, char letter, const char *value)
{
    switch (letter) {
    case 'a':
        return parse_unsigned(letter, value, &o->column);
    case 'e':
        return parse_expression(o, value);
    case 'o':
        o->output = value;
        return *value ? status_success() : status_error(STATUS_USAGE, "-o: a file name expected");
    case 'p':
        return parse_pids(o, value);
    case 's':
        return parse_unsigned(letter, value, &o->string_max);
    default: // S
        return parse_sort(o, value);
    }
}

static void set_flag(struct strace_options *o, char letter)
{
    switch (letter) {
    case 'c':
        o->lines = false;
        o->summary = true;
        break;
    case 'C':
        o->summary = true;
        break;
    case 'w':
        o->wall = true;
        break;
    case 'T':
        o->duration = true;
        break;
    case 't':
        o->time_of_day += o->time_of_day < 3;
        break;
    case 'r':
        o->relative = true;
        break;
    case 'y':
        o->paths = true;
        break;
    case 'n':
        o->numbers = true;
        break;
    case 'z':
        o->succeeded = true;
        break;
    case 'Z':
        o->failed = true;
        break;
    case 'q':
        o->quiet = true;
        break;
    default: // f: every process is shown anyway
        break;
    }
}

bool strace_options_take(struct strace_options *o, int argc, char **argv, int *i, struct status *s)
{
    const char *word = argv[*i];
    *s = status_success();
    if (word[0] != '-' || !word[1] || !strchr(letters, word[1])) {
        return false;
    }
    for (const char *p = word + 1; *p && status_ok(s); p++) {
        if (!strchr(letters, *p)) {
            *s = status_error(STATUS_USAGE, "%s: strace's -%c is not in this version", word, *p);
        } else if (strchr(letters_with_argument, *p)) {
            const char *value = p[1] ? p + 1 : *i + 1 < argc ? argv[++*i] : NULL;
            *s = value ? set_with_argument(o, *p, value)
                       : status_error(STATUS_USAGE, "-%c needs an argument", *p);
            break;
        } else {
            set_flag(o, *p);
        }
    }
    return true;
}
