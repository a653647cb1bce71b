// SPDX-License-Identifier: MIT
// Row of x86_ops.def -> encoded instruction (Zydis's encoder) with operands that land where it is
// interesting.
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
    static const u64 edges[] = {0,          1,
                                2,          0x7F,
                                0x80,       0xFF,
                                0x7FFF,     0x8000,
                                0xFFFF,     0x7FFFFFFF,
                                0x80000000, 0xFFFFFFFF,
                                INT64_MAX,  UINT64_C(1) << 63,
                                UINT64_MAX, 0xFFFFFFFF80000000};
    switch (random_below(r, 4)) {
    case 0:
        return edges[random_below(r, ARRAY_LEN(edges))] + random_below(r, 3) - 1;
    case 1:
        return random_u64(r) >> random_below(r, 64);
    default:
        return random_u64(r);
    }
}

static ZydisRegister reg_name(unsigned n, unsigned width)
{
    switch (width) {
    case 0:
        return (ZydisRegister)((n < 4 ? ZYDIS_REGISTER_AL : ZYDIS_REGISTER_SPL - 4) +
                               (ZydisRegister)n);
    case 1:
        return (ZydisRegister)(ZYDIS_REGISTER_AX + n);
    case 2:
        return (ZydisRegister)(ZYDIS_REGISTER_EAX + n);
    default:
        return (ZydisRegister)(ZYDIS_REGISTER_RAX + n);
    }
}

