// SPDX-License-Identifier: MIT
// The translator's encoder: random operands, encoded and decoded again by Zydis.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <Zydis/Zydis.h>

#include "base/bits.h"
#include "cpu/jit/emit.h"

#define ROUNDS 4000
#define TO_RUN INT64_C(0x12345670)

static u64 seed = 1;

static u64 any(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static u8 buffer[32];

static struct emitter begin(void)
{
    memset(buffer, 0xCC, sizeof(buffer));
    return (struct emitter){.write = buffer, .end = buffer + sizeof(buffer), .to_run = TO_RUN};
}

struct decoded {
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

// What was emitted: one instruction, all of it.
static struct decoded decode(const struct emitter *e, const char *what)
{
    struct decoded d;
    ZydisDecoder decoder;
    assert_false(e->overflow);
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    size_t size = (size_t)(e->write - buffer);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, buffer, size, &d.insn, d.operands)) ||
        d.insn.length != size) {
        fail_msg("%s: %zu bytes from %02x %02x %02x %02x %02x are no instruction", what, size,
                 buffer[0], buffer[1], buffer[2], buffer[3], buffer[4]);
    }
    return d;
}

// size in bits; 8: SPL and the like, never AH.
static ZydisRegister reg_name(unsigned n, unsigned size)
{
    switch (size) {
    case 8:
        return (ZydisRegister)(n < 4 ? ZYDIS_REGISTER_AL + n : ZYDIS_REGISTER_SPL + n - 4);
    case 16:
        return (ZydisRegister)(ZYDIS_REGISTER_AX + n);
    case 32:
        return (ZydisRegister)(ZYDIS_REGISTER_EAX + n);
    case 64:
        return (ZydisRegister)(ZYDIS_REGISTER_RAX + n);
    case 128:
        return (ZydisRegister)(ZYDIS_REGISTER_XMM0 + n);
    default:
        return (ZydisRegister)(ZYDIS_REGISTER_YMM0 + n);
    }
}

static s32 any_disp(void)
{
    static const s32 edges[] = {0, 0, 1, -1, 127, 128, -128, -129, INT32_MAX, INT32_MIN};
    return any() & 1 ? edges[any() % ARRAY_LEN(edges)] : (s32)any();
}

static struct host_operand any_memory(void)
{
    struct host_operand rm = {.memory = true, .gs = any() & 1, .disp = any_disp()};
    rm.base = (u8)(any() % 8 ? any() % 16 : HOST_NONE);
    rm.index = (u8)(any() % 3 ? any() % 16 : HOST_NONE);
    rm.index = rm.index == HOST_RSP ? (u8)HOST_R12 : rm.index; // RSP cannot be one
    rm.scale = rm.index == HOST_NONE ? 0 : any() % 4;
    return rm;
}

static void check_memory(const ZydisDecodedOperand *o, struct host_operand rm, unsigned size)
{
    assert_int_equal(o->type, ZYDIS_OPERAND_TYPE_MEMORY);
    assert_int_equal(o->mem.base,
                     rm.base == HOST_NONE ? ZYDIS_REGISTER_NONE : reg_name(rm.base, size));
    assert_int_equal(o->mem.index,
                     rm.index == HOST_NONE ? ZYDIS_REGISTER_NONE : reg_name(rm.index, size));
    assert_int_equal(o->mem.index == ZYDIS_REGISTER_NONE ? 0 : o->mem.scale,
                     rm.index == HOST_NONE ? 0 : 1 << rm.scale);
    assert_true(o->mem.disp.value == rm.disp);
    bool stack = rm.base == HOST_RSP || rm.base == HOST_RBP;
    assert_int_equal(o->mem.segment, rm.gs   ? ZYDIS_REGISTER_GS
                                     : stack ? ZYDIS_REGISTER_SS
                                             : ZYDIS_REGISTER_DS);
}

static void check_reg(const ZydisDecodedOperand *o, unsigned n, unsigned size)
{
    assert_int_equal(o->type, ZYDIS_OPERAND_TYPE_REGISTER);
    assert_int_equal(o->reg.value, reg_name(n, size));
}

