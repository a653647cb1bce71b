// SPDX-License-Identifier: MIT
// The target with several CPUs: steps of one CPU leave the schedule as it is, back is the way one
// came, and a stop says which CPU it was. The guest is tests/ring0/smp.c.
#include "../replay/guest.h"

#include "base/bits.h"
#include "debugger/target.h"
#include "machine/watch.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define CPUS 3
#define WALKS 200
#define FILL_BYTES 40000 // of tests/ring0/smp.h

static unsigned count, bad;

static void tap(bool ok, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("%s %u - ", ok ? "ok" : "not ok", ++count);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
    bad += !ok;
}

struct known {
    u64 step, hash;
};

static int by_step(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    return x->step < y->step ? -1 : x->step > y->step;
}

static u64 next_random(u64 *x)
{
    *x = *x * UINT64_C(6364136223846793005) + 1442695040888963407;
    return *x >> 24;
}

static struct known here(struct target *t)
{
    return (struct known){target_step(t), machine_hash(target_machine(t))};
}

// A plain machine that runs forward past all of them has the same states.
static void check_all(const struct guest_files *files, struct known *known, unsigned n)
{
    struct guest plain;
    unsigned wrong = 0;
    guest_open(&plain, files, TLB_TINY, NULL, NULL);
    qsort(known, n, sizeof(*known), by_step);
    for (unsigned i = 0; i < n; i++) {
        if (known[i].step > machine_clock(plain.m)->step) {
            machine_run(plain.m, known[i].step);
        }
        wrong += machine_clock(plain.m)->step != known[i].step ||
                 machine_hash(plain.m) != known[i].hash;
    }
    tap(!wrong, "%u states, %u differ from those of a run that nobody watched", n, wrong);
    guest_close(&plain);
}

// One CPU's step forward, back and forward again.
static bool there_and_back(struct target *t, unsigned cpu, struct known *known)
{
    struct machine *m = target_machine(t);
    struct cpu_counters before, behind;
    target_select_cpu(t, cpu);
    cpu_get_counters(machine_cpu(m, cpu), &before);
    const struct target_stop *stop = target_move(t, TARGET_FORWARD, TARGET_INSTRUCTION, 1);
    cpu_get_counters(machine_cpu(m, cpu), &behind);
    struct known after = here(t);
    bool good = stop->kind == TARGET_STOP_STEP && stop->cpu == cpu &&
                machine_last_step(m, cpu) == after.step - 1 &&
                behind.ring0_steps == before.ring0_steps + 1;
    target_move(t, TARGET_BACK, TARGET_INSTRUCTION, 1);
    *known = here(t);
    good &= known->step == after.step - 1;
    target_move(t, TARGET_FORWARD, TARGET_INSTRUCTION, 1);
    struct known again = here(t);
    good &= again.step == after.step && again.hash == after.hash;
    if (!good) {
        printf("# cpu %u: after %llu, before %llu, again %llu: %s\n", cpu,
               (unsigned long long)after.step, (unsigned long long)known->step,
               (unsigned long long)again.step, stop->text);
    }
    return good;
}

static void walk(struct target *t, const struct guest_files *files)
{
    static struct known known[WALKS];
    u64 x = 1;
    unsigned good = 0;
    target_seek(t, 60000);
    for (unsigned i = 0; i < WALKS; i++) {
        good += there_and_back(t, (unsigned)(next_random(&x) % CPUS), &known[i]);
        if (i % 10 == 9) {
            target_seek(t, 60000 + next_random(&x) % 1200000);
        }
    }
    tap(good == WALKS, "%u of %u steps of one CPU, there and back", good, WALKS);
    check_all(files, known, WALKS);
}

// Every CPU comes by, is the one that is told, and is met again on the way back.
static void breakpoints(struct target *t, struct symbols *symbols)
{
    struct target_point point = {.kind = TARGET_POINT_BREAK, .enabled = true};
    struct known met[40];
    unsigned cpu[40], seen = 0, wrong = 0, back = 0;
    int number;
    symbols_kernel_address(symbols, "interrupt", &point.address);
    target_point_add(t, &point, &number);
    target_seek(t, 60000);
    for (unsigned i = 0; i < ARRAY_LEN(met); i++) {
        const struct target_stop *stop = target_continue(t, TARGET_FORWARD);
        struct cpu_regs regs;
        target_get_regs(t, stop->cpu, &regs);
        wrong += stop->kind != TARGET_STOP_BREAKPOINT || regs.rip != point.address ||
                 target_cpu(t) != stop->cpu;
        met[i] = here(t);
        cpu[i] = stop->cpu;
        seen |= 1u << stop->cpu;
    }
    tap(!wrong && seen == (1u << CPUS) - 1, "breakpoints on all CPUs (%x), %u wrong", seen, wrong);
    for (unsigned i = ARRAY_LEN(met) - 1; i-- > 0;) {
        const struct target_stop *stop = target_continue(t, TARGET_BACK);
        struct known now = here(t);
        back += now.step == met[i].step && now.hash == met[i].hash && stop->cpu == cpu[i];
    }
    tap(back == ARRAY_LEN(met) - 1, "%u of %u met again on the way back", back,
        (unsigned)ARRAY_LEN(met) - 1);
    target_point_remove(t, number);
}

