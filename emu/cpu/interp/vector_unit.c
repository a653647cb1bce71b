// SPDX-License-Identifier: MIT
// Makes and keeps the trampolines of vector operations.
#include "cpu/interp/vector_unit.h"

#include <string.h>
#include <stdlib.h>

#include "base/memory.h"
#include "cpu/code_memory.h"

#define CODE_BYTES (16u << 20)
#define TRAMPOLINE_BYTES_MAX 96
#define TABLE_BITS 19 // twice the trampolines that fit
#define TABLE_SLOTS (1u << TABLE_BITS)

struct vector_unit_op {
    struct vector_op op;
    struct vector_unit_op *next;
};

struct vector_unit {
    struct code_memory memory; // CODE_BYTES
    u32 used;
    struct vector_unit_op *all;
    struct vector_op *ops[TABLE_SLOTS];
};

// Host registers of the operands. With an implicit XMM0, that is what the first operand is not.
enum { HOST_REG = 0, HOST_RM = 1, HOST_THIRD = 2, HOST_IS4 = 3, HOST_REG_BESIDE_XMM0 = 3 };
// Host registers that the trampoline's arguments arrive in.
enum { BASE_RCX = 1, BASE_RSI = 6, BASE_RDI = 7, BASE_R8 = 8 };

struct vector_unit *vector_unit_create(void)
{
    struct vector_unit *unit = xcalloc(1, sizeof(*unit));
    unit->memory = code_memory_create("viv-vector", CODE_BYTES);
    return unit;
}

void vector_unit_destroy(struct vector_unit *unit)
{
    if (!unit) {
        return;
    }
    while (unit->all) {
        struct vector_unit_op *next = unit->all->next;
        free(unit->all);
        unit->all = next;
    }
    code_memory_destroy(&unit->memory);
    free(unit);
}

static void emit(struct vector_unit *unit, const void *bytes, unsigned count)
{
    memcpy(unit->memory.write + unit->used, bytes, count);
    unit->used += count;
}

static void emit1(struct vector_unit *unit, u8 byte)
{
    emit(unit, &byte, 1);
}

// Loads or stores host register n (below 8) of the class at [base]. wide: the whole YMM register.
static void emit_move(struct vector_unit *unit, enum vector_class class, bool wide, unsigned n,
                      unsigned base, bool store)
{
    u8 modrm = (u8)(n << 3 | (base & 7)), high = base >= 8;
    switch (class) {
    case VECTOR_XMM:
        if (wide) { // vmovdqu
            emit(unit, (const u8[]){0xC4, high ? 0xC1 : 0xE1, 0x7E, store ? 0x7F : 0x6F, modrm},
                 5);
        } else { // movups
            emit(unit, (const u8[]){0x0F, store ? 0x11 : 0x10, modrm}, 3);
        }
        break;
    case VECTOR_MMX:
        emit(unit, (const u8[]){0x0F, store ? 0x7F : 0x6F, modrm}, 3);
        break; // movq
    case VECTOR_GPR:
        emit(unit, (const u8[]){0x48, store ? 0x89 : 0x8B, modrm}, 3);
        break; // mov rax/rcx
    case VECTOR_NONE:
        break;
    }
}

static unsigned host_reg(union vector_key key)
{
    return key.has_xmm0 || key.string ? HOST_REG_BESIDE_XMM0 : HOST_REG;
}

static void emit_prefixes(struct vector_unit *unit, union vector_key key)
{
    static const u8 prefixes[] = {0, 0x66, 0xF3, 0xF2};
    if (key.vex) {
        u8 vvvv = (key.has_vvvv ? HOST_THIRD : 0) ^ 15;
        emit(unit,
             (const u8[]){0xC4, (u8)(0xE0 | key.map),
                          (u8)(key.w << 7 | (unsigned)vvvv << 3 | key.length << 2 | key.prefix)},
             3);
        return;
    }
    if (key.prefix) {
        emit1(unit, prefixes[key.prefix]);
    }
    if (key.w) {
        emit1(unit, 0x48);
    }
    emit1(unit, 0x0F);
    if (key.map > 1) {
        emit1(unit, key.map == 2 ? 0x38 : 0x3A);
    }
}

static void emit_operation(struct vector_unit *unit, union vector_key key)
{
    emit_prefixes(unit, key);
    emit1(unit, key.opcode);
    unsigned reg = key.has_extension ? key.extension : host_reg(key);
    emit1(unit, (u8)(reg << 3 | (key.memory ? BASE_RSI : 0xC0 | HOST_RM)));
    if (key.has_imm8) {
        emit1(unit, key.has_is4 ? HOST_IS4 << 4 : key.imm8);
    }
}

