// SPDX-License-Identifier: MIT
// One x86-64 processor: create, reset, run, inspect. Opaque to everyone but emu/cpu.
#ifndef VIV_CPU_CPU_H
#define VIV_CPU_CPU_H

#include "base/field.h"
#include "base/hash.h"
#include "bus/cpu_apic.h"
#include "bus/io_space.h"
#include "bus/irq_line.h"
#include "bus/vclock.h"
#include "mmu/mmu.h"
#include "trace/probe.h"

struct cpu;

// How instructions are executed. No part of the state: whatever one engine did, the other goes on
// with, and both end in the same states.
enum cpu_engine {
    CPU_ENGINE_DEFAULT, // what the environment variable VIV_TEST_ENGINE says (jit, interp), else
                        // the translator where this host can
    CPU_ENGINE_INTERP,
    CPU_ENGINE_JIT, // the translator, for code that is hot
};
// Whether this viv has a translator for this host; without one, CPU_ENGINE_JIT is refused.
bool cpu_has_jit(void);

// What a CPU is connected to. All pointers outlive it.
struct cpu_config {
    unsigned index;
    unsigned cpu_count; // of the machine; with several, PAUSE ends the CPU's turn
    // All of them, if turns are equally long: then PAUSE may begin a new one without an exit where
    // all others sleep (cpu_turn_step()). NULL: it never does.
    struct cpu *const *cpus;
    const char *model;  // a row of isa/x86_features.def: "v2", "v3"...
    struct mmu_shared *mmu;
    struct physmem *mem;
    struct io_space *ports;
    struct vclock *clock; // the CPU advances clock->step as it runs
    struct probes *probes;
    const struct cpu_apic *apic; // filled in by the LAPIC before the first run
    const struct irq_line *ferr; // FERR#, filled in before the first run; NULL: not connected
    unsigned *current_cpu;       // written before a device is touched
    enum cpu_engine engine;
    u64 tsc_hz, crystal_hz;      // CPUID 0x15: TSC and LAPIC timer clock
    u64 seed;                    // of RDRAND and RDSEED
    u64 *coverage; // by enum x86_op: instructions begun (isa/coverage.h); NULL: not counted
};

struct status cpu_create(struct cpu **out, const struct cpu_config *config);
void cpu_destroy(struct cpu *cpu);
void cpu_reset(struct cpu *cpu); // SDM 3A 10.1.1, table 10-1

// The signals the LAPIC and the machine may raise.
struct cpu_signal cpu_signal(struct cpu *cpu);

enum cpu_exit {
    CPU_EXIT_BUDGET, // the budget is used up
    CPU_EXIT_KICK,   // somebody asked to look at the boundary (event moved, machine stop)
    CPU_EXIT_YIELD,  // the same, and its turn is over (PAUSE, IPI to others)
    CPU_EXIT_HALTED,   // HLT (or a halted CPU was run): nothing to do until a signal
    CPU_EXIT_SHUTDOWN, // triple fault (SDM 3A 6.15, #DF)
    CPU_EXIT_STOPPED,  // cpu_stop(), or an execution watch that wants it
};

// The one stop rule (DESIGN.md, invariant 3). Delivers what is pending at the boundary by SDM
// priority, then executes until budget steps are done or something ends the run. Never exceeds the
// budget; clock->step advances by exactly what was executed, also when it ends early.
enum cpu_exit cpu_run(struct cpu *cpu, u64 budget_steps);

// The step with which the CPU's turn began anew during the last cpu_run(), CPU_SAME_TURN if it did
// not.
#define CPU_SAME_TURN UINT64_MAX
u64 cpu_turn_step(const struct cpu *cpu);

// Ends cpu_run() at the next boundary. Changes nothing else; may be called at any time, also from
// within cpu_run().
void cpu_stop(struct cpu *cpu);

// Whoever wants to know when instructions begin. fn is called when the one at a watched linear
// address (sorted) is about to be executed: fetched without a fault, registers readable, nothing
// changed yet. restarted: it began with RFLAGS.RF set, so an earlier attempt may have been told
// already. True: cpu_run() ends before it. A REP instruction that goes on after no more than a
// boundary is not told again.
struct cpu_execute_watch {
    const u64 *linear; // sorted; not copied
    unsigned count;
    bool (*fn)(void *ctx, unsigned cpu, u64 linear, bool restarted);
    void *ctx;
};
void cpu_watch_execution(struct cpu *cpu, const struct cpu_execute_watch *watch);
// A run of the machine begins: nothing is told in this state (step), unless first says so.
void cpu_watch_begin(struct cpu *cpu, bool first);

