// SPDX-License-Identifier: MIT
// ADD OR ADC SBB AND SUB XOR CMP TEST, NOT NEG INC DEC, MUL IMUL, and the sign extensions of rAX.
#include "cpu/jit/translator.h"

#define OPCODE_TEST_RM_R 0x84
#define EXTENSION_CMP 7

static bool only_compares(const struct insn *insn)
{
    return insn->op == OP_CMP || insn->op == OP_TEST;
}

// Opcode of "rm, r"; "r, rm" is 2 more, but for TEST, which is symmetric.
static unsigned opcode_rm_r(const struct insn *insn)
{
    return insn->op == OP_TEST ? OPCODE_TEST_RM_R : (insn->op - OP_ADD) * 8u;
}

static unsigned opcode_r_rm(const struct insn *insn)
{
    return insn->op == OP_TEST ? OPCODE_TEST_RM_R : (insn->op - OP_ADD) * 8u + 2;
}

// rm op= imm
static void emit_immediate(struct translator *t, struct host_operand rm)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    unsigned width = insn->width, bytes = width == 0 ? 1 : width == 1 ? 2 : 4;
    if (insn->op == OP_TEST) {
        emit_op(e, sized_encoding(0xF6, width), 0, rm);
    } else if (width && (s64)insn->imm == (s8)insn->imm) {
        emit_op(e, 0x83 | width_encoding(width), insn->op - OP_ADD, rm);
        bytes = 1;
    } else {
        emit_op(e, sized_encoding(0x80, width), insn->op - OP_ADD, rm);
    }
    emit_imm(e, insn->imm, bytes);
}

// Whether the operation may be done on a register's slot in memory: nothing is left to be extended.
static bool in_slot(const struct translator *t, const struct insn *insn)
{
    return insn->width > 1 && host_of(t, insn->reg) == HOST_NONE &&
           (insn->width == 3 || only_compares(insn));
}

// The destination register is in memory, or a high byte: done in RCX.
static void emit_in_scratch(struct translator *t, struct host_operand source, bool immediate)
{
    const struct insn *insn = current_insn(t);
    unsigned width = insn->width;
    unsigned value = use_width(t, insn->reg, width, HOST_RCX);
    if (value != HOST_RCX) {
        emit_mov(&t->e, 3, HOST_RCX, value);
    }
    if (immediate) {
        emit_immediate(t, host_reg_operand(HOST_RCX));
    } else {
        emit_op(&t->e, sized_encoding(opcode_r_rm(insn), width), HOST_RCX, source);
    }
    if (!only_compares(insn)) {
        put_width(t, insn->reg, width, HOST_RCX);
    }
}

static void alu_registers(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    unsigned width = insn->width;
    if (in_place(t, insn->reg, width)) {
        struct host_operand source =
            width ? reg_operand(t, insn->rm) : host_reg_operand(use_reg8(t, insn->rm, HOST_R10));
        emit_op(&t->e, sized_encoding(opcode_r_rm(insn), width), host_of_width(t, insn->reg, width),
                source);
        return;
    }
    unsigned source = use_width(t, insn->rm, width, HOST_R10);
    if (in_slot(t, insn)) {
        emit_op(&t->e, sized_encoding(opcode_rm_r(insn), width), source, gpr_slot(insn->reg));
        return;
    }
    emit_in_scratch(t, host_reg_operand(source), false);
}

bool tr_alu(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    unsigned width = insn->width, size = 1u << width;
    switch (insn->form) {
    case FORM_RR:
        alu_registers(t);
        return true;
    case FORM_RI:
        if (in_place(t, insn->reg, width)) {
            emit_immediate(t, host_reg_operand(host_of_width(t, insn->reg, width)));
        } else if (in_slot(t, insn)) {
            emit_immediate(t, gpr_slot(insn->reg));
        } else {
            emit_in_scratch(t, (struct host_operand){0}, true);
        }
        return true;
    case FORM_RM: {
        struct host_operand m = emit_operand(t, size, false);
        if (in_place(t, insn->reg, width)) {
            emit_op(e, sized_encoding(opcode_r_rm(insn), width), host_of_width(t, insn->reg, width),
                    m);
        } else {
            emit_in_scratch(t, m, false);
        }
        return true;
    }
    case FORM_MR: {
        struct host_operand m = emit_operand(t, size, !only_compares(insn));
        emit_op(e, sized_encoding(opcode_rm_r(insn), width),
                use_width(t, insn->reg, width, HOST_RCX), m);
        return true;
    }
    case FORM_MI:
        emit_immediate(t, emit_operand(t, size, !only_compares(insn)));
        return true;
    default:
        return false;
    }
}

