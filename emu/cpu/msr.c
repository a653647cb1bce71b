// SPDX-License-Identifier: MIT
// RDMSR and WRMSR (SDM volume 4); the rows are isa/x86_msrs.def.
#include "cpu/interp/operand.h"

// RDCL_NO, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, IF_PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO, FBSDP_NO,
// PSDP_NO, BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO: an interpreter does not speculate.
#define CPU_ARCH_CAPABILITIES                                                                      \
    (BIT(0) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(13) | BIT(14) | BIT(15) | BIT(20) | \
     BIT(24) | BIT(26) | BIT(27))

#define MSR_APIC_BASE 0x1B
#define APIC_BASE_EXTENDED BIT(10)
#define MSR_X2APIC_FIRST 0x800
#define MSR_X2APIC_LAST 0x83F
#define MICROCODE_REVISION UINT64_C(0x2B000603)
#define MISC_ENABLE_FIXED UINT64_C(0x1800)
#define MISC_ENABLE_WRITABLE UINT64_C(1)
#define FEATURE_CONTROL_LOCK UINT64_C(1)

enum msr_kind { MSR_PLAIN, MSR_CANONICAL, MSR_CONSTANT, MSR_SPECIAL, MSR_APIC };

struct msr_row {
    enum msr_kind kind;
    u32 offset; // PLAIN, CANONICAL: of the member in struct cpu
    u64 mask;
    u64 (*read)(struct cpu *cpu, const struct msr_row *row, u32 msr);
    bool (*write)(struct cpu *cpu, const struct msr_row *row, u32 msr, u64 value); // false: #GP
};

static u64 *msr_member(struct cpu *cpu, const struct msr_row *row)
{
    return (u64 *)((u8 *)cpu + row->offset);
}

static u64 read_tsc(struct cpu *cpu, const struct msr_row *row, u32 msr)
{
    cpu_sync_clock(cpu);
    return cpu_tsc(cpu);
}

static u64 read_tsc_adjust(struct cpu *cpu, const struct msr_row *row, u32 msr)
{
    return cpu->tsc_offset;
}

static bool write_tsc_adjust(struct cpu *cpu, const struct msr_row *row, u32 msr, u64 value)
{
    const struct cpu_apic *apic = cpu->config.apic;
    cpu_sync_clock(cpu);
    cpu->tsc_offset = value;
    if (apic && apic->ops) {
        apic->ops->set_tsc_offset(apic->apic, value); // an armed TSC deadline moves with it
    }
    return true;
}

// Writing the TSC moves TSC_ADJUST by the same amount (SDM 3B 18.17.3).
static bool write_tsc(struct cpu *cpu, const struct msr_row *row, u32 msr, u64 value)
{
    cpu_sync_clock(cpu);
    return write_tsc_adjust(cpu, row, msr, cpu->tsc_offset + value - cpu_tsc(cpu));
}

static u64 read_feature_control(struct cpu *cpu, const struct msr_row *row, u32 msr)
{
    return cpu->feature_control;
}

static bool write_feature_control(struct cpu *cpu, const struct msr_row *row, u32 msr, u64 value)
{
    if ((cpu->feature_control & FEATURE_CONTROL_LOCK) || (value & ~FEATURE_CONTROL_LOCK)) {
        return false;
    }
    cpu->feature_control = value;
    return true;
}

// No machine-check banks, and so never a machine check in progress. "R/W0" (SDM 4, table 2-2).
static u64 read_mcg_status(struct cpu *cpu, const struct msr_row *row, u32 msr)
{
    return 0;
}

static bool write_mcg_status(struct cpu *cpu, const struct msr_row *row, u32 msr, u64 value)
{
    return value == 0;
}

static u64 read_microcode(struct cpu *cpu, const struct msr_row *row, u32 msr)
{
    return MICROCODE_REVISION << 32;
}

// Software writes 0 before CPUID loads the revision (SDM 3A 10.11.7.1); here it is always loaded.
static bool write_microcode(struct cpu *cpu, const struct msr_row *row, u32 msr, u64 value)
{
    return true;
}

