// SPDX-License-Identifier: MIT
// The x87 register stack: in use and empty, exceptions, and what every arithmetic instruction does
// with its operands.
#include "cpu/interp/x87_stack.h"

void x87_set_st(struct cpu_fpu *fpu, unsigned i, const struct x87_value *value)
{
    memset(fpu->st[x87_physical(fpu, i)], 0, 16);
    memcpy(fpu->st[x87_physical(fpu, i)], value->bytes, 10);
    fpu->ftw |= (u8)(1u << x87_physical(fpu, i));
}

void x87_rotate(struct cpu_fpu *fpu, int by)
{
    fpu->fsw = (u16)((fpu->fsw & ~0x3800) | (((x87_top(fpu) + (unsigned)by) & 7) << 11));
}

void x87_pop(struct cpu_fpu *fpu)
{
    fpu->ftw &= (u8) ~(1u << x87_physical(fpu, 0));
    x87_rotate(fpu, 1);
}

bool x87_is_nan(const struct x87_value *v)
{
    u64 significand;
    memcpy(&significand, v->bytes, 8);
    return (v->bytes[8] & v->bytes[9] & 0x7F) == 0x7F && v->bytes[8] == 0xFF && significand << 1;
}

// ES and B follow the unmasked flags.
void x87_update_summary(struct cpu_fpu *fpu)
{
    bool pending = fpu->fsw & ~fpu->fcw & X87_EXCEPTIONS;
    fpu->fsw = (u16)((fpu->fsw & ~0x8080) | (pending ? 0x8080 : 0));
}

// Takes an operation's status: exception flags accumulate, condition codes replace. False: an
// unmasked exception that is found before the operation, nothing may be stored.
bool x87_take_status(struct cpu_fpu *fpu, u16 status, u16 codes)
{
    if (status & ~fpu->fcw & (X87_IE | X87_DE | X87_ZE)) {
        status &= (u16)~(X87_OE | X87_UE | X87_PE); // what was not computed was not rounded
        status &= status & X87_SF ? 0xFFFF : (u16)~X87_C1;
    }
    fpu->fsw = (u16)((fpu->fsw & ~codes) | (status & codes) | (status & (X87_EXCEPTIONS | X87_SF)));
    x87_update_summary(fpu);
    return !(status & ~fpu->fcw & (X87_IE | X87_DE | X87_ZE));
}

// Empty source: invalid operation with SF, C1 = 0; a full destination: C1 = 1 (SDM 1 8.5.1.1).
bool x87_underflow(struct cpu_fpu *fpu)
{
    return x87_take_status(fpu, X87_IE | X87_SF, X87_C1);
}

bool x87_overflow(struct cpu_fpu *fpu)
{
    return x87_take_status(fpu, X87_IE | X87_SF | X87_C1, X87_C1);
}

// CR0.NE clear is the PC's way of reporting (SDM 1 8.7.2, D.2.1): FERR# raises an interrupt, and
// the instruction waits for it, unless IGNNE# lets it pass. FERR# is asserted when a waiting
// instruction meets the exception, and withdrawn when one meets it no more: others do not look at
// either.
bool x87_report(struct cpu *cpu)
{
    bool pending = cpu->fpu.fsw & X87_ES;
    if (pending && (cpu->cr0 & CR0_NE)) {
        return raise_fault(cpu, EXC_MF);
    }
    if (!pending) {
        cpu_set_ferr(cpu, false);
    } else if (!cpu->ignne) {
        cpu->fault.vector = FAULT_VECTOR_FERR;
        return false;
    }
    return true;
}

// #NM, and for waiting instructions a pending exception is reported.
bool x87_ready(struct cpu *cpu, bool waiting)
{
    if (cpu->cr0 & (CR0_EM | CR0_TS)) {
        return raise_fault(cpu, EXC_NM);
    }
    return !waiting || x87_settled(cpu);
}

// Where the last non-control instruction was, and what it addressed (SDM 1 8.1.8).
void x87_note_pointers(struct cpu *cpu, const struct insn *insn, u64 address)
{
    struct cpu_fpu *fpu = &cpu->fpu;
    fpu->fip = insn_rip(cpu, insn);
    fpu->fop = insn->imm & 0x7FF;
    if (insn->form == FORM_M) {
        fpu->fdp = address;
    }
}

