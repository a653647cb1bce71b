// SPDX-License-Identifier: MIT
// Accesses of a block that lie close together, relative to the same registers: the first of them
// checks for all that they lie in one page of the TLB, and leaves the page's distance from the host
// in the frame for the others. C clears the distance; so does the first one where its page does not
// reach far enough. Then each access is checked by itself, apart from the straight code.
#include "cpu/jit/translator.h"

#define SPAN_MAX 128 // bytes from the first to the last one
#define ADDRESS HOST_R11
#define DISTANCE HOST_R10

struct planner {
    struct shares *shares;
    u8 version[GPR_SLOTS]; // changes when a register gets a value that is not known relative to its
                           // last one
    s32 moved[GPR_SLOTS];  // by what is known
};

struct reach {
    struct place place;
    u8 size;
    bool write;
};

// A word of the stack. rsp moves as translations move it.
static bool stack_reach(const struct insn *insn, struct reach *reach)
{
    bool pushes = insn->op == OP_PUSH || insn->op == OP_CALL,
         pops = insn->op == OP_POP || insn->op == OP_RET || insn->op == OP_LEAVE;
    if ((!pushes && !pops) || insn->width != 3 || insn->form == FORM_M) {
        return false; // of a memory operand there are two
    }
    u8 base = insn->op == OP_LEAVE ? CPU_RBP : CPU_RSP;
    *reach = (struct reach){{base, SLOT_ZERO, 0, pushes ? -8 : 0}, 8, pushes};
    return true;
}

// The kinds of operands that are found: those whose translations ask for them once.
static bool reach_of(const struct insn *insn, struct reach *reach)
{
    if (stack_reach(insn, reach)) {
        return true;
    }
    bool alu = insn->op >= OP_ADD && insn->op <= OP_XOR,
         unary = insn->op >= OP_NOT && insn->op <= OP_DEC,
         extends = insn->op >= OP_MOVZX && insn->op <= OP_MOVSXD,
         sets = insn->op >= OP_SETO && insn->op <= OP_SETNLE,
         moves = insn->op >= OP_CMOVO && insn->op <= OP_CMOVNLE,
         compares = insn->op == OP_CMP || insn->op == OP_TEST;
    if (!alu && !unary && !extends && !sets && !moves && !compares && insn->op != OP_MOV) {
        return false;
    }
    if ((insn->flags & (INSN_EA_GENERAL | INSN_ADDR32 | INSN_ADDR16)) || insn->index == SLOT_8192) {
        return false;
    }
    bool reads = insn->form == FORM_RM,
         writes = insn->form == FORM_MR || insn->form == FORM_MI || insn->form == FORM_M;
    if (!reads && !writes) {
        return false;
    }
    *reach = (struct reach){place_of(insn), (u8)(1u << insn->width), writes && !compares};
    if (extends || sets) {
        reach->size = sets ? 1 : (u8)(1u << insn->imm);
    }
    return true;
}

static bool same_registers(const struct planner *p, const struct share *s, const struct place *at)
{
    return s->base == at->base && s->index == at->index && s->scale == at->scale &&
           s->base_version == p->version[at->base] && s->index_version == p->version[at->index];
}

// Joins the group of its registers, or begins one: a write behind a way out does not widen what is
// asked for in front of it.
static void plan_access(struct planner *p, unsigned i, const struct reach *reach)
{
    struct shares *shares = p->shares;
    const struct place *at = &reach->place;
    s64 first = (s64)at->disp + p->moved[at->base] + ((s64)p->moved[at->index] << at->scale);
    s64 end = first + reach->size;
    if (first != (s32)first || end != (s32)end || at->disp < INT32_MIN + SPAN_MAX) {
        return;
    }
    for (unsigned n = shares->count; n > 0; n--) {
        struct share *s = &shares->of[n - 1];
        if (!same_registers(p, s, at)) {
            continue;
        }
        s32 low = first < s->first ? (s32)first : s->first;
        s32 high = end > s->end ? (s32)end : s->end;
        if ((s64)high - low > SPAN_MAX || (reach->write && !s->write && s->jumped)) {
            break;
        }
        s->first = low;
        s->end = high;
        s->write |= reach->write;
        s->followers++;
        shares->use[i] = (struct share_use){(u8)n, (s32)first};
        return;
    }
    shares->of[shares->count++] = (struct share){.base = at->base,
                                                 .index = at->index,
                                                 .scale = at->scale,
                                                 .base_version = p->version[at->base],
                                                 .index_version = p->version[at->index],
                                                 .leader = (u8)i,
                                                 .write = reach->write,
                                                 .first = (s32)first,
                                                 .end = (s32)end};
    shares->use[i] = (struct share_use){(u8)shares->count, (s32)first};
}

static void forget(struct planner *p, unsigned reg)
{
    p->version[reg]++;
    p->moved[reg] = 0;
}

