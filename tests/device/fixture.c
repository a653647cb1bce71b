// SPDX-License-Identifier: MIT
// The fake machine around the devices under test.
#include "device/fixture.h"

#include "base/memory.h"

#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void cpu_set_intr(void *cpu, bool level)
{
    ((struct fake_cpu *)cpu)->intr = level;
}

static void cpu_nmi(void *cpu)
{
    ((struct fake_cpu *)cpu)->nmis++;
}

static void cpu_init(void *cpu)
{
    ((struct fake_cpu *)cpu)->inits++;
}

static void cpu_sipi(void *cpu, u8 vector)
{
    struct fake_cpu *c = cpu;
    c->sipis++;
    c->sipi_vector = vector;
}

static void cpu_kick(void *cpu)
{
    ((struct fake_cpu *)cpu)->kicks++;
}

static void cpu_yield(void *cpu)
{
    ((struct fake_cpu *)cpu)->yields++;
}

static void cpu_apic_page(void *cpu, u64 gpa)
{
    ((struct fake_cpu *)cpu)->apic_page = gpa;
}

static void cpu_ignne(void *cpu, bool asserted)
{
    ((struct fake_cpu *)cpu)->ignne = asserted;
}

static const struct cpu_signal_ops signal_ops = {
    .set_intr = cpu_set_intr,
    .raise_nmi = cpu_nmi,
    .raise_init = cpu_init,
    .raise_sipi = cpu_sipi,
    .kick = cpu_kick,
    .yield = cpu_yield,
    .set_ignne = cpu_ignne,
    .set_apic_page = cpu_apic_page,
};

static void serial_write(void *ctx, const u8 *bytes, size_t size)
{
    struct fake_serial *s = ctx;
    for (size_t i = 0; i < size && s->sent_size < sizeof(s->sent); i++) {
        s->sent[s->sent_size++] = bytes[i];
    }
}

static long serial_read(void *ctx, u8 *bytes, size_t room)
{
    struct fake_serial *s = ctx;
    size_t n = 0;
    s->reads++;
    while (n < room && s->input_read < s->input_size) {
        bytes[n++] = s->input[s->input_read++];
    }
    return n ? (long)n : s->at_end ? -1 : 0;
}

static void serial_set_ready(void *ctx, void (*ready)(void *dev), void *dev)
{
    struct fake_serial *s = ctx;
    s->ready = ready;
    s->ready_dev = dev;
}

static const struct host_serial_ops serial_ops = {serial_write, serial_read, serial_set_ready};

static bool disk_read(void *ctx, u64 offset, void *bytes, size_t size)
{
    struct fake_disk *d = ctx;
    d->reads++;
    if (d->fail_reads || offset > FIXTURE_DISK_BYTES || size > FIXTURE_DISK_BYTES - offset) {
        return false;
    }
    memcpy(bytes, d->bytes + offset, size);
    return true;
}

static bool disk_write(void *ctx, u64 offset, const void *bytes, size_t size)
{
    struct fake_disk *d = ctx;
    d->writes++;
    if (d->fail_writes || offset > FIXTURE_DISK_BYTES || size > FIXTURE_DISK_BYTES - offset) {
        return false;
    }
    memcpy(d->bytes + offset, bytes, size);
    return true;
}

static bool disk_flush(void *ctx)
{
    ((struct fake_disk *)ctx)->flushes++;
    return true;
}

static const struct host_block_ops disk_ops = {disk_read, disk_write, disk_flush};

static bool input_read(void *ctx, enum host_input_kind kind, struct host_input_event *event)
{
    struct fake_input *input = ctx;
    if (input->taken == input->count || input->events[input->taken].kind != kind) {
        return false;
    }
    *event = input->events[input->taken++];
    return true;
}

static void input_set_ready(void *ctx, enum host_input_kind kind, void (*ready)(void *dev),
                            void *dev)
{
    struct fake_input *input = ctx;
    input->ready[kind] = ready;
    input->ready_dev[kind] = dev;
}

static const struct host_input_ops input_ops = {input_read, input_set_ready};

void input_add(struct fixture *f, struct host_input_event event)
{
    assert_true(f->input.count < ARRAY_LEN(f->input.events));
    f->input.events[f->input.count++] = event;
    f->input.ready[event.kind](f->input.ready_dev[event.kind]);
}

static void set_a20(void *ctx, unsigned gate, bool open)
{
    ((struct fixture *)ctx)->a20[gate] = open;
}

