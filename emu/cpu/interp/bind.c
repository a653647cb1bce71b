// SPDX-License-Identifier: MIT
// From operation to handler, and what happens to instructions that have none.
#include <stdlib.h>

#include "base/memory.h"
#include "cpu/interp/code_cache.h"
#include "cpu/interp/operand.h"

struct undefined_count {
    struct undefined_count *next;
    u64 mnemonic, count;
};

static const bind_fn binders[X86_OP_COUNT] = {
#define OP(id, mnemonic, select, bind, ...) [OP_##id] = bind_##bind,
#include "isa/x86_ops.def"
#undef OP
};

bind_fn interp_binder(enum x86_op op)
{
    return binders[op];
}

insn_fn interp_bind(const struct insn *insn)
{
    insn_fn fn = insn->op == OP_INVALID ? NULL : binders[insn->op](insn);
    return fn ? fn : op_undefined;
}

static void count_undefined(struct cpu *cpu, u64 mnemonic)
{
    struct undefined_count **link = &cpu->undefined;
    while (*link && (*link)->mnemonic != mnemonic) {
        link = &(*link)->next;
    }
    if (!*link) {
        *link = xcalloc(1, sizeof(**link));
        (*link)->mnemonic = mnemonic;
    }
    (*link)->count++;
}

bool op_undefined(struct cpu *cpu, const struct insn *insn)
{
    cpu->current = insn;
    u64 rip = insn_rip(cpu, insn), bytes = 0;
    count_undefined(cpu, insn->op == OP_INVALID ? insn->imm : 0);
    if (probe_on(cpu->config.probes, PROBE_undefined)) {
        cpu_debug_read(cpu, cpu->long_mode ? rip : (u32)(rip + cpu->seg[CPU_CS].base), &bytes,
                       sizeof(bytes));
        cpu_probe(cpu, PROBE_undefined, rip, 0, bytes, 0, insn->length, 0);
    }
    return raise_ud(cpu);
}

bool op_counted(struct cpu *cpu, const struct insn *insn)
{
    cpu->config.coverage[insn->op]++;
    return code_cache_handler(insn)(cpu, insn);
}

bool op_too_long(struct cpu *cpu, const struct insn *insn)
{
    return raise_gp(cpu, 0);
}

bool op_stale(struct cpu *cpu, const struct insn *insn)
{
    return insn_unfinished(cpu);
}

void cpu_each_undefined(const struct cpu *cpu,
                        void (*fn)(void *ctx, const char *mnemonic, u64 count), void *ctx)
{
    for (const struct undefined_count *u = cpu->undefined; u; u = u->next) {
        fn(ctx, decode_mnemonic_name(u->mnemonic), u->count);
    }
}

void interp_free_undefined(struct cpu *cpu)
{
    while (cpu->undefined) {
        struct undefined_count *next = cpu->undefined->next;
        free(cpu->undefined);
        cpu->undefined = next;
    }
}
