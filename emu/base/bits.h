// SPDX-License-Identifier: MIT
// Bit and alignment arithmetic.
#ifndef VIV_BASE_BITS_H
#define VIV_BASE_BITS_H

#include "base/types.h"

#define BIT(n) (UINT64_C(1) << (n))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

// Bits lo .. lo+count-1 of value, shifted down; count is 1..63.
static inline u64 bits_get(u64 value, unsigned lo, unsigned count)
{
    return (value >> lo) & (BIT(count) - 1);
}

// value with its bits lo .. lo+count-1 replaced by those of field.
static inline u64 bits_set(u64 value, unsigned lo, unsigned count, u64 field)
{
    u64 mask = (BIT(count) - 1) << lo;
    return (value & ~mask) | ((field << lo) & mask);
}

// value's low size_bytes bytes (1, 2, 4 or 8), the rest zero.
static inline u64 bits_truncate(u64 value, unsigned size_bytes)
{
    return size_bytes >= 8 ? value : value & (BIT(size_bytes * 8) - 1);
}

// value's low size_bytes bytes (1, 2, 4 or 8), sign-extended to 64 bits.
static inline u64 bits_sign_extend(u64 value, unsigned size_bytes)
{
    unsigned shift = 64 - size_bytes * 8;
    return (u64)((s64)(value << shift) >> shift);
}

// align is a power of two.
static inline u64 align_down(u64 value, u64 align)
{
    return value & ~(align - 1);
}

static inline u64 align_up(u64 value, u64 align)
{
    return (value + align - 1) & ~(align - 1);
}

#endif
