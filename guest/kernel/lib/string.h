// SPDX-License-Identifier: MIT
// Strings and memory, with the C library's contracts; plus the few bounded ones a kernel wants.
#pragma once

#include "lib/types.h"

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t n);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *sub);

// Copies with a terminator always; returns strlen(src) (>= size means it was cut).
size_t kstrlcpy(char *dst, const char *src, size_t size);
// Decimal, 0x hex or 0 octal as base 0 says; 0, -EINVAL (not a whole number) or -ERANGE. A final
// newline is allowed.
int kstrtou64(const char *s, unsigned base, u64 *out);
int kstrtos64(const char *s, unsigned base, s64 *out);
// kmalloc'ed copies; NULL without memory.
char *kstrdup(const char *s, gfp_t gfp);
char *kstrndup(const char *s, size_t max, gfp_t gfp);
void *kmemdup(const void *p, size_t n, gfp_t gfp);
