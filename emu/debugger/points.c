// SPDX-License-Identifier: MIT
// Breakpoints, watchpoints and catches: what they need from the machine and whether what was met is
// one of theirs.
#include "debugger/target_internal.h"

#include "base/bits.h"
#include "debugger/walk.h"

#include <string.h>

static const struct {
    u32 bit;
    const char *name;
} catch_names[] = {
    {TARGET_CATCH_SYSCALL, "system call"},
    {TARGET_CATCH_SYSCALL_RETURN, "return of system call"},
    {TARGET_CATCH_FAULT, "page fault"},
    {TARGET_CATCH_INTERRUPT, "interrupt"},
    {TARGET_CATCH_RING, "privilege transition"},
    {TARGET_CATCH_CR3, "write of CR3"},
    {TARGET_CATCH_MSR, "access to MSR"},
    {TARGET_CATCH_IO, "access to port"},
    {TARGET_CATCH_EXCEPTION, "exception"},
};

const char *point_catch_name(u32 bit)
{
    for (size_t i = 0; i < ARRAY_LEN(catch_names); i++) {
        if (catch_names[i].bit & bit) {
            return catch_names[i].name;
        }
    }
    return "event";
}

static bool is_watch(const struct target_point *p)
{
    return p->kind == TARGET_POINT_WATCH_WRITE || p->kind == TARGET_POINT_WATCH_READ ||
           p->kind == TARGET_POINT_WATCH_ACCESS;
}

static u8 watch_kinds(const struct target_point *p)
{
    switch (p->kind) {
    case TARGET_POINT_BREAK:
        return WATCH_EXECUTE;
    case TARGET_POINT_WATCH_WRITE:
        return WATCH_WRITE;
    case TARGET_POINT_WATCH_READ:
        return WATCH_READ;
    case TARGET_POINT_WATCH_ACCESS:
        return WATCH_READ | WATCH_WRITE;
    case TARGET_POINT_CATCH:
        break;
    }
    return 0;
}

unsigned points_ranges(struct target *t, struct watch_range *out, unsigned room)
{
    unsigned count = 0;
    for (unsigned i = 0; i < t->point_count && count < room; i++) {
        const struct target_point *p = &t->points[i].p;
        if (p->enabled && p->kind != TARGET_POINT_CATCH) {
            u64 size = p->kind == TARGET_POINT_BREAK ? 1 : p->size;
            out[count++] = (struct watch_range){p->address, size, watch_kinds(p)};
        }
    }
    return count;
}

bool points_any(const struct target *t)
{
    for (unsigned i = 0; i < t->point_count; i++) {
        if (t->points[i].p.enabled) {
            return true;
        }
    }
    return false;
}

u64 points_probes(const struct target *t)
{
    u64 probes = 0;
    for (unsigned i = 0; i < t->point_count; i++) {
        const struct target_point *p = &t->points[i].p;
        if (!p->enabled || p->kind != TARGET_POINT_CATCH) {
            continue;
        }
        probes |= p->catches & ~(u32)(TARGET_CATCH_FAULT | TARGET_CATCH_CR3 | TARGET_CATCH_MSR |
                                      TARGET_CATCH_IO)
                      ? BIT(PROBE_transition)
                      : 0;
        probes |= p->catches & TARGET_CATCH_FAULT ? BIT(PROBE_page_fault) : 0;
        probes |= p->catches & TARGET_CATCH_CR3 ? BIT(PROBE_cr3_write) : 0;
        probes |= p->catches & TARGET_CATCH_IO ? BIT(PROBE_port) : 0;
        probes |= p->catches & TARGET_CATCH_MSR ? BIT(PROBE_msr) : 0;
    }
    return probes;
}

// The kernel's half is mapped alike in every address space: as long as neither the watched page nor
// the tables below the root that lead to it are written, nothing is written through that address.
unsigned points_pages(struct target *t, u32 *pages, unsigned room)
{
    struct walk_space space = walk_space_of_cpu(t->m, t->cpu);
    const struct physmem *mem = machine_memory(t->m);
    unsigned count = 0;
    for (unsigned i = 0; i < t->point_count; i++) {
        const struct target_point *p = &t->points[i].p;
        struct walk walk;
        if (!p->enabled) {
            continue;
        }
        u64 last = p->address + p->size - 1;
        walk_linear(&space, p->address, &walk);
        if (p->kind != TARGET_POINT_WATCH_WRITE || !(p->address >> 63) || !walk.mapped ||
            (p->address ^ last) >> PAGE_SHIFT || count + ARRAY_LEN(walk.steps) > room) {
            return 0;
        }
        for (unsigned level = 1; level < walk.depth; level++) {
            pages[count++] = physmem_rpn(mem, walk.steps[level].entry_gpa);
        }
        pages[count++] = physmem_rpn(mem, walk.gpa);
    }
    for (unsigned i = 0; i < count; i++) {
        if (pages[i] == PHYSMEM_NO_RPN) {
            return 0;
        }
    }
    return count;
}

