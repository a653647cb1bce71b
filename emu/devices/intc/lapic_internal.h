// SPDX-License-Identifier: MIT
// The local APICs' state and what their parts call of each other.
#ifndef VIV_DEVICES_INTC_LAPIC_INTERNAL_H
#define VIV_DEVICES_INTC_LAPIC_INTERNAL_H

#include "devices/device.h"

#define LAPIC_MAX_CPUS 16

enum lvt_index {
    LVT_TIMER,
    LVT_THERMAL,
    LVT_PERFORMANCE,
    LVT_LINT0,
    LVT_LINT1,
    LVT_ERROR,
    LVT_COUNT
};

enum {
    LVT_REMOTE_IRR = 1 << 14, LVT_LEVEL = 1 << 15, LVT_MASKED = 1 << 16,
    SVR_ENABLED = 1 << 8,
    BASE_BSP = 1 << 8, BASE_EXTENDED = 1 << 10, BASE_ENABLED = 1 << 11,
};

// Register offsets (SDM 3A table 11-1).
enum {
    REG_ID = 0x20, REG_VERSION = 0x30, REG_TPR = 0x80, REG_APR = 0x90, REG_PPR = 0xA0,
    REG_EOI = 0xB0,
    REG_RRD = 0xC0, REG_LDR = 0xD0, REG_DFR = 0xE0, REG_SVR = 0xF0, REG_ISR = 0x100,
    REG_TMR = 0x180,
    REG_IRR = 0x200, REG_ESR = 0x280, REG_ICR_LOW = 0x300, REG_ICR_HIGH = 0x310, REG_LVT = 0x320,
    REG_INITIAL_COUNT = 0x380, REG_CURRENT_COUNT = 0x390, REG_DIVIDE = 0x3E0,
    REG_SELF_IPI = 0x3F0, // x2APIC mode alone
};

// Error status bits (SDM 3A 11.5.3).
enum { ESR_SEND_ILLEGAL = 1 << 5, ESR_RECEIVE_ILLEGAL = 1 << 6, ESR_REGISTER = 1 << 7 };

// Delivery modes of messages, ICR and LVT.
enum lapic_delivery {
    DELIVER_FIXED, DELIVER_LOWEST, DELIVER_SMI, DELIVER_RESERVED, DELIVER_NMI, DELIVER_INIT,
    DELIVER_SIPI,
    DELIVER_EXTINT,
};

struct lapic_cpu {
    u64 base; // IA32_APIC_BASE
    u32 tpr, ldr, dfr, svr;
    u32 esr, esr_pending; // readable, and collected since the last write
    u32 icr_low, icr_high;
    u32 lvt[LVT_COUNT];
    u32 initial_count, divide_configuration;
    u64 timer_start;       // crystal tick at which the counter held initial_count
    u64 timer_deadline_ns; // counter or TSC deadline; EVENT_NEVER: disarmed
    u64 tsc_deadline;      // IA32_TSC_DEADLINE
    u64 tsc_offset;
    u32 irr[8], isr[8], tmr[8];
    u8 lint[2];        // levels of the pins
    u8 extint_message; // an ExtINT message waits for its INTA
    u8 intr;           // what the CPU was told
    // Wiring.
    struct lapic *owner;
    unsigned index;
    unsigned timer_event;
    struct io_region *region; // at base; of several at one place, any serves all
};

struct lapic {
    struct lapic_cpu cpu[LAPIC_MAX_CPUS];
    // Wiring.
    struct device *dev;
    u64 base_reset;
    u64 timer_hz, tsc_hz;
    bool virtual_wire;
};

static inline bool lapic_hardware_enabled(const struct lapic_cpu *c)
{
    return c->base & BASE_ENABLED;
}

// x2APIC mode: registers are MSRs, IDs and destinations have 32 bits.
static inline bool lapic_is_x2apic(const struct lapic_cpu *c)
{
    u64 both = BASE_ENABLED | BASE_EXTENDED;
    return (c->base & both) == both;
}

static inline bool lapic_software_enabled(const struct lapic_cpu *c)
{
    return lapic_hardware_enabled(c) && (c->svr & SVR_ENABLED);
}

// lapic.c
// tells the CPU whether an interrupt is deliverable
void lapic_update(struct lapic_cpu *c);
void lapic_accept(struct lapic_cpu *c, u8 vector, bool level);    // into IRR
void lapic_error(struct lapic_cpu *c, u32 bits);
void lapic_lvt_deliver(struct lapic_cpu *c, enum lvt_index which);
u8 lapic_ppr(const struct lapic_cpu *c);
void lapic_init(struct lapic_cpu *c); // registers as after INIT
// By their offsets in xAPIC mode.
bool lapic_register_known(u32 reg);
u32 lapic_register_read(struct lapic_cpu *c, u32 reg);
void lapic_register_write(struct lapic_cpu *c, u32 reg, u32 value);
extern const u32 lapic_lvt_writable[LVT_COUNT];

// lapic_x2apic.c: MSRs 800H-83FH. False: #GP.
bool lapic_x2apic_read(struct lapic_cpu *c, u32 msr, u64 *value);
bool lapic_x2apic_write(struct lapic_cpu *c, u32 msr, u64 value);
u32 lapic_x2apic_ldr(const struct lapic_cpu *c);
bool lapic_may_change_mode(const struct lapic_cpu *c, u64 base); // to what IA32_APIC_BASE is to be

// lapic_message.c
void lapic_icr_write(struct lapic_cpu *c, u32 low);
void lapic_send_self(struct lapic_cpu *c, u8 vector);
void lapic_message(void *ctx, u64 address, u32 data);

// lapic_timer.c
void lapic_timer_fire(void *ctx, u64 deadline_ns);
void lapic_timer_stop(struct lapic_cpu *c);
u32 lapic_timer_count(const struct lapic_cpu *c);
void lapic_timer_set_count(struct lapic_cpu *c, u32 count);
void lapic_timer_set_divide(struct lapic_cpu *c, u32 value);
void lapic_timer_set_lvt(struct lapic_cpu *c, u32 value);
u64 lapic_tsc_deadline(const struct lapic_cpu *c);
void lapic_set_tsc_deadline(struct lapic_cpu *c, u64 value);
void lapic_set_tsc_offset(struct lapic_cpu *c, u64 offset);

#endif
