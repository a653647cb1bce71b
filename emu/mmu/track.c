// SPDX-License-Identifier: MIT
// Page-table tracking: the frames cached translations depend on, and what a store there drops.
#include "mmu/mmu_internal.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define STORES_BEFORE_SCAN 64
#define LINEAR_BITS 48 // of a canonical address; the highest is its sign

static unsigned index_bits(const struct table_track *track)
{
    return track->entry_size == 8 ? 9 : 10;
}

// log2 of the bytes that one entry of the frame maps.
static unsigned entry_shift(const struct table_track *track)
{
    return PAGE_SHIFT + index_bits(track) * (track->level - 1u);
}

static void drop_everything(struct mmu_shared *shared)
{
    for (unsigned i = 0; i < shared->set_count; i++) {
        tlb_drop_set(shared->sets[i]);
    }
}

static u64 canonical(u64 linear)
{
    return (u64)((s64)(linear << (64 - LINEAR_BITS)) >> (64 - LINEAR_BITS));
}

// Whether a set may hold something found by way of the frame: first is an address that the frame
// maps, not yet canonical for a root's.
static bool reaches(const struct tlb_set *set, const struct table_track *track, u64 first)
{
    return track->shared || set->key.root == track->root || (set->inherits && (s64)first < 0);
}

// The translations under [first, first + 2^shift); above a page directory's entry at least those.
// But a kernel works on in the address space whose directories it takes down: its own half stays.
static void drop_scope(struct mmu_shared *shared, const struct table_track *track, u64 first,
                       unsigned shift)
{
    for (unsigned i = 0; i < shared->set_count; i++) {
        struct tlb_set *set = shared->sets[i];
        if (!reaches(set, track, first)) {
            continue;
        }
        if (shift == PAGE_SHIFT) {
            tlb_drop_page(set, first);
        } else if (shift <= 22 ||
                   (shift < LINEAR_BITS && set->halves != half_of(canonical(first)))) {
            tlb_drop_range(set, canonical(first), BIT(shift));
        } else {
            tlb_drop_set(set);
        }
    }
}

static void drop_entry(struct mmu_shared *shared, const struct table_track *track, u32 index)
{
    if (track->many) {
        drop_everything(shared);
    } else {
        unsigned shift = entry_shift(track);
        drop_scope(shared, track, track->prefix + ((u64)index << shift), shift);
    }
    tlb_note_dropped(shared);
}

static void drop_frame(struct mmu_shared *shared, const struct table_track *track)
{
    if (track->many) {
        drop_everything(shared);
    } else {
        drop_scope(shared, track, track->prefix, entry_shift(track) + index_bits(track));
    }
    tlb_note_dropped(shared);
}

static struct table_track *start_tracking(struct mmu_shared *shared, u32 rpn)
{
    struct table_track *track = xcalloc(1, sizeof(*track));
    if (shared->tracked_count == shared->tracked_room) {
        shared->tracked_room = shared->tracked_room ? shared->tracked_room * 2 : 64;
        shared->tracked = xrealloc(shared->tracked, shared->tracked_room * sizeof(u32));
    }
    track->list_index = shared->tracked_count;
    shared->tracked[shared->tracked_count++] = rpn;
    shared->tracks[rpn] = track;
    shared->mem->page_flags[rpn] |= PHYSMEM_PAGE_TABLE;
    mmu_drop_page_writes(shared, rpn);
    return track;
}

static void stop_tracking(struct mmu_shared *shared, u32 rpn)
{
    struct table_track *track = shared->tracks[rpn];
    u32 last = shared->tracked[--shared->tracked_count];
    shared->tracked[track->list_index] = last;
    shared->tracks[last]->list_index = track->list_index;
    shared->tracks[rpn] = NULL;
    shared->mem->page_flags[rpn] &= (u8)~PHYSMEM_PAGE_TABLE;
    free(track);
}

void track_forget_all(struct mmu_shared *shared)
{
    while (shared->tracked_count) {
        stop_tracking(shared, shared->tracked[0]);
    }
}

