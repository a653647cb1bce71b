// SPDX-License-Identifier: MIT
// SSE instructions that are not the host's: approximations (vendors differ, ours is fixed), masked
// moves, MXCSR, FXSAVE.
#include "cpu/interp/operand.h"
#include "cpu/fxsave.h"
#include "cpu/interp/vector.h"

static u32 float_bits(float f)
{
    u32 bits;
    memcpy(&bits, &f, 4);
    return bits;
}

static float bits_float(u32 bits)
{
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

// A result with 12 significant bits of fraction, rounded half up; results below the smallest normal
// become zero.
static u32 approximate(double exact)
{
    u32 bits = float_bits((float)exact), rounded = (bits + 0x400) & ~0x7FFu;
    return (rounded & 0x7F800000) ? rounded : rounded & 0x80000000;
}

// RCPPS and RSQRTPS: relative error at most 1.5 * 2^-12, denormal sources are zero, no exceptions
// (SDM 2 RCPPS).
u32 vector_reciprocal(u32 bits)
{
    u32 sign = bits & 0x80000000, magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) {
        return bits | 0x400000;
    }
    if (magnitude == 0x7F800000) {
        return sign;
    }
    return magnitude < 0x800000 ? sign | 0x7F800000 : approximate(1.0 / (double)bits_float(bits));
}

u32 vector_reciprocal_root(u32 bits)
{
    u32 sign = bits & 0x80000000, magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) {
        return bits | 0x400000;
    }
    if (magnitude < 0x800000) {
        return sign | 0x7F800000;
    }
    if (sign) {
        return 0xFFC00000;
    }
    return magnitude == 0x7F800000 ? 0
                                   : approximate(1.0 / __builtin_sqrt((double)bits_float(bits)));
}

static bool approximation(struct cpu *cpu, const struct insn *insn, u32 (*function)(u32),
                          unsigned count)
{
    u32 source[4], result[4];
    union vector_key key = ((const struct vector_op *)(uintptr_t)insn->imm)->key;
    u64 linear;
    if (!vector_available(cpu, true)) {
        return false;
    }
    if (!key.memory) {
        memcpy(source, cpu->fpu.vec[insn->rm], 16);
    } else if (!operand_ea(cpu, insn, key.mem_size, false, &linear) ||
               (key.aligned && (linear & 15) && !raise_gp(cpu, 0)) ||
               !operand_read(cpu, insn, linear, source, key.mem_size)) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        result[i] = function(source[i]);
    }
    memcpy(cpu->fpu.vec[insn->reg], result, count * 4);
    return true;
}

static bool op_rcpps(struct cpu *cpu, const struct insn *insn)
{
    return approximation(cpu, insn, vector_reciprocal, 4);
}

static bool op_rcpss(struct cpu *cpu, const struct insn *insn)
{
    return approximation(cpu, insn, vector_reciprocal, 1);
}

static bool op_rsqrtps(struct cpu *cpu, const struct insn *insn)
{
    return approximation(cpu, insn, vector_reciprocal_root, 4);
}

static bool op_rsqrtss(struct cpu *cpu, const struct insn *insn)
{
    return approximation(cpu, insn, vector_reciprocal_root, 1);
}

insn_fn bind_approximation(const struct insn *insn)
{
    switch (insn->op) {
    case OP_RCPPS:
        return op_rcpps;
    case OP_RCPSS:
        return op_rcpss;
    case OP_RSQRTPS:
        return op_rsqrtps;
    default:
        return op_rsqrtss;
    }
}

// MASKMOVQ, MASKMOVDQU: the bytes whose mask byte has bit 7 set go to DS:rDI. Every byte is checked
// before any is written.
static bool op_maskmov(struct cpu *cpu, const struct insn *insn)
{
    bool mmx = insn->op == OP_MASKMOVQ, vex = insn->op == OP_VMASKMOVDQU;
    if (!(mmx   ? mmx_available(cpu)
          : vex ? avx_available(cpu)
                : vector_available(cpu, true))) {
        return false;
    }
    unsigned size = mmx ? 8 : 16;
    const u8 *data = mmx ? cpu->fpu.st[insn->reg & 7] : cpu->fpu.vec[insn->reg];
    const u8 *mask = mmx ? cpu->fpu.st[insn->rm & 7] : cpu->fpu.vec[insn->rm];
    u64 offset = cpu->gpr[CPU_RDI], linear[16];
    if (insn->flags & (INSN_ADDR32 | INSN_ADDR16)) {
        offset = (insn->flags & INSN_ADDR32) ? (u32)offset : (u16)offset;
    }
    for (unsigned i = 0; i < size; i++) {
        if ((mask[i] & 0x80) &&
            (!operand_segment(cpu, insn->seg, offset + i, 1, true, &linear[i]) ||
             !operand_probe_write(cpu, insn, linear[i], 1))) {
            return false;
        }
    }
    for (unsigned i = 0; i < size; i++) {
        if ((mask[i] & 0x80) && !operand_write(cpu, insn, linear[i], &data[i], 1)) {
            return false;
        }
    }
    if (mmx) {
        mmx_entered(cpu);
    }
    return true;
}

