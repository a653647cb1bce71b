// SPDX-License-Identifier: MIT
// strace's line layout. A call is written when it returns; if another task comes in between, its
// beginning is written before that, as "<unfinished ...>".
#include "trace/strace.h"

#include "base/memory.h"
#include "trace/decode.h"
#include "trace/line_queue.h"

#include <stdlib.h>

#define RESULT_COLUMN 40
#define NOBODY (-1)

// A line that waits for its task's pid.
struct waiting {
    u64 ticket;
    char *text;
};

struct task_lines {
    u8 order[6]; // of the arguments; count of them are shown
    unsigned count;
    struct text args[6]; // by position
    bool shown[6];
    bool begun;       // "<unfinished ...>" was written
    unsigned written; // arguments before it
    struct waiting *waiting;
    unsigned waiting_count;
};

struct strace {
    struct tasks *tasks;
    struct line_queue *lines;
    struct task_lines per_task[TASKS_MAX];
    int open; // whose call is begun and unwritten, or NOBODY
    bool several;
};

static void put(struct strace *s, struct task *t, const char *text)
{
    struct task_lines *tl = &s->per_task[t->index];
    s->several = s->several || tasks_live(s->tasks) > 1;
    if (t->pid || !s->several) {
        char *line = s->several ? xasprintf("[pid %5d] %s", t->pid, text) : xstrdup(text);
        line_queue_add(s->lines, line);
        free(line);
        return;
    }
    char *fallback = xasprintf("[pid ?????] %s", text);
    tl->waiting = xrealloc(tl->waiting, (tl->waiting_count + 1) * sizeof(*tl->waiting));
    tl->waiting[tl->waiting_count++] =
        (struct waiting){line_queue_reserve(s->lines, fallback), xstrdup(text)};
    free(fallback);
}

static void drop_waiting(struct task_lines *tl)
{
    for (unsigned i = 0; i < tl->waiting_count; i++) {
        free(tl->waiting[i].text);
    }
    free(tl->waiting);
    tl->waiting = NULL;
    tl->waiting_count = 0;
}

static void on_named(void *ctx, struct task *t)
{
    struct strace *s = ctx;
    struct task_lines *tl = &s->per_task[t->index];
    for (unsigned i = 0; i < tl->waiting_count; i++) {
        char *line = xasprintf("[pid %5d] %s", t->pid, tl->waiting[i].text);
        line_queue_finish(s->lines, tl->waiting[i].ticket, line);
        free(line);
    }
    drop_waiting(tl);
}

static void add_name(struct text *line, const struct syscall_view *call)
{
    if (call->row->name) {
        text_add(line, "%s", call->row->name);
    } else {
        text_add(line, "syscall_0x%llx", (unsigned long long)call->number);
    }
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
    add_name(&line, &t->call);
    text_char(&line, '(');
    tl->written = add_args(&line, tl, 0);
    tl->begun = true;
    text_add(&line, " <unfinished ...>");
    put(s, t, text_get(&line));
    text_free(&line);
}

static void finish_line(struct text *line, const struct syscall_view *call)
{
    text_char(line, ')');
    while (line->used < RESULT_COLUMN - 1) {
        text_char(line, ' ');
    }
    text_add(line, " = ");
}

static void on_enter(void *ctx, struct task *t, const struct probe_event *event)
{
    struct strace *s = ctx;
    struct task_lines *tl = &s->per_task[t->index];
    interrupt_open(s);
    for (unsigned i = 0; i < 6; i++) {
        text_clear(&tl->args[i]);
        tl->shown[i] = false;
    }
    tl->begun = false;
    tl->written = 0;
    tl->count = syscall_shown(&t->call, tl->order);
    show_args(tl, &t->call, false);
    s->open = (int)t->index;
    if (t->call.number == 60 || t->call.number == 231) { // exit, exit_group
        struct text line = {0};
        s->open = NOBODY;
        add_name(&line, &t->call);
        text_char(&line, '(');
        add_args(&line, tl, 0);
        finish_line(&line, &t->call);
        text_add(&line, "?");
        put(s, t, text_get(&line));
        text_clear(&line);
        text_add(&line, "+++ exited with %u +++", (unsigned)t->call.arg[0] & 255);
        put(s, t, text_get(&line));
        text_free(&line);
    }
}

static void on_leave(void *ctx, struct task *t, const struct probe_event *event,
                     enum task_return how)
{
    struct strace *s = ctx;
    struct task_lines *tl = &s->per_task[t->index];
    struct text line = {0};
    if (s->open != (int)t->index) {
        interrupt_open(s);
    }
    s->open = NOBODY;
    show_args(tl, &t->call, true);
    if (tl->begun) {
        text_add(&line, "<... ");
        add_name(&line, &t->call);
        text_add(&line, " resumed>");
    } else {
        add_name(&line, &t->call);
        text_char(&line, '(');
    }
    add_args(&line, tl, tl->written);
    finish_line(&line, &t->call);
    if (how == TASK_RESTART) {
        text_add(&line, "? ERESTARTSYS (To be restarted if SA_RESTART is set)");
    } else {
        syscall_show_result(&t->call, &line);
        syscall_show_extra(&t->call, &line);
    }
    put(s, t, text_get(&line));
    text_free(&line);
}

static void on_signal(void *ctx, struct task *t, const struct task_signal *signal)
{
    struct strace *s = ctx;
    struct text line = {0};
    interrupt_open(s);
    text_add(&line, "--- ");
    decode_signal(&line, signal->number);
    text_char(&line, ' ');
    int number = 0;
    bool filled = t->call.read &&
                  t->call.read(t->call.ctx, signal->siginfo, &number, sizeof(number)) &&
                  number == signal->number; // Linux leaves it empty unless SA_SIGINFO
    if (filled && decode_siginfo(&t->call, signal->siginfo, &line)) {
        text_char(&line, ' ');
    }
    text_add(&line, "---");
    put(s, t, text_get(&line));
    text_free(&line);
}

static void on_born(void *ctx, struct task *t)
{
    struct strace *s = ctx;
    if (s->open == (int)t->index) {
        s->open = NOBODY;
    }
    struct task_lines *tl = &s->per_task[t->index];
    for (unsigned i = 0; i < tl->waiting_count;
         i++) { // of the slot's former owner, which never told its pid
        char *line = xasprintf("[pid ?????] %s", tl->waiting[i].text);
        line_queue_finish(s->lines, tl->waiting[i].ticket, line);
        free(line);
    }
    drop_waiting(tl);
}

struct strace *strace_create(struct tasks *tasks, FILE *out)
{
    struct strace *s = xcalloc(1, sizeof(*s));
    s->tasks = tasks;
    s->lines = line_queue_create(out);
    s->open = NOBODY;
    struct task_listener listener = {.enter = on_enter,
                                     .leave = on_leave,
                                     .signal = on_signal,
                                     .named = on_named,
                                     .born = on_born,
                                     .ctx = s};
    tasks_listen(tasks, &listener);
    return s;
}

void strace_destroy(struct strace *s)
{
    if (!s) {
        return;
    }
    interrupt_open(s);
    line_queue_destroy(s->lines);
    for (unsigned i = 0; i < TASKS_MAX; i++) {
        drop_waiting(&s->per_task[i]);
        for (unsigned k = 0; k < 6; k++) {
            text_free(&s->per_task[i].args[k]);
        }
    }
    free(s);
}
