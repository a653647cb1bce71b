// SPDX-License-Identifier: MIT
// cpu_run(): fetch, the instruction loop, steps, and what happens at boundaries (DESIGN.md,
// invariants 1 and 3).
//
// A run of decoded instructions is charged to steps_left as a whole when it is entered, and what
// was not executed is given back when it is left: inside it only the pointer comparison with
// run_end is paid per instruction.
#include <string.h>

#include "base/check.h"
#include "cpu/interp/code_cache.h"
#include "cpu/interp/operand.h"
#include "cpu/jit/jit.h"

#define CHAIN_MAX 64

void interp_create(struct cpu *cpu)
{
    struct decoder_options options = {.tzcnt = cpu_has(cpu, FEATURE_bmi1),
                                      .lzcnt = cpu_has(cpu, FEATURE_lzcnt),
                                      .missing = ~cpu->features};
    cpu->code =
        code_cache_get(cpu->config.mem, cpu->config.mmu, &options, cpu->config.coverage != NULL);
    cpu->code_pages = code_cache_pages(cpu->code);
    if (cpu->config.engine == CPU_ENGINE_JIT && !cpu->config.coverage) {
        cpu->jit = code_cache_jit(cpu->code, cpu->config.cpu_count);
        jit_init_frame(cpu);
    }
}

void interp_destroy(struct cpu *cpu)
{
    code_cache_put(cpu->code);
    interp_free_undefined(cpu);
}

// After anything that may have changed mode, context or segments.
static void refresh(struct cpu *cpu)
{
    cpu->page = NULL;
    cpu->gpr[SLOT_FS] = cpu->seg[CPU_FS].base;
    cpu->gpr[SLOT_GS] = cpu->seg[CPU_GS].base;
}

void interp_reset(struct cpu *cpu)
{
    cpu->gpr[SLOT_ZERO] = 0;
    cpu->gpr[SLOT_8192] = 8192;
    cpu->gpr[SLOT_CODE] = cpu->rip & ~PAGE_MASK;
    cpu->current = NULL;
    cpu->run_end = NULL;
    refresh(cpu);
}

void cpu_sync_clock(struct cpu *cpu)
{
    s64 pending = cpu->current ? cpu->current->remaining : 0;
    cpu->config.clock->step =
        cpu->run_start_step + (u64)((s64)cpu->run_budget - cpu->steps_left - pending);
}

u64 loop_steps_available(const struct cpu *cpu, const struct insn *insn)
{
    return (u64)(cpu->steps_left + insn->remaining);
}

void loop_charge(struct cpu *cpu, const struct insn *insn, u64 steps)
{
    cpu->steps_left -= (s64)steps;
    cpu->not_instructions += steps;
    // What the budget still covers after this instruction: remaining - 1 are charged already.
    s64 after = cpu->steps_left + insn->remaining - 1;
    if (after < insn->remaining - 1 && cpu->run_end > insn + 1 + (after > 0 ? after : 0)) {
        cpu->run_end = insn + 1 + (after > 0 ? after : 0);
    }
}

// Attributes the steps since the last call to the ring they were executed in.
static void account(struct cpu *cpu)
{
    u64 steps = (u64)(cpu->accounted - cpu->steps_left);
    *(cpu->accounted_cpl == 3 ? &cpu->counters.ring3_steps : &cpu->counters.ring0_steps) += steps;
    cpu->counters.instructions += steps - cpu->not_instructions;
    cpu->not_instructions = 0;
    cpu->accounted = cpu->steps_left;
    cpu->accounted_cpl = cpu->cpl;
}

static enum insn_code_size code_size(const struct cpu *cpu)
{
    return cpu->long_mode                               ? CODE_64
           : (cpu->seg[CPU_CS].attributes & SEGMENT_DB) ? CODE_32
                                                        : CODE_16;
}

// Where RIP is in linear space. False: #GP(0).
static bool code_linear(struct cpu *cpu, u64 *linear)
{
    *linear = cpu->rip;
    if (LIKELY(cpu->long_mode)) {
        return is_canonical(cpu->rip) ? true : raise_gp(cpu, 0);
    }
    *linear = (u32)(cpu->rip + cpu->seg[CPU_CS].base);
    return cpu->rip <= cpu->seg[CPU_CS].limit ? true : raise_gp(cpu, 0);
}

