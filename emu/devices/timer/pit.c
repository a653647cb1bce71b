// SPDX-License-Identifier: MIT
// The 8254 interval timer (Intel 231164) and port 0x61: channel 0 drives IRQ 0, channel 2's gate
// and output are bits of the port. Counters are functions of vtime; only channel 0's output edges
// need events.
#include "devices/device.h"

#include <libfdt.h>

enum { CHANNELS = 3, ACCESS_LATCH = 0, ACCESS_LSB = 1, ACCESS_MSB = 2, ACCESS_BOTH = 3 };

enum {
    PORT61_GATE2 = 1, PORT61_WRITABLE = 0x0F, PORT61_REFRESH = 0x10, PORT61_OUT2 = 0x20,
    REFRESH_TICKS = 18, // channel 1's usual count: the DRAM refresh every 15 us
};

struct pit_channel {
    u8 mode, bcd, access;
    u8 write_msb, write_low; // the second byte of a count comes next; its first byte
    u8 read_msb;
    u8 latch_bytes;          // bytes of latch still to be read
    u8 status_latched, status;
    u8 gate;
    // a count was loaded (modes 1 and 5: and triggered) since the control word
    u8 counting;
    u8 has_count;            // a whole count was written since the control word
    u16 latch;
    u32 count;               // written count, 1-65536 (10000 in BCD)
    u32 period;              // the count the counting element runs from
    u64 start;               // tick at which it was loaded
    // modes 2 and 3: tick at which the newly written count takes over; 0: none waits
    u64 reload;
    u64 frozen;              // modes 0 and 4 with the gate low: ticks counted so far
};

struct pit {
    struct pit_channel channel[CHANNELS];
    u8 port61;
    u8 output; // channel 0's, as last driven
    u64 deadline_ns; // channel 0's next edge
    // Wiring.
    struct irq_line line;
    unsigned event;
    u64 hz;
};

static u64 now_ticks(const struct device *dev)
{
    const struct pit *p = dev->state;
    return vclock_ticks(vclock_ns(dev->bus->clock), p->hz);
}

// A count written to a running periodic channel takes over at the end of the period. (The data
// sheet lets mode 3 do it at the end of the half period; whole ones keep the duty cycle, and
// nothing is known to depend on it.)
static void settle(struct pit_channel *c, u64 now)
{
    if (c->reload && now >= c->reload) {
        c->start = c->reload;
        c->period = c->count;
        c->reload = 0;
    }
}

// Ticks since the load; 0 also before it.
static u64 elapsed(const struct pit_channel *c, u64 now)
{
    if (!c->gate && (c->mode == 0 || c->mode == 4)) {
        return c->frozen;
    }
    return now > c->start ? now - c->start : 0;
}

static bool output(const struct pit_channel *c, u64 now)
{
    if (!c->counting || now < c->start) {
        return c->mode != 0;
    }
    u64 n = elapsed(c, now);
    switch (c->mode) {
    case 0:
    case 1:
        return n >= c->period;
    case 2:
        return !c->gate || c->period == 1 || n % c->period != c->period - 1;
    case 3:
        return !c->gate || n % c->period < (c->period + 1) / 2;
    default: // 4 and 5: one clock low
        return n != c->period;
    }
}

// The next tick after now at which the output may change, EVENT_NEVER if none.
static u64 next_edge(const struct pit_channel *c, u64 now)
{
    if (!c->counting || (!c->gate && c->mode != 1 && c->mode != 5)) {
        return EVENT_NEVER;
    }
    if (now < c->start) {
        return c->start;
    }
    u64 n = elapsed(c, now), in_period = n % c->period, high = (c->period + 1) / 2;
    switch (c->mode) {
    case 0:
    case 1:
        return n < c->period ? c->start + c->period : EVENT_NEVER;
    case 2:
        if (c->period == 1) {
            return c->reload ? c->reload : EVENT_NEVER;
        }
        return in_period < c->period - 1 ? now + (c->period - 1 - in_period) : now + 1;
    case 3:
        if (c->period == 1) {
            return c->reload ? c->reload : EVENT_NEVER;
        }
        return in_period < high ? now + (high - in_period) : now + (c->period - in_period);
    default:
        return n < c->period ? c->start + c->period : n == c->period ? now + 1 : EVENT_NEVER;
    }
}

