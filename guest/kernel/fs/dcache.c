// SPDX-License-Identifier: MIT
// Directory entry cache: names below a parent, negative ones included; unused ones wait on an LRU.
// One lock covers hash, tree, names and the fall of a count to zero; lookups take it, then a
// reference.
#include "fs/internal.h"
#include "mm/shrinker.h"
#include "mm/vmalloc.h"

#define HASH_BITS 13
static struct hlist_head dentry_hash[1u << HASH_BITS];
DEFINE_SPINLOCK(dcache_lock);
static LIST_HEAD(lru_list); // head: most recently unused
static u64 lru_count;
static struct kmem_cache *dentry_cache;

bool d_unhashed(const struct dentry *d)
{
    return hlist_unhashed(&d->d_hash);
}

bool d_is_dir(const struct dentry *d)
{
    return d->d_inode && S_ISDIR(d->d_inode->i_mode);
}

u32 full_name_hash(const struct dentry *parent, const char *name, u32 len)
{
    u64 h = (u64)parent >> 6;
    for (u32 i = 0; i < len; i++) {
        h = (h ^ (u8)name[i]) * 0x9e3779b97f4a7c15UL;
        h ^= h >> 32;
    }
    return (u32)h;
}

static struct hlist_head *bucket(u32 hash)
{
    return &dentry_hash[hash & ((1u << HASH_BITS) - 1)];
}

struct dentry *dget(struct dentry *d)
{
    if (d) {
        atomic_inc(&d->d_count);
    }
    return d;
}

struct dentry *dget_parent(struct dentry *d)
{
    spin_lock(&dcache_lock);
    struct dentry *parent = dget(d->d_parent);
    spin_unlock(&dcache_lock);
    return parent;
}

static void lru_add(struct dentry *d)
{
    if (!(d->d_flags & DCACHE_LRU)) {
        d->d_flags |= DCACHE_LRU;
        list_add(&d->d_lru, &lru_list);
        lru_count++;
    }
}

static void lru_remove(struct dentry *d)
{
    if (d->d_flags & DCACHE_LRU) {
        d->d_flags &= ~DCACHE_LRU;
        list_del_init(&d->d_lru);
        lru_count--;
    }
}

// An unused dentry ends. dcache_lock is held and dropped. Returns the parent, whose reference the
// caller drops.
static struct dentry *kill(struct dentry *d)
{
    struct dentry *parent = d->d_parent == d ? NULL : d->d_parent;
    struct inode *inode = d->d_inode;
    hlist_del_init(&d->d_hash);
    lru_remove(d);
    list_del_init(&d->d_child);
    list_del_init(&d->d_alias);
    d->d_inode = NULL;
    spin_unlock(&dcache_lock);
    if (inode) {
        iput(inode);
    }
    if (d->d_op && d->d_op->d_release) {
        d->d_op->d_release(d);
    }
    if (d->d_name.name != d->d_iname) {
        kfree(d->d_name.name);
    }
    kmem_cache_free(dentry_cache, d);
    return parent;
}

static bool keep_unused(const struct dentry *d)
{
    return !d_unhashed(d) && !(d->d_op && d->d_op->d_delete && d->d_op->d_delete(d));
}

void dput(struct dentry *d)
{
    while (d) {
        int count = atomic_read(&d->d_count);
        while (count > 1) {
            if (atomic_try_cmpxchg(&d->d_count, &count, count - 1)) {
                return;
            }
        }
        spin_lock(&dcache_lock);
        if (!atomic_dec_and_test(&d->d_count)) {
            spin_unlock(&dcache_lock);
            return;
        }
        if (keep_unused(d)) {
            lru_add(d);
            spin_unlock(&dcache_lock);
            return;
        }
        d = kill(d);
    }
}

int always_delete_dentry(const struct dentry *d)
{
    return 1;
}

