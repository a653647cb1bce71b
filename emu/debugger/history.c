// SPDX-License-Identifier: MIT
// Events of any part of history: from the rows that are known, or by running it again.
#include "debugger/target_internal.h"

#include <string.h>

#define LEDGER_WANTED 256

void history_here(struct target *t)
{
    u64 here = timeline_step(t->timeline);
    if (here < events_from(t->events) || here > events_to(t->events)) {
        events_reset(t->events, here);
    }
}

// Runs on until the faults of the filled rows have ended, within reason.
static void follow_faults(struct target *t, const struct goal *nothing)
{
    u64 limit = events_to(t->events);
    for (unsigned i = 0; i < 8 && events_fill_open(t->events); i++) {
        u64 here = timeline_step(t->timeline);
        u64 to = here + (UINT64_C(1) << 20);
        to = to < limit ? to : limit;
        if (here >= to || engine_scan(t, nothing, here, to) != ENGINE_REACHED) {
            return;
        }
    }
}

bool history_more(struct target *t)
{
    u64 from = events_from(t->events);
    if (from <= timeline_begin(t->timeline)) {
        return false;
    }
    struct goal nothing = {0};
    u64 low = timeline_checkpoint_before(t->timeline, from - 1);
    events_fill_begin(t->events, low);
    bool done = engine_scan(t, &nothing, low, from) == ENGINE_REACHED;
    if (done) {
        follow_faults(t, &nothing);
    }
    events_fill_end(t->events, done);
    return done && events_from(t->events) == low;
}

const struct event_row *history_find(struct target *t, u64 step,
                                     bool (*want)(void *ctx, const struct event_row *row),
                                     void *ctx, bool *cancelled)
{
    *cancelled = false;
    u64 before = step; // rows from here on have been looked at
    for (;;) {
        for (u64 i = events_before(t->events, before); i-- > 0;) {
            const struct event_row *row = events_get(t->events, i);
            if (want(ctx, row)) {
                return row;
            }
        }
        u64 from = events_from(t->events);
        before = from < before ? from : before;
        if (!history_more(t)) {
            *cancelled = events_from(t->events) > timeline_begin(t->timeline);
            return NULL;
        }
    }
}

static u64 count_wanted(struct target *t, u64 step, u64 enough,
                        bool (*want)(void *ctx, const struct event_row *), void *ctx)
{
    u64 count = 0;
    for (u64 i = events_before(t->events, step); i-- > 0 && count < enough;) {
        count += !want || want(ctx, events_get(t->events, i));
    }
    return count;
}

bool history_ensure(struct target *t, u64 count, bool (*want)(void *ctx, const struct event_row *),
                    void *ctx)
{
    u64 here = timeline_step(t->timeline);
    bool moved = false, done = true;
    history_here(t);
    while (events_from(t->events) > timeline_begin(t->timeline) &&
           count_wanted(t, here, count, want, ctx) < count) {
        if (!moved) {
            timeline_checkpoint(t->timeline);
            moved = true;
        }
        if (!history_more(t)) {
            done = false;
            break;
        }
    }
    if (moved) {
        engine_return(t, here);
    }
    return done;
}

const struct ledger *target_ledger(struct target *t)
{
    u64 here = timeline_step(t->timeline);
    if (t->ledger && t->ledger_step == here) {
        return t->ledger;
    }
    history_ensure(t, LEDGER_WANTED, NULL, NULL);
    ledger_destroy(t->ledger);
    t->ledger = ledger_create();
    t->ledger_step = here;
    u64 end = events_before(t->events, here);
    u64 begin = end > LEDGER_ROWS / 16 ? end - LEDGER_ROWS / 16 : 0;
    for (u64 i = begin; i < end; i++) {
        const struct event_row *row = events_get(t->events, i);
        u64 number = ledger_add(t->ledger, &row->event);
        ledger_set_outcome(t->ledger, number, events_outcome(row, here));
    }
    return t->ledger;
}
