// SPDX-License-Identifier: MIT
// The local APIC timer: one-shot and periodic from the crystal, TSC deadline (SDM 3A 11.5.4).
#include "devices/intc/lapic_internal.h"

enum { MODE_SHIFT = 17, MODE_ONE_SHOT = 0, MODE_PERIODIC = 1, MODE_TSC_DEADLINE = 2,
       MODE_RESERVED = 3 };

static unsigned mode_of(u32 lvt)
{
    return (lvt >> MODE_SHIFT) & 3;
}

static u64 now_ns(const struct lapic_cpu *c)
{
    return vclock_ns(c->owner->dev->bus->clock);
}

static u64 now_ticks(const struct lapic_cpu *c)
{
    return vclock_ticks(now_ns(c), c->owner->timer_hz);
}

static u64 divisor(const struct lapic_cpu *c)
{
    u32 code = (c->divide_configuration & 3) | (c->divide_configuration & 8) >> 1;
    return UINT64_C(1) << ((code + 1) & 7);
}

static void arm(struct lapic_cpu *c, u64 deadline_ns)
{
    event_set(c->owner->dev->bus->events, c->timer_event, deadline_ns);
}

static void arm_counter(struct lapic_cpu *c, u64 ticks)
{
    arm(c, vclock_ns_of_ticks(ticks, c->owner->timer_hz));
}

void lapic_timer_stop(struct lapic_cpu *c)
{
    c->tsc_deadline = 0;
    arm(c, EVENT_NEVER);
}

u32 lapic_timer_count(const struct lapic_cpu *c)
{
    if (mode_of(c->lvt[LVT_TIMER]) >= MODE_TSC_DEADLINE || c->timer_deadline_ns == EVENT_NEVER) {
        return 0;
    }
    u64 elapsed = (now_ticks(c) - c->timer_start) / divisor(c);
    return elapsed < c->initial_count ? c->initial_count - (u32)elapsed : 0;
}

void lapic_timer_set_count(struct lapic_cpu *c, u32 count)
{
    if (mode_of(c->lvt[LVT_TIMER]) >= MODE_TSC_DEADLINE) {
        return;
    }
    c->initial_count = count;
    c->timer_start = now_ticks(c);
    if (count) {
        arm_counter(c, c->timer_start + count * divisor(c));
    } else {
        arm(c, EVENT_NEVER);
    }
}

void lapic_timer_set_divide(struct lapic_cpu *c, u32 value)
{
    // A running counter keeps its count and goes on at the new rate.
    bool running = c->timer_deadline_ns != EVENT_NEVER &&
                   mode_of(c->lvt[LVT_TIMER]) < MODE_TSC_DEADLINE;
    u32 left = lapic_timer_count(c);
    c->divide_configuration = value & 0xB;
    if (running) {
        u64 now = now_ticks(c);
        c->timer_start = now - (c->initial_count - left) * divisor(c);
        arm_counter(c, now + left * divisor(c));
    }
}

void lapic_timer_set_lvt(struct lapic_cpu *c, u32 value)
{
    unsigned before = mode_of(c->lvt[LVT_TIMER]), after = mode_of(value);
    c->lvt[LVT_TIMER] = value;
    // Between counting and deadline mode the timer is disarmed (11.5.4.1); between the counting
    // ones it goes on.
    if (before != after && (before >= MODE_TSC_DEADLINE || after >= MODE_TSC_DEADLINE)) {
        lapic_timer_stop(c);
        c->initial_count = 0;
    }
}

void lapic_timer_fire(void *ctx, u64 deadline_ns)
{
    struct lapic_cpu *c = ctx;
    c->tsc_deadline = 0;
    if (mode_of(c->lvt[LVT_TIMER]) == MODE_PERIODIC && c->initial_count) {
        u64 period = c->initial_count * divisor(c);
        c->timer_start += period;
        arm_counter(c, c->timer_start + period);
    }
    lapic_lvt_deliver(c, LVT_TIMER);
}

u64 lapic_tsc_deadline(const struct lapic_cpu *c)
{
    return c->tsc_deadline;
}

void lapic_set_tsc_deadline(struct lapic_cpu *c, u64 value)
{
    if (mode_of(c->lvt[LVT_TIMER]) != MODE_TSC_DEADLINE) {
        return;
    }
    c->tsc_deadline = value;
    if (!value) {
        arm(c, EVENT_NEVER);
        return;
    }
    u64 ns = now_ns(c);
    u64 ticks = vclock_ticks(ns, c->owner->tsc_hz);
    u64 tsc = ticks + c->tsc_offset;
    if (tsc >= value) {
        arm(c, ns);
    } else if (value - tsc > UINT64_MAX - ticks) {
        arm(c, EVENT_NEVER); // beyond the end of virtual time; the register still reads back
    } else {
        arm(c, vclock_ns_of_ticks(ticks + (value - tsc), c->owner->tsc_hz));
    }
}

void lapic_set_tsc_offset(struct lapic_cpu *c, u64 offset)
{
    c->tsc_offset = offset;
    if (c->tsc_deadline) {
        lapic_set_tsc_deadline(c, c->tsc_deadline);
    }
}
