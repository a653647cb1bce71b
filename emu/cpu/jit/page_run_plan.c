// SPDX-License-Identifier: MIT
// Loops of one block that go through memory in equal steps: for as many iterations as all accesses
// stay in the pages where they are now, a second translation of the body does without checks, its
// steps charged in advance. What such a body does cannot invalidate a translation: C does not run,
// and what the TLB lets be written is neither code nor a page table. In such a body registers that
// live in memory change places with others that it uses less; loops that gain by this have one even
// if they access no memory. Here it is found which loops are such.
#include "cpu/jit/translator.h"

#include "cpu/interp/vector_unit.h"

#define SPAN_MAX 1024  // bytes that one group may reach over
#define STRIDE_MAX 512 // at least so many fit a page several times

struct motions {
    u32 written;
    struct motion of[GPR_SLOTS];
};

#define ALL_REGISTERS UINT32_MAX

// The operand "reg" is what the instruction writes, or nothing if memory is.
static bool writes_reg_alone(const struct insn *insn)
{
    if (insn->op == OP_IMUL) {
        return insn->form != FORM_R && insn->form != FORM_M;
    }
    return (insn->op >= OP_ADD && insn->op <= OP_XOR) ||
           (insn->op >= OP_NOT && insn->op <= OP_DEC) ||
           (insn->op >= OP_MOVZX && insn->op <= OP_MOVSXD) || insn->op == OP_MOV ||
           insn->op == OP_MOVNTI || insn->op == OP_LEA ||
           (insn->op >= OP_SHL && insn->op <= OP_SAR) || insn->op == OP_ROL || insn->op == OP_ROR ||
           (insn->op >= OP_CMOVO && insn->op <= OP_CMOVNLE) ||
           (insn->op >= OP_SETO && insn->op <= OP_SETNLE);
}

u32 registers_written(const struct insn *insn)
{
    if (vector_level(insn)) {
        return vector_written(insn);
    }
    if (insn->op == OP_CMP || insn->op == OP_TEST || insn->op == OP_NOP) {
        return 0;
    }
    if (is_condition_jump(insn)) {
        return insn->imm < PAGE_SIZE ? 0 : ALL_REGISTERS;
    }
    if (!writes_reg_alone(insn)) {
        return ALL_REGISTERS;
    }
    switch (insn->form) {
    case FORM_M:
    case FORM_MR:
    case FORM_MI:
        return 0;
    case FORM_R:
    case FORM_RR:
    case FORM_RI:
    case FORM_RM:
    case FORM_RRI:
    case FORM_RMI:
        return 1u << (insn->width == 0 ? insn->reg >> 3 : insn->reg);
    default:
        return ALL_REGISTERS;
    }
}

// The same; ALL_REGISTERS: it is none for a run.
static u32 written(const struct insn *insn)
{
    bool general = insn->flags & (INSN_EA_GENERAL | INSN_ADDR32 | INSN_ADDR16);
    return general ? ALL_REGISTERS : registers_written(insn);
}

struct motion motion_of(const struct insn *insn)
{
    struct motion m = {.by = SLOT_ZERO};
    if (insn->width == 3 && insn->form == FORM_RI && insn->op == OP_ADD) {
        m.constant = (s64)insn->imm;
    } else if (insn->width == 3 && insn->form == FORM_RI && insn->op == OP_SUB) {
        m.constant = -(s64)insn->imm;
    } else if (insn->width == 3 && insn->form == FORM_R && insn->op == OP_INC) {
        m.constant = 1;
    } else if (insn->width == 3 && insn->form == FORM_R && insn->op == OP_DEC) {
        m.constant = -1;
    } else if (insn->width == 3 && insn->op == OP_LEA && insn->base == insn->reg &&
               insn->index == SLOT_ZERO) {
        m.constant = insn->disp;
    } else if (insn->width == 3 && insn->form == FORM_RR && insn->op == OP_ADD) {
        m.by = insn->rm;
    } else {
        m.unknown = true;
    }
    m.unknown |= m.constant > STRIDE_MAX || m.constant < -STRIDE_MAX;
    return m;
}

