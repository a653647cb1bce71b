// SPDX-License-Identifier: MIT
// Operand access off the fast path: segments, TLB misses, page crossings, MMIO.
#include "cpu/interp/operand.h"

#include "cpu/segment.h"

// Something happened that the loop must see before the next instruction.
static void leave_if_needed(struct cpu *cpu, const struct insn *insn)
{
    if (cpu->boundary || cpu->mmu->translations_dropped) {
        cpu->run_end = insn + 1;
        cpu->page = NULL;
    }
}

static bool segment_fault(struct cpu *cpu, unsigned seg)
{
    return raise_fault_code(cpu, seg == CPU_SS ? EXC_SS : EXC_GP, 0);
}

// Outside 64-bit code: SDM 3A 5.3 (limits), 5.5 (types).
static bool segment_allows(const struct cpu_segment *s, u64 offset, unsigned size, bool write)
{
    u16 attributes = s->attributes;
    if (!(attributes & SEGMENT_P)) {
        return false;
    }
    bool is_code = attributes & SEGMENT_CODE;
    if (write ? is_code || !(attributes & SEGMENT_WRITABLE)
              : is_code && !(attributes & SEGMENT_READABLE)) {
        return false;
    }
    u64 last = offset + size - 1;
    if (!is_code && (attributes & SEGMENT_EXPAND_DOWN)) {
        u64 top = (attributes & SEGMENT_DB) ? 0xFFFFFFFF : 0xFFFF;
        return offset > s->limit && last <= top;
    }
    return last <= s->limit;
}

bool operand_segment(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, bool write,
                     u64 *linear)
{
    const struct cpu_segment *s = &cpu->seg[seg];
    if (LIKELY(cpu->long_mode)) {
        *linear = seg >= CPU_FS ? s->base + offset : offset;
        return true;
    }
    // Paragraphs have limits but no types: even CS can be written.
    if (cpu_paragraphs(cpu) ? offset + size - 1 > s->limit
                            : !segment_allows(s, offset, size, write)) {
        return segment_fault(cpu, seg);
    }
    *linear = (u32)(s->base + offset);
    return true;
}

bool operand_ea_general(struct cpu *cpu, const struct insn *insn, unsigned size, bool write,
                        u64 *linear)
{
    return operand_segment(cpu, insn->seg, operand_offset(cpu, insn), size, write, linear);
}

bool operand_ea_plus(struct cpu *cpu, const struct insn *insn, s64 extra, unsigned size, bool write,
                     u64 *linear)
{
    u64 offset = operand_offset(cpu, insn) + (u64)extra;
    if (!(insn->flags & INSN_EA_GENERAL)) {
        *linear = offset;
        return true;
    }
    if (insn->flags & (INSN_ADDR32 | INSN_ADDR16)) {
        offset = (insn->flags & INSN_ADDR32) ? (u32)offset : (u16)offset;
    }
    return operand_segment(cpu, insn->seg, offset, size, write, linear);
}

// The MMU reports a non-canonical address as #GP(0); through the stack segment it is #SS(0) (SDM
// 3A 6.15).
static bool access_failed(struct cpu *cpu, bool stack)
{
    if (stack && cpu->fault.vector == EXC_GP) {
        cpu->fault.vector = EXC_SS;
    }
    return false;
}

bool operand_read_slow(struct cpu *cpu, const struct insn *insn, u64 linear, void *out,
                       unsigned size)
{
    cpu->current = insn;
    if (!mmu_read_slow(cpu->mmu, linear, out, size, &cpu->fault)) {
        return access_failed(cpu, insn->seg == CPU_SS);
    }
    leave_if_needed(cpu, insn);
    return true;
}

bool operand_write_slow(struct cpu *cpu, const struct insn *insn, u64 linear, const void *in,
                        unsigned size)
{
    cpu->current = insn;
    if (!mmu_write_slow(cpu->mmu, linear, in, size, &cpu->fault)) {
        return access_failed(cpu, insn->seg == CPU_SS);
    }
    leave_if_needed(cpu, insn);
    return true;
}

bool operand_stack_slow(struct cpu *cpu, const struct insn *insn, u64 linear, void *bytes,
                        unsigned size, bool write)
{
    cpu->current = insn;
    if (write ? !mmu_write_slow(cpu->mmu, linear, bytes, size, &cpu->fault)
              : !mmu_read_slow(cpu->mmu, linear, bytes, size, &cpu->fault)) {
        return access_failed(cpu, true);
    }
    leave_if_needed(cpu, insn);
    return true;
}

bool operand_probe_write(struct cpu *cpu, const struct insn *insn, u64 linear, unsigned size)
{
    if (LIKELY(tlb_lookup(&cpu->tables->write, linear, size) != NULL)) {
        return true;
    }
    cpu->current = insn;
    if (!mmu_probe_write(cpu->mmu, linear, size, &cpu->fault)) {
        return access_failed(cpu, insn->seg == CPU_SS);
    }
    leave_if_needed(cpu, insn);
    return true;
}

u8 *operand_rmw_slow(struct cpu *cpu, const struct insn *insn, u64 linear, unsigned size)
{
    cpu->current = insn;
    cpu->rmw_value = 0;
    if (!mmu_rmw_begin(cpu->mmu, linear, size, &cpu->rmw_value, &cpu->rmw, &cpu->fault)) {
        access_failed(cpu, insn->seg == CPU_SS);
        return NULL;
    }
    leave_if_needed(cpu, insn);
    return (u8 *)&cpu->rmw_value;
}

void operand_rmw_commit_slow(struct cpu *cpu, const struct insn *insn)
{
    cpu->current = insn;
    mmu_rmw_commit(cpu->mmu, &cpu->rmw, &cpu->rmw_value);
    leave_if_needed(cpu, insn);
}

static bool operand_is_memory(const struct insn *insn, bool first)
{
    switch (insn->form) {
    case FORM_M:
    case FORM_MR:
    case FORM_MI:
    case FORM_MRI:
    case FORM_MRR:
        return first;
    case FORM_RM:
    case FORM_RMI:
    case FORM_RMR:
        return !first;
    default:
        return false;
    }
}

bool operand_get(struct cpu *cpu, const struct insn *insn, bool first, u64 *value)
{
    if (operand_is_memory(insn, first)) {
        *value = 0;
        return operand_load(cpu, insn, value, insn_width_bytes(insn));
    }
    bool second_of_memory =
        operand_is_memory(insn, true); // MR: the register is the first one named
    *value = reg_read(cpu, first || second_of_memory ? insn->reg : insn->rm, insn->width);
    return true;
}

bool operand_put(struct cpu *cpu, const struct insn *insn, u64 value)
{
    if (operand_is_memory(insn, true)) {
        return operand_store(cpu, insn, &value, insn_width_bytes(insn));
    }
    reg_write(cpu, insn->reg, insn->width, value);
    return true;
}
