// SPDX-License-Identifier: MIT
// One frame up by Linux's own tables.
#include "debugger/orc.h"

#include <string.h>

#define ENTRY_BYTES 6u
#define KERNEL_HALF (UINT64_C(1) << 63)

// What the caller's stack pointer is reckoned from.
enum {
    FROM_UNDEFINED = 0,
    FROM_PREVIOUS_SP = 1,
    FROM_DX = 2,
    FROM_DI = 3,
    FROM_BP = 4,
    FROM_SP = 5,
    FROM_R10 = 6,
    FROM_R13 = 7,
    FROM_BP_INDIRECT = 8,
    FROM_SP_INDIRECT = 9,
};

// What lies there.
enum kind { KIND_UNDEFINED, KIND_END, KIND_CALL, KIND_REGS, KIND_IRET_FRAME };

// Registers as the instruction set numbers them.
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

struct entry {
    s16 sp_offset, bp_offset;
    u8 sp_from, bp_from;
    enum kind kind;
};

static u64 place_at(const struct orc *orc, u64 index)
{
    s32 distance;
    memcpy(&distance, orc->places + 4 * index, sizeof(distance));
    return orc->places_address + 4 * index + (u64)(s64)distance;
}

static struct entry entry_at(const struct orc *orc, u64 index)
{
    static const u8 old_kinds[] = {KIND_CALL, KIND_REGS, KIND_IRET_FRAME, KIND_UNDEFINED};
    static const u8 kinds[] = {KIND_UNDEFINED, KIND_END,       KIND_CALL,      KIND_REGS,
                               KIND_IRET_FRAME, KIND_UNDEFINED, KIND_UNDEFINED, KIND_UNDEFINED};
    const u8 *at = orc->entries + ENTRY_BYTES * index;
    struct entry e = {.sp_from = at[4] & 15, .bp_from = at[4] >> 4};
    memcpy(&e.sp_offset, at, 2);
    memcpy(&e.bp_offset, at + 2, 2);
    if (orc->has_end_bit) {
        e.kind = e.sp_from == FROM_UNDEFINED ? KIND_END : old_kinds[at[5] & 3];
    } else {
        e.kind = kinds[at[5] & 7];
    }
    return e;
}

// The last entry at or before the address.
static bool find(const struct orc *orc, u64 address, struct entry *out)
{
    u64 low = 0, high = orc->count;
    while (low < high) {
        u64 middle = (low + high) / 2;
        if (place_at(orc, middle) <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (!low) {
        return false;
    }
    *out = entry_at(orc, low - 1);
    return true;
}

static bool load(symbols_read_fn read, void *ctx, u64 address, u64 *out)
{
    return read(ctx, address, out, sizeof(*out));
}

// Where the frame ends: the caller's stack pointer, or the saved registers.
static bool frame_end(const struct entry *e, const struct symbol_frame *f, symbols_read_fn read,
                      void *ctx, u64 *out)
{
    u64 offset = (u64)(s64)e->sp_offset;
    switch (e->sp_from) {
    case FROM_SP:
        *out = f->gpr[RSP] + offset;
        return true;
    case FROM_BP:
        *out = f->gpr[RBP] + offset;
        return true;
    case FROM_BP_INDIRECT:
        return load(read, ctx, f->gpr[RBP] + offset, out);
    case FROM_SP_INDIRECT:
        if (!load(read, ctx, f->gpr[RSP], out)) {
            return false;
        }
        *out += offset;
        return true;
    case FROM_DX:
        *out = f->gpr[RDX];
        return true;
    case FROM_DI:
        *out = f->gpr[RDI];
        return true;
    case FROM_R10:
        *out = f->gpr[R10];
        return true;
    case FROM_R13:
        *out = f->gpr[R13];
        return true;
    default:
        return false;
    }
}

// struct pt_regs (arch/x86/include/asm/ptrace.h).
static bool restore_all(struct symbol_frame *f, u64 at, symbols_read_fn read, void *ctx)
{
    static const u8 order[] = {R15, R14, R13, R12, RBP, RBX, R11, R10,
                               R9,  R8,  RAX, RCX, RDX, RSI, RDI};
    u64 words[20]; // ... orig_ax ip cs flags sp
    if (!read(ctx, at, words, sizeof(words))) {
        return false;
    }
    for (unsigned i = 0; i < sizeof(order); i++) {
        f->gpr[order[i]] = words[i];
    }
    f->rip = words[16];
    f->gpr[RSP] = words[19];
    return true;
}

static bool restore_iret(struct symbol_frame *f, u64 at, symbols_read_fn read, void *ctx)
{
    u64 words[4]; // ip cs flags sp
    if (!read(ctx, at, words, sizeof(words))) {
        return false;
    }
    f->rip = words[0];
    f->gpr[RSP] = words[3];
    return true;
}

static bool restore_bp(const struct entry *e, struct symbol_frame *up, u64 end,
                       symbols_read_fn read, void *ctx)
{
    u64 offset = (u64)(s64)e->bp_offset;
    switch (e->bp_from) {
    case FROM_PREVIOUS_SP:
        return load(read, ctx, end + offset, &up->gpr[RBP]);
    case FROM_BP:
        return load(read, ctx, up->gpr[RBP] + offset, &up->gpr[RBP]);
    default:
        return true;
    }
}

// The kernel's first instruction after SYSCALL: the stack is still the program's, and the way back
// stands in RCX.
static enum orc_result end_of_table(struct symbol_frame *frame)
{
    if (!frame->exact || frame->gpr[RSP] & KERNEL_HALF || frame->gpr[RCX] & KERNEL_HALF ||
        !frame->gpr[RCX]) {
        return ORC_OUTERMOST;
    }
    frame->rip = frame->gpr[RCX];
    frame->how = SYMBOL_UNWIND_CFI;
    return ORC_UP;
}

enum orc_result orc_unwind(const struct orc *orc, u64 address, struct symbol_frame *frame,
                           symbols_read_fn read, void *ctx)
{
    struct entry e;
    struct symbol_frame up = *frame;
    u64 end;
    if (!orc->count || !find(orc, address, &e)) {
        return ORC_UNKNOWN;
    }
    if (e.kind == KIND_END) {
        return end_of_table(frame);
    }
    if (e.kind == KIND_UNDEFINED || !frame_end(&e, frame, read, ctx, &end)) {
        return ORC_UNKNOWN;
    }
    bool fine = e.kind == KIND_REGS         ? restore_all(&up, end, read, ctx)
                : e.kind == KIND_IRET_FRAME ? restore_iret(&up, end, read, ctx)
                                            : load(read, ctx, end - 8, &up.rip);
    if (!fine || !up.rip) {
        return ORC_OUTERMOST;
    }
    up.exact = e.kind != KIND_CALL;
    if (e.kind == KIND_CALL) {
        up.gpr[RSP] = end;
    }
    if (e.kind != KIND_REGS && !restore_bp(&e, &up, end, read, ctx)) {
        return ORC_OUTERMOST;
    }
    up.how = SYMBOL_UNWIND_CFI;
    *frame = up;
    return ORC_UP;
}
