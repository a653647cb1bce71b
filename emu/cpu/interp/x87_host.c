// SPDX-License-Identifier: MIT
// The x87 operations whose results the SDM fixes to the bit, on the host's own x87. Overflow and
// underflow are unmasked when the guest's are, for their results differ then (SDM 1 8.5.4, 8.5.5);
// what is pending is cleared before any instruction that would wait for it, so that the host never
// sees an exception.
#include "cpu/interp/x87.h"

#include <string.h>

#include "base/check.h"

// Exceptions masked but those two, the guest's precision and rounding control kept.
static u16 host_control(u16 guest)
{
    const u16 kept = 0x0F00 | X87_OE | X87_UE;
    return (u16)((guest & kept) | (0x7F & ~kept));
}

// Loads b, then a (so ST0 = a, ST1 = b), runs the bytes, pops the result, leaves the host's x87 as
// it was.
#define RUN2(op)                                                                                   \
    __asm__ volatile("fninit\n\tfldt %[b]\n\tfldt %[a]\n\tfldcw %[cw]\n\t" op                      \
                     "\n\tfnstsw %[sw]\n\tfnclex\n\tfldcw %[old]"                                  \
                     "\n\tfstpt %[r]\n\tfstp %%st(0)"                                              \
                     : [r] "=m"(*r), [sw] "=m"(sw)                                                 \
                     : [a] "m"(*a), [b] "m"(*b), [cw] "m"(cw), [old] "m"(old)                      \
                     : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)",        \
                       "memory")

u16 x87_run(enum x87_op op, u16 control, const struct x87_value *a, const struct x87_value *b,
            struct x87_value *r)
{
    u16 cw = host_control(control), old = 0x37F, sw = 0;
    struct x87_value ignored;
    if (op == X87_COMPARE || op == X87_UCOMPARE || op == X87_TEST || op == X87_EXAMINE) {
        r = &ignored;
    }
    if (!b) {
        b = a;
    }
    switch (op) {
    case X87_ADD:
        RUN2("fadd %%st(1), %%st");
        break;
    case X87_MUL:
        RUN2("fmul %%st(1), %%st");
        break;
    case X87_SUB:
        RUN2(".byte 0xd8, 0xe1");
        break; // fsub st, st(1)
    case X87_DIV:
        RUN2(".byte 0xd8, 0xf1");
        break; // fdiv st, st(1)
    case X87_COMPARE:
        RUN2("fcom %%st(1)");
        break;
    case X87_UCOMPARE:
        RUN2("fucom %%st(1)");
        break;
    case X87_REMAINDER:
        RUN2("fprem");
        break;
    case X87_REMAINDER_IEEE:
        RUN2("fprem1");
        break;
    case X87_SCALE:
        RUN2("fscale");
        break;
    case X87_SQRT:
        RUN2("fsqrt");
        break;
    case X87_ROUND:
        RUN2("frndint");
        break;
    case X87_ABS:
        RUN2("fabs");
        break;
    case X87_CHS:
        RUN2("fchs");
        break;
    case X87_EXAMINE:
        RUN2("fxam");
        break;
    case X87_TEST:
        RUN2("ftst");
        break;
    }
    return sw & (X87_EXCEPTIONS | X87_CC);
}

u16 x87_extract(u16 control, const struct x87_value *a, struct x87_value *exponent,
                struct x87_value *significand)
{
    u16 cw = host_control(control), old = 0x37F, sw = 0;
    __asm__ volatile("fninit\n\tfldt %[a]\n\tfldcw %[cw]\n\tfxtract\n\tfnstsw "
                     "%[sw]\n\tfnclex\n\tfldcw %[old]\n\t"
                     "fstpt %[s]\n\tfstpt %[e]"
                     : [s] "=m"(*significand), [e] "=m"(*exponent), [sw] "=m"(sw)
                     : [a] "m"(*a), [cw] "m"(cw), [old] "m"(old)
                     : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)",
                       "memory");
    return sw & (X87_EXCEPTIONS | X87_CC);
}

