// SPDX-License-Identifier: MIT
// x87 instructions: the register stack, exceptions, control; arithmetic is in x87_host.c and x87_math.c.
#include "cpu/interp/operand.h"
#include "cpu/interp/vector.h"
#include "cpu/interp/x87.h"

static unsigned opcode_of(const struct insn *insn)
{
    return (insn->imm >> 8) & 7; // D8..DF
}

static unsigned reg_field(const struct insn *insn)
{
    return (insn->imm >> 3) & 7;
}

static unsigned rm_field(const struct insn *insn)
{
    return insn->imm & 7;
}

static unsigned top(const struct cpu_fpu *fpu)
{
    return (fpu->fsw >> 11) & 7;
}

static unsigned physical(const struct cpu_fpu *fpu, unsigned i)
{
    return (top(fpu) + i) & 7;
}

static bool is_empty(const struct cpu_fpu *fpu, unsigned i)
{
    return !(fpu->ftw & (1u << physical(fpu, i)));
}

static struct x87_value *st(struct cpu_fpu *fpu, unsigned i)
{
    return (struct x87_value *)fpu->st[physical(fpu, i)];
}

static void set_st(struct cpu_fpu *fpu, unsigned i, const struct x87_value *value)
{
    memset(fpu->st[physical(fpu, i)], 0, 16);
    memcpy(fpu->st[physical(fpu, i)], value->bytes, 10);
    fpu->ftw |= (u8)(1u << physical(fpu, i));
}

static void rotate(struct cpu_fpu *fpu, int by)
{
    fpu->fsw = (u16)((fpu->fsw & ~0x3800) | (((top(fpu) + (unsigned)by) & 7) << 11));
}

static void pop(struct cpu_fpu *fpu)
{
    fpu->ftw &= (u8)~(1u << physical(fpu, 0));
    rotate(fpu, 1);
}

static bool is_nan(const struct x87_value *v)
{
    u64 significand;
    memcpy(&significand, v->bytes, 8);
    return (v->bytes[8] & v->bytes[9] & 0x7F) == 0x7F && v->bytes[8] == 0xFF && significand << 1;
}

// ES and B follow the unmasked flags.
static void update_summary(struct cpu_fpu *fpu)
{
    bool pending = fpu->fsw & ~fpu->fcw & X87_EXCEPTIONS;
    fpu->fsw = (u16)((fpu->fsw & ~0x8080) | (pending ? 0x8080 : 0));
}

// Takes an operation's status: exception flags accumulate, condition codes replace. False: an unmasked exception that is
// found before the operation, nothing may be stored.
static bool take_status(struct cpu_fpu *fpu, u16 status, u16 codes)
{
    fpu->fsw = (u16)((fpu->fsw & ~codes) | (status & codes) | (status & (X87_EXCEPTIONS | X87_SF)));
    update_summary(fpu);
    return !(status & ~fpu->fcw & (X87_IE | X87_DE | X87_ZE));
}

// Empty source: invalid operation with SF, C1 = 0; a full destination: C1 = 1 (SDM 1 8.5.1.1).
static bool stack_underflow(struct cpu_fpu *fpu)
{
    return take_status(fpu, X87_IE | X87_SF, X87_C1);
}

static bool stack_overflow(struct cpu_fpu *fpu)
{
    return take_status(fpu, X87_IE | X87_SF | X87_C1, X87_C1);
}

// #NM, and for waiting instructions a pending exception as #MF.
static bool x87_ready(struct cpu *cpu, bool waiting)
{
    if (cpu->cr0 & (CR0_EM | CR0_TS)) {
        return raise_fault(cpu, EXC_NM);
    }
    return !waiting || !(cpu->fpu.fsw & X87_ES) || raise_fault(cpu, EXC_MF);
}

// Where the last non-control instruction was, and what it addressed (SDM 1 8.1.8).
static void note_pointers(struct cpu *cpu, const struct insn *insn, u64 address)
{
    struct cpu_fpu *fpu = &cpu->fpu;
    fpu->fip = insn_rip(cpu, insn);
    fpu->fop = insn->imm & 0x7FF;
    if (insn->form == FORM_M) {
        fpu->fdp = address;
    }
}