static u64 watched_value(struct target *t, const struct target_point *p)
{
    u64 value = 0;
    target_read(t, p->address, &value, p->size < 8 ? p->size : 8);
    return value;
}

void points_begin(struct target *t)
{
    for (unsigned i = 0; i < t->point_count; i++) {
        if (t->points[i].p.enabled && is_watch(&t->points[i].p)) {
            t->points[i].shadow = watched_value(t, &t->points[i].p);
        }
    }
}

// Puts what an access writes into the remembered value.
static void apply_write(struct point *point, const struct watch_hit *hit)
{
    u8 bytes[8];
    memcpy(bytes, &point->shadow, 8);
    for (u64 i = 0; i < 8 && i < point->p.size; i++) {
        u64 offset = point->p.address + i - hit->address;
        if (offset < hit->size && offset < sizeof(hit->bytes)) {
            bytes[i] = hit->bytes[offset];
        }
    }
    memcpy(&point->shadow, bytes, 8);
}

static void accept(struct target *t, struct point *point, const struct met *met)
{
    struct run *run = &t->run;
    if (run->back) {
        if (met->step < run->limit) {
            run->met = *met;
        }
        return;
    }
    point->p.hits++;
    if (point->p.ignore) {
        point->p.ignore--;
        if (met->hit.kind == WATCH_WRITE) {
            apply_write(point, &met->hit);
        }
        return;
    }
    if (!run->met.found) {
        run->met = *met;
    }
}

// Whether the running task is one of those meant: by process or thread number, by program.
static bool right_task(struct target *t, const struct target_point *p)
{
    struct guest_task task;
    char path[256];
    if (!p->pid && !*p->program) {
        return true;
    }
    if (!t->guest || !guest_current(t->guest, t->cpu, &task) ||
        (p->pid && task.pid != p->pid && task.tgid != p->pid)) {
        return false;
    }
    if (!*p->program) {
        return true;
    }
    guest_program(t->guest, &task, path, sizeof(path));
    const char *slash = strrchr(path, '/');
    return strcmp(slash ? slash + 1 : path, p->program) == 0;
}

// Accepts at once where no condition has to hold, else keeps it for the boundary.
static void propose(struct target *t, struct point *point, const struct met *met)
{
    struct run *run = &t->run;
    if (!right_task(t, &point->p)) {
        return;
    }
    if (!*point->p.condition) {
        accept(t, point, met);
    } else if (run->pending_count < ARRAY_LEN(run->pending)) {
        run->pending[run->pending_count++] = *met;
    }
}

static bool overlaps(const struct target_point *p, const struct watch_hit *hit)
{
    return hit->address < p->address + p->size && p->address < hit->address + hit->size;
}

void points_on_access(struct target *t, const struct watch_hit *hit)
{
    for (unsigned i = 0; i < t->point_count; i++) {
        struct point *point = &t->points[i];
        const struct target_point *p = &point->p;
        if (!p->enabled || !(watch_kinds(p) & hit->kind)) {
            continue;
        }
        struct met met = {
            .found = true, .step = hit->step, .cpu = hit->cpu, .number = p->number, .hit = *hit};
        if (hit->kind == WATCH_EXECUTE) {
            if (p->address == hit->address && right_task(t, p) &&
                target_condition(t, p->condition)) {
                accept(t, point, &met);
            }
        } else if (overlaps(p, hit)) {
            propose(t, point, &met);
        }
    }
}

static bool selected(const struct target_point *p, s64 number)
{
    return p->selector < 0 || p->selector == number;
}

