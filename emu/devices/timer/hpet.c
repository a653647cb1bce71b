// SPDX-License-Identifier: MIT
// The high precision event timer (IA-PC HPET Specification 1.0a): one block, a counter of 64 bits
// at 100 MHz, three comparators, legacy replacement, no messages (FSB). Comparators that are not
// replaced may be routed to the IOAPIC's pins 20-23, which nobody else drives.
#include "devices/device.h"

enum { TIMERS = 3, TICK_NS = 10, ROUTE_FIRST = 20 };

enum { // register offsets
    REG_CAPABILITIES = 0x000, REG_CONFIG = 0x010, REG_STATUS = 0x020, REG_COUNTER = 0x0F0,
    REG_TIMERS = 0x100, TIMER_STRIDE = 0x20, TIMER_CONFIG = 0x00, TIMER_COMPARATOR = 0x08,
};

enum { // REG_CONFIG; TIMER_CONFIG
    ENABLE = 1 << 0, LEGACY = 1 << 1,
    T_LEVEL = 1 << 1, T_INTERRUPT = 1 << 2, T_PERIODIC = 1 << 3, T_VALUE_SET = 1 << 6,
    T_32BIT = 1 << 8, T_ROUTE_SHIFT = 9,
    T_WRITABLE = T_LEVEL | T_INTERRUPT | T_PERIODIC | T_VALUE_SET | T_32BIT | 31 << T_ROUTE_SHIFT,
    T_CAPABLE = 1 << 4 | 1 << 5, // periodic, 64 bits
};

// Period in fs; then vendor, legacy replacement, 64 bits, number of the last timer, revision:
// ACPI's HPET table says the same (machine/acpi_tables.c).
#define CAPABILITIES ((u64)TICK_NS * 1000000 << 32 | 0x8086A201)
#define ROUTES (UINT64_C(0x00F00000) << 32)

struct hpet_timer {
    u32 config;
    u64 comparator, period;
    bool output;     // level: status; edge: high since the last match
    u64 deadline_ns; // of the next match
};

struct hpet {
    u64 config, status;
    u64 counter;  // at start_ns while it runs
    u64 start_ns;
    u8 legacy_inputs; // what the PIT (bit 0) and the RTC (bit 1) drive
    struct hpet_timer timer[TIMERS];
    // Wiring.
    unsigned event[TIMERS];
};

static u64 counter_at(const struct hpet *h, u64 ns)
{
    return h->config & ENABLE ? h->counter + (ns - h->start_ns) / TICK_NS : h->counter;
}

static bool is_replaced(const struct hpet *h, unsigned n)
{
    return (h->config & LEGACY) && n < 2;
}

static bool asserts(const struct hpet *h, unsigned n)
{
    return (h->config & ENABLE) && (h->timer[n].config & T_INTERRUPT) && h->timer[n].output;
}

static unsigned route_of(const struct hpet *h, unsigned n)
{
    return is_replaced(h, n) ? 0 : h->timer[n].config >> T_ROUTE_SHIFT & 31;
}

// Drives everything as it is now. With legacy replacement timer 0 is IRQ 0 instead of the PIT and
// timer 1 IRQ 8 instead of the RTC (2.3.5).
static void lines_update(struct device *dev)
{
    const struct hpet *h = dev->state;
    for (unsigned i = 0; i < 2; i++) {
        bool level = h->config & LEGACY ? asserts(h, i) : h->legacy_inputs >> i & 1;
        isa_irq_drive(dev->bus, i ? 8 : 0, level);
    }
    for (unsigned pin = ROUTE_FIRST; pin < ROUTE_FIRST + 4; pin++) {
        bool level = false;
        for (unsigned n = 0; n < TIMERS; n++) {
            level |= route_of(h, n) == pin && asserts(h, n);
        }
        irq_set(&dev->bus->ioapic_pin[pin], level);
    }
}

static void legacy_input(void *ctx, unsigned irq, bool level)
{
    struct device *dev = ctx;
    struct hpet *h = dev->state;
    h->legacy_inputs = (u8)bits_set(h->legacy_inputs, irq ? 1 : 0, 1, level);
    if (!(h->config & LEGACY)) {
        isa_irq_drive(dev->bus, irq, level);
    }
}

static u64 timer_mask(const struct hpet_timer *t)
{
    return t->config & T_32BIT ? UINT32_MAX : UINT64_MAX;
}

// Sets when the counter, as it is at the vtime, will be equal to the comparator.
static void timer_arm(struct device *dev, unsigned n, u64 ns)
{
    const struct hpet *h = dev->state;
    const struct hpet_timer *t = &h->timer[n];
    bool periodic = (t->config & T_PERIODIC) && t->period;
    u64 deadline = EVENT_NEVER;
    if ((h->config & ENABLE) && ((t->config & (T_INTERRUPT | T_LEVEL)) || periodic)) {
        u64 ticks = (ns - h->start_ns) / TICK_NS;
        u64 distance = (t->comparator - counter_at(h, ns)) & timer_mask(t);
        if (!distance && (t->config & T_32BIT)) {
            distance = UINT64_C(1) << 32;
        }
        if (distance && distance < EVENT_NEVER / TICK_NS / 2 - ticks) {
            deadline = h->start_ns + (ticks + distance) * TICK_NS;
        }
    }
    event_set(dev->bus->events, h->event[n], deadline);
}

