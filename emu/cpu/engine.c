// SPDX-License-Identifier: MIT
// Which engine executes, and what the translator has made of code.
#include "cpu/state.h"

#include "cpu/jit/jit.h"

#include <stdlib.h>
#include <string.h>

bool cpu_has_jit(void)
{
    return jit_host_able();
}

enum cpu_engine cpu_engine_resolve(enum cpu_engine engine)
{
    if (engine != CPU_ENGINE_DEFAULT) {
        return engine;
    }
    const char *wanted = getenv("VIV_TEST_ENGINE");
    bool interpret = wanted && strcmp(wanted, "interp") == 0;
    return cpu_has_jit() && !interpret ? CPU_ENGINE_JIT : CPU_ENGINE_INTERP;
}

bool cpu_translation_at(const struct cpu *cpu, u64 linear, struct cpu_translation *out)
{
    u64 gpa;
    if (!cpu->jit || !cpu->long_mode || !mmu_would_fetch(cpu->mmu, linear, &gpa)) {
        return false;
    }
    u32 rpn = physmem_rpn(cpu->config.mem, gpa);
    if (rpn == PHYSMEM_NO_RPN ||
        !jit_describe(cpu->code_pages[rpn], linear & PAGE_MASK, out)) {
        return false;
    }
    out->guest_first += align_down(linear, PAGE_SIZE);
    return true;
}
