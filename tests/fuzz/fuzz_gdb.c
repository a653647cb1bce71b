// SPDX-License-Identifier: MIT
// The gdb stub fed with anything, over the fake target: it ends, what it sends is well framed, no
// point of gdb's outlives it. The first byte chooses: odd, the rest is what comes over the line;
// even, each line of it is framed as a packet first, so that more of them are understood.
#include "base/check.h"
#include "gdbstub/packet.h"
#include "gdbstub/server.h"
#include "tests/gdbstub/fake_target.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define LINE_MAX_BYTES 0x2000u

struct line {
    const u8 *data;
    size_t size, at;
    bool framed;
    u8 frame[2 * LINE_MAX_BYTES + 4];
    size_t frame_at, frame_size;
    struct packet_parser replies;
    u64 sent;
};

// One line becomes one frame.
static bool next_frame(struct line *l)
{
    if (l->at == l->size) {
        return false;
    }
    const u8 *begin = l->data + l->at;
    const u8 *newline = memchr(begin, '\n', l->size - l->at);
    size_t n = newline ? (size_t)(newline - begin) : l->size - l->at;
    l->at += n + (newline != NULL);
    n = n < LINE_MAX_BYTES ? n : LINE_MAX_BYTES;
    l->frame_at = 0;
    l->frame_size = packet_encode(l->frame, begin, (u32)n, false);
    return true;
}

static long link_read(void *ctx, u8 *bytes, size_t room, bool wait)
{
    struct line *l = ctx;
    const u8 *from = l->data + l->at;
    size_t left = l->size - l->at;
    if (l->framed) {
        if (!wait || (l->frame_at == l->frame_size && !next_frame(l))) {
            return wait ? -1 : 0;
        }
        from = l->frame + l->frame_at;
        left = l->frame_size - l->frame_at;
    } else if (!left) {
        return wait ? 0 : -1;
    } else if (!wait && *from & 1) { // gdb is slow now and then
        return 0;
    }
    left = left < room ? left : room;
    memcpy(bytes, from, left);
    *(l->framed ? &l->frame_at : &l->at) += left;
    return (long)left;
}

static bool link_write(void *ctx, const u8 *bytes, size_t size)
{
    struct line *l = ctx;
    for (size_t i = 0; i < size; i++) {
        enum packet_event e = packet_feed(&l->replies, bytes[i]);
        CHECK(e != PACKET_BAD && e != PACKET_TOO_LONG && e != PACKET_INTERRUPT);
    }
    l->sent += size;
    return true;
}

static const struct gdb_link_ops link_ops = {.read = link_read, .write = link_write};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    if (!size) {
        return 0;
    }
    struct line *l = calloc(1, sizeof(*l));
    CHECK(l);
    *l = (struct line){.data = data + 1, .size = size - 1, .framed = !(data[0] & 1)};
    struct gdb_server *server = gdb_server_create();
    struct target *target = fake_target_create(gdb_server_cancel, server);
    gdb_server_serve(server, target, (struct gdb_link){&link_ops, l});
    CHECK(fake_target_points(target) == 0);
    CHECK(l->replies.state == PACKET_OUTSIDE);
    fake_target_destroy(target);
    gdb_server_destroy(server);
    free(l);
    return 0;
}