// A condition is about the CPU that comes by: only the first gets this vector.
static void conditions(struct target *t, struct symbols *symbols)
{
    struct target_point point = {
        .kind = TARGET_POINT_BREAK, .enabled = true, .condition = "$rdi == 0x42"};
    unsigned good = 0;
    int number;
    symbols_kernel_address(symbols, "interrupt", &point.address);
    target_point_add(t, &point, &number);
    target_seek(t, 60000);
    target_select_cpu(t, 2);
    for (unsigned i = 0; i < 20; i++) {
        const struct target_stop *stop = target_continue(t, TARGET_FORWARD);
        struct cpu_regs regs;
        target_get_regs(t, 0, &regs);
        good += stop->kind == TARGET_STOP_BREAKPOINT && !stop->cpu && regs.gpr[CPU_RDI] == 0x42 &&
                regs.rip == point.address;
        target_select_cpu(t, 2);
    }
    tap(good == 20, "%u of 20 breakpoints with a condition", good);
    target_point_remove(t, number);
}

// An instruction that lasts for several turns is one execution for each CPU.
static void long_instructions(struct target *t, struct symbols *symbols)
{
    struct target_point point = {.kind = TARGET_POINT_BREAK, .enabled = true};
    unsigned seen[CPUS] = {0}, met = 0, back = 0, over = 0;
    int number;
    symbols_kernel_address(symbols, "fill_instruction", &point.address);
    target_point_add(t, &point, &number);
    target_seek(t, 60000);
    const struct target_stop *stop;
    while ((stop = target_continue(t, TARGET_FORWARD))->kind == TARGET_STOP_BREAKPOINT &&
           met <= CPUS) {
        struct known before = here(t);
        unsigned cpu = stop->cpu;
        seen[cpu]++;
        met++;
        target_point_get(t, number)->enabled = false; // the others come by meanwhile
        target_move(t, TARGET_FORWARD, TARGET_NEXT, 1);
        over += target_cpu(t) == cpu && target_step(t) > before.step + FILL_BYTES;
        target_move(t, TARGET_BACK, TARGET_NEXT, 1);
        struct known after = here(t);
        over += target_cpu(t) == cpu && after.step == before.step && after.hash == before.hash;
        target_point_get(t, number)->enabled = true;
    }
    while ((stop = target_continue(t, TARGET_BACK))->kind == TARGET_STOP_BREAKPOINT &&
           back <= CPUS) {
        back++;
    }
    tap(met == CPUS && seen[0] == 1 && seen[1] == 1 && seen[2] == 1 && back == CPUS &&
            over == 2 * CPUS,
        "%u long instructions, %u on the way back, %u times over one", met, back, over);
    target_point_remove(t, number);
}

// next and events: of the CPU that is meant, or of the one where it happened.
static void other_moves(struct target *t)
{
    unsigned good = 0;
    target_seek(t, 400000);
    for (unsigned i = 0; i < 30; i++) {
        struct cpu_regs before, after;
        target_select_cpu(t, i % CPUS);
        target_get_regs(t, i % CPUS, &before);
        const struct target_stop *stop = target_move(t, TARGET_FORWARD, TARGET_NEXT, 1);
        target_get_regs(t, i % CPUS, &after);
        good += stop->kind == TARGET_STOP_STEP && stop->cpu == i % CPUS &&
                after.gpr[CPU_RSP] + 4096 > before.gpr[CPU_RSP];
    }
    tap(good == 30, "%u of 30 instructions, each of one CPU", good);
    const struct target_stop *stop = target_move(t, TARGET_FORWARD, TARGET_INTERRUPT, 1);
    u64 step = stop->step;
    unsigned cpu = stop->cpu;
    struct cpu_regs regs;
    target_get_regs(t, cpu, &regs);
    bool entered = machine_last_step(target_machine(t), cpu) == step - 1;
    target_move(t, TARGET_FORWARD, TARGET_INTERRUPT, 2);
    stop = target_move(t, TARGET_BACK, TARGET_INTERRUPT, 2);
    tap(entered && stop->step == step && stop->cpu == cpu, "an interrupt of CPU %u, and back to it",
        cpu);
}

int main(int argc, char **argv)
{
    struct guest_files files;
    struct guest guest;
    guest_read_files(&files, argv[1], NULL);
    files.cpus = CPUS;
    guest_open(&guest, &files, TLB_FULL, NULL, NULL);
    guest_begin_time(&guest, TIMELINE_MEMORY_DEFAULT);
    struct symbols *symbols = symbols_create();
    symbols_add(symbols, argv[1], 0, true);
    struct target_config config = {.timeline = guest.time, .symbols = symbols};
    struct target *target = target_create(&config);
    target_continue(target, TARGET_FORWARD); // to its end: all of it is history then
    walk(target, &files);
    breakpoints(target, symbols);
    conditions(target, symbols);
    long_instructions(target, symbols);
    other_moves(target);
    target_destroy(target);
    symbols_destroy(symbols);
    guest_close(&guest);
    guest_free_files(&files);
    printf("1..%u\n", count);
    return bad != 0;
}
