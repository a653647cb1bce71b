// SPDX-License-Identifier: MIT
// Slow path of spinlocks; mutexes and reader-writer semaphores with FIFO hand-off.
#include "sched/lock.h"

#include "arch/x86_64/smp.h"
#include "lib/err.h"
#include "lib/printk.h"
#include "sched/sched.h"
#include "sched/wait.h"

// A holder may be waiting for this CPU to answer a call: with interrupts off, it is answered here.
void spin_lock_slow(spinlock_t *l)
{
    u64 since = spin_debug_now();
    do {
        while (spin_is_locked(l)) {
            if (irqs_disabled())
                smp_serve_calls();
            cpu_relax();
            spin_debug_waiting(l, since);
        }
    } while (__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE));
    (void)since;
}

struct lock_waiter {
    struct list_head entry;
    struct task_struct *task; // NULL once the lock was handed over
    bool writer;
};

// Sleeps until handed over. False: a signal ended it, and the waiter is off the list. wait_lock not
// held.
static bool wait_handed(spinlock_t *wait_lock, struct lock_waiter *w, unsigned state)
{
    for (;;) {
        set_current_state(state);
        if (!__atomic_load_n(&w->task, __ATOMIC_ACQUIRE))
            break;
        if (wait_interrupted(state)) {
            spin_lock(wait_lock);
            bool still = w->task != NULL;
            if (still)
                list_del(&w->entry);
            spin_unlock(wait_lock);
            __set_current_state(TASK_RUNNING);
            return !still;
        }
        schedule();
    }
    __set_current_state(TASK_RUNNING);
    return true;
}

// wait_lock held. After the store the waiter's stack frame may be gone.
static void hand_over(struct lock_waiter *w)
{
    struct task_struct *t = get_task_struct(w->task);
    list_del(&w->entry);
    __atomic_store_n(&w->task, NULL, __ATOMIC_RELEASE);
    wake_up_state(t, TASK_NORMAL);
    put_task_struct(t);
}

void mutex_init_rank(struct mutex *m, int rank)
{
    spin_lock_init(&m->wait_lock);
    m->owner = NULL;
    INIT_LIST_HEAD(&m->waiters);
    m->rank = rank;
}

void mutex_init(struct mutex *m)
{
    mutex_init_rank(m, 0);
}

static int mutex_lock_state(struct mutex *m, unsigned state)
{
    might_sleep();
    BUG_ON(m->owner == current);
    struct task_struct *none = NULL;
    bool got = __atomic_compare_exchange_n(&m->owner, &none, current, false, __ATOMIC_ACQUIRE,
                                           __ATOMIC_RELAXED);
    if (!got) {
        struct lock_waiter w = {.task = current};
        spin_lock(&m->wait_lock);
        none = NULL;
        got = __atomic_compare_exchange_n(&m->owner, &none, current, false, __ATOMIC_ACQUIRE,
                                          __ATOMIC_RELAXED);
        if (!got)
            list_add_tail(&w.entry, &m->waiters);
        spin_unlock(&m->wait_lock);
        if (!got && !wait_handed(&m->wait_lock, &w, state))
            return -EINTR;
    }
    lock_debug_acquire(m, m->rank, "mutex");
    return 0;
}

void mutex_lock(struct mutex *m)
{
    mutex_lock_state(m, TASK_UNINTERRUPTIBLE);
}

int mutex_lock_interruptible(struct mutex *m)
{
    return mutex_lock_state(m, TASK_INTERRUPTIBLE);
}

int mutex_lock_killable(struct mutex *m)
{
    return mutex_lock_state(m, TASK_KILLABLE);
}