static u32 transition_catch(struct target *t, const struct target_point *p,
                            const struct probe_event *e)
{
    bool call = e->cause == TRANSITION_SYSCALL;
    if ((p->catches & TARGET_CATCH_SYSCALL) && call && selected(p, target_syscall_number(t))) {
        return TARGET_CATCH_SYSCALL;
    }
    if ((p->catches & TARGET_CATCH_SYSCALL_RETURN) && e->to_cpl == 3 && e->from_cpl < 3) {
        s64 number = target_syscall_number(t);
        if (number >= 0 && selected(p, number)) {
            return TARGET_CATCH_SYSCALL_RETURN;
        }
    }
    if ((p->catches & TARGET_CATCH_INTERRUPT) && e->cause == TRANSITION_INTERRUPT &&
        selected(p, e->vector)) {
        return TARGET_CATCH_INTERRUPT;
    }
    bool exception = e->cause == TRANSITION_EXCEPTION || e->cause == TRANSITION_SOFT_INT;
    if ((p->catches & TARGET_CATCH_EXCEPTION) && exception && selected(p, e->vector)) {
        return TARGET_CATCH_EXCEPTION;
    }
    return (p->catches & TARGET_CATCH_RING) && e->from_cpl != e->to_cpl ? TARGET_CATCH_RING : 0;
}

// Which of a point's catches an event is; 0: none.
static u32 event_catch(struct target *t, const struct target_point *p, const struct probe_event *e)
{
    switch (e->kind) {
    case PROBE_transition:
        return transition_catch(t, p, e);
    case PROBE_page_fault:
        return p->catches & TARGET_CATCH_FAULT;
    case PROBE_cr3_write:
        return p->catches & TARGET_CATCH_CR3;
    case PROBE_port:
        return selected(p, (s64)e->address) ? p->catches & TARGET_CATCH_IO : 0;
    case PROBE_msr:
        return selected(p, (s64)e->address) ? p->catches & TARGET_CATCH_MSR : 0;
    default:
        return 0;
    }
}

void points_on_event(struct target *t, const struct probe_event *event)
{
    for (unsigned i = 0; i < t->point_count; i++) {
        struct point *point = &t->points[i];
        if (point->p.enabled && point->p.kind == TARGET_POINT_CATCH &&
            event_catch(t, &point->p, event)) {
            struct met met = {.found = true,
                              .step = event->step + 1,
                              .cpu = event->cpu,
                              .number = point->p.number,
                              .is_event = true,
                              .event = *event};
            propose(t, point, &met);
        }
    }
}

void points_judge(struct target *t)
{
    struct run *run = &t->run;
    unsigned count = run->pending_count;
    run->pending_count = 0;
    for (unsigned i = 0; i < count; i++) {
        const struct met met = run->pending[i];
        struct point *point = points_find(t, met.number);
        if (!point) {
            continue;
        }
        unsigned selected = t->cpu;
        t->cpu = met.cpu;
        bool holds = target_condition(t, point->p.condition);
        t->cpu = selected;
        if (holds) {
            accept(t, point, &met);
        } else if (!met.is_event && met.hit.kind == WATCH_WRITE) {
            apply_write(point, &met.hit);
        }
    }
}

struct point *points_find(struct target *t, int number)
{
    for (unsigned i = 0; i < t->point_count; i++) {
        if (t->points[i].p.number == number) {
            return &t->points[i];
        }
    }
    return NULL;
}

static struct status check_point(struct target *t, const struct target_point *p)
{
    if (t->point_count == POINTS_MAX) {
        return status_error(STATUS_USAGE, "there are %d points already; delete some", POINTS_MAX);
    }
    if (is_watch(p) && (!p->size || p->size > 4096 || p->address + p->size < p->address)) {
        return status_error(STATUS_USAGE, "a watchpoint covers 1 to 4096 bytes");
    }
    if (p->kind == TARGET_POINT_CATCH && !p->catches) {
        return status_error(STATUS_USAGE, "nothing to catch");
    }
    if (!*p->condition) {
        return status_success();
    }
    struct expr_env env = target_env(t);
    return expr_check(p->condition, &env);
}

struct status target_point_add(struct target *t, const struct target_point *point, int *number)
{
    struct status s = check_point(t, point);
    if (!status_ok(&s)) {
        return s;
    }
    struct point *added = &t->points[t->point_count++];
    *added = (struct point){.p = *point};
    added->p.number = ++t->next_number;
    *number = added->p.number;
    return s;
}

bool target_point_remove(struct target *t, int number)
{
    struct point *point = points_find(t, number);
    if (!point) {
        return false;
    }
    size_t after = (size_t)(&t->points[t->point_count] - (point + 1));
    memmove(point, point + 1, after * sizeof(*point));
    t->point_count--;
    return true;
}

struct target_point *target_point_get(struct target *t, int number)
{
    struct point *point = points_find(t, number);
    return point ? &point->p : NULL;
}

unsigned target_point_list(struct target *t, const struct target_point **out, unsigned room)
{
    for (unsigned i = 0; i < t->point_count && i < room; i++) {
        out[i] = &t->points[i].p;
    }
    return t->point_count;
}
