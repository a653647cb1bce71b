// SPDX-License-Identifier: MIT
// Slices nest on each track: what ends while others are open inside it ends those first. Interrupts
// have a track per CPU, because a task that is preempted in one would not end it before it runs
// again.
#include "trace/sink_perfetto.h"

#include "base/memory.h"
#include "mmu/fault.h"
#include "trace/perfetto_packets.h"
#include "trace/sink_text.h"

#include <stdlib.h>
#include <string.h>

#define CPUS_MAX 64
#define DEPTH_MAX 16
#define WAKES_MAX 256
#define NO_PID                                                                                     \
    4000000 // and up: for tasks whose pid never showed; 0 means the idle task to Perfetto

// Identities of tracks: tasks by when they were born, CPUs by number.
#define THREAD_TRACK(t) (UINT64_C(1) << 40 | (t)->born)
#define PROCESS_TRACK(t) (UINT64_C(2) << 40 | (t)->born)
#define RUN_TRACK(cpu) (UINT64_C(3) << 40 | (cpu))
#define INTERRUPT_TRACK(cpu) (UINT64_C(4) << 40 | (cpu))
#define QUEUE_TRACK(cpu) (UINT64_C(5) << 40 | (cpu))
#define FAULT_TRACK (UINT64_C(6) << 40)
// Identities of flows.
#define FORK_FLOW(born) (UINT64_C(1) << 56 | (born))
#define EXIT_FLOW(born) (UINT64_C(2) << 56 | (born))
#define WAKE_FLOW(number) (UINT64_C(3) << 56 | (number))

// Slices that are open on a track, by an identity of their own.
struct stack {
    u64 ids[DEPTH_MAX];
    unsigned depth;
};

#define CALL_ID UINT64_MAX // of a system call; faults have their number

struct cpu_view {
    bool described, running;
    struct stack interrupts;
    int queued;
};

struct task_view {
    u64 born; // whose slot it is
    bool described;
    struct stack slices;
};

struct wake {
    u64 id, flow;
};

struct sink_perfetto {
    struct perfetto p;
    struct tasks *tasks;
    const struct trace_guest *guest;
    struct cpu_view cpus[CPUS_MAX];
    struct task_view views[TASKS_MAX];
    struct wake wakes[WAKES_MAX]; // a ring: who was woken and has not run since
    u64 wake_count;
    u64 faults;
    u64 step, now_ns;
    bool counters_described;
};

static int shown_pid(const struct task *t)
{
    return t->pid ? t->pid : NO_PID + (int)t->index;
}

static void describe_task(struct sink_perfetto *s, const struct task *t)
{
    const struct task *leader = tasks_get(s->tasks, t->leader);
    const char *name = *t->name ? t->name : "?";
    perfetto_process(&s->p, PROCESS_TRACK(leader), shown_pid(leader),
                     *leader->name ? leader->name : "?");
    perfetto_thread(&s->p, THREAD_TRACK(t), PROCESS_TRACK(leader), shown_pid(leader), shown_pid(t),
                    name);
    s->views[t->index].described = true;
}

static struct task_view *view_of(struct sink_perfetto *s, const struct task *t)
{
    struct task_view *v = &s->views[t->index];
    if (v->born != t->born) {
        *v = (struct task_view){.born = t->born};
    }
    return v;
}

static void describe_cpu(struct sink_perfetto *s, unsigned cpu)
{
    static const char *const names[] = {"CPU %u", "CPU %u interrupts", "CPU %u runnable tasks"};
    char text[3][40];
    if (s->cpus[cpu].described) {
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        snprintf(text[i], sizeof(text[i]), names[i], cpu);
    }
    perfetto_track(&s->p, RUN_TRACK(cpu), text[0]);
    perfetto_track(&s->p, INTERRUPT_TRACK(cpu), text[1]);
    if (s->guest && s->guest->queued) {
        perfetto_counter_track(&s->p, QUEUE_TRACK(cpu), text[2]);
    }
    s->cpus[cpu].described = true;
    s->cpus[cpu].queued = -1;
}

static void begin(struct sink_perfetto *s, enum perfetto_type type, u64 track, const char *category,
                  const char *name)
{
    perfetto_event_begin(&s->p, type, track, s->step, category, name);
}

static void end(struct sink_perfetto *s)
{
    perfetto_event_end(&s->p, s->now_ns);
}