// False: some instruction is none for a run.
static bool find_motions(const struct translator *t, struct motions *all)
{
    *all = (struct motions){0};
    for (unsigned n = 0; n < GPR_SLOTS; n++) {
        all->of[n].by = SLOT_ZERO;
    }
    for (unsigned i = 0; i < t->block->insn_count; i++) {
        const struct insn *insn = &t->block->insns[i];
        u32 mask = written(insn);
        if (mask == ALL_REGISTERS) {
            return false;
        }
        if (!mask) {
            continue;
        }
        struct motion *m = &all->of[__builtin_ctz(mask)], one = {.unknown = true};
        if (!vector_level(insn) && (mask & (mask - 1)) == 0) {
            one = motion_of(insn);
        }
        bool twice = (one.by != SLOT_ZERO && (all->written & mask)) || m->by != SLOT_ZERO;
        m->unknown |= one.unknown || twice;
        m->constant += one.constant;
        m->by = one.unknown ? SLOT_ZERO : one.by;
        all->written |= mask;
    }
    for (unsigned n = 0; n < 16; n++) {
        all->of[n].unknown |= all->of[n].by != SLOT_ZERO && (all->written & BIT(all->of[n].by));
    }
    return true;
}

// Adds an access to the group of its registers. passed: what was added to registers before it.
static bool join_group(struct page_run *run, struct run_access *access, const struct insn *insn,
                       const struct motions *all, const struct motions *passed)
{
    const struct motion *base = &all->of[insn->base], *index = &all->of[insn->index];
    s64 at = insn->disp + passed->of[insn->base].constant +
             (passed->of[insn->index].constant << insn->scale);
    s64 stride = base->constant + (index->constant << insn->scale);
    bool by_two = base->by != SLOT_ZERO && index->by != SLOT_ZERO,
         by_one = base->by != SLOT_ZERO || index->by != SLOT_ZERO;
    if (base->unknown || index->unknown || insn->index == SLOT_8192 || by_two ||
        (by_one && stride) || stride > STRIDE_MAX || stride < -STRIDE_MAX || at != (s32)at ||
        passed->of[insn->base].by != SLOT_ZERO || passed->of[insn->index].by != SLOT_ZERO) {
        return false;
    }
    struct run_group *g = run->groups;
    s32 first = (s32)at, end = (s32)at + access->size;
    for (; g < run->groups + run->group_count; g++) {
        s32 low = g->first < first ? g->first : first, high = g->end > end ? g->end : end;
        if (g->base == insn->base && g->index == insn->index && g->scale == insn->scale &&
            (s64)high - low <= SPAN_MAX) {
            g->first = low;
            g->end = high;
            break;
        }
    }
    if (g == run->groups + RUN_GROUPS_MAX) {
        return false;
    }
    if (g == run->groups + run->group_count) {
        *g = (struct run_group){.base = insn->base,
                                .index = insn->index,
                                .scale = insn->scale,
                                .by = base->by != SLOT_ZERO ? base->by : index->by,
                                .by_scale = base->by != SLOT_ZERO ? 0 : insn->scale,
                                .stride = (s32)stride,
                                .first = first,
                                .end = end,
                                .base_moves = insn->base < 16 && (all->written & BIT(insn->base)),
                                .index_moves =
                                    insn->index < 16 && (all->written & BIT(insn->index))};
        run->group_count++;
    }
    access->group = (u8)(g - run->groups);
    g->write |= access->write;
    // What was aligned in the checked iteration remains it.
    return !access->aligned || (!by_one && stride % access->size == 0);
}

static bool make_groups(struct translator *t, const struct motions *all)
{
    struct page_run *run = &t->run;
    struct motions passed = {0};
    for (unsigned n = 0; n < GPR_SLOTS; n++) {
        passed.of[n].by = SLOT_ZERO;
    }
    unsigned next = 0;
    for (unsigned i = 0; i < t->block->insn_count; i++) {
        const struct insn *insn = &t->block->insns[i];
        if (next < run->access_count && run->accesses[next].insn == i) {
            if (!join_group(run, &run->accesses[next++], insn, all, &passed)) {
                return false;
            }
        }
        u32 mask = written(insn);
        if (mask && !vector_level(insn)) {
            unsigned reg = (unsigned)__builtin_ctz(mask);
            struct motion one = motion_of(insn);
            passed.of[reg].constant += one.constant;
            passed.of[reg].by = one.by != SLOT_ZERO ? one.by : passed.of[reg].by;
        }
    }
    return next == run->access_count;
}

