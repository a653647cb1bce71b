// SPDX-License-Identifier: MIT
// The local APICs of all CPUs: registers, priorities, local vector table (SDM 3A chapter 11).
#include "devices/intc/lapic_internal.h"

#include <libfdt.h>
#include <string.h>

#define MSR_APIC_BASE 0x1B
#define MSR_TSC_DEADLINE 0x6E0
// Bits of IA32_APIC_BASE that may be set: BSP, mode, and an address of up to 40 bits.
#define BASE_ADDRESS UINT64_C(0xFFFFFFF000)
#define BASE_VALID (BASE_ADDRESS | BASE_BSP | BASE_EXTENDED | BASE_ENABLED)

// Version 0x14, six LVT entries, no suppression of EOI broadcasts.
#define VERSION_VALUE ((LVT_COUNT - 1) << 16 | 0x14)

const u32 lapic_lvt_writable[LVT_COUNT] = {
    [LVT_TIMER] = 0x700FF,  [LVT_THERMAL] = 0x107FF, [LVT_PERFORMANCE] = 0x107FF,
    [LVT_LINT0] = 0x1A7FF, [LVT_LINT1] = 0x1A7FF,   [LVT_ERROR] = 0x100FF,
};

static bool test_bit(const u32 bits[8], u8 vector)
{
    return bits[vector / 32] >> (vector % 32) & 1;
}

static void put_bit(u32 bits[8], u8 vector, bool value)
{
    u32 bit = UINT32_C(1) << (vector % 32);
    bits[vector / 32] = value ? bits[vector / 32] | bit : bits[vector / 32] & ~bit;
}

// The highest vector that is set; 0 stands for none, since vectors below 16 never get in.
static u8 highest(const u32 bits[8])
{
    for (int i = 7; i >= 0; i--) {
        if (bits[i]) {
            return (u8)(i * 32 + 31 - __builtin_clz(bits[i]));
        }
    }
    return 0;
}

u8 lapic_ppr(const struct lapic_cpu *c)
{
    u8 service = highest(c->isr) & 0xF0;
    return (c->tpr & 0xF0) >= service ? (u8)c->tpr : service;
}

static bool fixed_deliverable(const struct lapic_cpu *c)
{
    return lapic_software_enabled(c) && (highest(c->irr) & 0xF0) > (lapic_ppr(c) & 0xF0);
}

// INTR of the 8259s gets through LINT0 in ExtINT mode, or directly when the APIC is disabled and
// its pins are INTR and NMI (11.4.3).
static bool extint_deliverable(const struct lapic_cpu *c)
{
    if (!lapic_hardware_enabled(c)) {
        return c->lint[0];
    }
    u32 lvt = c->lvt[LVT_LINT0];
    return (c->lint[0] && !(lvt & LVT_MASKED) && bits_get(lvt, 8, 3) == DELIVER_EXTINT) ||
           c->extint_message;
}

void lapic_update(struct lapic_cpu *c)
{
    bool intr = fixed_deliverable(c) || extint_deliverable(c);
    if (intr != c->intr) {
        c->intr = intr;
        const struct cpu_signal *cpu = &c->owner->dev->bus->cpu_signals[c->index];
        cpu->ops->set_intr(cpu->cpu, intr);
    }
}

void lapic_accept(struct lapic_cpu *c, u8 vector, bool level)
{
    if (!lapic_software_enabled(c)) {
        return;
    }
    if (vector < 16) {
        lapic_error(c, ESR_RECEIVE_ILLEGAL);
        return;
    }
    put_bit(c->irr, vector, true);
    put_bit(c->tmr, vector, level);
    lapic_update(c);
}

void lapic_error(struct lapic_cpu *c, u32 bits)
{
    bool news = bits & ~c->esr_pending;
    c->esr_pending |= bits;
    // An illegal vector in the error entry itself must not call for itself again.
    if (news && (c->lvt[LVT_ERROR] & 0xFF) >= 16) {
        lapic_lvt_deliver(c, LVT_ERROR);
    }
}

