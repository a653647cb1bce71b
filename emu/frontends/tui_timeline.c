// SPDX-License-Identifier: MIT
// The timeline: privilege transitions and page faults as they happen, and back through time.
#include "frontends/tui_internal.h"

#include "mmu/fault.h"
#include "trace/syscalls.h"

#include <string.h>

static const char *exception_name(u8 vector)
{
    static const char *const names[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD",
                                        "#NM", "#DF", "#9",  "#TS", "#NP", "#SS", "#GP",
                                        "#PF", "#15", "#MF", "#AC", "#MC", "#XM"};
    return vector < sizeof(names) / sizeof(names[0]) ? names[vector] : "#??";
}

static void transition_text(const struct event_row *row, char *out, size_t size)
{
    const struct probe_event *e = &row->event;
    static const char *const names[TRANSITION_CAUSE_COUNT] = {
        [TRANSITION_SYSCALL] = "syscall", [TRANSITION_SYSRET] = "sysret",
        [TRANSITION_IRET] = "iret",       [TRANSITION_FAR] = "far",
        [TRANSITION_SYSENTER] = "sysenter", [TRANSITION_SYSEXIT] = "sysexit"};
    const struct syscall_row *call = row->syscall >= 0 ? syscall_row((u64)row->syscall) : NULL;
    if (e->cause == TRANSITION_EXCEPTION && e->vector == EXC_PF) {
        snprintf(out, size, "#PF error %x", e->error_code);
    } else if (e->cause == TRANSITION_EXCEPTION) {
        snprintf(out, size, "%s", exception_name(e->vector));
    } else if (e->cause == TRANSITION_INTERRUPT || e->cause == TRANSITION_SOFT_INT) {
        snprintf(out, size, "%s 0x%02x", e->cause == TRANSITION_INTERRUPT ? "interrupt" : "int",
                 e->vector);
    } else if (call && call->name) {
        snprintf(out, size, "syscall %s", call->name);
    } else if (row->syscall >= 0) {
        snprintf(out, size, "syscall %lld", (long long)row->syscall);
    } else {
        snprintf(out, size, "%s", e->cause < TRANSITION_CAUSE_COUNT ? names[e->cause] : "?");
    }
}

// The name of a place, or its address.
static void place_text(struct tui *t, u64 address, char *out, size_t size)
{
    tui_place(t, address, out, size);
    if (!*out) {
        snprintf(out, size, "%llx", (unsigned long long)address);
    }
}

static u8 row_style(const struct probe_event *e)
{
    if (e->kind == PROBE_page_fault) {
        return TUI_FAULT;
    }
    if (e->cause == TRANSITION_INTERRUPT) {
        return TUI_IRQ;
    }
    return e->to_cpl == 3 ? TUI_USER : TUI_KERNEL;
}

// How a fault ended is told as of now; in brackets what is still to come.
static void fault_text(struct tui *t, const struct event_row *row, char *out, size_t size)
{
    enum fault_outcome now = events_outcome(row, target_step(t->target));
    enum fault_outcome in_the_end = events_outcome(row, UINT64_MAX);
    bool to_come = now == FAULT_PENDING && in_the_end != FAULT_PENDING;
    snprintf(out, size, to_come ? "(%s)" : "%s", fault_outcome_name(to_come ? in_the_end : now));
}

static void row_text(struct tui *t, const struct event_row *row, char *out, size_t size)
{
    const struct probe_event *e = &row->event;
    char what[60], place[80];
    if (e->kind == PROBE_page_fault) {
        const char *access = e->error_code & PF_FETCH   ? "fetch"
                             : e->error_code & PF_WRITE ? "write"
                                                        : "read";
        fault_text(t, row, what, sizeof(what));
        place_text(t, e->rip, place, sizeof(place));
        snprintf(out, size, "%14llu  %u    fault %s %llx → %s   %s", (unsigned long long)e->step,
                 e->from_cpl, access, (unsigned long long)e->address,
                 what, place);
        return;
    }
    transition_text(row, what, sizeof(what));
    bool enters = e->to_cpl < e->from_cpl;
    place_text(t, enters ? e->rip : e->address, place, sizeof(place));
    snprintf(out, size, "%14llu  %u%s%u  %-24s %s %s", (unsigned long long)e->step, e->from_cpl,
             e->from_cpl == e->to_cpl ? " " : "→", e->to_cpl, what, enters ? "from" : "to", place);
}

// The first row to draw so that the rows end where the view is.
static s64 first_row(struct tui *t, const struct events *events, int height)
{
    s64 count = (s64)events_before(events, target_step(t->target));
    s64 last = t->selected >= 0 ? t->selected : count - 1;
    s64 first = t->first_drawn;
    if (t->selected < 0 || first > last) {
        first = t->selected < 0 ? count - height : last;
    } else if (last >= first + height) {
        first = last - height + 1;
    }
    return first > 0 ? first : 0;
}

void tui_draw_timeline(struct tui *t, struct tui_rect r)
{
    const struct events *events = target_events(t->target);
    s64 count = (s64)events_count(events);
    s64 here = (s64)events_before(events, target_step(t->target));
    s64 first = first_row(t, events, r.height);
    t->first_drawn = first;
    for (int y = 0; y < r.height && first + y < count; y++) {
        char text[240];
        s64 index = first + y;
        const struct event_row *row = events_get(events, (u64)index);
        row_text(t, row, text, sizeof(text));
        u8 style = index == t->selected ? TUI_CURRENT
                   : index >= here      ? TUI_DIM
                                        : row_style(&row->event);
        tui_text(&t->cells, r, 0, y, style, text);
    }
    if (!count) {
        tui_text(&t->cells, r, 1, 0, TUI_DIM, "no transition yet; c runs the guest");
    }
}

// System calls only, with the time each has taken if its return is known.
void tui_draw_syscalls(struct tui *t, struct tui_rect r)
{
    const struct events *events = target_events(t->target);
    u64 here = events_before(events, target_step(t->target));
    int y = r.height - 1;
    for (u64 i = here; i-- > 0 && y >= 0;) {
        const struct event_row *row = events_get(events, i);
        if (row->syscall < 0 || row->event.kind != PROBE_transition) {
            continue;
        }
        char what[60], place[80], text[240];
        transition_text(row, what, sizeof(what));
        place_text(t, row->event.rip, place, sizeof(place));
        snprintf(text, sizeof(text), "%14llu  %-28s from %s",
                 (unsigned long long)row->event.step, what + strlen("syscall "), place);
        tui_text(&t->cells, r, 0, y--, TUI_USER, text);
    }
}

void tui_timeline_move(struct tui *t, int rows)
{
    const struct events *events = target_events(t->target);
    s64 count = (s64)events_count(events);
    if (t->selected < 0) {
        t->selected = (s64)events_before(events, target_step(t->target)) - (rows > 0 ? 1 : 0);
    }
    t->selected += rows;
    t->selected = t->selected >= count ? count - 1 : t->selected;
    t->selected = t->selected < 0 && count ? 0 : t->selected;
}

bool tui_timeline_seek(struct tui *t)
{
    const struct events *events = target_events(t->target);
    if (t->selected < 0 || t->selected >= (s64)events_count(events)) {
        return false;
    }
    target_seek(t->target, events_get(events, (u64)t->selected)->event.step);
    return true;
}