bool tr_unary(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    static const struct {
        u8 opcode, extension;
    } encodings[] = {{0xF6, 2}, {0xF6, 3}, {0xFE, 0}, {0xFE, 1}}; // NOT NEG INC DEC
    u32 encoding = sized_encoding(encodings[insn->op - OP_NOT].opcode, insn->width);
    unsigned extension = encodings[insn->op - OP_NOT].extension, width = insn->width;
    if (insn->form == FORM_M) {
        emit_op(&t->e, encoding, extension, emit_operand(t, 1u << width, true));
        return true;
    }
    if (insn->form != FORM_R) {
        return false;
    }
    if (width == 3) {
        emit_op(&t->e, encoding, extension, reg_operand(t, insn->reg));
        return true;
    }
    unsigned value = use_width(t, insn->reg, width, HOST_RCX);
    emit_op(&t->e, encoding, extension, host_reg_operand(value));
    if (!in_place(t, insn->reg, width)) {
        put_width(t, insn->reg, width, value);
    }
    return true;
}

// The flags that the SDM leaves undefined after a multiplication, as the profile has them: SF and
// PF of the low half, ZF and AF clear (interp/undefined.def). low: register, not r10 or r11.
static void emit_multiply_flags(struct translator *t, unsigned low, unsigned width)
{
    struct emitter *e = &t->e;
    if (!flags_live_after(t, F_SZAP)) {
        return;
    }
    emit_mov(e, 3, HOST_R10, HOST_RAX);
    emit_op(e, 0x90 | ENC_0F | ENC_BYTE_RM, 0, host_reg_operand(HOST_R11)); // seto r11b
    emit_op(e, sized_encoding(0x84, width), low, host_reg_operand(low));    // test
    emit_bytes(e, (const u8[]){0x9F, 0x80, 0xE4, 0xBF}, 4);                 // lahf; and ah, ~ZF
    emit_op(e, 0xB6 | ENC_0F | ENC_BYTE_RM, HOST_R11, host_reg_operand(HOST_R11)); // movzx
    emit_mov(e, 2, HOST_RCX, HOST_R11);
    emit_op(e, 0xC1, 4, host_reg_operand(HOST_RCX)); // shl ecx, 8: CF in AH
    emit_imm(e, 8, 1);
    emit_op(e, 0x0B, HOST_RAX, host_reg_operand(HOST_RCX)); // or eax, ecx
    emit_op(e, 0x80, 0, host_reg_operand(HOST_R11));        // add r11b, 7F: OF
    emit_imm(e, 0x7F, 1);
    emit_bytes(e, (const u8[]){0x9E}, 1); // sahf
    emit_mov(e, 3, HOST_RAX, HOST_R10);
}

// F6 and F7 with the operand of a one-operand multiplication.
static bool emit_wide_multiply(struct translator *t, unsigned extension)
{
    const struct insn *insn = current_insn(t);
    unsigned width = insn->width;
    if (width == 0 || (insn->form != FORM_M && insn->form != FORM_R)) {
        return false;
    }
    struct host_operand source =
        insn->form == FORM_M ? emit_operand(t, 1u << width, false) : reg_operand(t, insn->reg);
    emit_op(&t->e, sized_encoding(0xF6, width), extension, source);
    emit_multiply_flags(t, HOST_RAX, width);
    return true;
}

bool tr_mul(struct translator *t)
{
    return emit_wide_multiply(t, 4);
}

