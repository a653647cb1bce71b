// SPDX-License-Identifier: MIT
// Protocol buffers' wire format (protobuf.dev, "Encoding"), as far as a trace needs it.
#ifndef VIV_TRACE_PROTO_WRITER_H
#define VIV_TRACE_PROTO_WRITER_H

#include "base/types.h"

// A message in the making; all zero is an empty one.
struct proto {
    u8 *bytes;
    size_t used, room;
};

void proto_clear(struct proto *p);
void proto_free(struct proto *p);

void proto_varint(struct proto *p, unsigned field, u64 value);
void proto_fixed64(struct proto *p, unsigned field, u64 value);
void proto_bytes(struct proto *p, unsigned field, const void *bytes, size_t size);
void proto_text(struct proto *p, unsigned field, const char *text);
// A finished inner message.
void proto_message(struct proto *p, unsigned field, const struct proto *inner);

#endif
