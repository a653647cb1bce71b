// SPDX-License-Identifier: MIT
// Near control transfer: Jcc JMP CALL RET JrCXZ LOOPcc, and BOUND and INTO of 32-bit code (SDM 2).
#include "cpu/interp/handler.h"

bool operand_jump(struct cpu *cpu, const struct insn *insn, u64 target)
{
    if (LIKELY(insn->code == CODE_64)) {
        if (UNLIKELY(!is_canonical(target))) {
            return raise_gp(cpu, 0);
        }
        cpu->rip = target;
        return true;
    }
    target = insn->width == 1 ? (u16)target : (u32)target;
    if (target > cpu->seg[CPU_CS].limit) {
        return raise_gp(cpu, 0);
    }
    cpu->rip = target;
    return true;
}

static bool jump_relative(struct cpu *cpu, const struct insn *insn)
{
    return operand_jump(cpu, insn, cpu->gpr[SLOT_CODE] + insn->imm);
}

// The conditional ones stand within a run: taken, they cut it; not taken, it goes on.
static OUT_OF_LINE bool take_far(struct cpu *cpu, const struct insn *insn)
{
    cpu->run_end = insn + 1;
    return jump_relative(cpu, insn);
}

static inline bool take(struct cpu *cpu, const struct insn *insn)
{
    if (UNLIKELY(insn->imm >= PAGE_SIZE || insn->code != CODE_64)) {
        return take_far(cpu, insn);
    }
    cpu->rip = cpu->gpr[SLOT_CODE] + insn->imm; // in this page: canonical
    return insn_follow(cpu, insn, insn->imm);
}

static inline bool fall_through(struct cpu *cpu, const struct insn *insn)
{
    const struct insn *next = insn + 1;
    if (UNLIKELY(next == cpu->run_end)) {
        cpu->rip = insn_next_rip(cpu, insn);
        return true;
    }
    cpu->current = next;
    return next->fn(cpu, next);
}

