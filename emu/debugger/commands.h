// SPDX-License-Identifier: MIT
// What the functions behind commands.def share.
#ifndef VIV_DEBUGGER_COMMANDS_H
#define VIV_DEBUGGER_COMMANDS_H

#include "debugger/target_internal.h"

// args: the rest of the line, leading space removed. False: it failed and out says why.
#define SECTION(title)
#define COMMAND(name, aliases, function, arguments, help)                                          \
    bool function(struct target *t, const char *args, FILE *out);
#include "debugger/commands.def"
#undef COMMAND
#undef SECTION

// Takes the next word from *args; false: there is none.
bool args_word(const char **args, char *word, size_t size);
// True and past it if the next word is that.
bool args_accept(const char **args, const char *word);
bool args_end(const char *args);
// Evaluates the expression at *args. Says why not.
bool args_number(struct target *t, const char **args, u64 *value, FILE *out);
// The same, or the default at the line's end.
bool args_optional(struct target *t, const char **args, u64 fallback, u64 *value, FILE *out);
// A place: "function" (behind its prologue), "file.c:12", "*ADDRESS", any expression.
bool args_place(struct target *t, const char **args, u64 *address, FILE *out);
// A state as seek names it; all of args.
bool args_step(struct target *t, const char *args, u64 *step, FILE *out);
// "usage: ..." of a command; false.
bool command_usage(const char *name, FILE *out);
// Looks for a command by name or abbreviation and runs it.
bool command_run(struct target *t, const char *name, const char *args, FILE *out);
bool command_known(const char *name);

// The stop and the place where it is.
bool print_stop(struct target *t, const struct target_stop *stop, FILE *out);
void print_place(struct target *t, FILE *out);
void print_step(u64 step, FILE *out); // 1'234'567
void print_row(struct target *t, const struct event_row *row, u64 here, FILE *out);
// What was written by whom, one line.
void print_writer(struct target *t, const struct target_writer *writer, FILE *out);

#endif
