// SPDX-License-Identifier: MIT
// Wait queues. Entries carry a callback, so poll, epoll and futexes use the same queues as
// sleepers. Completions.
#pragma once

#include "lib/err.h"
#include "sched/lock.h"
#include "sched/timer.h"

struct wait_queue_entry;
// Called under the queue's lock with interrupts off. Returns > 0 when it woke an exclusive waiter
// (counts against nr), 0 when it did nothing or is not exclusive, < 0 to stop the walk. key: poll
// bits in (poll_t)(u64)key, or 0.
typedef int (*wait_func_t)(struct wait_queue_entry *e, unsigned mode, void *key);

#define WQ_EXCLUSIVE 1u
struct wait_queue_entry {
    unsigned flags;
    void *private; // the task, for default_wake_function
    wait_func_t func;
    struct list_head entry;
};
typedef struct wait_queue_head {
    spinlock_t lock;
    struct list_head head;
} wait_queue_head_t;

#define WAIT_QUEUE_HEAD_INIT(n)                                                                    \
    {                                                                                              \
        .lock = SPIN_LOCK_INIT_RANK(#n, 0), .head = LIST_HEAD_INIT((n).head)                       \
    }
#define DECLARE_WAIT_QUEUE_HEAD(n) wait_queue_head_t n = WAIT_QUEUE_HEAD_INIT(n)
int default_wake_function(struct wait_queue_entry *e, unsigned mode, void *key);
int autoremove_wake_function(struct wait_queue_entry *e, unsigned mode, void *key);
#define DEFINE_WAIT(n)                                                                             \
    struct wait_queue_entry n = {                                                                  \
        .private = current, .func = autoremove_wake_function, .entry = LIST_HEAD_INIT((n).entry)}

void init_waitqueue_head(wait_queue_head_t *q);
void init_waitqueue_func_entry(struct wait_queue_entry *e, wait_func_t func);
void add_wait_queue(wait_queue_head_t *q, struct wait_queue_entry *e);
void add_wait_queue_exclusive(wait_queue_head_t *q, struct wait_queue_entry *e);
void remove_wait_queue(wait_queue_head_t *q, struct wait_queue_entry *e);
// Adds (once) and sets the state: then test the condition, then schedule().
void prepare_to_wait(wait_queue_head_t *q, struct wait_queue_entry *e, unsigned state);
void prepare_to_wait_exclusive(wait_queue_head_t *q, struct wait_queue_entry *e, unsigned state);
void finish_wait(wait_queue_head_t *q, struct wait_queue_entry *e);
static inline bool waitqueue_active(const wait_queue_head_t *q)
{
    return !list_empty(&q->head);
}

// mode: TASK_* mask of sleepers to wake; nr: how many exclusive ones (0 = all). Any context.
void __wake_up(wait_queue_head_t *q, unsigned mode, int nr, void *key);
void __wake_up_locked(wait_queue_head_t *q, unsigned mode, int nr, void *key); // q->lock held
#define wake_up(q) __wake_up(q, TASK_NORMAL, 1, NULL)
#define wake_up_nr(q, n) __wake_up(q, TASK_NORMAL, n, NULL)
#define wake_up_all(q) __wake_up(q, TASK_NORMAL, 0, NULL)
#define wake_up_interruptible(q) __wake_up(q, TASK_INTERRUPTIBLE, 1, NULL)
#define wake_up_interruptible_all(q) __wake_up(q, TASK_INTERRUPTIBLE, 0, NULL)
#define wake_up_poll(q, bits) __wake_up(q, TASK_NORMAL, 1, (void *)(u64)(bits))
#define wake_up_interruptible_poll(q, bits) __wake_up(q, TASK_INTERRUPTIBLE, 1, (void *)(u64)(bits))

bool wait_interrupted(unsigned state); // a signal ends a sleep in this state

// The body of all wait_event macros: result 0, or -ERESTARTSYS; `cmd` sleeps.
#define WAIT_EVENT_LOOP(q, cond, state, excl, cmd)                                                 \
    ({                                                                                             \
        DEFINE_WAIT(we_);                                                                          \
        long wer_ = 0;                                                                             \
        for (;;) {                                                                                 \
            if (excl)                                                                              \
                prepare_to_wait_exclusive(&(q), &we_, state);                                      \
            else                                                                                   \
                prepare_to_wait(&(q), &we_, state);                                                \
            if (cond)                                                                              \
                break;                                                                             \
            if (wait_interrupted(state)) {                                                         \
                wer_ = -ERESTARTSYS;                                                               \
                break;                                                                             \
            }                                                                                      \
            cmd;                                                                                   \
        }                                                                                          \
        finish_wait(&(q), &we_);                                                                   \
        wer_;                                                                                      \
    })
#define wait_event(q, cond)                                                                        \
    do {                                                                                           \
        might_sleep();                                                                             \
        if (!(cond))                                                                               \
            (void)WAIT_EVENT_LOOP(q, cond, TASK_UNINTERRUPTIBLE, 0, schedule());                   \
    } while (0)
#define wait_event_state(q, cond, state, excl)                                                     \
    ({                                                                                             \
        might_sleep();                                                                             \
        long wes_ = 0;                                                                             \
        if (!(cond))                                                                               \
            wes_ = WAIT_EVENT_LOOP(q, cond, state, excl, schedule());                              \
        (int)wes_;                                                                                 \
    })
// 0 or -ERESTARTSYS.
#define wait_event_interruptible(q, cond) wait_event_state(q, cond, TASK_INTERRUPTIBLE, 0)
#define wait_event_interruptible_exclusive(q, cond) wait_event_state(q, cond, TASK_INTERRUPTIBLE, 1)
#define wait_event_killable(q, cond) wait_event_state(q, cond, TASK_KILLABLE, 0)
// deadline: absolute CLOCK_MONOTONIC ns, KTIME_MAX = none. 0 (condition true), -ETIME, or
// -ERESTARTSYS.
#define wait_event_deadline(q, cond, state, deadline)                                              \
    ({                                                                                             \
        might_sleep();                                                                             \
        long wet_ = 0;                                                                             \
        bool wex_ = false;                                                                         \
        if (!(cond))                                                                               \
            wet_ =                                                                                 \
                WAIT_EVENT_LOOP(q, (cond) || wex_, state, 0, wex_ = !schedule_deadline(deadline)); \
        (int)(wet_ ? wet_ : ((wex_ && !(cond)) ? -ETIME : 0));                                     \
    })
#define wait_event_interruptible_deadline(q, cond, deadline)                                       \
    wait_event_deadline(q, cond, TASK_INTERRUPTIBLE, deadline)
#define wait_event_timeout_ns(q, cond, ns)                                                         \
    wait_event_deadline(q, cond, TASK_UNINTERRUPTIBLE, ktime_get() + (ns))

struct completion {
    unsigned done;
    wait_queue_head_t wait;
};
#define COMPLETION_INIT(c)                                                                         \
    {                                                                                              \
        0, WAIT_QUEUE_HEAD_INIT((c).wait)                                                          \
    }
void init_completion(struct completion *c);
void complete(struct completion *c); // any context
void complete_all(struct completion *c);
void wait_for_completion(struct completion *c);
int wait_for_completion_interruptible(struct completion *c); // 0 or -ERESTARTSYS
int wait_for_completion_killable(struct completion *c);

#include "sched/sched.h"
