// SPDX-License-Identifier: MIT
// The 16550A (PC16550D, section 8) on COM1.
#include "device/fixture.h"

#include <string.h>

enum { COM1 = 0x3F8, RBR = COM1, IER = COM1 + 1, IIR = COM1 + 2, FCR = COM1 + 2, LCR = COM1 + 3,
       MCR = COM1 + 4,
       LSR = COM1 + 5, MSR = COM1 + 6, SCR = COM1 + 7 };

#define CHARACTER_NS 5426 // ten bits at 115200 baud, 16 times as fast

// As a driver opens it: 115200 8N1, FIFOs with trigger 8, DTR RTS OUT2, receive interrupt.
static void open_port(struct fixture *f)
{
    pic_initialise(f);
    out(f, LCR, 0x80, 1);
    out(f, RBR, 1, 1);
    out(f, IER, 0, 1);
    out(f, LCR, 0x03, 1);
    out(f, FCR, 0x87, 1);
    out(f, MCR, 0x0B, 1);
    out(f, IER, 0x01, 1);
}

static u8 acknowledge_irq4(struct fixture *f)
{
    u8 vector = acknowledge(f, 0);
    out(f, 0x20, 0x20, 1);
    return vector;
}

static void registers(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(in(f, LSR, 1), 0x60);
    assert_int_equal(in(f, IIR, 1), 0x01);
    assert_int_equal(in(f, MSR, 1), 0xB0); // CTS, DSR, DCD
    out(f, SCR, 0xA5, 1);
    assert_int_equal(in(f, SCR, 1), 0xA5);
    out(f, IER, 0xFF, 1);
    assert_int_equal(in(f, IER, 1), 0x0F);
    out(f, LCR, 0x83, 1);
    out(f, RBR, 0x34, 1);
    out(f, IER, 0x12, 1);
    assert_int_equal(in(f, RBR, 1), 0x34);
    assert_int_equal(in(f, IER, 1), 0x12);
    out(f, LCR, 0x03, 1);
    out(f, FCR, 0x01, 1);
    assert_int_equal(in(f, IIR, 1) & 0xC0, 0xC0);
    assert_int_equal(in(f, 0x2E8 + 6, 1), 0x00); // COM4: no cable
}

static void transmit(void **state)
{
    struct fixture *f = *state;
    open_port(f);
    for (const char *p = "hello"; *p; p++) {
        assert_int_equal(in(f, LSR, 1) & 0x60, 0x60);
        out(f, RBR, (u8)*p, 1);
    }
    assert_int_equal(f->serial[0].sent_size, 5);
    assert_memory_equal(f->serial[0].sent, "hello", 5);
}

static void transmit_interrupt(void **state)
{
    struct fixture *f = *state;
    open_port(f);
    out(f, IER, 0x02, 1); // enabling it while the register is empty asks at once
    assert_int_equal(acknowledge_irq4(f), 0x24);
    assert_int_equal(in(f, IIR, 1), 0xC2);
    assert_int_equal(in(f, IIR, 1), 0xC1); // reading it ends the condition
    assert_false(f->cpu[0].intr);
    out(f, RBR, 'x', 1);
    assert_true(f->cpu[0].intr); // and an empty register begins it again
    assert_int_equal(in(f, IIR, 1), 0xC2);
}

static void receive_trigger(void **state)
{
    struct fixture *f = *state;
    open_port(f);
    serial_type(f, 0, "0123456789");
    fixture_advance(f, 7 * CHARACTER_NS + 100);
    assert_false(f->cpu[0].intr); // seven characters
    assert_int_equal(in(f, LSR, 1), 0x61);
    fixture_advance(f, CHARACTER_NS);
    assert_int_equal(acknowledge_irq4(f), 0x24);
    assert_int_equal(in(f, IIR, 1), 0xC4);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(in(f, RBR, 1), '0' + i);
    }
    assert_int_equal(in(f, IIR, 1), 0xC1);
    fixture_advance(f, 2 * CHARACTER_NS + 100);
    assert_false(f->cpu[0].intr);
    fixture_advance(f, 4 * CHARACTER_NS); // character timeout
    assert_true(f->cpu[0].intr);
    assert_int_equal(in(f, IIR, 1), 0xCC);
    assert_int_equal(in(f, RBR, 1), '8');
    assert_int_equal(in(f, IIR, 1), 0xC1); // a read restarts it
    fixture_advance(f, 4 * CHARACTER_NS);
    assert_int_equal(in(f, IIR, 1), 0xCC);
    assert_int_equal(in(f, RBR, 1), '9');
    assert_int_equal(in(f, LSR, 1), 0x60);
}

// Input waits for RTS, the receive interrupt, and room: nothing is ever lost.
static void flow_control(void **state)
{
    struct fixture *f = *state;
    open_port(f);
    out(f, MCR, 0x09, 1); // RTS down
    serial_type(f, 0, "abcdefghijklmnopqrstuvwxyz");
    fixture_advance(f, 100 * CHARACTER_NS);
    assert_int_equal(f->serial[0].input_read, 0);
    out(f, IER, 0, 1);
    out(f, MCR, 0x0B, 1);
    fixture_advance(f, 100 * CHARACTER_NS);
    assert_int_equal(f->serial[0].input_read, 0);
    out(f, IER, 1, 1);
    fixture_advance(f, 100 * CHARACTER_NS);
    assert_int_equal(f->serial[0].input_read, 16); // the FIFO is full
    assert_int_equal(in(f, LSR, 1) & 0x02, 0);     // and not overrun
    for (unsigned i = 0; i < 26; i++) {
        assert_int_equal(in(f, RBR, 1), 'a' + i);
        fixture_advance(f, CHARACTER_NS + 1);
    }
    assert_int_equal(in(f, LSR, 1) & 0x01, 0);
}

