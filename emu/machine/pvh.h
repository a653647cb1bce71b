// SPDX-License-Identifier: MIT
// hvm_start_info, version 1, and what it points at.
#ifndef VIV_MACHINE_PVH_H
#define VIV_MACHINE_PVH_H

#include "machine/machine.h"

// Guest physical addresses of what the boot leaves in low memory. Kernels are loaded above.
#define PVH_START_INFO 0x7000
#define PVH_LOW_END 0x80000

struct pvh_module {
    u64 address, size;
};

// Writes start info, memory map, module list and command line below PVH_LOW_END. STATUS_BAD_INPUT:
// the command line is too long.
struct status pvh_write_start_info(struct machine *m, const char *command_line,
                                   const struct pvh_module *modules, unsigned count);

#endif
