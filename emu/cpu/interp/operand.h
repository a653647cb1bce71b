// SPDX-License-Identifier: MIT
// How handlers reach registers, memory, the stack and RIP. Every function that may fault returns
// false (or NULL) with cpu->fault set and nothing committed.
#ifndef VIV_CPU_INTERP_OPERAND_H
#define VIV_CPU_INTERP_OPERAND_H

#include "cpu/state.h"

#define BIND_ONE(name, handler)                                                                    \
    insn_fn bind_##name(const struct insn *insn)                                                   \
    {                                                                                              \
        (void)insn;                                                                                \
        return handler;                                                                            \
    }

// Declares bind_<bind> of every row.
#define OP(id, mnemonic, select, bind, ...) insn_fn bind_##bind(const struct insn *insn);
#include "isa/x86_ops.def"
#undef OP

// RIP of the instruction and of the one after it. 16-bit code beyond 64 KiB goes on there: only
// branches with a 16-bit operand wrap, and the segment's limit ends it.
static inline u64 insn_rip(const struct cpu *cpu, const struct insn *insn)
{
    u64 rip = cpu->gpr[SLOT_CODE] + insn->offset;
    return LIKELY(insn->code == CODE_64) ? rip : (u32)rip;
}

static inline u64 insn_next_rip(const struct cpu *cpu, const struct insn *insn)
{
    u64 rip = cpu->gpr[SLOT_CODE] + insn->offset + insn->length;
    return LIKELY(insn->code == CODE_64) ? rip : (u32)rip;
}

static inline bool raise_gp(struct cpu *cpu, u32 error)
{
    return raise_fault_code(cpu, EXC_GP, error);
}

static inline bool raise_ud(struct cpu *cpu)
{
    return raise_fault(cpu, EXC_UD);
}

static inline bool is_canonical(u64 linear)
{
    return (u64)((s64)(linear << 16) >> 16) == linear;
}

// Registers. 8-bit ones are named by their byte offset (struct insn).
static inline u8 *reg8(struct cpu *cpu, u8 n)
{
    return (u8 *)cpu->gpr + n;
}

static inline u16 *reg16(struct cpu *cpu, u8 n)
{
    return (u16 *)&cpu->gpr[n];
}

// Value of a general register, zero-extended; width is log2 of bytes.
static inline u64 reg_read(struct cpu *cpu, u8 n, unsigned width)
{
    return width == 0 ? *reg8(cpu, n) : bits_truncate(cpu->gpr[n], 1u << width);
}

// Writes with the architecture's rules: 32-bit writes clear the upper half, 8 and 16-bit ones keep
// the rest.
static inline void reg_write(struct cpu *cpu, u8 n, unsigned width, u64 value)
{
    switch (width) {
    case 0:
        *reg8(cpu, n) = (u8)value;
        break;
    case 1:
        *reg16(cpu, n) = (u16)value;
        break;
    case 2:
        cpu->gpr[n] = (u32)value;
        break;
    default:
        cpu->gpr[n] = value;
        break;
    }
}

// Linear address of the memory operand. size in bytes; write: whether it will be written (segment
// rights). False: #GP(0) or #SS(0) by segment rules outside 64-bit code. Canonical addresses are
// checked by the access itself.
bool operand_ea_general(struct cpu *cpu, const struct insn *insn, unsigned size, bool write,
                        u64 *linear);

// The address as LEA sees it: truncated to the address size, no segment (but the base of a SLOT_FS
// or SLOT_GS index).
static inline u64 operand_offset(const struct cpu *cpu, const struct insn *insn)
{
    u64 ea = cpu->gpr[insn->base] + (cpu->gpr[insn->index] << insn->scale) + (u64)(s64)insn->disp;
    if (UNLIKELY(insn->flags & (INSN_ADDR32 | INSN_ADDR16))) {
        return insn->flags & INSN_ADDR32 ? (u32)ea : (u16)ea;
    }
    return ea;
}

