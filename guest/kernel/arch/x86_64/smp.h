// SPDX-License-Identifier: MIT
// Several CPUs: starting them, interrupts between them, calls on other CPUs.
#pragma once

#include "arch/x86_64/percpu.h"
#include "lib/types.h"

static inline u64 cpu_online_mask(void)
{
    return (1UL << nr_cpus_online) - 1;
}

// Starts the CPUs of the MADT or the device tree, up to maxcpus= and nr_cpus= of the command line.
// Once, on the boot CPU, when memory and the scheduler's data are ready.
void smp_init(void);

// Makes a CPU look at its need_resched.
void smp_send_reschedule(unsigned cpu);

// Runs fn(arg) in interrupt context on every online CPU of mask but this one, and waits for all.
// fn takes no lock: a CPU that waits for a lock, or for its own call, with interrupts off serves
// the calls of others meanwhile (smp_serve_calls). Not from interrupts.
typedef void (*smp_call_t)(void *arg);
void smp_call_many(u64 mask, smp_call_t fn, void *arg);
void smp_serve_calls(void); // interrupts off

void smp_stop_others(void); // panic: by NMI, for good
bool smp_stopping(void);    // an NMI means: halt
