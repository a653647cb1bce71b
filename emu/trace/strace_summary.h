// SPDX-License-Identifier: MIT
// strace -c: calls, errors and time of each system call.
#ifndef VIV_TRACE_STRACE_SUMMARY_H
#define VIV_TRACE_STRACE_SUMMARY_H

#include "base/types.h"

#include <stdio.h>

struct strace_summary;

struct strace_summary *strace_summary_create(void);
void strace_summary_destroy(struct strace_summary *s);
// One call that returned, or never will. name outlives the summary.
void strace_summary_add(struct strace_summary *s, u64 number, const char *name, u64 time_ns,
                        bool error);
// sort: strace_options.sort.
void strace_summary_print(struct strace_summary *s, char sort, FILE *out);

#endif
