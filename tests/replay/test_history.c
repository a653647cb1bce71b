// SPDX-License-Identifier: MIT
// test_history KERNEL DISK [SEED]: what else history must keep: guest resets, a debugger's writes
// and the branches they make, watches over searches in intervals, pages that are told clean,
// checkpoints as bytes.
#include "guest.h"

#include "base/memory.h"
#include "machine/watch.h"
#include "replay/saved_checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static u64 random_state;
static int failures;

// SplitMix64
static u64 random_below(u64 count)
{
    u64 x = random_state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return (x ^ x >> 31) % count;
}

static void expect(bool good, const char *what, u64 step)
{
    if (!good) {
        fprintf(stderr, "test_history: %s (step %llu)\n", what, (unsigned long long)step);
        failures++;
    }
}

static u64 hash_at(struct guest *g, u64 step)
{
    expect(timeline_seek(g->time, step, NULL, NULL), "a seek failed", step);
    return machine_hash(g->m);
}

// Over resets, forwards and back.
static void test_resets(const struct guest_files *files)
{
    enum { PLACES = 16 };
    struct guest g;
    guest_open(&g, files, TLB_FULL, NULL, "ls /\nreboot -f\nls -l /bin\nreboot -f\nps\npoweroff\n");
    g.patient = true;
    guest_begin_time(&g, 32 << 20);
    struct machine_result r = timeline_run(g.time, UINT64_MAX);
    u64 end = timeline_end(g.time), steps[PLACES], hashes[PLACES];
    printf("# resets: exit %d, %u boots, %llu steps, typed %zu\n", (int)r.exit, g.boots,
           (unsigned long long)end, g.typed);
    enum machine_exit exit = r.exit;
    expect(exit == MACHINE_EXIT_DEBUG_EXIT && g.boots == 3, "not three boots and an end", end);
    expect(timeline_run(g.time, UINT64_MAX).exit == exit && timeline_step(g.time) == end,
           "ran on after its end", end);
    for (int i = 0; i < PLACES; i++) {
        steps[i] = random_below(end);
        hashes[i] = hash_at(&g, steps[i]);
    }
    for (int n = 0; n < 30; n++) {
        u64 i = random_below(PLACES);
        expect(hash_at(&g, steps[i]) == hashes[i], "another state, over resets", steps[i]);
    }
    hash_at(&g, 0);
    u64 shown = g.shown_bytes;
    r = timeline_run(g.time, UINT64_MAX);
    expect(r.exit == exit && timeline_step(g.time) == end, "another end", end);
    expect(g.shown_bytes == shown, "output shown again", end);
    guest_close(&g);
}

// A register changed in the past: the past stays, the future is another one and stays too.
static void test_branches(const struct guest_files *files)
{
    struct guest g;
    guest_open(&g, files, TLB_FULL, "ls -lR / | sort | md5sum", NULL);
    guest_begin_time(&g, 64 << 20);
    timeline_run(g.time, UINT64_MAX);
    u64 end = timeline_end(g.time), old_end = hash_at(&g, end);
    for (int n = 0; n < 8; n++) {
        u64 last = timeline_end(g.time); // a branch may have ended the guest early
        u64 at = last / 4 + random_below(last / 2);
        u64 before_step = at - 1 - random_below(at / 8);
        u64 before = hash_at(&g, before_step), there = hash_at(&g, at);
        struct cpu_regs regs;
        cpu_get_regs(machine_cpu(g.m, 0), &regs);
        regs.gpr[CPU_RAX] ^= UINT64_C(1) << 20;
        u8 bytes[4] = {(u8)n, 1, 2, 3};
        u64 gpa = UINT64_C(0x7000000) + 0x1000 * (u64)n + 4094; // two pages
        timeline_branch(g.time);
        input_log_write_regs(g.log, g.m, 0, &regs);
        expect(input_log_write_memory(g.log, g.m, gpa, bytes, sizeof(bytes)), "no write", at);
        u64 changed = machine_hash(g.m);
        expect(changed != there, "a write changed nothing", at);
        timeline_run(g.time, at + 300000);
        u64 after_step = timeline_step(g.time), after = machine_hash(g.m);
        expect(timeline_end(g.time) == after_step, "the end is not the branch's", after_step);
        expect(hash_at(&g, before_step) == before, "the past before a branch changed", before_step);
        expect(hash_at(&g, at) == changed, "the place of the branch changed", at);
        expect(hash_at(&g, after_step) == after, "the branch's future changed", after_step);
        timeline_seek(g.time, at - 1, NULL, NULL);
        timeline_run(g.time, after_step);
        expect(machine_hash(g.m) == after, "the branch's future changed when run", after_step);
        timeline_run(g.time, end); // it goes on live
    }
    expect(machine_hash(g.m) != old_end, "branches changed nothing", end);
    guest_close(&g);
}

