// SPDX-License-Identifier: MIT
// Shifts, rotations, single bits, counts of bits, BMI.
#include "cpu/jit/translator.h"

// AF is clear after a shift in the profile (interp/undefined.def), whatever the host makes of it.
// r10, r11 are used.
static void emit_clear_af(struct translator *t)
{
    struct emitter *e = &t->e;
    if (!flags_live_after(t, F_A)) {
        return;
    }
    emit_mov(e, 3, HOST_R10, HOST_RAX);
    emit_op(e, 0x90 | ENC_0F | ENC_BYTE_RM, 0, host_reg_operand(HOST_R11)); // seto r11b
    emit_bytes(e, (const u8[]){0x9F, 0x80, 0xE4, 0xEF}, 4);                 // lahf; and ah, ~AF
    emit_op(e, 0x80, 0, host_reg_operand(HOST_R11));                        // add r11b, 7F
    emit_imm(e, 0x7F, 1);
    emit_bytes(e, (const u8[]){0x9E}, 1); // sahf
    emit_mov(e, 3, HOST_RAX, HOST_R10);
}

static bool shift_by_immediate(struct translator *t, unsigned extension)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    unsigned width = insn->width, count = insn->imm & (width == 3 ? 63 : 31);
    bool memory = insn->form == FORM_MI, rotates = extension < 4;
    if (count >= (8u << width)) {
        return false; // of 8 and 16 bits: flags are the profile's
    }
    struct host_operand rm = memory ? emit_operand(t, 1u << width, true)
                                    : host_reg_operand(use_width(t, insn->reg, width, HOST_RCX));
    emit_op(e, sized_encoding(0xC0, width), extension, rm);
    emit_imm(e, count, 1);
    if (!memory && (!in_place(t, insn->reg, width) || (width == 2 && count == 0))) {
        if (width == 2) {
            emit_mov(e, 2, HOST_RCX, rm.reg); // a count of 0 clears the upper half, too
            put_width(t, insn->reg, 2, HOST_RCX);
        } else {
            put_width(t, insn->reg, width, rm.reg);
        }
    }
    if (count && !rotates) {
        emit_clear_af(t);
    }
    return true;
}

// By CL. A count of zero leaves the flags alone: then the shift and the mending are jumped over.
static bool shift_by_cl(struct translator *t, unsigned extension)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    unsigned width = insn->width;
    if (width < 2) {
        return false;
    }
    bool memory = insn->form == FORM_MR, mends = extension >= 4 && flags_live_after(t, F_A);
    if (memory && mends) {
        return false; // r10 and r11 are in use
    }
    struct host_operand rm = memory ? emit_operand(t, 1u << width, true)
                                    : host_reg_operand(use_reg(t, insn->reg, HOST_R10));
    bool in_slot = !memory && !in_place(t, insn->reg, width);
    if (!memory && width == 2) {
        emit_mov(e, 2, rm.reg, rm.reg); // whatever the count
    }
    emit_mov(e, 2, HOST_RCX, host_of(t, CPU_RCX));
    u8 *skip = NULL;
    if (mends) {
        emit_pext(e, HOST_RCX, HOST_RCX,
                  width == 3 ? STATE(jit_frame.count_mask64) : STATE(jit_frame.count_mask32));
        emit_jrcxz(e, 0);
        skip = e->write;
    }
    emit_op(e, sized_encoding(0xD2, width), extension, rm);
    if (in_slot) {
        put_width(t, insn->reg, width, HOST_R10);
    }
    if (mends) {
        emit_clear_af(t);
        if (!e->overflow) {
            skip[-1] = (u8)(e->write - skip);
        }
    }
    if (in_slot && mends && width == 2) {
        // The slot was not written if the count was zero.
        emit_load(e, 2, HOST_RCX, gpr_slot(insn->reg));
        put_width(t, insn->reg, 2, HOST_RCX);
    }
    return true;
}

bool tr_shift(struct translator *t)
{
    static const u8 extensions[] = {
        [OP_ROL - OP_ROL] = 0, [OP_ROR - OP_ROL] = 1, [OP_RCL - OP_ROL] = 2, [OP_RCR - OP_ROL] = 3,
        [OP_SHL - OP_ROL] = 4, [OP_SHR - OP_ROL] = 5, [OP_SAR - OP_ROL] = 7};
    const struct insn *insn = current_insn(t);
    unsigned extension = extensions[insn->op - OP_ROL];
    if (insn->form == FORM_RI || insn->form == FORM_MI) {
        return shift_by_immediate(t, extension);
    }
    return shift_by_cl(t, extension);
}

