// SPDX-License-Identifier: MIT
// Buddy allocator over the frame array, with a small per-CPU list of single frames in front of it.
#include "mm/page.h"

#include "arch/x86_64/arch.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/fail_inject.h"
#include "mm/slab.h"
#include "sched/lock.h"
#include "sched/sched.h"

#define PCP_BATCH 16
#define PCP_HIGH 64
#define RECLAIM_TRIES 16

static struct {
    spinlock_t lock;
    struct list_head free[MAX_ORDER];
    u64 nr_blocks[MAX_ORDER];
    u64 free_pages; // in the buddy lists
    u64 total;
    u64 min, low, high;
} zone;

// Hot single frames of a CPU; touched with interrupts off.
static struct pcp {
    struct list_head list;
    unsigned count;
} pcp[NR_CPUS];

u64 max_pfn;
struct page *zero_page;
atomic64_t mem_slab_pages, mem_stack_pages, mem_pagetable_pages, mem_vmalloc_pages;

static void block_add(struct page *p, unsigned order)
{
    p->private = order;
    set_bit(PG_buddy, &p->flags);
    list_add(&p->lru, &zone.free[order]);
    zone.nr_blocks[order]++;
}

static void block_remove(struct page *p, unsigned order)
{
    clear_bit(PG_buddy, &p->flags);
    list_del(&p->lru);
    zone.nr_blocks[order]--;
}

// zone.lock held. Merges with free buddies upwards.
static void buddy_free(struct page *p, unsigned order)
{
    u64 pfn = page_to_pfn(p);
    zone.free_pages += 1UL << order;
    while (order < MAX_ORDER - 1) {
        u64 buddy_pfn = pfn ^ (1UL << order);
        if (buddy_pfn >= max_pfn)
            break;
        struct page *buddy = pfn_to_page(buddy_pfn);
        if (!test_bit(PG_buddy, &buddy->flags) || buddy->private != order)
            break;
        block_remove(buddy, order);
        pfn &= ~(1UL << order);
        order++;
    }
    block_add(pfn_to_page(pfn), order);
}

// zone.lock held. NULL if there is no block that big, or (with below_pfn) none under that frame
// number.
static struct page *buddy_alloc(unsigned order, u64 below_pfn)
{
    for (unsigned o = order; o < MAX_ORDER; o++) {
        struct page *p;
        list_for_each_entry(p, &zone.free[o], lru)
        {
            if (page_to_pfn(p) >= below_pfn)
                continue;
            block_remove(p, o);
            while (o > order) {
                o--;
                block_add(p + (1UL << o), o);
            }
            zone.free_pages -= 1UL << order;
            return p;
        }
    }
    return NULL;
}

// How far below the "min" watermark this request may go.
static u64 reserve_limit(gfp_t gfp)
{
    if ((gfp & __GFP_MEMALLOC) || (!in_irq() && (current->flags & PF_MEMALLOC)) ||
        (!in_irq() && current->oom_victim))
        return 0;
    return gfp & __GFP_ATOMIC ? zone.min / 2 : zone.min;
}

u64 nr_free_pages(void)
{
    u64 n = READ_ONCE(zone.free_pages);
    for (unsigned c = 0; c < nr_cpus_online; c++)
        n += READ_ONCE(pcp[c].count);
    return n;
}

static struct page *pcp_take(u64 limit)
{
    unsigned long flags = local_irq_save();
    struct pcp *c = &pcp[smp_processor_id()];
    struct page *p = NULL;
    if (!c->count && zone.free_pages > limit + PCP_BATCH) {
        spin_lock(&zone.lock);
        for (int i = 0; i < PCP_BATCH; i++) {
            struct page *fresh = buddy_alloc(0, ~0UL);
            if (!fresh)
                break;
            list_add_tail(&fresh->lru, &c->list);
            c->count++;
        }
        spin_unlock_raw(&zone.lock);
        preempt_enable_no_resched();
    }
    if (c->count) {
        p = list_first_entry(&c->list, struct page, lru);
        list_del(&p->lru);
        c->count--;
    }
    local_irq_restore(flags);
    return p;
}

