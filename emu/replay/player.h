// SPDX-License-Identifier: MIT
// Replaying: runs a machine on a recording's inputs and checks its hashes on the way.
#ifndef VIV_REPLAY_PLAYER_H
#define VIV_REPLAY_PLAYER_H

#include "replay/log_reader.h"

struct player;

// machine: loaded as the recording says, built on input_log_host(log), which log_reader_fill() has
// filled. From any state of history (after a checkpoint was loaded) it checks what lies ahead.
struct player *player_create(const struct log_reader *reader, struct input_log *log,
                             struct machine *machine);
void player_destroy(struct player *p);

// As machine_run(). At the recording's end, the result is how the recorded run ended, or
// MACHINE_EXIT_HOST where it was cut off.
struct machine_result player_run(struct player *p, u64 until_step);
// The recording's end has been reached.
bool player_is_at_end(const struct player *p);

// After player_run(): true if the machine did not do what was recorded; the run then ended there.
// line says where, in one line.
bool player_diverged(const struct player *p, char *line, size_t size);
// How many hashes were compared.
u64 player_checked(const struct player *p);

#endif
