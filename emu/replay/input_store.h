// SPDX-License-Identifier: MIT
// The records of a log, in blocks that never move. Private to the log.
#ifndef VIV_REPLAY_INPUT_STORE_H
#define VIV_REPLAY_INPUT_STORE_H

#include "replay/input_log.h"

struct input_store;

struct input_store *input_store_create(void);
void input_store_destroy(struct input_store *store);

u64 input_store_count(const struct input_store *store);
const struct input_record *input_store_get(const struct input_store *store, u64 seq);
// Gives the record its seq; its bytes are copied.
const struct input_record *input_store_add(struct input_store *store,
                                           const struct input_record *record);
// Forgets all records from seq count on.
void input_store_cut(struct input_store *store, u64 count);

#endif
