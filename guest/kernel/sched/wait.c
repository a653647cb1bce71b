// SPDX-License-Identifier: MIT
// Wait queues and completions.
#include "sched/wait.h"

#include "sched/sched.h"

void init_waitqueue_head(wait_queue_head_t *q)
{
    spin_lock_init(&q->lock);
    INIT_LIST_HEAD(&q->head);
}

void init_waitqueue_func_entry(struct wait_queue_entry *e, wait_func_t func)
{
    e->flags = 0;
    e->private = NULL;
    e->func = func;
    INIT_LIST_HEAD(&e->entry);
}

int default_wake_function(struct wait_queue_entry *e, unsigned mode, void *key)
{
    (void)key;
    return wake_up_state(e->private, mode);
}

int autoremove_wake_function(struct wait_queue_entry *e, unsigned mode, void *key)
{
    int woken = default_wake_function(e, mode, key);
    if (woken)
        list_del_init(&e->entry);
    return woken;
}

void add_wait_queue(wait_queue_head_t *q, struct wait_queue_entry *e)
{
    unsigned long flags;
    e->flags &= ~WQ_EXCLUSIVE;
    spin_lock_irqsave(&q->lock, flags);
    list_add(&e->entry, &q->head);
    spin_unlock_irqrestore(&q->lock, flags);
}

void add_wait_queue_exclusive(wait_queue_head_t *q, struct wait_queue_entry *e)
{
    unsigned long flags;
    e->flags |= WQ_EXCLUSIVE;
    spin_lock_irqsave(&q->lock, flags);
    list_add_tail(&e->entry, &q->head);
    spin_unlock_irqrestore(&q->lock, flags);
}

void remove_wait_queue(wait_queue_head_t *q, struct wait_queue_entry *e)
{
    unsigned long flags;
    spin_lock_irqsave(&q->lock, flags);
    list_del_init(&e->entry);
    spin_unlock_irqrestore(&q->lock, flags);
}

static void prepare(wait_queue_head_t *q, struct wait_queue_entry *e, unsigned state,
                    bool exclusive)
{
    unsigned long flags;
    spin_lock_irqsave(&q->lock, flags);
    if (list_empty(&e->entry)) {
        e->flags = exclusive ? WQ_EXCLUSIVE : 0;
        if (exclusive)
            list_add_tail(&e->entry, &q->head);
        else
            list_add(&e->entry, &q->head);
    }
    set_current_state(state);
    spin_unlock_irqrestore(&q->lock, flags);
}

void prepare_to_wait(wait_queue_head_t *q, struct wait_queue_entry *e, unsigned state)
{
    prepare(q, e, state, false);
}

void prepare_to_wait_exclusive(wait_queue_head_t *q, struct wait_queue_entry *e, unsigned state)
{
    prepare(q, e, state, true);
}

void finish_wait(wait_queue_head_t *q, struct wait_queue_entry *e)
{
    __set_current_state(TASK_RUNNING);
    unsigned long flags;
    spin_lock_irqsave(&q->lock, flags);
    list_del_init(&e->entry);
    spin_unlock_irqrestore(&q->lock, flags);
}

void __wake_up_locked(wait_queue_head_t *q, unsigned mode, int nr, void *key)
{
    struct wait_queue_entry *e, *next;
    list_for_each_entry_safe(e, next, &q->head, entry)
    {
        bool exclusive = e->flags & WQ_EXCLUSIVE;
        int ret = e->func(e, mode, key);
        if (ret < 0 || (ret && exclusive && --nr == 0))
            break;
    }
}

void __wake_up(wait_queue_head_t *q, unsigned mode, int nr, void *key)
{
    unsigned long flags;
    spin_lock_irqsave(&q->lock, flags);
    __wake_up_locked(q, mode, nr, key);
    spin_unlock_irqrestore(&q->lock, flags);
}

void init_completion(struct completion *c)
{
    c->done = 0;
    init_waitqueue_head(&c->wait);
}

void complete(struct completion *c)
{
    unsigned long flags;
    spin_lock_irqsave(&c->wait.lock, flags);
    if (c->done != ~0u)
        c->done++;
    __wake_up_locked(&c->wait, TASK_NORMAL | TASK_WAKEKILL, 1, NULL);
    spin_unlock_irqrestore(&c->wait.lock, flags);
}

void complete_all(struct completion *c)
{
    unsigned long flags;
    spin_lock_irqsave(&c->wait.lock, flags);
    c->done = ~0u;
    __wake_up_locked(&c->wait, TASK_NORMAL | TASK_WAKEKILL, 0, NULL);
    spin_unlock_irqrestore(&c->wait.lock, flags);
}

// The completion may live on a stack that goes away as soon as this returns: `done` is only taken
// under the lock that complete() holds to its end.
static int wait_for(struct completion *c, unsigned state)
{
    might_sleep();
    int err = 0;
    DEFINE_WAIT(w);
    spin_lock_irq(&c->wait.lock);
    while (!c->done) {
        if (wait_interrupted(state)) {
            err = -ERESTARTSYS;
            break;
        }
        if (list_empty(&w.entry)) {
            w.flags = WQ_EXCLUSIVE;
            list_add_tail(&w.entry, &c->wait.head);
        }
        set_current_state(state);
        spin_unlock_irq(&c->wait.lock);
        schedule();
        spin_lock_irq(&c->wait.lock);
    }
    if (!err && c->done != ~0u)
        c->done--;
    __set_current_state(TASK_RUNNING);
    list_del_init(&w.entry);
    spin_unlock_irq(&c->wait.lock);
    return err;
}

void wait_for_completion(struct completion *c)
{
    wait_for(c, TASK_UNINTERRUPTIBLE);
}

int wait_for_completion_interruptible(struct completion *c)
{
    return wait_for(c, TASK_INTERRUPTIBLE);
}

int wait_for_completion_killable(struct completion *c)
{
    return wait_for(c, TASK_KILLABLE);
}
