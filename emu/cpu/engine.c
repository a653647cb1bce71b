// SPDX-License-Identifier: MIT
// Which engines this viv has. There is no translator yet: what stands here is its place.
#include "cpu/state.h"

#include <stdlib.h>
#include <string.h>

bool cpu_has_jit(void)
{
    return false; // until emu/cpu/jit is there
}

enum cpu_engine cpu_engine_resolve(enum cpu_engine engine)
{
    if (engine != CPU_ENGINE_DEFAULT) {
        return engine;
    }
    const char *wanted = getenv("VIV_TEST_ENGINE");
    return wanted && strcmp(wanted, "jit") == 0 ? CPU_ENGINE_JIT : CPU_ENGINE_INTERP;
}

bool cpu_translation_at(const struct cpu *cpu, u64 linear, struct cpu_translation *out)
{
    return false;
}
