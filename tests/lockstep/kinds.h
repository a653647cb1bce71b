// SPDX-License-Identifier: MIT
// The kinds of instructions that programs are made of. Each writes one, or a few that belong
// together.
#ifndef VIV_TESTS_LOCKSTEP_KINDS_H
#define VIV_TESTS_LOCKSTEP_KINDS_H

#include "tests/lockstep/emitter.h"

// Integers (kinds_integer.c).
void write_alu(struct generator *g);
void write_alu_immediate(struct generator *g);
void write_mov(struct generator *g);
void write_constant(struct generator *g);
void write_lea(struct generator *g);
void write_extend(struct generator *g);
void write_shift(struct generator *g);
void write_group3(struct generator *g);
void write_imul(struct generator *g);
void write_condition(struct generator *g);
void write_bits(struct generator *g);
void write_bmi(struct generator *g);
void write_odd_integer(struct generator *g);
void write_exchange(struct generator *g);
void write_flag(struct generator *g);
void write_string(struct generator *g);

// Vectors, x87 and their state (kinds_vector.c).
void write_vector(struct generator *g);
void write_x87(struct generator *g);
void write_state(struct generator *g);

// Stack, jumps, calls, loops (kinds_flow.c).
void write_stack(struct generator *g);
void write_forward_branch(struct generator *g);
void write_loop(struct generator *g);
void write_call(struct generator *g);
void write_indirect_jump(struct generator *g);
void write_frame(struct generator *g);

// Loops through memory (kinds_walk.c).
void write_walk(struct generator *g);

// What changes code, tables, modes and the device (kinds_system.c). write_ring0: for ring 0 alone.
void write_self_modification(struct generator *g);
void write_system(struct generator *g);
void write_segment(struct generator *g);
void write_control(struct generator *g);
void write_garbage(struct generator *g);
void write_ring0(struct generator *g);

// One of any kind (generator.c).
void write_one(struct generator *g);

// What they share (kinds_integer.c). A width is log2 of bytes.
static inline unsigned operand_bytes(unsigned width)
{
    return 1u << width;
}

unsigned any_width(struct generator *g);
void set_width(struct encoding *e, unsigned width); // becomes prefix and REX.W
// Byte registers 4 to 7 are AH to BH, or SPL to DIL behind a REX.
void byte_registers(struct generator *g, struct encoding *e, unsigned width);
// What the instruction wrote is not known any more.
void note_written(struct generator *g, const struct encoding *e, bool reg, bool rm);
u64 small_or_any(struct generator *g);
unsigned any_register(struct generator *g); // hardly ever RSP
// Bytes of code that may be exchanged.
void note_patch(struct generator *g, unsigned offset, unsigned size, unsigned mask);
void write_plain(struct generator *g, const void *bytes, unsigned size);

#endif
