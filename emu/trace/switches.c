// SPDX-License-Identifier: MIT
// Compares who runs with who ran. Without debug information a task is its key (guest_view.h).
#include "trace/switches.h"

#include "base/memory.h"
#include "trace/guest_view.h"

#include <stdio.h>
#include <stdlib.h>

#define CPUS_MAX 64

struct switches {
    struct tasks *tasks;
    const struct trace_guest *guest;
    switch_fn fn;
    void *ctx;
    struct trace_task current[CPUS_MAX];
};

struct switches *switches_create(struct tasks *tasks, const struct trace_guest *guest, switch_fn fn,
                                 void *ctx)
{
    struct switches *s = xcalloc(1, sizeof(*s));
    s->tasks = tasks;
    s->guest = guest;
    s->fn = fn;
    s->ctx = ctx;
    return s;
}

void switches_destroy(struct switches *s)
{
    free(s);
}

const struct trace_task *switches_current(const struct switches *s, unsigned cpu)
{
    return &s->current[cpu % CPUS_MAX];
}

// By key: pid and name if the task has been seen in user mode.
static bool by_key(struct switches *s, unsigned cpu, struct trace_task *out)
{
    enum guest_task_identity identity;
    u64 key = guest_task_key(tasks_machine(s->tasks), cpu, &identity);
    const struct task *t = tasks_find(s->tasks, key);
    if (!key || (identity == GUEST_TASK_BY_MEMORY && !t)) {
        return false; // of a kernel thread that borrows an address space
    }
    *out = (struct trace_task){.id = key};
    if (t) {
        out->pid = t->pid;
        out->process = tasks_get(s->tasks, t->leader)->pid;
        snprintf(out->name, sizeof(out->name), "%s", t->name);
    }
    return true;
}

void switches_look(struct switches *s, const struct probe_event *event)
{
    struct trace_task now = {0};
    bool told = s->guest && s->guest->current && s->guest->current(s->guest->ctx, event->cpu, &now);
    if (event->cpu >= CPUS_MAX || (!told && !by_key(s, event->cpu, &now))) {
        return;
    }
    struct trace_task *before = &s->current[event->cpu];
    if (before->id == now.id) {
        *before = now; // its name may have changed
        return;
    }
    struct switch_event e = {.step = event->step,
                             .vtime_ns = event->vtime_ns,
                             .cpu = event->cpu,
                             .from = *before,
                             .to = now};
    *before = now;
    s->fn(s->ctx, &e);
}