bool spares_scratch(const struct translator *t, const struct insn *insn)
{
    unsigned width = insn->width;
    if (vector_level(insn)) {
        return vector_spares_scratch(insn);
    }
    if (is_condition_jump(insn) || insn->op == OP_NOP) {
        return true;
    }
    bool extends = insn->op >= OP_MOVZX && insn->op <= OP_MOVSXD;
    if (!(insn->op >= OP_ADD && insn->op <= OP_TEST) && !extends && insn->op != OP_MOV &&
        !(insn->op >= OP_NOT && insn->op <= OP_DEC)) {
        return false;
    }
    switch (insn->form) {
    case FORM_M:
    case FORM_MI:
        return true;
    case FORM_RR:
        return in_place(t, insn->reg, width) &&
               in_place(t, insn->rm, extends ? (unsigned)insn->imm : width);
    case FORM_R:
    case FORM_RI:
    case FORM_RM:
    case FORM_MR:
        return in_place(t, insn->reg, width);
    default:
        return false;
    }
}

static bool is_pinned(const struct translator *t, unsigned slot)
{
    return slot < 16 && host_of(t, slot) != HOST_NONE;
}

// Whether distances may stay in r10 and r11.
static bool can_hoist(const struct translator *t)
{
    const struct page_run *run = &t->run;
    bool can = true;
    for (unsigned i = 0; i < t->block->insn_count; i++) {
        can = can && spares_scratch(t, &t->block->insns[i]);
    }
    for (unsigned i = 0; i < run->group_count; i++) {
        const struct run_group *g = &run->groups[i];
        can = can && (!g->base_moves || is_pinned(t, g->base)) &&
              (!g->index_moves || is_pinned(t, g->index)) &&
              !(i > 1 && g->base_moves && g->index_moves);
    }
    return can;
}

// Whether the loop's end compares registers, for flags that the body does not look at.
static bool can_compare_again(const struct translator *t)
{
    const struct insn *compare = &t->block->insns[t->block->insn_count - 2];
    return (compare->op == OP_CMP || compare->op == OP_TEST) &&
           (compare->form == FORM_RR || compare->form == FORM_RI) && !flags_live_in_run(t);
}

static void use(unsigned *uses, unsigned n)
{
    if (n < 16) {
        uses[n]++;
    }
}

// Counts the general registers that the instruction may name, for those that find_motions() lets
// pass.
static void count_uses(const struct insn *insn, unsigned *uses)
{
    bool extends = insn->op >= OP_MOVZX && insn->op <= OP_MOVSXD;
    use(uses, insn->base);
    use(uses, insn->index);
    if (vector_level(insn)) {
        use(uses, vector_reg(insn));
        use(uses, vector_rm(insn));
        return;
    }
    use(uses, insn->width == 0 ? insn->reg >> 3 : insn->reg);
    use(uses, insn->width == 0 || (extends && insn->imm == 0) ? insn->rm >> 3 : insn->rm);
}

// Registers that live in memory take the places of others that are used less. What translations use
// without being told (rAX, rCX, rDX) stays.
static void plan_guests(struct translator *t)
{
    static const u8 places[] = {CPU_RBX, CPU_RSP, CPU_RBP, CPU_RSI, CPU_RDI, 12, 13, 14};
    struct page_run *run = &t->run;
    unsigned uses[16] = {0};
    for (unsigned i = 0; i < t->block->insn_count; i++) {
        count_uses(&t->block->insns[i], uses);
    }
    for (unsigned n = 0; n < 16; n++) {
        run->map[n] = (u8)home_of(n);
    }
    for (;;) {
        unsigned most = 16, least = 16;
        for (unsigned n = 0; n < 16; n++) {
            bool better = most == 16 || uses[n] > uses[most];
            most = home_of(n) == HOST_NONE && run->map[n] == HOST_NONE && better ? n : most;
        }
        for (unsigned p = 0; p < ARRAY_LEN(places); p++) {
            unsigned n = places[p];
            bool better = least == 16 || uses[n] < uses[least];
            least = run->map[n] != HOST_NONE && better ? n : least;
        }
        if (most == 16 || least == 16 || uses[most] <= uses[least]) {
            return;
        }
        run->guests[run->guest_count++] = (struct run_guest){(u8)most, (u8)least};
        run->map[most] = run->map[least];
        run->map[least] = HOST_NONE;
    }
}

bool page_run_plan(struct translator *t)
{
    struct page_run *run = &t->run;
    struct motions all;
    if (run->refused || t->block->insn_count < 2 || !find_motions(t, &all) ||
        few_iterations(t->block->insns, t->block->insn_count) || !make_groups(t, &all)) {
        return false;
    }
    plan_guests(t);
    if (!run->group_count && !run->guest_count) {
        return false;
    }
    run->active = true;
    run->hoists = can_hoist(t);
    run->active = false;
    run->again = can_compare_again(t);
    return true;
}