static void push_value(struct cpu_fpu *fpu, const struct x87_value *value, u16 status)
{
    struct x87_value result = *value;
    if (!is_empty(fpu, 7)) {
        if (!stack_overflow(fpu)) {
            return;
        }
        x87_constant(X87_INDEFINITE, fpu->fcw, &result);
    } else if (!take_status(fpu, status, X87_C1)) {
        return;
    }
    rotate(fpu, -1);
    set_st(fpu, 0, &result);
}

// A denormal memory operand goes unnoticed beside a NaN, an invalid operation or a division by zero (SDM 1 table 8-10).
static u16 without_masked_denormal(u16 status, u16 loading, const struct x87_value *a, const struct x87_value *b)
{
    bool stronger = (status & (X87_IE | X87_ZE)) || is_nan(a) || is_nan(b);
    return (loading & X87_DE) && stronger ? (u16)(status & ~X87_DE) : status;
}

// dst = a op b with pops, an empty operand answered by the indefinite value.
static void arithmetic(struct cpu_fpu *fpu, unsigned dst, enum x87_op op, const struct x87_value *a,
                       const struct x87_value *b, bool empty, u16 loading, unsigned pops)
{
    struct x87_value result;
    u16 status = loading;
    bool store;
    if (empty) {
        store = stack_underflow(fpu);
        x87_constant(X87_INDEFINITE, fpu->fcw, &result);
    } else {
        status |= x87_run(op, fpu->fcw, a, b, &result);
        status = without_masked_denormal(status, loading, a, b);
        store = take_status(fpu, status, X87_C1);
    }
    if (!store) {
        return;
    }
    set_st(fpu, dst, &result);
    for (; pops; pops--) {
        pop(fpu);
    }
}

static void compare(struct cpu_fpu *fpu, const struct x87_value *b, bool b_empty, bool quiet, u16 loading, unsigned pops)
{
    u16 status = X87_C0 | X87_C2 | X87_C3;
    bool done;
    if (is_empty(fpu, 0) || b_empty) {
        done = stack_underflow(fpu);
        fpu->fsw |= status;
    } else {
        status = x87_run(quiet ? X87_UCOMPARE : X87_COMPARE, fpu->fcw, st(fpu, 0), b, NULL) | loading;
        status = without_masked_denormal(status, loading, st(fpu, 0), b);
        done = take_status(fpu, status, X87_CC);
    }
    for (; done && pops; pops--) {
        pop(fpu);
    }
}

// FCOMI and friends: the answer goes to ZF, PF, CF; OF, SF and AF are cleared.
static void compare_to_flags(struct cpu *cpu, unsigned i, bool quiet, bool pops)
{
    struct cpu_fpu *fpu = &cpu->fpu;
    u16 codes = fpu->fsw & (X87_C0 | X87_C2 | X87_C3);
    struct x87_value other = *st(fpu, i);
    compare(fpu, &other, is_empty(fpu, i), quiet, 0, 0);
    u16 seen = fpu->fsw;
    fpu->fsw = (u16)((fpu->fsw & ~(X87_CC & ~X87_C1)) | codes);
    if (!(fpu->fsw & X87_ES) || !(seen & ~fpu->fcw & X87_IE)) {
        cpu->flags = (u16)(FLAGS_ONE | ((seen & X87_C0) ? FLAGS_C : 0) | ((seen & X87_C2) ? FLAGS_P : 0) |
                           ((seen & X87_C3) ? FLAGS_Z : 0));
        if (pops) {
            pop(fpu);
        }
    }
}

