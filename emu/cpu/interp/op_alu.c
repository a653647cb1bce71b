// SPDX-License-Identifier: MIT
// ADD OR ADC SBB AND SUB XOR CMP TEST, INC DEC NEG NOT, XADD (SDM 2).
#include "base/check.h"
#include "cpu/interp/alu.h"
#include "cpu/interp/operand.h"

// Handlers that write their first operand, for one operation and width.
#define ALU_WRITE(name, bits)                                                                      \
    static bool name##bits##_rr(struct cpu *cpu, const struct insn *insn)                          \
    {                                                                                              \
        gpr_set##bits(cpu, insn->reg,                                                              \
                      alu_##name##bits(cpu, gpr_get##bits(cpu, insn->reg), gpr_get##bits(cpu, insn->rm))); \
        return true;                                                                               \
    }                                                                                              \
    static bool name##bits##_ri(struct cpu *cpu, const struct insn *insn)                          \
    {                                                                                              \
        gpr_set##bits(cpu, insn->reg,                                                              \
                      alu_##name##bits(cpu, gpr_get##bits(cpu, insn->reg), (u##bits)insn->imm));   \
        return true;                                                                               \
    }                                                                                              \
    static bool name##bits##_rm(struct cpu *cpu, const struct insn *insn)                          \
    {                                                                                              \
        u##bits b;                                                                                 \
        if (UNLIKELY(!operand_load(cpu, insn, &b, sizeof(b)))) {                                   \
            return false;                                                                          \
        }                                                                                          \
        gpr_set##bits(cpu, insn->reg, alu_##name##bits(cpu, gpr_get##bits(cpu, insn->reg), b));    \
        return true;                                                                               \
    }                                                                                              \
    static bool name##bits##_to_memory(struct cpu *cpu, const struct insn *insn, u##bits b)        \
    {                                                                                              \
        u8 *p = operand_rmw(cpu, insn, sizeof(b));                                                 \
        if (UNLIKELY(p == NULL)) {                                                                 \
            return false;                                                                          \
        }                                                                                          \
        u##bits a;                                                                                 \
        __builtin_memcpy(&a, p, sizeof(a));                                                        \
        a = alu_##name##bits(cpu, a, b);                                                           \
        __builtin_memcpy(p, &a, sizeof(a));                                                        \
        operand_rmw_end(cpu, insn, p);                                                             \
        return true;                                                                               \
    }                                                                                              \
    static bool name##bits##_mr(struct cpu *cpu, const struct insn *insn)                          \
    {                                                                                              \
        return name##bits##_to_memory(cpu, insn, gpr_get##bits(cpu, insn->reg));                   \
    }                                                                                              \
    static bool name##bits##_mi(struct cpu *cpu, const struct insn *insn)                          \
    {                                                                                              \
        return name##bits##_to_memory(cpu, insn, (u##bits)insn->imm);                              \
    }

// CMP and TEST.
#define ALU_COMPARE(name, bits)                                                                    \
    static bool name##bits##_rr(struct cpu *cpu, const struct insn *insn)                          \
    {                                                                                              \
        alu_##name##bits(cpu, gpr_get##bits(cpu, insn->reg), gpr_get##bits(cpu, insn->rm));        \
        return true;                                                                               \
    }                                                                                              \
    static bool name##bits##_ri(struct cpu *cpu, const struct insn *insn)                          \
    {                                                                                              \
        alu_##name##bits(cpu, gpr_get##bits(cpu, insn->reg), (u##bits)insn->imm);                  \
        return true;                                                                               \
    }                                                                                              \
    static bool name##bits##_rm(struct cpu *cpu, const struct insn *insn)                          \
    {                                                                                              \
        u##bits b;                                                                                 \
        if (UNLIKELY(!operand_load(cpu, insn, &b, sizeof(b)))) {                                   \
            return false;                                                                          \
        }                                                                                          \
        alu_##name##bits(cpu, gpr_get##bits(cpu, insn->reg), b);                                   \
        return true;                                                                               \
    }                                                                                              \
    static bool name##bits##_mr(struct cpu *cpu, const struct insn *insn)                          \
    {                                                                                              \
        u##bits a;                                                                                 \
        if (UNLIKELY(!operand_load(cpu, insn, &a, sizeof(a)))) {                                   \
            return false;                                                                          \
        }                                                                                          \
        alu_##name##bits(cpu, a, gpr_get##bits(cpu, insn->reg));                                   \
        return true;                                                                               \
    }                                                                                              \
    static bool name##bits##_mi(struct cpu *cpu, const struct insn *insn)                          \
    {                                                                                              \
        u##bits a;                                                                                 \
        if (UNLIKELY(!operand_load(cpu, insn, &a, sizeof(a)))) {                                   \
            return false;                                                                          \
        }                                                                                          \
        alu_##name##bits(cpu, a, (u##bits)insn->imm);                                              \
        return true;                                                                               \
    }

