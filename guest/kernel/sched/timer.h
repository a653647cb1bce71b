// SPDX-License-Identifier: MIT
// Time in nanoseconds and one-shot timers on per-CPU trees. No jiffies.
#pragma once

#include "lib/rbtree.h"
#include "lib/types.h"

#define KTIME_MAX ((ktime_t)~0ULL)

// Clock reads: any context, a seqcount read each.
ktime_t ktime_get(void);     // CLOCK_MONOTONIC (= BOOTTIME: the machine does not suspend)
u64 ktime_get_real(void);    // ns since the Epoch
int ktime_set_real(u64 ns);  // settimeofday; re-sorts timers of CLOCK_REALTIME
u64 ktime_real_offset(void); // real = monotonic + offset
u64 clock_resolution_ns(void);
void clock_set_real_offset(u64 offset); // for ktime_set_real only

enum hrtimer_restart { HRTIMER_NORESTART, HRTIMER_RESTART };
enum hrtimer_base { HRTIMER_MONOTONIC, HRTIMER_REALTIME };
struct hrtimer;
// Hard interrupt context. To go on, advance t->expires (hrtimer_forward) and return
// HRTIMER_RESTART.
typedef enum hrtimer_restart (*hrtimer_func_t)(struct hrtimer *t);

enum hrtimer_state { HRTIMER_IDLE, HRTIMER_QUEUED, HRTIMER_RUNNING }; // RUNNING: the callback
struct hrtimer {
    struct rb_node node;
    u64 expires; // absolute ns of its base's clock
    hrtimer_func_t func;
    enum hrtimer_base base;
    u8 state; // enum hrtimer_state
    u32 cpu;
};

void hrtimer_init(struct hrtimer *t, hrtimer_func_t func, enum hrtimer_base base);
// (Re)arms at an absolute time; a time in the past fires at once. Any context.
void hrtimer_start(struct hrtimer *t, u64 expires);
// Returns true if it was queued. Waits for a running callback (not from the callback itself).
bool hrtimer_cancel(struct hrtimer *t);
bool hrtimer_try_cancel(struct hrtimer *t); // false also if the callback runs right now
static inline bool hrtimer_active(const struct hrtimer *t)
{
    return __atomic_load_n(&t->state, __ATOMIC_RELAXED) != HRTIMER_IDLE;
}
// Will fire; not so while its callback runs, unless it has been started again.
static inline bool hrtimer_queued(const struct hrtimer *t)
{
    return __atomic_load_n(&t->state, __ATOMIC_RELAXED) == HRTIMER_QUEUED;
}
// ns left (0 if due or idle).
u64 hrtimer_remaining(const struct hrtimer *t);
// Moves expires past `now` in steps of interval; returns how many steps (overruns + 1).
u64 hrtimer_forward(struct hrtimer *t, u64 now, u64 interval);

// Sleep in the state already set with set_current_state, until woken or the absolute
// CLOCK_MONOTONIC deadline. Returns false if the time ran out. KTIME_MAX sleeps without a timer.
bool schedule_deadline(ktime_t deadline);
// As schedule_deadline for CLOCK_REALTIME (follows clock_settime).
bool schedule_deadline_real(u64 deadline);
void msleep(unsigned ms); // uninterruptible
void ndelay_busy(u64 ns); // busy wait, before the scheduler runs or with interrupts off

void timer_init(void);
void clock_init(void);           // calibrates or takes CPUID 0x15; reads the RTC
void timer_interrupt(bool user); // from the LAPIC vector, interrupts off
