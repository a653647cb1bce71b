// SPDX-License-Identifier: MIT
// Keeps all output with the steps it was written at, and rebuilds the panel's terminal where time
// was travelled.
#include "frontends/tui_door.h"

#include "base/memory.h"
#include "host/posix_clock.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COLUMNS 80
#define ROWS 24
#define KEYS_MAX 65536
#define OUTPUT_MAX (4u << 20) // older output is forgotten, by halves

// Output up to (not including) this offset was written before or at this step.
struct mark {
    u64 step;
    size_t end;
};

struct tui_door {
    bool paced;
    struct host_door process;
    const struct vclock *clock;
    u8 *output;
    size_t output_used, output_room;
    struct mark *marks;
    size_t mark_count, mark_room;
    struct tui_vt *vt;
    size_t shown; // output that the terminal has been fed
    u8 *keys;
    size_t keys_used, keys_room;
    void (*ready)(void *dev);
    void *ready_dev;
    u64 allow_until_ns;
    u64 idle_since_host_ns, idle_since_vtime_ns; // of the wait that slices interrupt
    bool in_wait, give_back, told;
};

struct tui_door *tui_door_create(bool paced)
{
    struct tui_door *d = xcalloc(1, sizeof(*d));
    d->paced = paced;
    d->vt = tui_vt_create(COLUMNS, ROWS);
    return d;
}

void tui_door_destroy(struct tui_door *d)
{
    if (d) {
        tui_vt_destroy(d->vt);
        free(d->output);
        free(d->marks);
        free(d->keys);
        free(d);
    }
}

void tui_door_set_clock(struct tui_door *d, const struct vclock *clock)
{
    d->clock = clock;
}

void tui_door_set_process(struct tui_door *d, const struct host_door *process)
{
    d->process = *process;
}

bool tui_door_ends(struct tui_door *d)
{
    return d->process.ops && d->process.ops->poll(d->process.ctx, false);
}

static u64 now_step(const struct tui_door *d)
{
    return d->clock ? d->clock->step : 0;
}

// Forgets the older half.
static void trim(struct tui_door *d)
{
    size_t gone = d->output_used / 2, marks = 0;
    memmove(d->output, d->output + gone, d->output_used - gone);
    d->output_used -= gone;
    for (size_t i = 0; i < d->mark_count; i++) {
        if (d->marks[i].end > gone) {
            d->marks[marks++] = (struct mark){d->marks[i].step, d->marks[i].end - gone};
        }
    }
    d->mark_count = marks;
    d->shown = SIZE_MAX; // begin anew
}

static void write_output(void *ctx, const u8 *bytes, size_t size)
{
    struct tui_door *d = ctx;
    if (d->output_used + size > OUTPUT_MAX) {
        trim(d);
    }
    if (d->output_used + size > d->output_room) {
        d->output_room = (d->output_used + size) * 2;
        d->output = xrealloc(d->output, d->output_room);
    }
    memcpy(d->output + d->output_used, bytes, size);
    d->output_used += size;
    u64 step = now_step(d);
    if (d->mark_count && d->marks[d->mark_count - 1].step == step) {
        d->marks[d->mark_count - 1].end = d->output_used;
        return;
    }
    if (d->mark_count == d->mark_room) {
        d->mark_room = d->mark_room ? d->mark_room * 2 : 256;
        d->marks = xrealloc(d->marks, d->mark_room * sizeof(*d->marks));
    }
    d->marks[d->mark_count++] = (struct mark){step, d->output_used};
}

static long read_keys(void *ctx, u8 *bytes, size_t room)
{
    struct tui_door *d = ctx;
    size_t size = d->keys_used < room ? d->keys_used : room;
    memcpy(bytes, d->keys, size);
    d->keys_used -= size;
    memmove(d->keys, d->keys + size, d->keys_used);
    return (long)size;
}

static void set_ready(void *ctx, void (*ready)(void *dev), void *dev)
{
    struct tui_door *d = ctx;
    d->ready = ready;
    d->ready_dev = dev;
}

static long read_nothing(void *ctx, u8 *bytes, size_t room)
{
    return 0;
}

static void ignore_ready(void *ctx, void (*ready)(void *dev), void *dev)
{
}

static const struct host_serial_ops console_ops = {
    .write = write_output, .read = read_keys, .set_ready = set_ready};
static const struct host_serial_ops output_ops = {
    .write = write_output, .read = read_nothing, .set_ready = ignore_ready};

struct host_serial tui_door_console(struct tui_door *d)
{
    return (struct host_serial){.ops = &console_ops, .ctx = d};
}

struct host_serial tui_door_output(struct tui_door *d)
{
    return (struct host_serial){.ops = &output_ops, .ctx = d};
}

