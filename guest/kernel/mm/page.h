// SPDX-License-Identifier: MIT
// The frame array and the buddy allocator. References of a frame = mappings + cache + holders.
#pragma once

#include "arch/x86_64/paging.h"
#include "lib/atomic.h"
#include "lib/bitops.h"
#include "lib/list.h"
#include "mm/gfp.h"

// page->flags bit numbers (atomic set_bit/clear_bit on &page->flags)
enum page_flag {
    PG_locked,
    PG_uptodate,
    PG_dirty,
    PG_writeback,
    PG_error,
    PG_referenced,
    PG_lru,
    PG_active,
    PG_anon,       // anon_root is valid, not mapping
    PG_swapbacked, // anon or tmpfs
    PG_swapcache,
    PG_buddy, // free, order in private
    PG_slab,
    PG_reserved, // not managed: firmware, kernel image
    PG_private,  // private is a file system's (buffers)
    PG_reclaim,
    PG_unevictable,
    PG_head,    // first of a block of order > 0; order in `order`
    PG_waiters, // somebody sleeps on a bit of this page
};

struct address_space;
struct anon_root;
struct kmem_cache;

struct page {
    unsigned long flags;
    atomic_t refcount; // 0 = free
    atomic_t mapcount; // page-table entries that map it (0 = none)
    union {
        struct list_head
            lru; // LRU lists, buddy free lists, or private to the owner of an unmapped page
        struct list_head slab_list;
    };
    union {
        struct address_space *mapping; // page cache; NULL once truncated. Lock: page lock
        struct anon_root *anon_root;   // with PG_anon
        struct kmem_cache *slab_cache; // with PG_slab
    };
    union {
        unsigned long
            index; // page offset in the mapping, or vm_pgoff-relative number for anonymous pages
        void *slab_freelist;
    };
    union {
        unsigned long private; // buddy order, swap entry, or the file system's
        unsigned long slab_inuse;
    };
    u32 order;
    u32 zone_flags;
};

#define MAX_ORDER 11 // orders 0..10
#define frame_array ((struct page *)FRAME_ARRAY_BASE)
extern u64 max_pfn; // one above the last frame

static inline struct page *pfn_to_page(u64 pfn)
{
    return frame_array + pfn;
}
static inline u64 page_to_pfn(const struct page *p)
{
    return (u64)(p - frame_array);
}
static inline phys_addr_t page_to_phys(const struct page *p)
{
    return page_to_pfn(p) << PAGE_SHIFT;
}
static inline void *page_address(const struct page *p)
{
    return __va(page_to_phys(p));
}
static inline struct page *virt_to_page(const void *va)
{
    return pfn_to_page(virt_to_phys(va) >> PAGE_SHIFT);
}
static inline bool pfn_valid(u64 pfn)
{
    return pfn < max_pfn;
}
#define PAGE_FLAG_OPS(Name, bit)                                                                   \
    static inline bool Page##Name(const struct page *p)                                            \
    {                                                                                              \
        return test_bit(bit, &p->flags);                                                           \
    }                                                                                              \
    static inline void SetPage##Name(struct page *p)                                               \
    {                                                                                              \
        set_bit(bit, &p->flags);                                                                   \
    }                                                                                              \
    static inline void ClearPage##Name(struct page *p)                                             \
    {                                                                                              \
        clear_bit(bit, &p->flags);                                                                 \
    }                                                                                              \
    static inline bool TestSetPage##Name(struct page *p)                                           \
    {                                                                                              \
        return test_and_set_bit(bit, &p->flags);                                                   \
    }                                                                                              \
    static inline bool TestClearPage##Name(struct page *p)                                         \
    {                                                                                              \
        return test_and_clear_bit(bit, &p->flags);                                                 \
    }
PAGE_FLAG_OPS(Locked, PG_locked)
PAGE_FLAG_OPS(Uptodate, PG_uptodate)
PAGE_FLAG_OPS(Dirty, PG_dirty)
PAGE_FLAG_OPS(Writeback, PG_writeback)
PAGE_FLAG_OPS(Error, PG_error)
PAGE_FLAG_OPS(Referenced, PG_referenced)
PAGE_FLAG_OPS(LRU, PG_lru)
PAGE_FLAG_OPS(Active, PG_active)
PAGE_FLAG_OPS(Anon, PG_anon)
PAGE_FLAG_OPS(SwapBacked, PG_swapbacked)
PAGE_FLAG_OPS(SwapCache, PG_swapcache)
PAGE_FLAG_OPS(Slab, PG_slab)
PAGE_FLAG_OPS(Reserved, PG_reserved)
PAGE_FLAG_OPS(Private, PG_private)
PAGE_FLAG_OPS(Head, PG_head)
PAGE_FLAG_OPS(Waiters, PG_waiters)

// 2^order frames, refcount 1 on the first. NULL without memory. With __GFP_WAIT: task context, may
// sleep, calls reclaim_pages and the OOM killer.
struct page *alloc_pages(gfp_t gfp, unsigned order);
static inline struct page *alloc_page(gfp_t gfp)
{
    return alloc_pages(gfp, 0);
}
void free_pages_block(struct page *p, unsigned order); // refcount must be 1 or 0; any context
void *get_free_page(gfp_t gfp);                        // direct-map address of one frame
void free_page(void *va);

static inline void get_page(struct page *p)
{
    atomic_inc(&p->refcount);
}
// Drops a reference; the last one frees (through page_cache's release hook when it is on an LRU
// list).
void put_page(struct page *p);
static inline int page_count(const struct page *p)
{
    return atomic_read(&p->refcount);
}
static inline int page_mapcount(const struct page *p)
{
    return atomic_read(&p->mapcount);
}
void clear_page(void *va);
void copy_page(void *dst, const void *src);
extern struct page *zero_page; // shared, read-only, never freed

// Watermarks and numbers, in pages.
struct mem_stats {
    u64 total, free, reserved_kernel, slab, kernel_stacks, page_tables, vmalloc;
};
void mem_stats_get(struct mem_stats *s);
extern atomic64_t mem_slab_pages, mem_stack_pages, mem_pagetable_pages, mem_vmalloc_pages;
u64 nr_free_pages(void);
u64 totalram_pages(void);
u64 watermark_min(void), watermark_low(void), watermark_high(void);

// The reclaiming side (mm/reclaim.c, mm/oom.c, mm/lru.c).
// Tries to free at least `nr` pages; returns how many were. Called with __GFP_WAIT set, PF_MEMALLOC
// held.
u64 reclaim_pages(gfp_t gfp, unsigned order, u64 nr);
void kswapd_wake(void); // below the low watermark; any context
// No reclaim helped: kills somebody; false if nobody could be killed.
bool out_of_memory(gfp_t gfp, unsigned order);
void page_release_hook(
    struct page *p); // last reference of a page with PG_lru: take it off its list

void page_alloc_init(void);
// Gives back boot memory that is no longer needed: whole frames of a physical range.
void page_alloc_release(u64 start, u64 end);
