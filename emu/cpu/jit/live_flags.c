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

// How an operation uses flags; all others may be executed elsewhere.
enum flag_kind {
    ELSEWHERE,
    DEFINES,      // as x86_ops.def says; exposed where it touches memory
    DEFINES_ALSO, // and reads CF
    TESTS_BIT,    // sets CF alone: the profile keeps the others
    SHIFTS,
    CONDITION, // reads those of its condition code
    REGISTERS, // like DEFINES, but touches no memory whatever its form
    READS_CARRY,
    READS_ALL,
};

// clang-format off
static const u8 flag_kinds[X86_OP_COUNT] = {
    [OP_ADD ... OP_OR] = DEFINES,
    [OP_ADC ... OP_SBB] = DEFINES_ALSO,
    [OP_AND ... OP_TEST] = DEFINES,
    [OP_NOT ... OP_DEC] = DEFINES,
    [OP_MUL ... OP_IMUL] = DEFINES,
    [OP_CBW ... OP_CQO] = REGISTERS,
    [OP_ROL ... OP_SAR] = SHIFTS,
    [OP_MOV] = DEFINES,
    [OP_MOVZX ... OP_MOVSXD] = DEFINES,
    [OP_LEA] = REGISTERS,
    [OP_XCHG] = DEFINES,
    [OP_BSWAP] = DEFINES,
    [OP_CMOVO ... OP_CMOVNLE] = CONDITION,
    [OP_SETO ... OP_SETNLE] = CONDITION,
    [OP_BT ... OP_BTC] = TESTS_BIT,
    [OP_TZCNT ... OP_POPCNT] = DEFINES,
    [OP_CLC ... OP_STC] = REGISTERS,
    [OP_CMC] = READS_CARRY,
    [OP_LAHF] = READS_ALL,
    [OP_NOP] = REGISTERS,
};
// clang-format on

static struct flag_use use_of(const struct insn *insn)
{
    const struct x86_op_info *info = &x86_op_info[insn->op];
    struct flag_use use = {.writes = info->flags_defined | info->flags_undefined,
                           .exposed = touches_memory(insn)};
    unsigned first = insn->op >= OP_SETO && insn->op <= OP_SETNLE ? OP_SETO : OP_CMOVO;
    switch ((enum flag_kind)flag_kinds[insn->op]) {
    case ELSEWHERE:
        use.exposed = true;
        break;
    case DEFINES:
        break;
    case DEFINES_ALSO:
        use.reads = F_C;
        break;
    case TESTS_BIT:
        use.writes = F_C;
        break;
    case SHIFTS:
        return shift_use(insn);
    case CONDITION:
        use.reads = (u16)condition_flags((insn->op - first) & 15u);
        break;
    case REGISTERS:
        use.exposed = false;
        break;
    case READS_CARRY:
        use.reads = F_C;
        use.exposed = false;
        break;
    case READS_ALL:
        use.reads = F_SZAPC;
        use.exposed = false;
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

bool flags_live_in_run(const struct translator *t)
{
    unsigned seen = ALL;
    for (unsigned i = t->block->insn_count; i > 0; i--) {
        const struct insn *insn = &t->block->insns[i - 1];
        struct flag_use use = vector_level(insn) ? vector_use(insn, true) : use_of(insn);
        bool leaves = !vector_level(insn) && flag_kinds[insn->op] == ELSEWHERE;
        seen = leaves ? ALL : (seen & ~(unsigned)use.writes) | use.reads;
    }
    return seen != 0;
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
