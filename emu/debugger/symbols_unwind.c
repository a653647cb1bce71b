// SPDX-License-Identifier: MIT
// One frame up: call frame information (DWARF 5, 6.4) through libdw, else the chain of frame
// pointers.
#include "debugger/symbols_internal.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#define STACK_DEPTH 16
#define DWARF_RIP 16
#define DWARF_RSP 7
#define RSP 4
#define RBP 5
#define FRAME_MAX_BYTES (UINT64_C(1) << 20) // a frame pointer further away is none
#define KERNEL_HALF (UINT64_C(1) << 63)

// DWARF's register numbers (System V ABI for x86-64, figure 3.36) in the instruction set's order.
static const u8 register_of_dwarf[16] = {0, 2, 1, 3, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15};

// An expression being evaluated.
struct evaluation {
    const struct symbol_frame *frame;
    symbols_read_fn read;
    void *ctx;
    u64 cfa;
    u64 stack[STACK_DEPTH];
    unsigned depth;
    bool failed;
};

static void push(struct evaluation *e, u64 value)
{
    if (e->depth == STACK_DEPTH) {
        e->failed = true;
    } else {
        e->stack[e->depth++] = value;
    }
}

static u64 pop(struct evaluation *e)
{
    if (!e->depth) {
        e->failed = true;
        return 0;
    }
    return e->stack[--e->depth];
}

static u64 register_value(struct evaluation *e, u64 number)
{
    if (number == DWARF_RIP) {
        return e->frame->rip;
    }
    if (number > DWARF_RIP) {
        e->failed = true;
        return 0;
    }
    return e->frame->gpr[register_of_dwarf[number]];
}

static bool is_register(u8 atom)
{
    return (atom >= DW_OP_reg0 && atom <= DW_OP_reg31) || atom == DW_OP_regx;
}

static u64 load(struct evaluation *e, u64 address, u64 size)
{
    u64 value = 0;
    if (size > 8 || !e->read(e->ctx, address, &value, size)) {
        e->failed = true;
    }
    return value;
}

// Operations on the two topmost values.
static bool evaluate_binary(struct evaluation *e, u8 atom)
{
    static const u8 binary[] = {DW_OP_plus, DW_OP_minus, DW_OP_mul, DW_OP_and, DW_OP_or,
                                DW_OP_xor,  DW_OP_shl,   DW_OP_shr, DW_OP_ge,  DW_OP_gt,
                                DW_OP_le,   DW_OP_lt,    DW_OP_eq,  DW_OP_ne};
    if (!memchr(binary, atom, sizeof(binary))) {
        return false;
    }
    u64 b = pop(e), a = pop(e);
    switch (atom) {
    case DW_OP_plus:
        push(e, a + b);
        break;
    case DW_OP_minus:
        push(e, a - b);
        break;
    case DW_OP_mul:
        push(e, a * b);
        break;
    case DW_OP_and:
        push(e, a & b);
        break;
    case DW_OP_or:
        push(e, a | b);
        break;
    case DW_OP_xor:
        push(e, a ^ b);
        break;
    case DW_OP_shl:
        push(e, b < 64 ? a << b : 0);
        break;
    case DW_OP_shr:
        push(e, b < 64 ? a >> b : 0);
        break;
    case DW_OP_ge:
        push(e, (s64)a >= (s64)b);
        break;
    case DW_OP_gt:
        push(e, (s64)a > (s64)b);
        break;
    case DW_OP_le:
        push(e, (s64)a <= (s64)b);
        break;
    case DW_OP_lt:
        push(e, (s64)a < (s64)b);
        break;
    case DW_OP_eq:
        push(e, a == b);
        break;
    default:
        push(e, a != b);
        break;
    }
    return true;
}

