// SPDX-License-Identifier: MIT
// Building a machine and taking it apart.
#include "machine/machine.h"

#include "base/memory.h"
#include "machine/machine_internal.h"
#include "machine/tree.h"

#include <stdlib.h>

#define STEP_PS 1000 // one step is one nanosecond
#define TSC_HZ UINT64_C(1000000000)
#define CRYSTAL_HZ UINT64_C(25000000)
#define PORTS 0x10000
#define PHYSICAL_LIMIT (UINT64_C(1) << 46)

static void kick_current(void *ctx)
{
    struct machine *m = ctx;
    const struct cpu_signal *signal = &m->signals[m->schedule.current];
    signal->ops->kick(signal->cpu);
}

static void device_stop(void *machine, enum machine_stop why, u32 value)
{
    struct machine *m = machine;
    if (!m->stop_wanted) {
        m->stop_wanted = true;
        m->stop_why = why;
        m->stop_value = value;
    }
    kick_current(m);
}

static void no_sink(void *ctx, const struct probe_event *event)
{
}

static struct status create_cpus(struct machine *m, const struct machine_config *config)
{
    struct status counted = tree_cpu_count(config->tree, &m->cpu_count);
    if (!status_ok(&counted)) {
        m->cpu_count = 0;
        return counted;
    }
    m->cpus = xcalloc(m->cpu_count, sizeof(struct cpu *));
    m->signals = xcalloc(m->cpu_count, sizeof(*m->signals));
    m->apics = xcalloc(m->cpu_count, sizeof(*m->apics));
    m->last_step = xcalloc(m->cpu_count, sizeof(*m->last_step));
    for (unsigned i = 0; i < m->cpu_count; i++) {
        struct cpu_config cpu = {
            .index = i,
            .cpu_count = m->cpu_count,
            .cpus = config->chaos ? NULL : m->cpus,
            .model = config->cpu_model,
            .engine = config->engine,
            .mmu = m->mmu,
            .mem = m->mem,
            .ports = m->ports,
            .clock = &m->clock,
            .probes = &m->probes,
            .apic = &m->apics[i],
            .ferr = i ? NULL : &m->bus.ferr, // as on a PC, the first CPU's alone
            .current_cpu = &m->bus.current_cpu,
            .tsc_hz = tree_cpu_hz(config->tree, "tsc-frequency", TSC_HZ),
            .crystal_hz = tree_cpu_hz(config->tree, "crystal-frequency", CRYSTAL_HZ),
            .seed = tree_seed(config->tree),
            .coverage = config->coverage,
        };
        struct status s = cpu_create(&m->cpus[i], &cpu);
        if (!status_ok(&s)) {
            return s;
        }
        m->signals[i] = cpu_signal(m->cpus[i]);
    }
    return status_success();
}

static void set_a20(void *ctx, unsigned gate, bool open)
{
    struct machine *m = ctx;
    m->a20_gates = (u8)(open ? m->a20_gates | BIT(gate) : m->a20_gates & ~BIT(gate));
    mmu_set_a20(m->mmu, m->a20_gates != 0);
}

static void connect_bus(struct machine *m)
{
    m->bus.a20 = (struct irq_line){set_a20, m, 0};
    device_bus_init(&m->bus);
    m->bus.clock = &m->clock;
    m->bus.events = m->events;
    m->bus.ports = m->ports;
    m->bus.mmio = m->mmio;
    m->bus.mem = m->mem;
    m->bus.pci = m->pci;
    m->bus.host = &m->host;
    m->bus.probes = &m->probes;
    m->bus.cpu_count = m->cpu_count;
    m->bus.cpu_signals = m->signals;
    m->bus.cpu_apics = m->apics;
    m->bus.stop = device_stop;
    m->bus.machine = m;
    event_queue_set_kick(m->events, kick_current, m);
}

static struct status check_apics(const struct machine *m)
{
    for (unsigned i = 0; i < m->cpu_count; i++) {
        if (!m->apics[i].ops) {
            return status_error(STATUS_BAD_INPUT, "device tree: no local APIC (\"intel,lapic\")");
        }
    }
    return status_success();
}

static struct status create_parts(struct machine *m, const struct machine_config *config)
{
    u64 ram_bytes = 0;
    struct status s = tree_memory_bytes(config->tree, &ram_bytes);
    if (status_ok(&s)) {
        s = physmem_create_with_windows(&m->mem, ram_bytes, tree_window_bytes(config->tree));
    }
    if (!status_ok(&s)) {
        return s;
    }
    m->ram_hash = ram_hash_create(m->mem->ram_bytes);
    m->ports = io_space_create(PORTS);
    m->mmio = io_space_create(PHYSICAL_LIMIT);
    m->events = event_queue_create();
    m->pci = pci_bus_create(m->ports, m->mmio);
    m->mmu = mmu_shared_create(m->mem, m->mmio, config->tlb);
    s = create_cpus(m, config);
    if (status_ok(&s)) {
        connect_bus(m);
        s = board_create(m, config->tree);
    }
    return status_ok(&s) ? check_apics(m) : s;
}

