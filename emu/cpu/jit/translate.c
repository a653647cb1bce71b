// SPDX-License-Identifier: MIT
// From decoded instructions to a block of host code: which instructions belong to it, its entry,
// and the stubs behind it.
#include "cpu/jit/translator.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

typedef bool (*translate_fn)(struct translator *t);

// clang-format off
// By operation, ranges in the order of x86_ops.def. Where there is none, tr_vector looks whether
// the host does it; else it is the interpreter's.
static const translate_fn families[X86_OP_COUNT] = {
    [OP_ADD ... OP_TEST] = tr_alu,
    [OP_NOT ... OP_DEC] = tr_unary,
    [OP_MUL] = tr_mul,
    [OP_IMUL] = tr_imul,
    [OP_DIV] = tr_div,
    [OP_CBW ... OP_CQO] = tr_widen,
    [OP_ROL ... OP_ROR] = tr_shift,
    [OP_SHL ... OP_SAR] = tr_shift,
    [OP_SHLD ... OP_SHRD] = tr_double_shift,
    [OP_MOV] = tr_mov,
    [OP_MOVNTI] = tr_mov,
    [OP_MOVZX ... OP_MOVSXD] = tr_movx,
    [OP_MOVBE] = tr_movbe,
    [OP_LEA] = tr_lea,
    [OP_XCHG] = tr_xchg,
    [OP_XADD] = tr_xadd,
    [OP_CMPXCHG] = tr_cmpxchg,
    [OP_BSWAP] = tr_bswap,
    [OP_CMOVO ... OP_CMOVNLE] = tr_cmov,
    [OP_SETO ... OP_SETNLE] = tr_setcc,
    [OP_JO ... OP_JNLE] = tr_jcc,
    [OP_JMP] = tr_jmp,
    [OP_CALL] = tr_call,
    [OP_RET] = tr_ret,
    [OP_PUSH] = tr_push,
    [OP_POP] = tr_pop,
    [OP_LEAVE] = tr_leave,
    [OP_BT ... OP_BTC] = tr_bt,
    [OP_TZCNT ... OP_POPCNT] = tr_bit_count,
    [OP_ANDN ... OP_BLSR] = tr_bmi,
    [OP_MOVSB ... OP_SCASQ] = tr_string,
    [OP_CLC ... OP_CMC] = tr_flag,
    [OP_LAHF ... OP_SAHF] = tr_flag,
    [OP_NOP] = tr_flag,
    [OP_PAUSE] = tr_pause,
    [OP_PREFETCH ... OP_PREFETCHT2] = tr_flag,
    [OP_SWAPGS] = tr_swapgs,
    [OP_LFENCE ... OP_MFENCE] = tr_flag,
    [OP_CLI] = tr_cli,
    [OP_STI] = tr_sti,
};
// clang-format on

bool translate_insn(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    translate_fn fn = families[insn->op] ? families[insn->op] : tr_vector;
    return insn->fn != op_too_long && fn(t);
}

void add_site(struct translator *t, u8 *jump, enum site_kind kind, u16 offset)
{
    CHECK(t->site_count < SITES_MAX);
    t->sites[t->site_count++] = (struct site){.jump = jump,
                                              .kind = (u8)kind,
                                              .insn = (u8)t->i,
                                              .offset = offset,
                                              .back = emit_here(&t->e)};
}

void emit_jump_slow(struct translator *t)
{
    add_site(t, emit_jmp(&t->e, NULL), SITE_INSN, 0);
}

void emit_interpreted(struct translator *t)
{
    emit_mov_imm(&t->e, HOST_R10, (u64)(uintptr_t)current_insn(t));
    emit_call(&t->e, t->jit->gates.insn);
}

// What ends a block behind itself: it goes elsewhere, or the loop must look afterwards.
static bool ends_block(const struct insn *insn)
{
    if (insn->op == OP_STI || insn->op == OP_SWAPGS || insn->op == OP_PAUSE) {
        return false; // tr_system.c
    }
    if (insn->op == OP_INVALID || (insn->flags & INSN_END)) {
        return true;
    }
    if (!(insn->flags & INSN_SETS_RIP)) {
        return false;
    }
    // A conditional jump back is a loop: it is better entered at its beginning again.
    bool conditional = insn->op >= OP_JO && insn->op <= OP_JNLE;
    return !conditional || insn->imm <= insn->offset;
}

// Copies the instructions from offset on. Returns how many.
static unsigned collect(const struct jit *jit, struct code_page *page, unsigned offset,
                        struct insn insns[BLOCK_INSNS_MAX])
{
    unsigned n = 0;
    while (n < BLOCK_INSNS_MAX && offset < PAGE_SIZE) {
        const struct insn *insn = code_cache_at(jit->code, page, offset);
        if (!insn || insn->fn == op_watched) {
            break;
        }
        insns[n++] = *insn;
        offset += insn->length;
        if (ends_block(insn)) {
            break;
        }
    }
    return n;
}

