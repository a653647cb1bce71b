// SPDX-License-Identifier: MIT
// Two single ports of the PC: 92, with fast A20 and fast reset (IBM PS/2 HITR, System Control Port
// A), and 80, where self tests put their progress and which is written to pass time.
#include "devices/device.h"

enum { CONTROL_RESET = 1 << 0, CONTROL_A20 = 1 << 1, CONTROL_WRITABLE = 0xDB };

struct system_ports {
    u8 control, post;
};

static u64 control_read(void *ctx, u64 offset, unsigned size)
{
    return ((struct system_ports *)((struct device *)ctx)->state)->control;
}

static void control_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct device *dev = ctx;
    struct system_ports *p = dev->state;
    bool rising = (value & CONTROL_RESET) && !(p->control & CONTROL_RESET);
    p->control = (u8)value & CONTROL_WRITABLE;
    device_set_a20(dev, DEVICE_A20_PORT_92, value & CONTROL_A20);
    if (rising) {
        dev->bus->stop(dev->bus->machine, MACHINE_STOP_RESET, 0);
    }
}

static u64 post_read(void *ctx, u64 offset, unsigned size)
{
    return ((struct system_ports *)((struct device *)ctx)->state)->post;
}

static void post_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    ((struct system_ports *)((struct device *)ctx)->state)->post = (u8)value;
}

static const struct io_ops control_ops = {control_read, control_write, 1};
static const struct io_ops post_ops = {post_read, post_write, 1};

static struct status system_ports_create(struct device *dev, const void *fdt, int node)
{
    u64 base, length;
    struct status s = device_reg(dev, fdt, node, &base, &length);
    if (status_ok(&s)) {
        s = io_space_add(dev->bus->ports, base, 1, &control_ops, dev, "port92");
    }
    if (status_ok(&s)) {
        s = device_reg_at(dev, fdt, node, 1, &base, &length);
    }
    if (status_ok(&s)) {
        s = io_space_add(dev->bus->ports, base, 1, &post_ops, dev, "post");
    }
    return s;
}

static void a20_follow(struct device *dev)
{
    const struct system_ports *p = dev->state;
    device_set_a20(dev, DEVICE_A20_PORT_92, p->control & CONTROL_A20);
}

static void system_ports_reset(struct device *dev)
{
    // Firmware opens A20 at the keyboard controller; closing it there then has an effect.
    *(struct system_ports *)dev->state = (struct system_ports){0};
    a20_follow(dev);
}

static const struct field system_ports_fields[] = {
    FIELD(struct system_ports, control),
    FIELD(struct system_ports, post),
    FIELD_END,
};

const struct device_class system_ports_class = {
    .name = "system_ports",
    .compatible = "viv,system-ports",
    .state_size = sizeof(struct system_ports),
    .create = system_ports_create,
    .reset = system_ports_reset,
    .loaded = a20_follow,
    .fields = system_ports_fields,
};
