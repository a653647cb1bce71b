// SPDX-License-Identifier: MIT
// "syscall": through a whole system call, seen from both sides: the program's arguments and memory,
// the kernel's path, what it copied, where it faulted, waited, and who ran meanwhile.
#include "debugger/commands.h"

#include "base/bits.h"
#include "base/memory.h"
#include "trace/guest_view.h"
#include "trace/syscalls.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS_MAX 400
#define SHOWN_BYTES 24
#define USER_END (UINT64_C(1) << 47)

enum { NR_EXIT = 60, NR_EXIT_GROUP = 231 };

enum item_kind { ITEM_COPY_FROM, ITEM_COPY_TO, ITEM_FAULT, ITEM_INTERRUPT, ITEM_SWITCH };

struct item {
    enum item_kind kind;
    u64 step, rip;
    u64 address, size; // copies, faults
    u32 error_code;    // faults; vector of interrupts
    u8 bytes[SHOWN_BYTES];
    int pid; // switches: to whom
    char comm[17];
};

struct call {
    struct target *t;
    u64 task, switch_address; // where the running task's number is written at a switch
    unsigned cpu;             // where it was made
    u64 begin; // the state before SYSCALL
    u64 user_rip, return_rip;
    struct syscall_view view;
    struct text args[6]; // as shown at entry; empty: shown at the return
    bool mine;           // the calling task runs
    u64 switched_away, steps_of_others;
    struct item items[ITEMS_MAX];
    unsigned count, lost;
};

static struct item *add_item(struct call *c, enum item_kind kind, u64 step, u64 rip)
{
    if (c->count == ITEMS_MAX) {
        c->lost++;
        return NULL;
    }
    struct item *item = &c->items[c->count++];
    *item = (struct item){.kind = kind, .step = step, .rip = rip};
    return item;
}

// A copy goes on where the last one ended.
static bool extends(const struct call *c, const struct watch_hit *hit, enum item_kind kind)
{
    const struct item *last = c->count ? &c->items[c->count - 1] : NULL;
    return last && last->kind == kind && last->address + last->size == hit->address &&
           (last->rip == hit->rip || hit->rip - last->rip + 64 < 128);
}

// Arguments in memory are shown as soon as that is mapped: at the entry, or when the kernel first
// reads there. What the call fills is left for the return.
static void show_args(struct call *c)
{
    u8 order[6];
    unsigned shown = syscall_shown(&c->view, order);
    for (unsigned i = 0; i < shown; i++) {
        if (!c->args[i].used && !syscall_show_arg(&c->view, order[i], false, &c->args[i])) {
            text_free(&c->args[i]);
            c->args[i] = (struct text){0};
        }
    }
}

static void note_copy(struct call *c, const struct watch_hit *hit)
{
    enum item_kind kind = hit->kind == WATCH_WRITE ? ITEM_COPY_TO : ITEM_COPY_FROM;
    if (kind == ITEM_COPY_FROM && !extends(c, hit, kind)) {
        show_args(c);
    }
    struct item *item =
        extends(c, hit, kind) ? &c->items[c->count - 1] : add_item(c, kind, hit->step, hit->rip);
    if (!item) {
        return;
    }
    if (!item->size) {
        item->address = hit->address;
    }
    for (u32 i = 0; i < hit->size && i < sizeof(hit->bytes) && item->size + i < SHOWN_BYTES; i++) {
        item->bytes[item->size + i] = hit->bytes[i];
    }
    item->size += hit->size;
}

static void note_switch(struct call *c, const struct watch_hit *hit)
{
    u64 number;
    memcpy(&number, hit->bytes, sizeof(number));
    bool mine = number == c->task;
    if (c->mine && !mine) {
        c->switched_away = hit->step;
    } else if (!c->mine && mine) {
        c->steps_of_others += hit->step - c->switched_away;
    }
    c->mine = mine;
    struct item *item = add_item(c, ITEM_SWITCH, hit->step, hit->rip);
    struct guest_task task;
    if (item && c->t->guest && guest_current(c->t->guest, c->t->cpu, &task)) {
        item->pid = task.pid;
        memcpy(item->comm, task.comm, sizeof(item->comm));
    }
}

static bool on_access(void *ctx, const struct watch_hit *hit)
{
    struct call *c = ctx;
    if (hit->cpu != c->cpu) {
        return false;
    }
    if (hit->address == c->switch_address && hit->kind == WATCH_WRITE && hit->size == 8) {
        note_switch(c, hit);
        return !c->mine && (c->view.number == NR_EXIT || c->view.number == NR_EXIT_GROUP);
    }
    if (c->mine && hit->address < USER_END) {
        note_copy(c, hit);
    }
    return false;
}

