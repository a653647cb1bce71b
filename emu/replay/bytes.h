// SPDX-License-Identifier: MIT
// Numbers to bytes and back: a growing buffer, and a cursor that never reads past its end. All
// numbers are little-endian; varints are LEB128.
#ifndef VIV_REPLAY_BYTES_H
#define VIV_REPLAY_BYTES_H

#include "base/types.h"

struct bytes {
    u8 *data;
    size_t size, room;
};

void bytes_free(struct bytes *b);
void bytes_put(struct bytes *b, const void *data, size_t size);
void bytes_put_u8(struct bytes *b, u8 value);
void bytes_put_u32(struct bytes *b, u32 value);
void bytes_put_u64(struct bytes *b, u64 value);
void bytes_put_varint(struct bytes *b, u64 value);
// Length as a varint, then the characters.
void bytes_put_text(struct bytes *b, const char *text);

struct bytes_in {
    const u8 *data;
    size_t size, at;
    bool bad; // something was missing or malformed; all further gets give 0
};

// Points at size bytes and moves past them; NULL (and bad) if there are fewer.
const u8 *bytes_get(struct bytes_in *in, size_t size);
u8 bytes_get_u8(struct bytes_in *in);
u32 bytes_get_u32(struct bytes_in *in);
u64 bytes_get_u64(struct bytes_in *in);
u64 bytes_get_varint(struct bytes_in *in);
// A copy with a terminating zero, never NULL; free() it. A zero inside, or more than max
// characters, is bad.
char *bytes_get_text(struct bytes_in *in, size_t max);

static inline size_t bytes_left(const struct bytes_in *in)
{
    return in->bad ? 0 : in->size - in->at;
}

// CRC-32C (Castagnoli, as in RFC 3720), continuing from crc (0 at the start).
u32 bytes_crc32c(u32 crc, const void *data, size_t size);

#endif
