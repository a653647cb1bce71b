// SPDX-License-Identifier: MIT
// test_timeline KERNEL DISK [SEED [MOVES]]: random walks through the history of fern sessions. Each
// step that is visited has the hash, disk included, that it had the first time, however one got
// there and whatever the translation cache; and nothing is shown twice.
#include "guest.h"

#include "base/hash.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAYPOINTS 40

static u64 random_state;

// SplitMix64
static u64 random_below(u64 count)
{
    u64 x = random_state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return (x ^ x >> 31) % count;
}

static int failures;

static void expect(bool good, const char *what, u64 step)
{
    if (!good) {
        fprintf(stderr, "test_timeline: %s (step %llu)\n", what, (unsigned long long)step);
        failures++;
    }
}

static void add_block(void *ctx, u64 number, const u8 *bytes)
{
    hash_u64(ctx, number);
    hash_bytes(ctx, bytes, OVERLAY_BLOCK);
}

// Of the machine and what its disk holds.
static u64 state_hash(struct guest *g)
{
    struct hash *h = hash_create();
    hash_u64(h, machine_hash(g->m));
    struct overlay_copy *copy = overlay_save(g->disk);
    overlay_copy_changes(NULL, copy, add_block, h);
    overlay_copy_free(copy);
    u64 value = hash_value(h);
    hash_destroy(h);
    return value;
}

struct history {
    u64 steps[WAYPOINTS + 1], hashes[WAYPOINTS + 1]; // the last is the end
    u64 shown_bytes, shown_hash;
    struct machine_result result;
};

// The first run: in one go to find its length, in another with checkpoints and stops on the way.
static void run_first(struct guest *g, struct history *h)
{
    h->result = timeline_run(g->time, UINT64_MAX);
    u64 end = timeline_step(g->time);
    h->steps[WAYPOINTS] = end;
    h->hashes[WAYPOINTS] = state_hash(g);
    h->shown_bytes = g->shown_bytes;
    h->shown_hash = g->shown_hash;
    for (unsigned i = 0; i < WAYPOINTS; i++) {
        h->steps[i] = random_below(end);
    }
    // Where inputs came, slice ends above all.
    u64 inputs = input_log_count(g->log);
    for (unsigned i = 0; i < WAYPOINTS / 2 && inputs; i++) {
        u64 seq = random_below(inputs);
        for (u64 n = 0; n < inputs && i % 2 && input_log_get(g->log, seq)->kind != INPUT_READY;
             n++) {
            seq = (seq + 1) % inputs;
        }
        h->steps[i] = input_log_get(g->log, seq)->step + (i % 2 ? 0 : random_below(2));
    }
    expect(timeline_seek(g->time, 0, NULL, NULL), "no way back to the begin", 0);
}

static void check(struct guest *g, const struct history *h, unsigned i, const char *how)
{
    expect(timeline_step(g->time) == h->steps[i], "another step than wanted", h->steps[i]);
    expect(state_hash(g) == h->hashes[i], how, h->steps[i]);
}

static int by_step(const void *a, const void *b)
{
    u64 x = *(const u64 *)a, y = *(const u64 *)b;
    return x < y ? -1 : x > y;
}

// Straight through, no seeks.
static void note_hashes(struct guest *g, struct history *h)
{
    qsort(h->steps, WAYPOINTS, sizeof(h->steps[0]), by_step);
    for (unsigned i = 0; i < WAYPOINTS; i++) {
        timeline_run(g->time, h->steps[i]);
        h->hashes[i] = state_hash(g);
        if (i % 3 == 0) {
            timeline_checkpoint(g->time); // so that runs begin where inputs come
        }
    }
    struct machine_result r = timeline_run(g->time, UINT64_MAX);
    expect(r.exit == h->result.exit && r.value == h->result.value, "another end",
           h->steps[WAYPOINTS]);
    check(g, h, WAYPOINTS, "another end state the second time");
}

static unsigned cancel_after;

static bool cancel(void *ctx)
{
    return cancel_after-- == 0;
}