// Operand sizes in bits; reg_last: rm is the first operand. vvvv, if not 0: its place, 1 or 2.
static const struct row {
    const char *name;
    u32 encoding;
    ZydisMnemonic mnemonic;
    u16 reg_size, rm_size;
    bool reg_last, memory_only;
    u8 vvvv, imm_bytes;
} rows[] = {
    {"mov r8, rm8", 0x8A | ENC_BYTE_REG | ENC_BYTE_RM, ZYDIS_MNEMONIC_MOV, 8, 8},
    {"mov rm8, r8", 0x88 | ENC_BYTE_REG | ENC_BYTE_RM, ZYDIS_MNEMONIC_MOV, 8, 8, .reg_last = true},
    {"mov r16, rm16", 0x8B | ENC_66, ZYDIS_MNEMONIC_MOV, 16, 16},
    {"mov rm32, r32", 0x89, ZYDIS_MNEMONIC_MOV, 32, 32, .reg_last = true},
    {"add rm64, r64", 0x01 | ENC_W, ZYDIS_MNEMONIC_ADD, 64, 64, .reg_last = true},
    {"movzx r32, rm8", 0xB6 | ENC_0F | ENC_BYTE_RM, ZYDIS_MNEMONIC_MOVZX, 32, 8},
    {"movsx r64, rm16", 0xBF | ENC_0F | ENC_W, ZYDIS_MNEMONIC_MOVSX, 64, 16},
    {"lea r64", 0x8D | ENC_W, ZYDIS_MNEMONIC_LEA, 64, 0, .memory_only = true},
    {"lea r32, addr32", 0x8D | ENC_ADDR32, ZYDIS_MNEMONIC_LEA, 32, 0, .memory_only = true},
    {"crc32 r64, rm64", 0xF1 | ENC_0F38 | ENC_F2 | ENC_W, ZYDIS_MNEMONIC_CRC32, 64, 64},
    {"popcnt r32, rm32", 0xB8 | ENC_0F | ENC_F3, ZYDIS_MNEMONIC_POPCNT, 32, 32},
    {"movbe r64, m64", 0xF0 | ENC_0F38 | ENC_W, ZYDIS_MNEMONIC_MOVBE, 64, 64, .memory_only = true},
    {"imul r32, rm32, imm8", 0x6B, ZYDIS_MNEMONIC_IMUL, 32, 32, .imm_bytes = 1},
    {"movups xmm, m", 0x10 | ENC_0F, ZYDIS_MNEMONIC_MOVUPS, 128, 128},
    {"addpd xmm, xmm", 0x58 | ENC_0F | ENC_66, ZYDIS_MNEMONIC_ADDPD, 128, 128},
    {"palignr", 0x0F | ENC_0F3A | ENC_66, ZYDIS_MNEMONIC_PALIGNR, 128, 128, .imm_bytes = 1},
    {"vaddps ymm", 0x58 | ENC_0F | ENC_VEX | ENC_L, ZYDIS_MNEMONIC_VADDPS, 256, 256, .vvvv = 1},
    {"vinsertf128", 0x18 | ENC_0F3A | ENC_66 | ENC_VEX | ENC_L, ZYDIS_MNEMONIC_VINSERTF128, 256,
     128, .vvvv = 1, .imm_bytes = 1},
    {"shrx", 0xF7 | ENC_0F38 | ENC_F2 | ENC_W | ENC_VEX, ZYDIS_MNEMONIC_SHRX, 64, 64, .vvvv = 2},
    {"pext", 0xF5 | ENC_0F38 | ENC_F3 | ENC_VEX, ZYDIS_MNEMONIC_PEXT, 32, 32, .vvvv = 1},
};

