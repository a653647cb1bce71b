// SPDX-License-Identifier: MIT
// The command line of the commands that run a machine (DESIGN.md section 7).
#ifndef VIV_FRONTENDS_OPTIONS_H
#define VIV_FRONTENDS_OPTIONS_H

#include "base/status.h"
#include "host/posix_block.h"
#include "host/posix_door.h"
#include "machine/machine.h"
#include "mmu/mmu.h"
#include "trace/strace_options.h"

#define DISKS_MAX 4
#define FILES_MAX 2
#define SYMBOL_FILES_MAX 16

struct disk_option {
    char *path;
    enum posix_block_mode mode;
};

#define SCREENSHOTS_MAX 16
#define SCREENSHOT_AT_END UINT64_MAX

struct screenshot_option {
    char *path;
    u64 step; // SCREENSHOT_AT_END: of the run's last state
};

// Strings point into argv or are NULL; options_free() releases what was copied.
struct run_options {
    // The machine.
    const char *machine, *kernel, *initrd, *append, *cpu, *serial;
    struct disk_option disks[DISKS_MAX];
    unsigned disk_count;
    u64 mem_bytes, rtc_s, seed, chaos_seed;
    unsigned cpus; // 0: as the tree says
    bool chaos;
    enum cpu_engine engine;
    bool lockstep; // both engines beside each other
    u64 lockstep_seed, lockstep_dense_step; // of where they are compared; replay/lockstep.h
    enum tlb_geometry tlb;
    enum posix_pace pace;
    // The run.
    const char *exec, *log;
    u64 time_limit_ns, until_step;
    bool stats;
    // Watching: lists and files, "" where the option came without a file.
    const char *trace, *strace;
    const char *perfetto; // NULL: none
    struct strace_options strace_options; // any of its letters stands for --strace
    // Recordings.
    const char *record, *replay, *write_disk;
    char *from; // --from FILE@STEP: the file; set together with from_step
    u64 from_step;
    u64 checkpoint_steps; // between checkpoints in a recording; 0: none
    bool self_contained, verify;
    bool log_inputs; // the session keeps a log of its inputs; recordings and debuggers need one
    bool goes_live;  // a replayed recording takes input and idle time from here once it is cut
    // A front end that has its own console: its serial line 0 and door, instead of the terminal's.
    const struct host *outside;
    const char *gdb; // where to wait for a gdb; NULL: nowhere
    bool gdb_any;
    // Pictures.
    struct screenshot_option screenshots[SCREENSHOTS_MAX];
    unsigned screenshot_count;
    const char *frames; // directory; NULL: none
    bool sdl;           // --display sdl
    struct window *window; // opened for it; NULL: none
    const char *script;                   // commands of viv debug, "-": standard input
    const char *symbols[SYMBOL_FILES_MAX]; // more ELF files with names and lines: FILE or FILE@BIAS
    unsigned symbol_count;
    // The first option that describes a machine, NULL: none. A recording has its own.
    const char *machine_option;
    const char *files[FILES_MAX]; // what is no option
    unsigned file_count;
};

// Reads argv[0 .. argc-1] (options only). STATUS_USAGE with one line for anything unknown,
// malformed or not in this version.
struct status options_parse(struct run_options *o, int argc, char **argv);
void options_free(struct run_options *o);

// Prints the options with their help on standard output.
void options_help(void);

#endif
