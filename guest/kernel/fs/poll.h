// SPDX-License-Identifier: MIT
// poll, select and epoll over wait-queue callbacks.
#pragma once

#include "abi/poll.h"
#include "fs/fs.h"

// A file's poll operation calls poll_wait for each queue it may be woken through, then returns the
// mask now.
struct poll_table {
    void (*queue)(struct file *f, wait_queue_head_t *q, struct poll_table *pt); // NULL: only asks
    poll_t key; // events of interest
};
static inline void poll_wait(struct file *f, wait_queue_head_t *q, struct poll_table *pt)
{
    if (pt && pt->queue)
        pt->queue(f, q, pt);
}
static inline poll_t vfs_poll(struct file *f, struct poll_table *pt)
{
    return f->f_op->poll ? f->f_op->poll(f, pt) : (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
}
void eventpoll_release(struct file *f); // last fput
