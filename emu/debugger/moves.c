// SPDX-License-Identifier: MIT
// Movements: one table of what a unit means forwards and back.
#include "debugger/target_internal.h"

#include "base/bits.h"
#include "trace/guest_view.h"

struct place place_here(struct target *t)
{
    struct cpu_regs regs;
    target_regs(t, &regs);
    return (struct place){regs.rip, regs.gpr[CPU_RSP], target_task(t), regs.cpl};
}

// A point of the user's stays ENGINE_MET, the movement's own goal is an arrival.
static enum engine_end arrived(struct target *t, enum engine_end end)
{
    return end == ENGINE_MET && !t->run.met.number ? ENGINE_REACHED : end;
}

enum engine_end move_to_goal(struct target *t, struct goal *goal)
{
    goal->points = true;
    return arrived(t, engine_forward(t, goal, UINT64_MAX));
}

enum engine_end move_back_to_goal(struct target *t, struct goal *goal, u64 before)
{
    struct met met;
    enum engine_end end = engine_back(t, goal, before, timeline_begin(t->timeline));
    if (end == ENGINE_REACHED) {
        return ENGINE_BEGIN;
    }
    if (end == ENGINE_MET) {
        met = t->run.met;
        if (!engine_seek(t, met.step)) {
            return ENGINE_CANCELLED;
        }
        t->run.met = met;
        t->cpu = met.cpu;
    }
    return arrived(t, end);
}

// With several CPUs a step is one of the target's: the others go on by the machine's schedule.
enum engine_end move_step(struct target *t)
{
    bool several = machine_cpu_count(t->m) > 1;
    struct goal goal = {.points = true, .own_step = several};
    return engine_forward(t, &goal, several ? UINT64_MAX : timeline_step(t->timeline) + 1);
}

// To the state before the last step that the target's CPU made before here.
static enum engine_end own_step_back(struct target *t)
{
    struct goal nothing = {0};
    u64 high = timeline_step(t->timeline), begin = timeline_begin(t->timeline);
    while (high > begin) {
        u64 low = timeline_checkpoint_before(t->timeline, high - 1);
        low = low < begin ? begin : low;
        if (engine_scan(t, &nothing, low, high) != ENGINE_REACHED) {
            return ENGINE_CANCELLED;
        }
        u64 last = machine_last_step(t->m, t->cpu);
        if (last != UINT64_MAX && last >= low) {
            return engine_seek(t, last) ? ENGINE_REACHED : ENGINE_CANCELLED;
        }
        high = low;
    }
    return ENGINE_BEGIN;
}

enum engine_end move_step_back(struct target *t)
{
    u64 step = timeline_step(t->timeline);
    if (step <= timeline_begin(t->timeline)) {
        return ENGINE_BEGIN;
    }
    if (machine_cpu_count(t->m) > 1) {
        return own_step_back(t);
    }
    return engine_seek(t, step - 1) ? ENGINE_REACHED : ENGINE_CANCELLED;
}

// --- events ---

static bool is_syscall(const struct probe_event *e)
{
    return e->kind == PROBE_transition &&
           (e->cause == TRANSITION_SYSCALL || e->cause == TRANSITION_SYSENTER ||
            (e->cause == TRANSITION_SOFT_INT && e->vector == 0x80));
}

static bool is_unit(enum target_unit unit, const struct probe_event *e)
{
    switch (unit) {
    case TARGET_TRANSITION:
        return e->kind == PROBE_transition;
    case TARGET_SYSCALL:
        return is_syscall(e);
    case TARGET_FAULT:
        return e->kind == PROBE_page_fault;
    case TARGET_INTERRUPT:
        return e->kind == PROBE_transition && e->cause == TRANSITION_INTERRUPT;
    default:
        return false;
    }
}

struct unit_search {
    struct target *t;
    enum target_unit unit;
    u64 task; // user mode: of this task; 0: of any
    unsigned cpu; // of switches
    u64 before;
};

