// SPDX-License-Identifier: MIT
// Lines that appear in order although some are finished late (a fault's outcome, a child's pid).
#ifndef VIV_TRACE_LINE_QUEUE_H
#define VIV_TRACE_LINE_QUEUE_H

#include "base/types.h"

#include <stdio.h>

struct line_queue;

struct line_queue *line_queue_create(FILE *out);
// Writes what waits, open lines with the text they were reserved with.
void line_queue_destroy(struct line_queue *q);

// A finished line (without newline; copied).
void line_queue_add(struct line_queue *q, const char *text);
// An open line. If too many lines wait behind it, it is written as fallback. Returns its ticket.
u64 line_queue_reserve(struct line_queue *q, const char *fallback);
// Finishes an open line; text NULL drops it. Without effect if it has been written.
void line_queue_finish(struct line_queue *q, u64 ticket, const char *text);
void line_queue_flush(struct line_queue *q); // the FILE's buffer

#endif
