// SPDX-License-Identifier: MIT
// Accesses of a block that lie close together, relative to the same registers: the first of them
// checks for all that they lie in one page of the TLB, and leaves the host's address in the frame
// for the others. C clears it; so does the first one where its page does not reach far enough. Then
// each access is checked by itself, apart from the straight code. Where translations spare RCX, it
// keeps the address from one access to the next.
#include "cpu/jit/translator.h"

#include "base/check.h"

#define SPAN_MAX 128 // bytes from the first to the last one
#define ADDRESS HOST_R11
#define DISTANCE HOST_R10 // host minus guest address; behind a follower's check: the address

struct planner {
    struct shares *shares;
    u8 version[GPR_SLOTS]; // changes when a register gets a value that is not known relative to its
                           // last one
    s32 moved[GPR_SLOTS];  // by what is known
};

struct reach {
    struct place place;
    struct access access;
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
    *reach = (struct reach){{base, SLOT_ZERO, 0, pushes ? -8 : 0}, {8, pushes, false}};
    return true;
}

static bool integer_access(const struct insn *insn, struct access *access)
{
    bool alu = insn->op >= OP_ADD && insn->op <= OP_XOR,
         unary = insn->op >= OP_NOT && insn->op <= OP_DEC,
         extends = insn->op >= OP_MOVZX && insn->op <= OP_MOVSXD,
         sets = insn->op >= OP_SETO && insn->op <= OP_SETNLE,
         moves = insn->op >= OP_CMOVO && insn->op <= OP_CMOVNLE,
         compares = insn->op == OP_CMP || insn->op == OP_TEST;
    if (!alu && !unary && !extends && !sets && !moves && !compares && insn->op != OP_MOV) {
        return false;
    }
    bool reads = insn->form == FORM_RM,
         writes = insn->form == FORM_MR || insn->form == FORM_MI || insn->form == FORM_M;
    if (!reads && !writes) {
        return false;
    }
    *access = (struct access){.size = 1u << insn->width, .write = writes && !compares};
    if (extends || sets) {
        access->size = sets ? 1 : 1u << insn->imm;
    }
    return true;
}

// The kinds of operands that are found: those whose translations ask for them once.
static bool reach_of(const struct insn *insn, struct reach *reach)
{
    if (stack_reach(insn, reach)) {
        return true;
    }
    reach->place = place_of(insn);
    bool found = vector_level(insn) ? vector_access(insn, &reach->access)
                                    : integer_access(insn, &reach->access);
    return found && !(insn->flags & (INSN_EA_GENERAL | INSN_ADDR32 | INSN_ADDR16)) &&
           insn->index != SLOT_8192;
}

static bool same_registers(const struct planner *p, const struct share *s, const struct place *at)
{
    return s->base == at->base && s->index == at->index && s->scale == at->scale &&
           s->base_version == p->version[at->base] && s->index_version == p->version[at->index];
}

// What its address must be a multiple of, 0: of nothing.
static u8 align_of(const struct access *access)
{
    return access->aligned ? (u8)access->size : 0;
}

// Widens the group to the access. False: it stays by itself. Behind a way out nothing is asked for
// that was not asked for in front of it.
static bool join(struct share *s, const struct access *access, s64 first, s64 end)
{
    u8 wanted = align_of(access), align = s->align ? s->align : wanted;
    s64 low = first < s->first ? first : s->first, high = end > s->end ? end : s->end;
    if (align) {
        s64 aligned = s->align ? s->first : first;
        low -= (low - aligned) & (align - 1);
        bool off = (first - aligned) & (align - 1);
        if (wanted && (wanted != align || off)) {
            return false;
        }
    }
    bool asks = (access->write && !s->write) || align != s->align;
    if (high - low > SPAN_MAX || (asks && s->jumped)) {
        return false;
    }
    s->first = (s32)low;
    s->end = (s32)high;
    s->align = align;
    s->write |= access->write;
    s->followers++;
    return true;
}

