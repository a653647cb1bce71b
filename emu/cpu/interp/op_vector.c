// SPDX-License-Identifier: MIT
// MMX and SSE instructions: availability, operands, MXCSR and its exceptions around the host's own
// operation.
#include <immintrin.h>

#include "cpu/interp/operand.h"
#include "cpu/interp/vector.h"

#define MXCSR_BEFORE 0x7u // invalid, denormal, divide by zero: found before the operation

bool vector_available(struct cpu *cpu, bool sse)
{
    if ((cpu->cr0 & CR0_EM) || (sse && !(cpu->cr4 & CR4_OSFXSR))) {
        return raise_ud(cpu);
    }
    return (cpu->cr0 & CR0_TS) ? raise_fault(cpu, EXC_NM) : true;
}

bool mmx_available(struct cpu *cpu)
{
    if (!vector_available(cpu, false)) {
        return false;
    }
    return x87_settled(cpu);
}

void mmx_entered(struct cpu *cpu)
{
    cpu->fpu.fsw &= (u16)~0x3800;
    cpu->fpu.ftw = 0xFF;
}

static bool uses_mmx(union vector_key key)
{
    return key.reg_class == VECTOR_MMX || key.rm_class == VECTOR_MMX;
}

static bool uses_xmm(union vector_key key)
{
    return key.reg_class == VECTOR_XMM || key.rm_class == VECTOR_XMM;
}

static inline bool available(struct cpu *cpu, union vector_key key)
{
    if (LIKELY(!(cpu->cr0 & (CR0_EM | CR0_TS)) && (cpu->cr4 & CR4_OSFXSR) && !uses_mmx(key))) {
        return true;
    }
    if (!vector_available(cpu, uses_xmm(key))) {
        return false;
    }
    return !uses_mmx(key) || mmx_available(cpu);
}

static unsigned register_size(unsigned class)
{
    return class == VECTOR_XMM ? 16 : 8;
}

// Writing an MMX register sets the upper 16 bits of its x87 register (SDM 1 9.2.1).
static void mmx_finish(struct cpu *cpu, const struct insn *insn, union vector_key key)
{
    mmx_entered(cpu);
    if (key.reg_class == VECTOR_MMX && key.reg_written) {
        memset(cpu->fpu.st[insn->reg & 7] + 8, 0xFF, 2);
    }
    if (key.rm_class == VECTOR_MMX && key.rm_written) {
        memset(cpu->fpu.st[insn->rm & 7] + 8, 0xFF, 2);
    }
}

// Operations without floating-point exceptions work on the registers in place.
static bool op_vector_integer(struct cpu *cpu, const struct insn *insn)
{
    const struct vector_op *op = (const struct vector_op *)(uintptr_t)insn->imm;
    union vector_key key = op->key;
    _Alignas(32) u8 memory[64];
    u64 linear = 0;
    if (!available(cpu, key)) {
        return false;
    }
    u8 *rm = key.memory ? memory : vector_register(cpu, key.rm_class, insn->rm);
    if (key.memory && (!vector_address(cpu, insn, key, &linear) ||
                       (key.rm_read && !operand_read(cpu, insn, linear, memory, key.mem_size)))) {
        return false;
    }
    u16 flags = cpu->flags;
    op->code(vector_register(cpu, key.reg_class, insn->reg), rm, &flags, cpu->fpu.vec[0], NULL);
    if (key.memory && key.rm_written && !operand_write(cpu, insn, linear, memory, key.mem_size)) {
        return false;
    }
    if (UNLIKELY(uses_mmx(key))) {
        mmx_finish(cpu, insn, key);
    }
    if (key.sets_flags) {
        cpu->flags = (flags & ~0x00FEu) | FLAGS_ONE;
    }
    return true;
}

// Takes the exceptions that the operation raised. False: one of them is unmasked, #XM (or #UD) is
// raised.
bool vector_exceptions(struct cpu *cpu, u32 raised)
{
    u32 unmasked = raised & ~(cpu->fpu.mxcsr >> 7) & MXCSR_FLAGS;
    if (LIKELY(!unmasked)) {
        cpu->fpu.mxcsr |= raised;
        return true;
    }
    cpu->fpu.mxcsr |= (unmasked & MXCSR_BEFORE) ? raised & MXCSR_BEFORE : raised;
    return raise_fault(cpu, (cpu->cr4 & CR4_OSXMMEXCPT) ? EXC_XM : EXC_UD);
}

static bool is_denormal(const u8 *element, unsigned size)
{
    static const u8 fraction_bits[] = {[2] = 10, [4] = 23, [8] = 52};
    u64 bits = 0;
    memcpy(&bits, element, size);
    u64 magnitude = bits & (BIT(8 * size - 1) - 1);
    return magnitude && !(magnitude >> fraction_bits[size]);
}

