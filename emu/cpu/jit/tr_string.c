// SPDX-License-Identifier: MIT
// MOVS STOS LODS SCAS CMPS without REP, upwards in flat segments. What is repeated is the
// interpreter's, which does whole pages at once.
#include "cpu/jit/translator.h"

#define SOURCE (host_of(CPU_RSI))
#define DESTINATION (host_of(CPU_RDI))

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

bool tr_string(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    unsigned width = insn->width, size = 1u << width;
    bool moves = insn->op >= OP_MOVSB && insn->op <= OP_MOVSQ,
         compares = insn->op >= OP_CMPSB && insn->op <= OP_CMPSQ,
         stores = insn->op >= OP_STOSB && insn->op <= OP_STOSQ,
         loads = insn->op >= OP_LODSB && insn->op <= OP_LODSQ;
    if ((insn->flags & (INSN_REP | INSN_REPNE | INSN_ADDR32)) || insn->seg >= CPU_FS) {
        return false;
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
