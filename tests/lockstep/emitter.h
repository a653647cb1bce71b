// SPDX-License-Identifier: MIT
// Instructions as bytes, any encoding that there is; and what is known of the registers while they
// are written.
#ifndef VIV_TESTS_LOCKSTEP_EMITTER_H
#define VIV_TESTS_LOCKSTEP_EMITTER_H

#include "tests/isa/generate.h"
#include "tests/lockstep/world.h"

struct generator {
    struct program *p;
    struct random r;
    unsigned at;    // offset of the next byte
    unsigned begin; // of the instruction that is being written
    bool known[16]; // value[] is what the register holds, as far as it was seen being written
    u64 value[16];
    unsigned depth;              // of loops
    unsigned counters;           // loop counters used
    unsigned gaps[8], gap_count; // offsets of 32 bytes between the code that are data
    bool polite;                 // few faults, so that most of the steps are the program's own
    bool walks;                  // loops through memory, and to the ends of pages, often
    unsigned functions[8], function_count;
};

enum { MAP_0, MAP_0F, MAP_0F38, MAP_0F3A };

struct rm {
    bool mem, rip, addr32;
    u8 reg;         // not mem
    u8 base, index; // 16: none
    u8 scale;
    u8 segment; // prefix, 0: none
    s32 disp;
    u64 target; // rip
};

// An instruction with a ModRM byte, or without where has_rm is false.
struct encoding {
    u8 prefix[4], prefix_count; // F0 66 F2 F3
    u8 map, opcode;
    bool has_rm, wide, force_rex, vex, vex_l, vex_w;
    u8 reg, vvvv, pp; // pp: VEX's
    struct rm rm;
    u64 imm;
    u8 imm_size;
};

static inline unsigned pick(struct generator *g, unsigned limit)
{
    return random_below(&g->r, limit);
}

static inline bool chance(struct generator *g, unsigned one_in)
{
    return random_below(&g->r, one_in) == 0;
}

// The instruction is complete once end_insn() was called.
void begin_insn(struct generator *g);
void end_insn(struct generator *g);
void put_bytes(struct generator *g, const void *bytes, unsigned size);
void encode(struct generator *g, const struct encoding *e);
// The register is written: nothing is known of it any more.
void forget(struct generator *g, unsigned reg);
void forget_all(struct generator *g);

void load_constant(struct generator *g, unsigned reg, u64 value);
// A register operand, or a memory operand of size bytes that lies where it is interesting; may
// write an instruction before that loads a base register.
struct rm any_rm(struct generator *g, unsigned size);
struct rm memory_rm(struct generator *g, unsigned size);
struct rm memory_at(struct generator *g, u64 target);
struct rm register_rm(unsigned reg);
u64 any_target(struct generator *g, unsigned size);

#endif
