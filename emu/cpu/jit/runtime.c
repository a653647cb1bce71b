// SPDX-License-Identifier: MIT
// The translator at run time: entering blocks, what happens at their ends, and the interpreter's
// help in their middle.
#include "cpu/interp/operand.h"
#include "cpu/jit/jit_internal.h"

#include "base/check.h"
#include "base/memory.h"
#include "cpu/interp/vector.h"

#include <cpuid.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#define HWCAP2_FSGSBASE_BIT 2 // Linux: user mode may use WRGSBASE

bool jit_host_able(void)
{
    unsigned a, b = 0, c, d;
    bool bmi2 = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_BMI2) && (b & bit_BMI);
    return bmi2 && (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT);
}

struct jit *jit_create(struct physmem *mem, struct mmu_shared *mmu, struct code_cache *code,
                       unsigned cpu_count)
{
    struct jit *jit = xcalloc(1, sizeof(*jit));
    jit->memory = code_memory_create("viv-jit", JIT_CODE_BYTES);
    jit->mem = mem;
    jit->mmu = mmu;
    jit->code = code;
    jit->cpu_count = cpu_count;
    const char *hot = getenv("VIV_TEST_HOT");
    jit->hot = hot && atoi(hot) > 0 && atoi(hot) < JIT_HOT ? (u8)atoi(hot) : JIT_HOT;
    jit->any_page = xcalloc(1, sizeof(*jit->any_page));
    gates_emit(jit);
    return jit;
}

void jit_destroy(struct jit *jit)
{
    if (jit) {
        block_flush(jit);
        code_memory_destroy(&jit->memory);
        free(jit->any_page);
        free(jit);
    }
}

void jit_init_frame(struct cpu *cpu)
{
    cpu->jit_frame = (struct jit_frame){
        .df_mask = RFLAGS_DF,
        .count_mask32 = 31,
        .count_mask64 = 63,
        .closed_mask = ~(u64)RFLAGS_IF,
        .jump_mask = (TLB_JUMP_ENTRIES - 1) << 1,
        .sign_mask = UINT64_C(1) << 63,
        .aligned16 = ~(u64)PAGE_MASK | 15,
        .aligned32 = ~(u64)PAGE_MASK | 31,
        .host_mxcsr = MXCSR_MASKED,
    };
}

bool jit_drop_range(struct jit *jit, struct code_page *page, u32 offset, u32 size)
{
    struct jit_block *next;
    u64 kills = jit->kills;
    for (struct jit_block *block = page->blocks; block; block = next) {
        next = block->next_in_page;
        if (block->offset < offset + size && offset < (u32)block->offset + block->bytes) {
            block_kill(jit, block);
        }
    }
    return kills != jit->kills;
}

void jit_drop_page(struct jit *jit, struct code_page *page)
{
    while (page->blocks) {
        block_kill(jit, page->blocks);
    }
}

bool jit_describe(const struct code_page *page, unsigned offset, struct cpu_translation *out)
{
    while (page && page->code != CODE_64) {
        page = page->next_size;
    }
    const struct jit_block *best = NULL;
    for (const struct jit_block *b = page ? page->blocks : NULL; b; b = b->next_in_page) {
        bool holds = b->offset <= offset && offset < (unsigned)b->offset + b->bytes;
        best = holds && (!best || b->offset > best->offset) ? b : best;
    }
    if (best) {
        out->guest_first = best->offset;
        out->guest_bytes = best->bytes;
        out->host = best->entry;
        out->host_bytes = (size_t)(best->end - best->entry);
    }
    return best != NULL;
}

static s64 steps_of(u64 counter)
{
    return ((s64)(counter ^ JIT_COUNTER_BIAS) >> 6) + JIT_RESERVE_STEPS;
}

static u64 counter_of(s64 steps)
{
    return ((u64)(steps - JIT_RESERVE_STEPS) << 6 | JIT_COUNTER_LOW) ^ JIT_COUNTER_BIAS;
}

