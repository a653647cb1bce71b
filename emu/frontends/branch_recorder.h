// SPDX-License-Identifier: MIT
// Recording a run that a debugger may send back and change: the file grows while history does, and
// is begun again when a branch has made some of it untrue.
#ifndef VIV_FRONTENDS_BRANCH_RECORDER_H
#define VIV_FRONTENDS_BRANCH_RECORDER_H

#include "frontends/session.h"

struct branch_recorder;

// The session has a log and has not run. STATUS_BAD_INPUT: the file cannot be written. Images are
// embedded if self_contained or if those of the recording that the session replays are.
struct status branch_recorder_open(struct branch_recorder **out, struct session *s,
                                   const char *path, bool self_contained);
// Hashes the states that the timeline passes, for replays to compare.
void branch_recorder_watch(struct branch_recorder *r, struct timeline *t);
// Writes what is new if it is time to: to be called every now and then, at any state.
void branch_recorder_tick(struct branch_recorder *r);
// Everything up to the furthest state of history; ends the file. Before session_close().
struct status branch_recorder_close(struct branch_recorder *r);

#endif
