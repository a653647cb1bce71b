// SPDX-License-Identifier: MIT
// A ring of rows.
#include "trace/ledger.h"

#include "base/memory.h"

#include <stdlib.h>

struct ledger {
    struct ledger_row *rows; // [LEDGER_ROWS], grown lazily by the host
    u64 end;
    u64 counts[PROBE_KIND_COUNT];
};

const char *fault_outcome_name(enum fault_outcome outcome)
{
    static const char *const names[] = {
        [FAULT_PENDING] = "pending",
        [FAULT_MAP] = "map",
        [FAULT_SWAP_IN] = "swap-in",
        [FAULT_COW] = "copy-on-write",
        [FAULT_WRITE_ENABLE] = "write-enable",
        [FAULT_SPURIOUS] = "spurious",
        [FAULT_FIXUP] = "fixup",
        [FAULT_SIGNAL] = "signal",
        [FAULT_RETRY] = "retry",
        [FAULT_FATAL] = "fatal",
    };
    return names[outcome];
}

struct ledger *ledger_create(void)
{
    struct ledger *l = xcalloc(1, sizeof(*l));
    l->rows = xcalloc(LEDGER_ROWS, sizeof(*l->rows));
    return l;
}

void ledger_destroy(struct ledger *l)
{
    if (l) {
        free(l->rows);
        free(l);
    }
}

u64 ledger_add(struct ledger *l, const struct probe_event *event)
{
    struct ledger_row *row = &l->rows[l->end % LEDGER_ROWS];
    row->event = *event;
    row->outcome = FAULT_PENDING;
    l->counts[event->kind]++;
    return l->end++;
}

u64 ledger_begin(const struct ledger *l)
{
    return l->end > LEDGER_ROWS ? l->end - LEDGER_ROWS : 0;
}

u64 ledger_end(const struct ledger *l)
{
    return l->end;
}

const struct ledger_row *ledger_get(const struct ledger *l, u64 number)
{
    bool kept = number >= ledger_begin(l) && number < l->end;
    return kept ? &l->rows[number % LEDGER_ROWS] : NULL;
}

void ledger_set_outcome(struct ledger *l, u64 number, enum fault_outcome outcome)
{
    if (number >= ledger_begin(l) && number < l->end) {
        l->rows[number % LEDGER_ROWS].outcome = outcome;
    }
}

u64 ledger_count(const struct ledger *l, enum probe_kind kind)
{
    return l->counts[kind];
}
