// SPDX-License-Identifier: MIT
// Arithmetic flags: the packed form of cpu->flags (AH of LAHF, AL of SETO), condition codes,
// conversion to RFLAGS.
#ifndef VIV_CPU_FLAGS_H
#define VIV_CPU_FLAGS_H

#include "cpu/state.h"

#define FLAGS_ALL (FLAGS_O | FLAGS_S | FLAGS_Z | FLAGS_A | FLAGS_P | FLAGS_C)

// RFLAGS bits (six arithmetic ones) of a packed value, and back.
static inline u32 flags_to_rflags(u16 flags)
{
    return ((u32)flags >> 8 & (RFLAGS_ARITH & 0xFF)) | ((flags & FLAGS_O) ? RFLAGS_OF : 0);
}

static inline u16 flags_from_rflags(u64 rflags)
{
    return (u16)(((rflags & RFLAGS_ARITH & 0xFF) << 8) | FLAGS_ONE |
                 ((rflags & RFLAGS_OF) ? FLAGS_O : 0));
}

static inline void flags_update(struct cpu *cpu, u16 mask, u16 value)
{
    cpu->flags = (u16)((cpu->flags & ~mask) | (value & mask));
}

// SDM 1 appendix B: condition code cc (low four bits of the opcode).
static inline bool flags_condition(u16 flags, unsigned cc)
{
    bool value;
    switch (cc >> 1) {
    case 0:
        value = (flags & FLAGS_O) != 0;
        break;
    case 1:
        value = (flags & FLAGS_C) != 0;
        break;
    case 2:
        value = (flags & FLAGS_Z) != 0;
        break;
    case 3:
        value = (flags & (FLAGS_C | FLAGS_Z)) != 0;
        break;
    case 4:
        value = (flags & FLAGS_S) != 0;
        break;
    case 5:
        value = (flags & FLAGS_P) != 0;
        break;
    case 6:
        value = ((flags >> 15) ^ flags) & 1;
        break;
    default:
        value = (((flags >> 15) ^ flags) & 1) || (flags & FLAGS_Z);
        break;
    }
    return value ^ (cc & 1);
}

#endif