static void check_row(const struct row *row)
{
    struct emitter e = begin();
    unsigned reg = any() % 16, vvvv = row->vvvv ? any() % 16 : 0;
    bool memory = row->memory_only || any() % 3;
    struct host_operand rm = memory ? any_memory() : host_reg_operand(any() % 16);
    rm.gs = rm.gs && row->rm_size; // LEA has no segment
    u64 imm = any() & 0x7F;
    emit_op(&e, row->encoding | ENC_VVVV(vvvv), reg, rm);
    emit_imm(&e, imm, row->imm_bytes);
    struct decoded d = decode(&e, row->name);
    assert_int_equal(d.insn.mnemonic, row->mnemonic);
    unsigned rm_place = row->reg_last ? 0 : row->vvvv == 1 ? 2 : 1;
    check_reg(&d.operands[row->reg_last ? 1 : 0], reg, row->reg_size);
    if (row->vvvv) {
        check_reg(&d.operands[row->vvvv], vvvv, row->reg_size);
    }
    if (memory) {
        check_memory(&d.operands[rm_place], rm, row->encoding & ENC_ADDR32 ? 32 : 64);
        assert_true(row->rm_size == 0 || d.operands[rm_place].size == row->rm_size);
    } else {
        check_reg(&d.operands[rm_place], rm.reg, row->rm_size);
    }
    if (row->imm_bytes) {
        assert_true(d.operands[rm_place + 1].imm.value.u == imm);
    }
}

static void test_operands(void **state)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned n = 0; n < ARRAY_LEN(rows); n++) {
            check_row(&rows[n]);
        }
    }
}

static void test_widths(void **state)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned width = any() % 4, reg = any() % 16, other = any() % 16;
        struct host_operand rm = any_memory();
        struct emitter e = begin();
        emit_load(&e, width, reg, rm);
        struct decoded d = decode(&e, "load");
        check_reg(&d.operands[0], reg, 8 << width);
        check_memory(&d.operands[1], rm, 64);
        e = begin();
        emit_store(&e, width, reg, rm);
        d = decode(&e, "store");
        check_memory(&d.operands[0], rm, 64);
        check_reg(&d.operands[1], reg, 8 << width);
        e = begin();
        emit_mov(&e, width, reg, other);
        d = decode(&e, "mov");
        assert_int_equal(d.insn.mnemonic, ZYDIS_MNEMONIC_MOV);
        check_reg(&d.operands[0], reg, 8 << width);
        check_reg(&d.operands[1], other, 8 << width);
    }
}

static u64 any_value(void)
{
    return any() >> any() % 64 ^ (any() & 1 ? UINT64_MAX : 0);
}

static void test_constants(void **state)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        u64 value = i == 0 ? UINT32_MAX : i == 1 ? UINT64_C(1) << 32 : any_value();
        unsigned reg = any() % 16, width = any() % 4;
        struct emitter e = begin();
        emit_mov_imm(&e, reg, value);
        assert_true(e.write - buffer <= 10);
        struct decoded d = decode(&e, "mov imm");
        assert_int_equal(d.insn.mnemonic, ZYDIS_MNEMONIC_MOV);
        // 32 bits are zero-extended by the write.
        check_reg(&d.operands[0], reg, d.operands[0].size == 32 ? 32 : 64);
        u64 mask = d.operands[0].size == 32 ? UINT32_MAX : UINT64_MAX;
        assert_true((d.operands[1].imm.value.u & mask) == value);
        e = begin();
        struct host_operand rm = any_memory();
        emit_mov_imm_to(&e, width, rm, value);
        d = decode(&e, "mov imm to");
        assert_int_equal(d.operands[0].size, 8 << width);
        check_memory(&d.operands[0], rm, 64);
        mask = width >= 2 ? UINT32_MAX : (1u << (8 << width)) - 1;
        assert_true((d.operands[1].imm.value.u & mask) == (value & mask));
        assert_true(width < 3 || d.operands[1].imm.value.s == (s32)value);
    }
}

// Of the byte that lies so far behind the buffer's beginning.
static const u8 *runs_at(s64 offset)
{
    return (const u8 *)(uintptr_t)((u64)(uintptr_t)buffer + (u64)(TO_RUN + offset));
}

