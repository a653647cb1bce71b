// SPDX-License-Identifier: MIT
// The gdb stub: serves one gdb after another over a link that somebody else opens, by means of the
// debugger's target alone.
#ifndef VIV_GDBSTUB_SERVER_H
#define VIV_GDBSTUB_SERVER_H

#include "debugger/target.h"

struct gdb_server;

// The connection, as the outside provides it.
struct gdb_link_ops {
    // Takes up to room bytes that have come. > 0: so many; < 0: gdb is gone. 0: nothing now; if
    // wait, the link has slept until something came, and 0 means that the run is to end (a signal,
    // the time limit).
    long (*read)(void *ctx, u8 *bytes, size_t room, bool wait);
    // Everything or false: gdb is gone.
    bool (*write)(void *ctx, const u8 *bytes, size_t size);
};

struct gdb_link {
    const struct gdb_link_ops *ops;
    void *ctx;
};

// Why serving ended.
enum gdb_outcome {
    GDB_GONE,     // the connection broke: the machine stands where it is
    GDB_DETACHED, // gdb let go: the run goes on
    GDB_KILLED,   // gdb wants the run to end
    GDB_EXITED,   // the guest has ended and gdb knows
    GDB_OUTSIDE,  // the link said that the run is to end
};

struct gdb_server *gdb_server_create(void);
void gdb_server_destroy(struct gdb_server *s);

// target_config.cancel for the target that is served, ctx: the server. True while gdb wants the
// guest to stop. Never blocks.
bool gdb_server_cancel(void *server);

// Serves one gdb from a halted machine until it goes; its breakpoints are gone afterwards too.
enum gdb_outcome gdb_server_serve(struct gdb_server *s, struct target *t, struct gdb_link link);

#endif
