// SPDX-License-Identifier: MIT
// The debugger's parts, shared by the files of emu/debugger that make up a target.
#ifndef VIV_DEBUGGER_TARGET_INTERNAL_H
#define VIV_DEBUGGER_TARGET_INTERNAL_H

#include "debugger/disas.h"
#include "debugger/events.h"
#include "debugger/expr.h"
#include "debugger/target.h"
#include "debugger/write_index.h"
#include "machine/watch.h"

#define POINTS_MAX 256
#define GOAL_RANGES_MAX 16
#define BOOKMARKS_MAX 64

// What a run looks for besides the user's points. A predicate that is NULL accepts all. They run in
// the middle of things (see watch.h), read the machine and change nothing.
struct goal {
    struct watch_range ranges[GOAL_RANGES_MAX];
    unsigned range_count;
    u64 probes;                                                // BIT(PROBE_...)
    bool (*on_access)(void *ctx, const struct watch_hit *hit); // any range
    bool (*on_event)(void *ctx, const struct probe_event *event);
    void *ctx;
    bool before_event; // an event's place is the state before it, not after
    bool after_access; // back: an access's place is the state after it, not before
    bool points;       // the user's points count too
    bool own_step;     // forward: ends after the next step of the target's CPU
    const u32 *pages;  // back: intervals in which none of these pages was written are skipped
    unsigned page_count;
};

// One thing that was met.
struct met {
    bool found;
    u64 step;   // the state to stand in
    unsigned cpu;
    int number; // the point; 0: the goal itself
    bool is_event;
    struct watch_hit hit;
    struct probe_event event;
};

enum engine_end {
    ENGINE_MET,
    ENGINE_REACHED, // forward: the step asked for; back: nothing down to the lowest step
    ENGINE_BEGIN,   // back: history begins here (of movements)
    ENGINE_EXIT,    // the guest ended: target.result
    ENGINE_NOWHERE, // there is no such place: no caller is known
    ENGINE_END,     // the recording ends here
    ENGINE_CANCELLED,
};

// A run in progress.
struct run {
    const struct goal *goal;
    bool back;
    u64 resume_step; // forward: executions at this state are those one goes on from
    u64 limit;       // back: only what stands before this state
    struct met met;  // the last (back) or first (forward) that was accepted
    // What has to be judged at the next boundary: met points with conditions.
    struct met pending[8];
    unsigned pending_count;
};

struct point {
    struct target_point p;
    u64 shadow; // watchpoints: the value before the next write
};

struct bookmark {
    char name[32];
    u64 step;
};

struct target {
    struct target_config config;
    struct timeline *timeline;
    struct machine *m;
    struct symbols *symbols;
    struct guest *guest;
    struct disas *disas;
    unsigned cpu;

    struct target_stop stop;
    struct machine_result result;
    u64 ended_step; // where the guest ended; UINT64_MAX: it has not

    struct point points[POINTS_MAX];
    unsigned point_count;
    int next_number;

    struct run run;
    u64 origin; // where the user's movement began
    bool running;
    struct watch_range installed[POINTS_MAX + GOAL_RANGES_MAX];
    unsigned installed_count;

    struct events *events;
    struct write_index *write_index;
    struct ledger *ledger;
    u64 ledger_step;     // where the ledger was made
    struct probes outer; // whose probes these were before
    u64 outer_step;      // the outer listener has been told of everything before this

    // Commands.
    struct bookmark bookmarks[BOOKMARKS_MAX];
    unsigned bookmark_count;
    char last_line[200]; // an empty line repeats it
    u64 last_address;    // where x, disas and list go on
    char last_format[8];
    bool quit_wanted;
    bool query_cancelled; // the last query did not look at all of history
};

// --- engine.c: running until something is met ---
// Forward to until_step at most.
enum engine_end engine_forward(struct target *t, const struct goal *goal, u64 until_step);
// The last thing met in states from lowest to before `before`; the machine stands somewhere
// afterwards: the caller seeks. ENGINE_REACHED: there is none.
enum engine_end engine_back(struct target *t, const struct goal *goal, u64 before, u64 lowest);
// The same but runs history forwards, telling the goal of everything and stopping at nothing.
enum engine_end engine_scan(struct target *t, const struct goal *goal, u64 from, u64 to);
// Goes to a step without being interruptible by points. False: cancelled.
bool engine_seek(struct target *t, u64 step);
// Back to where a search began, whatever was cancelled.
void engine_return(struct target *t, u64 step);
bool target_cancelled(struct target *t);

