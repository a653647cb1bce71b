// SPDX-License-Identifier: MIT
// What only fs/ uses of descriptor tables.
#pragma once

#include "fs/file.h"

struct fd fdget_raw(unsigned fd); // also O_PATH files
// Flushes, drops this owner's record locks and one reference. now: nothing is locked, so the last
// one may be freed here and now instead of as task work. Result of the flush.
int filp_close(struct file *f, struct files_struct *owner, bool now);
void fput_now(struct file *f); // no lock held
// First open descriptor >= *fd of a task, counted; NULL if none. Sets *fd and *cloexec.
struct file *fget_task_next(struct task_struct *t, unsigned *fd, bool *cloexec);
int fd_get_cloexec(unsigned fd); // 0, 1 or -EBADF
int fd_set_cloexec(unsigned fd, bool on);
unsigned files_max_fds(void);
