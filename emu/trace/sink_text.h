// SPDX-License-Identifier: MIT
// --trace: one line per transition, page fault, system call.
#ifndef VIV_TRACE_SINK_TEXT_H
#define VIV_TRACE_SINK_TEXT_H

#include "base/status.h"
#include "trace/ledger.h"
#include "trace/tasks.h"

#include <stdio.h>

enum { TRACE_TRANSITIONS = 1, TRACE_FAULTS = 2, TRACE_SYSCALLS = 4 };

// Reads a list like "transitions,faults"; *file gets what follows '=', NULL if nothing.
struct status trace_kinds_parse(const char *text, unsigned *kinds, const char **file);

struct sink_text;

struct sink_text *sink_text_create(struct tasks *tasks, unsigned kinds, FILE *out);
void sink_text_destroy(struct sink_text *s);

void sink_text_transition(struct sink_text *s, const struct probe_event *event);
// A fault begins; its line is completed by sink_text_fault_ended() with the same number.
void sink_text_fault(struct sink_text *s, const struct probe_event *event, u64 number);
void sink_text_fault_ended(struct sink_text *s, const struct probe_event *event, u64 number,
                           enum fault_outcome outcome);

#endif
