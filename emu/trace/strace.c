// SPDX-License-Identifier: MIT
// strace's line layout. A call is written when it returns; if another task comes in between, its
// beginning is written before that, as "<unfinished ...>".
#include "trace/strace.h"

#include "base/memory.h"
#include "mmu/fault.h"
#include "trace/decode.h"
#include "trace/line_queue.h"
#include "trace/strace_summary.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOBODY (-1)

// A line that waits for its task's pid: what stands before and behind the pid.
struct waiting {
    u64 ticket;
    char *head, *text;
};

struct task_lines {
    u8 order[6]; // of the arguments; count of them are shown
    unsigned count;
    struct text args[6]; // by position
    bool shown[6];
    bool hidden;      // not a call that is shown
    bool begun;       // "<unfinished ...>" was written
    unsigned written; // arguments before it
    u64 step;         // of the entry
    struct waiting *waiting;
    unsigned waiting_count;
};

struct strace {
    struct tasks *tasks;
    struct strace_options o;
    struct line_queue *lines;
    struct strace_summary *summary;
    FILE *out;
    struct task_lines per_task[TASKS_MAX];
    int open; // whose call is begun and unwritten, or NOBODY
    bool several;
    u64 now_ns, step; // of the event at hand
    u8 ring;
    u64 last_ns; // of the line before, for -r; UINT64_MAX: none
    struct syscall_style style;
    bool (*path)(void *ctx, int pid, int fd, char *path, size_t size);
    void *path_ctx;
    int pid; // whose descriptors style is about
};

static bool wanted_pid(const struct strace *s, int pid)
{
    for (unsigned i = 0; i < s->o.pid_count; i++) {
        if (s->o.pids[i] == pid) {
            return true;
        }
    }
    return !s->o.pid_count;
}

// The process a line belongs to, as strace writes it; pid 0: not known.
static char *pid_text(const struct strace *s, int pid)
{
    if (s->o.output) {
        return pid ? xasprintf("%-5d ", pid) : xstrdup("????? ");
    }
    if (!s->several || s->o.pid_count == 1) {
        return xstrdup("");
    }
    return pid ? xasprintf("[pid %5d] ", pid) : xstrdup("[pid ?????] ");
}

static char *whole_line(const struct strace *s, const char *head, int pid, const char *text)
{
    char *name = pid_text(s, pid);
    char *line = xasprintf("%s%s%s", head, name, text);
    free(name);
    return line;
}

static void put_waiting(struct strace *s, struct task_lines *tl, const char *head, const char *text)
{
    char *fallback = s->o.pid_count ? NULL : whole_line(s, head, 0, text);
    tl->waiting = xrealloc(tl->waiting, (tl->waiting_count + 1) * sizeof(*tl->waiting));
    tl->waiting[tl->waiting_count++] =
        (struct waiting){line_queue_reserve(s->lines, fallback), xstrdup(head), xstrdup(text)};
    free(fallback);
}

// What stands between the process and the call: -t, -r.
static void add_time(struct strace *s, struct text *line, u64 ns)
{
    if (s->o.time_of_day) {
        u64 us = s->o.rtc_base_s * 1000000 + ns / 1000;
        time_t seconds = (time_t)(us / 1000000);
        struct tm day;
        gmtime_r(&seconds, &day);
        if (s->o.time_of_day == 3) {
            text_add(line, "%lld", (long long)seconds);
        } else {
            text_add(line, "%02d:%02d:%02d", day.tm_hour, day.tm_min, day.tm_sec);
        }
        text_add(line, s->o.time_of_day > 1 ? ".%06u " : " ", (unsigned)(us % 1000000));
    }
    if (s->o.relative) {
        u64 passed = s->last_ns == UINT64_MAX || ns < s->last_ns ? 0 : ns - s->last_ns;
        text_add(line, s->o.time_of_day ? "(+%6llu.%06llu) " : "%6llu.%06llu ",
                 (unsigned long long)(passed / 1000000000),
                 (unsigned long long)(passed / 1000 % 1000000));
        s->last_ns = ns;
    }
}

