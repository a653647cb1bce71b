// SPDX-License-Identifier: MIT
// The target: its parts, registers and memory, and the words for why it stands still.
#include "debugger/target_internal.h"

#include "base/memory.h"
#include "debugger/walk.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct target *target_create(const struct target_config *config)
{
    struct target *t = xcalloc(1, sizeof(*t));
    t->config = *config;
    t->timeline = config->timeline;
    t->m = timeline_machine(config->timeline);
    t->symbols = config->symbols ? config->symbols : symbols_create(); // empty: frame pointers
    t->guest = guest_create(t->m, t->symbols);
    t->disas = disas_create(t->symbols);
    t->ended_step = UINT64_MAX;
    t->outer = *machine_probes(t->m);
    t->outer_step = timeline_step(t->timeline);
    t->write_index = write_index_create();
    t->events = events_create(t->m, t->guest);
    events_reset(t->events, timeline_step(t->timeline));
    t->ledger_step = UINT64_MAX;
    target_set_stop(t, TARGET_STOP_START, "at the beginning");
    return t;
}

void target_destroy(struct target *t)
{
    if (!t) {
        return;
    }
    if (t->installed_count) {
        machine_set_watch(t->m, NULL, 0, NULL, t);
    }
    *machine_probes(t->m) = t->outer;
    events_destroy(t->events);
    write_index_destroy(t->write_index);
    ledger_destroy(t->ledger);
    disas_destroy(t->disas);
    guest_destroy(t->guest);
    if (!t->config.symbols) {
        symbols_destroy(t->symbols);
    }
    free(t);
}

struct timeline *target_timeline(struct target *t)
{
    return t->timeline;
}

struct machine *target_machine(struct target *t)
{
    return t->m;
}

struct symbols *target_symbols(struct target *t)
{
    return t->symbols;
}

const struct events *target_events(struct target *t)
{
    return t->events;
}

struct guest *target_guest(struct target *t)
{
    return t->guest;
}

unsigned target_cpu(const struct target *t)
{
    return t->cpu;
}

void target_select_cpu(struct target *t, unsigned cpu)
{
    if (cpu < machine_cpu_count(t->m)) {
        t->cpu = cpu;
        t->stop.cpu = cpu;
    }
}

u64 target_step(const struct target *t)
{
    return timeline_step(t->timeline);
}

int target_pid(struct target *t)
{
    struct guest_task task;
    return t->guest && guest_current(t->guest, t->cpu, &task) ? task.pid : 0;
}

u64 target_task(struct target *t)
{
    return guest_task_number(t->guest, t->m, t->cpu);
}

// --- why it stands still ---

const struct target_stop *target_last_stop(const struct target *t)
{
    return &t->stop;
}

// Names of user addresses are those of the program that runs now.
void target_choose_program(struct target *t)
{
    struct guest_task task;
    if (!t->symbols) {
        return;
    }
    if (!t->guest) {
        struct cpu_regs regs;
        target_regs(t, &regs);
        symbols_locate_kernel(t->symbols, regs.lstar);
    }
    if (t->guest && guest_current(t->guest, t->cpu, &task)) {
        guest_follow(t->guest, &task);
    } else {
        symbols_set_program(t->symbols, NULL);
    }
}

const struct target_stop *target_set_stop(struct target *t, enum target_stop_kind kind,
                                          const char *format, ...)
{
    struct machine_result result = t->result;
    t->stop = (struct target_stop){
        .kind = kind, .cpu = t->cpu, .step = timeline_step(t->timeline), .result = result};
    target_choose_program(t);
    va_list args;
    va_start(args, format);
    vsnprintf(t->stop.text, sizeof(t->stop.text), format, args);
    va_end(args);
    return &t->stop;
}

static const char *exit_text(const struct machine_result *r)
{
    switch (r->exit) {
    case MACHINE_EXIT_POWER_OFF:
        return "the guest switched itself off";
    case MACHINE_EXIT_DEBUG_EXIT:
        return "the guest ended";
    case MACHINE_EXIT_RESET:
        return "the guest reset the machine";
    case MACHINE_EXIT_SHUTDOWN:
        return "the guest shut down its CPU";
    case MACHINE_EXIT_STUCK:
        return "the guest waits for nothing: every CPU halted, no event pending, no input possible";
    default:
        return "the run ended";
    }
}

