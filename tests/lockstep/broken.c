// SPDX-License-Identifier: MIT
// Makes of viv one whose second engine is wrong at one step, by wrapping two functions of the CPU
// as it is linked
// (--wrap). VIV_BROKEN=KIND@STEP says how; the second engine is the interpreter.
#include "cpu/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CPUS_MAX = 8 };

static struct {
    struct cpu *cpu;
    struct cpu_config config;
} second[CPUS_MAX];
static unsigned count;
static u64 wrong_step;
static char kind[16];
static bool done;

bool __wrap_cpu_has_jit(void);
struct status __wrap_cpu_create(struct cpu **out, const struct cpu_config *config);
struct status __real_cpu_create(struct cpu **out, const struct cpu_config *config);
enum cpu_exit __wrap_cpu_run(struct cpu *cpu, u64 budget);
enum cpu_exit __real_cpu_run(struct cpu *cpu, u64 budget);

bool __wrap_cpu_has_jit(void)
{
    return true;
}

struct status __wrap_cpu_create(struct cpu **out, const struct cpu_config *config)
{
    struct cpu_config interp = *config;
    interp.engine = CPU_ENGINE_INTERP;
    struct status s = __real_cpu_create(out, &interp);
    if (config->engine == CPU_ENGINE_JIT && status_ok(&s) && count < CPUS_MAX) {
        second[count].cpu = *out;
        second[count++].config = *config;
        const char *how = getenv("VIV_BROKEN");
        unsigned long long step = 0;
        if (how && sscanf(how, "%15[a-z]@%llu", kind, &step) == 2) {
            wrong_step = step;
        }
    }
    return s;
}

static void go_wrong(struct cpu *cpu, const struct cpu_config *config)
{
    struct cpu_regs r;
    u8 byte;
    cpu_get_regs(cpu, &r);
    if (strcmp(kind, "register") == 0) {
        r.gpr[15] ^= 0x100;
    } else if (strcmp(kind, "flag") == 0) {
        r.rflags ^= 1;
    } else if (strcmp(kind, "memory") == 0) {
        physmem_read(config->mem, 0x5123, &byte, 1);
        byte ^= 0x40;
        physmem_write(config->mem, 0x5123, &byte, 1);
    } else if (strcmp(kind, "once") == 0 && !done) {
        r.star ^= 1; // stays, and hurts nobody; not when it is run again
    }
    done = true;
    cpu_set_regs(cpu, &r);
}

enum cpu_exit __wrap_cpu_run(struct cpu *cpu, u64 budget)
{
    for (unsigned i = 0; i < count; i++) {
        const struct vclock *clock = second[i].config.clock;
        if (second[i].cpu != cpu || wrong_step <= clock->step ||
            wrong_step > clock->step + budget) {
            continue;
        }
        u64 before = wrong_step - clock->step;
        enum cpu_exit exit = __real_cpu_run(cpu, before);
        if (clock->step != wrong_step) {
            return exit;
        }
        go_wrong(cpu, &second[i].config);
        return exit == CPU_EXIT_BUDGET ? CPU_EXIT_KICK : exit;
    }
    return __real_cpu_run(cpu, budget);
}
