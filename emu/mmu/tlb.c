// SPDX-License-Identifier: MIT
// The TLB's tables: one set per key, filled by walks, dropped by page-table tracking (ENGINE.md).
#include "mmu/mmu_internal.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

// What no address of index i hits, nor the address of the last byte of an access from there on,
// which is what translated code looks at and may lie in the next page. Zero but for the first and
// the last index, whose next page is 0: so what is never used of a table costs no memory.
static inline u64 empty_neg(u32 i)
{
    return i == 0 || i == TLB_ENTRIES - 1 ? -2 * PAGE_SIZE : 0;
}

// Of zeroed memory.
static void begin_column(struct tlb_column *column)
{
    column->neg[0] = empty_neg(0);
    column->neg[TLB_ENTRIES - 1] = empty_neg(TLB_ENTRIES - 1);
}

// Of zeroed memory.
static void empty_tables(struct tlb_tables *tables)
{
    jumps_begin(tables);
    begin_column(&tables->read);
    begin_column(&tables->write);
    begin_column(&tables->fetch);
}

static void used_remove(struct tlb_used *used, u32 i)
{
    used->bits[i / 64] &= ~BIT(i % 64);
    if (!used->bits[i / 64]) {
        used->words[i / 4096] &= ~BIT(i / 64 % 64);
    }
}

u32 used_next(const struct tlb_used *used, u32 from)
{
    if (from >= TLB_ENTRIES) {
        return TLB_ENTRIES;
    }
    u64 bits = used->bits[from / 64] & ~(BIT(from % 64) - 1);
    if (bits) {
        return (from & ~63u) + (u32)__builtin_ctzll(bits);
    }
    u32 word = from / 64 + 1, group = word / 64;
    if (group >= ARRAY_LEN(used->words)) {
        return TLB_ENTRIES;
    }
    u64 words = used->words[group] & ~(BIT(word % 64) - 1);
    while (!words && ++group < ARRAY_LEN(used->words)) {
        words = used->words[group];
    }
    if (!words) {
        return TLB_ENTRIES;
    }
    word = group * 64 + (u32)__builtin_ctzll(words);
    return word * 64 + (u32)__builtin_ctzll(used->bits[word]);
}

void used_clear(struct tlb_used *used)
{
    for (u32 i = used_next(used, 0); i < TLB_ENTRIES; i = used_next(used, i + 1)) {
        used->bits[i / 64] = 0;
    }
    memset(used->words, 0, sizeof(used->words));
}

static void drop_column(struct tlb_set *set, enum tlb_column_kind kind)
{
    struct tlb_column *column = tlb_column_of(&set->tables, kind);
    struct tlb_used *used = &set->used[kind];
    for (u32 i = used_next(used, 0); i < TLB_ENTRIES; i = used_next(used, i + 1)) {
        column->neg[i] = empty_neg(i);
    }
    used_clear(used);
}

void tlb_drop_set(struct tlb_set *set)
{
    for (unsigned kind = 0; kind < COLUMN_COUNT; kind++) {
        drop_column(set, kind);
    }
    jumps_drop_all(set);
    set->bare = true;
    set->inherits = false;
    set->halves = 0;
}

void tlb_drop_writes(struct mmu_shared *shared)
{
    for (unsigned i = 0; i < shared->set_count; i++) {
        drop_column(shared->sets[i], COLUMN_WRITE);
    }
}

static inline void drop_entry(struct tlb_column *column, u64 page)
{
    u32 i = page_index(page);
    if (column->neg[i] == -page) {
        column->neg[i] = empty_neg(i);
    }
}

void tlb_drop_page(struct tlb_set *set, u64 page)
{
    drop_entry(&set->tables.read, page);
    drop_entry(&set->tables.write, page);
    drop_entry(&set->tables.fetch, page);
    u32 i = page_index(page);
    if (UNLIKELY(set->jump_pages.bits[i / 64] & BIT(i % 64))) {
        jumps_drop(set, page, PAGE_SIZE); // others may lie in a page of the same index
    }
}

