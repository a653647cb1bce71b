// SPDX-License-Identifier: MIT
// Event queue, register spaces, virtual clock, PCI configuration space.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus/event_queue.h"
#include "bus/io_space.h"
#include "bus/pci.h"
#include "bus/vclock.h"

#include "base/bits.h"

#include <stdlib.h>
#include <string.h>

struct timer {
    u64 deadline_ns;
    u64 period_ns;
    unsigned handle;
    unsigned fired;
    struct event_queue *q;
    char *log;
    char name;
};

static void timer_fire(void *ctx, u64 deadline_ns)
{
    struct timer *t = ctx;
    assert_true(t->deadline_ns == EVENT_NEVER);
    t->fired++;
    t->log[strlen(t->log)] = t->name;
    if (t->period_ns) {
        event_set(t->q, t->handle, deadline_ns + t->period_ns);
    }
}

static void count_kick(void *ctx)
{
    ++*(unsigned *)ctx;
}

static void events_in_order(void **state)
{
    struct event_queue *q = event_queue_create();
    struct timer timers[3];
    char log[64] = "";
    unsigned kicks = 0;
    event_queue_set_kick(q, count_kick, &kicks);
    for (unsigned i = 0; i < 3; i++) {
        timers[i] = (struct timer){EVENT_NEVER, 0, 0, 0, q, log, (char)('a' + i)};
        const struct event e = {&timers[i].deadline_ns, timer_fire, &timers[i], "timer"};
        timers[i].handle = event_add(q, &e);
    }
    assert_true(event_queue_next(q) == EVENT_NEVER);
    event_set(q, timers[2].handle, 50);
    event_set(q, timers[1].handle, 50); // the same time: no earlier, no kick
    event_set(q, timers[0].handle, 70);
    assert_int_equal(kicks, 1);
    event_set(q, timers[0].handle, 40);
    assert_int_equal(kicks, 2);
    event_set(q, timers[0].handle, 60);
    assert_int_equal(event_queue_next(q), 50);
    event_queue_fire(q, 49);
    assert_string_equal(log, "");
    timers[1].period_ns = 10;
    event_queue_fire(q, 60); // b at 50 arms itself for 60; a was registered before it
    assert_string_equal(log, "bcab");
    assert_int_equal(event_queue_next(q), 70);
    event_set(q, timers[1].handle, EVENT_NEVER);
    assert_true(event_queue_next(q) == EVENT_NEVER);
    timers[2].deadline_ns = 5; // as a snapshot load does
    event_queue_rebuild(q);
    assert_int_equal(event_queue_next(q), 5);
    event_queue_destroy(q);
}

// A region that answers with its name and the offset, and remembers what was written.
struct bytes {
    u8 tag;
    u64 offset, value;
    unsigned size, writes;
};

static u64 bytes_read(void *dev, u64 offset, unsigned size)
{
    struct bytes *b = dev;
    b->size = size;
    u64 value = 0;
    for (unsigned i = 0; i < size; i++) {
        value |= (u64)(b->tag + offset + i) << (8 * i);
    }
    return value;
}

static void bytes_write(void *dev, u64 offset, u64 value, unsigned size)
{
    struct bytes *b = dev;
    *b = (struct bytes){b->tag, offset, value, size, b->writes + 1};
}

static const struct io_ops wide_ops = {bytes_read, bytes_write, 0};
static const struct io_ops narrow_ops = {bytes_read, bytes_write, 2};

