// SPDX-License-Identifier: MIT
// x87 instructions with a memory operand: arithmetic, loads, stores, control word and environment.
#include "cpu/interp/x87_stack.h"
#include "cpu/segment.h"

static bool memory_operand(struct cpu *cpu, const struct insn *insn, void *bytes, unsigned size,
                           bool write, u64 *linear)
{
    return operand_ea(cpu, insn, size, write, linear) &&
           (write || operand_read(cpu, insn, *linear, bytes, size));
}

// Loading made a signalling NaN quiet; for arithmetic it still signals, which decides between two
// NaNs (SDM 1 table 4-7).
static void keep_signalling(enum x87_format format, const u8 *bytes, struct x87_value *value)
{
    u64 bits = 0, significand;
    memcpy(&bits, bytes, x87_format_size(format));
    significand = format == X87_M32 ? (bits & 0x7FFFFF) << 40 : (bits & (BIT(52) - 1)) << 11;
    significand |= BIT(63);
    memcpy(value->bytes, &significand, 8);
}

// D8/DC/DA/DE with a memory operand.
bool op_x87_memory_arithmetic(struct cpu *cpu, const struct insn *insn)
{
    static const u8 formats[] = {[0] = X87_M32, [2] = X87_I32, [4] = X87_M64, [6] = X87_I16};
    enum x87_format format = (enum x87_format)formats[x87_opcode(insn)];
    u8 bytes[16];
    u64 linear;
    if (!x87_ready(cpu, true) ||
        !memory_operand(cpu, insn, bytes, x87_format_size(format), false, &linear)) {
        return false;
    }
    struct x87_value value;
    u16 status = x87_load(format, cpu->fpu.fcw, bytes, &value);
    if ((status & X87_IE) && (format == X87_M32 || format == X87_M64)) {
        keep_signalling(format, bytes, &value);
    }
    x87_note_pointers(cpu, insn, linear);
    x87_group(&cpu->fpu, x87_reg(insn), &value, false, status & X87_EXCEPTIONS);
    return true;
}

static bool op_load(struct cpu *cpu, const struct insn *insn, enum x87_format format)
{
    u8 bytes[16];
    u64 linear;
    struct x87_value value;
    if (!x87_ready(cpu, true) ||
        !memory_operand(cpu, insn, bytes, x87_format_size(format), false, &linear)) {
        return false;
    }
    x87_note_pointers(cpu, insn, linear);
    x87_push(&cpu->fpu, &value, x87_load(format, cpu->fpu.fcw, bytes, &value));
    return true;
}

// rounding: bits to add to the control word's.
static bool store_rounded(struct cpu *cpu, const struct insn *insn, enum x87_format format,
                          bool pops, u16 rounding)
{
    struct cpu_fpu *fpu = &cpu->fpu, before = *fpu;
    unsigned size = x87_format_size(format);
    u8 bytes[16];
    u64 linear;
    if (!x87_ready(cpu, true) || !memory_operand(cpu, insn, bytes, size, true, &linear) ||
        !operand_probe_write(cpu, insn, linear, size)) {
        return false;
    }
    x87_note_pointers(cpu, insn, linear);
    struct x87_value value = *x87_st(fpu, 0);
    bool store = true;
    if (x87_is_empty(fpu, 0)) {
        store = x87_underflow(fpu);
        x87_constant(X87_INDEFINITE, fpu->fcw, &value);
        x87_store(format, fpu->fcw, &value, bytes);
    } else {
        u16 status = x87_store(format, fpu->fcw | rounding, &value, bytes);
        store = x87_take_status(fpu, status, X87_C1) && !(status & ~fpu->fcw & (X87_OE | X87_UE));
    }
    if (store) {
        if (!operand_write(cpu, insn, linear, bytes, size)) {
            *fpu = before;
            return false;
        }
        if (pops) {
            x87_pop(fpu);
        }
    }
    return true;
}

static bool op_store(struct cpu *cpu, const struct insn *insn, enum x87_format format, bool pops)
{
    return store_rounded(cpu, insn, format, pops, 0);
}

// FISTTP: towards zero, whatever the control word says.
static bool op_store_truncated(struct cpu *cpu, const struct insn *insn, enum x87_format format)
{
    return store_rounded(cpu, insn, format, true, 0xC00);
}

