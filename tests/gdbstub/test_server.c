// SPDX-License-Identifier: MIT
// Whole sessions of the stub over the fake target: packets in, replies out.
#include "fake_target.h"

#include "gdbstub/packet.h"
#include "gdbstub/registers.h"
#include "gdbstub/server.h"
#include "gdbstub/target_xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SUPPORTED "qSupported:multiprocess+;swbreak+;hwbreak+"

struct session {
    char input[1 << 16], output[1 << 18];
    size_t input_size, input_at, output_size, output_at;
    size_t ends[64], sent, allowed; // of what was sent; bytes that gdb has let go of
    bool early[64];                 // does not wait until the guest stands still
    size_t slow;                    // bytes a read gives; 0: all
    bool ends_quietly; // at the end of input the outside ends the run; else gdb is gone
    struct gdb_server *server;
    struct target *target;
    enum gdb_outcome outcome;
};

static long link_read(void *ctx, u8 *bytes, size_t room, bool wait)
{
    struct session *s = ctx;
    for (unsigned i = 0; i < s->sent; i++) {
        bool next = s->ends[i] > s->allowed;
        if (next && s->allowed == s->input_at && (s->early[i] || wait)) {
            s->allowed = s->ends[i];
        }
        if (next) {
            break;
        }
    }
    size_t left = s->allowed - s->input_at;
    if (!left) {
        return wait ? (s->ends_quietly ? 0 : -1) : 0;
    }
    left = left < room ? left : room;
    left = s->slow && left > s->slow ? s->slow : left;
    memcpy(bytes, s->input + s->input_at, left);
    s->input_at += left;
    return (long)left;
}

static bool link_write(void *ctx, const u8 *bytes, size_t size)
{
    struct session *s = ctx;
    assert_true(s->output_size + size < sizeof(s->output));
    memcpy(s->output + s->output_size, bytes, size);
    s->output_size += size;
    return true;
}

static const struct gdb_link_ops link_ops = {.read = link_read, .write = link_write};

static void add_bytes(struct session *s, const void *bytes, size_t size)
{
    assert_true(s->sent < 64);
    memcpy(s->input + s->input_size, bytes, size);
    s->input_size += size;
    s->ends[s->sent++] = s->input_size;
}

// What was just added comes as soon as what is before it was taken.
static void early(struct session *s)
{
    s->early[s->sent - 1] = true;
}

static void send(struct session *s, const char *packet)
{
    static u8 frame[GDB_FRAME_MAX];
    add_bytes(s, frame, packet_encode(frame, (const u8 *)packet, (u32)strlen(packet), false));
}

static void serve(struct session *s)
{
    s->outcome = gdb_server_serve(s->server, s->target, (struct gdb_link){&link_ops, s});
}

// The next reply, acknowledgements skipped, decoded into a static buffer; NULL: none is left.
static const char *reply(struct session *s)
{
    static char text[GDB_PACKET_MAX + 1];
    size_t n = 0;
    while (s->output_at < s->output_size && s->output[s->output_at] != '$') {
        s->output_at++;
    }
    if (s->output_at == s->output_size) {
        return NULL;
    }
    for (s->output_at++; s->output[s->output_at] != '#'; s->output_at++) {
        char c = s->output[s->output_at];
        if (c == '}') {
            c = (char)(s->output[++s->output_at] ^ 0x20);
        } else if (c == '*') {
            unsigned count = (unsigned)s->output[++s->output_at] - 29;
            memset(text + n, text[n - 1], count);
            n += count;
            continue;
        }
        text[n++] = c;
    }
    text[n] = '\0';
    s->output_at += 3;
    return text;
}

static void expect(struct session *s, const char *wanted)
{
    const char *seen = reply(s);
    assert_non_null(seen);
    assert_string_equal(seen, wanted);
}

static void expect_begin(struct session *s, const char *wanted)
{
    const char *seen = reply(s);
    assert_non_null(seen);
    if (strncmp(seen, wanted, strlen(wanted)) != 0) {
        fail_msg("wanted %s..., saw %s", wanted, seen);
    }
}

