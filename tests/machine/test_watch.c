// SPDX-License-Identifier: MIT
// test_watch KERNEL DISK [SEEDS]: who watches never changes what happens, and misses nothing.
// Random watches over a boot:
// - the list of hits is the same with every TLB and however the run is cut, and the run ends in the
//   same state as one without watches;
// - the physical writes told, applied to a copy, give the memory as it is;
// - each stop lies at the place of its hit, in the state a run without watches has there.
#include "boot_guest.h"

#include "base/bits.h"
#include "machine/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXECUTES 40
#define LINEARS 10
#define PHYSICALS 10
#define RANGES (EXECUTES + LINEARS + PHYSICALS)
#define RANGE_BYTES_MAX 64
#define STOPS_PER_KIND 40

static struct boot_files files;
static int failed;

struct random {
    u64 state;
};

static u64 random_next(struct random *r)
{
    u64 x = r->state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

static u64 random_below(struct random *r, u64 limit)
{
    return random_next(r) % limit;
}

static void check(bool good, const char *what, u64 step)
{
    if (!good) {
        printf("# %s, step %llu\n", what, (unsigned long long)step);
        failed = 1;
    }
}

// What watches are placed on, and what the run without them gave.
struct reference {
    u64 steps, hash;
    struct watch_range ranges[RANGES];
};

struct watcher {
    struct guest *g;
    const struct reference *ref;
    u64 hits[WATCH_PHYSICAL + 1], by_walk, by_device, list_hash;
    u8 shadow[PHYSICALS][RANGE_BYTES_MAX];
    bool unknown[PHYSICALS][RANGE_BYTES_MAX]; // written by a transfer longer than a hit tells
    struct random stops;                      // state 0: never
    u64 expected[WATCH_PHYSICAL + 1];         // hits, so that each kind has its stops
    struct watch_hit last;
};

static u64 mix(u64 hash, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ ((const u8 *)bytes)[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

static void apply_to_shadow(struct watcher *w, const struct watch_hit *hit)
{
    for (unsigned i = 0; i < PHYSICALS; i++) {
        const struct watch_range *r = &w->ref->ranges[EXECUTES + LINEARS + i];
        for (u64 n = 0; n < hit->size; n++) {
            u64 at = hit->address + n - r->first;
            if (at < r->size) {
                w->unknown[i][at] = n >= sizeof(hit->bytes);
                w->shadow[i][at] = w->unknown[i][at] ? 0 : hit->bytes[n];
            }
        }
    }
}

static bool on_hit(void *ctx, const struct watch_hit *hit)
{
    struct watcher *w = ctx;
    u64 numbers[] = {hit->kind, hit->source, hit->step, hit->rip, hit->address, hit->size};
    w->hits[hit->kind]++;
    w->by_walk += hit->source == WATCH_BY_WALK;
    w->by_device += hit->source == WATCH_BY_DEVICE;
    w->list_hash = mix(w->list_hash, numbers, sizeof(numbers));
    w->list_hash = mix(w->list_hash, hit->bytes,
                       hit->size < sizeof(hit->bytes) ? hit->size : sizeof(hit->bytes));
    if (hit->kind == WATCH_EXECUTE) {
        struct cpu_regs regs;
        cpu_get_regs(machine_cpu(w->g->m, 0), &regs);
        check(regs.rip == hit->rip && hit->rip == hit->address, "wrong RIP", hit->step);
    } else if (hit->kind == WATCH_PHYSICAL) {
        apply_to_shadow(w, hit);
    }
    check(hit->step == machine_clock(w->g->m)->step, "wrong step", hit->step);
    w->last = *hit;
    return w->stops.state &&
           random_below(&w->stops, 1 + w->expected[hit->kind] / STOPS_PER_KIND) == 0;
}

// Where linear lies, and where the last entry of its walk does. False: not mapped by 4 KiB pages.
static bool walk(const struct guest *g, u64 cr3, u64 linear, u64 *gpa, u64 *entry_at)
{
    u64 entry = cr3;
    for (int shift = 39; shift >= 12; shift -= 9) {
        *entry_at = (entry & UINT64_C(0xFFFFFFF000)) + (linear >> shift & 511) * 8;
        if (!physmem_read(machine_memory(g->m), *entry_at, &entry, 8) || !(entry & 1) ||
            (entry & 0x80 && shift > 12)) {
            return false;
        }
    }
    *gpa = (entry & UINT64_C(0xFFFFFFF000)) | (linear & PAGE_MASK);
    return true;
}

// Near what the guest uses at random moments: code, stack, its frame, its page tables.
static void choose_range(struct watch_range *range, unsigned i, const struct guest *g,
                         struct random *r)
{
    struct cpu_regs regs;
    cpu_get_regs(machine_cpu(g->m, 0), &regs);
    for (unsigned tries = 0; i % 4 == 1 && regs.cpl == 0 && tries < 1000; tries++) {
        machine_run(g->m, machine_clock(g->m)->step + 500); // to user code
        cpu_get_regs(machine_cpu(g->m, 0), &regs);
    }
    u64 near = regs.gpr[CPU_RSP] - 64 + random_below(r, 256), gpa, entry_at;
    u64 size = 1 + random_below(r, RANGE_BYTES_MAX);
    if (i < EXECUTES) {
        *range = (struct watch_range){regs.rip, 1, WATCH_EXECUTE};
    } else if (i < EXECUTES + LINEARS) {
        u8 kinds = (u8)(WATCH_READ * (1 + random_below(r, 3)));
        *range = (struct watch_range){near, size, kinds};
    } else {
        if (i % 4 == 0 || !walk(g, regs.cr3, near, &gpa, &entry_at)) {
            gpa = random_below(r, 8 << 20); // buffers of the disk are somewhere here
        } else if (i % 4 == 1) {
            gpa = align_down(entry_at, 64);
            size = 64;
        }
        *range = (struct watch_range){gpa, size, WATCH_PHYSICAL};
    }
}

static void make_reference(struct reference *ref, u64 seed)
{
    struct random r = {seed};
    struct guest g;
    open_guest(&g, &files, TLB_FULL);
    machine_run(g.m, UINT64_MAX);
    ref->steps = machine_clock(g.m)->step;
    ref->hash = machine_hash(g.m);
    close_guest(&g);
    open_guest(&g, &files, TLB_FULL);
    for (unsigned n = 0; n < RANGES; n++) {
        unsigned i = n * 37 % RANGES; // kinds in turns
        machine_run(g.m, ref->steps * n / RANGES + random_below(&r, ref->steps / RANGES));
        choose_range(&ref->ranges[i], i, &g, &r);
    }
    close_guest(&g);
}

static void check_shadow(const struct watcher *w)
{
    u8 now[RANGE_BYTES_MAX];
    for (unsigned i = 0; i < PHYSICALS; i++) {
        const struct watch_range *range = &w->ref->ranges[EXECUTES + LINEARS + i];
        physmem_read(machine_memory(w->g->m), range->first, now, range->size);
        for (u64 at = 0; at < range->size; at++) {
            check(w->unknown[i][at] || w->shadow[i][at] == now[at], "a physical write was missed",
                  machine_clock(w->g->m)->step);
        }
    }
}

static void begin(struct watcher *w, struct guest *g, const struct reference *ref)
{
    *w = (struct watcher){.g = g, .ref = ref, .list_hash = 1};
    for (unsigned i = 0; i < PHYSICALS; i++) {
        const struct watch_range *range = &ref->ranges[EXECUTES + LINEARS + i];
        physmem_read(machine_memory(g->m), range->first, w->shadow[i], range->size);
    }
    machine_set_watch(g->m, ref->ranges, RANGES, on_hit, w);
}

// The list of hits of a whole run, cut at random places if cuts. What is watched is set anew at
// some of them, as a debugger does.
static void list_hits(struct watcher *w, const struct reference *ref, enum tlb_geometry tlb,
                      bool cuts, u64 seed)
{
    struct random r = {seed};
    struct guest g;
    open_guest(&g, &files, tlb);
    machine_run(g.m, ref->steps / 3); // translations and code are cached by then
    begin(w, &g, ref);
    struct machine_result result = {.exit = MACHINE_EXIT_UNTIL};
    while (result.exit == MACHINE_EXIT_UNTIL) {
        u64 step = machine_clock(g.m)->step;
        machine_watch_first(g.m);
        result = machine_run(g.m, cuts ? step + 1 + random_below(&r, 2000) : UINT64_MAX);
        if (cuts && random_below(&r, 50) == 0) {
            machine_set_watch(g.m, NULL, 0, NULL, NULL);
            machine_set_watch(g.m, ref->ranges, RANGES, on_hit, w);
        }
    }
    check_shadow(w);
    check(machine_clock(g.m)->step == ref->steps, "a watched run ends elsewhere", ref->steps);
    check(machine_hash(g.m) == ref->hash, "a watched run ends in another state", ref->steps);
    close_guest(&g);
    w->g = NULL;
}

static void check_stop(struct guest *watched, struct guest *plain, const struct watch_hit *hit)
{
    u64 step = machine_clock(watched->m)->step;
    if (hit->kind == WATCH_EXECUTE) {
        struct cpu_regs a, b;
        machine_run(plain->m, step);
        cpu_get_regs(machine_cpu(watched->m, 0), &a);
        cpu_get_regs(machine_cpu(plain->m, 0), &b);
        check(step == hit->step && memcmp(&a, &b, sizeof(a)) == 0, "stop before an instruction",
              step);
        machine_run(watched->m, ++step); // events due in that state have happened there
    } else if (hit->source != WATCH_BY_DEVICE) {
        check(step == hit->step + 1, "a stop is late", step);
    } else {
        machine_run(watched->m, ++step);
    }
    machine_run(plain->m, step);
    check(machine_hash(watched->m) == machine_hash(plain->m), "states differ after a stop", step);
}

static unsigned stop_at_hits(const struct reference *ref, u64 seed, const u64 expected[],
                             unsigned per_kind[])
{
    struct guest watched, plain;
    struct watcher w;
    unsigned stops = 0;
    open_guest(&watched, &files, TLB_FULL);
    open_guest(&plain, &files, TLB_FULL);
    begin(&w, &watched, ref);
    memcpy(w.expected, expected, sizeof(w.expected));
    while (!failed) {
        w.stops.state = seed + stops;
        struct machine_result result = machine_run(watched.m, UINT64_MAX);
        if (result.exit != MACHINE_EXIT_STOPPED) {
            break;
        }
        stops++;
        per_kind[w.last.kind]++;
        w.stops.state = 0; // the step to compare at must not stop
        check_stop(&watched, &plain, &w.last);
    }
    check(failed || machine_hash(watched.m) == ref->hash, "a run with stops ends in another state",
          0);
    close_guest(&watched);
    close_guest(&plain);
    return stops;
}

// Watches that begin on what is in use at that moment: translations to it are cached already.
static void watch_late(const struct reference *ref, u64 seed)
{
    struct random r = {seed};
    struct guest g;
    struct watcher w;
    unsigned useful = 0;
    open_guest(&g, &files, TLB_FULL);
    for (unsigned n = 1; n < 40; n++) { // not to its end
        struct reference now = *ref;
        machine_run(g.m, ref->steps * n / 60);
        for (unsigned i = EXECUTES; i < RANGES; i++) {
            choose_range(&now.ranges[i], i, &g, &r);
        }
        begin(&w, &g, &now);
        machine_run(g.m, machine_clock(g.m)->step + 3000);
        check_shadow(&w);
        useful += w.hits[WATCH_PHYSICAL] != 0;
        machine_set_watch(g.m, NULL, 0, NULL, NULL);
    }
    check(useful > 10, "nothing was written where late watches were", 0);
    machine_run(g.m, UINT64_MAX);
    check(machine_hash(g.m) == ref->hash, "late watches changed something", 0);
    close_guest(&g);
}

// One of two that watch different things: how much each hears, and nothing of the other's.
struct half {
    struct watch_range ranges[RANGES];
    unsigned count;
    u64 hits;
};

static bool on_half(void *ctx, const struct watch_hit *hit)
{
    struct half *h = ctx;
    bool own = false;
    for (unsigned i = 0; i < h->count; i++) {
        const struct watch_range *r = &h->ranges[i];
        own |= (r->kinds & hit->kind) && r->first < hit->address + hit->size &&
               hit->address < r->first + r->size;
    }
    check(own, "a watcher hears of what another one watches", hit->step);
    h->hits++;
    return false;
}

// Bit i of who: that half watches.
static void run_halves(const struct reference *ref, struct half halves[2], unsigned who)
{
    struct guest g;
    open_guest(&g, &files, TLB_FULL);
    for (unsigned part = 0; part < 4; part++) {
        for (unsigned i = 0; i < 2; i++) {
            if (who & BIT(i)) { // set anew, and given up for a while, beside the other
                bool off = part == 2 && i == 0;
                machine_set_watch(g.m, halves[i].ranges, off ? 0 : halves[i].count, on_half,
                                  &halves[i]);
            }
        }
        machine_watch_first(g.m);
        machine_run(g.m, part == 3 ? UINT64_MAX : ref->steps / 4 * (part + 1));
    }
    check(machine_hash(g.m) == ref->hash, "two watchers changed something", 0);
    close_guest(&g);
}

static void two_watchers(const struct reference *ref)
{
    struct half halves[2] = {0};
    u64 alone[2];
    for (unsigned i = 0; i < RANGES; i++) {
        struct half *h = &halves[i % 2];
        h->ranges[h->count++] = ref->ranges[i];
    }
    for (unsigned i = 0; i < 2; i++) {
        run_halves(ref, halves, 1u << i);
        alone[i] = halves[i].hits;
        halves[i].hits = 0;
    }
    run_halves(ref, halves, 3);
    for (unsigned i = 0; i < 2; i++) {
        check(halves[i].hits == alone[i] && alone[i], "a second watcher changes what is heard", i);
    }
}

static void try_seed(u64 seed)
{
    static const struct {
        const char *name;
        enum tlb_geometry tlb;
        bool cuts;
    } variants[] = {{"tiny TLB", TLB_TINY, false},
                    {"full TLB, cut", TLB_FULL, true},
                    {"no TLB", TLB_OFF, false}};
    struct reference ref;
    struct watcher first, w;
    make_reference(&ref, seed);
    list_hits(&first, &ref, TLB_FULL, false, seed);
    printf("# seed %llu: %llu steps; hits: %llu executions, %llu reads, %llu writes, %llu physical "
           "(%llu by walks, %llu by devices)\n",
           (unsigned long long)seed, (unsigned long long)ref.steps,
           (unsigned long long)first.hits[WATCH_EXECUTE],
           (unsigned long long)first.hits[WATCH_READ], (unsigned long long)first.hits[WATCH_WRITE],
           (unsigned long long)first.hits[WATCH_PHYSICAL], (unsigned long long)first.by_walk,
           (unsigned long long)first.by_device);
    for (unsigned i = 0; i < ARRAY_LEN(variants); i++) {
        list_hits(&w, &ref, variants[i].tlb, variants[i].cuts, seed);
        if (w.list_hash != first.list_hash) {
            printf("# seed %llu, %s: another list of hits\n", (unsigned long long)seed,
                   variants[i].name);
            failed = 1;
        }
    }
    watch_late(&ref, seed);
    two_watchers(&ref);
    unsigned kinds[WATCH_PHYSICAL + 1] = {0}, stops = stop_at_hits(&ref, seed, first.hits, kinds);
    printf("# %u stops: %u executions, %u reads, %u writes, %u physical\n", stops,
           kinds[WATCH_EXECUTE], kinds[WATCH_READ], kinds[WATCH_WRITE], kinds[WATCH_PHYSICAL]);
    check(first.hits[WATCH_EXECUTE] && first.hits[WATCH_READ] && first.hits[WATCH_WRITE] &&
              first.hits[WATCH_PHYSICAL] && stops,
          "nothing was watched", 0);
}

int main(int argc, char **argv)
{
    u64 seeds = argc > 3 ? strtoull(argv[3], NULL, 0) : 2;
    boot_files_read(&files, argv[1], argv[2], NULL);
    files.exec = "ls -l /bin | wc -l";
    for (u64 seed = 1; seed <= seeds; seed++) {
        try_seed(seed);
    }
    boot_files_free(&files);
    printf("%s - watches\n", failed ? "not ok" : "ok");
    return failed;
}
