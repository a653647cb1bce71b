// SPDX-License-Identifier: MIT
// System calls in strace's own format (strace -f), for every task of the guest.
#ifndef VIV_TRACE_STRACE_H
#define VIV_TRACE_STRACE_H

#include "trace/ledger.h"
#include "trace/strace_options.h"
#include "trace/tasks.h"

#include <stdio.h>

struct strace;

// options are copied, NULL for strace's defaults; what they point to outlives the strace.
struct strace *strace_create(struct tasks *tasks, const struct strace_options *options, FILE *out);
// Where -y finds paths: as in struct syscall_style, for the task with this pid.
void strace_set_paths(struct strace *s,
                      bool (*path)(void *ctx, int pid, int fd, char *path, size_t size), void *ctx);
// A page fault has ended (for -e viv=faults): the line takes its place in order.
void strace_fault(struct strace *s, const struct probe_event *event, enum fault_outcome outcome);
// Writes the calls that never returned, what waits for a pid, and the summary.
void strace_destroy(struct strace *s);

#endif
