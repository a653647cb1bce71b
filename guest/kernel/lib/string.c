// SPDX-License-Identifier: MIT
// Memory and string functions; the big copies use REP MOVS, one instruction per run.
#include "lib/string.h"

#include "abi/errno.h"
#include "mm/slab.h"

#ifdef __FERN__
void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
    void *ret = dst;
    size_t words = n / 8, tail = n % 8;
    __asm__ volatile("rep movsq" : "+D"(dst), "+S"(src), "+c"(words)::"memory");
    __asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(tail)::"memory");
    return ret;
}

void *memmove(void *dst, const void *src, size_t n)
{
    if ((u64)dst - (u64)src >= n)
        return memcpy(dst, src, n);
    u8 *d = (u8 *)dst + n;
    const u8 *s = (const u8 *)src + n;
    while (n >= 8) {
        u64 w;
        d -= 8;
        s -= 8;
        n -= 8;
        __builtin_memcpy(&w, s, 8);
        __builtin_memcpy(d, &w, 8);
    }
    while (n--)
        *--d = *--s;
    return dst;
}

void *memset(void *dst, int c, size_t n)
{
    void *ret = dst;
    size_t words = n / 8, tail = n % 8;
    u64 pattern = (u8)c * 0x0101010101010101UL;
    __asm__ volatile("rep stosq" : "+D"(dst), "+c"(words) : "a"(pattern) : "memory");
    __asm__ volatile("rep stosb" : "+D"(dst), "+c"(tail) : "a"(pattern) : "memory");
    return ret;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const u8 *x = a, *y = b;
    for (; n >= 8; n -= 8, x += 8, y += 8) {
        u64 v, w;
        __builtin_memcpy(&v, x, 8);
        __builtin_memcpy(&w, y, 8);
        if (v != w)
            break;
    }
    for (; n; n--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

void *memchr(const void *s, int c, size_t n)
{
    for (const u8 *p = s; n; n--, p++)
        if (*p == (u8)c)
            return (void *)p;
    return NULL;
}

size_t strlen(const char *s)
{
    const char *p = s;
    while (*p)
        p++;
    return (size_t)(p - s);
}

size_t strnlen(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && s[i])
        i++;
    return i;
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
    while (n && *a && *a == *b)
        a++, b++, n--;
    return n ? (u8)*a - (u8)*b : 0;
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c)
            return (char *)s;
        if (!*s)
            return NULL;
    }
}

char *strrchr(const char *s, int c)
{
    const char *found = NULL;
    for (;; s++) {
        if (*s == (char)c)
            found = s;
        if (!*s)
            return (char *)found;
    }
}

char *strstr(const char *s, const char *sub)
{
    size_t n = strlen(sub);
    for (; *s; s++)
        if (!strncmp(s, sub, n))
            return (char *)s;
    return n ? NULL : (char *)s;
}
#endif

size_t kstrlcpy(char *dst, const char *src, size_t size)
{
    size_t n = strlen(src);
    if (size) {
        size_t take = n < size ? n : size - 1;
        memcpy(dst, src, take);
        dst[take] = 0;
    }
    return n;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

int kstrtou64(const char *s, unsigned base, u64 *out)
{
    u64 v = 0;
    if (*s == '+')
        s++;
    if ((base == 0 || base == 16) && s[0] == '0' && (s[1] | 0x20) == 'x') {
        s += 2;
        base = 16;
    } else if (base == 0) {
        base = *s == '0' ? 8 : 10;
    }
    const char *start = s;
    for (; (unsigned)digit_value(*s) < base; s++) {
        if (__builtin_mul_overflow(v, (u64)base, &v) ||
            __builtin_add_overflow(v, (u64)digit_value(*s), &v))
            return -ERANGE;
    }
    if (s == start)
        return -EINVAL;
    if (*s == '\n')
        s++;
    if (*s)
        return -EINVAL;
    *out = v;
    return 0;
}

int kstrtos64(const char *s, unsigned base, s64 *out)
{
    bool negative = *s == '-';
    u64 v;
    int err = kstrtou64(negative ? s + 1 : s, base, &v);
    if (err)
        return err;
    if (negative ? v > 1UL << 63 : v > ~0UL >> 1)
        return -ERANGE;
    *out = negative ? (s64)(0 - v) : (s64)v;
    return 0;
}

void *kmemdup(const void *p, size_t n, gfp_t gfp)
{
    void *copy = kmalloc(n, gfp);
    if (copy)
        memcpy(copy, p, n);
    return copy;
}

char *kstrndup(const char *s, size_t max, gfp_t gfp)
{
    size_t n = strnlen(s, max);
    char *copy = kmalloc(n + 1, gfp);
    if (copy) {
        memcpy(copy, s, n);
        copy[n] = 0;
    }
    return copy;
}

char *kstrdup(const char *s, gfp_t gfp)
{
    return kstrndup(s, strlen(s), gfp);
}