// Opens a slice on the stack if there is room; the caller annotates it, and ends the event.
static bool open_slice(struct sink_perfetto *s, struct stack *stack, u64 id, u64 track,
                       const char *category, const char *name)
{
    if (stack->depth == DEPTH_MAX) {
        return false;
    }
    stack->ids[stack->depth++] = id;
    begin(s, PERFETTO_BEGIN, track, category, name);
    return true;
}

static bool is_open(const struct stack *stack, u64 id)
{
    for (unsigned i = 0; i < stack->depth; i++) {
        if (stack->ids[i] == id) {
            return true;
        }
    }
    return false;
}

// Ends all slices inside the one with this id, and begins its own end: true, the caller annotates
// and ends that. False: it is not open.
static bool close_slice(struct sink_perfetto *s, struct stack *stack, u64 id, u64 track)
{
    if (!is_open(stack, id)) {
        return false;
    }
    while (stack->ids[--stack->depth] != id) {
        begin(s, PERFETTO_END, track, NULL, NULL);
        end(s);
    }
    begin(s, PERFETTO_END, track, NULL, NULL);
    return true;
}

static void close_all(struct sink_perfetto *s, struct stack *stack, u64 track)
{
    while (stack->depth) {
        stack->depth--;
        begin(s, PERFETTO_END, track, NULL, NULL);
        end(s);
    }
}

static void add_args(struct sink_perfetto *s, const struct syscall_view *call)
{
    struct text args = {0};
    u8 order[6];
    unsigned count = syscall_shown(call, order);
    for (unsigned i = 0; i < count; i++) {
        text_add(&args, i ? ", " : "");
        syscall_show_arg(call, order[i], true, &args);
    }
    perfetto_annotate_text(&s->p, "arguments", text_get(&args));
    text_free(&args);
}

static void on_enter(void *ctx, struct task *t, const struct probe_event *event)
{
    struct sink_perfetto *s = ctx;
    struct task_view *v = view_of(s, t);
    close_all(s, &v->slices, THREAD_TRACK(t)); // a fault that nobody saw end
    if (!v->described && t->pid) {
        describe_task(s, t);
    }
    const char *name = t->call.row->name ? t->call.row->name : "unknown system call";
    if (open_slice(s, &v->slices, CALL_ID, THREAD_TRACK(t), "syscall", name)) {
        perfetto_annotate_number(&s->p, "number", (s64)t->call.number);
        end(s);
    }
}

// A parent's wait4 ends because of what its child did.
static void add_exit_flow(struct sink_perfetto *s, const struct task *t)
{
    for (unsigned i = 0; t->call.number == 61 && t->call.result > 0 && i < TASKS_MAX; i++) {
        const struct task *child = tasks_get(s->tasks, i);
        if (child->used && child->ended && child->pid == (int)t->call.result) {
            begin(s, PERFETTO_INSTANT, THREAD_TRACK(t), "process", "child reaped");
            perfetto_annotate_number(&s->p, "pid", child->pid);
            perfetto_flow(&s->p, EXIT_FLOW(child->born), true);
            end(s);
            return;
        }
    }
}

static void on_leave(void *ctx, struct task *t, const struct probe_event *event,
                     enum task_return how)
{
    struct sink_perfetto *s = ctx;
    struct task_view *v = view_of(s, t);
    if (how == TASK_RETURN && t->call.done) {
        add_exit_flow(s, t);
    }
    if (!close_slice(s, &v->slices, CALL_ID, THREAD_TRACK(t))) {
        return;
    }
    struct text result = {0};
    bool exec = t->call.number == 59 || t->call.number == 322;
    if (!exec || syscall_failed(&t->call)) { // execve's arguments went with the old image
        add_args(s, &t->call);
    }
    if (how == TASK_RESTART) {
        text_add(&result, "restarts");
    } else {
        syscall_show_result(&t->call, &result);
    }
    perfetto_annotate_text(&s->p, "result", text_get(&result));
    text_free(&result);
    end(s);
    if ((exec || t->call.number == 157) && t->call.done && !syscall_failed(&t->call)) {
        v->described = false; // execve, prctl: its name may be another now
    }
}

static void on_signal(void *ctx, struct task *t, const struct task_signal *signal)
{
    struct sink_perfetto *s = ctx;
    begin(s, PERFETTO_INSTANT, THREAD_TRACK(t), "signal", "signal");
    perfetto_annotate_number(&s->p, "number", signal->number);
    end(s);
}

static void on_named(void *ctx, struct task *t)
{
    describe_task(ctx, t);
}

static void on_born(void *ctx, struct task *t)
{
    struct sink_perfetto *s = ctx;
    view_of(s, t);
}

