// SPDX-License-Identifier: MIT
// The MC146818 real-time clock with 128 bytes of CMOS at ports 0x70/0x71. Its time is a function of
// vtime; the flags of register C are brought up to date when somebody looks, and events exist only
// for enabled interrupts.
#include "devices/device.h"

#include <libfdt.h>
#include <string.h>

#define NS_PER_S UINT64_C(1000000000)
#define UIP_NS UINT64_C(244000) // UIP rises this long before the update (MC146818, "UIP bit")

enum {
    REG_SECONDS, REG_SECONDS_ALARM, REG_MINUTES, REG_MINUTES_ALARM, REG_HOURS, REG_HOURS_ALARM,
    REG_WEEKDAY, REG_DAY, REG_MONTH, REG_YEAR, REG_A, REG_B, REG_C, REG_D,
    REG_CENTURY = 0x32, // where ACPI's FADT will point
    CMOS_BYTES = 128,
};

enum {
    A_UIP = 0x80, A_DIVIDER = 0x70, A_RATE = 0x0F, A_DIVIDER_RUN = 0x20, A_DIVIDER_RESET = 0x60,
    B_SET = 0x80, B_PIE = 0x40, B_AIE = 0x20, B_UIE = 0x10, B_BINARY = 0x04, B_24H = 0x02,
    C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10,
    D_VALID = 0x80,
    HOUR_PM = 0x80, ALARM_ANY = 0xC0,
};

struct rtc {
    u8 index;
    u8 cmos[CMOS_BYTES]; // clock registers count only while the clock stands still
    u8 weekday_offset;   // what software's weekday differs from the date's by
    s64 base_s;          // Unix time of the second that began at base_ns
    u64 base_ns;         // vtime; also the phase of the divider chain
    u64 seen_ns;         // flags are up to date as of here
    u64 deadline_ns;
    // Wiring.
    struct irq_line line;
    unsigned event;
};

struct civil {
    s64 year;
    unsigned month, day, hour, minute, second, weekday; // month and day from 1, Sunday 0
};

static u64 now_ns(const struct device *dev)
{
    return vclock_ns(dev->bus->clock);
}

