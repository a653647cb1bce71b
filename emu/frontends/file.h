// SPDX-License-Identifier: MIT
// Whole files in memory.
#ifndef VIV_FRONTENDS_FILE_H
#define VIV_FRONTENDS_FILE_H

#include "base/status.h"
#include "base/types.h"

// Reads a file of 1 to max_bytes bytes into *bytes (free() it). STATUS_BAD_INPUT names what and
// why.
struct status file_read(const char *what, const char *path, size_t max_bytes, u8 **bytes,
                        size_t *size);

// Compiles a device tree source with dtc, whose diagnostics go to standard error.
struct status file_compile_tree(const char *path, u8 **bytes, size_t *size);

// The path from the root, or as given if there is no such file; free() it.
char *file_absolute(const char *path);

// The path of a file beside this executable; free() it.
char *file_beside_executable(const char *name);

#endif
