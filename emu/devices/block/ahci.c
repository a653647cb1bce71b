// SPDX-License-Identifier: MIT
// The AHCI host bus adapter of an ICH9 (8086:2922): PCI function, generic host control, interrupts.
#include "devices/block/ahci_internal.h"

#include "base/memory.h"

#include <stdlib.h>

enum {
    HBA_CAP = 0x00, HBA_GHC = 0x04, HBA_IS = 0x08, HBA_PI = 0x0C, HBA_VS = 0x10,
    HBA_PORTS = 0x100, PORT_BYTES = 0x80, HBA_BYTES = 0x1000,
};

enum { GHC_HR = 1, GHC_IE = 2 };
#define GHC_AE UINT32_C(0x80000000) // always: the adapter has no legacy mode (CAP.SAM)

// 64-bit addresses, NCQ, command list override, AHCI only, 1.5 Gbit/s, 32 slots (3.1.1).
#define CAP_VALUE                                                                                  \
    (UINT32_C(1) << 31 | 1 << 30 | 1 << 24 | 1 << 18 | 1 << 20 | (AHCI_SLOTS - 1) << 8 |           \
     (AHCI_PORTS - 1))
#define VERSION_VALUE UINT32_C(0x00010300)

// The IS bits follow the ports; they stay until cleared, and come back if the port still asks. One
// message is sent for each bit that comes up, and one more if a clear leaves others standing
// (10.6.2).
static void interrupt_update(struct ahci *a, bool again)
{
    u32 before = a->is;
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        struct ahci_port *p = &a->port[i];
        if (ahci_port_read(p, 0x10) & p->ie) {
            a->is |= (u32)BIT(i);
        }
    }
    bool level = a->is && (a->ghc & GHC_IE);
    if (level && a->level && (again || (a->is & ~before))) {
        pci_set_interrupt(a->function, false);
        pci_set_interrupt(a->function, true);
    }
    if (level != a->level) {
        a->level = level;
        pci_set_interrupt(a->function, level);
    }
}

void ahci_update(struct ahci *a)
{
    interrupt_update(a, false);
}

static void hba_reset(struct ahci *a, bool keep_addresses)
{
    a->ghc = GHC_AE;
    a->is = 0;
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        ahci_port_reset(&a->port[i], keep_addresses);
    }
    interrupt_update(a, false);
}

static u32 hba_read(const struct ahci *a, u64 reg)
{
    switch (reg) {
    case HBA_CAP:
        return CAP_VALUE;
    case HBA_GHC:
        return a->ghc;
    case HBA_IS:
        return a->is;
    case HBA_PI:
        return (1 << AHCI_PORTS) - 1;
    case HBA_VS:
        return VERSION_VALUE;
    default:
        return 0;
    }
}

static void hba_write(struct ahci *a, u64 reg, u32 value)
{
    switch (reg) {
    case HBA_GHC:
        if (value & GHC_HR) {
            hba_reset(a, true);
        } else {
            a->ghc = GHC_AE | (value & GHC_IE);
            interrupt_update(a, false);
        }
        break;
    case HBA_IS:
        a->is &= ~value;
        interrupt_update(a, a->is != 0);
        break;
    }
}

static u64 ahci_read(void *ctx, u64 offset, unsigned size)
{
    struct ahci *a = ((struct device *)ctx)->state;
    u64 reg = offset & ~UINT64_C(3), port = (reg - HBA_PORTS) / PORT_BYTES;
    u32 value = 0;
    if (reg < HBA_PORTS) {
        value = hba_read(a, reg);
    } else if (port < AHCI_PORTS) {
        value = ahci_port_read(&a->port[port], reg % PORT_BYTES);
    }
    return value >> (8 * (offset & 3));
}

static void ahci_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct ahci *a = ((struct device *)ctx)->state;
    if (size != 4 || (offset & 3)) {
        return; // software writes whole registers (3); narrower writes are undefined
    }
    u64 port = (offset - HBA_PORTS) / PORT_BYTES;
    if (offset < HBA_PORTS) {
        hba_write(a, offset, (u32)value);
    } else if (port < AHCI_PORTS) {
        ahci_port_write(&a->port[port], offset % PORT_BYTES, (u32)value);
    }
}