#define JCC(cc)                                                                                    \
    static bool jcc##cc(struct cpu *cpu, const struct insn *insn)                                  \
    {                                                                                              \
        return flags_condition(cpu->flags, 0x##cc) ? take(cpu, insn) : fall_through(cpu, insn);    \
    }
JCC(0)
JCC(1)
JCC(2)
JCC(3) JCC(4) JCC(5) JCC(6) JCC(7) JCC(8) JCC(9) JCC(A) JCC(B) JCC(C) JCC(D) JCC(E) JCC(F)

    insn_fn bind_jcc(const struct insn *insn)
{
    static const insn_fn table[16] = {
        jcc0, jcc1, jcc2, jcc3, jcc4, jcc5, jcc6, jcc7,
        jcc8, jcc9, jccA, jccB, jccC, jccD, jccE, jccF,
    };
    return table[(insn->op - OP_JO) & 15];
}

static bool jump_relative64(struct cpu *cpu, const struct insn *insn)
{
    u64 target = cpu->gpr[SLOT_CODE] + insn->imm;
    if (UNLIKELY(!is_canonical(target))) {
        return raise_gp(cpu, 0);
    }
    cpu->rip = target;
    return insn_follow(cpu, insn, insn->imm);
}

static bool jump_operand(struct cpu *cpu, const struct insn *insn)
{
    u64 target;
    return operand_get(cpu, insn, true, &target) && operand_jump(cpu, insn, target);
}

insn_fn bind_jmp(const struct insn *insn)
{
    return insn->form != FORM_I    ? jump_operand
           : insn->code == CODE_64 ? jump_relative64
                                   : jump_relative;
}

// The target is checked before the push, so that a fault leaves the stack as it was.
static bool call_to(struct cpu *cpu, const struct insn *insn, u64 target)
{
    return operand_jump(cpu, insn, target) &&
           stack_push(cpu, insn, insn->width, insn_next_rip(cpu, insn));
}

static bool call_relative(struct cpu *cpu, const struct insn *insn)
{
    return call_to(cpu, insn, cpu->gpr[SLOT_CODE] + insn->imm);
}

static bool call_operand(struct cpu *cpu, const struct insn *insn)
{
    u64 target;
    return operand_get(cpu, insn, true, &target) && call_to(cpu, insn, target);
}

// 64-bit code, with the stack in the TLB.
static bool call_relative64(struct cpu *cpu, const struct insn *insn)
{
    u64 target = cpu->gpr[SLOT_CODE] + insn->imm, linear = cpu->gpr[CPU_RSP] - 8;
    u8 *p = tlb_lookup(&cpu->tables->write, linear, 8);
    if (UNLIKELY(p == NULL || !is_canonical(target))) {
        return call_relative(cpu, insn);
    }
    u64 next = cpu->gpr[SLOT_CODE] + insn->offset + insn->length;
    __builtin_memcpy(p, &next, 8);
    cpu->gpr[CPU_RSP] = linear;
    cpu->rip = target;
    return insn_follow(cpu, insn, insn->imm);
}

insn_fn bind_call(const struct insn *insn)
{
    bool fast = insn->code == CODE_64 && insn->width == 3;
    return insn->form != FORM_I ? call_operand : fast ? call_relative64 : call_relative;
}

static bool ret(struct cpu *cpu, const struct insn *insn)
{
    u64 target;
    if (!stack_peek(cpu, insn, insn->width, 0, &target) || !operand_jump(cpu, insn, target)) {
        return false;
    }
    stack_adjust(cpu, (s64)insn_width_bytes(insn) + (s64)(insn->imm & 0xFFFF));
    return true;
}

static bool ret64(struct cpu *cpu, const struct insn *insn)
{
    u64 target;
    const u8 *p = tlb_lookup(&cpu->tables->read, cpu->gpr[CPU_RSP], 8);
    if (UNLIKELY(p == NULL)) {
        return ret(cpu, insn);
    }
    __builtin_memcpy(&target, p, 8);
    if (UNLIKELY(!is_canonical(target))) {
        return ret(cpu, insn);
    }
    cpu->gpr[CPU_RSP] += 8 + (insn->imm & 0xFFFF);
    cpu->rip = target;
    return insn_follow(cpu, insn, target - cpu->gpr[SLOT_CODE]);
}

insn_fn bind_ret(const struct insn *insn)
{
    return insn->code == CODE_64 && insn->width == 3 ? ret64 : ret;
}

// Address size chooses the counter.
static unsigned counter_width(const struct insn *insn)
{
    return insn->flags & INSN_ADDR32 ? 2 : insn->flags & INSN_ADDR16 ? 1 : 3;
}

static bool jcxz(struct cpu *cpu, const struct insn *insn)
{
    return reg_read(cpu, CPU_RCX, counter_width(insn)) == 0 ? take(cpu, insn)
                                                            : fall_through(cpu, insn);
}
BIND_ONE(jcxz, jcxz)

static bool loop(struct cpu *cpu, const struct insn *insn)
{
    unsigned width = counter_width(insn);
    u64 old = cpu->gpr[CPU_RCX], count = bits_truncate(old - 1, 1u << width);
    bool zero = cpu->flags & FLAGS_Z;
    reg_write(cpu, CPU_RCX, width, count);
    if (count == 0 || (insn->op != OP_LOOP && (insn->op == OP_LOOPE) != zero)) {
        return fall_through(cpu, insn);
    }
    u64 target = cpu->gpr[SLOT_CODE] + insn->imm;
    if (!operand_jump(cpu, insn, target)) {
        cpu->gpr[CPU_RCX] = old;
        return false;
    }
    return insn_follow(cpu, insn, cpu->rip - cpu->gpr[SLOT_CODE]);
}
BIND_ONE(loop, loop)

static bool into(struct cpu *cpu, const struct insn *insn)
{
    if (cpu->flags & FLAGS_O) {
        return cpu_soft_interrupt(cpu, EXC_OF, DELIVER_INTO, insn_next_rip(cpu, insn));
    }
    cpu->rip = insn_next_rip(cpu, insn);
    return true;
}
BIND_ONE(into, into)

static bool bound(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = insn_width_bytes(insn);
    u64 bounds = 0;
    if (!operand_load(cpu, insn, &bounds, 2 * size)) {
        return false;
    }
    s64 index = (s64)bits_sign_extend(cpu->gpr[insn->reg], size);
    s64 lower = (s64)bits_sign_extend(bounds, size),
        upper = (s64)bits_sign_extend(bounds >> (8 * size), size);
    return index < lower || index > upper ? raise_fault(cpu, EXC_BR) : true;
}
BIND_ONE(bound, bound)
