// SPDX-License-Identifier: MIT
// What the debugger's tests share: a machine with fern, a root file system and one command, its
// output in memory, and symbols.
#ifndef VIV_TESTS_DEBUGGER_BOOT_H
#define VIV_TESTS_DEBUGGER_BOOT_H

#include "debugger/guest.h"
#include "debugger/symbols.h"
#include "host/posix_block.h"
#include "machine/machine.h"

#include <stdio.h>

struct boot {
    struct machine *m;
    struct posix_block *disk;
    struct symbols *symbols; // of the kernel
    char *output;            // what the command printed, and its size
    size_t output_size;
};

// Ends the test with a message if anything fails.
void boot_open(struct boot *b, const char *kernel, const char *rootfs, const char *command);
void boot_close(struct boot *b);
// Runs on for so many steps; false once the machine has ended.
bool boot_run(struct boot *b, u64 steps);
u64 boot_step(const struct boot *b);

// TAP: one line, and the sum for the exit status.
void tap(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));
int tap_end(void);

#endif
