// SPDX-License-Identifier: MIT
// Listens to a machine's probes: keeps the ledger, feeds --trace and --strace.
#ifndef VIV_TRACE_TRACER_H
#define VIV_TRACE_TRACER_H

#include "machine/machine.h"
#include "trace/ledger.h"
#include "trace/strace.h"

#include <stdio.h>

struct tracer;

// Takes the machine's probes. Watching never changes what happens.
struct tracer *tracer_create(struct machine *m);
// Ends what is open (before the machine is destroyed). The FILEs stay the caller's.
void tracer_destroy(struct tracer *t);

void tracer_add_text(struct tracer *t, unsigned kinds, FILE *out); // TRACE_* of sink_text.h
// System calls in strace's format; NULL options: strace's defaults.
struct strace *tracer_add_strace(struct tracer *t, const struct strace_options *options, FILE *out);

const struct ledger *tracer_ledger(const struct tracer *t);

#endif