struct dentry *d_alloc(struct dentry *parent, const struct qstr *name)
{
    struct dentry *d = kmem_cache_alloc(dentry_cache, GFP_KERNEL | __GFP_ZERO);
    if (!d) {
        return NULL;
    }
    char *text = d->d_iname;
    if (name->len >= sizeof(d->d_iname)) {
        text = kmalloc(name->len + 1, GFP_KERNEL);
        if (!text) {
            kmem_cache_free(dentry_cache, d);
            return NULL;
        }
    }
    memcpy(text, name->name, name->len);
    text[name->len] = '\0';
    d->d_name = (struct qstr){.name = text, .len = name->len, .hash = name->hash};
    atomic_set(&d->d_count, 1);
    spin_lock_init(&d->d_lock);
    INIT_HLIST_NODE(&d->d_hash);
    INIT_LIST_HEAD(&d->d_child);
    INIT_LIST_HEAD(&d->d_subdirs);
    INIT_LIST_HEAD(&d->d_alias);
    INIT_LIST_HEAD(&d->d_lru);
    d->d_parent = d;
    if (parent) {
        d->d_sb = parent->d_sb;
        spin_lock(&dcache_lock);
        d->d_parent = dget(parent);
        list_add(&d->d_child, &parent->d_subdirs);
        spin_unlock(&dcache_lock);
    }
    return d;
}

struct dentry *d_make_root(struct inode *i)
{
    static const struct qstr name = {.name = "/", .len = 1};
    if (!i) {
        return NULL;
    }
    struct dentry *d = d_alloc(NULL, &name);
    if (!d) {
        iput(i);
        return NULL;
    }
    d->d_sb = i->i_sb;
    d_instantiate(d, i);
    return d;
}

// dcache_lock held. Referenced or NULL.
static struct dentry *find_locked(struct dentry *parent, const struct qstr *name)
{
    struct dentry *d;
    hlist_for_each_entry(d, bucket(name->hash), d_hash) {
        if (d->d_name.hash == name->hash && d->d_parent == parent && d->d_name.len == name->len &&
            !memcmp(d->d_name.name, name->name, name->len)) {
            return dget(d);
        }
    }
    return NULL;
}

struct dentry *d_lookup(struct dentry *parent, const struct qstr *name)
{
    spin_lock(&dcache_lock);
    struct dentry *d = find_locked(parent, name);
    spin_unlock(&dcache_lock);
    return d;
}

void d_instantiate(struct dentry *d, struct inode *i)
{
    spin_lock(&dcache_lock);
    if (i) {
        list_add(&d->d_alias, &i->i_dentry);
    }
    d->d_inode = i;
    spin_unlock(&dcache_lock);
}

static void hash_locked(struct dentry *d)
{
    if (d_unhashed(d)) {
        hlist_add_head(&d->d_hash, bucket(d->d_name.hash));
    }
}

void d_add(struct dentry *d, struct inode *i)
{
    spin_lock(&dcache_lock);
    if (i) {
        list_add(&d->d_alias, &i->i_dentry);
    }
    d->d_inode = i;
    hash_locked(d);
    spin_unlock(&dcache_lock);
}

struct dentry *d_splice_alias(struct inode *i, struct dentry *d)
{
    if (IS_ERR(i)) {
        return (struct dentry *)i;
    }
    d_add(d, i);
    return NULL;
}

void d_drop(struct dentry *d)
{
    spin_lock(&dcache_lock);
    hlist_del_init(&d->d_hash);
    spin_unlock(&dcache_lock);
}

// After an unlink: the sole holder's dentry becomes negative, another one is unhashed and keeps its
// inode.
void d_delete(struct dentry *d)
{
    struct inode *inode = NULL;
    spin_lock(&dcache_lock);
    if (atomic_read(&d->d_count) == 1) {
        inode = d->d_inode;
        list_del_init(&d->d_alias);
        d->d_inode = NULL;
    } else {
        hlist_del_init(&d->d_hash);
    }
    spin_unlock(&dcache_lock);
    if (inode) {
        iput(inode);
    }
}

static void swap_names(struct dentry *a, struct dentry *b)
{
    bool a_inline = a->d_name.name == a->d_iname, b_inline = b->d_name.name == b->d_iname;
    char text[sizeof(a->d_iname)];
    memcpy(text, a->d_iname, sizeof(text));
    memcpy(a->d_iname, b->d_iname, sizeof(text));
    memcpy(b->d_iname, text, sizeof(text));
    struct qstr name = a->d_name;
    a->d_name = b->d_name;
    b->d_name = name;
    if (b_inline) {
        a->d_name.name = a->d_iname;
    }
    if (a_inline) {
        b->d_name.name = b->d_iname;
    }
}

static void swap_parents(struct dentry *a, struct dentry *b)
{
    struct dentry *pa = a->d_parent, *pb = b->d_parent;
    list_del(&a->d_child);
    list_del(&b->d_child);
    a->d_parent = pb;
    b->d_parent = pa;
    list_add(&a->d_child, &pb->d_subdirs);
    list_add(&b->d_child, &pa->d_subdirs);
}

