// SPDX-License-Identifier: MIT
// x87 instructions on registers; those with a memory operand are in op_x87_memory.c, arithmetic in
// x87_host.c and x87_math.c.
#include "cpu/interp/x87_stack.h"

// FCOMI and friends: the answer goes to ZF, PF, CF; OF, SF and AF are cleared.
static void compare_to_flags(struct cpu *cpu, unsigned i, bool quiet, bool pops)
{
    struct cpu_fpu *fpu = &cpu->fpu;
    u16 codes = fpu->fsw & (X87_C0 | X87_C2 | X87_C3);
    struct x87_value other = *x87_st(fpu, i);
    x87_compare(fpu, &other, x87_is_empty(fpu, i), quiet, 0, 0);
    u16 seen = fpu->fsw;
    fpu->fsw = (u16)((fpu->fsw & ~(X87_CC & ~X87_C1)) | codes);
    if (!(fpu->fsw & X87_ES) || !(seen & ~fpu->fcw & X87_IE)) {
        cpu->flags = (u16)(FLAGS_ONE | ((seen & X87_C0) ? FLAGS_C : 0) |
                           ((seen & X87_C2) ? FLAGS_P : 0) | ((seen & X87_C3) ? FLAGS_Z : 0));
        if (pops) {
            x87_pop(fpu);
        }
    }
}

// D8, DC, DE with registers: DC and DE store to ST(i), where SUB/SUBR and DIV/DIVR swap their
// encodings.
static bool op_register_arithmetic(struct cpu *cpu, const struct insn *insn)
{
    static const u8 ops[] = {X87_ADD, X87_MUL, 0, 0, X87_SUB, X87_SUB, X87_DIV, X87_DIV};
    struct cpu_fpu *fpu = &cpu->fpu;
    unsigned reg = x87_reg(insn), i = x87_rm(insn), opcode = x87_opcode(insn);
    if (!x87_ready(cpu, true)) {
        return false;
    }
    x87_note_pointers(cpu, insn, 0);
    struct x87_value other = *x87_st(fpu, i);
    if (reg == 2 || reg == 3) { // DE D9 is FCOMPP
        x87_compare(fpu, &other, x87_is_empty(fpu, i), false, 0,
                    opcode == 6 && reg == 3 ? 2 : opcode == 6 || reg == 3);
    } else if (opcode == 0) {
        x87_group(fpu, reg, &other, x87_is_empty(fpu, i), 0);
    } else {
        struct x87_value zero = *x87_st(fpu, 0);
        bool swapped = reg >= 4 && !(reg & 1);
        x87_arithmetic(fpu, i, (enum x87_op)ops[reg], swapped ? &zero : &other,
                       swapped ? &other : &zero, x87_is_empty(fpu, 0) || x87_is_empty(fpu, i), 0,
                       opcode == 6);
    }
    return true;
}

// One operand in ST0, one result there.
static void unary(struct cpu_fpu *fpu, enum x87_op op)
{
    x87_arithmetic(fpu, 0, op, x87_st(fpu, 0), x87_st(fpu, 0), x87_is_empty(fpu, 0), 0, 0);
}

// Results of the functions that also set condition codes (FPREM, FSIN...).
static void store_with_codes(struct cpu_fpu *fpu, u16 status, u16 codes,
                             const struct x87_value *result)
{
    if (x87_take_status(fpu, status, codes) &&
        !((codes & X87_C2) && (status & X87_C2) && !result)) {
        x87_set_st(fpu, 0, result);
    }
}

static void remainder_of(struct cpu_fpu *fpu, enum x87_op op)
{
    struct x87_value result;
    if (x87_is_empty(fpu, 0) || x87_is_empty(fpu, 1)) {
        fpu->fsw &= (u16)~X87_C2; // nothing remains to be done
        x87_arithmetic(fpu, 0, op, x87_st(fpu, 0), NULL, true, 0, 0);
        return;
    }
    u16 status = x87_run(op, fpu->fcw, x87_st(fpu, 0), x87_st(fpu, 1), &result);
    // Without a quotient there are no bits of it.
    store_with_codes(fpu, status, x87_is_nan(&result) ? X87_C1 | X87_C2 : X87_CC, &result);
}

enum trigonometry { SINE, COSINE, SINE_AND_COSINE, TANGENT };