static int setup(void **state)
{
    struct session *s = calloc(1, sizeof(*s));
    s->server = gdb_server_create();
    s->target = fake_target_create(gdb_server_cancel, s->server);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct session *s = *state;
    gdb_server_destroy(s->server);
    fake_target_destroy(s->target);
    free(s);
    return 0;
}

static void greeting(void **state)
{
    struct session *s = *state;
    send(s, SUPPORTED);
    send(s, "vMustReplyEmpty");
    send(s, "QStartNoAckMode");
    send(s, "?");
    send(s, "qC");
    send(s, "qAttached");
    send(s, "qTStatus");
    send(s, "vCont?");
    serve(s);
    expect_begin(s, "PacketSize=8000;QStartNoAckMode+;");
    expect(s, "");
    expect(s, "OK");
    expect_begin(s, "T05thread:p1.1;core:0;06:5555555555555555;");
    expect(s, "QCp1.1");
    expect(s, "1");
    expect(s, "");
    expect(s, "vCont;c;C;s;S;t;r");
    assert_null(reply(s));
    assert_int_equal(s->outcome, GDB_GONE);
}

// The same bytes one at a time give the same answers.
static void torn(void **state)
{
    struct session *s = *state;
    s->slow = 1;
    greeting(state);
}

static void nak_and_ack(void **state)
{
    struct session *s = *state;
    send(s, "qAttached");
    add_bytes(s, "-", 1);
    add_bytes(s, "$qAttached#00", 13);
    serve(s);
    assert_int_equal(s->output_size, 1 + 5 + 5 + 1);
    assert_memory_equal(s->output, "+$1#31$1#31-", 12);
}

static void memory(void **state)
{
    struct session *s = *state;
    fake_target_memory(s->target)[0x100] = 0xAB;
    fake_target_memory(s->target)[0x101] = '#';
    send(s, "m1100,2");
    send(s, "m10,4");
    send(s, "m3ffe,10");
    send(s, "x1100,2");
    send(s, "M1100,2:0102");
    send(s, "M10,1:00");
    send(s, "M1100,3:0102");
    send(s, "X1104,2:xy");
    send(s, "m1100,6");
    send(s, "mffffffffffffffffff,1");
    send(s, "m1100");
    serve(s);
    expect(s, "ab23");
    expect(s, "E14");
    expect(s, "0000"); // what there is
    expect(s, "b\xab#");
    expect(s, "OK");
    expect(s, "E14");
    expect(s, "E16");
    expect(s, "OK");
    expect(s, "010200007879");
    expect(s, "E16");
    expect(s, "E16");
    assert_int_equal(fake_target_writes(s->target), 2);
}

static void physical_memory(void **state)
{
    struct session *s = *state;
    fake_target_memory(s->target)[0x100] = 0xAB;
    send(s, "qqemu.PhyMemMode");
    send(s, "Qqemu.PhyMemMode:1");
    send(s, "qqemu.PhyMemMode");
    send(s, "m1100,1");
    send(s, "m101100,1");
    send(s, "M101100,1:cd");
    send(s, "Qqemu.PhyMemMode:0");
    send(s, "m1100,1");
    send(s, "Qqemu.PhyMemMode:2");
    serve(s);
    expect(s, "0");
    expect(s, "OK");
    expect(s, "1");
    expect(s, "E14");
    expect(s, "ab");
    expect(s, "OK");
    expect(s, "OK");
    expect(s, "cd");
    expect(s, "E16");
}

