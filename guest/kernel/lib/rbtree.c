// SPDX-License-Identifier: MIT
// Red-black tree after CLRS chapter 13; NULL stands for the black leaves, so deletion carries the
// parent along.
#include "lib/rbtree.h"

static void replace_child(struct rb_node *parent, struct rb_node *old, struct rb_node *fresh,
                          struct rb_root *root)
{
    if (!parent)
        root->node = fresh;
    else if (parent->left == old)
        parent->left = fresh;
    else
        parent->right = fresh;
}

static void rotate_left(struct rb_node *x, struct rb_root *root)
{
    struct rb_node *y = x->right;
    x->right = y->left;
    if (y->left)
        y->left->parent = x;
    y->parent = x->parent;
    replace_child(x->parent, x, y, root);
    y->left = x;
    x->parent = y;
}

static void rotate_right(struct rb_node *x, struct rb_root *root)
{
    struct rb_node *y = x->left;
    x->left = y->right;
    if (y->right)
        y->right->parent = x;
    y->parent = x->parent;
    replace_child(x->parent, x, y, root);
    y->right = x;
    x->parent = y;
}

void rb_insert_fixup(struct rb_node *n, struct rb_root *root)
{
    struct rb_node *p;
    while ((p = n->parent) && p->red) {
        struct rb_node *g = p->parent;
        bool on_left = p == g->left;
        struct rb_node *uncle = on_left ? g->right : g->left;
        if (uncle && uncle->red) {
            p->red = uncle->red = false;
            g->red = true;
            n = g;
            continue;
        }
        if (n == (on_left ? p->right : p->left)) {
            if (on_left)
                rotate_left(p, root);
            else
                rotate_right(p, root);
            p = n;
        }
        p->red = false;
        g->red = true;
        if (on_left)
            rotate_right(g, root);
        else
            rotate_left(g, root);
        break;
    }
    root->node->red = false;
}

static bool is_red(const struct rb_node *n)
{
    return n && n->red;
}

// One step of the deletion fix-up for x (maybe NULL) below p. Returns true when the tree is
// balanced again.
static bool erase_step(struct rb_node **x, struct rb_node **parent, struct rb_root *root)
{
    struct rb_node *p = *parent;
    bool left = p->left == *x;
    struct rb_node *w = left ? p->right : p->left;
    if (w->red) {
        w->red = false;
        p->red = true;
        if (left)
            rotate_left(p, root);
        else
            rotate_right(p, root);
        w = left ? p->right : p->left;
    }
    struct rb_node *near = left ? w->left : w->right, *far = left ? w->right : w->left;
    if (!is_red(near) && !is_red(far)) {
        w->red = true;
        *x = p;
        *parent = p->parent;
        return false;
    }
    if (!is_red(far)) {
        near->red = false;
        w->red = true;
        if (left)
            rotate_right(w, root);
        else
            rotate_left(w, root);
        far = w;
        w = near;
    }
    w->red = p->red;
    p->red = false;
    far->red = false;
    if (left)
        rotate_left(p, root);
    else
        rotate_right(p, root);
    return true;
}

static void erase_fixup(struct rb_node *x, struct rb_node *parent, struct rb_root *root)
{
    while (x != root->node && !is_red(x))
        if (erase_step(&x, &parent, root))
            break;
    if (x)
        x->red = false;
}

void rb_erase(struct rb_node *n, struct rb_root *root)
{
    struct rb_node *child, *parent;
    bool removed_red;
    if (n->left && n->right) {
        struct rb_node *s = n->right; // successor takes n's place
        while (s->left)
            s = s->left;
        removed_red = s->red;
        child = s->right;
        parent = s->parent;
        if (parent == n) {
            parent = s;
        } else {
            parent->left = child;
            if (child)
                child->parent = parent;
            s->right = n->right;
            s->right->parent = s;
        }
        s->left = n->left;
        s->left->parent = s;
        s->red = n->red;
        s->parent = n->parent;
        replace_child(n->parent, n, s, root);
    } else {
        child = n->left ? n->left : n->right;
        parent = n->parent;
        removed_red = n->red;
        if (child)
            child->parent = parent;
        replace_child(parent, n, child, root);
    }
    if (!removed_red && root->node)
        erase_fixup(child, parent, root);
}

struct rb_node *rb_first(const struct rb_root *root)
{
    struct rb_node *n = root->node;
    while (n && n->left)
        n = n->left;
    return n;
}

struct rb_node *rb_last(const struct rb_root *root)
{
    struct rb_node *n = root->node;
    while (n && n->right)
        n = n->right;
    return n;
}

struct rb_node *rb_next(const struct rb_node *node)
{
    struct rb_node *n = node->right;
    if (n) {
        while (n->left)
            n = n->left;
        return n;
    }
    struct rb_node *p = node->parent;
    while (p && node == p->right) {
        node = p;
        p = p->parent;
    }
    return p;
}

struct rb_node *rb_prev(const struct rb_node *node)
{
    struct rb_node *n = node->left;
    if (n) {
        while (n->right)
            n = n->right;
        return n;
    }
    struct rb_node *p = node->parent;
    while (p && node == p->left) {
        node = p;
        p = p->parent;
    }
    return p;
}

void rb_replace_node(struct rb_node *old, struct rb_node *fresh, struct rb_root *root)
{
    *fresh = *old;
    if (fresh->left)
        fresh->left->parent = fresh;
    if (fresh->right)
        fresh->right->parent = fresh;
    replace_child(old->parent, old, fresh, root);
}

// Inserts and says whether the node became the leftmost.
static bool add(struct rb_node *node, struct rb_root *root,
                bool (*less)(const struct rb_node *, const struct rb_node *))
{
    struct rb_node **link = &root->node, *parent = NULL;
    bool leftmost = true;
    while (*link) {
        parent = *link;
        if (less(node, parent)) {
            link = &parent->left;
        } else {
            link = &parent->right;
            leftmost = false;
        }
    }
    rb_link_node(node, parent, link);
    rb_insert_fixup(node, root);
    return leftmost;
}

void rb_add(struct rb_node *node, struct rb_root *root,
            bool (*less)(const struct rb_node *, const struct rb_node *))
{
    add(node, root, less);
}

void rb_add_cached(struct rb_node *node, struct rb_root_cached *root,
                   bool (*less)(const struct rb_node *, const struct rb_node *))
{
    if (add(node, &root->root, less))
        root->leftmost = node;
}

void rb_erase_cached(struct rb_node *node, struct rb_root_cached *root)
{
    if (root->leftmost == node)
        root->leftmost = rb_next(node);
    rb_erase(node, &root->root);
}
