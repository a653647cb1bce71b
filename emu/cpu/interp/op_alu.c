// SPDX-License-Identifier: MIT
// ADD OR ADC SBB AND SUB XOR CMP TEST, INC DEC NEG NOT, XADD (SDM 2).
#include "base/check.h"
#include "cpu/interp/handler.h"

// Handlers that write their first operand, for one operation and width.
#define ALU_WRITE(name, bits)                                                                      \
    HANDLER(name##bits##_rr, gpr_set##bits(cpu, insn->reg,                                         \
                                           alu_##name##bits(cpu, gpr_get##bits(cpu, insn->reg),    \
                                                            gpr_get##bits(cpu, insn->rm))))        \
    HANDLER(name##bits##_ri, gpr_set##bits(cpu, insn->reg,                                         \
                                           alu_##name##bits(cpu, gpr_get##bits(cpu, insn->reg),    \
                                                            (u##bits)insn->imm)))                  \
    HANDLER_LOAD(name##bits##_rm, bits,                                                            \
                 gpr_set##bits(cpu, insn->reg,                                                     \
                               alu_##name##bits(cpu, gpr_get##bits(cpu, insn->reg), value)))       \
    HANDLER_MODIFY(name##bits##_mr, bits,                                                          \
                   value = alu_##name##bits(cpu, value, gpr_get##bits(cpu, insn->reg)), (void)0)   \
    HANDLER_MODIFY(name##bits##_mi, bits,                                                          \
                   value = alu_##name##bits(cpu, value, (u##bits)insn->imm), (void)0)

// CMP and TEST.
#define ALU_COMPARE(name, bits)                                                                    \
    HANDLER(name##bits##_rr,                                                                       \
            alu_##name##bits(cpu, gpr_get##bits(cpu, insn->reg), gpr_get##bits(cpu, insn->rm)))    \
    HANDLER(name##bits##_ri,                                                                       \
            alu_##name##bits(cpu, gpr_get##bits(cpu, insn->reg), (u##bits)insn->imm))              \
    HANDLER_LOAD(name##bits##_rm, bits,                                                            \
                 alu_##name##bits(cpu, gpr_get##bits(cpu, insn->reg), value))                      \
    HANDLER_LOAD(name##bits##_mr, bits,                                                            \
                 alu_##name##bits(cpu, value, gpr_get##bits(cpu, insn->reg)))                      \
    HANDLER_LOAD(name##bits##_mi, bits, alu_##name##bits(cpu, value, (u##bits)insn->imm))

// INC, DEC, NEG, NOT.
#define ALU_UNARY(name, bits)                                                                      \
    HANDLER(name##bits##_r,                                                                        \
            gpr_set##bits(cpu, insn->reg, alu_##name##bits(cpu, gpr_get##bits(cpu, insn->reg))))   \
    HANDLER_MODIFY(name##bits##_m, bits, value = alu_##name##bits(cpu, value), (void)0)

#define XADD(bits)                                                                                 \
    static bool xadd##bits##_rr(struct cpu *cpu, const struct insn *insn)                          \
    {                                                                                              \
        u##bits a = gpr_get##bits(cpu, insn->reg), b = gpr_get##bits(cpu, insn->rm);               \
        gpr_set##bits(cpu, insn->rm, a);                                                           \
        gpr_set##bits(cpu, insn->reg, alu_add##bits(cpu, a, b));                                   \
        return true;                                                                               \
    }                                                                                              \
    HANDLER_MODIFY(xadd##bits##_mr, bits,                                                          \
                   value = alu_add##bits(cpu, value, gpr_get##bits(cpu, insn->reg)),               \
                   gpr_set##bits(cpu, insn->reg, old))

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
ALL_WIDTHS(ALU_UNARY, not )
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
#define WIDTHS(name)                                                                               \
    {                                                                                              \
        FORMS(name, 8), FORMS(name, 16), FORMS(name, 32), FORMS(name, 64)                          \
    }

insn_fn bind_alu(const struct insn *insn)
{
    static const insn_fn table[][4][FORM_COUNT] = {
        WIDTHS(add), WIDTHS(or),  WIDTHS(adc), WIDTHS(sbb),  WIDTHS(and),
        WIDTHS(sub), WIDTHS(xor), WIDTHS(cmp), WIDTHS(test),
    };
    _Static_assert(OP_TEST - OP_ADD + 1 == ARRAY_LEN(table), "rows in the order of the table");
    return table[insn->op - OP_ADD][insn->width & 3][insn->form];
}

#define UNARY(name)                                                                                \
    {                                                                                              \
        {name##8_r, name##8_m}, {name##16_r, name##16_m}, {name##32_r, name##32_m},                \
        {                                                                                          \
            name##64_r, name##64_m                                                                 \
        }                                                                                          \
    }

insn_fn bind_unary(const struct insn *insn)
{
    static const insn_fn table[][4][2] = {UNARY(not ), UNARY(neg), UNARY(inc), UNARY(dec)};
    _Static_assert(OP_DEC - OP_NOT + 1 == ARRAY_LEN(table), "rows in the order of the table");
    return table[insn->op - OP_NOT][insn->width & 3][insn->form == FORM_M];
}

insn_fn bind_xadd(const struct insn *insn)
{
    static const insn_fn table[4][2] = {
        {xadd8_rr, xadd8_mr},
        {xadd16_rr, xadd16_mr},
        {xadd32_rr, xadd32_mr},
        {xadd64_rr, xadd64_mr},
    };
    return table[insn->width & 3][insn->form == FORM_MR];
}
