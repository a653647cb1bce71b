// SPDX-License-Identifier: MIT
// The lines of --trace: step, rings, what, where.
#include "trace/sink_text.h"

#include "base/memory.h"
#include "mmu/fault.h"
#include "trace/line_queue.h"

#include <stdlib.h>
#include <string.h>

// SDM 3A 6.15: #DF #TS #NP #SS #GP #PF #AC #CP
#define VECTORS_WITH_ERROR_CODE                                                                    \
    (BIT(EXC_DF) | BIT(EXC_TS) | BIT(EXC_NP) | BIT(EXC_SS) | BIT(EXC_GP) | BIT(EXC_PF) |           \
     BIT(EXC_AC) | BIT(EXC_CP))

#define TICKETS 1024 // faults whose outcome may be open at once; a power of two

struct sink_text {
    unsigned kinds;
    bool cpus; // every line names its CPU
    struct trace_filter filter;
    struct tasks *tasks;
    struct line_queue *lines;
    struct {
        u64 number, ticket;
    } tickets[TICKETS];
};

struct status trace_kinds_parse(const char *text, unsigned *kinds, const char **file)
{
    static const char *const names[] = {"transitions", "faults", "syscalls", "sched", "irqs"};
    *kinds = 0;
    *file = NULL;
    for (const char *p = text;;) {
        size_t length = strcspn(p, ",=");
        unsigned i = 0;
        while (i < ARRAY_LEN(names) &&
               (strlen(names[i]) != length || strncmp(p, names[i], length))) {
            i++;
        }
        if (i == ARRAY_LEN(names)) {
            return status_error(
                STATUS_USAGE, "--trace %s: transitions, faults, syscalls, sched and irqs are known",
                text);
        }
        *kinds |= 1u << i;
        p += length;
        if (*p == '=') {
            *file = p + 1;
            return **file ? status_success()
                          : status_error(STATUS_USAGE, "--trace %s: a file name is missing", text);
        }
        if (!*p++) {
            return status_success();
        }
    }
}

const char *trace_exception_name(u8 vector)
{
    static const char *const names[] = {
        [EXC_DE] = "#DE", [EXC_DB] = "#DB", [EXC_NMI] = "NMI", [EXC_BP] = "#BP", [EXC_OF] = "#OF",
        [EXC_BR] = "#BR", [EXC_UD] = "#UD", [EXC_NM] = "#NM",  [EXC_DF] = "#DF", [EXC_TS] = "#TS",
        [EXC_NP] = "#NP", [EXC_SS] = "#SS", [EXC_GP] = "#GP",  [EXC_PF] = "#PF", [EXC_MF] = "#MF",
        [EXC_AC] = "#AC", [EXC_MC] = "#MC", [EXC_XM] = "#XM",  [EXC_CP] = "#CP"};
    return vector < ARRAY_LEN(names) && names[vector] ? names[vector] : "#??";
}

const char *trace_cause_name(unsigned cause)
{
    static const char *const names[TRANSITION_CAUSE_COUNT] = {[TRANSITION_SYSCALL] = "syscall",
                                                              [TRANSITION_SYSRET] = "sysret",
                                                              [TRANSITION_INTERRUPT] = "interrupt",
                                                              [TRANSITION_EXCEPTION] = "exception",
                                                              [TRANSITION_SOFT_INT] = "int",
                                                              [TRANSITION_IRET] = "iret",
                                                              [TRANSITION_FAR] = "far",
                                                              [TRANSITION_SYSENTER] = "sysenter",
                                                              [TRANSITION_SYSEXIT] = "sysexit"};
    return cause < TRANSITION_CAUSE_COUNT && names[cause] ? names[cause] : "?";
}

// Step, and with several CPUs whose.
static void begin_line(const struct sink_text *s, struct text *line, const struct probe_event *e)
{
    text_add(line, "%12llu ", (unsigned long long)e->step);
    if (s->cpus) {
        text_add(line, "[%u] ", e->cpu);
    }
}

static void add_cause(struct text *line, const struct probe_event *e)
{
    if (e->cause == TRANSITION_EXCEPTION) {
        text_add(line, "%s", trace_exception_name(e->vector));
        if (VECTORS_WITH_ERROR_CODE >> e->vector & 1) {
            text_add(line, " error=0x%x", e->error_code);
        }
    } else if (e->cause == TRANSITION_INTERRUPT || e->cause == TRANSITION_SOFT_INT) {
        text_add(line, "%s 0x%02x", trace_cause_name(e->cause), e->vector);
    } else {
        text_add(line, "%s", trace_cause_name(e->cause));
    }
}

