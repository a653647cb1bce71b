// SPDX-License-Identifier: MIT
// Atomics over C11 semantics with the order in the name; plain names are sequentially consistent
// RMW, relaxed load/store.
#pragma once

#include "lib/types.h"

typedef struct {
    int v;
} atomic_t;
typedef struct {
    s64 v;
} atomic64_t;

#define ATOMIC_INIT(i)                                                                             \
    {                                                                                              \
        (i)                                                                                        \
    }
#define ATOMIC_OPS(T, V, P)                                                                        \
    static inline V P##_read(const T *a)                                                           \
    {                                                                                              \
        return __atomic_load_n(&a->v, __ATOMIC_RELAXED);                                           \
    }                                                                                              \
    static inline V P##_read_acquire(const T *a)                                                   \
    {                                                                                              \
        return __atomic_load_n(&a->v, __ATOMIC_ACQUIRE);                                           \
    }                                                                                              \
    static inline void P##_set(T *a, V i)                                                          \
    {                                                                                              \
        __atomic_store_n(&a->v, i, __ATOMIC_RELAXED);                                              \
    }                                                                                              \
    static inline void P##_set_release(T *a, V i)                                                  \
    {                                                                                              \
        __atomic_store_n(&a->v, i, __ATOMIC_RELEASE);                                              \
    }                                                                                              \
    static inline void P##_add(V i, T *a)                                                          \
    {                                                                                              \
        __atomic_add_fetch(&a->v, i, __ATOMIC_SEQ_CST);                                            \
    }                                                                                              \
    static inline void P##_sub(V i, T *a)                                                          \
    {                                                                                              \
        __atomic_sub_fetch(&a->v, i, __ATOMIC_SEQ_CST);                                            \
    }                                                                                              \
    static inline void P##_inc(T *a)                                                               \
    {                                                                                              \
        __atomic_add_fetch(&a->v, 1, __ATOMIC_SEQ_CST);                                            \
    }                                                                                              \
    static inline void P##_dec(T *a)                                                               \
    {                                                                                              \
        __atomic_sub_fetch(&a->v, 1, __ATOMIC_SEQ_CST);                                            \
    }                                                                                              \
    static inline V P##_add_return(V i, T *a)                                                      \
    {                                                                                              \
        return __atomic_add_fetch(&a->v, i, __ATOMIC_SEQ_CST);                                     \
    }                                                                                              \
    static inline V P##_sub_return(V i, T *a)                                                      \
    {                                                                                              \
        return __atomic_sub_fetch(&a->v, i, __ATOMIC_SEQ_CST);                                     \
    }                                                                                              \
    static inline V P##_inc_return(T *a)                                                           \
    {                                                                                              \
        return P##_add_return(1, a);                                                               \
    }                                                                                              \
    static inline V P##_dec_return(T *a)                                                           \
    {                                                                                              \
        return P##_sub_return(1, a);                                                               \
    }                                                                                              \
    static inline bool P##_dec_and_test(T *a)                                                      \
    {                                                                                              \
        return P##_sub_return(1, a) == 0;                                                          \
    }                                                                                              \
    static inline V P##_xchg(T *a, V i)                                                            \
    {                                                                                              \
        return __atomic_exchange_n(&a->v, i, __ATOMIC_SEQ_CST);                                    \
    }                                                                                              \
    static inline bool P##_try_cmpxchg(T *a, V *old, V i)                                          \
    {                                                                                              \
        return __atomic_compare_exchange_n(&a->v, old, i, false, __ATOMIC_SEQ_CST,                 \
                                           __ATOMIC_RELAXED);                                      \
    }                                                                                              \
    /* Takes a reference unless the count is already zero. */                                      \
    static inline bool P##_inc_not_zero(T *a)                                                      \
    {                                                                                              \
        V o = P##_read(a);                                                                         \
        while (o)                                                                                  \
            if (P##_try_cmpxchg(a, &o, o + 1))                                                     \
                return true;                                                                       \
        return false;                                                                              \
    }
ATOMIC_OPS(atomic_t, int, atomic)
ATOMIC_OPS(atomic64_t, s64, atomic64)

#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#define smp_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, x) __atomic_store_n(p, x, __ATOMIC_RELEASE)
#define xchg(p, x) __atomic_exchange_n(p, x, __ATOMIC_SEQ_CST)
#define cmpxchg(p, o, n)                                                                           \
    ({                                                                                             \
        __typeof__(*(p)) cx_ = (o);                                                                \
        __atomic_compare_exchange_n(p, &cx_, n, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);        \
        cx_;                                                                                       \
    })