// The entries of indices [from, to] that lie in [first, first + bytes).
static void drop_indices(struct tlb_set *set, u32 from, u32 to, u64 first, u64 bytes)
{
    for (unsigned kind = 0; kind < COLUMN_COUNT; kind++) {
        struct tlb_column *column = tlb_column_of(&set->tables, kind);
        struct tlb_used *used = &set->used[kind];
        for (u32 i = used_next(used, from); i <= to; i = used_next(used, i + 1)) {
            if (-column->neg[i] - first < bytes) {
                column->neg[i] = empty_neg(i);
                used_remove(used, i);
            }
        }
    }
    if (used_next(&set->jump_pages, from) <= to) {
        jumps_drop(set, first, bytes);
    }
}

void tlb_drop_range(struct tlb_set *set, u64 first, u64 bytes)
{
    if (!(set->halves & half_of(first)) && half_of(first) == half_of(first + bytes - 1)) {
        return;
    }
    if (bytes >= TLB_ENTRIES << PAGE_SHIFT) {
        drop_indices(set, 0, TLB_ENTRIES - 1, first, bytes);
        return;
    }
    u32 from = page_index(first), to = page_index(first + bytes - 1);
    if (from <= to) {
        drop_indices(set, from, to, first, bytes);
    } else {
        drop_indices(set, from, TLB_ENTRIES - 1, first, bytes);
        drop_indices(set, 0, to, first, bytes);
    }
}

void tlb_note_dropped(struct mmu_shared *shared)
{
    for (unsigned i = 0; i < MMU_CPUS_MAX; i++) {
        if (shared->cpus[i]) {
            shared->cpus[i]->translations_dropped = true;
        }
    }
}

// True if entry i of the set's write column maps the frame.
static bool writes_to(const struct mmu_shared *shared, const struct tlb_set *set, u32 i, u32 rpn)
{
    const struct tlb_column *column = &set->tables.write;
    if (column->neg[i] == empty_neg(i)) {
        return false;
    }
    return (u8 *)(column->add[i] - column->neg[i]) == physmem_page(shared->mem, rpn);
}

static bool ref_valid(const struct mmu_shared *shared, u32 ref, u32 rpn)
{
    return ref && writes_to(shared, shared->sets[(ref - 1) >> TLB_INDEX_BITS],
                            (ref - 1) & (TLB_ENTRIES - 1), rpn);
}

static void remember_write(struct mmu_shared *shared, const struct tlb_set *set, u32 i, u32 rpn)
{
    u32 *refs = shared->write_refs[rpn];
    u32 ref = (set->number << TLB_INDEX_BITS | i) + 1;
    if (refs[0] == WRITE_REFS_MANY) {
        return;
    }
    for (unsigned k = 0; k < WRITE_REFS; k++) {
        if (refs[k] == ref) {
            return;
        }
    }
    for (unsigned k = 0; k < WRITE_REFS; k++) {
        if (!ref_valid(shared, refs[k], rpn)) {
            refs[k] = ref;
            return;
        }
    }
    refs[0] = WRITE_REFS_MANY;
}

static void drop_writes_by_scan(struct mmu_shared *shared, u32 rpn)
{
    for (unsigned s = 0; s < shared->set_count; s++) {
        struct tlb_set *set = shared->sets[s];
        const struct tlb_used *used = &set->used[COLUMN_WRITE];
        for (u32 i = used_next(used, 0); i < TLB_ENTRIES; i = used_next(used, i + 1)) {
            if (writes_to(shared, set, i, rpn)) {
                set->tables.write.neg[i] = empty_neg(i);
            }
        }
    }
}

void mmu_drop_page_writes(struct mmu_shared *shared, u32 rpn)
{
    u32 *refs = shared->write_refs[rpn];
    if (refs[0] == WRITE_REFS_MANY) {
        drop_writes_by_scan(shared, rpn);
    } else {
        for (unsigned k = 0; k < WRITE_REFS; k++) {
            if (ref_valid(shared, refs[k], rpn)) {
                u32 i = (refs[k] - 1) & (TLB_ENTRIES - 1);
                shared->sets[(refs[k] - 1) >> TLB_INDEX_BITS]->tables.write.neg[i] = empty_neg(i);
            }
        }
    }
    memset(refs, 0, sizeof(shared->write_refs[rpn]));
}

