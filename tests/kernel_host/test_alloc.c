// SPDX-License-Identifier: MIT
// Buddy allocator and slab: no overlap, merging back to the start, watermarks, sizes, exhaustion.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core_shim.h"
#include "lib/list.h"
#include "mm/page.h"
#include "mm/slab.h"

#define PAGES 8192UL

static int setup(void **state)
{
    (void)state;
    shim_arena_init(PAGES);
    page_alloc_init();
    return 0;
}

// The largest block that can be had, as a measure of merging.
static unsigned largest_blocks(void)
{
    static struct page *got[PAGES >> (MAX_ORDER - 1)];
    unsigned n = 0;
    while (n < ARRAY_SIZE(got) && (got[n] = alloc_pages(GFP_ATOMIC, MAX_ORDER - 1)))
        n++;
    for (unsigned i = 0; i < n; i++)
        free_pages_block(got[i], MAX_ORDER - 1);
    return n;
}

static void buddy_random(void **state)
{
    (void)state;
    static struct { struct page *p; unsigned order; u8 fill; } held[400];
    static u8 owner[PAGES];
    memset(held, 0, sizeof(held));
    memset(owner, 0, sizeof(owner));
    u64 free_before = nr_free_pages();
    unsigned big_before = largest_blocks();
    assert_true(big_before >= 5);
    srand(3);
    for (int step = 0; step < 60000; step++) {
        int i = rand() % 400;
        if (held[i].p) {
            u64 pfn = page_to_pfn(held[i].p);
            for (u64 k = 0; k < 1UL << held[i].order; k++) {
                assert_int_equal(owner[pfn + k], 1);
                owner[pfn + k] = 0;
                assert_int_equal(*(u8 *)page_address(held[i].p + k), held[i].fill);
            }
            put_page(held[i].p);
            held[i].p = NULL;
            continue;
        }
        unsigned order = (unsigned)rand() % 6;
        struct page *p = alloc_pages(rand() % 4 ? GFP_NOWAIT : GFP_ATOMIC, order);
        if (!p)
            continue;
        u64 pfn = page_to_pfn(p);
        assert_int_equal(pfn & ((1UL << order) - 1), 0);
        assert_int_equal(page_count(p), 1);
        held[i].p = p;
        held[i].order = order;
        held[i].fill = (u8)(step | 1);
        for (u64 k = 0; k < 1UL << order; k++) {
            assert_int_equal(owner[pfn + k], 0);
            owner[pfn + k] = 1;
            *(u8 *)page_address(p + k) = held[i].fill;
        }
    }
    for (int i = 0; i < 400; i++)
        if (held[i].p)
            put_page(held[i].p);
    assert_int_equal(nr_free_pages(), free_before);
    // Single frames that wait in the per-CPU list may split at most a few large blocks.
    assert_true(largest_blocks() + 4 >= big_before);
}

static void reserves(void **state)
{
    (void)state;
    LIST_HEAD(all);
    struct page *p;
    while ((p = alloc_page(GFP_NOWAIT)))
        list_add(&p->lru, &all);
    u64 left = nr_free_pages();
    assert_true(left >= watermark_min() / 2);
    assert_non_null(p = alloc_page(GFP_ATOMIC)); // goes deeper
    list_add(&p->lru, &all);
    while ((p = alloc_page(GFP_ATOMIC)))
        list_add(&p->lru, &all);
    assert_non_null(p = alloc_page(GFP_NOWAIT | __GFP_MEMALLOC)); // the last ones
    list_add(&p->lru, &all);
    while ((p = alloc_page(GFP_NOWAIT | __GFP_MEMALLOC)))
        list_add(&p->lru, &all);
    assert_int_equal(nr_free_pages(), 0);
    struct page *next;
    list_for_each_entry_safe(p, next, &all, lru)
        put_page(p);
    assert_int_equal(nr_free_pages(), totalram_pages() - 1); // the zero page stays
}

