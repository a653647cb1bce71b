// SPDX-License-Identifier: MIT
// Kernel virtual areas by first fit in an ordered list, a guard page after each; kernel stacks with
// a small cache.
#include "mm/vmalloc.h"

#include "arch/x86_64/paging.h"
#include "arch/x86_64/thread.h"
#include "lib/list.h"
#include "lib/printk.h"
#include "mm/page.h"
#include "mm/shrinker.h"
#include "mm/slab.h"
#include "sched/lock.h"

#define STACK_CACHE 16
#define STACK_PAGES (KERNEL_STACK_SIZE / PAGE_SIZE)

struct area {
    struct list_head entry; // by address
    u64 start, size;        // without the guard page
    bool stack, owns_frames;
};
static LIST_HEAD(areas);
static DEFINE_SPINLOCK(areas_lock);
static struct area *hint; // first fit starts after this one

static void *stack_cache[STACK_CACHE];
static unsigned stack_cached;
static DEFINE_SPINLOCK(stack_lock);

// The gap after `a` (or at the start), if size + guard fits: its address, else 0.
static u64 gap_after(struct list_head *at, u64 size)
{
    u64 start = at == &areas ? VMALLOC_START + PAGE_SIZE
                             : list_entry(at, struct area, entry)->start +
                                   list_entry(at, struct area, entry)->size + PAGE_SIZE;
    u64 end = at->next == &areas ? VMALLOC_END : list_entry(at->next, struct area, entry)->start;
    return end > start && end - start >= size + PAGE_SIZE ? start : 0;
}

static struct area *area_reserve(size_t size)
{
    struct area *a = kzalloc(sizeof(*a), GFP_KERNEL);
    if (!a)
        return NULL;
    size = PAGE_ALIGN(size);
    spin_lock(&areas_lock);
    struct list_head *first = hint ? &hint->entry : &areas, *at = first;
    do {
        u64 start = gap_after(at, size);
        if (start) {
            a->start = start;
            a->size = size;
            list_add(&a->entry, at);
            hint = a;
            spin_unlock(&areas_lock);
            return a;
        }
        at = at->next;
    } while (at != first);
    spin_unlock(&areas_lock);
    kfree(a);
    return NULL;
}

// The area of exactly this start; NULL if there is none. Its owner alone may let it go.
static struct area *area_find(u64 start)
{
    struct area *a, *found = NULL;
    spin_lock(&areas_lock);
    list_for_each_entry(a, &areas, entry)
    {
        if (a->start == start) {
            found = a;
            break;
        }
    }
    spin_unlock(&areas_lock);
    return found;
}

// The addresses may be given out again: nothing is mapped there, on any CPU.
static void area_free(struct area *a)
{
    spin_lock(&areas_lock);
    if (hint == a)
        hint = a->entry.prev == &areas ? NULL : list_prev_entry(a, entry);
    list_del(&a->entry);
    spin_unlock(&areas_lock);
    kfree(a);
}

// Clears, flushes, frees.
static void unmap(struct area *a, u64 mapped)
{
    LIST_HEAD(frames);
    for (u64 off = 0; off < mapped; off += PAGE_SIZE) {
        phys_addr_t pa = kernel_unmap_page(a->start + off);
        if (a->owns_frames && pa)
            list_add(&pfn_to_page(pa >> PAGE_SHIFT)->lru, &frames);
    }
    tlb_flush_kernel(a->start, a->start + mapped);
    struct page *p, *next;
    list_for_each_entry_safe(p, next, &frames, lru)
    {
        put_page(p);
        atomic64_dec(a->stack ? &mem_stack_pages : &mem_vmalloc_pages);
    }
}

static void *map_new(size_t size, bool stack, gfp_t gfp)
{
    if (!size)
        return NULL;
    struct area *a = area_reserve(size);
    if (!a)
        return NULL;
    a->stack = stack;
    a->owns_frames = true;
    for (u64 off = 0; off < a->size; off += PAGE_SIZE) {
        struct page *p = alloc_page(gfp);
        if (!p || kernel_map_page(a->start + off, page_to_phys(p), PROT_KERNEL_DATA)) {
            if (p)
                put_page(p);
            unmap(a, off);
            area_free(a);
            return NULL;
        }
        atomic64_inc(stack ? &mem_stack_pages : &mem_vmalloc_pages);
    }
    return (void *)a->start;
}

void *vmalloc(size_t size)
{
    return map_new(size, false, GFP_KERNEL);
}

void *vzalloc(size_t size)
{
    return map_new(size, false, GFP_KERNEL | __GFP_ZERO);
}

void vfree(const void *p)
{
    if (!p)
        return;
    struct area *a = area_find((u64)p);
    BUG_ON(!a);
    unmap(a, a->size);
    area_free(a);
}

bool is_vmalloc_addr(const void *p)
{
    return (u64)p >= VMALLOC_START && (u64)p < VMALLOC_END;
}

u64 vmalloc_reserve(size_t size)
{
    struct area *a = area_reserve(size);
    return a ? a->start : 0;
}

void vmalloc_release(u64 va)
{
    struct area *a = area_find(va);
    if (!a)
        return;
    a->owns_frames = false;
    unmap(a, a->size);
    area_free(a);
}

void *kernel_stack_alloc(void)
{
    void *s = NULL;
    spin_lock(&stack_lock);
    if (stack_cached)
        s = stack_cache[--stack_cached];
    spin_unlock(&stack_lock);
    return s ? s : map_new(KERNEL_STACK_SIZE, true, GFP_KERNEL);
}

void kernel_stack_free(void *stack)
{
    spin_lock(&stack_lock);
    bool kept = stack_cached < STACK_CACHE;
    if (kept)
        stack_cache[stack_cached++] = stack;
    spin_unlock(&stack_lock);
    if (!kept)
        vfree(stack);
}

static u64 count_stacks(void)
{
    return READ_ONCE(stack_cached);
}

static u64 scan_stacks(u64 nr, gfp_t gfp)
{
    u64 freed = 0;
    for (; freed < nr; freed++) {
        void *s = NULL;
        spin_lock(&stack_lock);
        if (stack_cached)
            s = stack_cache[--stack_cached];
        spin_unlock(&stack_lock);
        if (!s)
            break;
        vfree(s);
    }
    return freed;
}

static struct shrinker stack_shrinker = {
    .name = "stacks", .count = count_stacks, .scan = scan_stacks};

// Called from the double fault handler: no locks.
bool is_stack_guard(u64 addr)
{
    if (addr < VMALLOC_START || addr >= VMALLOC_END)
        return false;
    u64 page = addr & PAGE_MASK;
    struct list_head *at = areas.next;
    for (int i = 0; i < 100000 && at != &areas; i++, at = at->next) {
        struct area *a = list_entry(at, struct area, entry);
        if (a->stack && a->start == page + PAGE_SIZE)
            return true;
    }
    return false;
}

void *kvmalloc(size_t size, gfp_t gfp)
{
    void *p = kmalloc(size, gfp | __GFP_NOWARN | __GFP_NOOOM);
    if (p || size <= PAGE_SIZE)
        return p;
    return map_new(size, false, gfp);
}

void kvfree(const void *p)
{
    if (is_vmalloc_addr(p))
        vfree(p);
    else
        kfree(p);
}

void vmalloc_init(void)
{
    // Areas are made on demand; the first keeps a guard page below it because the search starts one
    // page in.
    _Static_assert(STACK_PAGES * PAGE_SIZE == KERNEL_STACK_SIZE, "stacks are whole pages");
}

void vmalloc_late_init(void)
{
    shrinker_register(&stack_shrinker);
}
