// SPDX-License-Identifier: MIT
// SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS (SDM 3A 5.8.7, 5.8.8).
#include "cpu/segment.h"

#include "cpu/interp/operand.h"

#define SYSRET_FLAGS UINT64_C(0x3C7FD7)

// Flat segments as these instructions fix them, whatever the tables say.
static void flat_segment(struct cpu_segment *s, u16 selector, u16 attributes)
{
    *s = (struct cpu_segment){selector, attributes, 0xFFFFFFFF, 0};
}

static void flat_code(struct cpu *cpu, u16 selector, unsigned cpl, bool is_64)
{
    u16 size = is_64 ? SEGMENT_L : SEGMENT_DB;
    u16 type =
        SEGMENT_S | SEGMENT_P | SEGMENT_G | SEGMENT_CODE | SEGMENT_READABLE | SEGMENT_ACCESSED;
    flat_segment(&cpu->seg[CPU_CS], selector, (u16)(type | cpl << 5 | size));
}

static void flat_stack(struct cpu *cpu, u16 selector, unsigned cpl)
{
    u16 type = SEGMENT_S | SEGMENT_P | SEGMENT_G | SEGMENT_DB | SEGMENT_WRITABLE | SEGMENT_ACCESSED;
    flat_segment(&cpu->seg[CPU_SS], selector, (u16)(type | cpl << 5));
}

static void arrive(struct cpu *cpu, enum transition_cause cause, unsigned cpl, u64 rip)
{
    u8 from = cpu->cpl;
    cpu->rip = rip;
    cpu->cpl = (u8)cpl;
    cpu->boundary = true;
    cpu_context_changed(cpu);
    if (transition_probed(cpu)) {
        struct transition t = {cause, from, 0, 0, insn_rip(cpu, cpu->current)};
        cpu_probe_transition(cpu, &t);
    }
}

bool cpu_syscall(struct cpu *cpu, u64 next_rip)
{
    if (!cpu->long_mode || !(cpu->efer & EFER_SCE)) {
        return raise_ud(cpu);
    }
    if (probe_on(cpu->config.probes, PROBE_syscall_enter)) {
        cpu_probe(cpu, PROBE_syscall_enter, insn_rip(cpu, cpu->current), 0, 0, 0, 0, 0);
    }
    u64 rflags = cpu_rflags(cpu);
    cpu->gpr[CPU_RCX] = next_rip;
    cpu->gpr[CPU_R8 + 3] = rflags & ~(u64)RFLAGS_RF;
    cpu_set_rflags(cpu, (rflags & ~cpu->sfmask & ~(u64)RFLAGS_RF) | 2);
    if (!(cpu->rflags & RFLAGS_TF)) {
        cpu->tf_armed = false; // SYSCALL that clears TF is not followed by a single-step trap
    }
    u16 selector = (u16)(cpu->star >> 32);
    flat_code(cpu, selector & 0xFFFC, 0, true);
    flat_stack(cpu, (u16)((selector & 0xFFFC) + 8), 0);
    arrive(cpu, TRANSITION_SYSCALL, 0, cpu->lstar);
    return true;
}

bool cpu_sysret(struct cpu *cpu, unsigned operand_size)
{
    if (!cpu->long_mode || !(cpu->efer & EFER_SCE)) {
        return raise_ud(cpu);
    }
    u64 rip = cpu->gpr[CPU_RCX];
    bool to_64 = operand_size == 8;
    if (cpu->cpl || (to_64 && !is_canonical(rip))) {
        return raise_gp(cpu, 0);
    }
    if (probe_on(cpu->config.probes, PROBE_syscall_exit)) {
        cpu_probe(cpu, PROBE_syscall_exit, insn_rip(cpu, cpu->current), 0, 0, 0, 0, 0);
    }
    cpu_set_rflags(cpu, (cpu->gpr[CPU_R8 + 3] & SYSRET_FLAGS) | 2);
    u16 selector = (u16)(cpu->star >> 48);
    flat_code(cpu, (u16)((selector + (to_64 ? 16 : 0)) | 3), 3, to_64);
    flat_stack(cpu, (u16)((selector + 8) | 3), 3);
    arrive(cpu, TRANSITION_SYSRET, 3, to_64 ? rip : (u32)rip);
    return true;
}

bool cpu_sysenter(struct cpu *cpu)
{
    if (!(cpu->cr0 & CR0_PE) || !selector_error((u16)cpu->sysenter_cs)) {
        return raise_gp(cpu, 0);
    }
    bool to_64 = cpu_in_lma(cpu);
    cpu_set_rflags(cpu, cpu_rflags(cpu) & ~(u64)(RFLAGS_VM | RFLAGS_IF | RFLAGS_RF));
    u16 selector = (u16)(cpu->sysenter_cs & 0xFFFC);
    flat_code(cpu, selector, 0, to_64);
    flat_stack(cpu, (u16)(selector + 8), 0);
    cpu->gpr[CPU_RSP] = to_64 ? cpu->sysenter_esp : (u32)cpu->sysenter_esp;
    arrive(cpu, TRANSITION_SYSENTER, 0, to_64 ? cpu->sysenter_eip : (u32)cpu->sysenter_eip);
    return true;
}

bool cpu_sysexit(struct cpu *cpu, unsigned operand_size)
{
    bool to_64 = operand_size == 8;
    u64 rip = cpu->gpr[CPU_RDX], rsp = cpu->gpr[CPU_RCX];
    if (!(cpu->cr0 & CR0_PE) || !selector_error((u16)cpu->sysenter_cs) || cpu->cpl) {
        return raise_gp(cpu, 0);
    }
    if (to_64 && (!is_canonical(rip) || !is_canonical(rsp))) {
        return raise_gp(cpu, 0);
    }
    u16 selector = (u16)(cpu->sysenter_cs & 0xFFFC);
    flat_code(cpu, (u16)((selector + (to_64 ? 32 : 16)) | 3), 3, to_64);
    flat_stack(cpu, (u16)((selector + (to_64 ? 40 : 24)) | 3), 3);
    cpu->gpr[CPU_RSP] = to_64 ? rsp : (u32)rsp;
    arrive(cpu, TRANSITION_SYSEXIT, 3, to_64 ? rip : (u32)rip);
    return true;
}

bool cpu_swapgs(struct cpu *cpu)
{
    if (!cpu->long_mode) {
        return raise_ud(cpu);
    }
    if (cpu->cpl) {
        return raise_gp(cpu, 0);
    }
    u64 base = cpu->seg[CPU_GS].base;
    cpu->seg[CPU_GS].base = cpu->kernel_gs_base;
    cpu->kernel_gs_base = base;
    return true;
}
