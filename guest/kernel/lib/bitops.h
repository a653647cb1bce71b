// SPDX-License-Identifier: MIT
// Bits in words (atomic where the name has no __) and bitmaps of unsigned long.
#pragma once

#include "lib/types.h"

#define BITS_PER_LONG 64
#define BITS_TO_LONGS(n) DIV_ROUND_UP(n, BITS_PER_LONG)
#define DECLARE_BITMAP(name, n) unsigned long name[BITS_TO_LONGS(n)]

static inline bool test_bit(unsigned n, const unsigned long *p)
{
    return (__atomic_load_n(&p[n / 64], __ATOMIC_RELAXED) >> (n % 64)) & 1;
}
static inline void set_bit(unsigned n, unsigned long *p)
{
    __atomic_or_fetch(&p[n / 64], 1UL << (n % 64), __ATOMIC_SEQ_CST);
}
static inline void clear_bit(unsigned n, unsigned long *p)
{
    __atomic_and_fetch(&p[n / 64], ~(1UL << (n % 64)), __ATOMIC_SEQ_CST);
}
static inline bool test_and_set_bit(unsigned n, unsigned long *p)
{
    return (__atomic_fetch_or(&p[n / 64], 1UL << (n % 64), __ATOMIC_SEQ_CST) >> (n % 64)) & 1;
}
static inline bool test_and_clear_bit(unsigned n, unsigned long *p)
{
    return (__atomic_fetch_and(&p[n / 64], ~(1UL << (n % 64)), __ATOMIC_SEQ_CST) >> (n % 64)) & 1;
}
static inline void __set_bit(unsigned n, unsigned long *p)
{
    p[n / 64] |= 1UL << (n % 64);
}
static inline void __clear_bit(unsigned n, unsigned long *p)
{
    p[n / 64] &= ~(1UL << (n % 64));
}
// Index of the lowest / highest set bit; x must not be 0.
static inline unsigned ctz64(u64 x)
{
    return (unsigned)__builtin_ctzl(x);
}
static inline unsigned fls64_index(u64 x)
{
    return 63 - (unsigned)__builtin_clzl(x);
}
// Smallest n with (1 << n) >= x.
static inline unsigned order_base_2(u64 x)
{
    return x <= 1 ? 0 : fls64_index(x - 1) + 1;
}
// First bit >= start that is set (clear); `size` if none.
unsigned long find_next_bit(const unsigned long *map, unsigned long size, unsigned long start);
unsigned long find_next_zero_bit(const unsigned long *map, unsigned long size, unsigned long start);
#define find_first_bit(m, s) find_next_bit(m, s, 0)
#define find_first_zero_bit(m, s) find_next_zero_bit(m, s, 0)