void lapic_lvt_deliver(struct lapic_cpu *c, enum lvt_index which)
{
    u32 *lvt = &c->lvt[which];
    const struct cpu_signal *cpu = &c->owner->dev->bus->cpu_signals[c->index];
    if ((*lvt & LVT_MASKED) || !lapic_hardware_enabled(c)) {
        return;
    }
    bool has_mode = which != LVT_TIMER && which != LVT_ERROR;
    switch (has_mode ? bits_get(*lvt, 8, 3) : DELIVER_FIXED) {
    case DELIVER_FIXED: {
        // Only LINT0 and LINT1 know levels; a remote IRR holds the next message back until the EOI.
        bool level = (which == LVT_LINT0 || which == LVT_LINT1) && (*lvt & LVT_LEVEL);
        if (!level || !(*lvt & LVT_REMOTE_IRR)) {
            *lvt |= level ? LVT_REMOTE_IRR : 0;
            lapic_accept(c, (u8)*lvt, level);
        }
        break;
    }
    case DELIVER_NMI:
        cpu->ops->raise_nmi(cpu->cpu);
        break;
    case DELIVER_INIT:
        lapic_init(c);
        cpu->ops->raise_init(cpu->cpu);
        lapic_update(c);
        break;
    }
}

static void lint_set(void *ctx, unsigned pin, bool level)
{
    struct lapic_cpu *c = ctx;
    bool rising = level && !c->lint[pin];
    c->lint[pin] = level;
    if (rising) {
        lapic_lvt_deliver(c, pin ? LVT_LINT1 : LVT_LINT0);
    }
    lapic_update(c);
}

static void eoi(struct lapic_cpu *c)
{
    const struct device_bus *bus = c->owner->dev->bus;
    u8 vector = highest(c->isr);
    if (!vector) {
        return;
    }
    put_bit(c->isr, vector, false);
    if (test_bit(c->tmr, vector)) {
        for (unsigned pin = 0; pin < 2; pin++) {
            u32 *lvt = &c->lvt[LVT_LINT0 + pin];
            if ((*lvt & LVT_REMOTE_IRR) && (u8)*lvt == vector) {
                *lvt &= ~(u32)LVT_REMOTE_IRR;
                if (c->lint[pin]) {
                    lapic_lvt_deliver(c, LVT_LINT0 + pin);
                }
            }
        }
        if (bus->apic_eoi_broadcast) {
            bus->apic_eoi_broadcast(bus->apic_eoi_ctx, vector);
        }
    }
    lapic_update(c);
}

static u8 lapic_acknowledge(void *ctx)
{
    struct lapic_cpu *c = ctx;
    const struct device_bus *bus = c->owner->dev->bus;
    u8 vector = (u8)c->svr; // spurious: nothing is put into service (11.9)
    if (fixed_deliverable(c)) {
        vector = highest(c->irr);
        put_bit(c->irr, vector, false);
        put_bit(c->isr, vector, true);
    } else if (extint_deliverable(c) && bus->pic_acknowledge) {
        c->extint_message = false;
        vector = bus->pic_acknowledge(bus->pic);
    }
    lapic_update(c);
    return vector;
}

bool lapic_register_known(u32 reg)
{
    switch (reg) {
    case REG_ID:
    case REG_VERSION:
    case REG_TPR:
    case REG_APR:
    case REG_PPR:
    case REG_EOI:
    case REG_RRD:
    case REG_LDR: case REG_DFR: case REG_SVR: case REG_ESR: case REG_ICR_LOW: case REG_ICR_HIGH:
    case REG_INITIAL_COUNT: case REG_CURRENT_COUNT: case REG_DIVIDE:
        return true;
    default:
        return (reg >= REG_ISR && reg < REG_ESR) ||
               (reg >= REG_LVT && reg < REG_LVT + 0x10 * LVT_COUNT);
    }
}

u32 lapic_register_read(struct lapic_cpu *c, u32 reg)
{
    unsigned n = reg >> 4 & 7;
    if (reg >= REG_ISR && reg < REG_ESR) {
        return reg < REG_TMR ? c->isr[n] : reg < REG_IRR ? c->tmr[n] : c->irr[n];
    }
    if (reg >= REG_LVT && reg < REG_LVT + 0x10 * LVT_COUNT) {
        return c->lvt[(reg - REG_LVT) >> 4];
    }
    switch (reg) {
    case REG_ID:
        return c->index << 24;
    case REG_VERSION:
        return VERSION_VALUE;
    case REG_TPR:
        return c->tpr;
    case REG_APR:
    case REG_PPR:
        return lapic_ppr(c);
    case REG_LDR:
        return c->ldr;
    case REG_DFR:
        return c->dfr;
    case REG_SVR:
        return c->svr;
    case REG_ESR:
        return c->esr;
    case REG_ICR_LOW:
        return c->icr_low;
    case REG_ICR_HIGH:
        return c->icr_high;
    case REG_INITIAL_COUNT:
        return c->initial_count;
    case REG_CURRENT_COUNT:
        return lapic_timer_count(c);
    case REG_DIVIDE:
        return c->divide_configuration;
    default:
        return 0;
    }
}