static void match(struct device *dev, unsigned n, u64 ns)
{
    struct hpet *h = dev->state;
    struct hpet_timer *t = &h->timer[n];
    if (t->config & T_LEVEL) {
        h->status |= BIT(n);
    } else {
        // An edge is the rise of a line that stays up until the next, so that the 8259 finds it
        // there when the interrupt is acknowledged.
        t->output = false;
        lines_update(dev);
    }
    t->output = true;
    lines_update(dev);
    if (t->config & T_PERIODIC) {
        t->comparator = (t->comparator + t->period) & timer_mask(t);
    }
    timer_arm(dev, n, ns);
}

static void fire_0(void *ctx, u64 deadline_ns)
{
    match(ctx, 0, deadline_ns);
}

static void fire_1(void *ctx, u64 deadline_ns)
{
    match(ctx, 1, deadline_ns);
}

static void fire_2(void *ctx, u64 deadline_ns)
{
    match(ctx, 2, deadline_ns);
}

// Before software touches a register, all matches up to now have happened.
static void catch_up(struct device *dev)
{
    const struct hpet *h = dev->state;
    u64 now = vclock_ns(dev->bus->clock);
    for (unsigned n = 0; n < TIMERS; n++) {
        while (h->timer[n].deadline_ns <= now) {
            match(dev, n, h->timer[n].deadline_ns);
        }
    }
}

static void arm_all(struct device *dev)
{
    for (unsigned n = 0; n < TIMERS; n++) {
        timer_arm(dev, n, vclock_ns(dev->bus->clock));
    }
}

static void config_write(struct device *dev, u64 value)
{
    struct hpet *h = dev->state;
    u64 now = vclock_ns(dev->bus->clock);
    h->counter = counter_at(h, now);
    h->start_ns = now;
    h->config = value & (ENABLE | LEGACY);
    arm_all(dev);
    lines_update(dev);
}

// Writing ones clears, and lets the lines of level-triggered timers fall (2.3.6).
static void status_write(struct device *dev, u64 value)
{
    struct hpet *h = dev->state;
    for (unsigned n = 0; n < TIMERS; n++) {
        if ((value >> n & 1) && (h->timer[n].config & T_LEVEL)) {
            h->timer[n].output = false;
        }
    }
    h->status &= ~value;
    lines_update(dev);
}

static void timer_config_write(struct device *dev, unsigned n, u32 value)
{
    struct hpet_timer *t = &((struct hpet *)dev->state)->timer[n];
    u32 changed = t->config ^ value;
    unsigned route = value >> T_ROUTE_SHIFT & 31;
    // A route that is not offered is not taken (2.3.8, INT_ROUTE_CNF).
    if (route && !(ROUTES >> 32 >> route & 1)) {
        value &= ~(31u << T_ROUTE_SHIFT);
    }
    t->config = value & T_WRITABLE;
    if (changed & (T_INTERRUPT | T_LEVEL)) {
        t->output = (t->config & T_LEVEL) && (((struct hpet *)dev->state)->status >> n & 1);
    }
    if (t->config & T_32BIT) {
        t->comparator = (u32)t->comparator;
        t->period = (u32)t->period;
    }
    timer_arm(dev, n, vclock_ns(dev->bus->clock));
    lines_update(dev);
}

// The period is always the last value written; the comparator itself changes in one-shot mode or
// after VAL_SET, which is used up (2.3.8, 2.3.9.2.2).
static void comparator_write(struct device *dev, unsigned n, u64 value)
{
    struct hpet_timer *t = &((struct hpet *)dev->state)->timer[n];
    value &= timer_mask(t);
    if (!(t->config & T_PERIODIC) || (t->config & T_VALUE_SET)) {
        t->comparator = value;
    }
    if (t->config & T_PERIODIC) {
        t->period = value;
    }
    t->config &= ~(u32)T_VALUE_SET;
    timer_arm(dev, n, vclock_ns(dev->bus->clock));
}

static u64 register_read(struct device *dev, u64 reg)
{
    const struct hpet *h = dev->state;
    switch (reg) {
    case REG_CAPABILITIES:
        return CAPABILITIES;
    case REG_CONFIG:
        return h->config;
    case REG_STATUS:
        return h->status;
    case REG_COUNTER:
        return counter_at(h, vclock_ns(dev->bus->clock));
    }
    u64 n = (reg - REG_TIMERS) / TIMER_STRIDE;
    if (reg < REG_TIMERS || n >= TIMERS) {
        return 0;
    }
    switch (reg % TIMER_STRIDE) {
    case TIMER_CONFIG:
        return ROUTES | (h->timer[n].config & ~(u32)T_VALUE_SET) | T_CAPABLE;
    case TIMER_COMPARATOR:
        return h->timer[n].comparator;
    }
    return 0; // no FSB route
}