void tui_door_type(struct tui_door *d, const u8 *bytes, size_t size)
{
    if (d->keys_used + size > KEYS_MAX) {
        return;
    }
    if (d->keys_used + size > d->keys_room) {
        d->keys_room = (d->keys_used + size) * 2;
        d->keys = xrealloc(d->keys, d->keys_room);
    }
    memcpy(d->keys + d->keys_used, bytes, size);
    d->keys_used += size;
    d->told = false;
}

// Answers of the terminal are typed as if by a person. True if the port was told of something.
static bool tell_keys(struct tui_door *d)
{
    u8 answer[64];
    tui_door_screen(d, UINT64_MAX);
    size_t size = tui_vt_take_answer(d->vt, answer, sizeof(answer));
    if (size) {
        tui_door_type(d, answer, size);
    }
    if (!d->keys_used || d->told || !d->ready) {
        return false;
    }
    d->told = true;
    d->ready(d->ready_dev);
    return true;
}

static bool poll_door(void *ctx, bool slice_end)
{
    struct tui_door *d = ctx;
    tell_keys(d); // once: a port that has been told reads on as it has room
    return d->give_back || posix_monotonic_ns() >= d->allow_until_ns || tui_door_ends(d);
}

// The vtime that host time has reached since the wait began, at most deadline_ns.
static u64 reached(const struct tui_door *d, u64 deadline_ns)
{
    u64 passed = posix_monotonic_ns() - d->idle_since_host_ns;
    u64 vtime = d->idle_since_vtime_ns + passed;
    return vtime < deadline_ns ? vtime : deadline_ns;
}

static u64 idle_door(void *ctx, u64 now_ns, u64 deadline_ns)
{
    struct tui_door *d = ctx;
    if (d->in_wait && d->keys_used && d->idle_since_vtime_ns == now_ns) {
        d->in_wait = false; // they arrive where host time has come to
        return reached(d, deadline_ns);
    }
    if (tell_keys(d)) {
        return now_ns;
    }
    if (!d->paced && deadline_ns != UINT64_MAX) {
        return deadline_ns;
    }
    if (!d->in_wait || d->idle_since_vtime_ns != now_ns) {
        d->in_wait = true;
        d->idle_since_host_ns = posix_monotonic_ns();
        d->idle_since_vtime_ns = now_ns;
    }
    while (reached(d, deadline_ns) < deadline_ns && posix_monotonic_ns() < d->allow_until_ns) {
        struct pollfd keyboard = {.fd = STDIN_FILENO, .events = POLLIN};
        u64 wait_ns = deadline_ns - reached(d, deadline_ns);
        u64 slice_ns = d->allow_until_ns - posix_monotonic_ns();
        wait_ns = wait_ns < slice_ns ? wait_ns : slice_ns;
        if (poll(&keyboard, 1, (int)(wait_ns / 1000000 + 1)) > 0) {
            break;
        }
    }
    if (deadline_ns != UINT64_MAX && reached(d, deadline_ns) >= deadline_ns) {
        d->in_wait = false;
        return deadline_ns;
    }
    d->give_back = true; // the wait goes on when the run does
    return now_ns;
}

static const struct host_door_ops door_ops = {.poll = poll_door, .idle = idle_door};

struct host_door tui_door_host(struct tui_door *d)
{
    return (struct host_door){.ops = &door_ops, .ctx = d};
}

void tui_door_allow_until(struct tui_door *d, u64 host_ns)
{
    d->allow_until_ns = host_ns;
    d->give_back = false;
}

bool tui_door_waits(const struct tui_door *d)
{
    return d->give_back;
}

// How much had been written by that step.
static size_t output_at(const struct tui_door *d, u64 step)
{
    size_t low = 0, high = d->mark_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (d->marks[middle].step <= step) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low ? d->marks[low - 1].end : 0;
}

const struct tui_vt *tui_door_screen(struct tui_door *d, u64 step)
{
    size_t wanted = output_at(d, step);
    if (wanted < d->shown) {
        u8 lost[64];
        tui_vt_destroy(d->vt);
        d->vt = tui_vt_create(COLUMNS, ROWS);
        tui_vt_feed(d->vt, d->output, wanted);
        tui_vt_take_answer(d->vt, lost, sizeof(lost)); // given long ago
    } else {
        tui_vt_feed(d->vt, d->output + d->shown, wanted - d->shown);
    }
    d->shown = wanted;
    return d->vt;
}

void tui_door_cut(struct tui_door *d, u64 step)
{
    d->output_used = output_at(d, step);
    while (d->mark_count && d->marks[d->mark_count - 1].step > step) {
        d->mark_count--;
    }
}
