// SPDX-License-Identifier: MIT
// What a run leaves behind: traces on the way, and at the end its exit status, one line that says
// why, and figures. Shared by the commands that run a machine.
#ifndef VIV_FRONTENDS_OUTCOME_H
#define VIV_FRONTENDS_OUTCOME_H

#include "frontends/session.h"

#include <stdio.h>

#define OUTCOME_LINE 400
#define OUTCOME_GUEST_FAILED 125
#define OUTCOME_TIME_LIMIT 124
#define OUTCOME_INTERRUPTED 130 // as a shell says of SIGINT

// Prints "viv: ..." and returns the status's code.
int outcome_fail(const struct status *s);

// Where the traces go; NULL: not wanted. tracer lives while the machine runs.
struct outcome_watch {
    FILE *text, *strace, *perfetto;
    unsigned kinds;
    struct strace_options strace_options;
    struct guest_names *names; // NULL: nobody asks
    struct tracer *tracer;
    u64 begin_host_ns;
};

struct status outcome_watch_open(struct outcome_watch *w, const struct run_options *o);
// Before the machine runs.
void outcome_watch_begin(struct outcome_watch *w, struct session *s);
void outcome_watch_close(struct outcome_watch *w);

// The process's status for how the machine ended; line gets the reason unless the user knows.
int outcome_status(const struct session *s, const struct machine_result *r,
                   char line[OUTCOME_LINE]);

// A command that runs one session from its command line to its end.
struct outcome_command {
    const char *usage;
    struct status (*check)(struct run_options *o); // and completes the options
    // Returns the process's status.
    int (*run)(struct session *s, const struct run_options *o, struct outcome_watch *w);
};
int outcome_main(const struct outcome_command *c, int argc, char **argv);

// Prints the error, or the line if there is one; returns the process's status.
int outcome_end(const struct status *error, int status, const char *line);

// The run is over: gives the terminal back, prints figures (--stats) and what the guest met that
// viv does not implement. Ends w's tracer.
void outcome_report(struct session *s, const struct run_options *o, struct outcome_watch *w);

#endif
