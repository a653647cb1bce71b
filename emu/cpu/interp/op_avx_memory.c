// SPDX-License-Identifier: MIT
// VEX-encoded instructions that touch memory element by element: masked moves and gathers. Only
// elements whose mask bit is set can fault.
#include "cpu/interp/vector.h"

static bool is_masked(const u8 *mask, unsigned element, unsigned size)
{
    return mask[(element + 1) * size - 1] & 0x80;
}

static unsigned vector_bytes(const struct insn *insn)
{
    return 16u << ((const struct vector_op *)(uintptr_t)insn->imm)->key.length;
}

static unsigned element_size(const struct insn *insn)
{
    return insn->op == OP_VMASKMOVPS || insn->op == OP_VPMASKMOVD ? 4 : 8;
}

static bool op_maskmov_load(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = element_size(insn), count = vector_bytes(insn) / size;
    const u8 *mask = cpu->fpu.vec[vector_vvvv(insn)];
    u8 result[32] = {0};
    u64 linear;
    if (!avx_available(cpu)) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        if (is_masked(mask, i, size) &&
            (!operand_ea_plus(cpu, insn, i * size, size, false, &linear) ||
             !operand_read(cpu, insn, linear, result + i * size, size))) {
            return false;
        }
    }
    memcpy(cpu->fpu.vec[vector_reg(insn)], result, 32);
    return true;
}

// All elements are checked before any is written.
static bool op_maskmov_store(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = element_size(insn), count = vector_bytes(insn) / size;
    const u8 *mask = cpu->fpu.vec[vector_vvvv(insn)], *data = cpu->fpu.vec[vector_reg(insn)];
    u64 linear[8];
    if (!avx_available(cpu)) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        if (is_masked(mask, i, size) &&
            (!operand_ea_plus(cpu, insn, i * size, size, true, &linear[i]) ||
             !operand_probe_write(cpu, insn, linear[i], size))) {
            return false;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        if (is_masked(mask, i, size) &&
            !operand_write(cpu, insn, linear[i], data + i * size, size)) {
            return false;
        }
    }
    return true;
}

insn_fn bind_avx_maskmov(const struct insn *insn)
{
    union vector_key key = {.bits = insn->imm};
    return key.rm_written ? op_maskmov_store : op_maskmov_load;
}

// What distinguishes the gathers: sizes of an index and of an element.
struct gather {
    unsigned index_size, size, count;
};

static struct gather gather_of(const struct insn *insn)
{
    struct gather g = {.index_size = 4, .size = 4};
    switch (insn->op) {
    case OP_VGATHERDPD:
    case OP_VPGATHERDQ:
        g.size = 8;
        break;
    case OP_VGATHERQPS:
    case OP_VPGATHERQD:
        g.index_size = 8;
        break;
    case OP_VGATHERQPD:
    case OP_VPGATHERQQ:
        g.index_size = g.size = 8;
        break;
    default:
        break;
    }
    unsigned larger = g.index_size > g.size ? g.index_size : g.size;
    g.count = vector_bytes(insn) / larger;
    return g;
}

static bool gather_element(struct cpu *cpu, const struct insn *insn, const struct gather *g,
                           unsigned i, u8 *out)
{
    u64 index = 0, linear;
    memcpy(&index, cpu->fpu.vec[insn->index] + i * g->index_size, g->index_size);
    index = bits_sign_extend(index, g->index_size);
    u64 offset = cpu->gpr[insn->base] + (index << insn->scale) + (u64)(s64)insn->disp;
    if (insn->flags & (INSN_ADDR32 | INSN_ADDR16)) {
        offset = (insn->flags & INSN_ADDR32) ? (u32)offset : (u16)offset;
    }
    return operand_segment(cpu, insn->seg, offset, g->size, false, &linear) &&
           operand_read(cpu, insn, linear, out, g->size);
}

// A fault keeps what was gathered so far, with those mask elements cleared, so that the instruction
// goes on where it stopped (SDM 2C, VPGATHERDD). At the end the mask is zero.
static bool op_avx_gather(struct cpu *cpu, const struct insn *insn)
{
    u8 *to = cpu->fpu.vec[vector_reg(insn)], *mask = cpu->fpu.vec[vector_vvvv(insn)];
    struct gather g = gather_of(insn);
    if (!avx_available(cpu)) {
        return false;
    }
    for (unsigned i = 0; i < g.count; i++) {
        memset(mask + i * g.size, is_masked(mask, i, g.size) ? 0xFF : 0, g.size);
    }
    for (unsigned i = 0; i < g.count; i++) {
        u8 bytes[8];
        if (!is_masked(mask, i, g.size)) {
            continue;
        }
        if (!gather_element(cpu, insn, &g, i, bytes)) {
            return false;
        }
        memcpy(to + i * g.size, bytes, g.size);
        memset(mask + i * g.size, 0, g.size);
    }
    memset(to + g.count * g.size, 0, 32 - g.count * g.size);
    memset(mask, 0, 32);
    return true;
}
BIND_ONE(avx_gather, op_avx_gather)
