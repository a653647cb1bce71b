// SPDX-License-Identifier: MIT
// Kernel threads, the bottom-half thread, deferred frees.
#pragma once

#include "lib/list.h"
#include "lib/types.h"

struct task_struct;
// Made stopped; wake_up_process starts it. Children of kthreadd (pid 2). ERR_PTR(-ENOMEM...). Task
// context.
struct task_struct *kthread_create(int (*fn)(void *), void *arg, const char *name_fmt, ...)
    __printf(3, 4);
struct task_struct *kthread_run(int (*fn)(void *), void *arg, const char *name_fmt, ...)
    __printf(3, 4);
bool kthread_should_stop(void);
int kthread_stop(struct task_struct *t); // asks, wakes, waits; returns fn's result

// Work queued from hard interrupts to the bottom-half kernel thread. One item is queued at most
// once at a time.
struct work_struct {
    struct list_head entry;
    void (*func)(struct work_struct *w); // task context, may sleep briefly
    bool queued;
};
static inline void work_init(struct work_struct *w, void (*fn)(struct work_struct *))
{
    INIT_LIST_HEAD(&w->entry);
    w->func = fn;
    w->queued = false;
}
bool schedule_work(struct work_struct *w); // any context; false if already queued
void flush_work(struct work_struct *w);    // waits until it is not queued or running

// Frees later, from the kdeferred thread: when every CPU has been seen with preemption and
// interrupts on, so that a lookup with either off needs no reference. Any context.
struct deferred {
    struct list_head entry;
    void (*free)(struct deferred *d);
};
void defer_free(struct deferred *d, void (*free)(struct deferred *d));
// Without waking the thread: for small things that go together with others.
void defer_free_lazy(struct deferred *d, void (*free)(struct deferred *d));

void kthread_init(void);

// Work to run in a task on its way to user mode (or at exit): last fput, mmput...
struct task_work {
    struct task_work *next;
    void (*func)(struct task_work *w);
};
int task_work_add(struct task_struct *t,
                  struct task_work *w);      // 0, or -ESRCH when the task already exits
void task_work_run(void);                    // of current
void task_work_close(struct task_struct *t); // do_exit: runs what is there and refuses more

// Boot: pid 2, which makes all other kernel threads; started with wake_up_new_task.
struct task_struct *kthreadd_create(void);
void do_exit_kthread(void) __attribute__((noreturn));
void proc_exit_kthread(struct task_struct *t); // proc/: unlinks t and drops the reaper's reference
