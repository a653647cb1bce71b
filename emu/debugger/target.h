// SPDX-License-Identifier: MIT
// The debugger's core, and the only thing a user interface (terminal, gdb stub, scripts) sees:
// execution control forwards and back, breakpoints, registers, memory, events, and what the guest's
// kernel knows. Every call is synchronous; addresses are linear unless they say physical.
#ifndef VIV_DEBUGGER_TARGET_H
#define VIV_DEBUGGER_TARGET_H

#include "base/status.h"
#include "debugger/guest.h"
#include "debugger/symbols.h"
#include "replay/timeline.h"
#include "trace/ledger.h"

#include <stdio.h>

struct target;

struct target_config {
    struct timeline *timeline; // the target runs it from now on; stays the caller's
    struct symbols *symbols;   // of the kernel and programs; may be NULL; stays the caller's
    // Asked every few milliseconds while anything runs or is searched: true cancels (Ctrl-C, a key,
    // a byte from gdb). While it is NULL nothing can be cancelled.
    bool (*cancel)(void *ctx);
    void *ctx;
};

struct target *target_create(const struct target_config *config);
void target_destroy(struct target *t);
struct timeline *target_timeline(struct target *t);
struct machine *target_machine(struct target *t);
struct symbols *target_symbols(struct target *t); // NULL: none given
// The CPU that moves and expressions refer to, and the task it runs (0: unknown).
unsigned target_cpu(const struct target *t);
// A stop makes it the CPU where it happened; this chooses another that exists.
void target_select_cpu(struct target *t, unsigned cpu);
int target_pid(struct target *t);
u64 target_step(const struct target *t);
// What is known of the guest's kernel; NULL where no known kernel's symbols were given.
struct guest *target_guest(struct target *t);

// --- why it stands still ---------------------------------------------------------------------
enum target_stop_kind {
    TARGET_STOP_START,      // nothing has run yet
    TARGET_STOP_STEP,       // the steps asked for are done
    TARGET_STOP_BREAKPOINT, // number
    TARGET_STOP_WATCHPOINT, // number, address, old and new value
    TARGET_STOP_CATCH,      // number: an event that is caught
    TARGET_STOP_SEEK,       // arrived
    TARGET_STOP_CANCELLED,
    TARGET_STOP_HISTORY_BEGIN,
    TARGET_STOP_HISTORY_END, // nothing further that way
    TARGET_STOP_EXIT,        // the guest powered off, reset, shut down, or waits for nothing
};

struct target_stop {
    enum target_stop_kind kind;
    int number; // of the breakpoint, watchpoint or catch
    unsigned cpu;
    u64 step;
    u64 address, old_value, new_value; // watchpoints
    u32 catches;                  // TARGET_STOP_CATCH: the enum target_catch bit of what happened
    s64 caught;                   // ... and its number: system call, vector, port, MSR
    struct machine_result result; // TARGET_STOP_EXIT
    char text[160]; // for people, always filled: "breakpoint 2 at sys_execve (exec.c:120)"
};

const struct target_stop *target_last_stop(const struct target *t);

// --- moving ----------------------------------------------------------------------------------
// All return the stop, valid until the next movement.
enum target_direction { TARGET_FORWARD, TARGET_BACK };
// What a movement goes to the next or previous one of.
enum target_unit {
    TARGET_INSTRUCTION, // one step (deliveries are steps of their own)
    TARGET_NEXT,        // the same, over calls, syscalls, interrupts and faults: until the same
                        // stack depth and task again
    TARGET_LINE,        // source line, into calls
    TARGET_NEXT_LINE,   // source line, over calls
    TARGET_FINISH,      // out of the current function (back: to its call)
    TARGET_TRANSITION,
    TARGET_SYSCALL,
    TARGET_FAULT,
    TARGET_INTERRUPT,
    TARGET_SWITCH, // events
    TARGET_USER,   // user mode (of the current task)
    TARGET_OWN,    // one instruction in its ring: into calls, over system calls, interrupts and
                   // faults
};
const struct target_stop *target_move(struct target *t, enum target_direction direction,
                                      enum target_unit unit, u64 count);
