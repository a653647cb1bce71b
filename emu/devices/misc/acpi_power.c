// SPDX-License-Identifier: MIT
// The ACPI PM1a blocks, the control block named first in the tree, then the event block of status
// and enable (ACPI 6.5, 4.8.3.1 and 4.8.3.2). Soft-off (_S5) is SLP_TYP 0; the other sleep types do
// not exist here, and writing them does nothing.
#include "devices/device.h"

enum {
    PM1_STATUS = 0, PM1_ENABLE = 2, PM1_CONTROL = 4, // inside here, not in the port space
    CONTROL_SCI_EN = 1, CONTROL_SLP_TYP = 7 << 10, CONTROL_SLP_EN = 1 << 13,
    CONTROL_WRITABLE = 1 << 1 | CONTROL_SLP_TYP, // BM_RLD, SLP_TYP; GBL_RLS and SLP_EN read as 0
    STATUS_CLEARABLE = 1 << 0 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 15,
    ENABLE_WRITABLE = 1 << 0 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 10,
};

struct acpi_power {
    u16 status, enable, control;
};

static u64 acpi_power_read(void *ctx, u64 offset, unsigned size)
{
    const struct acpi_power *a = ((struct device *)ctx)->state;
    const u16 registers[3] = {a->status, a->enable, a->control};
    u64 value = 0;
    for (unsigned i = 0; i < size && offset + i < 6; i++) {
        u64 at = offset + i;
        value |= (u64)((registers[at / 2] >> (8 * (at & 1))) & 0xFF) << (8 * i);
    }
    return value;
}

static void control_write(struct device *dev, u16 value)
{
    struct acpi_power *a = dev->state;
    // There is no SMI_CMD, so the machine is always in ACPI mode: SCI_EN stays set.
    a->control = (u16)((value & CONTROL_WRITABLE) | CONTROL_SCI_EN);
    if ((value & CONTROL_SLP_EN) && (value & CONTROL_SLP_TYP) == 0) {
        dev->bus->stop(dev->bus->machine, MACHINE_STOP_POWER_OFF, 0);
    }
}

static void acpi_power_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct device *dev = ctx;
    struct acpi_power *a = dev->state;
    if (size == 1) {
        // ACPI lets these blocks be accessed by byte; the other half keeps its value, which clears
        // no status bit.
        u64 half = acpi_power_read(ctx, offset & ~UINT64_C(1), 2);
        half = (offset & ~UINT64_C(1)) == PM1_STATUS ? 0 : half;
        value = bits_set(half, 8 * (offset & 1), 8, value);
        offset &= ~UINT64_C(1);
    }
    switch (offset) {
    case PM1_STATUS:
        a->status &= (u16)~(value & STATUS_CLEARABLE);
        break;
    case PM1_ENABLE:
        a->enable = (u16)(value & ENABLE_WRITABLE);
        break;
    case PM1_CONTROL:
        control_write(dev, (u16)value);
        break;
    }
}

static u64 control_block_read(void *ctx, u64 offset, unsigned size)
{
    return acpi_power_read(ctx, PM1_CONTROL + offset, size);
}

static void control_block_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    acpi_power_write(ctx, PM1_CONTROL + offset, value, size);
}

static const struct io_ops event_ops = {acpi_power_read, acpi_power_write, 2};
static const struct io_ops control_ops = {control_block_read, control_block_write, 2};

static struct status acpi_power_create(struct device *dev, const void *fdt, int node)
{
    u64 base, length;
    struct status s = device_reg(dev, fdt, node, &base, &length);
    if (status_ok(&s)) {
        s = io_space_add(dev->bus->ports, base, 2, &control_ops, dev, "acpi-pm1a-control");
    }
    if (status_ok(&s)) {
        s = device_reg_at(dev, fdt, node, 1, &base, &length);
    }
    if (status_ok(&s)) {
        s = io_space_add(dev->bus->ports, base, 4, &event_ops, dev, "acpi-pm1a-events");
    }
    return s;
}

static void acpi_power_reset(struct device *dev)
{
    *(struct acpi_power *)dev->state = (struct acpi_power){.control = CONTROL_SCI_EN};
}

static const struct field acpi_power_fields[] = {
    FIELD(struct acpi_power, status),
    FIELD(struct acpi_power, enable),
    FIELD(struct acpi_power, control),
    FIELD_END,
};

const struct device_class acpi_power_class = {
    .name = "acpi_power",
    .compatible = "acpi-pm1a",
    .state_size = sizeof(struct acpi_power),
    .create = acpi_power_create,
    .reset = acpi_power_reset,
    .fields = acpi_power_fields,
};
