// SPDX-License-Identifier: MIT
// Shared by the door and its serial lines.
#ifndef VIV_HOST_POSIX_DOOR_INTERNAL_H
#define VIV_HOST_POSIX_DOOR_INTERNAL_H

#include "host/posix_door.h"

#define POSIX_LINE_BUFFER 4096
#define POSIX_LINES_MAX 8

// One serial line: its output buffer and the bytes that were read ahead.
struct posix_line {
    struct posix_door *door;
    int in_fd, out_fd;
    bool owns_out, raw, eof, escape;
    bool never_ends; // no input, but the carrier stays
    // Input that is no terminal begins when the guest has asked and has nothing else to do; see
    // posix_line_start().
    bool asked, started, waits_for_guest;
    unsigned slices_since_asked;
    u8 out[POSIX_LINE_BUFFER];
    size_t out_used;
    u8 *keys; // input read ahead: keys[keys_taken .. keys_used)
    size_t keys_used, keys_taken, keys_room;
    void (*ready)(void *dev);
    void *ready_dev;
};

struct posix_door {
    struct posix_door_config config;
    int signal_fd, timer_fd;
    enum posix_door_end end;
    int end_detail;
    struct posix_line *lines[POSIX_LINES_MAX];
    unsigned line_count;
    struct posix_line *terminal; // whose input is asynchronous; NULL: none
    struct posix_attention attention; // asked is NULL: nobody
    struct posix_watcher watcher;     // look is NULL: nobody
    struct posix_input *input;        // NULL: no window
    u64 last_host_ns, last_vtime_ns;  // at the end of the last idle wait
    s64 lag_ns;                       // how far vtime is behind the host, within bounds
    bool paced;                       // the two above are set
};

// Looks at the signals and the time limit without blocking; true if the run is to end.
bool posix_door_check(struct posix_door *door);
void posix_door_finish(struct posix_door *door, enum posix_door_end end, int detail);

// Lets the guest have what is no terminal's input from now on, if it has asked; true if that is
// new.
bool posix_line_start(struct posix_line *line);

// Whether there is something to wait for at the terminal: input has begun, has not ended, and not
// too much of it lies here untaken.
bool posix_line_wants(const struct posix_line *line);
// Takes what the terminal has typed, never blocks; true if anything came.
bool posix_line_pump(struct posix_line *line);
void posix_line_flush(struct posix_line *line);

#endif