// The counting element's value as software reads it.
static u16 counter_value(const struct pit_channel *c, u64 now)
{
    u32 modulus = c->bcd ? 10000 : 65536;
    u32 value = c->period;
    u64 n = c->counting ? elapsed(c, now) : 0;
    if (c->mode == 3 && c->period > 1 && c->gate) {
        // Counts down by two, twice per period; an odd count starts one lower.
        u64 in_period = n % c->period, high = (c->period + 1) / 2;
        u64 steps = in_period < high ? in_period : in_period - high;
        u64 top = c->period & ~1u;
        value = (u32)(2 * steps < top ? top - 2 * steps : 0);
    } else if (c->mode == 2 || c->mode == 3) {
        value = c->gate ? c->period - (u32)(n % c->period) : c->period;
    } else {
        value = (u32)((c->period + modulus - n % modulus) % modulus);
    }
    value %= modulus;
    if (c->bcd) {
        value = value / 1000 << 12 | value / 100 % 10 << 8 | value / 10 % 10 << 4 | value % 10;
    }
    return (u16)value;
}

// Drives IRQ 0 as it is at the tick, and arms its next edge.
static void output_update(struct device *dev, u64 now)
{
    struct pit *p = dev->state;
    struct pit_channel *c = &p->channel[0];
    settle(c, now);
    bool level = output(c, now);
    if (level != p->output) {
        p->output = level;
        irq_set(&p->line, level);
    }
    u64 edge = next_edge(c, now);
    event_set(dev->bus->events, p->event,
              edge == EVENT_NEVER ? edge : vclock_ns_of_ticks(edge, p->hz));
}

// The output is taken at the edge's own time: an event may be served late (--chaos, long steps),
// and the pulses of modes 2 and 4 are short.
static void pit_fire(void *ctx, u64 deadline_ns)
{
    struct device *dev = ctx;
    const struct pit *p = dev->state;
    output_update(dev, vclock_ticks(deadline_ns, p->hz));
}

// Before software touches a register, all edges up to now have happened.
static void edges_catch_up(struct device *dev)
{
    const struct pit *p = dev->state;
    while (p->deadline_ns <= vclock_ns(dev->bus->clock)) {
        pit_fire(dev, p->deadline_ns);
    }
}

static void load(struct pit_channel *c, u64 tick)
{
    c->start = tick;
    c->period = c->count;
    c->counting = true;
    c->frozen = 0;
    c->reload = 0;
}

static u32 count_of(const struct pit_channel *c, u16 raw)
{
    if (!c->bcd) {
        return raw ? raw : 65536;
    }
    u32 value = (raw >> 12) * 1000u + (raw >> 8 & 15) * 100u + (raw >> 4 & 15) * 10u + (raw & 15);
    return value ? value : 10000;
}

static void count_write(struct pit_channel *c, u16 raw, u64 now)
{
    c->count = count_of(c, raw);
    c->has_count = true;
    switch (c->mode) {
    case 0:
    case 4:
        load(c, now + 1); // at the clock after the write
        break;
    case 1:
    case 5:
        break; // at the next trigger
    default:
        if (!c->counting) {
            load(c, now + 1);
        } else if (now < c->start) {
            c->period = c->count;
        } else {
            c->reload = now + (c->period - elapsed(c, now) % c->period);
        }
        break;
    }
}

