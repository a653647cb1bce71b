// SPDX-License-Identifier: MIT
// lib/ of the kernel: trees, radix tree, ids, formatted output, numbers, bitmaps; against models and the C library.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "abi/errno.h"
#include "lib/bitops.h"
#include "lib/idr.h"
#include "lib/rbtree.h"
#include "lib/xarray.h"

int ksnprintf(char *buf, size_t size, const char *fmt, ...);
int kstrtou64(const char *s, unsigned base, u64 *out);
int kstrtos64(const char *s, unsigned base, s64 *out);
size_t kstrlcpy(char *dst, const char *src, size_t size);

// The radix tree's and string functions' allocator.
static long live_objects, fail_after = -1;
struct kmem_cache;
struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align, unsigned flags);
struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align, unsigned flags)
{
    (void)name, (void)align, (void)flags;
    return (struct kmem_cache *)size;
}
void *kmem_cache_alloc(struct kmem_cache *c, u32 gfp);
void *kmem_cache_alloc(struct kmem_cache *c, u32 gfp)
{
    (void)gfp;
    if (fail_after >= 0 && fail_after-- == 0)
        return NULL;
    live_objects++;
    return calloc(1, (size_t)c);
}
void kmem_cache_free(struct kmem_cache *c, void *p);
void kmem_cache_free(struct kmem_cache *c, void *p)
{
    (void)c;
    live_objects--;
    free(p);
}
void *kmalloc(size_t n, u32 gfp);
void *kmalloc(size_t n, u32 gfp)
{
    (void)gfp;
    return malloc(n);
}

struct item {
    struct rb_node node;
    int key;
    bool in;
};

static bool item_less(const struct rb_node *a, const struct rb_node *b)
{
    return rb_entry(a, struct item, node)->key < rb_entry(b, struct item, node)->key;
}

// Checks order, parent links, no red child of red, equal black heights. Returns the black height.
static int check_tree(const struct rb_node *n, const struct rb_node *parent)
{
    if (!n)
        return 1;
    assert_ptr_equal(n->parent, parent);
    if (n->red)
        assert_true(!(n->left && n->left->red) && !(n->right && n->right->red));
    int left = check_tree(n->left, n), right = check_tree(n->right, n);
    assert_int_equal(left, right);
    return left + !n->red;
}

static void check_order(const struct rb_root_cached *root, int count)
{
    int seen = 0, last = -1;
    assert_ptr_equal(rb_first(&root->root), root->leftmost);
    for (struct rb_node *n = rb_first(&root->root); n; n = rb_next(n), seen++) {
        assert_true(rb_entry(n, struct item, node)->key >= last);
        last = rb_entry(n, struct item, node)->key;
    }
    assert_int_equal(seen, count);
    for (struct rb_node *n = rb_last(&root->root); n; n = rb_prev(n))
        seen--;
    assert_int_equal(seen, 0);
}

static void rbtree_random(void **state)
{
    (void)state;
    static struct item items[200];
    struct rb_root_cached root = RB_ROOT_CACHED;
    int count = 0;
    srand(1);
    for (int step = 0; step < 20000; step++) {
        struct item *it = &items[rand() % 200];
        if (it->in) {
            rb_erase_cached(&it->node, &root);
            count--;
        } else {
            it->key = rand() % 60; // many equal keys
            rb_add_cached(&it->node, &root, item_less);
            count++;
        }
        it->in = !it->in;
        assert_false(root.root.node && root.root.node->red);
        check_tree(root.root.node, NULL);
        if (step % 16 == 0)
            check_order(&root, count);
    }
}

static void rbtree_equal_keys_keep_order(void **state)
{
    (void)state;
    static struct item items[10];
    struct rb_root_cached root = RB_ROOT_CACHED;
    for (int i = 0; i < 10; i++) {
        items[i].key = 5;
        rb_add_cached(&items[i].node, &root, item_less);
    }
    int i = 0;
    for (struct rb_node *n = rb_first(&root.root); n; n = rb_next(n))
        assert_ptr_equal(n, &items[i++].node);
}

#define MODEL 4096
static const unsigned long spread[] = {0, 100, 4090, 262100, 1UL << 40, ~0UL - 63};

