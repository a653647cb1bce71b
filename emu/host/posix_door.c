// SPDX-License-Identifier: MIT
// Signals, the time limit, slice ends and idle time.
#include "host/posix_door.h"

#include "base/check.h"
#include "base/memory.h"
#include "host/posix_clock.h"
#include "host/posix_door_internal.h"
#include "host/posix_terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

// A guest that was busy may be behind the host's clock; more than this is forgotten rather than
// caught up.
#define LAG_MAX_NS 50000000

// A long wait is left so often, so that a recording gets to note how far it has come.
#define WAIT_MAX_NS 250000000
// Keys that end a wait are told of before the time that it took is added: a held key would repeat
// too early by as much.
#define WAIT_MAX_TYPING_NS 50000000

// A guest that asked for synchronous input gets it once it sleeps for longer than this, or has
// computed this long.
#define INPUT_PATIENCE_NS 20000000
#define INPUT_PATIENCE_SLICES 64

static void ending_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGQUIT);
}

static struct status start_timer(struct posix_door *door)
{
    door->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (door->timer_fd < 0) {
        return status_error(STATUS_BAD_INPUT, "timerfd: %s", strerror(errno));
    }
    struct itimerspec limit = {
        .it_value = {.tv_sec = (time_t)(door->config.time_limit_ns / 1000000000u),
                     .tv_nsec = (long)(door->config.time_limit_ns % 1000000000u)},
    };
    timerfd_settime(door->timer_fd, 0, &limit, NULL);
    return status_success();
}

