// SPDX-License-Identifier: MIT
// Out-of-memory killer; K-mm.
#pragma once

#include "mm/page.h"
#include "sched/sched.h"

#define OOM_SCORE_ADJ_MIN (-1000)
#define OOM_SCORE_ADJ_MAX 1000
// Badness in pages, 0 = not to be killed.
u64 oom_badness(struct task_struct *t, u64 total_pages);
int oom_score(struct task_struct *t); // 0..2000 for /proc/PID/oom_score
