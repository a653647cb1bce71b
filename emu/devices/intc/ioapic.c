// SPDX-License-Identifier: MIT
// The I/O APIC (82093AA, Intel 290566; version 0x20 with the EOI register of the ICH9 data sheet,
// 13.5). 24 pins. Lines carry "asserted", so the polarity bit is kept but changes nothing.
#include "devices/device.h"

enum { PINS = 24, VERSION = 0x20 };

enum { REG_SELECT = 0x00, REG_WINDOW = 0x10, REG_EOI = 0x40 }; // MMIO offsets
enum { INDEX_ID = 0, INDEX_VERSION = 1, INDEX_ARBITRATION = 2, INDEX_REDIRECTION = 0x10 };

// Redirection table entry (290566, 3.2.4).
enum {
    RTE_DELIVERY_SHIFT = 8, RTE_LOGICAL = 1 << 11, RTE_REMOTE_IRR = 1 << 14,
    RTE_LEVEL = 1 << 15, RTE_MASKED = 1 << 16,
    DELIVERY_SMI = 2, // the first delivery mode that knows no level
    DELIVERY_NMI = 4, // from here on no RFLAGS.IF either, but for ExtINT
    DELIVERY_EXTINT = 7,
};
#define RTE_WRITABLE (UINT64_C(0xFF00000000000000) | 0x1AFFF)

struct ioapic {
    u32 select, id;
    u64 redirection[PINS];
    u32 lines; // levels of the pins
};

// The entry's message, in the format that MSIs have too (SDM 3A 11.11).
static void entry_send(struct device *dev, u64 *rte)
{
    unsigned delivery = (unsigned)bits_get(*rte, RTE_DELIVERY_SHIFT, 3);
    bool level = (*rte & RTE_LEVEL) && delivery < DELIVERY_SMI;
    u64 address = 0xFEE00000 | bits_get(*rte, 56, 8) << 12 | (*rte & RTE_LOGICAL ? 1 << 2 : 0);
    u32 data = (u32)(*rte & 0x7FF) | 1 << 14 | (level ? 1 << 15 : 0);
    if (level) {
        *rte |= RTE_REMOTE_IRR;
    }
    if (dev->bus->apic_message) {
        dev->bus->apic_message(dev->bus->apic_message_ctx, address, data);
    }
}

// A level pin asks as long as it is up and its last message is not at its end.
static void level_service(struct device *dev, unsigned pin)
{
    struct ioapic *io = dev->state;
    u64 *rte = &io->redirection[pin];
    if ((io->lines & BIT(pin)) && (*rte & RTE_LEVEL) && !(*rte & (RTE_REMOTE_IRR | RTE_MASKED))) {
        entry_send(dev, rte);
    }
}

static void pin_set(void *ctx, unsigned pin, bool level)
{
    struct device *dev = ctx;
    struct ioapic *io = dev->state;
    u32 bit = (u32)BIT(pin);
    u64 *rte = &io->redirection[pin];
    bool rising = level && !(io->lines & bit);
    io->lines = level ? io->lines | bit : io->lines & ~bit;
    if (rising && (*rte & RTE_LEVEL)) {
        level_service(dev, pin);
    } else if (rising && !(*rte & RTE_MASKED)) {
        // A masked edge is lost (290566, 3.2.4, Interrupt Mask).
        entry_send(dev, rte);
    }
}

// A level interrupt whose vector is at its end may be sent again while its line is up.
static void eoi(void *ctx, u8 vector)
{
    struct device *dev = ctx;
    struct ioapic *io = dev->state;
    for (unsigned pin = 0; pin < PINS; pin++) {
        u64 *rte = &io->redirection[pin];
        if ((*rte & RTE_LEVEL) && (*rte & RTE_REMOTE_IRR) && (u8)*rte == vector) {
            *rte &= ~(u64)RTE_REMOTE_IRR;
            level_service(dev, pin);
        }
    }
}

static u32 window_read(const struct ioapic *io)
{
    unsigned pin = (io->select - INDEX_REDIRECTION) / 2;
    switch (io->select) {
    case INDEX_ID:
    case INDEX_ARBITRATION:
        return io->id << 24;
    case INDEX_VERSION:
        return (PINS - 1) << 16 | VERSION;
    default:
        if (io->select < INDEX_REDIRECTION || pin >= PINS) {
            return 0;
        }
        return (u32)(io->redirection[pin] >> (io->select & 1 ? 32 : 0));
    }
}

