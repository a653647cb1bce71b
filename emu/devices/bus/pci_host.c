// SPDX-License-Identifier: MIT
// The PCI host bridge: configuration mechanism #1 at CF8/CFC (PCI Local Bus 3.0, 3.2.2.3.2),
// function 00:00.0, the routing of INTA-INTD to ISA interrupts, and the reset control register that
// lies between the two at CF9 (ICH9 data sheet, 13.7.5). Where the tree names a place for it
// (viv,ecam), configuration space is in memory, too (PCI Express Base 3.0, 7.2.2), of bus 0.
#include "devices/device.h"

#include <libfdt.h>

#define CONFIG_ENABLE UINT32_C(0x80000000)
#define ECAM_BYTES (UINT64_C(1) << 20) // 4 KiB for each function of a bus
enum { RESET_CONTROL = 1, RST_CPU = 1 << 2, RESET_WRITABLE = 0x0E }; // RESET_CONTROL: offset of CF9

struct pci_host {
    u32 address; // CONFIG_ADDRESS
    u32 wires;   // levels of the four INTx wires
    u8 reset_control;
    // Wiring.
    struct irq_line lines[4]; // [n]: of the ISA interrupt behind wire n
    u32 shared[4];            // wires on the same ISA interrupt as wire n
};

static u64 pci_host_read(void *ctx, u64 offset, unsigned size)
{
    struct device *dev = ctx;
    const struct pci_host *h = dev->state;
    if (offset == RESET_CONTROL && size == 1) {
        return h->reset_control;
    }
    if (offset < 4) {
        // Only a whole doubleword is CONFIG_ADDRESS; anything else there is an ordinary, absent
        // port.
        return offset == 0 && size == 4 ? h->address : ~UINT64_C(0);
    }
    if (!(h->address & CONFIG_ENABLE) || bits_get(h->address, 16, 8)) {
        return ~UINT64_C(0);
    }
    unsigned reg = (h->address & 0xFC) + (unsigned)(offset - 4);
    return pci_config_read(dev->bus->pci, (unsigned)bits_get(h->address, 8, 8), reg, size);
}

// RST_CPU going up resets, whatever kind of reset the other bits ask for: none keeps anything here.
static void reset_control_write(struct device *dev, u8 value)
{
    struct pci_host *h = dev->state;
    bool rising = (value & RST_CPU) && !(h->reset_control & RST_CPU);
    h->reset_control = value & RESET_WRITABLE;
    if (rising) {
        dev->bus->stop(dev->bus->machine, MACHINE_STOP_RESET, 0);
    }
}

static void pci_host_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct device *dev = ctx;
    struct pci_host *h = dev->state;
    if (offset == RESET_CONTROL && size == 1) {
        reset_control_write(dev, (u8)value);
        return;
    }
    if (offset < 4) {
        if (offset == 0 && size == 4) {
            h->address = (u32)value & ~UINT32_C(0x7F000003);
        }
        return;
    }
    if ((h->address & CONFIG_ENABLE) && !bits_get(h->address, 16, 8)) {
        unsigned reg = (h->address & 0xFC) + (unsigned)(offset - 4);
        pci_config_write(dev->bus->pci, (unsigned)bits_get(h->address, 8, 8), reg, (u32)value,
                         size);
    }
}

static u64 ecam_read(void *ctx, u64 offset, unsigned size)
{
    struct device *dev = ctx;
    return pci_config_read(dev->bus->pci, (unsigned)(offset >> 12), offset & 0xFFF, size);
}

static void ecam_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct device *dev = ctx;
    pci_config_write(dev->bus->pci, (unsigned)(offset >> 12), offset & 0xFFF, (u32)value, size);
}

static const struct io_ops ecam_ops = {ecam_read, ecam_write, 4};

static const struct io_ops pci_host_ops = {pci_host_read, pci_host_write, 4};

static void wire_set(void *ctx, unsigned n, bool level)
{
    struct pci_host *h = ((struct device *)ctx)->state;
    h->wires = (u32)bits_set(h->wires, n, 1, level);
    irq_set(&h->lines[n], h->wires & h->shared[n]);
}

static void message_send(void *ctx, u64 address, u32 data)
{
    struct device_bus *bus = ((struct device *)ctx)->bus;
    if (bus->apic_message) {
        bus->apic_message(bus->apic_message_ctx, address, data);
    }
}

// interrupts = <a b c d>: the ISA interrupts of the four wires; equal ones share a line.
static struct status wires_create(struct device *dev, const void *fdt, int node)
{
    struct pci_host *h = dev->state;
    int bytes = 0;
    const fdt32_t *property = fdt_getprop(fdt, node, "interrupts", &bytes);
    if (!property || bytes != 16) {
        return status_error(STATUS_BAD_INPUT, "device tree: %s needs four \"interrupts\"",
                            dev->path);
    }
    for (unsigned n = 0; n < 4; n++) {
        unsigned first = 0;
        while (property[first] != property[n]) {
            first++;
        }
        h->lines[n] = h->lines[first];
        if (first == n) {
            struct status s = device_irq(dev, fdt, node, n, &h->lines[n]);
            if (!status_ok(&s)) {
                return s;
            }
        }
        for (unsigned m = 0; m < 4; m++) {
            h->shared[n] |= property[m] == property[n] ? 1u << m : 0;
        }
        pci_bus_set_intx(dev->bus->pci, n, (struct irq_line){wire_set, dev, n},
                         (u8)fdt32_to_cpu(property[n]));
    }
    return status_success();
}

static struct status pci_host_create(struct device *dev, const void *fdt, int node)
{
    // Intel's G33/Q35 memory controller hub, as on the machine that stock kernels know best.
    static const struct pci_identity identity = {
        .vendor = 0x8086, .device = 0x29C0, .class_code = 0x060000, .revision = 2,
    };
    u64 base, length;
    struct status s = device_reg(dev, fdt, node, &base, &length);
    if (status_ok(&s) && length != 8) {
        s = status_error(STATUS_BAD_INPUT, "device tree: %s: the length in \"reg\" must be 8",
                         dev->path);
    }
    if (status_ok(&s)) {
        s = io_space_add(dev->bus->ports, base, length, &pci_host_ops, dev, "pci-config");
    }
    u32 ecam = device_cell(fdt, node, "viv,ecam", 0);
    if (status_ok(&s) && ecam) {
        s = io_space_add(dev->bus->mmio, ecam, ECAM_BYTES, &ecam_ops, dev, "pci-ecam");
    }
    if (status_ok(&s)) {
        s = wires_create(dev, fdt, node);
    }
    if (status_ok(&s) && !pci_add(dev->bus->pci, 0, &identity, NULL, false)) {
        s = status_error(STATUS_BAD_INPUT, "device tree: %s: a second host bridge", dev->path);
    }
    pci_bus_set_msi(dev->bus->pci, message_send, dev);
    return s;
}

static void pci_host_reset(struct device *dev)
{
    struct pci_host *h = dev->state;
    h->address = 0;
    h->reset_control = 0;
    pci_bus_reset(dev->bus->pci);
    h->wires = 0;
}

static const struct field pci_host_fields[] = {
    FIELD(struct pci_host, address),
    FIELD(struct pci_host, wires),
    FIELD(struct pci_host, reset_control),
    FIELD_END,
};

const struct device_class pci_host_class = {
    .name = "pci_host",
    .compatible = "pci-host-cf8",
    .state_size = sizeof(struct pci_host),
    .create = pci_host_create,
    .reset = pci_host_reset,
    .fields = pci_host_fields,
};
