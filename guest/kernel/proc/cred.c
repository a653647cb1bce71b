// SPDX-License-Identifier: MIT
// Credentials (credentials(7)): immutable objects, replaced as a whole; groups, capabilities,
// per-user counts.
#include "proc/cred.h"

#include "lib/string.h"
#include "mm/slab.h"
#include "proc/signal.h"
#include "sched/sched.h"

#define CAP_FULL ((1UL << (CAP_LAST_CAP + 1)) - 1)
#define USER_BUCKETS 32

static struct group_info init_groups = {.usage = ATOMIC_INIT(2)};
struct user_struct root_user = {.usage = ATOMIC_INIT(2), .processes = ATOMIC_INIT(1)};
struct cred init_cred = {
    .usage = ATOMIC_INIT(4),
    .cap_permitted = {CAP_FULL},
    .cap_effective = {CAP_FULL},
    .cap_bset = {CAP_FULL},
    .group_info = &init_groups,
    .user = &root_user,
};

static DEFINE_SPINLOCK(
    user_lock); // taken with interrupts off: the last put may come from a timer's signal
static struct hlist_head user_hash[USER_BUCKETS];

static struct user_struct *find_user_locked(uid_t uid)
{
    struct user_struct *u;
    hlist_for_each_entry(u, &user_hash[uid % USER_BUCKETS], hash) {
        if (u->uid == uid) {
            atomic_inc(&u->usage);
            return u;
        }
    }
    return NULL;
}

struct user_struct *get_user_struct(struct user_struct *u)
{
    atomic_inc(&u->usage);
    return u;
}

struct user_struct *find_user(uid_t uid)
{
    if (uid == 0)
        return get_user_struct(&root_user);
    unsigned long flags;
    spin_lock_irqsave(&user_lock, flags);
    struct user_struct *u = find_user_locked(uid);
    spin_unlock_irqrestore(&user_lock, flags);
    return u;
}

struct user_struct *alloc_uid(uid_t uid)
{
    struct user_struct *u = find_user(uid);
    if (u)
        return u;
    struct user_struct *fresh = kzalloc(sizeof(*fresh), GFP_KERNEL);
    if (!fresh)
        return NULL;
    atomic_set(&fresh->usage, 1);
    fresh->uid = uid;
    unsigned long flags;
    spin_lock_irqsave(&user_lock, flags);
    u = find_user_locked(uid);
    if (!u)
        hlist_add_head(&fresh->hash, &user_hash[uid % USER_BUCKETS]);
    spin_unlock_irqrestore(&user_lock, flags);
    if (u) {
        kfree(fresh);
        return u;
    }
    return fresh;
}

void put_user_struct(struct user_struct *u)
{
    if (u == &root_user) {
        atomic_dec(&u->usage);
        return;
    }
    unsigned long flags;
    spin_lock_irqsave(&user_lock, flags);
    bool last = atomic_dec_and_test(&u->usage);
    if (last)
        hlist_del_init(&u->hash);
    spin_unlock_irqrestore(&user_lock, flags);
    if (last)
        kfree(u);
}

const struct cred *get_cred(const struct cred *c)
{
    atomic_inc(&((struct cred *)c)->usage);
    return c;
}

static void cred_free(struct cred *c)
{
    if (atomic_dec_and_test(&c->group_info->usage))
        kfree(c->group_info);
    put_user_struct(c->user);
    kfree(c);
}

static void cred_free_deferred(struct deferred *d)
{
    cred_free(container_of(d, struct cred, rcu));
}

void put_cred(const struct cred *c)
{
    struct cred *m = (struct cred *)c;
    if (atomic_dec_and_test(&m->usage))
        defer_free(&m->rcu, cred_free_deferred);
}

const struct cred *get_task_cred(struct task_struct *t)
{
    unsigned long flags;
    spin_lock_irqsave(&t->alloc_lock, flags);
    const struct cred *c = get_cred(t->cred);
    spin_unlock_irqrestore(&t->alloc_lock, flags);
    return c;
}

struct cred *prepare_creds(void)
{
    struct cred *c = kmemdup(current->cred, sizeof(*c), GFP_KERNEL);
    if (!c)
        return NULL;
    atomic_set(&c->usage, 1);
    atomic_inc(&c->group_info->usage);
    get_user_struct(c->user);
    return c;
}

void commit_creds(struct cred *fresh)
{
    struct task_struct *t = current;
    const struct cred *old = t->cred;
    if (fresh->user != old->user) {
        atomic_inc(&fresh->user->processes);
        atomic_dec(&old->user->processes);
    }
    if (fresh->euid != old->euid || fresh->egid != old->egid || fresh->fsuid != old->fsuid ||
        fresh->fsgid != old->fsgid)
        t->pdeath_signal = 0;
    unsigned long flags;
    spin_lock_irqsave(&t->alloc_lock, flags);
    t->cred = fresh;
    spin_unlock_irqrestore(&t->alloc_lock, flags);
    put_cred(old);
}

void abort_creds(struct cred *fresh)
{
    cred_free(fresh);
}

bool in_group_p(gid_t gid)
{
    const struct cred *c = current->cred;
    if (c->fsgid == gid)
        return true;
    for (int i = 0; i < c->group_info->ngroups; i++) {
        if (c->group_info->gid[i] == gid)
            return true;
    }
    return false;
}

bool capable(int cap)
{
    if (!((current->cred->cap_effective.cap >> cap) & 1))
        return false;
    current->flags |= PF_SUPERPRIV;
    return true;
}
