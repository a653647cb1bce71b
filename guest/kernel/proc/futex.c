// SPDX-License-Identifier: MIT
// Futexes, futex(2): keys, hash buckets, wait, wake, requeue, wake-op; robust lists
// (set_robust_list(2)).
#include "proc/futex.h"

#include "abi/futex.h"
#include "arch/x86_64/uaccess.h"
#include "fs/fs.h"
#include "mm/mm.h"
#include "proc/futex_internal.h"
#include "proc/proc_internal.h"
#include "sched/sched.h"

#define BUCKETS 256
#define ROBUST_LIST_LIMIT 2048

// Tells a shared futex in private memory from a private one at the same address: they do not match
// (contract 7).
#define KEY_SHARED_PRIVATE_MEMORY 1UL

struct futex_bucket {
    spinlock_t lock;
    struct list_head waiters; // of struct futex_waiter, first come first
};
static struct futex_bucket buckets[BUCKETS];

void futex_init(void)
{
    for (int i = 0; i < BUCKETS; i++) {
        spin_lock_init(&buckets[i].lock);
        INIT_LIST_HEAD(&buckets[i].waiters);
    }
}

static struct futex_bucket *bucket_of(const struct futex_key *k)
{
    u64 h =
        (k->object ^ (k->object >> 17)) * 0x9e3779b97f4a7c15UL ^ k->offset * 0xd6e8feb86659fd93UL;
    return &buckets[h >> 56];
}

static bool key_equal(const struct futex_key *a, const struct futex_key *b)
{
    return a->object == b->object && a->offset == b->offset;
}

int futex_key_get(u32 __user *uaddr, bool shared, struct futex_key *k)
{
    u64 address = (u64)uaddr;
    if (address % sizeof(u32))
        return -EINVAL;
    if (!access_ok(uaddr, sizeof(u32)))
        return -EFAULT;
    k->object = (u64)current->mm;
    k->offset = address;
    k->inode = NULL;
    if (!shared)
        return 0;
    int error = 0;
    down_read(&current->mm->mmap_lock);
    struct vm_area_struct *vma = find_vma(current->mm, address);
    if (!vma || vma->vm_start > address || !(vma->vm_flags & VM_READ)) {
        error = -EFAULT;
    } else if ((vma->vm_flags & VM_SHARED) && vma->vm_file) {
        k->inode = vma->vm_file->f_inode;
        ihold(k->inode); // so that its address means this file while somebody waits
        k->object = (u64)k->inode;
        k->offset = address - vma->vm_start + vma->vm_pgoff * PAGE_SIZE;
    } else {
        k->offset |= KEY_SHARED_PRIVATE_MEMORY;
    }
    up_read(&current->mm->mmap_lock);
    return error;
}

void futex_key_put(struct futex_key *k)
{
    if (k->inode)
        iput(k->inode);
}

// Both keys or neither.
static int key_get_two(u32 __user *uaddr1, u32 __user *uaddr2, bool shared, struct futex_key *k1,
                       struct futex_key *k2)
{
    int error = futex_key_get(uaddr1, shared, k1);
    if (error)
        return error;
    error = futex_key_get(uaddr2, shared, k2);
    if (error)
        futex_key_put(k1);
    return error;
}

static int read_value(u32 __user *uaddr, u32 *value)
{
    pagefault_disable();
    int error = get_user(*value, uaddr);
    pagefault_enable();
    return error;
}

// Queues w if *uaddr == expected: 0 and the task's state is set. -EAGAIN: another value. -EFAULT:
// fault in, try again.
static int wait_setup(struct futex_waiter *w, u32 __user *uaddr, u32 expected)
{
    struct futex_bucket *b = bucket_of(&w->key);
    u32 value;
    spin_lock(&b->lock);
    int error = read_value(uaddr, &value);
    if (!error && value != expected)
        error = -EAGAIN;
    if (!error) {
        w->bucket_lock = &b->lock;
        list_add_tail(&w->list, &b->waiters);
        set_current_state(TASK_INTERRUPTIBLE);
    }
    spin_unlock(&b->lock);
    return error;
}

// True if it was still queued, that is, nobody woke it.
static bool unqueue(struct futex_waiter *w)
{
    for (;;) {
        spinlock_t *lock = __atomic_load_n(&w->bucket_lock, __ATOMIC_ACQUIRE);
        if (!lock)
            return false; // woken: the waker has let go of it
        spin_lock(lock);
        if (lock == w->bucket_lock) {
            list_del(&w->list);
            spin_unlock(lock);
            return true;
        }
        spin_unlock(lock); // requeued meanwhile
    }
}

static bool sleep_until(u64 expires, bool realtime)
{
    if (expires == KTIME_MAX) {
        schedule();
        return true;
    }
    return realtime ? schedule_deadline_real(expires) : schedule_deadline(expires);
}

