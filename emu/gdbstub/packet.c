// SPDX-License-Identifier: MIT
// The packet parser and encoder.
#include "gdbstub/packet.h"

#include "base/check.h"

#define INTERRUPT_BYTE 0x03
#define ESCAPE '}'
#define ESCAPE_XOR 0x20
// A repeat count is sent as a printable character: count + 29 (gdb manual, E.1).
#define REPEAT_BIAS 29
#define REPEAT_MIN 3
#define REPEAT_MAX 97

static const char hex_digits[] = "0123456789abcdef";

int packet_hex_digit(u8 c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void packet_parser_reset(struct packet_parser *p)
{
    p->state = PACKET_OUTSIDE;
    p->size = 0;
}

static void begin(struct packet_parser *p)
{
    p->state = PACKET_INSIDE;
    p->size = 0;
    p->sum = 0;
    p->too_long = false;
}

static enum packet_event outside(struct packet_parser *p, u8 byte)
{
    switch (byte) {
    case '+':
        return PACKET_ACK;
    case '-':
        return PACKET_NAK;
    case INTERRUPT_BYTE:
        return PACKET_INTERRUPT;
    default: // noise between packets
        return PACKET_NOTHING;
    }
}

static void add(struct packet_parser *p, u8 byte)
{
    if (p->size == GDB_PACKET_MAX) {
        p->too_long = true;
    } else {
        p->payload[p->size++] = byte;
    }
}

static enum packet_event finish(struct packet_parser *p, u8 byte)
{
    int low = packet_hex_digit(byte);
    p->state = PACKET_OUTSIDE;
    p->payload[p->size] = 0;
    if (low < 0 || (p->wanted_sum | low) != p->sum) {
        return PACKET_BAD;
    }
    return p->too_long ? PACKET_TOO_LONG : PACKET_COMPLETE;
}

enum packet_event packet_feed(struct packet_parser *p, u8 byte)
{
    if (byte == '$') {
        begin(p);
        return PACKET_NOTHING;
    }
    switch (p->state) {
    case PACKET_OUTSIDE:
        return outside(p, byte);
    case PACKET_INSIDE:
        if (byte == '#') {
            p->state = PACKET_SUM_HIGH;
            return PACKET_NOTHING;
        }
        p->sum += byte;
        if (byte == ESCAPE) {
            p->state = PACKET_ESCAPED;
        } else {
            add(p, byte);
        }
        return PACKET_NOTHING;
    case PACKET_ESCAPED:
        p->sum += byte;
        p->state = PACKET_INSIDE;
        add(p, byte ^ ESCAPE_XOR);
        return PACKET_NOTHING;
    case PACKET_SUM_HIGH: {
        int high = packet_hex_digit(byte);
        if (high < 0) {
            p->state = PACKET_OUTSIDE;
            return PACKET_BAD;
        }
        p->wanted_sum = (u8)(high << 4);
        p->state = PACKET_SUM_LOW;
        return PACKET_NOTHING;
    }
    case PACKET_SUM_LOW:
        return finish(p, byte);
    }
    CHECK(false);
    return PACKET_NOTHING;
}

struct frame {
    u8 *out;
    u32 size;
    u8 sum;
};

static void put(struct frame *f, u8 byte)
{
    f->out[f->size++] = byte;
    f->sum += byte;
}

static bool is_special(u8 byte)
{
    return byte == '#' || byte == '$' || byte == ESCAPE || byte == '*';
}

// How many bytes behind the first are equal to it and can be said by one repeat count.
static u32 repeats(const u8 *bytes, u32 size)
{
    u32 n = 0;
    while (n + 1 < size && n < REPEAT_MAX && bytes[n + 1] == bytes[0]) {
        n++;
    }
    while (n >= REPEAT_MIN && (is_special((u8)(n + REPEAT_BIAS)) || n + REPEAT_BIAS == '+' ||
                               n + REPEAT_BIAS == '-')) {
        n--;
    }
    return n >= REPEAT_MIN ? n : 0;
}

u32 packet_encode(u8 *out, const u8 *payload, u32 size, bool compress)
{
    CHECK(size <= GDB_PACKET_MAX);
    struct frame f = {.out = out};
    put(&f, '$');
    f.sum = 0;
    for (u32 i = 0; i < size; i++) {
        u8 byte = payload[i];
        if (is_special(byte)) {
            put(&f, ESCAPE);
            put(&f, byte ^ ESCAPE_XOR);
            continue;
        }
        put(&f, byte);
        u32 n = compress ? repeats(payload + i, size - i) : 0;
        if (n) {
            put(&f, '*');
            put(&f, (u8)(n + REPEAT_BIAS));
            i += n;
        }
    }
    u8 sum = f.sum;
    put(&f, '#');
    put(&f, (u8)hex_digits[sum >> 4]);
    put(&f, (u8)hex_digits[sum & 15]);
    return f.size;
}
