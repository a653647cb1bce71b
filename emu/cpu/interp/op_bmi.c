// SPDX-License-Identifier: MIT
// BMI1 and BMI2, ADCX and ADOX, MOVBE (SDM 2). What is undefined: undefined.def.
#include "cpu/interp/handler.h"

// VEX prefixes exist in protected mode only (SDM 2A 2.3.7).
static bool vex_allowed(struct cpu *cpu)
{
    return LIKELY((cpu->cr0 & CR0_PE) && !(cpu->rflags & RFLAGS_VM)) || raise_ud(cpu);
}

static u16 sign_and_zero(const struct insn *insn, u64 result)
{
    bool sign = result >> (8 * insn_width_bytes(insn) - 1) & 1;
    return (u16)(FLAGS_ONE | (sign ? FLAGS_S : 0) | (result ? 0 : FLAGS_Z));
}

// The operand that may be memory, and the other source. last: that one is named last, else first.
static bool two_sources(struct cpu *cpu, const struct insn *insn, bool last, u64 *source,
                        u64 *other)
{
    if (!vex_allowed(cpu)) {
        return false;
    }
    if (insn->form == FORM_RRR) {
        *source = reg_read(cpu, last ? insn->rm : (u8)insn->imm, insn->width);
        *other = reg_read(cpu, last ? (u8)insn->imm : insn->rm, insn->width);
        return true;
    }
    *source = 0;
    *other = reg_read(cpu, insn->rm, insn->width);
    return operand_load(cpu, insn, source, insn_width_bytes(insn));
}

// Source bits to the places that the mask has ones in, lowest first.
static u64 deposit_bits(u64 source, u64 mask)
{
    u64 result = 0;
    for (; mask; mask &= mask - 1, source >>= 1) {
        result |= source & 1 ? mask & -mask : 0;
    }
    return result;
}

static u64 extract_bits(u64 source, u64 mask)
{
    u64 result = 0;
    for (u64 place = 1; mask; mask &= mask - 1, place <<= 1) {
        result |= source & mask & -mask ? place : 0;
    }
    return result;
}

// ANDN, PDEP, PEXT, MULX: the second operand is a register, the third register or memory.
static bool bmi_first(struct cpu *cpu, const struct insn *insn)
{
    u64 source, other, result = 0;
    if (!two_sources(cpu, insn, false, &source, &other)) {
        return false;
    }
    switch (insn->op) {
    case OP_ANDN:
        result = ~other & source;
        cpu->flags = sign_and_zero(insn, result);
        break;
    case OP_PDEP:
        result = deposit_bits(other, source);
        break;
    case OP_PEXT:
        result = extract_bits(other, source);
        break;
    default: { // MULX: the second operand gets the low half first
        unsigned __int128 product =
            (unsigned __int128)reg_read(cpu, CPU_RDX, insn->width) * source;
        reg_write(cpu, insn->rm, insn->width, (u64)product);
        result = (u64)(product >> (8 * insn_width_bytes(insn)));
        break;
    }
    }
    reg_write(cpu, insn->reg, insn->width, result);
    return insn_chain(cpu, insn);
}
BIND_ONE(bmi_first, bmi_first)

static u64 extract_field(u64 source, u64 control, unsigned bits)
{
    unsigned start = control & 0xFF, length = control >> 8 & 0xFF;
    u64 field = start < bits ? source >> start : 0;
    return length < bits ? field & (BIT(length) - 1) : field;
}

// BEXTR, BZHI, SARX, SHLX, SHRX: the second operand is register or memory, the third a register.
static bool bmi_last(struct cpu *cpu, const struct insn *insn)
{
    u64 source, other, result;
    if (!two_sources(cpu, insn, true, &source, &other)) {
        return false;
    }
    unsigned bits = 8 * insn_width_bytes(insn), n = other & (bits - 1), index = other & 0xFF;
    switch (insn->op) {
    case OP_BEXTR:
        result = extract_field(source, other, bits);
        cpu->flags = (u16)(FLAGS_ONE | (result ? 0 : FLAGS_Z));
        break;
    case OP_BZHI:
        result = index < bits ? source & (BIT(index) - 1) : source;
        cpu->flags = (u16)(sign_and_zero(insn, result) | (index < bits ? 0 : FLAGS_C));
        break;
    case OP_SARX:
        result = (u64)((s64)bits_sign_extend(source, bits / 8) >> n);
        break;
    case OP_SHLX:
        result = source << n;
        break;
    default:
        result = source >> n;
        break;
    }
    reg_write(cpu, insn->reg, insn->width, result);
    return insn_chain(cpu, insn);
}
BIND_ONE(bmi_last, bmi_last)

static bool rorx(struct cpu *cpu, const struct insn *insn)
{
    u64 source;
    if (!vex_allowed(cpu) || !operand_get(cpu, insn, false, &source)) {
        return false;
    }
    unsigned bits = 8 * insn_width_bytes(insn), n = insn->imm & (bits - 1);
    reg_write(cpu, insn->reg, insn->width, n ? source >> n | source << (bits - n) : source);
    return insn_chain(cpu, insn);
}
BIND_ONE(rorx, rorx)

// BLSI: the lowest bit alone; BLSMSK: up to it; BLSR: without it. CF: source is 0 (BLSI: not 0).
static bool lowest_bit(struct cpu *cpu, const struct insn *insn)
{
    u64 source;
    if (!vex_allowed(cpu) || !operand_get(cpu, insn, false, &source)) {
        return false;
    }
    bool isolate = insn->op == OP_BLSI;
    u64 result = isolate                ? source & -source
                 : insn->op == OP_BLSMSK ? source ^ (source - 1)
                                         : source & (source - 1);
    result = bits_truncate(result, insn_width_bytes(insn));
    cpu->flags = (u16)(sign_and_zero(insn, result) | ((source != 0) == isolate ? FLAGS_C : 0));
    reg_write(cpu, insn->reg, insn->width, result);
    return insn_chain(cpu, insn);
}
BIND_ONE(lowest_bit, lowest_bit)

// ADCX carries through CF alone, ADOX through OF.
static bool add_one_flag(struct cpu *cpu, const struct insn *insn)
{
    u64 source;
    if (!operand_get(cpu, insn, false, &source)) {
        return false;
    }
    u16 flag = insn->op == OP_ADCX ? FLAGS_C : FLAGS_O;
    unsigned __int128 sum = (unsigned __int128)reg_read(cpu, insn->reg, insn->width) + source +
                            ((cpu->flags & flag) != 0);
    flags_update(cpu, flag, sum >> (8 * insn_width_bytes(insn)) & 1 ? flag : 0);
    reg_write(cpu, insn->reg, insn->width, (u64)sum);
    return insn_chain(cpu, insn);
}
BIND_ONE(add_one_flag, add_one_flag)

static u64 swap_bytes(u64 value, unsigned width)
{
    return __builtin_bswap64(value) >> (64 - (8u << width));
}

static bool movbe(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = insn_width_bytes(insn);
    u64 value = 0;
    if (insn->form == FORM_RM) {
        if (!operand_load(cpu, insn, &value, size)) {
            return false;
        }
        reg_write(cpu, insn->reg, insn->width, swap_bytes(value, insn->width));
        return insn_chain(cpu, insn);
    }
    value = swap_bytes(reg_read(cpu, insn->reg, insn->width), insn->width);
    return operand_store(cpu, insn, &value, size) && insn_chain(cpu, insn);
}
BIND_ONE(movbe, movbe)