static void on_ended(void *ctx, struct task *t, const struct task_end *how)
{
    struct sink_perfetto *s = ctx;
    struct task_view *v = view_of(s, t);
    if (!v->described) {
        describe_task(s, t);
    }
    begin(s, PERFETTO_INSTANT, THREAD_TRACK(t), "process", how->killed ? "killed" : "exited");
    perfetto_annotate_number(&s->p, how->killed ? "signal" : "status", how->value);
    perfetto_flow(&s->p, EXIT_FLOW(t->born), false);
    end(s);
    close_all(s, &v->slices, THREAD_TRACK(t));
}

static void on_forked(void *ctx, struct task *child, struct task *parent)
{
    struct sink_perfetto *s = ctx;
    begin(s, PERFETTO_INSTANT, THREAD_TRACK(parent), "process", "new task");
    perfetto_flow(&s->p, FORK_FLOW(child->born), false);
    end(s);
    begin(s, PERFETTO_INSTANT, THREAD_TRACK(child), "process", "begins");
    perfetto_flow(&s->p, FORK_FLOW(child->born), true);
    end(s);
}

// The task that this is about, unless the CPU serves a kernel thread.
static struct task *task_here(struct sink_perfetto *s, unsigned cpu)
{
    struct task *t = tasks_current(s->tasks, cpu);
    struct trace_task now;
    bool other = t && t->pid && s->guest && s->guest->current &&
                 s->guest->current(s->guest->ctx, cpu, &now) && now.pid != t->pid;
    return other ? NULL : t;
}

static void interrupt(struct sink_perfetto *s, const struct probe_event *e)
{
    char name[32];
    snprintf(name, sizeof(name), "interrupt 0x%02x", e->vector);
    struct stack *stack = &s->cpus[e->cpu].interrupts;
    // Its end is the IRET to where it came from.
    if (open_slice(s, stack, e->rip ^ (u64)e->from_cpl << 62, INTERRUPT_TRACK(e->cpu), "irq",
                   name)) {
        perfetto_annotate_number(&s->p, "vector", e->vector);
        perfetto_annotate_number(&s->p, "ring", e->from_cpl);
        perfetto_annotate_address(&s->p, "rip", e->rip);
        end(s);
    }
}

void sink_perfetto_event(struct sink_perfetto *s, const struct probe_event *e)
{
    s->step = e->step;
    s->now_ns = e->vtime_ns;
    if (e->kind != PROBE_transition || e->cpu >= CPUS_MAX) {
        return;
    }
    describe_cpu(s, e->cpu);
    if (e->cause == TRANSITION_INTERRUPT) {
        interrupt(s, e);
    } else if (e->cause == TRANSITION_IRET) {
        u64 id = e->address ^ (u64)e->to_cpl << 62;
        if (close_slice(s, &s->cpus[e->cpu].interrupts, id, INTERRUPT_TRACK(e->cpu))) {
            end(s);
        }
    }
}

void sink_perfetto_fault(struct sink_perfetto *s, const struct probe_event *e, u64 number)
{
    struct task *t = task_here(s, e->cpu);
    if (!s->counters_described) {
        perfetto_counter_track(&s->p, FAULT_TRACK, "page faults");
        s->counters_described = true;
    }
    begin(s, PERFETTO_COUNTER, FAULT_TRACK, NULL, NULL);
    perfetto_counter_value(&s->p, (s64)++s->faults);
    end(s);
    if (!t) {
        return;
    }
    if (open_slice(s, &view_of(s, t)->slices, number, THREAD_TRACK(t), "fault", "page fault")) {
        perfetto_annotate_address(&s->p, "address", e->address);
        perfetto_annotate_address(&s->p, "rip", e->rip);
        perfetto_annotate_text(&s->p, "access",
                               e->error_code & PF_FETCH   ? "fetch"
                               : e->error_code & PF_WRITE ? "write"
                                                          : "read");
        perfetto_annotate_number(&s->p, "error", e->error_code);
        perfetto_annotate_number(&s->p, "ring", e->from_cpl);
        end(s);
    }
}

void sink_perfetto_fault_ended(struct sink_perfetto *s, u64 number, enum fault_outcome outcome)
{
    for (unsigned i = 0; i < TASKS_MAX; i++) {
        const struct task *t = tasks_get(s->tasks, i);
        struct task_view *v = &s->views[i];
        if (v->slices.depth && is_open(&v->slices, number) &&
            close_slice(s, &v->slices, number, THREAD_TRACK(t))) {
            perfetto_annotate_text(&s->p, "outcome", fault_outcome_name(outcome));
            end(s);
            return;
        }
    }
}

