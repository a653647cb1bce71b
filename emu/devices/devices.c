// SPDX-License-Identifier: MIT
// The table of device classes, and what their create() functions share: reading nodes, ISA
// interrupt wires.
#include "devices/device.h"

#include <libfdt.h>

#define DEVICE(prefix) extern const struct device_class prefix##_class;
#include "devices/devices.def"
#undef DEVICE

static const struct device_class *const classes[] = {
#define DEVICE(prefix) &prefix##_class,
#include "devices/devices.def"
#undef DEVICE
};

const struct device_class *device_class_find(const void *fdt, int node)
{
    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        if (fdt_node_check_compatible(fdt, node, classes[i]->compatible) == 0) {
            return classes[i];
        }
    }
    return NULL;
}

static u64 cells(const u8 *p, int count)
{
    u64 value = 0;
    for (int i = 0; i < 4 * count; i++) {
        value = value << 8 | p[i];
    }
    return value;
}

struct status device_reg_at(const struct device *dev, const void *fdt, int node, unsigned index,
                            u64 *base, u64 *length)
{
    int parent = fdt_parent_offset(fdt, node);
    int address_cells = parent < 0 ? -1 : fdt_address_cells(fdt, parent);
    int size_cells = parent < 0 ? -1 : fdt_size_cells(fdt, parent);
    int bytes = 0;
    const u8 *reg = fdt_getprop(fdt, node, "reg", &bytes);
    int pair = 4 * (address_cells + size_cells);
    if (!reg || address_cells < 1 || address_cells > 2 || size_cells < 0 || size_cells > 2 ||
        bytes / pair <= (int)index) {
        return status_error(STATUS_BAD_INPUT, "device tree: %s has no usable \"reg\"", dev->path);
    }
    reg += pair * (int)index;
    *base = cells(reg, address_cells);
    *length = cells(reg + 4 * address_cells, size_cells);
    return status_success();
}

struct status device_reg(const struct device *dev, const void *fdt, int node, u64 *base,
                         u64 *length)
{
    return device_reg_at(dev, fdt, node, 0, base, length);
}

struct status device_irq(const struct device *dev, const void *fdt, int node, unsigned index,
                         struct irq_line *line)
{
    int bytes = 0;
    const u8 *property = fdt_getprop(fdt, node, "interrupts", &bytes);
    if (!property || (unsigned)bytes < 4 * (index + 1)) {
        return status_error(STATUS_BAD_INPUT, "device tree: %s has no usable \"interrupts\"",
                            dev->path);
    }
    u64 irq = cells(property + 4 * index, 1);
    if (irq > 15 || (dev->bus->isa_irq_claimed & BIT(irq))) {
        return status_error(STATUS_BAD_INPUT, "device tree: %s: ISA interrupt %u %s", dev->path,
                            (unsigned)irq, irq > 15 ? "does not exist" : "is another device's");
    }
    dev->bus->isa_irq_claimed |= (u32)BIT(irq);
    *line = dev->bus->isa_irq[irq];
    return status_success();
}

u32 device_cell(const void *fdt, int node, const char *property, u32 fallback)
{
    int bytes = 0;
    const u8 *cell = fdt_getprop(fdt, node, property, &bytes);
    return cell && bytes >= 4 ? (u32)cells(cell, 1) : fallback;
}

void device_set_a20(const struct device *dev, enum device_a20_gate gate, bool open)
{
    struct irq_line pin = {dev->bus->a20.set, dev->bus->a20.ctx, gate};
    irq_set(&pin, open);
}

void isa_irq_drive(struct device_bus *bus, unsigned n, bool level)
{
    irq_set(&bus->isa_to_pic[n], level);
    irq_set(&bus->isa_to_ioapic[n], level);
}

static void isa_irq_set(void *ctx, unsigned n, bool level)
{
    struct device_bus *bus = ctx;
    if (bus->isa_gate.set && (n == 0 || n == 8)) {
        bus->isa_gate.set(bus->isa_gate.ctx, n, level);
    } else {
        isa_irq_drive(bus, n, level);
    }
}

void device_bus_init(struct device_bus *bus)
{
    for (unsigned i = 0; i < ARRAY_LEN(bus->isa_irq); i++) {
        bus->isa_irq[i] = (struct irq_line){isa_irq_set, bus, i};
    }
}
