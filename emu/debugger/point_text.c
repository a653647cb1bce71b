// SPDX-License-Identifier: MIT
// Points and why they stopped the guest, in words.
#include "debugger/target_internal.h"

#include "base/bits.h"
#include "trace/syscalls.h"

#include <stdlib.h>

static u32 caught_bit(const struct target_point *p, const struct probe_event *e)
{
    switch (e->kind) {
    case PROBE_page_fault:
        return TARGET_CATCH_FAULT;
    case PROBE_cr3_write:
        return TARGET_CATCH_CR3;
    case PROBE_port:
        return TARGET_CATCH_IO;
    case PROBE_msr:
        return TARGET_CATCH_MSR;
    default:
        break;
    }
    u32 bit = e->to_cpl == 3 ? TARGET_CATCH_SYSCALL_RETURN : 0;
    bit |= e->cause == TRANSITION_SYSCALL ? TARGET_CATCH_SYSCALL : 0;
    bit |= e->cause == TRANSITION_INTERRUPT ? TARGET_CATCH_INTERRUPT : 0;
    bit |= e->cause == TRANSITION_EXCEPTION || e->cause == TRANSITION_SOFT_INT
               ? TARGET_CATCH_EXCEPTION
               : 0;
    bit &= p->catches;
    return bit ? bit : TARGET_CATCH_RING;
}

static const char *syscall_name(s64 number, char text[24])
{
    const struct syscall_row *row = number >= 0 ? syscall_row((u64)number) : NULL;
    if (row && row->name) {
        return row->name;
    }
    snprintf(text, 24, "%lld", (long long)number);
    return text;
}

static s64 caught_number(struct target *t, const struct target_point *p,
                         const struct probe_event *e)
{
    switch (caught_bit(p, e)) {
    case TARGET_CATCH_SYSCALL:
    case TARGET_CATCH_SYSCALL_RETURN:
        return target_syscall_number(t);
    case TARGET_CATCH_IO:
    case TARGET_CATCH_MSR:
        return (s64)e->address;
    case TARGET_CATCH_FAULT:
        return 14;
    default:
        return e->vector;
    }
}

static void describe_event(struct target *t, const struct probe_event *e, u32 bit, s64 number,
                           FILE *out)
{
    char text[24];
    switch (bit) {
    case TARGET_CATCH_SYSCALL:
    case TARGET_CATCH_SYSCALL_RETURN:
        fprintf(out, "%s %s", point_catch_name(bit), syscall_name(number, text));
        break;
    case TARGET_CATCH_FAULT:
        fprintf(out, "page fault at 0x%llx (%s, %s, error code 0x%x)",
                (unsigned long long)e->address,
                e->error_code & 16  ? "fetch"
                : e->error_code & 2 ? "write"
                                    : "read",
                e->error_code & 4 ? "user" : "kernel", e->error_code);
        break;
    case TARGET_CATCH_INTERRUPT:
    case TARGET_CATCH_EXCEPTION:
        fprintf(out, "%s, vector %u", point_catch_name(bit), e->vector);
        break;
    case TARGET_CATCH_RING:
        fprintf(out, "ring %u to ring %u", e->from_cpl, e->to_cpl);
        break;
    case TARGET_CATCH_CR3:
        fprintf(out, "CR3 0x%llx to 0x%llx", (unsigned long long)e->value,
                (unsigned long long)e->address);
        break;
    default:
        fprintf(out, "%s of %s 0x%llx, value 0x%llx", e->cause ? "write" : "read",
                bit == TARGET_CATCH_MSR ? "MSR" : "port", (unsigned long long)e->address,
                (unsigned long long)e->value);
        break;
    }
}

static void stop_catch(struct target *t, const struct point *point, const struct met *met)
{
    char *text = NULL;
    size_t size = 0;
    u32 bit = caught_bit(&point->p, &met->event);
    s64 number = caught_number(t, &point->p, &met->event);
    FILE *out = open_memstream(&text, &size);
    describe_event(t, &met->event, bit, number, out);
    fclose(out);
    target_set_stop(t, TARGET_STOP_CATCH, "catch %d: %s", point->p.number, text);
    t->stop.catches = bit;
    t->stop.caught = number;
    free(text);
}

