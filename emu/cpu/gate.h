// SPDX-License-Identifier: MIT
// Interrupt and exception delivery through the IDT. Private to emu/cpu.
#ifndef VIV_CPU_GATE_H
#define VIV_CPU_GATE_H

#include "cpu/state.h"

struct event {
    u8 vector;
    enum delivery_source source;
    bool has_error_code;
    u32 error_code;
    bool save_rf;      // fault class: the saved RFLAGS has RF set
    bool has_next_rip; // soft interrupts: what is saved instead of cpu->rip
    u64 next_rip;
};

// One try. False: cpu->fault is what came of it and nothing but A bits has changed.
bool gate_enter(struct cpu *cpu, const struct event *event);

// Delivers, with everything that may follow from faults on the way, shutdown included.
void event_deliver(struct cpu *cpu, const struct event *event);
// What an exception leaves in CR2 or DR6 and DR7, and its probe.
void event_note_fault(struct cpu *cpu, const struct fault *fault);

// debug.c: moves the pending causes into DR6.
void debug_note_exception(struct cpu *cpu);
// True if the instruction at RIP has an enabled execution breakpoint; the causes are then pending.
bool debug_execution_breakpoint(struct cpu *cpu);
bool debug_execution_enabled(const struct cpu *cpu);

#endif