// -e viv=steps: step, with several CPUs whose, and ring.
static char *step_text(const struct strace *s, const struct task *t, u64 step)
{
    unsigned long long number = step;
    if (!s->o.steps) {
        return xstrdup("");
    }
    return machine_cpu_count(tasks_machine(s->tasks)) > 1
               ? xasprintf("%12llu [%u] %u ", number, t->cpu, s->ring)
               : xasprintf("%12llu %u ", number, s->ring);
}

// A line of t's that begins at this step and time. -r counts from line to line as they are written.
static void put(struct strace *s, struct task *t, const char *text, u64 step, u64 ns)
{
    struct task_lines *tl = &s->per_task[t->index];
    if (!s->o.lines || step < s->o.from_step || step >= s->o.to_step ||
        (t->pid && !wanted_pid(s, t->pid))) {
        return;
    }
    char *head = step_text(s, t, step);
    struct text rest = {0};
    add_time(s, &rest, ns);
    text_add(&rest, "%s", text);
    s->several = s->several || tasks_live(s->tasks) > 1;
    bool named = !s->several && !s->o.pid_count && !s->o.output;
    if (t->pid || named) {
        char *line = whole_line(s, head, t->pid, text_get(&rest));
        line_queue_add(s->lines, line);
        free(line);
    } else {
        put_waiting(s, tl, head, text_get(&rest));
    }
    text_free(&rest);
    free(head);
}

static void put_now(struct strace *s, struct task *t, const char *text)
{
    put(s, t, text, s->step, s->now_ns);
}

// The waiting lines of a task whose pid is known now, 0: never will be.
static void release_waiting(struct strace *s, struct task_lines *tl, int pid)
{
    for (unsigned i = 0; i < tl->waiting_count; i++) {
        struct waiting *w = &tl->waiting[i];
        bool shown = pid ? wanted_pid(s, pid) : !s->o.pid_count;
        char *line = shown ? whole_line(s, w->head, pid, w->text) : NULL;
        line_queue_finish(s->lines, w->ticket, line);
        free(line);
        free(w->head);
        free(w->text);
    }
    free(tl->waiting);
    tl->waiting = NULL;
    tl->waiting_count = 0;
}

static void on_named(void *ctx, struct task *t)
{
    struct strace *s = ctx;
    release_waiting(s, &s->per_task[t->index], t->pid);
}

static void add_name(const struct strace *s, struct text *line, const struct syscall_view *call)
{
    if (s->o.numbers) {
        text_add(line, "[%4llu] ", (unsigned long long)call->number);
    }
    if (call->row->name) {
        text_add(line, "%s", call->row->name);
    } else {
        text_add(line, "syscall_0x%llx", (unsigned long long)call->number);
    }
}

static bool find_path(void *ctx, int fd, char *path, size_t size)
{
    struct strace *s = ctx;
    return s->path && s->pid && s->path(s->path_ctx, s->pid, fd, path, size);
}

static struct syscall_view styled(struct strace *s, const struct task *t)
{
    struct syscall_view v = t->call;
    s->style = (struct syscall_style){
        .string_max = s->o.string_max, .fd_path = s->o.paths ? find_path : NULL, .ctx = s};
    s->pid = tasks_get(s->tasks, t->leader)->pid;
    v.style = &s->style;
    return v;
}

// Fills the arguments that can be shown now; last: all of them.
static void show_args(struct task_lines *tl, const struct syscall_view *call, bool last)
{
    for (unsigned i = 0; i < tl->count; i++) {
        if (!tl->shown[i]) {
            tl->shown[i] = syscall_show_arg(call, tl->order[i], last, &tl->args[i]);
        }
    }
}

// Appends arguments from first on, up to the first unshown one; returns where it stopped.
static unsigned add_args(struct text *line, const struct task_lines *tl, unsigned first)
{
    unsigned i = first;
    while (i < tl->count && tl->shown[i]) {
        text_add(line, "%s%s", text_get(&tl->args[i]), i + 1 < tl->count ? ", " : "");
        i++;
    }
    return i;
}

