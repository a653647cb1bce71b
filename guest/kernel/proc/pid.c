// SPDX-License-Identifier: MIT
// struct pid: allocation per namespace level, the number table, links between tasks and pids.
#include "fs/file.h"
#include "proc/pid.h"

#include "mm/slab.h"
#include "proc/proc_internal.h"
#include "sched/sched.h"

#define PID_MAX_DEFAULT 32768
#define RESERVED_PIDS 300 // low numbers are not given out again after a wrap

DEFINE_SPINLOCK(tasklist_lock);

struct pid_namespace init_pid_ns = {
    .count = ATOMIC_INIT(1),
    .lock = SPIN_LOCK_INIT_RANK("init_pid_ns", 0),
    .pid_max = PID_MAX_DEFAULT,
};

// Pid 0: a struct pid with one number.
static u64 init_struct_pid[DIV_ROUND_UP(sizeof(struct pid) + sizeof(struct upid), sizeof(u64))];

static void free_numbers(struct pid *p, unsigned below_level)
{
    for (unsigned i = 0; i < below_level; i++) {
        struct pid_namespace *ns = p->numbers[i].ns;
        unsigned long flags;
        spin_lock_irqsave(&ns->lock, flags);
        idr_remove(&ns->idr, (unsigned)p->numbers[i].nr);
        ns->nr_pids--;
        spin_unlock_irqrestore(&ns->lock, flags);
    }
}

static int alloc_number(struct pid *p, struct pid_namespace *ns)
{
    unsigned long flags;
    spin_lock_irqsave(&ns->lock, flags);
    unsigned first = ns->idr.next > RESERVED_PIDS ? RESERVED_PIDS : 1;
    int nr = idr_alloc_cyclic(&ns->idr, p, first, ns->pid_max);
    if (nr > 0)
        ns->nr_pids++;
    spin_unlock_irqrestore(&ns->lock, flags);
    return nr == -ENOSPC ? -EAGAIN : nr;
}

struct pid *alloc_init_pid(void)
{
    struct pid *p = alloc_pid(&init_pid_ns);
    if (IS_ERR(p))
        return p;
    unsigned long flags;
    spin_lock_irqsave(&init_pid_ns.lock, flags);
    int nr = idr_alloc(&init_pid_ns.idr, p, 1, 2);
    if (nr == 1) {
        idr_remove(&init_pid_ns.idr, (unsigned)p->numbers[0].nr);
        p->numbers[0].nr = 1;
        init_pid_ns.idr.next = 2;
    }
    spin_unlock_irqrestore(&init_pid_ns.lock, flags);
    if (nr == 1)
        return p;
    free_pid(p);
    return ERR_PTR(nr == -ENOSPC ? -EAGAIN : nr);
}

struct pid *alloc_pid(struct pid_namespace *ns)
{
    struct pid *p = kmalloc(sizeof(*p) + (ns->level + 1) * sizeof(struct upid), GFP_KERNEL);
    if (!p)
        return ERR_PTR(-ENOMEM);
    atomic_set(&p->count, 1);
    p->level = ns->level;
    for (int i = 0; i < PIDTYPE_MAX; i++)
        p->tasks[i].first = NULL;
    init_waitqueue_head(&p->wait_pidfd);
    for (unsigned done = 0; done <= p->level; done++) {
        struct pid_namespace *level_ns = ns;
        while (level_ns->level > done)
            level_ns = level_ns->parent;
        int nr = alloc_number(p, level_ns);
        if (nr < 0) {
            free_numbers(p, done);
            kfree(p);
            return ERR_PTR(nr);
        }
        p->numbers[done] = (struct upid){nr, level_ns};
    }
    return p;
}

struct pid *get_pid(struct pid *p)
{
    if (p)
        atomic_inc(&p->count);
    return p;
}

static void pid_free(struct deferred *d)
{
    kfree(container_of(d, struct pid, rcu));
}

void put_pid(struct pid *p)
{
    if (p && atomic_dec_and_test(&p->count))
        defer_free_lazy(&p->rcu, pid_free); // its task goes too
}

void free_pid(struct pid *p)
{
    free_numbers(p, p->level + 1);
    put_pid(p);
}

struct pid *task_pid(struct task_struct *t)
{
    return t->thread_pid;
}

struct pid *task_tgid(struct task_struct *t)
{
    return t->signal->pids[PIDTYPE_TGID];
}

struct pid *task_pgrp(struct task_struct *t)
{
    return t->signal->pids[PIDTYPE_PGID];
}

struct pid *task_session(struct task_struct *t)
{
    return t->signal->pids[PIDTYPE_SID];
}

static struct pid **pid_slot(struct task_struct *t, enum pid_type type)
{
    return type == PIDTYPE_PID ? &t->thread_pid : &t->signal->pids[type];
}

void attach_pid(struct task_struct *t, enum pid_type type)
{
    hlist_add_head(&t->pid_links[type], &(*pid_slot(t, type))->tasks[type]);
}

// Unlinks and, when no task uses the pid in any role, gives its numbers back. `fresh` takes its
// place (NULL: none).
static void replace_pid(struct task_struct *t, enum pid_type type, struct pid *fresh)
{
    struct pid **slot = pid_slot(t, type);
    struct pid *old = *slot;
    hlist_del_init(&t->pid_links[type]);
    *slot = fresh;
    for (int i = 0; i < PIDTYPE_MAX; i++) {
        if (old->tasks[i].first)
            return;
    }
    free_pid(old);
}

