// SPDX-License-Identifier: MIT
// System calls in strace's own format (strace -f), for every task of the guest.
#ifndef VIV_TRACE_STRACE_H
#define VIV_TRACE_STRACE_H

#include "trace/tasks.h"

#include <stdio.h>

struct strace;

struct strace *strace_create(struct tasks *tasks, FILE *out);
// Writes the calls that never returned, and what waits for a pid.
void strace_destroy(struct strace *s);

#endif