static bool on_event(void *ctx, const struct probe_event *e)
{
    struct call *c = ctx;
    if (e->cpu != c->cpu) { // the task may have been moved to another CPU
        return e->kind == PROBE_transition && e->to_cpl == 3 && e->from_cpl < 3 &&
               target_task(c->t) == c->task;
    }
    if (e->kind == PROBE_page_fault && c->mine) {
        struct item *item = add_item(c, ITEM_FAULT, e->step, e->rip);
        if (item) {
            item->address = e->address;
            item->error_code = e->error_code;
        }
    } else if (e->kind == PROBE_transition && c->mine && e->cause == TRANSITION_INTERRUPT) {
        struct item *item = add_item(c, ITEM_INTERRUPT, e->step, e->rip);
        if (item) {
            item->error_code = e->vector;
        }
    }
    return e->kind == PROBE_transition && c->mine && e->to_cpl == 3 && e->from_cpl < 3;
}

// --- to the entry ---

static bool is_my_call(void *ctx, const struct probe_event *e)
{
    const struct call *c = ctx;
    return e->cause == TRANSITION_SYSCALL && target_task(c->t) == c->task;
}

static bool is_my_entry(void *ctx, const struct event_row *row)
{
    const struct call *c = ctx;
    return row->event.kind == PROBE_transition && row->event.from_cpl == 3 &&
           row->event.to_cpl < 3 && row->task == c->task;
}

// In the kernel for a call already: back to its entry.
static bool back_to_entry(struct call *c)
{
    bool cancelled;
    struct target *t = c->t;
    if (place_here(t).cpl == 3 || target_syscall_number(t) < 0) {
        return false;
    }
    history_here(t);
    u64 here = timeline_step(t->timeline);
    const struct event_row *row = history_find(t, here, is_my_entry, c, &cancelled);
    u64 step = row && row->syscall >= 0 ? row->event.step + 1 : here;
    engine_return(t, step);
    return row && row->syscall >= 0;
}

static enum engine_end to_entry(struct call *c)
{
    if (back_to_entry(c)) {
        return ENGINE_REACHED;
    }
    struct goal goal = {.probes = BIT(PROBE_transition), .on_event = is_my_call, .ctx = c};
    return move_to_goal(c->t, &goal);
}

static bool read_memory(void *ctx, u64 address, void *out, u64 size)
{
    return target_read_all(ctx, address, out, size);
}

static void read_call(struct call *c)
{
    struct cpu_regs regs;
    target_regs(c->t, &regs);
    const struct syscall_row *row = syscall_row(regs.gpr[CPU_RAX]);
    c->begin = timeline_step(c->t->timeline) - 1;
    c->return_rip = regs.gpr[CPU_RCX];
    c->user_rip = c->return_rip - 2;
    u64 current = c->t->guest ? guest_current_place(c->t->guest, c->t->cpu) : 0;
    c->switch_address = current ? current : regs.tr.base + 4; // RSP0
    c->cpu = c->t->cpu;
    c->view = (struct syscall_view){
        .number = regs.gpr[CPU_RAX],
        .row = row ? row : syscall_row_unknown(),
        .arg = {regs.gpr[CPU_RDI], regs.gpr[CPU_RSI], regs.gpr[CPU_RDX], regs.gpr[10],
                regs.gpr[CPU_R8], regs.gpr[9]},
        .rsp = regs.gpr[CPU_RSP],
        .read = read_memory,
        .ctx = c->t,
    };
    show_args(c);
}

// --- the report ---

static void print_head(struct call *c, bool returned, FILE *out)
{
    u8 order[6];
    unsigned shown = syscall_shown(&c->view, order);
    struct text result = {0};
    if (c->view.row->name) {
        fprintf(out, "%s(", c->view.row->name);
    } else {
        fprintf(out, "syscall_%llu(", (unsigned long long)c->view.number);
    }
    for (unsigned i = 0; i < shown; i++) {
        if (!c->args[i].used) {
            syscall_show_arg(&c->view, order[i], true, &c->args[i]);
        }
        fprintf(out, "%s%s", i ? ", " : "", text_get(&c->args[i]));
        text_free(&c->args[i]);
    }
    if (returned) {
        syscall_show_result(&c->view, &result);
        syscall_show_extra(&c->view, &result);
    }
    fprintf(out, ") = %s\n", returned ? text_get(&result) : "?");
    text_free(&result);
}

// Bytes that begin with a string are shown as one, up to its end.
static u64 string_length(const struct item *item, u64 n)
{
    u64 i = 0;
    while (i < n && (isprint(item->bytes[i]) || item->bytes[i] == '\n' || item->bytes[i] == '\t')) {
        i++;
    }
    bool ended = i == n || !item->bytes[i];
    return ended && i > 1 ? i : 0;
}

