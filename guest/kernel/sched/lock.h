// SPDX-License-Identifier: MIT
// spinlock (no sleeping inside), mutex, rw_semaphore, completion, seqcount. DESIGN.md section 6
// gives the lock order: rename -> inode -> mmap -> page lock -> rmap -> page table ->
// mapping/LRU/zone -> run queue.
#pragma once

#include "lib/atomic.h"
#include "lib/list.h"
#include "sched/preempt.h"

struct task_struct;

// Rank in the lock order; checked in debug builds (a lock may be taken only under lower ranks). 0 =
// unranked leaf.
enum lock_rank {
    LOCK_UNRANKED = 0,
    LOCK_RENAME = 10,
    LOCK_INODE = 20,
    LOCK_MMAP = 30,
    LOCK_PAGE = 40,
    LOCK_RMAP = 50,
    LOCK_PAGE_TABLE = 60,
    LOCK_MAPPING = 70,
    LOCK_LRU = 71,
    LOCK_ZONE = 72,
    LOCK_RUN_QUEUE = 90,
};

typedef struct spinlock {
    u32 locked;
    u16 rank;
#ifdef FERN_DEBUG_LOCKS
    const char *name;
    int owner_cpu; // +1; 0 = free
#endif
} spinlock_t;

#ifdef FERN_DEBUG_LOCKS
#define SPIN_LOCK_INIT_RANK(n, r)                                                                  \
    {                                                                                              \
        .rank = (r), .name = (n)                                                                   \
    }
// A class of locks is what one place in the source initialises.
#define LOCK_CLASS(text) __FILE__ ": " text
void lock_debug_acquire(const void *lock, int rank, const char *name);
void spin_debug_acquire(spinlock_t *l); // as that, with the class's order and context
void lock_debug_release(const void *lock);
#else
#define SPIN_LOCK_INIT_RANK(n, r)                                                                  \
    {                                                                                              \
        .rank = (r)                                                                                \
    }
#define LOCK_CLASS(text) text
#define lock_debug_acquire(l, r, n) ((void)0)
#define lock_debug_release(l) ((void)0)
#endif
#define DEFINE_SPINLOCK(x) spinlock_t x = SPIN_LOCK_INIT_RANK(LOCK_CLASS(#x), 0)
#define spin_lock_init_rank(l, r) (*(l) = (spinlock_t)SPIN_LOCK_INIT_RANK(LOCK_CLASS(#l), r))
#define spin_lock_init(l) spin_lock_init_rank(l, 0)

void spin_lock_slow(spinlock_t *l);
#ifdef FERN_DEBUG_LOCKS
void spin_lock_debug_check(spinlock_t *l);
void spin_unlock_debug_check(const spinlock_t *l);
u64 spin_debug_now(void);
void spin_debug_waiting(const spinlock_t *l, u64 since); // panics when it takes too long
#else
#define spin_debug_now() 0UL
#define spin_debug_waiting(l, since) ((void)0)
#endif

static inline void spin_lock(spinlock_t *l)
{
    preempt_disable();
#ifdef FERN_DEBUG_LOCKS
    spin_lock_debug_check(l);
#endif
    if (unlikely(__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE)))
        spin_lock_slow(l);
#ifdef FERN_DEBUG_LOCKS
    l->owner_cpu = (int)smp_processor_id() + 1;
    spin_debug_acquire(l);
#endif
}
static inline bool spin_trylock(spinlock_t *l)
{
    preempt_disable();
    if (__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE)) {
        preempt_enable();
        return false;
    }
#ifdef FERN_DEBUG_LOCKS
    l->owner_cpu = (int)smp_processor_id() + 1;
    lock_debug_acquire(l, 0, l->name);
