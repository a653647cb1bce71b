// SPDX-License-Identifier: MIT
// One processor: creation, reset, registers from outside, state for hash and snapshot, signals.
#include "cpu/interp/operand.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define ATTRIBUTES_CODE 0x9B // present, accessed, readable code
#define ATTRIBUTES_DATA 0x93
#define ATTRIBUTES_LDT 0x82
#define ATTRIBUTES_TSS 0x8B

static void before_device(void *ctx)
{
    struct cpu *cpu = ctx;
    *cpu->config.current_cpu = cpu->config.index;
    cpu_sync_clock(cpu);
}

static void on_mmio(void *ctx, u64 gpa, u64 value, unsigned size, bool is_write)
{
    struct cpu *cpu = ctx;
    if (probe_on(cpu->config.probes, PROBE_mmio)) {
        u64 rip = cpu->current ? insn_rip(cpu, cpu->current) : cpu->rip;
        cpu_probe(cpu, PROBE_mmio, rip, gpa, value, 0, (u8)size, is_write);
    }
}

struct status cpu_create(struct cpu **out, const struct cpu_config *config)
{
    const struct cpu_model *model;
    cpu_feature_set features;
    char bad[32];
    if (!cpu_model_find(config->model, &model, &features, bad)) {
        return status_error(STATUS_USAGE,
                            "unknown %s '%s' in CPU model '%s'; the models are v2 and v3, "
                            "features are added and taken away as in v2,-smap",
                            model ? "feature" : "model", bad, config->model);
    }
    const char *lacking = cpu_host_lacks(features);
    if (lacking) {
        return status_error(STATUS_USAGE,
                            "CPU model '%s' has %s, which this host's processor lacks; "
                            "try --cpu v2, or take it away as in %s,-%s",
                            config->model, lacking, config->model, lacking);
    }
    enum cpu_engine engine = cpu_engine_resolve(config->engine);
    if (engine == CPU_ENGINE_JIT && !cpu_has_jit()) {
        return status_error(STATUS_USAGE,
                            "this viv has no translator for this host; use --cpu-engine interp");
    }
    // Translated code has the CPU as its stack pointer.
    u8 *room = aligned_alloc(64, align_up(JIT_STACK_BYTES + sizeof(struct cpu), 64));
    CHECK(room);
    struct cpu *cpu = (struct cpu *)(room + JIT_STACK_BYTES);
    memset(cpu, 0, sizeof(*cpu));
    cpu->config = *config;
    cpu->config.engine = engine;
    cpu->model = model;
    cpu->features = features;
    cpu->random_state = config->seed ^ (u64)config->index << 56; // a reset does not begin it anew
    cpu->mmu = mmu_create(config->mmu, config->index, before_device, cpu);
    cpu->mmu->on_mmio = on_mmio;
    interp_create(cpu);
    cpu_reset(cpu);
    *out = cpu;
    return status_success();
}

void cpu_destroy(struct cpu *cpu)
{
    if (cpu) {
        interp_destroy(cpu);
        mmu_destroy(cpu->mmu);
        free((u8 *)cpu - JIT_STACK_BYTES);
    }
}

static void reset_segment(struct cpu_segment *s, u16 attributes)
{
    *s = (struct cpu_segment){0, attributes, 0xFFFF, 0};
}

static void reset_msrs(struct cpu *cpu)
{
    cpu->star = cpu->lstar = cpu->cstar = cpu->sfmask = cpu->kernel_gs_base = cpu->tsc_aux = 0;
    cpu->sysenter_cs = cpu->sysenter_esp = cpu->sysenter_eip = cpu->debugctl = 0;
    cpu->tsc_offset = cpu->feature_control = 0;
    cpu->pat = UINT64_C(0x0007040600070406); // SDM 3A table 12-12
    cpu->misc_enable = 0x1801;               // fast strings; no BTS, no PEBS
    cpu->mtrr_def_type = 0; // E and all valid bits clear, the rest is undefined (SDM 3A 12.11.5)
    memset(cpu->mtrr_fixed, 0, sizeof(cpu->mtrr_fixed));
    memset(cpu->mtrr_base, 0, sizeof(cpu->mtrr_base));
    memset(cpu->mtrr_mask, 0, sizeof(cpu->mtrr_mask));
}

