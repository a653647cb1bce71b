// SPDX-License-Identifier: MIT
// Which arithmetic flags somebody may see at which place of a block. Everything that may leave the
// block (a fault, a helper, a jump) sees them all.
#include "cpu/jit/translator.h"

#define ALL F_OSZAPC

// Flags that condition code cc reads (SDM 1 appendix B).
static unsigned condition_flags(unsigned cc)
{
    static const u16 reads[8] = {F_O, F_C, F_Z, F_C | F_Z, F_S, F_P, F_S | F_O, F_Z | F_S | F_O};
    return reads[(cc >> 1) & 7];
}

static bool touches_memory(const struct insn *insn)
{
    switch (insn->form) {
    case FORM_NONE: // string instructions, LEAVE, RET
    case FORM_OTHER:
        return true;
    case FORM_R:
    case FORM_I:
        return x86_op_info[insn->op].attributes & A_STACK;
    case FORM_RR:
    case FORM_RI:
    case FORM_RRI:
    case FORM_RRR:
        return false;
    default:
        return true;
    }
}

struct flag_use {
    u16 reads, writes; // writes: surely
    bool exposed;      // may leave the block before it has executed, or be executed elsewhere
};

static struct flag_use shift_use(const struct insn *insn)
{
    struct flag_use use = {.exposed = touches_memory(insn)};
    bool by_immediate = insn->form == FORM_RI || insn->form == FORM_MI;
    bool through_carry = insn->op == OP_RCL || insn->op == OP_RCR;
    if (through_carry || (insn->width < 2 && !by_immediate)) {
        use.exposed = true; // the interpreter's
    }
    if (by_immediate && (insn->imm & (insn->width == 3 ? 63 : 31))) {
        use.writes = x86_op_info[insn->op].flags_defined | x86_op_info[insn->op].flags_undefined;
    }
    return use;
}

static struct flag_use use_of(const struct insn *insn)
{
    const struct x86_op_info *info = &x86_op_info[insn->op];
    struct flag_use use = {.writes = info->flags_defined | info->flags_undefined,
                           .exposed = touches_memory(insn)};
    switch (insn->op) {
    case OP_ADC:
    case OP_SBB:
    case OP_CMC:
        use.reads = F_C;
        use.exposed = insn->op != OP_CMC && touches_memory(insn);
        break;
    case OP_ADD:
    case OP_OR:
    case OP_AND:
    case OP_SUB:
    case OP_XOR:
    case OP_CMP:
    case OP_TEST:
    case OP_NOT:
    case OP_NEG:
    case OP_INC:
    case OP_DEC:
    case OP_IMUL:
    case OP_MUL:
    case OP_MOV:
    case OP_MOVZX:
    case OP_MOVSX:
    case OP_MOVSXD:
    case OP_XCHG:
    case OP_BSWAP:
    case OP_TZCNT:
    case OP_LZCNT:
    case OP_POPCNT:
        break;
    case OP_BT:
    case OP_BTS:
    case OP_BTR:
    case OP_BTC:
        use.writes = F_C; // the profile keeps the others
        break;
    case OP_LEA:
    case OP_NOP:
    case OP_CBW:
    case OP_CWDE:
    case OP_CDQE:
    case OP_CWD:
    case OP_CDQ:
    case OP_CQO:
    case OP_CLC:
    case OP_STC:
        use.exposed = false;
        break;
    case OP_LAHF:
        use.exposed = false;
        use.reads = F_SZAPC;
        break;
    case OP_ROL:
    case OP_ROR:
    case OP_RCL:
    case OP_RCR:
    case OP_SHL:
    case OP_SHR:
    case OP_SAR:
        return shift_use(insn);
    default:
        if (insn->op >= OP_CMOVO && insn->op <= OP_CMOVNLE) {
            use.reads = (u16)condition_flags((insn->op - OP_CMOVO) & 15u);
        } else if (insn->op >= OP_SETO && insn->op <= OP_SETNLE) {
            use.reads = (u16)condition_flags((insn->op - OP_SETO) & 15u);
        } else {
            use.exposed = true;
        }
        break;
    }
    return use;
}

// Registers alone, and live already: it cannot leave the block.
static struct flag_use vector_use(const struct insn *insn, bool live)
{
    return (struct flag_use){.writes = x86_op_info[insn->op].flags_defined,
                             .exposed = !live || insn->form != FORM_RR};
}

void live_flags(struct translator *t)
{
    unsigned live = ALL;
    for (unsigned i = t->block->insn_count; i > 0; i--) {
        const struct insn *insn = &t->block->insns[i - 1];
        struct flag_use use =
            vector_level(insn) ? vector_use(insn, !t->vectors.needs[i - 1]) : use_of(insn);
        t->live_after[i - 1] = (u16)live;
        live = use.exposed ? ALL : (live & ~(unsigned)use.writes) | use.reads;
    }
    t->live_at_entry = live != 0;
}