// Joins the group of its registers, or begins one.
static void plan_access(struct planner *p, unsigned i, const struct reach *reach)
{
    struct shares *shares = p->shares;
    const struct place *at = &reach->place;
    const struct access *access = &reach->access;
    s64 first = (s64)at->disp + p->moved[at->base] + ((s64)p->moved[at->index] << at->scale);
    s64 end = first + access->size;
    if (first != (s32)first || end != (s32)end || at->disp < INT32_MIN + SPAN_MAX ||
        first < INT32_MIN + SPAN_MAX) {
        return;
    }
    for (unsigned n = shares->count; n > 0; n--) {
        struct share *s = &shares->of[n - 1];
        if (!same_registers(p, s, at)) {
            continue;
        }
        if (!join(s, access, first, end)) {
            break;
        }
        shares->use[i] = (struct share_use){(u8)n, (s32)first};
        return;
    }
    shares->of[shares->count++] = (struct share){.base = at->base,
                                                 .index = at->index,
                                                 .scale = at->scale,
                                                 .base_version = p->version[at->base],
                                                 .index_version = p->version[at->index],
                                                 .leader = (u8)i,
                                                 .align = align_of(access),
                                                 .write = access->write,
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
        if (s->followers && slots < JIT_SHARED) {
            s->slot = (u8)++slots;
            t->shares.waiting += s->followers;
        }
    }
}

// Whether RCX is the same behind the instruction, or 0; reach: whether that holds for one with a
// memory operand, if the operand is not looked up.
static bool keeps_rcx(const struct translator *t, const struct insn *insn, bool reach)
{
    if (vector_level(insn)) {
        struct access access;
        return !t->vectors.needs[t->i] && vector_written(insn) != UINT32_MAX &&
               vector_spares_scratch(insn) && (reach || !vector_access(insn, &access));
    }
    if (is_condition_jump(insn)) {
        return insn->imm < PAGE_SIZE;
    }
    if (reach && insn->op == OP_PUSH) {
        return insn->form == FORM_R && host_of(t, insn->reg) != HOST_NONE;
    }
    bool registers = insn->form == FORM_R || insn->form == FORM_RR || insn->form == FORM_RI;
    return (reach || registers) && spares_scratch(t, insn);
}

void shares_pass(struct translator *t)
{
    if (!t->shares.use[t->i].share && !keeps_rcx(t, current_insn(t), false)) {
        t->shares.in_rcx = 0;
    }
}

static struct host_operand slot_of(const struct share *s)
{
    return host_at(HOST_STATE, (s32)(offsetof(struct cpu, jit_frame.shared) + 8 * (s->slot - 1)));
}

// --- jumps to stubs that lie where JRCXZ reaches them

// A jump's displacement, of a jump in reach that is not used yet, or NULL.
static u8 *take_island(struct translator *t)
{
    struct shares *shares = &t->shares;
    for (unsigned n = 0; n < shares->island_count; n++) {
        u8 *island = shares->island[n];
        if (island && t->e.write + 2 - island <= 128) {
            shares->island[n] = NULL;
            return island;
        }
    }
    return NULL;
}

static unsigned islands_wanted(const struct translator *t)
{
    return t->shares.waiting < SHARE_ISLANDS ? t->shares.waiting : SHARE_ISLANDS;
}

static void emit_islands(struct translator *t, unsigned count)
{
    t->shares.island_count = count;
    for (unsigned n = 0; n < count; n++) {
        t->shares.island[n] = t->e.write;
        emit_jmp(&t->e, NULL);
    }
}

// Goes on if RCX is not 0. Returns the displacement of the jump else.
static u8 *emit_jump_if_zero(struct translator *t)
{
    struct emitter *e = &t->e;
    u8 *island = take_island(t);
    if (island) {
        emit_jrcxz_back(e, island);
        return island + 1;
    }
    unsigned islands = islands_wanted(t);
    emit_jrcxz(e, 2);
    emit_bytes(e, (const u8[]){0xEB, (u8)(5 * (1 + islands))}, 2); // jmp over them
    u8 *jump = emit_jmp(e, NULL);
    emit_islands(t, islands);
    return jump;
}

// --- accesses

static void emit_lookup_group(struct translator *t, unsigned address, const struct share *s)
{
    s32 last = s->end - s->first - 1;
    struct access access = {.write = s->write};
    if (s->align) { // what is behind the last aligned place lies in its page
        last &= ~(s->align - 1);
        access = (struct access){.size = s->align, .write = s->write, .aligned = true};
    }
    emit_lookup_page(t, address, address, last, &access);
}

// Of the current instruction's operand: bytes above the first that its group reaches.
static s32 above(const struct translator *t, const struct share *s)
{
    return t->shares.use[t->i].at - s->first;
}