static bool unit_event(void *ctx, const struct probe_event *event)
{
    const struct unit_search *s = ctx;
    if (s->unit == TARGET_SWITCH) {
        return event->cpu == s->cpu;
    }
    if (s->unit == TARGET_USER) {
        return event->to_cpl == 3 && event->from_cpl < 3 &&
               (!s->task || target_task(s->t) == s->task);
    }
    return is_unit(s->unit, event);
}

static bool unit_row(void *ctx, const struct event_row *row)
{
    const struct unit_search *s = ctx;
    const struct probe_event *e = &row->event;
    if (s->unit == TARGET_USER) { // the last state of user mode
        return e->kind == PROBE_transition && e->from_cpl == 3 && e->to_cpl < 3 &&
               e->step < s->before && (!s->task || row->task == s->task);
    }
    return e->step + 1 < s->before && is_unit(s->unit, e);
}

// The running task if it has a user mode to go to, else 0.
static u64 user_task(struct target *t)
{
    struct guest_task task;
    if (t->guest && guest_current(t->guest, t->cpu, &task) && !task.cr3) {
        return 0;
    }
    return target_task(t);
}

static enum engine_end event_forward(struct target *t, enum target_unit unit)
{
    struct unit_search search = {.t = t, .unit = unit, .task = user_task(t)};
    struct goal goal = {.probes = BIT(PROBE_transition) | BIT(PROBE_page_fault),
                        .on_event = unit_event,
                        .ctx = &search};
    return move_to_goal(t, &goal);
}

static enum engine_end event_back(struct target *t, enum target_unit unit)
{
    u64 here = timeline_step(t->timeline);
    struct unit_search search = {.t = t, .unit = unit, .task = user_task(t), .before = here};
    history_here(t);
    bool cancelled;
    const struct event_row *row = history_find(t, here, unit_row, &search, &cancelled);
    if (!row) {
        return cancelled ? ENGINE_CANCELLED : ENGINE_BEGIN;
    }
    u64 step = row->event.step + (unit != TARGET_USER);
    t->cpu = row->event.cpu;
    return engine_seek(t, step) ? ENGINE_REACHED : ENGINE_CANCELLED;
}

// A kernel that switches tasks writes the new one's RSP0 into the TSS (SDM 3A 7.7); one that keeps
// RSP0 constant is known by its writes of CR3.
static void switch_goal(struct target *t, struct unit_search *search, struct goal *goal)
{
    enum guest_task_identity identity;
    struct cpu_regs regs;
    target_regs(t, &regs);
    guest_task_key(t->m, t->cpu, &identity);
    if (identity == GUEST_TASK_BY_STACK && regs.tr.base) {
        goal->ranges[goal->range_count++] =
            (struct watch_range){.first = regs.tr.base + 4, .size = 8, .kinds = WATCH_WRITE};
    } else {
        *search = (struct unit_search){.t = t, .unit = TARGET_SWITCH, .cpu = t->cpu};
        goal->probes = BIT(PROBE_cr3_write);
        goal->on_event = unit_event;
        goal->ctx = search;
    }
    goal->after_access = true;
}

#define STACK_BYTES 0x10000 // a kernel stack is no larger
#define SETTLE_STEPS 64     // between the write of RSP0 and the change of stacks

// On to where the new task's stack is in use.
static enum engine_end settle_switch(struct target *t)
{
    enum engine_end end = ENGINE_REACHED;
    for (unsigned i = 0; i < SETTLE_STEPS && end == ENGINE_REACHED; i++) {
        struct place here = place_here(t);
        if (here.task - here.rsp < STACK_BYTES || here.cpl) {
            return end;
        }
        struct goal nothing = {.own_step = machine_cpu_count(t->m) > 1};
        end = engine_forward(t, &nothing,
                             nothing.own_step ? UINT64_MAX : timeline_step(t->timeline) + 1);
    }
    return end;
}

static enum engine_end switch_forward(struct target *t)
{
    struct goal goal = {0};
    struct unit_search search;
    switch_goal(t, &search, &goal);
    enum engine_end end = move_to_goal(t, &goal);
    return end == ENGINE_REACHED && goal.range_count ? settle_switch(t) : end;
}