// Another task is about to write: the open call's beginning goes first.
static void interrupt_open(struct strace *s)
{
    if (s->open == NOBODY) {
        return;
    }
    struct task *t = tasks_get(s->tasks, (unsigned)s->open);
    struct task_lines *tl = &s->per_task[s->open];
    struct text line = {0};
    s->open = NOBODY;
    add_name(s, &line, &t->call);
    text_char(&line, '(');
    tl->written = add_args(&line, tl, 0);
    tl->begun = true;
    text_add(&line, " <unfinished ...>");
    u8 ring = s->ring;
    s->ring = 3;
    put(s, t, text_get(&line), tl->step, t->entered_ns);
    s->ring = ring;
    text_free(&line);
}

// Characters before a call: strace aligns results by the whole line.
static size_t prefix_width(struct strace *s)
{
    static const size_t clock_width[] = {0, 9, 16, 18};
    s->several = s->several || tasks_live(s->tasks) > 1;
    char *pid = pid_text(s, 1);
    size_t width = strlen(pid) + clock_width[s->o.time_of_day];
    free(pid);
    return width + (s->o.relative ? (s->o.time_of_day ? 17 : 14) : 0);
}

static void finish_line(struct strace *s, struct text *line)
{
    size_t prefix = prefix_width(s);
    text_char(line, ')');
    while (prefix + line->used + 1 < s->o.column) {
        text_char(line, ' ');
    }
    text_add(line, " = ");
}

// What every line's step, time and ring are taken from.
static void at(struct strace *s, const struct probe_event *event)
{
    s->now_ns = event->vtime_ns;
    s->step = event->step;
    s->ring = event->from_cpl;
}

// Lines that depend on the result, or that nobody wants, are never begun.
static bool begins(const struct strace *s, const struct task_lines *tl)
{
    return !tl->hidden && s->o.succeeded == s->o.failed && s->o.lines;
}

static bool wanted_result(const struct strace *s, const struct syscall_view *call)
{
    return s->o.succeeded == s->o.failed || (call->done && syscall_failed(call) == s->o.failed);
}

static void on_enter(void *ctx, struct task *t, const struct probe_event *event)
{
    struct strace *s = ctx;
    struct task_lines *tl = &s->per_task[t->index];
    at(s, event);
    tl->hidden = !syscall_set_has(&s->o.calls, t->call.number) || event->step < s->o.from_step ||
                 event->step >= s->o.to_step || (t->pid && !wanted_pid(s, t->pid));
    if (begins(s, tl)) {
        interrupt_open(s);
    }
    for (unsigned i = 0; i < 6; i++) {
        text_clear(&tl->args[i]);
        tl->shown[i] = false;
    }
    tl->begun = false;
    tl->written = 0;
    tl->step = event->step;
    struct syscall_view view = styled(s, t);
    tl->count = syscall_shown(&view, tl->order);
    show_args(tl, &view, false);
    if (begins(s, tl)) {
        s->open = (int)t->index;
    }
}

static void count_call(struct strace *s, const struct task *t, const struct syscall_view *call)
{
    if (s->summary && wanted_pid(s, t->pid) && wanted_result(s, call)) {
        u64 steps_ns = (u64)((unsigned __int128)t->call_steps *
                             machine_clock(tasks_machine(s->tasks))->step_ps / 1000);
        u64 time_ns = s->o.wall ? s->now_ns - t->entered_ns : steps_ns;
        strace_summary_add(s->summary, call->number, call->row->name, time_ns,
                           syscall_failed(call));
    }
}

// The line of a call, from its beginning or from where it was interrupted, up to " = ".
static void begin_result(struct strace *s, struct text *line, const struct task *t,
                         const struct task_lines *tl)
{
    if (tl->begun) {
        text_add(line, "<... ");
        add_name(s, line, &t->call);
        text_add(line, " resumed>");
    } else {
        add_name(s, line, &t->call);
        text_char(line, '(');
    }
    add_args(line, tl, tl->written);
    finish_line(s, line);
}