void detach_pid(struct task_struct *t, enum pid_type type)
{
    replace_pid(t, type, NULL);
}

void change_pid(struct task_struct *t, enum pid_type type, struct pid *p)
{
    replace_pid(t, type, p);
    attach_pid(t, type);
}

void transfer_pid(struct task_struct *from, struct task_struct *to, enum pid_type type)
{
    struct pid *p = *pid_slot(from, type);
    hlist_del_init(&from->pid_links[type]);
    hlist_add_head(&to->pid_links[type], &p->tasks[type]);
}

void exchange_tids(struct task_struct *to, struct task_struct *from)
{
    struct pid *p = to->thread_pid;
    hlist_del_init(&to->pid_links[PIDTYPE_PID]);
    hlist_del_init(&from->pid_links[PIDTYPE_PID]);
    to->thread_pid = from->thread_pid;
    from->thread_pid = p;
    attach_pid(to, PIDTYPE_PID);
    attach_pid(from, PIDTYPE_PID);
    pid_t nr = to->pid;
    to->pid = from->pid;
    from->pid = nr;
}

static struct pid *find_pid_ns(pid_t nr, struct pid_namespace *ns)
{
    if (nr <= 0)
        return NULL;
    unsigned long flags;
    spin_lock_irqsave(&ns->lock, flags);
    struct pid *p = idr_find(&ns->idr, (unsigned)nr);
    spin_unlock_irqrestore(&ns->lock, flags);
    return p;
}

struct pid_namespace *task_active_pid_ns(struct task_struct *t)
{
    struct pid *p = t->thread_pid;
    return p ? p->numbers[p->level].ns : &init_pid_ns;
}

struct pid *find_vpid(pid_t nr)
{
    return find_pid_ns(nr, task_active_pid_ns(current));
}

struct pid *find_get_pid(pid_t nr)
{
    spin_lock(&tasklist_lock);
    struct pid *p = get_pid(find_vpid(nr));
    spin_unlock(&tasklist_lock);
    return p;
}

struct task_struct *pid_task(struct pid *p, enum pid_type type)
{
    return p ? hlist_entry_safe(p->tasks[type].first, struct task_struct, pid_links[type]) : NULL;
}

struct task_struct *find_get_task_by_vpid(pid_t nr)
{
    spin_lock(&tasklist_lock);
    struct task_struct *t = pid_task(find_vpid(nr), PIDTYPE_PID);
    if (t)
        get_task_struct(t);
    spin_unlock(&tasklist_lock);
    return t;
}

pid_t pid_nr_ns(const struct pid *p, const struct pid_namespace *ns)
{
    if (p && ns->level <= p->level && p->numbers[ns->level].ns == ns)
        return p->numbers[ns->level].nr;
    return 0;
}

pid_t pid_vnr(const struct pid *p)
{
    return pid_nr_ns(p, task_active_pid_ns(current));
}

// Another task may be losing its pid; the memory stays while preemption is off.
pid_t task_pid_vnr(struct task_struct *t)
{
    preempt_disable();
    pid_t nr = pid_vnr(READ_ONCE(t->thread_pid));
    preempt_enable();
    return nr;
}

pid_t task_tgid_vnr(struct task_struct *t)
{
    preempt_disable();
    pid_t nr = pid_vnr(READ_ONCE(t->signal->pids[PIDTYPE_TGID]));
    preempt_enable();
    return nr;
}

struct task_struct *next_process(struct task_struct *p)
{
    struct task_struct *next = list_next_entry(p ? p : &init_task, tasks);
    return next == &init_task ? NULL : next;
}

void pid_init(void)
{
    idr_init(&init_pid_ns.idr);
    struct pid *p = (struct pid *)init_struct_pid;
    atomic_set(&p->count, 1);
    p->numbers[0] = (struct upid){0, &init_pid_ns};
    init_waitqueue_head(&p->wait_pidfd);

    struct task_struct *t = &init_task;
    INIT_LIST_HEAD(&t->tasks);
    INIT_LIST_HEAD(&t->children);
    INIT_LIST_HEAD(&t->sibling);
    INIT_LIST_HEAD(&t->thread_node);
    INIT_LIST_HEAD(&t->pending.list);
    t->group_leader = t->real_parent = t->parent = t;
    t->sighand = &init_sighand;
    t->signal = &init_signals;
    t->cred = &init_cred;
    t->fs = &init_fs;
    t->files = &init_files;
    t->nsproxy = &init_nsproxy;
    t->thread_pid = p;
    for (int i = PIDTYPE_TGID; i < PIDTYPE_MAX; i++)
        t->signal->pids[i] = p;
    // Linked in every role, so that pid 0 outlives the kernel threads and init's setsid.
    for (int i = 0; i < PIDTYPE_MAX; i++)
        attach_pid(t, (enum pid_type)i);
    t->signal->leader_task = t;
    init_pid_ns.idr.next = 2; // 1 is kept for init (alloc_init_pid)
    list_add_tail(&t->thread_node, &t->signal->thread_head);
    init_nsproxy.pid_ns_for_children = &init_pid_ns;
}
