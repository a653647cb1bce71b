// SPDX-License-Identifier: MIT
// Times as system calls take and give them.
#pragma once

#include "abi/time.h"
#include "sched/timer.h"

// A timespec of the user as ns (huge ones saturate below KTIME_MAX). 0, -EFAULT or -EINVAL.
int get_timespec_ns(u64 *ns, const void __user *from);
int put_timespec_ns(void __user *to, u64 ns); // 0 or -EFAULT
// Absolute CLOCK_MONOTONIC time `ns` from now, saturating.
u64 deadline_after(u64 ns);
// An absolute time so far away that nobody waits for it becomes KTIME_MAX (no timer).
u64 clamp_deadline(u64 deadline);
