// SPDX-License-Identifier: MIT
// Access to user memory by single instructions that the exception table knows.
#include "arch/x86_64/uaccess.h"

#include "abi/errno.h"
#include "lib/string.h"
#include "sched/sched.h"

unsigned long copy_user(void *dst, const void *src, unsigned long n);
unsigned long zero_user(void *dst, unsigned long n);

#define SMAP_SITE(kind)                                                                            \
    "9998: .byte 0x0f, 0x1f, 0x00\n"                                                               \
    ".pushsection .smap_sites, \"a\"\n .quad 9998b, " kind "\n .popsection\n"
#define STAC SMAP_SITE("0xcb")
#define CLAC SMAP_SITE("0xca")
// A faulting instruction at 1: goes on at 3: with the result register at -EFAULT.
#define USER_ASM(insn)                                                                             \
    STAC "1: " insn "\n2: " CLAC                                                                   \
         ".pushsection .text.fixup, \"ax\"\n3: movl $-14, %[err]\n jmp 2b\n.popsection\n"          \
         ".pushsection .ex_table, \"a\"\n .quad 1b, 3b\n .popsection\n"

struct ex_entry {
    u64 ip, fixup;
};
extern const struct ex_entry ex_table_start[], ex_table_end[];

u64 exception_fixup(u64 ip)
{
    for (const struct ex_entry *e = ex_table_start; e < ex_table_end; e++)
        if (e->ip == ip)
            return e->fixup;
    return 0;
}

unsigned long copy_to_user(void __user *to, const void *from, unsigned long n)
{
    return access_ok(to, n) ? copy_user(to, from, n) : n;
}

unsigned long copy_from_user(void *to, const void __user *from, unsigned long n)
{
    return access_ok(from, n) ? copy_user(to, from, n) : n;
}

unsigned long clear_user(void __user *to, unsigned long n)
{
    return access_ok(to, n) ? zero_user(to, n) : n;
}

long get_user_asm(u64 *out, const void __user *p, unsigned size)
{
    int err = 0;
    u64 v = 0;
    if (!access_ok(p, size))
        return -EFAULT;
    switch (size) {
    case 1:
        __asm__ volatile(USER_ASM("movzbl %[p], %k[v]")
                         : [err] "+r"(err), [v] "+r"(v)
                         : [p] "m"(*(const u8 *)p));
        break;
    case 2:
        __asm__ volatile(USER_ASM("movzwl %[p], %k[v]")
                         : [err] "+r"(err), [v] "+r"(v)
                         : [p] "m"(*(const u16 *)p));
        break;
    case 4:
        __asm__ volatile(USER_ASM("movl %[p], %k[v]")
                         : [err] "+r"(err), [v] "+r"(v)
                         : [p] "m"(*(const u32 *)p));
        break;
    default:
        __asm__ volatile(USER_ASM("movq %[p], %[v]")
                         : [err] "+r"(err), [v] "+r"(v)
                         : [p] "m"(*(const u64 *)p));
    }
    *out = v;
    return err;
}

long put_user_asm(u64 v, void __user *p, unsigned size)
{
    int err = 0;
    if (!access_ok(p, size))
        return -EFAULT;
    switch (size) {
    case 1:
        __asm__ volatile(USER_ASM("movb %b[v], %[p]")
                         : [err] "+r"(err), [p] "=m"(*(u8 *)p)
                         : [v] "q"(v));
        break;
    case 2:
        __asm__ volatile(USER_ASM("movw %w[v], %[p]")
                         : [err] "+r"(err), [p] "=m"(*(u16 *)p)
                         : [v] "r"(v));
        break;
    case 4:
        __asm__ volatile(USER_ASM("movl %k[v], %[p]")
                         : [err] "+r"(err), [p] "=m"(*(u32 *)p)
                         : [v] "r"(v));
        break;
    default:
        __asm__ volatile(USER_ASM("movq %[v], %[p]")
                         : [err] "+r"(err), [p] "=m"(*(u64 *)p)
                         : [v] "r"(v));
    }
    return err;
}