static inline bool operand_ea(struct cpu *cpu, const struct insn *insn, unsigned size, bool write,
                              u64 *linear)
{
    if (UNLIKELY(insn->flags & INSN_EA_GENERAL)) {
        return operand_ea_general(cpu, insn, size, write, linear);
    }
    *linear = cpu->gpr[insn->base] + (cpu->gpr[insn->index] << insn->scale) + (u64)(s64)insn->disp;
    return true;
}

// The memory operand's address plus extra bytes (BT with a register index): wraps at the address
// size.
bool operand_ea_plus(struct cpu *cpu, const struct insn *insn, s64 extra, unsigned size, bool write,
                     u64 *linear);

// A segment's linear address for an explicit offset (string operations, stack, XLAT): base, limit
// and rights outside 64-bit code, FS and GS base in it. offset is already truncated to the address
// size.
bool operand_segment(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, bool write,
                     u64 *linear);

// Access at a linear address: TLB hit inline; misses, page crossings, MMIO and faults out of line.
// size 1..64 for the slow ones. Any handler may use them; they take care of clock and boundary.
bool operand_read_slow(struct cpu *cpu, const struct insn *insn, u64 linear, void *out,
                       unsigned size);
bool operand_write_slow(struct cpu *cpu, const struct insn *insn, u64 linear, const void *in,
                        unsigned size);
u8 *operand_rmw_slow(struct cpu *cpu, const struct insn *insn, u64 linear, unsigned size);
void operand_rmw_commit_slow(struct cpu *cpu, const struct insn *insn);

// Checks every page of a coming write of size bytes, A and D included, without writing.
bool operand_probe_write(struct cpu *cpu, const struct insn *insn, u64 linear, unsigned size);

static inline bool operand_read(struct cpu *cpu, const struct insn *insn, u64 linear, void *out,
                                unsigned size)
{
    u8 *host = tlb_lookup(&cpu->tables->read, linear, size);
    if (LIKELY(host != NULL)) {
        __builtin_memcpy(out, host, size);
        return true;
    }
    return operand_read_slow(cpu, insn, linear, out, size);
}

static inline bool operand_write(struct cpu *cpu, const struct insn *insn, u64 linear,
                                 const void *in, unsigned size)
{
    u8 *host = tlb_lookup(&cpu->tables->write, linear, size);
    if (LIKELY(host != NULL)) {
        __builtin_memcpy(host, in, size);
        return true;
    }
    return operand_write_slow(cpu, insn, linear, in, size);
}

// The same for the stack: an address that is not canonical is #SS(0), not #GP(0), whatever the
// instruction's operand.
bool operand_stack_slow(struct cpu *cpu, const struct insn *insn, u64 linear, void *bytes,
                        unsigned size, bool write);

static inline bool operand_read_stack(struct cpu *cpu, const struct insn *insn, u64 linear,
                                      void *out, unsigned size)
{
    u8 *host = tlb_lookup(&cpu->tables->read, linear, size);
    if (LIKELY(host != NULL)) {
        __builtin_memcpy(out, host, size);
        return true;
    }
    return operand_stack_slow(cpu, insn, linear, out, size, false);
}

static inline bool operand_write_stack(struct cpu *cpu, const struct insn *insn, u64 linear,
                                       const void *in, unsigned size)
{
    u8 *host = tlb_lookup(&cpu->tables->write, linear, size);
    if (LIKELY(host != NULL)) {
        __builtin_memcpy(host, in, size);
        return true;
    }
    return operand_stack_slow(cpu, insn, linear, (void *)(uintptr_t)in, size, true);
}

// Address and access in one: what most handlers of FORM_RM and FORM_MR want.
static inline bool operand_load(struct cpu *cpu, const struct insn *insn, void *out, unsigned size)
{
    u64 linear;
    return operand_ea(cpu, insn, size, false, &linear) &&
           operand_read(cpu, insn, linear, out, size);
}

static inline bool operand_store(struct cpu *cpu, const struct insn *insn, const void *in,
                                 unsigned size)
{
    u64 linear;
    return operand_ea(cpu, insn, size, true, &linear) && operand_write(cpu, insn, linear, in, size);
}

