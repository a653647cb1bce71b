// SPDX-License-Identifier: MIT
// PUSH POP PUSHA POPA ENTER LEAVE (SDM 2), and the stack accesses of operand.h.
#include "cpu/interp/handler.h"

// Width of the stack pointer: 8 bytes in 64-bit code, else SS.B decides (SDM 1 6.2.3).
static unsigned stack_width(const struct cpu *cpu)
{
    return cpu->long_mode ? 3 : (cpu->seg[CPU_SS].attributes & 0x4000) ? 2 : 1;
}

// The linear address of the stack pointer plus offset.
static bool stack_address(struct cpu *cpu, s64 offset, unsigned size, bool write, u64 *linear)
{
    u64 rsp = cpu->gpr[CPU_RSP] + (u64)offset;
    if (LIKELY(cpu->long_mode)) {
        *linear = rsp;
        return true;
    }
    return operand_segment(cpu, CPU_SS, bits_truncate(rsp, 1u << stack_width(cpu)), size, write,
                           linear);
}

void stack_adjust(struct cpu *cpu, s64 bytes)
{
    if (LIKELY(cpu->long_mode)) {
        cpu->gpr[CPU_RSP] += (u64)bytes;
    } else {
        reg_write(cpu, CPU_RSP, stack_width(cpu), cpu->gpr[CPU_RSP] + (u64)bytes);
    }
}

bool stack_push(struct cpu *cpu, const struct insn *insn, unsigned width, u64 value)
{
    unsigned size = 1u << width;
    u64 linear;
    if (!stack_address(cpu, -(s64)size, size, true, &linear) ||
        !operand_write_stack(cpu, insn, linear, &value, size)) {
        return false;
    }
    stack_adjust(cpu, -(s64)size);
    return true;
}

bool stack_peek(struct cpu *cpu, const struct insn *insn, unsigned width, u64 offset, u64 *value)
{
    unsigned size = 1u << width;
    u64 linear;
    *value = 0;
    return stack_address(cpu, (s64)offset, size, false, &linear) &&
           operand_read_stack(cpu, insn, linear, value, size);
}

bool stack_pop(struct cpu *cpu, const struct insn *insn, unsigned width, u64 *value)
{
    if (!stack_peek(cpu, insn, width, 0, value)) {
        return false;
    }
    stack_adjust(cpu, 1 << width);
    return true;
}

// 64-bit code, 64-bit operand.
static OUT_OF_LINE bool push64_slow(struct cpu *cpu, const struct insn *insn, u64 value)
{
    return stack_push(cpu, insn, 3, value) && insn_chain(cpu, insn);
}

static inline bool push64(struct cpu *cpu, const struct insn *insn, u64 value)
{
    u64 linear = cpu->gpr[CPU_RSP] - 8;
    u8 *p = tlb_lookup(&cpu->tables->write, linear, 8);
    if (UNLIKELY(p == NULL)) {
        return push64_slow(cpu, insn, value);
    }
    __builtin_memcpy(p, &value, 8);
    cpu->gpr[CPU_RSP] = linear;
    return insn_chain(cpu, insn);
}

static bool push_r64(struct cpu *cpu, const struct insn *insn)
{
    return push64(cpu, insn, cpu->gpr[insn->reg]);
}

static bool push_i64(struct cpu *cpu, const struct insn *insn)
{
    return push64(cpu, insn, insn->imm);
}

static OUT_OF_LINE bool pop_r64_slow(struct cpu *cpu, const struct insn *insn)
{
    u64 value;
    if (!stack_pop(cpu, insn, 3, &value)) {
        return false;
    }
    cpu->gpr[insn->reg] = value;
    return insn_chain(cpu, insn);
}

static bool pop_r64(struct cpu *cpu, const struct insn *insn)
{
    const u8 *p = tlb_lookup(&cpu->tables->read, cpu->gpr[CPU_RSP], 8);
    if (UNLIKELY(p == NULL)) {
        return pop_r64_slow(cpu, insn);
    }
    cpu->gpr[CPU_RSP] += 8;
    __builtin_memcpy(&cpu->gpr[insn->reg], p, 8);
    return insn_chain(cpu, insn);
}

static bool push_any(struct cpu *cpu, const struct insn *insn)
{
    u64 value = insn->imm;
    if (insn->form != FORM_I && !operand_get(cpu, insn, true, &value)) {
        return false;
    }
    return stack_push(cpu, insn, insn->width, value);
}

