// SPDX-License-Identifier: MIT
// The probes' one sink.
#include "trace/tracer.h"

#include "base/memory.h"
#include "trace/fault_watch.h"
#include "trace/sink_text.h"
#include "trace/strace.h"
#include "trace/tasks.h"

#include <stdlib.h>

struct tracer {
    struct machine *m;
    struct ledger *ledger;
    struct fault_watch *faults;
    struct tasks *tasks; // only while somebody wants system calls
    struct sink_text *text;
    struct strace *strace;
};

static void on_event(void *ctx, const struct probe_event *event)
{
    struct tracer *t = ctx;
    u64 number = ledger_add(t->ledger, event);
    if (event->kind == PROBE_page_fault) {
        fault_watch_begin(t->faults, event, number);
        if (t->text) {
            sink_text_fault(t->text, event, number);
        }
    } else if (event->kind == PROBE_transition) {
        fault_watch_transition(t->faults, event);
        if (t->text) {
            sink_text_transition(t->text, event);
        }
        if (t->tasks) {
            tasks_transition(t->tasks, event);
        }
    }
}

static void on_fault_ended(void *ctx, u64 number, enum fault_outcome outcome)
{
    struct tracer *t = ctx;
    ledger_set_outcome(t->ledger, number, outcome);
    const struct ledger_row *row = ledger_get(t->ledger, number);
    if (t->text && row) {
        sink_text_fault_ended(t->text, &row->event, number, outcome);
    }
    if (t->strace && row) {
        strace_fault(t->strace, &row->event, outcome);
    }
}

struct tracer *tracer_create(struct machine *m)
{
    struct tracer *t = xcalloc(1, sizeof(*t));
    t->m = m;
    t->ledger = ledger_create();
    t->faults = fault_watch_create(m, on_fault_ended, t);
    struct probes *probes = machine_probes(m);
    probes->sink = on_event;
    probes->ctx = t;
    probes->enabled = BIT(PROBE_transition) | BIT(PROBE_page_fault);
    return t;
}

void tracer_destroy(struct tracer *t)
{
    if (!t) {
        return;
    }
    machine_probes(t->m)->enabled = 0;
    fault_watch_destroy(t->faults);
    sink_text_destroy(t->text);
    strace_destroy(t->strace);
    tasks_destroy(t->tasks);
    ledger_destroy(t->ledger);
    free(t);
}

static struct tasks *need_tasks(struct tracer *t)
{
    if (!t->tasks) {
        t->tasks = tasks_create(t->m);
    }
    return t->tasks;
}

void tracer_add_text(struct tracer *t, unsigned kinds, FILE *out)
{
    t->text = sink_text_create(kinds & TRACE_SYSCALLS ? need_tasks(t) : NULL, kinds, out);
}

struct strace *tracer_add_strace(struct tracer *t, const struct strace_options *options, FILE *out)
{
    t->strace = strace_create(need_tasks(t), options, out);
    return t->strace;
}

const struct ledger *tracer_ledger(const struct tracer *t)
{
    return t->ledger;
}