// --- points.c ---
unsigned points_ranges(struct target *t, struct watch_range *out, unsigned room);
bool points_any(const struct target *t); // enabled ones
u64 points_probes(const struct target *t);
// The pages of RAM without a write to which no point can be met; 0: points may be met without any.
#define POINT_PAGES_MAX 64
unsigned points_pages(struct target *t, u32 *pages, unsigned room);
void points_begin(struct target *t); // forward run begins: remembers watched values
// Which points a hit or event concerns: accepted at once, or left for the boundary.
void points_on_access(struct target *t, const struct watch_hit *hit);
void points_on_event(struct target *t, const struct probe_event *event);
// Judges what was left for the boundary.
void points_judge(struct target *t);
struct point *points_find(struct target *t, int number);
void points_stop(struct target *t, const struct met *met, bool back);
const char *point_catch_name(u32 bit);
void point_describe(struct target *t, const struct target_point *p, FILE *out);

// --- env.c: names in expressions ---
struct expr_env target_env(struct target *t);
bool target_variable(struct target *t, const char *name, u64 *value);
bool target_set_variable(struct target *t, const char *name, u64 value); // false: no such register
void target_each_variable(void (*fn)(void *ctx, const char *name), void *ctx);
struct status target_evaluate(struct target *t, const char *text, struct expr_value *out);
// True where the text has no condition or it holds; one that reads memory that is not there (of
// another task, say) does not.
bool target_condition(struct target *t, const char *text);
s64 target_syscall_number(struct target *t); // of the running task's call, -1: not in one

// --- target.c ---
const struct target_stop *target_set_stop(struct target *t, enum target_stop_kind kind,
                                          const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void target_choose_program(struct target *t); // whose names user addresses have
// The stop for an end that is no meeting.
const struct target_stop *target_stop_for(struct target *t, enum engine_end end, u64 origin,
                                          bool back);
void target_where(struct target *t, u64 address, char *text, u64 size); // "f+0x10 (a.c:12)"
void target_regs(struct target *t, struct cpu_regs *regs);              // of the current CPU
bool target_read_all(void *target, u64 linear, void *out, u64 size);
u64 target_task(struct target *t); // the running task's own number

// --- history.c: rows of events for any place ---
// Rows are known up to here, and further back by one more interval. False: history begins there, or
// cancelled. The machine is somewhere else afterwards.
void history_here(struct target *t);
bool history_more(struct target *t);
// The youngest row before step that want accepts; NULL: none, or cancelled (*cancelled).
const struct event_row *history_find(struct target *t, u64 step,
                                     bool (*want)(void *ctx, const struct event_row *row),
                                     void *ctx, bool *cancelled);
// Makes sure that count rows before here are known if there are so many. The machine stays.
bool history_ensure(struct target *t, u64 count, bool (*want)(void *ctx, const struct event_row *),
                    void *ctx);

// --- moves.c, step_over.c, lines.c ---
// All give ENGINE_REACHED when they arrived, ENGINE_MET for one of the user's points.
struct place { // where code runs: what "the same depth" means
    u64 rip, rsp, task;
    u8 cpl;
};
struct place place_here(struct target *t);
bool insn_at(struct target *t, u64 address, struct disas_insn *out);
// Forward until the goal or a point.
enum engine_end move_to_goal(struct target *t, struct goal *goal);
enum engine_end move_back_to_goal(struct target *t, struct goal *goal, u64 before);
enum engine_end move_step(struct target *t); // one step
enum engine_end move_step_back(struct target *t);
enum engine_end move_next(struct target *t);
enum engine_end move_own(struct target *t);
enum engine_end move_own_back(struct target *t);
enum engine_end move_next_back(struct target *t);
enum engine_end move_finish(struct target *t);
enum engine_end move_finish_back(struct target *t);
enum engine_end move_line(struct target *t, bool over);
enum engine_end move_line_back(struct target *t, bool over);
enum engine_end move_run_to(struct target *t, u64 address, const struct place *place);

#endif
