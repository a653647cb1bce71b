// SPDX-License-Identifier: MIT
// Speed of the CPU alone: an integer loop, a sieve, calls, a copy loop. Prints M instructions per
// second, best of five, in CPU time.
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/isa/bare.h"

#define WORKLOADS(row) row(integer) row(sieve) row(calls) row(copy)
#define DECLARE(name) extern const u8 workload_##name[], workload_##name##_end[];
WORKLOADS(DECLARE)

static const struct workload {
    const char *name;
    const u8 *code, *end;
} workloads[] = {
#define ROW(name) {#name, workload_##name, workload_##name##_end},
    WORKLOADS(ROW)};

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double measure(const struct workload *w, u64 steps)
{
    struct bare *b = bare_create(TLB_FULL);
    physmem_write(b->mem, BARE_USER, w->code, (u64)(w->end - w->code));
    struct cpu_regs r = bare_user_regs(b, BARE_USER);
    r.gpr[CPU_RSP] = BARE_USER + 0x100000;
    r.gpr[CPU_RDI] = BARE_USER + 0x200000;
    r.gpr[CPU_RSI] = BARE_USER + 0x400000;
    cpu_set_regs(b->cpu, &r);
    double best = 0;
    for (int i = 0; i < 5; i++) {
        double start = seconds();
        enum cpu_exit why = cpu_run(b->cpu, steps);
        double rate = (double)steps / (seconds() - start) / 1e6;
        if (why != CPU_EXIT_BUDGET || bare_exception(b).vector >= 0) {
            printf("%s: stopped, %d, vector %d\n", w->name, why, bare_exception(b).vector);
        }
        best = rate > best ? rate : best;
    }
    bare_destroy(b);
    return best;
}

int main(void)
{
    for (unsigned i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
        printf("%-12s %7.1f M instructions/s\n", workloads[i].name,
               measure(&workloads[i], 50000000));
    }
    return 0;
}