// POP to memory computes its address with the incremented stack pointer; nothing is committed if
// the store faults.
static bool pop_any(struct cpu *cpu, const struct insn *insn)
{
    u64 value, old_rsp = cpu->gpr[CPU_RSP];
    if (!stack_pop(cpu, insn, insn->width, &value)) {
        return false;
    }
    if (!operand_put(cpu, insn, value)) {
        cpu->gpr[CPU_RSP] = old_rsp;
        return false;
    }
    return true;
}

insn_fn bind_push(const struct insn *insn)
{
    bool fast = insn->code == CODE_64 && insn->width == 3;
    return !fast                  ? push_any
           : insn->form == FORM_R ? push_r64
           : insn->form == FORM_I ? push_i64
                                  : push_any;
}

insn_fn bind_pop(const struct insn *insn)
{
    return insn->code == CODE_64 && insn->width == 3 && insn->form == FORM_R ? pop_r64 : pop_any;
}

// PUSHA and PUSHAD: the row tells the width. All eight slots are checked before the first is
// written.
static bool pusha(struct cpu *cpu, const struct insn *insn)
{
    unsigned width = insn->op == OP_PUSHAD ? 2 : 1, size = 1u << width;
    u64 linear;
    for (int i = 0; i < 8; i++) {
        if (!stack_address(cpu, -(i + 1) * (s64)size, size, true, &linear) ||
            !operand_probe_write(cpu, insn, linear, size)) {
            return false;
        }
    }
    for (u8 i = 0; i < 8; i++) {
        u64 value = cpu->gpr[i];
        if (!stack_address(cpu, -(i + 1) * (s64)size, size, true, &linear) ||
            !operand_write(cpu, insn, linear, &value, size)) {
            return false;
        }
    }
    stack_adjust(cpu, -8 * (s64)size);
    return true;
}
BIND_ONE(pusha, pusha)

static bool popa(struct cpu *cpu, const struct insn *insn)
{
    unsigned width = insn->op == OP_POPAD ? 2 : 1;
    u64 values[8];
    for (unsigned i = 0; i < 8; i++) {
        if (!stack_peek(cpu, insn, width, (u64)i << width, &values[i])) {
            return false;
        }
    }
    for (u8 i = 0; i < 8; i++) {
        if (i != CPU_RSP) {
            reg_write(cpu, i, width, values[7 - i]);
        }
    }
    stack_adjust(cpu, 8 << width);
    return true;
}
BIND_ONE(popa, popa)

// ENTER size, nesting: pushes the frame pointer, copies nesting-1 outer frame pointers, and makes
// room. The writes go below the stack pointer, which moves only at the end.
static bool enter(struct cpu *cpu, const struct insn *insn)
{
    unsigned width = insn->width, size = 1u << width, nesting = (unsigned)(insn->imm >> 16) & 31;
    s64 offset = -(s64)size;
    u64 linear, value = cpu->gpr[CPU_RBP], old_rsp = cpu->gpr[CPU_RSP];
    if (!stack_address(cpu, offset, size, true, &linear) ||
        !operand_write_stack(cpu, insn, linear, &value, size)) {
        return false;
    }
    u64 frame = bits_truncate(old_rsp + (u64)offset, size);
    for (unsigned i = 1; i <= nesting; i++) {
        if (i < nesting) {
            if (!stack_peek(cpu, insn, width, cpu->gpr[CPU_RBP] - old_rsp - (u64)i * size,
                            &value)) {
                return false;
            }
        } else {
            value = frame;
        }
        offset -= size;
        if (!stack_address(cpu, offset, size, true, &linear) ||
            !operand_write_stack(cpu, insn, linear, &value, size)) {
            return false;
        }
    }
    offset -= (s64)(insn->imm & 0xFFFF);
    if (!stack_address(cpu, offset, size, true, &linear) ||
        !operand_probe_write(cpu, insn, linear, size)) {
        return false;
    }
    stack_adjust(cpu, offset);
    reg_write(cpu, CPU_RBP, width, frame);
    return true;
}
BIND_ONE(enter, enter)

static bool leave(struct cpu *cpu, const struct insn *insn)
{
    u64 value, offset = cpu->gpr[CPU_RBP] - cpu->gpr[CPU_RSP];
    if (!stack_peek(cpu, insn, insn->width, offset, &value)) {
        return false;
    }
    stack_adjust(cpu, (s64)(offset + insn_width_bytes(insn)));
    reg_write(cpu, CPU_RBP, insn->width, value);
    return true;
}
BIND_ONE(leave, leave)
