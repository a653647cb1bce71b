// SPDX-License-Identifier: MIT
// MUL IMUL DIV IDIV, CBW..CQO, and the decimal adjustments of 32-bit code (SDM 2). Flags that are
// undefined: undefined.def.
#include "cpu/interp/handler.h"

typedef unsigned __int128 u128;
typedef __int128 s128;

static void multiply_flags(struct cpu *cpu, u64 low, unsigned width, bool overflow)
{
    unsigned sign = (low >> (8u * (1u << width) - 1)) & 1;
    u16 parity = alu_flags_szp8((u8)low) & FLAGS_P;
    cpu->flags =
        (u16)(FLAGS_ONE | (sign ? FLAGS_S : 0) | parity | (overflow ? FLAGS_C | FLAGS_O : 0));
}

// Stores a double-width product into AX or rDX:rAX.
static void store_product(struct cpu *cpu, unsigned width, u64 low, u64 high)
{
    if (width == 0) {
        *reg16(cpu, CPU_RAX) = (u16)(low | high << 8);
        return;
    }
    reg_write(cpu, CPU_RAX, width, low);
    reg_write(cpu, CPU_RDX, width, high);
}

static bool mul(struct cpu *cpu, const struct insn *insn)
{
    u64 b;
    if (!operand_get(cpu, insn, true, &b)) {
        return false;
    }
    unsigned bits = 8u << insn->width;
    u128 product = (u128)reg_read(cpu, insn->width ? CPU_RAX : 0, insn->width) * b;
    u64 low = bits_truncate((u64)product, bits / 8),
        high = bits_truncate((u64)(product >> bits), bits / 8);
    store_product(cpu, insn->width, low, high);
    multiply_flags(cpu, low, insn->width, high != 0);
    return true;
}
BIND_ONE(mul, mul)

// One operand: full product. Two and three: truncated to the width.
static bool imul_wide(struct cpu *cpu, const struct insn *insn)
{
    u64 b;
    if (!operand_get(cpu, insn, true, &b)) {
        return false;
    }
    unsigned size = insn_width_bytes(insn), bits = size * 8;
    s128 product =
        (s128)(s64)bits_sign_extend(cpu->gpr[CPU_RAX], size) * (s64)bits_sign_extend(b, size);
    u64 low = bits_truncate((u64)product, size), high = bits_truncate((u64)(product >> bits), size);
    store_product(cpu, insn->width, low, high);
    multiply_flags(cpu, low, insn->width, product != (s128)(s64)bits_sign_extend(low, size));
    return true;
}