// In front of the entries, for a jump that is rarely taken: emit_entry()'s way out.
static void emit_entry_island(struct translator *t)
{
    t->entry_island = t->e.write;
    if (t->live_at_entry) {
        add_site(t, emit_jmp(&t->e, NULL), SITE_ENTRY, 0);
    }
}

// Charges the whole block, or leaves in front of it.
static void emit_entry(struct translator *t)
{
    struct emitter *e = &t->e;
    s32 cost = t->block->insn_count * JIT_STEP;
    if (!t->live_at_entry) {
        emit_op(e, 0x81 | ENC_W, 5, host_reg_operand(HOST_COUNTER)); // sub
        emit_imm(e, (u32)cost, 4);
        add_site(t, emit_jcc(e, 9, NULL), SITE_ENTRY, 0); // jns: JIT_COUNTER_BIAS
        return;
    }
    emit_lea(e, HOST_COUNTER, host_at(HOST_COUNTER, -cost));
    emit_pext(e, HOST_RCX, HOST_COUNTER, STATE(jit_frame.sign_mask));
    emit_jrcxz_back(e, t->entry_island);
}

static void emit_insns(struct translator *t)
{
    for (t->i = 0; t->i < t->block->insn_count; t->i++) {
        shares_pass(t);
        if (!translate_insn(t)) {
            emit_interpreted(t);
        }
        t->after[t->i] = emit_here(&t->e);
    }
    t->i = t->block->insn_count - 1u;
    const struct insn *last = current_insn(t);
    if (!ends_block(last) || (last->op >= OP_JO && last->op <= OP_JNLE)) {
        emit_go_on(t, last->offset + last->length);
    }
}

// The stub of a link: asks C for the target, which then makes the jump lead there directly.
static void emit_link_stub(struct translator *t, const struct site *site)
{
    struct jit_block *block = t->block;
    const struct insn *insn = &block->insns[site->insn];
    s32 give_back = (insn->remaining - 1) * JIT_STEP;
    emit_patch(site->jump, t->e.to_run, emit_here(&t->e));
    struct jit_link *link = &block->links[block->link_count++];
    link->from = block;
    link->offset = site->offset;
    link->site = site->jump;
    if (give_back) {
        // What the rest of the block would have cost; the link is behind it.
        emit_lea(&t->e, HOST_COUNTER, host_at(HOST_COUNTER, give_back));
        link->site = emit_jmp(&t->e, NULL);
    }
    link->stub = emit_here(&t->e);
    emit_patch(link->site, t->e.to_run, link->stub);
    emit_mov_imm(&t->e, HOST_R10, (u64)(uintptr_t)link);
    emit_jmp(&t->e, t->jit->gates.exit_link);
}

// Asks for an entry in the jump cache; without, the interpreter executes the jump. What goes on
// behind the block is no instruction, and leaves.
static void emit_jump_stub(struct translator *t, const struct site *site)
{
    struct emitter *e = &t->e;
    emit_patch(site->jump, e->to_run, emit_here(e));
    emit_call(e, t->jit->gates.find_jump);
    emit_jrcxz(e, 5);
    emit_jmp(e, site->back);
    if (site->offset == JUMP_OF_INSN) {
        emit_interpreted(t);
        emit_jmp(e, t->after[t->i]);
    } else {
        emit_jmp(e, t->jit->gates.exit_linear);
    }
}

static void make_links(struct translator *t)
{
    unsigned count = 0;
    for (unsigned n = 0; n < t->site_count; n++) {
        count += t->sites[n].kind == SITE_LINK;
    }
    t->block->links = count ? xcalloc(count, sizeof(struct jit_link)) : NULL;
}

void emit_interpreted_unless_zero(struct translator *t)
{
    struct emitter *e = &t->e;
    emit_jrcxz(e, 0);
    u8 *over = e->write;
    emit_interpreted(t);
    emit_jmp(e, t->after[t->i]);
    if (!e->overflow) {
        over[-1] = (u8)(e->write - over);
    }
}

// r10 becomes the distance of a copy of the operand, if that may be. r11 is kept: CMPS has its
// first operand there.
static void emit_read_stub(struct translator *t, const struct site *site)
{
    struct emitter *e = &t->e;
    emit_patch(site->jump, e->to_run, emit_here(e));
    emit_store(e, 3, HOST_R11, STATE(jit_frame.across_r11));
    if ((site->offset & 0xFF) != HOST_R11) {
        emit_mov(e, 3, HOST_R11, site->offset & 0xFF);
    }
    emit_mov_imm(e, HOST_RCX, site->offset >> 8);
    emit_call(e, t->jit->gates.across);
    emit_load(e, 3, HOST_R11, STATE(jit_frame.across_r11));
    emit_interpreted_unless_zero(t);
    emit_jmp(e, site->back);
}

