// SPDX-License-Identifier: MIT
// The names a Linux kernel carries for itself (scripts/kallsyms.c), found in its read-only data
// without any name to begin with. The bytes are untrusted.
#ifndef VIV_DEBUGGER_KALLSYMS_H
#define VIV_DEBUGGER_KALLSYMS_H

#include "base/types.h"

// Calls fn for each name in the order of addresses; type is nm(1)'s letter. Per-CPU variables have
// their offsets for addresses. Returns how many; 0: no table of a known form is there.
u32 kallsyms_read(const u8 *data, u64 size, void (*fn)(void *ctx, u64 address, char type,
                                                       const char *name), void *ctx);

#endif
