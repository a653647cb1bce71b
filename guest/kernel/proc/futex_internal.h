// SPDX-License-Identifier: MIT
// Between futex.c and its system calls.
#pragma once

#include "lib/list.h"
#include "lib/types.h"
#include "sched/lock.h"

struct inode;
struct task_struct;

// Names a futex word: the mm and address, or the inode and offset of a shared file mapping.
struct futex_key {
    u64 object, offset;
    struct inode *inode; // counted, or NULL
};
struct futex_waiter {
    struct list_head list;
    spinlock_t *bucket_lock; // of the bucket that it is in; NULL once woken
    struct task_struct *task;
    struct futex_key key;
    u32 bitset;
};

int futex_key_get(u32 __user *uaddr, bool shared, struct futex_key *k); // 0, -EINVAL, -EFAULT
void futex_key_put(struct futex_key *k);
// expires: absolute ns of MONOTONIC or REALTIME, KTIME_MAX = never. 0, -EAGAIN, -ETIMEDOUT,
// -ERESTARTSYS, -EFAULT...
int futex_wait(u32 __user *uaddr, bool shared, u32 value, u64 expires, bool realtime, u32 bitset);
// These return how many were woken (and moved), or -errno.
int futex_wake(u32 __user *uaddr, bool shared, int nr, u32 bitset);
int futex_requeue(u32 __user *uaddr1, u32 __user *uaddr2, bool shared, int nr_wake, int nr_requeue,
                  const u32 *expected);
int futex_wake_op(u32 __user *uaddr1, u32 __user *uaddr2, bool shared, int nr_wake, int nr_wake2,
                  u32 op);
