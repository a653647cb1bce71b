// SPDX-License-Identifier: MIT
// Loops whose end tells that few iterations are left: a block holds several of them, one behind the
// other, so that accesses of one iteration share the checks of another (shares.c), and the block is
// entered once. Each turn but the last is the loop's jump the other way round.
#include "cpu/jit/translator.h"

#define FEW_MAX 7 // iterations: more are worth a run (page_run.c)

// The same for the lower half of the register: it counts iterations, and addresses nothing.
static struct motion motion_of_counter(const struct insn *insn)
{
    struct insn whole = *insn;
    whole.width = insn->width == 2 ? 3 : insn->width;
    return motion_of(&whole);
}

// What an iteration adds to the register, 0: it is not known, or nothing.
static s64 step_of(const struct insn *insns, unsigned n, unsigned reg)
{
    s64 step = 0;
    for (unsigned i = 0; i < n; i++) {
        u32 written = registers_written(&insns[i]);
        if (!(written >> reg & 1)) {
            continue;
        }
        bool alone = written == 1u << reg && !vector_level(&insns[i]);
        struct motion m = alone ? motion_of_counter(&insns[i]) : (struct motion){.unknown = true};
        if (m.unknown || m.by != SLOT_ZERO) {
            return 0;
        }
        step += m.constant;
    }
    return step;
}

unsigned few_iterations(const struct insn *insns, unsigned n)
{
    const struct insn *compare = &insns[n - 2];
    if (!is_condition_jump(&insns[n - 1]) || compare->op != OP_CMP || compare->form != FORM_RI ||
        compare->width < 2) {
        return 0;
    }
    s64 step = step_of(insns, n, compare->reg), end = (s64)compare->imm;
    u64 iterations = step > 0 && end > 0 ? ((u64)end - 1) / (u64)step + 1 : 0;
    return iterations <= FEW_MAX ? (unsigned)iterations : 0;
}

// The instruction that the last one jumps to; n: none of them.
static unsigned loop_head(const struct insn *insns, unsigned n)
{
    const struct insn *turn = &insns[n - 1];
    unsigned head = is_condition_jump(turn) ? 0 : n;
    while (head < n && insns[head].offset != turn->imm) {
        head++;
    }
    return head;
}

unsigned unroll(struct insn insns[BLOCK_INSNS_MAX], unsigned n)
{
    unsigned head = loop_head(insns, n), body = n - head,
             behind = insns[n - 1].offset + insns[n - 1].length;
    if (body < 2 || behind >= PAGE_SIZE) {
        return n;
    }
    unsigned copies = few_iterations(insns + head, body), room = (BLOCK_INSNS_MAX - head) / body;
    unsigned count = head + body * (copies < room ? copies : room);
    for (unsigned i = n; i < count; i++) {
        insns[i] = insns[i - body];
    }
    for (unsigned turn = n - 1; turn + body < count; turn += body) {
        insns[turn].op = (u16)(OP_JO + ((insns[turn].op - OP_JO) ^ 1));
        insns[turn].imm = behind;
    }
    return count > n ? count : n;
}