static void svr_write(struct lapic_cpu *c, u32 value)
{
    c->svr = value & 0x1FF;
    for (unsigned i = 0; i < LVT_COUNT && !(c->svr & SVR_ENABLED); i++) {
        c->lvt[i] |= LVT_MASKED; // 11.4.7.2
    }
}

static void lvt_write(struct lapic_cpu *c, enum lvt_index which, u32 value)
{
    value &= lapic_lvt_writable[which];
    value |= c->lvt[which] & LVT_REMOTE_IRR & (value & LVT_LEVEL ? ~0u : 0);
    value |= c->svr & SVR_ENABLED ? 0 : LVT_MASKED;
    if (which == LVT_TIMER) {
        lapic_timer_set_lvt(c, value);
        return;
    }
    c->lvt[which] = value;
    if ((which == LVT_LINT0 || which == LVT_LINT1) && (value & LVT_LEVEL) &&
        c->lint[which - LVT_LINT0]) {
        lapic_lvt_deliver(c, which); // the level was there before the entry let it through
    }
}

void lapic_register_write(struct lapic_cpu *c, u32 reg, u32 value)
{
    if (reg >= REG_LVT && reg < REG_LVT + 0x10 * LVT_COUNT) {
        lvt_write(c, (reg - REG_LVT) >> 4, value);
    }
    switch (reg) {
    case REG_TPR:
        c->tpr = value & 0xFF;
        break;
    case REG_EOI:
        eoi(c);
        break;
    case REG_LDR:
        c->ldr = value & 0xFF000000;
        break;
    case REG_DFR:
        c->dfr = value | 0x0FFFFFFF;
        break;
    case REG_SVR:
        svr_write(c, value);
        break;
    case REG_ESR:
        c->esr = c->esr_pending;
        c->esr_pending = 0;
        break;
    case REG_ICR_LOW:
        lapic_icr_write(c, value);
        break;
    case REG_ICR_HIGH:
        c->icr_high = value & 0xFF000000;
        break;
    case REG_INITIAL_COUNT:
        lapic_timer_set_count(c, value);
        break;
    case REG_DIVIDE:
        lapic_timer_set_divide(c, value);
        break;
    }
    lapic_update(c);
}

// The APIC that an access to a region means: the executing CPU's own, if it is in xAPIC mode and
// lies there. Other CPUs' are out of its reach.
static struct lapic_cpu *own_apic(const struct lapic_cpu *region)
{
    struct lapic_cpu *c = &region->owner->cpu[region->owner->dev->bus->current_cpu];
    bool here = (c->base & BASE_ADDRESS) == (region->base & BASE_ADDRESS);
    return here && lapic_hardware_enabled(c) && !lapic_is_x2apic(c) ? c : NULL;
}

static u64 lapic_read(void *ctx, u64 offset, unsigned size)
{
    struct lapic_cpu *c = own_apic(ctx);
    if (!c) {
        return ~UINT64_C(0);
    }
    u32 reg = (u32)offset & ~15u;
    if (!lapic_register_known(reg)) {
        lapic_error(c, ESR_REGISTER);
    }
    // A register is the first four bytes of its sixteen.
    return (offset & 15) < 4 ? lapic_register_read(c, reg) >> (8 * (offset & 3)) : 0;
}

static void lapic_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct lapic_cpu *c = own_apic(ctx);
    if (!c || (offset & 15) || size != 4) {
        return;
    }
    if (!lapic_register_known((u32)offset)) {
        lapic_error(c, ESR_REGISTER);
    }
    lapic_register_write(c, (u32)offset, (u32)value);
}

static const struct io_ops lapic_ops = {lapic_read, lapic_write, 4};

void lapic_init(struct lapic_cpu *c)
{
    c->tpr = c->ldr = c->esr = c->esr_pending = c->icr_low = c->icr_high = 0;
    c->dfr = UINT32_MAX;
    c->svr = 0xFF;
    for (unsigned i = 0; i < LVT_COUNT; i++) {
        c->lvt[i] = LVT_MASKED;
    }
    c->initial_count = c->divide_configuration = 0;
    c->timer_start = 0;
    lapic_timer_stop(c);
    memset(c->irr, 0, sizeof(c->irr));
    memset(c->isr, 0, sizeof(c->isr));
    memset(c->tmr, 0, sizeof(c->tmr));
    c->extint_message = false;
}

