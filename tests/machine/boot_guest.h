// SPDX-License-Identifier: MIT
// A guest that boots a real kernel with a command, from memory and an overlay of a disk: for tests
// that compare whole runs.
#ifndef VIV_TESTS_MACHINE_BOOT_GUEST_H
#define VIV_TESTS_MACHINE_BOOT_GUEST_H

#include "host/overlay.h"
#include "host/posix_block.h"
#include "machine/machine.h"

struct blob {
    u8 *bytes;
    size_t size;
};

struct boot_files {
    struct blob kernel, initrd;
    struct posix_block *image; // NULL: no disk
    const char *append, *exec;
    unsigned cpus; // 0: one
    enum cpu_engine engine;
};

struct guest {
    struct machine *m;
    struct overlay *disk;
    u64 output_hash, output_bytes; // of all serial output
};

// Ends the program with a message on an error. disk "-": none; initrd NULL: none.
void boot_files_read(struct boot_files *f, const char *kernel, const char *disk,
                     const char *initrd);
void boot_files_free(struct boot_files *f);
void open_guest(struct guest *g, const struct boot_files *f, enum tlb_geometry tlb);
void close_guest(struct guest *g);

#endif