// With the tiny geometry, makes room: at most TLB_TINY_SLOTS entries of a column are in use.
static void evict_tiny(struct mmu_shared *shared, struct tlb_set *set, enum tlb_column_kind kind,
                       u32 i)
{
    u32 *slot = &shared->tiny_slot[set->number][kind][i % TLB_TINY_SLOTS];
    if (*slot && *slot != i + 1) {
        u32 old = *slot - 1u;
        tlb_column_of(&set->tables, kind)->neg[old] = empty_neg(old);
    }
    *slot = i + 1;
}

// True if accesses of that kind to the page must stay off the fast path. What reads and writes at
// once uses the write column.
static bool observed_page(const struct mmu_shared *shared, enum tlb_column_kind kind, u64 page)
{
    for (unsigned i = 0; i < shared->observed_count; i++) {
        const struct mmu_observed *o = &shared->observed[i];
        bool concerned = kind == COLUMN_READ ? o->reads : kind == COLUMN_WRITE;
        if (concerned && o->first <= page + PAGE_MASK && page <= o->last) {
            return true;
        }
    }
    return false;
}

void mmu_observe(struct mmu_shared *shared, const struct mmu_observed *ranges, unsigned count,
                 mmu_access_fn fn, void *ctx)
{
    free(shared->observed);
    shared->observed = count ? xcalloc(count, sizeof(*ranges)) : NULL;
    shared->observed_count = count;
    shared->on_access = fn;
    shared->on_access_ctx = ctx;
    for (unsigned i = 0; i < count; i++) {
        shared->observed[i] = ranges[i];
        u64 first = align_down(ranges[i].first, PAGE_SIZE), bytes = ranges[i].last - first;
        for (unsigned s = 0; s < shared->set_count; s++) {
            if (bytes >= TLB_ENTRIES << PAGE_SHIFT) {
                tlb_drop_set(shared->sets[s]);
            } else {
                tlb_drop_range(shared->sets[s], first, bytes + 1);
            }
        }
    }
}

void tlb_fill(struct mmu_shared *shared, struct tlb_tables *tables, enum tlb_column_kind kind,
              u64 linear, u32 rpn)
{
    struct tlb_set *set = (struct tlb_set *)tables; // its first member
    u64 page = align_down(linear, PAGE_SIZE);
    u32 i = page_index(page);
    if (set == shared->empty || UNLIKELY(observed_page(shared, kind, page))) {
        return;
    }
    if (shared->geometry == TLB_TINY) {
        evict_tiny(shared, set, kind, i);
    }
    struct tlb_column *column = tlb_column_of(tables, kind);
    used_add(&set->used[kind], i);
    set->halves |= half_of(page);
    column->neg[i] = -page;
    column->add[i] = (u64)physmem_page(shared->mem, rpn) - page;
    if (kind == COLUMN_WRITE) {
        physmem_mark_dirty(shared->mem, rpn);
        remember_write(shared, set, i, rpn);
    }
}

bool tlb_key_equal(const struct tlb_key *a, const struct tlb_key *b)
{
    return a->root == b->root && a->mode == b->mode &&
           ((a->mode & MODE_FORMAT) != PAGING_PAE || !memcmp(a->pdpte, b->pdpte, sizeof(a->pdpte)));
}

static struct tlb_set *new_set(struct mmu_shared *shared)
{
    struct tlb_set *set = xcalloc(1, sizeof(*set));
    empty_tables(&set->tables);
    set->number = shared->set_count;
    set->bare = true;
    return set;
}

static bool set_in_use(const struct mmu_shared *shared, const struct tlb_set *set)
{
    for (unsigned i = 0; i < MMU_CPUS_MAX; i++) {
        const struct mmu *mmu = shared->cpus[i];
        if (mmu && (mmu->tables == &set->tables || mmu->system_tables == &set->tables)) {
            return true;
        }
    }
    return false;
}

static struct tlb_set *recycle_set(struct mmu_shared *shared)
{
    struct tlb_set *oldest = NULL;
    for (unsigned i = 0; i < shared->set_count; i++) {
        struct tlb_set *set = shared->sets[i];
        if ((!oldest || set->last_use < oldest->last_use) && !set_in_use(shared, set)) {
            oldest = set;
        }
    }
    if (oldest) {
        tlb_drop_set(oldest);
        memset(shared->tiny_slot[oldest->number], 0, sizeof(shared->tiny_slot[0]));
    }
    return oldest;
}