// INC, DEC, NEG, NOT.
#define ALU_UNARY(name, bits)                                                                      \
    static bool name##bits##_r(struct cpu *cpu, const struct insn *insn)                           \
    {                                                                                              \
        gpr_set##bits(cpu, insn->reg, alu_##name##bits(cpu, gpr_get##bits(cpu, insn->reg)));       \
        return true;                                                                               \
    }                                                                                              \
    static bool name##bits##_m(struct cpu *cpu, const struct insn *insn)                           \
    {                                                                                              \
        u##bits a;                                                                                 \
        u8 *p = operand_rmw(cpu, insn, sizeof(a));                                                 \
        if (UNLIKELY(p == NULL)) {                                                                 \
            return false;                                                                          \
        }                                                                                          \
        __builtin_memcpy(&a, p, sizeof(a));                                                        \
        a = alu_##name##bits(cpu, a);                                                              \
        __builtin_memcpy(p, &a, sizeof(a));                                                        \
        operand_rmw_end(cpu, insn, p);                                                             \
        return true;                                                                               \
    }

#define XADD(bits)                                                                                 \
    static bool xadd##bits##_rr(struct cpu *cpu, const struct insn *insn)                          \
    {                                                                                              \
        u##bits a = gpr_get##bits(cpu, insn->reg), b = gpr_get##bits(cpu, insn->rm);               \
        gpr_set##bits(cpu, insn->rm, a);                                                           \
        gpr_set##bits(cpu, insn->reg, alu_add##bits(cpu, a, b));                                   \
        return true;                                                                               \
    }                                                                                              \
    static bool xadd##bits##_mr(struct cpu *cpu, const struct insn *insn)                          \
    {                                                                                              \
        u##bits a, sum;                                                                            \
        u8 *p = operand_rmw(cpu, insn, sizeof(a));                                                 \
        if (UNLIKELY(p == NULL)) {                                                                 \
            return false;                                                                          \
        }                                                                                          \
        __builtin_memcpy(&a, p, sizeof(a));                                                        \
        sum = alu_add##bits(cpu, a, gpr_get##bits(cpu, insn->reg));                                \
        __builtin_memcpy(p, &sum, sizeof(sum));                                                    \
        operand_rmw_end(cpu, insn, p);                                                             \
        gpr_set##bits(cpu, insn->reg, a);                                                          \
        return true;                                                                               \
    }

#define ALL_WIDTHS(macro, name) macro(name, 8) macro(name, 16) macro(name, 32) macro(name, 64)
ALL_WIDTHS(ALU_WRITE, add)
ALL_WIDTHS(ALU_WRITE, or)
ALL_WIDTHS(ALU_WRITE, adc)
ALL_WIDTHS(ALU_WRITE, sbb)
ALL_WIDTHS(ALU_WRITE, and)
ALL_WIDTHS(ALU_WRITE, sub)
ALL_WIDTHS(ALU_WRITE, xor)
ALL_WIDTHS(ALU_COMPARE, cmp)
ALL_WIDTHS(ALU_COMPARE, test)
ALL_WIDTHS(ALU_UNARY, not)
ALL_WIDTHS(ALU_UNARY, neg)
ALL_WIDTHS(ALU_UNARY, inc)
ALL_WIDTHS(ALU_UNARY, dec)
XADD(8)
XADD(16)
XADD(32)
XADD(64)

#define FORMS(name, bits)                                                                          \
    {                                                                                              \
        [FORM_RR] = name##bits##_rr, [FORM_RM] = name##bits##_rm, [FORM_MR] = name##bits##_mr,     \
        [FORM_RI] = name##bits##_ri, [FORM_MI] = name##bits##_mi                                   \
    }
#define WIDTHS(name) {FORMS(name, 8), FORMS(name, 16), FORMS(name, 32), FORMS(name, 64)}

insn_fn bind_alu(const struct insn *insn)
{
    static const insn_fn table[][4][FORM_COUNT] = {
        WIDTHS(add), WIDTHS(or), WIDTHS(adc), WIDTHS(sbb), WIDTHS(and), WIDTHS(sub), WIDTHS(xor), WIDTHS(cmp), WIDTHS(test),
    };
    _Static_assert(OP_TEST - OP_ADD + 1 == ARRAY_LEN(table), "rows in the order of the table");
    return table[insn->op - OP_ADD][insn->width & 3][insn->form];
}

#define UNARY(name)                                                                                \
    {                                                                                              \
        {name##8_r, name##8_m}, {name##16_r, name##16_m}, {name##32_r, name##32_m},                \
        {name##64_r, name##64_m}                                                                   \
    }

insn_fn bind_unary(const struct insn *insn)
{
    static const insn_fn table[][4][2] = {UNARY(not), UNARY(neg), UNARY(inc), UNARY(dec)};
    _Static_assert(OP_DEC - OP_NOT + 1 == ARRAY_LEN(table), "rows in the order of the table");
    return table[insn->op - OP_NOT][insn->width & 3][insn->form == FORM_M];
}

insn_fn bind_xadd(const struct insn *insn)
{
    static const insn_fn table[4][2] = {
        {xadd8_rr, xadd8_mr}, {xadd16_rr, xadd16_mr}, {xadd32_rr, xadd32_mr}, {xadd64_rr, xadd64_mr},
    };
    return table[insn->width & 3][insn->form == FORM_MR];
}
