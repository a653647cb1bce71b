// SPDX-License-Identifier: MIT
// Zydis's view of an instruction, reduced to struct insn. Rows of x86_ops.def select the operation.
#include "isa/decode.h"

#include <Zydis/Zydis.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "isa/x86_features.h"
#include "isa/op_columns.h"
#include "isa/vector_key.h"

const struct x86_op_info x86_op_info[X86_OP_COUNT] = {
    [OP_INVALID] = {"(bad)", 0, 0, 0},
#define OP(id, mnemonic, select, bind, attributes, forms, widths, defined, undefined)              \
    [OP_##id] = {#id, defined, undefined, attributes},
#include "isa/x86_ops.def"
#undef OP
};

static const struct op_row {
    u16 mnemonic;
    u8 select;
} op_rows[X86_OP_COUNT] = {
#define OP(id, mnemonic, select, ...) [OP_##id] = {ZYDIS_MNEMONIC_##mnemonic, SELECT_##select},
#include "isa/x86_ops.def"
#undef OP
};

// Index 1 + feature, 0 for sets that are not listed.
#define FEATURE_ALWAYS CPU_FEATURE_COUNT
static const u8 set_features[ZYDIS_ISA_SET_MAX_VALUE + 1] = {
#define ISA_SET(set, feature) [ZYDIS_ISA_SET_##set] = 1 + FEATURE_##feature,
#define ISA_OP(op, feature)
#include "isa/x86_isa_sets.def"
#undef ISA_SET
#undef ISA_OP
};
static const u8 op_features[X86_OP_COUNT] = {
#define ISA_SET(set, feature)
#define ISA_OP(op, feature) [OP_##op] = 1 + FEATURE_##feature,
#include "isa/x86_isa_sets.def"
#undef ISA_SET
#undef ISA_OP
};

struct decoder {
    cpu_feature_set missing;
    ZydisDecoder zydis[3];                       // by enum insn_code_size
    u16 first_row[ZYDIS_MNEMONIC_MAX_VALUE + 1]; // lowest op of the mnemonic
    u16 next_row[X86_OP_COUNT];                  // next op of the same mnemonic, 0 at the end
};

// What one instruction's decoding works on.
struct source {
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

struct decoder *decoder_create(const struct decoder_options *options)
{
    struct decoder *d = xcalloc(1, sizeof(*d));
    d->missing = options->missing;
    CHECK(ZYAN_SUCCESS(
        ZydisDecoderInit(&d->zydis[CODE_64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)));
    CHECK(ZYAN_SUCCESS(
        ZydisDecoderInit(&d->zydis[CODE_32], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32)));
    CHECK(ZYAN_SUCCESS(
        ZydisDecoderInit(&d->zydis[CODE_16], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16)));
    for (unsigned i = 0; i < 3; i++) {
        ZydisDecoderEnableMode(&d->zydis[i], ZYDIS_DECODER_MODE_TZCNT, options->tzcnt);
        ZydisDecoderEnableMode(&d->zydis[i], ZYDIS_DECODER_MODE_LZCNT, options->lzcnt);
        ZydisDecoderEnableMode(&d->zydis[i], ZYDIS_DECODER_MODE_MPX, false);
        ZydisDecoderEnableMode(&d->zydis[i], ZYDIS_DECODER_MODE_CET, false);
        ZydisDecoderEnableMode(&d->zydis[i], ZYDIS_DECODER_MODE_WBNOINVD, false);
        ZydisDecoderEnableMode(&d->zydis[i], ZYDIS_DECODER_MODE_CLDEMOTE, false);
    }
    for (unsigned op = X86_OP_COUNT - 1; op > OP_INVALID; op--) {
        d->next_row[op] = d->first_row[op_rows[op].mnemonic];
        d->first_row[op_rows[op].mnemonic] = (u16)op;
    }
    return d;
}

void decoder_destroy(struct decoder *decoder)
{
    free(decoder);
}

const char *decode_mnemonic_name(u64 mnemonic)
{
    const char *name = mnemonic && mnemonic <= ZYDIS_MNEMONIC_MAX_VALUE
                           ? ZydisMnemonicGetString((ZydisMnemonic)mnemonic)
                           : NULL;
    return name ? name : "(bad)";
}

static ZydisRegisterClass operand_class(const ZydisDecodedOperand *o)
{
    return o->type == ZYDIS_OPERAND_TYPE_REGISTER ? ZydisRegisterGetClass(o->reg.value)
                                                  : ZYDIS_REGCLASS_INVALID;
}

static bool has_register_class(const struct source *s, ZydisRegisterClass class)
{
    for (unsigned i = 0; i < s->insn.operand_count_visible; i++) {
        if (operand_class(&s->operands[i]) == class) {
            return true;
        }
    }
    return false;
}

static bool is_string(const struct source *s)
{
    return s->insn.meta.category == ZYDIS_CATEGORY_STRINGOP ||
           s->insn.meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
}

static bool select_matches(const struct source *s, enum op_select select)
{
    switch (select) {
    case SELECT_ANY:
        return true;
    case SELECT_SEG:
        return has_register_class(s, ZYDIS_REGCLASS_SEGMENT);
    case SELECT_CR:
        return has_register_class(s, ZYDIS_REGCLASS_CONTROL);
    case SELECT_DR:
        return has_register_class(s, ZYDIS_REGCLASS_DEBUG);
    case SELECT_TOSEG:
        return operand_class(&s->operands[0]) == ZYDIS_REGCLASS_SEGMENT;
    case SELECT_TOCR:
        return operand_class(&s->operands[0]) == ZYDIS_REGCLASS_CONTROL;
    case SELECT_TODR:
        return operand_class(&s->operands[0]) == ZYDIS_REGCLASS_DEBUG;
    case SELECT_FAR:
        return s->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
    case SELECT_STR:
        return is_string(s);
    case SELECT_MOF:
        return s->insn.raw.disp.size == 64;
    case SELECT_FPU:
        return s->insn.meta.isa_ext == ZYDIS_ISA_EXT_X87;
    case SELECT_VEC:
        return has_register_class(s, ZYDIS_REGCLASS_XMM) ||
               has_register_class(s, ZYDIS_REGCLASS_MMX) ||
               has_register_class(s, ZYDIS_REGCLASS_YMM);
    case SELECT_GEN:
        return !select_matches(s, SELECT_SEG) && !select_matches(s, SELECT_CR) &&
               !select_matches(s, SELECT_DR) && !select_matches(s, SELECT_FAR) && !is_string(s) &&
               !select_matches(s, SELECT_MOF);
    }
    return false;
}

static enum x86_op find_op(const struct decoder *d, const struct source *s)
{
    unsigned op = d->first_row[s->insn.mnemonic];
    while (op && !select_matches(s, op_rows[op].select)) {
        op = d->next_row[op];
    }
    return (enum x86_op)op;
}

static u8 register_number(ZydisRegister reg)
{
    if (reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_R15B) {
        unsigned n = (unsigned)(reg - ZYDIS_REGISTER_AL); // AL CL DL BL, AH CH DH BH, SPL...
        return (u8)(n < 4 ? n * 8 : n < 8 ? (n - 4) * 8 + 1 : (n - 4) * 8);
    }
    return (u8)ZydisRegisterGetId(reg);
}

static u8 log2_bytes(unsigned bits)
{
    unsigned bytes = bits / 8;
    return (u8)(bytes ? __builtin_ctz(bytes) : 0);
}

static u8 address_slot(ZydisRegister reg)
{
    switch (reg) {
    case ZYDIS_REGISTER_NONE:
        return SLOT_ZERO;
    case ZYDIS_REGISTER_RIP:
    case ZYDIS_REGISTER_EIP:
        return SLOT_CODE;
    default:
        return (u8)ZydisRegisterGetId(reg);
    }
}

// CPU_ES.. of cpu.h have the architecture's encoding, as Zydis's segment ids do.
static u8 segment_number(ZydisRegister seg)
{
    return (u8)(seg == ZYDIS_REGISTER_NONE ? 3 : ZydisRegisterGetId(seg));
}

static void note_address_size(struct insn *out, const struct source *s)
{
    if (s->insn.address_width == 32) {
        out->flags |= INSN_ADDR32 | INSN_EA_GENERAL;
    } else if (s->insn.address_width == 16) {
        out->flags |= INSN_ADDR16 | INSN_EA_GENERAL;
    }
}

static void take_memory(struct insn *out, const ZydisDecodedOperand *o)
{
    out->base = address_slot(o->mem.base);
    out->index = address_slot(o->mem.index);
    out->scale = (u8)(o->mem.scale ? __builtin_ctz(o->mem.scale) : 0);
    out->seg = segment_number(o->mem.segment) & 7;
    s64 disp = o->mem.disp.has_displacement ? o->mem.disp.value : 0;
    if (out->base == SLOT_CODE) {
        disp += out->offset + out->length;
        if (disp > INT32_MAX) {
            disp -= 8192;
            out->index = SLOT_8192;
        }
    }
    out->disp = (s32)disp;
    bool override = out->seg >= 4 && o->mem.type != ZYDIS_MEMOP_TYPE_AGEN;
    if (override && out->code == CODE_64 && out->index == SLOT_ZERO &&
        !(out->flags & INSN_EA_GENERAL)) {
        out->index = out->seg == 4 ? SLOT_FS : SLOT_GS;
    } else if (override || out->code != CODE_64) {
        out->flags |= INSN_EA_GENERAL;
    }
}

static void take_immediate(struct insn *out, const ZydisDecodedOperand *o, unsigned nth)
{
    if (o->type == ZYDIS_OPERAND_TYPE_POINTER) {
        out->imm = (u64)o->ptr.segment << 32 | o->ptr.offset;
    } else if (nth == 0) {
        out->imm = o->imm.value.u + (o->imm.is_relative ? (u64)out->offset + out->length : 0);
    } else {
        out->imm |= o->imm.value.u << 16; // enter
    }
}

// The operand kinds as a string, to the form.
static enum insn_form form_of(const char *kinds)
{
    static const char names[FORM_COUNT][4] = {
        [FORM_NONE] = "",   [FORM_R] = "R",     [FORM_M] = "M",     [FORM_I] = "I",
        [FORM_RR] = "RR",   [FORM_RM] = "RM",   [FORM_MR] = "MR",   [FORM_RI] = "RI",
        [FORM_MI] = "MI",   [FORM_IR] = "IR",   [FORM_RRI] = "RRI", [FORM_RMI] = "RMI",
        [FORM_MRI] = "MRI", [FORM_RRR] = "RRR", [FORM_RMR] = "RMR", [FORM_RRM] = "RRM",
        [FORM_MRR] = "MRR", [FORM_II] = "II",   [FORM_OTHER] = "?",
    };
    for (unsigned i = 0; i < FORM_COUNT; i++) {
        if (__builtin_strcmp(names[i], kinds) == 0) {
            return (enum insn_form)i;
        }
    }
    return FORM_OTHER;
}

// The third of three registers has no field of its own; such forms have no immediate.
static void take_register(struct insn *out, u8 number, unsigned nth)
{
    if (nth == 0) {
        out->reg = number;
    } else if (nth == 1) {
        out->rm = number;
    } else {
        out->imm = number;
    }
}

static void take_operands(struct insn *out, const struct source *s)
{
    char kinds[4] = "";
    unsigned registers = 0, immediates = 0;
    for (unsigned i = 0; i < s->insn.operand_count_visible && i < 3; i++) {
        const ZydisDecodedOperand *o = &s->operands[i];
        switch (o->type) {
        case ZYDIS_OPERAND_TYPE_REGISTER:
            kinds[i] = 'R';
            take_register(out, register_number(o->reg.value), registers++);
            break;
        case ZYDIS_OPERAND_TYPE_MEMORY:
            kinds[i] = 'M';
            take_memory(out, o);
            break;
        default:
            kinds[i] = 'I';
            take_immediate(out, o, immediates++);
            break;
        }
    }
    out->form = s->insn.operand_count_visible > 3 ? FORM_OTHER : form_of(kinds);
}

#define STRING_DESTINATION 7 // rDI

// String instructions name their memory by registers; only size, source segment and REP matter.
static void take_string(struct insn *out, const struct source *s)
{
    out->form = FORM_NONE;
    out->seg = 3;
    for (unsigned i = 0; i < s->insn.operand_count; i++) {
        const ZydisDecodedOperand *o = &s->operands[i];
        if (o->type == ZYDIS_OPERAND_TYPE_MEMORY) {
            out->width = log2_bytes(o->size) & 7;
            // The destination, at rDI, is always in ES; the other's segment can be overridden.
            if (ZydisRegisterGetId(o->mem.base) != STRING_DESTINATION) {
                out->seg = segment_number(o->mem.segment) & 7;
            }
        }
    }
    for (unsigned i = 0; i < s->insn.raw.prefix_count; i++) {
        u8 prefix = s->insn.raw.prefixes[i].value;
        if (prefix == 0xF2 || prefix == 0xF3) {
            out->flags = (u8)((out->flags & ~(INSN_REP | INSN_REPNE)) |
                              (prefix == 0xF3 ? INSN_REP : INSN_REPNE));
        }
    }
}

static u64 vector_class(const ZydisDecodedOperand *o)
{
    switch (operand_class(o)) {
    case ZYDIS_REGCLASS_XMM:
    case ZYDIS_REGCLASS_YMM:
        return VECTOR_XMM;
    case ZYDIS_REGCLASS_MMX:
        return VECTOR_MMX;
    case ZYDIS_REGCLASS_INVALID:
        return VECTOR_NONE;
    default:
        return VECTOR_GPR;
    }
}

static u64 mandatory_prefix(const struct source *s)
{
    if (s->insn.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) {
        return s->insn.raw.vex.pp;
    }
    for (unsigned i = 0; i < s->insn.raw.prefix_count; i++) {
        if (s->insn.raw.prefixes[i].type == ZYDIS_PREFIX_TYPE_MANDATORY) {
            u8 value = s->insn.raw.prefixes[i].value;
            return value == 0x66 ? 1 : value == 0xF3 ? 2 : 3;
        }
    }
    return 0;
}

static void take_vector_operand(struct insn *out, const ZydisDecodedOperand *o,
                                union vector_key *key)
{
    bool written = o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE,
         read = o->actions & ZYDIS_OPERAND_ACTION_MASK_READ;
    if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        key->has_imm8 = 1;
        key->imm8 = o->imm.value.u & 0xFF;
    } else if (o->encoding == ZYDIS_OPERAND_ENCODING_NDSNDD) {
        out->reg |= (u8)(register_number(o->reg.value) << 4);
        key->has_vvvv = 1;
        key->vvvv_written = written;
    } else if (o->encoding == ZYDIS_OPERAND_ENCODING_IS4) {
        out->rm |= (u8)(register_number(o->reg.value) << 4);
        key->has_is4 = 1;
        key->has_imm8 = 1;
    } else if (o->encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG) {
        out->reg |= register_number(o->reg.value);
        key->reg_class = vector_class(o) & 3;
        key->reg_written = written;
        key->has_extension = 0;
    } else if (o->type == ZYDIS_OPERAND_TYPE_MEMORY) {
        take_memory(out, o);
        key->memory = 1;
        key->mem_size = (o->size / 8) & 63;
        key->rm_written = written;
        key->rm_read = read;
    } else {
        out->rm |= register_number(o->reg.value);
        key->rm_class = vector_class(o) & 3;
        key->rm_written = written;
        key->rm_read = read;
    }
}

// General registers are 32 bits outside 64-bit code, whatever W says.
static u64 operation_w(const struct source *s, union vector_key key)
{
    bool general = key.reg_class == VECTOR_GPR || key.rm_class == VECTOR_GPR || key.string;
    u64 w = s->insn.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX ? s->insn.raw.vex.W
                                                               : s->insn.raw.rex.W;
    return general && s->insn.machine_mode != ZYDIS_MACHINE_MODE_LONG_64 ? 0 : w;
}

static bool must_be_aligned(const struct insn *out, union vector_key key)
{
    u32 attributes = x86_op_info[out->op].attributes;
    if (key.vex) {
        return key.memory && (attributes & A_ALIGNED);
    }
    return key.memory && key.mem_size == 16 && !(attributes & A_UNALIGNED);
}

// MMX, SSE and AVX instructions: the operands, and in imm the key of the operation (vector_key.h).
static void take_vector(struct insn *out, const struct source *s, enum x86_op op)
{
    union vector_key key = {.bits = 0};
    key.opcode = s->insn.opcode;
    key.map = s->insn.opcode_map & 3;
    key.prefix = mandatory_prefix(s) & 3;
    key.vex = s->insn.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
    key.length = key.vex && s->insn.raw.vex.L;
    key.string = op >= OP_PCMPESTRM && op <= OP_PCMPISTRI;
    key.string |= op >= OP_VPCMPESTRM && op <= OP_VPCMPISTRI;
    key.has_extension = 1;
    key.extension = s->insn.raw.modrm.reg & 7;
    for (unsigned i = 0; i < s->insn.operand_count; i++) {
        const ZydisDecodedOperand *o = &s->operands[i];
        if (o->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT) {
            take_vector_operand(out, o, &key);
        } else if (operand_class(o) == ZYDIS_REGCLASS_XMM && !key.string) {
            key.has_xmm0 = 1;
        }
    }
    if (!key.has_extension) {
        key.extension = 0;
    }
    key.sets_flags = x86_op_info[op].flags_defined != 0;
    key.w = operation_w(s, key) & 1;
    key.aligned = must_be_aligned(out, key);
    out->form = key.memory ? FORM_RM : FORM_RR;
    out->imm = key.bits;
}

// x87: the handler dispatches on the opcode itself. imm = opcode << 8 | ModRM.
static void take_x87(struct insn *out, const struct source *s)
{
    out->imm = (u64)s->insn.opcode << 8 | s->insn.raw.modrm.mod << 6 | s->insn.raw.modrm.reg << 3 |
               s->insn.raw.modrm.rm;
    out->form = FORM_NONE;
    for (unsigned i = 0; i < s->insn.operand_count_visible; i++) {
        if (s->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
            take_memory(out, &s->operands[i]);
            out->form = FORM_M;
        }
    }
}

// The width that the handler is chosen by: the first operand's, except where that is not what is
// operated on.
static unsigned operation_width(const struct source *s)
{
    const ZydisDecodedOperand *first = &s->operands[0];
    if (s->insn.mnemonic == ZYDIS_MNEMONIC_OUT) {
        return s->operands[1].size;
    }
    bool stacked =
        s->insn.mnemonic == ZYDIS_MNEMONIC_PUSH || s->insn.mnemonic == ZYDIS_MNEMONIC_POP;
    if (stacked && operand_class(first) == ZYDIS_REGCLASS_SEGMENT) {
        return s->insn.operand_width; // a selector takes a whole slot
    }
    if (s->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
        return s->insn.operand_width; // of the offset; the pointer in memory is 2 bytes longer
    }
    if (s->insn.operand_count_visible &&
        (first->type == ZYDIS_OPERAND_TYPE_REGISTER || first->type == ZYDIS_OPERAND_TYPE_MEMORY)) {
        return first->size;
    }
    return s->insn.operand_width;
}

static void take_all(struct insn *out, const struct source *s, enum x86_op op)
{
    u32 attributes = x86_op_info[op].attributes;
    out->op = op & 0x7FF;
    out->flags = (u8)(((attributes & A_END) ? INSN_END : 0) |
                      ((attributes & A_SETS_RIP) ? INSN_SETS_RIP : 0) |
                      ((s->insn.attributes & ZYDIS_ATTRIB_HAS_LOCK) ? INSN_LOCK : 0));
    note_address_size(out, s);
    out->width = log2_bytes(operation_width(s)) & 7;
    if (attributes & A_STRING) {
        take_string(out, s);
        return;
    }
    if (attributes & A_VECTOR) {
        take_vector(out, s, op);
        return;
    }
    if (attributes & A_X87) {
        take_x87(out, s);
        return;
    }
    take_operands(out, s);
    if (op == OP_MOVZX || op == OP_MOVSX || op == OP_MOVSXD || op == OP_CRC32) {
        out->imm = log2_bytes(s->operands[1].size);
    } else if (op == OP_LGDT || op == OP_LIDT) {
        out->imm = s->insn.operand_width;
    } else if (op == OP_MOV_MOFFS) {
        const ZydisDecodedOperand *o = &s->operands[out->form == FORM_RM];
        out->imm = (u64)o->mem.disp.value;
    }
}

// Whether the processor has this encoding.
static bool is_available(const struct decoder *decoder, const struct source *s, enum x86_op op,
                         enum insn_code_size code)
{
    unsigned listed = set_features[s->insn.meta.isa_set];
    listed = listed && op_features[op] ? op_features[op] : listed;
    if (!listed) {
        return false;
    }
    unsigned feature = listed - 1;
    if (feature == FEATURE_ALWAYS || (feature == FEATURE_lahf && code != CODE_64)) {
        return true;
    }
    return !(decoder->missing & CPU_FEATURE_BIT(feature));
}

enum decode_result insn_decode(const struct decoder *decoder, enum insn_code_size code,
                               const u8 *bytes, size_t available, unsigned insn_offset,
                               struct insn *out)
{
    struct source s;
    *out = (struct insn){.base = SLOT_ZERO,
                         .index = SLOT_ZERO,
                         .offset = insn_offset & 0xFFF,
                         .code = code & 3,
                         .seg = 3};
    // What fails to decode may depend on any of these bytes: caches must notice a change to each.
    out->length = available < 15 ? available & 15 : 15;
    ZyanStatus status =
        ZydisDecoderDecodeFull(&decoder->zydis[code], bytes, available, &s.insn, s.operands);
    if (status == ZYDIS_STATUS_NO_MORE_DATA) {
        return available >= 15 ? DECODE_TOO_LONG : DECODE_SHORT;
    }
    if (status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG) {
        return DECODE_TOO_LONG;
    }
    if (!ZYAN_SUCCESS(status)) {
        return DECODE_OK;
    }
    out->length = s.insn.length & 15;
    enum x86_op op = find_op(decoder, &s);
    if (op == OP_INVALID || !is_available(decoder, &s, op, code)) {
        out->imm = s.insn.mnemonic;
        return DECODE_OK;
    }
    take_all(out, &s, op);
    return DECODE_OK;
}
