// SPDX-License-Identifier: MIT
// Object caches: slabs of one or more frames with a free list threaded through the objects, and a
// per-CPU stack of free objects in front. kmalloc is a row of such caches.
#include "mm/slab.h"

#include "mm/fail_inject.h"

#include "arch/x86_64/percpu.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/page.h"
#include "sched/lock.h"

#define CPU_OBJECTS 32
#define CPU_BATCH 16
#define KMALLOC_MAX_CACHE 8192

struct kmem_cache {
    const char *name;
    u32 size; // of an object with its alignment
    u32 object_size;
    u32 per_slab;
    u32 order;
    u32 flags;
    spinlock_t lock;
    struct list_head partial; // slabs with free objects
    u64 nr_slabs, in_use;     // in_use counts objects on the CPU stacks too
    struct list_head entry;
    struct {
        unsigned count;
        void *objects[CPU_OBJECTS];
    } cpu[NR_CPUS];
};

static LIST_HEAD(caches);
static DEFINE_SPINLOCK(caches_lock);
static struct kmem_cache cache_cache; // caches themselves
static struct kmem_cache kmalloc_caches[14];
static const struct {
    u16 size;
    const char *name;
} kmalloc_sizes[14] = {{8, "kmalloc-8"},     {16, "kmalloc-16"},   {32, "kmalloc-32"},
                       {64, "kmalloc-64"},   {96, "kmalloc-96"},   {128, "kmalloc-128"},
                       {192, "kmalloc-192"}, {256, "kmalloc-256"}, {512, "kmalloc-512"},
                       {1024, "kmalloc-1k"}, {2048, "kmalloc-2k"}, {4096, "kmalloc-4k"},
                       {6144, "kmalloc-6k"}, {8192, "kmalloc-8k"}};
static u8 kmalloc_index[KMALLOC_MAX_CACHE / 8 + 1]; // by (size + 7) / 8

static void cache_setup(struct kmem_cache *c, const char *name, size_t size, size_t align,
                        unsigned flags)
{
    align = max(align, (size_t)8);
    c->name = name;
    c->object_size = (u32)size;
    c->size = (u32)ALIGN_UP(max(size, (size_t)8), align);
    c->flags = flags;
    // At least 8 objects per slab, or three quarters of it in use.
    while (c->order < 3 && ((PAGE_SIZE << c->order) / c->size < 8) &&
           (PAGE_SIZE << c->order) % c->size > (PAGE_SIZE << c->order) / 8)
        c->order++;
    while ((PAGE_SIZE << c->order) < c->size)
        c->order++;
    c->per_slab = (u32)((PAGE_SIZE << c->order) / c->size);
    spin_lock_init(&c->lock);
    INIT_LIST_HEAD(&c->partial);
    unsigned long irq;
    spin_lock_irqsave(&caches_lock, irq);
    list_add_tail(&c->entry, &caches);
    spin_unlock_irqrestore(&caches_lock, irq);
}

static struct page *slab_of(const void *obj)
{
    struct page *p = virt_to_page(obj);
    return p - p->zone_flags; // frames of a slab know their distance from its head
}

static struct page *slab_new(struct kmem_cache *c, gfp_t gfp)
{
    struct page *p = alloc_pages(gfp & ~__GFP_ZERO, c->order);
    if (!p)
        return NULL;
    for (u32 i = 0; i < 1U << c->order; i++) {
        p[i].flags = BIT(PG_slab) | (i ? 0 : p->flags);
        p[i].zone_flags = i;
    }
    p->slab_cache = c;
    p->slab_inuse = 0;
    p->slab_freelist = NULL;
    char *base = page_address(p);
    for (u32 i = c->per_slab; i-- > 0;) {
        void **obj = (void **)(base + (size_t)i * c->size);
        *obj = p->slab_freelist;
        p->slab_freelist = obj;
    }
    atomic64_add(1L << c->order, &mem_slab_pages);
    return p;
}