// Imm8 or CL. Where the flags that the profile derives may be seen, the interpreter does it.
bool tr_double_shift(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    bool memory = insn->form == FORM_MRI || insn->form == FORM_MRR,
         immediate = insn->form == FORM_MRI || insn->form == FORM_RRI;
    unsigned width = insn->width, opcode = insn->op == OP_SHLD ? 0xA4 : 0xAC;
    if (width < 2 || memory || flags_live_after(t, F_O | F_A) ||
        host_of(t, insn->reg) == HOST_NONE) {
        return false;
    }
    unsigned source = use_reg(t, insn->rm, HOST_R10), to = host_of(t, insn->reg);
    if (!immediate) {
        emit_mov(e, 2, HOST_RCX, host_of(t, CPU_RCX));
    }
    emit_op(e, (opcode + !immediate) | ENC_0F | width_encoding(width), source,
            host_reg_operand(to));
    if (immediate) {
        emit_imm(e, insn->imm & 0xFF, 1);
    }
    if (width == 2) {
        emit_mov(e, 2, to, to); // whatever the count
    }
    return true;
}

// OF, SF, AF and PF, undefined, stay as they were.
bool tr_bt(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    unsigned width = insn->width, which = insn->op - OP_BT;
    switch (insn->form) {
    case FORM_RR: {
        unsigned reg = use_reg(t, insn->reg, HOST_RCX), bit = use_reg(t, insn->rm, HOST_R10);
        emit_op(e, (0xA3 + which * 8) | ENC_0F | width_encoding(width), bit, host_reg_operand(reg));
        if (reg == HOST_RCX && which) {
            put_width(t, insn->reg, width, reg);
        }
        return true;
    }
    case FORM_RI:
    case FORM_MI: {
        bool memory = insn->form == FORM_MI;
        struct host_operand rm = memory ? emit_operand(t, 1u << width, which != 0)
                                        : host_reg_operand(use_reg(t, insn->reg, HOST_RCX));
        emit_op(e, 0xBA | ENC_0F | width_encoding(width), 4 + which, rm);
        emit_imm(e, insn->imm & ((8u << width) - 1), 1);
        if (!memory && rm.reg == HOST_RCX && which) {
            put_width(t, insn->reg, width, HOST_RCX);
        }
        return true;
    }
    default:
        return false; // a bit string in memory
    }
}

static struct host_operand second_operand(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    return insn->form == FORM_RM ? emit_operand(t, 1u << insn->width, false)
                                 : reg_operand(t, insn->rm);
}

bool tr_bit_count(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    static const u8 opcodes[] = {0xBC, 0xBD, 0xB8}; // TZCNT LZCNT POPCNT
    if (insn->width == 1) {
        return false; // a second prefix, which the encoder does not have
    }
    struct host_operand source = second_operand(t);
    if (insn->op != OP_POPCNT && flags_live_after(t, F_O)) {
        // Undefined, and kept by some processors, where the profile clears it.
        emit_op(e, 0x85, HOST_RAX, host_reg_operand(HOST_RAX)); // test eax, eax
    }
    unsigned to = in_place(t, insn->reg, insn->width) ? host_of(t, insn->reg) : HOST_RCX;
    emit_op(e, opcodes[insn->op - OP_TZCNT] | ENC_0F | ENC_F3 | width_encoding(insn->width), to,
            source);
    if (to == HOST_RCX) {
        put_width(t, insn->reg, insn->width, HOST_RCX);
    }
    return true;
}

// How a BMI operation is encoded: VEX.vvvv is its second operand (RRR, RRM), its third (RRR, RMR),
// its first (BLSR and friends), or there is none (RORX).
struct bmi_encoding {
    u8 op; // from OP_ANDN
    u8 opcode;
    u32 bits;
    u8 extension; // of the BLS group
};

