// SPDX-License-Identifier: MIT
// A machine in time: its log of inputs, its checkpoints, and moving to any step. The one way in
// which debuggers, replays and queries run a machine.
#ifndef VIV_REPLAY_TIMELINE_H
#define VIV_REPLAY_TIMELINE_H

#include "host/overlay.h"
#include "machine/machine.h"
#include "replay/input_log.h"

struct timeline;

#define TIMELINE_MEMORY_DEFAULT (UINT64_C(1) << 30)

// Takes a loaded machine that was built on input_log_host(log), with the log's clock set. All stay
// the caller's. From here on only the timeline runs the machine. memory_bytes bounds the
// checkpoints (the first and the last one passed are kept whatever they hold; far from where the
// machine is, the others are thinned).
struct timeline *timeline_create(struct machine *m, struct input_log *log, u64 memory_bytes);
void timeline_destroy(struct timeline *t);

// Every disk of the machine that is written is an overlay, and told here before anything runs: its
// blocks belong to the checkpoints. They outlive the timeline.
void timeline_add_disk(struct timeline *t, struct overlay *disk);

// A guest reset boots again: boot() resets the machine, clears its memory and loads the same files
// as the first time. Without it a reset ends the run (MACHINE_EXIT_RESET), as a command's does.
void timeline_set_boot(struct timeline *t, struct status (*boot)(void *ctx), void *ctx);
// Why the last boot() failed, which ended the run with MACHINE_EXIT_RESET.
struct status timeline_boot_status(const struct timeline *t);

// Checkpoints that lie elsewhere, in a recording's file. find: the step of the last one at or
// before step, false if there is none. restore: the machine, its disks and the log become what they
// were there; after an error the timeline restores them itself and asks no more.
struct timeline_store {
    bool (*find)(void *ctx, u64 step, u64 *found_step);
    struct status (*restore)(void *ctx, u64 found_step);
    void *ctx;
};
void timeline_set_store(struct timeline *t, const struct timeline_store *store);

// How the recorded run ended, if the machine ended it itself: what runs give at the recording's end
// (else MACHINE_EXIT_HOST).
void timeline_set_end_result(struct timeline *t, const struct machine_result *result);

// fn is called at the first state of every step that is a multiple of every_steps, each time the
// machine runs forward into it, before a debugger's writes of that step. It changes nothing.
void timeline_on_step(struct timeline *t, u64 every_steps, void (*fn)(void *ctx), void *ctx);

struct machine *timeline_machine(const struct timeline *t);
struct input_log *timeline_log(const struct timeline *t);
u64 timeline_step(const struct timeline *t);  // where we are
u64 timeline_begin(const struct timeline *t); // the first step that can be reached
// The last step known: of the recording, or the furthest this live run has been. Beyond it a replay
// ends, a live run goes on.
u64 timeline_end(const struct timeline *t);
bool timeline_is_live(const struct timeline *t); // running forward at timeline_end() makes history
// The machine stands at the first state of its step, where seeks arrive. Runs that were stopped may
// stand later in it: events that were due have fired, idle time has passed.
bool timeline_is_at_step(const struct timeline *t);

// Forward, as machine_run(): plays the log as far as it goes, then takes live input (or, in a
// replay, ends with MACHINE_EXIT_HOST; timeline_at_end() tells). Output of steps that ran before is
// not shown again. Past the guest's power-off or the like it does not go: the result is the same
// again. Leaves checkpoints behind. WATCH_EXECUTE is told at the state it begins in, too: who goes
// on from a breakpoint answers false there.
struct machine_result timeline_run(struct timeline *t, u64 until_step);
bool timeline_at_end(const struct timeline *t);

// To any step between begin and end, forwards or back, without output. Cancelled (false, somewhere
// on the way, still consistent) when cancel(ctx) says so; it is asked every few milliseconds and
// may be NULL. Watches (machine_set_watch) and probes are quiet on the way.
bool timeline_seek(struct timeline *t, u64 step, bool (*cancel)(void *ctx), void *ctx);

// Like timeline_run() for a range that has been run before: watches and probes are on, nothing is
// shown; a scan of history. Stops where a watch stops or machine_stop_soon() was called.
struct machine_result timeline_scan(struct timeline *t, u64 until_step);

// The nearest checkpoint at or before step: from where a scan of [.., step) begins.
u64 timeline_checkpoint_before(const struct timeline *t, u64 step);
// Takes one here, if this is the first state of a step. Seeks leave dense ones before the place
// they go to, so that the next step back is quick.
void timeline_checkpoint(struct timeline *t);
// For figures: how many there are, and the memory they hold in bytes.
unsigned timeline_checkpoint_count(const struct timeline *t);
u64 timeline_checkpoint_bytes(const struct timeline *t);

// A debugger's write to registers or memory follows (input_log_write_...): what lay after this step
// is no longer its future. The log is cut here and the run goes on live (without an outside if
// there is none). The machine is brought to the first state of its step if it is not there.
void timeline_branch(struct timeline *t);

// Per page: the epoch bookkeeping for queries. True if RAM page rpn may have been written in steps
// (from, to]; exact at checkpoints, else conservative.
bool timeline_page_dirty(const struct timeline *t, u32 rpn, u64 from, u64 to);

#endif