static enum engine_end switch_back(struct target *t)
{
    u64 origin = timeline_step(t->timeline), before = origin;
    for (;;) {
        struct goal goal = {0};
        struct unit_search search;
        switch_goal(t, &search, &goal);
        enum engine_end end = move_back_to_goal(t, &goal, before);
        if (end != ENGINE_REACHED || !goal.range_count) {
            return end;
        }
        before = timeline_step(t->timeline);
        end = settle_switch(t);
        if (end != ENGINE_REACHED || timeline_step(t->timeline) < origin) {
            return end;
        }
    } // it began in the middle of a switch: the one before
}

// --- the table ---

static enum engine_end move_forward(struct target *t, enum target_unit unit)
{
    switch (unit) {
    case TARGET_INSTRUCTION:
        return move_step(t);
    case TARGET_NEXT:
        return move_next(t);
    case TARGET_OWN:
        return move_own(t);
    case TARGET_LINE:
        return move_line(t, false);
    case TARGET_NEXT_LINE:
        return move_line(t, true);
    case TARGET_FINISH:
        return move_finish(t);
    case TARGET_SWITCH:
        return switch_forward(t);
    default:
        return event_forward(t, unit);
    }
}

static enum engine_end move_back(struct target *t, enum target_unit unit)
{
    switch (unit) {
    case TARGET_INSTRUCTION:
        return move_step_back(t);
    case TARGET_OWN:
        return move_own_back(t);
    case TARGET_NEXT:
        return move_next_back(t);
    case TARGET_LINE:
        return move_line_back(t, false);
    case TARGET_NEXT_LINE:
        return move_line_back(t, true);
    case TARGET_FINISH:
        return move_finish_back(t);
    case TARGET_SWITCH:
        return switch_back(t);
    default:
        return event_back(t, unit);
    }
}

static enum engine_end own_instructions(struct target *t, enum target_direction direction,
                                        u64 count)
{
    enum engine_end end = ENGINE_REACHED;
    for (u64 i = 0; i < count && end == ENGINE_REACHED; i++) {
        t->origin = timeline_step(t->timeline);
        end = direction == TARGET_FORWARD ? arrived(t, move_step(t)) : move_step_back(t);
    }
    return end;
}

static enum engine_end move_instructions(struct target *t, enum target_direction direction,
                                         u64 count)
{
    if (machine_cpu_count(t->m) > 1) {
        return own_instructions(t, direction, count);
    }
    u64 here = timeline_step(t->timeline), begin = timeline_begin(t->timeline);
    if (direction == TARGET_FORWARD) {
        struct goal points = {.points = true};
        return arrived(t, engine_forward(t, &points, here + count));
    }
    if (here == begin) {
        return ENGINE_BEGIN;
    }
    u64 to = here - begin > count ? here - count : begin;
    return engine_seek(t, to) ? ENGINE_REACHED : ENGINE_CANCELLED;
}

// A search back that found nothing ends where history begins; one that was cancelled, where it
// began.
static void settle_back(struct target *t, enum engine_end end, u64 origin)
{
    if (end == ENGINE_BEGIN) {
        engine_return(t, timeline_begin(t->timeline));
    } else if (end == ENGINE_CANCELLED) {
        engine_return(t, origin);
    }
}

