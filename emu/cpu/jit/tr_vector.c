// SPDX-License-Identifier: MIT
// Vector instructions as the host has them, on the same registers (ENGINE.md, decision 7): what the
// interpreter lets the host compute, and only that.
#include "cpu/jit/translator.h"

#include "cpu/interp/operand.h"
#include "cpu/interp/vector_unit.h"

static union vector_key key_of(const struct insn *insn)
{
    return ((const struct vector_op *)(uintptr_t)insn->imm)->key;
}

static bool is_zeroing(const struct insn *insn)
{
    return insn->op == OP_VZEROUPPER || insn->op == OP_VZEROALL;
}

// Those whose handlers run the operation itself, and moves.
static bool is_hosts(const struct insn *insn)
{
    static const bind_fn hosts[] = {bind_vector, bind_vector_move16, bind_avx, bind_avx_move,
                                    bind_vector_string};
    if (!(x86_op_info[insn->op].attributes & A_VECTOR) || !insn->imm) {
        return false;
    }
    for (unsigned i = 0; i < ARRAY_LEN(hosts); i++) {
        if (interp_binder((enum x86_op)insn->op) == hosts[i]) {
            return true;
        }
    }
    return false;
}

enum vector_level vector_level(const struct insn *insn)
{
    if (insn->op == OP_INVALID || insn->fn == op_too_long || insn->fn == op_undefined) {
        return VECTORS_NONE;
    }
    if (is_zeroing(insn)) {
        return VECTORS_AVX;
    }
    if (!is_hosts(insn)) {
        return VECTORS_NONE;
    }
    union vector_key key = key_of(insn);
    bool mmx = key.reg_class == VECTOR_MMX || key.rm_class == VECTOR_MMX;
    bool known = !mmx && !(key.memory && key.mem_size == 0);
    return !known ? VECTORS_NONE : key.vex ? VECTORS_AVX : VECTORS_SSE;
}

// PCMPESTRI, PCMPISTRI: the index goes to ECX.
static bool writes_index(union vector_key key)
{
    return key.string && (key.opcode & 1);
}

u32 vector_written(const struct insn *insn)
{
    if (is_zeroing(insn) || key_of(insn).string) {
        return UINT32_MAX;
    }
    union vector_key key = key_of(insn);
    u32 reg = key.reg_class == VECTOR_GPR && key.reg_written ? 1u << vector_reg(insn) : 0;
    u32 rm =
        key.rm_class == VECTOR_GPR && key.rm_written && !key.memory ? 1u << vector_rm(insn) : 0;
    return reg | rm;
}

bool vector_spares_scratch(const struct insn *insn)
{
    union vector_key key = key_of(insn);
    return key.reg_class != VECTOR_GPR && (key.memory || key.rm_class != VECTOR_GPR);
}

static struct access access_of(union vector_key key)
{
    return (struct access){key.mem_size, key.rm_written, key.aligned};
}

bool vector_access(const struct insn *insn, struct access *access)
{
    if (!vector_level(insn) || is_zeroing(insn)) {
        return false;
    }
    union vector_key key = key_of(insn);
    *access = access_of(key);
    return key.memory && !key.string;
}

void vector_plan(struct translator *t)
{
    enum vector_level reached = VECTORS_NONE;
    for (unsigned i = 0; i < t->block->insn_count; i++) {
        enum vector_level level = vector_level(&t->block->insns[i]);
        t->vectors.needs[i] = level > reached ? level : VECTORS_NONE;
        reached = level > reached ? level : reached;
    }
}

static bool within_jrcxz(const struct translator *t, const u8 *target)
{
    return target && t->e.write + 2 - target <= 128;
}

void emit_vector_island(struct translator *t)
{
    struct vector_plan *plan = &t->vectors;
    for (unsigned i = 0; i < t->block->insn_count; i++) {
        if (plan->needs[i]) {
            t->i = plan->island_insn = i;
            plan->island = t->e.write;
            plan->island_site = t->site_count;
            add_site(t, emit_jmp(&t->e, NULL), SITE_VECTOR, plan->needs[i]);
            return;
        }
    }
}

