// SPDX-License-Identifier: MIT
// viv: picks the command.
#include "base/bits.h"
#include "base/status.h"
#include "frontends/cmd_debug.h"
#include "frontends/cmd_diff.h"
#include "frontends/cmd_replay.h"
#include "frontends/cmd_run.h"
#include "frontends/cmd_symbols.h"
#include "frontends/cmd_trace.h"
#include "replay/recording.h"

#include <stdio.h>
#include <string.h>

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"run", cmd_run, "run a machine (viv run --help)"},
    {"debug", cmd_debug,
     "the debugger: forwards, backwards, on a terminal, for gdb (viv debug --help)"},
    {"diff", cmd_diff, "where two recorded runs part: viv diff A B"},
    {"replay", cmd_replay, "repeat a recorded run exactly (viv replay --help)"},
    {"symbols", cmd_symbols,
     "a Linux kernel's names, for gdb: viv symbols bzImage|vmlinux|System.map OUT"},
    {"trace", cmd_trace,
     "what happened in a recorded run, and assertions about it (viv trace --help)"},
};

static void usage(FILE *out)
{
    fputs("usage: viv COMMAND [OPTION]...\n", out);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
    }
    fputs("  --version, --help\n", out);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return STATUS_USAGE;
    }
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 2, argv + 2);
        }
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("viv %s, recordings of semantics version %d\n", VIV_VERSION,
               RECORDING_SEMANTICS_VERSION);
        return 0;
    }
    fprintf(stderr, "viv: unknown command %s; see viv --help\n", argv[1]);
    return STATUS_USAGE;
}