static void register_write(struct device *dev, u64 reg, u64 value)
{
    struct hpet *h = dev->state;
    u64 n = (reg - REG_TIMERS) / TIMER_STRIDE;
    if (reg == REG_CONFIG) {
        config_write(dev, value);
    } else if (reg == REG_STATUS) {
        status_write(dev, value);
    } else if (reg == REG_COUNTER) {
        if (!(h->config & ENABLE)) { // "only while the counter is halted" (2.3.7)
            h->counter = value;
        }
    } else if (reg >= REG_TIMERS && n < TIMERS && reg % TIMER_STRIDE == TIMER_CONFIG) {
        timer_config_write(dev, (unsigned)n, (u32)value);
    } else if (reg >= REG_TIMERS && n < TIMERS && reg % TIMER_STRIDE == TIMER_COMPARATOR) {
        comparator_write(dev, (unsigned)n, value);
    }
}

static u64 hpet_read(void *ctx, u64 offset, unsigned size)
{
    catch_up(ctx);
    return register_read(ctx, offset & ~UINT64_C(7)) >> (8 * (offset & 7));
}

// What a write of one half leaves in the other.
static u64 write_base(struct device *dev, u64 reg)
{
    const struct hpet *h = dev->state;
    u64 n = (reg - REG_TIMERS) / TIMER_STRIDE;
    if (reg >= REG_TIMERS && n < TIMERS && reg % TIMER_STRIDE == TIMER_COMPARATOR &&
        (h->timer[n].config & T_PERIODIC)) {
        return h->timer[n].period;
    }
    return reg == REG_STATUS ? 0 : register_read(dev, reg);
}

// Registers are accessed by 32 or 64 bits (2.3.2).
static void hpet_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    u64 reg = offset & ~UINT64_C(7);
    catch_up(ctx);
    if (size < 4 || (offset & 3)) {
        return;
    }
    if (size == 4) {
        if ((offset & 4) && reg % TIMER_STRIDE == TIMER_CONFIG && reg >= REG_TIMERS) {
            return; // nothing in the upper half is writable
        }
        u64 old = write_base(ctx, reg);
        value = offset & 4 ? (u32)old | value << 32 : (old >> 32 << 32) | value;
    }
    register_write(ctx, reg, value);
}

static const struct io_ops hpet_ops = {hpet_read, hpet_write, 8};

static struct status hpet_create(struct device *dev, const void *fdt, int node)
{
    static void (*const fires[TIMERS])(void *, u64) = {fire_0, fire_1, fire_2};
    struct hpet *h = dev->state;
    u64 base, length;
    for (unsigned n = 0; n < TIMERS; n++) {
        h->timer[n].deadline_ns = EVENT_NEVER;
        const struct event e = {&h->timer[n].deadline_ns, fires[n], dev, "hpet"};
        h->event[n] = event_add(dev->bus->events, &e);
    }
    struct status s = device_reg(dev, fdt, node, &base, &length);
    if (status_ok(&s)) {
        s = io_space_add(dev->bus->mmio, base, length, &hpet_ops, dev, "hpet");
    }
    dev->bus->isa_gate = (struct irq_line){legacy_input, dev, 0};
    return s;
}

static void hpet_reset(struct device *dev)
{
    struct hpet *h = dev->state;
    h->config = h->status = h->counter = h->start_ns = 0;
    h->legacy_inputs = 0; // their owners' resets drive them low as well
    for (unsigned n = 0; n < TIMERS; n++) {
        struct hpet_timer *t = &h->timer[n];
        t->config = 0;
        t->comparator = UINT64_MAX;
        t->period = 0;
        t->output = false;
        event_set(dev->bus->events, h->event[n], EVENT_NEVER);
    }
    lines_update(dev);
}

#define TIMER_FIELDS(n)                                                                            \
    FIELD(struct hpet, timer[n].config), FIELD(struct hpet, timer[n].comparator),                  \
        FIELD(struct hpet, timer[n].period), FIELD(struct hpet, timer[n].output),                  \
        FIELD(struct hpet, timer[n].deadline_ns)

static const struct field hpet_fields[] = {
    FIELD(struct hpet, config),
    FIELD(struct hpet, status),
    FIELD(struct hpet, counter),
    FIELD(struct hpet, start_ns),
    FIELD(struct hpet, legacy_inputs),
    TIMER_FIELDS(0),
    TIMER_FIELDS(1),
    TIMER_FIELDS(2),
    FIELD_END,
};

const struct device_class hpet_class = {
    .name = "hpet",
    .compatible = "intel,hpet",
    .state_size = sizeof(struct hpet),
    .create = hpet_create,
    .reset = hpet_reset,
    .fields = hpet_fields,
};