#define HITS_MAX 4000000 // of the hottest page that may be chosen

struct hits {
    u64 *steps;
    unsigned count;
};

static bool note_hit(void *ctx, const struct watch_hit *hit)
{
    struct hits *hits = ctx;
    if (hits->count < HITS_MAX) {
        hits->steps[hits->count++] = hit->step;
    }
    return false;
}

// The hits of one run in one piece are those of searches interval by interval, last one first.
static void check_intervals(struct guest *g, const struct watch_range *range,
                            const struct hits *all)
{
    struct hits part = {.steps = xcalloc(HITS_MAX, sizeof(u64))};
    u64 end = timeline_end(g->time);
    unsigned left = all->count;
    while (end) {
        u64 begin = timeline_checkpoint_before(g->time, end - 1);
        timeline_seek(g->time, begin, NULL, NULL);
        machine_set_watch(g->m, range, 1, note_hit, &part);
        part.count = 0;
        timeline_scan(g->time, end);
        machine_set_watch(g->m, NULL, 0, NULL, NULL);
        expect(part.count <= left && memcmp(part.steps, all->steps + (left - part.count),
                                            part.count * sizeof(u64)) == 0,
               "an interval has other hits than the whole", begin);
        left -= part.count <= left ? part.count : left;
        end = begin;
    }
    expect(left == 0, "hits are missing", left);
    free(part.steps);
}

static void check_clean(struct guest *g, u32 rpn, const struct hits *hits, unsigned *clean)
{
    u64 end = timeline_end(g->time);
    for (int n = 0; n < 60; n++) {
        u64 from = random_below(end), to = from + random_below(end / 20);
        bool dirty = timeline_page_dirty(g->time, rpn, from, to);
        *clean += !dirty;
        for (unsigned i = 0; i < hits->count && !dirty; i++) {
            expect(hits->steps[i] < from || hits->steps[i] >= to, "a page told clean was written",
                   hits->steps[i]);
        }
    }
}

static bool has_step(const struct hits *hits, u64 step)
{
    for (unsigned i = 0; i < hits->count; i++) {
        if (hits->steps[i] == step) {
            return true;
        }
    }
    return false;
}

// Of those that were ever written by the guest.
static u32 some_written_page(const struct guest *g)
{
    const struct physmem *mem = machine_memory(g->m);
    u64 count = mem->ram_bytes >> PAGE_SHIFT;
    u32 rpn = (u32)random_below(count);
    while (mem->page_epoch[rpn] < 2) {
        rpn = (u32)((rpn + 1) % count);
    }
    return rpn;
}

