// SPDX-License-Identifier: MIT
// A guest for tests of time: fern on an overlay of its disk, on a log of inputs, with an outside
// that types by a script and remembers what it was shown.
#ifndef VIV_TESTS_REPLAY_GUEST_H
#define VIV_TESTS_REPLAY_GUEST_H

#include "host/overlay.h"
#include "host/posix_block.h"
#include "machine/machine.h"
#include "replay/timeline.h"

struct guest_files {
    u8 *kernel;
    size_t kernel_size;
    struct posix_block *image; // NULL: no disk
    unsigned cpus; // 0: one
};

struct guest {
    const struct guest_files *files;
    struct machine *m;
    struct overlay *disk;
    struct input_log *log;
    struct timeline *time; // not created by guest_open()
    void *tree;
    // The outside: types one byte of text at every typing_polls-th look at the door; after each
    // line it waits until the guest has nothing to do.
    const char *text;
    size_t typed;
    unsigned polls, typing_polls;
    bool has_byte, patient, waits;
    void (*ready)(void *dev);
    void *ready_dev;
    u64 shown_bytes, shown_hash;
    unsigned boots;
};

void guest_read_files(struct guest_files *f, const char *kernel, const char *disk);
void guest_free_files(struct guest_files *f);
// exec: the command, NULL for a shell on the console. text: what is typed on the first line.
void guest_open(struct guest *g, const struct guest_files *files, enum tlb_geometry tlb,
                const char *exec, const char *text);
void guest_begin_time(struct guest *g, u64 memory_bytes);
void guest_close(struct guest *g);

#endif
