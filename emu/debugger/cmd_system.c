// SPDX-License-Identifier: MIT
// Commands about the processor's tables, devices, and the structures of the guest's kernel.
#include "debugger/commands.h"

#include "base/bits.h"
#include "debugger/tables.h"
#include "debugger/walk.h"

#include <string.h>

bool cmd_walk(struct target *t, const char *args, FILE *out)
{
    struct walk_space space = walk_space_of_cpu(t->m, t->cpu);
    u64 address;
    unsigned access = place_here(t).cpl == 3 ? WALK_USER : 0;
    if (args_end(args)) {
        return command_usage("walk", out);
    }
    if (!args_number(t, &args, &address, out)) {
        return false;
    }
    while (!args_end(args)) {
        char word[8];
        args_word(&args, word, sizeof(word));
        if (strcmp(word, "w") == 0) {
            access |= WALK_WRITE;
        } else if (strcmp(word, "x") == 0) {
            access |= WALK_FETCH;
        } else if (strcmp(word, "user") == 0) {
            access |= WALK_USER;
        } else if (strcmp(word, "r") != 0) {
            return command_usage("walk", out);
        }
    }
    walk_print(out, &space, address, access);
    return true;
}

// --- tlb: runs of pages that are mapped alike ---

#define RANGES_MAX 400

struct mapped_range {
    u64 begin, end, gpa;
    bool writable, user, executable;
};

static void print_range(const struct mapped_range *r, FILE *out)
{
    fprintf(out, "%016llx-%016llx  %6llu KiB  at %012llx  %s r%c%c\n", (unsigned long long)r->begin,
            (unsigned long long)r->end - 1, (unsigned long long)(r->end - r->begin) >> 10,
            (unsigned long long)r->gpa, r->user ? "user  " : "kernel", r->writable ? 'w' : '-',
            r->executable ? 'x' : '-');
}

static bool continues(const struct mapped_range *r, const struct walk *w, u64 linear)
{
    return r->end == linear && r->gpa + (linear - r->begin) == w->gpa &&
           r->writable == w->writable && r->user == w->user && r->executable == w->executable;
}

// The first address behind what one entry covers.
static u64 next_address(const struct walk *w, u64 linear)
{
    u64 size = w->mapped ? w->page_size : PAGE_SIZE << 9 * (4 - w->depth);
    return (linear & ~(size - 1)) + size;
}

bool cmd_tlb(struct target *t, const char *args, FILE *out)
{
    struct walk_space space = walk_space_of_cpu(t->m, t->cpu);
    struct mapped_range range = {0};
    u64 linear;
    unsigned shown = 0;
    if (!args_optional(t, &args, 0, &linear, out)) {
        return false;
    }
    linear &= ~PAGE_MASK;
    do {
        struct walk walk;
        if (linear >> 47 == 1) {
            linear = ~UINT64_C(0) << 47; // the hole of addresses that are not canonical
        }
        walk_linear(&space, linear, &walk);
        if (walk.mapped && walk.page_size > PAGE_SIZE) {
            walk.gpa &= ~(walk.page_size - 1);
            linear &= ~(walk.page_size - 1);
        }
        u64 next = next_address(&walk, linear);
        if (walk.mapped && !continues(&range, &walk, linear)) {
            if (range.end) {
                print_range(&range, out);
                shown++;
            }
            range = (struct mapped_range){linear,        next,      walk.gpa,
                                          walk.writable, walk.user, walk.executable};
        } else if (walk.mapped) {
            range.end = next;
        }
        linear = next;
    } while (linear && shown < RANGES_MAX && !target_cancelled(t));
    if (range.end) {
        print_range(&range, out);
    }
    if (linear) {
        fprintf(out, "... tlb 0x%llx shows more\n", (unsigned long long)linear);
    }
    return true;
}

// --- tables and devices ---

bool cmd_idt(struct target *t, const char *args, FILE *out)
{
    tables_idt(out, t->m, t->cpu, t->symbols);
    return true;
}

bool cmd_gdt(struct target *t, const char *args, FILE *out)
{
    tables_gdt(out, t->m, t->cpu);
    return true;
}

bool cmd_tss(struct target *t, const char *args, FILE *out)
{
    tables_tss(out, t->m, t->cpu);
    return true;
}

bool cmd_msr(struct target *t, const char *args, FILE *out)
{
    tables_msrs(out, t->m, t->cpu, t->symbols);
    return true;
}

bool cmd_cr(struct target *t, const char *args, FILE *out)
{
    tables_control(out, t->m, t->cpu);
    return true;
}