static void test_watches(const struct guest_files *files)
{
    struct guest g;
    guest_open(&g, files, TLB_FULL, "ls -lR / | sort | md5sum; ps", NULL);
    guest_begin_time(&g, 64 << 20);
    timeline_run(g.time, UINT64_MAX);
    timeline_seek(g.time, timeline_end(g.time) * 2 / 3, NULL, NULL); // leaves dense checkpoints
    struct cpu_regs regs;
    cpu_get_regs(machine_cpu(g.m, 0), &regs);
    struct hits all = {.steps = xcalloc(HITS_MAX, sizeof(u64))};
    unsigned clean = 0, written = 0;
    u64 piece_begin = 0;
    for (int n = 0; n < 7; n++) {
        struct watch_range range = {.first = regs.lstar, .size = 1, .kinds = WATCH_EXECUTE};
        u32 rpn = some_written_page(&g);
        if (n == 1) { // what is about to be executed at a checkpoint
            u64 middle = timeline_checkpoint_before(g.time, timeline_end(g.time) / 2);
            timeline_seek(g.time, middle, NULL, NULL);
            cpu_get_regs(machine_cpu(g.m, 0), &regs);
            range.first = regs.rip;
            piece_begin = middle;
        } else if (n) {
            range = (struct watch_range){(u64)rpn << 12, 4096, WATCH_PHYSICAL};
        }
        timeline_seek(g.time, 0, NULL, NULL);
        machine_set_watch(g.m, &range, 1, note_hit, &all);
        all.count = 0;
        timeline_run(g.time, timeline_end(g.time));
        u64 here = timeline_step(g.time);
        unsigned count = all.count;
        timeline_seek(g.time, here / 2, NULL, NULL);
        expect(all.count == count, "a seek told of hits", here / 2);
        machine_set_watch(g.m, NULL, 0, NULL, NULL);
        check_intervals(&g, &range, &all);
        if (n > 1) {
            check_clean(&g, rpn, &all, &clean);
            written += all.count != 0;
        } else {
            expect(all.count > (n ? 0 : 100), "hardly a hit", 0);
            expect(!n || has_step(&all, piece_begin), "not told where a piece begins", piece_begin);
        }
    }
    expect(clean > 20, "hardly a page is told clean", clean);
    printf("# watches: %u of 5 pages written, %u of 300 questions answered with clean\n", written,
           clean);
    free(all.steps);
    guest_close(&g);
}

#define SAVED 16

struct saved {
    struct bytes bytes[SAVED];
    u64 hashes[SAVED], steps[SAVED];
    u64 end, end_hash;
    u32 rpn; // a page, and the writes to it
    struct hits hits;
};

static void save_all(struct guest *g, struct saved *s)
{
    struct checkpoint_parts parts = {g->m, &g->disk, 1};
    struct checkpoint_saver *saver = checkpoint_saver_create(&parts);
    for (int i = 0; i < SAVED; i++) {
        machine_run(g->m, s->end * (u64)(i + 1) / (SAVED + 1));
        u64 before = machine_hash(g->m);
        checkpoint_save(saver, input_log_position(g->log), &s->bytes[i]);
        s->steps[i] = machine_clock(g->m)->step;
        s->hashes[i] = machine_hash(g->m);
        expect(s->hashes[i] == before, "saving changed the state", s->steps[i]);
    }
    machine_run(g->m, UINT64_MAX);
    expect(machine_hash(g->m) == s->end_hash, "another end when checkpoints are saved", s->end);
    checkpoint_saver_destroy(saver);
}

static struct status load_one(struct guest *g, const struct saved *s, int wanted)
{
    struct checkpoint_parts parts = {g->m, &g->disk, 1};
    struct checkpoint_head head;
    int first = wanted;
    while (checkpoint_read_head(s->bytes[first].data, s->bytes[first].size, &head),
           !head.complete) {
        first--;
    }
    checkpoint_read_head(s->bytes[wanted].data, s->bytes[wanted].size, &head);
    input_log_seek(g->log, head.position);
    for (int i = first; i <= wanted; i++) {
        struct status r = checkpoint_apply(&parts, s->bytes[i].data, s->bytes[i].size, i == wanted);
        if (!status_ok(&r)) {
            return r;
        }
    }
    return status_success();
}

