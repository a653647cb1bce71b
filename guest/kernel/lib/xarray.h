// SPDX-License-Identifier: MIT
// Radix tree from unsigned long to pointer with three marks per entry. No locking inside: the
// owner's lock protects it.
#pragma once

#include "lib/types.h"

#define XA_SHIFT 6
#define XA_SLOTS (1U << XA_SHIFT)
enum xa_mark { XA_MARK_DIRTY, XA_MARK_WRITEBACK, XA_MARK_2, XA_MARKS };

struct xa_node;
struct xarray {
    struct xa_node *root;
    unsigned height; // levels of nodes; 0 = empty
    unsigned long count;
};

#define XARRAY_INIT                                                                                \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }
bool xarray_init(void); // at boot, before the first store under a lock; false without memory
void xa_init(struct xarray *xa);
void *xa_load(const struct xarray *xa, unsigned long index);
// Stores (NULL erases). 0 or -ENOMEM. A store over an existing entry never fails. Atomic allocation
// (GFP_ATOMIC).
int xa_store(struct xarray *xa, unsigned long index, void *entry);
// As xa_store, but -EEXIST when the slot is taken.
int xa_insert(struct xarray *xa, unsigned long index, void *entry);
// Returns what was there. Frees empty nodes. Never fails.
void *xa_erase(struct xarray *xa, unsigned long index);
// First entry with *index <= key <= max; sets *index to its key. NULL if none.
void *xa_find(const struct xarray *xa, unsigned long *index, unsigned long max);
void *xa_find_marked(const struct xarray *xa, unsigned long *index, unsigned long max,
                     enum xa_mark mark);
void xa_set_mark(struct xarray *xa, unsigned long index, enum xa_mark mark);
void xa_clear_mark(struct xarray *xa, unsigned long index, enum xa_mark mark);
bool xa_get_mark(const struct xarray *xa, unsigned long index, enum xa_mark mark);
bool xa_marked(const struct xarray *xa, enum xa_mark mark);
// Frees all nodes (not the entries).
void xa_destroy(struct xarray *xa);
#define xa_for_each(xa, index, entry)                                                              \
    for (index = 0, entry = xa_find(xa, &index, ~0UL); entry;                                      \
         entry = index == ~0UL ? NULL : (index++, xa_find(xa, &index, ~0UL)))