static void stop(void *machine, enum machine_stop why, u32 value)
{
    struct fixture *f = machine;
    f->stops++;
    f->stop_why = why;
    f->stop_value = value;
}

static void queue_kick(void *ctx)
{
    ((struct fixture *)ctx)->queue_kicks++;
}

static void *tree_load(void)
{
    const char *name = getenv("PC_DTB");
    FILE *file = name ? fopen(name, "rb") : NULL;
    u8 blob[65536];
    if (!file) {
        fail_msg("PC_DTB must name the compiled pc.dts");
    }
    size_t size = fread(blob, 1, sizeof(blob), file);
    fclose(file);
    void *fdt = xcalloc(1, sizeof(blob) + 4096);
    assert_true(size > 0 && size < sizeof(blob));
    assert_int_equal(fdt_open_into(blob, fdt, sizeof(blob) + 4096), 0);
    return fdt;
}

static void outside_create(struct fixture *f)
{
    f->host.rtc_base_s = 1704164645; // 2024-01-02 03:04:05
    for (unsigned i = 0; i < 3; i++) {
        f->host.serial[i] = (struct host_serial){&serial_ops, &f->serial[i]};
    }
    f->host.input = (struct host_input){&input_ops, &f->input};
    f->disk.bytes = xcalloc(1, FIXTURE_DISK_BYTES);
    for (u64 i = 0; i < FIXTURE_DISK_BYTES; i++) {
        f->disk.bytes[i] = (u8)(i * 7 + (i >> 9));
    }
    f->host.disk[0] =
        (struct host_block){&disk_ops, &f->disk, FIXTURE_DISK_BYTES, false, "VIV0001"};
    f->host.disk[2] = f->host.disk[0];
}

static void bus_create(struct fixture *f)
{
    struct device_bus *bus = &f->bus;
    struct status s = physmem_create_with_windows(&bus->mem, FIXTURE_RAM, FIXTURE_WINDOWS);
    assert_true(status_ok(&s));
    device_bus_init(bus);
    bus->clock = &f->clock;
    bus->events = event_queue_create();
    bus->ports = io_space_create(0x10000);
    bus->mmio = io_space_create(UINT64_C(1) << 46);
    bus->pci = pci_bus_create(bus->ports, bus->mmio);
    bus->host = &f->host;
    bus->probes = &f->probes;
    bus->cpu_count = FIXTURE_CPUS;
    for (unsigned i = 0; i < FIXTURE_CPUS; i++) {
        f->signals[i] = (struct cpu_signal){&signal_ops, &f->cpu[i]};
    }
    bus->cpu_signals = f->signals;
    bus->cpu_apics = f->apics;
    bus->a20 = (struct irq_line){set_a20, f, 0};
    bus->stop = stop;
    bus->machine = f;
    event_queue_set_kick(bus->events, queue_kick, f);
}

static struct status devices_create(struct fixture *f)
{
    struct status s = status_success();
    for (int node = fdt_next_node(f->fdt, -1, NULL); node >= 0 && status_ok(&s);
         node = fdt_next_node(f->fdt, node, NULL)) {
        const struct device_class *class = device_class_find(f->fdt, node);
        if (!class) {
            continue;
        }
        char path[128];
        assert_int_equal(fdt_get_path(f->fdt, node, path, sizeof(path)), 0);
        struct device *dev = xcalloc(1, sizeof(*dev));
        *dev = (struct device){class, &f->bus, xstrdup(path), xcalloc(1, class->state_size)};
        f->devices[f->device_count++] = dev;
        s = class->create(dev, f->fdt, node);
    }
    return s;
}

struct fixture *fixture_try(void (*edit)(void *fdt), struct status *status)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->clock.step_ps = 1000;
    f->fdt = tree_load();
    if (edit) {
        edit(f->fdt);
    }
    outside_create(f);
    bus_create(f);
    *status = devices_create(f);
    if (!status_ok(status)) {
        fixture_destroy(f);
        return NULL;
    }
    fixture_reset(f);
    return f;
}

struct fixture *fixture_create(void)
{
    struct status s;
    struct fixture *f = fixture_try(NULL, &s);
    if (!f) {
        fail_msg("%s", s.text);
    }
    return f;
}

void fixture_reset(struct fixture *f)
{
    for (unsigned i = 0; i < f->device_count; i++) {
        f->devices[i]->class->reset(f->devices[i]);
    }
    event_queue_rebuild(f->bus.events);
}

