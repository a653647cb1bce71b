// SPDX-License-Identifier: MIT
// Descriptors and stacks, for segment loads, far transfers and gates. Private to emu/cpu.
#ifndef VIV_CPU_SEGMENT_H
#define VIV_CPU_SEGMENT_H

#include "cpu/state.h"

// A descriptor as it lies in a table (SDM 3A 3.4.5); high is the second half of 16-byte system
// descriptors.
struct descriptor {
    u64 low, high;
    u64 linear; // where it was read
    u16 selector;
    u16 attributes;
};

// System descriptor types (SDM 3A table 3-2).
enum {
    SYS_TSS16 = 1,
    SYS_LDT = 2,
    SYS_TSS16_BUSY = 3,
    SYS_CALL_GATE16 = 4,
    SYS_TASK_GATE = 5,
    SYS_INTERRUPT_GATE16 = 6,
    SYS_TRAP_GATE16 = 7,
    SYS_TSS = 9,
    SYS_TSS_BUSY = 11,
    SYS_CALL_GATE = 12,
    SYS_INTERRUPT_GATE = 14,
    SYS_TRAP_GATE = 15,
};

static inline bool cpu_in_lma(const struct cpu *cpu)
{
    return cpu->efer & EFER_LMA;
}

// Selectors are paragraphs: real mode and virtual-8086 mode.
static inline bool cpu_paragraphs(const struct cpu *cpu)
{
    return !(cpu->cr0 & CR0_PE) || (cpu->rflags & RFLAGS_VM);
}

static inline u32 selector_error(u16 selector)
{
    return selector & 0xFFFCu;
}

static inline unsigned descriptor_dpl(const struct descriptor *d)
{
    return SEGMENT_DPL(d->attributes);
}

static inline bool descriptor_is_code(const struct descriptor *d)
{
    return (d->attributes & (SEGMENT_S | SEGMENT_CODE)) == (SEGMENT_S | SEGMENT_CODE);
}

static inline bool descriptor_is_writable_data(const struct descriptor *d)
{
    return (d->attributes & (SEGMENT_S | SEGMENT_CODE | SEGMENT_WRITABLE)) ==
           (SEGMENT_S | SEGMENT_WRITABLE);
}

// Base and expanded limit of a code, data or system descriptor's low half.
u64 descriptor_base(const struct descriptor *d);
u32 descriptor_limit(const struct descriptor *d);

// Reads the descriptor that a non-null selector names (8 bytes; wide: 16). False: vector(selector |
// ext) if it lies outside its table, or a page fault.
bool descriptor_read(struct cpu *cpu, u16 selector, bool wide, u8 vector, u32 ext,
                     struct descriptor *d);
// Sets type bits in memory (accessed, busy); nothing if they are set.
bool descriptor_set_type(struct cpu *cpu, struct descriptor *d, u8 bits);
// Fills a segment register.
void segment_set(struct cpu_segment *s, u16 selector, const struct descriptor *d);
void segment_set_null(struct cpu_segment *s, u16 selector);

// Where a stack is being built or read.
struct stack {
    struct cpu_segment segment;
    u64 pointer;
    u8 cpl;    // privilege of the accesses
    u8 width;  // of the pointer in bytes: 8, 4 (SS.B) or 2
    u32 error; // of #SS
};

struct stack stack_current(const struct cpu *cpu);
// size bytes below the pointer, all or nothing; moves the pointer. size <= 4096.
bool stack_write(struct cpu *cpu, struct stack *stack, const void *bytes, unsigned size);
// size bytes at offset above the pointer.
bool stack_read(struct cpu *cpu, const struct stack *stack, u64 offset, void *bytes, unsigned size);
// The pointer moved by delta, at the stack's width.
u64 stack_offset(const struct stack *stack, s64 delta);
// Commits segment and pointer to SS and RSP.
void stack_commit(struct cpu *cpu, const struct stack *stack);

// A stack from the TSS for the given privilege (no IST): pointer in 64-bit mode with a null SS,
// else checked SS:ESP.
bool stack_from_tss(struct cpu *cpu, unsigned cpl, u32 ext, struct stack *stack);
bool tss_read(struct cpu *cpu, u32 offset, void *bytes, unsigned size, u32 ext);

// RIP fits the code segment that is about to be loaded: canonical in 64-bit code, else within the
// limit.
bool code_target_valid(const struct cpu *cpu, const struct descriptor *code, u64 rip);
// Loads CS (and CPL) from a checked descriptor and RIP.
void code_commit(struct cpu *cpu, const struct descriptor *code, unsigned cpl, u64 rip);
// All six registers as virtual-8086 mode has them (SDM 3B 21.3), from their selectors.
void segments_set_vm86(struct cpu *cpu);
// After a return to an outer ring: segments that it may not see become null.
void segments_drop_privileged(struct cpu *cpu);

// True: the probe listens.
static inline bool transition_probed(const struct cpu *cpu)
{
    return probe_on(cpu->config.probes, PROBE_transition);
}

#endif