// Cut off and bent bytes are refused or give some state; the sanitizers watch.
static void load_damaged(struct guest *g, const struct saved *s)
{
    struct checkpoint_parts parts = {g->m, &g->disk, 1};
    for (int n = 0; n < 200; n++) {
        const struct bytes *b = &s->bytes[random_below(SAVED)];
        size_t size = random_below(b->size);
        struct status r = checkpoint_apply(&parts, b->data, size, false);
        expect(!status_ok(&r), "half a checkpoint was taken", size);
    }
}

// One that is written in many intervals, but not in all.
static u32 page_at_work(struct guest *g)
{
    u64 end = timeline_end(g->time);
    u32 best = 0;
    unsigned best_dirty = 0;
    for (int n = 0; n < 1000; n++) {
        u32 rpn = some_written_page(g);
        unsigned dirty = 0;
        for (u64 i = 0; i < 16; i++) {
            dirty += timeline_page_dirty(g->time, rpn, end / 16 * i, end / 16 * (i + 1));
        }
        if (dirty > best_dirty && dirty < 14) {
            best = rpn;
            best_dirty = dirty;
        }
    }
    return best;
}

struct store {
    struct guest *g;
    struct saved *saved;
    unsigned loads;
};

static bool find_saved(void *ctx, u64 step, u64 *found_step)
{
    const struct store *store = ctx;
    int i = SAVED;
    while (i > 0 && store->saved->steps[i - 1] > step) {
        i--;
    }
    *found_step = i ? store->saved->steps[i - 1] : 0;
    return i != 0;
}

static struct status restore_saved(void *ctx, u64 found_step)
{
    struct store *store = ctx;
    int i = 0;
    while (store->saved->steps[i] != found_step) {
        i++;
    }
    store->loads++;
    return load_one(store->g, store->saved, i);
}

#define RPN_MAX 0x8000 // pages of the guest's memory

// Asks about all pages between the saved checkpoints. told keeps what was told clean; that must not
// prove to have been written later. Returns how many were clean.
static unsigned ask_clean(struct guest *g, const struct saved *s, u8 *told)
{
    unsigned clean = 0;
    for (int i = 0; i + 1 < SAVED; i++) {
        for (u32 rpn = 0; rpn < RPN_MAX; rpn++) {
            bool dirty = timeline_page_dirty(g->time, rpn, s->steps[i], s->steps[i + 1]);
            if (dirty && told[i * RPN_MAX + rpn]) {
                expect(false, "a page told clean was written", s->steps[i]);
                return clean;
            }
            told[i * RPN_MAX + rpn] |= !dirty;
            clean += !dirty;
        }
    }
    return clean;
}