static void registers(void **state)
{
    struct session *s = *state;
    send(s, "p10"); // rip
    send(s, "P1=0807060504030201");
    send(s, "p1");
    send(s, "P12=0100");     // cs: wrong size
    send(s, "P12=01000000"); // cs: cannot be written
    send(s, "P12=00000000"); // cs: as it is
    send(s, "p47");
    send(s, "pff");
    send(s, "g");
    serve(s);
    expect(s, "6400400000000000");
    expect(s, "OK");
    expect(s, "0807060504030201");
    expect(s, "E16");
    expect(s, "E1e");
    expect(s, "OK");
    expect(s, "6400000000000000"); // step
    expect(s, "E16");
    const char *all = reply(s);
    size_t digits = 0;
    for (unsigned i = 0; i < registers_count(); i++) {
        digits += registers_row(i)->bits / 4;
    }
    assert_int_equal(strlen(all), digits);
    assert_memory_equal(all + 16, "0807060504030201", 16);
    assert_int_equal(fake_target_writes(s->target), 1);
}

static void tag_word(void **state)
{
    struct session *s = *state;
    send(s, "P22=ffff0000"); // ftag: all empty
    send(s, "p22");
    send(s, "P22=fcff0000"); // register 0 in use, and zero
    send(s, "p22");
    serve(s);
    expect(s, "OK");
    expect(s, "ffff0000");
    expect(s, "OK");
    expect(s, "fdff0000");
}

static void threads(void **state)
{
    struct session *s = *state;
    send(s, SUPPORTED);
    send(s, "qfThreadInfo");
    send(s, "qsThreadInfo");
    send(s, "Tp1.2");
    send(s, "Tp1.3");
    send(s, "Tp2.1");
    send(s, "Hgp1.2");
    send(s, "p10");
    send(s, "p1");
    send(s, "p0");
    send(s, "P1=0000000000000000");
    send(s, "m70000,2"); // only in its address space
    send(s, "Hgp1.9");
    send(s, "Hg0");
    send(s, "m70000,2");
    send(s, "qXfer:threads:read::0,4000");
    send(s, "qThreadExtraInfo,p1.2");
    serve(s);
    expect_begin(s, "PacketSize");
    expect(s, "mp1.1,p1.2");
    expect(s, "l");
    expect(s, "OK");
    expect(s, "E03");
    expect(s, "E16");
    expect(s, "OK");
    expect(s, "3412400000000000");
    expect(s, "0300000000000000");
    expect(s, "xxxxxxxxxxxxxxxx");
    expect(s, "E1e");
    expect(s, "0000");
    expect(s, "E03");
    expect(s, "OK");
    expect(s, "E14");
    const char *xml = reply(s);
    assert_non_null(strstr(xml, "<thread id=\"p1.2\">&#60;a&#38;b&#62; (user) S</thread>"));
    expect_begin(s, "3c61");
}

static void breakpoints(void **state)
{
    struct session *s = *state;
    send(s, SUPPORTED);
    send(s, "Z0,4000c8,1"); // step 200
    send(s, "Z0,4000c8,1");
    send(s, "Z1,4000d2,1"); // step 210
    send(s, "Z7,0,1");
    send(s, "Z2,1000,0");
    send(s, "vCont;c:p1.-1");
    send(s, "vCont;c");
    send(s, "bc");
    send(s, "bs");
    send(s, "z0,4000c8,1");
    send(s, "z1,4000d2,1");
    send(s, "bc");
    send(s, "vCont;s:p1.1;c");
    serve(s);
    expect_begin(s, "PacketSize");
    expect(s, "OK");
    expect(s, "OK");
    expect(s, "OK");
    expect(s, "");
    expect(s, "E16");
    expect_begin(s, "T05swbreak:;thread:p1.1;");
    expect_begin(s, "T05hwbreak:;thread:p1.1;");
    expect_begin(s, "T05swbreak:;");
    const char *back = reply(s);
    assert_non_null(strstr(back, ";10:c700400000000000;"));
    expect(s, "OK");
    expect(s, "OK");
    expect_begin(s, "T05replaylog:begin;");
    expect_begin(s, "T05thread:p1.1;");
    assert_int_equal(fake_target_points(s->target), 0);
}

static void points_go_with_gdb(void **state)
{
    struct session *s = *state;
    send(s, "Z0,4000c8,1");
    send(s, "Z3,1000,4");
    send(s, "QCatchSyscalls:1;1;2");
    serve(s);
    assert_int_equal(fake_target_points(s->target), 0);
}