static void reset_fpu(struct cpu *cpu)
{
    memset(&cpu->fpu, 0, sizeof(cpu->fpu));
    cpu->fpu.fcw = 0x40;
    cpu->fpu.ftw = 0xFF; // all registers in use, +0.0 (SDM 3A table 10-1)
    cpu->fpu.mxcsr = 0x1F80;
}

void cpu_init_state(struct cpu *cpu, bool power_on)
{
    memset(cpu->gpr, 0, 16 * sizeof(cpu->gpr[0]));
    cpu->gpr[CPU_RDX] = cpu_model_signature(cpu->model);
    cpu->rip = 0xFFF0;
    cpu_set_rflags(cpu, 2);
    for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++) {
        reset_segment(&cpu->seg[i], ATTRIBUTES_DATA);
    }
    cpu->seg[CPU_CS] = (struct cpu_segment){0xF000, ATTRIBUTES_CODE, 0xFFFF, 0xFFFF0000};
    reset_segment(&cpu->ldtr, ATTRIBUTES_LDT);
    reset_segment(&cpu->tr, ATTRIBUTES_TSS);
    cpu->gdtr_base = cpu->idtr_base = 0;
    cpu->gdtr_limit = cpu->idtr_limit = 0xFFFF;
    // INIT leaves the caches as they are, that is CD and NW.
    cpu->cr0 = CR0_ET | (power_on ? CR0_CD | CR0_NW : cpu->cr0 & (CR0_CD | CR0_NW));
    cpu->cr2 = cpu->cr3 = cpu->cr4 = 0;
    cpu->efer = 0;
    memset(cpu->pdpte, 0, sizeof(cpu->pdpte));
    memset(cpu->dr, 0, sizeof(cpu->dr));
    cpu->dr[6] = 0xFFFF0FF0;
    cpu->dr[7] = 0x400;
    cpu->cpl = 0;
    cpu->pending = 0;
    cpu->pending_dr6 = 0;
    cpu->shadow = SHADOW_NONE;
    cpu->tf_armed = cpu->nmi_blocked = cpu->shutdown = false;
    cpu->waiting_for_sipi = cpu->config.index != 0;
    cpu->halted = cpu->waiting_for_sipi;
    if (power_on) {
        cpu->xcr0 = 1;
        cpu->intr = cpu->ferr = cpu->ignne = false;
        cpu->sipi_vector = 0;
        reset_fpu(cpu);
        reset_msrs(cpu);
    }
    cpu->boundary = true;
    cpu_context_changed(cpu);
    cpu_debug_changed(cpu);
}

void cpu_reset(struct cpu *cpu)
{
    cpu_init_state(cpu, true);
    cpu->kicked = cpu->yielded = false;
    cpu->shutdown_reason[0] = 0;
    interp_reset(cpu);
}

void cpu_context_changed(struct cpu *cpu)
{
    struct mmu_context context = {
        .cr0 = cpu->cr0,
        .cr3 = cpu->cr3,
        .cr4 = cpu->cr4,
        .efer = cpu->efer,
        .cpl = cpu->cpl,
        .ac = cpu->rflags & RFLAGS_AC,
    };
    memcpy(context.pdpte, cpu->pdpte, sizeof(context.pdpte));
    cpu->long_mode = (cpu->efer & EFER_LMA) && (cpu->seg[CPU_CS].attributes & SEGMENT_L);
    cpu->boundary |= (cpu->rflags & (RFLAGS_VIF | RFLAGS_VIP)) == (RFLAGS_VIF | RFLAGS_VIP);
    mmu_set_context(cpu->mmu, &context);
    cpu->tables = cpu->mmu->tables;
}

