// SPDX-License-Identifier: MIT
// Jumps, calls and returns: linked within the page, through the jump cache elsewhere.
#include "cpu/jit/translator.h"

#define TARGET HOST_R11
#define INDEX HOST_R10

static struct host_operand jump_entry(size_t offset)
{
    offset += offsetof(struct tlb_tables, jumps);
    struct host_operand o = host_indexed(HOST_NONE, INDEX, 3, (s32)offset);
    o.gs = true;
    return o;
}

// TARGET holds a linear address. Falls through if the jump cache knows it, r10 then being its
// index.
static void emit_lookup(struct translator *t, unsigned whose)
{
    struct emitter *e = &t->e;
    // crc32 r10, r11 from 0; pdep: twice the index. See tlb_jump_index().
    emit_mov_imm(e, INDEX, 0);
    emit_op(e, 0xF1 | ENC_0F38 | ENC_F2 | ENC_W, INDEX, host_reg_operand(TARGET));
    emit_pdep(e, INDEX, INDEX, STATE(jit_frame.jump_mask));
    emit_load(e, 3, HOST_RCX, jump_entry(offsetof(struct tlb_jump, neg)));
    emit_lea(e, HOST_RCX, host_indexed(HOST_RCX, TARGET, 0, 0));
    emit_jrcxz(e, 5);
    add_site(t, emit_jmp(e, NULL), SITE_JUMP, (u16)whose);
}

static void emit_jump_found(struct translator *t)
{
    emit_op(&t->e, 0xFF, 4, jump_entry(offsetof(struct tlb_jump, code)));
}

// TARGET becomes the linear address of an offset from the code page's start.
static void emit_target(struct translator *t, u64 distance)
{
    emit_load(&t->e, 3, TARGET, STATE(gpr[SLOT_CODE]));
    emit_lea(&t->e, TARGET, host_at(TARGET, (s32)distance));
}

static bool reachable(u64 distance)
{
    return (s64)distance == (s32)distance;
}

void emit_go_on(struct translator *t, unsigned offset)
{
    struct emitter *e = &t->e;
    if (offset < PAGE_SIZE) {
        add_site(t, emit_jmp(e, NULL), SITE_LINK, (u16)offset);
        return;
    }
    emit_target(t, offset);
    emit_lookup(t, JUMP_BEHIND);
    emit_jump_found(t);
}

// Within the page the jump's own target is the link, if nothing is to be given back.
bool tr_jcc(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    unsigned condition = (insn->op - OP_JO) & 15u;
    if (insn->imm < PAGE_SIZE) {
        add_site(t, emit_jcc(e, condition, NULL), SITE_LINK, (u16)insn->imm);
        return true;
    }
    if (!reachable(insn->imm)) {
        return false;
    }
    u8 *over = emit_jcc(e, condition ^ 1, NULL);
    emit_target(t, insn->imm);
    emit_lookup(t, JUMP_OF_INSN);
    if (insn->remaining > 1) {
        emit_lea(e, HOST_COUNTER, host_at(HOST_COUNTER, (insn->remaining - 1) * JIT_STEP));
    }
    emit_jump_found(t);
    if (!e->overflow) {
        emit_patch(over, e->to_run, emit_here(e));
    }
    return true;
}

// TARGET becomes the operand of an indirect jump or call.
static void emit_indirect_target(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    if (insn->form == FORM_M) {
        emit_load(&t->e, 3, TARGET, emit_operand(t, 8, false));
    } else {
        emit_op(&t->e, 0x8B | ENC_W, TARGET, reg_operand(t, insn->reg));
    }
}

bool tr_jmp(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    if (insn->form == FORM_I) {
        if (insn->imm < PAGE_SIZE) {
            add_site(t, emit_jmp(&t->e, NULL), SITE_LINK, (u16)insn->imm);
            return true;
        }
        if (!reachable(insn->imm)) {
            return false;
        }
        emit_target(t, insn->imm);
    } else if (insn->width == 3) {
        emit_indirect_target(t);
    } else {
        return false;
    }
    emit_lookup(t, JUMP_OF_INSN);
    emit_jump_found(t);
    return true;
}

// Pushes the address behind the instruction.
static void emit_push_return(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    struct host_operand slot = emit_stack_operand(t, CPU_RSP, -8, true);
    emit_load(e, 3, HOST_RCX, STATE(gpr[SLOT_CODE]));
    emit_lea(e, HOST_RCX, host_at(HOST_RCX, insn->offset + insn->length));
    emit_store(e, 3, HOST_RCX, slot);
    emit_lea(e, host_of(t, CPU_RSP), host_at(host_of(t, CPU_RSP), -8));
}

bool tr_call(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    bool direct = insn->form == FORM_I;
    if (insn->width != 3 || (direct && !reachable(insn->imm))) {
        return false;
    }
    if (direct && insn->imm < PAGE_SIZE) {
        emit_push_return(t);
        add_site(t, emit_jmp(e, NULL), SITE_LINK, (u16)insn->imm);
        return true;
    }
    // The target must be known before anything is pushed: it may be no canonical address.
    if (direct) {
        emit_target(t, insn->imm);
    } else {
        emit_indirect_target(t);
    }
    emit_lookup(t, JUMP_OF_INSN);
    emit_load(e, 3, HOST_RCX, jump_entry(offsetof(struct tlb_jump, code)));
    emit_store(e, 3, HOST_RCX, STATE(jit_frame.target));
    emit_store(e, 3, TARGET, STATE(jit_frame.info));
    emit_push_return(t);
    emit_load(e, 3, TARGET, STATE(jit_frame.info));
    emit_op(e, 0xFF, 4, STATE(jit_frame.target));
    return true;
}

bool tr_ret(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    unsigned rsp = host_of(t, CPU_RSP);
    if (insn->width != 3) {
        return false;
    }
    emit_load(e, 3, TARGET, emit_stack_operand(t, CPU_RSP, 0, false));
    emit_lookup(t, JUMP_OF_INSN);
    emit_lea(e, rsp, host_at(rsp, (s32)(8 + (insn->imm & 0xFFFF))));
    emit_jump_found(t);
    return true;
}
