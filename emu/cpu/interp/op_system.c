// SPDX-License-Identifier: MIT
// System instructions: system registers, descriptor tables, caches, flags with privilege.
#include "cpu/interp/operand.h"
#include "cpu/segment.h"

#define PUSHF_MASK UINT64_C(0xFCFFFF) // RF and VM are saved as 0
#define POPF_FLAGS (u64)(RFLAGS_ARITH | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID)

static bool require_cpl0(struct cpu *cpu)
{
    return LIKELY(!cpu->cpl) || raise_gp(cpu, 0);
}

static bool iopl_allows(struct cpu *cpu)
{
    return cpu->cpl <= (cpu->rflags & RFLAGS_IOPL) >> 12 || raise_gp(cpu, 0);
}

static bool hlt(struct cpu *cpu, const struct insn *insn)
{
    if (!require_cpl0(cpu)) {
        return false;
    }
    cpu->halted = true;
    cpu->boundary = true;
    return true;
}
BIND_ONE(hlt, hlt)

// No address is ever monitored, so this is HLT. Extensions (ECX) are not offered (SDM 2B, MWAIT).
static bool mwait(struct cpu *cpu, const struct insn *insn)
{
    if (cpu->cpl) {
        return raise_ud(cpu);
    }
    return (u32)cpu->gpr[CPU_RCX] ? raise_gp(cpu, 0) : hlt(cpu, insn);
}
BIND_ONE(mwait, mwait)

static bool cli(struct cpu *cpu, const struct insn *insn)
{
    if (UNLIKELY(cpu_if_is_virtual(cpu))) {
        cpu->rflags &= ~RFLAGS_VIF;
        return true;
    }
    if (!iopl_allows(cpu)) {
        return false;
    }
    cpu->rflags &= ~RFLAGS_IF;
    return true;
}
BIND_ONE(cli, cli)

static bool sti(struct cpu *cpu, const struct insn *insn)
{
    if (UNLIKELY(cpu_if_is_virtual(cpu))) {
        if (cpu->rflags & RFLAGS_VIP) {
            return raise_gp(cpu, 0);
        }
        cpu->rflags |= RFLAGS_VIF;
        return true;
    }
    if (!iopl_allows(cpu)) {
        return false;
    }
    if (!(cpu->rflags & RFLAGS_IF)) {
        cpu->rflags |= RFLAGS_IF;
        cpu->shadow = SHADOW_STI;
        cpu->boundary = true;
    }
    return true;
}
BIND_ONE(sti, sti)

static unsigned pushf_width(const struct insn *insn)
{
    return insn->op == OP_PUSHF || insn->op == OP_POPF     ? 1
           : insn->op == OP_PUSHFD || insn->op == OP_POPFD ? 2
                                                           : 3;
}

// PUSHF and POPF of virtual-8086 mode with an IOPL below 3: of 16 bits where IF is virtual.
static bool is_vm86_below_iopl(const struct cpu *cpu)
{
    return UNLIKELY(cpu->rflags & RFLAGS_VM) && (cpu->rflags & RFLAGS_IOPL) != RFLAGS_IOPL;
}

static bool pushf_virtual(struct cpu *cpu, const struct insn *insn)
{
    u64 flags = (cpu_rflags(cpu) & ~(u64)RFLAGS_IF) | RFLAGS_IOPL;
    flags |= cpu->rflags & RFLAGS_VIF ? RFLAGS_IF : 0;
    return cpu_if_is_virtual(cpu) && pushf_width(insn) == 1 ? stack_push(cpu, insn, 1, flags)
                                                            : raise_gp(cpu, 0);
}

static bool popf_virtual(struct cpu *cpu, const struct insn *insn)
{
    u64 value;
    if (!cpu_if_is_virtual(cpu) || pushf_width(insn) != 1) {
        return raise_gp(cpu, 0);
    }
    if (!stack_peek(cpu, insn, 1, 0, &value) || !cpu_virtual_flags_allowed(cpu, (u16)value)) {
        return false;
    }
    stack_adjust(cpu, 2);
    cpu_set_virtual_flags(cpu, (u16)value);
    return true;
}

static bool pushf(struct cpu *cpu, const struct insn *insn)
{
    if (is_vm86_below_iopl(cpu)) {
        return pushf_virtual(cpu, insn);
    }
    return stack_push(cpu, insn, pushf_width(insn), cpu_rflags(cpu) & PUSHF_MASK);
}
BIND_ONE(pushf, pushf)

