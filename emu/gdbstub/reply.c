// SPDX-License-Identifier: MIT
// Reading a packet's arguments and building its reply.
#include "gdbstub/server_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool packet_end(const struct packet_args *a)
{
    return a->at == a->end;
}

bool packet_skip(struct packet_args *a, char c)
{
    if (packet_end(a) || *a->at != (u8)c) {
        return false;
    }
    a->at++;
    return true;
}

bool packet_word(struct packet_args *a, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(a->end - a->at) < size || memcmp(a->at, word, size) != 0) {
        return false;
    }
    a->at += size;
    return true;
}

bool packet_hex(struct packet_args *a, u64 *value)
{
    unsigned digits = 0;
    *value = 0;
    while (!packet_end(a) && packet_hex_digit(*a->at) >= 0) {
        if (*value >> 60) {
            return false;
        }
        *value = *value << 4 | (u64)packet_hex_digit(*a->at++);
        digits++;
    }
    return digits > 0;
}

bool packet_address_length(struct packet_args *a, u64 *address, u64 *length)
{
    return packet_hex(a, address) && packet_skip(a, ',') && packet_hex(a, length);
}

static bool thread_number(struct packet_args *a, s64 *number)
{
    u64 value;
    if (packet_word(a, "-1")) {
        *number = THREAD_ALL;
        return true;
    }
    if (!packet_hex(a, &value) || value > INT32_MAX) {
        return false;
    }
    *number = (s64)value;
    return true;
}

// "TID" or "pPID.TID" or "pPID" (all of its threads).
bool packet_thread(struct packet_args *a, s64 *tid)
{
    if (!packet_skip(a, 'p')) {
        return thread_number(a, tid);
    }
    s64 pid;
    if (!thread_number(a, &pid) || (pid != GDB_PID && pid != THREAD_ANY && pid != THREAD_ALL)) {
        return false;
    }
    *tid = THREAD_ALL;
    return !packet_skip(a, '.') || thread_number(a, tid);
}

bool packet_bytes(struct packet_args *a, u8 *out, size_t room, size_t *size)
{
    *size = 0;
    while (a->end - a->at >= 2 && *size < room) {
        int high = packet_hex_digit(a->at[0]), low = packet_hex_digit(a->at[1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[(*size)++] = (u8)(high << 4 | low);
        a->at += 2;
    }
    return packet_end(a);
}

void reply_raw(struct gdb_server *s, const void *bytes, size_t size)
{
    size_t room = sizeof(s->reply) - s->reply_size;
    size = size < room ? size : room;
    memcpy(s->reply + s->reply_size, bytes, size);
    s->reply_size += (u32)size;
}

void reply_text(struct gdb_server *s, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    int n = vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    if (n > 0) {
        reply_raw(s, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
    }
}

void reply_hex(struct gdb_server *s, const void *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const u8 *in = bytes;
    for (size_t i = 0; i < size; i++) {
        char pair[2] = {digits[in[i] >> 4], digits[in[i] & 15]};
        reply_raw(s, pair, 2);
    }
}

void reply_error(struct gdb_server *s, enum gdb_error error)
{
    s->reply_size = 0;
    reply_text(s, "E%02x", error);
}

void reply_ok(struct gdb_server *s)
{
    s->reply_size = 0;
    reply_text(s, "OK");
}

void reply_thread(struct gdb_server *s, s64 tid)
{
    if (s->multiprocess) {
        reply_text(s, "p%x.", GDB_PID);
    }
    reply_text(s, "%llx", (unsigned long long)tid);
}
