// SPDX-License-Identifier: MIT
// The CPU's state as the interpreter works on it. Private to emu/cpu.
#ifndef VIV_CPU_STATE_H
#define VIV_CPU_STATE_H

#include "cpu/cpu.h"
#include "cpu/jit/frame.h"
#include "isa/x86_features.h"
#include "isa/insn.h"

#define RFLAGS_CF 0x1u
#define RFLAGS_PF 0x4u
#define RFLAGS_AF 0x10u
#define RFLAGS_ZF 0x40u
#define RFLAGS_SF 0x80u
#define RFLAGS_TF 0x100u
#define RFLAGS_IF 0x200u
#define RFLAGS_DF 0x400u
#define RFLAGS_OF 0x800u
#define RFLAGS_IOPL 0x3000u
#define RFLAGS_NT 0x4000u
#define RFLAGS_RF 0x10000u
#define RFLAGS_VM 0x20000u
#define RFLAGS_AC 0x40000u
#define RFLAGS_VIF 0x80000u
#define RFLAGS_VIP 0x100000u
#define RFLAGS_ID 0x200000u
#define RFLAGS_ARITH (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

#define CR0_PE 0x1u
#define CR0_MP 0x2u
#define CR0_EM 0x4u
#define CR0_TS 0x8u
#define CR0_ET 0x10u
#define CR0_NE 0x20u
#define CR0_WP 0x10000u
#define CR0_AM 0x40000u
#define CR0_NW 0x20000000u
#define CR0_CD 0x40000000u
#define CR0_PG 0x80000000u

#define CR4_VME 0x1u
#define CR4_PVI 0x2u
#define CR4_TSD 0x4u
#define CR4_DE 0x8u
#define CR4_PSE 0x10u
#define CR4_PAE 0x20u
#define CR4_MCE 0x40u
#define CR4_PGE 0x80u
#define CR4_PCE 0x100u
#define CR4_OSFXSR 0x200u
#define CR4_OSXMMEXCPT 0x400u
#define CR4_FSGSBASE 0x10000u
#define CR4_PCIDE 0x20000u
#define CR4_OSXSAVE 0x40000u
#define CR4_SMEP 0x100000u
#define CR4_SMAP 0x200000u

#define XCR0_X87 0x1u
#define XCR0_SSE 0x2u
#define XCR0_AVX 0x4u
#define XCR0_AVX_SSE (XCR0_AVX | XCR0_SSE)

#define EFER_SCE 0x1u
#define EFER_LME 0x100u
#define EFER_LMA 0x400u
#define EFER_NXE 0x800u

// cpu_segment.attributes (SDM 3A 3.4.5, figure 3-8, bits 40..55).
#define SEGMENT_TYPE 0xFu
#define SEGMENT_ACCESSED 0x1u
#define SEGMENT_WRITABLE 0x2u   // data
#define SEGMENT_READABLE 0x2u   // code
#define SEGMENT_CONFORMING 0x4u // code
#define SEGMENT_EXPAND_DOWN 0x4u
#define SEGMENT_CODE 0x8u
#define SEGMENT_S 0x10u // code or data, not a system descriptor
#define SEGMENT_P 0x80u
#define SEGMENT_L 0x2000u
#define SEGMENT_DB 0x4000u
#define SEGMENT_G 0x8000u
#define SEGMENT_DPL(attributes) ((attributes) >> 5 & 3u)

// The vector and x87 register file. xmm n is vec[n][0..15]; the rest is for AVX. x87 registers are
// physical (not rotated by TOP), 10 bytes each.
struct cpu_fpu {
    u8 vec[16][32] __attribute__((aligned(32)));
    u8 st[8][16];
    u16 fcw, fsw, fop;
    u8 ftw; // abridged tag: bit set = register in use
    u64 fip, fdp;
    u16 fcs, fds;
    u32 mxcsr;
};

// The six arithmetic flags are kept as the host's LAHF and SETO leave them in AX: always exact,
// nothing lazy, one 16-bit store per operation. Use cpu_rflags() and cpu_set_rflags() outside
// flags.h.
#define FLAGS_O 0x0001u
#define FLAGS_C 0x0100u
#define FLAGS_P 0x0400u
#define FLAGS_A 0x1000u
#define FLAGS_Z 0x4000u
#define FLAGS_S 0x8000u
#define FLAGS_ONE 0x0200u // always set