// Whether vector instructions do on the host what they do in the guest: no exception of theirs is
// unmasked, and the operating system lets them run.
static void judge_vectors(struct cpu *cpu)
{
    bool sse = !(cpu->cr0 & (CR0_EM | CR0_TS)) && (cpu->cr4 & CR4_OSFXSR) &&
               (cpu->fpu.mxcsr & ~(MXCSR_MODE | MXCSR_FLAGS)) == MXCSR_MASKED;
    bool avx = sse && (cpu->cr4 & CR4_OSXSAVE) && (cpu->xcr0 & XCR0_AVX_SSE) == XCR0_AVX_SSE;
    cpu->jit_frame.sse_blocked = !sse;
    cpu->jit_frame.avx_blocked = !avx;
}

// Live vector registers that may not be any more.
static bool vectors_revoked(const struct jit_frame *frame)
{
    return (frame->sse_blocked && frame->sse_live) || (frame->avx_blocked && frame->avx_live);
}

static void enter(struct cpu *cpu, const u8 *code)
{
    void (*gate)(struct cpu *, const u8 *);
    memcpy(&gate, &cpu->jit->gates.enter, sizeof(gate));
    judge_vectors(cpu);
    cpu->jit_frame.counter = counter_of(cpu->steps_left);
    cpu->jit_frame.tables = cpu->tables;
    gate(cpu, code);
}

// What the block at the offset is, made now if it is worth it.
static struct jit_block *wanted_block(struct jit *jit, struct code_page *page, unsigned offset)
{
    struct jit_block *block = block_find(jit, page, offset);
    if (LIKELY(block != NULL)) {
        return block;
    }
    if (UNLIKELY(page->rewrites > JIT_REWRITES_MAX)) {
        return NULL;
    }
    u8 *heat = &jit->heat[block_hash(page, offset) >> (64 - HEAT_SLOTS_BITS)];
    if (++*heat < jit->hot) {
        return NULL;
    }
    *heat = 0;
    return translate(jit, page, offset);
}

static void set_tables(struct cpu *cpu)
{
    if (cpu->jit_frame.tables != cpu->tables) {
        cpu->jit_frame.tables = cpu->tables;
        __asm__ volatile("wrgsbase %0" : : "r"(cpu->tables));
    }
}

// guest: the host address of what is at cpu->rip, as the fetch column says.
static void remember_jump(struct cpu *cpu, const u8 *guest, const struct jit_block *block)
{
    *code_at_slot(cpu->jit, guest) = (struct jit_code_at){guest, block->external};
    mmu_remember_jump(cpu->mmu, cpu->rip, block->external);
}

// The external entry of what is at cpu->rip in 64-bit code, made now if it is worth it. NULL: there
// is none, or the fetch is not in the TLB.
static const u8 *external_entry(struct cpu *cpu)
{
    const u8 *host = tlb_lookup(&cpu->tables->fetch, cpu->rip, 1);
    if (UNLIKELY(!host)) {
        return NULL;
    }
    struct code_page *page = cpu->code_pages[(u64)(host - cpu->config.mem->ram) >> PAGE_SHIFT];
    if (UNLIKELY(!page || page->code != CODE_64 || page->doomed)) {
        return NULL;
    }
    struct jit_block *block = wanted_block(cpu->jit, page, cpu->rip & PAGE_MASK);
    if (!block) {
        return NULL;
    }
    page->stores = 0;
    remember_jump(cpu, host, block);
    return block->external;
}

// After an instruction that the loop would look behind: straight on to the next block if there is
// nothing to see.
static const u8 *go_on(struct cpu *cpu)
{
    struct jit_frame *frame = &cpu->jit_frame;
    frame->exit = JIT_EXIT_RETIRED;
    frame->sse_live = frame->avx_live = 0; // until somebody wants them
    if (!loop_go_on(cpu) || cpu->steps_left < JIT_RESERVE_STEPS) {
        return NULL;
    }
    const u8 *code = mmu_find_jump(cpu->mmu, cpu->rip);
    if (!code) {
        code = external_entry(cpu);
    }
    if (code) {
        set_tables(cpu);
        frame->info = cpu->rip;
        frame->counter = counter_of(cpu->steps_left);
    }
    return code;
}

