// SPDX-License-Identifier: MIT
// Host surroundings of lib/, sched/ and the allocators.
#pragma once

#include "lib/types.h"

void shim_arena_init(unsigned long pages); // fresh, all zero; page_alloc_init comes next
extern u64 shim_now;      // what ktime_get() says
extern bool shim_resched; // resched_curr was called
