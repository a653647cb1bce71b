// SPDX-License-Identifier: MIT
// Object caches and kmalloc. Any context with GFP_ATOMIC; kfree anywhere.
#pragma once

#include "mm/gfp.h"

struct kmem_cache;
#define SLAB_ZERO 0x1u

// name must live on. align 0 = 8. Panics only at boot without memory; else NULL.
struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align, unsigned flags);
void *kmem_cache_alloc(struct kmem_cache *c, gfp_t gfp);
static inline void *kmem_cache_zalloc(struct kmem_cache *c, gfp_t gfp)
{
    return kmem_cache_alloc(c, gfp | __GFP_ZERO);
}
void kmem_cache_free(struct kmem_cache *c, void *obj);
void kmem_cache_destroy(struct kmem_cache *c);
// i-th cache for /proc/slabinfo; false at the end.
bool kmem_cache_describe(unsigned i, const char **name, size_t *size, u64 *in_use, u64 *total);

// Up to 4 MiB, naturally aligned for powers of two; larger or unlucky: kvmalloc. NULL without
// memory.
void *kmalloc(size_t size, gfp_t gfp);
static inline void *kzalloc(size_t size, gfp_t gfp)
{
    return kmalloc(size, gfp | __GFP_ZERO);
}
void *kcalloc(size_t n, size_t size, gfp_t gfp); // overflow-checked, zeroed
void *krealloc(void *p, size_t size, gfp_t gfp);
void kfree(const void *p); // NULL is fine
size_t ksize(const void *p);
void *kvmalloc(size_t size, gfp_t gfp); // kmalloc or vmalloc; task context
void kvfree(const void *p);
void slab_init(void);