static const struct io_ops ahci_ops = {ahci_read, ahci_write, 4};

static struct status ahci_create(struct device *dev, const void *fdt, int node)
{
    static const struct pci_identity identity = {
        .vendor = 0x8086,
        .device = 0x2922,
        .class_code = 0x010601,
        .revision = 2,
        .interrupt_pin = 1,
    };
    struct pci_bar bars[6] = {
        [5] = {.name = "ahci", .size = HBA_BYTES, .ops = &ahci_ops, .dev = dev}};
    struct ahci *a = dev->state;
    u32 devfn = device_cell(fdt, node, "reg", UINT32_MAX);
    a->dev = dev;
    a->buffer = xcalloc(1, AHCI_BUFFER_BYTES);
    a->function = pci_add(dev->bus->pci, devfn, &identity, bars, true);
    if (!a->function) {
        return status_error(STATUS_BAD_INPUT, "device tree: %s: \"reg\" names no free PCI function",
                            dev->path);
    }
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        struct ahci_port *p = &a->port[i];
        p->hba = a;
        p->disk = &dev->bus->host->disk[i];
        p->index = i;
        p->deadline_ns = EVENT_NEVER;
        const struct event e = {&p->deadline_ns, ahci_port_fire, p, "ahci port"};
        p->event = event_add(dev->bus->events, &e);
        ata_device_reset(p, true);
    }
    return status_success();
}

static bool ahci_may_act(const struct device *dev)
{
    const struct ahci *a = dev->state;
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        if (a->port[i].deadline_ns != EVENT_NEVER) {
            return true;
        }
    }
    return false;
}

static void ahci_destroy(struct device *dev)
{
    free(((struct ahci *)dev->state)->buffer);
}

static void ahci_reset(struct device *dev)
{
    struct ahci *a = dev->state;
    a->level = false;
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        ata_device_reset(&a->port[i], true);
    }
    hba_reset(a, false);
}

#define F(n, member) FIELD(struct ahci, port[n].member)
#define A(n, member) FIELD_ARRAY(struct ahci, port[n].member)
#define M(n, member, max) FIELD_MAX(struct ahci, port[n].member, max)
#define PORT_FIELDS(n)                                                                             \
    F(n, clb), F(n, fb), F(n, is), F(n, ie), F(n, cmd), F(n, tfd), F(n, sig), F(n, sctl),          \
        F(n, serr), F(n, sact), F(n, ci), F(n, issued), F(n, halted), F(n, busy_slot),             \
        M(n, current_slot, AHCI_SLOTS - 1), F(n, signature_waits), F(n, soft_reset),               \
        A(n, slot_command), A(n, slot_features), A(n, slot_lba), A(n, slot_sectors),               \
        A(n, slot_deadline_ns), F(n, write_cache), F(n, look_ahead), F(n, standby),                \
        F(n, multiple), F(n, udma_mode), F(n, ncq_failed), F(n, ncq_tag), F(n, ncq_error),         \
        F(n, ncq_lba), F(n, ncq_sectors), F(n, deadline_ns)

static const struct field ahci_fields[] = {
    PORT_FIELDS(0),          PORT_FIELDS(1),         PORT_FIELDS(2),           PORT_FIELDS(3),
    FIELD(struct ahci, ghc), FIELD(struct ahci, is), FIELD(struct ahci, level), FIELD_END,
};
_Static_assert(AHCI_PORTS == 4, "one PORT_FIELDS() per port");

const struct device_class ahci_class = {
    .name = "ahci",
    .compatible = "pci8086,2922",
    .state_size = sizeof(struct ahci),
    .create = ahci_create,
    .reset = ahci_reset,
    .destroy = ahci_destroy,
    .fields = ahci_fields,
    .may_act = ahci_may_act,
};
