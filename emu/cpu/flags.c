// SPDX-License-Identifier: MIT
// RFLAGS as the architecture has them, from and to the CPU's two parts.
#include "cpu/flags.h"
#include "cpu/interp/operand.h"

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

bool cpu_virtual_flags_allowed(struct cpu *cpu, u16 value)
{
    bool pending = (value & RFLAGS_IF) && (cpu->rflags & RFLAGS_VIP);
    return (!pending && !(value & RFLAGS_TF)) || raise_gp(cpu, 0);
}

void cpu_set_virtual_flags(struct cpu *cpu, u16 value)
{
    u64 kept = cpu_rflags(cpu) & (0xFFFF0000 & ~(u64)(RFLAGS_VIF | RFLAGS_RF));
    kept |= cpu->rflags & (RFLAGS_IF | RFLAGS_IOPL);
    kept |= value & RFLAGS_IF ? RFLAGS_VIF : 0;
    cpu_set_rflags(cpu, kept | (value & (RFLAGS_ARITH | RFLAGS_DF | RFLAGS_NT)));
}