static void move(struct guest *g, const struct history *h)
{
    unsigned i = (unsigned)random_below(WAYPOINTS);
    u64 here = timeline_step(g->time);
    switch (random_below(8)) {
    case 0: // a little further on
        timeline_run(g->time, here + random_below(3000000));
        break;
    case 1: // a scan from the checkpoint before
        timeline_seek(g->time, timeline_checkpoint_before(g->time, h->steps[i]), NULL, NULL);
        timeline_scan(g->time, h->steps[i]);
        check(g, h, i, "a scan came to another state");
        break;
    case 2: // some steps back
        for (unsigned n = 0; n < 5 && timeline_step(g->time) > 100; n++) {
            here = timeline_step(g->time);
            expect(timeline_seek(g->time, here - 1 - random_below(100), NULL, NULL),
                   "a step back failed", here);
        }
        break;
    case 3: // given up on the way
        cancel_after = (unsigned)random_below(40);
        timeline_seek(g->time, h->steps[i], cancel, NULL);
        break;
    case 4: // from now on it can begin right here
        timeline_seek(g->time, h->steps[i], NULL, NULL);
        timeline_checkpoint(g->time);
        break;
    default:
        expect(timeline_seek(g->time, h->steps[i], NULL, NULL), "a seek failed", h->steps[i]);
        check(g, h, i, "a seek came to another state");
        break;
    }
}

static void walk(const struct guest_files *files, enum tlb_geometry tlb, const char *exec,
                 const char *text, unsigned moves, u64 memory_bytes, u64 *end_hash)
{
    struct guest g;
    struct history h = {0};
    guest_open(&g, files, tlb, exec, text);
    guest_begin_time(&g, memory_bytes);
    run_first(&g, &h);
    note_hashes(&g, &h);
    for (unsigned n = 0; n < moves; n++) {
        move(&g, &h);
        u64 bytes = timeline_checkpoint_bytes(g.time) - overlay_bytes(g.disk);
        expect(bytes <= memory_bytes || timeline_checkpoint_count(g.time) <= 2, "too much memory",
               timeline_step(g.time));
    }
    expect(g.shown_bytes == h.shown_bytes && g.shown_hash == h.shown_hash, "output shown again",
           timeline_step(g.time));
    char line[200];
    if (input_log_diverged(g.log, line, sizeof(line))) {
        expect(false, line, timeline_step(g.time));
    }
    timeline_seek(g.time, h.steps[WAYPOINTS], NULL, NULL);
    check(&g, &h, WAYPOINTS, "another end state after the walk");
    printf("# %s: %llu steps, exit %d, %llu inputs, %u boots, %llu bytes shown, %u checkpoints of "
           "%llu KiB\n",
           exec ? exec : "shell", (unsigned long long)h.steps[WAYPOINTS], (int)h.result.exit,
           (unsigned long long)input_log_count(g.log), g.boots, (unsigned long long)h.shown_bytes,
           timeline_checkpoint_count(g.time),
           (unsigned long long)(timeline_checkpoint_bytes(g.time) >> 10));
    if (*end_hash) {
        expect(*end_hash == h.hashes[WAYPOINTS], "the translation cache shows", tlb);
    }
    *end_hash = h.hashes[WAYPOINTS];
    guest_close(&g);
}

#define COMMAND "ls -lR / | wc -l; seq 2000 > /root/f; sync; sleep 1; ps; rm /root/f"
#define TEXT "ls -l /etc | wc -l\nseq 500 >/root/f; sync\nsleep 1; ps\npoweroff\n"

int main(int argc, char **argv)
{
    struct guest_files files;
    guest_read_files(&files, argv[1], argv[2]);
    random_state = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
    unsigned moves = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 0) : 40;
    u64 end = 0;
    walk(&files, TLB_FULL, COMMAND, NULL, moves, 64 << 20, &end);
    walk(&files, TLB_TINY, COMMAND, NULL, moves / 4, 7 << 20, &end);
    end = 0;
    walk(&files, TLB_FULL, NULL, TEXT, moves, 32 << 20, &end);
    walk(&files, TLB_TINY, NULL, TEXT, moves, 5 << 20, &end);
    walk(&files, TLB_OFF, NULL, TEXT, moves / 10, 5 << 20, &end);
    guest_free_files(&files);
    printf("%s\n", failures ? "FAILED" : "passed");
    return failures != 0;
}
