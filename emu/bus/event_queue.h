// SPDX-License-Identifier: MIT
// Timed events of devices. An event is a deadline field in its owner's state, never a queued
// closure: the queue is derived data, rebuilt after a snapshot load.
#ifndef VIV_BUS_EVENT_QUEUE_H
#define VIV_BUS_EVENT_QUEUE_H

#include "base/types.h"

#define EVENT_NEVER UINT64_MAX

struct event_queue;

struct event {
    u64 *deadline_ns; // points into the owner's hashed state; EVENT_NEVER when idle
    // Called at a step boundary with *deadline_ns already set to EVENT_NEVER; may set it again.
    void (*fire)(void *ctx, u64 deadline_ns);
    void *ctx;
    const char *name;
};

struct event_queue *event_queue_create(void);
void event_queue_destroy(struct event_queue *q);

// Adds an event; the order of registration (devices in tree order, a device's events in its own
// order) breaks ties. The event is copied. Returns its handle. Initialise *deadline_ns first.
unsigned event_add(struct event_queue *q, const struct event *e);

// Sets the deadline (vtime ns, EVENT_NEVER cancels). If it becomes the earliest, the kick hook is
// called, so that a running CPU leaves after the current instruction.
void event_set(struct event_queue *q, unsigned handle, u64 deadline_ns);

// Where the n-th registered event's deadline is kept; NULL: there are no more.
const u64 *event_queue_deadline(const struct event_queue *q, unsigned n);

// Earliest deadline, EVENT_NEVER if none.
u64 event_queue_next(const struct event_queue *q);

// Fires everything due at now_ns in order of (deadline, registration), events set meanwhile
// included.
void event_queue_fire(struct event_queue *q, u64 now_ns);

// Re-reads all deadlines (after reset or snapshot load).
void event_queue_rebuild(struct event_queue *q);
void event_queue_set_kick(struct event_queue *q, void (*kick)(void *ctx), void *ctx);

#endif