static void emit_loads(struct vector_unit *unit, union vector_key key)
{
    if (key.has_vvvv) {
        emit_move(unit, VECTOR_XMM, true, HOST_THIRD, BASE_RCX, false);
    }
    if (key.has_xmm0) {
        emit_move(unit, VECTOR_XMM, false, 0, BASE_RCX, false);
    }
    if (key.has_is4) {
        emit_move(unit, VECTOR_XMM, true, HOST_IS4, BASE_R8, false);
    }
    emit_move(unit, (enum vector_class)key.reg_class, key.vex, host_reg(key), BASE_RDI, false);
    if (!key.memory) {
        emit_move(unit, (enum vector_class)key.rm_class, key.vex, HOST_RM, BASE_RSI, false);
    }
}

static void emit_stores(struct vector_unit *unit, union vector_key key)
{
    if (key.sets_flags) {
        // lahf; seto al; mov [rdx], ax
        emit(unit, (const u8[]){0x9F, 0x0F, 0x90, 0xC0, 0x66, 0x89, 0x02}, 7);
    }
    if (key.reg_written) {
        emit_move(unit, (enum vector_class)key.reg_class, key.vex, host_reg(key), BASE_RDI, true);
    }
    if (key.rm_written && !key.memory) {
        emit_move(unit, (enum vector_class)key.rm_class, key.vex, HOST_RM, BASE_RSI, true);
    }
    if (key.vvvv_written) {
        emit_move(unit, VECTOR_XMM, true, HOST_THIRD, BASE_RCX, true);
    }
}

// PCMPxSTRx works on rAX, rDX, rCX and XMM0 as well: struct vector_string.
static void emit_string(struct vector_unit *unit, union vector_key key)
{
    // mov r8, rdx; mov r9, rcx; mov rax, [r9]; mov rdx, [r9 + 8]
    emit(unit, (const u8[]){0x49, 0x89, 0xD0, 0x49, 0x89, 0xC9, 0x49, 0x8B, 0x01}, 9);
    emit(unit, (const u8[]){0x49, 0x8B, 0x51, 0x08}, 4);
    emit_operation(unit, key);
    // mov [r9 + 16], rcx; movups [r9 + 32], xmm0; lahf; seto al; mov [r8], ax
    emit(unit, (const u8[]){0x49, 0x89, 0x49, 0x10, 0x41, 0x0F, 0x11, 0x41, 0x20}, 9);
    emit(unit, (const u8[]){0x9F, 0x0F, 0x90, 0xC0, 0x66, 0x41, 0x89, 0x00}, 8);
}

static void emit_trampoline(struct vector_unit *unit, union vector_key key)
{
    emit_loads(unit, key);
    if (key.string) {
        emit_string(unit, key);
    } else {
        emit_operation(unit, key);
        emit_stores(unit, key);
    }
    if (key.reg_class == VECTOR_MMX || key.rm_class == VECTOR_MMX) {
        emit(unit, (const u8[]){0x0F, 0x77}, 2); // emms: the host's C code may use x87
    }
    if (key.vex) {
        emit(unit, (const u8[]){0xC5, 0xF8, 0x77}, 3); // vzeroupper: and SSE without AVX
    }
    emit1(unit, 0xC3);
}

static unsigned slot_of(union vector_key key)
{
    return (unsigned)((key.bits * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - TABLE_BITS));
}

const struct vector_op *vector_unit_find(struct vector_unit *unit, union vector_key key)
{
    unsigned slot = slot_of(key);
    while (unit->ops[slot] && unit->ops[slot]->key.bits != key.bits) {
        slot = (slot + 1) & (TABLE_SLOTS - 1);
    }
    if (unit->ops[slot]) {
        return unit->ops[slot];
    }
    if (unit->used + TRAMPOLINE_BYTES_MAX > CODE_BYTES) {
        return NULL;
    }
    struct vector_unit_op *made = xcalloc(1, sizeof(*made));
    const u8 *entry = unit->memory.run + unit->used;
    emit_trampoline(unit, key);
    made->op.key = key;
    memcpy(&made->op.code, &entry, sizeof(made->op.code));
    made->next = unit->all;
    unit->all = made;
    unit->ops[slot] = &made->op;
    return &made->op;
}
