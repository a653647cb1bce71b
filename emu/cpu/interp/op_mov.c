// SPDX-License-Identifier: MIT
// Moves: MOV MOVZX MOVSX MOVSXD MOVNTI LEA XCHG CMPXCHG CMPXCHG8B/16B BSWAP XLAT CMOVcc SETcc (SDM
// 2).
#include "base/check.h"
#include "cpu/interp/handler.h"

#define MOV(bits)                                                                                  \
    HANDLER(mov##bits##_rr, gpr_set##bits(cpu, insn->reg, gpr_get##bits(cpu, insn->rm)))           \
    HANDLER(mov##bits##_ri, gpr_set##bits(cpu, insn->reg, (u##bits)insn->imm))                     \
    HANDLER_LOAD(mov##bits##_rm, bits, gpr_set##bits(cpu, insn->reg, value))                       \
    HANDLER_STORE(mov##bits##_mr, bits, gpr_get##bits(cpu, insn->reg))                             \
    HANDLER_STORE(mov##bits##_mi, bits, insn->imm)
MOV(8)
MOV(16)
MOV(32)
MOV(64)

#define FORMS(bits)                                                                                \
    {                                                                                              \
        [FORM_RR] = mov##bits##_rr, [FORM_RM] = mov##bits##_rm, [FORM_MR] = mov##bits##_mr,        \
        [FORM_RI] = mov##bits##_ri, [FORM_MI] = mov##bits##_mi                                     \
    }

insn_fn bind_mov(const struct insn *insn)
{
    static const insn_fn table[4][FORM_COUNT] = {FORMS(8), FORMS(16), FORMS(32), FORMS(64)};
    return table[insn->width & 3][insn->form];
}
#undef FORMS

// MOV with a 64-bit absolute address, kept in imm.
static bool mov_moffs(struct cpu *cpu, const struct insn *insn)
{
    u64 offset = (insn->flags & INSN_ADDR32) ? (u32)insn->imm : insn->imm, linear, value = 0;
    unsigned size = insn_width_bytes(insn);
    bool store = insn->form == FORM_MR;
    if (!operand_segment(cpu, insn->seg, offset, size, store, &linear)) {
        return false;
    }
    if (store) {
        return operand_write(cpu, insn, linear, &cpu->gpr[CPU_RAX], size);
    }
    if (!operand_read(cpu, insn, linear, &value, size)) {
        return false;
    }
    reg_write(cpu, CPU_RAX, insn->width, value);
    return true;
}
BIND_ONE(mov_moffs, mov_moffs)

#define MOVX(name, from, to, cast)                                                                 \
    HANDLER(name##from##_##to##_rr,                                                                \
            gpr_set##to(cpu, insn->reg, (u##to)(cast)gpr_get##from(cpu, insn->rm)))                \
    HANDLER_LOAD(name##from##_##to##_rm, from, gpr_set##to(cpu, insn->reg, (u##to)(cast)value))
#define MOVX_FROM(from)                                                                            \
    MOVX(movzx, from, 16, u##from)                                                                 \
    MOVX(movzx, from, 32, u##from)                                                                 \
    MOVX(movzx, from, 64, u##from)                                                                 \
    MOVX(movsx, from, 16, s##from)                                                                 \
    MOVX(movsx, from, 32, s##from)                                                                 \
    MOVX(movsx, from, 64, s##from)
MOVX_FROM(8)
MOVX_FROM(16)
MOVX_FROM(32)

// imm is log2 of the source's bytes.
insn_fn bind_movx(const struct insn *insn)
{
#define PAIR(name, from, to)                                                                       \
    {                                                                                              \
        name##from##_##to##_rr, name##from##_##to##_rm                                             \
    }
#define ROW(name, from)                                                                            \
    {                                                                                              \
        {NULL, NULL}, PAIR(name, from, 16), PAIR(name, from, 32), PAIR(name, from, 64)             \
    }
    static const insn_fn table[2][3][4][2] = {
        {ROW(movzx, 8), ROW(movzx, 16), ROW(movzx, 32)},
        {ROW(movsx, 8), ROW(movsx, 16), ROW(movsx, 32)},
    };
#undef ROW
#undef PAIR
    CHECK(insn->imm < 3);
    return table[insn->op != OP_MOVZX][insn->imm][insn->width & 3][insn->form == FORM_RM];
}

#define LEA(bits)                                                                                  \
    HANDLER(lea##bits, gpr_set##bits(cpu, insn->reg, (u##bits)operand_offset(cpu, insn)))
LEA(16)
LEA(32)
LEA(64)

insn_fn bind_lea(const struct insn *insn)
{
    static const insn_fn table[4] = {NULL, lea16, lea32, lea64};
    return table[insn->width & 3];
}

#define XCHG(bits)                                                                                 \
    static bool xchg##bits##_rr(struct cpu *cpu, const struct insn *insn)                          \
    {                                                                                              \
        u##bits a = gpr_get##bits(cpu, insn->reg), b = gpr_get##bits(cpu, insn->rm);               \
        gpr_set##bits(cpu, insn->reg, b);                                                          \
        gpr_set##bits(cpu, insn->rm, a);                                                           \
        return true;                                                                               \
    }                                                                                              \
    HANDLER_MODIFY(xchg##bits##_mr, bits, value = gpr_get##bits(cpu, insn->reg),                   \
                   gpr_set##bits(cpu, insn->reg, old))                                             \
    static bool cmpxchg##bits##_rr(struct cpu *cpu, const struct insn *insn)                       \
    {                                                                                              \
        u##bits a = gpr_get##bits(cpu, CPU_RAX), dst = gpr_get##bits(cpu, insn->reg);              \
        alu_cmp##bits(cpu, a, dst);                                                                \
        if (a == dst) {                                                                            \
            gpr_set##bits(cpu, insn->reg, gpr_get##bits(cpu, insn->rm));                           \
        } else {                                                                                   \
            gpr_set##bits(cpu, CPU_RAX, dst);                                                      \
        }                                                                                          \
        return true;                                                                               \
    }                                                                                              \
    static inline u##bits cmpxchg##bits(struct cpu *cpu, const struct insn *insn, u##bits old)     \
    {                                                                                              \
        u##bits a = gpr_get##bits(cpu, CPU_RAX);                                                   \
        alu_cmp##bits(cpu, a, old);                                                                \
        if (a == old) {                                                                            \
            return gpr_get##bits(cpu, insn->reg);                                                  \
        }                                                                                          \
        gpr_set##bits(cpu, CPU_RAX, old);                                                          \
        return old;                                                                                \
    }                                                                                              \
    HANDLER_MODIFY(cmpxchg##bits##_mr, bits, value = cmpxchg##bits(cpu, insn, value), (void)0)
XCHG(8)
XCHG(16)
XCHG(32)
XCHG(64)

insn_fn bind_xchg(const struct insn *insn)
{
    static const insn_fn table[4][2] = {
        {xchg8_rr, xchg8_mr},
        {xchg16_rr, xchg16_mr},
        {xchg32_rr, xchg32_mr},
        {xchg64_rr, xchg64_mr},
    };
    return table[insn->width & 3][insn->form != FORM_RR]; // RM: the same exchange
}

insn_fn bind_cmpxchg(const struct insn *insn)
{
    static const insn_fn table[4][2] = {
        {cmpxchg8_rr, cmpxchg8_mr},
        {cmpxchg16_rr, cmpxchg16_mr},
        {cmpxchg32_rr, cmpxchg32_mr},
        {cmpxchg64_rr, cmpxchg64_mr},
    };
    return table[insn->width & 3][insn->form == FORM_MR];
}

static bool cmpxchg8b(struct cpu *cpu, const struct insn *insn)
{
    u64 *g = cpu->gpr, old, expected = (u64)(u32)g[CPU_RDX] << 32 | (u32)g[CPU_RAX];
    u8 *p = operand_rmw(cpu, insn, 8);
    if (p == NULL) {
        return false;
    }
    __builtin_memcpy(&old, p, 8);
    if (old == expected) {
        u64 value = (u64)(u32)g[CPU_RCX] << 32 | (u32)g[CPU_RBX];
        __builtin_memcpy(p, &value, 8);
    } else {
        g[CPU_RAX] = (u32)old;
        g[CPU_RDX] = old >> 32;
    }
    operand_rmw_end(cpu, insn, p);
    flags_update(cpu, FLAGS_Z, old == expected ? FLAGS_Z : 0);
    return true;
}
BIND_ONE(cmpxchg8b, cmpxchg8b)

// Aligned by rule, so it never crosses a page. Off the fast path it is checked for writing, read,
// and written back.
static bool cmpxchg16b(struct cpu *cpu, const struct insn *insn)
{
    u64 *g = cpu->gpr, linear, old[2];
    if (!operand_ea(cpu, insn, 16, true, &linear)) {
        return false;
    }
    if (linear & 15) {
        return raise_gp(cpu, 0);
    }
    if (!operand_probe_write(cpu, insn, linear, 16) || !operand_read(cpu, insn, linear, old, 16)) {
        return false;
    }
    bool equal = old[0] == g[CPU_RAX] && old[1] == g[CPU_RDX];
    u64 value[2] = {equal ? g[CPU_RBX] : old[0], equal ? g[CPU_RCX] : old[1]};
    if (!operand_write(cpu, insn, linear, value, 16)) {
        return false;
    }
    if (!equal) {
        g[CPU_RAX] = old[0];
        g[CPU_RDX] = old[1];
    }
    flags_update(cpu, FLAGS_Z, equal ? FLAGS_Z : 0);
    return true;
}
BIND_ONE(cmpxchg16b, cmpxchg16b)

static bool bswap32(struct cpu *cpu, const struct insn *insn)
{
    cpu->gpr[insn->reg] = __builtin_bswap32((u32)cpu->gpr[insn->reg]);
    return true;
}

static bool bswap64(struct cpu *cpu, const struct insn *insn)
{
    cpu->gpr[insn->reg] = __builtin_bswap64(cpu->gpr[insn->reg]);
    return true;
}

// A 16-bit BSWAP is undefined; processors clear the register's low half.
static bool bswap16(struct cpu *cpu, const struct insn *insn)
{
    *reg16(cpu, insn->reg) = 0;
    return true;
}

insn_fn bind_bswap(const struct insn *insn)
{
    return insn->width == 3 ? bswap64 : insn->width == 2 ? bswap32 : bswap16;
}

static bool xlat(struct cpu *cpu, const struct insn *insn)
{
    u64 offset = cpu->gpr[CPU_RBX] + (u8)cpu->gpr[CPU_RAX], linear;
    if (insn->flags & (INSN_ADDR32 | INSN_ADDR16)) {
        offset = (insn->flags & INSN_ADDR32) ? (u32)offset : (u16)offset;
    }
    return operand_segment(cpu, insn->seg, offset, 1, false, &linear) &&
           operand_read(cpu, insn, linear, &cpu->gpr[CPU_RAX], 1);
}
BIND_ONE(xlat, xlat)

// CMOVcc reads its source, and clears the upper half of a 32-bit destination, whatever the
// condition.
#define CMOV(bits)                                                                                 \
    static inline bool cmov##bits##_taken(const struct cpu *cpu, const struct insn *insn)          \
    {                                                                                              \
        return flags_condition(cpu->flags, (insn->op - OP_CMOVO) & 15u);                           \
    }                                                                                              \
    HANDLER(                                                                                       \
        cmov##bits##_rr,                                                                           \
        gpr_set##bits(cpu, insn->reg,                                                              \
                      gpr_get##bits(cpu, cmov##bits##_taken(cpu, insn) ? insn->rm : insn->reg)))   \
    HANDLER_LOAD(                                                                                  \
        cmov##bits##_rm, bits,                                                                     \
        gpr_set##bits(cpu, insn->reg,                                                              \
                      cmov##bits##_taken(cpu, insn) ? value : gpr_get##bits(cpu, insn->reg)))
CMOV(16)
CMOV(32)
CMOV(64)

insn_fn bind_cmov(const struct insn *insn)
{
    static const insn_fn table[4][2] = {
        {NULL, NULL},
        {cmov16_rr, cmov16_rm},
        {cmov32_rr, cmov32_rm},
        {cmov64_rr, cmov64_rm},
    };
    return table[insn->width & 3][insn->form == FORM_RM];
}

HANDLER(setcc_r, gpr_set8(cpu, insn->reg, flags_condition(cpu->flags, (insn->op - OP_SETO) & 15u)))
HANDLER_STORE(setcc_m, 8, flags_condition(cpu->flags, (insn->op - OP_SETO) & 15u))

insn_fn bind_setcc(const struct insn *insn)
{
    return insn->form == FORM_M ? setcc_m : setcc_r;
}
