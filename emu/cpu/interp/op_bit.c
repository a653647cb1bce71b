// SPDX-License-Identifier: MIT
// BT BTS BTR BTC, BSF BSR TZCNT LZCNT POPCNT CRC32 (SDM 2), and the instructions on flags. What is
// undefined: undefined.def.
#include "cpu/interp/handler.h"

static u64 bit_result(enum x86_op op, u64 value, u64 mask)
{
    switch (op) {
    case OP_BTS:
        return value | mask;
    case OP_BTR:
        return value & ~mask;
    case OP_BTC:
        return value ^ mask;
    default:
        return value;
    }
}

static void set_carry(struct cpu *cpu, bool carry)
{
    flags_update(cpu, FLAGS_C, carry ? FLAGS_C : 0);
}

static bool bt_register(struct cpu *cpu, const struct insn *insn)
{
    u64 index = insn->form == FORM_RI ? insn->imm : cpu->gpr[insn->rm];
    u64 mask = BIT(index & (8 * insn_width_bytes(insn) - 1));
    u64 value = reg_read(cpu, insn->reg, insn->width);
    set_carry(cpu, (value & mask) != 0);
    if (insn->op != OP_BT) {
        reg_write(cpu, insn->reg, insn->width, bit_result((enum x86_op)insn->op, value, mask));
    }
    return true;
}

// A register index reaches beyond the operand: the word that holds the bit is accessed.
static bool bt_memory(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = insn_width_bytes(insn);
    u64 index = insn->imm, linear, value = 0;
    s64 extra = 0;
    if (insn->form == FORM_MR) {
        index = bits_sign_extend(cpu->gpr[insn->reg], size);
        extra = ((s64)index >> (3 + insn->width)) * (s64)size;
    }
    u64 mask = BIT(index & (8 * size - 1));
    if (!operand_ea_plus(cpu, insn, extra, size, insn->op != OP_BT, &linear)) {
        return false;
    }
    if (insn->op == OP_BT) {
        if (!operand_read(cpu, insn, linear, &value, size)) {
            return false;
        }
        set_carry(cpu, (value & mask) != 0);
        return true;
    }
    u8 *p = operand_rmw_at(cpu, insn, linear, size);
    if (p == NULL) {
        return false;
    }
    __builtin_memcpy(&value, p, size);
    set_carry(cpu, (value & mask) != 0);
    value = bit_result((enum x86_op)insn->op, value, mask);
    __builtin_memcpy(p, &value, size);
    operand_rmw_end(cpu, insn, p);
    return true;
}

insn_fn bind_bt(const struct insn *insn)
{
    return insn->form == FORM_MR || insn->form == FORM_MI ? bt_memory : bt_register;
}

static bool bit_scan(struct cpu *cpu, const struct insn *insn)
{
    u64 value;
    if (!operand_get(cpu, insn, false, &value)) {
        return false;
    }
    cpu->flags = FLAGS_ONE | (value ? 0 : FLAGS_Z);
    if (value) {
        unsigned index = insn->op == OP_BSF ? (unsigned)__builtin_ctzll(value)
                                            : 63u - (unsigned)__builtin_clzll(value);
        reg_write(cpu, insn->reg, insn->width, index);
    }
    return true;
}
BIND_ONE(bit_scan, bit_scan)

static bool bit_count(struct cpu *cpu, const struct insn *insn)
{
    u64 value;
    if (!operand_get(cpu, insn, false, &value)) {
        return false;
    }
    unsigned bits = 8 * insn_width_bytes(insn), count;
    if (insn->op == OP_POPCNT) {
        count = (unsigned)__builtin_popcountll(value);
        cpu->flags = FLAGS_ONE | (value ? 0 : FLAGS_Z);
    } else {
        count = !value                 ? bits
                : insn->op == OP_TZCNT ? (unsigned)__builtin_ctzll(value)
                                       : (unsigned)__builtin_clzll(value) - (64 - bits);
        cpu->flags = (u16)(FLAGS_ONE | (value ? 0 : FLAGS_C) | (count ? 0 : FLAGS_Z));
    }
    reg_write(cpu, insn->reg, insn->width, count);
    return true;
}
BIND_ONE(bit_count, bit_count)

// CRC-32C (polynomial 0x11EDC6F41, reflected), a bit at a time: rare.
static bool crc32(struct cpu *cpu, const struct insn *insn)
{
    unsigned source_width = (unsigned)insn->imm;
    u64 value = 0;
    if (insn->form == FORM_RM) {
        if (!operand_load(cpu, insn, &value, 1u << source_width)) {
            return false;
        }
    } else {
        value = reg_read(cpu, insn->rm, source_width);
    }
    u32 crc = (u32)cpu->gpr[insn->reg];
    for (unsigned i = 0; i < 8u << source_width; i++) {
        u32 bit = (crc ^ (u32)(value >> i)) & 1;
        crc = crc >> 1 ^ (bit ? 0x82F63B78u : 0);
    }
    cpu->gpr[insn->reg] = crc;
    return true;
}
BIND_ONE(crc32, crc32)

static bool flag(struct cpu *cpu, const struct insn *insn)
{
    switch (insn->op) {
    case OP_CLC:
        cpu->flags &= (u16)~FLAGS_C;
        break;
    case OP_STC:
        cpu->flags |= FLAGS_C;
        break;
    case OP_CMC:
        cpu->flags ^= FLAGS_C;
        break;
    case OP_CLD:
        cpu->rflags &= ~RFLAGS_DF;
        break;
    default:
        cpu->rflags |= RFLAGS_DF;
        break;
    }
    return true;
}
BIND_ONE(flag, flag)

static bool lahf(struct cpu *cpu, const struct insn *insn)
{
    *reg8(cpu, 1) = (u8)(flags_to_rflags(cpu->flags) | 2);
    return true;
}
BIND_ONE(lahf, lahf)

static bool sahf(struct cpu *cpu, const struct insn *insn)
{
    u16 keep = cpu->flags & FLAGS_O;
    cpu->flags = (u16)(flags_from_rflags(*reg8(cpu, 1)) | keep);
    return true;
}
BIND_ONE(sahf, sahf)

static bool salc(struct cpu *cpu, const struct insn *insn)
{
    *reg8(cpu, 0) = (cpu->flags & FLAGS_C) ? 0xFF : 0;
    return true;
}
BIND_ONE(salc, salc)

HANDLER(nop, (void)0)
BIND_ONE(nop, nop)

// Where all other CPUs sleep, the next turn is this one's again: it begins anew, and there is no need
// to leave, if the budget does not end here anyway.
static bool renew_turn(struct cpu *cpu, const struct insn *insn)
{
    if (!cpu->config.cpus || cpu->steps_left + insn->remaining <= 1) {
        return false;
    }
    for (unsigned i = 0; i < cpu->config.cpu_count; i++) {
        if (i != cpu->config.index && !cpu_is_asleep(cpu->config.cpus[i])) {
            return false;
        }
    }
    cpu_sync_clock(cpu);
    cpu->turn_step = cpu->config.clock->step + 1;
    return true;
}

static bool pause(struct cpu *cpu, const struct insn *insn)
{
    if (cpu->config.cpu_count > 1 && !renew_turn(cpu, insn)) {
        cpu->kicked = cpu->yielded = true;
        cpu->boundary = true;
    }
    return true;
}
BIND_ONE(pause, pause)

static bool ud(struct cpu *cpu, const struct insn *insn)
{
    return raise_ud(cpu);
}
BIND_ONE(ud, ud)