struct tlb_set *tlb_set_for(struct mmu_shared *shared, const struct tlb_key *key)
{
    if (shared->geometry == TLB_OFF || (key->mode & MODE_UNCACHED)) {
        return shared->empty;
    }
    for (unsigned i = 0; i < shared->set_count; i++) {
        if (tlb_key_equal(&shared->sets[i]->key, key)) {
            shared->sets[i]->last_use = ++shared->use_clock;
            return shared->sets[i];
        }
    }
    struct tlb_set *set;
    if (shared->set_count < TLB_SETS_MAX) {
        set = new_set(shared);
        shared->sets[shared->set_count++] = set;
    } else {
        set = recycle_set(shared);
        if (!set) {
            return shared->empty; // more CPUs than sets: slow, never wrong
        }
    }
    set->key = *key;
    set->last_use = ++shared->use_clock;
    return set;
}

static void drop_writes_hook(void *shared)
{
    tlb_drop_writes(shared);
}

// Whether some CPU's APIC page lies over RAM.
static void find_apic_in_ram(struct mmu_shared *shared)
{
    shared->apic_in_ram = false;
    for (unsigned i = 0; i < MMU_CPUS_MAX; i++) {
        const struct mmu *mmu = shared->cpus[i];
        shared->apic_in_ram |= mmu && physmem_rpn(shared->mem, mmu->apic_page) != PHYSMEM_NO_RPN;
    }
}

static void map_changed_hook(void *ctx)
{
    struct mmu_shared *shared = ctx;
    find_apic_in_ram(shared);
    mmu_flush_all(shared);
}

struct mmu_shared *mmu_shared_create(struct physmem *mem, struct io_space *mmio,
                                     enum tlb_geometry geometry)
{
    struct mmu_shared *shared = xcalloc(1, sizeof(*shared));
    size_t pages = mem->ram_bytes >> PAGE_SHIFT;
    shared->mem = mem;
    shared->mmio = mmio;
    shared->geometry = geometry;
    shared->a20_mask = ~UINT64_C(0);
    shared->tracks = xcalloc(pages, sizeof(shared->tracks[0]));
    shared->write_refs = xcalloc(pages, sizeof(shared->write_refs[0]));
    shared->empty = new_set(shared);
    shared->empty->number = UINT32_MAX;
    mem->on_store.table = track_store;
    mem->on_store.table_ctx = shared;
    mem->drop_write_translations = drop_writes_hook;
    mem->drop_ctx = shared;
    mem->on_map = map_changed_hook;
    mem->map_ctx = shared;
    return shared;
}

void mmu_shared_destroy(struct mmu_shared *shared)
{
    if (!shared) {
        return;
    }
    track_forget_all(shared);
    shared->mem->on_store.table = NULL;
    shared->mem->drop_write_translations = NULL;
    shared->mem->on_map = NULL;
    for (unsigned i = 0; i < shared->set_count; i++) {
        free(shared->sets[i]);
    }
    free(shared->empty);
    free(shared->tracks);
    free(shared->tracked);
    free(shared->write_refs);
    free(shared->observed);
    free(shared);
}

void mmu_set_apic_page(struct mmu *mmu, u64 gpa)
{
    struct mmu_shared *shared = mmu->shared;
    if (mmu->apic_page == gpa) {
        return;
    }
    mmu->apic_page = gpa;
    find_apic_in_ram(shared);
    mmu_flush_all(shared);
}

void mmu_set_a20(struct mmu_shared *shared, bool passes)
{
    u64 mask = passes ? ~UINT64_C(0) : ~BIT(20);
    if (mask != shared->a20_mask) {
        shared->a20_mask = mask;
        mmu_flush_all(shared);
    }
}

void mmu_flush_all(struct mmu_shared *shared)
{
    for (unsigned i = 0; i < shared->set_count; i++) {
        tlb_drop_set(shared->sets[i]);
    }
    track_forget_all(shared);
    tlb_note_dropped(shared);
}
