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

// A segment of the process's LDT (SDM 3A 3.4.5). False: this kernel has no modify_ldt.
struct host_segment {
    u32 base, limit;
    bool code, expand_down, read_only, is_32;
};
bool host_set_segment(unsigned index, const struct host_segment *segment);
#define HOST_SELECTOR(index) (u16)((index) << 3 | 7)

// As host_run() outside 64-bit mode, with code at address - HOST_CODE of the code segment, whose base is HOST_CODE.
// selectors: CS, SS, DS, ES. state->rip is an offset then.
void host_run_segments(const u8 *insn, unsigned size, u64 address, const u16 selectors[4], bool is_32,
                       struct host_state *state);

// SS, DS and ES as the last of these left them, if it did not fault.
void host_last_selectors(u16 selectors[3]);

// The writable and read-only data pages, and how to fill them.
u8 *host_data(void);
void host_fill_data(const u8 *bytes);

#endif
