// SPDX-License-Identifier: MIT
// Radix tree of 64-slot nodes; each node keeps per mark which of its slots (or subtrees) carry it.
#include "lib/xarray.h"

#include "abi/errno.h"
#include "lib/bitops.h"
#include "mm/slab.h"

struct xa_node {
    struct xa_node *parent;
    u8 shift;  // 0 for leaves
    u8 offset; // in the parent
    u8 count;  // slots in use
    u64 marks[XA_MARKS];
    void *slots[XA_SLOTS];
};

static struct kmem_cache *node_cache;

bool xarray_init(void)
{
    if (!node_cache)
        node_cache = kmem_cache_create("xa_node", sizeof(struct xa_node), 8, 0);
    return node_cache != NULL;
}

static struct xa_node *node_alloc(void)
{
    return xarray_init() ? kmem_cache_zalloc(node_cache, GFP_ATOMIC) : NULL;
}

static unsigned slot_of(const struct xa_node *n, unsigned long index)
{
    return (index >> n->shift) & (XA_SLOTS - 1);
}

// Greatest index that `height` levels can hold.
static unsigned long height_max(unsigned height)
{
    return height * XA_SHIFT >= 64 ? ~0UL : (1UL << (height * XA_SHIFT)) - 1;
}

void xa_init(struct xarray *xa)
{
    *xa = (struct xarray)XARRAY_INIT;
}

static struct xa_node *leaf_of(const struct xarray *xa, unsigned long index)
{
    struct xa_node *n = xa->root;
    if (!n || index > height_max(xa->height))
        return NULL;
    while (n && n->shift)
        n = n->slots[slot_of(n, index)];
    return n;
}

void *xa_load(const struct xarray *xa, unsigned long index)
{
    struct xa_node *n = leaf_of(xa, index);
    return n ? n->slots[slot_of(n, index)] : NULL;
}

// Adds levels on top until index fits.
static int grow(struct xarray *xa, unsigned long index)
{
    if (!xa->root) { // no empty nodes below the first one: nothing would ever prune them
        unsigned height = 1;
        while (index > height_max(height))
            height++;
        xa->root = node_alloc();
        if (!xa->root)
            return -ENOMEM;
        xa->root->shift = (u8)((height - 1) * XA_SHIFT);
        xa->height = height;
        return 0;
    }
    while (index > height_max(xa->height)) {
        struct xa_node *n = node_alloc();
        if (!n)
            return -ENOMEM;
        n->shift = (u8)(xa->height * XA_SHIFT);
        n->slots[0] = xa->root;
        n->count = 1;
        xa->root->parent = n;
        for (int m = 0; m < XA_MARKS; m++)
            n->marks[m] = xa->root->marks[m] != 0;
        xa->root = n;
        xa->height++;
    }
    return 0;
}

// Drops empty nodes from `n` upwards.
static void prune(struct xarray *xa, struct xa_node *n)
{
    while (n && n->count == 0) {
        struct xa_node *p = n->parent;
        if (p) {
            p->slots[n->offset] = NULL;
            p->count--;
            for (int m = 0; m < XA_MARKS; m++)
                p->marks[m] &= ~(1UL << n->offset);
        } else {
            xa->root = NULL;
            xa->height = 0;
        }
        kmem_cache_free(node_cache, n);
        n = p;
    }
}

static int store(struct xarray *xa, unsigned long index, void *entry, bool only_new)
{
    int err = grow(xa, index);
    if (err) {
        prune(xa, xa->root);
        return err;
    }
    struct xa_node *n = xa->root;
    while (n->shift) {
        unsigned s = slot_of(n, index);
        if (!n->slots[s]) {
            struct xa_node *child = node_alloc();
            if (!child) {
                prune(xa, n);
                return -ENOMEM;
            }
            child->shift = (u8)(n->shift - XA_SHIFT);
            child->offset = (u8)s;
            child->parent = n;
            n->slots[s] = child;
            n->count++;
        }
        n = n->slots[s];
    }
    unsigned s = slot_of(n, index);
    if (n->slots[s] && only_new)
        return -EEXIST;
    if (!n->slots[s]) {
        n->count++;
        xa->count++;
    }
    n->slots[s] = entry;
    return 0;
}

int xa_store(struct xarray *xa, unsigned long index, void *entry)
{
    if (!entry) {
        xa_erase(xa, index);
        return 0;
    }
    return store(xa, index, entry, false);
}

int xa_insert(struct xarray *xa, unsigned long index, void *entry)
{
    return store(xa, index, entry, true);
}

void *xa_erase(struct xarray *xa, unsigned long index)
{
    struct xa_node *n = leaf_of(xa, index);
    if (!n)
        return NULL;
    unsigned s = slot_of(n, index);
    void *old = n->slots[s];
    if (!old)
        return NULL;
    for (int m = 0; m < XA_MARKS; m++)
        xa_clear_mark(xa, index, (enum xa_mark)m);
    n->slots[s] = NULL;
    n->count--;
    xa->count--;
    prune(xa, n);
    return old;
}

// First slot >= *index below n whose entry (or subtree) is wanted; mark < 0 = any. NULL if none.
static void *find_below(const struct xa_node *n, unsigned long *index, int mark)
{
    unsigned long base = *index;
    for (unsigned s = slot_of(n, base); s < XA_SLOTS; s++) {
        void *e = n->slots[s];
        bool wanted = e && (mark < 0 || (n->marks[mark] >> s & 1));
        if (wanted) {
            *index = base;
            if (!n->shift)
                return e;
            void *found = find_below(e, index, mark);
            if (found)
                return found;
        }
        base = ((base >> n->shift) + 1) << n->shift;
    }
    return NULL;
}

static void *find(const struct xarray *xa, unsigned long *index, unsigned long max, int mark)
{
    unsigned long at = *index;
    if (!xa->root || at > height_max(xa->height))
        return NULL;
    void *e = find_below(xa->root, &at, mark);
    if (!e || at > max)
        return NULL;
    *index = at;
    return e;
}

void *xa_find(const struct xarray *xa, unsigned long *index, unsigned long max)
{
    return find(xa, index, max, -1);
}

void *xa_find_marked(const struct xarray *xa, unsigned long *index, unsigned long max,
                     enum xa_mark mark)
{
    return find(xa, index, max, (int)mark);
}

void xa_set_mark(struct xarray *xa, unsigned long index, enum xa_mark mark)
{
    struct xa_node *n = leaf_of(xa, index);
    if (!n || !n->slots[slot_of(n, index)])
        return;
    for (; n; n = n->parent)
        n->marks[mark] |= 1UL << slot_of(n, index);
}

void xa_clear_mark(struct xarray *xa, unsigned long index, enum xa_mark mark)
{
    for (struct xa_node *n = leaf_of(xa, index); n; n = n->parent) {
        n->marks[mark] &= ~(1UL << slot_of(n, index));
        if (n->marks[mark])
            break;
    }
}

bool xa_get_mark(const struct xarray *xa, unsigned long index, enum xa_mark mark)
{
    struct xa_node *n = leaf_of(xa, index);
    return n && (n->marks[mark] >> slot_of(n, index) & 1);
}

bool xa_marked(const struct xarray *xa, enum xa_mark mark)
{
    return xa->root && xa->root->marks[mark];
}

static void free_below(struct xa_node *n)
{
    if (n->shift)
        for (unsigned s = 0; s < XA_SLOTS; s++)
            if (n->slots[s])
                free_below(n->slots[s]);
    kmem_cache_free(node_cache, n);
}

void xa_destroy(struct xarray *xa)
{
    if (xa->root)
        free_below(xa->root);
    xa_init(xa);
}
