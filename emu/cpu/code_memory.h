// SPDX-License-Identifier: MIT
// Memory for code made at run time, never writable and executable at once: two mappings of one
// memfd.
#ifndef VIV_CPU_CODE_MEMORY_H
#define VIV_CPU_CODE_MEMORY_H

#include "base/types.h"

struct code_memory {
    u8 *write;     // read and write
    const u8 *run; // the same bytes, read and execute
    size_t size;
};

// Pages that nothing was written to cost nothing. name: for /proc/PID/maps.
struct code_memory code_memory_create(const char *name, size_t size);
void code_memory_destroy(const struct code_memory *memory);

#endif
