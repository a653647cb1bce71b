// SPDX-License-Identifier: MIT
// A machine with everything the command line asked for around it: files, disks, the door, and its
// log if it is recorded, replayed or debugged.
#ifndef VIV_FRONTENDS_SESSION_H
#define VIV_FRONTENDS_SESSION_H

#include "frontends/options.h"
#include "replay/checkpoint_chunks.h"
#include "replay/log_reader.h"
#include "replay/log_writer.h"
#include "replay/timeline.h"

// What the machine boots, and boots again after a reset.
struct session_boot {
    u8 *kernel, *initrd, *tree;
    size_t kernel_size, initrd_size, tree_size;
    char *kernel_path, *initrd_path; // for messages; initrd_path is NULL without one
};

struct session {
    struct machine *machine;
    u64 *coverage; // isa/coverage.h; NULL: off
    struct posix_door *door;
    struct posix_block *disks[DISKS_MAX];
    struct overlay *overlays[DISKS_MAX]; // of the disks that have one, without gaps
    struct session_boot boot;
    struct input_log *log;      // NULL: nobody wants one (options.h: log_inputs)
    struct log_reader *reader;  // the recording that is replayed or went live; else NULL
    struct recording recording; // what this machine is, if there is a log
    bool reset_ends;            // the guest's reset ends the run instead of booting again
};

// Builds and loads the machine: a new one, or with o->replay that of a recording, with its inputs.
// On an error nothing is left behind but what session_close() releases.
struct status session_open(struct session *s, const struct run_options *o);

// After the guest's reset: boots the same files again, with empty memory, the same disks, and time
// going on.
struct status session_reboot(struct session *s);
// The machine and the disks that checkpoints hold; refers to the session.
struct checkpoint_parts session_parts(struct session *s);

// A replay goes to the recording's last checkpoint at or before step; where there is none, it stays
// at its start.
struct status session_enter(struct session *s, u64 step);

// The session's machine in time (replay/timeline.h), with its disks and what a reset boots. The
// session needs a log. It begins with the checkpoints that the recording has. timeline_destroy()
// before session_close().
struct timeline *session_timeline(struct session *s, u64 memory_bytes);

// Begins a recording file for a session that has a log. STATUS_BAD_INPUT: it cannot be written.
// self_contained: images are embedded (those up to SESSION_EMBED_MAX bytes; a line on stderr names
// the others).
#define SESSION_EMBED_MAX (UINT64_C(256) << 20)
struct status session_begin_recording(struct session *s, const char *path, bool self_contained,
                                      struct log_writer **out);

// Ends the machine, writes what is buffered, restores the terminal.
void session_close(struct session *s);

#endif
