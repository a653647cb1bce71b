// SPDX-License-Identifier: MIT
// The register file as gdb numbers it (registers.def), read from and written into a CPU's state.
#ifndef VIV_GDBSTUB_REGISTERS_H
#define VIV_GDBSTUB_REGISTERS_H

#include "debugger/target.h"

#define REGISTER_BYTES_MAX 16

enum register_feature {
    REGISTERS_CORE,
    REGISTERS_SSE,
    REGISTERS_LINUX,
    REGISTERS_SEGMENTS,
    REGISTERS_VIV,
    REGISTERS_AVX,
    REGISTERS_FEATURE_COUNT
};

struct register_row {
    const char *name, *type;
    unsigned bits;
    enum register_feature feature;
    unsigned kind;
    size_t place;
};

// A CPU's state, or what is known of a task that does not run.
struct register_file {
    struct cpu_regs regs;
    u8 fxsave[CPU_FPU_BYTES]; // as cpu_get_fpu() gives it
    u64 step, orig_rax;
    bool saved_only; // only RIP and what the ABI says a callee preserves (psABI 3.2.1) is known
};

unsigned registers_count(void);
const struct register_row *registers_row(unsigned number);
bool registers_known(const struct register_file *file, unsigned number);
// Little-endian bytes as gdb wants them; returns how many.
unsigned registers_get(const struct register_file *file, unsigned number,
                       u8 out[REGISTER_BYTES_MAX]);
// False: this register cannot be written. Two can, without effect: orig_rax, which no CPU has and
// gdb writes with every new RIP, and an earlier step, which gdb puts back after it has called a
// function.
bool registers_set(struct register_file *file, unsigned number, const u8 *in);

#endif
