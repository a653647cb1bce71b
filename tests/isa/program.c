// SPDX-License-Identifier: MIT
// Programs out of random pieces. Fixed registers: rdi data, rbx alias of the code, rbp page tables,
// rsp stack.
#include "tests/isa/program.h"

#include <Zydis/Zydis.h>
#include <string.h>

#include "base/check.h"

struct writer {
    struct random *r;
    u8 code[PROGRAM_CODE_BYTES];
    unsigned at;
    unsigned immediates[512],
        immediate_count; // offsets of the imm32 of MOVs, to be patched by the program
};

static void put(struct writer *w, const void *bytes, unsigned size)
{
    memcpy(w->code + w->at, bytes, size);
    w->at += size;
}

static void put32(struct writer *w, u32 value)
{
    put(w, &value, 4);
}

static void encode(struct writer *w, ZydisEncoderRequest *q)
{
    ZyanUSize size = 15;
    q->machine_mode = ZYDIS_MACHINE_MODE_LONG_64;
    CHECK(ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(q, w->code + w->at, &size)));
    w->at += (unsigned)size;
}

// rax rdx rsi r8..r15, in width 1..3.
static ZydisRegister free_register(struct writer *w, unsigned width)
{
    static const u8 numbers[] = {0, 2, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    static const ZydisRegister first[] = {0, ZYDIS_REGISTER_AX, ZYDIS_REGISTER_EAX,
                                          ZYDIS_REGISTER_RAX};
    return (ZydisRegister)(first[width] + numbers[random_below(w->r, sizeof(numbers))]);
}

static ZydisEncoderOperand free_operand(struct writer *w, unsigned width)
{
    ZydisEncoderOperand o = {.type = ZYDIS_OPERAND_TYPE_REGISTER};
    o.reg.value = free_register(w, width);
    return o;
}

static ZydisEncoderOperand memory(ZydisRegister base, u32 disp, unsigned size)
{
    ZydisEncoderOperand o = {.type = ZYDIS_OPERAND_TYPE_MEMORY};
    o.mem.base = base;
    o.mem.displacement = disp;
    o.mem.size = (ZyanU16)size;
    return o;
}

static ZydisEncoderOperand data_operand(struct writer *w, unsigned width)
{
    u32 disp = random_below(w->r, PROGRAM_DATA_BYTES - 8);
    if (random_below(w->r, 4) == 0) {
        disp = 0x1000 * (1 + random_below(w->r, 2)) - random_below(w->r, 8);
    }
    return memory(ZYDIS_REGISTER_RDI, disp, 1u << width);
}

static void put_alu(struct writer *w)
{
    static const ZydisMnemonic mnemonics[] = {
        ZYDIS_MNEMONIC_ADD, ZYDIS_MNEMONIC_SUB, ZYDIS_MNEMONIC_XOR, ZYDIS_MNEMONIC_ADC,
        ZYDIS_MNEMONIC_MOV, ZYDIS_MNEMONIC_AND, ZYDIS_MNEMONIC_OR,  ZYDIS_MNEMONIC_CMP};
    unsigned width = 1 + random_below(w->r, 3), kind = random_below(w->r, 4);
    ZydisEncoderRequest q = {.mnemonic = mnemonics[random_below(w->r, ARRAY_LEN(mnemonics))],
                             .operand_count = 2};
    q.operands[0] = kind == 1 ? data_operand(w, width) : free_operand(w, width);
    q.operands[1] = kind == 2 ? data_operand(w, width) : free_operand(w, width);
    if (kind == 3) {
        q.operands[1] = (ZydisEncoderOperand){.type = ZYDIS_OPERAND_TYPE_IMMEDIATE};
        q.operands[1].imm.s = (s8)random_u64(w->r);
    }
    encode(w, &q);
}

// MOV r32, imm32, whose immediate others may change.
static void put_mov_immediate(struct writer *w)
{
    u8 opcode = (u8)(0xB8 + 2 * random_below(w->r, 2)); // eax, edx
    put(w, &opcode, 1);
    if (w->immediate_count < ARRAY_LEN(w->immediates)) {
        w->immediates[w->immediate_count++] = w->at;
    }
    put32(w, (u32)random_u64(w->r));
}

// Stores dl or edx into some immediate, earlier or (nearby) later, through the alias or the code's
// own address.
static void put_patch(struct writer *w)
{
    if (!w->immediate_count) {
        return;
    }
    bool byte = random_below(w->r, 2), alias = random_below(w->r, 2);
    unsigned target = w->immediates[random_below(w->r, w->immediate_count)];
    if (random_below(w->r, 3) == 0) { // the instruction right behind this store
        put(w, alias ? "\x88\x93" : "\x88\x14\x25", 2 + !alias);
        put32(w, (alias ? 0 : (u32)PROGRAM_CODE) + w->at + 4 + 1);
        put_mov_immediate(w);
        return;
    }
    put(w, byte ? "\x88" : "\x89", 1);
    put(w, alias ? "\x93" : "\x14\x25", 1 + !alias);
    put32(w, (alias ? 0 : (u32)PROGRAM_CODE) + target);
}

// AND of a page-table entry: clears A or D of a page of code, data, alias or stack.
static void put_clear_bits(struct writer *w)
{
    static const u32 regions[] = {PROGRAM_CODE, PROGRAM_ALIAS, PROGRAM_DATA, PROGRAM_STACK};
    u32 page = (regions[random_below(w->r, 4)] >> PAGE_SHIFT) + random_below(w->r, 4);
    put(w, "\x80\xA5", 2); // and byte [rbp + disp32], imm8
    put32(w, 0x3000 + page * 8);
    put(w, random_below(w->r, 2) ? "\xDF" : "\xBF", 1);
}

static void put_rep(struct writer *w)
{
    static const u16 opcodes[] = {0xA4, 0xA5, 0xAA, 0xAB, 0xAE, 0xA6};
    u8 opcode = (u8)opcodes[random_below(w->r, ARRAY_LEN(opcodes))];
    put(w, "\x57\x56\xB9", 3); // push rdi; push rsi; mov ecx, n
    put32(w, random_below(w->r, 60));
    put(w, "\x48\x8D\xB7", 3); // lea rsi, [rdi + disp32]
    put32(w, random_below(w->r, 0x2E00));
    put(w, "\x48\x81\xC7", 3); // add rdi, imm32
    put32(w, random_below(w->r, 0x2E00));
    put(w, random_below(w->r, 2) ? "\xF3" : "\xF2", 1);
    put(w, &opcode, 1);
    put(w, "\x5E\x5F", 2);
}

static void put_skip(struct writer *w)
{
    u8 opcode = (u8)(0x70 + random_below(w->r, 16));
    put(w, &opcode, 1);
    unsigned at = w->at++;
    put_alu(w);
    put_mov_immediate(w);
    w->code[at] = (u8)(w->at - at - 1);
}

static void put_loop(struct writer *w)
{
    put(w, "\xB9", 1);
    put32(w, 1 + random_below(w->r, 6));
    unsigned start = w->at;
    put_alu(w);
    put_patch(w);
    put_alu(w);
    put(w, "\xFF\xC9\x75", 3); // dec ecx; jnz
    u8 back = (u8)(start - (w->at + 1));
    put(w, &back, 1);
}

// CALL over a function body that follows.
static void put_call(struct writer *w)
{
    put(w, "\xE8\x02\x00\x00\x00\xEB", 6); // call +2; jmp over
    unsigned at = w->at++;
    put_alu(w);
    put(w, "\xC3", 1);
    w->code[at] = (u8)(w->at - at - 1);
}

static void put_piece(struct writer *w)
{
    switch (random_below(w->r, 20)) {
    case 0:
        put_rep(w);
        break;
    case 1:
        put_skip(w);
        break;
    case 2:
        put_loop(w);
        break;
    case 3:
        put_call(w);
        break;
    case 4:
        put_clear_bits(w);
        break;
    case 5:
    case 6:
        put_patch(w);
        break;
    case 7:
    case 8:
        put_mov_immediate(w);
        break;
    default:
        put_alu(w);
        break;
    }
}

static void map_alias(struct bare *b)
{
    for (u64 i = 0; i < PROGRAM_CODE_BYTES; i += PAGE_SIZE) {
        u64 entry = (PROGRAM_CODE + i) | 3;
        physmem_write(b->mem, BARE_TABLES + 0x3000 + ((PROGRAM_ALIAS + i) >> PAGE_SHIFT) * 8,
                      &entry, 8);
    }
}

void program_load(struct bare *b, struct random *r)
{
    struct writer w = {.r = r};
    while (w.at < sizeof(w.code) - 200) {
        put_piece(&w);
    }
    put(&w, "\xE9", 1);
    put32(&w, 0u - (w.at + 4));
    physmem_write(b->mem, PROGRAM_CODE, w.code, sizeof(w.code));
    map_alias(b);
    struct cpu_regs regs = bare_user_regs(b, PROGRAM_CODE);
    regs.seg[CPU_CS] = (struct cpu_segment){0x08, 0xA09B, 0xFFFFFFFF, 0};
    regs.seg[CPU_SS] = (struct cpu_segment){0x10, 0xC093, 0xFFFFFFFF, 0};
    regs.cpl = 0;
    for (unsigned i = 0; i < 16; i++) {
        regs.gpr[i] = random_value(r);
    }
    regs.gpr[CPU_RDI] = PROGRAM_DATA;
    regs.gpr[CPU_RBX] = PROGRAM_ALIAS;
    regs.gpr[CPU_RBP] = BARE_TABLES;
    regs.gpr[CPU_RSP] = PROGRAM_STACK + 0x800;
    cpu_set_regs(b->cpu, &regs);
}

u64 program_hash(const struct bare *b, struct hash *h)
{
    hash_restart(h);
    cpu_hash(b->cpu, h);
    hash_u64(h, b->clock.step);
    hash_bytes(h, b->mem->ram + BARE_TABLES, 0x3000 + (BARE_RAM_BYTES >> PAGE_SHIFT) * 8);
    hash_bytes(h, b->mem->ram + PROGRAM_CODE, PROGRAM_CODE_BYTES);
    hash_bytes(h, b->mem->ram + PROGRAM_DATA, PROGRAM_DATA_BYTES);
    hash_bytes(h, b->mem->ram + PROGRAM_STACK, PAGE_SIZE);
    return hash_value(h);
}
