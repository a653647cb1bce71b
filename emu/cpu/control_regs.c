// SPDX-License-Identifier: MIT
// Control and debug registers: what may be written, and what follows (SDM 3A 2.5, 3B 17.2).
#include "cpu/interp/operand.h"

#define CR0_DEFINED                                                                                \
    (u64)(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW |         \
          CR0_CD | CR0_PG)

#define DR6_FIXED UINT64_C(0xFFFF0FF0)
#define DR6_WRITABLE UINT64_C(0xE00F)
#define DR7_FIXED UINT64_C(0x400)
#define DR7_WRITABLE UINT64_C(0xFFFF23FF)
#define DR7_GD BIT(13)
#define DR6_BD BIT(13)

static bool pae_paging(u64 cr0, u64 cr4, u64 efer)
{
    return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LME);
}

// Loads the four PAE pointers where PAE paging is or becomes active (SDM 3A 4.4.1).
static bool reload_pdptes(struct cpu *cpu, u64 cr0, u64 cr3, u64 cr4)
{
    if (!pae_paging(cr0, cr4, cpu->efer)) {
        return true;
    }
    return mmu_load_pdptes(cpu->mmu, cr3, cpu->pdpte) || raise_gp(cpu, 0);
}

static void probe_cr3(struct cpu *cpu, u64 value)
{
    if (probe_on(cpu->config.probes, PROBE_cr3_write)) {
        cpu_probe(cpu, PROBE_cr3_write, insn_rip(cpu, cpu->current), value, cpu->cr3, 0, 8, 0);
    }
}

static bool write_cr0(struct cpu *cpu, u64 value)
{
    u64 old = cpu->cr0;
    if (value >> 32) {
        return raise_gp(cpu, 0);
    }
    value = (value & CR0_DEFINED) | CR0_ET;
    if (((value & CR0_PG) && !(value & CR0_PE)) || ((value & CR0_NW) && !(value & CR0_CD))) {
        return raise_gp(cpu, 0);
    }
    bool pg_on = (value & ~old) & CR0_PG, pg_off = (old & ~value) & CR0_PG;
    if (pg_off && (cpu->long_mode || (cpu->cr4 & CR4_PCIDE))) {
        return raise_gp(cpu, 0);
    }
    if (pg_on && (cpu->efer & EFER_LME)) {
        bool tss16 = (cpu->tr.attributes & SEGMENT_P) && !(cpu->tr.attributes & 8);
        if (!(cpu->cr4 & CR4_PAE) || (cpu->seg[CPU_CS].attributes & SEGMENT_L) || tss16) {
            return raise_gp(cpu, 0);
        }
    }
    if (((value ^ old) & (CR0_PG | CR0_CD | CR0_NW)) &&
        !reload_pdptes(cpu, value, cpu->cr3, cpu->cr4)) {
        return false;
    }
    if (pg_on && (cpu->efer & EFER_LME)) {
        cpu->efer |= EFER_LMA;
    } else if (pg_off) {
        cpu->efer &= ~(u64)EFER_LMA;
    }
    cpu->cr0 = value;
    cpu_context_changed(cpu);
    return true;
}

static bool write_cr3(struct cpu *cpu, u64 value)
{
    if (cpu->efer & EFER_LMA) {
        if (cpu->cr4 & CR4_PCIDE) {
            value &= ~BIT(63); // "do not flush" is never stored
        }
        if (value & ~(BIT(MMU_PHYS_BITS) - 1)) {
            return raise_gp(cpu, 0);
        }
    } else if (!reload_pdptes(cpu, cpu->cr0, value, cpu->cr4)) {
        return false;
    }
    probe_cr3(cpu, value);
    cpu->cr3 = value;
    cpu_context_changed(cpu);
    return true;
}

