// SPDX-License-Identifier: MIT
// The passages between C and translated code. C runs on its own stack; translated code has the CPU
// as its stack pointer, with room for return addresses below.
#include "cpu/jit/jit_internal.h"
#include "cpu/jit/regmap.h"

#include "base/check.h"

static const u8 callee_saved[] = {HOST_RBX, HOST_RBP, HOST_R12, HOST_R13, HOST_R14, HOST_R15};

static void emit_push(struct emitter *e, unsigned reg)
{
    emit_bytes(e, (const u8[]){(u8)(0x40 | reg >> 3), (u8)(0x50 | (reg & 7))}, 2);
}

static void emit_pop(struct emitter *e, unsigned reg)
{
    emit_bytes(e, (const u8[]){(u8)(0x40 | reg >> 3), (u8)(0x58 | (reg & 7))}, 2);
}

static void emit_jmp_to(struct emitter *e, struct host_operand target)
{
    emit_op(e, 0xFF, 4, target);
}

// Guest registers and flags into host registers; everything but RCX and r11.
static void emit_take_state(struct emitter *e)
{
    emit_load(e, 3, HOST_COUNTER, STATE(jit_frame.counter));
    // flags: AL becomes the overflow flag by an addition, AH the others.
    emit_op(e, 0xB7 | ENC_0F, HOST_RAX, STATE(flags)); // movzx eax, word
    emit_bytes(e, (const u8[]){0x04, 0x7F, 0x9E}, 3);  // add al, 7F; sahf
    for (unsigned n = 0; n < 16; n++) {
        if (home_of(n) != HOST_NONE) {
            emit_load(e, 3, home_of(n), gpr_slot(n));
        }
    }
}

// The other way. Destroys RAX after saving it.
static void emit_give_state(struct emitter *e, const struct jit_gates *g)
{
    emit_if_live(e, g->vector_save);
    for (unsigned n = 0; n < 16; n++) {
        if (home_of(n) != HOST_NONE) {
            emit_store(e, 3, home_of(n), gpr_slot(n));
        }
    }
    emit_bytes(e, (const u8[]){0x9F, 0x0F, 0x90, 0xC0}, 4); // lahf; seto al
    emit_store(e, 1, HOST_RAX, STATE(flags));
    emit_store(e, 3, HOST_COUNTER, STATE(jit_frame.counter));
}

// void enter(struct cpu *cpu, const u8 *code)
static const u8 *emit_enter(struct emitter *e)
{
    const u8 *entry = emit_here(e);
    for (unsigned i = 0; i < sizeof(callee_saved); i++) {
        emit_push(e, callee_saved[i]);
    }
    emit_op(e, 0x83 | ENC_W, 5, host_reg_operand(HOST_RSP)); // sub rsp, 8: aligned for calls
    emit_imm(e, 8, 1);
    emit_store(e, 3, HOST_RSP, host_at(HOST_RDI, (s32)offsetof(struct cpu, jit_frame.host_stack)));
    emit_mov(e, 3, HOST_RSP, HOST_RDI);
    emit_store(e, 3, HOST_RSI, STATE(jit_frame.target));
    emit_load(e, 3, HOST_RAX, STATE(jit_frame.tables));
    emit_op(e, 0xAE | ENC_0F | ENC_F3 | ENC_W, 3, host_reg_operand(HOST_RAX)); // wrgsbase rax
    emit_take_state(e);
    emit_jmp_to(e, STATE(jit_frame.target));
    return entry;
}

// Back to C: the state is given already.
static const u8 *emit_leave(struct emitter *e)
{
    const u8 *entry = emit_here(e);
    emit_vectors_gone(e);
    emit_load(e, 3, HOST_RSP, STATE(jit_frame.host_stack));
    emit_op(e, 0x83 | ENC_W, 0, host_reg_operand(HOST_RSP));
    emit_imm(e, 8, 1);
    for (unsigned i = sizeof(callee_saved); i > 0; i--) {
        emit_pop(e, callee_saved[i - 1]);
    }
    emit_bytes(e, (const u8[]){0xC3}, 1);
    return entry;
}

// r10 or r11 holds what belongs to the exit.
static const u8 *emit_exit(struct emitter *e, const struct jit_gates *g, enum jit_exit why,
                           unsigned info)
{
    const u8 *entry = emit_here(e);
    emit_store(e, 3, info, STATE(jit_frame.info));
    emit_give_state(e, g);
    emit_mov_imm_to(e, 0, STATE(jit_frame.exit), why);
    emit_jmp(e, g->leave);
    return entry;
}