static void window_write(struct device *dev, u32 value)
{
    struct ioapic *io = dev->state;
    unsigned pin = (io->select - INDEX_REDIRECTION) / 2;
    if (io->select == INDEX_ID) {
        io->id = (value >> 24) & 0xF;
    } else if (io->select >= INDEX_REDIRECTION && pin < PINS) {
        u64 *rte = &io->redirection[pin];
        u64 written = bits_set(*rte, io->select & 1 ? 32 : 0, 32, value);
        *rte = (written & RTE_WRITABLE) | (*rte & RTE_REMOTE_IRR);
        if (!(*rte & RTE_LEVEL)) {
            // An edge entry has no remote IRR: software clears a stuck one this way (Linux,
            // __eoi_ioapic_pin).
            *rte &= ~(u64)RTE_REMOTE_IRR;
        }
        level_service(dev, pin);
    }
}

static u64 ioapic_read(void *ctx, u64 offset, unsigned size)
{
    const struct ioapic *io = ((struct device *)ctx)->state;
    u64 value = 0;
    switch (offset & ~UINT64_C(3)) {
    case REG_SELECT:
        value = io->select;
        break;
    case REG_WINDOW:
        value = window_read(io);
        break;
    }
    return value >> (8 * (offset & 3));
}

static void ioapic_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct device *dev = ctx;
    struct ioapic *io = dev->state;
    switch (offset) {
    case REG_SELECT:
        io->select = (u8)value;
        break;
    case REG_WINDOW:
        // Registers are 32 bits wide; narrower writes do nothing defined.
        if (size == 4) {
            window_write(dev, (u32)value);
        }
        break;
    case REG_EOI:
        eoi(dev, (u8)value);
        break;
    }
}

static const struct io_ops ioapic_ops = {ioapic_read, ioapic_write, 4};

static struct status ioapic_create(struct device *dev, const void *fdt, int node)
{
    for (unsigned irq = 0; irq < 16; irq++) {
        // IRQ 2 is the 8259s' cascade; the timer takes its pin (ACPI's usual override 0 -> 2).
        if (irq != 2) {
            dev->bus->isa_to_ioapic[irq] = (struct irq_line){pin_set, dev, irq ? irq : 2};
        }
    }
    for (unsigned pin = 16; pin < PINS; pin++) {
        dev->bus->ioapic_pin[pin] = (struct irq_line){pin_set, dev, pin};
    }
    dev->bus->apic_eoi_broadcast = eoi;
    dev->bus->apic_eoi_ctx = dev;
    u64 base, length;
    struct status s = device_reg(dev, fdt, node, &base, &length);
    if (status_ok(&s)) {
        s = io_space_add(dev->bus->mmio, base, length, &ioapic_ops, dev, "ioapic");
    }
    return s;
}

static void ioapic_reset(struct device *dev)
{
    struct ioapic *io = dev->state;
    *io = (struct ioapic){0};
    for (unsigned pin = 0; pin < PINS; pin++) {
        io->redirection[pin] = RTE_MASKED;
    }
}

static const struct field ioapic_fields[] = {
    FIELD(struct ioapic, select),
    FIELD(struct ioapic, id),
    FIELD_ARRAY(struct ioapic, redirection),
    FIELD(struct ioapic, lines),
    FIELD_END,
};

static bool ioapic_may_act(const struct device *dev)
{
    const struct ioapic *io = dev->state;
    for (unsigned pin = 0; pin < PINS; pin++) {
        u64 delivery = bits_get(io->redirection[pin], RTE_DELIVERY_SHIFT, 3);
        if (!(io->redirection[pin] & RTE_MASKED) && delivery >= DELIVERY_NMI &&
            delivery != DELIVERY_EXTINT) {
            return true;
        }
    }
    return false;
}

const struct device_class ioapic_class = {
    .name = "ioapic",
    .compatible = "intel,ioapic",
    .state_size = sizeof(struct ioapic),
    .create = ioapic_create,
    .reset = ioapic_reset,
    .fields = ioapic_fields,
    .may_act = ioapic_may_act,
};
