// SPDX-License-Identifier: MIT
// Resource usage of processes, for getrusage(2) and wait4(2).
#pragma once

#include "abi/resource.h"

struct task_struct;
#define RUSAGE_BOTH (-2) // itself and its waited-for children
// who: RUSAGE_SELF, RUSAGE_CHILDREN, RUSAGE_THREAD (t = current) or RUSAGE_BOTH. Takes siglock.
void rusage_of_process(struct task_struct *t, int who, struct linux_rusage *out);
