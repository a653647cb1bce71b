// SPDX-License-Identifier: MIT
// The run loop: at each boundary what is due happens in one fixed order, then a CPU runs up to the
// next boundary.
#include "base/check.h"
#include "machine/machine_internal.h"

#include <stdio.h>

#define IDLE_ROUNDS_MAX 4096 // idle jumps between looks at the door

// A number that depends on the seed and on when, so that no state is needed (SplitMix64's mixing).
static u64 chaos_number(const struct machine *m, u64 when)
{
    u64 x = when + m->chaos_seed * UINT64_C(0x9E3779B97F4A7C15) + UINT64_C(0x2545F4914F6CDD1D);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

// When the next event is to be looked at: its deadline, or a little later under --chaos.
static u64 next_deadline(const struct machine *m)
{
    u64 deadline = event_queue_next(m->events);
    if (m->chaos && deadline != EVENT_NEVER) {
        static const u64 ranges_ns[] = {64, 4096, 65536}; // a few instructions late, or many
        u64 number = chaos_number(m, deadline);
        u64 late = (number >> 2) % ranges_ns[(number & 3) % ARRAY_LEN(ranges_ns)];
        deadline = deadline < EVENT_NEVER - late ? deadline + late : deadline;
    }
    return deadline <= VCLOCK_END_NS ? deadline : EVENT_NEVER;
}

static u64 new_quantum(const struct machine *m)
{
    if (!m->chaos) {
        return MACHINE_QUANTUM_STEPS;
    }
    // Often as usual, at times so short that every instruction may be the last.
    static const u64 ranges[] = {16, 512, 2 * MACHINE_QUANTUM_STEPS, 2 * MACHINE_QUANTUM_STEPS};
    u64 number = chaos_number(m, m->clock.step);
    return 1 + (number >> 2) % ranges[number & 3];
}

static void begin_turn(struct machine *m, unsigned cpu)
{
    m->schedule.current = cpu;
    m->schedule.quantum_left = new_quantum(m);
}

static void fire_due(struct machine *m)
{
    u64 now = vclock_ns(&m->clock);
    if (next_deadline(m) <= now) {
        event_queue_fire(m->events, now);
    }
}

// Slices end at multiples of their length, wherever the run began.
static bool look_at_door(struct machine *m)
{
    bool slice_end = m->clock.step == m->next_poll_step;
    m->next_poll_step = (m->clock.step / MACHINE_SLICE_STEPS + 1) * MACHINE_SLICE_STEPS;
    m->idle_rounds = 0;
    return m->host.door.ops && m->host.door.ops->poll(m->host.door.ctx, slice_end);
}

// The CPU whose turn it is, passing over those that sleep; NULL if all do, and then nobody's turn
// ends: what is left of it must not depend on how often somebody looks.
static struct cpu *runnable_cpu(struct machine *m)
{
    for (unsigned i = 0; i < m->cpu_count; i++) {
        unsigned index = (m->schedule.current + i) % m->cpu_count;
        if (!cpu_is_asleep(m->cpus[index])) {
            if (i) {
                begin_turn(m, index);
            }
            return m->cpus[index];
        }
    }
    return NULL;
}

// Whether every CPU sleeps for good: closed to maskable interrupts, and nobody there who could send
// another, although timers may go on for ever.
static bool is_dead(const struct machine *m)
{
    for (unsigned i = 0; i < m->cpu_count; i++) {
        if (!cpu_is_closed(m->cpus[i])) {
            return false;
        }
    }
    for (unsigned i = 0; i < m->device_count; i++) {
        const struct device *dev = m->devices[i];
        if (dev->class->may_act && dev->class->may_act(dev)) {
            return false;
        }
    }
    return true;
}

static struct machine_result stuck_result(const char *why)
{
    struct machine_result result = {.exit = MACHINE_EXIT_STUCK};
    snprintf(result.text, sizeof(result.text), "%s", why);
    return result;
}

static void note_frame(struct machine *m)
{
    u64 now = vclock_ns(&m->clock);
    if (UNLIKELY(m->frame.due_ns <= now)) {
        m->frame.fn(m->frame.ctx, now, &m->frame.due_ns);
        CHECK(m->frame.due_ns > now);
    }
}

// Every CPU sleeps: time jumps, or the door waits. False if nothing can ever happen again.
static bool pass_idle_time(struct machine *m)
{
    u64 now = vclock_ns(&m->clock);
    u64 deadline = next_deadline(m);
    u64 until = deadline;
    if (m->host.door.ops) {
        until = m->host.door.ops->idle(m->host.door.ctx, now, deadline);
    }
    if (until == EVENT_NEVER) {
        return false;
    }
    CHECK(until >= now && until <= deadline);
    m->clock.idle_ns += until - now;
    note_frame(m);
    m->idle_rounds +=
        until == now ? IDLE_ROUNDS_MAX + 1 : 1; // no time passed: the door has something
    return true;
}

static u64 run_budget(const struct machine *m, u64 until_step)
{
    u64 deadline = next_deadline(m);
    deadline = m->frame.due_ns < deadline ? m->frame.due_ns : deadline;
    u64 budget = vclock_steps_until(&m->clock, deadline);
    u64 to_poll = m->next_poll_step - m->clock.step;
    u64 to_stop = until_step - m->clock.step;
    budget = budget < to_poll ? budget : to_poll;
    budget = budget < to_stop ? budget : to_stop;
    if (m->cpu_count > 1) {
        u64 turn = m->schedule.quantum_left;
        turn = turn > MACHINE_QUANTUM_STEPS && !m->chaos ? MACHINE_QUANTUM_STEPS : turn;
        budget = budget < turn ? budget : turn;
    }
    bool single = m->single_step == SINGLE_STEP_WANTED && m->single_step_cpu == m->schedule.current;
    return single && budget > 1 ? 1 : budget;
}

// The current CPU has made steps.
static void note_steps(struct machine *m)
{
    m->last_step[m->schedule.current] = m->clock.step - 1;
    if (m->single_step == SINGLE_STEP_WANTED && m->single_step_cpu == m->schedule.current) {
        m->single_step = SINGLE_STEP_DONE;
        m->stop_soon = true;
    }
}

// What is left of the turn after "ran" steps, a part of which may belong to a new one.
static u64 quantum_after(const struct machine *m, const struct cpu *cpu, u64 ran)
{
    u64 first = cpu_turn_step(cpu);
    return first == CPU_SAME_TURN ? m->schedule.quantum_left - ran
                                  : MACHINE_QUANTUM_STEPS - (m->clock.step - first);
}

static enum cpu_exit run_cpu(struct machine *m, struct cpu *cpu, u64 budget)
{
    u64 before = m->clock.step;
    m->bus.current_cpu = m->schedule.current;
    m->running = cpu;
    enum cpu_exit exit = cpu_run(cpu, budget);
    m->running = NULL;
    u64 ran = m->clock.step - before;
    CHECK(ran <= budget);
    m->at_step = ran != 0;
    if (ran) {
        note_steps(m);
    }
    if (m->cpu_count > 1) {
        m->schedule.quantum_left = quantum_after(m, cpu, ran);
        if (!m->schedule.quantum_left || exit == CPU_EXIT_YIELD) {
            begin_turn(m, (m->schedule.current + 1) % m->cpu_count);
        }
    }
    return exit;
}

static struct machine_result device_result(struct machine *m)
{
    static const enum machine_exit exits[] = {
        [MACHINE_STOP_POWER_OFF] = MACHINE_EXIT_POWER_OFF,
        [MACHINE_STOP_DEBUG_EXIT] = MACHINE_EXIT_DEBUG_EXIT,
        [MACHINE_STOP_RESET] = MACHINE_EXIT_RESET,
    };
    m->stop_wanted = false;
    return (struct machine_result){.exit = exits[m->stop_why], .value = m->stop_value};
}

// A chipset answers a CPU's shutdown with a reset. Nearly always the guest has come to grief, and
// whoever runs it wants to know where; but an IDT without a single vector is how a system asks for
// it.
static struct machine_result shutdown_result(const struct machine *m, const struct cpu *cpu)
{
    struct cpu_regs regs;
    cpu_get_regs(cpu, &regs);
    if (regs.idtr_limit == 0) {
        return (struct machine_result){.exit = MACHINE_EXIT_RESET};
    }
    struct machine_result result = {.exit = MACHINE_EXIT_SHUTDOWN};
    char which[24] = "";
    for (unsigned i = 0; i < m->cpu_count && m->cpu_count > 1; i++) {
        if (m->cpus[i] == cpu) {
            snprintf(which, sizeof(which), "CPU %u: ", i);
        }
    }
    snprintf(result.text, sizeof(result.text), "%s%.170s", which, cpu_shutdown_reason(cpu));
    return result;
}

static void begin_run(struct machine *m)
{
    for (unsigned i = 0; i < m->cpu_count; i++) {
        cpu_watch_begin(m->cpus[i], m->watch_first);
    }
    m->watch_first = false;
    m->in_run = true;
}

static struct machine_result run(struct machine *m, u64 until_step)
{
    for (;;) {
        if (m->stop_soon) {
            m->stop_soon = false;
            return (struct machine_result){.exit = MACHINE_EXIT_STOPPED};
        }
        if (m->stop_wanted) {
            return device_result(m);
        }
        if (m->clock.step >= until_step) {
            return (struct machine_result){.exit = MACHINE_EXIT_UNTIL};
        }
        note_frame(m);
        m->at_step = false;
        fire_due(m);
        if (!m->stop_soon &&
            (m->clock.step >= m->next_poll_step || m->idle_rounds > IDLE_ROUNDS_MAX) &&
            look_at_door(m)) {
            return (struct machine_result){.exit = MACHINE_EXIT_HOST};
        }
        if (m->stop_wanted || m->stop_soon) {
            continue;
        }
        struct cpu *cpu = runnable_cpu(m);
        if (!cpu) {
            if (is_dead(m)) {
                return stuck_result("every CPU is halted with interrupts off");
            }
            if (!pass_idle_time(m)) {
                return stuck_result(
                    "every CPU is halted, no event is pending and no input can come");
            }
            continue;
        }
        u64 budget = run_budget(m, until_step);
        if (budget && run_cpu(m, cpu, budget) == CPU_EXIT_SHUTDOWN && !m->stop_soon) {
            return shutdown_result(m, cpu);
        }
    }
}

struct machine_result machine_run(struct machine *m, u64 until_step)
{
    begin_run(m);
    struct machine_result result = run(m, until_step);
    m->in_run = false;
    return result;
}
