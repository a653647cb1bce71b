// SPDX-License-Identifier: MIT
// What identifies a vector operation apart from the registers it names: the key of its trampoline
// (cpu/interp/vector_unit.h).
#ifndef VIV_ISA_VECTOR_KEY_H
#define VIV_ISA_VECTOR_KEY_H

#include "base/types.h"

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
        u64 aligned : 1; // a memory operand that is not 16-byte aligned is #GP(0)
    };
};

_Static_assert(sizeof(union vector_key) == 8, "fits struct insn's imm");

#endif