const struct target_stop *target_continue(struct target *t, enum target_direction direction);
// Forward at most so many steps: for interfaces that draw while the guest runs.
const struct target_stop *target_run_slice(struct target *t, u64 steps);
const struct target_stop *target_seek(struct target *t, u64 step);

// --- breakpoints, watchpoints, catches -------------------------------------------------------
enum target_point_kind {
    TARGET_POINT_BREAK,
    TARGET_POINT_WATCH_WRITE,
    TARGET_POINT_WATCH_READ,
    TARGET_POINT_WATCH_ACCESS,
    TARGET_POINT_CATCH
};
enum target_catch {
    TARGET_CATCH_SYSCALL = 1,
    TARGET_CATCH_SYSCALL_RETURN = 2,
    TARGET_CATCH_FAULT = 4,
    TARGET_CATCH_INTERRUPT = 8,
    TARGET_CATCH_RING = 16,
    TARGET_CATCH_CR3 = 32,
    TARGET_CATCH_MSR = 64,
    TARGET_CATCH_IO = 128,
    TARGET_CATCH_EXCEPTION = 256,
};
struct target_point {
    int number; // assigned, from 1
    enum target_point_kind kind;
    u64 address, size;   // size: watchpoints
    u32 catches;         // enum target_catch
    s64 selector;        // of a catch: system call number, vector, port, MSR; -1: all
    char program[32];    // only in tasks that run a program of this base name; "": in all
    int pid;             // only in this task; 0: in all
    char condition[120]; // an expression (expr.h), "" for none
    bool enabled, temporary;
    u64 hits, ignore;
};
struct status target_point_add(struct target *t, const struct target_point *point, int *number);
bool target_point_remove(struct target *t, int number);
struct target_point *target_point_get(struct target *t, int number); // to enable, condition...
unsigned target_point_list(struct target *t, const struct target_point **out, unsigned room);

// --- registers and memory --------------------------------------------------------------------
void target_get_regs(struct target *t, unsigned cpu, struct cpu_regs *out);
// The SSE and x87 state as FXSAVE64 stores it (SDM 1 10.5.1).
void target_get_fpu(struct target *t, unsigned cpu, u8 out[CPU_FPU_BYTES]);
// Writes make a branch (timeline_branch).
void target_set_regs(struct target *t, unsigned cpu, const struct cpu_regs *regs);
void target_set_fpu(struct target *t, unsigned cpu, const u8 in[CPU_FPU_BYTES]);
// Bytes read or written up to the first unmapped one; no side effects on the guest.
u64 target_read(struct target *t, u64 linear, void *out, u64 size);
u64 target_read_physical(struct target *t, u64 gpa, void *out, u64 size);
u64 target_write(struct target *t, u64 linear, const void *in, u64 size);
u64 target_write_physical(struct target *t, u64 gpa, const void *in, u64 size);

// --- queries over history --------------------------------------------------------------------
struct target_writer {
    bool found;
    u64 step; // the state before the write
    u64 rip;
    unsigned cpu;
    u8 source; // enum watch_source
    int pid;
    u8 bytes[8];
    u32 size; // of bytes: what was written of the range asked about, at most 8
};
// The last write before here to the byte(s) now behind linear (or at a physical address).
struct target_writer target_who_wrote(struct target *t, u64 address, u64 size, bool physical);
// The last writers of the page-table entries that map linear now: [0] the root's.
unsigned target_when_mapped(struct target *t, u64 linear, struct target_writer out[4]);
// The last execution before here of the instruction at linear; false: never.
bool target_when_executed(struct target *t, u64 linear, u64 *step);

// --- events ----------------------------------------------------------------------------------
// The ledger around here: rows are rebuilt when time is travelled, so that they always tell of the
// steps before target's own.
const struct ledger *target_ledger(struct target *t);
// All that is known of transitions and faults, past and (after travelling back) to come.
struct events;
const struct events *target_events(struct target *t);

// --- commands --------------------------------------------------------------------------------
// One line in the debugger's language (commands.def); output as text. False: unknown or failed, the
// text says why.
bool target_command(struct target *t, const char *line, FILE *out);
// Completions of the line's last word, one a line.
void target_complete(struct target *t, const char *line, FILE *out);

// The quit command was given.
bool target_quit_wanted(const struct target *t);

#endif