static void emit_stubs(struct translator *t)
{
    struct emitter *e = &t->e;
    make_links(t);
    for (unsigned n = 0; n < t->site_count && !e->overflow; n++) {
        struct site *site = &t->sites[n];
        t->i = site->insn;
        switch ((enum site_kind)site->kind) {
        case SITE_INSN:
            emit_patch(site->jump, e->to_run, emit_here(e));
            emit_interpreted(t);
            emit_jmp(e, t->after[t->i]);
            break;
        case SITE_JUMP:
            emit_jump_stub(t, site);
            break;
        case SITE_READ:
            emit_read_stub(t, site);
            break;
        case SITE_LINK:
            site->stub = emit_here(e);
            emit_link_stub(t, site);
            break;
        case SITE_LEAD:
        case SITE_FOLLOW:
            emit_share_stub(t, site);
            break;
        case SITE_RUN:
            break;
        case SITE_ENTRY:
            emit_patch(site->jump, e->to_run, emit_here(e));
            emit_lea(e, HOST_COUNTER, host_at(HOST_COUNTER, t->block->insn_count * JIT_STEP));
            emit_mov_imm(e, HOST_R10, t->block->offset);
            emit_jmp(e, t->jit->gates.exit_offset);
            break;
        case SITE_VECTOR:
            emit_patch(site->jump, e->to_run, emit_here(e));
            emit_mov_imm(e, HOST_R10, (u64)(uintptr_t)current_insn(t));
            emit_call(e, site->offset == VECTORS_AVX ? t->jit->gates.vector_avx
                                                     : t->jit->gates.vector_sse);
            emit_jmp(e, site->back);
            break;
        }
    }
}

static struct jit_block *new_block(struct code_page *page, unsigned offset,
                                   const struct insn *insns, unsigned n)
{
    struct jit_block *block = xcalloc(1, sizeof(*block) + n * sizeof(struct insn));
    block->page = page;
    block->offset = (u16)offset;
    block->insn_count = (u16)n;
    memcpy(block->insns, insns, n * sizeof(struct insn));
    for (unsigned i = 0; i < n; i++) {
        block->insns[i].remaining = (u8)(n - i);
    }
    const struct insn *last = &insns[n - 1];
    block->bytes = (u16)(last->offset + last->length - offset);
    return block;
}

static bool emit_block(struct jit *jit, struct translator *t)
{
    struct jit_block *block = t->block;
    t->jit = jit;
    t->e = (struct emitter){.write = jit->memory.write + jit->used,
                            .end = jit->memory.write + JIT_COLD_OFFSET - JIT_CODE_SLACK,
                            .to_run = jit_to_run(jit)};
    vector_plan(t);
    live_flags(t);
    shares_plan(t);
    emit_vector_island(t);
    emit_entry_island(t);
    block->external_write = t->e.write;
    block->external = emit_here(&t->e);
    emit_lea(&t->e, HOST_R11, host_at(HOST_R11, -(s32)block->offset));
    emit_store(&t->e, 3, HOST_R11, STATE(gpr[SLOT_CODE]));
    block->entry = emit_here(&t->e);
    emit_entry(t);
    emit_insns(t);
    emit_page_run(t);
    block->end = emit_here(&t->e);
    // What is rarely executed lies apart, so that the host's caches hold more of the rest.
    t->hot_end = t->e.write;
    bool overflow = t->e.overflow;
    t->e.write = jit->memory.write + jit->cold_used;
    t->e.end = jit->memory.write + JIT_CODE_BYTES - JIT_CODE_SLACK;
    emit_stubs(t);
    emit_run_exits(t);
    return !overflow && !t->e.overflow;
}

struct jit_block *translate(struct jit *jit, struct code_page *page, unsigned offset)
{
    if (UNLIKELY(jit->heap > JIT_HEAP_BYTES)) {
        block_flush(jit);
        return NULL;
    }
    struct insn insns[BLOCK_INSNS_MAX];
    unsigned n = collect(jit, page, offset, insns);
    if (n == 0) {
        return NULL;
    }
    n = unroll(insns, n);
    struct translator t = {.block = new_block(page, offset, insns, n)};
    if (!emit_block(jit, &t)) {
        free(t.block->links);
        free(t.block);
        block_flush(jit);
        return NULL;
    }
    jit->used = ((u64)(t.hot_end - jit->memory.write) + 15) & ~UINT64_C(15);
    jit->cold_used = (u64)(t.e.write - jit->memory.write);
    block_insert(jit, t.block);
    return t.block;
}
