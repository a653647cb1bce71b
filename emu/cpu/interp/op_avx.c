// SPDX-License-Identifier: MIT
// VEX-encoded vector instructions: three operands, whole registers, the upper half cleared by
// 128-bit forms. What the host computes, moves, and PCMPxSTRx of either encoding.
#include <immintrin.h>

#include "cpu/interp/vector.h"

bool avx_unavailable(struct cpu *cpu)
{
    if (!(cpu->cr0 & CR0_PE) || (cpu->rflags & RFLAGS_VM) || !(cpu->cr4 & CR4_OSXSAVE) ||
        (cpu->xcr0 & XCR0_AVX_SSE) != XCR0_AVX_SSE) {
        return raise_ud(cpu);
    }
    return raise_fault(cpu, EXC_NM);
}

static inline const struct vector_op *operation(const struct insn *insn)
{
    return (const struct vector_op *)(uintptr_t)insn->imm;
}

static inline void take_flags(struct cpu *cpu, union vector_key key, u16 flags)
{
    if (key.sets_flags) {
        cpu->flags = (flags & ~0x00FEu) | FLAGS_ONE;
    }
}

// Operations without floating-point exceptions work on the registers in place.
static bool op_avx_integer(struct cpu *cpu, const struct insn *insn)
{
    const struct vector_op *op = operation(insn);
    union vector_key key = op->key;
    _Alignas(32) u8 memory[64];
    u64 linear = 0;
    if (!avx_available(cpu)) {
        return false;
    }
    u8 *rm = key.memory ? memory : vector_register(cpu, key.rm_class, vector_rm(insn));
    if (key.memory && (!vector_address(cpu, insn, key, &linear) ||
                       (key.rm_read && !operand_read(cpu, insn, linear, memory, key.mem_size)))) {
        return false;
    }
    u16 flags = cpu->flags;
    op->code(vector_register(cpu, key.reg_class, vector_reg(insn)), rm, &flags,
             cpu->fpu.vec[vector_vvvv(insn)], cpu->fpu.vec[vector_is4(insn)]);
    if (key.memory && key.rm_written && !operand_write(cpu, insn, linear, memory, key.mem_size)) {
        return false;
    }
    take_flags(cpu, key, flags);
    return true;
}

// The memory operand of a floating-point operation: read, or checked for a write.
static bool fp_memory(struct cpu *cpu, const struct insn *insn, union vector_key key, u64 *linear,
                      u8 *memory)
{
    if (!vector_address(cpu, insn, key, linear)) {
        return false;
    }
    return key.rm_written ? operand_probe_write(cpu, insn, *linear, key.mem_size)
                          : operand_read(cpu, insn, *linear, memory, key.mem_size);
}

// As op_vector_fp(): run masked on copies, judged by the guest's masks, then committed.
static bool op_avx_fp(struct cpu *cpu, const struct insn *insn)
{
    const struct vector_op *op = operation(insn);
    union vector_key key = op->key;
    _Alignas(32) u8 rm_copy[64], reg_copy[32];
    u64 linear = 0;
    if (!avx_available(cpu)) {
        return false;
    }
    u8 *reg = vector_register(cpu, key.reg_class, vector_reg(insn));
    u8 *rm = vector_register(cpu, key.rm_class, vector_rm(insn));
    unsigned reg_size = key.reg_class == VECTOR_GPR ? 8 : 32;
    unsigned rm_size = key.rm_class == VECTOR_GPR ? 8 : 32;
    memcpy(reg_copy, reg, reg_size);
    if (!key.memory) {
        memcpy(rm_copy, rm, rm_size);
    } else if (!fp_memory(cpu, insn, key, &linear, rm_copy)) {
        return false;
    }
    u16 flags = cpu->flags;
    _mm_setcsr(vector_host_mxcsr(cpu));
    op->code(reg_copy, rm_copy, &flags, cpu->fpu.vec[vector_vvvv(insn)], NULL);
    u32 raised = _mm_getcsr() & MXCSR_FLAGS;
    _mm_setcsr(MXCSR_MASKED);
    if (UNLIKELY(!(cpu->fpu.mxcsr & MXCSR_UM))) {
        // VCVTPS2PH is the one whose result is not in ModRM.reg.
        raised |= vector_exact_underflow(insn, key.reg_written ? reg_copy : rm_copy,
                                         key.reg_written ? 16u << key.length : 8u << key.length);
    }
    if (raised && !vector_exceptions(cpu, raised)) {
        return false;
    }
    if (key.reg_written) {
        memcpy(reg, reg_copy, reg_size);
    }
    if (key.rm_written && !key.memory) {
        memcpy(rm, rm_copy, rm_size);
    }
    take_flags(cpu, key, flags);
    return !(key.memory && key.rm_written) ||
           operand_write(cpu, insn, linear, rm_copy, key.mem_size);
}

insn_fn bind_avx(const struct insn *insn)
{
    return (x86_op_info[insn->op].attributes & A_FP) ? op_avx_fp : op_avx_integer;
}

// The moves that carry most of the traffic, without a trampoline.
static inline bool check_alignment(struct cpu *cpu, const struct insn *insn, u64 linear,
                                   unsigned size)
{
    bool must = x86_op_info[insn->op].attributes & A_ALIGNED;
    return LIKELY(!must || !(linear & (size - 1))) || raise_gp(cpu, 0);
}