// The eight operations of D8, DA, DC, DE by ModRM.reg, b being the operand that is not ST0.
static void group_operation(struct cpu_fpu *fpu, unsigned reg, const struct x87_value *b, bool b_empty, u16 loading)
{
    static const u8 ops[] = {X87_ADD, X87_MUL, 0, 0, X87_SUB, X87_SUB, X87_DIV, X87_DIV};
    if (reg == 2 || reg == 3) {
        compare(fpu, b, b_empty, false, loading, reg == 3);
        return;
    }
    if ((loading & X87_IE) && !is_empty(fpu, 0) && is_nan(st(fpu, 0)) && (st(fpu, 0)->bytes[7] & 0x40)) {
        take_status(fpu, loading, X87_C1); // a signalling NaN in memory yields to the quiet one (SDM 1 table 4-7)
        return;
    }
    bool reversed = reg & 1 & (reg >> 2);
    const struct x87_value *a = st(fpu, 0);
    arithmetic(fpu, 0, (enum x87_op)ops[reg], reversed ? b : a, reversed ? a : b, is_empty(fpu, 0) || b_empty, loading, 0);
}

static bool memory_operand(struct cpu *cpu, const struct insn *insn, void *bytes, unsigned size, bool write, u64 *linear)
{
    return operand_ea(cpu, insn, size, write, linear) && (write || operand_read(cpu, insn, *linear, bytes, size));
}

// D8/DC/DA/DE with a memory operand.
static bool op_memory_arithmetic(struct cpu *cpu, const struct insn *insn)
{
    static const u8 formats[] = {[0] = X87_M32, [2] = X87_I32, [4] = X87_M64, [6] = X87_I16};
    enum x87_format format = (enum x87_format)formats[opcode_of(insn)];
    u8 bytes[16];
    u64 linear;
    if (!x87_ready(cpu, true) || !memory_operand(cpu, insn, bytes, x87_format_size(format), false, &linear)) {
        return false;
    }
    struct x87_value value;
    u16 status = x87_load(format, cpu->fpu.fcw, bytes, &value);
    note_pointers(cpu, insn, linear);
    group_operation(&cpu->fpu, reg_field(insn), &value, false, status & X87_EXCEPTIONS);
    return true;
}

// D8, DC, DE with registers: DC and DE store to ST(i), where SUB/SUBR and DIV/DIVR swap their encodings.
static bool op_register_arithmetic(struct cpu *cpu, const struct insn *insn)
{
    static const u8 ops[] = {X87_ADD, X87_MUL, 0, 0, X87_SUB, X87_SUB, X87_DIV, X87_DIV};
    struct cpu_fpu *fpu = &cpu->fpu;
    unsigned reg = reg_field(insn), i = rm_field(insn), opcode = opcode_of(insn);
    if (!x87_ready(cpu, true)) {
        return false;
    }
    note_pointers(cpu, insn, 0);
    struct x87_value other = *st(fpu, i);
    if (reg == 2 || reg == 3) { // DE D9 is FCOMPP
        compare(fpu, &other, is_empty(fpu, i), false, 0, opcode == 6 && reg == 3 ? 2 : opcode == 6 || reg == 3);
    } else if (opcode == 0) {
        group_operation(fpu, reg, &other, is_empty(fpu, i), 0);
    } else {
        struct x87_value zero = *st(fpu, 0);
        bool swapped = reg >= 4 && !(reg & 1);
        arithmetic(fpu, i, (enum x87_op)ops[reg], swapped ? &zero : &other, swapped ? &other : &zero,
                   is_empty(fpu, 0) || is_empty(fpu, i), 0, opcode == 6);
    }
    return true;
}

static bool op_load(struct cpu *cpu, const struct insn *insn, enum x87_format format)
{
    u8 bytes[16];
    u64 linear;
    struct x87_value value;
    if (!x87_ready(cpu, true) || !memory_operand(cpu, insn, bytes, x87_format_size(format), false, &linear)) {
        return false;
    }
    note_pointers(cpu, insn, linear);
    push_value(&cpu->fpu, &value, x87_load(format, cpu->fpu.fcw, bytes, &value));
    return true;
}