// Read-modify-write (size 1..8): the operand's bytes, checked for writing, to be changed in place;
// then operand_rmw_end(). Not calling end leaves memory as it was only off the fast path, so fault
// before you change the bytes.
static inline u8 *operand_rmw_at(struct cpu *cpu, const struct insn *insn, u64 linear,
                                 unsigned size)
{
    u8 *host = tlb_lookup(&cpu->tables->write, linear, size);
    return LIKELY(host != NULL) ? host : operand_rmw_slow(cpu, insn, linear, size);
}

static inline u8 *operand_rmw(struct cpu *cpu, const struct insn *insn, unsigned size)
{
    u64 linear;
    if (UNLIKELY(!operand_ea(cpu, insn, size, true, &linear))) {
        return NULL;
    }
    return operand_rmw_at(cpu, insn, linear, size);
}

static inline void operand_rmw_end(struct cpu *cpu, const struct insn *insn, const u8 *bytes)
{
    if (UNLIKELY(bytes == (const u8 *)&cpu->rmw_value)) {
        operand_rmw_commit_slow(cpu, insn);
    }
}

// The operand as a zero-extended number, whatever its form (register or memory): for handlers that
// are not hot. first: the first operand, else the second. Width is insn->width.
bool operand_get(struct cpu *cpu, const struct insn *insn, bool first, u64 *value);
// Stores to the first operand.
bool operand_put(struct cpu *cpu, const struct insn *insn, u64 value);

// Stack. The pointer's width follows SS.B outside 64-bit code. width is log2 of bytes.
bool stack_push(struct cpu *cpu, const struct insn *insn, unsigned width, u64 value);
bool stack_pop(struct cpu *cpu, const struct insn *insn, unsigned width, u64 *value);
// The value at byte offset from the stack pointer, without popping.
bool stack_peek(struct cpu *cpu, const struct insn *insn, unsigned width, u64 offset, u64 *value);
// Adds to the stack pointer at the stack's width.
void stack_adjust(struct cpu *cpu, s64 bytes);

// Near transfer: sets cpu->rip to target truncated to the operand size; false: #GP(0), not
// canonical or past CS's limit.
bool operand_jump(struct cpu *cpu, const struct insn *insn, u64 target);

// Gives back or takes steps beyond the one that an instruction costs (REP iterations), and shortens
// the run to what the budget leaves.
void loop_charge(struct cpu *cpu, const struct insn *insn, u64 steps);
// Steps that the instruction may use before the budget ends, at least 1.
u64 loop_steps_available(const struct cpu *cpu, const struct insn *insn);
// After cpu->current has retired outside the loop: leaves it as the loop would. True: the
// instruction at cpu->rip begins now, in 64-bit code, with nothing to look at before it and a step
// left for it.
bool loop_go_on(struct cpu *cpu);
// Return value of a handler that stops in the middle (a REP at a boundary): RIP stays, steps
// charged with loop_charge() are kept, the one of the instruction is not counted on top.
#define FAULT_VECTOR_NONE 0xFF
static inline bool insn_unfinished(struct cpu *cpu)
{
    cpu->fault.vector = FAULT_VECTOR_NONE;
    return false;
}

// The same for one that a pending x87 exception holds up with CR0.NE clear: the CPU waits before it
// for an interrupt, which FERR# asks for.
#define FAULT_VECTOR_FERR 0xFE

// What a waiting x87 or MMX instruction does first: whether no unmasked exception is pending.
// False: #MF, or the above (x87_stack.c).
bool x87_report(struct cpu *cpu);
static inline bool x87_settled(struct cpu *cpu)
{
    return LIKELY(!(cpu->fpu.fsw & 0x80) && !cpu->ferr) || x87_report(cpu);
}

// The same for a REP instruction between two iterations: an interrupt taken there saves RF set (SDM
// 3B 17.3.1.1), so that a breakpoint on the instruction does not fire again. The loop clears RF
// when it goes on.
static inline bool rep_unfinished(struct cpu *cpu)
{
    cpu->rflags |= RFLAGS_RF;
    cpu->boundary = true;
    return insn_unfinished(cpu);
}

#endif
