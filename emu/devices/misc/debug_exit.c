// SPDX-License-Identifier: MIT
// The debug-exit port: a write ends the run (QEMU's isa-debug-exit, but with the status passed on
// as written).
#include "devices/device.h"

struct debug_exit {
    u32 last; // value of the last write, for "info"
};

static u64 debug_exit_read(void *ctx, u64 offset, unsigned size)
{
    return 0;
}

static void debug_exit_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct device *dev = ctx;
    struct debug_exit *d = dev->state;
    if (offset == 0) {
        d->last = (u32)value;
        dev->bus->stop(dev->bus->machine, MACHINE_STOP_DEBUG_EXIT, d->last);
    }
}

static const struct io_ops debug_exit_ops = {debug_exit_read, debug_exit_write, 4};

static struct status debug_exit_create(struct device *dev, const void *fdt, int node)
{
    u64 base, length;
    struct status s = device_reg(dev, fdt, node, &base, &length);
    if (status_ok(&s)) {
        s = io_space_add(dev->bus->ports, base, length, &debug_exit_ops, dev, "debug-exit");
    }
    return s;
}

static void debug_exit_reset(struct device *dev)
{
    ((struct debug_exit *)dev->state)->last = 0;
}

static const struct field debug_exit_fields[] = {FIELD(struct debug_exit, last), FIELD_END};

const struct device_class debug_exit_class = {
    .name = "debug_exit",
    .compatible = "isa-debug-exit",
    .state_size = sizeof(struct debug_exit),
    .create = debug_exit_create,
    .reset = debug_exit_reset,
    .fields = debug_exit_fields,
};
