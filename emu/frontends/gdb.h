// SPDX-License-Identifier: MIT
// --gdb: the listening socket, one gdb after another, and what happens between them.
#ifndef VIV_FRONTENDS_GDB_H
#define VIV_FRONTENDS_GDB_H

#include "base/status.h"
#include "debugger/target.h"
#include "host/posix_door.h"

struct gdb_face;

// Listens at where (posix_listen()). The door, which outlives the face, wakes up
// for it.
struct status gdb_face_open(struct gdb_face **out, const char *where, bool any,
                            struct posix_door *door);
void gdb_face_close(struct gdb_face *f);

// For target_config: cancel, with the face as ctx.
bool gdb_face_cancel(void *face);

// Says where it listens and waits, the machine halted, for a gdb; runs until the guest has ended,
// gdb killed it or the door ended the run. Returns how the machine's run ended; MACHINE_EXIT_HOST
// for the latter two.
struct machine_result gdb_face_run(struct gdb_face *f, struct target *t);

#endif
