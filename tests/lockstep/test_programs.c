// SPDX-License-Identifier: MIT
// Random programs on two engines, or on one with other caches: the same state after random numbers
// of steps. A difference is brought down to its first step, and printed with the code around it.
// Usage: test_programs [--seed N] [--count N] [--jobs N] [--engines A,B] [--steps N] [--inject]
// [--verbose] [--at STEP]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "debugger/disas.h"
#include "tests/isa/generate.h"
#include "tests/lockstep/generator.h"

#define BATCH 64 // programs that share their worlds, so that what is cached of one meets the next

struct options {
    u64 seed, count, steps, at;
    unsigned jobs;
    enum cpu_engine a, b;
    bool inject, verbose;
};

struct pair {
    struct world *a, *b;
};

// What a program's seed decides besides the program.
struct plan {
    struct random r;
    u64 steps;
    unsigned cut; // comparisons are up to so many steps apart
};

static enum tlb_geometry any_geometry(struct random *r)
{
    unsigned n = random_below(r, 64);
    return n == 0 ? TLB_OFF : n < 16 ? TLB_TINY : TLB_FULL;
}

static struct pair create(const struct options *o, u64 batch)
{
    struct random r = {batch * UINT64_C(0xD1342543DE82EF95) | 1};
    random_u64(&r);
    struct pair p = {.a = world_create(o->a, any_geometry(&r))};
    p.b = world_create(o->b, any_geometry(&r));
    return p;
}

static void destroy(struct pair *p)
{
    world_destroy(p->a);
    world_destroy(p->b);
}

static struct plan plan_of(const struct options *o, u64 seed)
{
    static const unsigned cuts[] = {3, 60, 300, 800, 2000, 2000, 8000, 8000};
    struct plan plan = {.r = {seed * UINT64_C(0xA24BAED4963EE407) | 1}};
    random_u64(&plan.r);
    plan.cut = cuts[random_below(&plan.r, ARRAY_LEN(cuts))];
    plan.steps = plan.cut < 10 ? o->steps / 8 : plan.cut < 100 ? o->steps / 2 : o->steps;
    return plan;
}

// The next step at which both are compared; the second may stop before.
static u64 next_goal(struct plan *plan, u64 here, u64 *between)
{
    u64 goal = here + 1 + random_below(&plan->r, plan->cut);
    *between = random_below(&plan->r, 8) ? 0 : here + 1 + random_below(&plan->r, plan->cut);
    return goal;
}

// A bit of the second world's state goes wrong at a step that depends on the seed.
static u64 injected_step(const struct options *o, u64 seed)
{
    return o->inject ? 100 + seed % 1000 : UINT64_MAX;
}

static void run_second(const struct options *o, struct pair *p, u64 goal)
{
    u64 wrong = injected_step(o, p->b->program->seed);
    if (p->b->clock.step < wrong && wrong <= goal) {
        struct cpu_regs r;
        world_run(p->b, wrong);
        cpu_get_regs(p->b->cpu, &r);
        r.kernel_gs_base ^= 0x10000; // does not heal
        cpu_set_regs(p->b->cpu, &r);
    }
    world_run(p->b, goal);
}

// Runs both from step 0 to limit. True: they agree as far as they were run; else *equal and
// *differs are steps.
static bool run(const struct options *o, struct pair *p, const struct program *program, u64 limit,
                u64 *equal, u64 *differs)
{
    struct plan plan = plan_of(o, program->seed);
    world_start(p->a, program);
    world_start(p->b, program);
    *equal = 0;
    u64 end = limit < plan.steps ? limit : plan.steps;
    while (p->a->clock.step < end && !p->a->ended) {
        u64 between, goal = next_goal(&plan, p->a->clock.step, &between);
        goal = goal < end ? goal : end;
        world_run(p->a, goal);
        if (between && between < goal) {
            run_second(o, p, between);
        }
        run_second(o, p, goal);
        if (!worlds_equal(p->a, p->b)) {
            *differs = p->a->clock.step > p->b->clock.step ? p->a->clock.step : p->b->clock.step;
            *differs = *differs > goal ? *differs : goal;
            return false;
        }
        *equal = p->a->clock.step;
    }
    return true;
}