static struct site *add_share_site(struct translator *t, u8 *jump, enum site_kind kind,
                                   const struct access *access)
{
    add_site(t, jump, kind, 0);
    struct site *site = &t->sites[t->site_count - 1];
    site->access = *access;
    return site;
}

// All that the group reaches is looked up.
static struct host_operand lead(struct translator *t, struct share *s, const struct place *place,
                                const struct access *access)
{
    struct emitter *e = &t->e;
    struct place low = *place;
    low.disp -= above(t, s);
    unsigned address = emit_place(t, &low);
    unsigned islands = islands_wanted(t);
    emit_lookup_group(t, address, s);
    emit_jrcxz(e, 5 * (1 + islands));
    struct site *site = add_share_site(t, emit_jmp(e, NULL), SITE_LEAD, access);
    site->address = (u8)address;
    emit_islands(t, islands);
    emit_lea(e, HOST_RCX, host_indexed(address, DISTANCE, 0, 0));
    emit_store(e, 3, HOST_RCX, slot_of(s));
    site->back = emit_here(e);
    s->led = true;
    return host_indexed(address, DISTANCE, 0, above(t, s));
}

// spares: the operand is relative to RCX, which keeps the group's address; else to r10.
static struct host_operand follow(struct translator *t, struct share *s, const struct place *place,
                                  const struct access *access, bool spares)
{
    struct emitter *e = &t->e;
    t->shares.waiting--;
    if (!spares || t->shares.in_rcx != t->shares.use[t->i].share) {
        emit_load(e, 3, HOST_RCX, slot_of(s));
    }
    struct site *site = add_share_site(t, emit_jump_if_zero(t), SITE_FOLLOW, access);
    site->place = *place;
    if (spares) {
        return host_at(HOST_RCX, above(t, s));
    }
    emit_mov(e, 3, HOST_R10, HOST_RCX);
    site->back = emit_here(e);
    return host_at(HOST_R10, above(t, s));
}

bool share_operand(struct translator *t, const struct place *place, const struct access *access,
                   struct host_operand *operand)
{
    const struct share_use *use = &t->shares.use[t->i];
    if (t->shares.given) {
        *operand = *t->shares.given;
        return true;
    }
    struct share *s = use->share ? &t->shares.of[use->share - 1] : NULL;
    bool shares = s && s->slot && place->base == s->base && place->index == s->index &&
                  place->scale == s->scale && (!access->write || s->write) &&
                  use->at + (s32)access->size <= s->end && (s->leader == t->i || s->led);
    bool spares = shares && keeps_rcx(t, current_insn(t), true);
    if (shares) {
        *operand =
            s->leader == t->i ? lead(t, s, place, access) : follow(t, s, place, access, spares);
    }
    t->shares.in_rcx = spares ? use->share : 0;
    return shares;
}

static void emit_lead_stub(struct translator *t, const struct site *site, const struct share *s)
{
    struct emitter *e = &t->e;
    emit_mov_imm_to(e, 3, slot_of(s), 0);
    emit_lea(e, DISTANCE, host_at(site->address, above(t, s)));
    emit_lookup_page(t, DISTANCE, site->address, above(t, s) + last_of(&site->access),
                     &site->access);
    emit_interpreted_unless_zero(t);
    emit_jmp(e, site->back);
}

// Where RCX is kept, it stays 0: the instruction is executed here.
static void emit_follow_stub(struct translator *t, const struct site *site, const struct share *s)
{
    struct emitter *e = &t->e;
    unsigned address = emit_place(t, &site->place);
    emit_lookup_page(t, address, address, last_of(&site->access), &site->access);
    emit_interpreted_unless_zero(t);
    if (keeps_rcx(t, current_insn(t), true)) {
        struct host_operand operand = host_indexed(address, DISTANCE, 0, 0);
        t->shares.given = &operand;
        CHECK(translate_insn(t));
        t->shares.given = NULL;
        emit_jmp(e, t->after[t->i]);
        return;
    }
    emit_lea(e, HOST_R10, host_indexed(address, DISTANCE, 0, -above(t, s)));
    emit_jmp(e, site->back);
}

// The access by itself.
void emit_share_stub(struct translator *t, const struct site *site)
{
    const struct share *s = &t->shares.of[t->shares.use[t->i].share - 1];
    emit_patch(site->jump, t->e.to_run, emit_here(&t->e));
    (site->kind == SITE_LEAD ? emit_lead_stub : emit_follow_stub)(t, site, s);
}