static void track_frame(struct mmu_shared *shared, u32 rpn, const struct table_track *seen)
{
    struct table_track *track = shared->tracks[rpn];
    if (!track) {
        track = start_tracking(shared, rpn);
        track->prefix = seen->prefix;
        track->root = seen->root;
        track->entry_size = seen->entry_size;
        track->level = seen->level;
        track->shared = seen->shared;
        return;
    }
    track->stores = 0;
    if (track->entry_size != seen->entry_size || track->level != seen->level ||
        track->prefix != seen->prefix) {
        track->many = true;
    } else if (track->root != seen->root) {
        track->shared = true;
    }
}

void track_root(struct mmu_shared *shared, u32 rpn, u64 root)
{
    struct table_track seen = {.root = root, .entry_size = 8, .level = 4};
    track_frame(shared, rpn, &seen);
}

void track_walk(struct mmu_shared *shared, const struct walk *walk, u32 mode, u64 root, u64 linear)
{
    enum paging_format format = mode & MODE_FORMAT;
    // PAE directories hang off registers, not off the root: any root may reach them.
    struct table_track seen = {.root = root, .shared = format == PAGING_PAE};
    seen.entry_size = format == PAGING_32BIT ? 4 : 8;
    for (unsigned i = 0; i < walk->depth; i++) {
        seen.level = walk->path[i].level;
        unsigned covers = entry_shift(&seen) + index_bits(&seen);
        seen.prefix = covers >= 48 ? 0 : align_down(linear, BIT(covers));
        track_frame(shared, walk->path[i].rpn, &seen);
    }
}

// True if the entry of the given size at offset is live (P and A set) and the store changes it.
static bool changes_live_entry(const u8 *frame, u32 at, u32 entry_size, u32 offset, const u8 *bytes,
                               u32 size)
{
    u8 before[8], after[8];
    memcpy(before, frame + at, entry_size);
    if ((before[0] & (PTE_P | PTE_A)) != (PTE_P | PTE_A)) {
        return false;
    }
    memcpy(after, before, entry_size);
    u32 from = offset > at ? offset : at;
    u32 to = offset + size < at + entry_size ? offset + size : at + entry_size;
    memcpy(after + (from - at), bytes + (from - offset), to - from);
    return memcmp(before, after, entry_size) != 0;
}

static bool store_entries(struct mmu_shared *shared, const struct table_track *track,
                          const u8 *frame, u32 entry_size, u32 offset, const u8 *bytes, u32 size)
{
    for (u32 at = offset & ~(entry_size - 1); at < offset + size; at += entry_size) {
        if (changes_live_entry(frame, at, entry_size, offset, bytes, size)) {
            drop_entry(shared, track, at / entry_size);
            if (track->many) {
                return true; // everything is gone already
            }
        }
    }
    return false;
}

static bool has_live_entry(const u8 *frame, const struct table_track *track)
{
    u32 step = track->many ? 4 : track->entry_size;
    for (u32 at = 0; at < PAGE_SIZE; at += step) {
        if ((frame[at] & (PTE_P | PTE_A)) == (PTE_P | PTE_A)) {
            return true;
        }
    }
    return false;
}

void track_store(void *ctx, u32 rpn, u32 offset, const u8 *bytes, u32 size)
{
    struct mmu_shared *shared = ctx;
    struct table_track *track = shared->tracks[rpn];
    const u8 *frame = physmem_page(shared->mem, rpn);
    CHECK(track);
    if (!track->many) {
        store_entries(shared, track, frame, track->entry_size, offset, bytes, size);
    } else if (!store_entries(shared, track, frame, 8, offset, bytes, size)) {
        store_entries(shared, track, frame, 4, offset, bytes, size);
    }
    if (++track->stores >= STORES_BEFORE_SCAN) {
        // Probably no table any more. What has no live entry has nothing cached behind it.
        if (has_live_entry(frame, track)) {
            drop_frame(shared, track);
        }
        stop_tracking(shared, rpn);
    }
}