static struct program *programs(u64 first, u64 count)
{
    struct program *list = xcalloc(count, sizeof(*list));
    for (u64 i = 0; i < count; i++) {
        program_generate(&list[i], first + i);
    }
    return list;
}

// The last of the programs again in new worlds, after those before it, up to limit.
static bool run_again(const struct options *o, struct pair *p, const struct program *list,
                      u64 count, u64 batch, u64 limit, u64 *equal, u64 *differs)
{
    *p = create(o, batch);
    for (u64 i = 0; i + 1 < count; i++) {
        run(o, p, &list[i], UINT64_MAX, equal, differs);
    }
    return run(o, p, &list[count - 1], limit, equal, differs);
}

static bool read_guest(void *cpu, u64 linear, void *out, u64 size)
{
    return cpu_debug_read(cpu, linear, out, size);
}

static bool read_host(void *translation, u64 address, void *out, u64 size)
{
    const struct cpu_translation *t = translation;
    u64 at = address - (u64)t->host;
    if (at > t->host_bytes || size > t->host_bytes - at) {
        return false;
    }
    memcpy(out, t->host + at, size);
    return true;
}

// If steps were counted wrongly, the second one's registers are those that the first one has
// elsewhere.
static void print_shift(const struct pair *now, const struct pair *before, u64 end)
{
    struct cpu_regs there, here;
    cpu_get_regs(now->b->cpu, &there);
    while (before->a->clock.step < end + 300 && !before->a->ended) {
        cpu_get_regs(before->a->cpu, &here);
        if (here.rip == there.rip && memcmp(here.gpr, there.gpr, sizeof(here.gpr)) == 0) {
            printf("#   the second's registers at step %llu are the first's at step %llu\n",
                   (unsigned long long)now->b->clock.step,
                   (unsigned long long)before->a->clock.step);
        }
        world_run(before->a, before->a->clock.step + 1);
    }
}

// What the first one executes from here to step end.
static void print_way(const struct pair *p, u64 end)
{
    struct disas *d = disas_create(NULL);
    struct cpu_regs before, after;
    printf("#   the way there:\n");
    cpu_get_regs(p->a->cpu, &before);
    while (p->a->clock.step < end && !p->a->ended) {
        printf("%llu", (unsigned long long)p->a->clock.step);
        disas_print(stdout, d, 64, read_guest, p->a->cpu, before.rip, 1, 0, DISAS_BYTES);
        world_run(p->a, p->a->clock.step + 1);
        cpu_get_regs(p->a->cpu, &after);
        for (unsigned i = 0; i < 16; i++) {
            if (before.gpr[i] != after.gpr[i]) {
                printf("        r%u=%llx\n", i, (unsigned long long)after.gpr[i]);
            }
        }
        if (before.rflags != after.rflags) {
            printf("        rflags=%llx\n", (unsigned long long)after.rflags);
        }
        before = after;
    }
    disas_destroy(d);
}

static void print_code(const struct pair *p)
{
    struct disas *d = disas_create(NULL);
    struct cpu_regs r;
    cpu_get_regs(p->a->cpu, &r);
    printf("#   rip %llx ring %u rflags %llx rsp %llx\n", (unsigned long long)r.rip, r.cpl,
           (unsigned long long)r.rflags, (unsigned long long)r.gpr[CPU_RSP]);
    for (unsigned i = 0; i < 16; i++) {
        printf("%s r%u=%llx%s", i % 4 ? "" : "#  ", i, (unsigned long long)r.gpr[i],
               i % 4 == 3 ? "\n" : "");
    }
    const struct program *program = p->a->program;
    u64 offset = r.rip - CODE, first = r.rip;
    for (unsigned back = 0; offset < CODE_BYTES && back < 40 && back < offset; back++) {
        if (program->next[offset - back] == offset) {
            first = CODE + offset - back; // begins in the instruction before
        }
    }
    disas_print(stdout, d, 64, read_guest, p->a->cpu, first, 8, r.rip, DISAS_BYTES);
    struct cpu_translation t;
    if (cpu_translation_at(p->b->cpu, r.rip, &t)) {
        printf("#   translated, %u bytes at %llx:\n", t.guest_bytes,
               (unsigned long long)t.guest_first);
        disas_print(stdout, d, 64, read_guest, p->a->cpu, t.guest_first, 48, r.rip, DISAS_BYTES);
        u64 address = (u64)t.host;
        for (unsigned i = 0; i < 400 && address < (u64)t.host + t.host_bytes; i++) {
            address = disas_print(stdout, d, 64, read_host, &t, address, 1, 0, 0);
        }
    }
    disas_destroy(d);
}

