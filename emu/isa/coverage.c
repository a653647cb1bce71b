// SPDX-License-Identifier: MIT
// Counters of executed operations, and their file.
#include "isa/coverage.h"

#include "base/memory.h"
#include "isa/insn.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COVERAGE_VARIABLE "VIV_COVERAGE"

u64 *coverage_begin(void)
{
    return getenv(COVERAGE_VARIABLE) ? xcalloc(X86_OP_COUNT, sizeof(u64)) : NULL;
}

void coverage_end(u64 *counts)
{
    const char *folder = getenv(COVERAGE_VARIABLE);
    if (!counts) {
        return;
    }
    char *path = xasprintf("%s/%d.%p", folder ? folder : ".", (int)getpid(), (void *)counts);
    FILE *f = fopen(path, "a"); // the name may come again
    for (unsigned op = 1; f && op < X86_OP_COUNT; op++) {
        if (counts[op]) {
            fprintf(f, "%s %llu\n", x86_op_info[op].name, (unsigned long long)counts[op]);
        }
    }
    if (!f || fclose(f)) {
        fprintf(stderr, "%s: the coverage was not written\n", path);
    }
    free(path);
    free(counts);
}
