// SPDX-License-Identifier: MIT
// The system instructions that kernels execute all the time: CLI STI SWAPGS in ring 0, PAUSE. No
// flag is touched.
#include "cpu/jit/translator.h"

// Ring 3 has rules of its own: the interpreter's.
static void emit_ring0_check(struct translator *t)
{
    emit_op(&t->e, 0xB6 | ENC_0F, HOST_RCX, STATE(cpl)); // movzx
    emit_jrcxz(&t->e, 5);
    emit_jump_slow(t);
}

// RCX becomes RFLAGS' non-arithmetic part with IF clear: squeezed out, and spread again.
static void emit_load_closed(struct translator *t)
{
    struct emitter *e = &t->e;
    emit_load(e, 2, HOST_RCX, STATE(rflags));
    emit_pext(e, HOST_RCX, HOST_RCX, STATE(jit_frame.closed_mask));
    emit_pdep(e, HOST_RCX, HOST_RCX, STATE(jit_frame.closed_mask));
}

bool tr_cli(struct translator *t)
{
    emit_ring0_check(t);
    emit_load_closed(t);
    emit_store(&t->e, 2, HOST_RCX, STATE(rflags));
    return true;
}

// With nothing pending nobody can see the shadow, provided that another instruction begins.
bool tr_sti(struct translator *t)
{
    struct emitter *e = &t->e;
    if (current_insn(t)->remaining == 1) {
        return false;
    }
    emit_ring0_check(t);
    emit_op(e, 0xB6 | ENC_0F, HOST_RCX, STATE(intr));
    emit_op(e, 0xB6 | ENC_0F, HOST_R10, STATE(pending));
    emit_lea(e, HOST_RCX, host_indexed(HOST_RCX, HOST_R10, 0, 0));
    emit_jrcxz(e, 5);
    emit_jump_slow(t);
    emit_load_closed(t);
    emit_lea(e, HOST_RCX, host_at(HOST_RCX, RFLAGS_IF));
    emit_store(e, 2, HOST_RCX, STATE(rflags));
    return true;
}

bool tr_swapgs(struct translator *t)
{
    struct emitter *e = &t->e;
    emit_ring0_check(t);
    emit_load(e, 3, HOST_RCX, STATE(seg[CPU_GS].base));
    emit_load(e, 3, HOST_R10, STATE(kernel_gs_base));
    emit_store(e, 3, HOST_RCX, STATE(kernel_gs_base));
    emit_store(e, 3, HOST_R10, STATE(seg[CPU_GS].base));
    emit_store(e, 3, HOST_R10, STATE(gpr[SLOT_GS]));
    return true;
}

// With several CPUs it ends the turn.
bool tr_pause(struct translator *t)
{
    return t->jit->cpu_count == 1;
}