// A difference was seen: the fewest programs that show it, then the first step that does.
static void report(const struct options *o, u64 batch, u64 seed, u64 seen)
{
    u64 equal, differs, count = seed - batch + 1;
    struct pair p;
    struct program *list = programs(batch, count);
    u64 needed = 1;
    while (needed <= count) { // the last ones suffice?
        if (!run_again(o, &p, list + (count - needed), needed, batch, UINT64_MAX, &equal,
                       &differs)) {
            break;
        }
        destroy(&p);
        needed = needed < count && needed * 2 > count ? count : needed * 2;
    }
    if (needed > count) {
        printf("not ok - seed %llu differed at step %llu, but not when run again\n",
               (unsigned long long)seed, (unsigned long long)seen);
        free(list);
        return;
    }
    destroy(&p);
    const struct program *from = list + (count - needed);
    u64 low = equal, high = differs;
    while (high - low > 1) {
        u64 middle = low + (high - low) / 2, unused;
        bool same = run_again(o, &p, from, needed, batch, middle, &unused, &unused);
        destroy(&p);
        *(same ? &low : &high) = middle;
    }
    const struct program *program = &list[count - 1];
    printf("not ok - seed %llu differs first at step %llu (ring %u, with the %llu programs before "
           "it; equal at %llu)\n",
           (unsigned long long)seed, (unsigned long long)high, program->ring0 ? 0 : 3,
           (unsigned long long)(needed - 1), (unsigned long long)low);
    run_again(o, &p, from, needed, batch, high, &equal, &differs);
    worlds_print_difference(p.a, p.b);
    destroy(&p);
    run_again(o, &p, from, needed, batch, low, &equal, &differs);
    print_code(&p);
    destroy(&p);
    // Where the translator may have left its way is not known better than since the comparison
    // before.
    struct pair before;
    run_again(o, &p, from, needed, batch, high, &equal, &differs);
    low = equal;
    run_again(o, &before, from, needed, batch, low, &equal, &differs);
    print_shift(&p, &before, high);
    destroy(&before);
    destroy(&p);
    if (high - low > 200) {
        low = high - 200;
    }
    run_again(o, &p, from, needed, batch, low, &equal, &differs);
    print_way(&p, high);
    destroy(&p);
    free(list);
}

// The code at a step of one program, as both have it.
static void show(const struct options *o)
{
    u64 equal, differs;
    struct program *program = programs(o->seed, 1);
    struct pair p;
    run_again(o, &p, program, 1, o->seed, o->at, &equal, &differs);
    print_code(&p);
    destroy(&p);
    free(program);
}