// The full tag word of FNSTENV from the abridged one (SDM 1 8.1.7): 0 valid, 1 zero, 2 special, 3
// empty.
static u16 full_tags(const struct cpu_fpu *fpu)
{
    u16 tags = 0;
    for (unsigned i = 0; i < 8; i++) {
        u64 significand;
        u16 exponent;
        memcpy(&significand, fpu->st[i], 8);
        memcpy(&exponent, fpu->st[i] + 8, 2);
        exponent &= 0x7FFF;
        unsigned tag = !(fpu->ftw & (1u << i))                                   ? 3
                       : !exponent && !significand                               ? 1
                       : exponent == 0x7FFF || !exponent || !(significand >> 63) ? 2
                                                                                 : 0;
        tags |= (u16)(tag << (i * 2));
    }
    return tags;
}

static void set_tags(struct cpu_fpu *fpu, u16 tags)
{
    fpu->ftw = 0;
    for (unsigned i = 0; i < 8; i++) {
        fpu->ftw |= (u8)(((tags >> (i * 2) & 3) != 3) << i);
    }
}

// The environment's seven words in the format of operand size and mode (SDM 1 figures 8-9 to 8-12):
// real and virtual-8086 mode have linear pointers, and the opcode beside them.
static void get_environment(const struct cpu *cpu, unsigned size, u32 words[7])
{
    const struct cpu_fpu *fpu = &cpu->fpu;
    u32 fip = (u32)fpu->fip, fdp = (u32)fpu->fdp;
    words[0] = fpu->fcw, words[1] = fpu->fsw, words[2] = full_tags(fpu);
    words[3] = fip, words[4] = (u32)fpu->fop << 16 | fpu->fcs;
    words[5] = fdp, words[6] = fpu->fds;
    if (cpu_paragraphs(cpu)) {
        words[3] &= 0xFFFF, words[4] = (fip >> 16) << 12 | fpu->fop;
        words[5] &= 0xFFFF, words[6] = (fdp >> 16) << 12;
    }
    for (unsigned i = 0; size == 4 && i < 7; i++) {
        bool half = i < 3 || (i == 6 && !cpu_paragraphs(cpu));
        words[i] |= half ? 0xFFFF0000u : 0;
    }
}

static void set_environment(struct cpu *cpu, unsigned size, const u32 words[7])
{
    struct cpu_fpu *fpu = &cpu->fpu;
    fpu->fcw = (u16)((words[0] & 0x1F7F) | 0x40), fpu->fsw = (u16)words[1];
    if (cpu_paragraphs(cpu)) {
        fpu->fip = (u16)words[3] | (u64)(words[4] >> 12 & 0xFFFF) << 16;
        fpu->fdp = (u16)words[5] | (u64)(words[6] >> 12 & 0xFFFF) << 16;
        fpu->fop = words[4] & 0x7FF, fpu->fcs = fpu->fds = 0;
    } else {
        fpu->fip = words[3], fpu->fdp = words[5];
        fpu->fcs = (u16)words[4], fpu->fds = (u16)words[6];
        fpu->fop = size == 4 ? (words[4] >> 16) & 0x7FF : 0;
    }
    set_tags(fpu, (u16)words[2]);
}

// Operand size of FNSTENV and its like: 4, or 2 for an environment of 14 bytes.
static unsigned environment_width(const struct insn *insn)
{
    return insn->width == 1 ? 2 : 4;
}

// FNSTENV (14 or 28 bytes) and FNSAVE (80 more).
static bool op_save_environment(struct cpu *cpu, const struct insn *insn, bool all)
{
    struct cpu_fpu *fpu = &cpu->fpu;
    u8 image[112] = {0};
    unsigned width = environment_width(insn), size = 7 * width + (all ? 80 : 0);
    u64 linear;
    u32 words[7];
    if (!x87_ready(cpu, false) || !operand_ea(cpu, insn, size, true, &linear)) {
        return false;
    }
    get_environment(cpu, width, words);
    for (unsigned i = 0; i < 7; i++) {
        memcpy(image + i * width, &words[i], width);
    }
    for (unsigned i = 0; i < 8; i++) {
        memcpy(image + 7 * width + i * 10, x87_st(fpu, i), 10);
    }
    for (unsigned at = 0; at < size; at += width) {
        if (!operand_probe_write(cpu, insn, linear + at, width)) {
            return false;
        }
    }
    for (unsigned at = 0; at < size; at += width) {
        if (!operand_write(cpu, insn, linear + at, image + at, width)) {
            return false;
        }
    }
    if (all) {
        x87_reset(fpu);
    } else {
        fpu->fcw |= X87_EXCEPTIONS;
        x87_update_summary(fpu);
    }
    return true;
}