static void trigonometric(struct cpu_fpu *fpu, enum trigonometry which)
{
    struct x87_value sine, cosine, one;
    if (x87_is_empty(fpu, 0)) {
        unary(fpu, X87_SQRT); // underflow answered alike
        return;
    }
    bool two = which == SINE_AND_COSINE || which == TANGENT;
    if (two && !x87_is_empty(fpu, 7)) {
        if (x87_overflow(fpu)) {
            x87_constant(X87_INDEFINITE, fpu->fcw, &one);
            x87_set_st(fpu, 0, &one);
            x87_rotate(fpu, -1);
            x87_set_st(fpu, 0, &one);
        }
        return;
    }
    u16 status = x87_sin_cos(x87_st(fpu, 0), &sine, &cosine);
    if (!x87_take_status(fpu, status, X87_C1 | X87_C2) || (status & X87_C2)) {
        return;
    }
    if (which == TANGENT) {
        x87_constant(X87_ONE, fpu->fcw, &one);
        x87_run(X87_DIV, 0x37F, &sine, &cosine, &sine);
        cosine = one;
    }
    x87_set_st(fpu, 0, which == COSINE ? &cosine : &sine);
    if (two) {
        x87_rotate(fpu, -1);
        x87_set_st(fpu, 0, &cosine);
    }
}

// FYL2X, FYL2XP1, FPATAN: ST1 = f(ST0, ST1), pop.
static void logarithm_or_angle(struct cpu_fpu *fpu, unsigned opcode)
{
    struct x87_value result;
    if (x87_is_empty(fpu, 0) || x87_is_empty(fpu, 1)) {
        x87_arithmetic(fpu, 1, X87_ADD, x87_st(fpu, 0), NULL, true, 0, 1);
        return;
    }
    u16 status = opcode == 0xF3
                     ? x87_fpatan(x87_st(fpu, 0), x87_st(fpu, 1), &result)
                     : x87_fyl2x(x87_st(fpu, 0), x87_st(fpu, 1), opcode == 0xF9, &result);
    if (x87_take_status(fpu, status, X87_C1)) {
        x87_set_st(fpu, 1, &result);
        x87_pop(fpu);
    }
}

static void extract(struct cpu_fpu *fpu)
{
    struct x87_value exponent, significand;
    u16 status = x87_extract(fpu->fcw, x87_st(fpu, 0), &exponent, &significand);
    bool store, misplaced = x87_is_empty(fpu, 0) || !x87_is_empty(fpu, 7);
    if (misplaced) {
        store = x87_is_empty(fpu, 0) ? x87_underflow(fpu) : x87_overflow(fpu);
        x87_constant(X87_INDEFINITE, fpu->fcw, &significand);
        exponent = significand;
    } else {
        store = x87_take_status(fpu, status, X87_C1);
    }
    if (!store) {
        return;
    }
    x87_set_st(fpu, 0, &exponent);
    x87_rotate(fpu, -1);
    x87_set_st(fpu, 0, &significand);
}

static void examine(struct cpu_fpu *fpu)
{
    u16 status = x87_run(X87_EXAMINE, fpu->fcw, x87_st(fpu, 0), NULL, NULL);
    if (x87_is_empty(fpu, 0)) {
        status = (u16)((status & X87_C1) | X87_C3 | X87_C0);
    }
    fpu->fsw = (u16)((fpu->fsw & ~X87_CC) | (status & X87_CC));
}

static void test_against_zero(struct cpu_fpu *fpu)
{
    struct x87_value zero;
    x87_constant(X87_ZERO, fpu->fcw, &zero);
    x87_compare(fpu, &zero, false, false, 0, 0);
}

static void exchange(struct cpu_fpu *fpu, unsigned i)
{
    struct x87_value a, b;
    x87_constant(X87_INDEFINITE, fpu->fcw, &a);
    b = a;
    if (x87_is_empty(fpu, 0) || x87_is_empty(fpu, i)) {
        if (!x87_underflow(fpu)) {
            return;
        }
    } else {
        fpu->fsw &= (u16)~X87_C1;
    }
    a = x87_is_empty(fpu, 0) ? a : *x87_st(fpu, 0);
    b = x87_is_empty(fpu, i) ? b : *x87_st(fpu, i);
    x87_set_st(fpu, 0, &b);
    x87_set_st(fpu, i, &a);
}

