// SPDX-License-Identifier: MIT
// The door's log (DESIGN.md, invariant 2): wraps what the outside gives a machine, so that every
// input is stamped and kept, and can be played again. The same object records, plays, and goes live
// at its end.
//
// The log knows how far history reaches: its end, the furthest state (step, vtime) that was run. As
// long as the machine is before it, inputs come from the records, at exactly the states where they
// came the first time, idle time jumps, and the outside is asked only whether the run is to end (a
// signal, a key). At the end the outside is asked again.
//
// Asynchronous input is taken in two places only, which depend on the machine's state alone: at
// slice ends and while every CPU is halted. So any run from any state of history gives the same.
#ifndef VIV_REPLAY_INPUT_LOG_H
#define VIV_REPLAY_INPUT_LOG_H

#include "host/host.h"
#include "machine/machine.h"

struct input_log;

// live: the outside (NULL ops inside: none). Copied; what it refers to outlives the log. Disks are
// passed through as they are: the caller puts overlays there.
struct input_log *input_log_create(const struct host *live);
void input_log_destroy(struct input_log *log);

// What the machine is built on. Valid for the log's life.
const struct host *input_log_host(struct input_log *log);

// The door stamps with this clock. Once, after the machine exists, before it runs.
void input_log_set_clock(struct input_log *log, const struct vclock *clock);

// replay/inputs.def: one row a kind.
enum input_kind {
#define INPUT(name, help) INPUT_##name,
#include "replay/inputs.def"
#undef INPUT
    INPUT_KIND_COUNT
};

const char *input_kind_name(enum input_kind kind);

#define INPUT_LINES_MAX 8 // values of a record's line

struct input_record {
    u64 step, vtime_ns, seq; // IDLE_END: vtime at the end of the wait
    enum input_kind kind;
    u8 line;         // serial line; CPU of WRITE_...; kind of event
    u32 size;        // bytes that follow
    const u8 *bytes; // valid until the log is cut
};

u64 input_log_count(const struct input_log *log);
const struct input_record *input_log_get(const struct input_log *log, u64 seq);
// From a file: appends a record behind all others; record->seq is ignored, its bytes are copied.
void input_log_append(struct input_log *log, const struct input_record *record);

// Moving. The position is the seq of the record that comes next; it is part of a checkpoint. Order:
// input_log_seek() first, while the machine still stands where it was (the log notes how far
// history reaches), then the machine's state is loaded.
u64 input_log_position(const struct input_log *log);
void input_log_seek(struct input_log *log, u64 position);

// How far history reaches.
void input_log_end(const struct input_log *log, u64 *step, u64 *vtime_ns);
// True if what the machine does next is history: it stands before the end.
bool input_log_is_history(const struct input_log *log);

// A recording: history ends at this state, and a run that gets there ends with MACHINE_EXIT_HOST.
void input_log_set_end(struct input_log *log, u64 step, u64 vtime_ns);
// The last MACHINE_EXIT_HOST came from there, not from the outside.
bool input_log_is_at_end(const struct input_log *log);

// What lay ahead is no longer history, nor does the run end there: it goes on live from here.
void input_log_cut(struct input_log *log);
// How often that has undone history.
u64 input_log_cuts(const struct input_log *log);

// Output of steps that have been shown is not shown again; muted, none is.
void input_log_mute(struct input_log *log, bool muted);

// A debugger's writes are inputs too. They are made (after input_log_cut()) where machine_run()'s
// until stops, at the first state of a step, and change the machine at once. When history is run
// again, whoever drives the machine runs it no further than input_log_next_write(), and there calls
// input_log_apply_writes(), which makes all writes of that step.
void input_log_write_regs(struct input_log *log, struct machine *m, unsigned cpu,
                          const struct cpu_regs *regs);
// An FXSAVE64 image.
void input_log_write_fpu(struct input_log *log, struct machine *m, unsigned cpu,
                         const u8 image[CPU_FPU_BYTES]);
// Whether a kind of input is a debugger's write.
bool input_kind_is_write(enum input_kind kind);
// False, nothing written: the range is not all RAM.
bool input_log_write_memory(struct input_log *log, struct machine *m, u64 gpa, const u8 *bytes,
                            u32 size);
// The step of the next write that lies ahead, UINT64_MAX: none.
u64 input_log_next_write(const struct input_log *log);
void input_log_apply_writes(struct input_log *log, struct machine *m);

// The records do not fit what the machine does: it is not the machine they were made with (or a bug
// of ours). text (line) says what was expected where. False: all is well so far.
bool input_log_diverged(const struct input_log *log, char *line, size_t size);

// Called before the outside is asked to wait while every CPU is halted. NULL ends it.
void input_log_on_idle(struct input_log *log, void (*fn)(void *ctx), void *ctx);

#endif