// What cpu_take_pending() would take from a halted CPU; a state from a file may have more that it
// would not.
static bool has_work(const struct cpu *cpu)
{
    if (cpu->pending & CPU_PENDING_INIT) {
        return true;
    }
    if (cpu->waiting_for_sipi) {
        return cpu->pending & CPU_PENDING_SIPI;
    }
    if (cpu->tf_armed || (cpu->pending & CPU_PENDING_TRAP)) {
        return cpu->shadow != SHADOW_MOV_SS;
    }
    return cpu->shadow == SHADOW_NONE &&
           (((cpu->pending & CPU_PENDING_NMI) && !cpu->nmi_blocked) ||
            (cpu->intr && (cpu->rflags & RFLAGS_IF)));
}

bool cpu_is_asleep(const struct cpu *cpu)
{
    return cpu->halted && !has_work(cpu);
}

u64 cpu_turn_step(const struct cpu *cpu)
{
    return cpu->turn_step;
}

bool cpu_is_closed(const struct cpu *cpu)
{
    return cpu->halted && (cpu->waiting_for_sipi || !(cpu->rflags & RFLAGS_IF));
}

const char *cpu_shutdown_reason(const struct cpu *cpu)
{
    return cpu->shutdown_reason;
}

u64 cpu_tsc(const struct cpu *cpu)
{
    return vclock_ticks(vclock_ns(cpu->config.clock), cpu->config.tsc_hz) + cpu->tsc_offset;
}

void cpu_get_regs(const struct cpu *cpu, struct cpu_regs *r)
{
    memset(r, 0, sizeof(*r));
    memcpy(r->gpr, cpu->gpr, sizeof(r->gpr));
    r->rip = cpu->rip;
    r->rflags = cpu_rflags(cpu);
    memcpy(r->seg, cpu->seg, sizeof(r->seg));
    r->ldtr = cpu->ldtr, r->tr = cpu->tr;
    r->gdtr_base = cpu->gdtr_base, r->gdtr_limit = cpu->gdtr_limit;
    r->idtr_base = cpu->idtr_base, r->idtr_limit = cpu->idtr_limit;
    r->cr0 = cpu->cr0, r->cr2 = cpu->cr2, r->cr3 = cpu->cr3, r->cr4 = cpu->cr4;
    const struct cpu_apic *apic = cpu->config.apic;
    r->cr8 = apic && apic->ops ? apic->ops->get_cr8(apic->apic) : 0;
    r->efer = cpu->efer;
    r->kernel_gs_base = cpu->kernel_gs_base;
    r->star = cpu->star, r->lstar = cpu->lstar, r->cstar = cpu->cstar, r->sfmask = cpu->sfmask;
    r->cpl = cpu->cpl;
    r->halted = cpu->halted;
}

void cpu_set_regs(struct cpu *cpu, const struct cpu_regs *r)
{
    memcpy(cpu->gpr, r->gpr, sizeof(r->gpr));
    cpu->rip = r->rip;
    cpu_set_rflags(cpu, r->rflags);
    memcpy(cpu->seg, r->seg, sizeof(r->seg));
    cpu->ldtr = r->ldtr, cpu->tr = r->tr;
    cpu->gdtr_base = r->gdtr_base, cpu->gdtr_limit = r->gdtr_limit;
    cpu->idtr_base = r->idtr_base, cpu->idtr_limit = r->idtr_limit;
    cpu->cr0 = r->cr0, cpu->cr2 = r->cr2, cpu->cr3 = r->cr3, cpu->cr4 = r->cr4;
    const struct cpu_apic *apic = cpu->config.apic;
    if (apic && apic->ops) {
        apic->ops->set_cr8(apic->apic, (u8)r->cr8);
    }
    cpu->efer = r->efer;
    cpu->kernel_gs_base = r->kernel_gs_base;
    cpu->star = r->star, cpu->lstar = r->lstar, cpu->cstar = r->cstar, cpu->sfmask = r->sfmask;
    cpu->cpl = r->cpl;
    cpu->halted = r->halted;
    cpu->boundary = true;
    cpu_context_changed(cpu);
    interp_reset(cpu);
}

