// SPDX-License-Identifier: MIT
// Makes and keeps the trampolines of vector operations. Code pages are never writable and
// executable at once: two mappings of one memfd.
#include "cpu/interp/vector_unit.h"

#include <string.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"

#define CODE_BYTES (1u << 20)
#define TRAMPOLINE_BYTES_MAX 96
#define TABLE_SLOTS 16384 // a power of two, twice the trampolines that fit

struct vector_unit {
    u8 *write;     // CODE_BYTES, read and write
    const u8 *run; // the same bytes, read and execute
    u32 used;
    struct vector_op *ops[TABLE_SLOTS];
};

struct vector_unit *vector_unit_create(void)
{
    struct vector_unit *unit = xcalloc(1, sizeof(*unit));
    int fd = memfd_create("viv-vector", MFD_CLOEXEC);
    CHECK(fd >= 0 && ftruncate(fd, CODE_BYTES) == 0);
    unit->write = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    unit->run = mmap(NULL, CODE_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    CHECK(unit->write != MAP_FAILED && unit->run != MAP_FAILED);
    close(fd);
    return unit;
}

void vector_unit_destroy(struct vector_unit *unit)
{
    if (!unit) {
        return;
    }
    for (unsigned i = 0; i < TABLE_SLOTS; i++) {
        free(unit->ops[i]);
    }
    munmap(unit->write, CODE_BYTES);
    munmap((void *)(uintptr_t)unit->run, CODE_BYTES);
    free(unit);
}

static void emit(struct vector_unit *unit, const void *bytes, unsigned count)
{
    memcpy(unit->write + unit->used, bytes, count);
    unit->used += count;
}

static void emit1(struct vector_unit *unit, u8 byte)
{
    emit(unit, &byte, 1);
}

// Loads or stores host register number n (0 or 1) of the class at [rdi] (n = 0) or [rsi] (n = 1).
static void emit_move(struct vector_unit *unit, enum vector_class class, unsigned n, bool store)
{
    u8 modrm = (u8)(n << 3 | (n ? 6 : 7));
    switch (class) {
    case VECTOR_XMM:
        emit(unit, (const u8[]){0x0F, store ? 0x11 : 0x10, modrm}, 3);
        break; // movups
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

static void emit_operation(struct vector_unit *unit, union vector_key key)
{
    static const u8 prefixes[] = {0, 0x66, 0xF3, 0xF2};
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
    emit1(unit, key.opcode);
    unsigned reg = key.has_extension ? key.extension : 0;
    emit1(unit, (u8)(reg << 3 | (key.memory ? 0x06 : 0xC1))); // [rsi], or register 1
    if (key.has_imm8) {
        emit1(unit, key.imm8);
    }
}

static void emit_trampoline(struct vector_unit *unit, union vector_key key)
{
    emit_move(unit, (enum vector_class)key.reg_class, 0, false);
    if (!key.memory) {
        emit_move(unit, (enum vector_class)key.rm_class, 1, false);
    }
    emit_operation(unit, key);
    if (key.sets_flags) {
        // lahf; seto al; mov [rdx], ax
        emit(unit, (const u8[]){0x9F, 0x0F, 0x90, 0xC0, 0x66, 0x89, 0x02}, 7);
    }
    if (key.reg_written) {
        emit_move(unit, (enum vector_class)key.reg_class, 0, true);
    }
    if (key.rm_written && !key.memory) {
        emit_move(unit, (enum vector_class)key.rm_class, 1, true);
    }
    if (key.reg_class == VECTOR_MMX || key.rm_class == VECTOR_MMX) {
        emit(unit, (const u8[]){0x0F, 0x77}, 2); // emms: the host's C code may use x87
    }
    emit1(unit, 0xC3);
}

static unsigned slot_of(union vector_key key)
{
    return (unsigned)((key.bits * UINT64_C(0x9E3779B97F4A7C15)) >> 50) & (TABLE_SLOTS - 1);
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
    struct vector_op *op = xcalloc(1, sizeof(*op));
    const u8 *entry = unit->run + unit->used;
    emit_trampoline(unit, key);
    op->key = key;
    memcpy(&op->code, &entry, sizeof(op->code));
    unit->ops[slot] = op;
    return op;
}
