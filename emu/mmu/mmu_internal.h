// SPDX-License-Identifier: MIT
// What walk, tlb, track and access share. Private to emu/mmu.
#ifndef VIV_MMU_MMU_INTERNAL_H
#define VIV_MMU_MMU_INTERNAL_H

#include "mmu/mmu.h"

#define PTE_P BIT(0)
#define PTE_RW BIT(1)
#define PTE_US BIT(2)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7)
#define PTE_NX BIT(63)

// What decides a translation besides the root, packed: the low bits of a key. Bits that cannot
// matter are left out, so that equal translations share a key.
enum mmu_mode {
    MODE_FORMAT = 3, // enum paging_format
    MODE_WP = 4,
    MODE_PSE = 8,
    MODE_SMEP = 0x10,
    MODE_SMAP = 0x20,
    MODE_NXE = 0x40,
    MODE_USER = 0x80,
    MODE_AC = 0x100,    // SMAP suspended
    MODE_ALIGN = 0x200, // alignment checking in force: such accesses use no cache
    MODE_WATCH = 0x400, // nor do they while data breakpoints are set
    MODE_UNCACHED = MODE_ALIGN | MODE_WATCH,
};

enum paging_format { PAGING_NONE, PAGING_32BIT, PAGING_PAE, PAGING_4LEVEL };

enum mmu_access { ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH };

// A finished walk. The path names the table frames in RAM that it went through, for tracking.
struct walk {
    u64 gpa; // of the linear address given
    u32 rpn; // of gpa; PHYSMEM_NO_RPN outside RAM
    bool cacheable;
    unsigned depth;
    struct {
        u32 rpn;
        u8 level;
    } path[4];
};

#define TLB_SETS_MAX 32
#define TLB_TINY_SLOTS 4
#define JUMP_LOG_MAX 2048

enum tlb_column_kind { COLUMN_READ, COLUMN_WRITE, COLUMN_FETCH, COLUMN_COUNT };

struct tlb_key {
    u64 root; // guest physical address of the root table; 0 without paging
    u64 pdpte[4];
    u32 mode;
};

// Which entries of a table were filled, so that visiting them costs what there are.
struct tlb_used {
    u64 words[TLB_ENTRIES / 64 / 64]; // bit: a word of bits[] that is not 0
    u64 bits[TLB_ENTRIES / 64];
};

static inline void used_add(struct tlb_used *used, u32 i)
{
    used->bits[i / 64] |= BIT(i % 64);
    used->words[i / 4096] |= BIT(i / 64 % 64);
}

static inline u8 half_of(u64 linear)
{
    return (u8)(1u << (linear >> 63));
}

static inline u32 page_index(u64 linear)
{
    return (linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1);
}

// The tables of one key. A bit in "used" stays when its entry is emptied singly.
struct tlb_set {
    struct tlb_tables tables;
    struct tlb_key key;
    u64 last_use;
    u32 number;    // index in mmu_shared.sets
    bool bare;     // emptied, and not begun with since
    u8 halves;     // of the address space that something is known of: BIT(0) lower, BIT(1) upper
    bool inherits; // may hold what was found by way of other roots (inherit.c)
    struct tlb_used used[COLUMN_COUNT];
    u32 jumps_logged; // > JUMP_LOG_MAX: the log overflowed
    u16 jump_log[JUMP_LOG_MAX];
    struct tlb_used jump_pages; // by page index: pages that jumps lead to
};

// What is known of a frame that cached translations depend on (ENGINE.md, "Tracking").
struct table_track {
    u64 prefix; // first linear address the frame's entries map
    u64 root;
    u32 list_index;
    u8 entry_size, level;
    bool shared; // several roots reach it at this place
    bool many;   // it is reached at several places or in several formats: nothing more is known
    u8 stores;   // since the last walk through it
};

#define MMU_CPUS_MAX 64
#define WRITE_REFS 4

