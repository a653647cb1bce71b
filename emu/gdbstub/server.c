// SPDX-License-Identifier: MIT
// Serving one gdb: bytes in, packets dispatched by table, replies out.
#include "gdbstub/server_internal.h"

#include "base/bits.h"
#include "base/memory.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct packet_row {
    const char *name;
    void (*handle)(struct gdb_server *s, struct packet_args *a);
};

static const struct packet_row rows[] = {
#define PACKET(name, handler, help) {name, handler},
#include "gdbstub/packets.def"
#undef PACKET
};

struct gdb_server *gdb_server_create(void)
{
    return xcalloc(1, sizeof(struct gdb_server));
}

static void free_texts(struct gdb_server *s)
{
    free(s->notes);
    free(s->xml);
    free(s->threads_xml);
    s->notes = s->xml = s->threads_xml = NULL;
}

void gdb_server_destroy(struct gdb_server *s)
{
    if (s) {
        free_texts(s);
        free(s);
    }
}

void server_finish(struct gdb_server *s, enum gdb_outcome outcome)
{
    if (!s->finished) {
        s->finished = true;
        s->outcome = outcome;
    }
}

// --- output ----------------------------------------------------------------------------------
static void write_bytes(struct gdb_server *s, const u8 *bytes, size_t size)
{
    if (!s->gone && !s->link.ops->write(s->link.ctx, bytes, size)) {
        s->gone = true;
    }
}

void reply_send(struct gdb_server *s)
{
    s->frame_size = packet_encode(s->frame, s->reply, s->reply_size, true);
    s->reply_size = 0;
    write_bytes(s, s->frame, s->frame_size);
}

void server_send_console(struct gdb_server *s, const char *text, size_t size)
{
    const size_t part_max = sizeof(s->reply) / 2 - 16;
    for (size_t at = 0; at < size; at += part_max) {
        s->reply_size = 0;
        reply_text(s, "O");
        reply_hex(s, text + at, size - at < part_max ? size - at : part_max);
        reply_send(s);
    }
}

void server_note(struct gdb_server *s, const char *format, ...)
{
    char line[400];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof(line), format, list);
    va_end(list);
    char *all = xasprintf("%sviv: %s\n", s->notes ? s->notes : "", line);
    free(s->notes);
    s->notes = all;
}

void server_send_notes(struct gdb_server *s)
{
    if (s->notes) {
        server_send_console(s, s->notes, strlen(s->notes));
        free(s->notes);
        s->notes = NULL;
    }
}

void server_before_write(struct gdb_server *s)
{
    struct timeline *timeline = target_timeline(s->target);
    u64 step = timeline_step(timeline), end = timeline_end(timeline);
    if (step < end) {
        server_note(s,
                    "the past was changed at step %llu: a branch begins here; the %llu steps that "
                    "followed are no longer its future",
                    (unsigned long long)step, (unsigned long long)(end - step));
    }
}

static struct gdb_thread following_thread(const struct gdb_server *s)
{
    struct gdb_thread thread = thread_of_cpu(s->target, s->cpu);
    thread.tid = s->follow;
    return thread;
}

bool server_find(struct gdb_server *s, s64 tid, struct gdb_thread *out)
{
    if (s->follow && tid == s->follow) {
        *out = following_thread(s);
        return true;
    }
    return thread_find(s->target, tid, s->cpu, out);
}

unsigned server_list(struct gdb_server *s, struct gdb_thread **out)
{
    unsigned count = thread_list(s->target, out), i = 0;
    while (i < count && (*out)[i].tid != s->follow) {
        i++;
    }
    if (s->follow && i == count) { // it has ended meanwhile
        *out = xrealloc(*out, ++count * sizeof(**out));
    }
    if (s->follow) {
        (*out)[i] = following_thread(s);
    }
    return count;
}

bool server_thread(struct gdb_server *s, struct gdb_thread *out)
{
    if (server_find(s, s->general, out)) {
        return true;
    }
    reply_error(s, GDB_ERROR_UNKNOWN_THREAD);
    return false;
}

// --- dispatch --------------------------------------------------------------------------------
// How much of the payload the name takes; 0: it is another packet.
static size_t name_matches(const char *name, const u8 *payload, size_t size)
{
    size_t length = strlen(name);
    if (length > size || memcmp(name, payload, length) != 0) {
        return 0;
    }
    bool word = length > 1 && isalpha((unsigned char)name[length - 1]);
    if (word && length < size && !strchr(":;,", payload[length])) {
        return 0;
    }
    return length;
}

