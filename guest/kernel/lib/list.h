// SPDX-License-Identifier: MIT
// Doubly linked circular lists and hash-bucket lists, intrusive. No locking: the owner's lock
// protects them.
#pragma once

#include "lib/types.h"

struct list_head {
    struct list_head *next, *prev;
};

#define LIST_HEAD_INIT(name)                                                                       \
    {                                                                                              \
        &(name), &(name)                                                                           \
    }
#define LIST_HEAD(name) struct list_head name = LIST_HEAD_INIT(name)

static inline void INIT_LIST_HEAD(struct list_head *h)
{
    h->next = h->prev = h;
}

static inline void list_insert_between(struct list_head *n, struct list_head *prev,
                                       struct list_head *next)
{
    next->prev = n;
    n->next = next;
    n->prev = prev;
    prev->next = n;
}

static inline void list_add(struct list_head *n, struct list_head *head)
{
    list_insert_between(n, head, head->next);
}

static inline void list_add_tail(struct list_head *n, struct list_head *head)
{
    list_insert_between(n, head->prev, head);
}

// Unlinks; the entry must be re-initialised before list_empty() may be asked of it.
static inline void list_del(struct list_head *n)
{
    n->next->prev = n->prev;
    n->prev->next = n->next;
    n->next = n->prev = NULL;
}

static inline void list_del_init(struct list_head *n)
{
    n->next->prev = n->prev;
    n->prev->next = n->next;
    INIT_LIST_HEAD(n);
}

static inline bool list_empty(const struct list_head *h)
{
    return h->next == h;
}

static inline bool list_is_singular(const struct list_head *h)
{
    return !list_empty(h) && h->next == h->prev;
}

static inline bool list_is_last(const struct list_head *n, const struct list_head *head)
{
    return n->next == head;
}

static inline void list_move(struct list_head *n, struct list_head *head)
{
    n->next->prev = n->prev;
    n->prev->next = n->next;
    list_add(n, head);
}

static inline void list_move_tail(struct list_head *n, struct list_head *head)
{
    n->next->prev = n->prev;
    n->prev->next = n->next;
    list_add_tail(n, head);
}

// Moves all of `from` to the front (tail) of `to`; `from` ends empty.
static inline void list_splice_init(struct list_head *from, struct list_head *to)
{
    if (list_empty(from))
        return;
    struct list_head *first = from->next, *last = from->prev;
    first->prev = to;
    last->next = to->next;
    to->next->prev = last;
    to->next = first;
    INIT_LIST_HEAD(from);
}

static inline void list_splice_tail_init(struct list_head *from, struct list_head *to)
{
    list_splice_init(from, to->prev);
}

static inline void list_replace(struct list_head *old, struct list_head *n)
{
    n->next = old->next;
    n->next->prev = n;
    n->prev = old->prev;
    n->prev->next = n;
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first_entry(h, type, member) list_entry((h)->next, type, member)
#define list_last_entry(h, type, member) list_entry((h)->prev, type, member)
#define list_first_entry_or_null(h, type, member)                                                  \
    (list_empty(h) ? NULL : list_first_entry(h, type, member))
#define list_next_entry(p, member) list_entry((p)->member.next, __typeof__(*(p)), member)
#define list_prev_entry(p, member) list_entry((p)->member.prev, __typeof__(*(p)), member)
#define list_for_each(p, head) for (p = (head)->next; p != (head); p = p->next)
#define list_for_each_safe(p, n, head)                                                             \
    for (p = (head)->next, n = p->next; p != (head); p = n, n = p->next)
#define list_for_each_entry(p, head, member)                                                       \
    for (p = list_first_entry(head, __typeof__(*p), member); &p->member != (head);                 \
         p = list_next_entry(p, member))
#define list_for_each_entry_reverse(p, head, member)                                               \
    for (p = list_last_entry(head, __typeof__(*p), member); &p->member != (head);                  \
         p = list_prev_entry(p, member))
#define list_for_each_entry_safe(p, n, head, member)                                               \
    for (p = list_first_entry(head, __typeof__(*p), member), n = list_next_entry(p, member);       \
         &p->member != (head); p = n, n = list_next_entry(n, member))

struct hlist_node {
    struct hlist_node *next, **pprev;
};
struct hlist_head {
    struct hlist_node *first;
};

static inline void INIT_HLIST_NODE(struct hlist_node *n)
{
    n->next = NULL;
    n->pprev = NULL;
}

static inline bool hlist_unhashed(const struct hlist_node *n)
{
    return !n->pprev;
}

static inline void hlist_add_head(struct hlist_node *n, struct hlist_head *h)
{
    n->next = h->first;
    if (n->next)
        n->next->pprev = &n->next;
    h->first = n;
    n->pprev = &h->first;
}

static inline void hlist_del_init(struct hlist_node *n)
{
    if (!n->pprev)
        return;
    *n->pprev = n->next;
    if (n->next)
        n->next->pprev = n->pprev;
    INIT_HLIST_NODE(n);
}

#define hlist_entry_safe(ptr, type, member)                                                        \
    ({                                                                                             \
        struct hlist_node *hes_ = (ptr);                                                           \
        hes_ ? container_of(hes_, type, member) : NULL;                                            \
    })
#define hlist_for_each_entry(p, head, member)                                                      \
    for (p = hlist_entry_safe((head)->first, __typeof__(*p), member); p;                           \
         p = hlist_entry_safe(p->member.next, __typeof__(*p), member))