// 8.6.2, 8.3: the time of a character follows divisor and format.
static void character_time(void **state)
{
    struct fixture *f = *state;
    open_port(f);
    out(f, LCR, 0x80, 1);
    out(f, RBR, 12, 1); // 9600 baud
    out(f, LCR, 0x1F, 1); // 8 bits, even parity, two stop bits
    serial_type(f, 0, "ab");
    fixture_advance(f, CHARACTER_NS); // the one that was under way
    fixture_advance(f, 12 * 104167 / 16 - 10);
    assert_int_equal(f->serial[0].input_read, 1);
    fixture_advance(f, 20);
    assert_int_equal(f->serial[0].input_read, 2);
}

static void starved_port_does_not_poll(void **state)
{
    struct fixture *f = *state;
    open_port(f);
    fixture_advance(f, 100 * CHARACTER_NS);
    assert_int_equal(f->serial[0].reads, 1);
    out(f, RBR, 'x', 1);
    fixture_advance(f, 100 * CHARACTER_NS);
    assert_int_equal(f->serial[0].reads, 1);
    serial_type(f, 0, "y");
    fixture_advance(f, CHARACTER_NS + 1);
    assert_int_equal(in(f, RBR, 1), 'y');
}

static void end_of_input(void **state)
{
    struct fixture *f = *state;
    open_port(f);
    out(f, IER, 0x09, 1);
    f->serial[0].at_end = true;
    serial_type(f, 0, "z");
    fixture_advance(f, 10 * CHARACTER_NS);
    assert_int_equal(in(f, MSR, 1), 0xB0); // a character still waits
    assert_int_equal(in(f, RBR, 1), 'z');
    assert_true(f->cpu[0].intr);
    assert_int_equal(in(f, IIR, 1), 0xC0); // modem status
    assert_int_equal(in(f, MSR, 1), 0x38); // DCD fell, and its delta
    assert_int_equal(in(f, MSR, 1), 0x30);
    assert_int_equal(in(f, IIR, 1), 0xC1);
    out(f, RBR, 'o', 1); // output goes on
    assert_int_equal(f->serial[0].sent_size, 1);
}

// 8.6.5: line status before data before THRE before modem status.
static void interrupt_priorities(void **state)
{
    struct fixture *f = *state;
    open_port(f);
    out(f, MCR, 0x1B, 1); // loopback: modem inputs become the outputs
    out(f, IER, 0x0F, 1);
    out(f, MCR, 0x10, 1);
    out(f, FCR, 0x01, 1); // trigger 1
    out(f, LCR, 0x43, 1); // break
    assert_int_equal(in(f, IIR, 1) & 0x0F, 0x06);
    assert_int_equal(in(f, LSR, 1), 0x71);
    assert_int_equal(in(f, IIR, 1) & 0x0F, 0x04);
    assert_int_equal(in(f, RBR, 1), 0x00);
    assert_int_equal(in(f, IIR, 1) & 0x0F, 0x02);
    assert_int_equal(in(f, IIR, 1) & 0x0F, 0x00);
    assert_int_equal(in(f, MSR, 1) & 0x0F, 0x0B);
    assert_int_equal(in(f, IIR, 1) & 0x0F, 0x01);
    assert_false(f->cpu[0].intr); // OUT2 is cut off from the pin
}

static void loopback(void **state)
{
    struct fixture *f = *state;
    out(f, MCR, 0x1A, 1);
    assert_int_equal(in(f, MSR, 1) & 0xF0, 0x90); // what Linux's autoconfig looks for
    out(f, FCR, 0x01, 1);
    for (unsigned i = 0; i < 17; i++) {
        out(f, RBR, 0x40 + i, 1);
    }
    assert_int_equal(f->serial[0].sent_size, 0);
    assert_int_equal(in(f, LSR, 1), 0x63); // the seventeenth overran
    assert_int_equal(in(f, LSR, 1), 0x61);
    for (unsigned i = 0; i < 16; i++) {
        assert_int_equal(in(f, RBR, 1), 0x40 + i);
    }
    out(f, RBR, 0x55, 1);
    out(f, FCR, 0x03, 1); // clear the receive FIFO
    assert_int_equal(in(f, LSR, 1), 0x60);
}

static void out2_gates_interrupt(void **state)
{
    struct fixture *f = *state;
    open_port(f);
    out(f, MCR, 0x03, 1);
    out(f, IER, 0x02, 1);
    assert_false(f->cpu[0].intr);
    out(f, MCR, 0x0B, 1);
    assert_true(f->cpu[0].intr);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(registers), T(transmit), T(transmit_interrupt), T(receive_trigger), T(flow_control),
        T(character_time),
        T(starved_port_does_not_poll), T(end_of_input), T(interrupt_priorities), T(loopback),
        T(out2_gates_interrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
