// SPDX-License-Identifier: MIT
// Random programs for a bare processor at CPL 0 that change their own code and page tables, and
// never end.
#ifndef VIV_TESTS_ISA_PROGRAM_H
#define VIV_TESTS_ISA_PROGRAM_H

#include "tests/isa/bare.h"
#include "tests/isa/generate.h"

enum {
    PROGRAM_CODE = BARE_USER, // linear = physical
    PROGRAM_CODE_BYTES = 0x4000,
    PROGRAM_ALIAS = BARE_USER + 0x100000, // the code's pages again, to be written through
    PROGRAM_DATA = BARE_USER + 0x200000,
    PROGRAM_DATA_BYTES = 0x3000,
    PROGRAM_STACK = BARE_USER + 0x300000, // one page
};

// Writes a program into RAM and sets the registers to its start.
void program_load(struct bare *b, struct random *r);

// Of CPU, page tables, code, data and stack.
u64 program_hash(const struct bare *b, struct hash *h);

#endif
