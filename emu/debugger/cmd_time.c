// SPDX-License-Identifier: MIT
// Commands about time: where one is, going elsewhere, what happened before.
#include "debugger/commands.h"

#include "base/bits.h"
#include "trace/syscalls.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool cmd_when(struct target *t, const char *args, FILE *out)
{
    struct timeline *l = t->timeline;
    u64 here = timeline_step(l);
    fputs("step ", out);
    print_step(here, out);
    fputs(" of ", out);
    print_step(timeline_begin(l), out);
    fputs(" to ", out);
    print_step(timeline_end(l), out);
    fprintf(out, timeline_is_live(l) ? ", live\n" : ", recorded\n");
    fprintf(out, "virtual time %.9f s\n%s\n", (double)vclock_ns(machine_clock(t->m)) / 1e9,
            t->stop.text);
    return true;
}

bool cmd_hash(struct target *t, const char *args, FILE *out)
{
    fprintf(out, "step %llu hash %016llx\n", (unsigned long long)timeline_step(t->timeline),
            (unsigned long long)machine_hash(t->m));
    return true;
}

static struct bookmark *find_bookmark(struct target *t, const char *name)
{
    for (unsigned i = 0; i < t->bookmark_count; i++) {
        if (strcmp(t->bookmarks[i].name, name) == 0) {
            return &t->bookmarks[i];
        }
    }
    return NULL;
}

bool cmd_bookmark(struct target *t, const char *args, FILE *out)
{
    char name[sizeof(t->bookmarks[0].name)];
    if (!args_word(&args, name, sizeof(name))) {
        for (unsigned i = 0; i < t->bookmark_count; i++) {
            fprintf(out, "%-20s step ", t->bookmarks[i].name);
            print_step(t->bookmarks[i].step, out);
            fputc('\n', out);
        }
        return true;
    }
    struct bookmark *b = find_bookmark(t, name);
    if (!b && t->bookmark_count == BOOKMARKS_MAX) {
        fprintf(out, "there are %d bookmarks already\n", BOOKMARKS_MAX);
        return false;
    }
    if (isdigit((unsigned char)*name)) {
        fputs("a name does not begin with a digit\n", out);
        return false;
    }
    b = b ? b : &t->bookmarks[t->bookmark_count++];
    strcpy(b->name, name);
    b->step = timeline_step(t->timeline);
    return true;
}

// A step as people write it: 1'234'567 too.
static void drop_quotes(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (*from != '\'' || !isdigit((unsigned char)from[1])) {
            *to++ = *from;
        }
    }
    *to = '\0';
}

bool args_step(struct target *t, const char *args, u64 *step, FILE *out)
{
    char text[160];
    u64 here = timeline_step(t->timeline), offset;
    snprintf(text, sizeof(text), "%s", args);
    drop_quotes(text);
    args = text;
    if (args_accept(&args, "begin")) {
        *step = timeline_begin(t->timeline);
        return true;
    }
    if (args_accept(&args, "end")) {
        *step = timeline_end(t->timeline);
        return true;
    }
    const struct bookmark *b = find_bookmark(t, text);
    if (b) {
        *step = b->step;
        return true;
    }
    if (*text == '+' || *text == '-') {
        args++;
        if (!args_number(t, &args, &offset, out)) {
            return false;
        }
        u64 begin = timeline_begin(t->timeline);
        bool back = *text == '-';
        *step = !back ? here + offset : here - begin > offset ? here - offset : begin;
        return true;
    }
    return args_number(t, &args, step, out);
}

bool cmd_seek(struct target *t, const char *args, FILE *out)
{
    u64 step;
    if (args_end(args)) {
        return command_usage("seek", out);
    }
    return args_step(t, args, &step, out) && print_stop(t, target_seek(t, step), out);
}

// --- rows ---

static const char *cause_name(const struct probe_event *e)
{
    static const char *const names[] = {"syscall", "sysret", "interrupt", "exception", "int",
                                        "iret",    "far",    "sysenter",  "sysexit"};
    return e->cause < ARRAY_LEN(names) ? names[e->cause] : "?";
}

static void print_transition(struct target *t, const struct event_row *row, FILE *out)
{
    const struct probe_event *e = &row->event;
    fprintf(out, "ring %u to %u  %-9s ", e->from_cpl, e->to_cpl, cause_name(e));
    if (e->cause == TRANSITION_SYSCALL) {
        const struct syscall_row *call = syscall_row((u64)row->syscall);
        if (call && call->name) {
            fprintf(out, "%-16s ", call->name);
        } else {
            fprintf(out, "%-16lld ", (long long)row->syscall);
        }
    } else if (e->cause == TRANSITION_INTERRUPT || e->cause == TRANSITION_EXCEPTION ||
               e->cause == TRANSITION_SOFT_INT) {
        fprintf(out, "vector %-9u ", e->vector);
    } else {
        fprintf(out, "%-16s ", "");
    }
    char from[100], to[100];
    target_where(t, e->rip, from, sizeof(from));
    target_where(t, e->address, to, sizeof(to));
    fprintf(out, "%s -> %s\n", from, to);
}

