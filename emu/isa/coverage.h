// SPDX-License-Identifier: MIT
// Which operations of x86_ops.def a run executed: for tools/coverage, off unless VIV_COVERAGE names
// a folder.
#ifndef VIV_ISA_COVERAGE_H
#define VIV_ISA_COVERAGE_H

#include "base/types.h"

// A counter per enum x86_op, or NULL when off.
u64 *coverage_begin(void);
// Writes what was counted, lines of "name count", to a file of its own in the folder, and frees it.
void coverage_end(u64 *counts);

#endif
