// SPDX-License-Identifier: MIT
// The ACPI fixed hardware (ACPI 6.5, 4.8.1 to 4.8.3): the PM1a blocks, the power management timer,
// the system control interrupt. In the tree: control block, event block of status and enable, and,
// if there is one, the timer. Soft-off (_S5) is SLP_TYP 0; the other sleep types do not exist here,
// and writing them does nothing. The power button comes from the door. The sleep button and the RTC
// have no status here: nothing presses them.
#include "devices/device.h"

#include <libfdt.h>

enum {
    PM1_STATUS = 0, PM1_ENABLE = 2, PM1_CONTROL = 4, // inside here, not in the port space
    CONTROL_SCI_EN = 1, CONTROL_SLP_TYP = 7 << 10, CONTROL_SLP_EN = 1 << 13,
    CONTROL_WRITABLE = 1 << 1 | CONTROL_SLP_TYP, // BM_RLD, SLP_TYP; GBL_RLS and SLP_EN read as 0
    STATUS_TMR = 1 << 0, ENABLE_TMR = 1 << 0, STATUS_PWRBTN = 1 << 8, ENABLE_PWRBTN = 1 << 8,
    ENABLE_WRITABLE = 1 << 0 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 10,
    TIMER_BITS = 24, // TMR_VAL_EXT is not set
};
#define TIMER_HZ 3579545

struct acpi_power {
    u16 enable, control;
    bool pressed;     // PWRBTN_STS
    u64 carries_seen; // how often the timer's top bit had changed when TMR_STS was last clear
    u64 carry_ns;     // when it changes next, while that interrupts
    // Wiring.
    struct irq_line sci;
    unsigned carry_event;
};

static u64 timer_ticks(const struct device *dev)
{
    return vclock_ticks(vclock_ns(dev->bus->clock), TIMER_HZ);
}

// TMR_STS is set whenever the timer's most significant bit changes (4.8.2.1).
static u64 timer_carries(const struct device *dev)
{
    return timer_ticks(dev) >> (TIMER_BITS - 1);
}

static u16 status_now(const struct device *dev)
{
    const struct acpi_power *a = dev->state;
    return (u16)((timer_carries(dev) != a->carries_seen ? STATUS_TMR : 0) |
                 (a->pressed ? STATUS_PWRBTN : 0));
}

static void interrupt_update(struct device *dev)
{
    struct acpi_power *a = dev->state;
    bool level = status_now(dev) & a->enable & (ENABLE_TMR | ENABLE_PWRBTN);
    irq_set(&a->sci, level && (a->control & CONTROL_SCI_EN));
    u64 next = (timer_carries(dev) + 1) << (TIMER_BITS - 1);
    bool wanted = (a->enable & ENABLE_TMR) && !(status_now(dev) & STATUS_TMR);
    event_set(dev->bus->events, a->carry_event,
              wanted ? vclock_ns_of_ticks(next, TIMER_HZ) : EVENT_NEVER);
}

static void carry_fire(void *ctx, u64 deadline_ns)
{
    interrupt_update(ctx);
}

// Pressing the button again before the status is cleared says nothing new (4.8.2.2.1.1).
static void button_ready(void *ctx)
{
    struct device *dev = ctx;
    const struct host_input *host = &dev->bus->host->input;
    struct host_input_event e;
    while (host->ops->read(host->ctx, HOST_INPUT_POWER, &e)) {
        ((struct acpi_power *)dev->state)->pressed = true;
    }
    interrupt_update(dev);
}

static u64 acpi_power_read(void *ctx, u64 offset, unsigned size)
{
    const struct device *dev = ctx;
    const struct acpi_power *a = dev->state;
    const u16 registers[3] = {status_now(dev), a->enable, a->control};
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
        a->carries_seen = value & STATUS_TMR ? timer_carries(dev) : a->carries_seen;
        a->pressed = a->pressed && !(value & STATUS_PWRBTN);
        break;
    case PM1_ENABLE:
        a->enable = (u16)(value & ENABLE_WRITABLE);
        break;
    case PM1_CONTROL:
        control_write(dev, (u16)value);
        break;
    }
    interrupt_update(dev);
}

static u64 control_block_read(void *ctx, u64 offset, unsigned size)
{
    return acpi_power_read(ctx, PM1_CONTROL + offset, size);
}

static void control_block_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    acpi_power_write(ctx, PM1_CONTROL + offset, value, size);
}

static u64 timer_read(void *ctx, u64 offset, unsigned size)
{
    return (timer_ticks(ctx) & (BIT(TIMER_BITS) - 1)) >> (8 * offset);
}

static void timer_write(void *ctx, u64 offset, u64 value, unsigned size)
{
}

static const struct io_ops event_ops = {acpi_power_read, acpi_power_write, 2};
static const struct io_ops control_ops = {control_block_read, control_block_write, 2};
static const struct io_ops timer_ops = {timer_read, timer_write, 4};

static struct status acpi_power_create(struct device *dev, const void *fdt, int node)
{
    struct acpi_power *a = dev->state;
    u64 base, length;
    a->carry_ns = EVENT_NEVER;
    const struct event carry = {&a->carry_ns, carry_fire, dev, "acpi timer"};
    a->carry_event = event_add(dev->bus->events, &carry);
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
    if (status_ok(&s)) {
        struct status timer = device_reg_at(dev, fdt, node, 2, &base, &length);
        s = status_ok(&timer)
                ? io_space_add(dev->bus->ports, base, 4, &timer_ops, dev, "acpi-timer")
                : s;
    }
    const struct host_input *host = &dev->bus->host->input;
    if (host->ops) {
        host->ops->set_ready(host->ctx, HOST_INPUT_POWER, button_ready, dev);
    }
    if (status_ok(&s) && fdt_getprop(fdt, node, "interrupts", NULL)) {
        s = device_irq(dev, fdt, node, 0, &a->sci);
    }
    return s;
}

static void acpi_power_reset(struct device *dev)
{
    struct acpi_power *a = dev->state;
    a->enable = 0;
    a->pressed = false;
    a->control = CONTROL_SCI_EN;
    a->carries_seen = timer_carries(dev);
    interrupt_update(dev);
}

static const struct field acpi_power_fields[] = {
    FIELD(struct acpi_power, enable),
    FIELD(struct acpi_power, control),
    FIELD(struct acpi_power, pressed),
    FIELD_AS(struct acpi_power, carries_seen, FIELD_DECIMAL),
    FIELD_AS(struct acpi_power, carry_ns, FIELD_DECIMAL),
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
