// SPDX-License-Identifier: MIT
// The fake target.
#include "fake_target.h"

#include "base/memory.h"
#include "debugger/walk.h"

#include <stdlib.h>
#include <string.h>

#define POINTS_MAX 64

struct target {
    bool (*cancel)(void *ctx);
    void *ctx;
    u64 step, end;
    struct cpu_regs regs;
    u8 fxsave[CPU_FPU_BYTES];
    u8 memory[FAKE_MEMORY_SIZE];
    struct target_point points[POINTS_MAX];
    unsigned point_count, writes;
    int next_number;
    struct target_stop stop;
};

static const struct target_stop *stop_at(struct target *t, enum target_stop_kind kind, int number)
{
    t->stop = (struct target_stop){.kind = kind, .number = number, .step = t->step};
    t->regs.rip = FAKE_CODE + t->step;
    snprintf(t->stop.text, sizeof(t->stop.text), "stop %d at step %llu", kind,
             (unsigned long long)t->step);
    return &t->stop;
}

struct target *fake_target_create(bool (*cancel)(void *ctx), void *ctx)
{
    struct target *t = xcalloc(1, sizeof(*t));
    t->cancel = cancel;
    t->ctx = ctx;
    t->step = FAKE_BEGIN;
    t->end = FAKE_BEGIN;
    t->regs.rflags = 0x202;
    for (unsigned i = 0; i < 16; i++) {
        t->regs.gpr[i] = 0x1111111111111111u * i;
    }
    u64 saved[] = {15, 14, 13, 12, 3, 5, 0x401234};
    memcpy(t->memory, saved, sizeof(saved));
    stop_at(t, TARGET_STOP_START, 0);
    return t;
}

void fake_target_destroy(struct target *t)
{
    free(t);
}

unsigned fake_target_points(const struct target *t)
{
    return t->point_count;
}

unsigned fake_target_writes(const struct target *t)
{
    return t->writes;
}

u8 *fake_target_memory(struct target *t)
{
    return t->memory;
}

struct timeline *target_timeline(struct target *t)
{
    return (struct timeline *)(void *)t;
}

static struct target *of(const struct timeline *timeline)
{
    return (struct target *)(void *)timeline;
}

u64 timeline_step(const struct timeline *timeline)
{
    return of(timeline)->step;
}

u64 timeline_begin(const struct timeline *timeline)
{
    return FAKE_BEGIN;
}

u64 timeline_end(const struct timeline *timeline)
{
    return of(timeline)->end;
}

struct machine *target_machine(struct target *t)
{
    return NULL;
}

unsigned machine_cpu_count(const struct machine *m)
{
    return 1;
}

unsigned target_cpu(const struct target *t)
{
    return 0;
}

void target_select_cpu(struct target *t, unsigned cpu)
{
}

struct guest *target_guest(struct target *t)
{
    return (struct guest *)(void *)t;
}

bool guest_task_by_pid(struct guest *g, int pid, struct guest_task *out)
{
    *out = (struct guest_task){.pid = pid, .comm = "<a&b>", .state = 'S', .cpu = -1};
    out->kernel_stack = pid * UINT64_C(0x10000);
    if (pid == FAKE_SLEEPER) {
        out->kernel_rsp = FAKE_MEMORY;
        out->cr3 = 0x5000;
    }
    return pid == FAKE_PID || pid == FAKE_SLEEPER;
}

bool guest_current(struct guest *g, unsigned cpu, struct guest_task *out)
{
    const struct target *t = (const struct target *)(const void *)g;
    return guest_task_by_pid(g, t->step < FAKE_SWITCH_STEP ? FAKE_PID : FAKE_SLEEPER, out);
}

unsigned guest_tasks(struct guest *g, struct guest_task *out, unsigned room)
{
    for (unsigned i = 0; i < 2 && i < room; i++) {
        guest_task_by_pid(g, (int)i + 1, &out[i]);
    }
    return 2;
}

const struct target_stop *target_last_stop(const struct target *t)
{
    return &t->stop;
}

static const struct target_stop *meet(struct target *t, enum target_direction direction)
{
    u64 rip = FAKE_CODE + t->step;
    for (unsigned i = 0; i < t->point_count; i++) {
        const struct target_point *p = &t->points[i];
        if (p->kind == TARGET_POINT_BREAK && p->address == rip) {
            return stop_at(t, TARGET_STOP_BREAKPOINT, p->number);
        }
        if (p->kind == TARGET_POINT_CATCH && (p->selector == 257 || p->selector < 0) &&
            (t->step == FAKE_SYSCALL_STEP || t->step == FAKE_SYSCALL_STEP + 10)) {
            bool enter = t->step == FAKE_SYSCALL_STEP;
            stop_at(t, TARGET_STOP_CATCH, p->number);
            t->stop.catches = enter ? TARGET_CATCH_SYSCALL : TARGET_CATCH_SYSCALL_RETURN;
            t->stop.caught = 257;
            return &t->stop;
        }
        // Every tenth step writes the first byte of memory.
        if (p->kind != TARGET_POINT_BREAK && p->kind != TARGET_POINT_CATCH &&
            p->address <= FAKE_MEMORY && p->address + p->size > FAKE_MEMORY && t->step % 10 == 0) {
            stop_at(t, TARGET_STOP_WATCHPOINT, p->number);
            t->stop.address = FAKE_MEMORY;
            return &t->stop;
        }
    }
    return NULL;
}

