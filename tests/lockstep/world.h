// SPDX-License-Identifier: MIT
// One processor with a little kernel, two page-table roots and one device: where random programs
// run. Made for being reset thousands of times a second.
#ifndef VIV_TESTS_LOCKSTEP_WORLD_H
#define VIV_TESTS_LOCKSTEP_WORLD_H

#include "cpu/cpu.h"
#include "tests/lockstep/layout.h"

#define PATCHES_MAX 16

// Bytes of code that may be exchanged for others while it runs.
struct patch_site {
    u16 offset;
    u8 size; // 1, 2 or 4
    u8 mask; // of the value's lowest byte; what is not in it stays
};

struct program {
    u64 seed;
    bool ring0;
    u8 code[CODE_BYTES];
    u16 next[CODE_BYTES]; // of each byte: where the instruction after the one it belongs to begins
    u16 start;
    struct patch_site patches[PATCHES_MAX];
    unsigned patch_count;
    u64 gpr[16], rflags, cr0, cr4;
    u32 mxcsr, period;
    u64 data_seed;
    unsigned insn_count;
};

struct world_device {
    u64 deadline; // step of the interrupt, UINT64_MAX: none
    u64 sum;      // over all that was written, with the step
    u64 accesses;
    bool intr;
};

struct world {
    struct physmem *mem;
    struct mmu_shared *mmu;
    struct io_space *ports, *mmio;
    struct vclock clock;
    struct probes probes;
    struct cpu_apic apic;
    unsigned current_cpu;
    struct cpu *cpu;
    struct cpu_signal signal;
    struct world_device device;
    const struct program *program;
    u64 clean_epoch;    // pages of later epochs are to be made anew
    u64 compared_epoch; // pages of later epochs have not been compared
    bool ended;         // shut down, or asleep for ever
};

struct world *world_create(enum cpu_engine engine, enum tlb_geometry tlb);
void world_destroy(struct world *w);

// Where an offset of the code lies in memory.
u64 world_code_gpa(u32 offset);

// Step 0 of a program, which stays the caller's.
void world_start(struct world *w, const struct program *p);
// To that step, or to the end.
void world_run(struct world *w, u64 until_step);

// Whether both are in the same state, memory included; of memory only what was written since they
// were compared last.
bool worlds_equal(struct world *a, struct world *b);
// Prints in what they differ.
void worlds_print_difference(const struct world *a, const struct world *b);

#endif
