// SPDX-License-Identifier: MIT
// The machine's one time (DESIGN.md, invariant 1). Steps count execution; vtime adds idle time and
// drives every guest clock.
#ifndef VIV_BUS_VCLOCK_H
#define VIV_BUS_VCLOCK_H

#include "base/types.h"

// The end of time, 146 years after power-on: what is due later never comes, so that sums of steps,
// deadlines and periods do not overflow.
#define VCLOCK_END_NS (UINT64_C(1) << 62)

struct vclock {
    u64 step;    // exact at every boundary and whenever a device is accessed
    u64 idle_ns; // hashed state; grows only while every CPU is halted
    u64 step_ps; // picoseconds of vtime per step (default 1000)
};

// Nanoseconds since power-on. No overflow: 128-bit product.
static inline u64 vclock_ns(const struct vclock *clock)
{
    if (clock->step_ps == 1000) {
        return clock->step + clock->idle_ns;
    }
    return (u64)((unsigned __int128)clock->step * clock->step_ps / 1000) + clock->idle_ns;
}

// Steps from now until vtime reaches deadline_ns: the smallest n >= 0 for which it has been
// reached.
static inline u64 vclock_steps_until(const struct vclock *clock, u64 deadline_ns)
{
    if (deadline_ns <= clock->idle_ns) {
        return 0;
    }
    unsigned __int128 ps = (unsigned __int128)(deadline_ns - clock->idle_ns) * 1000;
    unsigned __int128 target = (ps + clock->step_ps - 1) / clock->step_ps;
    if (target <= clock->step) {
        return 0;
    }
    target -= clock->step;
    return target > UINT64_MAX ? UINT64_MAX : (u64)target;
}

// Ticks of a counter of the given frequency at vtime ns (exact, rounded down).
static inline u64 vclock_ticks(u64 ns, u64 hz)
{
    if (hz == 1000000000) { // the TSC, as a rule: no division of 128 bits
        return ns;
    }
    return (u64)((unsigned __int128)ns * hz / 1000000000u);
}

// The earliest vtime in ns at which a counter of the given frequency has reached ticks.
static inline u64 vclock_ns_of_ticks(u64 ticks, u64 hz)
{
    unsigned __int128 ns = ((unsigned __int128)ticks * 1000000000u + hz - 1) / hz;
    return ns > UINT64_MAX ? UINT64_MAX : (u64)ns;
}

#endif
