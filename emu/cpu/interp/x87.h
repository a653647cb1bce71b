// SPDX-License-Identifier: MIT
// x87 arithmetic on 80-bit values: exact operations are the host's own, run fully masked;
// transcendental ones, whose results differ between vendors, are ours.
#ifndef VIV_CPU_INTERP_X87_H
#define VIV_CPU_INTERP_X87_H

#include "base/types.h"

#define X87_IE 0x01u
#define X87_DE 0x02u
#define X87_ZE 0x04u
#define X87_OE 0x08u
#define X87_UE 0x10u
#define X87_PE 0x20u
#define X87_SF 0x40u
#define X87_ES 0x80u
#define X87_C0 0x100u
#define X87_C1 0x200u
#define X87_C2 0x400u
#define X87_C3 0x4000u
#define X87_CC (X87_C0 | X87_C1 | X87_C2 | X87_C3)
#define X87_EXCEPTIONS 0x3Fu

struct x87_value {
    u8 bytes[16]; // 10 are used
};

enum x87_op {
    X87_ADD,
    X87_SUB,
    X87_MUL,
    X87_DIV, // two operands: a op b
    X87_COMPARE,
    X87_UCOMPARE, // C3 C2 C0 only
    X87_REMAINDER,
    X87_REMAINDER_IEEE,
    X87_SCALE, // fprem, fprem1, fscale of a by b
    X87_SQRT,
    X87_ROUND,
    X87_ABS,
    X87_CHS, // one operand
    X87_EXAMINE,
    X87_TEST,
};

// Runs op with the guest's control word. Returns the status word's exception flags and condition
// codes; *r is the masked result (untouched by comparisons).
u16 x87_run(enum x87_op op, u16 control, const struct x87_value *a, const struct x87_value *b,
            struct x87_value *r);

// FXTRACT: exponent and significand of a.
u16 x87_extract(u16 control, const struct x87_value *a, struct x87_value *exponent,
                struct x87_value *significand);

// Conversions between memory formats and the 80-bit one, as FLD, FILD, FBLD, FST, FIST, FBSTP do
// them.
enum x87_format { X87_M32, X87_M64, X87_M80, X87_I16, X87_I32, X87_I64, X87_BCD };
unsigned x87_format_size(enum x87_format format);
u16 x87_load(enum x87_format format, u16 control, const void *memory, struct x87_value *r);
u16 x87_store(enum x87_format format, u16 control, const struct x87_value *a, void *memory);

enum x87_constant { X87_ONE, X87_L2T, X87_L2E, X87_PI, X87_LG2, X87_LN2, X87_ZERO, X87_INDEFINITE };
void x87_constant(enum x87_constant which, u16 control, struct x87_value *r);

// Transcendental functions (x87_math.c), deterministic on every host. Out of range: C2 set, *r
// untouched.
u16 x87_f2xm1(const struct x87_value *a, struct x87_value *r);
u16 x87_fyl2x(const struct x87_value *x, const struct x87_value *y, bool plus_one,
              struct x87_value *r);
u16 x87_fpatan(const struct x87_value *x, const struct x87_value *y, struct x87_value *r);
u16 x87_sin_cos(const struct x87_value *a, struct x87_value *sine, struct x87_value *cosine);

#endif