static void io_lookup(void **state)
{
    struct io_space *s = io_space_create(0x10000);
    struct bytes a = {.tag = 0x10}, b = {.tag = 0x80};
    struct status status = io_space_add(s, 0x100, 8, &wide_ops, &a, "a");
    assert_true(status_ok(&status));
    status = io_space_add(s, 0x108, 4, &narrow_ops, &b, "b");
    assert_true(status_ok(&status));
    assert_int_equal(io_space_read(s, 0xFF, 1), 0xFF);
    assert_int_equal(io_space_read(s, 0x100, 1), 0x10);
    assert_int_equal(io_space_read(s, 0x100, 8), UINT64_C(0x1716151413121110));
    assert_int_equal(io_space_read(s, 0x108, 4), 0x83828180); // two accesses of two bytes
    assert_int_equal(b.size, 2);
    assert_int_equal(io_space_read(s, 0x106, 4), 0x81801716); // across the border, byte by byte
    assert_int_equal(io_space_read(s, 0x10B, 2), 0xFF83);
    assert_int_equal(io_space_read(s, 0xFFFF, 4), 0xFFFFFFFF);
    io_space_write(s, 0x104, 0x1122334455667788, 4);
    assert_int_equal(a.offset, 4);
    assert_int_equal(a.value, 0x55667788); // no more than was written
    io_space_write(s, 0x108, 0xAABBCCDD, 4);
    assert_int_equal(b.writes, 2);
    assert_int_equal(b.offset, 2);
    assert_int_equal(b.value, 0xAABB);
    assert_string_equal(io_space_name(s, 0x10B), "b");
    assert_null(io_space_name(s, 0x10C));
    io_space_destroy(s);
}

static void io_overlap(void **state)
{
    struct io_space *s = io_space_create(0x10000);
    struct bytes a = {.tag = 0x10}, b = {.tag = 0x80};
    struct status status = io_space_add(s, 0x100, 8, &wide_ops, &a, "a");
    assert_true(status_ok(&status));
    status = io_space_add(s, 0x107, 2, &wide_ops, &b, "b");
    assert_int_equal(status.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(status.text, "0x107"));
    status = io_space_add(s, 0xFFFF, 2, &wide_ops, &b, "b");
    assert_int_equal(status.code, STATUS_BAD_INPUT);
    status = io_space_add(s, UINT64_MAX, 2, &wide_ops, &b, "b");
    assert_int_equal(status.code, STATUS_BAD_INPUT);
    // A movable region may lie anywhere; the one added first answers.
    struct io_region *r = io_space_add_movable(s, 0x20, &wide_ops, &b, "b");
    assert_null(io_space_name(s, 0));
    io_space_map(s, r, 0xF0, true);
    assert_int_equal(io_space_read(s, 0xF0, 1), 0x80);
    assert_int_equal(io_space_read(s, 0x100, 1), 0x10);
    assert_int_equal(io_space_read(s, 0x108, 1), 0x98);
    assert_string_equal(io_space_name(s, 0x10F), "b");
    io_space_map(s, r, 0x200, true);
    assert_null(io_space_name(s, 0xF0));
    assert_int_equal(io_space_read(s, 0x200, 1), 0x80);
    io_space_map(s, r, 0xFFF0, true); // does not fit: not mapped
    assert_null(io_space_name(s, 0xFFF0));
    io_space_map(s, r, 0x200, false);
    assert_null(io_space_name(s, 0x200));
    io_space_destroy(s);
}

static void clock_arithmetic(void **state)
{
    struct vclock clock = {.step = 1000, .idle_ns = 500, .step_ps = 1000};
    assert_int_equal(vclock_ns(&clock), 1500);
    assert_int_equal(vclock_steps_until(&clock, 1500), 0);
    assert_int_equal(vclock_steps_until(&clock, 1600), 100);
    clock.step_ps = 333;
    for (u64 deadline = 800; deadline < 2000; deadline++) {
        struct vclock then = clock;
        then.step += vclock_steps_until(&clock, deadline);
        assert_true(vclock_ns(&then) >= deadline);
        if (then.step > clock.step) {
            then.step--;
            assert_true(vclock_ns(&then) < deadline);
        }
    }
    static const u64 frequencies[] = {1193182, 25000000, 32768, 3579545, 1000000000};
    for (size_t i = 0; i < ARRAY_LEN(frequencies); i++) {
        for (u64 ticks = 1; ticks < BIT(50); ticks = ticks * 3 + 1) {
            u64 ns = vclock_ns_of_ticks(ticks, frequencies[i]);
            if (ns == UINT64_MAX) {
                break; // beyond the end of virtual time
            }
            assert_int_equal(vclock_ticks(ns, frequencies[i]), ticks);
            assert_int_equal(vclock_ticks(ns - 1, frequencies[i]), ticks - 1);
        }
    }
}

struct wires {
    bool level[4];
    u64 address;
    u32 data;
    unsigned messages;
};

