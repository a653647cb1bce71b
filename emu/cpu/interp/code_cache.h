// SPDX-License-Identifier: MIT
// Decoded instructions by physical page. Invisible: every store to a page with cached code passes
// code_cache_store().
#ifndef VIV_CPU_INTERP_CODE_CACHE_H
#define VIV_CPU_INTERP_CODE_CACHE_H

#include "isa/decode.h"
#include "mem/physmem.h"
#include "mmu/mmu.h"

// The decoded instructions of one RAM page and code size. Runs lie one after the other in insns[];
// an instruction's "remaining" reaches to the end of its run, so a jump into the middle of one
// needs no run of its own.
struct code_page {
    struct code_page *next_size; // same page, other code size
    struct code_page *next, *previous;
    u32 rpn;
    u8 code;      // enum insn_code_size
    bool doomed;  // freed when next looked up
    u16 crossing; // bit n: the instruction at offset 4095 - n is known to cross into the next page
    u32 count, capacity, live;
    u32 stores; // since it was last looked up
    u64 lines;  // 64-byte lines with instruction bytes
    struct insn *insns;
    struct jit_block *blocks; // translated from here (cpu/jit)
    u32 rewrites;             // stores that hit such a block
    u16 index[4096]; // by page offset: 1 + position in insns[], 0 not decoded
};

// One per machine: all CPUs of one physmem share it.
struct code_cache;

// The machine's cache, created by the first caller; each get needs a put. counted: instructions
// count themselves (cpu_config.coverage).
struct code_cache *code_cache_get(struct physmem *mem, struct mmu_shared *mmu,
                                  const struct decoder_options *options, bool counted);
void code_cache_put(struct code_cache *cache);

// The machine's translator, created by the first caller; lives as long as the cache.
struct jit *code_cache_jit(struct code_cache *cache, unsigned cpu_count);

// By RAM page number; a page's code sizes are chained. Owned by the cache, for the loop's fast
// lookup.
struct code_page **code_cache_pages(struct code_cache *cache);

// Only between runs: may free pages. Never NULL.
struct code_page *code_cache_page(struct code_cache *cache, u32 rpn, enum insn_code_size code);

// The instruction at offset; decodes a run if needed. NULL: it crosses the page.
const struct insn *code_cache_at(struct code_cache *cache, struct code_page *page, unsigned offset);

// An instruction that crosses a page, lies outside RAM, or both: decoded from bytes, remembered
// with them. size is what is at hand; NULL: more is needed.
const struct insn *code_cache_loose(struct code_cache *cache, enum insn_code_size code,
                                    unsigned offset, const u8 *bytes, unsigned size);

// The page offsets of these linear addresses get op_watched instead of their handlers. Only between
// runs.
void code_cache_watch(struct code_cache *cache, const u64 *linear, unsigned count);
// The handler of an instruction that has op_watched or op_counted.
insn_fn code_cache_handler(const struct insn *insn);
bool op_watched(struct cpu *cpu, const struct insn *insn);
bool op_counted(struct cpu *cpu, const struct insn *insn);

// What picks the handlers of an operation: bind_<bind> of its row, NULL for OP_INVALID (bind.c).
typedef insn_fn (*bind_fn)(const struct insn *insn);
bind_fn interp_binder(enum x86_op op);
// Picks the handler.
insn_fn interp_bind(const struct insn *insn);
// Handlers of what is not an instruction of the table, is too long (#GP), or was overwritten.
bool op_undefined(struct cpu *cpu, const struct insn *insn);
bool op_too_long(struct cpu *cpu, const struct insn *insn);
bool op_stale(struct cpu *cpu, const struct insn *insn);

void interp_free_undefined(struct cpu *cpu);

#endif
