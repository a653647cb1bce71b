// SPDX-License-Identifier: MIT
// From the debugger's view of fern to the tracer's questions.
#include "frontends/guest_names.h"

#include "base/memory.h"
#include "debugger/guest.h"
#include "trace/guest_view.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_ROOM 256
#define QUEUE_ROOM 256
#define EXTABLE_MAX 16384 // entries

struct guest_names {
    struct machine *m;
    struct symbols *symbols;
    struct guest *guest; // NULL: no kernel whose structures are known
    struct guest_file files[FILES_ROOM];
    struct guest_queued queue[QUEUE_ROOM];
    bool is_linux;
    // The exception table: fern's, pairs of instruction and fixup; Linux's, of 12 bytes with the
    // instruction's distance first (arch/x86/include/asm/extable.h).
    u64 table_begin, table_end;
    u64 *table;                 // the instructions; read at first use
    unsigned table_count;
};

// Linux may lie elsewhere than it was linked for: asked again when the table is read.
static void locate_table(struct guest_names *n)
{
    const char *begin = n->is_linux ? "__start___ex_table" : "ex_table_start";
    const char *end = n->is_linux ? "__stop___ex_table" : "ex_table_end";
    if (!symbols_kernel_address(n->symbols, begin, &n->table_begin) ||
        !symbols_kernel_address(n->symbols, end, &n->table_end)) {
        n->table_begin = n->table_end = 0;
    }
}

struct guest_names *guest_names_open(struct session *s)
{
    struct guest_names *n = xcalloc(1, sizeof(*n));
    n->m = s->machine;
    n->symbols = symbols_create();
    struct status added = symbols_add(n->symbols, s->boot.kernel_path, 0, true);
    if (status_ok(&added)) {
        n->guest = guest_create(s->machine, n->symbols);
        n->is_linux = symbols_kernel_is_linux(n->symbols);
        locate_table(n);
    }
    return n;
}

void guest_names_close(struct guest_names *n)
{
    if (n) {
        guest_destroy(n->guest);
        symbols_destroy(n->symbols);
        free(n->table);
        free(n);
    }
}

static bool current(void *ctx, unsigned cpu, struct trace_task *out)
{
    struct guest_names *n = ctx;
    struct guest_task task;
    if (!guest_current(n->guest, cpu, &task)) {
        return false;
    }
    *out = (struct trace_task){.id = task.address, .pid = task.pid, .process = task.tgid};
    snprintf(out->name, sizeof(out->name), "%s", task.comm);
    return true;
}

static bool fd_path(void *ctx, int pid, int fd, char *path, size_t size)
{
    struct guest_names *n = ctx;
    struct guest_task task;
    if (!guest_task_by_pid(n->guest, pid, &task)) {
        return false;
    }
    if (fd == AT_FDCWD) {
        guest_directory(n->guest, &task, path, size);
        return *path != '\0';
    }
    unsigned count = guest_files(n->guest, &task, n->files, FILES_ROOM);
    for (unsigned i = 0; i < count && i < FILES_ROOM; i++) {
        if (n->files[i].fd == fd) {
            snprintf(path, size, "%s", n->files[i].path);
            return *path != '\0';
        }
    }
    return false;
}

static int queued(void *ctx, unsigned cpu)
{
    struct guest_names *n = ctx;
    return (int)guest_run_queue(n->guest, cpu, n->queue, QUEUE_ROOM);
}

// The kernel is mapped by the first fault, and its table never changes.
static void read_table(struct guest_names *n)
{
    struct cpu_regs regs;
    cpu_get_regs(machine_cpu(n->m, 0), &regs);
    if (n->is_linux && !regs.lstar) {
        return; // it has not settled
    }
    symbols_locate_kernel(n->symbols, regs.lstar);
    locate_table(n);
    u64 bytes = n->is_linux ? 12 : 16, count = (n->table_end - n->table_begin) / bytes;
    n->table = xcalloc(EXTABLE_MAX, sizeof(*n->table));
    for (u64 i = 0; i < count && i < EXTABLE_MAX; i++) {
        u64 at = n->table_begin + i * bytes;
        s32 distance;
        bool read = n->is_linux ? guest_read(n->m, 0, at, &distance, sizeof(distance))
                             : guest_read(n->m, 0, at, &n->table[i], 8);
        if (!read) {
            return;
        }
        n->table[i] = n->is_linux ? at + (u64)(s64)distance : n->table[i];
        n->table_count++;
    }
}

static bool in_extable(void *ctx, u64 rip)
{
    struct guest_names *n = ctx;
    if (!n->table) {
        read_table(n);
    }
    for (unsigned i = 0; i < n->table_count; i++) {
        if (n->table[i] == rip) {
            return true;
        }
    }
    return false;
}

struct trace_guest guest_names_answers(struct guest_names *n)
{
    struct trace_guest answers = {.ctx = n};
    if (n->guest) {
        answers.current = current;
        answers.fd_path = fd_path;
        answers.queued = queued;
    }
    static const char *const wakes[] = {"wake_up_state", "wake_up_new_task"}; // fern's
    for (unsigned i = 0; n->guest && i < ARRAY_LEN(wakes); i++) {
        u64 *address = &answers.wake_functions[answers.wake_function_count];
        answers.wake_function_count += symbols_kernel_address(n->symbols, wakes[i], address);
    }
    if (n->table_end > n->table_begin) {
        answers.in_extable = in_extable;
    }
    return answers;
}