static bool op_store(struct cpu *cpu, const struct insn *insn, enum x87_format format, bool pops)
{
    struct cpu_fpu *fpu = &cpu->fpu, before = *fpu;
    unsigned size = x87_format_size(format);
    u8 bytes[16];
    u64 linear;
    if (!x87_ready(cpu, true) || !memory_operand(cpu, insn, bytes, size, true, &linear) ||
        !operand_probe_write(cpu, insn, linear, size)) {
        return false;
    }
    note_pointers(cpu, insn, linear);
    struct x87_value value = *st(fpu, 0);
    bool store = true;
    if (is_empty(fpu, 0)) {
        store = stack_underflow(fpu);
        x87_constant(X87_INDEFINITE, fpu->fcw, &value);
        x87_store(format, fpu->fcw, &value, bytes);
    } else {
        u16 status = x87_store(format, fpu->fcw, &value, bytes);
        store = take_status(fpu, status, X87_C1) && !(status & ~fpu->fcw & (X87_OE | X87_UE));
    }
    if (store) {
        if (!operand_write(cpu, insn, linear, bytes, size)) {
            *fpu = before;
            return false;
        }
        if (pops) {
            pop(fpu);
        }
    }
    return true;
}

static void reset_x87(struct cpu_fpu *fpu)
{
    fpu->fcw = 0x37F, fpu->fsw = 0, fpu->ftw = 0, fpu->fop = 0, fpu->fip = 0, fpu->fdp = 0, fpu->fcs = 0, fpu->fds = 0;
}

// The full tag word of FNSTENV from the abridged one (SDM 1 8.1.7): 0 valid, 1 zero, 2 special, 3 empty.
static u16 full_tags(const struct cpu_fpu *fpu)
{
    u16 tags = 0;
    for (unsigned i = 0; i < 8; i++) {
        u64 significand;
        u16 exponent;
        memcpy(&significand, fpu->st[i], 8);
        memcpy(&exponent, fpu->st[i] + 8, 2);
        exponent &= 0x7FFF;
        unsigned tag = !(fpu->ftw & (1u << i))                                  ? 3
                       : !exponent && !significand                             ? 1
                       : exponent == 0x7FFF || !exponent || !(significand >> 63) ? 2
                                                                                : 0;
        tags |= (u16)(tag << (i * 2));
    }
    return tags;
}

static void set_tags(struct cpu_fpu *fpu, u16 tags)
{
    fpu->ftw = 0;
    for (unsigned i = 0; i < 8; i++) {
        fpu->ftw |= (u8)(((tags >> (i * 2) & 3) != 3) << i);
    }
}

// FNSTENV (28 bytes) and FNSAVE (108 bytes), in the 32-bit protected-mode format (SDM 1 figure 8-9).
static bool op_save_environment(struct cpu *cpu, const struct insn *insn, bool all)
{
    struct cpu_fpu *fpu = &cpu->fpu;
    u8 image[112] = {0};
    unsigned size = all ? 108 : 28;
    u64 linear;
    u32 words[7] = {0xFFFF0000u | fpu->fcw, 0xFFFF0000u | fpu->fsw, 0xFFFF0000u | full_tags(fpu), (u32)fpu->fip,
                    (u32)fpu->fop << 16 | fpu->fcs, (u32)fpu->fdp, 0xFFFF0000u | fpu->fds};
    if (!x87_ready(cpu, false) || !operand_ea(cpu, insn, size, true, &linear)) {
        return false;
    }
    memcpy(image, words, 28);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(image + 28 + i * 10, st(fpu, i), 10);
    }
    for (unsigned at = 0; at < size; at += 4) {
        if (!operand_probe_write(cpu, insn, linear + at, 4)) {
            return false;
        }
    }
    for (unsigned at = 0; at < size; at += 4) {
        if (!operand_write(cpu, insn, linear + at, image + at, 4)) {
            return false;
        }
    }
    if (all) {
        reset_x87(fpu);
    } else {
        fpu->fcw |= X87_EXCEPTIONS;
        update_summary(fpu);
    }
    return true;
}

