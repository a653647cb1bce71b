// SPDX-License-Identifier: MIT
// What guest.h knows, as tables for people.
#include "debugger/guest.h"

#include "abi/sched.h"
#include "base/memory.h"

#include <stdlib.h>

#define ROWS_MAX 4096u

static const char *policy_name(int policy)
{
    switch (policy) {
    case SCHED_NORMAL:
        return "normal";
    case SCHED_FIFO:
        return "fifo";
    case SCHED_RR:
        return "rr";
    case SCHED_BATCH:
        return "batch";
    case SCHED_IDLE:
        return "idle";
    default:
        return "?";
    }
}

static void print_cut(FILE *out, unsigned count, unsigned room)
{
    if (count > room) {
        fprintf(out, "... and %u more\n", count - room);
    }
}

void guest_print_tasks(FILE *out, struct guest *g)
{
    struct guest_task *tasks = xcalloc(ROWS_MAX, sizeof(*tasks));
    unsigned count = guest_tasks(g, tasks, ROWS_MAX);
    fprintf(out, "   PID  TGID  PPID S CPU  NI POLICY      VRUNTIME(ms) CR3         TASK           "
                 "    COMM\n");
    for (unsigned i = 0; i < count && i < ROWS_MAX; i++) {
        const struct guest_task *t = &tasks[i];
        char cpu[12] = "-";
        if (t->cpu >= 0) {
            snprintf(cpu, sizeof(cpu), "%d", t->cpu);
        }
        fprintf(out, "%6d %5d %5d %c %3s %3d %-8s %15.3f %#-11llx %#llx %s\n", t->pid, t->tgid,
                t->ppid, t->state, cpu, t->nice, policy_name(t->policy),
                (double)(s64)t->vruntime_ns / 1e6, (unsigned long long)t->cr3,
                (unsigned long long)t->address, t->comm);
    }
    print_cut(out, count, ROWS_MAX);
    free(tasks);
}

void guest_print_areas(FILE *out, struct guest *g, const struct guest_task *task)
{
    struct guest_area *areas = xcalloc(ROWS_MAX, sizeof(*areas));
    unsigned count = guest_areas(g, task, areas, ROWS_MAX);
    if (!count) {
        fprintf(out, "%d (%s) has no address space of its own\n", task->pid, task->comm);
    }
    for (unsigned i = 0; i < count && i < ROWS_MAX; i++) {
        const struct guest_area *a = &areas[i];
        fprintf(out, "%012llx-%012llx %s %08llx %s\n", (unsigned long long)a->begin,
                (unsigned long long)a->end, a->rights, (unsigned long long)a->offset, a->name);
    }
    print_cut(out, count, ROWS_MAX);
    free(areas);
}

static const char *access_mode(u32 flags)
{
    static const char *const names[4] = {"r", "w", "rw", "?"};
    return names[flags & 3];
}

void guest_print_files(FILE *out, struct guest *g, const struct guest_task *task)
{
    struct guest_file *files = xcalloc(ROWS_MAX, sizeof(*files));
    unsigned count = guest_files(g, task, files, ROWS_MAX);
    fprintf(out, "  FD MODE    POSITION FLAGS   PATH\n");
    for (unsigned i = 0; i < count && i < ROWS_MAX; i++) {
        const struct guest_file *f = &files[i];
        fprintf(out, "%4d %-4s %11llu %07o %s\n", f->fd, access_mode(f->flags),
                (unsigned long long)f->position, f->flags, f->path);
    }
    print_cut(out, count, ROWS_MAX);
    free(files);
}

void guest_print_run_queue(FILE *out, struct guest *g, unsigned cpu)
{
    struct guest_queued *queue = xcalloc(ROWS_MAX, sizeof(*queue));
    unsigned count = guest_run_queue(g, cpu, queue, ROWS_MAX);
    fprintf(out, "CPU %u\n          PID POLICY PRIO   VRUNTIME(ms) COMM\n", cpu);
    for (unsigned i = 0; i < count && i < ROWS_MAX; i++) {
        const struct guest_task *t = &queue[i].task;
        fprintf(out, "%-7s %5d %-6s %4d %14.3f %s\n", queue[i].running ? "running" : "", t->pid,
                policy_name(t->policy), t->rt_priority ? t->rt_priority : t->nice,
                (double)(s64)queue[i].vruntime_ns / 1e6, t->comm);
    }
    print_cut(out, count, ROWS_MAX);
    free(queue);
}