u32 vector_exact_underflow(const struct insn *insn, const u8 *result, unsigned bytes)
{
    const char *name = x86_op_info[insn->op].name;
    if (!(x86_op_info[insn->op].attributes & A_TINY)) {
        return 0;
    }
    const char *type = name + strlen(name) - 2; // PS PD PH SS SD
    unsigned size = type[1] == 'H' ? 2 : type[1] == 'S' ? 4 : 8;
    for (unsigned at = 0; at < (type[0] == 'S' ? size : bytes); at += size) {
        if (is_denormal(result + at, size)) {
            return MXCSR_UE;
        }
    }
    return 0;
}

// The host's unit runs fully masked; what it raised is judged by the guest's masks before anything
// is committed.
static bool op_vector_fp(struct cpu *cpu, const struct insn *insn)
{
    const struct vector_op *op = (const struct vector_op *)(uintptr_t)insn->imm;
    union vector_key key = op->key;
    _Alignas(32) u8 rm_copy[64], reg_copy[16];
    u64 linear = 0;
    if (!available(cpu, key)) {
        return false;
    }
    u8 *reg = vector_register(cpu, key.reg_class, insn->reg),
       *rm = vector_register(cpu, key.rm_class, insn->rm);
    memcpy(reg_copy, reg, register_size(key.reg_class));
    if (!key.memory) {
        memcpy(rm_copy, rm, register_size(key.rm_class));
    } else if (!vector_address(cpu, insn, key, &linear) ||
               !operand_read(cpu, insn, linear, rm_copy, key.mem_size)) {
        return false;
    }
    u16 flags = cpu->flags;
    _mm_setcsr(vector_host_mxcsr(cpu));
    op->code(reg_copy, rm_copy, &flags, NULL, NULL);
    u32 raised = _mm_getcsr() & MXCSR_FLAGS;
    _mm_setcsr(MXCSR_MASKED);
    if (UNLIKELY(!(cpu->fpu.mxcsr & MXCSR_UM))) {
        raised |= vector_exact_underflow(insn, reg_copy, 16);
    }
    if (raised && !vector_exceptions(cpu, raised)) {
        return false;
    }
    if (key.reg_written) {
        memcpy(reg, reg_copy, register_size(key.reg_class));
    }
    if (UNLIKELY(uses_mmx(key))) {
        mmx_finish(cpu, insn, key);
    }
    if (key.sets_flags) {
        cpu->flags = (flags & ~0x00FEu) | FLAGS_ONE;
    }
    return true;
}

insn_fn bind_vector(const struct insn *insn)
{
    return (x86_op_info[insn->op].attributes & A_FP) ? op_vector_fp : op_vector_integer;
}

// The moves that carry most of the traffic, without a trampoline. 16 bytes, aligned or not.
static inline bool move_ready(struct cpu *cpu)
{
    return LIKELY(!(cpu->cr0 & (CR0_EM | CR0_TS)) && (cpu->cr4 & CR4_OSFXSR)) ||
           vector_available(cpu, true);
}

static inline union vector_key move_key(const struct insn *insn)
{
    return ((const struct vector_op *)(uintptr_t)insn->imm)->key;
}

static bool op_move16_registers(struct cpu *cpu, const struct insn *insn)
{
    if (!move_ready(cpu)) {
        return false;
    }
    if (move_key(insn).reg_written) {
        memcpy(cpu->fpu.vec[insn->reg], cpu->fpu.vec[insn->rm], 16);
    } else {
        memcpy(cpu->fpu.vec[insn->rm], cpu->fpu.vec[insn->reg], 16);
    }
    return true;
}

static bool op_load16(struct cpu *cpu, const struct insn *insn)
{
    u64 linear;
    u8 bytes[16];
    if (!move_ready(cpu) || !operand_ea(cpu, insn, 16, false, &linear)) {
        return false;
    }
    if (UNLIKELY((linear & 15) && !(x86_op_info[insn->op].attributes & A_UNALIGNED))) {
        return raise_gp(cpu, 0);
    }
    if (!operand_read(cpu, insn, linear, bytes, 16)) {
        return false;
    }
    memcpy(cpu->fpu.vec[insn->reg], bytes, 16);
    return true;
}

static bool op_store16(struct cpu *cpu, const struct insn *insn)
{
    u64 linear;
    if (!move_ready(cpu) || !operand_ea(cpu, insn, 16, true, &linear)) {
        return false;
    }
    if (UNLIKELY((linear & 15) && !(x86_op_info[insn->op].attributes & A_UNALIGNED))) {
        return raise_gp(cpu, 0);
    }
    return operand_write(cpu, insn, linear, cpu->fpu.vec[insn->reg], 16);
}

insn_fn bind_vector_move16(const struct insn *insn)
{
    union vector_key key = {.bits = insn->imm};
    return !key.memory ? op_move16_registers : key.rm_written ? op_store16 : op_load16;
}