static void print_bytes(const struct item *item, FILE *out)
{
    u64 n = item->size < SHOWN_BYTES ? item->size : SHOWN_BYTES;
    u64 string = string_length(item, n);
    for (u64 i = 0; i < n && !string; i++) {
        fprintf(out, " %02x", item->bytes[i]);
    }
    fputs(string ? " \"" : "", out);
    for (u64 i = 0; i < string; i++) {
        u8 b = item->bytes[i];
        fprintf(out, b == '\n' ? "\\n" : b == '\t' ? "\\t" : "%c", b);
    }
    fputs(string ? "\"" : "", out);
    fputs(item->size > n && string != n - 1 ? "..." : "", out);
}

static void print_item(struct call *c, const struct item *item, FILE *out)
{
    char where[100];
    target_where(c->t, item->rip, where, sizeof(where));
    fprintf(out, "  +%-9llu ", (unsigned long long)(item->step - c->begin));
    switch (item->kind) {
    case ITEM_COPY_FROM:
    case ITEM_COPY_TO:
        fprintf(out, "%s user memory 0x%llx, %llu bytes",
                item->kind == ITEM_COPY_TO ? "writes" : "reads ", (unsigned long long)item->address,
                (unsigned long long)item->size);
        print_bytes(item, out);
        fprintf(out, "  in %s\n", where);
        break;
    case ITEM_FAULT:
        fprintf(out, "page fault at 0x%llx, %s, error code 0x%x, in %s\n",
                (unsigned long long)item->address, item->error_code & 2 ? "write" : "read",
                item->error_code, where);
        break;
    case ITEM_INTERRUPT:
        fprintf(out, "interrupt, vector %u, in %s\n", item->error_code, where);
        break;
    case ITEM_SWITCH:
        if (*item->comm) {
            fprintf(out, "context switch to pid %d (%s) in %s\n", item->pid, item->comm, where);
        } else {
            fprintf(out, "context switch in %s\n", where);
        }
        break;
    }
}

static void print_report(struct call *c, bool returned, FILE *out)
{
    char where[100];
    struct cpu_regs regs;
    target_regs(c->t, &regs);
    print_head(c, returned, out);
    target_where(c->t, c->user_rip, where, sizeof(where));
    fprintf(out, "  ring 3     syscall at %s, step ", where);
    print_step(c->begin, out);
    target_where(c->t, regs.lstar, where, sizeof(where));
    fprintf(out, "\n  +1         ring 0: %s\n", where);
    for (unsigned i = 0; i < c->count; i++) {
        print_item(c, &c->items[i], out);
    }
    if (c->lost) {
        fprintf(out, "  ... %u more\n", c->lost);
    }
    u64 total = timeline_step(c->t->timeline) - c->begin;
    if (returned) {
        target_where(c->t, regs.rip, where, sizeof(where));
        fprintf(out, "  +%-9llu ring 3: back at %s, rax 0x%llx\n", (unsigned long long)total, where,
                (unsigned long long)regs.gpr[CPU_RAX]);
    }
    fprintf(out, "  %llu steps, of them %llu while other tasks ran\n", (unsigned long long)total,
            (unsigned long long)c->steps_of_others);
}

static bool run_call(struct call *c, FILE *out)
{
    struct target *t = c->t;
    struct goal goal = {.ranges = {{.first = PAGE_SIZE,
                                    .size = USER_END - PAGE_SIZE,
                                    .kinds = WATCH_READ | WATCH_WRITE},
                                   {.first = c->switch_address, .size = 8, .kinds = WATCH_WRITE}},
                        .range_count = 2,
                        .probes = BIT(PROBE_transition) | BIT(PROBE_page_fault),
                        .on_access = on_access,
                        .on_event = on_event,
                        .ctx = c};
    u64 origin = timeline_step(t->timeline);
    t->origin = origin;
    c->mine = true;
    enum engine_end end = engine_forward(t, &goal, UINT64_MAX); // the user's points do not count
    end = end == ENGINE_MET ? ENGINE_REACHED : end;
    bool returned = end == ENGINE_REACHED && place_here(t).cpl == 3;
    if (returned) {
        struct cpu_regs regs;
        target_regs(t, &regs);
        c->view.done = true;
        c->view.result = (s64)regs.gpr[CPU_RAX];
        target_set_stop(t, TARGET_STOP_STEP, "the system call returned");
    } else if (end == ENGINE_REACHED) {
        target_set_stop(t, TARGET_STOP_STEP, "the task ended");
    } else {
        target_stop_for(t, end, origin, false);
    }
    print_report(c, returned, out);
    return print_stop(t, &t->stop, out);
}

bool cmd_syscall(struct target *t, const char *args, FILE *out)
{
    u64 origin = timeline_step(t->timeline);
    struct call *c = xcalloc(1, sizeof(*c));
    c->t = t;
    c->task = target_task(t);
    t->origin = origin;
    enum engine_end end = to_entry(c);
    bool done;
    if (end == ENGINE_REACHED) {
        read_call(c);
        done = run_call(c, out);
    } else {
        done = print_stop(t, target_stop_for(t, end, origin, false), out);
    }
    free(c);
    return done;
}