// Where the jump in the buffer goes.
static const u8 *target(const struct decoded *d)
{
    ZyanU64 address;
    assert_true(ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&d->insn, &d->operands[0],
                                                      (ZyanU64)(uintptr_t)runs_at(0), &address)));
    return (const u8 *)(uintptr_t)address;
}

static void test_jumps(void **state)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        const u8 *to = runs_at((s32)any() / 2), *other = runs_at((s32)any() / 2);
        unsigned kind = any() % 18;
        struct emitter e = begin();
        u8 *site = kind == 16   ? emit_jmp(&e, to)
                   : kind == 17 ? emit_call(&e, to)
                                : emit_jcc(&e, kind, to);
        struct decoded d = decode(&e, "jump");
        static const ZydisMnemonic names[] = {
            ZYDIS_MNEMONIC_JO,  ZYDIS_MNEMONIC_JNO, ZYDIS_MNEMONIC_JB,  ZYDIS_MNEMONIC_JNB,
            ZYDIS_MNEMONIC_JZ,  ZYDIS_MNEMONIC_JNZ, ZYDIS_MNEMONIC_JBE, ZYDIS_MNEMONIC_JNBE,
            ZYDIS_MNEMONIC_JS,  ZYDIS_MNEMONIC_JNS, ZYDIS_MNEMONIC_JP,  ZYDIS_MNEMONIC_JNP,
            ZYDIS_MNEMONIC_JL,  ZYDIS_MNEMONIC_JNL, ZYDIS_MNEMONIC_JLE, ZYDIS_MNEMONIC_JNLE,
            ZYDIS_MNEMONIC_JMP, ZYDIS_MNEMONIC_CALL};
        assert_int_equal(d.insn.mnemonic, names[kind]);
        assert_ptr_equal(target(&d), to);
        emit_patch(site, TO_RUN, other);
        d = decode(&e, "patched jump");
        assert_ptr_equal(target(&d), other);
    }
    struct emitter e = begin();
    emit_jrcxz(&e, 77);
    struct decoded d = decode(&e, "jrcxz");
    assert_int_equal(d.insn.mnemonic, ZYDIS_MNEMONIC_JRCXZ);
    assert_ptr_equal(target(&d), runs_at(2 + 77));
    e = begin();
    emit_jrcxz_back(&e, (const u8 *)((uintptr_t)buffer - 126));
    d = decode(&e, "jrcxz back");
    assert_ptr_equal(target(&d), runs_at(-126));
}

// Nothing is written past the end, and that something did not fit is remembered.
static void test_overflow(void **state)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct emitter e = begin();
        unsigned room = any() % sizeof(buffer);
        e.end = buffer + room;
        while (!e.overflow) {
            u8 *before = e.write;
            switch (any() % 4) {
            case 0:
                emit_op(&e, rows[any() % ARRAY_LEN(rows)].encoding, any() % 16, any_memory());
                break;
            case 1:
                emit_mov_imm(&e, any() % 16, any_value());
                break;
            case 2:
                emit_jmp(&e, buffer);
                break;
            default:
                emit_jcc(&e, any() % 16, buffer);
                break;
            }
            assert_true(e.write > before || e.overflow);
        }
        assert_true(e.write <= e.end);
        for (unsigned n = room; n < sizeof(buffer); n++) {
            assert_int_equal(buffer[n], 0xCC);
        }
    }
}

// A block begins at an aligned place, which may lie behind the end of the room for blocks.
static void test_behind_the_end(void **state)
{
    struct emitter e = begin();
    e.end = buffer + 16;
    e.write = e.end + 5;
    emit_bytes(&e, "\x90", 1);
    assert_true(e.overflow);
    assert_ptr_equal(e.write, e.end + 5);
    assert_int_equal(buffer[21], 0xCC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operands),  cmocka_unit_test(test_widths),
        cmocka_unit_test(test_constants), cmocka_unit_test(test_jumps),
        cmocka_unit_test(test_overflow),  cmocka_unit_test(test_behind_the_end),
    };
    return cmocka_run_group_tests_name("emit", tests, NULL, NULL);
}