int futex_wait(u32 __user *uaddr, bool shared, u32 value, u64 expires, bool realtime, u32 bitset)
{
    struct futex_waiter w = {.task = current, .bitset = bitset};
    if (!bitset)
        return -EINVAL;
    for (;;) {
        int error = futex_key_get(uaddr, shared, &w.key);
        if (error)
            return error;
        error = wait_setup(&w, uaddr, value);
        if (error == -EFAULT) {
            futex_key_put(&w.key);
            if (fault_in_readable(uaddr, sizeof(u32)))
                return -EFAULT;
            continue;
        }
        if (error) {
            futex_key_put(&w.key);
            return error;
        }
        bool in_time = true;
        if (__atomic_load_n(&w.bucket_lock, __ATOMIC_ACQUIRE) && !signal_pending(current))
            in_time = sleep_until(expires, realtime);
        __set_current_state(TASK_RUNNING);
        bool woken = !unqueue(&w);
        futex_key_put(&w.key);
        if (woken)
            return 0;
        if (!in_time)
            return -ETIMEDOUT;
        if (signal_pending(current))
            return -ERESTARTSYS;
        // A stray wake-up: look at the value again.
    }
}

// Takes w off and wakes it; after the store of NULL its stack frame may be gone, hence the
// reference. Bucket locked.
static void wake_waiter(struct futex_waiter *w)
{
    struct task_struct *t = get_task_struct(w->task);
    list_del(&w->list);
    __atomic_store_n(&w->bucket_lock, NULL, __ATOMIC_RELEASE);
    wake_up_state(t, TASK_NORMAL);
    put_task_struct(t);
}

static int wake_bucket(struct futex_bucket *b, const struct futex_key *k, int nr, u32 bitset)
{
    struct futex_waiter *w, *next;
    int woken = 0;
    list_for_each_entry_safe(w, next, &b->waiters, list) {
        if (!key_equal(&w->key, k) || !(w->bitset & bitset))
            continue;
        wake_waiter(w);
        if (++woken >= nr)
            break;
    }
    return woken;
}

int futex_wake(u32 __user *uaddr, bool shared, int nr, u32 bitset)
{
    struct futex_key k;
    if (!bitset)
        return -EINVAL;
    int result = futex_key_get(uaddr, shared, &k);
    if (result)
        return result;
    struct futex_bucket *b = bucket_of(&k);
    spin_lock(&b->lock);
    result = wake_bucket(b, &k, nr, bitset);
    spin_unlock(&b->lock);
    futex_key_put(&k);
    return result;
}

int futex_wake_shared(u32 __user *uaddr, int nr)
{
    return futex_wake(uaddr, true, nr, FUTEX_BITSET_MATCH_ANY);
}

static void lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    if (a > b) {
        struct futex_bucket *t = a;
        a = b;
        b = t;
    }
    spin_lock(&a->lock);
    if (a != b)
        spin_lock(&b->lock);
}

static void unlock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    spin_unlock(&a->lock);
    if (a != b)
        spin_unlock(&b->lock);
}

// The waiter counts on the file of its second key from now on, and no longer on the first one's.
static void move_waiter(struct futex_waiter *w, struct futex_bucket *to, const struct futex_key *k,
                        struct inode **dropped)
{
    list_del(&w->list);
    list_add_tail(&w->list, &to->waiters);
    *dropped = w->key.inode;
    w->key = *k;
    if (k->inode)
        ihold(k->inode);
    __atomic_store_n(&w->bucket_lock, &to->lock, __ATOMIC_RELEASE);
}

static int requeue_locked(struct futex_bucket *b1, struct futex_bucket *b2,
                          const struct futex_key *k1, const struct futex_key *k2, int nr_wake,
                          int nr_requeue)
{
    struct futex_waiter *w, *next;
    int done = 0, moved = 0;
    list_for_each_entry_safe(w, next, &b1->waiters, list) {
        if (!key_equal(&w->key, k1))
            continue;
        if (done < nr_wake) {
            wake_waiter(w);
            done++;
            continue;
        }
        if (moved >= nr_requeue)
            break;
        if (!key_equal(k1, k2)) {
            struct inode *old;
            move_waiter(w, b2, k2, &old);
            if (old)
                atomic_dec(
                    &old->i_count); // k1 in our caller holds another reference: never the last one
        }
        moved++;
    }
    return done + moved;
}

int futex_requeue(u32 __user *uaddr1, u32 __user *uaddr2, bool shared, int nr_wake, int nr_requeue,
                  const u32 *expected)
{
    struct futex_key k1, k2;
    if (nr_wake < 0 || nr_requeue < 0)
        return -EINVAL;
    for (;;) {
        int result = key_get_two(uaddr1, uaddr2, shared, &k1, &k2);
        if (result)
            return result;
        struct futex_bucket *b1 = bucket_of(&k1), *b2 = bucket_of(&k2);
        u32 value = 0;
        lock_two(b1, b2);
        if (expected)
            result = read_value(uaddr1, &value);
        if (!result && expected && value != *expected)
            result = -EAGAIN;
        if (!result)
            result = requeue_locked(b1, b2, &k1, &k2, nr_wake, nr_requeue);
        unlock_two(b1, b2);
        futex_key_put(&k1);
        futex_key_put(&k2);
        if (result != -EFAULT)
            return result;
        if (fault_in_readable(uaddr1, sizeof(u32)))
            return -EFAULT;
    }
}

