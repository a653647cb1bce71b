// SPDX-License-Identifier: MIT
// Random instances of the rows of x86_ops.def.
#ifndef VIV_TESTS_ISA_GENERATE_H
#define VIV_TESTS_ISA_GENERATE_H

#include "isa/insn.h"
#include "tests/isa/host.h"

struct random {
    u64 state;
};

u64 random_u64(struct random *r);
unsigned random_below(struct random *r, unsigned limit);
// Edge values (0, 1, -1, sign boundaries, small) as often as random ones.
u64 random_value(struct random *r);

// One instruction to try, with the registers to try it on.
struct trial {
    enum x86_op op;
    enum insn_form form;
    unsigned width; // log2 of bytes
    u8 bytes[32];
    unsigned size;
    u64 address;
    bool code32;
    struct host_state before;
    u64 target;       // address of the memory operand
    u64 poke_address; // not 0: HOST_TARGET is stored here before (8 bytes, where writable)
    u64 immediate;
    bool has_immediate;
    u32 flags_unknown; // RFLAGS bits not to compare
};

// The letters of a form, "RM".
const char *form_kinds(enum insn_form form);

// Which forms and widths a row asks for: T_* and W_* masks.
u32 row_forms(enum x86_op op);
unsigned row_widths(enum x86_op op);

// False: this combination has no encoding. code32: for 32-bit code, where the rows' width 64 of
// branches and the stack stands for 32.
bool generate(struct random *r, enum x86_op op, enum insn_form form, unsigned width, bool code32,
              struct trial *out);

#endif
