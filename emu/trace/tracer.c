// SPDX-License-Identifier: MIT
// The probes' one sink.
#include "trace/tracer.h"

#include "base/memory.h"
#include "machine/watch.h"
#include "trace/fault_watch.h"
#include "trace/sink_perfetto.h"
#include "trace/switches.h"
#include "trace/tasks.h"

#include <stdio.h>
#include <stdlib.h>

struct tracer {
    struct machine *m;
    struct ledger *ledger;
    struct fault_watch *faults;
    struct trace_guest guest;
    struct tasks *tasks;       // only while somebody wants system calls
    struct switches *switches; // likewise
    struct sink_text *text;
    struct strace *strace;
    struct sink_perfetto *perfetto;
    bool watches;
    u64 woken_steps; // wake-ups before this state have been told
    struct check *checks[TRACER_CHECKS_MAX];
    unsigned check_count;
};

static bool is_checked(const struct tracer *t, enum check_event_kind kind)
{
    for (unsigned i = 0; i < t->check_count; i++) {
        if (check_wants(t->checks[i], kind)) {
            return true;
        }
    }
    return false;
}

static void see(struct tracer *t, struct check_event *e)
{
    struct task *task = tasks_current(t->tasks, e->cpu);
    if (t->guest.current && t->guest.current(t->guest.ctx, e->cpu, &e->task)) {
        task = NULL;
    }
    if (task) {
        e->task = (struct trace_task){.id = task->key, .pid = task->pid};
        snprintf(e->task.name, sizeof(e->task.name), "%s", task->name);
    }
    for (unsigned i = 0; i < t->check_count; i++) {
        check_see(t->checks[i], e);
    }
}

static void see_event(struct tracer *t, enum check_event_kind kind, const struct probe_event *event,
                      enum fault_outcome outcome)
{
    if (is_checked(t, kind)) {
        struct check_event e = {.kind = kind,
                                .step = event->step,
                                .vtime_ns = event->vtime_ns,
                                .cpu = event->cpu,
                                .event = event,
                                .outcome = outcome};
        if (kind == CHECK_FAULT && t->guest.in_extable) {
            e.in_extable = t->guest.in_extable(t->guest.ctx, event->rip);
        }
        see(t, &e);
    }
}

static void on_transition(struct tracer *t, const struct probe_event *event)
{
    if (t->perfetto) {
        sink_perfetto_event(t->perfetto, event);
    }
    fault_watch_transition(t->faults, event);
    if (t->text) {
        sink_text_transition(t->text, event);
    }
    if (t->tasks) {
        tasks_transition(t->tasks, event);
    }
    if (t->switches) {
        switches_look(t->switches, event);
    }
    see_event(t, CHECK_TRANSITION, event, FAULT_PENDING);
    if (event->cause == TRANSITION_INTERRUPT) {
        see_event(t, CHECK_IRQ, event, FAULT_PENDING);
    }
}

static void on_event(void *ctx, const struct probe_event *event)
{
    struct tracer *t = ctx;
    if (event->kind == PROBE_cr3_write) { // too many for the ledger; only switches want them
        switches_look(t->switches, event);
        return;
    }
    u64 number = ledger_add(t->ledger, event);
    if (event->kind == PROBE_page_fault) {
        fault_watch_begin(t->faults, event, number);
        if (t->text) {
            sink_text_fault(t->text, event, number);
        }
        if (t->perfetto) {
            sink_perfetto_event(t->perfetto, event);
            sink_perfetto_fault(t->perfetto, event, number);
        }
    } else if (event->kind == PROBE_transition) {
        on_transition(t, event);
    }
}

static void on_fault_ended(void *ctx, u64 number, enum fault_outcome outcome)
{
    struct tracer *t = ctx;
    ledger_set_outcome(t->ledger, number, outcome);
    const struct ledger_row *row = ledger_get(t->ledger, number);
    if (!row) {
        return;
    }
    if (t->text) {
        sink_text_fault_ended(t->text, &row->event, number, outcome);
    }
    if (t->strace) {
        strace_fault(t->strace, &row->event, outcome);
    }
    if (t->perfetto) {
        sink_perfetto_fault_ended(t->perfetto, number, outcome);
    }
    see_event(t, CHECK_FAULT, &row->event, outcome);
}

