// SPDX-License-Identifier: MIT
// The clock: nanoseconds from the TSC. Its rate comes from CPUID 0x15/0x16 or is measured against
// the PIT's channel 2 (82C54 data sheet); the date from the RTC (MC146818 data sheet).
#include "arch/x86_64/arch.h"
#include "arch/x86_64/io.h"
#include "lib/math.h"
#include "lib/printk.h"
#include "sched/lock.h"
#include "sched/timer.h"

#define PIT_HZ 1193182UL
#define PIT_CHANNEL2 0x42
#define PIT_COMMAND 0x43
#define PORT_B 0x61
#define CALIBRATE_MS 10

// ns = base_ns + (tsc - base_tsc) * mult / 2^32; written once at boot, and whenever the base moves.
static struct {
    seqcount_t seq;
    u64 base_tsc, base_ns, mult, real_offset;
} clock_state;
static DEFINE_SPINLOCK(clock_lock);
static u64 tsc_hz;

u64 clock_cycles_per_second(void)
{
    return tsc_hz;
}

ktime_t ktime_get(void)
{
    u64 ns;
    u32 seq;
    do {
        seq = read_seqcount_begin(&clock_state.seq);
        ns = clock_state.base_ns +
             (u64)(((unsigned __int128)(rdtsc() - clock_state.base_tsc) * clock_state.mult) >> 32);
    } while (read_seqcount_retry(&clock_state.seq, seq));
    return ns;
}

u64 clock_tsc_at(u64 ns)
{
    u64 delta = ns - clock_state.base_ns;
    return clock_state.base_tsc + mul_div_u64(delta, tsc_hz, NSEC_PER_SEC) + 1;
}

u64 ktime_real_offset(void)
{
    u64 v;
    u32 seq;
    do {
        seq = read_seqcount_begin(&clock_state.seq);
        v = clock_state.real_offset;
    } while (read_seqcount_retry(&clock_state.seq, seq));
    return v;
}

u64 ktime_get_real(void)
{
    return ktime_get() + ktime_real_offset();
}

void clock_set_real_offset(u64 offset)
{
    unsigned long flags;
    spin_lock_irqsave(&clock_lock, flags);
    write_seqcount_begin(&clock_state.seq);
    clock_state.real_offset = offset;
    write_seqcount_end(&clock_state.seq);
    spin_unlock_irqrestore(&clock_lock, flags);
}

u64 clock_resolution_ns(void)
{
    return 1;
}

void ndelay_busy(u64 ns)
{
    u64 end = ktime_get() + ns;
    while (ktime_get() < end)
        cpu_relax();
}

// CPUID 0x15 (crystal and ratio), then 0x16 (base MHz); 0 when neither says.
static u64 tsc_hz_from_cpuid(void)
{
    if (!cpu_features.genuine_intel || cpu_features.max_leaf < 0x15)
        return 0;
    struct cpuid_regs r = cpuid(0x15, 0);
    if (r.eax && r.ebx && r.ecx)
        return (u64)r.ecx * r.ebx / r.eax;
    if (cpu_features.max_leaf >= 0x16 && cpuid(0x16, 0).eax)
        return cpuid(0x16, 0).eax * 1000000UL;
    return 0;
}

// TSC cycles while channel 2 counts down CALIBRATE_MS in mode 0 (OUT goes up at the end: port 0x61
// bit 5).
static u64 tsc_hz_from_pit(void)
{
    u16 count = (u16)(PIT_HZ * CALIBRATE_MS / 1000);
    outb(PORT_B, (u8)((inb(PORT_B) & ~2) | 1)); // gate on, speaker off
    outb(PIT_COMMAND, 0xb0);
    outb(PIT_CHANNEL2, (u8)count);
    outb(PIT_CHANNEL2, (u8)(count >> 8));
    u64 start = rdtsc();
    while (!(inb(PORT_B) & 0x20))
        cpu_relax();
    return (rdtsc() - start) * 1000 / CALIBRATE_MS;
}

static u8 cmos(u8 reg)
{
    outb(0x70, reg);
    return inb(0x71);
}

static unsigned bcd(u8 v, bool binary)
{
    return binary ? v : (v >> 4) * 10u + (v & 15);
}

// Days from 1970-01-01 to a date of the Gregorian calendar.
static u64 days_from_civil(unsigned y, unsigned m, unsigned d)
{
    y -= m <= 2;
    unsigned era = y / 400, yoe = y % 400, doy = (153 * (m + (m > 2 ? -3u : 9)) + 2) / 5 + d - 1;
    return era * 146097UL + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static u64 rtc_seconds(void)
{
    while (cmos(0x0a) & 0x80) // update in progress
        cpu_relax();
    u8 status_b = cmos(0x0b);
    bool binary = status_b & 4;
    u8 hour_raw = cmos(4);
    unsigned hour = bcd(hour_raw & 0x7f, binary);
    if (!(status_b & 2))
        hour = hour % 12 + (hour_raw & 0x80 ? 12 : 0);
    unsigned sec = bcd(cmos(0), binary), min_ = bcd(cmos(2), binary), day = bcd(cmos(7), binary),
             month = bcd(cmos(8), binary), year = bcd(cmos(9), binary),
             century = bcd(cmos(0x32), binary);
    year += (century >= 19 && century <= 21) ? century * 100 : 2000;
    if (month < 1 || month > 12 || day < 1 || day > 31)
        return 0;
    return days_from_civil(year, month, day) * 86400 + hour * 3600 + min_ * 60 + sec;
}

void clock_init(void)
{
    tsc_hz = tsc_hz_from_cpuid();
    bool known = tsc_hz != 0;
    if (!known)
        tsc_hz = tsc_hz_from_pit();
    write_seqcount_begin(&clock_state.seq);
    clock_state.base_tsc = rdtsc();
    clock_state.mult = mul_div_u64(NSEC_PER_SEC, 1UL << 32, tsc_hz);
    write_seqcount_end(&clock_state.seq);
    clock_set_real_offset(rtc_seconds() * NSEC_PER_SEC - ktime_get());
    pr_info("clock: TSC %lu.%03lu MHz (%s)", tsc_hz / 1000000, tsc_hz / 1000 % 1000,
            known ? "CPUID" : "measured with the PIT");
}
