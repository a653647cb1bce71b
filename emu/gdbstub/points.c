// SPDX-License-Identifier: MIT
// Z and z: gdb's breakpoints and watchpoints; QCatchSyscalls. All of them are the debugger's
// points, guest code is never patched.
#include "gdbstub/server_internal.h"

#include "base/bits.h"

static const enum target_point_kind kinds[] = {
    TARGET_POINT_BREAK,       // Z0: software
    TARGET_POINT_BREAK,       // Z1: hardware
    TARGET_POINT_WATCH_WRITE, // Z2
    TARGET_POINT_WATCH_READ,  // Z3
    TARGET_POINT_WATCH_ACCESS // Z4
};

#define WATCH_BYTES_MAX 0x10000u

const struct gdb_point *gdb_points_find(const struct gdb_server *s, int number)
{
    for (unsigned i = 0; i < s->point_count; i++) {
        if (s->points[i].number == number) {
            return &s->points[i];
        }
    }
    return NULL;
}

static struct gdb_point *find_same(struct gdb_server *s, const struct gdb_point *wanted)
{
    for (unsigned i = 0; i < s->point_count; i++) {
        struct gdb_point *p = &s->points[i];
        if (p->type == wanted->type && p->address == wanted->address &&
            p->length == wanted->length) {
            return p;
        }
    }
    return NULL;
}

static bool parse(struct packet_args *a, struct gdb_point *out)
{
    return packet_hex(a, &out->type) && packet_skip(a, ',') &&
           packet_address_length(a, &out->address, &out->length);
}

void packet_insert_point(struct gdb_server *s, struct packet_args *a)
{
    struct gdb_point p = {.number = 0};
    if (!parse(a, &p)) {
        reply_error(s, GDB_ERROR_INVALID);
        return;
    }
    if (p.type >= ARRAY_LEN(kinds)) {
        return; // the empty reply: no such kind
    }
    bool watch = kinds[p.type] != TARGET_POINT_BREAK;
    if (find_same(s, &p)) {
        reply_ok(s);
        return;
    }
    if (s->point_count == GDB_POINTS_MAX) {
        reply_error(s, GDB_ERROR_FULL);
        return;
    }
    struct target_point point = {.kind = kinds[p.type],
                                 .address = p.address,
                                 .size = watch ? p.length : 1,
                                 .selector = -1,
                                 .enabled = true};
    bool sensible = !watch || (p.length && p.length <= WATCH_BYTES_MAX);
    struct status added = {.code = STATUS_BAD_INPUT};
    if (sensible) {
        added = target_point_add(s->target, &point, &p.number);
    }
    if (!status_ok(&added)) {
        reply_error(s, GDB_ERROR_INVALID);
        return;
    }
    s->points[s->point_count++] = p;
    reply_ok(s);
}

void packet_remove_point(struct gdb_server *s, struct packet_args *a)
{
    struct gdb_point p = {.number = 0};
    if (!parse(a, &p)) {
        reply_error(s, GDB_ERROR_INVALID);
        return;
    }
    if (p.type >= ARRAY_LEN(kinds)) {
        return;
    }
    struct gdb_point *found = find_same(s, &p);
    if (found) {
        target_point_remove(s->target, found->number);
        *found = s->points[--s->point_count];
    }
    reply_ok(s);
}

static void clear_catches(struct gdb_server *s)
{
    for (unsigned i = 0; i < s->catch_count; i++) {
        target_point_remove(s->target, s->catches[i]);
    }
    s->catch_count = 0;
}

static bool add_catch(struct gdb_server *s, s64 number)
{
    struct target_point point = {.kind = TARGET_POINT_CATCH,
                                 .catches = TARGET_CATCH_SYSCALL | TARGET_CATCH_SYSCALL_RETURN,
                                 .selector = number,
                                 .enabled = true};
    if (s->catch_count == GDB_SYSCALLS_MAX) {
        return false;
    }
    struct status added = target_point_add(s->target, &point, &s->catches[s->catch_count]);
    s->catch_count += status_ok(&added);
    return status_ok(&added);
}

// "0", or "1" and nothing (all) or ";number" for each.
void packet_catch_syscalls(struct gdb_server *s, struct packet_args *a)
{
    clear_catches(s);
    bool fine = packet_skip(a, ':');
    if (fine && packet_word(a, "0")) {
        fine = packet_end(a);
    } else if (fine && packet_word(a, "1")) {
        if (packet_end(a)) {
            fine = add_catch(s, -1);
        }
        u64 number;
        while (fine && !packet_end(a)) {
            fine = packet_skip(a, ';') && packet_hex(a, &number) && number <= INT32_MAX &&
                   add_catch(s, (s64)number);
        }
    } else {
        fine = false;
    }
    if (!fine) {
        clear_catches(s);
        reply_error(s, GDB_ERROR_INVALID);
        return;
    }
    reply_ok(s);
}

void gdb_points_clear(struct gdb_server *s)
{
    for (unsigned i = 0; i < s->point_count; i++) {
        target_point_remove(s->target, s->points[i].number);
    }
    s->point_count = 0;
    clear_catches(s);
}