static inline bool load(struct cpu *cpu, const struct insn *insn, unsigned size)
{
    u64 linear;
    _Alignas(32) u8 bytes[32] = {0};
    if (!avx_available(cpu) || !operand_ea(cpu, insn, size, false, &linear) ||
        !check_alignment(cpu, insn, linear, size) ||
        !operand_read(cpu, insn, linear, bytes, size)) {
        return false;
    }
    memcpy(cpu->fpu.vec[vector_reg(insn)], bytes, 32);
    return true;
}

static inline bool store(struct cpu *cpu, const struct insn *insn, unsigned size)
{
    u64 linear;
    return avx_available(cpu) && operand_ea(cpu, insn, size, true, &linear) &&
           check_alignment(cpu, insn, linear, size) &&
           operand_write(cpu, insn, linear, cpu->fpu.vec[vector_reg(insn)], size);
}

static bool op_avx_load16(struct cpu *cpu, const struct insn *insn)
{
    return load(cpu, insn, 16);
}

static bool op_avx_load32(struct cpu *cpu, const struct insn *insn)
{
    return load(cpu, insn, 32);
}

static bool op_avx_store16(struct cpu *cpu, const struct insn *insn)
{
    return store(cpu, insn, 16);
}

static bool op_avx_store32(struct cpu *cpu, const struct insn *insn)
{
    return store(cpu, insn, 32);
}

static bool op_avx_move_registers(struct cpu *cpu, const struct insn *insn)
{
    union vector_key key = operation(insn)->key;
    if (!avx_available(cpu)) {
        return false;
    }
    unsigned to = key.reg_written ? vector_reg(insn) : vector_rm(insn);
    unsigned from = key.reg_written ? vector_rm(insn) : vector_reg(insn);
    memcpy(cpu->fpu.vec[to], cpu->fpu.vec[from], 32);
    if (!key.length) {
        memset(cpu->fpu.vec[to] + 16, 0, 16);
    }
    return true;
}

insn_fn bind_avx_move(const struct insn *insn)
{
    union vector_key key = {.bits = insn->imm};
    if (!key.memory) {
        return op_avx_move_registers;
    }
    if (key.rm_written) {
        return key.length ? op_avx_store32 : op_avx_store16;
    }
    return key.length ? op_avx_load32 : op_avx_load16;
}

// VRCPPS, VRCPSS, VRSQRTPS, VRSQRTSS: the scalar forms take the rest from VEX.vvvv.
static bool op_avx_approximation(struct cpu *cpu, const struct insn *insn)
{
    union vector_key key = operation(insn)->key;
    bool root = insn->op == OP_VRSQRTPS || insn->op == OP_VRSQRTSS, scalar = key.has_vvvv;
    unsigned count = scalar ? 1 : key.length ? 8 : 4;
    u32 source[8], result[8] = {0};
    u64 linear;
    if (!avx_available(cpu)) {
        return false;
    }
    if (!key.memory) {
        memcpy(source, cpu->fpu.vec[vector_rm(insn)], sizeof(source));
    } else if (!vector_address(cpu, insn, key, &linear) ||
               !operand_read(cpu, insn, linear, source, key.mem_size)) {
        return false;
    }
    if (scalar) {
        memcpy(result, cpu->fpu.vec[vector_vvvv(insn)], 16);
    }
    for (unsigned i = 0; i < count; i++) {
        result[i] = root ? vector_reciprocal_root(source[i]) : vector_reciprocal(source[i]);
    }
    memcpy(cpu->fpu.vec[vector_reg(insn)], result, sizeof(result));
    return true;
}
BIND_ONE(avx_approximation, op_avx_approximation)

// VZEROUPPER and VZEROALL (told apart by VEX.L); eight registers outside 64-bit code.
static bool op_avx_zero(struct cpu *cpu, const struct insn *insn)
{
    unsigned first = insn->op == OP_VZEROALL ? 0 : 16, count = insn->code == CODE_64 ? 16 : 8;
    if (!avx_available(cpu)) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        memset(cpu->fpu.vec[i] + first, 0, 32 - first);
    }
    return true;
}
BIND_ONE(avx_zero, op_avx_zero)

// PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM: memory need not be aligned; the index goes to ECX,
// the mask to XMM0.
static bool op_vector_string(struct cpu *cpu, const struct insn *insn)
{
    const struct vector_op *op = operation(insn);
    union vector_key key = op->key;
    _Alignas(32) u8 memory[32];
    struct vector_string s = {.rax = cpu->gpr[CPU_RAX], .rdx = cpu->gpr[CPU_RDX]};
    u64 linear;
    if (!(key.vex ? avx_available(cpu) : vector_available(cpu, true))) {
        return false;
    }
    u8 *rm = key.memory ? memory : cpu->fpu.vec[vector_rm(insn)];
    if (key.memory && (!vector_address(cpu, insn, key, &linear) ||
                       !operand_read(cpu, insn, linear, memory, key.mem_size))) {
        return false;
    }
    u16 flags = cpu->flags;
    op->code(cpu->fpu.vec[vector_reg(insn)], rm, &flags, &s, NULL);
    if (key.opcode & 1) { // 61, 63: the index
        cpu->gpr[CPU_RCX] = s.rcx;
    } else {
        memcpy(cpu->fpu.vec[0], s.xmm0, 16);
        memset(cpu->fpu.vec[0] + 16, 0, key.vex ? 16 : 0);
    }
    cpu->flags = (flags & ~0x00FEu) | FLAGS_ONE;
    return true;
}
BIND_ONE(vector_string, op_vector_string)