static bool evaluate_one(struct evaluation *e, const Dwarf_Op *op)
{
    u8 atom = op->atom;
    if (atom >= DW_OP_lit0 && atom <= DW_OP_lit31) {
        push(e, atom - DW_OP_lit0);
    } else if (atom >= DW_OP_breg0 && atom <= DW_OP_breg31) {
        push(e, register_value(e, atom - DW_OP_breg0) + op->number);
    } else if (atom >= DW_OP_const1u && atom <= DW_OP_consts) {
        push(e, op->number); // libdw has extended the signed ones
    } else if (!evaluate_binary(e, atom)) {
        switch (atom) {
        case DW_OP_addr:
            push(e, op->number);
            break;
        case DW_OP_bregx:
            push(e, register_value(e, op->number) + op->number2);
            break;
        case DW_OP_call_frame_cfa:
            push(e, e->cfa);
            break;
        case DW_OP_plus_uconst:
            push(e, pop(e) + op->number);
            break;
        case DW_OP_deref:
            push(e, load(e, pop(e), 8));
            break;
        case DW_OP_deref_size:
            push(e, load(e, pop(e), op->number));
            break;
        case DW_OP_neg:
            push(e, -pop(e));
            break;
        case DW_OP_not:
            push(e, ~pop(e));
            break;
        case DW_OP_drop:
            pop(e);
            break;
        case DW_OP_nop:
            break;
        case DW_OP_dup: {
            u64 top = pop(e);
            push(e, top);
            push(e, top);
            break;
        }
        default:
            return false;
        }
    }
    return !e->failed;
}

// The value of an expression: of a location description, the address or the register's value.
static bool evaluate(struct evaluation *e, const Dwarf_Op *ops, size_t count, u64 *out)
{
    e->depth = 0;
    e->failed = false;
    for (size_t i = 0; i < count; i++) {
        u8 atom = ops[i].atom;
        if (is_register(atom)) {
            *out = register_value(e, atom == DW_OP_regx ? ops[i].number : (u64)(atom - DW_OP_reg0));
            return count == 1 && !e->failed;
        }
        bool ends = atom == DW_OP_stack_value && i + 1 == count;
        if (!ends && !evaluate_one(e, &ops[i])) {
            return false;
        }
    }
    *out = pop(e);
    return !e->failed;
}

// Which rules there are for a register of the caller: computed, saved in memory, or moved to
// another register; unchanged; lost.
enum rule { RULE_FAILED, RULE_VALUE, RULE_MEMORY, RULE_REGISTER, RULE_SAME, RULE_UNDEFINED };

static enum rule caller_register(struct evaluation *e, Dwarf_Frame *row, int number, u64 *out)
{
    Dwarf_Op memory[3], *ops;
    size_t count;
    if (dwarf_frame_register(row, number, memory, &ops, &count)) {
        return RULE_FAILED;
    }
    if (!count) {
        return ops ? RULE_UNDEFINED : RULE_SAME;
    }
    if (!evaluate(e, ops, count, out)) {
        return RULE_FAILED;
    }
    u8 last = ops[count - 1].atom;
    if (last == DW_OP_stack_value) {
        return RULE_VALUE;
    }
    if (is_register(last)) {
        return RULE_REGISTER;
    }
    // Popped already: clang's tables do not say so in a function's last steps. (Programs may keep
    // something below the stack pointer, the kernel's code has no red zone.)
    if (*out < e->frame->gpr[RSP] && e->frame->rip >= KERNEL_HALF) {
        return RULE_SAME;
    }
    *out = load(e, *out, 8);
    return e->failed ? RULE_FAILED : RULE_MEMORY;
}

static bool has_value(enum rule rule)
{
    return rule == RULE_VALUE || rule == RULE_MEMORY || rule == RULE_REGISTER;
}

// Applies one row of the table. False: no way up from here (the outermost frame, or unreadable).
static bool apply_row(struct symbol_frame *frame, Dwarf_Frame *row, symbols_read_fn read, void *ctx)
{
    struct symbol_frame up = *frame;
    struct evaluation e = {.frame = frame, .read = read, .ctx = ctx};
    Dwarf_Op *ops;
    size_t count;
    // A frame of saved registers. clang's assembler does not say so in .debug_frame, but then the
    // stack pointer is one of them, and SYSCALL leaves the way back in a register.
    bool interrupted = false;
    int return_column = dwarf_frame_info(row, NULL, NULL, &interrupted);
    if (return_column < 0 || dwarf_frame_cfa(row, &ops, &count) || !count ||
        !evaluate(&e, ops, count, &e.cfa)) {
        return false;
    }
    up.gpr[RSP] = e.cfa;
    for (int i = 0; i < 16; i++) {
        u64 value;
        enum rule rule = caller_register(&e, row, i, &value);
        if (has_value(rule)) {
            up.gpr[register_of_dwarf[i]] = value;
        } else if (i == DWARF_RSP && rule == RULE_UNDEFINED) {
            up.gpr[RSP] = 0; // known to nobody: the chain ends with this frame
        }
        interrupted |= i == DWARF_RSP && rule == RULE_MEMORY;
    }
    enum rule rule = caller_register(&e, row, return_column, &up.rip);
    if (!has_value(rule) || !up.rip) {
        return false;
    }
    up.exact = interrupted || rule == RULE_REGISTER;
    up.how = SYMBOL_UNWIND_CFI;
    *frame = up;
    return true;
}

