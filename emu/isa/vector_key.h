// SPDX-License-Identifier: MIT
// What identifies a vector operation apart from the registers it names: the key of its trampoline
// (cpu/interp/vector_unit.h).
#ifndef VIV_ISA_VECTOR_KEY_H
#define VIV_ISA_VECTOR_KEY_H

#include "isa/insn.h"

enum vector_class { VECTOR_NONE, VECTOR_XMM, VECTOR_MMX, VECTOR_GPR };

// "reg" is the operand in ModRM.reg, "rm" the one in ModRM.rm (register or memory).
union vector_key {
    u64 bits;
    struct {
        u64 imm8 : 8;
        u64 opcode : 8;
        u64 map : 2;       // 1: 0F, 2: 0F38, 3: 0F3A
        u64 prefix : 2;    // 0 none, 1 66, 2 F3, 3 F2 (mandatory)
        u64 w : 1;         // REX.W
        u64 memory : 1;    // rm is memory
        u64 reg_class : 2; // enum vector_class
        u64 rm_class : 2;
        u64 reg_written : 1;
        u64 rm_written : 1;
        u64 rm_read : 1;
        u64 mem_size : 6;  // bytes of the memory operand
        u64 extension : 3; // ModRM.reg when it extends the opcode
        u64 has_extension : 1;
        u64 has_imm8 : 1;
        u64 sets_flags : 1;
        u64 aligned : 1;  // a memory operand that is not aligned to its size is #GP(0)
        u64 vex : 1;      // VECTOR_XMM then is the whole register, upper half included
        u64 length : 1;   // VEX.L
        u64 has_vvvv : 1; // VEX.vvvv names a vector register
        u64 vvvv_written : 1;
        u64 has_is4 : 1;  // imm8[7:4] names a vector register
        u64 has_xmm0 : 1; // XMM0 is an implicit source
        u64 string : 1;   // PCMPxSTRx: rAX, rDX, and rCX or XMM0 are implicit
    };
};

_Static_assert(sizeof(union vector_key) == 8, "fits struct insn's imm");

// Vector instructions keep up to four register numbers in struct insn's reg and rm.
static inline unsigned vector_reg(const struct insn *insn)
{
    return insn->reg & 15;
}

static inline unsigned vector_rm(const struct insn *insn)
{
    return insn->rm & 15;
}

static inline unsigned vector_vvvv(const struct insn *insn)
{
    return insn->reg >> 4;
}

static inline unsigned vector_is4(const struct insn *insn)
{
    return insn->rm >> 4;
}

#endif