static bool op_load_environment(struct cpu *cpu, const struct insn *insn, bool all)
{
    struct cpu_fpu *fpu = &cpu->fpu;
    u8 image[112];
    u32 words[7];
    unsigned size = all ? 108 : 28;
    u64 linear;
    if (!x87_ready(cpu, true) || !operand_ea(cpu, insn, size, false, &linear)) {
        return false;
    }
    for (unsigned at = 0; at < size; at += 4) {
        if (!operand_read(cpu, insn, linear + at, image + at, 4)) {
            return false;
        }
    }
    memcpy(words, image, 28);
    fpu->fcw = (u16)((words[0] & 0x1F7F) | 0x40), fpu->fsw = (u16)words[1];
    fpu->fip = words[3], fpu->fcs = (u16)words[4], fpu->fop = (words[4] >> 16) & 0x7FF;
    fpu->fdp = words[5], fpu->fds = (u16)words[6];
    for (unsigned i = 0; all && i < 8; i++) {
        struct x87_value value = {{0}};
        memcpy(value.bytes, image + 28 + i * 10, 10);
        set_st(fpu, i, &value);
    }
    set_tags(fpu, (u16)words[2]);
    update_summary(fpu);
    return true;
}

static bool op_store_word(struct cpu *cpu, const struct insn *insn, u16 value)
{
    return x87_ready(cpu, false) && operand_store(cpu, insn, &value, 2);
}

static bool op_fldcw(struct cpu *cpu, const struct insn *insn)
{
    u16 value;
    if (!x87_ready(cpu, true) || !operand_load(cpu, insn, &value, 2)) {
        return false;
    }
    cpu->fpu.fcw = (u16)((value & 0x1F7F) | 0x40);
    update_summary(&cpu->fpu);
    return true;
}

// Memory forms of D9, DB, DD, DF.
static bool op_memory(struct cpu *cpu, const struct insn *insn)
{
    switch (opcode_of(insn) << 4 | reg_field(insn)) {
    case 0x10: return op_load(cpu, insn, X87_M32);
    case 0x12: return op_store(cpu, insn, X87_M32, false);
    case 0x13: return op_store(cpu, insn, X87_M32, true);
    case 0x14: return op_load_environment(cpu, insn, false);
    case 0x15: return op_fldcw(cpu, insn);
    case 0x16: return op_save_environment(cpu, insn, false);
    case 0x17: return op_store_word(cpu, insn, cpu->fpu.fcw);
    case 0x30: return op_load(cpu, insn, X87_I32);
    case 0x32: return op_store(cpu, insn, X87_I32, false);
    case 0x33: return op_store(cpu, insn, X87_I32, true);
    case 0x35: return op_load(cpu, insn, X87_M80);
    case 0x37: return op_store(cpu, insn, X87_M80, true);
    case 0x50: return op_load(cpu, insn, X87_M64);
    case 0x52: return op_store(cpu, insn, X87_M64, false);
    case 0x53: return op_store(cpu, insn, X87_M64, true);
    case 0x54: return op_load_environment(cpu, insn, true);
    case 0x56: return op_save_environment(cpu, insn, true);
    case 0x57: return op_store_word(cpu, insn, cpu->fpu.fsw);
    case 0x70: return op_load(cpu, insn, X87_I16);
    case 0x72: return op_store(cpu, insn, X87_I16, false);
    case 0x73: return op_store(cpu, insn, X87_I16, true);
    case 0x74: return op_load(cpu, insn, X87_BCD);
    case 0x75: return op_load(cpu, insn, X87_I64);
    case 0x76: return op_store(cpu, insn, X87_BCD, true);
    case 0x77: return op_store(cpu, insn, X87_I64, true);
    default: return raise_ud(cpu);
    }
}

// One operand in ST0, one result there.
static void unary(struct cpu_fpu *fpu, enum x87_op op)
{
    arithmetic(fpu, 0, op, st(fpu, 0), st(fpu, 0), is_empty(fpu, 0), 0, 0);
}