static u64 read_misc_enable(struct cpu *cpu, const struct msr_row *row, u32 msr)
{
    return cpu->misc_enable;
}

static bool write_misc_enable(struct cpu *cpu, const struct msr_row *row, u32 msr, u64 value)
{
    if ((value & ~MISC_ENABLE_WRITABLE) & ~MISC_ENABLE_FIXED) {
        return false;
    }
    cpu->misc_enable = (value & MISC_ENABLE_WRITABLE) | MISC_ENABLE_FIXED;
    return true;
}

static bool memory_type_valid(u64 type)
{
    return type == 0 || type == 1 || (type >= 4 && type <= 6);
}

static u64 read_mtrr_base(struct cpu *cpu, const struct msr_row *row, u32 msr)
{
    return cpu->mtrr_base[(msr - 0x200) / 2];
}

static bool write_mtrr_base(struct cpu *cpu, const struct msr_row *row, u32 msr, u64 value)
{
    u64 reserved = ~(BIT(MMU_PHYS_BITS) - 1) | 0xF00;
    if ((value & reserved) || !memory_type_valid(value & 0xFF)) {
        return false;
    }
    cpu->mtrr_base[(msr - 0x200) / 2] = value;
    return true;
}

static u64 read_mtrr_mask(struct cpu *cpu, const struct msr_row *row, u32 msr)
{
    return cpu->mtrr_mask[(msr - 0x200) / 2];
}

static bool write_mtrr_mask(struct cpu *cpu, const struct msr_row *row, u32 msr, u64 value)
{
    if (value & (~(BIT(MMU_PHYS_BITS) - 1) | 0x7FF)) {
        return false;
    }
    cpu->mtrr_mask[(msr - 0x200) / 2] = value;
    return true;
}

static u64 read_mtrr_fixed(struct cpu *cpu, const struct msr_row *row, u32 msr)
{
    return cpu->mtrr_fixed[row->mask];
}

static bool write_mtrr_fixed(struct cpu *cpu, const struct msr_row *row, u32 msr, u64 value)
{
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if (!memory_type_valid(value >> shift & 0xFF)) {
            return false;
        }
    }
    cpu->mtrr_fixed[row->mask] = value;
    return true;
}

static u64 read_mtrr_def_type(struct cpu *cpu, const struct msr_row *row, u32 msr)
{
    return cpu->mtrr_def_type;
}

static bool write_mtrr_def_type(struct cpu *cpu, const struct msr_row *row, u32 msr, u64 value)
{
    if ((value & ~UINT64_C(0xCFF)) || !memory_type_valid(value & 0xFF)) {
        return false;
    }
    cpu->mtrr_def_type = value;
    return true;
}

static u64 read_pat(struct cpu *cpu, const struct msr_row *row, u32 msr)
{
    return cpu->pat;
}

static bool write_pat(struct cpu *cpu, const struct msr_row *row, u32 msr, u64 value)
{
    for (unsigned shift = 0; shift < 64; shift += 8) {
        u64 type = value >> shift & 0xFF;
        if (type != 7 && !memory_type_valid(type)) {
            return false;
        }
    }
    cpu->pat = value;
    return true;
}

static u64 read_efer(struct cpu *cpu, const struct msr_row *row, u32 msr)
{
    return cpu->efer;
}

static bool write_efer(struct cpu *cpu, const struct msr_row *row, u32 msr, u64 value)
{
    if (value & ~(u64)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)) {
        return false;
    }
    if (((value ^ cpu->efer) & EFER_LME) && (cpu->cr0 & CR0_PG)) {
        return false;
    }
    cpu->efer = (value & ~(u64)EFER_LMA) | (cpu->efer & EFER_LMA);
    cpu_context_changed(cpu);
    return true;
}

// No supervisor state components.
static u64 read_xss(struct cpu *cpu, const struct msr_row *row, u32 msr)
{
    return 0;
}

static bool write_xss(struct cpu *cpu, const struct msr_row *row, u32 msr, u64 value)
{
    return !value;
}

