// SPDX-License-Identifier: MIT
// Row of x86_ops.def -> encoded instruction (Zydis's encoder) with operands that land where it is interesting.
#include "tests/isa/generate.h"

#include <Zydis/Zydis.h>
#include <string.h>

#include "isa/op_columns.h"

static const struct {
    u16 mnemonic;
    u32 forms;
    u8 widths;
} rows[X86_OP_COUNT] = {
#define OP(id, mnemonic, select, bind, attributes, forms, widths, ...)                             \
    [OP_##id] = {ZYDIS_MNEMONIC_##mnemonic, forms, widths},
#include "isa/x86_ops.def"
#undef OP
};

u32 row_forms(enum x86_op op)
{
    return rows[op].forms;
}

unsigned row_widths(enum x86_op op)
{
    return rows[op].widths;
}

u64 random_u64(struct random *r)
{
    // xorshift64*
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * UINT64_C(0x2545F4914F6CDD1D);
}

unsigned random_below(struct random *r, unsigned limit)
{
    return (unsigned)((random_u64(r) >> 32) * limit >> 32);
}

u64 random_value(struct random *r)
{
    static const u64 edges[] = {0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
                                INT64_MAX, UINT64_C(1) << 63, UINT64_MAX, 0xFFFFFFFF80000000};
    switch (random_below(r, 4)) {
    case 0: return edges[random_below(r, ARRAY_LEN(edges))] + random_below(r, 3) - 1;
    case 1: return random_u64(r) >> random_below(r, 64);
    default: return random_u64(r);
    }
}

static ZydisRegister reg_name(unsigned n, unsigned width)
{
    switch (width) {
    case 0: return (ZydisRegister)((n < 4 ? ZYDIS_REGISTER_AL : ZYDIS_REGISTER_SPL - 4) + (ZydisRegister)n);
    case 1: return (ZydisRegister)(ZYDIS_REGISTER_AX + n);
    case 2: return (ZydisRegister)(ZYDIS_REGISTER_EAX + n);
    default: return (ZydisRegister)(ZYDIS_REGISTER_RAX + n);
    }
}

static ZydisEncoderOperand register_operand(struct random *r, unsigned width)
{
    ZydisEncoderOperand o = {.type = ZYDIS_OPERAND_TYPE_REGISTER};
    unsigned n = random_below(r, 16);
    o.reg.value = reg_name(n, width);
    if (width == 0 && random_below(r, 4) == 0) {
        o.reg.value = (ZydisRegister)(ZYDIS_REGISTER_AH + random_below(r, 4));
    }
    return o;
}

static ZydisEncoderOperand immediate_operand(struct random *r, unsigned width)
{
    ZydisEncoderOperand o = {.type = ZYDIS_OPERAND_TYPE_IMMEDIATE};
    s64 value = (s64)random_value(r);
    unsigned bits = width >= 2 ? 32 : 8u << width;
    o.imm.s = (s64)((u64)value << (64 - bits)) >> (64 - bits);
    return o;
}

// Where a memory operand of size bytes begins: somewhere, or astride one of the edges between the four kinds of page.
static u64 data_target(struct random *r, unsigned size)
{
    if (random_below(r, 3)) {
        return HOST_DATA + random_below(r, 0x2000 - 256) + 128;
    }
    u64 edge = HOST_DATA + 0x1000 * (1 + random_below(r, 3));
    return edge - size - 2 + random_below(r, 2 * size + 3);
}

// Chooses base, index, scale and displacement, and sets the registers so that the address is target.
static ZydisEncoderOperand memory_operand(struct random *r, struct trial *t, unsigned size, u64 target)
{
    ZydisEncoderOperand o = {.type = ZYDIS_OPERAND_TYPE_MEMORY};
    unsigned address_width = random_below(r, 8) ? 3 : 2;
    unsigned base = random_below(r, 16), index = random_below(r, 16), scale = random_below(r, 4);
    o.mem.size = (ZyanU16)size;
    switch (random_below(r, 6)) {
    case 0: // RIP-relative, made relative by the encoder
        o.mem.base = ZYDIS_REGISTER_RIP;
        o.mem.displacement = (s64)target;
        return o;
    case 1: // absolute
        o.mem.displacement = (s64)target;
        return o;
    case 2:
        break;
    default:
        o.mem.displacement = (s64)(s8)random_u64(r);
        o.mem.displacement = random_below(r, 2) ? o.mem.displacement : (s64)(s32)random_u64(r) >> random_below(r, 24);
        break;
    }
    o.mem.base = reg_name(base, address_width);
    u64 rest = target - (u64)o.mem.displacement;
    if (random_below(r, 2) && index != 4 && index != base) {
        o.mem.index = reg_name(index, address_width);
        o.mem.scale = (ZyanU8)(1u << scale);
        rest -= t->before.gpr[index] << scale;
    }
    if (address_width == 2) {
        rest = (u32)rest | random_u64(r) << 32;
    }
    t->before.gpr[base] = rest;
    return o;
}

// The width of a source that is narrower than the destination.
static unsigned source_width(struct random *r, enum x86_op op, unsigned width)
{
    switch (op) {
    case OP_MOVZX:
    case OP_MOVSX: return width == 1 ? 0 : random_below(r, 2);
    case OP_MOVSXD: return 2;
    case OP_CRC32: return width == 3 ? 3 * random_below(r, 2) : random_below(r, 3);
    default: return width;
    }
}

static bool is_shift(enum x86_op op)
{
    return op >= OP_ROL && op <= OP_SHRD;
}

static ZydisEncoderOperand cl_operand(void)
{
    ZydisEncoderOperand o = {.type = ZYDIS_OPERAND_TYPE_REGISTER};
    o.reg.value = ZYDIS_REGISTER_CL;
    return o;
}

static unsigned memory_bytes(enum x86_op op, unsigned width)
{
    return op == OP_CMPXCHG16B ? 16 : 1u << width;
}

// The letters of a form.
static const char *form_kinds(enum insn_form form)
{
    switch (form) {
    case FORM_R: return "R";
    case FORM_M: return "M";
    case FORM_RR: return "RR";
    case FORM_RM: return "RM";
    case FORM_MR: return "MR";
    case FORM_RI: return "RI";
    case FORM_MI: return "MI";
    case FORM_RRI: return "RRI";
    case FORM_RMI: return "RMI";
    case FORM_MRI: return "MRI";
    case FORM_RRR: return "RRR";
    case FORM_MRR: return "MRR";
    default: return "";
    }
}

static void string_registers(struct random *r, struct trial *t)
{
    t->before.gpr[6] = HOST_DATA + random_below(r, 0x2000);
    t->before.gpr[7] = HOST_DATA + random_below(r, 0x1FFF);
    if (random_below(r, 8) == 0) {
        t->before.gpr[7] = t->before.gpr[6] + random_below(r, 32);
    }
    t->before.gpr[1] = random_below(r, random_below(r, 2) ? 8 : 700);
}

// Flags to leave out of the comparison: the row's column, less what a shift's count defines after all.
static u32 unknown_flags(const struct trial *t, u64 immediate, bool has_immediate)
{
    u32 unknown = x86_op_info[t->op].flags_undefined;
    if (is_shift(t->op)) {
        unsigned count = (unsigned)(has_immediate ? immediate : t->before.gpr[1]) & (t->width == 3 ? 63 : 31);
        bool shift = t->op >= OP_SHL;
        unknown = count == 0 ? 0 : (shift ? F_A : 0) | (count > 1 ? F_O : 0);
        if (shift && count >= 8u << t->width) {
            unknown |= F_C | (t->op >= OP_SHLD ? F_OSZAPC : 0);
        }
    }
    return unknown;
}

static void special_registers(struct random *r, struct trial *t)
{
    u64 *g = t->before.gpr;
    if ((t->op == OP_DIV || t->op == OP_IDIV) && random_below(r, 4)) {
        g[2] = t->op == OP_IDIV && random_below(r, 2) ? UINT64_MAX : random_below(r, 3);
        g[0] = t->width == 0 ? random_below(r, 0x400) : g[0];
    }
    if (t->form == FORM_NONE) {
        string_registers(r, t);
    }
}

// A bit index in a register reaches far: keep it within the data pages.
static void limit_bit_index(struct random *r, struct trial *t, const ZydisEncoderRequest *request)
{
    const ZydisEncoderOperand *mem = &request->operands[0], *index = &request->operands[1];
    if (t->op >= OP_BT && t->op <= OP_BTC && t->form == FORM_MR) {
        unsigned n = (unsigned)ZydisRegisterGetId(index->reg.value);
        if (mem->mem.base == ZYDIS_REGISTER_NONE || (unsigned)ZydisRegisterGetId(mem->mem.base) != n) {
            if (mem->mem.index == ZYDIS_REGISTER_NONE || (unsigned)ZydisRegisterGetId(mem->mem.index) != n) {
                t->before.gpr[n] = (u64)(s64)(random_below(r, 4000) - 2000);
            }
        }
    }
}

bool generate(struct random *r, enum x86_op op, enum insn_form form, unsigned width, struct trial *t)
{
    memset(t, 0, sizeof(*t));
    t->op = op, t->form = form, t->width = width;
    for (unsigned i = 0; i < 16; i++) {
        t->before.gpr[i] = random_value(r);
    }
    t->before.gpr[4] = HOST_DATA + 0x800 + random_below(r, 0x100);
    t->before.rflags = (random_u64(r) & F_OSZAPC) | (random_below(r, 4) ? 0 : 0x400) | 2;
    special_registers(r, t);
    ZydisEncoderRequest q = {.machine_mode = ZYDIS_MACHINE_MODE_LONG_64, .mnemonic = (ZydisMnemonic)rows[op].mnemonic};
    const char *kinds = form_kinds(form);
    u64 immediate = 0;
    bool has_immediate = false;
    for (unsigned i = 0; kinds[i]; i++, q.operand_count++) {
        unsigned w = i ? source_width(r, op, width) : width;
        bool count = is_shift(op) && kinds[i + 1] == 0 && i > 0;
        switch (kinds[i]) {
        case 'R': q.operands[i] = count ? cl_operand() : register_operand(r, w); break;
        case 'M': {
            unsigned size = memory_bytes(op, w);
            u64 target = data_target(r, size);
            q.operands[i] = memory_operand(r, t, size, op == OP_CMPXCHG16B && random_below(r, 8) ? target & ~15u : target);
            break;
        }
        default:
            q.operands[i] = immediate_operand(r, count || (op >= OP_BT && op <= OP_BTC) ? 0 : width);
            if (op == OP_SHLD || op == OP_SHRD) {
                q.operands[i].imm.u &= width == 1 ? 15 : 255;
            } else if (count || (op >= OP_BT && op <= OP_BTC)) {
                q.operands[i].imm.u &= 255;
            }
            immediate = q.operands[i].imm.u;
            has_immediate = true;
            break;
        }
    }
    limit_bit_index(r, t, &q);
    if (kinds[0] && kinds[1] && kinds[2] == 'R' && width == 1 && (t->before.gpr[1] & 31) > 16) {
        return false; // a double shift by more than its width is undefined
    }
    bool lockable = (x86_op_info[op].attributes & A_LOCKABLE) && kinds[0] == 'M';
    q.prefixes |= lockable && random_below(r, 4) == 0 ? ZYDIS_ATTRIB_HAS_LOCK : 0;
    if (x86_op_info[op].attributes & A_STRING) {
        static const u64 prefixes[] = {0, ZYDIS_ATTRIB_HAS_REP, ZYDIS_ATTRIB_HAS_REPE, ZYDIS_ATTRIB_HAS_REPNE};
        bool compares = (op >= OP_CMPSB && op <= OP_CMPSQ) || (op >= OP_SCASB && op <= OP_SCASQ);
        q.prefixes = prefixes[compares ? (random_below(r, 3) * 3 + 1) / 2 : random_below(r, 2)];
        t->rep = q.prefixes != 0;
    }
    t->flags_unknown = unknown_flags(t, immediate, has_immediate);
    t->address = random_below(r, 16) ? HOST_INSN : HOST_CODE + 0x1000 - 1 - random_below(r, 12);
    ZyanUSize size = sizeof(t->bytes);
    if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstructionAbsolute(&q, t->bytes, &size, t->address))) {
        return false;
    }
    t->size = (unsigned)size;
    return true;
}
