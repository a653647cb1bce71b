// SPDX-License-Identifier: MIT
// Checkpoints as bytes, for recordings: each holds what was written since the one before it in the
// file, and now and then one holds everything, so that loading reads a bounded part of the file.
#ifndef VIV_REPLAY_SAVED_CHECKPOINT_H
#define VIV_REPLAY_SAVED_CHECKPOINT_H

#include "host/overlay.h"
#include "machine/machine.h"
#include "replay/bytes.h"

// A machine and its disks; all of them where both sides count the same.
struct checkpoint_parts {
    struct machine *machine;
    struct overlay *const *disks;
    unsigned disk_count;
};

struct checkpoint_saver;

// machine: at the state from which the recording begins; the first checkpoint saved holds
// everything.
struct checkpoint_saver *checkpoint_saver_create(const struct checkpoint_parts *parts);
void checkpoint_saver_destroy(struct checkpoint_saver *s);
// Appends one to out, at the first state of a step (where machine_run() stops). position:
// input_log_position(). Changes no hash.
void checkpoint_save(struct checkpoint_saver *s, u64 position, struct bytes *out);

// What stands before the rest; STATUS_BAD_INPUT: malformed.
struct checkpoint_head {
    u64 step, position;
    bool complete; // needs none before it
};
struct status checkpoint_read_head(const u8 *bytes, size_t size, struct checkpoint_head *out);

// Loading one: the last complete one at or before it is applied, then each that follows up to it.
// That one is applied with last = true, which restores the rest of the machine's state. The input
// log is the caller's to seek (before; input_log.h). STATUS_BAD_INPUT: malformed, or of another
// machine; the machine is then in no usable state.
struct status checkpoint_apply(const struct checkpoint_parts *parts, const u8 *bytes, size_t size,
                               bool last);

#endif
