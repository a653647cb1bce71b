// SPDX-License-Identifier: MIT
// The ledger: the last privilege transitions and page faults, always kept.
#ifndef VIV_TRACE_LEDGER_H
#define VIV_TRACE_LEDGER_H

#include "trace/probe.h"

#define LEDGER_ROWS (1u << 16)

// How a page fault ended, from the page-table entry before and after.
enum fault_outcome {
    FAULT_PENDING,      // not known yet
    FAULT_MAP,          // nothing was there; now there is a page (demand-zero or file)
    FAULT_SWAP_IN,      // a non-present entry with content became a page
    FAULT_COW,          // write to a read-only page: another frame, writable
    FAULT_WRITE_ENABLE, // write to a read-only page: the same frame, writable
    FAULT_SPURIOUS,     // the entry allowed the access already
    FAULT_FIXUP,        // the kernel went on elsewhere (exception table)
    FAULT_SIGNAL,       // the task went on elsewhere (a handler)
    FAULT_RETRY,        // went back without a page: it will fault again
    FAULT_FATAL,        // the task never came back
};

const char *fault_outcome_name(enum fault_outcome outcome);

struct ledger_row {
    struct probe_event event;
    enum fault_outcome outcome; // PROBE_page_fault
};

struct ledger;

struct ledger *ledger_create(void);
void ledger_destroy(struct ledger *l);

// Adds a row; returns its number, counting from 0 for the first of the run.
u64 ledger_add(struct ledger *l, const struct probe_event *event);
// Sets a page fault's outcome if its row is still kept.
void ledger_set_outcome(struct ledger *l, u64 number, enum fault_outcome outcome);

// Rows number .. ledger_end()-1 are kept for number >= ledger_begin(). NULL if not kept.
u64 ledger_begin(const struct ledger *l);
u64 ledger_end(const struct ledger *l);
const struct ledger_row *ledger_get(const struct ledger *l, u64 number);

// Rows of each kind since the start.
u64 ledger_count(const struct ledger *l, enum probe_kind kind);

#endif
