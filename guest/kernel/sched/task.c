// SPDX-License-Identifier: MIT
// Task structures: the first one, copies, the end.
#include "abi/sched.h"
#include "arch/x86_64/fpu.h"
#include "fs/file.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/slab.h"
#include "mm/vmalloc.h"
#include "sched/kthread.h"
#include "sched/sched.h"

// Fields that point to shared parts are filled in by their owners' init functions.
struct task_struct init_task = {
    .usage = ATOMIC_INIT(2),
    .flags = PF_KTHREAD | PF_IDLE,
    .policy = SCHED_NORMAL,
    .static_prio = 120,
    .cpus_allowed = ~0UL,
    .comm = "swapper",
    .tasks = LIST_HEAD_INIT(init_task.tasks),
    .children = LIST_HEAD_INIT(init_task.children),
    .sibling = LIST_HEAD_INIT(init_task.sibling),
    .thread_node = LIST_HEAD_INIT(init_task.thread_node),
    .pending = {.list = LIST_HEAD_INIT(init_task.pending.list)},
    .real_parent = &init_task,
    .parent = &init_task,
    .group_leader = &init_task,
    .active_mm = &init_mm,
    .fs = &init_fs,
    .files = &init_files,
    .timer_slack_ns = 50000,
};

static struct kmem_cache *task_cache;

struct task_struct *task_dup(struct task_struct *orig)
{
    if (!task_cache &&
        !(task_cache = kmem_cache_create("task_struct", sizeof(struct task_struct), 64, 0)))
        return NULL;
    struct task_struct *t = kmem_cache_alloc(task_cache, GFP_KERNEL);
    if (!t)
        return NULL;
    *t = *orig;
    t->stack = kernel_stack_alloc();
    if (!t->stack)
        goto fail_stack;
    if (fpu_alloc(t))
        goto fail_fpu;
    fpu_copy(t, orig);
    atomic_set(&t->usage,
               2); // one for whoever reaps it, one until it has been switched away for good
    t->flags &= ~PF_IDLE;
    t->state = TASK_NEW;
    t->exit_state = 0;
    t->work = 0;
    t->pagefault_disabled = 0;
    t->task_works = NULL;
    t->futex_wait = NULL;
    t->journal_info = NULL;
    t->vfork_done = NULL;
    t->kthread_fn = NULL;
    t->kthread_exited = NULL;
    t->kthread_stop_asked = false;
    t->oom_victim = false;
    t->fail_nth = 0;
    t->min_flt = t->maj_flt = 0;
    t->restart_block.fn = NULL;
    memset(&t->io, 0, sizeof(t->io));
    memset(t->pid_links, 0, sizeof(t->pid_links));
    spin_lock_init(&t->alloc_lock);
    INIT_LIST_HEAD(&t->tasks);
    INIT_LIST_HEAD(&t->children);
    INIT_LIST_HEAD(&t->sibling);
    INIT_LIST_HEAD(&t->thread_node);
    INIT_LIST_HEAD(&t->pending.list);
    t->pending.signal.sig = 0;
#ifdef FERN_DEBUG_LOCKS
    t->held_count = 0;
#endif
    return t;
fail_fpu:
    kernel_stack_free(t->stack);
fail_stack:
    kmem_cache_free(task_cache, t);
    return NULL;
}

void task_discard(struct task_struct *t)
{
    fpu_free(t);
    kernel_stack_free(t->stack);
    kmem_cache_free(task_cache, t);
}

static void task_free(struct deferred *d)
{
    struct task_struct *t = container_of(d, struct task_struct, reap);
    task_release_proc(t);
    task_discard(t);
}

void put_task_struct(struct task_struct *t)
{
    if (atomic_dec_and_test(&t->usage))
        defer_free(&t->reap, task_free);
}
