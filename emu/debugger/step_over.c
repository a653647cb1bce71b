// SPDX-License-Identifier: MIT
// Next and finish, forwards and back: an instruction with everything that happens below it, known
// by stack depth, ring and task.
#include "debugger/target_internal.h"

#include "base/bits.h"
#include "debugger/backtrace.h"

#include <string.h>

#define RETRIES_MAX 64 // interrupts and faults of one instruction

enum { NR_RT_SIGRETURN = 15, NR_EXECVE = 59, NR_EXECVEAT = 322 };

// How long an instruction that calls may be: CALL with all its prefixes and operands fits.
#define CALL_MIN 2
#define CALL_MAX 8

bool insn_at(struct target *t, u64 address, struct disas_insn *out)
{
    u8 bytes[16];
    struct cpu_regs regs;
    target_regs(t, &regs);
    u64 got = target_read(t, address, bytes, sizeof(bytes));
    bool wide = regs.seg[CPU_CS].attributes & 0x2000, big = regs.seg[CPU_CS].attributes & 0x4000;
    return got && disas_insn(t->disas, wide ? 64 : big ? 32 : 16, address, bytes, got, out);
}

// --- goals ---

struct over {
    struct target *t;
    struct place start;
    u64 next_rip;    // behind the instruction
    u64 from;        // back: where it returned to
    bool any_return; // the call does not come back to where it was made
    unsigned cpu;
};

// A user address means something in one task only; a kernel stack belongs to one task.
static bool same_depth(const struct over *o, const struct cpu_regs *regs)
{
    return regs->gpr[CPU_RSP] == o->start.rsp && regs->cpl == o->start.cpl &&
           (o->start.cpl != 3 || target_task(o->t) == o->start.task);
}

static bool came_to(void *ctx, const struct watch_hit *hit)
{
    const struct over *o = ctx;
    struct cpu_regs regs;
    target_regs(o->t, &regs);
    return same_depth(o, &regs);
}

static bool came_back(void *ctx, const struct probe_event *event)
{
    const struct over *o = ctx;
    if (event->to_cpl != o->start.cpl ||
        (event->cause != TRANSITION_IRET && event->cause != TRANSITION_SYSRET)) {
        return false;
    }
    bool there = event->address == o->start.rip || event->address == o->next_rip;
    if (o->start.cpl == 3) {
        return (there || o->any_return) && target_task(o->t) == o->start.task;
    }
    struct cpu_regs regs;
    target_regs(o->t, &regs);
    return there && regs.gpr[CPU_RSP] == o->start.rsp;
}

enum engine_end move_run_to(struct target *t, u64 address, const struct place *place)
{
    struct over o = {.t = t, .start = *place};
    struct goal goal = {.ranges = {{.first = address, .size = 1, .kinds = WATCH_EXECUTE}},
                        .range_count = 1,
                        .on_access = came_to,
                        .ctx = &o};
    return move_to_goal(t, &goal);
}

// The transition that the step from this state was, NULL: an instruction like others.
static const struct probe_event *transition_of(struct target *t, u64 step)
{
    u64 end = events_before(t->events, step + 1);
    for (u64 i = end; i-- > 0;) {
        const struct probe_event *e = &events_get(t->events, i)->event;
        if (e->step != step) {
            break;
        }
        if (e->kind == PROBE_transition) {
            return e;
        }
    }
    return NULL;
}

static bool enters(const struct probe_event *e)
{
    return e->cause == TRANSITION_SYSCALL || e->cause == TRANSITION_INTERRUPT ||
           e->cause == TRANSITION_EXCEPTION || e->cause == TRANSITION_SOFT_INT ||
           e->cause == TRANSITION_SYSENTER;
}

static enum engine_end over_entry(struct target *t, struct over *o, const struct probe_event *event)
{
    if (event->cause == TRANSITION_SYSCALL) {
        s64 number = target_syscall_number(t);
        o->any_return = number == NR_EXECVE || number == NR_EXECVEAT || number == NR_RT_SIGRETURN;
    }
    struct goal goal = {.probes = BIT(PROBE_transition), .on_event = came_back, .ctx = o};
    return move_to_goal(t, &goal);
}