// The flow that ends where a woken task runs.
static u64 take_wake(struct sink_perfetto *s, u64 id)
{
    for (unsigned i = 0; i < WAKES_MAX; i++) {
        if (s->wakes[i].flow && s->wakes[i].id == id) {
            u64 flow = s->wakes[i].flow;
            s->wakes[i].flow = 0;
            return flow;
        }
    }
    return 0;
}

static void count_queue(struct sink_perfetto *s, unsigned cpu)
{
    int queued = s->guest && s->guest->queued ? s->guest->queued(s->guest->ctx, cpu) : -1;
    if (queued >= 0 && queued != s->cpus[cpu].queued) {
        s->cpus[cpu].queued = queued;
        begin(s, PERFETTO_COUNTER, QUEUE_TRACK(cpu), NULL, NULL);
        perfetto_counter_value(&s->p, queued);
        end(s);
    }
}

void sink_perfetto_switch(struct sink_perfetto *s, const struct switch_event *e)
{
    if (e->cpu >= CPUS_MAX) {
        return;
    }
    struct cpu_view *c = &s->cpus[e->cpu];
    s->step = e->step;
    s->now_ns = e->vtime_ns;
    describe_cpu(s, e->cpu);
    close_all(s, &c->interrupts, INTERRUPT_TRACK(e->cpu));
    if (c->running) {
        begin(s, PERFETTO_END, RUN_TRACK(e->cpu), NULL, NULL);
        end(s);
    }
    char name[64];
    snprintf(name, sizeof(name), "%s %d", *e->to.name ? e->to.name : "task", e->to.pid);
    begin(s, PERFETTO_BEGIN, RUN_TRACK(e->cpu), "sched", name);
    perfetto_annotate_number(&s->p, "pid", e->to.pid);
    u64 flow = take_wake(s, e->to.id);
    if (flow) {
        perfetto_flow(&s->p, flow, true);
    }
    end(s);
    c->running = true;
    count_queue(s, e->cpu);
}

void sink_perfetto_wakes(struct sink_perfetto *s, unsigned cpu, u64 id, u64 step, u64 vtime_ns)
{
    if (cpu >= CPUS_MAX) {
        return;
    }
    s->step = step;
    s->now_ns = vtime_ns;
    describe_cpu(s, cpu);
    take_wake(s, id); // woken once more before it ran
    struct wake *w = &s->wakes[s->wake_count % WAKES_MAX];
    *w = (struct wake){.id = id, .flow = WAKE_FLOW(++s->wake_count)};
    bool interrupted = s->cpus[cpu].interrupts.depth != 0;
    const struct task *t = interrupted ? NULL : task_here(s, cpu);
    u64 track = t ? THREAD_TRACK(t) : interrupted ? INTERRUPT_TRACK(cpu) : RUN_TRACK(cpu);
    begin(s, PERFETTO_INSTANT, track, "sched", "wake-up");
    perfetto_flow(&s->p, w->flow, false);
    end(s);
}

struct sink_perfetto *sink_perfetto_create(struct tasks *tasks, const struct trace_guest *guest,
                                           FILE *out)
{
    struct sink_perfetto *s = xcalloc(1, sizeof(*s));
    s->tasks = tasks;
    s->guest = guest;
    s->p.out = out;
    struct task_listener listener = {.enter = on_enter,
                                     .leave = on_leave,
                                     .signal = on_signal,
                                     .named = on_named,
                                     .born = on_born,
                                     .ended = on_ended,
                                     .forked = on_forked,
                                     .ctx = s};
    tasks_listen(tasks, &listener);
    return s;
}

void sink_perfetto_destroy(struct sink_perfetto *s)
{
    if (!s) {
        return;
    }
    for (unsigned i = 0; i < TASKS_MAX; i++) {
        const struct task *t = tasks_get(s->tasks, i);
        if (t->used && s->views[i].born == t->born) {
            close_all(s, &s->views[i].slices, THREAD_TRACK(t));
            if (!s->views[i].described) {
                describe_task(s, t);
            }
        }
    }
    for (unsigned i = 0; i < CPUS_MAX; i++) {
        close_all(s, &s->cpus[i].interrupts, INTERRUPT_TRACK(i));
        if (s->cpus[i].running) {
            begin(s, PERFETTO_END, RUN_TRACK(i), NULL, NULL);
            end(s);
        }
    }
    perfetto_free(&s->p);
    free(s);
}