static void wire_set(void *ctx, unsigned pin, bool level)
{
    ((struct wires *)ctx)->level[pin] = level;
}

static void message(void *ctx, u64 address, u32 data)
{
    struct wires *w = ctx;
    w->address = address;
    w->data = data;
    w->messages++;
}

struct pci_fixture {
    struct io_space *ports, *mmio;
    struct pci_bus *bus;
    struct wires wires;
    struct bytes memory_bar, port_bar;
    struct pci_function *function, *plain;
};

static int pci_setup(void **state)
{
    static const struct pci_identity id = {0x1234, 0x5678, 0x1111, 0x2222, 0x010203, 4, 1};
    struct pci_fixture *f = calloc(1, sizeof(*f));
    f->ports = io_space_create(0x10000);
    f->mmio = io_space_create(BIT(46));
    f->bus = pci_bus_create(f->ports, f->mmio);
    for (unsigned n = 0; n < 4; n++) {
        pci_bus_set_intx(f->bus, n, (struct irq_line){wire_set, &f->wires, n}, (u8)(n + 1));
    }
    pci_bus_set_msi(f->bus, message, &f->wires);
    const struct pci_bar bars[6] = {
        {.name = "memory",
         .size = 0x1000,
         .is_64bit = true,
         .ops = &wide_ops,
         .dev = &f->memory_bar},
        [2] = {.name = "ports", .size = 0x20, .is_io = true, .ops = &wide_ops, .dev = &f->port_bar},
    };
    f->function = pci_add(f->bus, 5 << 3, &id, bars, true);
    f->plain = pci_add(f->bus, 5 << 3 | 1, &id, NULL, false);
    assert_null(pci_add(f->bus, 5 << 3, &id, NULL, false));
    *state = f;
    return 0;
}

static int pci_teardown(void **state)
{
    struct pci_fixture *f = *state;
    pci_bus_destroy(f->bus);
    io_space_destroy(f->ports);
    io_space_destroy(f->mmio);
    free(f);
    return 0;
}

#define DEVFN (5 << 3)

static void pci_header(void **state)
{
    struct pci_fixture *f = *state;
    assert_int_equal(pci_config_read(f->bus, DEVFN, 0, 4), 0x56781234);
    assert_int_equal(pci_config_read(f->bus, DEVFN, 8, 4), 0x01020304);
    assert_int_equal(pci_config_read(f->bus, DEVFN, 0x2C, 4), 0x22221111);
    assert_int_equal(pci_config_read(f->bus, DEVFN, 0x0E, 1), 0x80); // multi-function
    assert_int_equal(pci_config_read(f->bus, DEVFN + 1, 0x0E, 1), 0x00);
    assert_int_equal(pci_config_read(f->bus, DEVFN, 0x3C, 2), 0x0102); // slot 5, INTA: wire 1
    assert_int_equal(pci_config_read(f->bus, DEVFN + 2, 0, 4), 0xFFFFFFFF);
    assert_int_equal(pci_config_read(f->bus, 0x100, 0, 2), 0xFFFF);
    assert_int_equal(pci_config_read(f->bus, DEVFN, 0xFE, 4), 0xFFFFFFFF);
    pci_config_write(f->bus, DEVFN, 0, 0, 4);
    pci_config_write(f->bus, DEVFN, 6, 0xFFFF, 2);
    assert_int_equal(pci_config_read(f->bus, DEVFN, 0, 4), 0x56781234);
    assert_int_equal(pci_config_read(f->bus, DEVFN, 6, 2), 0x0010);
    pci_config_write(f->bus, DEVFN, 4, 0xFFFF, 2);
    assert_int_equal(pci_config_read(f->bus, DEVFN, 4, 2), 0x0547);
}

