// SPDX-License-Identifier: MIT
// IN, OUT, INS, OUTS.
#include "cpu/interp/operand.h"

static u64 port_read(struct cpu *cpu, const struct insn *insn, u16 port, unsigned size)
{
    *cpu->config.current_cpu = cpu->config.index;
    cpu->current = insn;
    cpu_sync_clock(cpu);
    debug_note_port(cpu, port, size);
    u64 value = io_space_read(cpu->config.ports, port, size);
    if (probe_on(cpu->config.probes, PROBE_port)) {
        cpu_probe(cpu, PROBE_port, insn_rip(cpu, insn), port, value, 0, (u8)size, 0);
    }
    return value;
}

static void port_write(struct cpu *cpu, const struct insn *insn, u16 port, u64 value, unsigned size)
{
    *cpu->config.current_cpu = cpu->config.index;
    cpu->current = insn;
    cpu_sync_clock(cpu);
    debug_note_port(cpu, port, size);
    if (probe_on(cpu->config.probes, PROBE_port)) {
        cpu_probe(cpu, PROBE_port, insn_rip(cpu, insn), port, value, 0, (u8)size, 1);
    }
    io_space_write(cpu->config.ports, port, value, size);
}

static u16 port_number(const struct cpu *cpu, const struct insn *insn)
{
    return insn->form == FORM_RR ? (u16)cpu->gpr[CPU_RDX] : (u8)insn->imm;
}

static bool in_port(struct cpu *cpu, const struct insn *insn)
{
    u16 port = port_number(cpu, insn);
    unsigned size = insn_width_bytes(insn);
    if (!cpu_port_allowed(cpu, port, size)) {
        return false;
    }
    reg_write(cpu, CPU_RAX, insn->width, port_read(cpu, insn, port, size));
    return true;
}
BIND_ONE(in, in_port)

static bool out_port(struct cpu *cpu, const struct insn *insn)
{
    u16 port = port_number(cpu, insn);
    unsigned size = insn_width_bytes(insn);
    if (!cpu_port_allowed(cpu, port, size)) {
        return false;
    }
    port_write(cpu, insn, port, bits_truncate(cpu->gpr[CPU_RAX], size), size);
    return true;
}
BIND_ONE(out, out_port)

static unsigned address_width(const struct insn *insn)
{
    return insn->flags & INSN_ADDR32   ? 2
           : insn->flags & INSN_ADDR16 ? 1
           : insn->code == CODE_64     ? 3
                                       : 2;
}

static void advance(struct cpu *cpu, const struct insn *insn, u8 reg)
{
    u64 size = insn_width_bytes(insn);
    reg_write(cpu, reg, address_width(insn),
              cpu->gpr[reg] + (cpu->rflags & RFLAGS_DF ? -size : size));
}

// The page is checked for writing before the device is read: a read cannot be taken back.
static bool ins_once(struct cpu *cpu, const struct insn *insn, u16 port, unsigned size)
{
    u64 to, offset = reg_read(cpu, CPU_RDI, address_width(insn));
    if (!operand_segment(cpu, CPU_ES, offset, size, true, &to) ||
        !operand_probe_write(cpu, insn, to, size)) {
        return false;
    }
    u64 value = port_read(cpu, insn, port, size);
    if (!operand_write(cpu, insn, to, &value, size)) {
        return false;
    }
    advance(cpu, insn, CPU_RDI);
    return true;
}

static bool outs_once(struct cpu *cpu, const struct insn *insn, u16 port, unsigned size)
{
    u64 from, value = 0, offset = reg_read(cpu, CPU_RSI, address_width(insn));
    if (!operand_segment(cpu, insn->seg, offset, size, false, &from) ||
        !operand_read(cpu, insn, from, &value, size)) {
        return false;
    }
    port_write(cpu, insn, port, value, size);
    advance(cpu, insn, CPU_RSI);
    return true;
}

// With REP, an iteration at a time: whatever the device caused is seen at the boundary in between.
static bool string_io(struct cpu *cpu, const struct insn *insn, bool is_in)
{
    u16 port = (u16)cpu->gpr[CPU_RDX];
    unsigned size = insn_width_bytes(insn), width = address_width(insn);
    bool repeated = insn->flags & (INSN_REP | INSN_REPNE);
    u64 count = repeated ? reg_read(cpu, CPU_RCX, width) : 1;
    if (!count) {
        return true;
    }
    if (!cpu_port_allowed(cpu, port, size)) {
        return false;
    }
    if (!(is_in ? ins_once(cpu, insn, port, size) : outs_once(cpu, insn, port, size))) {
        return false;
    }
    if (!repeated) {
        return true;
    }
    reg_write(cpu, CPU_RCX, width, count - 1);
    if (count == 1) {
        return true;
    }
    loop_charge(cpu, insn, 1);
    return rep_unfinished(cpu);
}

static bool ins(struct cpu *cpu, const struct insn *insn)
{
    return string_io(cpu, insn, true);
}
BIND_ONE(ins, ins)

static bool outs(struct cpu *cpu, const struct insn *insn)
{
    return string_io(cpu, insn, false);
}
BIND_ONE(outs, outs)