static ZydisEncoderOperand register_operand(struct random *r, const struct trial *t, unsigned width)
{
    ZydisEncoderOperand o = {.type = ZYDIS_OPERAND_TYPE_REGISTER};
    unsigned n = random_below(r, t->code32 ? width ? 8 : 4 : 16);
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

// Where a memory operand of size bytes begins: somewhere, or astride one of the edges between the
// four kinds of page.
static u64 data_target(struct random *r, unsigned size)
{
    if (random_below(r, 3)) {
        return HOST_DATA + random_below(r, 0x2000 - 256) + 128;
    }
    u64 edge = HOST_DATA + 0x1000 * (1 + random_below(r, 3));
    return edge - size - 2 + random_below(r, 2 * size + 3);
}

// Chooses base, index, scale and displacement, and sets the registers so that the address is
// target.
static ZydisEncoderOperand memory_operand(struct random *r, struct trial *t, unsigned size,
                                          u64 target)
{
    ZydisEncoderOperand o = {.type = ZYDIS_OPERAND_TYPE_MEMORY};
    unsigned address_width = random_below(r, 8) && !t->code32 ? 3 : 2,
             registers = t->code32 ? 8 : 16;
    unsigned base = random_below(r, registers), index = random_below(r, registers),
             scale = random_below(r, 4);
    o.mem.size = (ZyanU16)size;
    switch (t->code32 ? 1 + random_below(r, 5) : random_below(r, 6)) {
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
        o.mem.displacement = random_below(r, 2) ? o.mem.displacement
                                                : (s64)(s32)random_u64(r) >> random_below(r, 24);
        break;
    }
    o.mem.base = reg_name(base, address_width);
    if (address_width == 3 && random_below(r, 24) == 0) {
        target += UINT64_C(0x900000000000); // not canonical
    }
    u64 rest = target - (u64)o.mem.displacement;
    if (random_below(r, 2) && index != 4 && index != base) {
        o.mem.index = reg_name(index, address_width);
        o.mem.scale = (ZyanU8)(1u << scale);
        rest -= t->before.gpr[index] << scale;
    }
    if (t->code32) {
        rest = (u32)rest;
    } else if (address_width == 2) {
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
    case OP_MOVSX:
        return width == 1 ? 0 : random_below(r, 2);
    case OP_MOVSXD:
        return 2;
    case OP_CRC32:
        return width == 3 ? 3 * random_below(r, 2) : random_below(r, 3);
    default:
        return width;
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
    return op == OP_CMPXCHG16B ? 16 : op == OP_BOUND ? 2u << width : 1u << width;
}

const char *form_kinds(enum insn_form form)
{
    switch (form) {
    case FORM_R:
        return "R";
    case FORM_M:
        return "M";
    case FORM_I:
        return "I";
    case FORM_II:
        return "II";
    case FORM_RR:
        return "RR";
    case FORM_RM:
        return "RM";
    case FORM_MR:
        return "MR";
    case FORM_RI:
        return "RI";
    case FORM_MI:
        return "MI";
    case FORM_RRI:
        return "RRI";
    case FORM_RMI:
        return "RMI";
    case FORM_MRI:
        return "MRI";
    case FORM_RRR:
        return "RRR";
    case FORM_MRR:
        return "MRR";
    case FORM_RRM:
        return "RRM";
    case FORM_RMR:
        return "RMR";
    default:
        return "";
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

// Flags to leave out of the comparison: the row's column, less what a shift's count defines after
// all.
static u32 unknown_flags(const struct trial *t)
{
    u32 unknown = x86_op_info[t->op].flags_undefined;
    if (is_shift(t->op)) {
        unsigned count = (unsigned)(t->has_immediate ? t->immediate : t->before.gpr[1]) &
                         (t->width == 3 ? 63 : 31);
        bool shift = t->op >= OP_SHL;
        unknown = count == 0 ? 0 : (shift ? F_A : 0) | (count > 1 ? F_O : 0);
        if (shift && count >= 8u << t->width) {
            unknown |= F_C | (t->op >= OP_SHLD ? F_OSZAPC : 0);
        }
    }
    return unknown;
}

static bool is_stack(enum x86_op op)
{
    return op == OP_PUSH || op == OP_POP || op == OP_CALL || op == OP_RET || op == OP_ENTER ||
           op == OP_LEAVE || (op >= OP_PUSHA && op <= OP_POPAD);
}

static bool is_short(enum x86_op op)
{
    return op >= OP_JCXZ && op <= OP_LOOPNE;
}

static void special_registers(struct random *r, struct trial *t)
{
    u64 *g = t->before.gpr;
    if ((t->op == OP_DIV || t->op == OP_IDIV) && random_below(r, 4)) {
        g[2] = t->op == OP_IDIV && random_below(r, 2) ? UINT64_MAX : random_below(r, 3);
        g[0] = t->width == 0 ? random_below(r, 0x400) : g[0];
    }
    if ((x86_op_info[t->op].attributes & A_STRING) && t->op != OP_XLAT) {
        string_registers(r, t);
    }
    if (t->op == OP_XLAT) {
        g[3] = data_target(r, 1) - (u8)g[0];
    }
    if (is_stack(t->op)) {
        g[4] = data_target(r, 8); // also where LEAVE finds its frame
        g[5] = data_target(r, 8);
        g[4] += t->op == OP_ENTER ? 0x100 : 0;
    }
    if (is_short(t->op) && random_below(r, 2)) {
        g[1] = random_below(r, 3) | (random_below(r, 2) ? 0 : random_u64(r) << 32);
    }
}

// Branches with an 8-bit displacement go to a jump to the target: it, a jump over the other, the
// other.
static bool generate_short(struct trial *t)
{
    static const u8 opcodes[] = {0xE3, 0xE3, 0xE3, 0xE2, 0xE1, 0xE0};
    if (t->op == (t->code32 ? OP_JRCXZ : OP_JCXZ)) {
        return false;
    }
    u8 code[10] = {opcodes[t->op - OP_JCXZ], 2, 0xEB, 5, 0xE9};
    unsigned prefix = t->op == (t->code32 ? OP_JCXZ : OP_JECXZ);
    s32 distance = (s32)(HOST_TARGET - (t->address + prefix + 9));
    memcpy(code + 5, &distance, sizeof(distance));
    t->bytes[0] = 0x67;
    memcpy(t->bytes + prefix, code, 9);
    t->size = prefix + 9;
    return true;
}

// MOV with an absolute address of full width (A0..A3), which the encoder does not offer.
static bool generate_moffs(struct random *r, struct trial *t)
{
    unsigned n = 0, size = t->code32 ? 4 : 8;
    t->target = data_target(r, 1u << t->width);
    if (t->width == 1 || t->width == 3) {
        t->bytes[n++] = t->width == 1 ? 0x66 : 0x48;
    }
    t->bytes[n++] = (u8)(0xA0 + (t->width != 0) + 2 * (t->form == FORM_MR));
    memcpy(t->bytes + n, &t->target, size);
    t->size = n + size;
    return true;
}

// What a branch through register, memory or stack finds there.
static void place_target(struct random *r, struct trial *t, const ZydisEncoderRequest *q)
{
    if (t->op == OP_RET) {
        t->poke_address = t->before.gpr[4];
    } else if ((t->op == OP_JMP || t->op == OP_CALL) && t->form == FORM_R) {
        t->before.gpr[ZydisRegisterGetId(q->operands[0].reg.value)] = HOST_TARGET;
    } else if ((t->op == OP_JMP || t->op == OP_CALL) && t->form == FORM_M) {
        t->poke_address = t->target;
    }
}

static ZydisEncoderOperand free_immediate(struct random *r, const struct trial *t,
                                          unsigned position)
{
    ZydisEncoderOperand o = immediate_operand(r, t->width);
    if (t->op == OP_ENTER) {
        o.imm.u = position ? random_below(r, 40) : random_below(r, 300);
    } else if (t->op == OP_RET) {
        o.imm.u = random_below(r, 0x100);
    } else if (t->op == OP_AAM || t->op == OP_AAD) {
        o.imm.u = random_below(r, 4) ? 10 : random_below(r, 256);
    } else if (t->op != OP_PUSH) {
        o.imm.u = HOST_TARGET;
    }
    return o;
}

// A bit index in a register reaches far: keep it within the data pages. False: it is part of the
// address too, which might lead into the host's own memory.
static bool limit_bit_index(struct random *r, struct trial *t, const ZydisEncoderRequest *request)
{
    const ZydisEncoderOperand *mem = &request->operands[0], *index = &request->operands[1];
    if (t->op < OP_BT || t->op > OP_BTC || t->form != FORM_MR) {
        return true;
    }
    ZyanI8 n = ZydisRegisterGetId(index->reg.value);
    t->before.gpr[n] = (u64)(s64)((int)random_below(r, 4000) - 2000);
    t->before.gpr[n] &= t->code32 ? UINT32_MAX : UINT64_MAX;
    return ZydisRegisterGetId(mem->mem.base) != n && ZydisRegisterGetId(mem->mem.index) != n;
}

static ZydisEncoderOperand count_immediate(struct random *r, const struct trial *t)
{
    ZydisEncoderOperand o = immediate_operand(r, 0);
    o.imm.u &= t->op >= OP_SHLD && t->op <= OP_SHRD && t->width == 1 ? 15 : 255;
    return o;
}

static void make_operands(struct random *r, struct trial *t, ZydisEncoderRequest *q)
{
    const char *kinds = form_kinds(t->form);
    for (unsigned i = 0; kinds[i]; i++, q->operand_count++) {
        unsigned w = i ? source_width(r, t->op, t->width) : t->width, size = memory_bytes(t->op, w);
        bool count = is_shift(t->op) && kinds[i + 1] == 0 && i > 0;
        switch (kinds[i]) {
        case 'R':
            q->operands[i] = count ? cl_operand() : register_operand(r, t, w);
            break;
        case 'M':
            t->target = data_target(r, size);
            t->target &= t->op == OP_CMPXCHG16B && random_below(r, 8) ? ~UINT64_C(15) : UINT64_MAX;
            q->operands[i] = memory_operand(r, t, size, t->target);
            break;
        default:
            q->operands[i] = count || (t->op >= OP_BT && t->op <= OP_BTC) ? count_immediate(r, t)
                             : kinds[0] == 'I'                            ? free_immediate(r, t, i)
                                               : immediate_operand(r, t->width);
            t->immediate = q->operands[i].imm.u;
            t->has_immediate = true;
            break;
        }
    }
}

static void make_prefixes(struct random *r, struct trial *t, ZydisEncoderRequest *q)
{
    bool lockable = (x86_op_info[t->op].attributes & A_LOCKABLE) && form_kinds(t->form)[0] == 'M';
    q->prefixes |= lockable && random_below(r, 4) == 0 ? ZYDIS_ATTRIB_HAS_LOCK : 0;
    if ((x86_op_info[t->op].attributes & A_STRING) && t->op != OP_XLAT) {
        static const u64 prefixes[2][3] = {{0, ZYDIS_ATTRIB_HAS_REP, ZYDIS_ATTRIB_HAS_REP},
                                           {0, ZYDIS_ATTRIB_HAS_REPE, ZYDIS_ATTRIB_HAS_REPNE}};
        bool compares =
            (t->op >= OP_CMPSB && t->op <= OP_CMPSQ) || (t->op >= OP_SCASB && t->op <= OP_SCASQ);
        q->prefixes = prefixes[compares][random_below(r, 3)];
    }
}

// Combinations whose outcome is undefined or the vendors' own.
static bool is_defined(const struct trial *t)
{
    bool by_cl = t->form == FORM_RRR || t->form == FORM_MRR;
    if (by_cl && t->width == 1 && (t->before.gpr[1] & 31) > 16) {
        return false; // a double shift by more than its width
    }
    // A branch target read from the read-only page is random, mostly not canonical: reported at
    // either end.
    u64 end = t->poke_address + (t->code32 ? 4 : 8);
    return !t->poke_address || t->poke_address + 8 <= HOST_DATA + 0x2000 ||
           end > HOST_DATA + 0x3000;
}

// In 32-bit code what defaults to 64 bits elsewhere has 32. False: the combination does not exist.
static bool width_for_code32(struct trial *t)
{
    bool branch = x86_op_info[t->op].attributes & A_SETS_RIP;
    bool by_default = (x86_op_info[t->op].attributes & A_STACK) || branch;
    if (by_default && t->width == 3) {
        t->width = 2;
    }
    return t->width < 3 && !(x86_op_info[t->op].attributes & A_ONLY64);
}

static void random_registers(struct random *r, struct trial *t)
{
    for (unsigned i = 0; i < (t->code32 ? 8 : 16); i++) {
        t->before.gpr[i] = t->code32 ? (u32)random_value(r) : random_value(r);
    }
}

bool generate(struct random *r, enum x86_op op, enum insn_form form, unsigned width, bool code32,
              struct trial *t)
{
    memset(t, 0, sizeof(*t));
    t->op = op, t->form = form, t->width = width, t->code32 = code32;
    if (code32 ? !width_for_code32(t) : (x86_op_info[op].attributes & A_NOT64) != 0) {
        return false;
    }
    random_registers(r, t);
    t->before.gpr[4] = HOST_DATA + 0x800 + random_below(r, 0x100);
    t->before.rflags = (random_u64(r) & F_OSZAPC) | (random_below(r, 4) ? 0 : 0x400) | 2;
    t->address = random_below(r, 16) ? HOST_INSN : HOST_CODE + 0x1000 - 1 - random_below(r, 12);
    special_registers(r, t);
    for (unsigned i = 0; code32 && i < 16; i++) {
        t->before.gpr[i] = (u32)t->before.gpr[i];
    }
    if (is_short(op) || op == OP_MOV_MOFFS) {
        return is_short(op) ? generate_short(t) : generate_moffs(r, t);
    }
    ZydisEncoderRequest q = {.machine_mode = code32 ? ZYDIS_MACHINE_MODE_LONG_COMPAT_32
                                                    : ZYDIS_MACHINE_MODE_LONG_64,
                             .mnemonic = (ZydisMnemonic)rows[op].mnemonic};
    make_operands(r, t, &q);
    make_prefixes(r, t, &q);
    if (!limit_bit_index(r, t, &q)) {
        return false;
    }
    place_target(r, t, &q);
    t->flags_unknown = unknown_flags(t);
    ZyanUSize size = sizeof(t->bytes);
    if (!is_defined(t) ||
        !ZYAN_SUCCESS(ZydisEncoderEncodeInstructionAbsolute(&q, t->bytes, &size, t->address))) {
        return false;
    }
    t->size = (unsigned)size;
    return true;
}
