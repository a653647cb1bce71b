// SPDX-License-Identifier: MIT
// Tags, varints, lengths.
#include "trace/proto_writer.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2 };

static u8 *make_room(struct proto *p, size_t more)
{
    if (p->used + more > p->room) {
        p->room = (p->used + more) * 2;
        p->bytes = xrealloc(p->bytes, p->room);
    }
    u8 *at = p->bytes + p->used;
    p->used += more;
    return at;
}

static void raw_varint(struct proto *p, u64 value)
{
    while (value >= 0x80) {
        *make_room(p, 1) = (u8)(value | 0x80);
        value >>= 7;
    }
    *make_room(p, 1) = (u8)value;
}

static void tag(struct proto *p, unsigned field, enum wire_type type)
{
    raw_varint(p, (u64)field << 3 | type);
}

void proto_clear(struct proto *p)
{
    p->used = 0;
}

void proto_free(struct proto *p)
{
    free(p->bytes);
    *p = (struct proto){0};
}

void proto_varint(struct proto *p, unsigned field, u64 value)
{
    tag(p, field, WIRE_VARINT);
    raw_varint(p, value);
}

void proto_fixed64(struct proto *p, unsigned field, u64 value)
{
    tag(p, field, WIRE_FIXED64);
    u8 *at = make_room(p, 8);
    for (unsigned i = 0; i < 8; i++) {
        at[i] = (u8)(value >> (8 * i));
    }
}

void proto_bytes(struct proto *p, unsigned field, const void *bytes, size_t size)
{
    tag(p, field, WIRE_BYTES);
    raw_varint(p, size);
    if (size) {
        memcpy(make_room(p, size), bytes, size);
    }
}

void proto_text(struct proto *p, unsigned field, const char *text)
{
    proto_bytes(p, field, text, strlen(text));
}

void proto_message(struct proto *p, unsigned field, const struct proto *inner)
{
    proto_bytes(p, field, inner->bytes, inner->used);
}