static unsigned job(const struct options *o, u64 first, u64 end)
{
    u64 equal, differs, steps = 0, insns = 0, ended = 0;
    struct program *program = xcalloc(1, sizeof(*program));
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    unsigned failed = 0;
    for (u64 batch = first; batch < end && failed < 3; batch += BATCH) {
        struct pair p = create(o, batch);
        for (u64 seed = batch; seed < end && seed < batch + BATCH; seed++) {
            program_generate(program, seed);
            if (!run(o, &p, program, UINT64_MAX, &equal, &differs)) {
                report(o, batch, seed, differs);
                fflush(stdout);
                failed++;
                break;
            }
            steps += p.a->clock.step;
            ended += p.a->ended;
            insns += program->insn_count;
            if (o->verbose) {
                struct cpu_regs r;
                u64 counts[32];
                cpu_get_regs(p.a->cpu, &r);
                memcpy(counts, p.a->mem->ram + P_VARS, sizeof(counts));
                printf("# seed %llu ring %u: %u instructions, step %llu%s rip %llx;",
                       (unsigned long long)seed, program->ring0 ? 0 : 3, program->insn_count,
                       (unsigned long long)p.a->clock.step, p.a->ended ? " ended" : "",
                       (unsigned long long)r.rip);
                for (unsigned i = 0; i < 32; i++) {
                    if (counts[i]) {
                        printf(" #%u: %llu", i, (unsigned long long)counts[i]);
                    }
                }
                printf("\n");
            }
        }
        destroy(&p);
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    double seconds =
        (double)(now.tv_sec - begin.tv_sec) + (double)(now.tv_nsec - begin.tv_nsec) / 1e9;
    printf("# seeds %llu to %llu: %llu steps, %llu instructions, %llu ended; %.0f programs/s\n",
           (unsigned long long)first, (unsigned long long)end - 1, (unsigned long long)steps,
           (unsigned long long)insns, (unsigned long long)ended, (double)(end - first) / seconds);
    free(program);
    return failed;
}

static enum cpu_engine engine_of(const char *name)
{
    return strncmp(name, "jit", 3) == 0 ? CPU_ENGINE_JIT : CPU_ENGINE_INTERP;
}

static bool parse(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--inject") == 0) {
            o->inject = true;
            continue;
        }
        if (strcmp(argv[i], "--verbose") == 0) {
            o->verbose = true;
            continue;
        }
        u64 number = strtoull(value, NULL, 0);
        if (strcmp(argv[i], "--seed") == 0) {
            o->seed = number;
        } else if (strcmp(argv[i], "--count") == 0) {
            o->count = number;
        } else if (strcmp(argv[i], "--steps") == 0) {
            o->steps = number;
        } else if (strcmp(argv[i], "--at") == 0) {
            o->at = number;
        } else if (strcmp(argv[i], "--jobs") == 0) {
            o->jobs = (unsigned)number;
        } else if (strcmp(argv[i], "--engines") == 0 && strchr(value, ',')) {
            o->a = engine_of(value);
            o->b = engine_of(strchr(value, ',') + 1);
        } else {
            fprintf(stderr, "test_programs: what is %s?\n", argv[i]);
            return false;
        }
        i++;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct options o = {
        .seed = 1, .count = 1000, .steps = 12000, .jobs = 1, .a = CPU_ENGINE_INTERP};
    o.b = cpu_has_jit() ? CPU_ENGINE_JIT : CPU_ENGINE_INTERP;
    if (!parse(&o, argc, argv) || !o.jobs) {
        return 64;
    }
    if ((o.a == CPU_ENGINE_JIT || o.b == CPU_ENGINE_JIT) && !cpu_has_jit()) {
        printf("ok # SKIP this host has no translator\n");
        return 0;
    }
    if (o.at) {
        show(&o);
        return 0;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    u64 share = (o.count + o.jobs - 1) / o.jobs;
    for (unsigned i = 0; i < o.jobs; i++) {
        u64 first = o.seed + i * share,
            end = first + share < o.seed + o.count ? first + share : o.seed + o.count;
        if (o.jobs == 1 || fork() == 0) {
            bool failed = job(&o, first, end);
            if (o.jobs > 1) {
                exit(failed);
            }
            if (!failed) {
                printf("ok - %llu programs\n", (unsigned long long)o.count);
            }
            return failed;
        }
    }
    int status, failed = 0;
    while (wait(&status) > 0) {
        failed |= status != 0;
    }
    printf("%sok - %llu programs\n", failed ? "not " : "", (unsigned long long)o.count);
    return failed;
}