static void load_constant(struct cpu_fpu *fpu, unsigned which)
{
    struct x87_value value;
    x87_constant((enum x87_constant)which, fpu->fcw, &value);
    x87_push(fpu, &value, 0);
}

static void f2xm1(struct cpu_fpu *fpu)
{
    struct x87_value result;
    if (x87_is_empty(fpu, 0)) {
        unary(fpu, X87_SQRT);
        return;
    }
    u16 status = x87_f2xm1(x87_st(fpu, 0), &result);
    store_with_codes(fpu, status, X87_C1, &result);
}

static void scale(struct cpu_fpu *fpu)
{
    x87_arithmetic(fpu, 0, X87_SCALE, x87_st(fpu, 0), x87_st(fpu, 1),
                   x87_is_empty(fpu, 0) || x87_is_empty(fpu, 1), 0, 0);
}

// D9 E0..FF by their second byte. False: not an instruction.
static bool d9_function(struct cpu_fpu *fpu, unsigned modrm)
{
    switch (modrm) {
    case 0xE0:
        unary(fpu, X87_CHS);
        break;
    case 0xE1:
        unary(fpu, X87_ABS);
        break;
    case 0xE4:
        test_against_zero(fpu);
        break;
    case 0xE5:
        examine(fpu);
        break;
    case 0xF0:
        f2xm1(fpu);
        break;
    case 0xF1:
    case 0xF3:
    case 0xF9:
        logarithm_or_angle(fpu, modrm);
        break;
    case 0xF2:
        trigonometric(fpu, TANGENT);
        break;
    case 0xF4:
        extract(fpu);
        break;
    case 0xF5:
        remainder_of(fpu, X87_REMAINDER_IEEE);
        break;
    case 0xF6:
        x87_rotate(fpu, -1), fpu->fsw &= (u16)~X87_C1;
        break;
    case 0xF7:
        x87_rotate(fpu, 1), fpu->fsw &= (u16)~X87_C1;
        break;
    case 0xF8:
        remainder_of(fpu, X87_REMAINDER);
        break;
    case 0xFA:
        unary(fpu, X87_SQRT);
        break;
    case 0xFB:
        trigonometric(fpu, SINE_AND_COSINE);
        break;
    case 0xFC:
        unary(fpu, X87_ROUND);
        break;
    case 0xFD:
        scale(fpu);
        break;
    case 0xFE:
        trigonometric(fpu, SINE);
        break;
    case 0xFF:
        trigonometric(fpu, COSINE);
        break;
    default:
        if (modrm < 0xE8 || modrm > 0xEE) {
            return false;
        }
        load_constant(fpu, modrm - 0xE8);
    }
    return true;
}

static bool condition(const struct cpu *cpu, unsigned which)
{
    switch (which) {
    case 0:
        return cpu->flags & FLAGS_C;
    case 1:
        return cpu->flags & FLAGS_Z;
    case 2:
        return cpu->flags & (FLAGS_C | FLAGS_Z);
    default:
        return cpu->flags & FLAGS_P;
    }
}

static void conditional_move(struct cpu_fpu *fpu, unsigned i, bool taken)
{
    struct x87_value value = *x87_st(fpu, i);
    if (x87_is_empty(fpu, 0) || x87_is_empty(fpu, i)) {
        if (!x87_underflow(fpu)) {
            return;
        }
        x87_constant(X87_INDEFINITE, fpu->fcw, &value);
        taken = true;
    }
    if (taken) {
        x87_set_st(fpu, 0, &value);
    }
}

static void load_register(struct cpu_fpu *fpu, unsigned i)
{
    struct x87_value value = *x87_st(fpu, i);
    if (x87_is_empty(fpu, i)) {
        if (!x87_underflow(fpu)) {
            return;
        }
        x87_constant(X87_INDEFINITE, fpu->fcw, &value);
        x87_rotate(fpu, -1);
        x87_set_st(fpu, 0, &value);
        return;
    }
    x87_push(fpu, &value, 0);
}

static void store_register(struct cpu_fpu *fpu, unsigned i, bool pops)
{
    struct x87_value value = *x87_st(fpu, 0);
    if (x87_is_empty(fpu, 0)) {
        if (!x87_underflow(fpu)) {
            return;
        }
        x87_constant(X87_INDEFINITE, fpu->fcw, &value);
    } else {
        fpu->fsw &= (u16)~X87_C1;
    }
    x87_set_st(fpu, i, &value);
    if (pops) {
        x87_pop(fpu);
    }
}

