// SPDX-License-Identifier: MIT
// struct pid: a process id with a number per namespace level. K-proc owns proc/pid.c.
#pragma once

#include "lib/idr.h"
#include "sched/kthread.h"
#include "sched/wait.h"

struct pid_namespace {
    atomic_t count;
    struct idr idr;
    spinlock_t lock;
    unsigned level;
    struct pid_namespace *parent;
    struct task_struct *child_reaper;
    unsigned pid_max;
    unsigned nr_pids;
};
struct upid {
    pid_t nr;
    struct pid_namespace *ns;
};
struct pid {
    atomic_t count;
    unsigned level;
    struct hlist_head tasks[PIDTYPE_MAX]; // lock: tasklist_lock
    wait_queue_head_t wait_pidfd;
    struct deferred rcu;
    struct upid numbers[];
};
extern struct pid_namespace init_pid_ns;
extern spinlock_t tasklist_lock; // family links, pid links, exit_state; interrupts off not needed

struct pid *alloc_pid(struct pid_namespace *ns); // ERR_PTR(-EAGAIN, -ENOMEM)
struct pid *get_pid(struct pid *p);
void put_pid(struct pid *p);
void free_pid(struct pid *p); // numbers away, then put; tasklist_lock held: find_get_pid
void attach_pid(struct task_struct *t, enum pid_type type);
void detach_pid(struct task_struct *t, enum pid_type type);
void change_pid(struct task_struct *t, enum pid_type type, struct pid *p);
struct pid *find_vpid(pid_t nr);      // in current's namespace; tasklist_lock held
struct pid *find_get_pid(pid_t nr);   // counted
struct task_struct *find_get_task_by_vpid(pid_t nr); // counted
struct task_struct *pid_task(struct pid *p, enum pid_type type); // tasklist_lock held
struct pid *task_pid(struct task_struct *t);
struct pid *task_tgid(struct task_struct *t);
struct pid *task_pgrp(struct task_struct *t);    // tasklist_lock held
struct pid *task_session(struct task_struct *t); // tasklist_lock held
pid_t pid_nr_ns(const struct pid *p, const struct pid_namespace *ns); // 0 if not visible
pid_t pid_vnr(const struct pid *p);
pid_t task_pid_vnr(struct task_struct *t);
pid_t task_tgid_vnr(struct task_struct *t);
struct pid_namespace *task_active_pid_ns(struct task_struct *t);
#define for_each_process(p) for (p = NULL; (p = next_process(p)) != NULL;)
struct task_struct *next_process(struct task_struct *p); // tasklist_lock held; NULL starts
#define for_each_thread(leader, t)                                                                 \
    list_for_each_entry(t, &(leader)->signal->thread_head, thread_node)
// task in the process group `pgrp`; tasklist_lock held
#define for_each_task_of_pid(pid_, type, t)                                                        \
    hlist_for_each_entry(t, &(pid_)->tasks[type], pid_links[type])
void pid_init(void);

// Kernel threads get a pid and a place in the family (weak in kthread.c until proc/ is linked). 0
// or -errno.
int proc_adopt_kthread(struct task_struct *t);