static void plan_registers(struct planner *p, const struct insn *insn)
{
    struct reach stack;
    if (stack_reach(insn, &stack) && insn->op == OP_PUSH) {
        p->moved[CPU_RSP] -= 8;
        return;
    }
    if (stack_reach(insn, &stack) && insn->op == OP_POP) {
        p->moved[CPU_RSP] += 8;
        forget(p, insn->reg);
        return;
    }
    u32 written = registers_written(insn);
    struct motion m = {.unknown = true};
    bool one = written && !(written & (written - 1)) && !vector_level(insn);
    if (one && !(insn->flags & (INSN_ADDR32 | INSN_ADDR16))) {
        m = motion_of(insn);
    }
    for (unsigned n = 0; n < GPR_SLOTS; n++) {
        if (!(written >> n & 1)) {
            continue;
        }
        if (m.unknown || m.by != SLOT_ZERO) {
            forget(p, n);
        } else {
            p->moved[n] += (s32)m.constant;
        }
    }
}

void shares_plan(struct translator *t)
{
    struct planner p = {.shares = &t->shares};
    for (unsigned i = 0; i < t->block->insn_count; i++) {
        const struct insn *insn = &t->block->insns[i];
        struct reach reach;
        if (reach_of(insn, &reach)) {
            plan_access(&p, i, &reach);
        }
        plan_registers(&p, insn);
        for (unsigned n = 0; n < t->shares.count && is_condition_jump(insn); n++) {
            t->shares.of[n].jumped = true;
        }
    }
    unsigned slots = 0;
    for (unsigned n = 0; n < t->shares.count; n++) {
        struct share *s = &t->shares.of[n];
        if (s->followers && slots < JIT_DISTANCES) {
            s->slot = (u8)++slots;
        }
    }
}

static struct host_operand slot_of(const struct share *s)
{
    return host_at(HOST_STATE,
                   (s32)(offsetof(struct cpu, jit_frame.distances) + 8 * (s->slot - 1)));
}

static bool is_pinned_alone(const struct translator *t, const struct place *at)
{
    return at->index == SLOT_ZERO && at->base < 16 && host_of(t, at->base) != HOST_NONE;
}

// All that the group reaches is looked up.
static struct host_operand lead(struct translator *t, struct share *s, const struct place *place,
                                const struct access *access)
{
    struct emitter *e = &t->e;
    struct place low = *place;
    s32 above = t->shares.use[t->i].at - s->first;
    low.disp -= above;
    unsigned address = emit_place(t, &low);
    unsigned islands = s->followers < SHARE_ISLANDS ? s->followers : SHARE_ISLANDS;
    emit_lookup_page(t, address, (s32)(s->end - s->first - 1), s->write);
    emit_jrcxz(e, 5 * (1 + islands));
    add_access_site(t, emit_jmp(e, NULL), SITE_LEAD, address, above, access);
    for (s->islands = 0; s->islands < islands; s->islands++) {
        s->island[s->islands] = e->write;
        emit_jmp(e, NULL);
    }
    struct site *site = &t->sites[t->site_count - 1];
    emit_store(e, 3, DISTANCE, slot_of(s));
    site->back = emit_here(e);
    s->led = true;
    return host_indexed(address, DISTANCE, 0, above);
}

static struct host_operand follow(struct translator *t, struct share *s, const struct place *place,
                                  const struct access *access)
{
    struct emitter *e = &t->e;
    unsigned address = is_pinned_alone(t, place) ? host_of(t, place->base) : emit_place(t, place);
    s32 above = is_pinned_alone(t, place) ? place->disp : 0;
    emit_load(e, 3, HOST_RCX, slot_of(s));
    u8 *jump;
    u8 *island = s->islands ? s->island[s->islands - 1] : NULL;
    if (island && e->write + 2 - island <= 128) {
        s->islands--;
        emit_jrcxz_back(e, island);
        jump = island + 1;
    } else {
        emit_jrcxz(e, 2);
        emit_bytes(e, (const u8[]){0xEB, 5}, 2); // jmp over the next one
        jump = emit_jmp(e, NULL);
    }
    add_access_site(t, jump, SITE_FOLLOW, address, above, access);
    emit_mov(e, 3, DISTANCE, HOST_RCX);
    t->sites[t->site_count - 1].back = emit_here(e);
    return host_indexed(address, DISTANCE, 0, above);
}

bool share_operand(struct translator *t, const struct place *place, const struct access *access,
                   struct host_operand *operand)
{
    const struct share_use *use = &t->shares.use[t->i];
    struct share *s = use->share ? &t->shares.of[use->share - 1] : NULL;
    if (!s || !s->slot || place->base != s->base || place->index != s->index ||
        place->scale != s->scale || (access->write && !s->write) ||
        use->at + (s32)access->size > s->end) {
        return false;
    }
    if (s->leader == t->i) {
        *operand = lead(t, s, place, access);
        return true;
    }
    if (!s->led) {
        return false;
    }
    *operand = follow(t, s, place, access);
    return true;
}

// The access by itself: r10 becomes its distance.
void emit_share_stub(struct translator *t, const struct site *site)
{
    struct emitter *e = &t->e;
    const struct share *s = &t->shares.of[t->shares.use[t->i].share - 1];
    emit_patch(site->jump, e->to_run, emit_here(e));
    if (site->kind == SITE_LEAD) {
        emit_mov_imm_to(e, 3, slot_of(s), 0);
    }
    emit_lea(e, DISTANCE, host_at(site->address, site->above));
    emit_lookup_page_at(t, DISTANCE, site->address, site->above + site->size - 1, site->write);
    emit_back_if_zero(t, site);
}
