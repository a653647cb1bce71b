// SPDX-License-Identifier: MIT
// execve and binary formats. K-proc.
#pragma once

#include "fs/fs.h"

// Starts `path` in current with kernel strings (init). Returns -errno, or 0 with task_pt_regs ready
// for user mode.
int kernel_execve(const char *path, const char *const *argv, const char *const *envp);
void set_task_comm(struct task_struct *t, const char *name);