static bool nothing_to_read(void *ctx, u64 address, void *out, u64 size)
{
    return false;
}

static void on_leave(void *ctx, struct task *t, const struct probe_event *event,
                     enum task_return how)
{
    struct strace *s = ctx;
    struct task_lines *tl = &s->per_task[t->index];
    struct text line = {0};
    at(s, event);
    if (tl->hidden) {
        return;
    }
    struct syscall_view view = styled(s, t);
    bool exec = view.number == 59 || view.number == 322; // execve, execveat
    if (exec && view.done && !syscall_failed(&view)) {
        view.read = nothing_to_read; // the arguments went with the old image
    }
    count_call(s, t, &view);
    if (!s->o.lines || !wanted_result(s, &view)) {
        return;
    }
    if (s->open != (int)t->index) {
        interrupt_open(s);
    }
    s->open = NOBODY;
    show_args(tl, &view, true);
    begin_result(s, &line, t, tl);
    if (how == TASK_RESTART) {
        text_add(&line, "? ERESTARTSYS (To be restarted if SA_RESTART is set)");
    } else {
        syscall_show_result(&view, &line);
        syscall_show_extra(&view, &line);
    }
    if (s->o.duration) {
        u64 us = (event->vtime_ns - t->entered_ns) / 1000;
        text_add(&line, " <%llu.%06llu>", (unsigned long long)(us / 1000000),
                 (unsigned long long)(us % 1000000));
    }
    bool late = tl->begun && event->step < s->o.to_step; // else the entry's step, which is wanted
    put(s, t, text_get(&line), late ? event->step : tl->step,
        tl->begun ? event->vtime_ns : t->entered_ns);
    text_free(&line);
}

// exit and exit_group, and the calls in which other threads are taken away, have no result.
static void end_call(struct strace *s, struct task *t, bool other)
{
    struct task_lines *tl = &s->per_task[t->index];
    struct text line = {0};
    if (tl->hidden) {
        return;
    }
    count_call(s, t, &t->call);
    if (begins(s, tl)) {
        if (s->open != (int)t->index) {
            interrupt_open(s);
        }
        s->open = NOBODY;
        if (other && !tl->begun) {
            add_name(s, &line, &t->call);
            text_char(&line, '(');
            add_args(&line, tl, 0);
            text_add(&line, " <unfinished ...>");
            finish_line(s, &line);
        } else {
            begin_result(s, &line, t, tl);
        }
        text_add(&line, "?");
        put_now(s, t, text_get(&line));
    }
    text_free(&line);
}

static void on_ended(void *ctx, struct task *t, const struct task_end *end)
{
    struct strace *s = ctx;
    struct text line = {0};
    if (t->in_call) {
        end_call(s, t, end->other || end->killed);
    }
    if (end->killed) {
        text_add(&line, "+++ killed by ");
        decode_signal(&line, end->value);
        text_add(&line, " +++");
    } else {
        text_add(&line, "+++ exited with %d +++", end->value);
    }
    if (!s->o.quiet && s->o.lines) {
        interrupt_open(s);
        put_now(s, t, text_get(&line));
    }
    text_free(&line);
}

static void show_child_signal(struct text *line, const struct child_signal *child)
{
    text_add(line, "{si_signo=SIGCHLD, si_code=%s, si_pid=%d, si_uid=%u, si_status=",
             child->killed ? "CLD_KILLED" : "CLD_EXITED", child->pid, child->uid);
    if (child->killed) {
        decode_signal(line, child->value);
    } else {
        text_add(line, "%d", child->value);
    }
    text_add(line, ", si_utime=0, si_stime=0} ");
}

