// SPDX-License-Identifier: MIT
// Booting without firmware: the format of the kernel's file decides which loader runs. What
// firmware would have left (ACPI tables, the memory map) is written too.
#ifndef VIV_MACHINE_BOOT_H
#define VIV_MACHINE_BOOT_H

#include "machine/machine.h"

struct boot_file {
    const u8 *bytes; // NULL: none
    size_t size;
    const char *name; // for messages
};

struct boot_params {
    struct boot_file kernel;
    struct boot_file tree;   // the machine's; NULL: no ACPI tables either
    struct boot_file initrd;
    const char *command_line;
};

// Loads the kernel and what goes with it into RAM, which is all zero, and puts CPU 0 at its entry
// point. Linux bzImage, PVH ELF and multiboot 1 images. STATUS_BAD_INPUT: none of them, damaged, or
// too large for the memory.
struct status boot_load(struct machine *m, const struct boot_params *params);

#endif
