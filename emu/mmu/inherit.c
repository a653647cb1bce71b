// SPDX-License-Identifier: MIT
// A new address space begins with what is known of another's upper half, where both have the same
// root entries: a kernel's. Each fork and exec would else find it out again, page by page.
#include "mmu/mmu_internal.h"

#include <string.h>

#define ROOT_ENTRIES 512

static const u64 *root_of(const struct mmu_shared *shared, const struct tlb_set *set)
{
    u32 rpn = physmem_rpn(shared->mem, set->key.root);
    return mmu_page_cacheable(shared, set->key.root, rpn)
               ? (const u64 *)(const void *)physmem_page(shared->mem, rpn)
               : NULL;
}

// The one last in use of those that may say something.
static struct tlb_set *donor_of(const struct mmu_shared *shared, const struct tlb_set *set)
{
    struct tlb_set *best = NULL;
    for (unsigned i = 0; i < shared->set_count; i++) {
        struct tlb_set *other = shared->sets[i];
        if (other != set && !other->bare && other->key.mode == set->key.mode &&
            (!best || other->last_use > best->last_use)) {
            best = other;
        }
    }
    return best;
}

// Whether both roots lead to the same tables for an address in the upper half.
static bool same_tables(const u64 *a, const u64 *b, u64 linear)
{
    unsigned i = linear >> 39 & (ROOT_ENTRIES - 1);
    return (s64)linear < 0 && a[i] == b[i];
}

static void copy_column(struct tlb_set *to, const struct tlb_set *from, enum tlb_column_kind kind,
                        const u64 *a, const u64 *b)
{
    struct tlb_column *target = tlb_column_of(&to->tables, kind);
    const struct tlb_column *source =
        kind == COLUMN_READ ? &from->tables.read : &from->tables.fetch;
    const struct tlb_used *used = &from->used[kind];
    for (u32 i = used_next(used, 0); i < TLB_ENTRIES; i = used_next(used, i + 1)) {
        if (same_tables(a, b, -source->neg[i])) {
            target->neg[i] = source->neg[i];
            target->add[i] = source->add[i];
            used_add(&to->used[kind], i);
        }
    }
}

void tlb_inherit(struct mmu_shared *shared, struct tlb_set *set)
{
    set->bare = false;
    u32 mode = set->key.mode;
    if ((mode & MODE_FORMAT) != PAGING_4LEVEL || (mode & MODE_USER) ||
        shared->geometry != TLB_FULL) {
        return;
    }
    const struct tlb_set *from = donor_of(shared, set);
    const u64 *a = root_of(shared, set), *b = from ? root_of(shared, from) : NULL;
    if (!a || !b) {
        return;
    }
    track_root(shared, physmem_rpn(shared->mem, set->key.root), set->key.root);
    set->inherits = true;
    set->halves |= half_of(UINT64_MAX);
    // Not what may be written: each frame knows of few places where that is.
    copy_column(set, from, COLUMN_READ, a, b);
    copy_column(set, from, COLUMN_FETCH, a, b);
    for (u32 i = 0; i < TLB_JUMP_ENTRIES; i++) {
        const struct tlb_jump *jump = &from->tables.jumps[i];
        if (same_tables(a, b, -jump->neg)) {
            jumps_add(set, i, -jump->neg, jump->code);
        }
    }
}
