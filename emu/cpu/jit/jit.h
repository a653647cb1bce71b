// SPDX-License-Identifier: MIT
// The translator, as the loop and the decode cache see it (ENGINE.md).
#ifndef VIV_CPU_JIT_JIT_H
#define VIV_CPU_JIT_JIT_H

#include "base/types.h"

struct code_cache;
struct code_page;
struct cpu;
struct insn;
struct jit;
struct mmu_shared;
struct physmem;

// Whether this host can run translated code.
bool jit_host_able(void);

// cpu_count: of the machine.
struct jit *jit_create(struct physmem *mem, struct mmu_shared *mmu, struct code_cache *code,
                       unsigned cpu_count);
void jit_destroy(struct jit *jit);

// What the CPU needs before the first jit_run().
void jit_init_frame(struct cpu *cpu);

enum jit_result {
    JIT_NOTHING, // there is no translation, or the budget ends within it: interpret
    JIT_AT,      // in front of an instruction: cpu->rip and steps_left are exact
    JIT_STOPPED, // cpu->current did not: cpu->fault says why
};

// Executes from insn on, the instruction at cpu->rip in cpu->page, at a boundary with nothing to
// look at.
enum jit_result jit_run(struct cpu *cpu, const struct insn *insn);

// Guest code in the page changes or gets other handlers (range; true: some was translated), or
// goes.
bool jit_drop_range(struct jit *jit, struct code_page *page, u32 offset, u32 size);
void jit_drop_page(struct jit *jit, struct code_page *page);

// The block that the instruction at a page offset belongs to (the nearest one that begins at or in
// front of it). out->guest_first is left as the offset in the page. False: there is none.
struct cpu_translation;
bool jit_describe(const struct code_page *page, unsigned offset, struct cpu_translation *out);

#endif
