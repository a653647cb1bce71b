// SPDX-License-Identifier: MIT
// Reads across the end of a page: unaligned ones of copying loops, mostly. Where the TLB has both
// pages the operand is put together in the frame, and the instruction reads it there.
#include "cpu/jit/jit_internal.h"
#include "cpu/jit/regmap.h"

// In what is CALLed the return address lies between the stack pointer and the CPU.
#define CALLED(member) host_at(HOST_STATE, (s32)offsetof(struct cpu, member) + 8)

#define CONDITION_AE 3
#define CONDITION_E 4
#define CONDITION_NE 5
#define CONDITION_BE 6

static struct host_operand read_entry(unsigned index, size_t offset)
{
    struct host_operand o =
        host_indexed(HOST_NONE, index, 3, (s32)(offsetof(struct tlb_tables, read) + offset));
    o.gs = true;
    return o;
}

// index becomes that of an address in the TLB.
static void emit_index(struct emitter *e, unsigned index, unsigned address)
{
    emit_mov(e, 3, index, address);
    emit_op(e, 0xC1 | ENC_W, 5, host_reg_operand(index)); // shr
    emit_imm(e, PAGE_SHIFT, 1);
    emit_op(e, 0xB7 | ENC_0F, index, host_reg_operand(index)); // movzx: TLB_INDEX_BITS
}

static void emit_save(struct emitter *e)
{
    emit_store(e, 3, HOST_RAX, CALLED(jit_frame.across_rax));
    emit_bytes(e, (const u8[]){0x9F, 0x0F, 0x90, 0xC0}, 4); // lahf; seto al
    emit_store(e, 1, HOST_RAX, CALLED(flags));
    emit_store(e, 3, HOST_RSI, CALLED(jit_frame.across_rsi));
    emit_store(e, 3, HOST_RDI, CALLED(jit_frame.across_rdi));
}

static void emit_return(struct emitter *e)
{
    emit_load(e, 3, HOST_RSI, CALLED(jit_frame.across_rsi));
    emit_load(e, 3, HOST_RDI, CALLED(jit_frame.across_rdi));
    emit_op(e, 0xB7 | ENC_0F, HOST_RAX, CALLED(flags)); // movzx eax, word
    emit_bytes(e, (const u8[]){0x04, 0x7F, 0x9E}, 3);   // add al, 7F; sahf
    emit_load(e, 3, HOST_RAX, CALLED(jit_frame.across_rax));
    emit_bytes(e, (const u8[]){0xC3}, 1);
}

// RAX bytes of the operand lie in the second page, RCX in the first, whose index is in r10. Jumps
// where the result is patched if the TLB does not have the second page. across_from: where it is.
static u8 *emit_second_page(struct emitter *e, u8 **at_zero)
{
    emit_lea(e, HOST_RDI, host_indexed(HOST_R11, HOST_RCX, 0, 0));
    emit_op(e, 0x85 | ENC_W, HOST_RDI, host_reg_operand(HOST_RDI)); // test: beyond the last page
    *at_zero = emit_jcc(e, CONDITION_E, NULL);
    emit_index(e, HOST_RSI, HOST_RDI);
    emit_op(e, 0x03 | ENC_W, HOST_RDI, read_entry(HOST_RSI, offsetof(struct tlb_column, neg)));
    u8 *miss = emit_jcc(e, CONDITION_NE, NULL);
    emit_load(e, 3, HOST_RDI, read_entry(HOST_RSI, offsetof(struct tlb_column, add)));
    emit_lea(e, HOST_RDI, host_indexed(HOST_RDI, HOST_R11, 0, 0));
    emit_lea(e, HOST_RDI, host_indexed(HOST_RDI, HOST_RCX, 0, 0));
    emit_store(e, 3, HOST_RDI, CALLED(jit_frame.across_from));
    return miss;
}

static void emit_copy(struct emitter *e)
{
    static const u8 rep_movsb[] = {0xF3, 0xA4};
    emit_load(e, 3, HOST_R10, read_entry(HOST_R10, offsetof(struct tlb_column, add)));
    emit_lea(e, HOST_RSI, host_indexed(HOST_R10, HOST_R11, 0, 0));
    emit_lea(e, HOST_RDI, CALLED(jit_frame.across));
    emit_bytes(e, rep_movsb, 2);
    emit_load(e, 3, HOST_RSI, CALLED(jit_frame.across_from));
    emit_mov(e, 2, HOST_RCX, HOST_RAX);
    emit_bytes(e, rep_movsb, 2);
    emit_lea(e, HOST_R10, CALLED(jit_frame.across));
    emit_op(e, 0x2B | ENC_W, HOST_R10, host_reg_operand(HOST_R11)); // sub
}

// CALLed with a linear address in r11 and up to 64 bytes in RCX. RCX becomes 0 and r10 the distance
// from the address to a copy of these bytes; or RCX is not 0: they do not lie in two pages of the
// TLB. Flags and other registers are kept.
const u8 *across_gate_emit(struct emitter *e)
{
    const u8 *entry = emit_here(e);
    u8 *failed[4];
    emit_save(e);
    emit_index(e, HOST_R10, HOST_R11);
    emit_load(e, 3, HOST_RAX, read_entry(HOST_R10, offsetof(struct tlb_column, neg)));
    emit_op(e, 0x03 | ENC_W, HOST_RAX, host_reg_operand(HOST_R11)); // add: the offset in the page
    emit_op(e, 0x81 | ENC_W, 7, host_reg_operand(HOST_RAX));        // cmp
    emit_imm(e, PAGE_SIZE, 4);
    failed[0] = emit_jcc(e, CONDITION_AE, NULL);
    emit_mov_imm(e, HOST_RSI, PAGE_SIZE);
    emit_op(e, 0x2B, HOST_RSI, host_reg_operand(HOST_RAX)); // sub
    emit_op(e, 0x2B, HOST_RCX, host_reg_operand(HOST_RSI));
    failed[1] = emit_jcc(e, CONDITION_BE, NULL);
    emit_mov(e, 2, HOST_RAX, HOST_RCX);
    emit_mov(e, 2, HOST_RCX, HOST_RSI);
    failed[2] = emit_second_page(e, &failed[3]);
    emit_copy(e);
    emit_return(e);
    for (unsigned i = 0; i < ARRAY_LEN(failed) && !e->overflow; i++) {
        emit_patch(failed[i], e->to_run, emit_here(e));
    }
    emit_mov_imm(e, HOST_RCX, 1);
    emit_return(e);
    return entry;
}
