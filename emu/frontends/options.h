// SPDX-License-Identifier: MIT
// The command line of the commands that run a machine (DESIGN.md section 7).
#ifndef VIV_FRONTENDS_OPTIONS_H
#define VIV_FRONTENDS_OPTIONS_H

#include "base/status.h"
#include "host/posix_block.h"
#include "host/posix_door.h"
#include "mmu/mmu.h"

#define DISKS_MAX 4

struct disk_option {
    char *path;
    enum posix_block_mode mode;
};

// Strings point into argv or are NULL; options_free() releases what was copied.
struct run_options {
    // The machine.
    const char *machine, *kernel, *initrd, *append, *cpu, *serial;
    struct disk_option disks[DISKS_MAX];
    unsigned disk_count;
    u64 mem_bytes, rtc_s, seed, chaos_seed;
    bool chaos;
    enum tlb_geometry tlb;
    enum posix_pace pace;
    // The run.
    const char *exec, *log;
    u64 time_limit_ns, until_step;
    bool stats;
    // Watching: lists and files, "" where the option came without a file.
    const char *trace, *strace;
};

// Reads argv[0 .. argc-1] (options only). STATUS_USAGE with one line for anything unknown,
// malformed or not in this version.
struct status options_parse(struct run_options *o, int argc, char **argv);
void options_free(struct run_options *o);

// Prints the options with their help on standard output.
void options_help(void);

#endif
