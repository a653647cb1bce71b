// SPDX-License-Identifier: MIT
// How a PC reports x87 errors while CR0.NE is clear: FERR# latches interrupt 13; a write to port F0
// takes that back and asserts IGNNE# until FERR# is withdrawn, so that the handler can use the x87
// (SDM 1 D.2.1.2; ICH9 data sheet, COPROC_ERR).
#include "devices/device.h"

struct coprocessor {
    u8 ferr;     // as CPU 0 drives it
    u8 latched;  // interrupt 13
    u8 ignoring; // IGNNE#
    struct irq_line irq;
};

static void set_ignoring(struct device *dev, bool ignoring)
{
    struct coprocessor *c = dev->state;
    const struct cpu_signal *cpu = &dev->bus->cpu_signals[0];
    c->ignoring = ignoring;
    cpu->ops->set_ignne(cpu->cpu, ignoring);
}

static void set_latched(struct coprocessor *c, bool latched)
{
    c->latched = latched;
    irq_set(&c->irq, latched);
}

static void on_ferr(void *ctx, unsigned pin, bool asserted)
{
    struct device *dev = ctx;
    struct coprocessor *c = dev->state;
    c->ferr = asserted;
    if (asserted) {
        set_latched(c, true);
    } else {
        set_ignoring(dev, false);
    }
}

static u64 error_read(void *ctx, u64 offset, unsigned size)
{
    return 0xFF; // write only
}

static void error_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct device *dev = ctx;
    struct coprocessor *c = dev->state;
    set_latched(c, false);
    if (c->ferr) {
        set_ignoring(dev, true);
    }
}

static const struct io_ops error_ops = {error_read, error_write, 1};

static struct status coprocessor_create(struct device *dev, const void *fdt, int node)
{
    struct coprocessor *c = dev->state;
    u64 base, length;
    struct status s = device_reg(dev, fdt, node, &base, &length);
    if (status_ok(&s)) {
        s = device_irq(dev, fdt, node, 0, &c->irq);
    }
    if (status_ok(&s)) {
        s = io_space_add(dev->bus->ports, base, 1, &error_ops, dev, "coprocessor");
    }
    if (status_ok(&s)) {
        dev->bus->ferr = (struct irq_line){on_ferr, dev, 0};
    }
    return s;
}

static void coprocessor_reset(struct device *dev)
{
    struct coprocessor *c = dev->state;
    c->ferr = c->ignoring = 0;
    set_latched(c, false);
}

static const struct field coprocessor_fields[] = {
    FIELD_MAX(struct coprocessor, ferr, 1),
    FIELD_MAX(struct coprocessor, latched, 1),
    FIELD_MAX(struct coprocessor, ignoring, 1),
    FIELD_END,
};

const struct device_class coprocessor_class = {
    .name = "coprocessor",
    .compatible = "viv,coprocessor",
    .state_size = sizeof(struct coprocessor),
    .create = coprocessor_create,
    .reset = coprocessor_reset,
    .fields = coprocessor_fields,
};
