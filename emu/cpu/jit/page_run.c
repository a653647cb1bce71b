// SPDX-License-Identifier: MIT
// Runs: the second translation of a loop's body, without checks, and what goes before it
// (page_run_plan.c says which loops have one).
#include "cpu/jit/translator.h"

#include "base/check.h"

#define LIMIT HOST_R15  // of iterations, while the counter is in the frame
#define STRIDE_MAX 1024 // of what is only known when it runs

static struct host_operand distance_slot(unsigned group)
{
    return host_at(HOST_STATE, (s32)(offsetof(struct cpu, jit_frame.run_distance) + 8 * group));
}

// The host operand of the current instruction's access: nothing is checked.
struct host_operand run_operand(struct translator *t)
{
    const struct page_run *run = &t->run;
    const struct insn *insn = current_insn(t);
    struct emitter *e = &t->e;
    unsigned n = 0;
    while (run->accesses[n].insn != t->i) {
        n++;
    }
    unsigned group = run->accesses[n].group;
    const struct run_group *g = &run->groups[group];
    unsigned distance = run->hoists ? (group == 0   ? HOST_R10
                                       : group == 1 ? HOST_R11
                                                    : HOST_RCX)
                                    : HOST_R10;
    unsigned base = HOST_NONE, index = HOST_NONE, temporary = run->hoists ? HOST_RCX : HOST_R11;
    if (g->base_moves) {
        base = use_slot(t, g->base, temporary);
    }
    if (g->index_moves) {
        index = use_slot(t, g->index, g->base_moves ? (unsigned)HOST_RCX : temporary);
    }
    if (base != HOST_NONE && index != HOST_NONE) {
        emit_lea(e, temporary, host_indexed(base, index, insn->scale, insn->disp));
        base = temporary;
    }
    if (!run->hoists || group > 1) {
        emit_load(e, 3, distance, distance_slot(group));
    }
    if (g->base_moves && g->index_moves) {
        return host_indexed(base, distance, 0, 0);
    }
    return base != HOST_NONE    ? host_indexed(base, distance, 0, insn->disp)
           : index != HOST_NONE ? host_indexed(distance, index, insn->scale, insn->disp)
                                : host_at(distance, insn->disp);
}

static void emit_bail(struct translator *t, unsigned condition)
{
    t->run.bails[t->run.bail_count++] = emit_jcc(&t->e, condition, NULL);
}

#define CONDITION_B 2
#define CONDITION_AE 3
#define CONDITION_E 4

static void emit_compare(struct emitter *e, unsigned reg, u32 value)
{
    emit_op(e, 0x81 | ENC_W, 7, host_reg_operand(reg));
    emit_imm(e, value, 4);
}

static void emit_keep_flags(struct translator *t)
{
    struct emitter *e = &t->e;
    if (t->run.again) {
        return;
    }
    emit_mov(e, 3, HOST_R11, HOST_RAX);
    emit_bytes(e, (const u8[]){0x9F, 0x0F, 0x90, 0xC0}, 4); // lahf; seto al
    emit_store(e, 1, HOST_RAX, STATE(flags));
    emit_mov(e, 3, HOST_RAX, HOST_R11);
}

static void emit_restore_flags(struct translator *t)
{
    struct emitter *e = &t->e;
    if (t->run.again) {
        t->i = t->block->insn_count - 2u;
        translate_insn(t);
        return;
    }
    emit_mov(e, 3, HOST_R11, HOST_RAX);
    emit_op(e, 0xB7 | ENC_0F, HOST_RAX, STATE(flags));
    emit_bytes(e, (const u8[]){0x04, 0x7F, 0x9E}, 3); // add al, 7F; sahf
    emit_mov(e, 3, HOST_RAX, HOST_R11);
}

// RCX becomes the number of further iterations that r11 as stride allows: RCX bytes are left.
static void emit_divide(struct translator *t, const struct run_group *g)
{
    struct emitter *e = &t->e;
    emit_mov(e, 3, HOST_R11, use_slot(t, g->by, HOST_R11));
    emit_op(e, 0xC1 | ENC_W, 4, host_reg_operand(HOST_R11)); // shl
    emit_imm(e, g->by_scale, 1);
    emit_lea(e, HOST_R10, host_at(HOST_R11, -1));
    emit_compare(e, HOST_R10, STRIDE_MAX);
    emit_bail(t, CONDITION_AE);
    emit_store(e, 3, HOST_RAX, STATE(jit_frame.run_saved));
    emit_mov(e, 3, HOST_R10, HOST_RDX);
    emit_mov(e, 2, HOST_RAX, HOST_RCX);
    emit_mov_imm(e, HOST_RDX, 0);
    emit_op(e, 0xF7, 6, host_reg_operand(HOST_R11)); // div
    emit_mov(e, 2, HOST_RCX, HOST_RAX);
    emit_mov(e, 3, HOST_RDX, HOST_R10);
    emit_load(e, 3, HOST_RAX, STATE(jit_frame.run_saved));
}