const struct target_stop *target_stop_for(struct target *t, enum engine_end end, u64 origin,
                                          bool back)
{
    unsigned long long step = timeline_step(t->timeline);
    switch (end) {
    case ENGINE_EXIT:
        if (t->result.exit == MACHINE_EXIT_DEBUG_EXIT) {
            return target_set_stop(t, TARGET_STOP_EXIT,
                                   "the guest ended with status %u at step %llu", t->result.value,
                                   step);
        }
        return target_set_stop(t, TARGET_STOP_EXIT, "%s at step %llu%s%s", exit_text(&t->result),
                               step, *t->result.text ? ": " : "", t->result.text);
    case ENGINE_END:
        return target_set_stop(t, TARGET_STOP_HISTORY_END, "the recording ends here, at step %llu",
                               step);
    case ENGINE_CANCELLED:
        return target_set_stop(t, TARGET_STOP_CANCELLED, "cancelled at step %llu", step);
    case ENGINE_MET:
        points_stop(t, &t->run.met, back);
        return &t->stop;
    case ENGINE_NOWHERE:
        return target_set_stop(t, TARGET_STOP_STEP,
                               "no caller is known of this place: not moved (step %llu)", step);
    case ENGINE_BEGIN:
    case ENGINE_REACHED:
        break;
    }
    if (end == ENGINE_BEGIN) {
        return target_set_stop(t, TARGET_STOP_HISTORY_BEGIN,
                               "history begins here, at step %llu: nothing before", step);
    }
    return target_set_stop(t, TARGET_STOP_STEP, "%s %llu step%s", back ? "back" : "on",
                           back ? (unsigned long long)origin - step : step - origin,
                           (back ? origin - step : step - origin) == 1 ? "" : "s");
}

void target_where(struct target *t, u64 address, char *text, u64 size)
{
    struct symbol_place place;
    if (!t->symbols || !symbols_place(t->symbols, address, &place) || !place.name) {
        snprintf(text, size, "0x%llx", (unsigned long long)address);
        return;
    }
    char offset[24] = "";
    if (place.offset) {
        snprintf(offset, sizeof(offset), "+0x%llx", (unsigned long long)place.offset);
    }
    if (place.file) {
        snprintf(text, size, "%s%s (%s:%u)", place.name, offset, place.file, place.line);
    } else {
        snprintf(text, size, "%s%s", place.name, offset);
    }
}

// --- registers and memory ---

void target_regs(struct target *t, struct cpu_regs *regs)
{
    cpu_get_regs(machine_cpu(t->m, t->cpu), regs);
}

void target_get_regs(struct target *t, unsigned cpu, struct cpu_regs *out)
{
    cpu_get_regs(machine_cpu(t->m, cpu), out);
}

void target_get_fpu(struct target *t, unsigned cpu, u8 out[CPU_FPU_BYTES])
{
    cpu_get_fpu(machine_cpu(t->m, cpu), out);
}

// What follows is another future.
static void branch(struct target *t)
{
    timeline_branch(t->timeline);
    events_cut(t->events, timeline_step(t->timeline));
    write_index_cut(t->write_index, timeline_step(t->timeline));
    t->ended_step = UINT64_MAX;
    t->ledger_step = UINT64_MAX;
}

void target_set_regs(struct target *t, unsigned cpu, const struct cpu_regs *regs)
{
    branch(t);
    input_log_write_regs(timeline_log(t->timeline), t->m, cpu, regs);
}

void target_set_fpu(struct target *t, unsigned cpu, const u8 in[CPU_FPU_BYTES])
{
    branch(t);
    input_log_write_fpu(timeline_log(t->timeline), t->m, cpu, in);
}

// Bytes from an address to the end of its page, at most size.
static u64 piece(u64 address, u64 size)
{
    u64 room = PAGE_SIZE - (address & PAGE_MASK);
    return size < room ? size : room;
}

u64 target_read(struct target *t, u64 linear, void *out, u64 size)
{
    u64 done = 0;
    while (done < size) {
        u64 n = piece(linear + done, size - done);
        if (!cpu_debug_read(machine_cpu(t->m, t->cpu), linear + done, (u8 *)out + done, n)) {
            break;
        }
        done += n;
    }
    return done;
}

bool target_read_all(void *target, u64 linear, void *out, u64 size)
{
    return target_read(target, linear, out, size) == size;
}

u64 target_read_physical(struct target *t, u64 gpa, void *out, u64 size)
{
    u64 done = 0;
    while (done < size) {
        u64 n = piece(gpa + done, size - done);
        if (!physmem_read(machine_memory(t->m), gpa + done, (u8 *)out + done, n)) {
            break;
        }
        done += n;
    }
    return done;
}

u64 target_write_physical(struct target *t, u64 gpa, const void *in, u64 size)
{
    u64 done = 0;
    while (done < size) {
        u64 n = piece(gpa + done, size - done);
        if (physmem_rpn(machine_memory(t->m), gpa + done) == PHYSMEM_NO_RPN) {
            break;
        }
        if (!done) {
            branch(t);
        }
        input_log_write_memory(timeline_log(t->timeline), t->m, gpa + done, (const u8 *)in + done,
                               (u32)n);
        done += n;
    }
    return done;
}

u64 target_write(struct target *t, u64 linear, const void *in, u64 size)
{
    u64 done = 0;
    struct walk_space space = walk_space_of_cpu(t->m, t->cpu);
    while (done < size) {
        struct walk walk;
        u64 n = piece(linear + done, size - done);
        walk_linear(&space, linear + done, &walk);
        if (!walk.mapped || target_write_physical(t, walk.gpa, (const u8 *)in + done, n) != n) {
            break;
        }
        done += n;
    }
    return done;
}
