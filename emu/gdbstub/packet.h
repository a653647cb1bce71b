// SPDX-License-Identifier: MIT
// Framing of the GDB remote protocol (gdb manual, appendix E.1 "Overview"): bytes to packets and
// back. Pure: no I/O, no allocation, any byte sequence is allowed.
#ifndef VIV_GDBSTUB_PACKET_H
#define VIV_GDBSTUB_PACKET_H

#include "base/types.h"

// Payload bytes of the longest packet either way; qSupported's PacketSize.
#define GDB_PACKET_MAX 0x8000u
// What packet_encode() may write for a payload: every byte escaped, frame, checksum.
#define GDB_FRAME_MAX (2 * GDB_PACKET_MAX + 4)

enum packet_event {
    PACKET_NOTHING,   // more bytes are needed
    PACKET_COMPLETE,  // payload[0 .. size) is a packet, zero byte behind it
    PACKET_BAD,       // the checksum is wrong or no checksum: to be asked for again
    PACKET_TOO_LONG,  // longer than GDB_PACKET_MAX, dropped
    PACKET_ACK,       // '+'
    PACKET_NAK,       // '-': send the last packet again
    PACKET_INTERRUPT, // Ctrl-C (0x03) between packets
};

enum packet_state {
    PACKET_OUTSIDE,
    PACKET_INSIDE,
    PACKET_ESCAPED,
    PACKET_SUM_HIGH,
    PACKET_SUM_LOW
};

struct packet_parser {
    enum packet_state state;
    u8 sum, wanted_sum;
    bool too_long;
    u32 size;
    u8 payload[GDB_PACKET_MAX + 1];
};

void packet_parser_reset(struct packet_parser *p);
// Takes one byte. A '$' begins a new packet wherever it comes: that is how a torn one is left.
enum packet_event packet_feed(struct packet_parser *p, u8 byte);

// Writes "$payload#sum" into out, with '#', '$', '}' and '*' escaped and, if compress, runs of
// equal bytes run-length encoded. size at most GDB_PACKET_MAX, out takes 2 * size + 4; returns the
// frame's size.
u32 packet_encode(u8 *out, const u8 *payload, u32 size, bool compress);

// The value of a hexadecimal digit, -1 if it is none.
int packet_hex_digit(u8 c);

#endif