static Dwarf_Frame *find_row(struct symbol_object *o, u64 address)
{
    if (!o->elf) {
        return NULL;
    }
    if (!o->cfi_known) {
        o->cfi_known = true;
        o->cfi_eh = dwarf_getcfi_elf(o->elf);
        o->cfi_debug = o->dwarf ? dwarf_getcfi(o->dwarf) : NULL;
    }
    Dwarf_Frame *row = NULL;
    if (o->cfi_debug && dwarf_cfi_addrframe(o->cfi_debug, address, &row) == 0) {
        return row;
    }
    if (o->cfi_eh && dwarf_cfi_addrframe(o->cfi_eh, address, &row) == 0) {
        return row;
    }
    return NULL;
}

// RBP points at the caller's RBP, above it the return address.
static bool follow_frame_pointer(struct symbol_frame *frame, symbols_read_fn read, void *ctx)
{
    u64 saved[2], rbp = frame->gpr[RBP], rsp = frame->gpr[RSP];
    if (rbp < rsp || rbp - rsp > FRAME_MAX_BYTES || (rbp & 7) ||
        !read(ctx, rbp, saved, sizeof(saved)) || !saved[1]) {
        return false;
    }
    if (frame->rip >= KERNEL_HALF && saved[1] < KERNEL_HALF) {
        return false; // only saved registers lead from the kernel to a program
    }
    frame->gpr[RSP] = rbp + sizeof(saved);
    frame->gpr[RBP] = saved[0];
    frame->rip = saved[1];
    frame->exact = false;
    frame->how = SYMBOL_UNWIND_FRAME_POINTER;
    return true;
}

// As apply_row, in a kernel. Inline assembly that saves or restores flags (pushf, pop) moves the
// stack pointer for one instruction without telling the table: what then stands in the return
// address's place is no kernel address, and the right one is a word higher. Only saved registers (a
// signal frame) lead out of the kernel.
static bool apply_kernel_row(struct symbol_frame *frame, Dwarf_Frame *row, symbols_read_fn read,
                             void *ctx)
{
    const struct symbol_frame before = *frame;
    for (u64 pushed = 0; pushed <= sizeof(u64); pushed += sizeof(u64)) {
        *frame = before;
        frame->gpr[RSP] += before.exact ? pushed : 0;
        if (!apply_row(frame, row, read, ctx)) {
            break;
        }
        if (frame->exact || frame->rip >= KERNEL_HALF) {
            return true;
        }
    }
    *frame = before;
    return false;
}

bool symbols_unwind(struct symbols *s, struct symbol_frame *frame, symbols_read_fn read, void *ctx)
{
    const struct symbol_frame before = *frame;
    // A call that never returns may be its function's last instruction.
    u64 at = frame->rip - !frame->exact;
    if (!frame->gpr[RSP]) {
        return false;
    }
    struct symbol_object *o = s ? symbols_object(s, at) : NULL;
    if (o && o->orc.count) {
        enum orc_result result = orc_unwind(&o->orc, at - o->bias, frame, read, ctx);
        if (result != ORC_UNKNOWN) {
            return result == ORC_UP;
        }
    }
    Dwarf_Frame *row = o ? find_row(o, at - o->bias) : NULL;
    bool found = !row        ? follow_frame_pointer(frame, read, ctx)
                 : o->kernel ? apply_kernel_row(frame, row, read, ctx)
                             : apply_row(frame, row, read, ctx);
    free(row);
    bool leaves_kernel = before.rip >= KERNEL_HALF && frame->rip < KERNEL_HALF;
    if (found && !leaves_kernel && !frame->exact && frame->gpr[RSP] <= before.gpr[RSP]) {
        *frame = before;
        return false;
    }
    return found;
}
