// SPDX-License-Identifier: MIT
// Keys, movements and buttons in the log: as serial lines, without bytes but with whole events.
#include "base/bits.h"
#include "replay/input_log_internal.h"

#include <string.h>

#define EVENT_BYTES 10

// Little-endian: key, pressed, dx, dy, dz, buttons.
static void event_put(u8 out[EVENT_BYTES], const struct host_input_event *e)
{
    const u16 words[] = {e->key, (u16)e->dx, (u16)e->dy, (u16)e->dz};
    memcpy(out, words, sizeof(words));
    out[8] = e->pressed;
    out[9] = e->buttons;
}

static struct host_input_event event_get(const u8 in[EVENT_BYTES], enum host_input_kind kind)
{
    u16 words[4];
    memcpy(words, in, sizeof(words));
    return (struct host_input_event){.kind = kind,
                                     .key = words[0],
                                     .dx = (s16)words[1],
                                     .dy = (s16)words[2],
                                     .dz = (s16)words[3],
                                     .pressed = in[8] != 0,
                                     .buttons = in[9]};
}

static bool play_read(struct input_log *log, enum host_input_kind kind, struct host_input_event *e)
{
    const struct input_record *r = input_log_due(log, INPUT_EVENT);
    if (!r || r->line != kind || r->size != EVENT_BYTES) {
        return false;
    }
    *e = event_get(r->bytes, kind);
    log->next++;
    return true;
}

static bool people_read(void *ctx, enum host_input_kind kind, struct host_input_event *e)
{
    struct input_log *log = ctx;
    const struct host_input *live = &log->live.input;
    if (input_log_is_history(log)) {
        return play_read(log, kind, e);
    }
    if (log->ends || !live->ops || !live->ops->read(live->ctx, kind, e)) {
        return false;
    }
    u8 bytes[EVENT_BYTES];
    event_put(bytes, e);
    input_log_record(log, INPUT_EVENT, (u8)kind, bytes, EVENT_BYTES);
    return true;
}

static void people_set_ready(void *ctx, enum host_input_kind kind, void (*ready)(void *dev),
                             void *dev)
{
    struct input_log *log = ctx;
    log->people[kind].ready = ready;
    log->people[kind].dev = dev;
}

static const struct host_input_ops people_ops = {people_read, people_set_ready};

static void live_ready(void *ctx)
{
    ((struct input_person *)ctx)->pending = true;
}

void input_people_connect(struct input_log *log)
{
    const struct host_input *live = &log->live.input;
    log->host.input = (struct host_input){&people_ops, log};
    for (unsigned i = 0; i < HOST_INPUT_KINDS; i++) {
        log->people[i].log = log;
        if (live->ops) {
            live->ops->set_ready(live->ctx, (enum host_input_kind)i, live_ready, &log->people[i]);
        }
    }
}

static void tell(const struct input_person *p)
{
    if (p->ready) {
        p->ready(p->dev);
    }
}

bool input_people_deliver(struct input_log *log, enum input_kind kind)
{
    bool any = false;
    for (u8 i = 0; i < HOST_INPUT_KINDS; i++) {
        struct input_person *p = &log->people[i];
        if (p->pending) {
            p->pending = false;
            input_log_record(log, kind, i, NULL, 0);
            tell(p);
            any = true;
        }
    }
    return any;
}

bool input_people_play(struct input_log *log, enum input_kind kind)
{
    const struct input_record *r;
    bool any = false;
    while ((r = input_log_due(log, kind)) != NULL) {
        log->next++;
        tell(&log->people[r->line % HOST_INPUT_KINDS]);
        any = true;
    }
    return any;
}

bool input_people_pending(const struct input_log *log)
{
    bool any = false;
    for (unsigned i = 0; i < HOST_INPUT_KINDS; i++) {
        any = any || log->people[i].pending;
    }
    return any;
}

void input_people_retell(struct input_log *log)
{
    for (unsigned i = 0; i < HOST_INPUT_KINDS; i++) {
        log->people[i].pending = log->live.input.ops != NULL;
    }
}
