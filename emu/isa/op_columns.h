// SPDX-License-Identifier: MIT
// Names used in the columns of x86_ops.def. Include where a column's value matters.
#ifndef VIV_ISA_OP_COLUMNS_H
#define VIV_ISA_OP_COLUMNS_H

#include "isa/insn.h"

// Flags, as RFLAGS bits.
enum {
    F_C = 0x1,
    F_P = 0x4,
    F_A = 0x10,
    F_Z = 0x40,
    F_S = 0x80,
    F_O = 0x800,
    F_OSZPC = F_O | F_S | F_Z | F_P | F_C,
    F_OSZAPC = F_OSZPC | F_A,
    F_OSZAP = F_O | F_S | F_Z | F_A | F_P,
    F_SZAPC = F_S | F_Z | F_A | F_P | F_C,
    F_SZAP = F_S | F_Z | F_A | F_P,
    F_SZP = F_S | F_Z | F_P,
    F_OC = F_O | F_C,
    F_OSAP = F_O | F_S | F_A | F_P,
    F_OSAPC = F_O | F_S | F_A | F_P | F_C,
    F_OAC = F_O | F_A | F_C,
};

enum { W8 = 1, W16 = 2, W32 = 4, W64 = 8, W_ALL = 15, W_WIDE = 14 };

// Operand forms to generate tests for; T(FORM_x) is the general one.
#define T(form) (UINT32_C(1) << (form))
enum {
    T_NONE = 1 << FORM_NONE,
    T_R = 1 << FORM_R,
    T_M = 1 << FORM_M,
    T_I = 1 << FORM_I,
    T_II = 1 << FORM_II,
    T_RR = 1 << FORM_RR,
    T_RM = 1 << FORM_RM,
    T_MR = 1 << FORM_MR,
    T_RI = 1 << FORM_RI,
    T_MI = 1 << FORM_MI,
    T_RRI = 1 << FORM_RRI,
    T_RMI = 1 << FORM_RMI,
    T_MRI = 1 << FORM_MRI,
    T_RRR = 1 << FORM_RRR,
    T_MRR = 1 << FORM_MRR,
    T_RRM = 1 << FORM_RRM,
    T_RMR = 1 << FORM_RMR,
    T_UNARY = T_R | T_M,
    T_ALU = T_RR | T_RM | T_MR | T_RI | T_MI,
    T_SHIFT = T_RR | T_MR | T_RI | T_MI, // second operand CL or imm8
};

// Which encodings of a mnemonic a row takes.
enum op_select {
    SELECT_ANY,
    SELECT_GEN,
    SELECT_SEG,
    SELECT_CR,
    SELECT_DR,
    SELECT_FAR,
    SELECT_STR,
    SELECT_VEC,
    SELECT_MOF,
    SELECT_FPU,
    SELECT_TOSEG,
    SELECT_TOCR,
    SELECT_TODR, // the first operand is such a register
};

#endif
