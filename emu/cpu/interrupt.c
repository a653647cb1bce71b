// SPDX-License-Identifier: MIT
// The boundary between two instructions: what is taken, in the order of SDM 3A table 6-2.
#include "cpu/gate.h"

#define DR6_BS BIT(14)

static bool interrupts_open(const struct cpu *cpu)
{
    return (cpu->rflags & RFLAGS_IF) && cpu->shadow == SHADOW_NONE;
}

// Both set as an instruction begins: the monitor is to see to it (SDM 3B 21.3.2).
static bool virtual_interrupt_waits(const struct cpu *cpu)
{
    u32 both = RFLAGS_VIF | RFLAGS_VIP;
    return UNLIKELY((cpu->rflags & both) == both) && !cpu->halted && cpu_if_is_virtual(cpu);
}

bool cpu_boundary_needed(const struct cpu *cpu)
{
    if (cpu->halted) {
        return true;
    }
    return cpu->shadow != SHADOW_NONE || cpu->tf_armed || (cpu->rflags & (RFLAGS_TF | RFLAGS_RF)) ||
           (cpu->pending & (CPU_PENDING_INIT | CPU_PENDING_TRAP)) ||
           ((cpu->pending & CPU_PENDING_NMI) && !cpu->nmi_blocked) ||
           (cpu->intr && (cpu->rflags & RFLAGS_IF)) || debug_execution_enabled(cpu) ||
           virtual_interrupt_waits(cpu);
}

static void take_init(struct cpu *cpu)
{
    bool sipi = cpu->pending & CPU_PENDING_SIPI;
    cpu_init_state(cpu, false);
    cpu->pending = sipi ? CPU_PENDING_SIPI : 0;
}

// Start-up IPI: real mode at vector * 4096 (SDM 3A 9.4.4).
static void take_sipi(struct cpu *cpu)
{
    cpu->pending &= (u8)~CPU_PENDING_SIPI;
    cpu->waiting_for_sipi = false;
    cpu->halted = false;
    cpu->seg[CPU_CS].selector = (u16)(cpu->sipi_vector << 8);
    cpu->seg[CPU_CS].base = (u64)cpu->sipi_vector << 12;
    cpu->rip = 0;
    cpu_context_changed(cpu);
}

static void take_debug(struct cpu *cpu)
{
    debug_note_exception(cpu);
    struct event event = {.vector = EXC_DB, .source = DELIVER_EXCEPTION};
    event_deliver(cpu, &event);
}

static void take_nmi(struct cpu *cpu)
{
    cpu->pending &= (u8)~CPU_PENDING_NMI;
    cpu->nmi_blocked = true;
    struct event event = {.vector = EXC_NMI, .source = DELIVER_NMI};
    event_deliver(cpu, &event);
}

static void take_virtual_interrupt(struct cpu *cpu)
{
    struct fault fault = {EXC_GP, true, 0, 0};
    cpu_deliver_fault(cpu, &fault);
}

static void take_interrupt(struct cpu *cpu)
{
    const struct cpu_apic *apic = cpu->config.apic;
    *cpu->config.current_cpu = cpu->config.index;
    cpu_sync_clock(cpu);
    u8 vector = apic->ops->acknowledge(apic->apic);
    if (probe_on(cpu->config.probes, PROBE_irq)) {
        cpu_probe(cpu, PROBE_irq, cpu->rip, 0, vector, 0, 0, 0);
    }
    struct event event = {.vector = vector, .source = DELIVER_INTERRUPT};
    event_deliver(cpu, &event);
}

// The first thing that is due, if any; true if it cost a step.
static bool take_first(struct cpu *cpu)
{
    if (cpu->pending & CPU_PENDING_INIT) {
        take_init(cpu);
    }
    if (cpu->waiting_for_sipi) {
        if (cpu->pending & CPU_PENDING_SIPI) {
            take_sipi(cpu);
        }
        return false;
    }
    if ((cpu->pending & CPU_PENDING_TRAP) && cpu->shadow != SHADOW_MOV_SS) {
        take_debug(cpu);
    } else if ((cpu->pending & CPU_PENDING_NMI) && !cpu->nmi_blocked &&
               cpu->shadow == SHADOW_NONE) {
        take_nmi(cpu);
    } else if (cpu->intr && interrupts_open(cpu)) {
        take_interrupt(cpu);
    } else if (virtual_interrupt_waits(cpu)) {
        take_virtual_interrupt(cpu);
    } else if (!cpu->halted && !(cpu->rflags & RFLAGS_RF) && cpu->shadow != SHADOW_MOV_SS &&
               debug_execution_enabled(cpu) && debug_execution_breakpoint(cpu)) {
        take_debug(cpu);
    } else {
        return false;
    }
    return true;
}

bool cpu_take_pending(struct cpu *cpu)
{
    if (cpu->tf_armed) {
        // The instruction that began with TF set has retired.
        cpu->tf_armed = false;
        cpu->pending_dr6 |= DR6_BS;
        cpu->pending |= CPU_PENDING_TRAP;
    }
    if (take_first(cpu)) {
        cpu->boundary = true;
        return true;
    }
    cpu->tf_armed = !cpu->halted && (cpu->rflags & RFLAGS_TF);
    cpu->boundary = cpu_boundary_needed(cpu);
    return false;
}
