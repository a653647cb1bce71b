// SPDX-License-Identifier: MIT
// The door on a POSIX host: terminal and pipes as serial lines, signals, the time limit, and the
// pace of idle time.
#ifndef VIV_HOST_POSIX_DOOR_H
#define VIV_HOST_POSIX_DOOR_H

#include "host/host.h"
#include "host/posix_input.h"

struct posix_door;

enum posix_pace {
    POSIX_PACE_AUTO, // sleep through idle time while a terminal or a window is attached
    POSIX_PACE_HOST, // always sleep
    POSIX_PACE_NONE, // never sleep
};

struct posix_door_config {
    enum posix_pace pace;
    u64 time_limit_ns; // of host time; 0: none
};

// Why the outside ended the run.
enum posix_door_end {
    POSIX_DOOR_OPEN,
    POSIX_DOOR_QUIT,   // Ctrl-A x
    POSIX_DOOR_SIGNAL, // SIGTERM, SIGINT, SIGHUP, SIGQUIT: detail is the number
    POSIX_DOOR_TIME_LIMIT,
    POSIX_DOOR_WINDOW_CLOSED, // and the guest did not switch itself off
    POSIX_DOOR_OUTPUT_CLOSED, // the reader of standard output has gone
    POSIX_DOOR_OUTPUT_FAILED, // detail is errno
};

// Blocks the ending signals of this thread and takes them at slice ends. One per process.
struct status posix_door_create(struct posix_door **out, const struct posix_door_config *config);
// Writes what is buffered, restores the terminal and the signals.
void posix_door_destroy(struct posix_door *door);

struct host_door posix_door_host(struct posix_door *door);

// A connection that may want the machine to stop: a debugger's. asked() is called at slice ends and
// when fd wakes a sleeping guest; true ends the run (MACHINE_EXIT_HOST) while the door stays open.
struct posix_attention {
    int fd;
    bool (*asked)(void *ctx);
    void *ctx;
};
// Copied; NULL: nobody.
void posix_door_set_attention(struct posix_door *door, const struct posix_attention *attention);
// Somebody who shows what the machine does: a window. look() is called at slice ends and before and
// in idle waits; it says after how long it wants to be called again should the guest sleep on, in
// ns of host time (UINT64_MAX: it need not). Copied; NULL: nobody.
struct posix_watcher {
    u64 (*look)(void *ctx);
    void *ctx;
};
void posix_door_set_watcher(struct posix_door *door, const struct posix_watcher *watcher);

// Keys and mouse come from there from now on; it stays the caller's and outlives the door's use.
// When the power button was pressed and the guest still runs POSIX_CLOSE_SECONDS later, the run
// ends. Before the first machine_run().
#define POSIX_CLOSE_SECONDS 5
void posix_door_set_input(struct posix_door *door, struct posix_input *input);

// The machine stands still: sleeps until one of the descriptors can be read. False: the outside
// ends the run. Keys that are typed meanwhile are kept for the guest.
bool posix_door_wait(struct posix_door *door, const int *fds, unsigned count);
enum posix_door_end posix_door_why(const struct posix_door *door, int *detail);

// Serial lines. They live as long as the door; write buffers are flushed at slice ends, before idle
// time and in order.

// The terminal on standard input and output. raw: every key goes to the guest but Ctrl-A (x quits,
// h helps, Ctrl-A sends itself); else the terminal edits lines and its keys send signals. Input is
// asynchronous.
struct host_serial posix_serial_terminal(struct posix_door *door, bool raw);
// Input is read synchronously from in_fd (-1: none will ever come, yet the carrier stays up);
// output goes to out_fd
// (-1: dropped). The descriptors stay the caller's.
struct host_serial posix_serial_stream(struct posix_door *door, int in_fd, int out_fd);
// The same, but once begun input is asynchronous, as a terminal's is: for a guest that must not
// stand still until some comes. In the place of posix_serial_terminal().
struct host_serial posix_serial_async(struct posix_door *door, int in_fd, int out_fd);
// Output to a new file, no input.
struct status posix_serial_file(struct posix_door *door, const char *path, struct host_serial *out);

// The run is over: writes what is buffered and gives the terminal back, so that messages can
// follow.
void posix_door_end_terminal(struct posix_door *door);

// Writes all buffered output now.
void posix_door_flush(struct posix_door *door);

#endif