static void xarray_against_model(void **state)
{
    (void)state;
    static struct { bool in, marked; } model[MODEL];
    struct xarray xa = XARRAY_INIT;
    memset(model, 0, sizeof(model));
    srand(2);
    for (int step = 0; step < 50000; step++) {
        unsigned m = (unsigned)rand() % 384;
        unsigned long key = spread[m / 64] + m % 64;
        switch (rand() % 4) {
        case 0:
        case 1:
            assert_int_equal(xa_insert(&xa, key, (void *)(key * 2 + 1)), model[m].in ? -EEXIST : 0);
            model[m].in = true;
            break;
        case 2:
            assert_int_equal((xa_erase(&xa, key) != NULL), model[m].in);
            model[m].in = model[m].marked = false;
            break;
        case 3:
            if (model[m].marked)
                xa_clear_mark(&xa, key, XA_MARK_DIRTY);
            else
                xa_set_mark(&xa, key, XA_MARK_DIRTY);
            model[m].marked = model[m].in && !model[m].marked;
        }
        assert_ptr_equal(xa_load(&xa, key), model[m].in ? (void *)(key * 2 + 1) : NULL);
        assert_int_equal(xa_get_mark(&xa, key, XA_MARK_DIRTY), model[m].marked);
    }
    // Walks see exactly the model, in order.
    unsigned long at = 0, previous = 0, n = 0, dirty = 0;
    void *e;
    xa_for_each(&xa, at, e)
    {
        assert_true(!n || at > previous);
        assert_ptr_equal(e, (void *)(at * 2 + 1));
        previous = at;
        n++;
    }
    assert_int_equal(n, xa.count);
    at = 0;
    while (xa_find_marked(&xa, &at, ~0UL, XA_MARK_DIRTY)) {
        assert_true(xa_get_mark(&xa, at, XA_MARK_DIRTY));
        dirty++;
        if (at++ == ~0UL)
            break;
    }
    assert_int_equal(dirty != 0, xa_marked(&xa, XA_MARK_DIRTY));
    xa_destroy(&xa);
    assert_int_equal(live_objects, 0);
}

static void xarray_without_memory(void **state)
{
    (void)state;
    struct xarray xa = XARRAY_INIT;
    assert_int_equal(xa_store(&xa, 3, &xa), 0);
    for (long n = 0; n < 20; n++) {
        fail_after = n;
        int err = xa_store(&xa, 1UL << 50, &xa);
        fail_after = -1;
        assert_true(err == 0 || err == -ENOMEM);
        assert_ptr_equal(xa_load(&xa, 3), &xa);
        assert_ptr_equal(xa_load(&xa, 1UL << 50), err ? NULL : &xa);
        if (!err)
            break;
        assert_true(n < 19);
    }
    xa_destroy(&xa);
    assert_int_equal(live_objects, 0);
}

static void idr_cyclic(void **state)
{
    (void)state;
    struct idr idr;
    idr_init(&idr);
    for (int i = 2; i < 10; i++)
        assert_int_equal(idr_alloc_cyclic(&idr, &idr, 2, 10), i);
    assert_int_equal(idr_alloc_cyclic(&idr, &idr, 2, 10), -ENOSPC);
    idr_remove(&idr, 4);
    idr_remove(&idr, 7);
    assert_int_equal(idr_alloc_cyclic(&idr, &idr, 2, 10), 4);
    assert_int_equal(idr_alloc_cyclic(&idr, &idr, 2, 10), 7);
    idr_remove(&idr, 3);
    idr_remove(&idr, 9);
    assert_int_equal(idr_alloc_cyclic(&idr, &idr, 2, 10), 9); // goes on, does not start over
    assert_int_equal(idr_alloc(&idr, &idr, 2, 10), 3);
    unsigned id = 5;
    assert_ptr_equal(idr_get_next(&idr, &id), &idr);
    assert_int_equal(id, 5);
    idr_destroy(&idr);
}