static u8 lapic_get_cr8(void *ctx)
{
    return (u8)(((struct lapic_cpu *)ctx)->tpr >> 4);
}

static void lapic_set_cr8(void *ctx, u8 value)
{
    struct lapic_cpu *c = ctx;
    c->tpr = (u32)(value & 15) << 4;
    lapic_update(c);
}

static bool lapic_read_msr(void *ctx, u32 msr, u64 *value)
{
    struct lapic_cpu *c = ctx;
    switch (msr) {
    case MSR_APIC_BASE:
        *value = c->base;
        return true;
    case MSR_TSC_DEADLINE:
        *value = lapic_tsc_deadline(c);
        return true;
    default:
        return lapic_x2apic_read(c, msr, value);
    }
}

static void place(struct lapic_cpu *c)
{
    const struct device_bus *bus = c->owner->dev->bus;
    const struct cpu_signal *cpu = &bus->cpu_signals[c->index];
    u64 address = c->base & BASE_ADDRESS;
    io_space_map(bus->mmio, c->region, address, true);
    bool in_memory = lapic_hardware_enabled(c) && !lapic_is_x2apic(c);
    cpu->ops->set_apic_page(cpu->cpu, in_memory ? address : CPU_NO_APIC_PAGE);
}

static bool base_write(struct lapic_cpu *c, u64 value)
{
    if ((value & ~BASE_VALID) || !lapic_may_change_mode(c, value)) {
        return false;
    }
    bool disabled = (c->base & BASE_ENABLED) && !(value & BASE_ENABLED);
    c->base = value;
    if (disabled) {
        lapic_init(c); // its state is lost (11.4.3)
    }
    place(c);
    lapic_update(c);
    return true;
}

static bool lapic_write_msr(void *ctx, u32 msr, u64 value)
{
    struct lapic_cpu *c = ctx;
    switch (msr) {
    case MSR_APIC_BASE:
        return base_write(c, value);
    case MSR_TSC_DEADLINE:
        lapic_set_tsc_deadline(c, value);
        return true;
    default:
        return lapic_x2apic_write(c, msr, value);
    }
}

static void lapic_tsc_offset(void *ctx, u64 offset)
{
    lapic_set_tsc_offset(ctx, offset);
}

static const struct cpu_apic_ops cpu_ops = {
    .acknowledge = lapic_acknowledge,
    .get_cr8 = lapic_get_cr8,
    .set_cr8 = lapic_set_cr8,
    .read_msr = lapic_read_msr,
    .write_msr = lapic_write_msr,
    .set_tsc_offset = lapic_tsc_offset,
};

// Both frequencies are the CPU's: CPUID 0x15 tells them to the guest.
static struct status clocks_read(struct device *dev, const void *fdt)
{
    struct lapic *l = dev->state;
    int cpu = fdt_path_offset(fdt, "/cpus/cpu@0");
    l->timer_hz = cpu < 0 ? 0 : device_cell(fdt, cpu, "crystal-frequency", 0);
    l->tsc_hz = cpu < 0 ? 0 : device_cell(fdt, cpu, "tsc-frequency", 0);
    if (!l->timer_hz || !l->tsc_hz) {
        return status_error(STATUS_BAD_INPUT, "device tree: /cpus/cpu@0 needs \"%s\"",
                            l->timer_hz ? "tsc-frequency" : "crystal-frequency");
    }
    return status_success();
}