#define IMUL(bits, wide)                                                                           \
    static inline void imul##bits(struct cpu *cpu, const struct insn *insn, u##bits a, u##bits b)  \
    {                                                                                              \
        s##bits r;                                                                                 \
        bool overflow = __builtin_mul_overflow((s##bits)a, (s##bits)b, &r);                        \
        gpr_set##bits(cpu, insn->reg, (u##bits)r);                                                 \
        multiply_flags(cpu, (u##bits)r, wide, overflow);                                           \
    }                                                                                              \
    HANDLER(imul##bits##_rr,                                                                       \
            imul##bits(cpu, insn, gpr_get##bits(cpu, insn->reg), gpr_get##bits(cpu, insn->rm)))    \
    HANDLER(imul##bits##_rri,                                                                      \
            imul##bits(cpu, insn, gpr_get##bits(cpu, insn->rm), (u##bits)insn->imm))               \
    HANDLER_LOAD(                                                                                  \
        imul##bits##_rm, bits,                                                                     \
        imul##bits(cpu, insn,                                                                      \
                   insn->form == FORM_RMI ? (u##bits)insn->imm : gpr_get##bits(cpu, insn->reg),    \
                   value))
IMUL(16, 1)
IMUL(32, 2)
IMUL(64, 3)

insn_fn bind_imul(const struct insn *insn)
{
    static const insn_fn table[4][3] = {
        {NULL, NULL, NULL},
        {imul16_rr, imul16_rri, imul16_rm},
        {imul32_rr, imul32_rri, imul32_rm},
        {imul64_rr, imul64_rri, imul64_rm},
    };
    switch (insn->form) {
    case FORM_R:
    case FORM_M:
        return imul_wide;
    case FORM_RR:
        return table[insn->width & 3][0];
    case FORM_RRI:
        return table[insn->width & 3][1];
    default:
        return table[insn->width & 3][2];
    }
}

static u128 dividend(struct cpu *cpu, unsigned width)
{
    if (width == 0) {
        return (u16)cpu->gpr[CPU_RAX];
    }
    return (u128)reg_read(cpu, CPU_RDX, width) << (8u << width) | reg_read(cpu, CPU_RAX, width);
}

static void store_quotient(struct cpu *cpu, unsigned width, u64 quotient, u64 remainder)
{
    if (width == 0) {
        *reg16(cpu, CPU_RAX) = (u16)((u8)quotient | (u16)(remainder << 8));
    } else {
        reg_write(cpu, CPU_RAX, width, quotient);
        reg_write(cpu, CPU_RDX, width, remainder);
    }
    flags_update(cpu, SET_DIV | CLEARED_DIV, SET_DIV);
}

static bool div_unsigned(struct cpu *cpu, const struct insn *insn)
{
    u64 d;
    if (!operand_get(cpu, insn, true, &d)) {
        return false;
    }
    unsigned size = insn_width_bytes(insn);
    u128 n = dividend(cpu, insn->width);
    if (d == 0 || (u64)(n >> (size * 8)) >= d) {
        return raise_fault(cpu, EXC_DE);
    }
    if (n >> 64 == 0) {
        store_quotient(cpu, insn->width, (u64)n / d, (u64)n % d);
    } else {
        store_quotient(cpu, insn->width, (u64)(n / d), (u64)(n % d));
    }
    return true;
}

static bool div_signed(struct cpu *cpu, const struct insn *insn)
{
    u64 d;
    if (!operand_get(cpu, insn, true, &d)) {
        return false;
    }
    unsigned size = insn_width_bytes(insn), bits = size * 8;
    s128 n = (s128)(dividend(cpu, insn->width) << (128 - 2 * bits)) >> (128 - 2 * bits);
    s64 divisor = (s64)bits_sign_extend(d, size);
    if (divisor == 0) {
        return raise_fault(cpu, EXC_DE);
    }
    s128 most_negative = (s128)((u128)1 << 127);
    if (n == most_negative && divisor == -1) {
        return raise_fault(cpu, EXC_DE);
    }
    s128 q = n / divisor, r = n % divisor;
    if (q != (s64)bits_sign_extend((u64)q, size)) {
        return raise_fault(cpu, EXC_DE);
    }
    store_quotient(cpu, insn->width, (u64)q, (u64)r);
    return true;
}

insn_fn bind_div(const struct insn *insn)
{
    return insn->op == OP_DIV ? div_unsigned : div_signed;
}

static bool widen(struct cpu *cpu, const struct insn *insn)
{
    u64 *rax = &cpu->gpr[CPU_RAX], *rdx = &cpu->gpr[CPU_RDX];
    switch (insn->op) {
    case OP_CBW:
        *(u16 *)rax = (u16)(s8)*rax;
        break;
    case OP_CWDE:
        *rax = (u32)(s16)*rax;
        break;
    case OP_CDQE:
        *rax = (u64)(s32)*rax;
        break;
    case OP_CWD:
        *(u16 *)rdx = (u16)((s16)*rax >> 15);
        break;
    case OP_CDQ:
        *rdx = (u32)((s32)*rax >> 31);
        break;
    default:
        *rdx = (u64)((s64)*rax >> 63);
        break;
    }
    return true;
}
BIND_ONE(widen, widen)

// AAA and AAS: AL's low digit, carry into AH.
static void ascii_adjust(struct cpu *cpu, int sign)
{
    u16 ax = (u16)cpu->gpr[CPU_RAX];
    bool adjust = (ax & 15) > 9 || (cpu->flags & FLAGS_A);
    if (adjust) {
        ax = (u16)(ax + sign * 0x106);
    }
    ax &= 0xFF0F;
    *reg16(cpu, CPU_RAX) = ax;
    cpu->flags = (u16)((alu_flags_szp8((u8)ax)) | (adjust ? FLAGS_A | FLAGS_C : 0));
}

// DAA and DAS: AL as two decimal digits.
static void decimal_adjust(struct cpu *cpu, int sign)
{
    u8 old = (u8)cpu->gpr[CPU_RAX], al = old;
    bool carry = cpu->flags & FLAGS_C, low = (al & 15) > 9 || (cpu->flags & FLAGS_A);
    bool high = old > 0x99 || carry, borrow = false;
    if (low) {
        borrow = sign < 0 && al < 6;
        al = (u8)(al + sign * 6);
    }
    if (high) {
        al = (u8)(al + sign * 0x60);
    }
    *reg8(cpu, 0) = al;
    bool cf = high || (sign < 0 && low && (carry || borrow));
    cpu->flags = (u16)(alu_flags_szp8(al) | (low ? FLAGS_A : 0) | (cf ? FLAGS_C : 0));
}

static bool decimal(struct cpu *cpu, const struct insn *insn)
{
    u8 al = (u8)cpu->gpr[CPU_RAX], ah = (u8)(cpu->gpr[CPU_RAX] >> 8), base = (u8)insn->imm;
    switch (insn->op) {
    case OP_AAA:
        ascii_adjust(cpu, 1);
        return true;
    case OP_AAS:
        ascii_adjust(cpu, -1);
        return true;
    case OP_DAA:
        decimal_adjust(cpu, 1);
        return true;
    case OP_DAS:
        decimal_adjust(cpu, -1);
        return true;
    case OP_AAM:
        if (base == 0) {
            return raise_fault(cpu, EXC_DE);
        }
        *reg16(cpu, CPU_RAX) = (u16)((al / base) << 8 | al % base);
        break;
    default:
        *reg16(cpu, CPU_RAX) = (u8)(al + ah * base);
        break;
    }
    cpu->flags = alu_flags_szp8((u8)cpu->gpr[CPU_RAX]);
    return true;
}
BIND_ONE(decimal, decimal)