static const struct packet_row *find_row(const u8 *payload, size_t size, size_t *taken)
{
    const struct packet_row *found = NULL;
    *taken = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t length = name_matches(rows[i].name, payload, size);
        if (length > *taken) {
            *taken = length;
            found = &rows[i];
        }
    }
    return found;
}

// The payload is copied: a handler that runs the guest lets the parser take new bytes.
static void dispatch(struct gdb_server *s)
{
    u8 *payload = xcalloc(1, s->parser.size + 1);
    size_t size = s->parser.size, taken;
    memcpy(payload, s->parser.payload, size);
    const struct packet_row *row = find_row(payload, size, &taken);
    s->reply_size = 0;
    s->no_reply = false;
    if (row) {
        struct packet_args args = {payload + taken, payload + size};
        row->handle(s, &args);
    }
    if (!s->no_reply) {
        reply_send(s);
    }
    free(payload);
}

// --- input -----------------------------------------------------------------------------------
// Reads more bytes into an empty buffer; false if there are none.
static bool refill(struct gdb_server *s, bool wait)
{
    long n = s->link.ops->read(s->link.ctx, s->input, sizeof(s->input), wait);
    s->input_at = 0;
    s->input_end = n > 0 ? (size_t)n : 0;
    s->gone = s->gone || n < 0;
    s->outside = s->outside || (wait && !n);
    return n > 0;
}

static void acknowledge(struct gdb_server *s, bool good)
{
    if (!s->no_ack) {
        write_bytes(s, (const u8 *)(good ? "+" : "-"), 1);
    }
}

// Takes bytes until a packet is complete (true) or none are left.
static bool take_packet(struct gdb_server *s)
{
    while (s->input_at < s->input_end && !s->gone) {
        switch (packet_feed(&s->parser, s->input[s->input_at++])) {
        case PACKET_COMPLETE:
            acknowledge(s, true);
            return true;
        case PACKET_BAD:
            acknowledge(s, false);
            break;
        case PACKET_TOO_LONG:
            acknowledge(s, true);
            reply_error(s, GDB_ERROR_INVALID);
            reply_send(s);
            break;
        case PACKET_NAK:
            if (!s->no_ack) {
                write_bytes(s, s->frame, s->frame_size);
            }
            break;
        case PACKET_INTERRUPT:
            s->interrupted = true;
            break;
        case PACKET_ACK:
        case PACKET_NOTHING:
            break;
        }
    }
    return false;
}

// gdb sends nothing but Ctrl-C while the guest runs; a whole packet means that it does not wait for
// the stop any more, and gets one.
bool gdb_server_cancel(void *server)
{
    struct gdb_server *s = server;
    if (!s->busy) {
        return false;
    }
    while (!s->waiting && !s->interrupted && !s->gone &&
           (s->input_at < s->input_end || refill(s, false))) {
        s->waiting = take_packet(s);
    }
    return s->waiting || s->interrupted || s->gone;
}

static void serve_packet(struct gdb_server *s)
{
    while (!s->waiting && !s->gone && !s->outside) {
        if (s->input_at == s->input_end && !refill(s, true)) {
            return;
        }
        s->waiting = take_packet(s);
    }
    if (s->waiting) {
        s->waiting = false;
        s->interrupted = false; // a Ctrl-C from before has nothing to stop
        dispatch(s);
    }
}

// A new gdb begins with nothing of the last one's.
static void begin(struct gdb_server *s, struct target *t, struct gdb_link link)
{
    free_texts(s);
    memset(s, 0, sizeof(*s));
    s->target = t;
    s->link = link;
    s->cpu = target_last_stop(t)->cpu;
}

enum gdb_outcome gdb_server_serve(struct gdb_server *s, struct target *t, struct gdb_link link)
{
    begin(s, t, link);
    while (!s->finished && !s->gone && !s->outside) {
        serve_packet(s);
    }
    if (!s->finished) {
        server_finish(s, s->exited   ? GDB_EXITED
                         : s->killed ? GDB_KILLED
                         : s->gone   ? GDB_GONE
                                     : GDB_OUTSIDE);
    }
    gdb_points_clear(s);
    s->busy = false;
    return s->outcome;
}
