// SPDX-License-Identifier: MIT
// The queue of timed events: a flat table searched for its minimum, since a machine has a few dozen
// of them.
#include "bus/event_queue.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>

struct event_queue {
    struct event *events;
    unsigned count, capacity;
    u64 next_ns;        // the earliest deadline; derived
    unsigned next;      // its handle; derived, meaningless while next_ns is EVENT_NEVER
    void (*kick)(void *ctx);
    void *kick_ctx;
};

struct event_queue *event_queue_create(void)
{
    struct event_queue *q = xcalloc(1, sizeof(*q));
    q->next_ns = EVENT_NEVER;
    return q;
}

void event_queue_destroy(struct event_queue *q)
{
    if (!q) {
        return;
    }
    free(q->events);
    free(q);
}

void event_queue_rebuild(struct event_queue *q)
{
    q->next_ns = EVENT_NEVER;
    q->next = 0;
    for (unsigned i = 0; i < q->count; i++) {
        u64 deadline_ns = *q->events[i].deadline_ns;
        // Strictly less: of equal deadlines the one registered first is due first.
        if (deadline_ns < q->next_ns) {
            q->next_ns = deadline_ns;
            q->next = i;
        }
    }
}

unsigned event_add(struct event_queue *q, const struct event *e)
{
    CHECK(e->deadline_ns && e->fire);
    if (q->count == q->capacity) {
        q->capacity = q->capacity ? q->capacity * 2 : 32;
        q->events = xrealloc(q->events, q->capacity * sizeof(q->events[0]));
    }
    q->events[q->count] = *e;
    q->count++;
    event_queue_rebuild(q);
    return q->count - 1;
}

void event_set(struct event_queue *q, unsigned handle, u64 deadline_ns)
{
    CHECK(handle < q->count);
    u64 before_ns = q->next_ns;
    *q->events[handle].deadline_ns = deadline_ns;
    if (handle == q->next || deadline_ns <= before_ns) {
        event_queue_rebuild(q);
    }
    // A later minimum needs no kick: whoever runs up to the old one merely comes back early, to
    // find nothing due.
    if (q->next_ns < before_ns && q->kick) {
        q->kick(q->kick_ctx);
    }
}

const u64 *event_queue_deadline(const struct event_queue *q, unsigned n)
{
    return n < q->count ? q->events[n].deadline_ns : NULL;
}

u64 event_queue_next(const struct event_queue *q)
{
    return q->next_ns;
}

void event_queue_fire(struct event_queue *q, u64 now_ns)
{
    while (q->next_ns <= now_ns && q->next_ns != EVENT_NEVER) {
        const struct event e = q->events[q->next];
        u64 deadline_ns = q->next_ns;
        *e.deadline_ns = EVENT_NEVER;
        event_queue_rebuild(q);
        e.fire(e.ctx, deadline_ns);
    }
}

void event_queue_set_kick(struct event_queue *q, void (*kick)(void *ctx), void *ctx)
{
    q->kick = kick;
    q->kick_ctx = ctx;
}