// Results of the functions that also set condition codes (FPREM, FSIN...).
static void store_with_codes(struct cpu_fpu *fpu, u16 status, u16 codes, const struct x87_value *result)
{
    if (take_status(fpu, status, codes) && !((codes & X87_C2) && (status & X87_C2) && !result)) {
        set_st(fpu, 0, result);
    }
}

static void remainder_of(struct cpu_fpu *fpu, enum x87_op op)
{
    struct x87_value result;
    if (is_empty(fpu, 0) || is_empty(fpu, 1)) {
        arithmetic(fpu, 0, op, st(fpu, 0), NULL, true, 0, 0);
        return;
    }
    u16 status = x87_run(op, fpu->fcw, st(fpu, 0), st(fpu, 1), &result);
    store_with_codes(fpu, status, X87_CC, &result);
}

enum trigonometry { SINE, COSINE, SINE_AND_COSINE, TANGENT };

static void trigonometric(struct cpu_fpu *fpu, enum trigonometry which)
{
    struct x87_value sine, cosine, one;
    if (is_empty(fpu, 0)) {
        unary(fpu, X87_SQRT); // underflow answered alike
        return;
    }
    bool two = which == SINE_AND_COSINE || which == TANGENT;
    if (two && !is_empty(fpu, 7)) {
        if (stack_overflow(fpu)) {
            x87_constant(X87_INDEFINITE, fpu->fcw, &one);
            set_st(fpu, 0, &one);
            rotate(fpu, -1);
            set_st(fpu, 0, &one);
        }
        return;
    }
    u16 status = x87_sin_cos(st(fpu, 0), &sine, &cosine);
    if (!take_status(fpu, status, X87_C1 | X87_C2) || (status & X87_C2)) {
        return;
    }
    if (which == TANGENT) {
        x87_constant(X87_ONE, fpu->fcw, &one);
        x87_run(X87_DIV, 0x37F, &sine, &cosine, &sine);
        cosine = one;
    }
    set_st(fpu, 0, which == COSINE ? &cosine : &sine);
    if (two) {
        rotate(fpu, -1);
        set_st(fpu, 0, &cosine);
    }
}

// FYL2X, FYL2XP1, FPATAN: ST1 = f(ST0, ST1), pop.
static void logarithm_or_angle(struct cpu_fpu *fpu, unsigned opcode)
{
    struct x87_value result;
    if (is_empty(fpu, 0) || is_empty(fpu, 1)) {
        arithmetic(fpu, 1, X87_ADD, st(fpu, 0), NULL, true, 0, 1);
        return;
    }
    u16 status = opcode == 0xF3 ? x87_fpatan(st(fpu, 0), st(fpu, 1), &result)
                                : x87_fyl2x(st(fpu, 0), st(fpu, 1), opcode == 0xF9, &result);
    if (take_status(fpu, status, X87_C1)) {
        set_st(fpu, 1, &result);
        pop(fpu);
    }
}

static void extract(struct cpu_fpu *fpu)
{
    struct x87_value exponent, significand;
    u16 status = x87_extract(fpu->fcw, st(fpu, 0), &exponent, &significand);
    bool store, misplaced = is_empty(fpu, 0) || !is_empty(fpu, 7);
    if (misplaced) {
        store = is_empty(fpu, 0) ? stack_underflow(fpu) : stack_overflow(fpu);
        x87_constant(X87_INDEFINITE, fpu->fcw, &significand);
        exponent = significand;
    } else {
        store = take_status(fpu, status, X87_C1);
    }
    if (!store) {
        return;
    }
    set_st(fpu, 0, &exponent);
    rotate(fpu, -1);
    set_st(fpu, 0, &significand);
}

static void examine(struct cpu_fpu *fpu)
{
    u16 status = x87_run(X87_EXAMINE, fpu->fcw, st(fpu, 0), NULL, NULL);
    if (is_empty(fpu, 0)) {
        status = (u16)((status & X87_C1) | X87_C3 | X87_C0);
    }
    fpu->fsw = (u16)((fpu->fsw & ~X87_CC) | (status & X87_CC));
}

