// SPDX-License-Identifier: MIT
// A guest fault is a value: what the CPU will deliver, or what a walk refused.
#ifndef VIV_MMU_FAULT_H
#define VIV_MMU_FAULT_H

#include "base/types.h"

// Exception vectors (SDM 3A table 6-1).
enum exception_vector {
    EXC_DE = 0,
    EXC_DB = 1,
    EXC_NMI = 2,
    EXC_BP = 3,
    EXC_OF = 4,
    EXC_BR = 5,
    EXC_UD = 6,
    EXC_NM = 7,
    EXC_DF = 8,
    EXC_TS = 10,
    EXC_NP = 11,
    EXC_SS = 12,
    EXC_GP = 13,
    EXC_PF = 14,
    EXC_MF = 16,
    EXC_AC = 17,
    EXC_MC = 18,
    EXC_XM = 19,
    EXC_CP = 21,
};

// Page-fault error code (SDM 3A 4.7).
enum { PF_PRESENT = 1, PF_WRITE = 2, PF_USER = 4, PF_RESERVED = 8, PF_FETCH = 16 };

struct fault {
    u8 vector;
    bool has_error_code;
    u32 error_code;
    u64 cr2; // EXC_PF only
};

#endif