// Jumps to the stub that makes vector registers live if they are not: a branch that is not taken,
// where the island is near.
static void emit_make_live(struct translator *t)
{
    struct emitter *e = &t->e;
    struct vector_plan *plan = &t->vectors;
    enum vector_level level = plan->needs[t->i];
    if (level == VECTORS_NONE) {
        return;
    }
    bool first = plan->island_insn == t->i;
    emit_op(e, 0xB6 | ENC_0F, HOST_RCX,
            level == VECTORS_AVX ? STATE(jit_frame.avx_live) : STATE(jit_frame.sse_live)); // movzx
    if (first && within_jrcxz(t, plan->island)) {
        emit_jrcxz_back(e, plan->island);
    } else {
        emit_jrcxz(e, 2);
        emit_bytes(e, (const u8[]){0xEB, 5}, 2); // jmp over the next one
        add_site(t, emit_jmp(e, NULL), SITE_VECTOR, (u16)level);
    }
    if (first) {
        t->sites[plan->island_site].back = emit_here(e);
    }
}

static u32 encoding_of(const struct insn *insn, union vector_key key)
{
    u32 encoding = (u32)key.opcode | (u32)key.map << 8 | (u32)key.prefix << 10;
    encoding |= key.w ? ENC_W : 0;
    if (key.vex) {
        encoding |= ENC_VEX | (key.length ? ENC_L : 0);
        encoding |= key.has_vvvv ? ENC_VVVV(vector_vvvv(insn)) : 0;
    }
    return encoding;
}

// The host register of an operand; a general one in memory goes through RCX.
static unsigned operand_register(struct translator *t, unsigned class, unsigned n, bool written)
{
    if (class != VECTOR_GPR) {
        return n;
    }
    if (written) {
        return host_of(t, n) == HOST_NONE ? HOST_RCX : host_of(t, n);
    }
    return use_reg(t, n, HOST_RCX);
}

// A general register written as a whole, as such instructions do.
static void put_general(struct translator *t, unsigned n)
{
    if (host_of(t, n) == HOST_NONE) {
        emit_store(&t->e, 3, HOST_RCX, gpr_slot(n));
    }
}

static void emit_operation(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    union vector_key key = key_of(insn);
    struct access access = access_of(key);
    struct host_operand rm =
        key.memory
            ? emit_access(t, &access)
            : host_reg_operand(operand_register(t, key.rm_class, vector_rm(insn), key.rm_written));
    unsigned reg = key.has_extension
                       ? (unsigned)key.extension
                       : operand_register(t, key.reg_class, vector_reg(insn), key.reg_written);
    emit_op(&t->e, encoding_of(insn, key), reg, rm);
    if (key.has_imm8) {
        emit_imm(&t->e, key.has_is4 ? vector_is4(insn) << 4 : (u64)key.imm8, 1);
    }
    if (writes_index(key)) {
        emit_mov(&t->e, 2, host_of(t, CPU_RCX), HOST_RCX);
    }
    if (key.reg_class == VECTOR_GPR && key.reg_written) {
        put_general(t, vector_reg(insn));
    }
    if (!key.memory && key.rm_class == VECTOR_GPR && key.rm_written) {
        put_general(t, vector_rm(insn));
    }
}

bool tr_vector(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    if (vector_level(insn) == VECTORS_NONE) {
        return false;
    }
    if (!t->run.active) {
        emit_make_live(t);
    }
    if (is_zeroing(insn)) {
        emit_bytes(&t->e, insn->op == OP_VZEROALL ? "\xC5\xFC\x77" : "\xC5\xF8\x77", 3);
        return true;
    }
    emit_operation(t);
    return true;
}
