// SPDX-License-Identifier: MIT
// The encoder (SDM 2A chapter 2).
#include "cpu/jit/emit.h"

#include <string.h>

void emit_bytes(struct emitter *e, const void *bytes, unsigned count)
{
    if (e->end - e->write < (s64)count) { // it may begin behind the end
        e->overflow = true;
        return;
    }
    memcpy(e->write, bytes, count);
    e->write += count;
}

void emit_imm(struct emitter *e, u64 value, unsigned bytes)
{
    emit_bytes(e, &value, bytes);
}

static void emit1(struct emitter *e, unsigned byte)
{
    u8 b = (u8)byte;
    emit_bytes(e, &b, 1);
}

static unsigned high_bit(unsigned reg)
{
    return reg != HOST_NONE && (reg & 8) ? 1 : 0;
}

static void emit_vex(struct emitter *e, u32 encoding, unsigned r, unsigned x, unsigned b)
{
    unsigned map = (encoding & ENC_MAP) >> 8, prefix = (encoding & ENC_PREFIX) >> 10;
    unsigned w = encoding & ENC_W ? 1 : 0, l = encoding & ENC_L ? 1 : 0;
    unsigned vvvv = ~(encoding >> 20) & 15;
    // VEX.pp numbers the prefixes 66, F3, F2 as ENC_PREFIX does.
    emit1(e, 0xC4);
    emit1(e, (r ^ 1) << 7 | (x ^ 1) << 6 | (b ^ 1) << 5 | map);
    emit1(e, w << 7 | vvvv << 3 | l << 2 | prefix);
}

static void emit_legacy(struct emitter *e, u32 encoding, unsigned rex, bool rex_needed)
{
    static const u8 prefixes[] = {0, 0x66, 0xF3, 0xF2};
    unsigned prefix = (encoding & ENC_PREFIX) >> 10, map = (encoding & ENC_MAP) >> 8;
    if (prefix) {
        emit1(e, prefixes[prefix]);
    }
    if (rex || rex_needed) {
        emit1(e, 0x40 | rex);
    }
    if (map) {
        emit1(e, 0x0F);
    }
    if (map > 1) {
        emit1(e, map == 2 ? 0x38 : 0x3A);
    }
}

static void emit_modrm(struct emitter *e, unsigned reg, struct host_operand rm)
{
    unsigned r = (reg & 7) << 3;
    if (!rm.memory) {
        emit1(e, 0xC0 | r | (rm.reg & 7));
        return;
    }
    if (rm.base == HOST_NONE) { // [index << scale + disp32]
        emit1(e, r | 4);
        emit1(e, (unsigned)rm.scale << 6 | ((rm.index == HOST_NONE ? 4u : rm.index) & 7) << 3 | 5);
        emit_imm(e, (u32)rm.disp, 4);
        return;
    }
    bool sib = rm.index != HOST_NONE || (rm.base & 7) == HOST_RSP;
    unsigned mod = rm.disp == 0 && (rm.base & 7) != HOST_RBP ? 0 : rm.disp == (s8)rm.disp ? 1 : 2;
    emit1(e, mod << 6 | r | (sib ? 4u : rm.base & 7u));
    if (sib) {
        unsigned index = rm.index == HOST_NONE ? 4 : rm.index & 7;
        emit1(e, (unsigned)rm.scale << 6 | index << 3 | (rm.base & 7));
    }
    if (mod) {
        emit_imm(e, (u32)rm.disp, mod == 1 ? 1 : 4);
    }
}

void emit_op(struct emitter *e, u32 encoding, unsigned reg, struct host_operand rm)
{
    unsigned r = high_bit(reg), x = rm.memory ? high_bit(rm.index) : 0,
             b = high_bit(rm.memory ? rm.base : rm.reg);
    bool byte_reg = (encoding & ENC_BYTE_REG) && reg >= 4;
    bool byte_rm = (encoding & ENC_BYTE_RM) && !rm.memory && rm.reg >= 4;
    if (rm.memory && rm.gs) {
        emit1(e, 0x65);
    }
    if (encoding & ENC_ADDR32) {
        emit1(e, 0x67);
    }
    if (encoding & ENC_VEX) {
        emit_vex(e, encoding, r, x, b);
    } else {
        emit_legacy(e, encoding, (encoding & ENC_W ? 8 : 0) | r << 2 | x << 1 | b,
                    byte_reg || byte_rm);
    }
    emit1(e, encoding & 0xFF);
    emit_modrm(e, reg, rm);
}

void emit_mov_imm(struct emitter *e, unsigned reg, u64 value)
{
    if (value <= UINT32_MAX) {
        if (reg & 8) {
            emit1(e, 0x41);
        }
        emit1(e, 0xB8 | (reg & 7));
        emit_imm(e, value, 4);
    } else if ((s64)value == (s32)value) {
        emit_op(e, 0xC7 | ENC_W, 0, host_reg_operand(reg));
        emit_imm(e, value, 4);
    } else {
        emit1(e, 0x48 | (reg >> 3));
        emit1(e, 0xB8 | (reg & 7));
        emit_imm(e, value, 8);
    }
}

void emit_mov_imm_to(struct emitter *e, unsigned width, struct host_operand rm, u64 value)
{
    emit_op(e, (width ? 0xC7 : 0xC6) | width_encoding(width), 0, rm);
    emit_imm(e, value, width == 0 ? 1 : width == 1 ? 2 : 4);
}

static u8 *emit_rel32(struct emitter *e, const u8 *to)
{
    u8 *site = e->write;
    emit_imm(e, 0, 4);
    if (to && !e->overflow) {
        emit_patch(site, e->to_run, to);
    }
    return site;
}

u8 *emit_jmp(struct emitter *e, const u8 *to)
{
    emit1(e, 0xE9);
    return emit_rel32(e, to);
}

u8 *emit_call(struct emitter *e, const u8 *to)
{
    emit1(e, 0xE8);
    return emit_rel32(e, to);
}

u8 *emit_jcc(struct emitter *e, unsigned condition, const u8 *to)
{
    emit1(e, 0x0F);
    emit1(e, 0x80 | condition);
    return emit_rel32(e, to);
}

void emit_jrcxz(struct emitter *e, unsigned skip)
{
    emit1(e, 0xE3);
    emit1(e, skip);
}

void emit_patch(u8 *site, s64 to_run, const u8 *to)
{
    s32 distance = (s32)(to - (site + to_run + 4));
    memcpy(site, &distance, 4);
}
