// SPDX-License-Identifier: MIT
// A board without CPUs for device tests: the devices of pc.dts on a fake machine, whose time the
// test moves by hand.
#ifndef VIV_TESTS_DEVICE_FIXTURE_H
#define VIV_TESTS_DEVICE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/device.h"

#define FIXTURE_RAM UINT64_C(0x2000000)
#define FIXTURE_WINDOWS UINT64_C(0x1000000)
#define FIXTURE_CPUS 4
#define FIXTURE_DISK_BYTES (UINT64_C(1) << 20)
#define LAPIC_BASE UINT64_C(0xFEE00000)
#define IOAPIC_BASE UINT64_C(0xFEC00000)

// What the LAPIC told one CPU.
struct fake_cpu {
    bool intr, ignne;
    unsigned nmis, inits, sipis, kicks, yields;
    u8 sipi_vector;
    u64 apic_page;
};

// The far end of a serial port.
struct fake_serial {
    u8 sent[4096];
    size_t sent_size;
    u8 input[4096];
    size_t input_size, input_read;
    bool at_end; // once the input is read: end of file instead of "nothing now"
    unsigned reads;
    void (*ready)(void *dev);
    void *ready_dev;
};

struct fake_disk {
    u8 *bytes;
    bool fail_reads, fail_writes;
    unsigned reads, writes, flushes;
};

// A person's hands: events wait until the device takes them.
struct fake_input {
    struct host_input_event events[64];
    unsigned count, taken;
    void (*ready[HOST_INPUT_KINDS])(void *dev);
    void *ready_dev[HOST_INPUT_KINDS];
};

struct fixture {
    struct device_bus bus;
    struct vclock clock;
    struct host host;
    struct probes probes;
    struct fake_cpu cpu[FIXTURE_CPUS];
    struct cpu_signal signals[FIXTURE_CPUS];
    struct cpu_apic apics[FIXTURE_CPUS];
    struct fake_serial serial[4];
    struct fake_disk disk;
    struct fake_input input;
    bool a20[2]; // by gate
    unsigned stops;
    enum machine_stop stop_why;
    u32 stop_value;
    unsigned queue_kicks;
    void *fdt;
    struct device *devices[32];
    unsigned device_count;
};

// The built-in PC (file named by PC_DTB), after reset. edit, if given, changes the tree first; a
// create() that fails leaves its status in *status and no fixture.
struct fixture *fixture_create(void);
struct fixture *fixture_try(void (*edit)(void *fdt), struct status *status);
void fixture_destroy(struct fixture *f);
void fixture_reset(struct fixture *f);

// cmocka's per-test setup and teardown.
int fixture_setup(void **state);
int fixture_teardown(void **state);

struct device *fixture_device(struct fixture *f, const char *class_name, unsigned index);

u64 fixture_now(const struct fixture *f);
// Lets time pass, firing each event at its own deadline.
void fixture_advance(struct fixture *f, u64 ns);

u32 in(struct fixture *f, u16 port, unsigned size);
void out(struct fixture *f, u16 port, u32 value, unsigned size);
u32 mmio_read(struct fixture *f, u64 address);
void mmio_write(struct fixture *f, u64 address, u32 value);
u32 lapic_get(struct fixture *f, unsigned cpu, u32 reg);
void lapic_put(struct fixture *f, unsigned cpu, u32 reg, u32 value);
u8 acknowledge(struct fixture *f, unsigned cpu);
// The 8259 pair as an operating system sets it up: vectors 0x20 and 0x28, nothing masked.
void pic_initialise(struct fixture *f);
void ioapic_put(struct fixture *f, unsigned pin, u64 entry);
u64 ioapic_get(struct fixture *f, unsigned pin);
// Level of ISA interrupt n.
void isa_set(struct fixture *f, unsigned n, bool level);
void input_add(struct fixture *f, struct host_input_event event);
void serial_type(struct fixture *f, unsigned port, const char *text);

#endif