bool cmd_cpu(struct target *t, const char *args, FILE *out)
{
    u64 number;
    if (args_end(args)) {
        tables_cpu_fields(out, t->m, t->cpu);
        return true;
    }
    if (!args_number(t, &args, &number, out)) {
        return false;
    }
    if (number >= machine_cpu_count(t->m)) {
        fprintf(out, "there is no CPU %llu; cpus lists them\n", (unsigned long long)number);
        return false;
    }
    target_select_cpu(t, (unsigned)number);
    print_place(t, out);
    return true;
}

bool cmd_cpus(struct target *t, const char *args, FILE *out)
{
    u64 left;
    unsigned turn = machine_turn(t->m, &left);
    for (unsigned i = 0; i < machine_cpu_count(t->m); i++) {
        struct cpu_regs regs;
        struct guest_task task;
        char where[100];
        target_get_regs(t, i, &regs);
        target_where(t, regs.rip, where, sizeof(where));
        fprintf(out, "%c cpu %u  ring %u%s  %s", i == t->cpu ? '>' : ' ', i, regs.cpl,
                regs.halted ? "  halted" : "", where);
        if (t->guest && guest_current(t->guest, i, &task)) {
            fprintf(out, "  pid %d (%s)", task.pid, task.comm);
        }
        if (i == turn && machine_cpu_count(t->m) > 1) {
            fprintf(out, "  has the turn, %llu steps left", (unsigned long long)left);
        }
        fputc('\n', out);
    }
    return true;
}

bool cmd_devices(struct target *t, const char *args, FILE *out)
{
    tables_devices(out, t->m);
    return true;
}

bool cmd_device(struct target *t, const char *args, FILE *out)
{
    char name[80];
    if (!args_word(&args, name, sizeof(name))) {
        return command_usage("device", out);
    }
    if (!tables_device(out, t->m, name)) {
        fprintf(out, "no device \"%s\"; devices lists them\n", name);
        return false;
    }
    return true;
}

bool cmd_info(struct target *t, const char *args, FILE *out)
{
    static const struct {
        const char *subject, *command;
    } subjects[] = {
        {"registers", "regs"}, {"breakpoints", "points"}, {"watchpoints", "points"},
        {"threads", "tasks"},  {"stack", "bt"},           {"tab", "tlb"},
        {"mem", "tlb"},        {"line", "list"},          {"b", "points"},
        {"r", "regs"},         {"all-registers", "cpu"},
    };
    char word[80];
    if (!args_word(&args, word, sizeof(word))) {
        return command_usage("info", out);
    }
    for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
        if (strcmp(subjects[i].subject, word) == 0) {
            return command_run(t, subjects[i].command, args, out);
        }
    }
    if (command_known(word)) {
        return command_run(t, word, args, out);
    }
    return cmd_device(t, word, out);
}

// --- the guest's kernel ---

static bool no_guest(struct target *t, FILE *out)
{
    struct status s = t->symbols ? guest_check(t->symbols) : status_success();
    fprintf(out, "the guest's kernel is not known: %s\n",
            t->symbols && !status_ok(&s) ? s.text : "no symbols were given (--symbols FILE)");
    return false;
}

// "[PID]": the task meant, the running one without.
static bool args_task(struct target *t, const char *args, struct guest_task *task, FILE *out)
{
    u64 pid;
    if (!t->guest) {
        return no_guest(t, out);
    }
    if (args_end(args)) {
        if (!guest_current(t->guest, t->cpu, task)) {
            fputs("no task runs yet\n", out);
            return false;
        }
        return true;
    }
    if (!args_number(t, &args, &pid, out)) {
        return false;
    }
    if (!guest_task_by_pid(t->guest, (int)pid, task)) {
        fprintf(out, "no task %llu\n", (unsigned long long)pid);
        return false;
    }
    return true;
}

bool cmd_tasks(struct target *t, const char *args, FILE *out)
{
    if (!t->guest) {
        return no_guest(t, out);
    }
    guest_print_tasks(out, t->guest);
    return true;
}

bool cmd_maps(struct target *t, const char *args, FILE *out)
{
    struct guest_task task;
    if (!args_task(t, args, &task, out)) {
        return false;
    }
    guest_print_areas(out, t->guest, &task);
    return true;
}

bool cmd_files(struct target *t, const char *args, FILE *out)
{
    struct guest_task task;
    if (!args_task(t, args, &task, out)) {
        return false;
    }
    guest_print_files(out, t->guest, &task);
    return true;
}

bool cmd_runq(struct target *t, const char *args, FILE *out)
{
    if (!t->guest) {
        return no_guest(t, out);
    }
    for (unsigned i = 0; i < machine_cpu_count(t->m); i++) {
        guest_print_run_queue(out, t->guest, i);
    }
    return true;
}
