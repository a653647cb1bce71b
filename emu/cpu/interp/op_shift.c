// SPDX-License-Identifier: MIT
// SHL SHR SAR ROL ROR RCL RCR SHLD SHRD (SDM 2). What is undefined: undefined.def.
#include "cpu/interp/handler.h"

// Each takes the masked count, not zero, and sets the flags.
#define SHIFTS(bits)                                                                               \
    static inline u##bits do_shl##bits(struct cpu *cpu, u##bits a, unsigned n)                     \
    {                                                                                              \
        u##bits r = n < bits ? (u##bits)(a << n) : 0;                                              \
        unsigned cf = n <= bits ? (a >> (bits - n)) & 1u : 0;                                      \
        unsigned of = cf ^ (r >> (bits - 1));                                                      \
        cpu->flags = (u16)(alu_flags_szp##bits(r) | cf << 8 | of);                                 \
        return r;                                                                                  \
    }                                                                                              \
    static inline u##bits do_shr##bits(struct cpu *cpu, u##bits a, unsigned n)                     \
    {                                                                                              \
        u##bits r = n < bits ? (u##bits)(a >> n) : 0;                                              \
        unsigned cf = n <= bits ? (a >> (n - 1)) & 1u : 0;                                         \
        unsigned of = (r >> (bits - 2)) & 1u;                                                      \
        cpu->flags = (u16)(alu_flags_szp##bits(r) | cf << 8 | of);                                 \
        return r;                                                                                  \
    }                                                                                              \
    static inline u##bits do_sar##bits(struct cpu *cpu, u##bits a, unsigned n)                     \
    {                                                                                              \
        unsigned m = n < bits ? n : bits - 1;                                                      \
        u##bits r = (u##bits)((s##bits)a >> m);                                                    \
        unsigned cf = n <= bits ? ((s##bits)a >> (n - 1)) & 1 : r & 1;                             \
        cpu->flags = (u16)(alu_flags_szp##bits(r) | cf << 8);                                      \
        return r;                                                                                  \
    }                                                                                              \
    static inline u##bits do_rol##bits(struct cpu *cpu, u##bits a, unsigned n)                     \
    {                                                                                              \
        n &= bits - 1;                                                                             \
        u##bits r = n ? (u##bits)(a << n | a >> (bits - n)) : a;                                   \
        unsigned cf = r & 1u;                                                                      \
        flags_update(cpu, FLAGS_C | FLAGS_O, (u16)(cf << 8 | (cf ^ (unsigned)(r >> (bits - 1))))); \
        return r;                                                                                  \
    }                                                                                              \
    static inline u##bits do_ror##bits(struct cpu *cpu, u##bits a, unsigned n)                     \
    {                                                                                              \
        n &= bits - 1;                                                                             \
        u##bits r = n ? (u##bits)(a >> n | a << (bits - n)) : a;                                   \
        unsigned cf = (unsigned)(r >> (bits - 1)), next = (r >> (bits - 2)) & 1u;                  \
        flags_update(cpu, FLAGS_C | FLAGS_O, (u16)(cf << 8 | (cf ^ next)));                        \
        return r;                                                                                  \
    }                                                                                              \
    /* Through carry: a rotation of bits + 1 bits, done one by one (rare). */                      \
    static inline u##bits do_rcl##bits(struct cpu *cpu, u##bits a, unsigned n)                     \
    {                                                                                              \
        unsigned cf = (cpu->flags & FLAGS_C) != 0;                                                 \
        for (n %= bits + 1; n; n--) {                                                              \
            unsigned out = (unsigned)(a >> (bits - 1));                                            \
            a = (u##bits)(a << 1 | cf);                                                            \
            cf = out;                                                                              \
        }                                                                                          \
        flags_update(cpu, FLAGS_C | FLAGS_O, (u16)(cf << 8 | (cf ^ (unsigned)(a >> (bits - 1))))); \
        return a;                                                                                  \
    }                                                                                              \
    static inline u##bits do_rcr##bits(struct cpu *cpu, u##bits a, unsigned n)                     \
    {                                                                                              \
        unsigned cf = (cpu->flags & FLAGS_C) != 0;                                                 \
        for (n %= bits + 1; n; n--) {                                                              \
            unsigned out = a & 1u;                                                                 \
            a = (u##bits)(a >> 1 | (u##bits)((u##bits)cf << (bits - 1)));                          \
            cf = out;                                                                              \
        }                                                                                          \
        unsigned of = (unsigned)(a >> (bits - 1)) ^ ((a >> (bits - 2)) & 1u);                      \
        flags_update(cpu, FLAGS_C | FLAGS_O, (u16)(cf << 8 | of));                                 \
        return a;                                                                                  \
    }
SHIFTS(8)
SHIFTS(16)
SHIFTS(32)
SHIFTS(64)

// The count is CL (second operand a register) or the immediate; zero after masking changes nothing,
// but the memory operand is still checked for writing.
#define SHIFT_HANDLERS(name, bits)                                                                 \
    static inline u##bits name##bits(struct cpu *cpu, u##bits a, u64 count)                        \
    {                                                                                              \
        unsigned n = count & (bits == 64 ? 63 : 31);                                               \
        return n ? do_##name##bits(cpu, a, n) : a;                                                 \
    }                                                                                              \
    HANDLER(name##bits##_rc,                                                                       \
            gpr_set##bits(cpu, insn->reg,                                                          \
                          name##bits(cpu, gpr_get##bits(cpu, insn->reg), cpu->gpr[CPU_RCX])))      \
    HANDLER(                                                                                       \
        name##bits##_ri,                                                                           \
        gpr_set##bits(cpu, insn->reg, name##bits(cpu, gpr_get##bits(cpu, insn->reg), insn->imm)))  \
    HANDLER_MODIFY(                                                                                \
        name##bits##_m, bits,                                                                      \
        value = name##bits(cpu, value, insn->form == FORM_MI ? insn->imm : cpu->gpr[CPU_RCX]),     \
        (void)0)
#define ALL_WIDTHS(name)                                                                           \
    SHIFT_HANDLERS(name, 8)                                                                        \
    SHIFT_HANDLERS(name, 16) SHIFT_HANDLERS(name, 32) SHIFT_HANDLERS(name, 64)
ALL_WIDTHS(rol)
ALL_WIDTHS(ror)
ALL_WIDTHS(rcl)
ALL_WIDTHS(rcr)
ALL_WIDTHS(shl)
ALL_WIDTHS(shr)
ALL_WIDTHS(sar)

insn_fn bind_shift(const struct insn *insn)
{
#define THREE(name, bits)                                                                          \
    {                                                                                              \
        name##bits##_rc, name##bits##_ri, name##bits##_m                                           \
    }
#define ROW(name)                                                                                  \
    {                                                                                              \
        THREE(name, 8), THREE(name, 16), THREE(name, 32), THREE(name, 64)                          \
    }
    static const insn_fn table[][4][3] = {ROW(rol), ROW(ror), ROW(rcl), ROW(rcr),
                                          ROW(shl), ROW(shr), ROW(sar)};
#undef ROW
#undef THREE
    _Static_assert(OP_SAR - OP_ROL + 1 == ARRAY_LEN(table), "rows in the order of the table");
    unsigned kind = insn->form == FORM_RR ? 0 : insn->form == FORM_RI ? 1 : 2;
    return table[insn->op - OP_ROL][insn->width & 3][kind];
}

// Double shifts work on dst:src as one number. A 16-bit count above 16 is undefined; the profile
// goes on into dst again.
static u64 shld(struct cpu *cpu, u64 dst, u64 src, unsigned n, unsigned bits)
{
    u64 r;
    unsigned cf;
    if (bits == 16) {
        u64 all = dst << 32 | src << 16 | dst;
        r = (all << n) >> 32 & 0xFFFF;
        cf = (all << n) >> 48 & 1;
    } else {
        r = bits_truncate(dst << n | src >> (bits - n), bits / 8);
        cf = (dst >> (bits - n)) & 1;
    }
    u16 f = bits == 16   ? alu_flags_szp16((u16)r)
            : bits == 32 ? alu_flags_szp32((u32)r)
                         : alu_flags_szp64(r);
    unsigned of = ((r ^ dst) >> (bits - 1)) & 1;
    cpu->flags = (u16)(f | cf << 8 | of);
    return r;
}

static u64 shrd(struct cpu *cpu, u64 dst, u64 src, unsigned n, unsigned bits)
{
    u64 r;
    unsigned cf;
    if (bits == 16) {
        u64 all = dst << 32 | src << 16 | dst;
        r = all >> n & 0xFFFF;
        cf = all >> (n - 1) & 1;
    } else {
        r = bits_truncate(dst >> n | src << (bits - n), bits / 8);
        cf = (dst >> (n - 1)) & 1;
    }
    u16 f = bits == 16   ? alu_flags_szp16((u16)r)
            : bits == 32 ? alu_flags_szp32((u32)r)
                         : alu_flags_szp64(r);
    unsigned of = ((r ^ dst) >> (bits - 1)) & 1;
    cpu->flags = (u16)(f | cf << 8 | of);
    return r;
}

static bool double_shift(struct cpu *cpu, const struct insn *insn)
{
    bool memory = insn->form == FORM_MRI || insn->form == FORM_MRR;
    bool immediate = insn->form == FORM_MRI || insn->form == FORM_RRI;
    unsigned size = insn_width_bytes(insn), bits = size * 8;
    unsigned n = (immediate ? (u8)insn->imm : (u8)cpu->gpr[CPU_RCX]) & (bits == 64 ? 63u : 31u);
    u64 dst = 0, src = reg_read(cpu, memory ? insn->reg : insn->rm, insn->width);
    u8 *p = NULL;
    if (memory) {
        p = operand_rmw(cpu, insn, size);
        if (p == NULL) {
            return false;
        }
        __builtin_memcpy(&dst, p, size);
    } else {
        dst = reg_read(cpu, insn->reg, insn->width);
    }
    if (n) {
        dst = insn->op == OP_SHLD ? shld(cpu, dst, src, n, bits) : shrd(cpu, dst, src, n, bits);
    }
    if (memory) {
        __builtin_memcpy(p, &dst, size);
        operand_rmw_end(cpu, insn, p);
    } else {
        reg_write(cpu, insn->reg, insn->width, dst);
    }
    return true;
}
BIND_ONE(double_shift, double_shift)
