// SPDX-License-Identifier: MIT
// The debugger's language: finding commands, reading arguments, help and completion.
#include "debugger/commands.h"

#include "base/bits.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct command {
    const char *section; // of a title: all else is NULL
    const char *name, *aliases;
    bool (*run)(struct target *t, const char *args, FILE *out);
    const char *arguments, *help;
};

static const struct command commands[] = {
#define SECTION(title) {.section = title},
#define COMMAND(name, aliases, function, arguments, help)                                          \
    {NULL, name, aliases, function, arguments, help},
#include "debugger/commands.def"
#undef COMMAND
#undef SECTION
};

// --- arguments ---

static const char *skip_space(const char *text)
{
    while (isspace((unsigned char)*text)) {
        text++;
    }
    return text;
}

bool args_end(const char *args)
{
    return !*skip_space(args);
}

bool args_word(const char **args, char *word, size_t size)
{
    const char *at = skip_space(*args);
    size_t n = 0;
    while (*at && !isspace((unsigned char)*at)) {
        if (n + 1 < size) {
            word[n++] = *at;
        }
        at++;
    }
    word[n] = '\0';
    *args = skip_space(at);
    return n != 0;
}

bool args_accept(const char **args, const char *word)
{
    char next[32];
    const char *rest = *args;
    if (!args_word(&rest, next, sizeof(next)) || strcmp(next, word) != 0) {
        return false;
    }
    *args = rest;
    return true;
}

bool args_number(struct target *t, const char **args, u64 *value, FILE *out)
{
    struct expr_value result;
    struct expr_env env = target_env(t);
    struct status s = expr_evaluate_prefix(*args, &env, &result, args);
    if (!status_ok(&s)) {
        fprintf(out, "%s\n", s.text);
        return false;
    }
    *value = result.value;
    return true;
}

bool args_optional(struct target *t, const char **args, u64 fallback, u64 *value, FILE *out)
{
    if (args_end(*args)) {
        *value = fallback;
        return true;
    }
    return args_number(t, args, value, out);
}

bool args_place(struct target *t, const char **args, u64 *address, FILE *out)
{
    const char *start = skip_space(*args);
    if (*start == '*') {
        *args = start + 1;
        return args_number(t, args, address, out);
    }
    if (!args_number(t, args, address, out)) {
        return false;
    }
    size_t length = (size_t)(skip_space(*args) - start);
    while (length && isspace((unsigned char)start[length - 1])) {
        length--;
    }
    bool name = !isdigit((unsigned char)*start) && *start != '$';
    for (size_t i = 0; i < length; i++) {
        name = name && (isalnum((unsigned char)start[i]) || start[i] == '_');
    }
    if (name && t->symbols) {
        struct symbol_place known;
        if (!symbols_name(t->symbols, *address, &known)) {
            symbols_set_program(t->symbols, NULL); // of a program that does not run now
        }
        *address = symbols_after_prologue(t->symbols, *address);
        target_choose_program(t);
    }
    return true;
}

// --- finding ---

static bool in_list(const char *list, const char *name, size_t length)
{
    for (const char *at = list; *at;) {
        size_t n = strcspn(at, " ");
        if (n == length && strncmp(at, name, n) == 0) {
            return true;
        }
        at = skip_space(at + n);
    }
    return false;
}

// Exact names first, then a unique abbreviation. Ambiguous: NULL, out names the choices.
static const struct command *find_command(const char *name, size_t length, FILE *out)
{
    const struct command *found = NULL;
    unsigned count = 0;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        const struct command *c = &commands[i];
        if (c->name && (in_list(c->name, name, length) || in_list(c->aliases, name, length))) {
            return c;
        }
        if (c->name && strncmp(c->name, name, length) == 0) {
            found = c;
            count++;
        }
    }
    if (count == 1) {
        return found;
    }
    if (out && !count) {
        fprintf(out, "no command \"%.*s\"; help lists them\n", (int)length, name);
    } else if (out) {
        fprintf(out, "\"%.*s\" may be", (int)length, name);
        for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
            if (commands[i].name && strncmp(commands[i].name, name, length) == 0) {
                fprintf(out, " %s", commands[i].name);
            }
        }
        fputc('\n', out);
    }
    return NULL;
}

