// SPDX-License-Identifier: MIT
// Whichever engine runs, a run until a step ends in the same state: fern's boot and a command, run
// by the translator from the start to random steps, each beside one run of the interpreter that
// stops at all of them. Recordings of either engine are replayed by the other in
// test_recordings.py. Usage: test_until KERNEL DISK [COUNT [CPUS [SEED]]]
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "tests/isa/generate.h"
#include "tests/machine/boot_guest.h"

static int ascending(const void *a, const void *b)
{
    u64 x = *(const u64 *)a, y = *(const u64 *)b;
    return x < y ? -1 : x > y;
}

// How many steps the whole run takes, and its last state.
static u64 whole_run(struct boot_files *files, enum cpu_engine engine, u64 *hash)
{
    struct guest g;
    files->engine = engine;
    open_guest(&g, files, TLB_FULL);
    struct machine_result r = machine_run(g.m, UINT64_MAX);
    u64 steps = machine_clock(g.m)->step;
    if (r.exit != MACHINE_EXIT_DEBUG_EXIT) {
        printf("not ok - the guest ended otherwise (%d) at step %llu: %s\n", (int)r.exit,
               (unsigned long long)steps, r.text);
        exit(1);
    }
    *hash = machine_hash(g.m);
    close_guest(&g);
    return steps;
}

static bool same_ends(struct boot_files *files, u64 *steps)
{
    u64 interp_hash, jit_hash;
    *steps = whole_run(files, CPU_ENGINE_INTERP, &interp_hash);
    u64 jit_steps = whole_run(files, CPU_ENGINE_JIT, &jit_hash);
    bool same = interp_hash == jit_hash && *steps == jit_steps;
    printf("%sok - final state at step %llu: %016llx and %016llx\n", same ? "" : "not ",
           (unsigned long long)*steps, (unsigned long long)interp_hash,
           (unsigned long long)jit_hash);
    return same;
}

static bool same_until(struct boot_files *files, struct machine *interp, u64 step)
{
    struct guest g;
    machine_run(interp, step);
    files->engine = CPU_ENGINE_JIT;
    open_guest(&g, files, TLB_FULL);
    machine_run(g.m, step);
    u64 hash = machine_hash(g.m), wanted = machine_hash(interp);
    bool same = machine_clock(g.m)->step == step && hash == wanted;
    if (!same) {
        printf("not ok - until step %llu: at %llu, %016llx, the interpreter %016llx\n",
               (unsigned long long)step, (unsigned long long)machine_clock(g.m)->step,
               (unsigned long long)hash, (unsigned long long)wanted);
    }
    close_guest(&g);
    return same;
}

int main(int argc, char **argv)
{
    if (argc < 3 || !cpu_has_jit()) {
        printf("ok # SKIP no translator\n");
        return argc < 3;
    }
    u64 count = argc > 3 ? strtoull(argv[3], NULL, 0) : 40, steps;
    struct random random = {argc > 5 ? strtoull(argv[5], NULL, 0) : 1};
    struct boot_files files = {.cpus = 1};
    boot_files_read(&files, argv[1], argv[2], NULL);
    files.cpus = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 0) : 1;
    bool failed = !same_ends(&files, &steps);
    u64 *stops = xcalloc(count, sizeof(*stops));
    for (u64 i = 0; i < count; i++) {
        stops[i] = 1 + random_u64(&random) % (steps - 1);
    }
    qsort(stops, count, sizeof(*stops), ascending);
    struct guest interp;
    files.engine = CPU_ENGINE_INTERP;
    open_guest(&interp, &files, TLB_FULL);
    for (u64 i = 0; i < count && !failed; i++) {
        failed = !same_until(&files, interp.m, stops[i]);
    }
    if (!failed) {
        printf("ok - until each of %llu random steps\n", (unsigned long long)count);
    }
    close_guest(&interp);
    free(stops);
    boot_files_free(&files);
    return failed;
}