// d takes target's name and place; target keeps d's old ones, unhashed.
void d_move(struct dentry *d, struct dentry *target)
{
    spin_lock(&dcache_lock);
    hlist_del_init(&d->d_hash);
    hlist_del_init(&target->d_hash);
    swap_names(d, target);
    swap_parents(d, target);
    hash_locked(d);
    spin_unlock(&dcache_lock);
}

void d_exchange(struct dentry *a, struct dentry *b)
{
    spin_lock(&dcache_lock);
    hlist_del_init(&a->d_hash);
    hlist_del_init(&b->d_hash);
    swap_names(a, b);
    swap_parents(a, b);
    hash_locked(a);
    hash_locked(b);
    spin_unlock(&dcache_lock);
}

bool is_subdir(struct dentry *d, struct dentry *ancestor)
{
    bool found = false;
    spin_lock(&dcache_lock);
    for (;;) {
        if (d == ancestor) {
            found = true;
            break;
        }
        if (d->d_parent == d) {
            break;
        }
        d = d->d_parent;
    }
    spin_unlock(&dcache_lock);
    return found;
}

bool simple_empty(struct dentry *dir)
{
    bool empty = true;
    struct dentry *d;
    spin_lock(&dcache_lock);
    list_for_each_entry(d, &dir->d_subdirs, d_child) {
        if (d->d_inode && !d_unhashed(d)) {
            empty = false;
            break;
        }
    }
    spin_unlock(&dcache_lock);
    return empty;
}

// An unused dentry somewhere below `d`, or NULL. dcache_lock held.
static struct dentry *unused_below(struct dentry *d)
{
    struct dentry *top = d, *at = d;
    struct list_head *next = d->d_subdirs.next;
    for (;;) {
        if (next != &at->d_subdirs) {
            at = list_entry(next, struct dentry, d_child);
            if (!atomic_read(&at->d_count)) {
                return at;
            }
            next = at->d_subdirs.next;
        } else {
            if (at == top) {
                return NULL;
            }
            next = at->d_child.next;
            at = at->d_parent;
        }
    }
}

void shrink_dcache_parent(struct dentry *d)
{
    for (;;) {
        spin_lock(&dcache_lock);
        struct dentry *victim = unused_below(d);
        if (!victim) {
            spin_unlock(&dcache_lock);
            return;
        }
        dput(kill(victim));
        cond_resched();
    }
}

void d_invalidate(struct dentry *d)
{
    d_drop(d);
    shrink_dcache_parent(d);
}

static u64 shrink_list(struct list_head *victims)
{
    u64 freed = 0;
    for (;;) {
        spin_lock(&dcache_lock);
        if (list_empty(victims)) {
            spin_unlock(&dcache_lock);
            return freed;
        }
        struct dentry *d = list_first_entry(victims, struct dentry, d_lru);
        if (atomic_read(&d->d_count)) {
            lru_remove(d);
            spin_unlock(&dcache_lock);
            continue;
        }
        dput(kill(d));
        freed++;
        cond_resched();
    }
}

void shrink_dcache_sb(struct super_block *sb)
{
    for (;;) {
        LIST_HEAD(victims);
        struct dentry *d, *next;
        spin_lock(&dcache_lock);
        list_for_each_entry_safe(d, next, &lru_list, d_lru) {
            if (d->d_sb == sb) {
                list_del(&d->d_lru);
                list_add(&d->d_lru, &victims);
            }
        }
        spin_unlock(&dcache_lock);
        if (list_empty(&victims)) {
            return;
        }
        shrink_list(&victims);
    }
}

static u64 count_unused(void)
{
    return lru_count;
}

static u64 scan_unused(u64 nr, gfp_t gfp)
{
    if (!(gfp & __GFP_FS)) {
        return 0;
    }
    LIST_HEAD(victims);
    spin_lock(&dcache_lock);
    while (nr-- && !list_empty(&lru_list)) {
        struct dentry *d = list_last_entry(&lru_list, struct dentry, d_lru);
        list_del(&d->d_lru);
        list_add(&d->d_lru, &victims);
    }
    spin_unlock(&dcache_lock);
    return shrink_list(&victims);
}

static struct shrinker dentry_shrinker = {
    .name = "dentry", .count = count_unused, .scan = scan_unused};

void dcache_init(void)
{
    dentry_cache = kmem_cache_create("dentry", sizeof(struct dentry), 64, 0);
    shrinker_register(&dentry_shrinker);
}