bool command_known(const char *name)
{
    return find_command(name, strlen(name), NULL) != NULL;
}

bool command_usage(const char *name, FILE *out)
{
    const struct command *c = find_command(name, strlen(name), out);
    if (c) {
        fprintf(out, "usage: %s %s\n", c->name, c->arguments);
    }
    return false;
}

bool command_run(struct target *t, const char *name, const char *args, FILE *out)
{
    const struct command *c = find_command(name, strlen(name), out);
    return c && c->run(t, args, out);
}

// Commands that go on where they were, so that an empty line repeats them without arguments.
static bool goes_on(const struct command *c)
{
    return c->run == cmd_x || c->run == cmd_list || c->run == cmd_disas;
}

bool target_command(struct target *t, const char *line, FILE *out)
{
    char again[sizeof(t->last_line)];
    line = skip_space(line);
    if (*line == '#') {
        return true;
    }
    if (!*line) {
        memcpy(again, t->last_line, sizeof(again));
        line = again;
    }
    if (!*line) {
        return true;
    }
    size_t length = strcspn(line, " \t/\n");
    const struct command *c = find_command(line, length, out);
    if (!c) {
        return false;
    }
    snprintf(t->last_line, sizeof(t->last_line), "%s", goes_on(c) ? c->name : line);
    return c->run(t, skip_space(line + length), out);
}

// --- help and completion ---

static void print_help(const struct command *c, FILE *out)
{
    fprintf(out, "%s %s\n    %s\n", c->name, c->arguments, c->help);
    if (*c->aliases) {
        fprintf(out, "    also: %s\n", c->aliases);
    }
}

bool cmd_help(struct target *t, const char *args, FILE *out)
{
    char word[40];
    if (args_word(&args, word, sizeof(word))) {
        const struct command *c = find_command(word, strlen(word), out);
        if (c) {
            print_help(c, out);
        }
        return c != NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        const struct command *c = &commands[i];
        if (c->section) {
            fprintf(out, "%s%s\n", i ? "\n" : "", c->section);
        } else {
            char names[80];
            size_t shortest = strcspn(c->aliases, " ");
            snprintf(names, sizeof(names), "%s%s%.*s", c->name, shortest ? ", " : "", (int)shortest,
                     c->aliases);
            fprintf(out, "  %-24s %s\n", names, c->help);
        }
    }
    return true;
}

bool cmd_quit(struct target *t, const char *args, FILE *out)
{
    t->quit_wanted = true;
    return true;
}

bool target_quit_wanted(const struct target *t)
{
    return t->quit_wanted;
}

struct completion {
    const char *prefix;
    size_t length;
    FILE *out;
    unsigned count;
};

#define COMPLETIONS_MAX 200

static void complete_name(void *ctx, const char *name)
{
    struct completion *c = ctx;
    if (strncmp(name, c->prefix, c->length) == 0 && c->count++ < COMPLETIONS_MAX) {
        fprintf(c->out, "%s\n", name);
    }
}

static void complete_variable(void *ctx, const char *name)
{
    char text[32];
    snprintf(text, sizeof(text), "$%s", name);
    complete_name(ctx, text);
}

void target_complete(struct target *t, const char *line, FILE *out)
{
    line = skip_space(line);
    const char *word = line + strlen(line);
    while (word > line && (isalnum((unsigned char)word[-1]) || strchr("_$-.", word[-1]))) {
        word--;
    }
    struct completion c = {.prefix = word, .length = strlen(word), .out = out};
    if (word == line) {
        for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
            if (commands[i].name) {
                complete_name(&c, commands[i].name);
            }
        }
    } else if (*word == '$') {
        target_each_variable(complete_variable, &c);
    } else if (t->symbols && c.length) {
        symbols_each_name(t->symbols, word, complete_name, &c);
    }
}