static bool wanted_name(const struct sink_text *s, const char *a, const char *b)
{
    return !s->filter.name || strcmp(s->filter.name, a) == 0 || strcmp(s->filter.name, b) == 0;
}

static bool wanted_task(const struct sink_text *s, const struct task *t)
{
    return s->filter.pid < 0 ||
           (t && (t->pid == s->filter.pid || tasks_get(s->tasks, t->leader)->pid == s->filter.pid));
}

// Step, rings, vector and process; the task is looked up by what the machine is now.
static bool wanted(const struct sink_text *s, const struct probe_event *e, bool has_vector)
{
    const struct trace_filter *f = &s->filter;
    return e->step >= f->from_step && e->step < f->to_step &&
           (f->ring < 0 || f->ring == e->from_cpl) &&
           (f->vector < 0 || (has_vector && f->vector == e->vector)) &&
           (f->pid < 0 || wanted_task(s, tasks_running(s->tasks, e->cpu)));
}

static void interrupt_line(struct sink_text *s, const struct probe_event *e)
{
    struct text line = {0};
    text_add(&line, "%12llu cpu%u %u    interrupt 0x%02x rip=0x%llx", (unsigned long long)e->step,
             e->cpu, e->from_cpl, e->vector, (unsigned long long)e->rip);
    line_queue_add(s->lines, text_get(&line));
    text_free(&line);
}

void sink_text_transition(struct sink_text *s, const struct probe_event *e)
{
    bool vector = e->cause == TRANSITION_EXCEPTION || e->cause == TRANSITION_INTERRUPT ||
                  e->cause == TRANSITION_SOFT_INT;
    if (!(s->kinds & (TRACE_TRANSITIONS | TRACE_IRQS)) || !wanted(s, e, vector)) {
        return;
    }
    if ((s->kinds & TRACE_IRQS) && e->cause == TRANSITION_INTERRUPT) {
        interrupt_line(s, e);
    }
    const char *exception = e->cause == TRANSITION_EXCEPTION ? trace_exception_name(e->vector) : "";
    if (!(s->kinds & TRACE_TRANSITIONS) || !wanted_name(s, trace_cause_name(e->cause), exception)) {
        return;
    }
    struct text line = {0};
    begin_line(s, &line, e);
    text_add(&line, "%u->%u ", e->from_cpl, e->to_cpl);
    add_cause(&line, e);
    text_add(&line, " rip=0x%llx -> 0x%llx cr3=0x%llx", (unsigned long long)e->rip,
             (unsigned long long)e->address, (unsigned long long)e->cr3);
    line_queue_add(s->lines, text_get(&line));
    text_free(&line);
}

static void add_task(struct text *line, const struct trace_task *t)
{
    if (!t->id) {
        text_add(line, "-");
    } else if (t->pid || *t->name) {
        text_add(line, "%d %s", t->pid, *t->name ? t->name : "?");
    } else {
        text_add(line, "task 0x%llx", (unsigned long long)t->id);
    }
}

void sink_text_switch(struct sink_text *s, const struct switch_event *e)
{
    const struct trace_filter *f = &s->filter;
    if (!(s->kinds & TRACE_SCHED) || e->step < f->from_step || e->step >= f->to_step ||
        (f->pid >= 0 && f->pid != e->from.pid && f->pid != e->to.pid) ||
        !wanted_name(s, e->from.name, e->to.name)) {
        return;
    }
    struct text line = {0};
    text_add(&line, "%12llu cpu%u switch ", (unsigned long long)e->step, e->cpu);
    add_task(&line, &e->from);
    text_add(&line, " -> ");
    add_task(&line, &e->to);
    line_queue_add(s->lines, text_get(&line));
    text_free(&line);
}

static void fault_line(const struct sink_text *s, struct text *line, const struct probe_event *e,
                       enum fault_outcome outcome)
{
    const char *access = e->error_code & PF_FETCH   ? "fetch"
                         : e->error_code & PF_WRITE ? "write"
                                                    : "read";
    begin_line(s, line, e);
    text_add(line, "%u    fault %s 0x%llx error=0x%x rip=0x%llx cr3=0x%llx: %s", e->from_cpl,
             access, (unsigned long long)e->address, e->error_code, (unsigned long long)e->rip,
             (unsigned long long)e->cr3, fault_outcome_name(outcome));
}