static bool op_load_environment(struct cpu *cpu, const struct insn *insn, bool all)
{
    struct cpu_fpu *fpu = &cpu->fpu;
    u8 image[112];
    u32 words[7] = {0};
    unsigned width = environment_width(insn), size = 7 * width + (all ? 80 : 0);
    u64 linear;
    if (!x87_ready(cpu, true) || !operand_ea(cpu, insn, size, false, &linear)) {
        return false;
    }
    for (unsigned at = 0; at < size; at += width) {
        if (!operand_read(cpu, insn, linear + at, image + at, width)) {
            return false;
        }
    }
    for (unsigned i = 0; i < 7; i++) {
        memcpy(&words[i], image + i * width, width);
    }
    fpu->fsw = (u16)words[1]; // with TOP, by which the registers are named
    for (unsigned i = 0; all && i < 8; i++) {
        struct x87_value value = {{0}};
        memcpy(value.bytes, image + 7 * width + i * 10, 10);
        x87_set_st(fpu, i, &value);
    }
    set_environment(cpu, width, words);
    x87_update_summary(fpu);
    return true;
}

static bool op_store_word(struct cpu *cpu, const struct insn *insn, u16 value)
{
    return x87_ready(cpu, false) && operand_store(cpu, insn, &value, 2);
}

static bool op_fldcw(struct cpu *cpu, const struct insn *insn)
{
    u16 value;
    if (!x87_ready(cpu, true) || !operand_load(cpu, insn, &value, 2)) {
        return false;
    }
    cpu->fpu.fcw = (u16)((value & 0x1F7F) | 0x40);
    x87_update_summary(&cpu->fpu);
    return true;
}

// Memory forms of D9, DB, DD, DF.
bool op_x87_memory(struct cpu *cpu, const struct insn *insn)
{
    switch (x87_opcode(insn) << 4 | x87_reg(insn)) {
    case 0x10:
        return op_load(cpu, insn, X87_M32);
    case 0x12:
        return op_store(cpu, insn, X87_M32, false);
    case 0x13:
        return op_store(cpu, insn, X87_M32, true);
    case 0x14:
        return op_load_environment(cpu, insn, false);
    case 0x15:
        return op_fldcw(cpu, insn);
    case 0x16:
        return op_save_environment(cpu, insn, false);
    case 0x17:
        return op_store_word(cpu, insn, cpu->fpu.fcw);
    case 0x30:
        return op_load(cpu, insn, X87_I32);
    case 0x31:
        return op_store_truncated(cpu, insn, X87_I32);
    case 0x32:
        return op_store(cpu, insn, X87_I32, false);
    case 0x33:
        return op_store(cpu, insn, X87_I32, true);
    case 0x35:
        return op_load(cpu, insn, X87_M80);
    case 0x37:
        return op_store(cpu, insn, X87_M80, true);
    case 0x50:
        return op_load(cpu, insn, X87_M64);
    case 0x51:
        return op_store_truncated(cpu, insn, X87_I64);
    case 0x52:
        return op_store(cpu, insn, X87_M64, false);
    case 0x53:
        return op_store(cpu, insn, X87_M64, true);
    case 0x54:
        return op_load_environment(cpu, insn, true);
    case 0x56:
        return op_save_environment(cpu, insn, true);
    case 0x57:
        return op_store_word(cpu, insn, cpu->fpu.fsw);
    case 0x70:
        return op_load(cpu, insn, X87_I16);
    case 0x71:
        return op_store_truncated(cpu, insn, X87_I16);
    case 0x72:
        return op_store(cpu, insn, X87_I16, false);
    case 0x73:
        return op_store(cpu, insn, X87_I16, true);
    case 0x74:
        return op_load(cpu, insn, X87_BCD);
    case 0x75:
        return op_load(cpu, insn, X87_I64);
    case 0x76:
        return op_store(cpu, insn, X87_BCD, true);
    case 0x77:
        return op_store(cpu, insn, X87_I64, true);
    default:
        return raise_ud(cpu);
    }
}