static const struct target_stop *unit_stop(struct target *t, enum target_unit unit, u64 origin,
                                           bool back)
{
    static const char *const names[] = {
        [TARGET_NEXT] = "next instruction", [TARGET_LINE] = "source line",
        [TARGET_NEXT_LINE] = "source line", [TARGET_FINISH] = "out of the function",
        [TARGET_TRANSITION] = "transition", [TARGET_SYSCALL] = "system call",
        [TARGET_FAULT] = "page fault",      [TARGET_INTERRUPT] = "interrupt",
        [TARGET_SWITCH] = "context switch", [TARGET_USER] = "user mode",
        [TARGET_OWN] = "next instruction",
    };
    if (unit == TARGET_INSTRUCTION) {
        return target_stop_for(t, ENGINE_REACHED, origin, back);
    }
    char where[100];
    target_set_stop(t, TARGET_STOP_STEP, "%s", names[unit]); // chooses the program for names
    target_where(t, place_here(t).rip, where, sizeof(where));
    struct guest_task task;
    if (unit == TARGET_SWITCH && t->guest && guest_current(t->guest, t->cpu, &task)) {
        return target_set_stop(t, TARGET_STOP_STEP, "%scontext switch to pid %d (%s) at %s",
                               back ? "back: " : "", task.pid, task.comm, where);
    }
    return target_set_stop(t, TARGET_STOP_STEP, "%s%s at %s", back ? "back: " : "", names[unit],
                           where);
}

const struct target_stop *target_move(struct target *t, enum target_direction direction,
                                      enum target_unit unit, u64 count)
{
    bool back = direction == TARGET_BACK;
    u64 origin = timeline_step(t->timeline);
    enum engine_end end = ENGINE_REACHED;
    count = count ? count : 1;
    if (back) {
        timeline_checkpoint(t->timeline);
    }
    if (unit == TARGET_INSTRUCTION) {
        t->origin = origin;
        end = move_instructions(t, direction, count);
        count = 0;
    }
    for (u64 i = 0; i < count && end == ENGINE_REACHED; i++) {
        t->origin = timeline_step(t->timeline);
        end = back ? move_back(t, unit) : move_forward(t, unit);
    }
    if (back) {
        settle_back(t, end, origin);
    }
    t->origin = timeline_step(t->timeline);
    return end == ENGINE_REACHED ? unit_stop(t, unit, origin, back)
                                 : target_stop_for(t, end, origin, back);
}

const struct target_stop *target_continue(struct target *t, enum target_direction direction)
{
    u64 origin = timeline_step(t->timeline);
    u32 pages[POINT_PAGES_MAX];
    struct goal points = {.points = true};
    enum engine_end end;
    t->origin = origin;
    if (direction == TARGET_FORWARD) {
        end = engine_forward(t, &points, UINT64_MAX);
    } else {
        timeline_checkpoint(t->timeline);
        points.pages = pages;
        points.page_count = points_pages(t, pages, POINT_PAGES_MAX);
        end = points_any(t) ? move_back_to_goal(t, &points, origin) : ENGINE_BEGIN;
        settle_back(t, end, origin);
    }
    return target_stop_for(t, end, origin, direction == TARGET_BACK);
}

const struct target_stop *target_run_slice(struct target *t, u64 steps)
{
    u64 origin = timeline_step(t->timeline);
    struct goal points = {.points = true};
    u64 begun = t->stop.kind == TARGET_STOP_STEP ? t->origin : origin;
    t->origin = begun; // slices of one run: a breakpoint that was left is not met again
    enum engine_end end = engine_forward(t, &points, origin + steps);
    return target_stop_for(t, end, origin, false);
}

const struct target_stop *target_seek(struct target *t, u64 step)
{
    u64 origin = timeline_step(t->timeline);
    u64 begin = timeline_begin(t->timeline), end = timeline_end(t->timeline);
    if (step > end) { // beyond what is known: the run goes on, if it can
        struct goal nothing = {0};
        t->origin = origin;
        if (!engine_seek(t, end)) {
            engine_return(t, origin);
            return target_stop_for(t, ENGINE_CANCELLED, origin, false);
        }
        enum engine_end why = engine_forward(t, &nothing, step);
        if (why != ENGINE_REACHED) {
            return target_stop_for(t, why, origin, false);
        }
    } else if (!engine_seek(t, step < begin ? begin : step)) {
        engine_return(t, origin);
        return target_stop_for(t, ENGINE_CANCELLED, origin, false);
    }
    t->origin = timeline_step(t->timeline);
    return target_set_stop(t, TARGET_STOP_SEEK, "at step %llu",
                           (unsigned long long)timeline_step(t->timeline));
}