static struct status lapic_create(struct device *dev, const void *fdt, int node)
{
    struct lapic *l = dev->state;
    struct device_bus *bus = dev->bus;
    u64 length;
    struct status s = device_reg(dev, fdt, node, &l->base_reset, &length);
    if (status_ok(&s)) {
        s = clocks_read(dev, fdt);
    }
    if (status_ok(&s) && (length != 0x1000 || (l->base_reset & ~BASE_ADDRESS))) {
        s = status_error(STATUS_BAD_INPUT, "device tree: %s: \"reg\" must be one page", dev->path);
    }
    if (status_ok(&s) && bus->cpu_count > LAPIC_MAX_CPUS) {
        s = status_error(STATUS_BAD_INPUT, "at most %d CPUs are supported", LAPIC_MAX_CPUS);
    }
    if (!status_ok(&s)) {
        return s;
    }
    l->dev = dev;
    l->virtual_wire = fdt_getprop(fdt, node, "viv,virtual-wire", NULL);
    for (unsigned i = 0; i < bus->cpu_count; i++) {
        struct lapic_cpu *c = &l->cpu[i];
        c->owner = l;
        c->index = i;
        c->region = io_space_add_movable(bus->mmio, length, &lapic_ops, c, "lapic");
        c->timer_deadline_ns = EVENT_NEVER;
        const struct event e = {&c->timer_deadline_ns, lapic_timer_fire, c, "lapic timer"};
        c->timer_event = event_add(bus->events, &e);
        bus->cpu_apics[i] = (struct cpu_apic){&cpu_ops, c};
    }
    // The board wires the 8259s to the first CPU's LINT0 alone, and nothing to LINT1.
    bus->pic_output = (struct irq_line){lint_set, &l->cpu[0], 0};
    bus->apic_message = lapic_message;
    bus->apic_message_ctx = dev;
    return s;
}

static void lapic_reset(struct device *dev)
{
    struct lapic *l = dev->state;
    for (unsigned i = 0; i < dev->bus->cpu_count; i++) {
        struct lapic_cpu *c = &l->cpu[i];
        lapic_init(c);
        c->base = l->base_reset | BASE_ENABLED | (i ? 0 : BASE_BSP);
        c->lint[0] = c->lint[1] = 0;
        c->tsc_offset = 0;
        if (l->virtual_wire && i == 0) {
            // What firmware leaves to a kernel: the virtual wire mode of the MultiProcessor
            // Specification 1.4, 3.6.2.2.
            c->svr = SVR_ENABLED | 0xFF;
            c->lvt[LVT_LINT0] = DELIVER_EXTINT << 8;
            c->lvt[LVT_LINT1] = DELIVER_NMI << 8;
        }
        place(c);
        lapic_update(c);
    }
}

static void lapic_loaded(struct device *dev)
{
    struct lapic *l = dev->state;
    for (unsigned i = 0; i < dev->bus->cpu_count; i++) {
        place(&l->cpu[i]);
    }
}

#define F(n, member) FIELD(struct lapic, cpu[n].member)
#define A(n, member) FIELD_ARRAY(struct lapic, cpu[n].member)
#define CPU_FIELDS(n)                                                                              \
    F(n, base), F(n, tpr), F(n, ldr), F(n, dfr), F(n, svr), F(n, esr), F(n, esr_pending),          \
        F(n, icr_low), F(n, icr_high), A(n, lvt), F(n, initial_count), F(n, divide_configuration), \
        F(n, timer_start), F(n, timer_deadline_ns), F(n, tsc_deadline), F(n, tsc_offset),          \
        A(n, irr), A(n, isr), A(n, tmr), A(n, lint), F(n, extint_message), F(n, intr)

static const struct field lapic_fields[] = {
    CPU_FIELDS(0),  CPU_FIELDS(1),  CPU_FIELDS(2),  CPU_FIELDS(3),  CPU_FIELDS(4),  CPU_FIELDS(5),
    CPU_FIELDS(6),  CPU_FIELDS(7),  CPU_FIELDS(8),  CPU_FIELDS(9),  CPU_FIELDS(10), CPU_FIELDS(11),
    CPU_FIELDS(12), CPU_FIELDS(13), CPU_FIELDS(14), CPU_FIELDS(15), FIELD_END,
};
_Static_assert(LAPIC_MAX_CPUS == 16, "one CPU_FIELDS() per CPU");

// Of the local sources only LINT0 is connected (to the 8259) and has a delivery mode.
static bool lapic_may_act(const struct device *dev)
{
    const struct lapic *l = dev->state;
    for (unsigned i = 0; i < dev->bus->cpu_count; i++) {
        u32 lvt = l->cpu[i].lvt[LVT_LINT0];
        u64 mode = bits_get(lvt, 8, 3);
        if (!(lvt & LVT_MASKED) && (mode == DELIVER_NMI || mode == DELIVER_INIT)) {
            return true;
        }
    }
    return false;
}

const struct device_class lapic_class = {
    .name = "lapic",
    .compatible = "intel,lapic",
    .state_size = sizeof(struct lapic),
    .create = lapic_create,
    .reset = lapic_reset,
    .loaded = lapic_loaded,
    .fields = lapic_fields,
    .may_act = lapic_may_act,
};
