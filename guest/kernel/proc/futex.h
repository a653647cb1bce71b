// SPDX-License-Identifier: MIT
// Futexes; K-proc.
#pragma once

#include "sched/sched.h"

void exit_robust_list(struct task_struct *t);
// Shared wake, as CLONE_CHILD_CLEARTID needs it.
int futex_wake_shared(u32 __user *uaddr, int nr);
void futex_init(void);