// RCX, the offset of the group's last byte in its page, becomes the number of further iterations.
static void emit_iterations(struct translator *t, const struct run_group *g)
{
    struct emitter *e = &t->e;
    u32 stride = (u32)(g->stride < 0 ? -g->stride : g->stride);
    if (g->stride < 0) {
        emit_lea(e, HOST_RCX, host_at(HOST_RCX, -(g->end - g->first - 1)));
    } else {
        emit_op(e, 0x81, 6, host_reg_operand(HOST_RCX)); // xor: what is left behind it
        emit_imm(e, PAGE_MASK, 4);
    }
    if (g->by != SLOT_ZERO) {
        emit_divide(t, g);
    } else if (stride & (stride - 1)) {
        emit_op(e, 0x69, HOST_RCX, host_reg_operand(HOST_RCX)); // imul: one too few at most
        emit_imm(e, 65536 / stride, 4);
        emit_op(e, 0xC1, 5, host_reg_operand(HOST_RCX)); // shr
        emit_imm(e, 16, 1);
    } else {
        emit_op(e, 0xC1, 5, host_reg_operand(HOST_RCX));
        emit_imm(e, (u32)__builtin_ctz(stride), 1);
    }
}

// reg becomes the smaller of the two.
static void emit_minimum(struct emitter *e, unsigned reg, unsigned other)
{
    emit_op(e, 0x3B | ENC_W, reg, host_reg_operand(other));          // cmp
    emit_op(e, 0x47 | ENC_0F | ENC_W, reg, host_reg_operand(other)); // cmova
}

static struct host_operand table_entry(size_t offset)
{
    struct host_operand o = host_indexed(HOST_NONE, HOST_R10, 3, (s32)offset);
    o.gs = true;
    return o;
}

// All that the group reaches must lie in one page of the TLB, which also tells its distance.
static void emit_group(struct translator *t, unsigned n)
{
    const struct run_group *g = &t->run.groups[n];
    struct emitter *e = &t->e;
    size_t column =
        g->write ? offsetof(struct tlb_tables, write) : offsetof(struct tlb_tables, read);
    unsigned base = g->base == SLOT_ZERO ? HOST_NONE : use_slot(t, g->base, HOST_R11);
    unsigned index = g->index == SLOT_ZERO ? HOST_NONE : use_slot(t, g->index, HOST_R10);
    emit_lea(e, HOST_R11, host_indexed(base, index, g->scale, g->first));
    emit_mov(e, 3, HOST_R10, HOST_R11);
    emit_op(e, 0xC1 | ENC_W, 5, host_reg_operand(HOST_R10)); // shr
    emit_imm(e, PAGE_SHIFT, 1);
    emit_op(e, 0xB7 | ENC_0F, HOST_R10, host_reg_operand(HOST_R10)); // movzx: TLB_INDEX_BITS
    emit_load(e, 3, HOST_RCX, table_entry(column + offsetof(struct tlb_column, neg)));
    emit_lea(e, HOST_RCX, host_indexed(HOST_RCX, HOST_R11, 0, g->end - g->first - 1));
    emit_compare(e, HOST_RCX, PAGE_SIZE);
    emit_bail(t, CONDITION_AE);
    emit_load(e, 3, HOST_R10, table_entry(column + offsetof(struct tlb_column, add)));
    if (!g->base_moves && g->base != SLOT_ZERO) {
        base = use_slot(t, g->base, HOST_R11);
        emit_lea(e, HOST_R10, host_indexed(HOST_R10, base, 0, 0));
    }
    if (!g->index_moves && g->index != SLOT_ZERO) {
        index = use_slot(t, g->index, HOST_R11);
        emit_lea(e, HOST_R10, host_indexed(HOST_R10, index, g->scale, 0));
    }
    emit_store(e, 3, HOST_R10, distance_slot(n));
    if (g->stride || g->by != SLOT_ZERO) {
        emit_iterations(t, g);
        emit_minimum(e, LIMIT, HOST_RCX);
    }
}