static void test_against_zero(struct cpu_fpu *fpu)
{
    struct x87_value zero;
    x87_constant(X87_ZERO, fpu->fcw, &zero);
    compare(fpu, &zero, false, false, 0, 0);
}

static void exchange(struct cpu_fpu *fpu, unsigned i)
{
    struct x87_value a, b;
    x87_constant(X87_INDEFINITE, fpu->fcw, &a);
    b = a;
    if (is_empty(fpu, 0) || is_empty(fpu, i)) {
        if (!stack_underflow(fpu)) {
            return;
        }
    } else {
        fpu->fsw &= (u16)~X87_C1;
    }
    a = is_empty(fpu, 0) ? a : *st(fpu, 0);
    b = is_empty(fpu, i) ? b : *st(fpu, i);
    set_st(fpu, 0, &b);
    set_st(fpu, i, &a);
}

static void load_constant(struct cpu_fpu *fpu, unsigned which)
{
    struct x87_value value;
    x87_constant((enum x87_constant)which, fpu->fcw, &value);
    push_value(fpu, &value, 0);
}

static void f2xm1(struct cpu_fpu *fpu)
{
    struct x87_value result;
    if (is_empty(fpu, 0)) {
        unary(fpu, X87_SQRT);
        return;
    }
    u16 status = x87_f2xm1(st(fpu, 0), &result);
    store_with_codes(fpu, status, X87_C1, &result);
}

static void scale(struct cpu_fpu *fpu)
{
    arithmetic(fpu, 0, X87_SCALE, st(fpu, 0), st(fpu, 1), is_empty(fpu, 0) || is_empty(fpu, 1), 0, 0);
}

// D9 E0..FF by their second byte. False: not an instruction.
static bool d9_function(struct cpu_fpu *fpu, unsigned modrm)
{
    switch (modrm) {
    case 0xE0: unary(fpu, X87_CHS); break;
    case 0xE1: unary(fpu, X87_ABS); break;
    case 0xE4: test_against_zero(fpu); break;
    case 0xE5: examine(fpu); break;
    case 0xF0: f2xm1(fpu); break;
    case 0xF1: case 0xF3: case 0xF9: logarithm_or_angle(fpu, modrm); break;
    case 0xF2: trigonometric(fpu, TANGENT); break;
    case 0xF4: extract(fpu); break;
    case 0xF5: remainder_of(fpu, X87_REMAINDER_IEEE); break;
    case 0xF6: rotate(fpu, -1), fpu->fsw &= (u16)~X87_C1; break;
    case 0xF7: rotate(fpu, 1), fpu->fsw &= (u16)~X87_C1; break;
    case 0xF8: remainder_of(fpu, X87_REMAINDER); break;
    case 0xFA: unary(fpu, X87_SQRT); break;
    case 0xFB: trigonometric(fpu, SINE_AND_COSINE); break;
    case 0xFC: unary(fpu, X87_ROUND); break;
    case 0xFD: scale(fpu); break;
    case 0xFE: trigonometric(fpu, SINE); break;
    case 0xFF: trigonometric(fpu, COSINE); break;
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
    case 0: return cpu->flags & FLAGS_C;
    case 1: return cpu->flags & FLAGS_Z;
    case 2: return cpu->flags & (FLAGS_C | FLAGS_Z);
    default: return cpu->flags & FLAGS_P;
    }
}

static void conditional_move(struct cpu_fpu *fpu, unsigned i, bool taken)
{
    struct x87_value value = *st(fpu, i);
    if (is_empty(fpu, 0) || is_empty(fpu, i)) {
        if (!stack_underflow(fpu)) {
            return;
        }
        x87_constant(X87_INDEFINITE, fpu->fcw, &value);
        taken = true;
    }
    if (taken) {
        set_st(fpu, 0, &value);
    }
}

static void load_register(struct cpu_fpu *fpu, unsigned i)
{
    struct x87_value value = *st(fpu, i);
    if (is_empty(fpu, i)) {
        if (!stack_underflow(fpu)) {
            return;
        }
        x87_constant(X87_INDEFINITE, fpu->fcw, &value);
        rotate(fpu, -1);
        set_st(fpu, 0, &value);
        return;
    }
    push_value(fpu, &value, 0);
}