// SDM priority classes are kept as pending bits; hashed.
enum cpu_pending {
    CPU_PENDING_NMI = 1,
    CPU_PENDING_INIT = 2,
    CPU_PENDING_SIPI = 4,
    CPU_PENDING_TRAP = 8, // #DB after the last instruction (TF, data breakpoint)
};

enum cpu_shadow {
    SHADOW_NONE,
    SHADOW_STI,
    SHADOW_MOV_SS
}; // interrupts (and traps) blocked for one instruction

struct cpu_model;  // cpuid.c
struct code_cache; // decoded instructions by physical page (interp)

struct cpu {
    // Hot.
    u64 gpr[GPR_SLOTS]; // 16 registers, then the constant slots of isa/insn.h (not state)
    struct jit_frame jit_frame;
    u64 rip;            // exact at boundaries; inside a handler see operand.h
    u16 flags;          // FLAGS_*: the six arithmetic flags
    u32 rflags;         // all bits but the six arithmetic ones (those are in flags); bit 1 set
    u8 cpl;
    bool long_mode; // EFER.LMA && CS.L: 64-bit code
    // Whoever changes intr, pending, kicked, TF, RF, DR7 or the shadow sets it; cpu_take_pending()
    // leaves it set while each instruction must still be looked at singly. The loop clears shadow
    // and RF as an instruction begins.
    bool boundary; // look at pending work before the next instruction (INTR, NMI, kick, shadow end,
                   // TF)
    struct fault fault; // of the instruction that just returned "fault"
    struct mmu *mmu;
    struct tlb_tables *tables; // mmu->tables; cpu_context_changed() keeps it so
    // Of cpu_run()'s budget, with the whole current run of instructions already charged (so it may
    // be negative); clock->step is brought up to date from it and current (cpu_sync_clock).
    s64 steps_left;
    const struct insn *current; // set at the start of a run and by every slow path
    const struct insn *
        run_end; // where the loop stops; a slow path cuts it to leave after the current instruction
    u32 chain;   // branches that handlers may still follow without returning to the loop
    struct code_page
        *page;     // the code page of SLOT_CODE while its translation is known to hold, else NULL
    u64 rmw_value; // the operand of a read-modify-write off the fast path (operand.h)
    struct mmu_rmw rmw;

    // Architectural.
    struct cpu_segment seg[CPU_SEGMENT_COUNT], ldtr, tr;
    u64 gdtr_base, idtr_base;
    u16 gdtr_limit, idtr_limit;
    u64 cr0, cr2, cr3, cr4, xcr0;
    u64 dr[8];
    u64 efer, star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux, tsc_offset, pat, misc_enable;
    u64 sysenter_cs, sysenter_esp, sysenter_eip, debugctl, feature_control, mtrr_def_type;
    u64 mtrr_fixed[11], mtrr_base[8], mtrr_mask[8];
    struct cpu_fpu fpu;

    // Hidden, hashed.
    bool halted, intr, nmi_blocked, shutdown, waiting_for_sipi;
    bool ferr, ignne; // FERR# is asserted, IGNNE# is seen asserted
    u8 pending; // enum cpu_pending
    u8 sipi_vector;
    u8 shadow; // enum cpu_shadow
    u64 pending_dr6;
    // The instruction that begins now began with TF set: cpu_take_pending() sets it, and makes it a
    // pending trap when it is called next. Deliveries, INT n and SYSCALL clear it.
    bool tf_armed;
    u64 pdpte[4]; // PAE paging without long mode: SDM 3A 4.4.1
    u64 random_state; // of RDRAND and RDSEED