static u64 cr4_defined(const struct cpu *cpu)
{
    u64 bits = CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_PCE;
    bits |= cpu_has(cpu, FEATURE_vme) ? CR4_VME | CR4_PVI : 0;
    bits |= cpu_has(cpu, FEATURE_mce) ? CR4_MCE : 0;
    bits |= cpu_has(cpu, FEATURE_pge) ? CR4_PGE : 0;
    bits |= cpu_has(cpu, FEATURE_fsgsbase) ? CR4_FSGSBASE : 0;
    bits |= cpu_has(cpu, FEATURE_pcid) ? CR4_PCIDE : 0;
    bits |= cpu_has(cpu, FEATURE_xsave) ? CR4_OSXSAVE : 0;
    bits |= cpu_has(cpu, FEATURE_smep) ? CR4_SMEP : 0;
    bits |= cpu_has(cpu, FEATURE_smap) ? CR4_SMAP : 0;
    return bits;
}

static bool write_cr4(struct cpu *cpu, u64 value)
{
    u64 changed = value ^ cpu->cr4;
    if (value & ~cr4_defined(cpu)) {
        return raise_gp(cpu, 0);
    }
    if ((cpu->efer & EFER_LMA) && !(value & CR4_PAE)) {
        return raise_gp(cpu, 0);
    }
    if ((changed & value & CR4_PCIDE) && (!(cpu->efer & EFER_LMA) || (cpu->cr3 & 0xFFF))) {
        return raise_gp(cpu, 0);
    }
    if ((changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) &&
        !reload_pdptes(cpu, cpu->cr0, cpu->cr3, value)) {
        return false;
    }
    cpu->cr4 = value;
    cpu_context_changed(cpu);
    return true;
}

static bool write_cr8(struct cpu *cpu, u64 value)
{
    const struct cpu_apic *apic = cpu->config.apic;
    if (value > 0xF) {
        return raise_gp(cpu, 0);
    }
    if (apic && apic->ops) {
        *cpu->config.current_cpu = cpu->config.index;
        cpu_sync_clock(cpu);
        apic->ops->set_cr8(apic->apic, (u8)value);
    }
    return true;
}

bool cpu_write_cr(struct cpu *cpu, unsigned n, u64 value)
{
    switch (n) {
    case 0:
        return write_cr0(cpu, value);
    case 2:
        cpu->cr2 = value;
        return true;
    case 3:
        return write_cr3(cpu, value);
    case 4:
        return write_cr4(cpu, value);
    case 8:
        return write_cr8(cpu, value);
    default:
        return raise_ud(cpu);
    }
}

bool cpu_read_cr(struct cpu *cpu, unsigned n, u64 *value)
{
    const struct cpu_apic *apic = cpu->config.apic;
    switch (n) {
    case 0:
        *value = cpu->cr0;
        return true;
    case 2:
        *value = cpu->cr2;
        return true;
    case 3:
        *value = cpu->cr3;
        return true;
    case 4:
        *value = cpu->cr4;
        return true;
    case 8:
        *value = apic && apic->ops ? apic->ops->get_cr8(apic->apic) : 0;
        return true;
    default:
        return raise_ud(cpu);
    }
}

// DR4 and DR5 are DR6 and DR7 unless CR4.DE makes them #UD; DR7.GD traps any access.
static bool check_dr(struct cpu *cpu, unsigned *n)
{
    if (*n > 7 || (*n == 4 || *n == 5)) {
        if (*n > 7 || (cpu->cr4 & CR4_DE)) {
            return raise_ud(cpu);
        }
        *n += 2;
    }
    if (cpu->cpl) {
        return raise_gp(cpu, 0);
    }
    if (cpu->dr[7] & DR7_GD) {
        cpu->pending_dr6 = DR6_BD;
        return raise_fault(cpu, EXC_DB);
    }
    return true;
}

bool cpu_write_dr(struct cpu *cpu, unsigned n, u64 value)
{
    if (!check_dr(cpu, &n)) {
        return false;
    }
    if (n >= 6 && value >> 32) {
        return raise_gp(cpu, 0);
    }
    if (n == 6) {
        value = (value & DR6_WRITABLE) | DR6_FIXED;
    } else if (n == 7) {
        value = (value & DR7_WRITABLE) | DR7_FIXED;
    }
    cpu->dr[n] = value;
    cpu->boundary = true;
    cpu_debug_changed(cpu);
    return true;
}

bool cpu_read_dr(struct cpu *cpu, unsigned n, u64 *value)
{
    if (!check_dr(cpu, &n)) {
        return false;
    }
    *value = cpu->dr[n];
    return true;
}