static void store_register(struct cpu_fpu *fpu, unsigned i, bool pops)
{
    struct x87_value value = *st(fpu, 0);
    if (is_empty(fpu, 0)) {
        if (!stack_underflow(fpu)) {
            return;
        }
        x87_constant(X87_INDEFINITE, fpu->fcw, &value);
    } else {
        fpu->fsw &= (u16)~X87_C1;
    }
    set_st(fpu, i, &value);
    if (pops) {
        pop(fpu);
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
    reset_x87(&cpu->fpu);
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

// Register forms outside of the arithmetic groups, by opcode and ModRM.reg. False: not an instruction.
static bool register_operation(struct cpu *cpu, const struct insn *insn)
{
    struct cpu_fpu *fpu = &cpu->fpu;
    unsigned i = rm_field(insn), reg = reg_field(insn), modrm = insn->imm & 0xFF;
    switch (opcode_of(insn) << 4 | reg) {
    case 0x10: load_register(fpu, i); return true;
    case 0x11: case 0x51: case 0x71: exchange(fpu, i); return true;
    case 0x12: return modrm == 0xD0; // FNOP
    case 0x13: case 0x72: case 0x73: store_register(fpu, i, true); return true;
    case 0x14: case 0x15: case 0x16: case 0x17: return d9_function(fpu, modrm);
    case 0x20: case 0x21: case 0x22: case 0x23: conditional_move(fpu, i, condition(cpu, reg)); return true;
    case 0x25: {
        struct x87_value other = *st(fpu, 1);
        compare(fpu, &other, is_empty(fpu, 1), true, 0, 2); // FUCOMPP
        return modrm == 0xE9;
    }
    case 0x30: case 0x31: case 0x32: case 0x33: conditional_move(fpu, i, !condition(cpu, reg)); return true;
    case 0x35: case 0x36: compare_to_flags(cpu, i, reg == 5, false); return true;
    case 0x50: case 0x70: // FFREE; FFREEP pops as well
        fpu->ftw &= (u8)~(1u << physical(fpu, i));
        if (opcode_of(insn) == 7) {
            pop(fpu);
        }
        return true;
    case 0x52: case 0x53: store_register(fpu, i, reg == 3); return true;
    case 0x54: case 0x55: {
        struct x87_value other = *st(fpu, i);
        compare(fpu, &other, is_empty(fpu, i), true, 0, reg == 5);
        return true;
    }
    case 0x75: case 0x76: compare_to_flags(cpu, i, reg == 5, true); return true;
    default: return false;
    }
}

static bool op_register(struct cpu *cpu, const struct insn *insn)
{
    if (!x87_ready(cpu, true)) {
        return false;
    }
    note_pointers(cpu, insn, 0);
    return register_operation(cpu, insn) || raise_ud(cpu);
}

insn_fn bind_x87(const struct insn *insn)
{
    bool arithmetic_group = !(opcode_of(insn) & 1);
    if (insn->form == FORM_M) {
        return arithmetic_group ? op_memory_arithmetic : op_memory;
    }
    switch (insn->imm & 0x7FF) {
    case 0x3E2: return op_fnclex;
    case 0x3E3: return op_fninit;
    case 0x7E0: return op_fnstsw_ax;
    default: break;
    }
    // DA has the conditional moves where the others have arithmetic.
    return arithmetic_group && opcode_of(insn) != 2 ? op_register_arithmetic : op_register;
}

// WAIT: #NM if MP and TS are both set; a pending exception is #MF.
static bool op_fwait(struct cpu *cpu, const struct insn *insn)
{
    if ((cpu->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS)) {
        return raise_fault(cpu, EXC_NM);
    }
    return !(cpu->fpu.fsw & X87_ES) || raise_fault(cpu, EXC_MF);
}

BIND_ONE(fwait, op_fwait)
