// SPDX-License-Identifier: MIT
// The host's own CPU as oracle: runs one instruction at a chosen address on chosen registers and
// memory.
#ifndef VIV_TESTS_ISA_HOST_H
#define VIV_TESTS_ISA_HOST_H

#include "base/types.h"

// Linear addresses, the same on host and guest.
enum {
    HOST_CONTEXT = 0x1F00000, // host only
    HOST_CODE = 0x2000000,
    HOST_INSN = HOST_CODE +
                0x800, // where the instruction begins unless it is made to cross into the next page
    HOST_TARGET = HOST_CODE + 0xC00, // where taken branches go
    HOST_DATA = 0x2100000,           // two writable pages, a read-only one, an absent one
    HOST_DATA_BYTES = 0x3000,        // without the absent page
};

struct host_state {
    u64 gpr[16];
    u64 rflags;
    u64 rip;    // after the run: the next instruction, or the faulting one
    int vector; // -1, or the exception
    u64 error_code, cr2;
};

// Maps everything. False: the addresses cannot be had.
bool host_init(void);

// Runs the instruction at address (within the code page) with the registers of state, and leaves
// the result there. code32: in 32-bit (compatibility) mode, with eight registers of 32 bits.
void host_run(const u8 *insn, unsigned size, u64 address, bool code32, struct host_state *state);

// The writable and read-only data pages, and how to fill them.
u8 *host_data(void);
void host_fill_data(const u8 *bytes);

#endif