static void counter_write(struct pit_channel *c, u8 value, u64 now)
{
    switch (c->access) {
    case ACCESS_LSB:
        count_write(c, value, now);
        break;
    case ACCESS_MSB:
        count_write(c, (u16)(value << 8), now);
        break;
    case ACCESS_BOTH:
        if (c->write_msb) {
            count_write(c, (u16)(value << 8 | c->write_low), now);
        } else {
            c->write_low = value;
            // In mode 0 the first byte stops the count ("Mode 0").
            c->counting = c->counting && c->mode != 0;
        }
        c->write_msb = !c->write_msb;
        break;
    }
}

static u8 counter_read(struct pit_channel *c, u64 now)
{
    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    bool latched = c->latch_bytes;
    u16 value = latched ? c->latch : counter_value(c, now);
    bool msb = c->access == ACCESS_MSB || (c->access == ACCESS_BOTH && c->read_msb);
    if (c->access == ACCESS_BOTH) {
        c->read_msb = !c->read_msb;
    }
    c->latch_bytes -= latched;
    return (u8)(msb ? value >> 8 : value);
}

static void count_latch(struct pit_channel *c, u64 now)
{
    if (!c->latch_bytes) {
        c->latch = counter_value(c, now);
        c->latch_bytes = c->access == ACCESS_BOTH ? 2 : 1;
    }
}

static void status_latch(struct pit_channel *c, u64 now)
{
    if (!c->status_latched) {
        bool null_count = !c->counting || c->reload || now < c->start;
        c->status =
            (u8)(output(c, now) << 7 | null_count << 6 | c->access << 4 | c->mode << 1 | c->bcd);
        c->status_latched = true;
    }
}

static void control_write(struct pit *p, u8 value, u64 now)
{
    unsigned select = value >> 6, access = value >> 4 & 3;
    if (select == 3) {
        // Read-back: bit 5 clear latches counts, bit 4 clear latches status, of the channels in
        // bits 1-3.
        for (unsigned i = 0; i < CHANNELS; i++) {
            struct pit_channel *c = &p->channel[i];
            if (!(value & (2 << i))) {
                continue;
            }
            settle(c, now);
            if (!(value & 0x20)) {
                count_latch(c, now);
            }
            if (!(value & 0x10)) {
                status_latch(c, now);
            }
        }
        return;
    }
    struct pit_channel *c = &p->channel[select];
    settle(c, now);
    if (access == ACCESS_LATCH) {
        count_latch(c, now);
        return;
    }
    u8 mode = value >> 1 & 7;
    u32 period = c->period;
    *c = (struct pit_channel){.gate = c->gate, .access = (u8)access, .bcd = value & 1};
    c->mode = mode > 5 ? mode - 4 : mode;
    c->period = c->count = period;
}

// The gate of channel 2 ("Gate", figure 15: what it does in each mode).
static void gate_set(struct pit_channel *c, bool gate, u64 now)
{
    bool before = c->gate;
    settle(c, now);
    if (before && !gate) {
        c->frozen = elapsed(c, now);
    }
    c->gate = gate;
    if (before || !gate) {
        return;
    }
    if (c->mode == 0 || c->mode == 4) {
        c->start = c->start > now ? c->start : now - c->frozen;
    } else if (c->has_count) {
        load(c, now + 1);
    }
}

static u64 pit_read(void *ctx, u64 offset, unsigned size)
{
    struct device *dev = ctx;
    struct pit *p = dev->state;
    if (offset == 3) {
        return 0xFF; // the control word cannot be read
    }
    edges_catch_up(dev);
    u64 now = now_ticks(dev);
    settle(&p->channel[offset], now);
    return counter_read(&p->channel[offset], now);
}

static void pit_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct device *dev = ctx;
    struct pit *p = dev->state;
    u64 now = now_ticks(dev);
    edges_catch_up(dev);
    if (offset == 3) {
        control_write(p, (u8)value, now);
    } else {
        settle(&p->channel[offset], now);
        counter_write(&p->channel[offset], (u8)value, now);
    }
    output_update(dev, now);
}

