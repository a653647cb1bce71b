// SPDX-License-Identifier: MIT
// Addresses, and the flag-free check of the software TLB (ENGINE.md, "The check").
#include "cpu/jit/translator.h"

#define ADDRESS HOST_R11
#define SCRATCH HOST_R10

unsigned use_slot(struct translator *t, unsigned slot, unsigned scratch)
{
    if (slot < 16) {
        return use_reg(t, slot, scratch);
    }
    emit_load(&t->e, 3, scratch, gpr_slot(slot));
    return scratch;
}

struct place place_of(const struct insn *insn)
{
    return (struct place){insn->base, insn->index, insn->scale, insn->disp};
}

static bool is_plain_register(const struct translator *t, const struct place *place)
{
    return place->index == SLOT_ZERO && place->disp == 0 && place->base < 16 &&
           host_of(t, place->base) != HOST_NONE;
}

// encoding: LEA's, for what is left of the sum.
static unsigned emit_sum(struct translator *t, const struct place *place, unsigned to, u32 encoding)
{
    unsigned base = HOST_NONE, index = HOST_NONE;
    if (place->base != SLOT_ZERO) {
        base = use_slot(t, place->base, ADDRESS);
    }
    if (place->index == SLOT_8192) {
        // It stands for a displacement just beyond 32 bits (take_memory() in isa/decode.c).
        emit_lea(&t->e, ADDRESS, host_at(base, place->disp));
        emit_op(&t->e, encoding, to, host_at(ADDRESS, 8192));
        return to;
    }
    if (place->index != SLOT_ZERO) {
        index = use_slot(t, place->index, SCRATCH);
    }
    emit_op(&t->e, encoding, to, host_indexed(base, index, place->scale, place->disp));
    return to;
}

unsigned emit_offset(struct translator *t, unsigned to, bool narrow)
{
    const struct insn *insn = current_insn(t);
    struct place place = place_of(insn);
    bool addr32 = insn->flags & INSN_ADDR32;
    if (is_plain_register(t, &place) && !addr32) {
        return host_of(t, insn->base);
    }
    return emit_sum(t, &place, to, 0x8D | (narrow || addr32 ? 0 : ENC_W));
}

unsigned emit_place(struct translator *t, const struct place *place)
{
    return is_plain_register(t, place) ? host_of(t, place->base)
                                       : emit_sum(t, place, ADDRESS, 0x8D | ENC_W);
}

unsigned emit_address(struct translator *t)
{
    const struct insn *insn = current_insn(t);
    unsigned address = emit_offset(t, ADDRESS, false);
    if ((insn->flags & INSN_EA_GENERAL) && insn->seg >= CPU_FS) {
        emit_load(&t->e, 3, SCRATCH,
                  host_at(HOST_STATE,
                          (s32)(offsetof(struct cpu, seg) + insn->seg * sizeof(struct cpu_segment) +
                                offsetof(struct cpu_segment, base))));
        emit_lea(&t->e, ADDRESS, host_indexed(address, SCRATCH, 0, 0));
        address = ADDRESS;
    }
    return address;
}

static struct host_operand table_entry(size_t offset)
{
    struct host_operand o = host_indexed(HOST_NONE, SCRATCH, 3, (s32)offset);
    o.gs = true;
    return o;
}

void emit_lookup_page(struct translator *t, unsigned first, unsigned from, s32 last,
                      const struct access *access)
{
    struct emitter *e = &t->e;
    size_t column =
        access->write ? offsetof(struct tlb_tables, write) : offsetof(struct tlb_tables, read);
    emit_shrx(e, SCRATCH, first, HOST_COUNTER);                    // the page's number
    emit_op(e, 0xB7 | ENC_0F, SCRATCH, host_reg_operand(SCRATCH)); // movzx: TLB_INDEX_BITS
    emit_load(e, 3, HOST_RCX, table_entry(column + offsetof(struct tlb_column, neg)));
    emit_lea(e, HOST_RCX, host_indexed(HOST_RCX, from, 0, last));
    if (access->aligned) {
        emit_pext(e, HOST_RCX, HOST_RCX,
                  access->size == 32 ? STATE(jit_frame.aligned32) : STATE(jit_frame.aligned16));
    } else {
        emit_shrx(e, HOST_RCX, HOST_RCX, HOST_COUNTER);
    }
    emit_load(e, 3, SCRATCH, table_entry(column + offsetof(struct tlb_column, add)));
}

static struct host_operand check(struct translator *t, unsigned address,
                                 const struct access *access)
{
    struct emitter *e = &t->e;
    emit_lookup_page(t, address, address, last_of(access), access);
    emit_jrcxz(e, 5);
    if (!access->write && !access->aligned && access->size > 1) {
        add_site(t, emit_jmp(e, NULL), SITE_READ, (u16)(access->size << 8 | address));
    } else {
        emit_jump_slow(t);
    }
    return host_indexed(address, SCRATCH, 0, 0);
}

struct host_operand emit_check(struct translator *t, unsigned address, unsigned size, bool write)
{
    struct access access = {.size = size, .write = write};
    t->run.refused = true;
    return check(t, address, &access);
}

struct host_operand emit_stack_operand(struct translator *t, u8 base, s32 disp, bool write)
{
    struct place place = {base, SLOT_ZERO, 0, disp};
    struct access access = {.size = 8, .write = write};
    struct host_operand shared;
    t->run.refused = true;
    if (share_operand(t, &place, &access, &shared)) {
        return shared;
    }
    return check(t, emit_place(t, &place), &access);
}

void emit_range_check(struct translator *t, unsigned first, unsigned last, bool write)
{
    struct access access = {.write = write};
    t->run.refused = true;
    emit_lookup_page(t, first, last, 0, &access);
    emit_jrcxz(&t->e, 5);
    emit_jump_slow(t);
}

// What the current instruction accesses, for page_run.c.
static void note_access(struct translator *t, const struct access *access)
{
    struct page_run *run = &t->run;
    if (run->access_count && run->accesses[run->access_count - 1].insn == t->i) {
        run->refused = true;
        return;
    }
    run->accesses[run->access_count++] = (struct run_access){.insn = (u8)t->i,
                                                             .size = (u8)access->size,
                                                             .write = access->write,
                                                             .aligned = access->aligned};
}

struct host_operand emit_access(struct translator *t, const struct access *access)
{
    if (t->run.active) {
        return run_operand(t);
    }
    struct place place = place_of(current_insn(t));
    struct host_operand shared;
    if (!t->shares.given) {
        note_access(t, access);
    }
    if (share_operand(t, &place, access, &shared)) {
        return shared;
    }
    return check(t, emit_address(t), access);
}

struct host_operand emit_operand(struct translator *t, unsigned size, bool write)
{
    struct access access = {.size = size, .write = write};
    return emit_access(t, &access);
}