#define ROW_PLAIN(member_, mask_)                                                                  \
    {                                                                                              \
        .kind = MSR_PLAIN, .offset = offsetof(struct cpu, member_), .mask = (mask_)                \
    }
#define ROW_CANONICAL(member_, mask_)                                                              \
    {                                                                                              \
        .kind = MSR_CANONICAL, .offset = offsetof(struct cpu, member_)                             \
    }
#define ROW_CONSTANT(member_, mask_)                                                               \
    {                                                                                              \
        .kind = MSR_CONSTANT, .mask = (mask_)                                                      \
    }
#define ROW_SPECIAL(member_, mask_)                                                                \
    {                                                                                              \
        .kind = MSR_SPECIAL, .mask = (mask_), .read = read_##member_, .write = write_##member_     \
    }
#define ROW_APIC(member_, mask_)                                                                   \
    {                                                                                              \
        .kind = MSR_APIC                                                                           \
    }

enum msr_index {
#define MSR(number, name, kind, member, mask) INDEX_##name,
#include "isa/x86_msrs.def"
#undef MSR
};

static const struct msr_row rows[] = {
#define MSR(number, name, kind, member, mask) [INDEX_##name] = ROW_##kind(member, mask),
#include "isa/x86_msrs.def"
#undef MSR
};

static const struct msr_row apic_row = {.kind = MSR_APIC};

static const struct msr_row *msr_find(u32 msr)
{
    switch (msr) {
#define MSR(number, name, kind, member, mask)                                                      \
    case number:                                                                                   \
        return &rows[INDEX_##name];
#include "isa/x86_msrs.def"
#undef MSR
    default:
        // x2APIC: the LAPIC decides
        return msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST ? &apic_row : NULL;
    }
}

static bool msr_present(const struct cpu *cpu, u32 msr)
{
    return msr != 0xDA0 || cpu_has(cpu, FEATURE_xsaves);
}

static bool apic_msr(struct cpu *cpu, u32 msr, u64 *value, bool is_write)
{
    const struct cpu_apic *apic = cpu->config.apic;
    if (!apic || !apic->ops) {
        return false;
    }
    bool enters = is_write && msr == MSR_APIC_BASE && (*value & APIC_BASE_EXTENDED);
    bool extended = enters || (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST);
    if (extended && !cpu_has(cpu, FEATURE_x2apic)) {
        return false;
    }
    *cpu->config.current_cpu = cpu->config.index;
    cpu_sync_clock(cpu);
    return is_write ? apic->ops->write_msr(apic->apic, msr, *value)
                    : apic->ops->read_msr(apic->apic, msr, value);
}

bool cpu_read_msr(struct cpu *cpu, u32 msr, u64 *value)
{
    const struct msr_row *row = msr_find(msr);
    if (!row || !msr_present(cpu, msr)) {
        return raise_gp(cpu, 0);
    }
    switch (row->kind) {
    case MSR_PLAIN:
    case MSR_CANONICAL:
        *value = *msr_member(cpu, row);
        return true;
    case MSR_CONSTANT:
        *value = row->mask;
        return true;
    case MSR_SPECIAL:
        *value = row->read(cpu, row, msr);
        return true;
    default:
        return apic_msr(cpu, msr, value, false) || raise_gp(cpu, 0);
    }
}

bool cpu_write_msr(struct cpu *cpu, u32 msr, u64 value)
{
    const struct msr_row *row = msr_find(msr);
    bool valid = false;
    switch (row && msr_present(cpu, msr) ? row->kind : MSR_CONSTANT) {
    case MSR_PLAIN:
        valid = !(value & ~row->mask);
        break;
    case MSR_CANONICAL:
        valid = is_canonical(value);
        break;
    case MSR_CONSTANT:
        break;
    case MSR_SPECIAL:
        valid = row->write(cpu, row, msr, value);
        return valid || raise_gp(cpu, 0);
    default:
        return apic_msr(cpu, msr, &value, true) || raise_gp(cpu, 0);
    }
    if (!valid) {
        return raise_gp(cpu, 0);
    }
    *msr_member(cpu, row) = value;
    return true;
}
