// SPDX-License-Identifier: MIT
// strace's options, with strace's letters (strace(1)).
#ifndef VIV_TRACE_STRACE_OPTIONS_H
#define VIV_TRACE_STRACE_OPTIONS_H

#include "base/bits.h"
#include "base/status.h"
#include "trace/syscall_set.h"

#define STRACE_PIDS_MAX 32
#define STRACE_COLUMN 40
#define STRACE_STRING_MAX 32

struct strace_options {
    struct syscall_set calls; // -e trace=
    u64 signals;              // -e signal=: BIT(number - 1)
    int pids[STRACE_PIDS_MAX];
    unsigned pid_count;     // -p; 0: every process
    unsigned time_of_day;   // -t -tt -ttt: seconds, microseconds, since the epoch
    bool relative;          // -r: time since the line before
    bool duration;          // -T
    bool numbers;           // -n
    bool paths;             // -y
    bool succeeded, failed; // -z, -Z: only these
    bool quiet;             // -q: no exit lines
    bool summary;           // -c, -C
    bool lines;             // not with -c
    bool wall;              // -w: the summary counts from entry to return, waiting included
    char sort;              // -S: t(ime), c(alls), e(rrors), n(ame), 0: nothing
    unsigned string_max;    // -s
    unsigned column;        // -a
    const char *output;     // -o, NULL: none
    bool steps;             // -e viv=steps: step and rings in front
    bool faults;            // -e viv=faults: page faults among the calls
    u64 from_step, to_step; // calls that begin in from <= step < to
    u64 rtc_base_s;         // what the guest's clock showed at vtime 0, for -t
};

void strace_options_init(struct strace_options *o);

// Reads argv[*i] if it is one of strace's options, and its argument, which may be argv[*i + 1];
// then *i is moved to the last one used. False: it is none (--long options never are). *s tells
// what was wrong with it. The strings stay argv's.
bool strace_options_take(struct strace_options *o, int argc, char **argv, int *i, struct status *s);

// Prints them with one line each, for --help.
void strace_options_help(void);

#endif