// CALLed with a struct insn in r10: has the interpreter execute it, and goes on where step() says,
// behind the call or at another block's external entry, or leaves.
static const u8 *emit_insn_gate(struct emitter *e, const struct jit_gates *g,
                                const u8 *(*step)(struct cpu *cpu, const struct insn *insn))
{
    const u8 *entry = emit_here(e);
    emit_pop(e, HOST_R11);
    emit_store(e, 3, HOST_R11, STATE(jit_frame.return_to));
    emit_give_state(e, g);
    emit_mov(e, 3, HOST_RBX, HOST_RSP);
    emit_mov(e, 3, HOST_RDI, HOST_RSP);
    emit_mov(e, 3, HOST_RSI, HOST_R10);
    emit_load(e, 3, HOST_RSP, STATE(jit_frame.host_stack));
    emit_mov_imm(e, HOST_RAX, (u64)(uintptr_t)step);
    emit_op(e, 0xFF, 2, host_reg_operand(HOST_RAX)); // call rax
    emit_mov(e, 3, HOST_RSP, HOST_RBX);
    emit_op(e, 0x85 | ENC_W, HOST_RAX, host_reg_operand(HOST_RAX)); // test rax, rax
    emit_jcc(e, 4, g->leave);
    emit_store(e, 3, HOST_RAX, STATE(jit_frame.target));
    emit_if_live(e, g->vector_load);
    emit_take_state(e);
    emit_mov_imm(e, HOST_RCX, 0); // an address that does not hold any more (shares.c)
    emit_load(e, 3, HOST_R11, STATE(jit_frame.info));
    emit_jmp_to(e, STATE(jit_frame.target));
    return entry;
}

// jit_find_jump() for translated code: what C may change is kept, but for vector registers, which
// it is compiled without.
static const u8 *emit_find_jump(struct emitter *e)
{
    static const u8 kept[] = {HOST_RAX, HOST_RDX, HOST_RSI, HOST_RDI, HOST_R8, HOST_R9, HOST_R11};
    const u8 *entry = emit_here(e);
    for (unsigned i = 0; i < sizeof(kept); i++) {
        emit_push(e, kept[i]);
    }
    emit_bytes(e, (const u8[]){0x9F, 0x0F, 0x90, 0xC0}, 4); // lahf; seto al
    emit_push(e, HOST_RAX);
    emit_push(e, HOST_RAX);                  // aligned for calls
    s32 below = (s32)(sizeof(kept) + 3) * 8; // with the return address
    emit_lea(e, HOST_RDI, host_at(HOST_RSP, below));
    emit_mov(e, 3, HOST_RSI, HOST_R11);
    for (unsigned i = 0; i < JIT_SHARED; i++) { // the walk may protect what they lead to
        emit_mov_imm_to(
            e, 3, host_at(HOST_RDI, (s32)(offsetof(struct cpu, jit_frame.shared) + 8 * i)), 0);
    }
    emit_mov_imm(e, HOST_RAX, (u64)(uintptr_t)jit_find_jump);
    emit_op(e, 0xFF, 2, host_reg_operand(HOST_RAX)); // call rax
    emit_mov(e, 3, HOST_R10, HOST_RAX);
    emit_lea(e, HOST_RCX, host_at(HOST_RAX, 1)); // JIT_NO_JUMP + 1 = 0
    emit_pop(e, HOST_RAX);
    emit_pop(e, HOST_RAX);
    emit_bytes(e, (const u8[]){0x04, 0x7F, 0x9E}, 3); // add al, 7F; sahf
    for (unsigned i = sizeof(kept); i > 0; i--) {
        emit_pop(e, kept[i - 1]);
    }
    emit_bytes(e, (const u8[]){0xC3}, 1);
    return entry;
}

void gates_emit(struct jit *jit)
{
    struct emitter e = {.write = jit->memory.write,
                        .end = jit->memory.write + JIT_CODE_BYTES,
                        .to_run = jit_to_run(jit)};
    struct jit_gates *g = &jit->gates;
    vector_routines_emit(&e, g);
    g->leave = emit_leave(&e);
    g->find_jump = emit_find_jump(&e);
    g->enter = emit_enter(&e);
    g->exit_offset = emit_exit(&e, g, JIT_EXIT_OFFSET, HOST_R10);
    g->exit_linear = emit_exit(&e, g, JIT_EXIT_LINEAR, HOST_R11);
    g->exit_link = emit_exit(&e, g, JIT_EXIT_LINK, HOST_R10);
    g->insn = emit_insn_gate(&e, g, jit_step);
    g->across = across_gate_emit(&e);
    vector_gates_emit(&e, g, emit_insn_gate(&e, g, jit_step_alone));
    CHECK(!e.overflow);
    jit->cold_used = JIT_COLD_OFFSET;
    jit->used = jit->first = (u64)(e.write - jit->memory.write + 63) & ~UINT64_C(63);
}
