// SPDX-License-Identifier: MIT
// Files whose owner wants a signal when there is something to read (fcntl(2), O_ASYNC, F_SETOWN,
// F_SETSIG).
#pragma once

#include "fs/fs.h"
#include "sched/kthread.h"

struct fasync_list {
    struct mutex lock;
    struct list_head entries;
    unsigned count;
    struct work_struct work; // sends: interrupts cannot take the process table's locks
};
void fasync_init(struct fasync_list *l);
// The body of a file's fasync operation; sets or clears O_ASYNC. 0 or -ENOMEM. Task context.
int fasync_set(struct fasync_list *l, int fd, struct file *f, bool on);
// There is input. Any context.
void fasync_notify(struct fasync_list *l);