static struct page *take(gfp_t gfp, unsigned order)
{
    u64 limit = reserve_limit(gfp);
    if (order == 0 && !(gfp & __GFP_DMA32)) {
        struct page *p = pcp_take(limit);
        if (p)
            return p;
    }
    unsigned long flags;
    struct page *p = NULL;
    spin_lock_irqsave(&zone.lock, flags);
    if (zone.free_pages >= limit + (1UL << order))
        p = buddy_alloc(order, gfp & __GFP_DMA32 ? (4UL << 30) >> PAGE_SHIFT : ~0UL);
    spin_unlock_irqrestore(&zone.lock, flags);
    return p;
}

static struct page *prepare(struct page *p, gfp_t gfp, unsigned order)
{
    p->flags = order ? BIT(PG_head) : 0;
    p->order = order;
    p->zone_flags = 0;
    p->mapping = NULL;
    p->index = 0;
    p->private = 0;
    atomic_set(&p->mapcount, 0);
    atomic_set_release(&p->refcount, 1);
#ifdef FERN_DEBUG_PAGES
    if (!(gfp & __GFP_ZERO))
        memset(page_address(p), 0x5a, PAGE_SIZE << order);
#endif
    if (gfp & __GFP_ZERO)
        for (u64 i = 0; i < 1UL << order; i++)
            clear_page(page_address(p + i));
    return p;
}

// One round of making room. False: give up (no memory for this request).
static bool make_room(gfp_t gfp, unsigned order, int tries)
{
    bool may_kill = (gfp & __GFP_FS) && !(gfp & __GFP_NOOOM) && order <= 3;
    u64 freed;

    current->flags |= PF_MEMALLOC;
    freed = reclaim_pages(gfp, order, max(1UL << order, 32UL));
    current->flags &= ~PF_MEMALLOC;
    if (freed && tries < RECLAIM_TRIES)
        return order <= 3;
    // Reclaim gives nothing, or others take what it gives.
    if (may_kill)
        return !fatal_signal_pending(current) && out_of_memory(gfp, order);
    if ((gfp & __GFP_NOOOM) || order > 3)
        return false;
    // No file system calls allowed, so no killing either: wait for those who may.
    kswapd_wake();
    msleep(1 + (unsigned)tries / 8);
    return tries < 8 * RECLAIM_TRIES;
}

static struct page *alloc_slow(gfp_t gfp, unsigned order)
{
    bool recursion = current->flags & PF_MEMALLOC; // reclaim that allocates does not reclaim again
    for (int tries = 0;; tries++) {
        bool again = !recursion && make_room(gfp, order, tries);
        struct page *p = take(gfp, order);
        if (p)
            return p;
        if (!again && !(gfp & __GFP_NOFAIL))
            return NULL;
        if (again)
            yield();
        else
            msleep(1);
    }
}

struct page *alloc_pages(gfp_t gfp, unsigned order)
{
    if (order >= MAX_ORDER || should_fail_alloc(gfp))
        return NULL;
    struct page *p = take(gfp, order);
    if (unlikely(zone.free_pages < zone.low))
        kswapd_wake();
    if (unlikely(!p)) {
        if (!(gfp & __GFP_WAIT) || in_atomic() || irqs_disabled())
            return NULL;
        p = alloc_slow(gfp, order);
        if (!p) {
            if (!(gfp & __GFP_NOWARN))
                pr_debug("%s: page allocation failure: order %u, gfp %#x", current->comm, order,
                         gfp);
            return NULL;
        }
    }
    return prepare(p, gfp, order);
}

void free_pages_block(struct page *p, unsigned order)
{
    BUG_ON(page_to_pfn(p) >= max_pfn || test_bit(PG_buddy, &p->flags) || PageReserved(p));
    BUG_ON(page_mapcount(p) != 0);
    atomic_set(&p->refcount, 0);
    p->flags = 0;
#ifdef FERN_DEBUG_PAGES
    memset(page_address(p), 0xe5, PAGE_SIZE << order);
#endif
    unsigned long flags = local_irq_save();
    struct pcp *c = &pcp[smp_processor_id()];
    if (order == 0 && c->count < PCP_HIGH) {
        list_add(&p->lru, &c->list);
        c->count++;
        local_irq_restore(flags);
        return;
    }
    spin_lock(&zone.lock);
    buddy_free(p, order);
    for (int i = 0; order == 0 && i < PCP_BATCH; i++) {
        struct page *old = list_last_entry(&c->list, struct page, lru);
        list_del(&old->lru);
        c->count--;
        buddy_free(old, 0);
    }
    spin_unlock_irqrestore(&zone.lock, flags);
}