// While cpu_run() runs: brings the clock up to date and returns the RIP of the instruction (or
// delivery) in progress.
u64 cpu_now(struct cpu *cpu);

// True if the CPU is halted and nothing would wake it at this boundary: cpu_run() would return
// CPU_EXIT_HALTED and change nothing.
bool cpu_is_asleep(const struct cpu *cpu);

// True if the CPU is halted and nothing but NMI, INIT or a start-up message could wake it.
bool cpu_is_closed(const struct cpu *cpu);

// Why the CPU shut down or what it last did, one line for the user.
const char *cpu_shutdown_reason(const struct cpu *cpu);

// Architectural register file for boot code, tracer and debugger. cpu_get/set_regs convert from the
// internal form.
struct cpu_segment {
    u16 selector;
    u16 attributes; // descriptor bits 40..55 (type, S, DPL, P, AVL, L, D/B, G), limit bits masked
                    // out
    u32 limit;      // expanded to bytes
    u64 base;
};

enum { CPU_RAX, CPU_RCX, CPU_RDX, CPU_RBX, CPU_RSP, CPU_RBP, CPU_RSI, CPU_RDI, CPU_R8 };
enum { CPU_ES, CPU_CS, CPU_SS, CPU_DS, CPU_FS, CPU_GS, CPU_SEGMENT_COUNT };

struct cpu_regs {
    u64 gpr[16];
    u64 rip, rflags;
    struct cpu_segment seg[CPU_SEGMENT_COUNT], ldtr, tr;
    u64 gdtr_base, idtr_base;
    u16 gdtr_limit, idtr_limit;
    u64 cr0, cr2, cr3, cr4, cr8, efer;
    u64 kernel_gs_base, star, lstar, cstar, sfmask;
    u8 cpl;
    bool halted;
};

void cpu_get_regs(const struct cpu *cpu, struct cpu_regs *regs);
void cpu_set_regs(struct cpu *cpu, const struct cpu_regs *regs);

// Guest memory as the CPU sees it now, without side effects. False (partial) where unmapped.
bool cpu_debug_read(const struct cpu *cpu, u64 linear, void *out, u64 size);
// A debugger's write: to RAM only, whatever the page's rights, no A and D bits; cached code and
// translations follow. False, with nothing written, where a byte is not mapped or not RAM. Only
// between runs.
bool cpu_debug_write(struct cpu *cpu, u64 linear, const void *bytes, u64 size);

// The x87 and SSE registers as FXSAVE64 stores them (SDM 1 table 10-2), then the upper halves of
// YMM0 to YMM15. cpu_set_fpu takes what FXRSTOR64 would, reserved bits of MXCSR and FCW dropped.
#define CPU_FXSAVE_BYTES 512
#define CPU_FPU_BYTES (CPU_FXSAVE_BYTES + 16 * 16)
void cpu_get_fpu(const struct cpu *cpu, u8 image[CPU_FPU_BYTES]);
void cpu_set_fpu(struct cpu *cpu, const u8 image[CPU_FPU_BYTES]);

// The profile that decides results the SDM leaves undefined (interp/undefined.def), for a
// recording's header.
const char *cpu_undefined_profile_name(const struct cpu *cpu);

// All architectural and hidden state in canonical form (lazy flags materialised, no caches).
void cpu_hash(const struct cpu *cpu, struct hash *h);
size_t cpu_state_size(const struct cpu *cpu);
void cpu_state_save(const struct cpu *cpu, u8 *out);
void cpu_state_load(struct cpu *cpu, const u8 *in);
const struct field *cpu_fields(void); // over the saved form, for tests and the debugger

// The translated block that holds the instruction at linear, as the code cache has it now. host:
// the bytes that run in its place. For people who look at differences; valid until the CPU runs
// again.
struct cpu_translation {
    u64 guest_first;
    unsigned guest_bytes;
    const u8 *host;
    size_t host_bytes;
};
// False: there is none (not hot, not translated, or no translator).
bool cpu_translation_at(const struct cpu *cpu, u64 linear, struct cpu_translation *out);

// What CPUID answers now; out is EAX, EBX, ECX, EDX (SDM 2A, CPUID).
void cpu_cpuid(const struct cpu *cpu, u32 leaf, u32 subleaf, u32 out[4]);

// Counters that are not state: steps by ring, instructions (a REP once), undefined instructions
// met.
struct cpu_counters {
    u64 instructions, ring0_steps, ring3_steps;
};
void cpu_get_counters(const struct cpu *cpu, struct cpu_counters *out);

// Calls fn for each mnemonic that raised #UD because the emulator does not implement it.
void cpu_each_undefined(const struct cpu *cpu,
                        void (*fn)(void *ctx, const char *mnemonic, u64 count), void *ctx);

#endif
