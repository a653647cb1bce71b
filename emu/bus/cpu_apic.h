// SPDX-License-Identifier: MIT
// The only meeting place of a CPU and its local APIC: what each offers the other.
#ifndef VIV_BUS_CPU_APIC_H
#define VIV_BUS_CPU_APIC_H

#include "base/types.h"

// Offered by the LAPIC, called by the CPU.
struct cpu_apic_ops {
    // INTA cycle: takes the highest-priority deliverable vector (IRR -> ISR), or the 8259's through
    // LINT0 in virtual wire mode; the spurious vector if nothing is left (SDM 3A 11.8.4, 11.9).
    u8 (*acknowledge)(void *apic);
    u8 (*get_cr8)(void *apic); // TPR bits 7:4
    void (*set_cr8)(void *apic, u8 value);
    // MSRs 0x1B, 0x6E0 and 0x800-0x83F. False: #GP.
    bool (*read_msr)(void *apic, u32 msr, u64 *value);
    bool (*write_msr)(void *apic, u32 msr, u64 value);
    // The CPU's TSC is vclock_ticks(vtime, TSC frequency) + offset. Called when IA32_TSC or
    // IA32_TSC_ADJUST changes it, since a TSC deadline moves with it. The offset is 0 after reset.
    void (*set_tsc_offset)(void *apic, u64 offset);
};

struct cpu_apic {
    const struct cpu_apic_ops *ops;
    void *apic;
};

#define CPU_NO_APIC_PAGE UINT64_MAX

// Offered by the CPU, called by the LAPIC and the machine. All take effect at the next step
// boundary.
struct cpu_signal_ops {
    // INTR: a maskable interrupt above the processor priority is deliverable
    void (*set_intr)(void *cpu, bool level);
    void (*raise_nmi)(void *cpu);
    void (*raise_init)(void *cpu);
    void (*raise_sipi)(void *cpu, u8 vector);
    void (*kick)(void *cpu); // leave cpu_run() after the current instruction
    void (*yield)(void *cpu); // the same, and where there are several CPUs its turn is over
    // IGNNE#: with CR0.NE clear, pending x87 exceptions are ignored while it is asserted
    void (*set_ignne)(void *cpu, bool asserted);
    // Where this CPU's accesses meet its local APIC, RAM or not: a page's guest physical address,
    // CPU_NO_APIC_PAGE while the APIC is disabled. Also called at reset and after a snapshot load.
    void (*set_apic_page)(void *cpu, u64 gpa);
};

struct cpu_signal {
    const struct cpu_signal_ops *ops;
    void *cpu;
};

#endif
