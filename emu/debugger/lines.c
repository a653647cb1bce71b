// SPDX-License-Identifier: MIT
// Stepping by source lines, as gdb does: into functions that have lines, over those that have none;
// a line that was left by returning from a function is run to its end.
#include "debugger/target_internal.h"

#define STEPS_MAX 100000 // instructions of one line at one depth

struct line_range {
    u64 begin, end;
    bool known;
};

static struct line_range range_at(struct target *t, u64 rip)
{
    struct line_range r = {0};
    r.known = t->symbols && symbols_line_range(t->symbols, rip, &r.begin, &r.end);
    return r;
}

static bool inside(const struct line_range *r, u64 rip)
{
    return r->known && rip >= r->begin && rip < r->end;
}

// After a call was stepped into: to behind the prologue if the function has lines, else out again.
static enum engine_end enter(struct target *t, const struct place *caller, u64 back_to)
{
    u64 rip = place_here(t).rip;
    if (!range_at(t, rip).known) {
        return move_run_to(t, back_to, caller);
    }
    u64 after = symbols_after_prologue(t->symbols, rip);
    while (place_here(t).rip < after && place_here(t).rip >= rip) {
        enum engine_end end = move_next(t);
        if (end != ENGINE_REACHED) {
            return end;
        }
    }
    return ENGINE_REACHED;
}

enum engine_end move_line(struct target *t, bool over)
{
    struct line_range range = range_at(t, place_here(t).rip);
    if (!range.known) {
        return over ? move_next(t) : move_step(t);
    }
    for (unsigned i = 0; i < STEPS_MAX; i++) {
        struct place before = place_here(t);
        struct disas_insn insn = {0};
        insn_at(t, before.rip, &insn);
        enum engine_end end;
        if (insn.kind == DISAS_CALL && !over) {
            end = move_step(t);
            u64 rip = place_here(t).rip;
            if (end == ENGINE_REACHED && rip != before.rip + insn.length && rip != before.rip) {
                bool stays = range_at(t, rip).known;
                end = enter(t, &before, before.rip + insn.length);
                if (stays || end != ENGINE_REACHED) {
                    return end;
                }
            }
        } else {
            end = move_next(t);
        }
        u64 rip = place_here(t).rip;
        if (end != ENGINE_REACHED) {
            return end;
        }
        if (inside(&range, rip)) {
            continue;
        }
        struct line_range now = range_at(t, rip);
        if (!now.known || rip == now.begin) {
            return end;
        }
        range = now; // in the middle of a line, by a return or a jump: to its end
    }
    return ENGINE_REACHED;
}

// To the first instruction of the line, coming from its end.
static enum engine_end to_line_begin(struct target *t, const struct line_range *range, bool over)
{
    for (unsigned i = 0; i < STEPS_MAX && place_here(t).rip != range->begin; i++) {
        u64 step = timeline_step(t->timeline);
        enum engine_end end = over ? move_next_back(t) : move_step_back(t);
        if (end != ENGINE_REACHED) {
            return end;
        }
        if (!inside(range, place_here(t).rip)) {
            return engine_seek(t, step) ? ENGINE_REACHED : ENGINE_CANCELLED;
        }
    }
    return ENGINE_REACHED;
}

enum engine_end move_line_back(struct target *t, bool over)
{
    struct line_range here = range_at(t, place_here(t).rip);
    struct line_range range;
    do {
        enum engine_end end = over ? move_next_back(t) : move_step_back(t);
        if (end != ENGINE_REACHED) {
            return end;
        }
        u64 rip = place_here(t).rip;
        range = range_at(t, rip);
        if (!range.known) {
            return end;
        }
        if (rip == here.begin) { // the begin of the line one was in the middle of
            return end;
        }
    } while (inside(&here, place_here(t).rip));
    return to_line_begin(t, &range, over);
}