struct mmu_shared {
    struct physmem *mem;
    struct io_space *mmio;
    enum tlb_geometry geometry;
    struct mmu *cpus[MMU_CPUS_MAX];
    struct tlb_set *sets[TLB_SETS_MAX]; // allocated on first use
    unsigned set_count;
    u64 use_clock;
    struct tlb_set *empty; // never filled: for modes in which nothing may be cached
    u32 tiny_slot[TLB_SETS_MAX][COLUMN_COUNT][TLB_TINY_SLOTS]; // index + 1 of what is cached
    struct table_track **tracks;                               // by rpn
    u32 *tracked;                                              // the rpns that have one
    u32 tracked_count, tracked_room;
    // Places where a write translation of the frame may be: set number, index, plus 1;
    // ~0 in [0]: more.
    u32 (*write_refs)[WRITE_REFS];
    bool apic_in_ram; // some CPU's APIC page lies over RAM
    struct mmu_observed *observed;
    unsigned observed_count;
    u64 a20_mask; // of every physical address a CPU puts out
    mmu_access_fn on_access;
    void *on_access_ctx;
};

#define WRITE_REFS_MANY UINT32_MAX

// The RAM page behind an address as this CPU sees it.
static inline u32 mmu_rpn(const struct mmu *mmu, u64 gpa)
{
    return UNLIKELY((gpa & ~PAGE_MASK) == mmu->apic_page) ? PHYSMEM_NO_RPN
                                                          : physmem_rpn(mmu->mem, gpa);
}

// Whether a walk through, or to, this page may be cached: RAM, and no CPU's APIC page.
static inline bool mmu_page_cacheable(const struct mmu_shared *shared, u64 gpa, u32 rpn)
{
    for (unsigned i = 0; UNLIKELY(shared->apic_in_ram) && i < MMU_CPUS_MAX; i++) {
        if (shared->cpus[i] && shared->cpus[i]->apic_page == (gpa & ~PAGE_MASK)) {
            return false;
        }
    }
    return rpn != PHYSMEM_NO_RPN;
}

// walk.c
// Translates one address, sets A and D. False: *fault is filled. mode is the key's; implicit
// accesses pass one without MODE_USER and MODE_AC.
bool mmu_walk(struct mmu *mmu, u32 mode, u64 linear, enum mmu_access access, struct walk *walk,
              struct fault *fault);

// tlb.c
struct tlb_set *tlb_set_for(struct mmu_shared *shared, const struct tlb_key *key);
bool tlb_key_equal(const struct tlb_key *a, const struct tlb_key *b);
static inline struct tlb_column *tlb_column_of(struct tlb_tables *tables, enum tlb_column_kind kind)
{
    return kind == COLUMN_READ    ? &tables->read
           : kind == COLUMN_WRITE ? &tables->write
                                  : &tables->fetch;
}
void tlb_fill(struct mmu_shared *shared, struct tlb_tables *tables, enum tlb_column_kind kind,
              u64 linear, u32 rpn);
// The first entry in use from "from" on; TLB_ENTRIES: none.
u32 used_next(const struct tlb_used *used, u32 from);
void used_clear(struct tlb_used *used);
void tlb_drop_page(struct tlb_set *set, u64 page);
void tlb_drop_range(struct tlb_set *set, u64 first, u64 bytes);
void tlb_drop_set(struct tlb_set *set);
void tlb_drop_writes(struct mmu_shared *shared);
void tlb_note_dropped(struct mmu_shared *shared);

// inherit.c
// At the first use of a set since it was emptied.
void tlb_inherit(struct mmu_shared *shared, struct tlb_set *set);

// jumps.c
void jumps_add(struct tlb_set *set, u32 i, u64 linear, u64 code);
// Of zeroed memory.
void jumps_begin(struct tlb_tables *tables);
void jumps_drop_all(struct tlb_set *set);
// Those that lead to [first, first + bytes).
void jumps_drop(struct tlb_set *set, u64 first, u64 bytes);

// track.c
// The root table of 4-level paging, of which nothing was walked yet.
void track_root(struct mmu_shared *shared, u32 rpn, u64 root);
// Makes the walk's table frames tracked before anything that depends on them is cached.
void track_walk(struct mmu_shared *shared, const struct walk *walk, u32 mode, u64 root, u64 linear);
void track_store(void *shared, u32 rpn, u32 offset, const u8 *bytes, u32 size);
void track_forget_all(struct mmu_shared *shared);

#endif
