// SPDX-License-Identifier: MIT
// PUSH, POP and LEAVE of 64-bit operands.
#include "cpu/jit/translator.h"

#define GUEST_RSP (host_of(t, CPU_RSP))

bool tr_push(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    if (insn->width != 3) {
        return false;
    }
    if (insn->form == FORM_M) {
        emit_load(e, 3, HOST_RCX, emit_operand(t, 8, false));
        emit_store(e, 3, HOST_RCX, STATE(jit_frame.info));
    }
    struct host_operand slot = emit_stack_operand(t, CPU_RSP, -8, true);
    if (insn->form == FORM_M) {
        emit_load(e, 3, HOST_RCX, STATE(jit_frame.info));
        emit_store(e, 3, HOST_RCX, slot);
    } else if (insn->form == FORM_I) {
        emit_mov_imm_to(e, 3, slot, insn->imm);
    } else {
        emit_store(e, 3, use_reg(t, insn->reg, HOST_RCX), slot);
    }
    emit_lea(e, GUEST_RSP, host_at(GUEST_RSP, -8));
    return true;
}

bool tr_pop(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    if (insn->width != 3 || insn->form == FORM_M) {
        return false;
    }
    emit_load(e, 3, HOST_RCX, emit_stack_operand(t, CPU_RSP, 0, false));
    emit_lea(e, GUEST_RSP, host_at(GUEST_RSP, 8));
    put_width(t, insn->reg, 3, HOST_RCX);
    return true;
}

bool tr_leave(struct translator *t)
{
    unsigned rbp = host_of(t, CPU_RBP);
    if (current_insn(t)->width != 3) {
        return false;
    }
    emit_load(&t->e, 3, HOST_RCX, emit_stack_operand(t, CPU_RBP, 0, false));
    emit_lea(&t->e, GUEST_RSP, host_at(rbp, 8));
    emit_mov(&t->e, 3, rbp, HOST_RCX);
    return true;
}
