// SPDX-License-Identifier: MIT
// 128-bit intermediate arithmetic without libgcc.
#pragma once

#include "lib/types.h"

// a * b / c, rounded down; all ones when the quotient does not fit.
static inline u64 mul_div_u64(u64 a, u64 b, u64 c)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    u64 high = (u64)(product >> 64), quotient, rest;
    if (high >= c)
        return ~0UL;
    __asm__("divq %4" : "=a"(quotient), "=d"(rest) : "a"((u64)product), "d"(high), "r"(c) : "cc");
    return quotient;
}
