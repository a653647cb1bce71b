// SPDX-License-Identifier: MIT
// Intrusive red-black tree (CLRS chapter 13). The caller finds the place and links; no locking.
#pragma once

#include "lib/types.h"

struct rb_node {
    struct rb_node *parent, *left, *right;
    bool red;
};
struct rb_root {
    struct rb_node *node;
};
// A root that remembers its smallest node.
struct rb_root_cached {
    struct rb_root root;
    struct rb_node *leftmost;
};

#define RB_ROOT ((struct rb_root){NULL})
#define RB_ROOT_CACHED ((struct rb_root_cached){{NULL}, NULL})
#define rb_entry(ptr, type, member) container_of(ptr, type, member)
#define rb_entry_safe(ptr, type, member)                                                           \
    ({                                                                                             \
        struct rb_node *res_ = (ptr);                                                              \
        res_ ? container_of(res_, type, member) : NULL;                                            \
    })

// Puts `node` below `parent` at `*link` (found by the caller's search); call rb_insert_fixup next.
static inline void rb_link_node(struct rb_node *node, struct rb_node *parent, struct rb_node **link)
{
    node->parent = parent;
    node->left = node->right = NULL;
    node->red = true;
    *link = node;
}

void rb_insert_fixup(struct rb_node *node, struct rb_root *root);
void rb_erase(struct rb_node *node, struct rb_root *root);
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);
void rb_replace_node(struct rb_node *old, struct rb_node *fresh, struct rb_root *root);

// Inserts by less(a, b): equal keys go to the right, so insertion order is kept among equals.
void rb_add(struct rb_node *node, struct rb_root *root,
            bool (*less)(const struct rb_node *, const struct rb_node *));
void rb_add_cached(struct rb_node *node, struct rb_root_cached *root,
                   bool (*less)(const struct rb_node *, const struct rb_node *));
void rb_erase_cached(struct rb_node *node, struct rb_root_cached *root);
static inline struct rb_node *rb_first_cached(const struct rb_root_cached *r)
{
    return r->leftmost;
}
static inline void RB_CLEAR_NODE(struct rb_node *n)
{
    n->parent = n;
}
static inline bool RB_EMPTY_NODE(const struct rb_node *n)
{
    return n->parent == n;
}