static void watchpoints(void **state)
{
    struct session *s = *state;
    send(s, "Z2,1000,8");
    send(s, "c");
    send(s, "z2,1000,8");
    send(s, "Z4,1000,8");
    send(s, "C0b");
    serve(s);
    expect(s, "OK");
    expect_begin(s, "T05watch:1000;");
    expect(s, "OK");
    expect(s, "OK");
    expect_begin(s, "O"); // no signals here
    expect_begin(s, "T05awatch:1000;");
}

static void system_calls(void **state)
{
    struct session *s = *state;
    send(s, "QCatchSyscalls:1;101");
    send(s, "c");
    send(s, "p39"); // orig_rax
    send(s, "c");
    send(s, "QCatchSyscalls:0");
    send(s, "QCatchSyscalls:1;zz");
    serve(s);
    expect(s, "OK");
    expect_begin(s, "T05syscall_entry:101;");
    expect(s, "0101000000000000");
    expect_begin(s, "T05syscall_return:101;");
    expect(s, "OK");
    expect(s, "E16");
}

// History ends, one may go back, and only going on again ends the guest.
static void the_end(void **state)
{
    struct session *s = *state;
    send(s, SUPPORTED);
    send(s, "vCont;c");
    send(s, "bs");
    send(s, "vCont;c");
    send(s, "vCont;c");
    serve(s);
    expect_begin(s, "PacketSize");
    expect_begin(s, "O");
    expect_begin(s, "T05replaylog:end;");
    expect_begin(s, "T05thread");
    expect_begin(s, "O");
    expect_begin(s, "T05replaylog:end;");
    expect(s, "W07;process:1");
    assert_int_equal(s->outcome, GDB_EXITED);
}

static void interrupt(void **state)
{
    struct session *s = *state;
    send(s, "?");
    add_bytes(s, "\x03", 1); // stale: nothing runs
    send(s, "c");
    add_bytes(s, "\x03", 1);
    early(s);
    send(s, "qAttached");
    serve(s);
    expect_begin(s, "T05");
    expect_begin(s, "T02thread");
    expect(s, "1");
}

// A packet in the middle of a run gets its answer behind the stop's.
static void impatient(void **state)
{
    struct session *s = *state;
    send(s, "c");
    send(s, "qAttached");
    early(s);
    serve(s);
    expect_begin(s, "T02thread");
    expect(s, "1");
}

static void branches(void **state)
{
    struct session *s = *state;
    send(s, "s");
    send(s, "s");
    send(s, "bs");
    send(s, "M1000,1:55"); // in the past
    send(s, "M1000,1:56");
    send(s, "s");
    serve(s);
    expect_begin(s, "T05");
    expect_begin(s, "T05");
    expect_begin(s, "T05");
    expect(s, "OK");
    expect(s, "OK");
    const char *note = reply(s);
    assert_int_equal(note[0], 'O');
    expect_begin(s, "T05"); // said once
}

static void range_step(void **state)
{
    struct session *s = *state;
    send(s, "vCont;r400064,40006e:1;c");
    send(s, "vCont;r400064:1");
    send(s, "vCont;q");
    send(s, "vCont");
    serve(s);
    const char *stop = reply(s);
    assert_non_null(strstr(stop, ";10:6e00400000000000;"));
    expect(s, "E16");
    expect(s, "E16");
    expect(s, "E16");
}

