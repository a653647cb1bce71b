// SPDX-License-Identifier: MIT
// --gdb: the listening socket, one gdb after another, and what happens between them.
#ifndef VIV_FRONTENDS_GDB_H
#define VIV_FRONTENDS_GDB_H

#include "frontends/outcome.h"

// Runs the session's machine under whoever connects to o->gdb, halted at first, until the guest has
// ended, gdb killed it or the door ended the run (MACHINE_EXIT_HOST for the latter two). With
// o->record, what happened is a recording in the end, a debugger's writes included. The session
// needs a log of its inputs.
struct machine_result gdb_run(struct session *s, const struct run_options *o, struct status *error);
// The same as the whole of a command: under gdb a recording, too, may be left for a branch, which
// takes live input. Returns the process's status.
int gdb_main(struct session *s, const struct run_options *o, struct outcome_watch *w);

#endif
