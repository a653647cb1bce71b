// SPDX-License-Identifier: MIT
// Serving gdb on a socket.
#include "frontends/gdb.h"

#include "base/memory.h"
#include "frontends/branch_recorder.h"
#include "frontends/debug_target.h"
#include "gdbstub/server.h"
#include "host/posix_socket.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct gdb_face {
    struct posix_listener *listener;
    struct posix_door *door;
    struct gdb_server *server;
    struct branch_recorder *recorder; // NULL: nothing is recorded
    int peer;                         // the connection, -1: none
    bool running;                     // nobody is connected, the guest runs: a new gdb halts it
};

// One line; the terminal may be raw.
static void say(struct gdb_face *f, const char *format, ...)
{
    char line[300];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof(line), format, list);
    va_end(list);
    posix_door_flush(f->door);
    fprintf(stderr, "viv: %s%s\n", line, isatty(STDERR_FILENO) ? "\r" : "");
}

// A second gdb is sent away, so that it does not wait for the first one's end.
static void refuse_others(struct gdb_face *f)
{
    int other;
    while ((other = posix_accept(f->listener)) >= 0) {
        posix_socket_close(other);
    }
}

static long link_read(void *ctx, u8 *bytes, size_t room, bool wait)
{
    struct gdb_face *f = ctx;
    long n;
    bool woken = false;
    while ((n = posix_socket_read(f->peer, bytes, room)) == 0 && wait) {
        if (woken) { // and not by this gdb: it is still there
            refuse_others(f);
        }
        const int fds[] = {f->peer, posix_listener_fd(f->listener)};
        if (!posix_door_wait(f->door, fds, 2)) {
            return 0;
        }
        woken = true;
    }
    return n;
}

static bool link_write(void *ctx, const u8 *bytes, size_t size)
{
    struct gdb_face *f = ctx;
    return posix_socket_write(f->peer, bytes, size);
}

static const struct gdb_link_ops link_ops = {.read = link_read, .write = link_write};

// For target_config and the door: true while somebody wants the guest to stand still.
static bool cancel(void *face)
{
    struct gdb_face *f = face;
    if (f->recorder) {
        branch_recorder_tick(f->recorder);
    }
    return f->running ? posix_listener_waiting(f->listener) : gdb_server_cancel(f->server);
}

static void attend(struct gdb_face *f, int fd)
{
    struct posix_attention attention = {.fd = fd, .asked = cancel, .ctx = f};
    posix_door_set_attention(f->door, &attention);
}

// Waits for a gdb. False: the outside ends the run.
static bool accept_one(struct gdb_face *f)
{
    int fd = posix_listener_fd(f->listener);
    while ((f->peer = posix_accept(f->listener)) < 0) {
        if (!posix_door_wait(f->door, &fd, 1)) {
            return false;
        }
    }
    return true;
}

static enum gdb_outcome serve(struct gdb_face *f, struct target *t)
{
    attend(f, f->peer);
    struct gdb_link link = {&link_ops, f};
    enum gdb_outcome outcome = gdb_server_serve(f->server, t, link);
    posix_socket_close(f->peer);
    f->peer = -1;
    return outcome;
}

// The guest runs without a gdb. True: one has come, or history ended and one may still look at it.
static bool run_alone(struct gdb_face *f, struct target *t)
{
    attend(f, posix_listener_fd(f->listener));
    f->running = true;
    const struct target_stop *stop = target_continue(t, TARGET_FORWARD);
    while (stop->kind != TARGET_STOP_CANCELLED && stop->kind != TARGET_STOP_EXIT &&
           stop->kind != TARGET_STOP_HISTORY_END) {
        stop = target_continue(t, TARGET_FORWARD); // points that monitor commands left behind
    }
    f->running = false;
    return stop->kind == TARGET_STOP_CANCELLED && posix_listener_waiting(f->listener);
}

static struct machine_result serve_all(struct gdb_face *f, struct target *t)
{
    const struct machine_result by_outside = {.exit = MACHINE_EXIT_HOST};
    const char *name = posix_listener_name(f->listener);
    say(f, "halted at step %llu; waiting for gdb: target extended-remote %s",
        (unsigned long long)timeline_step(target_timeline(t)), name);
    while (accept_one(f)) {
        switch (serve(f, t)) {
        case GDB_GONE:
            say(f, "gdb went away without a word; halted at step %llu, waiting for another at %s",
                (unsigned long long)timeline_step(target_timeline(t)), name);
            break;
        case GDB_DETACHED:
            if (!run_alone(f, t)) {
                return target_last_stop(t)->kind == TARGET_STOP_EXIT ? target_last_stop(t)->result
                                                                     : by_outside;
            }
            break;
        case GDB_EXITED:
            return target_last_stop(t)->result;
        case GDB_KILLED:
        case GDB_OUTSIDE:
            return by_outside;
        }
    }
    return by_outside;
}

static struct machine_result run_session(struct gdb_face *f, struct session *s,
                                         const struct run_options *o)
{
    struct debug_target debug;
    debug_target_open(&debug, s, o, cancel, f);
    if (f->recorder) {
        branch_recorder_watch(f->recorder, debug.timeline);
    }
    struct machine_result result = serve_all(f, debug.target);
    posix_door_set_attention(s->door, NULL);
    debug_target_close(&debug);
    return result;
}

struct machine_result gdb_run(struct session *s, const struct run_options *o, struct status *error)
{
    struct machine_result result = {.exit = MACHINE_EXIT_HOST};
    struct gdb_face f = {.door = s->door, .peer = -1};
    *error = posix_listen(&f.listener, o->gdb, o->gdb_any);
    if (status_ok(error) && o->record) {
        *error = branch_recorder_open(&f.recorder, s, o->record, o->self_contained);
    }
    if (status_ok(error)) {
        f.server = gdb_server_create();
        result = run_session(&f, s, o);
        gdb_server_destroy(f.server);
    }
    if (f.recorder) {
        *error = branch_recorder_close(f.recorder);
    }
    posix_listener_close(f.listener);
    return result;
}

int gdb_main(struct session *s, const struct run_options *o, struct outcome_watch *w)
{
    struct status error;
    outcome_watch_begin(w, s);
    struct machine_result result = gdb_run(s, o, &error);
    posix_door_flush(s->door);
    char line[OUTCOME_LINE] = "";
    int status = outcome_status(s, &result, line);
    outcome_report(s, o, w);
    return outcome_end(&error, status, line);
}
