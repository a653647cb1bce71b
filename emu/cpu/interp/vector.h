// SPDX-License-Identifier: MIT
// What the vector and x87 handlers share.
#ifndef VIV_CPU_INTERP_VECTOR_H
#define VIV_CPU_INTERP_VECTOR_H

#include <string.h>

#include "cpu/interp/operand.h"
#include "cpu/interp/vector_unit.h"

#define MXCSR_MODE 0xE040u // rounding control, flush to zero, denormals are zero
#define MXCSR_MASKED 0x1F80u
#define MXCSR_FLAGS 0x3Fu
#define MXCSR_FTZ 0x8000u
#define MXCSR_UM 0x800u
#define MXCSR_UE 0x10u
#define MXCSR_WRITABLE 0xFFFFu // SDM 1 11.6.6: MXCSR_MASK of FXSAVE

// #UD, #NM by CR0.EM, CR0.TS and (sse) CR4.OSFXSR (SDM 2 table 2-21 and 2-22). False: raised.
bool vector_available(struct cpu *cpu, bool sse);
// The same for MMX instructions, which also wait for a pending x87 exception.
bool mmx_available(struct cpu *cpu);
// VEX-encoded instructions: #UD outside protected mode and without AVX in CR4 and XCR0, #NM by
// CR0.TS (SDM 2 table 2-15 ff.).
bool avx_unavailable(struct cpu *cpu); // raises; always false

static inline bool avx_available(struct cpu *cpu)
{
    bool ready = (cpu->cr0 & (CR0_PE | CR0_TS)) == CR0_PE && (cpu->cr4 & CR4_OSXSAVE) &&
                 (cpu->xcr0 & XCR0_AVX_SSE) == XCR0_AVX_SSE && !(cpu->rflags & RFLAGS_VM);
    return LIKELY(ready) || avx_unavailable(cpu);
}

static inline bool is_vex(const struct insn *insn)
{
    return ((const struct vector_op *)(uintptr_t)insn->imm)->key.vex;
}

// The trampoline's view of a register operand: XMM registers are whole.
static inline u8 *vector_register(struct cpu *cpu, unsigned class, unsigned n)
{
    switch (class) {
    case VECTOR_MMX:
        return cpu->fpu.st[n & 7];
    case VECTOR_GPR:
        return (u8 *)&cpu->gpr[n];
    default:
        return cpu->fpu.vec[n];
    }
}

// Address of the memory operand with its alignment checked.
static inline bool vector_address(struct cpu *cpu, const struct insn *insn, union vector_key key,
                                  u64 *linear)
{
    if (!operand_ea(cpu, insn, key.mem_size, key.rm_written, linear)) {
        return false;
    }
    return !key.aligned || !(*linear & (key.mem_size - 1u)) || raise_gp(cpu, 0);
}

// The host's MXCSR for an operation: all masked. With underflow unmasked nothing is flushed to zero
// (SDM 1 10.2.3.3).
static inline u32 vector_host_mxcsr(const struct cpu *cpu)
{
    u32 mxcsr = cpu->fpu.mxcsr, mode = mxcsr & MXCSR_MODE;
    return (mxcsr & MXCSR_UM ? mode : mode & ~MXCSR_FTZ) | MXCSR_MASKED;
}

// Unmasked underflow is about tiny results, masked underflow about tiny inexact ones (SDM 1
// 4.9.1.5): what the host, masked, did not report. bytes: of the result's register.
u32 vector_exact_underflow(const struct insn *insn, const u8 *result, unsigned bytes);

// Reciprocals that are ours: vendors differ (op_sse_special.c).
u32 vector_reciprocal(u32 bits);
u32 vector_reciprocal_root(u32 bits);

// MMX instructions mark all x87 registers in use and set TOP to 0 (SDM 1 9.5.1).
void mmx_entered(struct cpu *cpu);
// Takes SIMD floating-point exceptions (MXCSR flag bits). False: #XM or #UD is raised, commit
// nothing.
bool vector_exceptions(struct cpu *cpu, u32 raised);

#endif