#define F(member) FIELD(struct cpu, member)
#define A(member) FIELD_ARRAY(struct cpu, member)
#define B(member) FIELD_AS(struct cpu, member, FIELD_BOOL)
#define M(member, max) FIELD_MAX(struct cpu, member, max)
#define SEGMENT(member) F(member.selector), F(member.attributes), F(member.limit), F(member.base)

// clang-format off
static const struct field fields[] = {
    {"gpr", offsetof(struct cpu, gpr), 8, 16, FIELD_HEX},
    F(rip),
    F(rflags), // with the arithmetic flags in it
    M(cpl, 3),
    SEGMENT(seg[CPU_ES]), SEGMENT(seg[CPU_CS]), SEGMENT(seg[CPU_SS]),
    SEGMENT(seg[CPU_DS]), SEGMENT(seg[CPU_FS]), SEGMENT(seg[CPU_GS]),
    SEGMENT(ldtr), SEGMENT(tr),
    F(gdtr_base), F(idtr_base), F(gdtr_limit), F(idtr_limit),
    F(cr0), F(cr2), F(cr3), F(cr4), F(xcr0), A(dr), A(pdpte),
    F(efer), F(star), F(lstar), F(cstar), F(sfmask), F(kernel_gs_base), F(tsc_aux), F(tsc_offset),
    F(pat), F(misc_enable), F(sysenter_cs), F(sysenter_esp), F(sysenter_eip), F(debugctl),
    F(feature_control), F(mtrr_def_type), A(mtrr_fixed), A(mtrr_base), A(mtrr_mask),
    {"fpu.vec", offsetof(struct cpu, fpu.vec), 32, 16, FIELD_BYTES},
    {"fpu.st", offsetof(struct cpu, fpu.st), 16, 8, FIELD_BYTES},
    F(fpu.fcw), F(fpu.fsw), F(fpu.fop), F(fpu.ftw), F(fpu.fip), F(fpu.fdp), F(fpu.fcs), F(fpu.fds),
    F(fpu.mxcsr),
    B(halted), B(intr), B(nmi_blocked), B(shutdown), B(waiting_for_sipi),
    B(ferr), B(ignne),
    M(pending, 15), F(sipi_vector), M(shadow, SHADOW_MOV_SS), F(pending_dr6), B(tf_armed),
    F(random_state),
    FIELD_END
};
// clang-format on

#undef F
#undef A
#undef B
#undef M
#undef SEGMENT

const struct field *cpu_fields(void)
{
    return fields;
}

// The CPU with its flags in one word, as the field list wants it.
static struct cpu *canonical_copy(const struct cpu *cpu)
{
    struct cpu *copy = aligned_alloc(64, align_up(sizeof(*copy), 64));
    CHECK(copy);
    *copy = *cpu;
    copy->rflags = (u32)cpu_rflags(cpu);
    return copy;
}

void cpu_hash(const struct cpu *cpu, struct hash *h)
{
    struct cpu *copy = canonical_copy(cpu);
    fields_hash(h, fields, copy);
    free(copy);
}

size_t cpu_state_size(const struct cpu *cpu)
{
    return fields_size(fields);
}

void cpu_state_save(const struct cpu *cpu, u8 *out)
{
    struct cpu *copy = canonical_copy(cpu);
    fields_save(fields, copy, out);
    free(copy);
}

void cpu_state_load(struct cpu *cpu, const u8 *in)
{
    fields_load(fields, cpu, in);
    cpu_set_rflags(cpu, cpu->rflags);
    cpu->boundary = true;
    cpu->kicked = false;
    cpu_context_changed(cpu);
    cpu_debug_changed(cpu);
    interp_reset(cpu);
}