    // Not state.
    struct cpu_config config;
    const struct cpu_model *model;
    cpu_feature_set features; // what CPUID advertises
    struct code_cache *code;
    struct code_page **code_pages; // of it, by RAM page
    struct jit *jit;               // NULL: all is interpreted
    struct cpu_counters counters;
    bool kicked, stop; // cpu_run() is to end
    bool yielded;      // kicked, and the CPU's turn is over
    bool task_switched; // the last task_enter() got past the point of no return
    struct cpu_execute_watch watch;
    u64 watch_begin_step; // where the machine's run began
    u64 watch_told_step;  // what begins in this state has been told, or is not to be
    // What cpu_take_pending() and the loop change as an instruction begins: put back when it is not
    // to begin.
    struct {
        s64 steps_left;
        u64 pending_dr6;
        u32 rflags;
        u8 shadow, pending;
        bool tf_armed;
    } before;
    u64 run_budget, run_start_step, turn_step;
    s64 accounted;        // steps_left when counters were last brought up to date
    u64 not_instructions; // steps since then that are no instructions: deliveries, further
                          // iterations of REP
    u8 accounted_cpl;
    char shutdown_reason[160];
    struct undefined_count *undefined;
};

// fs/gs base and friends live in seg[].base.

static inline bool cpu_has(const struct cpu *cpu, enum cpu_feature feature)
{
    return cpu->features & CPU_FEATURE_BIT(feature);
}

// Brings config.clock->step up to the current instruction. Everything that touches a device, reads
// a clock or emits a probe calls it first.
void cpu_sync_clock(struct cpu *cpu);

// Tells the MMU after a change of CR0/CR3/CR4/EFER/CPL/AC, and re-derives long_mode.
void cpu_context_changed(struct cpu *cpu);

// What loop.c keeps beside the state: code cache, constant slots of gpr[]. cpu_create(),
// cpu_state_load() and cpu_set_regs() call reset after they changed registers from outside; RIP is
// then exact and nothing is running.
void interp_create(struct cpu *cpu);
void interp_destroy(struct cpu *cpu);
void interp_reset(struct cpu *cpu);

// The engine that is meant: never CPU_ENGINE_DEFAULT (engine.c).
enum cpu_engine cpu_engine_resolve(enum cpu_engine engine);

// Flags as the architecture has them, and back (flags.c).
u64 cpu_rflags(const struct cpu *cpu);
void cpu_set_rflags(struct cpu *cpu, u64 rflags); // all bits given; no privilege rules

// With CR4.VME or PVI, IF is VIF for virtual-8086 mode and ring 3 whose IOPL does not give them the
// real one (SDM 3B 21.3.2, 21.4).
static inline bool cpu_if_is_virtual(const struct cpu *cpu)
{
    bool enabled = cpu->rflags & RFLAGS_VM ? cpu->cr4 & CR4_VME
                                           : (cpu->cr4 & CR4_PVI) && cpu->cpl == 3;
    return enabled && (cpu->rflags & RFLAGS_IOPL) != RFLAGS_IOPL;
}
// FLAGS as POPF and IRET take them there in virtual-8086 mode. False: #GP(0), since TF would be
// set, or VIF with an interrupt pending.
bool cpu_virtual_flags_allowed(struct cpu *cpu, u16 value);
void cpu_set_virtual_flags(struct cpu *cpu, u16 value);

// Fault constructors: set cpu->fault, return false, so that "return raise_gp(cpu, 0);" ends a
// semantic function.
static inline bool raise_fault(struct cpu *cpu, u8 vector) // no error code
{
    cpu->fault = (struct fault){vector, false, 0, 0};
    return false;
}

static inline bool raise_fault_code(struct cpu *cpu, u8 vector, u32 error) // with error code
{
    cpu->fault = (struct fault){vector, true, error, 0};
    return false;
}

// The paths of iret, syscall, gates... report where they went. cause: enum transition_cause.
struct transition {
    enum transition_cause cause;
    u8 from_cpl, vector;
    u32 error_code;
    u64 rip;
};
void cpu_probe_transition(struct cpu *cpu,
                          const struct transition *transition); // call when the probe is on
void cpu_probe(struct cpu *cpu, enum probe_kind kind, u64 rip, u64 address, u64 value,
               u32 error_code, u8 size, u8 cause);

// Drives FERR#. To assert it the clock must be exact (between instructions).
void cpu_set_ferr(struct cpu *cpu, bool asserted);

