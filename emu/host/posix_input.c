// SPDX-License-Identifier: MIT
// A queue for each kind of event, a lock around them, an eventfd that wakes the machine's thread.
#include "host/posix_input.h"

#include "base/memory.h"
#include "host/posix_clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_MAX 1024
#define PRESSES_MAX (EVENTS_MAX / 2) // the other half is for releases
#define MOVE_MAX 30000               // sums of movements stay within their fields

struct event_ring {
    struct host_input_event events[EVENTS_MAX];
    unsigned first, count;
    void (*ready)(void *dev);
    void *dev;
};

struct posix_input {
    pthread_mutex_t lock; // of the rings and pressed_at_ns
    struct event_ring rings[HOST_INPUT_KINDS];
    u64 pressed_at_ns;
    int fd;
};

struct status posix_input_create(struct posix_input **out)
{
    struct posix_input *input = xcalloc(1, sizeof(*input));
    input->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (input->fd < 0) {
        free(input);
        return status_error(STATUS_BAD_INPUT, "eventfd: %s", strerror(errno));
    }
    pthread_mutex_init(&input->lock, NULL);
    *out = input;
    return status_success();
}

void posix_input_destroy(struct posix_input *input)
{
    if (input) {
        close(input->fd);
        pthread_mutex_destroy(&input->lock);
        free(input);
    }
}

static bool fits(s32 sum)
{
    return sum >= -MOVE_MAX && sum <= MOVE_MAX;
}

// Adds a movement to the last event if that has the same buttons.
static bool merge(struct event_ring *r, const struct host_input_event *e)
{
    if (e->kind != HOST_INPUT_MOUSE || !r->count) {
        return false;
    }
    struct host_input_event *last = &r->events[(r->first + r->count - 1) % EVENTS_MAX];
    if (last->buttons != e->buttons || !fits(last->dx + e->dx) || !fits(last->dy + e->dy) ||
        !fits(last->dz + e->dz)) {
        return false;
    }
    last->dx = (s16)(last->dx + e->dx);
    last->dy = (s16)(last->dy + e->dy);
    last->dz = (s16)(last->dz + e->dz);
    return true;
}

void posix_input_post(struct posix_input *input, const struct host_input_event *event)
{
    pthread_mutex_lock(&input->lock);
    struct event_ring *r = &input->rings[event->kind];
    bool release = event->kind == HOST_INPUT_KEY && !event->pressed;
    if (!merge(r, event) && r->count < (release ? EVENTS_MAX : PRESSES_MAX)) {
        r->events[(r->first + r->count) % EVENTS_MAX] = *event;
        r->count++;
    }
    if (event->kind == HOST_INPUT_POWER && !input->pressed_at_ns) {
        input->pressed_at_ns = posix_monotonic_ns();
    }
    pthread_mutex_unlock(&input->lock);
    posix_input_wake(input);
}

void posix_input_wake(struct posix_input *input)
{
    u64 one = 1;
    ssize_t written = write(input->fd, &one, sizeof(one));
    (void)written; // full: it is awake
}

int posix_input_fd(const struct posix_input *input)
{
    return input->fd;
}

bool posix_input_pump(struct posix_input *input)
{
    u64 count;
    if (read(input->fd, &count, sizeof(count)) != (ssize_t)sizeof(count)) {
        return false;
    }
    bool any = false;
    for (unsigned i = 0; i < HOST_INPUT_KINDS; i++) {
        pthread_mutex_lock(&input->lock);
        bool waits = input->rings[i].count && input->rings[i].ready;
        pthread_mutex_unlock(&input->lock);
        if (waits) {
            input->rings[i].ready(input->rings[i].dev);
        }
        any = any || waits;
    }
    return any;
}

u64 posix_input_pressed_at(struct posix_input *input)
{
    pthread_mutex_lock(&input->lock);
    u64 at = input->pressed_at_ns;
    pthread_mutex_unlock(&input->lock);
    return at;
}

static bool input_read(void *ctx, enum host_input_kind kind, struct host_input_event *event)
{
    struct posix_input *input = ctx;
    struct event_ring *r = &input->rings[kind];
    pthread_mutex_lock(&input->lock);
    bool any = r->count != 0;
    if (any) {
        *event = r->events[r->first];
        r->first = (r->first + 1) % EVENTS_MAX;
        r->count--;
    }
    pthread_mutex_unlock(&input->lock);
    return any;
}

static void input_set_ready(void *ctx, enum host_input_kind kind, void (*ready)(void *dev),
                            void *dev)
{
    struct posix_input *input = ctx;
    input->rings[kind].ready = ready;
    input->rings[kind].dev = dev;
}

static const struct host_input_ops input_ops = {input_read, input_set_ready};

struct host_input posix_input_host(struct posix_input *input)
{
    return (struct host_input){&input_ops, input};
}
