// SPDX-License-Identifier: MIT
// MOVS STOS LODS SCAS CMPS upwards in flat segments; REP MOVS and REP STOS where they stay in one
// page on each side. All else that is repeated is the interpreter's, which does whole pages at
// once.
#include "cpu/jit/translator.h"

#define SOURCE (host_of(t, CPU_RSI))
#define DESTINATION (host_of(t, CPU_RDI))

// The interpreter does it where DF is set.
static void emit_direction_check(struct translator *t)
{
    emit_load(&t->e, 2, HOST_RCX, STATE(rflags));
    emit_pext(&t->e, HOST_RCX, HOST_RCX, STATE(jit_frame.df_mask));
    emit_jrcxz(&t->e, 5);
    emit_jump_slow(t);
}

static void emit_advance(struct translator *t, unsigned reg)
{
    emit_lea(&t->e, reg, host_at(reg, 1 << current_insn(t)->width));
}

#define COUNT (host_of(t, CPU_RCX))
#define REPEAT_MAX PAGE_SIZE // 1 << JIT_COUNTER_LOW

// reg -= r10, whatever flags there are.
static void emit_subtract_r10(struct emitter *e, unsigned reg)
{
    emit_op(e, 0xF7 | ENC_W, 2, host_reg_operand(HOST_R10)); // not
    emit_lea(e, reg, host_indexed(reg, HOST_R10, 0, 1));
}

// Jumps to the slow path unless there are 1 to REPEAT_MAX iterations.
static void emit_count_check(struct translator *t)
{
    struct emitter *e = &t->e;
    emit_lea(e, HOST_RCX, host_at(COUNT, -1));
    emit_shrx(e, HOST_RCX, HOST_RCX, HOST_COUNTER);
    emit_jrcxz(e, 5);
    emit_jump_slow(t);
}

// r11 becomes the counter behind all iterations, of which the block has charged one; to the slow
// path if the steps do not last.
static void emit_charge(struct translator *t)
{
    struct emitter *e = &t->e;
    _Static_assert(JIT_STEP == 64, "two times three bits");
    emit_mov(e, 3, HOST_R11, COUNT);
    emit_op(e, 0xF7 | ENC_W, 2, host_reg_operand(HOST_R11));                  // not
    emit_lea(e, HOST_R11, host_indexed(HOST_NONE, HOST_R11, 3, 8));           // -8 * count
    emit_lea(e, HOST_R11, host_indexed(HOST_COUNTER, HOST_R11, 3, JIT_STEP)); // one was charged
    emit_pext(e, HOST_RCX, HOST_R11, STATE(jit_frame.sign_mask));
    emit_jrcxz(e, 2);
    emit_bytes(e, (const u8[]){0xEB, 5}, 2); // jmp over the next one
    emit_jump_slow(t);
}

static bool repeat(struct translator *t, bool moves)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    unsigned width = insn->width;
    emit_direction_check(t);
    emit_count_check(t);
    emit_lea(e, HOST_R11, host_indexed(DESTINATION, COUNT, width, -1));
    emit_range_check(t, DESTINATION, HOST_R11, true);
    emit_store(e, 3, HOST_R10, STATE(jit_frame.info));
    if (moves) {
        emit_lea(e, HOST_R11, host_indexed(SOURCE, COUNT, width, -1));
        emit_range_check(t, SOURCE, HOST_R11, false);
    }
    emit_charge(t);
    // Here nothing can fail any more.
    emit_mov(e, 3, HOST_COUNTER, HOST_R11);
    emit_load(e, 3, HOST_RCX, STATE(not_instructions));
    emit_lea(e, HOST_RCX, host_indexed(HOST_RCX, COUNT, 0, -1));
    emit_store(e, 3, HOST_RCX, STATE(not_instructions));
    emit_mov(e, 3, HOST_RCX, COUNT);
    emit_load(e, 3, HOST_R11, STATE(jit_frame.info));
    emit_lea(e, DESTINATION, host_indexed(DESTINATION, HOST_R11, 0, 0));
    if (moves) {
        emit_lea(e, SOURCE, host_indexed(SOURCE, HOST_R10, 0, 0));
    }
    const u8 prefixes[] = {0xF3, width == 1 ? 0x66 : 0x48};
    emit_bytes(e, prefixes, width & 1 ? 2 : 1);
    emit_bytes(e, (const u8[]){(u8)((moves ? 0xA4 : 0xAA) | (width != 0))}, 1);
    if (moves) {
        emit_subtract_r10(e, SOURCE);
    }
    emit_mov(e, 3, HOST_R10, HOST_R11);
    emit_subtract_r10(e, DESTINATION);
    emit_mov_imm(e, COUNT, 0);
    return true;
}

bool tr_string(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    unsigned width = insn->width, size = 1u << width;
    bool moves = insn->op >= OP_MOVSB && insn->op <= OP_MOVSQ,
         compares = insn->op >= OP_CMPSB && insn->op <= OP_CMPSQ,
         stores = insn->op >= OP_STOSB && insn->op <= OP_STOSQ,
         loads = insn->op >= OP_LODSB && insn->op <= OP_LODSQ;
    bool repeats = insn->flags & (INSN_REP | INSN_REPNE);
    if ((insn->flags & INSN_ADDR32) || insn->seg >= CPU_FS || (repeats && !moves && !stores)) {
        return false;
    }
    if (repeats) {
        return repeat(t, moves);
    }
    emit_direction_check(t);
    if (moves || compares || loads) {
        struct host_operand source = emit_check(t, SOURCE, size, false);
        emit_load(e, width, loads ? (unsigned)HOST_RAX : HOST_R11, source);
    }
    if (!loads) {
        struct host_operand m = emit_check(t, DESTINATION, size, moves || stores);
        if (moves || stores) {
            emit_store(e, width, moves ? HOST_R11 : (unsigned)HOST_RAX, m);
        } else {
            emit_op(e, sized_encoding(0x3A, width), compares ? HOST_R11 : (unsigned)HOST_RAX,
                    m); // cmp
        }
        emit_advance(t, DESTINATION);
    }
    if (moves || compares || loads) {
        emit_advance(t, SOURCE);
    }
    return true;
}