struct status posix_door_create(struct posix_door **out, const struct posix_door_config *config)
{
    struct posix_door *door = xcalloc(1, sizeof(*door));
    door->config = *config;
    door->timer_fd = -1;
    sigset_t set;
    ending_signals(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    door->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    struct status s = status_success();
    if (door->signal_fd < 0) {
        s = status_error(STATUS_BAD_INPUT, "signalfd: %s", strerror(errno));
    } else if (config->time_limit_ns) {
        s = start_timer(door);
    }
    if (!status_ok(&s)) {
        posix_door_destroy(door);
        return s;
    }
    *out = door;
    return status_success();
}

void posix_door_destroy(struct posix_door *door)
{
    if (!door) {
        return;
    }
    posix_door_flush(door);
    posix_terminal_restore();
    for (unsigned i = 0; i < door->line_count; i++) {
        struct posix_line *line = door->lines[i];
        if (line->owns_out) {
            close(line->out_fd);
        }
        free(line->keys);
        free(line);
    }
    if (door->signal_fd >= 0) {
        close(door->signal_fd);
    }
    if (door->timer_fd >= 0) {
        close(door->timer_fd);
    }
    sigset_t set;
    ending_signals(&set);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    free(door);
}

enum posix_door_end posix_door_why(const struct posix_door *door, int *detail)
{
    *detail = door->end_detail;
    return door->end;
}

void posix_door_finish(struct posix_door *door, enum posix_door_end end, int detail)
{
    if (door->end == POSIX_DOOR_OPEN) {
        door->end = end;
        door->end_detail = detail;
    }
}

bool posix_door_check(struct posix_door *door)
{
    struct signalfd_siginfo info;
    if (read(door->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        posix_door_finish(door, POSIX_DOOR_SIGNAL, (int)info.ssi_signo);
    }
    u64 expirations;
    if (door->timer_fd >= 0 &&
        read(door->timer_fd, &expirations, sizeof(expirations)) == (ssize_t)sizeof(expirations)) {
        posix_door_finish(door, POSIX_DOOR_TIME_LIMIT, 0);
    }
    u64 pressed_ns = door->input ? posix_input_pressed_at(door->input) : 0;
    if (pressed_ns &&
        posix_monotonic_ns() - pressed_ns >= POSIX_CLOSE_SECONDS * UINT64_C(1000000000)) {
        posix_door_finish(door, POSIX_DOOR_WINDOW_CLOSED, 0);
    }
    return door->end != POSIX_DOOR_OPEN;
}

void posix_door_flush(struct posix_door *door)
{
    for (unsigned i = 0; i < door->line_count; i++) {
        posix_line_flush(door->lines[i]);
    }
}

void posix_door_end_terminal(struct posix_door *door)
{
    posix_door_flush(door);
    posix_terminal_restore();
}

// Begins the input that was asked for; true if any did.
static bool start_input(struct posix_door *door)
{
    bool any = false;
    for (unsigned i = 0; i < door->line_count; i++) {
        any = posix_line_start(door->lines[i]) || any;
    }
    return any;
}

void posix_door_set_attention(struct posix_door *door, const struct posix_attention *attention)
{
    door->attention = attention ? *attention : (struct posix_attention){.asked = NULL};
}

void posix_door_set_watcher(struct posix_door *door, const struct posix_watcher *watcher)
{
    door->watcher = watcher ? *watcher : (struct posix_watcher){.look = NULL};
}

void posix_door_set_input(struct posix_door *door, struct posix_input *input)
{
    door->input = input;
}

// When the watcher wants to look again, in ns from now.
static u64 let_watch(const struct posix_door *door)
{
    return door->watcher.look ? door->watcher.look(door->watcher.ctx) : UINT64_MAX;
}

// What was typed at the terminal or in the window is handed on; true if there was anything.
static bool pump(struct posix_door *door)
{
    bool any = door->terminal && posix_line_pump(door->terminal);
    return (door->input && posix_input_pump(door->input)) || any;
}

static bool attached(const struct posix_door *door)
{
    return (door->terminal && !door->terminal->eof) || door->input;
}

static bool attention_asked(const struct posix_door *door)
{
    return door->attention.asked && door->attention.asked(door->attention.ctx);
}

static bool poll_door(void *ctx, bool slice_end)
{
    struct posix_door *door = ctx;
    posix_door_flush(door);
    for (unsigned i = 0; slice_end && i < door->line_count; i++) {
        struct posix_line *line = door->lines[i];
        if (line->asked && !line->started && ++line->slices_since_asked == INPUT_PATIENCE_SLICES) {
            posix_line_start(line);
        }
    }
    pump(door);
    let_watch(door);
    return posix_door_check(door) || attention_asked(door);
}

// Sleeps until something is to be looked at, at most timeout_ns (UINT64_MAX: without limit).
static void sleep_for(struct posix_door *door, u64 timeout_ns)
{
    struct pollfd fds[5] = {{.fd = door->signal_fd, .events = POLLIN},
                            {.fd = door->timer_fd, .events = POLLIN},
                            {.fd = -1, .events = POLLIN},
                            {.fd = -1, .events = POLLIN},
                            {.fd = -1, .events = POLLIN}};
    if (door->input) {
        fds[4].fd = posix_input_fd(door->input);
    }
    if (door->attention.asked) {
        fds[3].fd = door->attention.fd;
    }
    if (door->terminal && posix_line_wants(door->terminal)) {
        fds[2].fd = door->terminal->in_fd;
    }
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
                               .tv_nsec = (long)(timeout_ns % 1000000000u)};
    ppoll(fds, 5, timeout_ns == UINT64_MAX ? NULL : &timeout, NULL);
}

// Waits in host time for the vtime interval now..deadline; returns the vtime reached.
static u64 idle_paced(struct posix_door *door, u64 now_ns, u64 deadline_ns)
{
    u64 begin = posix_monotonic_ns();
    if (!door->paced) {
        door->paced = true;
        door->last_host_ns = begin;
        door->last_vtime_ns = now_ns;
    }
    door->lag_ns += (s64)(begin - door->last_host_ns) - (s64)(now_ns - door->last_vtime_ns);
    door->lag_ns = door->lag_ns > LAG_MAX_NS ? LAG_MAX_NS : door->lag_ns;
    door->lag_ns = door->lag_ns < -LAG_MAX_NS ? -LAG_MAX_NS : door->lag_ns;
    u64 due = begin + (deadline_ns - now_ns) - (u64)door->lag_ns;
    bool came = false, pausing = false;
    u64 wait_max_ns = door->input ? WAIT_MAX_TYPING_NS : WAIT_MAX_NS;
    u64 host = begin;
    while (!came && !door->end && !pausing &&
           (deadline_ns == UINT64_MAX || (s64)(due - host) > 0)) {
        u64 left = begin + wait_max_ns - host, look = let_watch(door);
        left = deadline_ns == UINT64_MAX || left < due - host ? left : due - host;
        sleep_for(door, look < left ? look : left);
        came = pump(door) || attention_asked(door);
        posix_door_check(door);
        host = posix_monotonic_ns();
        pausing = host - begin >= wait_max_ns;
    }
    u64 reached = deadline_ns;
    if ((came || door->end || pausing) && host - begin < deadline_ns - now_ns) {
        reached = now_ns + (host - begin);
    }
    door->lag_ns += (s64)(host - begin) - (s64)(reached - now_ns);
    door->last_host_ns = host;
    door->last_vtime_ns = reached;
    return reached;
}

static u64 idle_door(void *ctx, u64 now_ns, u64 deadline_ns)
{
    struct posix_door *door = ctx;
    posix_door_flush(door);
    if (deadline_ns - now_ns > INPUT_PATIENCE_NS && start_input(door)) {
        return now_ns;
    }
    if (pump(door) || door->end != POSIX_DOOR_OPEN || attention_asked(door)) {
        return now_ns;
    }
    if (deadline_ns == UINT64_MAX && !attached(door)) {
        return HOST_IDLE_FOREVER;
    }
    bool paced =
        door->config.pace == POSIX_PACE_HOST ||
        (door->config.pace == POSIX_PACE_AUTO && attached(door));
    if (paced || deadline_ns == UINT64_MAX) {
        return idle_paced(door, now_ns, deadline_ns);
    }
    return deadline_ns;
}

bool posix_door_wait(struct posix_door *door, const int *fds, unsigned count)
{
    struct pollfd all[8] = {{.fd = door->signal_fd, .events = POLLIN},
                            {.fd = door->timer_fd, .events = POLLIN}};
    CHECK(count <= ARRAY_LEN(all) - 3);
    posix_door_flush(door);
    while (!posix_door_check(door)) {
        bool typing = door->terminal && posix_line_wants(door->terminal);
        all[2] = (struct pollfd){.fd = typing ? door->terminal->in_fd : -1, .events = POLLIN};
        for (unsigned i = 0; i < count; i++) {
            all[3 + i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
        }
        ppoll(all, 3 + count, NULL, NULL);
        if (all[2].revents) {
            posix_line_pump(door->terminal);
        }
        for (unsigned i = 0; i < count; i++) {
            if (all[3 + i].revents) {
                return !posix_door_check(door);
            }
        }
    }
    return false;
}

static const struct host_door_ops door_ops = {.poll = poll_door, .idle = idle_door};

struct host_door posix_door_host(struct posix_door *door)
{
    return (struct host_door){.ops = &door_ops, .ctx = door};
}