// One instruction in its ring: system calls, and what interrupts it or makes it possible, are run
// through. below: so is what it calls.
static enum engine_end step_through(struct target *t, bool below)
{
    struct over o = {.t = t, .start = place_here(t)};
    struct disas_insn insn = {0};
    if (below) {
        insn_at(t, o.start.rip, &insn);
    }
    o.next_rip = o.start.rip + insn.length;
    for (unsigned i = 0; i < RETRIES_MAX; i++) {
        enum engine_end end = move_step(t);
        if (end != ENGINE_REACHED) {
            return end;
        }
        const struct probe_event *event = transition_of(t, timeline_step(t->timeline) - 1);
        u64 rip = place_here(t).rip;
        if (event && enters(event)) {
            if (!below && event->cause == TRANSITION_EXCEPTION) {
                o.any_return = true; // to the handler of its signal, if the instruction never works
            }
            end = over_entry(t, &o, event);
            if (end != ENGINE_REACHED || place_here(t).rip != o.start.rip) {
                return end;
            }
            continue; // interrupted or faulted: the instruction is still to come
        }
        if ((insn.kind == DISAS_CALL && rip != o.next_rip) || (insn.rep && rip == o.start.rip)) {
            return move_run_to(t, o.next_rip, &o.start);
        }
        return end;
    }
    return ENGINE_REACHED;
}

enum engine_end move_next(struct target *t)
{
    return step_through(t, true);
}

enum engine_end move_own(struct target *t)
{
    return step_through(t, false);
}

// --- back ---

static bool was_call(void *ctx, const struct watch_hit *hit)
{
    const struct over *o = ctx;
    struct cpu_regs regs;
    struct disas_insn insn;
    target_regs(o->t, &regs);
    return same_depth(o, &regs) && insn_at(o->t, hit->address, &insn) && insn.kind == DISAS_CALL &&
           hit->address + insn.length == o->from;
}

// To the call that returns to an address with the stack pointer and task of o.
static enum engine_end back_to_call(struct target *t, struct over *o, u64 return_address)
{
    struct goal goal = {.points = true, .on_access = was_call, .ctx = o};
    o->from = return_address;
    for (u64 length = CALL_MIN; length < CALL_MAX; length++) {
        goal.ranges[goal.range_count++] = (struct watch_range){
            .first = return_address - length, .size = 1, .kinds = WATCH_EXECUTE};
    }
    return move_back_to_goal(t, &goal, timeline_step(t->timeline));
}

static bool left_user(void *ctx, const struct event_row *row)
{
    const struct over *o = ctx;
    const struct probe_event *e = &row->event;
    return e->kind == PROBE_transition && e->from_cpl == 3 && e->to_cpl < 3 &&
           row->task == o->start.task;
}

static bool left_here(void *ctx, const struct probe_event *event)
{
    const struct over *o = ctx;
    return event->from_cpl == o->start.cpl && enters(event) && event->rip == o->start.rip;
}

// To the state before the entry that has just returned to o.start.
static enum engine_end back_to_entry(struct target *t, struct over *o)
{
    if (o->start.cpl != 3) {
        struct goal goal = {.probes = BIT(PROBE_transition),
                            .on_event = left_here,
                            .ctx = o,
                            .before_event = true,
                            .points = true};
        return move_back_to_goal(t, &goal, timeline_step(t->timeline));
    }
    bool cancelled;
    history_here(t);
    const struct event_row *row =
        history_find(t, timeline_step(t->timeline), left_user, o, &cancelled);
    if (!row) {
        return cancelled ? ENGINE_CANCELLED : ENGINE_BEGIN;
    }
    t->cpu = row->event.cpu;
    return engine_seek(t, row->event.step) ? ENGINE_REACHED : ENGINE_CANCELLED;
}

static bool in_same_rep(struct target *t, u64 step, u64 rip, u64 rcx)
{
    struct cpu_regs regs;
    if (step < timeline_begin(t->timeline) || !engine_seek(t, step)) {
        return false;
    }
    target_regs(t, &regs);
    return regs.rip == rip && regs.gpr[CPU_RCX] == rcx;
}

static bool is_its_cpu(void *ctx, const struct watch_hit *hit)
{
    const struct over *o = ctx;
    return hit->cpu == o->cpu;
}

// Where other CPUs take turns within it, the first iteration is known by being told.
static enum engine_end back_to_rep(struct target *t)
{
    struct over o = {.t = t, .cpu = t->cpu};
    struct cpu_regs regs;
    target_regs(t, &regs);
    u64 linear =
        regs.seg[CPU_CS].attributes & 0x2000 ? regs.rip : (u32)(regs.rip + regs.seg[CPU_CS].base);
    struct goal goal = {.ranges = {{.first = linear, .size = 1, .kinds = WATCH_EXECUTE}},
                        .range_count = 1,
                        .on_access = is_its_cpu,
                        .ctx = &o};
    return move_back_to_goal(t, &goal, timeline_step(t->timeline) + 1);
}

