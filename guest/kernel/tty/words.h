// SPDX-License-Identifier: MIT
// Runs of 64-bit words by one instruction; on the host by a loop, which ASan sees.
#pragma once

#include "lib/types.h"

static inline void fill_words(u64 *to, u64 value, size_t n)
{
#ifdef __FERN__
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(n) : "a"(value) : "memory");
#else
    while (n--)
        *to++ = value;
#endif
}

// Upwards: `to` may overlap `from` if it is below.
static inline void copy_words(u64 *to, const u64 *from, size_t n)
{
#ifdef __FERN__
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n)::"memory");
#else
    while (n--)
        *to++ = *from++;
#endif
}
