// SPDX-License-Identifier: MIT
// The command line of "viv trace".
#ifndef VIV_FRONTENDS_TRACE_OPTIONS_H
#define VIV_FRONTENDS_TRACE_OPTIONS_H

#include "base/status.h"
#include "trace/tracer.h"

struct trace_options {
    const char *file; // the recording
    unsigned kinds;   // TRACE_*; syscalls are written as strace does
    struct trace_filter filter;
    struct strace_options strace;            // -o is for all views
    struct check *checks[TRACER_CHECKS_MAX]; // released by trace_options_free()
    unsigned check_count;
    const char *perfetto; // file, NULL: none
    const char *engine;   // as viv run has it, NULL: the default
};

// STATUS_USAGE with one line.
struct status trace_options_parse(struct trace_options *o, int argc, char **argv);
void trace_options_free(struct trace_options *o);
void trace_options_help(void);

#endif