// From the last iteration of a REP instruction to its first.
static enum engine_end back_over_rep(struct target *t)
{
    if (machine_cpu_count(t->m) > 1) {
        return back_to_rep(t);
    }
    struct cpu_regs regs;
    target_regs(t, &regs);
    u64 last = timeline_step(t->timeline), known = 0, unknown = 1;
    while (unknown <= last &&
           in_same_rep(t, last - unknown, regs.rip, regs.gpr[CPU_RCX] + unknown)) {
        known = unknown;
        unknown *= 2;
    }
    while (known + 1 < unknown) { // known iterations before are its own, unknown are too many
        u64 middle = known + (unknown - known) / 2;
        if (middle <= last && in_same_rep(t, last - middle, regs.rip, regs.gpr[CPU_RCX] + middle)) {
            known = middle;
        } else {
            unknown = middle;
        }
    }
    return engine_seek(t, last - known) ? ENGINE_REACHED : ENGINE_CANCELLED;
}

static bool is_return_to_here(const struct disas_insn *insn, const struct place *before,
                              const struct place *here)
{
    return insn->kind == DISAS_RETURN && before->cpl == here->cpl && here->rsp > before->rsp &&
           here->rsp - before->rsp < 0x10000;
}

static bool is_leaving(const struct disas_insn *insn)
{
    return insn->kind == DISAS_INTERRUPT_RETURN || strncmp(insn->text, "sysret", 6) == 0 ||
           strncmp(insn->text, "sysexit", 7) == 0;
}

static enum engine_end step_through_back(struct target *t, bool below)
{
    for (unsigned i = 0; i < RETRIES_MAX; i++) {
        struct over o = {.t = t, .start = place_here(t)};
        enum engine_end end = move_step_back(t);
        if (end != ENGINE_REACHED) {
            return end;
        }
        struct place before = place_here(t);
        struct disas_insn insn;
        u64 last = timeline_step(t->timeline);
        if (!insn_at(t, before.rip, &insn)) {
            return end;
        }
        if (is_leaving(&insn)) {
            end = back_to_entry(t, &o);
            if (end == ENGINE_REACHED && place_here(t).rip == o.start.rip) {
                continue; // an interrupt or fault: nothing of the program has been undone
            }
        } else if (below && is_return_to_here(&insn, &before, &o.start)) {
            end = back_to_call(t, &o, o.start.rip);
        } else if (below && insn.rep && before.rip != o.start.rip) {
            end = back_over_rep(t);
        }
        if (end == ENGINE_BEGIN) { // made by other means: one step is all there is
            end = engine_seek(t, last) ? ENGINE_REACHED : ENGINE_CANCELLED;
        }
        return end;
    }
    return ENGINE_REACHED;
}

enum engine_end move_next_back(struct target *t)
{
    return step_through_back(t, true);
}

enum engine_end move_own_back(struct target *t)
{
    return step_through_back(t, false);
}

// --- out of a function ---

static bool caller_of_here(struct target *t, struct backtrace_frame *caller)
{
    struct backtrace_frame frames[2];
    if (backtrace_cpu(t->m, t->cpu, t->symbols, frames, 2) < 2) {
        return false;
    }
    *caller = frames[1];
    return true;
}

static struct place caller_place(struct target *t, const struct backtrace_frame *caller)
{
    return (struct place){.rip = caller->rip,
                          .rsp = caller->rsp,
                          .task = target_task(t),
                          .cpl = caller->rip >> 63 ? 0 : 3};
}

enum engine_end move_finish(struct target *t)
{
    struct backtrace_frame caller;
    if (!caller_of_here(t, &caller)) {
        return ENGINE_NOWHERE;
    }
    struct place place = caller_place(t, &caller);
    return move_run_to(t, caller.rip, &place);
}

enum engine_end move_finish_back(struct target *t)
{
    struct backtrace_frame caller;
    if (!caller_of_here(t, &caller)) {
        return ENGINE_NOWHERE;
    }
    struct over o = {.t = t, .start = caller_place(t, &caller)};
    return caller.exact ? back_to_entry(t, &o) : back_to_call(t, &o, caller.rip);
}