// Steps belong to the thread that gdb steps, also behind a switch of tasks.
static void stepping_over_a_switch(void **state)
{
    struct session *s = *state;
    send(s, SUPPORTED);
    send(s, "Z0,40031e,1"); // step 798
    send(s, "c");
    send(s, "vCont;s:p1.1");
    send(s, "vCont;s:p1.1"); // the switch
    send(s, "p47");
    send(s, "vCont;s:p1.1");
    send(s, "qfThreadInfo");
    send(s, "bs");
    send(s, "bs");
    send(s, "vCont;s:p1.1");
    send(s, "Z0,40032a,1"); // step 810
    send(s, "vCont;c");
    serve(s);
    expect_begin(s, "PacketSize");
    expect(s, "OK");
    expect_begin(s, "T05swbreak:;thread:p1.1;");
    expect_begin(s, "T05thread:p1.1;");
    expect_begin(s, "O");
    expect_begin(s, "T05thread:p1.1;");
    expect(s, "2003000000000000");
    expect_begin(s, "T05thread:p1.1;"); // said once
    expect(s, "mp1.2,p1.1");
    expect_begin(s, "T05thread:p1.1;");
    expect_begin(s, "O");
    expect_begin(s, "T05thread:p1.1;");
    expect_begin(s, "O");
    expect_begin(s, "T05thread:p1.1;");
    expect(s, "OK");
    expect_begin(s, "T05swbreak:;thread:p1.2;");
}

static void monitor(void **state)
{
    struct session *s = *state;
    send(s, "qRcmd,6261636b21"); // back!
    send(s, "qRcmd,68656c70");   // help
    send(s, "qRcmd,6");
    serve(s);
    expect(s, "O796f7520736169643a206261636b210a");
    expect(s, "OK");
    expect_begin(s, "O796f7520736169643a2068656c700a");
    expect(s, "OK");
    expect(s, "E16");
}

static void life(void **state)
{
    struct session *s = *state;
    send(s, "!");
    send(s, "s");
    send(s, "vKill;1");
    send(s, "?");
    send(s, "vRun;");
    send(s, "D;1");
    serve(s);
    expect(s, "OK");
    expect_begin(s, "T05");
    expect(s, "OK");
    expect(s, "W00");
    const char *stop = reply(s);
    assert_non_null(strstr(stop, ";10:6400400000000000;")); // the beginning
    expect(s, "OK");
    assert_int_equal(s->outcome, GDB_DETACHED);
}

static void kill_ends(void **state)
{
    struct session *s = *state;
    send(s, "k");
    serve(s);
    assert_int_equal(s->outcome, GDB_KILLED);
}

static void outside_ends(void **state)
{
    struct session *s = *state;
    s->ends_quietly = true;
    serve(s);
    assert_int_equal(s->outcome, GDB_OUTSIDE);
}

static void transfers(void **state)
{
    struct session *s = *state;
    char *whole = target_xml();
    size_t size = strlen(whole), got = 0;
    for (size_t at = 0; at <= size; at += 1000) {
        char packet[80];
        snprintf(packet, sizeof(packet), "qXfer:features:read:target.xml:%zx,3e8", at);
        send(s, packet);
    }
    send(s, "qXfer:features:read:other.xml:0,100");
    send(s, "qXfer:auxv:read::0,100");
    send(s, "qXfer:siginfo:read::0,80");
    send(s, "qXfer:siginfo:read::80,80");
    serve(s);
    for (const char *part; got < size; got += strlen(part + 1)) {
        part = reply(s);
        assert_memory_equal(part + 1, whole + got, strlen(part + 1));
        assert_int_equal(part[0], got + strlen(part + 1) < size ? 'm' : 'l');
    }
    expect(s, "E00");
    expect(s, "");
    expect_begin(s, "l\x05");
    expect(s, "l");
    free(whole);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(greeting),
        TEST(torn),
        TEST(nak_and_ack),
        TEST(memory),
        TEST(physical_memory),
        TEST(registers),
        TEST(tag_word),
        TEST(threads),
        TEST(breakpoints),
        TEST(watchpoints),
        TEST(system_calls),
        TEST(the_end),
        TEST(interrupt),
        TEST(impatient),
        TEST(branches),
        TEST(range_step),
        TEST(stepping_over_a_switch),
        TEST(monitor),
        TEST(life),
        TEST(kill_ends),
        TEST(outside_ends),
        TEST(transfers),
        TEST(points_go_with_gdb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