static void pci_bars(void **state)
{
    struct pci_fixture *f = *state;
    pci_config_write(f->bus, DEVFN, 0x10, 0xFFFFFFFF, 4);
    pci_config_write(f->bus, DEVFN, 0x14, 0xFFFFFFFF, 4);
    pci_config_write(f->bus, DEVFN, 0x18, 0xFFFFFFFF, 4);
    assert_int_equal(pci_config_read(f->bus, DEVFN, 0x10, 4), 0xFFFFF004);
    assert_int_equal(pci_config_read(f->bus, DEVFN, 0x14, 4), 0xFFFFFFFF);
    assert_int_equal(pci_config_read(f->bus, DEVFN, 0x18, 4), 0xFFFFFFE1);
    assert_int_equal(pci_config_read(f->bus, DEVFN, 0x1C, 4), 0);
    pci_config_write(f->bus, DEVFN, 0x10, 0xC0000000, 4);
    pci_config_write(f->bus, DEVFN, 0x14, 0x00000002, 4);
    pci_config_write(f->bus, DEVFN, 0x18, 0x0000C040, 4);
    assert_null(io_space_name(f->mmio, UINT64_C(0x2C0000000)));
    pci_config_write(f->bus, DEVFN, 4, 2, 2);
    assert_string_equal(io_space_name(f->mmio, UINT64_C(0x2C0000FFF)), "memory");
    assert_null(io_space_name(f->ports, 0xC040));
    pci_config_write(f->bus, DEVFN, 4, 1, 2);
    assert_null(io_space_name(f->mmio, UINT64_C(0x2C0000000)));
    assert_string_equal(io_space_name(f->ports, 0xC05F), "ports");

    size_t size = pci_state_size(f->bus);
    u8 *saved = malloc(size);
    pci_state_save(f->bus, saved);
    pci_bus_reset(f->bus);
    assert_null(io_space_name(f->ports, 0xC040));
    pci_state_load(f->bus, saved);
    assert_string_equal(io_space_name(f->ports, 0xC040), "ports");
    free(saved);
}

static void pci_interrupts(void **state)
{
    struct pci_fixture *f = *state;
    pci_set_interrupt(f->function, true);
    pci_set_interrupt(f->plain, true);
    assert_true(f->wires.level[1]);
    assert_int_equal(pci_config_read(f->bus, DEVFN, 6, 1), 0x18);
    assert_int_equal(pci_config_read(f->bus, DEVFN, 4, 4), 0x00180000);
    pci_set_interrupt(f->function, false);
    assert_true(f->wires.level[1]); // shared with the other
    pci_set_interrupt(f->plain, false);
    assert_false(f->wires.level[1]);
    pci_config_write(f->bus, DEVFN, 4, 0x404, 2); // INTx off, bus master on
    pci_set_interrupt(f->function, true);
    assert_false(f->wires.level[1]);
    pci_config_write(f->bus, DEVFN, 4, 0x004, 2);
    assert_true(f->wires.level[1]);

    assert_int_equal(pci_config_read(f->bus, DEVFN, 0x34, 1), 0x50);
    assert_int_equal(pci_config_read(f->bus, DEVFN, 0x50, 4), 0x00800005);
    pci_config_write(f->bus, DEVFN, 0x54, 0xFEE00FFF, 4);
    pci_config_write(f->bus, DEVFN, 0x58, 0x12, 4);
    pci_config_write(f->bus, DEVFN, 0x5C, 0x4041, 2);
    pci_config_write(f->bus, DEVFN, 0x52, 1, 2);
    assert_false(f->wires.level[1]); // MSI takes over, and tells of what waits
    assert_int_equal(f->wires.messages, 1);
    assert_int_equal(f->wires.address, UINT64_C(0x12FEE00FFC));
    assert_int_equal(f->wires.data, 0x4041);
    pci_set_interrupt(f->function, true);
    pci_config_write(f->bus, DEVFN, 0x3C, 9, 1);
    assert_int_equal(f->wires.messages, 1);
    pci_set_interrupt(f->function, false);
    pci_set_interrupt(f->function, true);
    assert_int_equal(f->wires.messages, 2);
    pci_set_interrupt(f->function, false);
    pci_config_write(f->bus, DEVFN, 4, 0, 2); // no bus master, no message
    pci_set_interrupt(f->function, true);
    assert_int_equal(f->wires.messages, 2);
}

int main(void)
{
#define P(name) cmocka_unit_test_setup_teardown(name, pci_setup, pci_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_in_order),
        cmocka_unit_test(io_lookup),
        cmocka_unit_test(io_overlap),
        cmocka_unit_test(clock_arithmetic),
        P(pci_header),
        P(pci_bars),
        P(pci_interrupts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
