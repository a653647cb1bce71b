// SPDX-License-Identifier: MIT
// Recording: runs a machine and writes its inputs and the hashes of its states to a file, often
// enough that a kill loses next to nothing.
#ifndef VIV_REPLAY_RECORDER_H
#define VIV_REPLAY_RECORDER_H

#include "replay/checkpoint_chunks.h"

struct recorder;

// machine: loaded, at the step where the recording begins, built on input_log_host(log). host_ns:
// the host's clock, to write at least once a second; all else is decided by the machine's own time.
// The writer is the recorder's from now on.
struct recorder *recorder_create(struct log_writer *writer, const struct recording *recording,
                                 struct input_log *log, struct machine *machine,
                                 u64 (*host_ns)(void));

// Writes checkpoints too, every interval_steps (rounded up to where memory is hashed), so that the
// recording can be entered in the middle. Before the first run.
void recorder_set_checkpoints(struct recorder *r, const struct checkpoint_parts *parts,
                              u64 interval_steps);

// As machine_run().
struct machine_result recorder_run(struct recorder *r, u64 until_step);

// How the run ended; ends the file and frees the recorder. NULL: leaves the file incomplete.
struct status recorder_finish(struct recorder *r, const struct machine_result *result);

#endif