static bool stands_still(const struct rtc *r)
{
    return (r->cmos[REG_B] & B_SET) || (r->cmos[REG_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
}

// Days since 1970-01-01 in the proleptic Gregorian calendar, counting years from March.
static s64 days_of(s64 year, unsigned month, s64 day)
{
    year -= month <= 2;
    s64 era = (year >= 0 ? year : year - 399) / 400;
    s64 year_of_era = year - era * 400;
    s64 day_of_year = (153 * ((s64)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static struct civil civil_of(s64 time_s)
{
    s64 days = time_s / 86400, second = time_s % 86400;
    if (second < 0) {
        days--;
        second += 86400;
    }
    struct civil c = {.hour = (unsigned)(second / 3600), .minute = (unsigned)(second / 60 % 60),
                      .second = (unsigned)(second % 60)};
    c.weekday = (unsigned)(((days + 4) % 7 + 7) % 7);
    days += 719468;
    s64 era = (days >= 0 ? days : days - 146096) / 146097;
    s64 day_of_era = days - era * 146097;
    s64 year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    s64 day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned march_month = (unsigned)((5 * day_of_year + 2) / 153);
    c.day = (unsigned)(day_of_year - (153 * march_month + 2) / 5 + 1);
    c.month = march_month < 10 ? march_month + 3 : march_month - 9;
    c.year = year_of_era + era * 400 + (c.month <= 2);
    return c;
}

static u8 encode(const struct rtc *r, unsigned value)
{
    return (u8)(r->cmos[REG_B] & B_BINARY ? value : value / 10 % 10 << 4 | value % 10);
}

static unsigned decode(const struct rtc *r, u8 raw)
{
    return r->cmos[REG_B] & B_BINARY ? raw : (raw >> 4) * 10u + (raw & 15);
}

static u8 encode_hour(const struct rtc *r, unsigned hour)
{
    if (r->cmos[REG_B] & B_24H) {
        return encode(r, hour);
    }
    return encode(r, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned decode_hour(const struct rtc *r, u8 raw)
{
    if (r->cmos[REG_B] & B_24H) {
        return decode(r, raw);
    }
    return decode(r, raw & 0x7F) % 12 + (raw & HOUR_PM ? 12 : 0);
}

static s64 time_at(const struct rtc *r, u64 ns)
{
    return r->base_s + (s64)((ns - r->base_ns) / NS_PER_S);
}

static u8 clock_register(const struct rtc *r, unsigned reg, u64 ns)
{
    struct civil c = civil_of(time_at(r, ns));
    switch (reg) {
    case REG_SECONDS:
        return encode(r, c.second);
    case REG_MINUTES:
        return encode(r, c.minute);
    case REG_HOURS:
        return encode_hour(r, c.hour);
    case REG_WEEKDAY:
        return encode(r, (c.weekday + r->weekday_offset) % 7 + 1);
    case REG_DAY:
        return encode(r, c.day);
    case REG_MONTH:
        return encode(r, c.month);
    case REG_YEAR:
        return encode(r, (unsigned)(c.year % 100));
    default: // century: always BCD, as ACPI's century byte is used
        return (u8)(c.year / 1000 % 10 << 4 | c.year / 100 % 10);
    }
}

static bool is_clock_register(unsigned reg)
{
    return reg == REG_SECONDS || reg == REG_MINUTES || reg == REG_HOURS || reg == REG_CENTURY ||
           (reg >= REG_WEEKDAY && reg <= REG_YEAR);
}

// Software's time from the registers; nonsense in them gives some time, never an overflow.
static void time_from_registers(struct rtc *r)
{
    const u8 *cmos = r->cmos;
    s64 year = (cmos[REG_CENTURY] >> 4) * 1000 + (cmos[REG_CENTURY] & 15) * 100 +
               (s64)decode(r, cmos[REG_YEAR]);
    unsigned month = decode(r, cmos[REG_MONTH]);
    month = month < 1 ? 1 : month > 12 ? 12 : month;
    s64 days = days_of(year, month, decode(r, cmos[REG_DAY]));
    r->base_s = days * 86400 + decode_hour(r, cmos[REG_HOURS]) * 3600 +
                decode(r, cmos[REG_MINUTES]) * 60 + decode(r, cmos[REG_SECONDS]);
    unsigned weekday = (decode(r, cmos[REG_WEEKDAY]) + 6) % 7;
    r->weekday_offset = (u8)((weekday + 7 - civil_of(r->base_s).weekday) % 7);
}

static void time_to_registers(struct rtc *r, u64 ns)
{
    for (unsigned reg = 0; reg < CMOS_BYTES; reg++) {
        if (is_clock_register(reg)) {
            r->cmos[reg] = clock_register(r, reg, ns);
        }
    }
}

// Ticks of 32768 Hz between periodic interrupts, 0 for none (MC146818, table 5).
static u64 period_ticks(const struct rtc *r)
{
    unsigned rate = r->cmos[REG_A] & A_RATE;
    if (!rate || (r->cmos[REG_A] & A_DIVIDER) != A_DIVIDER_RUN) {
        return 0;
    }
    return UINT64_C(1) << ((rate < 3 ? rate + 7 : rate) - 1);
}

// The first edge of a chain stage of so many 32768 Hz ticks after ns.
static u64 edge_after(const struct rtc *r, u64 ticks, u64 ns)
{
    u64 count = vclock_ticks(ns - r->base_ns, 32768) / ticks + 1;
    return r->base_ns + vclock_ns_of_ticks(count * ticks, 32768);
}

// The two top bits of an alarm byte mean "any" ("don't care" codes C0-FF).
static bool alarm_field(u8 alarm, u8 now)
{
    return alarm >= ALARM_ANY || alarm == now;
}

// Seconds from `after` to the next one whose alarm matches, at most limit and a day ahead; 0: none.
static u64 seconds_to_alarm(const struct rtc *r, s64 after, u64 limit)
{
    u64 n = 1;
    while (n <= 86400 && n <= limit) {
        struct civil c = civil_of(after + (s64)n);
        if (!alarm_field(r->cmos[REG_HOURS_ALARM], encode_hour(r, c.hour))) {
            n += 3600 - c.minute * 60 - c.second;
        } else if (!alarm_field(r->cmos[REG_MINUTES_ALARM], encode(r, c.minute))) {
            n += 60 - c.second;
        } else if (!alarm_field(r->cmos[REG_SECONDS_ALARM], encode(r, c.second))) {
            n++;
        } else {
            return n;
        }
    }
    return 0;
}

// Brings register C up to date: which edges and updates lie in (seen_ns, now].
static void flags_update(struct rtc *r, u64 now)
{
    u64 ticks = period_ticks(r);
    if (ticks && edge_after(r, ticks, r->seen_ns) <= now) {
        r->cmos[REG_C] |= C_PF;
    }
    if (!stands_still(r)) {
        s64 seen_s = time_at(r, r->seen_ns), now_s = time_at(r, now);
        if (now_s != seen_s) {
            r->cmos[REG_C] |= C_UF;
        }
        if (!(r->cmos[REG_C] & C_AF) && seconds_to_alarm(r, seen_s, (u64)(now_s - seen_s))) {
            r->cmos[REG_C] |= C_AF;
        }
    }
    r->seen_ns = now;
}

// The line and the next event, from flags that are up to date.
static void interrupt_update(struct device *dev)
{
    struct rtc *r = dev->state;
    u8 enabled = r->cmos[REG_B] & (B_PIE | B_AIE | B_UIE), *c = &r->cmos[REG_C];
    *c = (u8)((*c & ~C_IRQF) | (*c & enabled ? C_IRQF : 0));
    irq_set(&r->line, *c & C_IRQF);

    u64 now = r->seen_ns, next = EVENT_NEVER, ticks = period_ticks(r);
    u8 awaited = enabled & (u8)~*c; // flag and enable bits share their places
    if ((awaited & B_PIE) && ticks) {
        next = edge_after(r, ticks, now);
    }
    if ((awaited & (B_AIE | B_UIE)) && !stands_still(r)) {
        u64 n = awaited & B_UIE ? 1 : seconds_to_alarm(r, time_at(r, now), UINT64_MAX);
        u64 second_ns = r->base_ns + ((now - r->base_ns) / NS_PER_S + n) * NS_PER_S;
        next = n && second_ns < next ? second_ns : next;
    }
    event_set(dev->bus->events, r->event, next);
}

static void rtc_fire(void *ctx, u64 deadline_ns)
{
    struct device *dev = ctx;
    flags_update(dev->state, now_ns(dev));
    interrupt_update(dev);
}

// A write to register A or B that stops or starts the clock.
static void control_write(struct rtc *r, unsigned reg, u8 value, u64 now)
{
    bool was_reset = (r->cmos[REG_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
    if (!stands_still(r)) {
        time_to_registers(r, now);
    }
    r->cmos[reg] = reg == REG_A ? value & (u8)~A_UIP : value;
    if (r->cmos[REG_B] & B_SET) {
        r->cmos[REG_B] &= (u8)~B_UIE; // "SET": writing it clears UIE
    }
    bool is_reset = (r->cmos[REG_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
    if (was_reset && !is_reset) {
        // The first update comes half a second after the divider is released. (Before vtime 0,
        // base_ns wraps: it is only ever subtracted.)
        r->base_ns = now - NS_PER_S / 2;
    } else {
        r->base_ns = now - (now - r->base_ns) % NS_PER_S;
    }
    // Also where the clock ran on: a change between BCD and binary or 12 and 24 hours reinterprets
    // what stands there.
    time_from_registers(r);
    r->seen_ns = now;
}

static void register_write(struct device *dev, unsigned reg, u8 value)
{
    struct rtc *r = dev->state;
    u64 now = now_ns(dev);
    flags_update(r, now);
    if (reg == REG_A || reg == REG_B) {
        control_write(r, reg, value, now);
    } else if (is_clock_register(reg)) {
        if (!stands_still(r)) {
            // Allowed, though software is told to set SET first: the other fields go on from now.
            time_to_registers(r, now);
            r->cmos[reg] = value;
            r->base_ns = now - (now - r->base_ns) % NS_PER_S;
            time_from_registers(r);
        }
        r->cmos[reg] = value;
    } else if (reg != REG_C && reg != REG_D) {
        r->cmos[reg] = value;
    }
    interrupt_update(dev);
}

static u8 register_read(struct device *dev, unsigned reg)
{
    struct rtc *r = dev->state;
    u64 now = now_ns(dev);
    if (is_clock_register(reg) && !stands_still(r)) {
        return clock_register(r, reg, now);
    }
    if (reg == REG_A) {
        bool updating = !stands_still(r) && (now - r->base_ns) % NS_PER_S >= NS_PER_S - UIP_NS;
        return r->cmos[REG_A] | (updating ? A_UIP : 0);
    }
    if (reg == REG_C) {
        flags_update(r, now);
        interrupt_update(dev);
        u8 value = r->cmos[REG_C];
        r->cmos[REG_C] = 0;
        interrupt_update(dev);
        return value;
    }
    return r->cmos[reg];
}

static u64 rtc_read(void *ctx, u64 offset, unsigned size)
{
    struct device *dev = ctx;
    const struct rtc *r = dev->state;
    return offset & 1 ? register_read(dev, r->index) : 0xFF; // the index cannot be read
}

static void rtc_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct device *dev = ctx;
    struct rtc *r = dev->state;
    if (offset & 1) {
        register_write(dev, r->index, (u8)value);
    } else {
        r->index = value & 0x7F; // bit 7 masks NMI; nothing raises one through it
    }
}

static const struct io_ops rtc_ops = {rtc_read, rtc_write, 1};

static struct status rtc_create(struct device *dev, const void *fdt, int node)
{
    struct rtc *r = dev->state;
    u64 base, length;
    struct status s = device_reg(dev, fdt, node, &base, &length);
    if (status_ok(&s)) {
        s = io_space_add(dev->bus->ports, base, length, &rtc_ops, dev, "rtc");
    }
    if (status_ok(&s)) {
        s = device_irq(dev, fdt, node, 0, &r->line);
    }
    r->deadline_ns = EVENT_NEVER;
    const struct event e = {&r->deadline_ns, rtc_fire, dev, "rtc"};
    r->event = event_add(dev->bus->events, &e);
    return s;
}

// The memory sizes that firmware notes in CMOS, in KiB and above 16 MiB in 64 KiB.
static void memory_sizes(struct rtc *r, u64 low_bytes)
{
    u64 extended = low_bytes > 0x100000 ? (low_bytes - 0x100000) >> 10 : 0;
    u64 high = low_bytes > 0x1000000 ? (low_bytes - 0x1000000) >> 16 : 0;
    extended = extended > 0xFFFF ? 0xFFFF : extended;
    r->cmos[0x15] = 640 & 0xFF;
    r->cmos[0x16] = 640 >> 8;
    r->cmos[0x17] = r->cmos[0x30] = (u8)extended;
    r->cmos[0x18] = r->cmos[0x31] = (u8)(extended >> 8);
    r->cmos[0x34] = (u8)high;
    r->cmos[0x35] = (u8)(high >> 8);
}

static void rtc_reset(struct device *dev)
{
    struct rtc *r = dev->state;
    r->index = 0;
    if (r->cmos[REG_D] != D_VALID) {
        // Power-on. Afterwards the battery keeps time and memory over platform resets.
        memset(r->cmos, 0, sizeof(r->cmos));
        r->cmos[REG_A] = A_DIVIDER_RUN | 6;
        r->cmos[REG_B] = B_24H;
        r->cmos[REG_D] = D_VALID;
        r->base_s = (s64)dev->bus->host->rtc_base_s;
        r->base_ns = 0;
        r->weekday_offset = 0;
        memory_sizes(r, dev->bus->mem->low_bytes);
    }
    r->cmos[REG_B] &= (u8) ~(B_PIE | B_AIE | B_UIE);
    r->cmos[REG_C] = 0;
    r->seen_ns = now_ns(dev);
    interrupt_update(dev);
}

static const struct field rtc_fields[] = {
    FIELD(struct rtc, index),
    FIELD_ARRAY(struct rtc, cmos),
    FIELD(struct rtc, weekday_offset),
    FIELD_AS(struct rtc, base_s, FIELD_DECIMAL),
    FIELD_AS(struct rtc, base_ns, FIELD_DECIMAL),
    FIELD_AS(struct rtc, seen_ns, FIELD_DECIMAL),
    FIELD_AS(struct rtc, deadline_ns, FIELD_DECIMAL),
    FIELD_END,
};

const struct device_class rtc_class = {
    .name = "rtc",
    .compatible = "motorola,mc146818",
    .state_size = sizeof(struct rtc),
    .create = rtc_create,
    .reset = rtc_reset,
    .fields = rtc_fields,
};