void x87_push(struct cpu_fpu *fpu, const struct x87_value *value, u16 status)
{
    struct x87_value result = *value;
    if (!x87_is_empty(fpu, 7)) {
        if (!x87_overflow(fpu)) {
            return;
        }
        x87_constant(X87_INDEFINITE, fpu->fcw, &result);
    } else if (!x87_take_status(fpu, status, X87_C1) && (status & ~fpu->fcw & X87_IE)) {
        return; // a denormal is loaded even if that is not masked
    }
    x87_rotate(fpu, -1);
    x87_set_st(fpu, 0, &result);
}

// A denormal memory operand goes unnoticed beside a NaN, an invalid operation or a division by zero
// (SDM 1 table 8-10).
static u16 without_masked_denormal(u16 status, u16 loading, const struct x87_value *a,
                                   const struct x87_value *b)
{
    bool stronger = (status & (X87_IE | X87_ZE)) || x87_is_nan(a) || x87_is_nan(b);
    return (loading & X87_DE) && stronger ? (u16)(status & ~X87_DE) : status;
}

// dst = a op b with pops, an empty operand answered by the indefinite value.
void x87_arithmetic(struct cpu_fpu *fpu, unsigned dst, enum x87_op op, const struct x87_value *a,
                    const struct x87_value *b, bool empty, u16 loading, unsigned pops)
{
    struct x87_value result;
    u16 status = loading;
    bool store;
    if (empty) {
        store = x87_underflow(fpu);
        x87_constant(X87_INDEFINITE, fpu->fcw, &result);
    } else {
        status |= x87_run(op, fpu->fcw, a, b, &result);
        status = without_masked_denormal(status, loading, a, b);
        store = x87_take_status(fpu, status, X87_C1);
    }
    if (!store) {
        return;
    }
    x87_set_st(fpu, dst, &result);
    for (; pops; pops--) {
        x87_pop(fpu);
    }
}

void x87_compare(struct cpu_fpu *fpu, const struct x87_value *b, bool b_empty, bool quiet,
                 u16 loading, unsigned pops)
{
    u16 status = X87_C0 | X87_C2 | X87_C3;
    bool done;
    if (x87_is_empty(fpu, 0) || b_empty) {
        done = x87_underflow(fpu);
        fpu->fsw |= status;
    } else {
        status = x87_run(quiet ? X87_UCOMPARE : X87_COMPARE, fpu->fcw, x87_st(fpu, 0), b, NULL) |
                 loading;
        status = without_masked_denormal(status, loading, x87_st(fpu, 0), b);
        done = x87_take_status(fpu, status, X87_CC);
    }
    for (; done && pops; pops--) {
        x87_pop(fpu);
    }
}

// The eight operations of D8, DA, DC, DE by ModRM.reg, b being the operand that is not ST0.
void x87_group(struct cpu_fpu *fpu, unsigned reg, const struct x87_value *b, bool b_empty,
               u16 loading)
{
    static const u8 ops[] = {X87_ADD, X87_MUL, 0, 0, X87_SUB, X87_SUB, X87_DIV, X87_DIV};
    if (reg == 2 || reg == 3) {
        x87_compare(fpu, b, b_empty, false, loading, reg == 3);
        return;
    }
    if ((loading & X87_IE) && !x87_is_empty(fpu, 0) && x87_is_nan(x87_st(fpu, 0)) &&
        (x87_st(fpu, 0)->bytes[7] & 0x40)) {
        x87_take_status(
            fpu, loading,
            X87_C1); // a signalling NaN in memory yields to the quiet one (SDM 1 table 4-7)
        return;
    }
    bool reversed = reg & 1 & (reg >> 2);
    const struct x87_value *a = x87_st(fpu, 0);
    x87_arithmetic(fpu, 0, (enum x87_op)ops[reg], reversed ? b : a, reversed ? a : b,
                   x87_is_empty(fpu, 0) || b_empty, loading, 0);
}

void x87_reset(struct cpu_fpu *fpu)
{
    fpu->fcw = 0x37F, fpu->fsw = 0, fpu->ftw = 0, fpu->fop = 0, fpu->fip = 0, fpu->fdp = 0,
    fpu->fcs = 0, fpu->fds = 0;
}
