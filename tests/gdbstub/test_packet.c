// SPDX-License-Identifier: MIT
// Framing: what comes in torn, escaped or wrong, and what goes out.
#include "gdbstub/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// The last event of these bytes that is not NOTHING.
static enum packet_event feed(struct packet_parser *p, const void *bytes, size_t size)
{
    enum packet_event last = PACKET_NOTHING;
    for (size_t i = 0; i < size; i++) {
        enum packet_event e = packet_feed(p, ((const u8 *)bytes)[i]);
        last = e == PACKET_NOTHING ? last : e;
    }
    return last;
}

#define FEED(p, text) feed(p, text, sizeof(text) - 1)

static struct packet_parser *new_parser(void **state)
{
    struct packet_parser *p = *state;
    packet_parser_reset(p);
    return p;
}

static void plain_packets(void **state)
{
    struct packet_parser *p = new_parser(state);
    assert_int_equal(FEED(p, "$qSupported#37"), PACKET_COMPLETE);
    assert_string_equal((char *)p->payload, "qSupported");
    assert_int_equal(FEED(p, "$#00"), PACKET_COMPLETE);
    assert_int_equal(p->size, 0);
    assert_int_equal(FEED(p, "$g#6"), PACKET_NOTHING); // half of it
    assert_int_equal(FEED(p, "7"), PACKET_COMPLETE);
}

static void single_bytes(void **state)
{
    struct packet_parser *p = new_parser(state);
    assert_int_equal(FEED(p, "+"), PACKET_ACK);
    assert_int_equal(FEED(p, "-"), PACKET_NAK);
    assert_int_equal(FEED(p, "\x03"), PACKET_INTERRUPT);
    assert_int_equal(FEED(p, "noise#12\r\n"), PACKET_NOTHING);
}

static void bad_packets(void **state)
{
    struct packet_parser *p = new_parser(state);
    assert_int_equal(FEED(p, "$g#68"), PACKET_BAD);
    assert_int_equal(FEED(p, "$g#zz"), PACKET_BAD);
    assert_int_equal(FEED(p, "$gar$g#67"), PACKET_COMPLETE); // begun anew
    assert_string_equal((char *)p->payload, "g");
}

static void escapes(void **state)
{
    struct packet_parser *p = new_parser(state);
    // '}' 0x03 is '#', '}' ']' is '}'; 0x03 inside a packet is no interrupt.
    assert_int_equal(FEED(p, "$X}\x03}]\x03#b5"), PACKET_COMPLETE);
    assert_int_equal(p->size, 4);
    assert_memory_equal(p->payload, "X#}\x03", 4);
}

static void too_long(void **state)
{
    struct packet_parser *p = new_parser(state);
    packet_feed(p, '$');
    u8 sum = 0;
    for (u32 i = 0; i < GDB_PACKET_MAX + 1; i++) {
        packet_feed(p, 'a');
        sum += 'a';
    }
    char end[8];
    snprintf(end, sizeof(end), "#%02x", sum);
    assert_int_equal(feed(p, end, 3), PACKET_TOO_LONG);
    assert_int_equal(FEED(p, "$g#67"), PACKET_COMPLETE);
}

static void encoding(void **state)
{
    static u8 out[GDB_FRAME_MAX];
    u32 n = packet_encode(out, (const u8 *)"OK", 2, true);
    assert_int_equal(n, 6);
    assert_memory_equal(out, "$OK#9a", 6);
    n = packet_encode(out, (const u8 *)"a#$}*", 5, true);
    assert_int_equal(n, 4 + 9);
    assert_memory_equal(out, "$a}\x03}\x04}]}\x0a#", 11);
    n = packet_encode(out, (const u8 *)"0000", 4, true); // the manual's example: "0* "
    assert_memory_equal(out, "$0* #7a", 7);
    assert_int_equal(n, 7);
    n = packet_encode(out, (const u8 *)"0000", 4, false);
    assert_int_equal(n, 8);
}

// Undoes packet_encode() as gdb does.
static u32 decode(const u8 *frame, u32 size, u8 *out)
{
    u32 n = 0;
    for (u32 i = 1; i < size - 3; i++) {
        if (frame[i] == '}') {
            out[n++] = frame[++i] ^ 0x20;
        } else if (frame[i] == '*') {
            u32 count = frame[++i] - 29u;
            memset(out + n, out[n - 1], count);
            n += count;
        } else {
            out[n++] = frame[i];
        }
    }
    return n;
}

static void encoding_round_trip(void **state)
{
    static u8 payload[GDB_PACKET_MAX], frame[GDB_FRAME_MAX], back[GDB_PACKET_MAX];
    srand(1);
    for (unsigned round = 0; round < 2000; round++) {
        u32 size = (u32)rand() % (round % 100 ? 300 : GDB_PACKET_MAX);
        for (u32 i = 0; i < size;) {
            u8 byte = (u8)(round % 2 ? "#$}*+-0a"[rand() % 8] : rand());
            for (u32 run = (u32)rand() % 120; i < size && run; run--) {
                payload[i++] = byte;
            }
        }
        u32 n = packet_encode(frame, payload, size, true);
        assert_int_equal(decode(frame, n, back), size);
        assert_memory_equal(back, payload, size);
        for (u32 i = 1; i < n - 3; i++) {
            assert_true(frame[i] != '$' && frame[i] != '#');
        }
    }
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_packets),
        cmocka_unit_test(single_bytes),
        cmocka_unit_test(bad_packets),
        cmocka_unit_test(escapes),
        cmocka_unit_test(too_long),
        cmocka_unit_test(encoding),
        cmocka_unit_test(encoding_round_trip),
    };
    struct packet_parser *p = calloc(1, sizeof(*p));
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        tests[i].initial_state = p;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(p);
    return failed;
}