static void zeroed(void **state)
{
    (void)state;
    struct page *p = alloc_pages(GFP_NOWAIT, 2);
    memset(page_address(p), 0xff, 4 * PAGE_SIZE);
    put_page(p);
    for (int i = 0; i < 50; i++) {
        p = alloc_pages(GFP_NOWAIT | __GFP_ZERO, 2);
        for (unsigned k = 0; k < 4 * PAGE_SIZE; k += 64)
            assert_int_equal(*((u8 *)page_address(p) + k), 0);
        memset(page_address(p), 0xff, 4 * PAGE_SIZE);
        put_page(p);
    }
    put_page(p = alloc_page(GFP_NOWAIT));
}

static void slab_random(void **state)
{
    (void)state;
    static struct { u8 *p; size_t n; u8 fill; } held[600];
    memset(held, 0, sizeof(held));
    srand(4);
    for (int step = 0; step < 60000; step++) {
        int i = rand() % 600;
        if (held[i].p) {
            for (size_t k = 0; k < held[i].n; k++)
                assert_int_equal(held[i].p[k], held[i].fill);
            kfree(held[i].p);
            held[i].p = NULL;
            continue;
        }
        size_t n = rand() % 8 ? 1 + (size_t)rand() % 600 : 1 + (size_t)rand() % 30000;
        bool zero = rand() % 2;
        held[i].p = zero ? kzalloc(n, GFP_NOWAIT) : kmalloc(n, GFP_NOWAIT);
        if (!held[i].p)
            continue;
        assert_true(ksize(held[i].p) >= n);
        if (zero)
            for (size_t k = 0; k < n; k++)
                assert_int_equal(held[i].p[k], 0);
        if (!(n & (n - 1)))
            assert_int_equal(virt_to_phys(held[i].p) & (min(n, PAGE_SIZE) - 1), 0);
        held[i].n = n;
        held[i].fill = (u8)(step | 1);
        memset(held[i].p, held[i].fill, n);
    }
    for (int i = 0; i < 600; i++)
        kfree(held[i].p);
}

static void slab_exhaustion_and_return(void **state)
{
    (void)state;
    struct kmem_cache *c = kmem_cache_create("test", 200, 64, 0);
    void **all = calloc(PAGES * 25, sizeof(void *));
    size_t n = 0;
    while ((all[n] = kmem_cache_alloc(c, GFP_NOWAIT))) {
        assert_int_equal(virt_to_phys(all[n]) % 64, 0);
        n++;
    }
    assert_true(n > PAGES * 10);
    while (n)
        kmem_cache_free(c, all[--n]);
    free(all);
    kmem_cache_destroy(c);
    assert_true(nr_free_pages() > totalram_pages() - 400);
}

static void reallocation(void **state)
{
    (void)state;
    char *p = NULL;
    for (size_t n = 1; n < 20000; n = n * 3 / 2 + 1) {
        p = krealloc(p, n, GFP_NOWAIT);
        assert_non_null(p);
        p[n - 1] = (char)n;
        p[0] = 'x';
    }
    assert_int_equal(p[0], 'x');
    kfree(p);
    assert_null(kcalloc(~0UL / 2, 4, GFP_NOWAIT));
}

int main(void)
{
    shim_arena_init(PAGES);
    page_alloc_init();
    const struct CMUnitTest buddy[] = {
        cmocka_unit_test_setup(buddy_random, setup),
        cmocka_unit_test_setup(reserves, setup),
        cmocka_unit_test_setup(zeroed, setup),
    };
    const struct CMUnitTest slab[] = {
        cmocka_unit_test(slab_random),
        cmocka_unit_test(slab_exhaustion_and_return),
        cmocka_unit_test(reallocation),
    };
    int failed = cmocka_run_group_tests(buddy, NULL, NULL);
    setup(NULL);
    slab_init();
    return failed + cmocka_run_group_tests(slab, NULL, NULL);
}
