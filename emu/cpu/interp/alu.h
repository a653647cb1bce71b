// SPDX-License-Identifier: MIT
// Integer arithmetic on the host's own ALU: each function returns the result and the packed flags
// of cpu->flags. Flags that the SDM leaves undefined follow undefined.def.
#ifndef VIV_CPU_INTERP_ALU_H
#define VIV_CPU_INTERP_ALU_H

#include "cpu/flags.h"
#include "cpu/interp/undefined.h"

// Flags in, flags out: LAHF fills AH, SETO fills AL.
#define ALU_ASM2(name, bits, text, mask)                                                           \
    static inline u##bits alu_##name##bits(struct cpu *cpu, u##bits a, u##bits b)                  \
    {                                                                                              \
        u16 f;                                                                                     \
        __asm__(text "\n\tlahf\n\tseto %%al" : "+r"(a), "=a"(f) : "r"(b) : "cc");                  \
        cpu->flags = f & (mask);                                                                   \
        return a;                                                                                  \
    }
#define ALU_ASM2_CARRY(name, bits, text)                                                           \
    static inline u##bits alu_##name##bits(struct cpu *cpu, u##bits a, u##bits b)                  \
    {                                                                                              \
        u16 f;                                                                                     \
        u32 old = cpu->flags;                                                                      \
        __asm__("bt $8, %3\n\t" text "\n\tlahf\n\tseto %%al"                                       \
                : "+r"(a), "=&a"(f)                                                                \
                : "r"(b), "r"(old)                                                                 \
                : "cc");                                                                           \
        cpu->flags = f;                                                                            \
        return a;                                                                                  \
    }
// Compare and test: only the flags matter.
#define ALU_ASM_TEST(name, bits, text, mask)                                                       \
    static inline void alu_##name##bits(struct cpu *cpu, u##bits a, u##bits b)                     \
    {                                                                                              \
        u16 f;                                                                                     \
        __asm__(text "\n\tlahf\n\tseto %%al" : "=a"(f) : "r"(a), "r"(b) : "cc");                   \
        cpu->flags = f & (mask);                                                                   \
    }
// One operand; keep: flags that stay as they were.
#define ALU_ASM1(name, bits, text, keep)                                                           \
    static inline u##bits alu_##name##bits(struct cpu *cpu, u##bits a)                             \
    {                                                                                              \
        u16 f;                                                                                     \
        __asm__(text "\n\tlahf\n\tseto %%al" : "+r"(a), "=a"(f) : : "cc");                         \
        cpu->flags = (u16)((f & ~(keep)) | (cpu->flags & (keep)));                                 \
        return a;                                                                                  \
    }

#define ALU_LOGIC (u16) ~CLEARED_AND // OR, XOR and TEST have the same row
#define ALU_FUNCTIONS(bits, s, r)                                                                  \
    ALU_ASM2(add, bits, "add" s " %" r "2, %" r "0", 0xFFFF)                                       \
    ALU_ASM2(sub, bits, "sub" s " %" r "2, %" r "0", 0xFFFF)                                       \
    ALU_ASM2(and, bits, "and" s " %" r "2, %" r "0", ALU_LOGIC)                                    \
    ALU_ASM2(or, bits, "or" s " %" r "2, %" r "0", ALU_LOGIC)                                      \
    ALU_ASM2(xor, bits, "xor" s " %" r "2, %" r "0", ALU_LOGIC)                                    \
    ALU_ASM2_CARRY(adc, bits, "adc" s " %" r "2, %" r "0")                                         \
    ALU_ASM2_CARRY(sbb, bits, "sbb" s " %" r "2, %" r "0")                                         \
    ALU_ASM_TEST(cmp, bits, "cmp" s " %" r "2, %" r "1", 0xFFFF)                                   \
    ALU_ASM_TEST(test, bits, "test" s " %" r "2, %" r "1", ALU_LOGIC)                              \
    ALU_ASM1(inc, bits, "inc" s " %" r "0", FLAGS_C)                                               \
    ALU_ASM1(dec, bits, "dec" s " %" r "0", FLAGS_C)                                               \
    ALU_ASM1(neg, bits, "neg" s " %" r "0", 0)                                                     \
    static inline u##bits alu_not##bits(struct cpu *cpu, u##bits a)                                \
    {                                                                                              \
        (void)cpu;                                                                                 \
        return (u##bits) ~a;                                                                       \
    }                                                                                              \
    /* S, Z and P of a result; C, O and A clear. */                                                \
    static inline u16 alu_flags_szp##bits(u##bits a)                                               \
    {                                                                                              \
        u16 f;                                                                                     \
        __asm__("test" s " %" r "1, %" r "1\n\tlahf\n\tmovb $0, %%al" : "=&a"(f) : "r"(a) : "cc"); \
        return f & ALU_LOGIC;                                                                      \
    }
ALU_FUNCTIONS(8, "b", "b")
ALU_FUNCTIONS(16, "w", "w")
ALU_FUNCTIONS(32, "l", "k")
ALU_FUNCTIONS(64, "q", "q")
#undef ALU_FUNCTIONS

// General registers by width, with the architecture's write rules.
static inline u8 gpr_get8(struct cpu *cpu, u8 n)
{
    return *((u8 *)cpu->gpr + n);
}

static inline u16 gpr_get16(struct cpu *cpu, u8 n)
{
    return (u16)cpu->gpr[n];
}

static inline u32 gpr_get32(struct cpu *cpu, u8 n)
{
    return (u32)cpu->gpr[n];
}

static inline u64 gpr_get64(struct cpu *cpu, u8 n)
{
    return cpu->gpr[n];
}

static inline void gpr_set8(struct cpu *cpu, u8 n, u8 value)
{
    *((u8 *)cpu->gpr + n) = value;
}

static inline void gpr_set16(struct cpu *cpu, u8 n, u16 value)
{
    *(u16 *)&cpu->gpr[n] = value;
}

static inline void gpr_set32(struct cpu *cpu, u8 n, u32 value)
{
    cpu->gpr[n] = value;
}

static inline void gpr_set64(struct cpu *cpu, u8 n, u64 value)
{
    cpu->gpr[n] = value;
}

#endif