// Delivery (exception.c, interrupt.c). Counts its one step. Handles #DF and triple fault by itself.
// rip is that of the faulting instruction (faults) or of the next one (traps).
enum delivery_source {
    DELIVER_EXCEPTION,
    DELIVER_SOFT_INT,
    DELIVER_INT3,
    DELIVER_INTO,
    DELIVER_INT1,
    DELIVER_INTERRUPT,
    DELIVER_NMI
};
void cpu_deliver_fault(struct cpu *cpu, const struct fault *fault);
// INT n, INT3, INTO as part of the instruction: false with cpu->fault set if delivery faults (no
// step of its own).
bool cpu_soft_interrupt(struct cpu *cpu, u8 vector, enum delivery_source source, u64 next_rip);
// At a boundary: takes INIT, SIPI, traps, NMI, INTR in SDM order (3A table 6-2). True if something
// was delivered (1 step).
bool cpu_take_pending(struct cpu *cpu);
// Whether the next boundary must be looked at, by what is pending, the shadow and RFLAGS.
bool cpu_boundary_needed(const struct cpu *cpu);

// System instructions (interp/op_system.c calls these; segment.c, control_regs.c, msr.c, cpuid.c
// implement them).
bool cpu_load_segment(struct cpu *cpu, unsigned seg, u16 selector); // MOV/POP Sreg, LxS
bool cpu_load_ldtr(struct cpu *cpu, u16 selector);
bool cpu_load_tr(struct cpu *cpu, u16 selector);
bool cpu_write_cr(struct cpu *cpu, unsigned n, u64 value);
bool cpu_read_cr(struct cpu *cpu, unsigned n, u64 *value);
bool cpu_write_dr(struct cpu *cpu, unsigned n, u64 value);
bool cpu_read_dr(struct cpu *cpu, unsigned n, u64 *value);
bool cpu_read_msr(struct cpu *cpu, u32 msr, u64 *value);
bool cpu_write_msr(struct cpu *cpu, u32 msr, u64 value);
// "NAME[,+FEATURE|,-FEATURE]...": a row of the models, and its features with these added and taken
// away. False: *bad is what is not known.
bool cpu_model_find(const char *text, const struct cpu_model **model, cpu_feature_set *features,
                    char bad[32]);
// Name of a feature of the set that the vector unit needs from the host and the host lacks; NULL:
// there is none.
const char *cpu_host_lacks(cpu_feature_set features);
// State components that XCR0 may enable (SDM 1 13.1).
u64 cpu_xcr0_supported(const struct cpu *cpu);
unsigned cpu_xsave_bytes(u64 components); // of an XSAVE area in either format
u32 cpu_model_signature(const struct cpu_model *model); // CPUID 1 EAX; EDX at reset
u64 cpu_tsc(const struct cpu *cpu);
void cpu_debug_changed(struct cpu *cpu); // after DR0-3 or DR7: data breakpoints go to the MMU
void debug_note_port(struct cpu *cpu, u16 port, unsigned size); // I/O breakpoints
// Registers after reset or INIT (SDM 3A table 10-1); INIT keeps FPU, MSRs and the caches of time.
void cpu_init_state(struct cpu *cpu, bool power_on);
bool cpu_port_allowed(struct cpu *cpu, u16 port,
                      unsigned size); // IOPL and the TSS bitmap; false: #GP raised
bool cpu_far_jump(struct cpu *cpu, u16 selector, u64 offset, unsigned operand_size);
bool cpu_far_call(struct cpu *cpu, u16 selector, u64 offset, unsigned operand_size, u64 next_rip);
bool cpu_far_return(struct cpu *cpu, unsigned operand_size, u16 pop_bytes);
bool cpu_iret(struct cpu *cpu, unsigned operand_size);
bool cpu_syscall(struct cpu *cpu, u64 next_rip);
bool cpu_sysret(struct cpu *cpu, unsigned operand_size);
bool cpu_sysenter(struct cpu *cpu);
bool cpu_sysexit(struct cpu *cpu, unsigned operand_size);
bool cpu_swapgs(struct cpu *cpu);

#endif