const struct target_stop *target_continue(struct target *t, enum target_direction direction)
{
    for (;;) {
        if (direction == TARGET_BACK && t->step == FAKE_BEGIN) {
            return stop_at(t, TARGET_STOP_HISTORY_BEGIN, 0);
        }
        if (direction == TARGET_FORWARD && t->step == FAKE_END) {
            stop_at(t, TARGET_STOP_EXIT, 0);
            t->stop.result = (struct machine_result){.exit = MACHINE_EXIT_DEBUG_EXIT, .value = 7};
            return &t->stop;
        }
        t->step += direction == TARGET_FORWARD ? 1 : (u64)-1;
        t->end = t->step > t->end ? t->step : t->end;
        const struct target_stop *stop = meet(t, direction);
        if (stop) {
            return stop;
        }
        if (t->cancel(t->ctx)) {
            return stop_at(t, TARGET_STOP_CANCELLED, 0);
        }
    }
}

const struct target_stop *target_move(struct target *t, enum target_direction direction,
                                      enum target_unit unit, u64 count)
{
    if (direction == TARGET_BACK && t->step == FAKE_BEGIN) {
        return stop_at(t, TARGET_STOP_HISTORY_BEGIN, 0);
    }
    if (t->step == FAKE_END && direction == TARGET_FORWARD) {
        return target_continue(t, direction);
    }
    if (unit == TARGET_SWITCH) { // there is none: the sleeper sleeps on
        t->step = FAKE_END;
        return target_continue(t, direction);
    }
    t->step += direction == TARGET_FORWARD ? 1 : (u64)-1;
    t->end = t->step > t->end ? t->step : t->end;
    return stop_at(t, TARGET_STOP_STEP, 0);
}

const struct target_stop *target_seek(struct target *t, u64 step)
{
    t->step = step;
    return stop_at(t, TARGET_STOP_SEEK, 0);
}

struct status target_point_add(struct target *t, const struct target_point *point, int *number)
{
    if (t->point_count == POINTS_MAX) {
        return status_error(STATUS_BAD_INPUT, "full");
    }
    struct target_point *p = &t->points[t->point_count++];
    *p = *point;
    *number = p->number = ++t->next_number;
    return status_success();
}

bool target_point_remove(struct target *t, int number)
{
    for (unsigned i = 0; i < t->point_count; i++) {
        if (t->points[i].number == number) {
            t->points[i] = t->points[--t->point_count];
            return true;
        }
    }
    return false;
}

void target_get_regs(struct target *t, unsigned cpu, struct cpu_regs *out)
{
    *out = t->regs;
}

void target_get_fpu(struct target *t, unsigned cpu, u8 out[CPU_FPU_BYTES])
{
    memcpy(out, t->fxsave, sizeof(t->fxsave));
}

void target_set_regs(struct target *t, unsigned cpu, const struct cpu_regs *regs)
{
    t->regs = *regs;
    t->writes++;
    t->end = t->step;
}

void target_set_fpu(struct target *t, unsigned cpu, const u8 in[CPU_FPU_BYTES])
{
    memcpy(t->fxsave, in, sizeof(t->fxsave));
    t->writes++;
    t->end = t->step;
}

static u64 inside(u64 address, u64 size)
{
    if (address < FAKE_MEMORY || address >= FAKE_MEMORY + FAKE_MEMORY_SIZE) {
        return 0;
    }
    u64 left = FAKE_MEMORY + FAKE_MEMORY_SIZE - address;
    return size < left ? size : left;
}

u64 target_read(struct target *t, u64 linear, void *out, u64 size)
{
    size = inside(linear, size);
    memcpy(out, t->memory + (size ? linear - FAKE_MEMORY : 0), size);
    return size;
}

u64 target_write(struct target *t, u64 linear, const void *in, u64 size)
{
    size = inside(linear, size);
    memcpy(t->memory + (size ? linear - FAKE_MEMORY : 0), in, size);
    t->writes += size != 0;
    t->end = t->step;
    return size;
}

u64 target_read_physical(struct target *t, u64 gpa, void *out, u64 size)
{
    return target_read(t, gpa - FAKE_PHYSICAL, out, size);
}

u64 target_write_physical(struct target *t, u64 gpa, const void *in, u64 size)
{
    return target_write(t, gpa - FAKE_PHYSICAL, in, size);
}

struct walk_space walk_space_of_cpu(const struct machine *m, unsigned cpu)
{
    return (struct walk_space){.cr3 = 0x6000};
}

// A task of its own sees nothing but zeros on one page.
void walk_linear(const struct walk_space *space, u64 linear, struct walk *out)
{
    *out = (struct walk){.mapped = linear / 4096 == 0x70,
                         .gpa = FAKE_PHYSICAL + FAKE_MEMORY + linear % 4096};
}

u64 walk_read(const struct walk_space *space, u64 linear, void *out, u64 size)
{
    if (linear / 4096 != 0x70) {
        return 0;
    }
    u64 left = 4096 - linear % 4096;
    size = size < left ? size : left;
    memset(out, 0, size);
    return size;
}

bool target_command(struct target *t, const char *line, FILE *out)
{
    if (strcmp(line, "back") == 0) {
        target_seek(t, FAKE_BEGIN);
    }
    fprintf(out, "you said: %s\n", line);
    return true;
}