static u64 written_value(const struct met *met, const struct target_point *p, u64 old)
{
    u64 value = old;
    u8 *bytes = (u8 *)&value;
    for (u64 i = 0; i < 8 && i < p->size; i++) {
        u64 offset = p->address + i - met->hit.address;
        if (offset < met->hit.size && offset < sizeof(met->hit.bytes)) {
            bytes[i] = met->hit.bytes[offset];
        }
    }
    return value;
}

static void stop_watch(struct target *t, struct point *point, const struct met *met, bool back)
{
    struct target_point *p = &point->p;
    char where[100], name[100];
    u64 value = 0;
    target_read(t, p->address, &value, p->size < 8 ? p->size : 8);
    u64 old = back ? value : point->shadow;
    u64 new_value = back ? written_value(met, p, value) : value;
    target_where(t, met->hit.rip, where, sizeof(where));
    target_where(t, p->address, name, sizeof(name));
    if (met->hit.kind == WATCH_READ) {
        target_set_stop(t, TARGET_STOP_WATCHPOINT, "watchpoint %d: read of %s, 0x%llx, by %s",
                        p->number, name, (unsigned long long)old, where);
        new_value = old;
    } else {
        target_set_stop(t, TARGET_STOP_WATCHPOINT, "watchpoint %d: %s 0x%llx to 0x%llx by %s%s",
                        p->number, name, (unsigned long long)old, (unsigned long long)new_value,
                        where, back ? " (next)" : "");
    }
    t->stop.address = met->hit.address;
    t->stop.old_value = old;
    t->stop.new_value = new_value;
}

void points_stop(struct target *t, const struct met *met, bool back)
{
    struct point *point = points_find(t, met->number);
    target_choose_program(t);
    if (!point) {
        target_set_stop(t, TARGET_STOP_STEP, "stopped");
        return;
    }
    if (point->p.kind == TARGET_POINT_BREAK) {
        char where[100];
        target_where(t, point->p.address, where, sizeof(where));
        target_set_stop(t, TARGET_STOP_BREAKPOINT, "breakpoint %d at %s", point->p.number, where);
        t->stop.address = point->p.address;
    } else if (point->p.kind == TARGET_POINT_CATCH) {
        stop_catch(t, point, met);
    } else {
        stop_watch(t, point, met, back);
    }
    t->stop.number = point->p.number;
    if (point->p.temporary) {
        target_point_remove(t, point->p.number);
    }
}

static void describe_catches(const struct target_point *p, FILE *out)
{
    const char *separator = "";
    for (u32 bit = 1; bit <= TARGET_CATCH_EXCEPTION; bit <<= 1) {
        if (p->catches & bit) {
            fprintf(out, "%s%s", separator, point_catch_name(bit));
            separator = ", ";
        }
    }
    char text[24];
    if (p->selector >= 0 && (p->catches & (TARGET_CATCH_SYSCALL | TARGET_CATCH_SYSCALL_RETURN))) {
        fprintf(out, " %s", syscall_name(p->selector, text));
    } else if (p->selector >= 0) {
        fprintf(out, " 0x%llx", (unsigned long long)p->selector);
    }
}

void point_describe(struct target *t, const struct target_point *p, FILE *out)
{
    static const char *const kinds[] = {"breakpoint", "watch", "rwatch", "awatch", "catch"};
    fprintf(out, "%-3d %-10s %s ", p->number, kinds[p->kind],
            !p->enabled    ? "off "
            : p->temporary ? "once"
                           : "on  ");
    if (p->kind == TARGET_POINT_CATCH) {
        describe_catches(p, out);
    } else {
        char where[100];
        target_where(t, p->address, where, sizeof(where));
        fprintf(out, "0x%llx %s", (unsigned long long)p->address, where);
        if (p->kind != TARGET_POINT_BREAK) {
            fprintf(out, ", %llu bytes", (unsigned long long)p->size);
        }
    }
    if (*p->program) {
        fprintf(out, ", in %s", p->program);
    }
    if (p->pid) {
        fprintf(out, ", pid %d", p->pid);
    }
    if (*p->condition) {
        fprintf(out, ", if %s", p->condition);
    }
    if (p->ignore) {
        fprintf(out, ", ignored %llu times more", (unsigned long long)p->ignore);
    }
    fprintf(out, ", hit %llu times\n", (unsigned long long)p->hits);
}