bool mutex_trylock(struct mutex *m)
{
    struct task_struct *none = NULL;
    if (!__atomic_compare_exchange_n(&m->owner, &none, current, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        return false;
    lock_debug_acquire(m, 0, "mutex");
    return true;
}

// The waiter list is looked at under wait_lock: a waiter that saw the owner has queued itself
// before we look, or tries again.
void mutex_unlock(struct mutex *m)
{
    BUG_ON(m->owner != current);
    lock_debug_release(m);
    spin_lock(&m->wait_lock);
    if (list_empty(&m->waiters)) {
        __atomic_store_n(&m->owner, NULL, __ATOMIC_RELEASE);
    } else {
        struct lock_waiter *w = list_first_entry(&m->waiters, struct lock_waiter, entry);
        __atomic_store_n(&m->owner, w->task, __ATOMIC_RELEASE);
        hand_over(w);
    }
    spin_unlock(&m->wait_lock);
}

bool mutex_is_locked(const struct mutex *m)
{
    return READ_ONCE(m->owner) != NULL;
}

bool mutex_held(const struct mutex *m)
{
    return READ_ONCE(m->owner) == current;
}

void init_rwsem_rank(struct rw_semaphore *s, int rank)
{
    spin_lock_init(&s->wait_lock);
    s->count = 0;
    INIT_LIST_HEAD(&s->waiters);
    s->writer = NULL;
    s->rank = rank;
}

void init_rwsem(struct rw_semaphore *s)
{
    init_rwsem_rank(s, 0);
}

// wait_lock held: lets the first writer, or all readers up to the next writer, in.
static void rwsem_grant(struct rw_semaphore *s)
{
    while (!list_empty(&s->waiters)) {
        struct lock_waiter *w = list_first_entry(&s->waiters, struct lock_waiter, entry);
        if (w->writer) {
            if (s->count == 0) {
                s->count = -1;
                s->writer = w->task;
                hand_over(w);
            }
            return;
        }
        if (s->count < 0)
            return;
        s->count++;
        hand_over(w);
    }
}

static int rwsem_wait(struct rw_semaphore *s, struct lock_waiter *w, unsigned state)
{
    if (wait_handed(&s->wait_lock, w, state))
        return 0;
    spin_lock(&s->wait_lock); // a writer that gave up may have held readers back
    rwsem_grant(s);
    spin_unlock(&s->wait_lock);
    return -EINTR;
}

static int down_read_state(struct rw_semaphore *s, unsigned state)
{
    might_sleep();
    struct lock_waiter w = {.task = current, .writer = false};
    spin_lock(&s->wait_lock);
    bool got = s->count >= 0 && list_empty(&s->waiters);
    if (got)
        s->count++;
    else
        list_add_tail(&w.entry, &s->waiters);
    spin_unlock(&s->wait_lock);
    int err = got ? 0 : rwsem_wait(s, &w, state);
    if (!err)
        lock_debug_acquire(s, s->rank, "rwsem (read)");
    return err;
}

static int down_write_state(struct rw_semaphore *s, unsigned state)
{
    might_sleep();
    struct lock_waiter w = {.task = current, .writer = true};
    spin_lock(&s->wait_lock);
    bool got = s->count == 0 && list_empty(&s->waiters);
    if (got) {
        s->count = -1;
        s->writer = current;
    } else {
        list_add_tail(&w.entry, &s->waiters);
    }
    spin_unlock(&s->wait_lock);
    int err = got ? 0 : rwsem_wait(s, &w, state);
    if (!err)
        lock_debug_acquire(s, s->rank, "rwsem (write)");
    return err;
}

void down_read(struct rw_semaphore *s)
{
    down_read_state(s, TASK_UNINTERRUPTIBLE);
}

int down_read_killable(struct rw_semaphore *s)
{
    return down_read_state(s, TASK_KILLABLE);
}

void down_write(struct rw_semaphore *s)
{
    down_write_state(s, TASK_UNINTERRUPTIBLE);
}

int down_write_killable(struct rw_semaphore *s)
{
    return down_write_state(s, TASK_KILLABLE);
}

bool down_read_trylock(struct rw_semaphore *s)
{
    spin_lock(&s->wait_lock);
    bool got = s->count >= 0 && list_empty(&s->waiters);
    if (got)
        s->count++;
    spin_unlock(&s->wait_lock);
    if (got)
        lock_debug_acquire(s, 0, "rwsem (read)");
    return got;
}

bool down_write_trylock(struct rw_semaphore *s)
{
    spin_lock(&s->wait_lock);
    bool got = s->count == 0 && list_empty(&s->waiters);
    if (got) {
        s->count = -1;
        s->writer = current;
    }
    spin_unlock(&s->wait_lock);
    if (got)
        lock_debug_acquire(s, 0, "rwsem (write)");
    return got;
}

void up_read(struct rw_semaphore *s)
{
    lock_debug_release(s);
    spin_lock(&s->wait_lock);
    BUG_ON(s->count <= 0);
    if (--s->count == 0)
        rwsem_grant(s);
    spin_unlock(&s->wait_lock);
}

void up_write(struct rw_semaphore *s)
{
    lock_debug_release(s);
    spin_lock(&s->wait_lock);
    BUG_ON(s->count != -1);
    s->count = 0;
    s->writer = NULL;
    rwsem_grant(s);
    spin_unlock(&s->wait_lock);
}

void downgrade_write(struct rw_semaphore *s)
{
    spin_lock(&s->wait_lock);
    BUG_ON(s->count != -1);
    s->count = 1;
    s->writer = NULL;
    rwsem_grant(s);
    spin_unlock(&s->wait_lock);
}