static inline const u8 *step(struct cpu *cpu, const struct insn *insn, bool alone)
{
    struct jit_frame *frame = &cpu->jit_frame;
    u64 kills = cpu->jit->kills;
    cpu->steps_left = steps_of(frame->counter);
    cpu->current = insn;
    cpu->run_end = insn + 1;
    cpu->chain = 0;
    cpu->page = cpu->jit->any_page;
    cpu->mmu->translations_dropped = false;
    if (UNLIKELY(!insn->fn(cpu, insn))) {
        frame->exit = JIT_EXIT_STOPPED;
        return NULL;
    }
    bool ends = (insn->flags & (INSN_END | INSN_SETS_RIP)) || !cpu->page || cpu->boundary ||
                cpu->steps_left < JIT_RESERVE_STEPS || kills != cpu->jit->kills;
    judge_vectors(cpu);
    if (ends || alone || vectors_revoked(frame)) {
        return go_on(cpu);
    }
    memset(frame->shared, 0, sizeof(frame->shared));
    frame->counter = counter_of(cpu->steps_left);
    return (const u8 *)(uintptr_t)frame->return_to;
}

const u8 *jit_step(struct cpu *cpu, const struct insn *insn)
{
    return step(cpu, insn, false);
}

const u8 *jit_step_alone(struct cpu *cpu, const struct insn *insn)
{
    return step(cpu, insn, true);
}

// A jump within the page: linked if its target is there. NULL: it is not, yet.
static struct jit_block *follow_link(struct jit *jit, struct jit_link *link)
{
    if (link->from->dead) {
        return NULL;
    }
    u64 flushes = jit->flushes;
    struct jit_block *to = wanted_block(jit, link->from->page, link->offset);
    if (to && flushes == jit->flushes) {
        block_link(jit, link, to);
        return to;
    }
    return NULL;
}

// Where the block that was left says that it goes on. NULL: not in a block.
static struct jit_block *after_exit(struct cpu *cpu)
{
    const struct jit_frame *frame = &cpu->jit_frame;
    u64 start = cpu->gpr[SLOT_CODE];
    if (frame->exit == JIT_EXIT_LINEAR) {
        cpu->rip = frame->info;
        return NULL;
    }
    if (frame->exit == JIT_EXIT_OFFSET) {
        cpu->rip = start + frame->info;
        return NULL;
    }
    struct jit_link *link = (struct jit_link *)(uintptr_t)frame->info;
    cpu->rip = start + link->offset;
    return follow_link(cpu->jit, link);
}

enum jit_result jit_run(struct cpu *cpu, const struct insn *insn)
{
    struct jit_block *block = wanted_block(cpu->jit, cpu->page, insn->offset);
    if (!block || block->insn_count + JIT_RESERVE_STEPS > cpu->steps_left) {
        return JIT_NOTHING;
    }
    const u8 *guest = tlb_lookup(&cpu->tables->fetch, cpu->rip, 1);
    if (guest) {
        remember_jump(cpu, guest, block);
    }
    while (block) {
        enter(cpu, block->entry);
        enum jit_exit exit = (enum jit_exit)cpu->jit_frame.exit;
        if (exit == JIT_EXIT_RETIRED || exit == JIT_EXIT_STOPPED) {
            return exit == JIT_EXIT_RETIRED ? JIT_AT : JIT_STOPPED;
        }
        cpu->steps_left = steps_of(cpu->jit_frame.counter);
        cpu->current = NULL;
        block = after_exit(cpu);
    }
    cpu->page = NULL;
    return JIT_AT;
}