static void on_switch(void *ctx, const struct switch_event *event)
{
    struct tracer *t = ctx;
    if (t->text) {
        sink_text_switch(t->text, event);
    }
    if (t->perfetto) {
        sink_perfetto_switch(t->perfetto, event);
    }
    if (is_checked(t, CHECK_SWITCH)) {
        struct check_event e = {.kind = CHECK_SWITCH,
                                .step = event->step,
                                .vtime_ns = event->vtime_ns,
                                .cpu = event->cpu,
                                .swtch = event};
        see(t, &e);
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
    if (t->watches) {
        machine_set_watch(t->m, NULL, 0, NULL, t);
    }
    fault_watch_destroy(t->faults);
    sink_text_destroy(t->text);
    strace_destroy(t->strace);
    sink_perfetto_destroy(t->perfetto);
    switches_destroy(t->switches);
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

static void need_switches(struct tracer *t)
{
    if (!t->switches) {
        t->switches = switches_create(need_tasks(t), &t->guest, on_switch, t);
        machine_probes(t->m)->enabled |= BIT(PROBE_cr3_write);
    }
}

void tracer_set_guest(struct tracer *t, const struct trace_guest *guest)
{
    t->guest = *guest;
}

void tracer_add_text(struct tracer *t, unsigned kinds, const struct trace_filter *filter, FILE *out)
{
    struct trace_filter all = TRACE_FILTER_ALL;
    filter = filter ? filter : &all;
    if (kinds & TRACE_SCHED) {
        need_switches(t);
    }
    if ((kinds & TRACE_SYSCALLS) || filter->pid >= 0) {
        need_tasks(t);
    }
    t->text = sink_text_create(t->tasks, kinds, filter, out);
    if (machine_cpu_count(t->m) > 1) {
        sink_text_show_cpus(t->text);
    }
}

struct strace *tracer_add_strace(struct tracer *t, const struct strace_options *options, FILE *out)
{
    t->strace = strace_create(need_tasks(t), options, out);
    strace_set_paths(t->strace, t->guest.fd_path, t->guest.ctx);
    return t->strace;
}

// One of the kernel's functions that wake a task is about to run.
static bool on_wake(void *ctx, const struct watch_hit *hit)
{
    struct tracer *t = ctx;
    struct cpu_regs regs;
    if (hit->step < t->woken_steps) {
        return false; // a debugger runs history again
    }
    t->woken_steps = hit->step + 1;
    cpu_get_regs(machine_cpu(t->m, hit->cpu), &regs);
    sink_perfetto_wakes(t->perfetto, hit->cpu, regs.gpr[CPU_RDI], hit->step,
                        vclock_ns(machine_clock(t->m)));
    return false;
}

void tracer_add_perfetto(struct tracer *t, FILE *out)
{
    need_switches(t);
    t->perfetto = sink_perfetto_create(t->tasks, &t->guest, out);
    struct watch_range ranges[ARRAY_LEN(t->guest.wake_functions)];
    for (unsigned i = 0; i < t->guest.wake_function_count; i++) {
        ranges[i] = (struct watch_range){
            .first = t->guest.wake_functions[i], .size = 1, .kinds = WATCH_EXECUTE};
    }
    if (t->guest.wake_function_count) {
        machine_set_watch(t->m, ranges, t->guest.wake_function_count, on_wake, t);
        t->watches = true;
    }
}

static void see_call(struct tracer *t, const struct task *task, u64 step, u64 vtime_ns)
{
    struct check_event e = {.kind = CHECK_SYSCALL,
                            .step = step,
                            .vtime_ns = vtime_ns,
                            .cpu = (u8)task->cpu,
                            .call = &task->call,
                            .duration_ns = vtime_ns - task->entered_ns};
    see(t, &e);
}

static void on_leave(void *ctx, struct task *task, const struct probe_event *event,
                     enum task_return how)
{
    if (how == TASK_RETURN) {
        see_call(ctx, task, event->step, event->vtime_ns);
    }
}

static void on_ended(void *ctx, struct task *task, const struct task_end *end)
{
    struct tracer *t = ctx;
    const struct vclock *clock = machine_clock(t->m);
    if (task->in_call) {
        see_call(t, task, clock->step, vclock_ns(clock));
    }
}

static void on_enter(void *ctx, struct task *task, const struct probe_event *event)
{
}

static void on_signal(void *ctx, struct task *task, const struct task_signal *signal)
{
}

static void on_task(void *ctx, struct task *task)
{
}

void tracer_add_check(struct tracer *t, struct check *check)
{
    if (t->check_count == TRACER_CHECKS_MAX) {
        return;
    }
    if (check_wants(check, CHECK_SWITCH)) {
        need_switches(t);
    }
    need_tasks(t);
    if (check_wants(check, CHECK_SYSCALL) && !is_checked(t, CHECK_SYSCALL)) {
        struct task_listener listener = {.enter = on_enter,
                                         .leave = on_leave,
                                         .signal = on_signal,
                                         .named = on_task,
                                         .born = on_task,
                                         .ended = on_ended,
                                         .ctx = t};
        tasks_listen(t->tasks, &listener);
    }
    t->checks[t->check_count++] = check;
}

const struct ledger *tracer_ledger(const struct tracer *t)
{
    return t->ledger;
}
