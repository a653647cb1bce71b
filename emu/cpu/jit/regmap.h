// SPDX-License-Identifier: MIT
// Where guest state lives while translated code runs (ENGINE.md, "Registers"): eleven general
// registers in host registers, the others in struct cpu, which RSP points to.
#ifndef VIV_CPU_JIT_REGMAP_H
#define VIV_CPU_JIT_REGMAP_H

#include <stddef.h>

#include "cpu/jit/emit.h"
#include "cpu/state.h"

#define HOST_STATE HOST_RSP
#define HOST_COUNTER HOST_R15
// Scratch: RCX (for JRCXZ), R10, R11.

// Host register of a guest register where blocks begin and end, HOST_NONE: in memory.
static inline unsigned home_of(unsigned guest)
{
    static const u8 map[16] = {
        [CPU_RAX] = HOST_RAX, [CPU_RCX] = HOST_R8,  [CPU_RDX] = HOST_RDX, [CPU_RBX] = HOST_RBX,
        [CPU_RSP] = HOST_R9,  [CPU_RBP] = HOST_RBP, [CPU_RSI] = HOST_RSI, [CPU_RDI] = HOST_RDI,
        [8] = HOST_NONE,      [9] = HOST_NONE,      [10] = HOST_NONE,     [11] = HOST_NONE,
        [12] = HOST_R12,      [13] = HOST_R13,      [14] = HOST_R14,      [15] = HOST_NONE,
    };
    return map[guest];
}

// A field of struct cpu.
#define STATE(member) host_at(HOST_STATE, (s32)offsetof(struct cpu, member))

static inline struct host_operand gpr_slot(unsigned n)
{
    return host_at(HOST_STATE, (s32)(offsetof(struct cpu, gpr) + 8 * n));
}

#endif
