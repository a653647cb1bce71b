// SPDX-License-Identifier: MIT
// Interrupt messages between local APICs and from IOAPIC and MSI (SDM 3A 11.6, 11.11).
#include "devices/intc/lapic_internal.h"

enum {
    ICR_LOGICAL = 1 << 11, ICR_ASSERT = 1 << 14, ICR_LEVEL = 1 << 15, ICR_SHORTHAND_SHIFT = 18,
    ICR_WRITABLE = 0xCCFFF,
    SHORTHAND_NONE = 0, SHORTHAND_SELF = 1, SHORTHAND_ALL = 2, SHORTHAND_OTHERS = 3,
};

struct message {
    u8 vector;
    enum lapic_delivery delivery;
    bool level; // trigger mode
};

// Where a message goes. Those of xAPIC mode, IOAPIC and MSI have 8 bits for it.
struct destination {
    u32 id;
    u32 everybody;
    bool logical;
};

static struct destination narrow_destination(u8 id, bool logical)
{
    return (struct destination){id, 0xFF, logical};
}

// 11.6.2: physical by ID, logical by LDR in the flat or cluster model of DFR; 11.12.9, 11.12.10.
static bool addressed(const struct lapic_cpu *c, const struct destination *d)
{
    u32 destination = d->id;
    if (!d->logical) {
        return destination == d->everybody || destination == c->index;
    }
    if (destination == UINT32_MAX) {
        return true;
    }
    if (lapic_is_x2apic(c)) {
        u32 own = lapic_x2apic_ldr(c);
        return destination >> 16 == own >> 16 && (destination & own & 0xFFFF);
    }
    if (destination > 0xFF) {
        return false;
    }
    u8 ldr = (u8)(c->ldr >> 24);
    if (c->dfr >> 28 == 0xF) {
        return ldr & destination;
    }
    bool cluster = destination >> 4 == 0xF || destination >> 4 == ldr >> 4;
    return cluster && (ldr & destination & 0xF);
}

static void deliver(struct lapic_cpu *c, const struct message *m)
{
    const struct cpu_signal *cpu = &c->owner->dev->bus->cpu_signals[c->index];
    if (!lapic_hardware_enabled(c)) {
        return;
    }
    switch (m->delivery) {
    case DELIVER_FIXED:
    case DELIVER_LOWEST:
        lapic_accept(c, m->vector, m->level);
        break;
    case DELIVER_NMI:
        cpu->ops->raise_nmi(cpu->cpu);
        break;
    case DELIVER_INIT:
        lapic_init(c);
        cpu->ops->raise_init(cpu->cpu);
        break;
    case DELIVER_SIPI:
        cpu->ops->raise_sipi(cpu->cpu, m->vector);
        break;
    case DELIVER_EXTINT:
        c->extint_message = lapic_software_enabled(c);
        break;
    case DELIVER_SMI: // there is no system management mode
    case DELIVER_RESERVED:
        break;
    }
    lapic_update(c);
}

// Sends to every CPU of the set, or for lowest priority to the one of lowest processor priority,
// the first of equals.
static void send(struct lapic *l, u32 targets, const struct message *m)
{
    if (m->delivery == DELIVER_LOWEST) {
        int chosen = -1;
        for (unsigned i = 0; i < l->dev->bus->cpu_count; i++) {
            if ((targets & BIT(i)) && lapic_software_enabled(&l->cpu[i]) &&
                (chosen < 0 || lapic_ppr(&l->cpu[i]) < lapic_ppr(&l->cpu[chosen]))) {
                chosen = (int)i;
            }
        }
        targets = chosen < 0 ? 0 : (u32)BIT(chosen);
    }
    for (unsigned i = 0; i < l->dev->bus->cpu_count; i++) {
        if (targets & BIT(i)) {
            deliver(&l->cpu[i], m);
        }
    }
}

static u32 find_targets(const struct lapic *l, struct destination destination)
{
    u32 targets = 0;
    for (unsigned i = 0; i < l->dev->bus->cpu_count; i++) {
        targets |= addressed(&l->cpu[i], &destination) ? (u32)BIT(i) : 0;
    }
    return targets;
}

static struct destination icr_destination(const struct lapic_cpu *c, bool logical)
{
    return lapic_is_x2apic(c) ? (struct destination){c->icr_high, UINT32_MAX, logical}
                              : narrow_destination((u8)(c->icr_high >> 24), logical);
}

static void send_ipi(struct lapic_cpu *c, u32 low)
{
    struct lapic *l = c->owner;
    const struct device_bus *bus = l->dev->bus;
    struct message m = {(u8)low, (enum lapic_delivery)bits_get(low, 8, 3), low & ICR_LEVEL};
    u32 all = (u32)(BIT(bus->cpu_count) - 1), self = (u32)BIT(c->index), targets = 0;
    if (m.delivery == DELIVER_INIT && m.level && !(low & ICR_ASSERT)) {
        return; // INIT level de-assert: nothing on these processors (11.6.1)
    }
    if (m.delivery <= DELIVER_LOWEST && m.vector < 16) {
        lapic_error(c, ESR_SEND_ILLEGAL);
        return;
    }
    switch (low >> ICR_SHORTHAND_SHIFT & 3) {
    case SHORTHAND_NONE:
        targets = find_targets(l, icr_destination(c, low & ICR_LOGICAL));
        break;
    case SHORTHAND_SELF:
        targets = self;
        break;
    case SHORTHAND_ALL:
        targets = all;
        break;
    case SHORTHAND_OTHERS:
        targets = all & ~self;
        break;
    }
    m.level = false; // IPIs are edge triggered whatever the bit says (11.6.1, Trigger Mode)
    send(l, targets, &m);
    const struct cpu_signal *cpu = &bus->cpu_signals[c->index];
    if (targets & ~self) {
        cpu->ops->yield(cpu->cpu); // sending an IPI ends the turn
    }
}

void lapic_icr_write(struct lapic_cpu *c, u32 low)
{
    c->icr_low = low & ICR_WRITABLE; // delivery status: always idle
    send_ipi(c, low);
}

// 11.12.11: an edge-triggered fixed one, and the ICR is as it was.
void lapic_send_self(struct lapic_cpu *c, u8 vector)
{
    send_ipi(c, vector | SHORTHAND_SELF << ICR_SHORTHAND_SHIFT);
    lapic_update(c);
}

void lapic_message(void *ctx, u64 address, u32 data)
{
    struct device *dev = ctx;
    struct lapic *l = dev->state;
    if (address >> 20 != 0xFEE) {
        // Not the interrupt window: a message is then the plain memory write it looks like.
        u8 bytes[4] = {(u8)data, (u8)(data >> 8), (u8)(data >> 16), (u8)(data >> 24)};
        physmem_write(dev->bus->mem, address, bytes, sizeof(bytes));
        return;
    }
    struct message m = {(u8)data, (enum lapic_delivery)bits_get(data, 8, 3), data & ICR_LEVEL};
    if (m.level && !(data & ICR_ASSERT)) {
        return;
    }
    send(l, find_targets(l, narrow_destination((u8)(address >> 12), address & 4)), &m);
}
