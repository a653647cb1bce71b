// SPDX-License-Identifier: MIT
// Backtraces: frame by frame by unwind tables, else by frame pointers, from the kernel through the
// saved registers of the entry into the user's program.
#ifndef VIV_DEBUGGER_BACKTRACE_H
#define VIV_DEBUGGER_BACKTRACE_H

#include "debugger/guest.h"
#include "debugger/walk.h"

#include <stdio.h>

#define BACKTRACE_MAX 64

struct backtrace_frame {
    u64 rip, rsp, rbp;
    bool exact; // rip is the next instruction, not a return address (innermost, trap, signal)
    enum symbol_unwind_how how; // how this frame was found
};
// The frames of a CPU as it stands; at most room. Returns how many.
unsigned backtrace_cpu(const struct machine *m, unsigned cpu, struct symbols *symbols,
                       struct backtrace_frame *out, unsigned room);
// Those of a task: as backtrace_cpu if it runs, else from where it was switched away. 0: unknown.
unsigned backtrace_task(const struct machine *m, struct guest *g, const struct guest_task *task,
                        struct symbols *symbols, struct backtrace_frame *out, unsigned room);
unsigned backtrace_from(const struct walk_space *space, struct symbols *symbols,
                        const struct symbol_frame *start, struct backtrace_frame *out,
                        unsigned room);
// "#0  0xffffffff80212345 sys_openat+0x25 (open.c:120)", a line each; a rule where user frames
// begin.
void backtrace_print(FILE *out, struct symbols *symbols, const struct backtrace_frame *frames,
                     unsigned count);

#endif
