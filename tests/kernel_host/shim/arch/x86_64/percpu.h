// SPDX-License-Identifier: MIT
// Host stand-in: one CPU in a plain variable.
#pragma once

#include "lib/types.h"

#define NR_CPUS 1
#define PREEMPT_SHIM 1

struct task_struct;
struct mm_struct;
struct cpu {
    int preempt_count;
    int need_resched;
    u32 id;
    struct mm_struct *active_mm;
};
extern struct cpu host_cpu;
extern unsigned nr_cpus_online;
extern struct task_struct *host_current;

#define this_cpu_read(field) (host_cpu.field)
#define this_cpu_write(field, v) (host_cpu.field = (v))
static inline struct cpu *this_cpu(void)
{
    return &host_cpu;
}
static inline unsigned smp_processor_id(void)
{
    return 0;
}
#define current host_current
static inline int preempt_count(void)
{
    return host_cpu.preempt_count;
}
static inline void preempt_count_add(int n)
{
    host_cpu.preempt_count += n;
}
static inline void preempt_count_sub(int n)
{
    host_cpu.preempt_count -= n;
}