static void on_signal(void *ctx, struct task *t, const struct task_signal *signal)
{
    struct strace *s = ctx;
    struct text line = {0};
    if (!s->o.lines || signal->number < 1 || signal->number > 64 ||
        !(s->o.signals >> (signal->number - 1) & 1) || (t->pid && !wanted_pid(s, t->pid))) {
        return;
    }
    interrupt_open(s);
    text_add(&line, "--- ");
    decode_signal(&line, signal->number);
    text_char(&line, ' ');
    int number = 0;
    bool filled = signal->siginfo && t->call.read &&
                  t->call.read(t->call.ctx, signal->siginfo, &number, sizeof(number)) &&
                  number == signal->number; // Linux leaves it empty unless SA_SIGINFO
    if (signal->child) {
        show_child_signal(&line, signal->child);
    } else if (signal->sender) {
        text_add(&line, "{si_signo=");
        decode_signal(&line, signal->number);
        text_add(&line, ", si_code=SI_USER, si_pid=%d, si_uid=%u} ", signal->sender, t->uid);
    } else if (filled && decode_siginfo(&t->call, signal->siginfo, &line)) {
        text_char(&line, ' ');
    }
    text_add(&line, "---");
    put_now(s, t, text_get(&line));
    text_free(&line);
}

void strace_fault(struct strace *s, const struct probe_event *e, enum fault_outcome outcome)
{
    struct task *t = tasks_current(s->tasks, e->cpu);
    tasks_look_from(s->tasks, e->cpu);
    if (t && t->in_call && e->from_cpl < 3 && s->open == (int)t->index) {
        struct syscall_view view = styled(s, t); // the kernel has read an argument
        show_args(&s->per_task[t->index], &view, false);
    }
    if (!s->o.faults || !t) {
        return;
    }
    char access = e->error_code & PF_FETCH ? 'X' : e->error_code & PF_WRITE ? 'W' : 'R';
    char *text = xasprintf("!!! #PF 0x%llx %c %s at 0x%llx → %s", (unsigned long long)e->address,
                           access, e->from_cpl == 3 ? "user" : "kernel", (unsigned long long)e->rip,
                           fault_outcome_name(outcome));
    u8 ring = s->ring;
    interrupt_open(s);
    s->ring = e->from_cpl;
    put(s, t, text, e->step, e->vtime_ns);
    s->ring = ring;
    free(text);
}

static void on_born(void *ctx, struct task *t)
{
    struct strace *s = ctx;
    if (s->open == (int)t->index) {
        s->open = NOBODY;
    }
    release_waiting(s, &s->per_task[t->index], 0); // the slot's former owner's
    s->per_task[t->index].begun = false;
}

struct strace *strace_create(struct tasks *tasks, const struct strace_options *options, FILE *out)
{
    struct strace *s = xcalloc(1, sizeof(*s));
    s->tasks = tasks;
    s->out = out;
    s->last_ns = UINT64_MAX;
    if (options) {
        s->o = *options;
    } else {
        strace_options_init(&s->o);
    }
    s->lines = line_queue_create(out);
    s->summary = s->o.summary ? strace_summary_create() : NULL;
    s->open = NOBODY;
    struct task_listener listener = {.enter = on_enter,
                                     .leave = on_leave,
                                     .signal = on_signal,
                                     .named = on_named,
                                     .born = on_born,
                                     .ended = on_ended,
                                     .ctx = s};
    tasks_listen(tasks, &listener);
    return s;
}

void strace_set_paths(struct strace *s,
                      bool (*path)(void *ctx, int pid, int fd, char *path, size_t size), void *ctx)
{
    s->path = path;
    s->path_ctx = ctx;
}

void strace_destroy(struct strace *s)
{
    if (!s) {
        return;
    }
    interrupt_open(s);
    for (unsigned i = 0; i < TASKS_MAX; i++) {
        release_waiting(s, &s->per_task[i], 0);
        for (unsigned k = 0; k < 6; k++) {
            text_free(&s->per_task[i].args[k]);
        }
    }
    line_queue_destroy(s->lines);
    if (s->summary) {
        strace_summary_print(s->summary, s->o.sort, s->out);
        strace_summary_destroy(s->summary);
    }
    free(s);
}
