// SPDX-License-Identifier: MIT
// The checkpoints of one machine: its state at some steps, from which a run can begin again.
#ifndef VIV_REPLAY_CHECKPOINTS_H
#define VIV_REPLAY_CHECKPOINTS_H

#include "host/overlay.h"
#include "machine/machine.h"
#include "replay/page_history.h"

#define CHECKPOINT_DISKS 4

struct checkpoint {
    u64 step;
    u64 position;             // in the log of inputs
    u8 *state;                // machine_state_save()
    struct page_list written; // since the checkpoint before, or more
    bool guessed;             // at least those that differ; the machine has not run here
    struct overlay_copy *disks[CHECKPOINT_DISKS];
};

struct checkpoints {
    struct machine *m;
    struct overlay *disks[CHECKPOINT_DISKS];
    struct page_history *pages;
    struct checkpoint **list; // by ascending step; list[0] always stays
    unsigned count, room;
    // The checkpoint that the machine was last at: RAM differs from its at most in the pages
    // written since. The machine stands at or after it and before the next one, or at that.
    const struct checkpoint *base;
    u32 *stamps, stamp; // by rpn: pages looked at in this load
    u64 list_bytes;
};

void checkpoints_init(struct checkpoints *c, struct machine *m);
void checkpoints_free(struct checkpoints *c);
// Memory held, in bytes.
u64 checkpoints_bytes(const struct checkpoints *c);

// The number of checkpoints at or before step.
unsigned checkpoints_until(const struct checkpoints *c, u64 step);
// The one at exactly this step, NULL if there is none.
struct checkpoint *checkpoints_at(const struct checkpoints *c, u64 step);

// Here, at the first state of its step; nothing happens if there is one. position: the log's.
// guessed: the machine has not run here from the base, it was brought here.
void checkpoints_take(struct checkpoints *c, u64 position, bool guessed);
// The machine has run to the checkpoint: it becomes the base.
void checkpoints_pass(struct checkpoints *c, struct checkpoint *to);
// The machine becomes what it was. The log is the caller's.
void checkpoints_load(struct checkpoints *c, struct checkpoint *from);

// Those after step go: it has another future now.
void checkpoints_cut(struct checkpoints *c, u64 step);
// Removes the one that is missed least until at most memory_bytes are held and count_max are left,
// or none may go: near step they stay dense, with distance ever sparser.
void checkpoints_thin(struct checkpoints *c, u64 step, u64 memory_bytes, unsigned count_max);

#endif