static void set_popped(struct cpu *cpu, u64 value, unsigned operand_size)
{
    u64 mask = POPF_FLAGS;
    if (cpu->cpl <= (cpu->rflags & RFLAGS_IOPL) >> 12) {
        mask |= RFLAGS_IF;
    }
    if (!cpu->cpl) {
        mask |= RFLAGS_IOPL;
    }
    if (operand_size == 2) {
        mask &= 0xFFFF;
    }
    u64 old = cpu_rflags(cpu);
    cpu_set_rflags(cpu, ((old & ~mask) | (value & mask)) & ~(u64)RFLAGS_RF);
    if ((old ^ cpu->rflags) & RFLAGS_AC) {
        cpu_context_changed(cpu);
    }
}

static bool popf(struct cpu *cpu, const struct insn *insn)
{
    u64 value;
    unsigned width = pushf_width(insn);
    if (is_vm86_below_iopl(cpu)) {
        return popf_virtual(cpu, insn);
    }
    if (!stack_pop(cpu, insn, width, &value)) {
        return false;
    }
    set_popped(cpu, value, 1u << width);
    return true;
}
BIND_ONE(popf, popf)

static bool set_ac(struct cpu *cpu, u32 ac)
{
    if (cpu->cpl || !cpu_has(cpu, FEATURE_smap)) {
        return raise_ud(cpu);
    }
    cpu->rflags = (cpu->rflags & ~RFLAGS_AC) | ac;
    cpu_context_changed(cpu);
    return true;
}

static bool clac(struct cpu *cpu, const struct insn *insn)
{
    return set_ac(cpu, 0);
}
BIND_ONE(clac, clac)

static bool stac(struct cpu *cpu, const struct insn *insn)
{
    return set_ac(cpu, RFLAGS_AC);
}
BIND_ONE(stac, stac)

// Control and debug registers. 64-bit code moves 64 bits, else 32; the operand-size prefix does not
// matter.
static bool mov_to_cr(struct cpu *cpu, const struct insn *insn)
{
    u64 value = cpu->gpr[insn->rm];
    if (insn->reg == 1 || (insn->reg > 4 && insn->reg != 8)) {
        return raise_ud(cpu);
    }
    return require_cpl0(cpu) &&
           cpu_write_cr(cpu, insn->reg, insn->code == CODE_64 ? value : (u32)value);
}
BIND_ONE(mov_to_cr, mov_to_cr)

static bool mov_from_cr(struct cpu *cpu, const struct insn *insn)
{
    u64 value;
    if (insn->rm == 1 || (insn->rm > 4 && insn->rm != 8)) {
        return raise_ud(cpu);
    }
    if (!require_cpl0(cpu) || !cpu_read_cr(cpu, insn->rm, &value)) {
        return false;
    }
    cpu->gpr[insn->reg] = insn->code == CODE_64 ? value : (u32)value;
    return true;
}
BIND_ONE(mov_from_cr, mov_from_cr)

static bool mov_to_dr(struct cpu *cpu, const struct insn *insn)
{
    u64 value = cpu->gpr[insn->rm];
    return cpu_write_dr(cpu, insn->reg, insn->code == CODE_64 ? value : (u32)value);
}
BIND_ONE(mov_to_dr, mov_to_dr)

static bool mov_from_dr(struct cpu *cpu, const struct insn *insn)
{
    u64 value;
    if (!cpu_read_dr(cpu, insn->rm, &value)) {
        return false;
    }
    cpu->gpr[insn->reg] = insn->code == CODE_64 ? value : (u32)value;
    return true;
}
BIND_ONE(mov_from_dr, mov_from_dr)

static bool clts(struct cpu *cpu, const struct insn *insn)
{
    if (!require_cpl0(cpu)) {
        return false;
    }
    cpu->cr0 &= ~(u64)CR0_TS;
    return true;
}
BIND_ONE(clts, clts)

static bool smsw(struct cpu *cpu, const struct insn *insn)
{
    return operand_put(cpu, insn, cpu->cr0);
}
BIND_ONE(smsw, smsw)

// LMSW sets PE, MP, EM and TS, but cannot clear PE.
static bool lmsw(struct cpu *cpu, const struct insn *insn)
{
    u64 value;
    if (!require_cpl0(cpu) || !operand_get(cpu, insn, true, &value)) {
        return false;
    }
    return cpu_write_cr(cpu, 0, (cpu->cr0 & ~UINT64_C(0xE)) | (value & 0xF));
}
BIND_ONE(lmsw, lmsw)

// Model-specific registers.
static void probe_msr(struct cpu *cpu, const struct insn *insn, u64 value, bool is_write)
{
    if (probe_on(cpu->config.probes, PROBE_msr)) {
        cpu_probe(cpu, PROBE_msr, insn_rip(cpu, insn), (u32)cpu->gpr[CPU_RCX], value, 0, 8,
                  is_write);
    }
}