// Bytes of a page boundary-safe chunk: a word if it lies in one page, else one byte.
long strncpy_from_user(char *dst, const char __user *src, long count)
{
    long done = 0;
    while (done < count) {
        u64 word;
        bool whole = count - done >= 8 && ((u64)(src + done) & (PAGE_SIZE - 1)) <= PAGE_SIZE - 8 &&
                     access_ok(src + done, 8);
        if (get_user_asm(&word, src + done, whole ? 8 : 1))
            return -EFAULT;
        for (int i = 0; i < (whole ? 8 : 1); i++, word >>= 8) {
            dst[done] = (char)word;
            if (!dst[done])
                return done;
            done++;
        }
    }
    return count;
}

long strnlen_user(const char __user *src, long n)
{
    for (long len = 0; len < n; len++) {
        u64 c;
        if (get_user_asm(&c, src + len, 1))
            return 0;
        if (!c)
            return len + 1;
    }
    return n + 1;
}

void pagefault_disable(void)
{
    current->pagefault_disabled++;
    barrier();
}

void pagefault_enable(void)
{
    barrier();
    current->pagefault_disabled--;
}

bool pagefault_disabled(void)
{
    return current->pagefault_disabled != 0;
}

int fault_in_readable(const void __user *p, size_t n)
{
    if (!n)
        return 0;
    if (!access_ok(p, n))
        return -EFAULT;
    u64 end = (u64)p + n - 1, v;
    for (u64 at = (u64)p; at <= end; at = (at & PAGE_MASK) + PAGE_SIZE)
        if (get_user_asm(&v, (const void *)at, 1))
            return -EFAULT;
    return 0;
}

int fault_in_writeable(void __user *p, size_t n)
{
    if (!n)
        return 0;
    if (!access_ok(p, n))
        return -EFAULT;
    u64 end = (u64)p + n - 1;
    for (u64 at = (u64)p; at <= end; at = (at & PAGE_MASK) + PAGE_SIZE) {
        int err = 0;
        // Adding zero writes without changing what another thread may write meanwhile.
        __asm__ volatile(USER_ASM("lock addb $0, %[p]")
                         : [err] "+r"(err), [p] "+m"(*(u8 *)at)::"cc");
        if (err)
            return -EFAULT;
    }
    return 0;
}

#define CHECK_WORD(p)                                                                              \
    if (!access_ok(p, 4))                                                                          \
        return -EFAULT;                                                                            \
    int err = 0;                                                                                   \
    pagefault_disable()

int user_cmpxchg_u32(u32 *old_out, u32 __user *p, u32 expected, u32 desired)
{
    CHECK_WORD(p);
    __asm__ volatile(USER_ASM("lock cmpxchgl %[n], %[p]")
                     : [err] "+r"(err), [p] "+m"(*p), "+a"(expected)
                     : [n] "r"(desired)
                     : "cc", "memory");
    pagefault_enable();
    *old_out = expected;
    return err;
}

int user_xchg_u32(u32 *old_out, u32 __user *p, u32 v)
{
    CHECK_WORD(p);
    __asm__ volatile(USER_ASM("xchgl %[v], %[p]")
                     : [err] "+r"(err), [p] "+m"(*p), [v] "+r"(v)::"memory");
    pagefault_enable();
    *old_out = v;
    return err;
}

int user_add_u32(u32 *old_out, u32 __user *p, u32 v)
{
    CHECK_WORD(p);
    __asm__ volatile(USER_ASM("lock xaddl %[v], %[p]")
                     : [err] "+r"(err), [p] "+m"(*p), [v] "+r"(v)::"cc", "memory");
    pagefault_enable();
    *old_out = v;
    return err;
}

#define USER_RMW(name, expression)                                                                 \
    int user_##name##_u32(u32 *old_out, u32 __user *p, u32 v)                                      \
    {                                                                                              \
        for (;;) {                                                                                 \
            u64 word;                                                                              \
            pagefault_disable();                                                                   \
            long err = get_user_asm(&word, p, 4);                                                  \
            pagefault_enable();                                                                    \
            if (err)                                                                               \
                return (int)err;                                                                   \
            u32 old = (u32)word;                                                                   \
            if (user_cmpxchg_u32(old_out, p, old, expression))                                     \
                return -EFAULT;                                                                    \
            if (*old_out == old)                                                                   \
                return 0;                                                                          \
        }                                                                                          \
    }
USER_RMW(or, old | v)
USER_RMW(and, old &v)
USER_RMW(xor, old ^ v)