BIND_ONE(maskmov, op_maskmov)

static bool op_emms(struct cpu *cpu, const struct insn *insn)
{
    if (!mmx_available(cpu)) {
        return false;
    }
    cpu->fpu.ftw = 0;
    return true;
}

BIND_ONE(emms, op_emms)

static bool mxcsr_available(struct cpu *cpu, const struct insn *insn)
{
    bool vex = insn->op == OP_VLDMXCSR || insn->op == OP_VSTMXCSR;
    return vex ? avx_available(cpu) : vector_available(cpu, true);
}

static bool op_ldmxcsr(struct cpu *cpu, const struct insn *insn)
{
    u32 value;
    if (!mxcsr_available(cpu, insn) || !operand_load(cpu, insn, &value, 4)) {
        return false;
    }
    if (value & ~MXCSR_WRITABLE) {
        return raise_gp(cpu, 0);
    }
    cpu->fpu.mxcsr = value;
    return true;
}

static bool op_stmxcsr(struct cpu *cpu, const struct insn *insn)
{
    return mxcsr_available(cpu, insn) && operand_store(cpu, insn, &cpu->fpu.mxcsr, 4);
}

insn_fn bind_mxcsr(const struct insn *insn)
{
    return insn->op == OP_LDMXCSR || insn->op == OP_VLDMXCSR ? op_ldmxcsr : op_stmxcsr;
}

static bool fxsave_address(struct cpu *cpu, const struct insn *insn, bool write, u64 *linear)
{
    if (cpu->cr0 & (CR0_EM | CR0_TS)) {
        return raise_fault(cpu, EXC_NM);
    }
    if (!operand_ea(cpu, insn, 512, write, linear)) {
        return false;
    }
    return !(*linear & 15) || raise_gp(cpu, 0);
}

static bool wide_pointers(const struct insn *insn)
{
    return insn->op == OP_FXSAVE64 || insn->op == OP_FXRSTOR64;
}

static unsigned xmm_count(const struct insn *insn)
{
    return insn->code == CODE_64 ? 16 : 8;
}

// Slow accesses take at most 64 bytes at a time; all pages are checked before anything is written.
static bool op_fxsave(struct cpu *cpu, const struct insn *insn)
{
    struct fxsave_area area = {0};
    u64 linear;
    if (!fxsave_address(cpu, insn, true, &linear)) {
        return false;
    }
    fxsave_store(&cpu->fpu, wide_pointers(insn), xmm_count(insn), &area);
    unsigned size = 160 + 16 * xmm_count(insn);
    for (unsigned at = 0; at < size; at += 32) {
        if (!operand_probe_write(cpu, insn, linear + at, 32)) {
            return false;
        }
    }
    for (unsigned at = 0; at < size; at += 32) {
        if (!operand_write(cpu, insn, linear + at, (u8 *)&area + at, 32)) {
            return false;
        }
    }
    return true;
}

static bool op_fxrstor(struct cpu *cpu, const struct insn *insn)
{
    struct fxsave_area area = {0};
    u64 linear;
    if (!fxsave_address(cpu, insn, false, &linear)) {
        return false;
    }
    unsigned size = 160 + 16 * xmm_count(insn);
    for (unsigned at = 0; at < size; at += 32) {
        if (!operand_read(cpu, insn, linear + at, (u8 *)&area + at, 32)) {
            return false;
        }
    }
    if (area.mxcsr & ~MXCSR_WRITABLE) {
        return raise_gp(cpu, 0);
    }
    fxsave_load(&cpu->fpu, wide_pointers(insn), xmm_count(insn), &area);
    return true;
}

insn_fn bind_fxsave(const struct insn *insn)
{
    return insn->op == OP_FXSAVE || insn->op == OP_FXSAVE64 ? op_fxsave : op_fxrstor;
}