static bool rdmsr(struct cpu *cpu, const struct insn *insn)
{
    u64 value;
    if (!require_cpl0(cpu) || !cpu_read_msr(cpu, (u32)cpu->gpr[CPU_RCX], &value)) {
        return false;
    }
    probe_msr(cpu, insn, value, false);
    cpu->gpr[CPU_RAX] = (u32)value;
    cpu->gpr[CPU_RDX] = value >> 32;
    return true;
}
BIND_ONE(rdmsr, rdmsr)

static bool wrmsr(struct cpu *cpu, const struct insn *insn)
{
    u64 value = (u32)cpu->gpr[CPU_RAX] | cpu->gpr[CPU_RDX] << 32;
    if (!require_cpl0(cpu) || !cpu_write_msr(cpu, (u32)cpu->gpr[CPU_RCX], value)) {
        return false;
    }
    probe_msr(cpu, insn, value, true);
    return true;
}
BIND_ONE(wrmsr, wrmsr)

// No performance counters: every index is invalid.
static bool rdpmc(struct cpu *cpu, const struct insn *insn)
{
    return raise_gp(cpu, 0);
}
BIND_ONE(rdpmc, rdpmc)

static bool rdtsc(struct cpu *cpu, const struct insn *insn)
{
    if ((cpu->cr4 & CR4_TSD) && cpu->cpl) {
        return raise_gp(cpu, 0);
    }
    cpu->current = insn;
    cpu_sync_clock(cpu);
    u64 tsc = cpu_tsc(cpu);
    cpu->gpr[CPU_RAX] = (u32)tsc;
    cpu->gpr[CPU_RDX] = tsc >> 32;
    if (insn->op == OP_RDTSCP) {
        cpu->gpr[CPU_RCX] = (u32)cpu->tsc_aux;
    }
    return true;
}
BIND_ONE(rdtsc, rdtsc)

static bool rdpid(struct cpu *cpu, const struct insn *insn)
{
    cpu->gpr[insn->reg] = (u32)cpu->tsc_aux;
    return true;
}
BIND_ONE(rdpid, rdpid)

// RDRAND and RDSEED take the next number of one stream, which the run's seed begins (SplitMix64):
// they never fail.
static bool rdrand(struct cpu *cpu, const struct insn *insn)
{
    cpu->random_state += UINT64_C(0x9E3779B97F4A7C15);
    u64 x = cpu->random_state;
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    reg_write(cpu, insn->reg, insn->width, x ^ x >> 31);
    cpu->flags = FLAGS_ONE | FLAGS_C;
    return true;
}
BIND_ONE(rdrand, rdrand)

static bool cpuid(struct cpu *cpu, const struct insn *insn)
{
    u32 out[4];
    cpu_cpuid(cpu, (u32)cpu->gpr[CPU_RAX], (u32)cpu->gpr[CPU_RCX], out);
    cpu->gpr[CPU_RAX] = out[0];
    cpu->gpr[CPU_RBX] = out[1];
    cpu->gpr[CPU_RCX] = out[2];
    cpu->gpr[CPU_RDX] = out[3];
    return true;
}
BIND_ONE(cpuid, cpuid)

// Descriptor tables: a 2-byte limit, then the base (8 bytes in 64-bit code, 4 else; 16-bit
// operands load 3 of them).
static bool store_table(struct cpu *cpu, const struct insn *insn, u64 base, u16 limit)
{
    u8 bytes[10];
    __builtin_memcpy(bytes, &limit, 2);
    __builtin_memcpy(bytes + 2, &base, 8);
    return operand_store(cpu, insn, bytes, insn->code == CODE_64 ? 10 : 6);
}

static bool load_table(struct cpu *cpu, const struct insn *insn, u64 *base, u16 *limit)
{
    u8 bytes[10] = {0};
    u64 value;
    if (!require_cpl0(cpu) || !operand_load(cpu, insn, bytes, insn->code == CODE_64 ? 10 : 6)) {
        return false;
    }
    __builtin_memcpy(&value, bytes + 2, 8);
    if (insn->code != CODE_64 && insn->imm == 16) {
        value &= 0xFFFFFF;
    }
    if (!is_canonical(value)) {
        return raise_gp(cpu, 0);
    }
    __builtin_memcpy(limit, bytes, 2);
    *base = value;
    return true;
}

static bool sgdt(struct cpu *cpu, const struct insn *insn)
{
    return store_table(cpu, insn, cpu->gdtr_base, cpu->gdtr_limit);
}
BIND_ONE(sgdt, sgdt)

static bool sidt(struct cpu *cpu, const struct insn *insn)
{
    return store_table(cpu, insn, cpu->idtr_base, cpu->idtr_limit);
}
BIND_ONE(sidt, sidt)

