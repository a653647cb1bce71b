// SPDX-License-Identifier: MIT
// RFLAGS as the architecture has them, from and to the CPU's two parts.
#include "cpu/flags.h"

u64 cpu_rflags(const struct cpu *cpu)
{
    return cpu->rflags | flags_to_rflags(cpu->flags);
}

void cpu_set_rflags(struct cpu *cpu, u64 rflags)
{
    cpu->flags = flags_from_rflags(rflags);
    cpu->rflags = ((u32)rflags & ~RFLAGS_ARITH) | 2;
    cpu->boundary = true;
}
