// SPDX-License-Identifier: MIT
// Being told of executions and accesses, and stopping at exact places, without changing what
// happens: what breakpoints, watchpoints and "who wrote this byte" are made of.
#ifndef VIV_MACHINE_WATCH_H
#define VIV_MACHINE_WATCH_H

#include "machine/machine.h"

enum watch_kind {
    WATCH_EXECUTE = 1,  // an instruction at a linear address is about to be executed
    WATCH_READ = 2,     // a CPU reads a linear range
    WATCH_WRITE = 4,    // a CPU writes a linear range
    WATCH_PHYSICAL = 8, // anything writes a guest physical RAM range: CPUs under every alias, the
                        // page walker's A and D bits, DMA
};

struct watch_range {
    u64 first; // linear, or guest physical for WATCH_PHYSICAL
    u64 size;  // bytes; 1 for WATCH_EXECUTE
    u8 kinds;  // enum watch_kind, or-ed; WATCH_PHYSICAL and WATCH_EXECUTE stand alone
};

enum watch_source { WATCH_BY_CPU, WATCH_BY_WALK, WATCH_BY_DEVICE };

struct watch_hit {
    enum watch_kind kind;
    enum watch_source source;
    unsigned cpu;   // whose instruction or walk; of the last run for a device
    bool restarted; // WATCH_EXECUTE: RFLAGS.RF was set, so the instruction goes on or tries again
                    // after an interrupt or fault, and may have been told before
    u64 step;       // the state before the instruction (by a device: the state at the boundary)
    u64 rip;        // of the instruction
    u64 address;    // first byte touched: linear, or guest physical for WATCH_PHYSICAL
    u32 size;       // bytes touched by this access (it may reach outside the range)
    u8 bytes[64];   // what is written, as far as size goes; reads: what is there
};

// True: stop. WATCH_EXECUTE stops before the instruction, the others as soon as the instruction (or
// one iteration of a REP) has ended. Registers are readable through cpu_get_regs() in
// WATCH_EXECUTE; in the others they are in mid-instruction. Writes are told before memory changes,
// so that the old bytes can still be read (cpu_debug_read). Must not change the machine nor what is
// watched.
//
// - Each attempt to execute is told that gets past its fetch, also one that then faults; attempts
//   whose fetch faults are not. A stop before an instruction leaves the state before it, except
//   that the events due at that step have happened and input due there was taken.
// - Accesses are told that have passed their checks: one that faults is not, but an earlier one of
//   an instruction that then faults is (and an earlier write has indeed changed memory).
// - A read-modify-write is a read and a write, also where nothing changes: a CMPXCHG that fails
//   writes back what was there, as processors do. Accesses longer than 32 bytes come in pieces.
// - Fetches are no reads; the walker's reads of page tables are no reads either.
// - Only what happens within machine_run() is told: not loaders, snapshots and debuggers.
typedef bool (*watch_fn)(void *ctx, const struct watch_hit *hit);

// Replaces what ctx watches; count 0 ends it, with ctx NULL for everybody. Up to WATCHERS_MAX
// watchers, told apart by ctx, hear of their own ranges, in the order in which they came. The
// ranges are copied. Costs nothing where nothing is watched: only instructions at the given page
// offsets and pages with a range leave the fast path. Cheap to call: its cost grows with the
// ranges, not with what is cached. Only between runs.
#define WATCHERS_MAX 4
void machine_set_watch(struct machine *m, const struct watch_range *ranges, unsigned count,
                       watch_fn fn, void *ctx);

// Nothing is told while muted, at no cost; what is watched is kept. Between runs, in pairs, and not
// around machine_set_watch().
void machine_mute_watch(struct machine *m, bool muted);

// machine_run() ignores WATCH_EXECUTE at the very state (step) it begins in, so that going on from
// a breakpoint works. After this call the next run does not: for searches that run in intervals.
void machine_watch_first(struct machine *m);

// After MACHINE_EXIT_STOPPED: true if the machine stands where a run until this step would have
// ended; false if events due at this step may have fired already.
bool machine_is_at_step(const struct machine *m);

// Runs from now on end with MACHINE_EXIT_STOPPED, once, after the next step of this CPU; all others
// go on by the schedule until then. Between runs.
void machine_stop_after_step(struct machine *m, unsigned cpu);
// It has happened; false: not yet, or machine_stop_after_step() was never called. Ends the wish.
bool machine_stopped_after_step(struct machine *m);

// The state before this CPU's last step since a state was last loaded; UINT64_MAX: none since.
u64 machine_last_step(const struct machine *m, unsigned cpu);

// Ends machine_run() with MACHINE_EXIT_STOPPED after the current instruction or delivery: for probe
// sinks, watchers and doors. Never changes what happens. Called between runs, it ends the next one
// before it begins.
void machine_stop_soon(struct machine *m);

#endif