static const struct bmi_encoding *bmi_find(unsigned op)
{
    static const struct bmi_encoding table[] = {
        {OP_ANDN - OP_ANDN, 0xF2, ENC_0F38, 0},
        {OP_MULX - OP_ANDN, 0xF6, ENC_0F38 | ENC_F2, 0},
        {OP_PDEP - OP_ANDN, 0xF5, ENC_0F38 | ENC_F2, 0},
        {OP_PEXT - OP_ANDN, 0xF5, ENC_0F38 | ENC_F3, 0},
        {OP_BEXTR - OP_ANDN, 0xF7, ENC_0F38, 0},
        {OP_BZHI - OP_ANDN, 0xF5, ENC_0F38, 0},
        {OP_SARX - OP_ANDN, 0xF7, ENC_0F38 | ENC_F3, 0},
        {OP_SHLX - OP_ANDN, 0xF7, ENC_0F38 | ENC_66, 0},
        {OP_SHRX - OP_ANDN, 0xF7, ENC_0F38 | ENC_F2, 0},
        {OP_RORX - OP_ANDN, 0xF0, ENC_0F3A | ENC_F2, 0},
        {OP_BLSI - OP_ANDN, 0xF3, ENC_0F38, 3},
        {OP_BLSMSK - OP_ANDN, 0xF3, ENC_0F38, 2},
        {OP_BLSR - OP_ANDN, 0xF3, ENC_0F38, 1},
    };
    for (unsigned i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].op == op - OP_ANDN) {
            return &table[i];
        }
    }
    return NULL;
}

// The result goes to RCX first where the destination is in memory.
static void emit_bmi(struct translator *t, u32 encoding, struct host_operand rm)
{
    const struct insn *insn = current_insn(t);
    unsigned to = in_place(t, insn->reg, insn->width) ? host_of(t, insn->reg) : HOST_RCX;
    emit_op(&t->e, encoding, to, rm);
    if (insn->op == OP_RORX) {
        emit_imm(&t->e, insn->imm & 0xFF, 1);
    }
    if (to == HOST_RCX) {
        put_width(t, insn->reg, insn->width, HOST_RCX);
    }
}

bool tr_bmi(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    const struct bmi_encoding *row = bmi_find(insn->op);
    u32 encoding = row->opcode | row->bits | ENC_VEX | (insn->width == 3 ? ENC_W : 0);
    bool memory = insn->form == FORM_RRM || insn->form == FORM_RMR || insn->form == FORM_RM ||
                  insn->form == FORM_RMI;
    // Two results, or flags that processors leave differently: the interpreter's.
    if (insn->op == OP_MULX || (x86_op_info[insn->op].flags_undefined &&
                                flags_live_after(t, x86_op_info[insn->op].flags_undefined))) {
        return false;
    }
    struct host_operand m = {0};
    if (memory) {
        m = emit_operand(t, 1u << insn->width, false);
    }
    switch (insn->form) {
    case FORM_RRM: // reg, vvvv = rm, memory
        emit_bmi(t, encoding | ENC_VVVV(use_reg(t, insn->rm, HOST_RCX)), m);
        return true;
    case FORM_RMR: // reg, memory, vvvv = rm
        emit_bmi(t, encoding | ENC_VVVV(use_reg(t, insn->rm, HOST_RCX)), m);
        return true;
    case FORM_RRR:
        if (insn->op == OP_ANDN || insn->op == OP_PDEP || insn->op == OP_PEXT) {
            encoding |= ENC_VVVV(use_reg(t, insn->rm, HOST_R10));
            emit_bmi(t, encoding, reg_operand(t, (unsigned)insn->imm));
        } else {
            encoding |= ENC_VVVV(use_reg(t, (unsigned)insn->imm, HOST_R10));
            emit_bmi(t, encoding, reg_operand(t, insn->rm));
        }
        return true;
    case FORM_RR:
    case FORM_RM:
        if (row->extension) {
            struct host_operand source = memory ? m : reg_operand(t, insn->rm);
            unsigned to = in_place(t, insn->reg, insn->width) ? host_of(t, insn->reg) : HOST_RCX;
            emit_op(&t->e, encoding | ENC_VVVV(to), row->extension, source);
            if (to == HOST_RCX) {
                put_width(t, insn->reg, insn->width, HOST_RCX);
            }
            return true;
        }
        return false;
    case FORM_RRI:
    case FORM_RMI:
        emit_bmi(t, encoding, memory ? m : reg_operand(t, insn->rm));
        return true;
    default:
        return false;
    }
}
