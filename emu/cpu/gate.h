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

// One try. False: cpu->fault is what came of it; nothing but A bits has changed, unless
// cpu->task_switched says that a task gate was gone through: then it is the new task's fault.
bool gate_enter(struct cpu *cpu, const struct event *event);

// Delivers, with everything that may follow from faults on the way, shutdown included.
void event_deliver(struct cpu *cpu, const struct event *event);
// What an exception leaves in CR2 or DR6 and DR7, and its probe.
void event_note_fault(struct cpu *cpu, const struct fault *fault);

// task.c: hardware task switches. selector: of the TSS. ext: EXT bit of every error code.
enum task_cause { TASK_JUMP, TASK_CALL, TASK_IRET }; // CALL, and every gate of the IDT: nested
struct task_switch {
    enum task_cause how;
    u16 selector;
    u64 next_rip; // what the old task goes on with
    u32 ext, error_code;
    bool has_error_code, save_rf;
};
// False: cpu->fault. If cpu->task_switched is set then, the switch is done and the fault belongs to
// the new task, else nothing but A and D bits has changed.
bool task_enter(struct cpu *cpu, const struct task_switch *s);
// As an instruction (far JMP, CALL): delivers a fault of the new task itself.
bool task_switch_insn(struct cpu *cpu, const struct task_switch *s);
// IRET with NT set.
bool task_return(struct cpu *cpu, u64 next_rip);

// debug.c: moves the pending causes into DR6.
void debug_note_exception(struct cpu *cpu);
// True if the instruction at RIP has an enabled execution breakpoint; the causes are then pending.
bool debug_execution_breakpoint(struct cpu *cpu);
bool debug_execution_enabled(const struct cpu *cpu);

#endif
