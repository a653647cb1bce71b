// SPDX-License-Identifier: MIT
// The interpreter's vector unit is the host's own: one small trampoline per operation, with the
// operands moved to fixed registers (ENGINE.md, decision 7).
#ifndef VIV_CPU_INTERP_VECTOR_UNIT_H
#define VIV_CPU_INTERP_VECTOR_UNIT_H

#include "cpu/state.h"
#include "isa/vector_key.h"

struct vector_op {
    // Runs the operation on *reg and *rm: 16 bytes for an XMM register (32 where the encoding is
    // VEX), 8 for MMX and general ones, the memory operand (32-byte aligned) otherwise. third: the
    // register of VEX.vvvv, an implicit XMM0, or struct vector_string. is4: the register of
    // imm8[7:4]. Written operands are stored back; *flags gets the arithmetic flags (FLAGS_*) of an
    // instruction that sets them. The host's MXCSR applies.
    void (*code)(void *reg, void *rm, u16 *flags, void *third, void *is4);
    union vector_key key;
};

// What PCMPESTRI and its like use beside their operands.
struct vector_string {
    u64 rax, rdx, rcx, unused;
    u8 xmm0[16];
};

struct vector_unit *vector_unit_create(void);
void vector_unit_destroy(struct vector_unit *unit);

// The operation's trampoline, made on first use; valid for the unit's life. NULL: the unit is full
// (its bound is far above the number of operations there are).
const struct vector_op *vector_unit_find(struct vector_unit *unit, union vector_key key);

#endif
