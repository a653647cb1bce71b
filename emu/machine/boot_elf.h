// SPDX-License-Identifier: MIT
// Booting an ELF kernel by PVH (Xen's docs/misc/pvh.pandoc,
// include/public/arch-x86/hvm/start_info.h).
#ifndef VIV_MACHINE_BOOT_ELF_H
#define VIV_MACHINE_BOOT_ELF_H

#include "machine/machine.h"

struct boot_file {
    const u8 *bytes; // NULL: none
    size_t size;
    const char *name; // for messages
};

struct boot_params {
    struct boot_file kernel;
    struct boot_file tree;   // becomes module 0
    struct boot_file initrd; // becomes the next module
    const char *command_line;
};

// True if the bytes start like an ELF file.
bool boot_elf_is(const struct boot_file *file);

// Loads segments, modules, command line and hvm_start_info into RAM and puts CPU 0 at the entry
// point of ELF note 18 (XEN_ELFNOTE_PHYS32_ENTRY): 32-bit protected mode, flat segments, no paging,
// EBX = hvm_start_info. STATUS_BAD_INPUT for anything malformed or too large.
struct status boot_elf(struct machine *m, const struct boot_params *params);

#endif
