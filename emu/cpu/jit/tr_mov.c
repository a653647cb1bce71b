// SPDX-License-Identifier: MIT
// MOV MOVNTI MOVZX MOVSX MOVSXD LEA XCHG CMPXCHG XADD BSWAP MOVBE CMOVcc SETcc. One host thread
// runs all CPUs, so nothing needs a LOCK.
#include "cpu/jit/translator.h"

static void mov_immediate(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    unsigned width = insn->width;
    u64 value = bits_truncate(insn->imm, 1u << width);
    if (in_place(t, insn->reg, width)) {
        unsigned host = host_of_width(t, insn->reg, width);
        if (width >= 2) {
            emit_mov_imm(&t->e, host, value);
        } else {
            emit_mov_imm_to(&t->e, width, host_reg_operand(host), value);
        }
        return;
    }
    emit_mov_imm(&t->e, HOST_RCX, value);
    put_width(t, insn->reg, width, HOST_RCX);
}

bool tr_mov(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    unsigned width = insn->width, size = 1u << width;
    bool direct = in_place(t, insn->reg, width);
    switch (insn->form) {
    case FORM_RR: {
        if (width > 1 && direct && !in_place(t, insn->rm, width)) {
            emit_load(e, width, host_of(t, insn->reg), gpr_slot(insn->rm));
            return true;
        }
        unsigned from = use_width(t, insn->rm, width, HOST_RCX);
        if (width == 2 && !direct && from != HOST_RCX) {
            emit_mov(e, 2, HOST_RCX, from); // zero-extended
            from = HOST_RCX;
        } else if (width == 2 && from == HOST_RCX) {
            emit_mov(e, 2, HOST_RCX, HOST_RCX);
        }
        put_width(t, insn->reg, width, from);
        return true;
    }
    case FORM_RI:
        mov_immediate(t);
        return true;
    case FORM_RM: {
        struct host_operand m = emit_operand(t, size, false);
        unsigned to = direct ? host_of_width(t, insn->reg, width) : HOST_RCX;
        emit_load(e, width, to, m);
        if (!direct) {
            put_width(t, insn->reg, width, HOST_RCX);
        }
        return true;
    }
    case FORM_MR: {
        struct host_operand m = emit_operand(t, size, true);
        emit_store(e, width, use_width(t, insn->reg, width, HOST_RCX), m);
        return true;
    }
    case FORM_MI:
        emit_mov_imm_to(e, width, emit_operand(t, size, true), insn->imm);
        return true;
    default:
        return false;
    }
}

// imm is log2 of the source's bytes.
bool tr_movx(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    unsigned width = insn->width, from = (unsigned)insn->imm;
    bool is_signed = insn->op != OP_MOVZX;
    u32 encoding =
        from == 2 ? (is_signed ? 0x63 : 0x8B) : ((is_signed ? 0xBEu : 0xB6u) | from) | ENC_0F;
    unsigned wide = from == 2 && !is_signed ? 2 : width; // MOVZX has no 32-bit source but MOV has
    encoding |= width_encoding(wide) | (from == 0 ? ENC_BYTE_RM : 0);
    struct host_operand source;
    if (insn->form == FORM_RM) {
        source = emit_operand(t, 1u << from, false);
    } else if (insn->form == FORM_RR) {
        source = host_reg_operand(use_width(t, insn->rm, from, HOST_RCX));
    } else {
        return false;
    }
    unsigned to = in_place(t, insn->reg, width) ? host_of(t, insn->reg) : HOST_RCX;
    emit_op(e, encoding, to, source);
    if (to == HOST_RCX) {
        put_width(t, insn->reg, width, HOST_RCX);
    }
    return true;
}

bool tr_lea(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    unsigned width = insn->width, host = host_of(t, insn->reg);
    bool adds = insn->index != SLOT_ZERO || insn->disp, direct = width > 1 && host != HOST_NONE;
    unsigned from = emit_offset(t, direct && adds ? host : HOST_R11, width == 2);
    if (direct && from == host && (adds || width == 3)) {
        return true;
    }
    if (width == 2 && host == HOST_NONE) {
        emit_mov(&t->e, 2, HOST_R11, from);
        from = HOST_R11;
    }
    put_width(t, insn->reg, width, from);
    return true;
}