// Bytes of code at linear, all in one page.
static bool code_bytes(struct cpu *cpu, u64 linear, u8 *out, unsigned size)
{
    u32 rpn;
    if (!mmu_fetch_page(cpu->mmu, linear, &rpn, &cpu->fault)) {
        return false;
    }
    if (rpn == PHYSMEM_NO_RPN) {
        return mmu_fetch_bytes(cpu->mmu, linear, out, size, &cpu->fault);
    }
    memcpy(out, physmem_page(cpu->config.mem, rpn) + (linear & PAGE_MASK), size);
    return true;
}

static bool is_watched(const struct cpu *cpu, u64 linear)
{
    unsigned low = 0, high = cpu->watch.count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (cpu->watch.linear[middle] == linear) {
            return true;
        }
        if (cpu->watch.linear[middle] < linear) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

// Undoes the look at the boundary: the instruction does not begin after all.
static void stop_before(struct cpu *cpu, bool first)
{
    if (first) {
        cpu->shadow = cpu->before.shadow;
        cpu->pending = cpu->before.pending;
        cpu->pending_dr6 = cpu->before.pending_dr6;
        cpu->tf_armed = cpu->before.tf_armed;
        cpu->rflags = cpu->before.rflags;
    }
    cpu_stop(cpu);
    cpu->fault.vector = FAULT_VECTOR_NONE;
}

// Tells that insn at linear, cpu->rip, is about to be executed; NULL: its fetch will fault, which
// comes after an instruction breakpoint (SDM 3A table 6-2). True: it is not to be.
static bool tell_execution(struct cpu *cpu, u64 linear, const struct insn *insn)
{
    cpu_sync_clock(cpu);
    u64 step = cpu->config.clock->step;
    if (step == cpu->watch_told_step || !is_watched(cpu, linear)) {
        return false;
    }
    cpu->watch_told_step = step;
    s64 left = cpu->steps_left + (cpu->current ? cpu->current->remaining : 0);
    bool first = left == cpu->before.steps_left; // nothing was executed since the boundary
    bool restarted = first && (cpu->before.rflags & RFLAGS_RF);
    bool repeats = insn && insn->flags & (INSN_REP | INSN_REPNE);
    if (restarted && repeats && step == cpu->watch_begin_step) {
        return false; // it may as well have begun before this run
    }
    if (!cpu->watch.fn(cpu->watch.ctx, cpu->config.index, linear, restarted)) {
        return false;
    }
    stop_before(cpu, first);
    return true;
}

bool op_watched(struct cpu *cpu, const struct insn *insn)
{
    cpu->current = insn;
    cpu->rip = insn_rip(cpu, insn);
    u64 linear = cpu->long_mode ? cpu->rip : (u32)(cpu->rip + cpu->seg[CPU_CS].base);
    if (tell_execution(cpu, linear, insn)) {
        return false;
    }
    return code_cache_handler(insn)(cpu, insn);
}

// The bytes of code at linear, all in one page of RAM, without any effect on the guest.
static bool dry_bytes(const struct cpu *cpu, u64 linear, u8 *out, unsigned size)
{
    u64 gpa;
    return mmu_would_fetch(cpu->mmu, linear, &gpa) && physmem_read(cpu->config.mem, gpa, out, size);
}

// What fetch() would find at linear, without setting A bits. NULL: it would fault, or it cannot be
// told without touching a device.
static const struct insn *dry_fetch(struct cpu *cpu, u64 linear)
{
    u8 bytes[15];
    unsigned offset = linear & PAGE_MASK, first = (unsigned)PAGE_SIZE - offset;
    first = first < sizeof(bytes) ? first : sizeof(bytes);
    if (!dry_bytes(cpu, linear, bytes, first)) {
        return NULL;
    }
    const struct insn *insn = code_cache_loose(cpu->code, code_size(cpu), offset, bytes, first);
    if (!insn) {
        u64 next = cpu->long_mode ? linear + first : (u32)(linear + first);
        if ((cpu->long_mode && !is_canonical(next)) ||
            !dry_bytes(cpu, next, bytes + first, (unsigned)sizeof(bytes) - first)) {
            return NULL;
        }
        insn = code_cache_loose(cpu->code, code_size(cpu), offset, bytes, sizeof(bytes));
    }
    bool outside = !cpu->long_mode && cpu->rip + insn->length - 1 > cpu->seg[CPU_CS].limit;
    return outside ? NULL : insn;
}

// Before a fetch that may set A bits: a stop must come before it.
static bool stopped_before_fetch(struct cpu *cpu, u64 linear)
{
    return is_watched(cpu, linear) && tell_execution(cpu, linear, dry_fetch(cpu, linear));
}

// An instruction that crosses a page or lies outside RAM. The second page is touched only if it
// reaches there.
static const struct insn *fetch_loose(struct cpu *cpu, u64 linear)
{
    u8 bytes[15];
    unsigned offset = linear & PAGE_MASK, first = (unsigned)PAGE_SIZE - offset;
    first = first < sizeof(bytes) ? first : sizeof(bytes);
    if (!code_bytes(cpu, linear, bytes, first)) {
        return NULL;
    }
    const struct insn *insn = code_cache_loose(cpu->code, code_size(cpu), offset, bytes, first);
    if (insn) {
        return insn;
    }
    u64 next = cpu->long_mode ? linear + first : (u32)(linear + first);
    if (cpu->long_mode && !is_canonical(next)) {
        raise_gp(cpu, 0);
        return NULL;
    }
    if (!code_bytes(cpu, next, bytes + first, (unsigned)sizeof(bytes) - first)) {
        return NULL;
    }
    insn = code_cache_loose(cpu->code, code_size(cpu), offset, bytes, sizeof(bytes));
    CHECK(insn);
    return insn;
}

// Outside 64-bit code the whole instruction must lie within CS's limit.
static const struct insn *check_code_limit(struct cpu *cpu, const struct insn *insn)
{
    if (insn && UNLIKELY(!cpu->long_mode) && cpu->rip + insn->length - 1 > cpu->seg[CPU_CS].limit) {
        raise_gp(cpu, 0);
        return NULL;
    }
    return insn;
}

// The instruction at cpu->rip, through the TLB. NULL: fault. Leaves cpu->page NULL if the answer
// holds only once.
static const struct insn *fetch(struct cpu *cpu)
{
    u64 linear;
    cpu->page = NULL;
    cpu->mmu->translations_dropped = false;
    if (!code_linear(cpu, &linear)) {
        return NULL;
    }
    if (UNLIKELY(cpu->watch.count) && stopped_before_fetch(cpu, linear)) {
        return NULL;
    }
    cpu->gpr[SLOT_CODE] = cpu->rip - (linear & PAGE_MASK);
    u32 rpn;
    const u8 *host = tlb_lookup(&cpu->tables->fetch, linear, 1);
    if (host) {
        rpn = (u32)((u64)(host - cpu->config.mem->ram) >> PAGE_SHIFT);
    } else if (!mmu_fetch_page(cpu->mmu, linear, &rpn, &cpu->fault)) {
        return NULL;
    }
    const struct insn *insn = NULL;
    // What must not be remembered (--tlb off) is decoded from its bytes each time: a machine
    // without any cache.
    if (rpn != PHYSMEM_NO_RPN && !cpu->mmu->translations_dropped) {
        struct code_page *page = code_cache_page(cpu->code, rpn, code_size(cpu));
        insn = code_cache_at(cpu->code, page, linear & PAGE_MASK);
        // A code segment limit must be looked at for each instruction: no page then, so one at a
        // time. Where the segment begins in a page, its end of 4 GiB lies in that one, too.
        const struct cpu_segment *cs = &cpu->seg[CPU_CS];
        bool limited = !cpu->long_mode && (cs->limit != UINT32_MAX || (cs->base & PAGE_MASK));
        if (insn && !limited) {
            cpu->page = page;
        }
    }
    insn = check_code_limit(cpu, insn ? insn : fetch_loose(cpu, linear));
    // Told already, but for code or page tables outside RAM.
    if (UNLIKELY(cpu->watch.count) && insn && tell_execution(cpu, linear, insn)) {
        cpu->page = NULL;
        return NULL;
    }
    return insn;
}

// The same where everything is at hand: 64-bit code, translation and decoded instruction cached.
static inline const struct insn *fetch_fast(struct cpu *cpu)
{
    const u8 *host = tlb_lookup(&cpu->tables->fetch, cpu->rip, 1);
    if (UNLIKELY(!host || !cpu->long_mode)) {
        return fetch(cpu);
    }
    struct code_page *page = cpu->code_pages[(u64)(host - cpu->config.mem->ram) >> PAGE_SHIFT];
    if (UNLIKELY(!page || page->code != CODE_64 || page->doomed)) {
        return fetch(cpu);
    }
    u64 offset = cpu->rip & PAGE_MASK;
    unsigned position = page->index[offset];
    if (UNLIKELY(!position)) {
        return fetch(cpu);
    }
    cpu->mmu->translations_dropped = false;
    cpu->gpr[SLOT_CODE] = cpu->rip - offset;
    cpu->page = page;
    page->stores = 0;
    return &page->insns[position - 1];
}

// A delivery that ended in shutdown was never completed: no step.
static void count_delivery(struct cpu *cpu)
{
    cpu->boundary = true;
    if (!cpu->shutdown) {
        cpu->steps_left--;
        cpu->not_instructions++;
    }
}

// Before the x87 instruction at RIP, which has not begun; the interrupt that ends this returns to
// it.
static void wait_for_ferr(struct cpu *cpu)
{
    cpu->halted = true;
    cpu->tf_armed = false;
    cpu->boundary = true;
    cpu_set_ferr(cpu, true);
}

// What cpu->fault says, unless the instruction merely did not finish.
static void deliver(struct cpu *cpu)
{
    struct fault fault = cpu->fault;
    if (fault.vector == FAULT_VECTOR_NONE) {
        return;
    }
    if (fault.vector == FAULT_VECTOR_FERR) {
        wait_for_ferr(cpu);
        return;
    }
    cpu_deliver_fault(cpu, &fault);
    refresh(cpu);
    count_delivery(cpu);
}

// The run ended after cpu->current. RIP, steps and page as they are now.
static inline void leave_run(struct cpu *cpu)
{
    const struct insn *last = cpu->current;
    cpu->steps_left += last->remaining - 1;
    if (!(last->flags & INSN_SETS_RIP)) {
        cpu->rip = insn_next_rip(cpu, last);
    }
    cpu->current = NULL;
    if (UNLIKELY(last->flags & INSN_END)) {
        refresh(cpu);
        cpu->boundary |= cpu->halted || cpu->shutdown;
    }
}

// cpu->current did not retire.
static void stop_run(struct cpu *cpu)
{
    const struct insn *at = cpu->current;
    cpu->steps_left += at->remaining;
    cpu->rip = insn_rip(cpu, at);
    cpu->current = NULL;
    cpu->page = NULL;
    bool repeats = (at->flags & (INSN_REP | INSN_REPNE)) && at->fn != op_stale;
    if (UNLIKELY(cpu->watch.count) && repeats && cpu->fault.vector == FAULT_VECTOR_NONE) {
        cpu_sync_clock(cpu);
        cpu->watch_told_step = cpu->config.clock->step; // it goes on from here
    }
    deliver(cpu);
}

// Executes count instructions from first on. A hot handler calls the next one by itself, so current
// tells how far it came; the others return after each.
static inline bool execute(struct cpu *cpu, const struct insn *first, s64 count)
{
    cpu->current = first;
    cpu->run_end = first + count;
    while (first->fn(cpu, first)) {
        first = cpu->current + 1;
        if (first == cpu->run_end) {
            return true;
        }
        cpu->current = first;
    }
    return false;
}

static void note_before(struct cpu *cpu)
{
    cpu->before.steps_left = cpu->steps_left;
    cpu->before.shadow = cpu->shadow;
    cpu->before.pending = cpu->pending;
    cpu->before.pending_dr6 = cpu->pending_dr6;
    cpu->before.tf_armed = cpu->tf_armed;
    cpu->before.rflags = cpu->rflags;
}

// Why the run ends at this boundary; BUDGET: nobody wants it to.
static enum cpu_exit wanted_exit(const struct cpu *cpu)
{
    return cpu->kicked ? (cpu->yielded ? CPU_EXIT_YIELD : CPU_EXIT_KICK)
           : cpu->stop ? CPU_EXIT_STOPPED
                       : CPU_EXIT_BUDGET;
}

// At a boundary with something to look at. True: *why is the reason to leave; else whether a step
// was spent on it.
static bool look(struct cpu *cpu, enum cpu_exit *why, bool *spent)
{
    *spent = false;
    if (cpu->kicked || cpu->stop || cpu->shutdown) {
        *why = wanted_exit(cpu);
        *why = *why == CPU_EXIT_BUDGET ? CPU_EXIT_SHUTDOWN : *why;
        return true;
    }
    note_before(cpu);
    if (cpu_take_pending(cpu)) {
        *spent = true;
        count_delivery(cpu);
    }
    refresh(cpu);
    *why = CPU_EXIT_HALTED;
    return !*spent && cpu->halted;
}

// Runs one after the other as long as nothing but instructions is to be done, beginning with the
// one at cpu->rip. Returns at a boundary where cpu->page is NULL, the budget ends, or a fault was
// delivered.
static void run_pages(struct cpu *cpu)
{
    const struct insn *insn = fetch_fast(cpu);
    if (UNLIKELY(!insn)) {
        deliver(cpu);
        return;
    }
    bool single = cpu->boundary || !cpu->page;
    if (single) {
        cpu->page = NULL;
    }
    while (true) {
        if (cpu->jit && !single && cpu->long_mode) {
            enum jit_result result = jit_run(cpu, insn);
            if (result == JIT_AT) {
                return;
            }
            if (result == JIT_STOPPED) {
                stop_run(cpu);
                return;
            }
            // Translating has decoded, too, and so may have moved the page's instructions.
            insn = &cpu->page->insns[cpu->page->index[cpu->rip & PAGE_MASK] - 1];
        }
        s64 n = insn->remaining;
        if (UNLIKELY(single || n > cpu->steps_left)) {
            n = single ? 1 : cpu->steps_left;
        }
        cpu->steps_left -= insn->remaining;
        cpu->chain = CHAIN_MAX;
        if (UNLIKELY(!execute(cpu, insn, n))) {
            stop_run(cpu);
            return;
        }
        leave_run(cpu);
        if (UNLIKELY(!cpu->page || cpu->boundary || cpu->steps_left <= 0)) {
            return;
        }
        u64 offset = cpu->rip - cpu->gpr[SLOT_CODE];
        unsigned position = offset < PAGE_SIZE ? cpu->page->index[offset] : 0;
        if (LIKELY(position)) {
            insn = &cpu->page->insns[position - 1];
            continue;
        }
        insn = fetch_fast(cpu);
        if (UNLIKELY(!insn)) {
            deliver(cpu);
            return;
        }
        single = !cpu->page;
    }
}

// Whether look() would find nothing to do; then the next instruction begins, which ends the shadow.
// What comes from devices while instructions run sets boundary again.
static bool begin_unseen(struct cpu *cpu)
{
    u8 shadow = cpu->shadow;
    cpu->shadow = SHADOW_NONE;
    if (cpu->kicked || cpu->stop || cpu->shutdown || cpu->watch.count || cpu_boundary_needed(cpu)) {
        cpu->shadow = shadow;
        return false;
    }
    cpu->boundary = false;
    return true;
}

bool loop_go_on(struct cpu *cpu)
{
    leave_run(cpu);
    cpu->page = NULL;
    if (cpu->steps_left <= 0 || (cpu->boundary && !begin_unseen(cpu))) {
        return false;
    }
    if (UNLIKELY(cpu->accounted_cpl != cpu->cpl)) {
        account(cpu);
    }
    return cpu->long_mode;
}

static enum cpu_exit run(struct cpu *cpu)
{
    enum cpu_exit why;
    while (cpu->steps_left > 0) {
        if (UNLIKELY(cpu->accounted_cpl != cpu->cpl)) {
            account(cpu);
        }
        if (UNLIKELY(cpu->boundary)) {
            bool spent;
            if (look(cpu, &why, &spent)) {
                return why;
            }
            if (spent) {
                continue;
            }
            cpu->shadow = SHADOW_NONE; // an instruction begins
            cpu->rflags &= ~RFLAGS_RF;
            // Often it was only these two: a REP that goes on is not to be single-stepped.
            cpu->boundary = cpu_boundary_needed(cpu);
        }
        run_pages(cpu);
    }
    // Whatever the budget was cut to.
    return wanted_exit(cpu);
}

enum cpu_exit cpu_run(struct cpu *cpu, u64 budget_steps)
{
    cpu->run_budget = budget_steps < INT64_MAX ? budget_steps : INT64_MAX;
    cpu->run_start_step = cpu->config.clock->step;
    cpu->turn_step = CPU_SAME_TURN;
    cpu->steps_left = cpu->accounted = (s64)cpu->run_budget;
    cpu->accounted_cpl = cpu->cpl;
    cpu->not_instructions = 0;
    cpu->kicked = cpu->yielded = false;
    cpu->current = NULL;
    cpu->page = NULL; // another CPU may have dropped it
    cpu->before.steps_left = -1;
    enum cpu_exit why = run(cpu);
    account(cpu);
    cpu_sync_clock(cpu);
    cpu->kicked = cpu->yielded = cpu->stop = false;
    return why;
}

void cpu_stop(struct cpu *cpu)
{
    cpu->stop = true;
    cpu->boundary = true;
}

void cpu_watch_execution(struct cpu *cpu, const struct cpu_execute_watch *watch)
{
    cpu->watch = *watch;
    code_cache_watch(cpu->code, watch->linear, watch->count);
}

void cpu_watch_begin(struct cpu *cpu, bool first)
{
    cpu->watch_begin_step = cpu->config.clock->step;
    cpu->watch_told_step = first ? UINT64_MAX : cpu->config.clock->step;
}

u64 cpu_now(struct cpu *cpu)
{
    cpu_sync_clock(cpu);
    return cpu->current ? insn_rip(cpu, cpu->current) : cpu->rip;
}