#define SAME(...)                                                                                  \
    do {                                                                                           \
        char mine[64], theirs[64];                                                                 \
        int a = ksnprintf(mine, sizeof(mine), __VA_ARGS__), b = snprintf(theirs, sizeof(theirs), __VA_ARGS__); \
        assert_string_equal(mine, theirs);                                                         \
        assert_int_equal(a, b);                                                                    \
    } while (0)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat"
static void printf_like_libc(void **state)
{
    (void)state;
    SAME("%d %i %u %x %X %o %c %s %%", -5, 7, 3000000000u, 0xbeef, 0xbeef, 0755, 'z', "text");
    SAME("[%5d] [%-5d] [%05d] [%+d] [% d] [%.3d] [%8.3d]", 42, 42, 42, 42, 42, 42, 42);
    SAME("[%10s] [%-10s] [%.2s] [%*s] [%.*s]", "abc", "abc", "abc", 6, "abc", 1, "abc");
    SAME("%ld %lu %llx %zu %hhd %hu", -1L, ~0UL, 1ULL << 60, (size_t)9, 300, 70000);
    SAME("%#x %#o %#X %#x %08lx %-#8x|", 255, 8, 255, 0, 0x1234UL, 17);
    const char *volatile longer = "a string that is longer than the buffer that it goes into, so it is cut, in both";
    SAME("%s", longer);
    SAME("%.0d|%d|%x", 0, 0, 0);
    SAME("%ld %d", INT64_MIN, INT32_MIN);
    char two[2];
    assert_int_equal(ksnprintf(two, 2, "abc"), 3);
    assert_string_equal(two, "a");
    assert_int_equal(ksnprintf(NULL, 0, "%d", 12345), 5);
}
#pragma GCC diagnostic pop

static void numbers(void **state)
{
    (void)state;
    u64 u;
    s64 s;
    assert_int_equal(kstrtou64("123", 10, &u), 0);
    assert_int_equal(u, 123);
    assert_int_equal(kstrtou64("0x1f\n", 0, &u), 0);
    assert_int_equal(u, 31);
    assert_int_equal(kstrtou64("017", 0, &u), 0);
    assert_int_equal(u, 15);
    assert_int_equal(kstrtou64("18446744073709551615", 10, &u), 0);
    assert_int_equal(kstrtou64("18446744073709551616", 10, &u), -ERANGE);
    assert_int_equal(kstrtou64("", 10, &u), -EINVAL);
    assert_int_equal(kstrtou64("12x", 10, &u), -EINVAL);
    assert_int_equal(kstrtou64("-1", 10, &u), -EINVAL);
    assert_int_equal(kstrtos64("-9223372036854775808", 10, &s), 0);
    assert_true(s == INT64_MIN);
    assert_int_equal(kstrtos64("-9223372036854775809", 10, &s), -ERANGE);
    assert_int_equal(kstrtos64("9223372036854775808", 10, &s), -ERANGE);
    char buf[4];
    assert_int_equal(kstrlcpy(buf, "abcdef", sizeof(buf)), 6);
    assert_string_equal(buf, "abc");
}

static void bitmaps(void **state)
{
    (void)state;
    unsigned long map[4] = {0};
    assert_int_equal(find_first_bit(map, 256), 256);
    assert_int_equal(find_first_zero_bit(map, 256), 0);
    for (unsigned i = 0; i < 256; i++) {
        set_bit(i, map);
        assert_int_equal(find_next_bit(map, 256, i ? i : 0), i);
        assert_int_equal(find_first_zero_bit(map, 256), i + 1);
        assert_int_equal(find_next_bit(map, i, i), i);
    }
    clear_bit(200, map);
    assert_int_equal(find_next_zero_bit(map, 256, 3), 200);
    assert_int_equal(find_next_zero_bit(map, 200, 3), 200);
    assert_int_equal(order_base_2(1), 0);
    assert_int_equal(order_base_2(5), 3);
    assert_int_equal(order_base_2(8), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rbtree_random),
        cmocka_unit_test(rbtree_equal_keys_keep_order),
        cmocka_unit_test(xarray_against_model),
        cmocka_unit_test(xarray_without_memory),
        cmocka_unit_test(idr_cyclic),
        cmocka_unit_test(printf_like_libc),
        cmocka_unit_test(numbers),
        cmocka_unit_test(bitmaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
