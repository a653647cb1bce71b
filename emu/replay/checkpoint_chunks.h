// SPDX-License-Identifier: MIT
// Checkpoints in a recording's file: written beside the inputs, and a machine put back to one.
#ifndef VIV_REPLAY_CHECKPOINT_CHUNKS_H
#define VIV_REPLAY_CHECKPOINT_CHUNKS_H

#include "replay/log_reader.h"
#include "replay/saved_checkpoint.h"

// Writes one, at the first state of a step. saver: of the machine that log belongs to.
void checkpoint_chunk_write(struct log_writer *w, struct checkpoint_saver *saver,
                            const struct machine *m, const struct input_log *log);

// The step of the last checkpoint at or before step; false: there is none.
bool checkpoint_chunk_find(const struct log_reader *r, u64 step, u64 *found_step);

// The machine (parts) becomes what it was at that checkpoint, and the log goes there. The log's
// position has been noted by then, as input_log_seek() does. STATUS_BAD_INPUT: the file is damaged;
// the machine is then in no usable state.
struct status checkpoint_chunk_restore(const struct log_reader *r, u64 found_step,
                                       const struct checkpoint_parts *parts, struct input_log *log);

#endif