void put_page(struct page *p)
{
    if (PageReserved(p) || !atomic_dec_and_test(&p->refcount))
        return;
    if (PageLRU(p))
        page_release_hook(p);
    free_pages_block(p, PageHead(p) ? p->order : 0);
}

void *get_free_page(gfp_t gfp)
{
    struct page *p = alloc_page(gfp);
    return p ? page_address(p) : NULL;
}

void free_page(void *va)
{
    if (va)
        put_page(virt_to_page(va));
}

void clear_page(void *va)
{
    memset(va, 0, PAGE_SIZE);
}

void copy_page(void *dst, const void *src)
{
    memcpy(dst, src, PAGE_SIZE);
}

u64 totalram_pages(void)
{
    return zone.total;
}

u64 watermark_min(void)
{
    return zone.min;
}

u64 watermark_low(void)
{
    return zone.low;
}

u64 watermark_high(void)
{
    return zone.high;
}

void mem_stats_get(struct mem_stats *s)
{
    *s = (struct mem_stats){
        .total = zone.total,
        .free = nr_free_pages(),
        .reserved_kernel = max_pfn - zone.total,
        .slab = (u64)atomic64_read(&mem_slab_pages),
        .kernel_stacks = (u64)atomic64_read(&mem_stack_pages),
        .page_tables = (u64)atomic64_read(&mem_pagetable_pages),
        .vmalloc = (u64)atomic64_read(&mem_vmalloc_pages),
    };
}

// Integer square root, for the watermark rule.
static u64 isqrt(u64 x)
{
    u64 r = 0;
    for (u64 bit = 1UL << 31; bit; bit >>= 1)
        if ((r | bit) * (r | bit) <= x)
            r |= bit;
    return r;
}

// min = 4 * sqrt(memory in KiB) KiB, as Linux's min_free_kbytes; low and high a quarter and a half
// above.
static void watermarks_set(void)
{
    zone.min = 4 * isqrt(zone.total * 4) / 4;
    zone.low = zone.min + zone.min / 4;
    zone.high = zone.min + zone.min / 2;
}

static void release_range(u64 start, u64 end)
{
    u64 pfn = start >> PAGE_SHIFT, stop = end >> PAGE_SHIFT;
    zone.total += stop - pfn;
    while (pfn < stop) {
        unsigned order = pfn ? min(ctz64(pfn), (unsigned)MAX_ORDER - 1) : MAX_ORDER - 1;
        while (pfn + (1UL << order) > stop)
            order--;
        for (u64 i = 0; i < 1UL << order; i++)
            pfn_to_page(pfn + i)->flags = 0;
        buddy_free(pfn_to_page(pfn), order);
        pfn += 1UL << order;
    }
}

void page_alloc_init(void)
{
    memset(&zone, 0, sizeof(zone)); // host tests start over
    memset(pcp, 0, sizeof(pcp));
    spin_lock_init_rank(&zone.lock, LOCK_ZONE);
    for (int o = 0; o < MAX_ORDER; o++)
        INIT_LIST_HEAD(&zone.free[o]);
    for (int c = 0; c < NR_CPUS; c++)
        INIT_LIST_HEAD(&pcp[c].list);
    for (u64 pfn = 0; pfn < max_pfn; pfn++)
        pfn_to_page(pfn)->flags = BIT(PG_reserved);
    boot_for_each_free(release_range);
    watermarks_set();
    zero_page = alloc_page(GFP_KERNEL | __GFP_ZERO);
    SetPageReserved(zero_page);
    pr_info("memory: %lu MiB, %lu KiB free for use", (max_pfn << PAGE_SHIFT) >> 20,
            zone.total << (PAGE_SHIFT - 10));
}

// Gives back boot memory that is no longer needed (initramfs, device tree blob).
void page_alloc_release(u64 start, u64 end)
{
    unsigned long flags;
    spin_lock_irqsave(&zone.lock, flags);
    release_range(PAGE_ALIGN(start), ALIGN_DOWN(end, PAGE_SIZE));
    spin_unlock_irqrestore(&zone.lock, flags);
}