// RCX: iterations. As many as the steps last for are charged, and kept apart in the counter.
static void emit_charge(struct translator *t, u32 cost)
{
    struct emitter *e = &t->e;
    emit_mov(e, 3, HOST_R11, HOST_COUNTER);
    emit_op(e, 0xD1 | ENC_W, 4, host_reg_operand(HOST_R11)); // shl 1: without JIT_COUNTER_BIAS
    emit_op(e, 0xC1 | ENC_W, 5, host_reg_operand(HOST_R11)); // shr: the steps that are left
    emit_imm(e, 7, 1);
    emit_mov_imm(e, HOST_R10, 0xFFFF);
    emit_minimum(e, HOST_R11, HOST_R10);
    emit_op(e, 0x69 | ENC_W, HOST_R11, host_reg_operand(HOST_R11)); // imul
    emit_imm(e, 65536 / cost, 4);
    emit_op(e, 0xC1 | ENC_W, 5, host_reg_operand(HOST_R11)); // shr: iterations
    emit_imm(e, 16, 1);
    emit_minimum(e, HOST_RCX, HOST_R11);
    emit_op(e, 0x69, HOST_RCX, host_reg_operand(HOST_RCX)); // imul
    emit_imm(e, cost * JIT_STEP, 4);
    emit_op(e, 0x85, HOST_RCX, host_reg_operand(HOST_RCX)); // test
    emit_bail(t, CONDITION_E);
    emit_op(e, 0x2B | ENC_W, HOST_COUNTER, host_reg_operand(HOST_RCX)); // sub
    emit_store(e, 3, HOST_COUNTER, STATE(jit_frame.run_rest));
    emit_mov(e, 3, HOST_COUNTER, HOST_RCX);
}

// Vector registers are live: the iteration before has seen to that. Between iterations: how many
// may follow without a check, if any.
static void emit_preflight(struct translator *t)
{
    struct emitter *e = &t->e;
    emit_keep_flags(t);
    emit_store(e, 3, HOST_COUNTER, STATE(jit_frame.run_rest));
    emit_mov_imm(e, LIMIT, PAGE_SIZE);
    for (unsigned n = 0; n < t->run.group_count; n++) {
        emit_group(t, n);
    }
    emit_lea(e, HOST_RCX, host_at(LIMIT, 1));
    emit_load(e, 3, HOST_COUNTER, STATE(jit_frame.run_rest));
    emit_charge(t, t->block->insn_count);
    if (!t->run.again) {
        emit_restore_flags(t);
    }
    for (unsigned n = 0; n < t->run.group_count && n < 2 && t->run.hoists; n++) {
        emit_load(e, 3, n ? HOST_R11 : HOST_R10, distance_slot(n));
    }
}

// Registers go to where the body has them. No flag is touched.
static void emit_guests_in(struct translator *t)
{
    for (unsigned n = 0; n < t->run.guest_count; n++) {
        const struct run_guest *g = &t->run.guests[n];
        emit_store(&t->e, 3, home_of(g->instead), gpr_slot(g->instead));
        emit_load(&t->e, 3, home_of(g->instead), gpr_slot(g->guest));
    }
}

static void emit_guests_out(struct translator *t)
{
    for (unsigned n = 0; n < t->run.guest_count; n++) {
        const struct run_guest *g = &t->run.guests[n];
        emit_store(&t->e, 3, home_of(g->instead), gpr_slot(g->guest));
        emit_load(&t->e, 3, home_of(g->instead), gpr_slot(g->instead));
    }
}

// The body. False: some instruction of it cannot do without help.
static bool emit_body(struct translator *t)
{
    struct page_run *run = &t->run;
    unsigned sites = t->site_count;
    run->active = true;
    for (t->i = 0; t->i + 1u < t->block->insn_count && !run->refused; t->i++) {
        const struct insn *insn = current_insn(t);
        if (is_condition_jump(insn)) {
            run->exits[run->exit_count++] =
                (struct run_exit){emit_jcc(&t->e, (insn->op - OP_JO) & 15u, NULL), (u8)t->i};
        } else if (!translate_insn(t)) {
            run->refused = true;
        }
    }
    run->active = false;
    return !run->refused && sites == t->site_count;
}

// Gives back what was charged for iterations that are not done, and goes on behind the loop.
static void emit_leave_run(struct translator *t)
{
    struct emitter *e = &t->e;
    emit_guests_out(t);
    emit_load(e, 3, HOST_RCX, STATE(jit_frame.run_rest));
    emit_lea(e, HOST_COUNTER, host_indexed(HOST_COUNTER, HOST_RCX, 0, 0));
    emit_jmp(e, t->after[t->block->insn_count - 1]);
}

static unsigned turn_condition(const struct translator *t)
{
    return (t->block->insns[t->block->insn_count - 1].op - OP_JO) & 15u;
}

static u32 cost_of(const struct translator *t)
{
    return t->block->insn_count * JIT_STEP;
}