unsigned x87_format_size(enum x87_format format)
{
    static const u8 sizes[] = {4, 8, 10, 2, 4, 8, 10};
    return sizes[format];
}

#define LOAD(op)                                                                                   \
    __asm__ volatile(                                                                              \
        "fninit\n\tfldcw %[cw]\n\t" op "\n\tfnstsw %[sw]\n\tfnclex\n\tfldcw %[old]\n\tfstpt %[r]"  \
        : [r] "=m"(*r), [sw] "=m"(sw)                                                              \
        : [m] "m"(value), [cw] "m"(cw), [old] "m"(old)                                             \
        : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "memory")

u16 x87_load(enum x87_format format, u16 control, const void *memory, struct x87_value *r)
{
    u16 cw = host_control(control), old = 0x37F, sw = 0;
    struct {
        u8 bytes[16];
    } value = {{0}};
    memcpy(&value, memory, x87_format_size(format));
    switch (format) {
    case X87_M32:
        LOAD("flds %[m]");
        break;
    case X87_M64:
        LOAD("fldl %[m]");
        break;
    case X87_M80:
        LOAD("fldt %[m]");
        break;
    case X87_I16:
        LOAD("filds %[m]");
        break;
    case X87_I32:
        LOAD("fildl %[m]");
        break;
    case X87_I64:
        LOAD("fildll %[m]");
        break;
    case X87_BCD:
        LOAD("fbld %[m]");
        break;
    }
    return sw & (X87_EXCEPTIONS | X87_C1);
}

#define STORE(op)                                                                                  \
    __asm__ volatile(                                                                              \
        "fninit\n\tfldt %[a]\n\tfldcw %[cw]\n\t" op "\n\tfnstsw %[sw]\n\tfninit"                  \
        : [m] "+m"(value), [sw] "=m"(sw)                                                           \
        : [a] "m"(*a), [cw] "m"(cw)                                                                \
        : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "memory")

u16 x87_store(enum x87_format format, u16 control, const struct x87_value *a, void *memory)
{
    u16 cw = host_control(control), sw = 0;
    struct {
        u8 bytes[16];
    } value = {{0}};
    switch (format) {
    case X87_M32:
        STORE("fstps %[m]");
        break;
    case X87_M64:
        STORE("fstpl %[m]");
        break;
    case X87_M80:
        STORE("fstpt %[m]");
        break;
    case X87_I16:
        STORE("fistps %[m]");
        break;
    case X87_I32:
        STORE("fistpl %[m]");
        break;
    case X87_I64:
        STORE("fistpll %[m]");
        break;
    case X87_BCD:
        STORE("fbstp %[m]");
        break;
    }
    memcpy(memory, &value, x87_format_size(format));
    return sw & (X87_EXCEPTIONS | X87_C1);
}

#define CONSTANT(op)                                                                               \
    __asm__ volatile("fldcw %[cw]\n\t" op "\n\tfldcw %[old]\n\tfstpt %[r]"                         \
                     : [r] "=m"(*r)                                                                \
                     : [cw] "m"(cw), [old] "m"(old)                                                \
                     : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)",        \
                       "memory")

void x87_constant(enum x87_constant which, u16 control, struct x87_value *r)
{
    static const struct x87_value indefinite = {{0, 0, 0, 0, 0, 0, 0, 0xC0, 0xFF, 0xFF}};
    u16 cw = host_control(control), old = 0x37F;
    switch (which) {
    case X87_ONE:
        CONSTANT("fld1");
        break;
    case X87_L2T:
        CONSTANT("fldl2t");
        break;
    case X87_L2E:
        CONSTANT("fldl2e");
        break;
    case X87_PI:
        CONSTANT("fldpi");
        break;
    case X87_LG2:
        CONSTANT("fldlg2");
        break;
    case X87_LN2:
        CONSTANT("fldln2");
        break;
    case X87_ZERO:
        CONSTANT("fldz");
        break;
    case X87_INDEFINITE:
        *r = indefinite;
        break;
    }
}