// FUTEX_WAKE_OP's encoded operation on *uaddr; > 0: the comparison with the old value holds.
static int apply_op(u32 encoded, u32 __user *uaddr)
{
    unsigned op = (encoded >> 28) & 7, cmp = (encoded >> 24) & 15;
    int oparg = (int)(encoded << 8) >> 20, cmparg = (int)(encoded << 20) >> 20;
    u32 old;
    int error;
    if (encoded & 0x80000000U) // FUTEX_OP_OPARG_SHIFT
        oparg = 1 << (oparg & 31);
    pagefault_disable();
    switch (op) {
    case 0: error = user_xchg_u32(&old, uaddr, (u32)oparg); break;
    case 1: error = user_add_u32(&old, uaddr, (u32)oparg); break;
    case 2: error = user_or_u32(&old, uaddr, (u32)oparg); break;
    case 3: error = user_and_u32(&old, uaddr, ~(u32)oparg); break;
    case 4: error = user_xor_u32(&old, uaddr, (u32)oparg); break;
    default: error = -ENOSYS;
    }
    pagefault_enable();
    if (error)
        return error;
    switch (cmp) {
    case 0: return (int)old == cmparg;
    case 1: return (int)old != cmparg;
    case 2: return (int)old < cmparg;
    case 3: return (int)old <= cmparg;
    case 4: return (int)old > cmparg;
    case 5: return (int)old >= cmparg;
    default: return -ENOSYS;
    }
}

int futex_wake_op(u32 __user *uaddr1, u32 __user *uaddr2, bool shared, int nr_wake, int nr_wake2,
                  u32 op)
{
    struct futex_key k1, k2;
    for (;;) {
        int result = key_get_two(uaddr1, uaddr2, shared, &k1, &k2);
        if (result)
            return result;
        struct futex_bucket *b1 = bucket_of(&k1), *b2 = bucket_of(&k2);
        lock_two(b1, b2);
        int holds = apply_op(op, uaddr2);
        result = holds;
        if (holds >= 0) {
            result = wake_bucket(b1, &k1, nr_wake, FUTEX_BITSET_MATCH_ANY);
            if (holds > 0)
                result += wake_bucket(b2, &k2, nr_wake2, FUTEX_BITSET_MATCH_ANY);
        }
        unlock_two(b1, b2);
        futex_key_put(&k1);
        futex_key_put(&k2);
        if (holds != -EFAULT)
            return result;
        if (fault_in_writeable(uaddr2, sizeof(u32)))
            return -EFAULT;
    }
}

// --- robust lists

// The lock word of a dead owner: mark it, wake one. 0 or -1 (a bad list ends the walk).
static int handle_death(u32 __user *uaddr, u32 tid, bool pi, bool pending)
{
    u32 value, seen;
    if ((u64)uaddr % sizeof(u32))
        return -1;
    for (;;) {
        if (get_user(value, uaddr))
            return -1;
        // Unlocked in user space, but the wake had not been sent yet.
        if (pending && !pi && value == 0) {
            futex_wake_shared(uaddr, 1);
            return 0;
        }
        if ((value & FUTEX_TID_MASK) != tid)
            return 0;
        u32 dead = (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
        if (user_cmpxchg_u32(&seen, uaddr, value, dead)) {
            if (fault_in_writeable(uaddr, sizeof(u32)))
                return -1;
            continue;
        }
        if (seen != value)
            continue;
        if (!pi && (value & FUTEX_WAITERS))
            futex_wake_shared(uaddr, 1);
        return 0;
    }
}

static int fetch_entry(u64 *entry, bool *pi, const u64 __user *from)
{
    u64 v;
    if (get_user(v, from))
        return -EFAULT;
    *pi = v & 1;
    *entry = v & ~1UL;
    return 0;
}

void exit_robust_list(struct task_struct *t)
{
    struct linux_robust_list_head __user *head = t->robust_list;
    u32 tid = (u32)task_pid_vnr(t);
    u64 entry, pending, next;
    bool pi, pending_pi, next_pi;
    s64 offset;
    if (fetch_entry(&entry, &pi, &head->list_next) || get_user(offset, &head->futex_offset) ||
        fetch_entry(&pending, &pending_pi, &head->list_op_pending))
        return;
    for (int left = ROBUST_LIST_LIMIT; entry != (u64)&head->list_next && left > 0; left--) {
        // The entry may be reused as soon as its lock is given away: read the link first.
        int error = fetch_entry(&next, &next_pi, (const u64 __user *)entry);
        if (entry != pending && handle_death((u32 __user *)(entry + (u64)offset), tid, pi, false))
            return;
        if (error)
            return;
        entry = next;
        pi = next_pi;
        cond_resched();
    }
    if (pending)
        handle_death((u32 __user *)(pending + (u64)offset), tid, pending_pi, true);
}