bool tr_imul(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    unsigned width = insn->width;
    bool memory = insn->form == FORM_RM || insn->form == FORM_RMI,
         immediate = insn->form == FORM_RRI || insn->form == FORM_RMI;
    if (insn->form == FORM_R || insn->form == FORM_M) {
        return emit_wide_multiply(t, 5);
    }
    struct host_operand source =
        memory ? emit_operand(t, 1u << width, false) : reg_operand(t, insn->rm);
    unsigned to = in_place(t, insn->reg, width) ? host_of(t, insn->reg) : HOST_RCX;
    if (immediate) {
        emit_op(e, 0x69 | width_encoding(width), to, source);
        emit_imm(e, insn->imm, width == 1 ? 2 : 4);
    } else {
        if (to == HOST_RCX) {
            emit_load(e, 3, HOST_RCX, gpr_slot(insn->reg));
        }
        emit_op(e, 0xAF | ENC_0F | width_encoding(width), to, source);
    }
    if (to == HOST_RCX) {
        put_width(t, insn->reg, width, HOST_RCX);
    }
    emit_multiply_flags(t, to, width);
    return true;
}

bool tr_widen(struct translator *t)
{
    struct emitter *e = &t->e;
    switch (current_insn(t)->op) {
    case OP_CBW:
        emit_bytes(e, (const u8[]){0x66, 0x98}, 2);
        break;
    case OP_CWDE:
        emit_bytes(e, (const u8[]){0x98}, 1);
        break;
    case OP_CDQE:
        emit_bytes(e, (const u8[]){0x48, 0x98}, 2);
        break;
    case OP_CWD:
        emit_bytes(e, (const u8[]){0x66, 0x99}, 2);
        break;
    case OP_CDQ:
        emit_bytes(e, (const u8[]){0x99}, 1);
        break;
    default:
        emit_bytes(e, (const u8[]){0x48, 0x99}, 2);
        break;
    }
    return true;
}

// Jumps to the interpreter unless rDX < RCX, the divisor, where the quotient fits. The 64-bit
// division is done only where rDX is 0. No flag is touched: NOT leaves them alone.
static void emit_division_check(struct translator *t, unsigned width)
{
    struct emitter *e = &t->e;
    if (width == 3) {
        emit_mov(e, 3, HOST_R11, HOST_RCX);
        emit_jrcxz(e, 3 + 2); // by zero: to the jump
        emit_mov(e, 3, HOST_RCX, HOST_RDX);
        emit_jrcxz(e, 5);
        emit_jump_slow(t);
        emit_mov(e, 3, HOST_RCX, HOST_R11);
        return;
    }
    emit_mov(e, 2, HOST_R10, HOST_RDX);
    emit_mov(e, 3, HOST_R11, HOST_RCX);
    emit_op(e, 0xF7 | ENC_W, 2, host_reg_operand(HOST_R11));       // not
    emit_lea(e, HOST_R10, host_indexed(HOST_R10, HOST_R11, 0, 1)); // edx - ecx
    emit_op(e, 0xF7 | ENC_W, 2, host_reg_operand(HOST_R10));
    emit_mov(e, 3, HOST_R11, HOST_RCX);
    emit_pext(e, HOST_RCX, HOST_R10, STATE(jit_frame.sign_mask)); // 0 if it was negative
    emit_jrcxz(e, 5);
    emit_jump_slow(t);
    emit_mov(e, 3, HOST_RCX, HOST_R11);
}

// The profile sets ZF and PF and keeps the other flags.
bool tr_div(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    unsigned width = insn->width;
    if (width < 2) {
        return false;
    }
    struct host_operand source =
        insn->form == FORM_M ? emit_operand(t, 1u << width, false) : reg_operand(t, insn->reg);
    emit_load(e, width, HOST_RCX, source);
    emit_division_check(t, width);
    bool flags = flags_live_after(t, F_OSZAPC);
    if (flags) {
        emit_mov(e, 3, HOST_R11, HOST_RAX);
        emit_bytes(e, (const u8[]){0x9F, 0x0F, 0x90, 0xC0}, 4); // lahf; seto al
        emit_store(e, 1, HOST_RAX, STATE(flags));
        emit_mov(e, 3, HOST_RAX, HOST_R11);
    }
    emit_op(e, 0xF7 | width_encoding(width), 6, host_reg_operand(HOST_RCX));
    if (flags) {
        emit_mov(e, 3, HOST_R11, HOST_RAX);
        emit_op(e, 0xB7 | ENC_0F, HOST_RAX, STATE(flags));
        // or ah, ZF | PF; add al, 7F; sahf
        emit_bytes(e, (const u8[]){0x80, 0xCC, 0x44, 0x04, 0x7F, 0x9E}, 6);
        emit_mov(e, 3, HOST_RAX, HOST_R11);
    }
    return true;
}