void fixture_destroy(struct fixture *f)
{
    for (unsigned i = 0; i < f->device_count; i++) {
        struct device *dev = f->devices[i];
        if (dev->class->destroy) {
            dev->class->destroy(dev);
        }
        free(dev->path);
        free(dev->state);
        free(dev);
    }
    pci_bus_destroy(f->bus.pci);
    io_space_destroy(f->bus.ports);
    io_space_destroy(f->bus.mmio);
    event_queue_destroy(f->bus.events);
    physmem_destroy(f->bus.mem);
    free(f->disk.bytes);
    free(f->fdt);
    free(f);
}

int fixture_setup(void **state)
{
    *state = fixture_create();
    return 0;
}

int fixture_teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

struct device *fixture_device(struct fixture *f, const char *class_name, unsigned index)
{
    for (unsigned i = 0; i < f->device_count; i++) {
        if (strcmp(f->devices[i]->class->name, class_name) == 0 && index-- == 0) {
            return f->devices[i];
        }
    }
    fail_msg("no device %s", class_name);
    return NULL;
}

u64 fixture_now(const struct fixture *f)
{
    return vclock_ns(&f->clock);
}

void fixture_advance(struct fixture *f, u64 ns)
{
    u64 end = fixture_now(f) + ns;
    u64 next = event_queue_next(f->bus.events);
    while (next <= end) {
        f->clock.step += vclock_steps_until(&f->clock, next);
        event_queue_fire(f->bus.events, fixture_now(f));
        next = event_queue_next(f->bus.events);
    }
    f->clock.step += vclock_steps_until(&f->clock, end);
}

u32 in(struct fixture *f, u16 port, unsigned size)
{
    return (u32)io_space_read(f->bus.ports, port, size);
}

void out(struct fixture *f, u16 port, u32 value, unsigned size)
{
    io_space_write(f->bus.ports, port, value, size);
}

u32 mmio_read(struct fixture *f, u64 address)
{
    return (u32)io_space_read(f->bus.mmio, address, 4);
}

void mmio_write(struct fixture *f, u64 address, u32 value)
{
    io_space_write(f->bus.mmio, address, value, 4);
}

u32 lapic_get(struct fixture *f, unsigned cpu, u32 reg)
{
    f->bus.current_cpu = cpu;
    return mmio_read(f, LAPIC_BASE + reg);
}

void lapic_put(struct fixture *f, unsigned cpu, u32 reg, u32 value)
{
    f->bus.current_cpu = cpu;
    mmio_write(f, LAPIC_BASE + reg, value);
}

u8 acknowledge(struct fixture *f, unsigned cpu)
{
    return f->apics[cpu].ops->acknowledge(f->apics[cpu].apic);
}

void pic_initialise(struct fixture *f)
{
    static const u8 words[][2] = {{0x20, 0x11}, {0xA0, 0x11}, {0x21, 0x20}, {0xA1, 0x28},
                                  {0x21, 0x04}, {0xA1, 0x02}, {0x21, 0x01}, {0xA1, 0x01},
                                  {0x21, 0x00}, {0xA1, 0x00}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        out(f, words[i][0], words[i][1], 1);
    }
}

void ioapic_put(struct fixture *f, unsigned pin, u64 entry)
{
    mmio_write(f, IOAPIC_BASE, 0x11 + 2 * pin);
    mmio_write(f, IOAPIC_BASE + 0x10, (u32)(entry >> 32));
    mmio_write(f, IOAPIC_BASE, 0x10 + 2 * pin);
    mmio_write(f, IOAPIC_BASE + 0x10, (u32)entry);
}

u64 ioapic_get(struct fixture *f, unsigned pin)
{
    mmio_write(f, IOAPIC_BASE, 0x11 + 2 * pin);
    u64 high = mmio_read(f, IOAPIC_BASE + 0x10);
    mmio_write(f, IOAPIC_BASE, 0x10 + 2 * pin);
    return high << 32 | mmio_read(f, IOAPIC_BASE + 0x10);
}

void isa_set(struct fixture *f, unsigned n, bool level)
{
    irq_set(&f->bus.isa_irq[n], level);
}

void serial_type(struct fixture *f, unsigned port, const char *text)
{
    struct fake_serial *s = &f->serial[port];
    size_t size = strlen(text);
    memcpy(s->input + s->input_size, text, size);
    s->input_size += size;
    s->ready(s->ready_dev);
}