// Behind the body: on to the next iteration, to the preflight after the last one that is allowed,
// or out of the loop. Touches no flag.
static void emit_turn(struct translator *t, const u8 *preflight, const u8 *body)
{
    struct emitter *e = &t->e;
    emit_lea(e, HOST_COUNTER, host_at(HOST_COUNTER, -(s32)cost_of(t)));
    emit_mov(e, 3, HOST_RCX, HOST_COUNTER);
    emit_jrcxz(e, 0);
    u8 *over = e->write;
    emit_jcc(e, turn_condition(t), body);
    emit_leave_run(t);
    if (!e->overflow) {
        CHECK(e->write - over <= INT8_MAX);
        over[-1] = (u8)(e->write - over);
    }
    emit_guests_out(t);
    emit_load(e, 3, HOST_COUNTER, STATE(jit_frame.run_rest));
    emit_jcc(e, turn_condition(t), preflight);
    emit_jmp(e, t->after[t->block->insn_count - 1]);
}

// A short body fits one line of the host's caches.
static void emit_alignment(struct emitter *e)
{
    unsigned distance = (unsigned)-(uintptr_t)e->write % 64;
    if (distance >= 5) {
        emit_jmp(e, emit_here(e) + distance);
        distance -= 5;
    }
    for (; distance; distance--) {
        emit_bytes(e, (const u8[]){0x90}, 1);
    }
}

// The iterations, from a preflight on.
static bool emit_iterations_of(struct translator *t, const u8 *preflight)
{
    struct emitter *e = &t->e;
    emit_alignment(e);
    const u8 *body = emit_here(e);
    u8 *over = NULL;
    if (t->run.again) {                                              // nobody sees flags here
        emit_op(e, 0x81 | ENC_W, 5, host_reg_operand(HOST_COUNTER)); // sub
        emit_imm(e, cost_of(t), 4);
        over = emit_jcc(e, CONDITION_B, NULL);
    }
    if (!emit_body(t)) {
        return false;
    }
    if (!t->run.again) {
        emit_turn(t, preflight, body);
        return true;
    }
    emit_jcc(e, turn_condition(t), body);
    emit_leave_run(t);
    if (!e->overflow) {
        emit_patch(over, e->to_run, emit_here(e));
    }
    emit_guests_out(t);
    emit_load(e, 3, HOST_COUNTER, STATE(jit_frame.run_rest));
    emit_jmp(e, preflight);
    return true;
}

// Where it cannot be: a checked iteration.
static void emit_bails(struct translator *t)
{
    struct emitter *e = &t->e;
    for (unsigned n = 0; n < t->run.bail_count && !e->overflow; n++) {
        emit_patch(t->run.bails[n], e->to_run, emit_here(e));
    }
    emit_load(e, 3, HOST_COUNTER, STATE(jit_frame.run_rest));
    emit_restore_flags(t);
    emit_jmp(e, t->block->entry);
}

// The block's jump back, if it has one to its own beginning within the page.
static struct site *jump_back(struct translator *t)
{
    unsigned last = t->block->insn_count - 1u;
    const struct insn *insn = &t->block->insns[last];
    for (unsigned n = 0;
         is_condition_jump(insn) && insn->imm == t->block->offset && n < t->site_count; n++) {
        const struct site *site = &t->sites[n];
        if (site->kind == SITE_LINK && site->insn == last && site->offset == t->block->offset) {
            return &t->sites[n];
        }
    }
    return NULL;
}

void emit_page_run(struct translator *t)
{
    struct page_run *run = &t->run;
    struct emitter *e = &t->e;
    struct site *back = jump_back(t);
    if (!back || !page_run_plan(t)) {
        return;
    }
    u8 *start = e->write;
    const u8 *preflight = emit_here(e);
    emit_preflight(t);
    emit_guests_in(t);
    if (!emit_iterations_of(t, preflight)) {
        e->write = start;
        run->exit_count = 0;
        return;
    }
    emit_bails(t);
    if (!e->overflow) {
        emit_patch(back->jump, e->to_run, preflight);
        back->kind = SITE_RUN;
    }
}

// Other ways out of the body give back what was charged for iterations that are not done.
void emit_run_exits(struct translator *t)
{
    struct emitter *e = &t->e;
    for (unsigned n = 0; n < t->run.exit_count && !e->overflow; n++) {
        const struct run_exit *out = &t->run.exits[n];
        const u8 *stub = NULL;
        for (unsigned s = 0; s < t->site_count; s++) {
            stub = t->sites[s].insn == out->insn ? t->sites[s].stub : stub;
        }
        emit_patch(out->jump, e->to_run, emit_here(e));
        emit_guests_out(t);
        emit_load(e, 3, HOST_RCX, STATE(jit_frame.run_rest));
        emit_lea(e, HOST_COUNTER,
                 host_indexed(HOST_COUNTER, HOST_RCX, 0, t->run.again ? 0 : -(s32)cost_of(t)));
        emit_jmp(e, stub);
    }
}
