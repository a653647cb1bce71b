// SPDX-License-Identifier: MIT
// One run of rows without gaps. A fault is known to its watcher by a number that stays when rows
// are put in front or dropped.
#include "debugger/events.h"

#include "base/check.h"
#include "base/memory.h"
#include "trace/fault_watch.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_MAX (UINT64_C(1) << 20)
#define FIRST_NUMBER (UINT64_C(1) << 40)

struct row_list {
    struct event_row *rows;
    u64 count, room;
    u64 first; // number of rows[0]
    struct fault_watch *faults;
    u64 open; // faults that have not ended
    u64 now;  // the state after the event at hand
    bool quiet;
};

struct events {
    struct machine *m;
    struct guest *guest;
    struct row_list known, fill;
    u64 from, to;
    u64 fill_from;
    bool running, filling;
};

static void on_ended(void *ctx, u64 number, enum fault_outcome outcome)
{
    struct row_list *list = ctx;
    if (list->quiet || number < list->first || number - list->first >= list->count) {
        return;
    }
    struct event_row *row = &list->rows[number - list->first];
    row->outcome = outcome;
    row->outcome_step = list->now;
    list->open--;
}

static void list_begin(struct events *e, struct row_list *list)
{
    *list = (struct row_list){.first = FIRST_NUMBER};
    list->faults = fault_watch_create(e->m, on_ended, list);
}

static void list_end(struct row_list *list)
{
    list->quiet = true;
    fault_watch_destroy(list->faults);
    free(list->rows);
    *list = (struct row_list){0};
}

struct events *events_create(struct machine *m, struct guest *guest)
{
    struct events *e = xcalloc(1, sizeof(*e));
    e->m = m;
    e->guest = guest;
    list_begin(e, &e->known);
    return e;
}

void events_destroy(struct events *e)
{
    if (!e) {
        return;
    }
    list_end(&e->known);
    if (e->filling) {
        list_end(&e->fill);
    }
    free(e);
}

void events_reset(struct events *e, u64 step)
{
    list_end(&e->known);
    list_begin(e, &e->known);
    e->from = e->to = step;
}

static void drop_oldest(struct events *e, struct row_list *list)
{
    u64 gone = list->count / 2;
    u64 last = list->rows[gone - 1].event.step;
    while (gone < list->count && list->rows[gone].event.step == last) {
        gone++; // rows of one step stay together
    }
    memmove(list->rows, list->rows + gone, (list->count - gone) * sizeof(*list->rows));
    list->count -= gone;
    list->first += gone;
    if (list == &e->known) {
        e->from = last + 1;
    }
}

static void add_row(struct events *e, struct row_list *list, const struct probe_event *event)
{
    if (list->count >= ROWS_MAX) {
        drop_oldest(e, list);
    }
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 256;
        list->rows = xrealloc(list->rows, list->room * sizeof(*list->rows));
    }
    struct event_row *row = &list->rows[list->count++];
    *row = (struct event_row){.event = *event, .outcome_step = UINT64_MAX, .syscall = -1};
    if (event->kind != PROBE_transition) {
        return;
    }
    if ((event->from_cpl == 3) != (event->to_cpl == 3)) {
        row->task = guest_task_number(e->guest, e->m, event->cpu);
    }
    if (event->cause == TRANSITION_SYSCALL) {
        struct cpu_regs regs;
        cpu_get_regs(machine_cpu(e->m, event->cpu), &regs);
        row->syscall = (s64)regs.gpr[CPU_RAX];
    }
}

static void take(struct events *e, struct row_list *list, const struct probe_event *event, bool add)
{
    list->now = event->step + 1;
    if (add) {
        add_row(e, list, event);
    }
    if (event->kind == PROBE_transition) {
        fault_watch_transition(list->faults, event);
    } else if (event->kind == PROBE_page_fault && add) {
        list->open++;
        fault_watch_begin(list->faults, event, list->first + list->count - 1);
    }
}

void events_take(struct events *e, const struct probe_event *event)
{
    if (event->kind != PROBE_transition && event->kind != PROBE_page_fault) {
        return;
    }
    if (e->filling) {
        take(e, &e->fill, event, event->step < e->from);
    } else if (e->running && event->step >= e->to) {
        take(e, &e->known, event, true);
    }
}

void events_run_begin(struct events *e, u64 step)
{
    if (step < e->from || step > e->to) {
        events_reset(e, step);
    }
    e->running = true;
}

void events_run_end(struct events *e, u64 step)
{
    e->running = false;
    e->to = step > e->to ? step : e->to;
}

void events_cut(struct events *e, u64 step)
{
    if (step <= e->from) {
        events_reset(e, step);
        return;
    }
    struct row_list *known = &e->known;
    known->count = events_before(e, step);
    known->quiet = true; // what is still open belongs to the history that is gone
    fault_watch_destroy(known->faults);
    known->faults = fault_watch_create(e->m, on_ended, known);
    known->quiet = false;
    known->open = 0;
    for (u64 i = 0; i < known->count; i++) {
        struct event_row *row = &known->rows[i];
        row->outcome = events_outcome(row, step);
        row->outcome_step = row->outcome == FAULT_PENDING ? UINT64_MAX : row->outcome_step;
    }
    e->to = e->to < step ? e->to : step;
}

u64 events_from(const struct events *e)
{
    return e->from;
}

u64 events_to(const struct events *e)
{
    return e->to;
}

void events_fill_begin(struct events *e, u64 step)
{
    CHECK(!e->filling);
    list_begin(e, &e->fill);
    e->fill_from = step;
    e->filling = true;
}

bool events_fill_open(const struct events *e)
{
    return e->fill.open != 0;
}

void events_fill_end(struct events *e, bool complete)
{
    struct row_list *fill = &e->fill, *known = &e->known;
    if (complete && fill->first == FIRST_NUMBER) { // nothing of it had to be dropped
        u64 sum = fill->count + known->count;
        if (sum > known->room) {
            known->room = sum;
            known->rows = xrealloc(known->rows, sum * sizeof(*known->rows));
        }
        if (fill->count) {
            memmove(known->rows + fill->count, known->rows, known->count * sizeof(*known->rows));
            memcpy(known->rows, fill->rows, fill->count * sizeof(*known->rows));
        }
        known->first -= fill->count;
        known->count = sum;
        e->from = e->fill_from;
    }
    list_end(fill);
    e->filling = false;
}

u64 events_count(const struct events *e)
{
    return e->known.count;
}

const struct event_row *events_get(const struct events *e, u64 index)
{
    return &e->known.rows[index];
}

u64 events_before(const struct events *e, u64 step)
{
    u64 low = 0, high = e->known.count;
    while (low < high) {
        u64 middle = low + (high - low) / 2;
        if (e->known.rows[middle].event.step < step) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

enum fault_outcome events_outcome(const struct event_row *row, u64 step)
{
    return row->outcome_step <= step ? row->outcome : FAULT_PENDING;
}