static void print_fault(struct target *t, const struct event_row *row, u64 here, FILE *out)
{
    const struct probe_event *e = &row->event;
    char where[100];
    target_where(t, e->rip, where, sizeof(where));
    fprintf(out, "page fault  0x%llx  %s %s%s  %s  at %s\n", (unsigned long long)e->address,
            e->error_code & 4 ? "user" : "kernel",
            e->error_code & 16  ? "fetch"
            : e->error_code & 2 ? "write"
                                : "read",
            e->error_code & 1 ? " (present)" : "", fault_outcome_name(events_outcome(row, here)),
            where);
}

void print_row(struct target *t, const struct event_row *row, u64 here, FILE *out)
{
    fprintf(out, "%12llu  ", (unsigned long long)row->event.step);
    if (machine_cpu_count(t->m) > 1) {
        fprintf(out, "cpu %u  ", row->event.cpu);
    }
    if (row->event.kind == PROBE_page_fault) {
        print_fault(t, row, here, out);
    } else {
        print_transition(t, row, out);
    }
}

static bool is_transition_row(void *ctx, const struct event_row *row)
{
    return row->event.kind == PROBE_transition;
}

static bool is_fault_row(void *ctx, const struct event_row *row)
{
    return row->event.kind == PROBE_page_fault;
}

static bool is_syscall_row(void *ctx, const struct event_row *row)
{
    return row->event.kind == PROBE_transition && row->event.cause == TRANSITION_SYSCALL;
}

static bool show_rows(struct target *t, const char *args,
                      bool (*want)(void *ctx, const struct event_row *row), FILE *out)
{
    u64 count, here = timeline_step(t->timeline);
    if (!args_optional(t, &args, 20, &count, out)) {
        return false;
    }
    if (!history_ensure(t, count, want, NULL)) {
        fputs("cancelled\n", out);
        return false;
    }
    u64 end = events_before(t->events, here), first = end, found = 0;
    while (first > 0 && found < count) {
        found += want(NULL, events_get(t->events, --first));
    }
    for (u64 i = first; i < end; i++) {
        const struct event_row *row = events_get(t->events, i);
        if (want(NULL, row)) {
            print_row(t, row, here, out);
        }
    }
    if (!found) {
        fputs("none before here\n", out);
    }
    return true;
}

bool cmd_transitions(struct target *t, const char *args, FILE *out)
{
    return show_rows(t, args, is_transition_row, out);
}

bool cmd_faults(struct target *t, const char *args, FILE *out)
{
    return show_rows(t, args, is_fault_row, out);
}

bool cmd_syscalls(struct target *t, const char *args, FILE *out)
{
    return show_rows(t, args, is_syscall_row, out);
}

// --- queries ---

void print_writer(struct target *t, const struct target_writer *w, FILE *out)
{
    static const char *const sources[] = {[WATCH_BY_CPU] = "the CPU",
                                          [WATCH_BY_WALK] = "the page walker (A and D bits)",
                                          [WATCH_BY_DEVICE] = "a device (DMA)"};
    if (!w->found) {
        fputs(t->query_cancelled ? "cancelled\n" : "never written since history begins\n", out);
        return;
    }
    char where[100];
    target_where(t, w->rip, where, sizeof(where));
    fprintf(out, "step ");
    print_step(w->step, out);
    fprintf(out, "  by %s", sources[w->source]);
    if (w->source != WATCH_BY_DEVICE && machine_cpu_count(t->m) > 1) {
        fprintf(out, " %u", w->cpu);
    }
    fprintf(out, "%s%s", w->source == WATCH_BY_DEVICE ? " during " : " at ", where);
    if (w->pid) {
        fprintf(out, ", pid %d", w->pid);
    }
    fputs("  bytes", out);
    for (u32 i = 0; i < w->size && i < sizeof(w->bytes); i++) {
        fprintf(out, " %02x", w->bytes[i]);
    }
    fputs(w->size > sizeof(w->bytes) ? " ...\n" : "\n", out);
}

bool cmd_who_wrote(struct target *t, const char *args, FILE *out)
{
    bool physical = args_accept(&args, "phys");
    u64 address, size;
    if (args_end(args)) {
        return command_usage("who-wrote", out);
    }
    if (!args_number(t, &args, &address, out) || !args_optional(t, &args, 1, &size, out)) {
        return false;
    }
    struct target_writer writer = target_who_wrote(t, address, size, physical);
    print_writer(t, &writer, out);
    return writer.found;
}

bool cmd_when_mapped(struct target *t, const char *args, FILE *out)
{
    static const char *const names[] = {"PML4E", "PDPTE", "PDE", "PTE"};
    struct target_writer writers[4];
    u64 address;
    if (args_end(args)) {
        return command_usage("when-mapped", out);
    }
    if (!args_number(t, &args, &address, out)) {
        return false;
    }
    unsigned count = target_when_mapped(t, address, writers);
    for (unsigned i = 0; i < count; i++) {
        fprintf(out, "%-6s ", names[i]);
        print_writer(t, &writers[i], out);
    }
    if (!count) {
        fputs("paging is off\n", out);
    }
    return count != 0 && !t->query_cancelled;
}

bool cmd_when_executed(struct target *t, const char *args, FILE *out)
{
    u64 address, step;
    if (args_end(args)) {
        return command_usage("when-executed", out);
    }
    if (!args_place(t, &args, &address, out)) {
        return false;
    }
    if (!target_when_executed(t, address, &step)) {
        fputs(t->query_cancelled ? "cancelled\n" : "never before here\n", out);
        return false;
    }
    fputs("step ", out);
    print_step(step, out);
    fputc('\n', out);
    return true;
}