static u64 port61_read(void *ctx, u64 offset, unsigned size)
{
    struct device *dev = ctx;
    struct pit *p = dev->state;
    u64 now = now_ticks(dev);
    settle(&p->channel[2], now);
    return p->port61 | (now / REFRESH_TICKS & 1 ? PORT61_REFRESH : 0) |
           (output(&p->channel[2], now) ? PORT61_OUT2 : 0);
}

static void port61_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct device *dev = ctx;
    struct pit *p = dev->state;
    p->port61 = (u8)value & PORT61_WRITABLE;
    gate_set(&p->channel[2], value & PORT61_GATE2, now_ticks(dev));
}

static const struct io_ops pit_ops = {pit_read, pit_write, 1};
static const struct io_ops port61_ops = {port61_read, port61_write, 1};

static struct status pit_create(struct device *dev, const void *fdt, int node)
{
    struct pit *p = dev->state;
    u64 base, length;
    struct status s = device_reg(dev, fdt, node, &base, &length);
    if (status_ok(&s)) {
        s = io_space_add(dev->bus->ports, base, 4, &pit_ops, dev, "pit");
    }
    if (status_ok(&s)) {
        s = io_space_add(dev->bus->ports, 0x61, 1, &port61_ops, dev, "port61");
    }
    if (status_ok(&s)) {
        s = device_irq(dev, fdt, node, 0, &p->line);
    }
    p->hz = device_cell(fdt, node, "clock-frequency", 1193182);
    if (status_ok(&s) && (p->hz == 0 || p->hz > 100000000)) {
        s = status_error(STATUS_BAD_INPUT, "device tree: %s: absurd \"clock-frequency\"",
                         dev->path);
    }
    p->deadline_ns = EVENT_NEVER;
    const struct event e = {&p->deadline_ns, pit_fire, dev, "pit channel 0"};
    p->event = event_add(dev->bus->events, &e);
    return s;
}

static void pit_reset(struct device *dev)
{
    struct pit *p = dev->state;
    // "Before initialisation mode, count and output are undefined": mode 0, never counting, outputs
    // low.
    for (unsigned i = 0; i < CHANNELS; i++) {
        p->channel[i] = (struct pit_channel){
            .access = ACCESS_BOTH, .gate = i != 2, .count = 65536, .period = 65536,
        };
    }
    p->port61 = 0;
    p->output = false;
    irq_set(&p->line, false);
    event_set(dev->bus->events, p->event, EVENT_NEVER);
}

#define F(n, member) FIELD(struct pit, channel[n].member)
#define CHANNEL_FIELDS(n)                                                                          \
    F(n, mode), F(n, bcd), F(n, access), F(n, write_msb), F(n, write_low), F(n, read_msb),         \
        F(n, latch_bytes), F(n, status_latched), F(n, status), F(n, gate), F(n, counting),         \
        F(n, has_count), F(n, latch), F(n, count), F(n, period), F(n, start), F(n, reload),        \
        F(n, frozen)

static const struct field pit_fields[] = {
    CHANNEL_FIELDS(0),         CHANNEL_FIELDS(1),         CHANNEL_FIELDS(2),
    FIELD(struct pit, port61), FIELD(struct pit, output), FIELD(struct pit, deadline_ns),
    FIELD_END,
};

static bool pit_sound(const void *state)
{
    const struct pit *p = state;
    for (unsigned i = 0; i < CHANNELS; i++) {
        const struct pit_channel *c = &p->channel[i];
        bool loaded = c->period && c->period <= 65536;
        if (c->mode > 5 || c->count > 65536 || (c->counting && !loaded) ||
            (c->reload && !c->count)) {
            return false;
        }
    }
    return true;
}

const struct device_class pit_class = {
    .name = "pit",
    .compatible = "intel,i8254",
    .state_size = sizeof(struct pit),
    .create = pit_create,
    .reset = pit_reset,
    .fields = pit_fields,
    .sound = pit_sound,
};
