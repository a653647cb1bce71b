// SPDX-License-Identifier: MIT
// Per-CPU data: one struct cpu per CPU, found through the GS base. Offsets 0..40 are known to
// entry.S (asm_offsets.h).
#pragma once

#include "lib/types.h"

#define NR_CPUS 16

struct task_struct;
struct run_queue;
struct mm_struct;

struct cpu {
    struct cpu *self;         // 0
    struct task_struct *task; // 8: current
    u64 kernel_sp;            // 16: top of the current task's kernel stack
    u64 user_sp;              // 24: scratch of the syscall entry
    int preempt_count;        // 32: low half = preempt_disable depth, high half = interrupt depth
    int need_resched;         // 36
    u32 id;                   // 40
    u32 apic_id;
    struct mm_struct *active_mm; // whose page tables are loaded
    struct task_struct *idle;
    struct task_struct *fpu_owner;
    u64 irq_count[256];    // per vector, for /proc/interrupts
    u64 idle_ns;           // time spent in HLT
    struct arch_cpu *arch; // GDT, TSS, IST stacks
    bool online;           // it has come up
} __aligned(64);

extern struct cpu cpus[NR_CPUS];
extern unsigned nr_cpus_online;   // CPUs that run tasks: 0 .. n-1; grows at boot only
extern unsigned nr_cpus_possible; // CPUs that the machine has (MADT)

#define this_cpu_read(field)                                                                       \
    ({                                                                                             \
        __typeof__(((struct cpu *)0)->field) pcr_;                                                 \
        __asm__ volatile("mov %%gs:%c1, %0" : "=r"(pcr_) : "i"(offset_of(struct cpu, field)));     \
        pcr_;                                                                                      \
    })
#define this_cpu_write(field, v)                                                                   \
    __asm__ volatile("mov %0, %%gs:%c1" ::"r"((__typeof__(((struct cpu *)0)->field))(v)),          \
                     "i"(offset_of(struct cpu, field))                                             \
                     : "memory")

// Stable only while preemption is off.
static inline struct cpu *this_cpu(void)
{
    return this_cpu_read(self);
}
static inline unsigned smp_processor_id(void)
{
    return this_cpu_read(id);
}
static inline struct task_struct *get_current(void)
{
    struct task_struct *t;
    // Not volatile: the same task answers however often it asks.
    __asm__("mov %%gs:%c1, %0" : "=r"(t) : "i"(offset_of(struct cpu, task)));
    return t;
}
#define current get_current()

static inline int preempt_count(void)
{
    return this_cpu_read(preempt_count);
}
static inline void preempt_count_add(int n)
{
    __asm__ volatile("addl %0, %%gs:%c1" ::"er"(n), "i"(offset_of(struct cpu, preempt_count))
                     : "memory", "cc");
}
static inline void preempt_count_sub(int n)
{
    __asm__ volatile("subl %0, %%gs:%c1" ::"er"(n), "i"(offset_of(struct cpu, preempt_count))
                     : "memory", "cc");
}
