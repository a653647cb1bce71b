// SPDX-License-Identifier: MIT
// The only way to user memory: range check, STAC/CLAC, exception table. Task context; may sleep
// unless faults are disabled.
#pragma once

#include "arch/x86_64/paging.h"
#include "lib/types.h"

static inline bool access_ok(const void __user *p, u64 size)
{
    return size <= TASK_SIZE && (u64)p <= TASK_SIZE - size;
}

// Return how many bytes were NOT copied (0 = all). Bytes before the fault are copied exactly.
unsigned long copy_to_user(void __user *to, const void *from, unsigned long n);
unsigned long copy_from_user(void *to, const void __user *from, unsigned long n);
unsigned long clear_user(void __user *to, unsigned long n);
// Length without the terminator; `count` if no terminator within count; -EFAULT.
long strncpy_from_user(char *dst, const char __user *src, long count);
// Length with the terminator; > n if longer than n; 0 on fault.
long strnlen_user(const char __user *src, long n);

// While disabled, a fault in a user copy fails the copy instead of being served (under a page lock
// or spinlock). Nests.
void pagefault_disable(void);
void pagefault_enable(void);
bool pagefault_disabled(void);
// Make the pages present (readable / writable) by touching them; 0 or -EFAULT. May sleep.
int fault_in_readable(const void __user *p, size_t n);
int fault_in_writeable(void __user *p, size_t n);

long get_user_asm(u64 *out, const void __user *p, unsigned size); // 0 or -EFAULT
long put_user_asm(u64 v, void __user *p, unsigned size);
#define get_user(x, ptr)                                                                           \
    ({                                                                                             \
        u64 gu_v_ = 0;                                                                             \
        long gu_e_ = get_user_asm(&gu_v_, (ptr), sizeof(*(ptr)));                                  \
        (x) = (__typeof__(*(ptr)))gu_v_;                                                           \
        (int)gu_e_;                                                                                \
    })
#define put_user(x, ptr) ((int)put_user_asm((u64)(__typeof__(*(ptr)))(x), (ptr), sizeof(*(ptr))))

// Atomic operations on a user word for futexes, with faults disabled: 0 or -EFAULT (the caller
// faults in and retries).
int user_cmpxchg_u32(u32 *old_out, u32 __user *p, u32 expected, u32 desired);
int user_xchg_u32(u32 *old_out, u32 __user *p, u32 v);
int user_add_u32(u32 *old_out, u32 __user *p, u32 v);
int user_or_u32(u32 *old_out, u32 __user *p, u32 v);
int user_and_u32(u32 *old_out, u32 __user *p, u32 v);
int user_xor_u32(u32 *old_out, u32 __user *p, u32 v);
// Looks up the fixup of a faulting kernel instruction; 0 if there is none.
u64 exception_fixup(u64 ip);
