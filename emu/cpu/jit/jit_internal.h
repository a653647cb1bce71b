// SPDX-License-Identifier: MIT
// The translator's own structures: code memory, blocks, links. Private to emu/cpu/jit.
#ifndef VIV_CPU_JIT_JIT_INTERNAL_H
#define VIV_CPU_JIT_JIT_INTERNAL_H

#include "cpu/code_memory.h"
#include "cpu/interp/code_cache.h"
#include "cpu/jit/emit.h"
#include "cpu/jit/jit.h"
#include "cpu/state.h"

#define BLOCK_INSNS_MAX 48
// With both mappings of the code in full use, the decode cache and the TLB's sets, the host's
// memory stays within 256 MiB beyond the guest's.
#define JIT_CODE_BYTES (UINT64_C(64) << 20)
#define JIT_COLD_OFFSET (JIT_CODE_BYTES / 3 * 2) // from there on: the stubs
#define JIT_CODE_SLACK 16 // at its end: a jump that was not written any more may yet be patched
#define JIT_HEAP_BYTES (UINT64_C(48) << 20) // of blocks, dead ones included
#define JIT_REWRITES_MAX 64 // stores into a page's translated code before it is only interpreted
#define JIT_HOT 16 // executions before a run is translated; VIV_TEST_HOT in the environment
// A block that sets all flags before anyone may see them is left at its entry, where the steps do
// not last, with flags that are garbage. So translated code gets this many steps less than there
// are: the interpreter has enough of them to come to where the flags are set.
#define JIT_RESERVE_STEPS BLOCK_INSNS_MAX

struct jit_block;

// A direct jump to a page offset: its displacement leads to the target's entry, or to a stub that
// asks for it.
struct jit_link {
    struct jit_block *from, *to;  // to: NULL: not linked
    struct jit_link *next, *prev; // of those that lead to the same block
    u8 *site;                     // the displacement, writable
    const u8 *stub;
    u16 offset; // of the target in the page
};

// Translated instructions of one page, beginning at one offset: entered at its beginning only.
struct jit_block {
    struct code_page *page;
    struct jit_block *next_in_page, *next_in_slot;
    struct jit_link *incoming;
    u16 offset, insn_count, link_count, bytes; // bytes: of guest code
    bool dead;
    u8 *external_write;               // entry with RIP in r11, writable
    const u8 *external, *entry, *end; // entry: SLOT_CODE is right
    struct jit_link *links;
    struct insn insns[]; // copies; "remaining" counts to the block's end
};

// What is known of a place in guest memory: code is its block's external entry, or that of a dead
// block, which leads out.
struct jit_code_at {
    const u8 *guest; // host address of the first byte; NULL: empty
    const u8 *code;
};

#define CODE_AT_BITS 15
#define BLOCK_SLOTS_BITS 17
#define BLOCK_SLOTS (1u << BLOCK_SLOTS_BITS)
#define HEAT_SLOTS_BITS 16
#define HEAT_SLOTS (1u << HEAT_SLOTS_BITS)

// Places that translated code calls or jumps to; see gates.c for what each wants.
struct jit_gates {
    const u8 *enter;       // from C
    const u8 *leave;       // to C, all state being given
    const u8 *insn;        // CALLed with the instruction in r10
    const u8 *exit_offset; // jumped to, r10: page offset
    const u8 *exit_linear; // r11: linear address
    const u8 *exit_link;   // r10: struct jit_link
    const u8 *find_jump;   // CALLed with a linear address in r11, whose jump cache entry's index is
                           // in r10 then; RCX is 0 if there is none
    const u8 *across;      // CALLed with an address in r11, bytes in RCX; then r10 (across.c)
    const u8 *vector_save; // CALLed while vector registers are live
    const u8 *vector_load; // CALLed to get back what was saved
    const u8 *vector_sse;  // CALLed with the instruction in r10: makes XMM registers live
    const u8 *vector_avx;  // the whole ones
};

struct jit {
    struct physmem *mem;
    struct mmu_shared *mmu;
    struct code_cache *code;
    struct code_memory memory; // JIT_CODE_BYTES
    u64 used, first;           // bytes; "first" is where the blocks begin
    u64 cold_used;             // offset behind the last stub
    u64 heap;                  // bytes of all blocks outside code memory
    struct jit_gates gates;
    struct jit_block *dead;     // killed, not yet freed
    u64 kills, flushes;         // blocks killed ever, times that all were forgotten
    struct code_page *any_page; // stands for the page of the code that runs
    struct {
        u64 key; // of the first block in the slot, so that looking there is mostly all
        struct jit_block *first;
    } slots[BLOCK_SLOTS];
    struct jit_code_at code_at[1u << CODE_AT_BITS]; // where jumps from other pages led to
    unsigned cpu_count;
    u8 hot; // what heat must reach
    u8 heat[HEAT_SLOTS];
};

static inline s64 jit_to_run(const struct jit *jit)
{
    return jit->memory.run - jit->memory.write;
}

void gates_emit(struct jit *jit);

// Of a place in guest code: its high bits are an index.
static inline u64 block_key(const struct code_page *page, unsigned offset)
{
    return (u64)page->rpn << PAGE_SHIFT | offset;
}

static inline u64 block_hash(const struct code_page *page, unsigned offset)
{
    return block_key(page, offset) * UINT64_C(0x9E3779B97F4A7C15);
}

static inline struct jit_code_at *code_at_slot(struct jit *jit, const u8 *guest)
{
    u64 hash = (u64)(uintptr_t)guest * UINT64_C(0x9E3779B97F4A7C15);
    return &jit->code_at[hash >> (64 - CODE_AT_BITS)];
}

// Twice the index of the jump cache's entry for linear, which is made if it can be; JIT_NO_JUMP.
#define JIT_NO_JUMP UINT64_MAX
u64 jit_find_jump(struct cpu *cpu, u64 linear);

// The block that begins there, or NULL.
struct jit_block *block_find(const struct jit *jit, const struct code_page *page, unsigned offset);
void block_insert(struct jit *jit, struct jit_block *block);
void block_link(struct jit *jit, struct jit_link *link, struct jit_block *to);
void block_kill(struct jit *jit, struct jit_block *block);
// Forgets all blocks. Nothing may be running.
void block_flush(struct jit *jit);

// Makes a block of the instructions at offset. NULL: there is nothing to translate.
struct jit_block *translate(struct jit *jit, struct code_page *page, unsigned offset);

// What the instruction gates call: where to go on, NULL: leave. alone: not behind the instruction
// in its block.
const u8 *jit_step(struct cpu *cpu, const struct insn *insn);
const u8 *jit_step_alone(struct cpu *cpu, const struct insn *insn);

// The gate for reads across a page's end (across.c).
const u8 *across_gate_emit(struct emitter *e);

// The passages of vector registers (vector_gates.c). Before others; alone: where an instruction is
// interpreted, then the block left.
void vector_routines_emit(struct emitter *e, struct jit_gates *gates);
void vector_gates_emit(struct emitter *e, struct jit_gates *gates, const u8 *alone);
// Calls a routine if vector registers are live.
void emit_if_live(struct emitter *e, const u8 *routine);
void emit_vectors_gone(struct emitter *e);

#endif
