// SPDX-License-Identifier: MIT
// Writes x86-64 machine code: one function for all encodings (SDM 2A chapter 2), and short names
// for what the translator uses most.
#ifndef VIV_CPU_JIT_EMIT_H
#define VIV_CPU_JIT_EMIT_H

#include "base/types.h"

enum host_reg {
    HOST_RAX,
    HOST_RCX,
    HOST_RDX,
    HOST_RBX,
    HOST_RSP,
    HOST_RBP,
    HOST_RSI,
    HOST_RDI,
    HOST_R8,
    HOST_R9,
    HOST_R10,
    HOST_R11,
    HOST_R12,
    HOST_R13,
    HOST_R14,
    HOST_R15,
    HOST_NONE = 0xFF
};

// Where code is written: "write" is the writable mapping of the byte that will run at write +
// to_run. Past the end nothing is written and "overflow" is set.
struct emitter {
    u8 *write, *end;
    s64 to_run;
    bool overflow;
};

// A register or [base + (index << scale) + disp], with a GS prefix or not.
struct host_operand {
    bool memory, gs;
    u8 reg;
    u8 base, index, scale;
    s32 disp;
};

static inline struct host_operand host_reg_operand(unsigned reg)
{
    return (struct host_operand){.reg = (u8)reg};
}

static inline struct host_operand host_at(unsigned base, s32 disp)
{
    return (struct host_operand){
        .memory = true, .base = (u8)base, .index = HOST_NONE, .disp = disp};
}

static inline struct host_operand host_indexed(unsigned base, unsigned index, unsigned scale,
                                               s32 disp)
{
    return (struct host_operand){
        .memory = true, .base = (u8)base, .index = (u8)index, .scale = (u8)scale, .disp = disp};
}

// An encoding: the opcode byte and these.
enum encoding {
    ENC_0F = 1 << 8, // opcode map
    ENC_0F38 = 2 << 8,
    ENC_0F3A = 3 << 8,
    ENC_MAP = 3 << 8,
    ENC_66 = 1 << 10, // mandatory prefix, or the operand size
    ENC_F3 = 2 << 10,
    ENC_F2 = 3 << 10,
    ENC_PREFIX = 3 << 10,
    ENC_W = 1 << 12,        // REX.W or VEX.W
    ENC_BYTE_REG = 1 << 13, // ModRM.reg is an 8-bit register: SPL.. need a REX
    ENC_BYTE_RM = 1 << 14,
    ENC_VEX = 1 << 15,
    ENC_L = 1 << 16,
    ENC_ADDR32 = 1 << 17, // address size prefix
};
#define ENC_VVVV(reg) ((u32)(reg) << 20)

// opcode, ModRM (and SIB, displacement): reg is a register or an opcode extension.
void emit_op(struct emitter *e, u32 encoding, unsigned reg, struct host_operand rm);
void emit_bytes(struct emitter *e, const void *bytes, unsigned count);
void emit_imm(struct emitter *e, u64 value, unsigned bytes);

// Encoding bits of an integer operation's width (log2 of bytes), both operands of that width.
static inline u32 width_encoding(unsigned width)
{
    return width == 0 ? ENC_BYTE_REG | ENC_BYTE_RM : width == 1 ? ENC_66 : width == 3 ? ENC_W : 0;
}

// The same with the opcode, whose lowest bit says "not bytes".
static inline u32 sized_encoding(unsigned opcode, unsigned width)
{
    return (opcode | (width != 0)) | width_encoding(width);
}

// reg = rm, or rm = reg (store).
static inline void emit_load(struct emitter *e, unsigned width, unsigned reg,
                             struct host_operand rm)
{
    emit_op(e, (width ? 0x8B : 0x8A) | width_encoding(width), reg, rm);
}

static inline void emit_store(struct emitter *e, unsigned width, unsigned reg,
                              struct host_operand rm)
{
    emit_op(e, (width ? 0x89 : 0x88) | width_encoding(width), reg, rm);
}

static inline void emit_mov(struct emitter *e, unsigned width, unsigned to, unsigned from)
{
    emit_load(e, width, to, host_reg_operand(from));
}

static inline void emit_lea(struct emitter *e, unsigned reg, struct host_operand rm)
{
    emit_op(e, 0x8D | ENC_W, reg, rm);
}

// BMI2, 64 bits: no flags touched. PEXT collects the bits of source that mask has, PDEP spreads
// them; SHRX shifts by the low bits of count.
static inline void emit_pext(struct emitter *e, unsigned to, unsigned source,
                             struct host_operand mask)
{
    emit_op(e, 0xF5 | ENC_VEX | ENC_0F38 | ENC_F3 | ENC_W | ENC_VVVV(source), to, mask);
}

static inline void emit_pdep(struct emitter *e, unsigned to, unsigned source,
                             struct host_operand mask)
{
    emit_op(e, 0xF5 | ENC_VEX | ENC_0F38 | ENC_F2 | ENC_W | ENC_VVVV(source), to, mask);
}

static inline void emit_shrx(struct emitter *e, unsigned to, unsigned source, unsigned count)
{
    emit_op(e, 0xF7 | ENC_VEX | ENC_0F38 | ENC_F2 | ENC_W | ENC_VVVV(count), to,
            host_reg_operand(source));
}

// 1 to 10 bytes, no flags touched.
void emit_mov_imm(struct emitter *e, unsigned reg, u64 value);

// rm = imm, sign-extended to the width.
void emit_mov_imm_to(struct emitter *e, unsigned width, struct host_operand rm, u64 value);

// JMP, CALL, Jcc rel32. Returns where the displacement lies, for emit_patch(). to: run address, or
// NULL: patched later.
u8 *emit_jmp(struct emitter *e, const u8 *to);
u8 *emit_call(struct emitter *e, const u8 *to);
u8 *emit_jcc(struct emitter *e, unsigned condition, const u8 *to);
// JRCXZ rel8 to what follows the next "skip" bytes.
void emit_jrcxz(struct emitter *e, unsigned skip);

// To a place at most 128 bytes back (writable mapping).
static inline void emit_jrcxz_back(struct emitter *e, const u8 *target)
{
    emit_jrcxz(e, (unsigned)(target - (e->write + 2)));
}

static inline const u8 *emit_here(const struct emitter *e)
{
    return e->write + e->to_run;
}

// Makes the displacement at site (writable mapping) lead to a run address.
void emit_patch(u8 *site, s64 to_run, const u8 *to);

#endif
