// SPDX-License-Identifier: MIT
// What the vector and x87 handlers share.
#ifndef VIV_CPU_INTERP_VECTOR_H
#define VIV_CPU_INTERP_VECTOR_H

#include <string.h>

#include "cpu/interp/vector_unit.h"

#define MXCSR_WRITABLE 0xFFFFu // SDM 1 11.6.6: MXCSR_MASK of FXSAVE

// #UD, #NM by CR0.EM, CR0.TS and (sse) CR4.OSFXSR (SDM 2 table 2-21 and 2-22). False: raised.
bool vector_available(struct cpu *cpu, bool sse);
// The same for MMX instructions, with a pending x87 exception as #MF.
bool mmx_available(struct cpu *cpu);
// MMX instructions mark all x87 registers in use and set TOP to 0 (SDM 1 9.5.1).
void mmx_entered(struct cpu *cpu);
// Takes SIMD floating-point exceptions (MXCSR flag bits). False: #XM or #UD is raised, commit
// nothing.
bool vector_exceptions(struct cpu *cpu, u32 raised);

#endif