static bool lgdt(struct cpu *cpu, const struct insn *insn)
{
    return load_table(cpu, insn, &cpu->gdtr_base, &cpu->gdtr_limit);
}
BIND_ONE(lgdt, lgdt)

static bool lidt(struct cpu *cpu, const struct insn *insn)
{
    return load_table(cpu, insn, &cpu->idtr_base, &cpu->idtr_limit);
}
BIND_ONE(lidt, lidt)

// LDTR and TR do not exist in real mode.
static bool require_protected(struct cpu *cpu)
{
    return !cpu_paragraphs(cpu) || raise_ud(cpu);
}

static bool sldt(struct cpu *cpu, const struct insn *insn)
{
    return require_protected(cpu) && operand_put(cpu, insn, cpu->ldtr.selector);
}
BIND_ONE(sldt, sldt)

static bool str(struct cpu *cpu, const struct insn *insn)
{
    return require_protected(cpu) && operand_put(cpu, insn, cpu->tr.selector);
}
BIND_ONE(str, str)

static bool lldt(struct cpu *cpu, const struct insn *insn)
{
    u64 selector;
    return require_protected(cpu) && require_cpl0(cpu) && operand_get(cpu, insn, true, &selector) &&
           cpu_load_ldtr(cpu, (u16)selector);
}
BIND_ONE(lldt, lldt)

static bool ltr(struct cpu *cpu, const struct insn *insn)
{
    u64 selector;
    return require_protected(cpu) && require_cpl0(cpu) && operand_get(cpu, insn, true, &selector) &&
           cpu_load_tr(cpu, (u16)selector);
}
BIND_ONE(ltr, ltr)

// Caches and TLB: nothing is stale, so only the checks remain.
static bool wbinvd(struct cpu *cpu, const struct insn *insn)
{
    return require_cpl0(cpu);
}
BIND_ONE(wbinvd, wbinvd)

static bool invlpg(struct cpu *cpu, const struct insn *insn)
{
    return require_cpl0(cpu);
}
BIND_ONE(invlpg, invlpg)

// SDM 2A, INVPCID: types 0 (address), 1 (PCID), 2 and 3 (all).
static bool invpcid(struct cpu *cpu, const struct insn *insn)
{
    u64 descriptor[2], type = cpu->gpr[insn->reg];
    if (!cpu_has(cpu, FEATURE_invpcid)) {
        return raise_ud(cpu);
    }
    if (!require_cpl0(cpu) || !operand_load(cpu, insn, descriptor, 16)) {
        return false;
    }
    if (insn->code != CODE_64) {
        type = (u32)type;
    }
    bool bad_pcid = (descriptor[0] >> 12) || (type < 2 && !(cpu->cr4 & CR4_PCIDE) && descriptor[0]);
    if (type > 3 || (type < 2 && bad_pcid) || (type == 0 && !is_canonical(descriptor[1]))) {
        return raise_gp(cpu, 0);
    }
    return true;
}
BIND_ONE(invpcid, invpcid)

static bool clflush(struct cpu *cpu, const struct insn *insn)
{
    u64 linear;
    if (!operand_ea(cpu, insn, 1, false, &linear)) {
        return false;
    }
    cpu->current = insn;
    if (!mmu_probe_read(cpu->mmu, linear, 1, &cpu->fault)) {
        return false;
    }
    return true;
}
BIND_ONE(clflush, clflush)

// FS and GS base (SDM 2B, RDFSBASE): #UD unless CR4.FSGSBASE.
static struct cpu_segment *fsgs_segment(struct cpu *cpu, const struct insn *insn)
{
    bool fs = insn->op == OP_RDFSBASE || insn->op == OP_WRFSBASE;
    return &cpu->seg[fs ? CPU_FS : CPU_GS];
}

static bool rdfsgsbase(struct cpu *cpu, const struct insn *insn)
{
    if (!(cpu->cr4 & CR4_FSGSBASE)) {
        return raise_ud(cpu);
    }
    reg_write(cpu, insn->reg, insn->width, fsgs_segment(cpu, insn)->base);
    return true;
}
BIND_ONE(rdfsgsbase, rdfsgsbase)

static bool wrfsgsbase(struct cpu *cpu, const struct insn *insn)
{
    if (!(cpu->cr4 & CR4_FSGSBASE)) {
        return raise_ud(cpu);
    }
    u64 base = reg_read(cpu, insn->reg, insn->width);
    if (!is_canonical(base)) {
        return raise_gp(cpu, 0);
    }
    fsgs_segment(cpu, insn)->base = base;
    return true;
}
BIND_ONE(wrfsgsbase, wrfsgsbase)

static bool swapgs(struct cpu *cpu, const struct insn *insn)
{
    return cpu_swapgs(cpu);
}
BIND_ONE(swapgs, swapgs)
