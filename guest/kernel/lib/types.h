// SPDX-License-Identifier: MIT
// Basic types of the kernel; same widths as the C library's on x86-64, so host tests can mix both.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

typedef long ssize_t;
typedef long off_t;
typedef long loff_t;
typedef int pid_t;
typedef unsigned int uid_t;
typedef unsigned int gid_t;
typedef unsigned int mode_t;
typedef unsigned short umode_t;
typedef unsigned long dev_t; // Linux's user encoding is made by new_encode_dev()
typedef unsigned long ino_t;
typedef long time_t;
typedef int clockid_t;
typedef u32 gfp_t;
typedef u64 sector_t; // 512-byte units
typedef u64 phys_addr_t;
typedef u64 ktime_t;         // nanoseconds of CLOCK_MONOTONIC unless said otherwise
typedef unsigned int poll_t; // EPOLL*/POLL* bits

#define __user // pointers into user space; touched through uaccess only
#define __percpu

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define offset_of(type, member) __builtin_offsetof(type, member)
#define container_of(ptr, type, member)                                                            \
    ((type *)(void *)((char *)(ptr) - __builtin_offsetof(type, member)))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define min(a, b)                                                                                  \
    ({                                                                                             \
        __auto_type min_a_ = (a);                                                                  \
        __auto_type min_b_ = (b);                                                                  \
        min_a_ < min_b_ ? min_a_ : min_b_;                                                         \
    })
#define max(a, b)                                                                                  \
    ({                                                                                             \
        __auto_type max_a_ = (a);                                                                  \
        __auto_type max_b_ = (b);                                                                  \
        max_a_ > max_b_ ? max_a_ : max_b_;                                                         \
    })
#define min_t(t, a, b) min((t)(a), (t)(b))
#define max_t(t, a, b) max((t)(a), (t)(b))
#define clamp(v, lo, hi) min(max(v, lo), hi)
#define ALIGN_UP(x, a) (((x) + ((__typeof__(x))(a)-1)) & ~((__typeof__(x))(a)-1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a)-1)) == 0)
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))
#define BIT(n) (1UL << (n))
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define barrier() __asm__ volatile("" ::: "memory")
#define __packed __attribute__((packed))
#define __aligned(n) __attribute__((aligned(n)))
#define __weak __attribute__((weak))
#define __noreturn __attribute__((noreturn))
#define __maybe_unused __attribute__((unused))
#define __noinline __attribute__((noinline))
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#define __printf(f, a) __attribute__((format(printf, f, a)))
#define fallthrough __attribute__((fallthrough))

#define NSEC_PER_SEC 1000000000UL
#define NSEC_PER_MSEC 1000000UL
#define NSEC_PER_USEC 1000UL
#define USER_HZ 100 // unit of times(2) and /proc/PID/stat
