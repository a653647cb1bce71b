// SPDX-License-Identifier: MIT
// What hot handlers are made of. A hot handler ends with insn_chain() instead of "return true": it
// calls the next handler of the run itself, which an optimising compiler turns into a jump. Runs
// are short, so the depth is bounded where it does not. The way off the fast path is a separate
// function, so that the fast one needs no stack frame.
#ifndef VIV_CPU_INTERP_HANDLER_H
#define VIV_CPU_INTERP_HANDLER_H

#include "cpu/interp/alu.h"
#include "cpu/interp/code_cache.h"
#include "cpu/interp/operand.h"

#define OUT_OF_LINE __attribute__((noinline, cold))

static inline bool insn_chain(struct cpu *cpu, const struct insn *insn)
{
    insn++;
    if (insn == cpu->run_end) {
        return true;
    }
    cpu->current = insn;
    return insn->fn(cpu, insn);
}

// Ends a branch that has set cpu->rip, offset being its distance from SLOT_CODE: goes on with the
// run that begins there if it lies in this page, is decoded, and the budget covers it; else the
// loop sees to it. A limited number of times, so that the depth stays bounded where calls are not
// jumps.
static inline bool insn_follow(struct cpu *cpu, const struct insn *insn, u64 offset)
{
    const struct code_page *page = cpu->page;
    cpu->run_end = insn + 1;
    if (UNLIKELY(!page || offset >= PAGE_SIZE || cpu->chain == 0)) {
        return true;
    }
    unsigned position = page->index[offset];
    if (UNLIKELY(!position)) {
        return true;
    }
    const struct insn *target = &page->insns[position - 1];
    s64 left = cpu->steps_left + insn->remaining - 1 - target->remaining;
    if (UNLIKELY(left < 0)) {
        return true;
    }
    cpu->chain--;
    cpu->steps_left = left;
    cpu->run_end = target + target->remaining;
    cpu->current = target;
    return target->fn(cpu, target);
}

// The operand's bytes if its address needs nothing special and the TLB has it, else NULL.
static inline u8 *operand_fast_read(struct cpu *cpu, const struct insn *insn, unsigned size)
{
    u64 linear =
        cpu->gpr[insn->base] + (cpu->gpr[insn->index] << insn->scale) + (u64)(s64)insn->disp;
    return UNLIKELY(insn->flags & INSN_EA_GENERAL) ? NULL
                                                   : tlb_lookup(&cpu->tables->read, linear, size);
}

static inline u8 *operand_fast_write(struct cpu *cpu, const struct insn *insn, unsigned size)
{
    u64 linear =
        cpu->gpr[insn->base] + (cpu->gpr[insn->index] << insn->scale) + (u64)(s64)insn->disp;
    return UNLIKELY(insn->flags & INSN_EA_GENERAL) ? NULL
                                                   : tlb_lookup(&cpu->tables->write, linear, size);
}

// A handler that reads memory: body is an expression statement on "value", the operand.
#define HANDLER_LOAD(name, bits, ...)                                                              \
    static inline bool name##_with(struct cpu *cpu, const struct insn *insn, u##bits value)        \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
        return insn_chain(cpu, insn);                                                              \
    }                                                                                              \
    static OUT_OF_LINE bool name##_slow(struct cpu *cpu, const struct insn *insn)                  \
    {                                                                                              \
        u##bits value;                                                                             \
        return operand_load(cpu, insn, &value, sizeof(value)) && name##_with(cpu, insn, value);    \
    }                                                                                              \
    static bool name(struct cpu *cpu, const struct insn *insn)                                     \
    {                                                                                              \
        const u8 *p = operand_fast_read(cpu, insn, sizeof(u##bits));                               \
        if (UNLIKELY(p == NULL)) {                                                                 \
            return name##_slow(cpu, insn);                                                         \
        }                                                                                          \
        u##bits value;                                                                             \
        __builtin_memcpy(&value, p, sizeof(value));                                                \
        return name##_with(cpu, insn, value);                                                      \
    }

// A handler that stores an expression.
#define HANDLER_STORE(name, bits, expression)                                                      \
    static OUT_OF_LINE bool name##_slow(struct cpu *cpu, const struct insn *insn)                  \
    {                                                                                              \
        u##bits value = (u##bits)(expression);                                                     \
        return operand_store(cpu, insn, &value, sizeof(value)) && insn_chain(cpu, insn);           \
    }                                                                                              \
    static bool name(struct cpu *cpu, const struct insn *insn)                                     \
    {                                                                                              \
        u8 *p = operand_fast_write(cpu, insn, sizeof(u##bits));                                    \
        if (UNLIKELY(p == NULL)) {                                                                 \
            return name##_slow(cpu, insn);                                                         \
        }                                                                                          \
        u##bits value = (u##bits)(expression);                                                     \
        __builtin_memcpy(p, &value, sizeof(value));                                                \
        return insn_chain(cpu, insn);                                                              \
    }

// A handler that reads, changes and writes memory: body changes "value"; after the write, "then" is
// done.
#define HANDLER_MODIFY(name, bits, body, then)                                                     \
    static inline void name##_on(struct cpu *cpu, const struct insn *insn, u8 *p)                  \
    {                                                                                              \
        u##bits value;                                                                             \
        __builtin_memcpy(&value, p, sizeof(value));                                                \
        u##bits old = value;                                                                       \
        body;                                                                                      \
        __builtin_memcpy(p, &value, sizeof(value));                                                \
        then;                                                                                      \
        (void)old;                                                                                 \
    }                                                                                              \
    static OUT_OF_LINE bool name##_slow(struct cpu *cpu, const struct insn *insn)                  \
    {                                                                                              \
        u8 *p = operand_rmw(cpu, insn, sizeof(u##bits));                                           \
        if (p == NULL) {                                                                           \
            return false;                                                                          \
        }                                                                                          \
        name##_on(cpu, insn, p);                                                                   \
        operand_rmw_end(cpu, insn, p);                                                             \
        return insn_chain(cpu, insn);                                                              \
    }                                                                                              \
    static bool name(struct cpu *cpu, const struct insn *insn)                                     \
    {                                                                                              \
        u8 *p = operand_fast_write(cpu, insn, sizeof(u##bits));                                    \
        if (UNLIKELY(p == NULL)) {                                                                 \
            return name##_slow(cpu, insn);                                                         \
        }                                                                                          \
        name##_on(cpu, insn, p);                                                                   \
        return insn_chain(cpu, insn);                                                              \
    }

// A handler on registers alone.
#define HANDLER(name, ...)                                                                         \
    static bool name(struct cpu *cpu, const struct insn *insn)                                     \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
        return insn_chain(cpu, insn);                                                              \
    }

#endif
