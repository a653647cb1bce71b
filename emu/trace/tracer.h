// SPDX-License-Identifier: MIT
// Listens to a machine's probes: keeps the ledger, feeds --trace and --strace.
#ifndef VIV_TRACE_TRACER_H
#define VIV_TRACE_TRACER_H

#include "machine/machine.h"
#include "trace/check.h"
#include "trace/ledger.h"
#include "trace/sink_text.h"
#include "trace/strace.h"
#include "trace/trace_guest.h"

#include <stdio.h>

struct tracer;

// Takes the machine's probes. Watching never changes what happens.
struct tracer *tracer_create(struct machine *m);
// Ends what is open (before the machine is destroyed). The FILEs stay the caller's.
void tracer_destroy(struct tracer *t);

// Before anything is added; copied, its ctx outlives the tracer.
void tracer_set_guest(struct tracer *t, const struct trace_guest *guest);
// TRACE_* of sink_text.h; NULL filter: all of them. Once.
void tracer_add_text(struct tracer *t, unsigned kinds, const struct trace_filter *filter,
                     FILE *out);
// The check stays the caller's; up to TRACER_CHECKS_MAX.
#define TRACER_CHECKS_MAX 32
void tracer_add_check(struct tracer *t, struct check *check);
// System calls in strace's format; NULL options: strace's defaults.
struct strace *tracer_add_strace(struct tracer *t, const struct strace_options *options, FILE *out);

// Takes the machine's watch (machine/watch.h) if the guest's wake-ups can be seen.
void tracer_add_perfetto(struct tracer *t, FILE *out);

const struct ledger *tracer_ledger(const struct tracer *t);

#endif