// A recording that is opened with what lies in its file: seeks begin there, queries stay right, and
// damage costs time only.
static void walk_store(const struct guest_files *files, const char *command, struct saved *s,
                       u64 vtime_ns, unsigned loads_wanted)
{
    struct guest g;
    struct store store = {&g, s, 0};
    const struct timeline_store ops = {find_saved, restore_saved, &store};
    guest_open(&g, files, TLB_FULL, command, NULL);
    guest_begin_time(&g, 64 << 20);
    input_log_set_end(g.log, s->end, vtime_ns);
    timeline_set_store(g.time, &ops);
    expect(hash_at(&g, s->end) == s->end_hash, "another end by way of the store", s->end);
    for (int n = 0; n < 8; n++) {
        u64 i = random_below(SAVED);
        timeline_seek(g.time, s->steps[i] - random_below(3000000), NULL, NULL);
        expect(hash_at(&g, s->steps[i]) == s->hashes[i], "another state with a store", s->steps[i]);
    }
    for (int i = 0; i < SAVED; i++) {
        timeline_seek(g.time, s->steps[i], NULL, NULL);
        timeline_checkpoint(g.time);
    }
    expect(store.loads >= loads_wanted, "the store was not used", store.loads);
    unsigned clean = 0;
    if (s->hits.count) { // known from the walk before
        check_clean(&g, s->rpn, &s->hits, &clean);
    } else {
        u8 *told = xcalloc(SAVED, RPN_MAX);
        expect(ask_clean(&g, s, told) > 1000, "hardly a page is told clean", 0);
        timeline_seek(g.time, 0, NULL, NULL);
        timeline_run(g.time, s->end); // from now on it knows exactly
        ask_clean(&g, s, told);
        free(told);
        s->rpn = page_at_work(&g);
        s->hits.steps = xcalloc(HITS_MAX, sizeof(u64));
        struct watch_range range = {(u64)s->rpn << 12, 4096, WATCH_PHYSICAL};
        timeline_seek(g.time, 0, NULL, NULL);
        machine_set_watch(g.m, &range, 1, note_hit, &s->hits);
        timeline_run(g.time, s->end);
        machine_set_watch(g.m, NULL, 0, NULL, NULL);
        check_intervals(&g, &range, &s->hits);
        check_clean(&g, s->rpn, &s->hits, &clean);
    }
    printf("# store: %u loads, %u hits, %u checkpoints, %u of 60 clean\n", store.loads,
           s->hits.count, timeline_checkpoint_count(g.time), clean);
    guest_close(&g);
}

static void test_saved(const struct guest_files *files)
{
    const char *command =
        "for i in 1 2 3 4; do ls -lR / | sort >/root/l; sync; md5sum /root/l; done";
    struct guest g, other;
    struct saved s = {0};
    guest_open(&g, files, TLB_FULL, command, NULL);
    machine_run(g.m, UINT64_MAX);
    s.end = machine_clock(g.m)->step;
    s.end_hash = machine_hash(g.m);
    u64 end_ns = vclock_ns(machine_clock(g.m));
    guest_close(&g);
    guest_open(&g, files, TLB_FULL, command, NULL);
    save_all(&g, &s);
    guest_open(&other, files, TLB_TINY, command, NULL);
    unsigned complete = 0;
    u64 bytes = 0;
    for (int i = 0; i < SAVED; i++) {
        complete += s.bytes[i].data[1];
        bytes += s.bytes[i].size;
    }
    for (int n = 0; n < 12; n++) {
        int i = (int)random_below(SAVED);
        struct status r = load_one(&other, &s, i);
        expect(status_ok(&r), r.text, s.steps[i]);
        expect(machine_clock(other.m)->step == s.steps[i], "loaded another step", s.steps[i]);
        expect(machine_hash(other.m) == s.hashes[i], "loaded another state", s.steps[i]);
        if (n % 4 == 0) {
            machine_run(other.m, UINT64_MAX);
            expect(machine_hash(other.m) == s.end_hash, "another end from a saved state", s.end);
        }
    }
    load_damaged(&other, &s);
    walk_store(files, command, &s, end_ns, 3);
    walk_store(files, command, &s, end_ns, 3);
    s.bytes[SAVED / 2].data[0] ^= 1;
    walk_store(files, command, &s, end_ns, 1);
    expect(complete > 1 && complete < SAVED, "all or one of the checkpoints are complete",
           complete);
    printf("# saved: %u of %d complete, %llu KiB\n", complete, SAVED,
           (unsigned long long)(bytes >> 10));
    guest_close(&g);
    guest_close(&other);
    free(s.hits.steps);
    for (int i = 0; i < SAVED; i++) {
        bytes_free(&s.bytes[i]);
    }
}

int main(int argc, char **argv)
{
    struct guest_files files;
    guest_read_files(&files, argv[1], argv[2]);
    random_state = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
    test_resets(&files);
    test_branches(&files);
    test_watches(&files);
    test_saved(&files);
    guest_free_files(&files);
    printf("%s\n", failures ? "FAILED" : "passed");
    return failures != 0;
}
