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
    struct tasks *tasks;
    struct line_queue *lines;
    struct {
        u64 number, ticket;
    } tickets[TICKETS];
};

struct status trace_kinds_parse(const char *text, unsigned *kinds, const char **file)
{
    static const char *const names[] = {"transitions", "faults", "syscalls"};
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
            return status_error(STATUS_USAGE,
                                "--trace %s: transitions, faults and syscalls are known", text);
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

static const char *exception_name(u8 vector)
{
    static const char *const names[] = {
        [EXC_DE] = "#DE", [EXC_DB] = "#DB", [EXC_NMI] = "NMI", [EXC_BP] = "#BP", [EXC_OF] = "#OF",
        [EXC_BR] = "#BR", [EXC_UD] = "#UD", [EXC_NM] = "#NM",  [EXC_DF] = "#DF", [EXC_TS] = "#TS",
        [EXC_NP] = "#NP", [EXC_SS] = "#SS", [EXC_GP] = "#GP",  [EXC_PF] = "#PF", [EXC_MF] = "#MF",
        [EXC_AC] = "#AC", [EXC_MC] = "#MC", [EXC_XM] = "#XM",  [EXC_CP] = "#CP"};
    return vector < ARRAY_LEN(names) && names[vector] ? names[vector] : "#??";
}

static void add_cause(struct text *line, const struct probe_event *e)
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
    if (e->cause == TRANSITION_EXCEPTION) {
        text_add(line, "%s", exception_name(e->vector));
        if (VECTORS_WITH_ERROR_CODE >> e->vector & 1) {
            text_add(line, " error=0x%x", e->error_code);
        }
    } else if (e->cause == TRANSITION_INTERRUPT || e->cause == TRANSITION_SOFT_INT) {
        text_add(line, "%s 0x%02x", names[e->cause], e->vector);
    } else {
        text_add(line, "%s", e->cause < TRANSITION_CAUSE_COUNT ? names[e->cause] : "?");
    }
}

void sink_text_transition(struct sink_text *s, const struct probe_event *e)
{
    if (!(s->kinds & TRACE_TRANSITIONS)) {
        return;
    }
    struct text line = {0};
    text_add(&line, "%12llu %u->%u ", (unsigned long long)e->step, e->from_cpl, e->to_cpl);
    add_cause(&line, e);
    text_add(&line, " rip=0x%llx -> 0x%llx cr3=0x%llx", (unsigned long long)e->rip,
             (unsigned long long)e->address, (unsigned long long)e->cr3);
    line_queue_add(s->lines, text_get(&line));
    text_free(&line);
}

static void fault_line(struct text *line, const struct probe_event *e, enum fault_outcome outcome)
{
    const char *access = e->error_code & PF_FETCH   ? "fetch"
                         : e->error_code & PF_WRITE ? "write"
                                                    : "read";
    text_add(line, "%12llu %u    fault %s 0x%llx error=0x%x rip=0x%llx cr3=0x%llx: %s",
             (unsigned long long)e->step, e->from_cpl, access, (unsigned long long)e->address,
             e->error_code, (unsigned long long)e->rip, (unsigned long long)e->cr3,
             fault_outcome_name(outcome));
}

void sink_text_fault(struct sink_text *s, const struct probe_event *e, u64 number)
{
    if (!(s->kinds & TRACE_FAULTS)) {
        return;
    }
    struct text line = {0};
    fault_line(&line, e, FAULT_PENDING);
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
    fault_line(&line, e, outcome);
    line_queue_finish(s->lines, s->tickets[number % TICKETS].ticket, text_get(&line));
    text_free(&line);
}

static void begin_call_line(struct text *line, const struct task *t, const struct probe_event *e)
{
    text_add(line, "%12llu %u->%u ", (unsigned long long)e->step, e->from_cpl, e->to_cpl);
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

static void on_enter(void *ctx, struct task *t, const struct probe_event *event)
{
    struct sink_text *s = ctx;
    struct text line = {0};
    begin_call_line(&line, t, event);
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
    begin_call_line(&line, t, event);
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

struct sink_text *sink_text_create(struct tasks *tasks, unsigned kinds, FILE *out)
{
    struct sink_text *s = xcalloc(1, sizeof(*s));
    s->kinds = kinds;
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

void sink_text_destroy(struct sink_text *s)
{
    if (s) {
        line_queue_destroy(s->lines);
        free(s);
    }
}