void cpu_get_counters(const struct cpu *cpu, struct cpu_counters *out)
{
    *out = cpu->counters;
}

void cpu_set_ferr(struct cpu *cpu, bool asserted)
{
    if (cpu->ferr != asserted) {
        cpu->ferr = asserted;
        if (cpu->config.ferr) {
            before_device(cpu);
            irq_set(cpu->config.ferr, asserted);
        }
    }
}

static void signal_intr(void *ctx, bool level)
{
    struct cpu *cpu = ctx;
    cpu->intr = level;
    if (level) {
        cpu->boundary = true;
    }
}

static void signal_pending(struct cpu *cpu, enum cpu_pending what)
{
    cpu->pending |= (u8)what;
    cpu->boundary = true;
}

static void signal_nmi(void *ctx)
{
    signal_pending(ctx, CPU_PENDING_NMI);
}

static void signal_init(void *ctx)
{
    signal_pending(ctx, CPU_PENDING_INIT);
}

static void signal_sipi(void *ctx, u8 vector)
{
    struct cpu *cpu = ctx;
    // Ignored unless the CPU waits for it (SDM 3A 9.4.4.1), also right after an INIT that it has
    // yet to take.
    if (cpu->waiting_for_sipi || (cpu->pending & CPU_PENDING_INIT)) {
        cpu->sipi_vector = vector;
        signal_pending(cpu, CPU_PENDING_SIPI);
    }
}

static void signal_kick(void *ctx)
{
    struct cpu *cpu = ctx;
    cpu->kicked = true;
    cpu->boundary = true;
}

static void signal_yield(void *ctx)
{
    ((struct cpu *)ctx)->yielded = true;
    signal_kick(ctx);
}

static void signal_ignne(void *ctx, bool asserted)
{
    ((struct cpu *)ctx)->ignne = asserted;
}

static void signal_apic_page(void *ctx, u64 gpa)
{
    mmu_set_apic_page(((struct cpu *)ctx)->mmu, gpa);
}

static const struct cpu_signal_ops signal_ops = {
    .set_intr = signal_intr,
    .raise_nmi = signal_nmi,
    .raise_init = signal_init,
    .raise_sipi = signal_sipi,
    .kick = signal_kick,
    .yield = signal_yield,
    .set_ignne = signal_ignne,
    .set_apic_page = signal_apic_page,
};

struct cpu_signal cpu_signal(struct cpu *cpu)
{
    return (struct cpu_signal){&signal_ops, cpu};
}

void cpu_probe(struct cpu *cpu, enum probe_kind kind, u64 rip, u64 address, u64 value,
               u32 error_code, u8 size, u8 cause)
{
    cpu_sync_clock(cpu);
    struct probe_event event = {
        .step = cpu->config.clock->step,
        .vtime_ns = vclock_ns(cpu->config.clock),
        .rip = rip,
        .cr3 = cpu->cr3,
        .address = address,
        .value = value,
        .error_code = error_code,
        .kind = (u16)kind,
        .cpu = (u8)cpu->config.index,
        .cause = cause,
        .from_cpl = cpu->cpl,
        .to_cpl = cpu->cpl,
        .vector = kind == PROBE_irq ? (u8)value : 0,
        .size = size,
    };
    probe_emit(cpu->config.probes, &event);
}

void cpu_probe_transition(struct cpu *cpu, const struct transition *t)
{
    cpu_sync_clock(cpu);
    struct probe_event event = {
        .step = cpu->config.clock->step,
        .vtime_ns = vclock_ns(cpu->config.clock),
        .rip = t->rip,
        .cr3 = cpu->cr3,
        .address = cpu->rip,
        .error_code = t->error_code,
        .kind = PROBE_transition,
        .cpu = (u8)cpu->config.index,
        .cause = (u8)t->cause,
        .from_cpl = t->from_cpl,
        .to_cpl = cpu->cpl,
        .vector = t->vector,
    };
    probe_emit(cpu->config.probes, &event);
}
