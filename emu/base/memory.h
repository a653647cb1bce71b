// SPDX-License-Identifier: MIT
// Host allocation that cannot fail: running out of host memory for our own small structures ends
// viv with one line.
#ifndef VIV_BASE_MEMORY_H
#define VIV_BASE_MEMORY_H

#include "base/types.h"

// Zeroed memory, count * size bytes; free() releases it.
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
char *xstrdup(const char *text);

// printf into a new string; free() releases it.
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
