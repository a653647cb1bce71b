// SPDX-License-Identifier: MIT
// snprintf family: d i u x X o c s p % with flags, width, precision, hh h l ll z; no floating
// point.
#pragma once

#include <stdarg.h>

#include "lib/types.h"

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap) __printf(3, 0);
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
// Returns what was really written (without the terminator), for chained output.
int scnprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
// kmalloc'ed result or NULL.
char *kasprintf(gfp_t gfp, const char *fmt, ...) __printf(2, 3);
