// SPDX-License-Identifier: MIT
// How vector registers and MXCSR get to and from struct cpu while translated code runs. They are in
// the host's own from a block's first vector instruction on, until C runs again. XMM registers
// alone (SSE code) or whole ones: then upper halves that SSE code does not touch stay in memory,
// and the host's are clean. Nothing here touches a flag; RCX is scratch.
#include "cpu/jit/jit_internal.h"
#include "cpu/jit/regmap.h"

// In what is CALLed the return address lies between the stack pointer and the CPU.
#define CALLED(member) host_at(HOST_STATE, (s32)offsetof(struct cpu, member) + 8)

#define LOAD 0x10 // MOVUPS
#define STORE 0x11

static struct host_operand vector_slot(unsigned n, unsigned half)
{
    return host_at(HOST_STATE, (s32)(offsetof(struct cpu, fpu.vec) + 8 + 32 * n + 16 * half));
}

static void emit_each(struct emitter *e, unsigned opcode, bool whole)
{
    for (unsigned n = 0; n < 16; n++) {
        emit_op(e, opcode | ENC_0F | (whole ? ENC_VEX | ENC_L : 0), n, vector_slot(n, 0));
    }
}

static void emit_upper_halves(struct emitter *e)
{
    for (unsigned n = 0; n < 16; n++) { // vinsertf128
        emit_op(e, 0x18 | ENC_VEX | ENC_0F3A | ENC_66 | ENC_L | ENC_VVVV(n), n, vector_slot(n, 1));
        emit_imm(e, 1, 1);
    }
}

static void emit_ldmxcsr(struct emitter *e, struct host_operand from)
{
    emit_op(e, 0xAE | ENC_0F, 2, from);
}

static void emit_ret(struct emitter *e)
{
    emit_bytes(e, (const u8[]){0xC3}, 1);
}

// Goes on behind it if the byte is 0, else at what the result is patched to.
static u8 *emit_unless_zero(struct emitter *e, struct host_operand byte)
{
    emit_op(e, 0xB6 | ENC_0F, HOST_RCX, byte); // movzx
    emit_jrcxz(e, 5);
    return emit_jmp(e, NULL);
}

static void patch_here(struct emitter *e, u8 *site)
{
    if (!e->overflow) {
        emit_patch(site, e->to_run, emit_here(e));
    }
}

void emit_if_live(struct emitter *e, const u8 *routine)
{
    emit_op(e, 0xB6 | ENC_0F, HOST_RCX, STATE(jit_frame.sse_live)); // movzx
    emit_jrcxz(e, 5);
    emit_call(e, routine);
}

void emit_vectors_gone(struct emitter *e)
{
    emit_mov_imm_to(e, 0, STATE(jit_frame.sse_live), 0);
    emit_mov_imm_to(e, 0, STATE(jit_frame.avx_live), 0);
}

static const u8 *emit_save(struct emitter *e)
{
    const u8 *entry = emit_here(e);
    emit_op(e, 0xAE | ENC_0F, 3, CALLED(fpu.mxcsr)); // stmxcsr
    emit_ldmxcsr(e, CALLED(jit_frame.host_mxcsr));
    u8 *whole = emit_unless_zero(e, CALLED(jit_frame.avx_live));
    emit_each(e, STORE, false);
    emit_ret(e);
    patch_here(e, whole);
    emit_each(e, STORE, true);
    emit_bytes(e, (const u8[]){0xC5, 0xF8, 0x77}, 3); // vzeroupper
    emit_ret(e);
    return entry;
}

static const u8 *emit_reload(struct emitter *e)
{
    const u8 *entry = emit_here(e);
    emit_ldmxcsr(e, CALLED(fpu.mxcsr));
    u8 *whole = emit_unless_zero(e, CALLED(jit_frame.avx_live));
    emit_each(e, LOAD, false);
    emit_ret(e);
    patch_here(e, whole);
    emit_each(e, LOAD, true);
    emit_ret(e);
    return entry;
}

void vector_routines_emit(struct emitter *e, struct jit_gates *gates)
{
    gates->vector_save = emit_save(e);
    gates->vector_load = emit_reload(e);
}

void vector_gates_emit(struct emitter *e, struct jit_gates *gates, const u8 *alone)
{
    gates->vector_sse = emit_here(e);
    u8 *blocked = emit_unless_zero(e, CALLED(jit_frame.sse_blocked));
    emit_patch(blocked, e->to_run, alone);
    emit_mov_imm_to(e, 0, CALLED(jit_frame.sse_live), 1);
    emit_ldmxcsr(e, CALLED(fpu.mxcsr));
    emit_each(e, LOAD, false);
    emit_ret(e);

    gates->vector_avx = emit_here(e);
    blocked = emit_unless_zero(e, CALLED(jit_frame.avx_blocked));
    emit_patch(blocked, e->to_run, alone);
    emit_mov_imm_to(e, 0, CALLED(jit_frame.avx_live), 1);
    u8 *rest = emit_unless_zero(e, CALLED(jit_frame.sse_live));
    emit_mov_imm_to(e, 0, CALLED(jit_frame.sse_live), 1);
    emit_ldmxcsr(e, CALLED(fpu.mxcsr));
    emit_each(e, LOAD, true);
    emit_ret(e);
    patch_here(e, rest);
    emit_upper_halves(e);
    emit_ret(e);
}