struct status machine_create(struct machine **out, const struct machine_config *config)
{
    struct machine *m = xcalloc(1, sizeof(*m));
    m->clock.step_ps = STEP_PS;
    m->frame.due_ns = EVENT_NEVER;
    m->host = *config->host;
    m->probes.sink = no_sink;
    m->chaos = config->chaos;
    m->chaos_seed = config->chaos_seed;
    m->schedule.quantum_left = MACHINE_QUANTUM_STEPS;
    struct status s = create_parts(m, config);
    if (!status_ok(&s)) {
        machine_destroy(m);
        return s;
    }
    machine_reset(m);
    *out = m;
    return status_success();
}

static void destroy_devices(struct machine *m)
{
    for (unsigned i = m->device_count; i-- > 0;) {
        struct device *dev = m->devices[i];
        if (dev->class->destroy) {
            dev->class->destroy(dev);
        }
        free(dev->path);
        free(dev->state);
        free(dev);
    }
    free(m->devices);
}

void machine_destroy(struct machine *m)
{
    if (!m) {
        return;
    }
    destroy_devices(m);
    watches_free(m->watches);
    for (unsigned i = 0; m->cpus && i < m->cpu_count; i++) {
        if (m->cpus[i]) {
            cpu_destroy(m->cpus[i]);
        }
    }
    free(m->cpus);
    free(m->signals);
    free(m->apics);
    free(m->last_step);
    if (m->mem) {
        mmu_shared_destroy(m->mmu);
        pci_bus_destroy(m->pci);
        event_queue_destroy(m->events);
        io_space_destroy(m->mmio);
        io_space_destroy(m->ports);
        ram_hash_destroy(m->ram_hash);
        physmem_destroy(m->mem);
    }
    free(m);
}

void machine_reset(struct machine *m)
{
    for (unsigned i = 0; i < m->cpu_count; i++) {
        cpu_reset(m->cpus[i]);
        m->last_step[i] = UINT64_MAX;
    }
    pci_bus_reset(m->pci);
    for (unsigned i = 0; i < m->device_count; i++) {
        m->devices[i]->class->reset(m->devices[i]);
    }
    event_queue_rebuild(m->events);
    m->schedule = (struct schedule){.quantum_left = MACHINE_QUANTUM_STEPS};
}

struct cpu_counters machine_counters(const struct machine *m)
{
    struct cpu_counters sum = {0};
    for (unsigned i = 0; i < m->cpu_count; i++) {
        struct cpu_counters c;
        cpu_get_counters(m->cpus[i], &c);
        sum.instructions += c.instructions;
        sum.ring0_steps += c.ring0_steps;
        sum.ring3_steps += c.ring3_steps;
    }
    return sum;
}

void machine_each_undefined(const struct machine *m,
                            void (*fn)(void *ctx, const char *mnemonic, u64 count), void *ctx)
{
    for (unsigned i = 0; i < m->cpu_count; i++) {
        cpu_each_undefined(m->cpus[i], fn, ctx);
    }
}

u64 machine_ram_touched(const struct machine *m)
{
    u64 pages = 0;
    for (u64 rpn = 0; rpn < m->mem->ram_bytes >> PAGE_SHIFT; rpn++) {
        pages += m->mem->page_epoch[rpn] != 0;
    }
    return pages << PAGE_SHIFT;
}

const struct vclock *machine_clock(const struct machine *m)
{
    return &m->clock;
}

struct physmem *machine_memory(const struct machine *m)
{
    return m->mem;
}

struct probes *machine_probes(struct machine *m)
{
    return &m->probes;
}

unsigned machine_cpu_count(const struct machine *m)
{
    return m->cpu_count;
}

unsigned machine_turn(const struct machine *m, u64 *steps_left)
{
    *steps_left = m->schedule.quantum_left;
    return m->schedule.current;
}

struct cpu *machine_cpu(const struct machine *m, unsigned index)
{
    return m->cpus[index];
}

unsigned machine_device_count(const struct machine *m)
{
    return m->device_count;
}

void machine_set_frame_clock(struct machine *m, void (*fn)(void *ctx, u64 now_ns, u64 *due_ns),
                             void *ctx, u64 due_ns)
{
    m->frame.fn = fn;
    m->frame.ctx = ctx;
    m->frame.due_ns = fn ? due_ns : EVENT_NEVER;
}

bool machine_picture(const struct machine *m, struct device_picture *out)
{
    for (unsigned i = 0; i < m->device_count; i++) {
        if (m->devices[i]->class->picture) {
            m->devices[i]->class->picture(m->devices[i], out);
            return true;
        }
    }
    return false;
}

struct device *machine_device(const struct machine *m, unsigned index)
{
    return m->devices[index];
}