void sink_text_fault(struct sink_text *s, const struct probe_event *e, u64 number)
{
    if (!(s->kinds & TRACE_FAULTS) || !wanted(s, e, false)) {
        return;
    }
    struct text line = {0};
    fault_line(s, &line, e, FAULT_PENDING);
    s->tickets[number % TICKETS].number = number;
    s->tickets[number % TICKETS].ticket = line_queue_reserve(s->lines, text_get(&line));
    text_free(&line);
}

void sink_text_fault_ended(struct sink_text *s, const struct probe_event *e, u64 number,
                           enum fault_outcome outcome)
{
    if (!(s->kinds & TRACE_FAULTS) || s->tickets[number % TICKETS].number != number) {
        return;
    }
    struct text line = {0};
    fault_line(s, &line, e, outcome);
    bool shown = wanted_name(s, fault_outcome_name(outcome), "");
    line_queue_finish(s->lines, s->tickets[number % TICKETS].ticket,
                      shown ? text_get(&line) : NULL);
    text_free(&line);
}

static void begin_call_line(const struct sink_text *s, struct text *line, const struct task *t,
                            const struct probe_event *e)
{
    begin_line(s, line, e);
    text_add(line, "%u->%u ", e->from_cpl, e->to_cpl);
    if (t->pid) {
        text_add(line, "[pid %d] ", t->pid);
    }
    if (t->call.row->name) {
        text_add(line, "%s", t->call.row->name);
    } else {
        text_add(line, "syscall_0x%llx", (unsigned long long)t->call.number);
    }
}

static void add_call_args(struct text *line, const struct syscall_view *call)
{
    u8 order[6];
    unsigned count = syscall_shown(call, order);
    text_char(line, '(');
    for (unsigned i = 0; i < count; i++) {
        text_add(line, i ? ", " : "");
        syscall_show_arg(call, order[i], true, line);
    }
    text_char(line, ')');
}

static bool wanted_call(const struct sink_text *s, const struct task *t,
                        const struct probe_event *e)
{
    return e->step >= s->filter.from_step && e->step < s->filter.to_step && wanted_task(s, t) &&
           wanted_name(s, t->call.row->name ? t->call.row->name : "", "");
}

static void on_enter(void *ctx, struct task *t, const struct probe_event *event)
{
    struct sink_text *s = ctx;
    if (!wanted_call(s, t, event)) {
        return;
    }
    struct text line = {0};
    begin_call_line(s, &line, t, event);
    add_call_args(&line, &t->call);
    line_queue_add(s->lines, text_get(&line));
    text_free(&line);
}

// The arguments once more: what was not mapped at entry, and what the call has filled.
static void on_leave(void *ctx, struct task *t, const struct probe_event *event,
                     enum task_return how)
{
    struct sink_text *s = ctx;
    struct text line = {0};
    if (!wanted_call(s, t, event)) {
        return;
    }
    begin_call_line(s, &line, t, event);
    add_call_args(&line, &t->call);
    text_add(&line, " = ");
    if (how == TASK_RESTART) {
        text_add(&line, "? (restarts)");
    } else {
        syscall_show_result(&t->call, &line);
    }
    line_queue_add(s->lines, text_get(&line));
    text_free(&line);
}

static void on_signal(void *ctx, struct task *t, const struct task_signal *signal)
{
}

static void on_task(void *ctx, struct task *t)
{
}

struct sink_text *sink_text_create(struct tasks *tasks, unsigned kinds,
                                   const struct trace_filter *filter, FILE *out)
{
    struct sink_text *s = xcalloc(1, sizeof(*s));
    s->kinds = kinds;
    s->filter = *filter;
    s->tasks = tasks;
    s->lines = line_queue_create(out);
    memset(s->tickets, 0xFF, sizeof(s->tickets));
    if (kinds & TRACE_SYSCALLS) {
        struct task_listener listener = {.enter = on_enter,
                                         .leave = on_leave,
                                         .signal = on_signal,
                                         .named = on_task,
                                         .born = on_task,
                                         .ctx = s};
        tasks_listen(tasks, &listener);
    }
    return s;
}

void sink_text_show_cpus(struct sink_text *s)
{
    s->cpus = true;
}

void sink_text_destroy(struct sink_text *s)
{
    if (s) {
        line_queue_destroy(s->lines);
        free(s);
    }
}
