// SPDX-License-Identifier: MIT
// The x87 register stack and its exceptions, as the instruction handlers use them.
#ifndef VIV_CPU_INTERP_X87_STACK_H
#define VIV_CPU_INTERP_X87_STACK_H

#include "cpu/interp/operand.h"
#include "cpu/interp/vector.h"
#include "cpu/interp/x87.h"

static inline unsigned x87_opcode(const struct insn *insn)
{
    return (insn->imm >> 8) & 7; // D8..DF
}

static inline unsigned x87_reg(const struct insn *insn)
{
    return (insn->imm >> 3) & 7;
}

static inline unsigned x87_rm(const struct insn *insn)
{
    return insn->imm & 7;
}

static inline unsigned x87_top(const struct cpu_fpu *fpu)
{
    return (fpu->fsw >> 11) & 7;
}

static inline unsigned x87_physical(const struct cpu_fpu *fpu, unsigned i)
{
    return (x87_top(fpu) + i) & 7;
}

static inline bool x87_is_empty(const struct cpu_fpu *fpu, unsigned i)
{
    return !(fpu->ftw & (1u << x87_physical(fpu, i)));
}

static inline struct x87_value *x87_st(struct cpu_fpu *fpu, unsigned i)
{
    return (struct x87_value *)fpu->st[x87_physical(fpu, i)];
}

// Stores to ST(i) and marks it in use.
void x87_set_st(struct cpu_fpu *fpu, unsigned i, const struct x87_value *value);
void x87_rotate(struct cpu_fpu *fpu, int by); // TOP += by
void x87_pop(struct cpu_fpu *fpu);
void x87_reset(struct cpu_fpu *fpu); // FNINIT

bool x87_is_nan(const struct x87_value *v);

// ES and B follow the unmasked flags.
void x87_update_summary(struct cpu_fpu *fpu);

// Takes an operation's status: exception flags accumulate, condition codes replace. False: an
// unmasked exception that is found before the operation, nothing may be stored.
bool x87_take_status(struct cpu_fpu *fpu, u16 status, u16 codes);
// Empty source: invalid operation with SF, C1 = 0; a full destination: C1 = 1 (SDM 1 8.5.1.1).
// False as above.
bool x87_underflow(struct cpu_fpu *fpu);
bool x87_overflow(struct cpu_fpu *fpu);

// #NM, and for waiting instructions a pending exception (x87_settled). False: raised.
bool x87_ready(struct cpu *cpu, bool waiting);
// Where the last non-control instruction was, and what it addressed (SDM 1 8.1.8).
void x87_note_pointers(struct cpu *cpu, const struct insn *insn, u64 address);

// Results with their exceptions. loading: the status of fetching b; pops: how often.
void x87_push(struct cpu_fpu *fpu, const struct x87_value *value, u16 status);
void x87_arithmetic(struct cpu_fpu *fpu, unsigned dst, enum x87_op op, const struct x87_value *a,
                    const struct x87_value *b, bool empty, u16 loading, unsigned pops);
void x87_compare(struct cpu_fpu *fpu, const struct x87_value *b, bool b_empty, bool quiet,
                 u16 loading, unsigned pops);
// The eight operations of D8, DA, DC, DE by ModRM.reg, b being the operand that is not ST0.
void x87_group(struct cpu_fpu *fpu, unsigned reg, const struct x87_value *b, bool b_empty,
               u16 loading);

// op_x87_memory.c: handlers of the forms with a memory operand.
bool op_x87_memory_arithmetic(struct cpu *cpu, const struct insn *insn); // D8, DA, DC, DE
bool op_x87_memory(struct cpu *cpu, const struct insn *insn);            // D9, DB, DD, DF

#endif