#endif
    return true;
}
// Releases without the reschedule check (the caller still has interrupts off).
static inline void spin_unlock_raw(spinlock_t *l)
{
#ifdef FERN_DEBUG_LOCKS
    spin_unlock_debug_check(l);
    l->owner_cpu = 0;
    lock_debug_release(l);
#endif
    __atomic_store_n(&l->locked, 0, __ATOMIC_RELEASE);
}
static inline void spin_unlock(spinlock_t *l)
{
    spin_unlock_raw(l);
    preempt_enable();
}
static inline void spin_lock_irq(spinlock_t *l)
{
    local_irq_disable();
    spin_lock(l);
}
static inline void spin_unlock_irq(spinlock_t *l)
{
    spin_unlock_raw(l);
    local_irq_enable();
    preempt_enable();
}
#define spin_lock_irqsave(l, flags)                                                                \
    do {                                                                                           \
        (flags) = local_irq_save();                                                                \
        spin_lock(l);                                                                              \
    } while (0)
static inline void spin_unlock_irqrestore(spinlock_t *l, unsigned long flags)
{
    spin_unlock_raw(l);
    local_irq_restore(flags);
    preempt_enable();
}
static inline bool spin_is_locked(const spinlock_t *l)
{
    return __atomic_load_n(&l->locked, __ATOMIC_RELAXED) != 0;
}

// Sleeping locks: task context only. FIFO hand-off to the first waiter.
struct mutex {
    spinlock_t wait_lock;
    struct task_struct *owner;
    struct list_head waiters;
    int rank;
};
#define MUTEX_INIT(m)                                                                              \
    {                                                                                              \
        .wait_lock = SPIN_LOCK_INIT_RANK(#m, 0), .waiters = LIST_HEAD_INIT((m).waiters)            \
    }
#define DEFINE_MUTEX(m) struct mutex m = MUTEX_INIT(m)
void mutex_init(struct mutex *m);
void mutex_init_rank(struct mutex *m, int rank);
void mutex_lock(struct mutex *m);
int mutex_lock_interruptible(struct mutex *m); // 0 or -EINTR
int mutex_lock_killable(struct mutex *m);      // 0 or -EINTR
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
bool mutex_is_locked(const struct mutex *m);
bool mutex_held(const struct mutex *m); // by current

// Many readers or one writer; a waiting writer holds back new readers.
struct rw_semaphore {
    spinlock_t wait_lock;
    int count; // -1 = writer, n > 0 = readers
    struct list_head waiters;
    struct task_struct *writer;
    int rank;
};
#define RWSEM_INIT(s)                                                                              \
    {                                                                                              \
        .wait_lock = SPIN_LOCK_INIT_RANK(#s, 0), .waiters = LIST_HEAD_INIT((s).waiters)            \
    }
#define DECLARE_RWSEM(s) struct rw_semaphore s = RWSEM_INIT(s)
void init_rwsem(struct rw_semaphore *s);
void init_rwsem_rank(struct rw_semaphore *s, int rank);
void down_read(struct rw_semaphore *s);
int down_read_killable(struct rw_semaphore *s);
bool down_read_trylock(struct rw_semaphore *s);
void up_read(struct rw_semaphore *s);
void down_write(struct rw_semaphore *s);
int down_write_killable(struct rw_semaphore *s);
bool down_write_trylock(struct rw_semaphore *s);
void up_write(struct rw_semaphore *s);
void downgrade_write(struct rw_semaphore *s);

// seqcount: writers exclude each other by their own lock; readers retry.
typedef struct {
    u32 seq;
} seqcount_t;
static inline u32 read_seqcount_begin(const seqcount_t *s)
{
    u32 v;
    while ((v = __atomic_load_n(&s->seq, __ATOMIC_ACQUIRE)) & 1)
        cpu_relax();
    return v;
}
static inline bool read_seqcount_retry(const seqcount_t *s, u32 start)
{
    smp_rmb();
    return __atomic_load_n(&s->seq, __ATOMIC_RELAXED) != start;
}
static inline void write_seqcount_begin(seqcount_t *s)
{
    __atomic_store_n(&s->seq, s->seq + 1, __ATOMIC_RELAXED);
    smp_wmb();
}
static inline void write_seqcount_end(seqcount_t *s)
{
    __atomic_store_n(&s->seq, s->seq + 1, __ATOMIC_RELEASE);
}