// Control instructions, which do not wait for a pending exception.
static bool op_fnclex(struct cpu *cpu, const struct insn *insn)
{
    if (!x87_ready(cpu, false)) {
        return false;
    }
    cpu->fpu.fsw &= 0x7F00;
    return true;
}

static bool op_fninit(struct cpu *cpu, const struct insn *insn)
{
    if (!x87_ready(cpu, false)) {
        return false;
    }
    x87_reset(&cpu->fpu);
    return true;
}

static bool op_fnstsw_ax(struct cpu *cpu, const struct insn *insn)
{
    if (!x87_ready(cpu, false)) {
        return false;
    }
    memcpy(&cpu->gpr[CPU_RAX], &cpu->fpu.fsw, 2);
    return true;
}

// Register forms outside of the arithmetic groups, by opcode and ModRM.reg. False: not an
// instruction.
static bool register_operation(struct cpu *cpu, const struct insn *insn)
{
    struct cpu_fpu *fpu = &cpu->fpu;
    unsigned i = x87_rm(insn), reg = x87_reg(insn), modrm = insn->imm & 0xFF;
    switch (x87_opcode(insn) << 4 | reg) {
    case 0x10:
        load_register(fpu, i);
        return true;
    case 0x11:
    case 0x51:
    case 0x71:
        exchange(fpu, i);
        return true;
    case 0x12:
        return modrm == 0xD0; // FNOP
    case 0x13:
    case 0x72:
    case 0x73:
        store_register(fpu, i, true);
        return true;
    case 0x14:
    case 0x15:
    case 0x16:
    case 0x17:
        return d9_function(fpu, modrm);
    case 0x20:
    case 0x21:
    case 0x22:
    case 0x23:
        conditional_move(fpu, i, condition(cpu, reg));
        return true;
    case 0x25: {
        struct x87_value other = *x87_st(fpu, 1);
        x87_compare(fpu, &other, x87_is_empty(fpu, 1), true, 0, 2); // FUCOMPP
        return modrm == 0xE9;
    }
    case 0x30:
    case 0x31:
    case 0x32:
    case 0x33:
        conditional_move(fpu, i, !condition(cpu, reg));
        return true;
    case 0x35:
    case 0x36:
        compare_to_flags(cpu, i, reg == 5, false);
        return true;
    case 0x50:
    case 0x70: // FFREE; FFREEP pops as well
        fpu->ftw &= (u8) ~(1u << x87_physical(fpu, i));
        if (x87_opcode(insn) == 7) {
            x87_pop(fpu);
        }
        return true;
    case 0x52:
    case 0x53:
        store_register(fpu, i, reg == 3);
        return true;
    case 0x54:
    case 0x55: {
        struct x87_value other = *x87_st(fpu, i);
        x87_compare(fpu, &other, x87_is_empty(fpu, i), true, 0, reg == 5);
        return true;
    }
    case 0x75:
    case 0x76:
        compare_to_flags(cpu, i, reg == 5, true);
        return true;
    default:
        return false;
    }
}

static bool op_register(struct cpu *cpu, const struct insn *insn)
{
    if (!x87_ready(cpu, true)) {
        return false;
    }
    x87_note_pointers(cpu, insn, 0);
    return register_operation(cpu, insn) || raise_ud(cpu);
}

insn_fn bind_x87(const struct insn *insn)
{
    bool arithmetic_group = !(x87_opcode(insn) & 1);
    if (insn->form == FORM_M) {
        return arithmetic_group ? op_x87_memory_arithmetic : op_x87_memory;
    }
    switch (insn->imm & 0x7FF) {
    case 0x3E2:
        return op_fnclex;
    case 0x3E3:
        return op_fninit;
    case 0x7E0:
        return op_fnstsw_ax;
    default:
        break;
    }
    // DA has the conditional moves where the others have arithmetic.
    return arithmetic_group && x87_opcode(insn) != 2 ? op_register_arithmetic : op_register;
}

// WAIT: #NM if MP and TS are both set; then it reports a pending exception.
static bool op_fwait(struct cpu *cpu, const struct insn *insn)
{
    if ((cpu->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS)) {
        return raise_fault(cpu, EXC_NM);
    }
    return x87_settled(cpu);
}

BIND_ONE(fwait, op_fwait)
