// SPDX-License-Identifier: MIT
// Strings, buffers, vectors of them, and arrays of small numbers.
#include "trace/decode.h"

#include "base/memory.h"

#include <stdlib.h>
#include <time.h>

#define PATH_MAX_SHOWN 4095
#define ARRAY_MAX_SHOWN 32

static void escape(struct text *out, u8 c, u8 next)
{
    static const char letters[] = "tnvfr"; // 9 .. 13
    if (c >= 9 && c <= 13) {
        text_add(out, "\\%c", letters[c - 9]);
    } else if (c == '"' || c == '\\') {
        text_add(out, "\\%c", c);
    } else if (c >= ' ' && c < 127) {
        text_char(out, (char)c);
    } else if (next >= '0' && next <= '9') { // a shorter escape would swallow the digit
        text_add(out, "\\%03o", c);
    } else {
        text_add(out, "\\%o", c);
    }
}

void decode_bytes(struct text *out, const u8 *bytes, size_t size, bool cut)
{
    text_char(out, '"');
    for (size_t i = 0; i < size; i++) {
        escape(out, bytes[i], i + 1 < size ? bytes[i + 1] : 0);
    }
    text_add(out, cut ? "\"..." : "\"");
}

// The part of a buffer that is shown, in new memory; NULL: not mapped.
static u8 *read_part(const struct syscall_view *v, u64 address, u64 size, u64 *part)
{
    *part = size < decode_string_max(v) ? size : decode_string_max(v);
    u8 *bytes = xcalloc(1, *part + 1);
    if (!v->read(v->ctx, address, bytes, *part)) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

// Random bytes are shown in hexadecimal throughout.
static bool hex_buffer(const struct syscall_view *v, u64 address, u64 size, struct text *out)
{
    u64 part;
    u8 *bytes = read_part(v, address, size, &part);
    if (!bytes) {
        return false;
    }
    text_char(out, '"');
    for (u64 i = 0; i < part; i++) {
        text_add(out, "\\x%02x", bytes[i]);
    }
    text_add(out, size > part ? "\"..." : "\"");
    free(bytes);
    return true;
}

bool decode_buffer(const struct syscall_view *v, u64 address, u64 size, struct text *out)
{
    u64 part;
    u8 *bytes = read_part(v, address, size, &part);
    if (!bytes) {
        return false;
    }
    decode_bytes(out, bytes, part, size > part);
    free(bytes);
    return true;
}

bool decode_string(const struct syscall_view *v, u64 address, size_t max, struct text *out)
{
    u8 *bytes = xcalloc(1, max + 1);
    size_t n = 0;
    bool ok = true;
    while (ok && n <= max) {
        ok = v->read(v->ctx, address + n, &bytes[n], 1);
        if (!ok || !bytes[n]) {
            break;
        }
        n++;
    }
    if (ok) {
        decode_bytes(out, bytes, n < max ? n : max, n > max);
    }
    free(bytes);
    return ok;
}

static bool string_vector(const struct syscall_view *v, u64 address, struct text *out)
{
    struct text all = {0};
    bool ok = true;
    for (unsigned i = 0; ok; i++) {
        u64 pointer;
        ok = v->read(v->ctx, address + i * 8, &pointer, 8);
        if (!ok || !pointer) {
            break;
        }
        text_add(&all, i ? ", " : "");
        if (i == ARRAY_MAX_SHOWN) {
            text_add(&all, "...");
            break;
        }
        ok = decode_string(v, pointer, decode_string_max(v), &all);
    }
    if (ok) {
        text_add(out, "[%s]", text_get(&all));
    }
    text_free(&all);
    return ok;
}

static bool environment(const struct syscall_view *v, u64 address, struct text *out)
{
    unsigned n = 0;
    u64 pointer;
    for (;; n++) {
        if (!v->read(v->ctx, address + n * 8, &pointer, 8)) {
            return false;
        }
        if (!pointer || n == 100000) {
            break;
        }
    }
    text_add(out, "0x%llx /* %u var%s */", (unsigned long long)address, n, n == 1 ? "" : "s");
    return true;
}

// available: bytes that are valid in all vectors together.
static bool io_vector(const struct syscall_view *v, u64 address, u64 count, u64 available,
                      struct text *out)
{
    struct text all = {0};
    bool ok = true;
    for (u64 i = 0; ok && i < count; i++) {
        u64 pair[2];
        text_add(&all, i ? ", " : "");
        if (i == ARRAY_MAX_SHOWN) {
            text_add(&all, "...");
            break;
        }
        ok = v->read(v->ctx, address + i * 16, pair, 16);
        u64 valid = ok && pair[1] < available ? pair[1] : available;
        available -= ok ? valid : 0;
        text_add(&all, "{iov_base=");
        ok = ok && decode_buffer(v, pair[0], valid, &all);
        text_add(&all, ", iov_len=%llu}", ok ? (unsigned long long)pair[1] : 0);
    }
    if (ok) {
        text_add(out, "[%s]", text_get(&all));
    }
    text_free(&all);
    return ok;
}

// What was to be filled, and was not.
static bool io_pointers(const struct syscall_view *v, u64 address, u64 count, struct text *out)
{
    u64 pairs[ARRAY_MAX_SHOWN][2];
    u64 part = count < ARRAY_MAX_SHOWN ? count : ARRAY_MAX_SHOWN;
    if (!v->read(v->ctx, address, pairs, part * 16)) {
        return false;
    }
    text_char(out, '[');
    for (u64 i = 0; i < part; i++) {
        text_add(out, "%s{iov_base=", i ? ", " : "");
        decode_pointer(out, pairs[i][0]);
        text_add(out, ", iov_len=%llu}", (unsigned long long)pairs[i][1]);
    }
    text_add(out, count > part ? ", ...]" : "]");
    return true;
}

static bool unsigned_array(const struct syscall_view *v, u64 address, u64 count, struct text *out)
{
    u32 ids[ARRAY_MAX_SHOWN];
    u64 part = count < ARRAY_MAX_SHOWN ? count : ARRAY_MAX_SHOWN;
    if (count > 65536 || !v->read(v->ctx, address, ids, part * 4)) {
        return false;
    }
    text_char(out, '[');
    for (u64 i = 0; i < part; i++) {
        text_add(out, "%s%u", i ? ", " : "", ids[i]);
    }
    text_add(out, count > part ? ", ...]" : "]");
    return true;
}

static bool int_pointer(const struct syscall_view *v, u64 address, bool is_signed, struct text *out)
{
    u32 value;
    if (!v->read(v->ctx, address, &value, 4)) {
        return false;
    }
    text_add(out, is_signed ? "[%d]" : "[%u]", value);
    return true;
}

static bool offset_pointer(const struct syscall_view *v, u64 address, struct text *out)
{
    s64 value;
    if (!v->read(v->ctx, address, &value, 8)) {
        return false;
    }
    text_add(out, "[%lld]", (long long)value);
    return true;
}

static bool time_pointer(const struct syscall_view *v, u64 address, struct text *out)
{
    s64 value;
    struct tm day;
    char text[64];
    if (!v->read(v->ctx, address, &value, 8)) {
        return false;
    }
    text_add(out, "[%lld", (long long)value);
    if (value && gmtime_r(&value, &day) &&
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S+0000", &day)) {
        text_add(out, " /* %s */", text);
    }
    text_char(out, ']');
    return true;
}

static bool fd_pair(const struct syscall_view *v, u64 address, struct text *out)
{
    int fds[2];
    if (!v->read(v->ctx, address, fds, 8)) {
        return false;
    }
    text_char(out, '[');
    decode_fd(v, fds[0], out);
    text_add(out, ", ");
    decode_fd(v, fds[1], out);
    text_char(out, ']');
    return true;
}

bool decode_memory_kind(const struct syscall_view *v, unsigned i, struct text *out)
{
    u64 address = v->arg[i];
    u64 next = i < 5 ? v->arg[i + 1] : 0;
    u64 result = v->done && v->result > 0 ? (u64)v->result : 0;
    switch ((enum syscall_kind)v->row->args[i]) {
    case KIND_PATH:
        return decode_string(v, address, PATH_MAX_SHOWN, out);
    case KIND_STR:
        return decode_string(v, address, decode_string_max(v), out);
    case KIND_STR_OUT:
        return decode_string(v, address, PATH_MAX_SHOWN, out);
    case KIND_STRV:
        return string_vector(v, address, out);
    case KIND_ENVV:
        return environment(v, address, out);
    case KIND_BUF_IN:
        return decode_buffer(v, address, next, out);
    case KIND_BUF_OUT:
        if (v->number == 318) { // getrandom
            return hex_buffer(v, address, result, out);
        }
        return decode_buffer(v, address, result, out);
    case KIND_IOV_IN:
        return io_vector(v, address, next, UINT64_MAX, out);
    case KIND_IOV_OUT:
        if (syscall_failed(v)) {
            return io_pointers(v, address, next, out);
        }
        return io_vector(v, address, next, result, out);
    case KIND_GIDS_IN:
        return unsigned_array(v, address, v->arg[i - 1], out);
    case KIND_GIDS_OUT:
        return unsigned_array(v, address, result, out);
    case KIND_INT_IN:
    case KIND_INT_OUT:
    case KIND_TID_OUT:
    case KIND_SOCKLEN_INOUT:
        return int_pointer(v, address, true, out);
    case KIND_UINT_OUT:
        return int_pointer(v, address, false, out);
    case KIND_TIME_OUT:
        return time_pointer(v, address, out);
    case KIND_OFFSET_INOUT:
        return offset_pointer(v, address, out);
    case KIND_FDPAIR_OUT:
        return fd_pair(v, address, out);
    case KIND_DIRENTS_OUT:
        return false; // decode_structs.c counts them
    default:
        return false;
    }
}