static void slab_destroy(struct kmem_cache *c, struct page *p)
{
    for (u32 i = 1; i < 1U << c->order; i++) {
        p[i].flags = 0;
        p[i].zone_flags = 0;
    }
    p->slab_cache = NULL;
    atomic64_sub(1L << c->order, &mem_slab_pages);
    free_pages_block(p, c->order);
}

// c->lock held. One object from a partial slab, or NULL.
static void *take_object(struct kmem_cache *c)
{
    if (list_empty(&c->partial))
        return NULL;
    struct page *p = list_first_entry(&c->partial, struct page, slab_list);
    void **obj = p->slab_freelist;
    p->slab_freelist = *obj;
    c->in_use++;
    if (++p->slab_inuse == c->per_slab)
        list_del_init(&p->slab_list);
    return obj;
}

// c->lock held. Returns a slab that became empty and should be freed, or NULL.
static struct page *give_object(struct kmem_cache *c, void **obj)
{
    struct page *p = slab_of(obj);
    *obj = p->slab_freelist;
    p->slab_freelist = obj;
    c->in_use--;
    if (p->slab_inuse-- == c->per_slab)
        list_add(&p->slab_list, &c->partial);
    if (p->slab_inuse || list_is_singular(&c->partial))
        return NULL;
    list_del_init(&p->slab_list);
    c->nr_slabs--;
    return p;
}

// Fills the CPU's stack; interrupts may be on. False without memory.
static bool refill(struct kmem_cache *c, gfp_t gfp)
{
    struct page *fresh = NULL;
    for (;;) {
        unsigned long flags;
        spin_lock_irqsave(&c->lock, flags);
        if (fresh) {
            list_add(&fresh->slab_list, &c->partial);
            c->nr_slabs++;
            fresh = NULL;
        }
        __auto_type cpu = &c->cpu[smp_processor_id()];
        void *obj;
        while (cpu->count < CPU_BATCH && (obj = take_object(c)))
            cpu->objects[cpu->count++] = obj;
        bool ok = cpu->count != 0;
        spin_unlock_irqrestore(&c->lock, flags);
        if (ok)
            return true;
        fresh = slab_new(c, gfp);
        if (!fresh)
            return false;
    }
}

void *kmem_cache_alloc(struct kmem_cache *c, gfp_t gfp)
{
    if (gfp & __GFP_WAIT)
        might_sleep();
    void *obj = NULL;
    if (should_fail_alloc(gfp))
        return NULL;
    do {
        unsigned long flags = local_irq_save();
        __auto_type cpu = &c->cpu[smp_processor_id()];
        if (likely(cpu->count))
            obj = cpu->objects[--cpu->count];
        local_irq_restore(flags);
    } while (unlikely(!obj) && refill(c, gfp));
    if (!obj)
        return NULL;
    if ((gfp & __GFP_ZERO) || (c->flags & SLAB_ZERO))
        memset(obj, 0, c->object_size);
#ifdef FERN_DEBUG_PAGES
    else
        memset(obj, 0x5a, c->object_size);
#endif
    return obj;
}

static __noinline void drain(struct kmem_cache *c, unsigned keep)
{
    struct page *empty[CPU_OBJECTS];
    unsigned n = 0;
    unsigned long flags;
    spin_lock_irqsave(&c->lock, flags);
    __auto_type cpu = &c->cpu[smp_processor_id()];
    while (cpu->count > keep) {
        struct page *p = give_object(c, cpu->objects[--cpu->count]);
        if (p)
            empty[n++] = p;
    }
    spin_unlock_irqrestore(&c->lock, flags);
    while (n)
        slab_destroy(c, empty[--n]);
}

void kmem_cache_free(struct kmem_cache *c, void *obj)
{
    if (!obj)
        return;
#ifdef FERN_DEBUG_PAGES
    BUG_ON(!PageSlab(slab_of(obj)) || slab_of(obj)->slab_cache != c);
    memset(obj, 0xe5, c->object_size);
#endif
    for (;;) {
        unsigned long flags = local_irq_save();
        __auto_type cpu = &c->cpu[smp_processor_id()];
        bool room = cpu->count < CPU_OBJECTS;
        if (likely(room))
            cpu->objects[cpu->count++] = obj;
        local_irq_restore(flags);
        if (likely(room))
            return;
        drain(c, CPU_OBJECTS - CPU_BATCH);
    }
}

struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align, unsigned flags)
{
    struct kmem_cache *c = kmem_cache_alloc(&cache_cache, GFP_KERNEL | __GFP_ZERO);
    if (c)
        cache_setup(c, name, size, align, flags);
    return c;
}

void kmem_cache_destroy(struct kmem_cache *c)
{
    drain(c, 0);
    if (c->in_use)
        pr_warn("slab: %s destroyed with %lu objects in use", c->name, c->in_use);
    unsigned long flags;
    spin_lock_irqsave(&caches_lock, flags);
    list_del(&c->entry);
    spin_unlock_irqrestore(&caches_lock, flags);
    struct page *p, *next;
    list_for_each_entry_safe(p, next, &c->partial, slab_list) if (!p->slab_inuse)
        slab_destroy(c, p);
    if (!c->in_use)
        kmem_cache_free(&cache_cache, c);
}

bool kmem_cache_describe(unsigned i, const char **name, size_t *size, u64 *in_use, u64 *total)
{
    struct kmem_cache *c;
    bool found = false;
    unsigned long flags;
    spin_lock_irqsave(&caches_lock, flags);
    list_for_each_entry(c, &caches, entry)
    {
        if (i--)
            continue;
        *name = c->name;
        *size = c->object_size;
        *in_use = c->in_use;
        for (unsigned cpu = 0; cpu < nr_cpus_online; cpu++)
            *in_use -= c->cpu[cpu].count;
        *total = c->nr_slabs * c->per_slab;
        found = true;
        break;
    }
    spin_unlock_irqrestore(&caches_lock, flags);
    return found;
}

void *kmalloc(size_t size, gfp_t gfp)
{
    if (size <= KMALLOC_MAX_CACHE)
        return kmem_cache_alloc(&kmalloc_caches[kmalloc_index[(size + 7) / 8]], gfp);
    if (size > PAGE_SIZE << (MAX_ORDER - 1))
        return NULL;
    struct page *p = alloc_pages(gfp, order_base_2(DIV_ROUND_UP(size, PAGE_SIZE)));
    return p ? page_address(p) : NULL;
}

void *kcalloc(size_t n, size_t size, gfp_t gfp)
{
    size_t bytes;
    return __builtin_mul_overflow(n, size, &bytes) ? NULL : kzalloc(bytes, gfp);
}

void kfree(const void *ptr)
{
    if (!ptr)
        return;
    struct page *p = slab_of(ptr);
    if (PageSlab(p))
        kmem_cache_free(p->slab_cache, (void *)ptr);
    else
        put_page(p);
}

size_t ksize(const void *ptr)
{
    struct page *p = slab_of(ptr);
    return PageSlab(p) ? p->slab_cache->object_size : PAGE_SIZE << (PageHead(p) ? p->order : 0);
}

void *krealloc(void *old, size_t size, gfp_t gfp)
{
    if (old && ksize(old) >= size)
        return old;
    void *fresh = kmalloc(size, gfp);
    if (fresh && old) {
        memcpy(fresh, old, ksize(old));
        kfree(old);
    }
    return fresh;
}

void slab_init(void)
{
    cache_setup(&cache_cache, "kmem_cache", sizeof(struct kmem_cache), 64, SLAB_ZERO);
    unsigned index = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(kmalloc_sizes); i++) {
        size_t size = kmalloc_sizes[i].size;
        cache_setup(&kmalloc_caches[i], kmalloc_sizes[i].name, size,
                    size & (size - 1) ? 8 : min(size, PAGE_SIZE), 0);
        for (; index <= size / 8; index++)
            kmalloc_index[index] = (u8)i;
    }
}
