// SPDX-License-Identifier: MIT
// The log's structure, shared by its files.
#ifndef VIV_REPLAY_INPUT_LOG_INTERNAL_H
#define VIV_REPLAY_INPUT_LOG_INTERNAL_H

#include "replay/input_log.h"
#include "replay/input_store.h"

#define INPUT_LINES 4

// One serial line between the machine's port and the outside.
struct input_line {
    struct input_log *log;
    u8 index;
    struct host_serial live;
    void (*ready)(void *dev); // the port's
    void *dev;
    bool pending; // the outside has something; the port is told at the next place for it
};

// What a person does, one kind of it.
struct input_person {
    struct input_log *log;
    void (*ready)(void *dev);
    void *dev;
    bool pending;
};

struct input_log {
    struct host host, live;
    const struct vclock *clock;
    struct input_line lines[INPUT_LINES];
    struct input_person people[HOST_INPUT_KINDS];
    struct input_store *store;
    u64 next; // seq of the record that comes next
    u64 end_step, end_vtime_ns;
    bool ends;      // history ends there for good
    bool is_at_end; // and the last poll said so
    u64 shown_step; // output of earlier steps has been shown
    bool muted;
    bool diverged;
    char divergence[200];
    u64 cuts;
    u64 write_count; // WRITE_* records, so that their search is skipped where there are none
    void (*on_idle)(void *ctx);
    void *on_idle_ctx;
};

// The next record if it is of this kind and stamped with the machine's present state, else NULL. A
// record whose time has passed is a divergence.
const struct input_record *input_log_due(struct input_log *log, enum input_kind kind);
// Appends at the machine's present state; the position moves behind it.
void input_log_record(struct input_log *log, enum input_kind kind, u8 line, const u8 *bytes,
                      u32 size);

// input_people.c
// Puts the log between the machine and live's input.
void input_people_connect(struct input_log *log);
// Tells the devices of what is pending, as records of this kind; true if there was any.
bool input_people_deliver(struct input_log *log, enum input_kind kind);
// The same from history.
bool input_people_play(struct input_log *log, enum input_kind kind);
bool input_people_pending(const struct input_log *log);
// After a cut: told too often does no harm.
void input_people_retell(struct input_log *log);

#endif