bool tr_xchg(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    unsigned width = insn->width;
    if (insn->form == FORM_RR) {
        // Both values are zero-extended copies, so that 32-bit ones clear the upper halves.
        emit_mov(e, width == 2 ? 2 : 3, HOST_R10, use_width(t, insn->reg, width, HOST_R10));
        emit_mov(e, width == 2 ? 2 : 3, HOST_RCX, use_width(t, insn->rm, width, HOST_RCX));
        put_width(t, insn->reg, width, HOST_RCX);
        put_width(t, insn->rm, width, HOST_R10);
        return true;
    }
    struct host_operand m = emit_operand(t, 1u << width, true);
    // No XCHG, which would lock: RCX takes the old value, then the register goes out.
    emit_load(e, width, HOST_RCX, m);
    if (in_place(t, insn->reg, width)) {
        emit_store(e, width, host_of_width(t, insn->reg, width), m);
    } else {
        // r10 and r11 are in use: the old value waits in the frame.
        emit_store(e, 3, HOST_RCX, STATE(jit_frame.info));
        emit_store(e, width, use_width(t, insn->reg, width, HOST_RCX), m);
        emit_load(e, width, HOST_RCX, STATE(jit_frame.info));
    }
    put_width(t, insn->reg, width, HOST_RCX);
    return true;
}

bool tr_cmpxchg(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    if (insn->form != FORM_MR) {
        return false;
    }
    struct host_operand m = emit_operand(t, 1u << insn->width, true);
    emit_op(&t->e, sized_encoding(0xB0, insn->width) | ENC_0F,
            use_width(t, insn->reg, insn->width, HOST_RCX), m);
    return true;
}

bool tr_xadd(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    unsigned width = insn->width;
    if (insn->form != FORM_MR) {
        return false;
    }
    struct host_operand m = emit_operand(t, 1u << width, true);
    unsigned reg = use_width(t, insn->reg, width, HOST_RCX);
    emit_op(&t->e, sized_encoding(0xC0, width) | ENC_0F, reg, m);
    if (!in_place(t, insn->reg, width)) {
        put_width(t, insn->reg, width, reg);
    }
    return true;
}

bool tr_bswap(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    if (insn->width < 2) {
        return false;
    }
    unsigned reg = use_reg(t, insn->reg, HOST_RCX);
    u8 rex = (u8)(0x40 | (insn->width == 3 ? 8 : 0) | reg >> 3);
    emit_bytes(e, (const u8[]){rex, 0x0F, (u8)(0xC8 | (reg & 7))}, 3);
    if (reg == HOST_RCX) {
        put_width(t, insn->reg, insn->width, HOST_RCX);
    }
    return true;
}

bool tr_movbe(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    unsigned width = insn->width;
    bool store = insn->form == FORM_MR;
    struct host_operand m = emit_operand(t, 1u << width, store);
    u32 encoding = (store ? 0xF1u : 0xF0u) | ENC_0F38 | width_encoding(width);
    if (store) {
        emit_op(e, encoding, use_reg(t, insn->reg, HOST_RCX), m);
        return true;
    }
    emit_op(e, encoding, HOST_RCX, m);
    put_width(t, insn->reg, width, HOST_RCX);
    return true;
}

bool tr_cmov(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    unsigned width = insn->width;
    u32 encoding = 0x40u | ((insn->op - OP_CMOVO) & 15u) | ENC_0F | width_encoding(width);
    struct host_operand source =
        insn->form == FORM_RM ? emit_operand(t, 1u << width, false) : reg_operand(t, insn->rm);
    if (in_place(t, insn->reg, width)) {
        emit_op(e, encoding, host_of(t, insn->reg), source);
        return true;
    }
    emit_load(e, 3, HOST_RCX, gpr_slot(insn->reg));
    emit_op(e, encoding, HOST_RCX, source);
    put_width(t, insn->reg, width, HOST_RCX);
    return true;
}

bool tr_setcc(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    u32 encoding = 0x90u | ((insn->op - OP_SETO) & 15u) | ENC_0F | ENC_BYTE_RM;
    if (insn->form == FORM_M) {
        emit_op(&t->e, encoding, 0, emit_operand(t, 1, true));
    } else if (in_place(t, insn->reg, 0)) {
        emit_op(&t->e, encoding, 0, host_reg_operand(host_of_width(t, insn->reg, 0)));
    } else {
        emit_op(&t->e, encoding, 0, host_reg_operand(HOST_RCX));
        put_width(t, insn->reg, 0, HOST_RCX);
    }
    return true;
}

// What works on flags alone, and what does nothing that a guest could see.
bool tr_flag(struct translator *t)
{
    struct emitter *e = &t->e;
    switch (current_insn(t)->op) {
    case OP_CLC:
        emit_bytes(e, (const u8[]){0xF8}, 1);
        break;
    case OP_STC:
        emit_bytes(e, (const u8[]){0xF9}, 1);
        break;
    case OP_CMC:
        emit_bytes(e, (const u8[]){0xF5}, 1);
        break;
    case OP_LAHF:
        emit_bytes(e, (const u8[]){0x9F}, 1);
        break;
    case OP_SAHF:
        emit_bytes(e, (const u8[]){0x9E}, 1);
        break;
    default:
        break;
    }
    return true;
}
