// SPDX-License-Identifier: MIT
// x2APIC mode (SDM 3A 11.12): the local APIC's registers as MSRs, with stricter rules than in
// memory.
#include "devices/intc/lapic_internal.h"

#define MSR_FIRST 0x800
#define LVT_READ_ONLY 0x5000u // delivery status, remote IRR

// The register's offset in xAPIC mode (table 11-6).
static u32 offset_of(u32 msr)
{
    return (msr - MSR_FIRST) << 4;
}

// Figure 11-29: cluster and place in it.
u32 lapic_x2apic_ldr(const struct lapic_cpu *c)
{
    return c->index >> 4 << 16 | UINT32_C(1) << (c->index & 15);
}

// Figure 11-27: x2APIC mode is left by disabling, and entered from xAPIC mode alone.
bool lapic_may_change_mode(const struct lapic_cpu *c, u64 base)
{
    bool enabled = base & BASE_ENABLED, extended = base & BASE_EXTENDED;
    if (extended) {
        return enabled && lapic_hardware_enabled(c);
    }
    return !enabled || !lapic_is_x2apic(c);
}

bool lapic_x2apic_read(struct lapic_cpu *c, u32 msr, u64 *value)
{
    u32 reg = offset_of(msr);
    if (!lapic_is_x2apic(c)) {
        return false;
    }
    switch (reg) {
    case REG_ID:
        *value = c->index;
        return true;
    case REG_LDR:
        *value = lapic_x2apic_ldr(c);
        return true;
    case REG_ICR_LOW:
        *value = c->icr_low | (u64)c->icr_high << 32;
        return true;
    case REG_APR:
    case REG_EOI:
    case REG_RRD:
    case REG_DFR:
    case REG_ICR_HIGH:
        return false;
    default:
        if (!lapic_register_known(reg)) {
            return false;
        }
        *value = lapic_register_read(c, reg);
        return true;
    }
}

// Bits that may be written; false: none of the register.
static bool writable_bits(u32 reg, u64 *bits)
{
    switch (reg) {
    case REG_TPR:
    case REG_SELF_IPI:
        *bits = 0xFF;
        return true;
    case REG_EOI:
    case REG_ESR:
        *bits = 0;
        return true;
    case REG_SVR:
        *bits = 0x1FF;
        return true;
    case REG_ICR_LOW:
        *bits = UINT64_C(0xFFFFFFFF000CCFFF);
        return true;
    case REG_INITIAL_COUNT:
        *bits = UINT32_MAX;
        return true;
    case REG_DIVIDE:
        *bits = 0xB;
        return true;
    default:
        if (reg < REG_LVT || reg >= REG_LVT + 0x10 * LVT_COUNT) {
            return false;
        }
        *bits = lapic_lvt_writable[(reg - REG_LVT) >> 4] | LVT_READ_ONLY;
        return true;
    }
}

bool lapic_x2apic_write(struct lapic_cpu *c, u32 msr, u64 value)
{
    u32 reg = offset_of(msr);
    u64 bits;
    if (!lapic_is_x2apic(c) || !writable_bits(reg, &bits) || (value & ~bits)) {
        return false;
    }
    if (reg == REG_SELF_IPI) {
        lapic_send_self(c, (u8)value);
        return true;
    }
    if (reg == REG_ICR_LOW) {
        c->icr_high = (u32)(value >> 32);
    }
    lapic_register_write(c, reg, (u32)value);
    return true;
}
