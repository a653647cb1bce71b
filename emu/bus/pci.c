// SPDX-License-Identifier: MIT
// PCI bus 0: configuration headers of type 0, base address registers, INTx wires and MSI (PCI Local
// Bus 3.0, chapter 6).
#include "bus/pci.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum {
    PCI_VENDOR = 0x00, PCI_DEVICE = 0x02, PCI_COMMAND = 0x04, PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_HEADER_TYPE = 0x0E, PCI_BAR0 = 0x10, PCI_SUBSYSTEM_VENDOR = 0x2C, PCI_SUBSYSTEM = 0x2E,
    PCI_CAPABILITIES = 0x34, PCI_INTERRUPT_LINE = 0x3C, PCI_INTERRUPT_PIN = 0x3D,
    // The one capability, section 6.8.1.
    PCI_MSI = 0x50, PCI_MSI_CONTROL = 0x52, PCI_MSI_ADDRESS = 0x54, PCI_MSI_ADDRESS_HIGH = 0x58,
    PCI_MSI_DATA = 0x5C,
    PCI_CONFIG_BYTES = 256, PCI_FUNCTIONS = 256,
};

enum {
    COMMAND_IO = 1, COMMAND_MEMORY = 2, COMMAND_MASTER = 4, COMMAND_INTX_DISABLE = 0x400,
    COMMAND_WRITABLE = 0x547, // I/O, memory, master, parity response, SERR, INTx disable
    STATUS_INTERRUPT = 8, STATUS_CAPABILITIES = 0x10,
    BAR_IO = 1, BAR_64BIT = 4, BAR_PREFETCHABLE = 8,
    MSI_ENABLE = 1, MSI_64BIT = 0x80, CAPABILITY_MSI = 5,
};

struct pci_function {
    struct pci_bus *bus;
    u8 devfn;
    struct pci_identity id;
    struct pci_bar bars[6];
    struct io_region *regions[6];
    bool msi;
    u8 writable[PCI_CONFIG_BYTES]; // bits that configuration writes change
    // State, as pci_state_save() writes it.
    struct pci_function_state {
        u8 config[PCI_CONFIG_BYTES];
        u8 level;   // what the device says
        u8 message; // level seen by the MSI edge detector: level while MSI is enabled
    } state;
};

struct pci_bus {
    struct io_space *ports, *mmio;
    struct pci_function *functions[PCI_FUNCTIONS];
    struct {
        struct irq_line line;
        u8 interrupt_line;
        bool level; // derived: the OR of the functions on this wire
    } intx[4];
    void (*send)(void *ctx, u64 address, u32 data);
    void *send_ctx;
};

static u32 load(const u8 *p, unsigned size)
{
    u32 value = 0;
    for (unsigned i = 0; i < size; i++) {
        value |= (u32)p[i] << (8 * i);
    }
    return value;
}

static void store(u8 *p, u32 value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        p[i] = (u8)(value >> (8 * i));
    }
}

static u32 config_get(const struct pci_function *f, unsigned offset, unsigned size)
{
    return load(&f->state.config[offset], size);
}

struct pci_bus *pci_bus_create(struct io_space *ports, struct io_space *mmio)
{
    struct pci_bus *bus = xcalloc(1, sizeof(*bus));
    bus->ports = ports;
    bus->mmio = mmio;
    return bus;
}

void pci_bus_destroy(struct pci_bus *bus)
{
    if (!bus) {
        return;
    }
    for (unsigned i = 0; i < PCI_FUNCTIONS; i++) {
        free(bus->functions[i]);
    }
    free(bus);
}

void pci_bus_set_intx(struct pci_bus *bus, unsigned n, struct irq_line line, u8 interrupt_line)
{
    CHECK(n < 4);
    bus->intx[n].line = line;
    bus->intx[n].interrupt_line = interrupt_line;
}

void pci_bus_set_msi(struct pci_bus *bus, void (*send)(void *ctx, u64 address, u32 data), void *ctx)
{
    bus->send = send;
    bus->send_ctx = ctx;
}

static unsigned intx_of(const struct pci_function *f)
{
    return ((f->devfn >> 3) + f->id.interrupt_pin - 1u) % 4;
}

static bool msi_enabled(const struct pci_function *f)
{
    return f->msi && (config_get(f, PCI_MSI_CONTROL, 2) & MSI_ENABLE);
}

static bool drives_wire(const struct pci_function *f)
{
    return f->state.level && f->id.interrupt_pin && !msi_enabled(f) &&
           !(config_get(f, PCI_COMMAND, 2) & COMMAND_INTX_DISABLE);
}

static bool wire_level(const struct pci_bus *bus, unsigned n)
{
    for (unsigned i = 0; i < PCI_FUNCTIONS; i++) {
        const struct pci_function *f = bus->functions[i];
        if (f && drives_wire(f) && intx_of(f) == n) {
            return true;
        }
    }
    return false;
}

static void interrupt_update(struct pci_function *f)
{
    struct pci_bus *bus = f->bus;
    if (f->id.interrupt_pin) {
        unsigned n = intx_of(f);
        bool level = wire_level(bus, n);
        if (level != bus->intx[n].level) {
            bus->intx[n].level = level;
            irq_set(&bus->intx[n].line, level);
        }
    }
    bool message = f->state.level && msi_enabled(f);
    bool rising = message && !f->state.message;
    f->state.message = message;
    // A message is a memory write of the function's own: without bus mastering it is lost
    // (6.8.1.3).
    if (rising && pci_bus_master_enabled(f) && bus->send) {
        u64 address = config_get(f, PCI_MSI_ADDRESS, 4) |
                      (u64)config_get(f, PCI_MSI_ADDRESS_HIGH, 4) << 32;
        bus->send(bus->send_ctx, address, config_get(f, PCI_MSI_DATA, 2));
    }
}

void pci_set_interrupt(struct pci_function *f, bool level)
{
    if (f->state.level != level) {
        f->state.level = level;
        interrupt_update(f);
    }
}

bool pci_bus_master_enabled(const struct pci_function *f)
{
    return config_get(f, PCI_COMMAND, 2) & COMMAND_MASTER;
}

// Maps each BAR where its register says, while the command register lets the function decode
// (6.2.5.1). A BAR of 0 counts as unassigned: nothing useful lies there.
static void bars_update(struct pci_function *f)
{
    u32 command = config_get(f, PCI_COMMAND, 2);
    for (unsigned i = 0; i < 6; i++) {
        const struct pci_bar *bar = &f->bars[i];
        if (!bar->size) {
            continue;
        }
        u64 base = config_get(f, PCI_BAR0 + 4 * i, 4) & ~(bar->is_io ? UINT64_C(3) : UINT64_C(15));
        if (bar->is_64bit) {
            base |= (u64)config_get(f, PCI_BAR0 + 4 * i + 4, 4) << 32;
        }
        base &= ~((u64)bar->size - 1); // hard-wired, whatever a damaged state says
        bool decode = command & (bar->is_io ? COMMAND_IO : COMMAND_MEMORY);
        io_space_map(bar->is_io ? f->bus->ports : f->bus->mmio, f->regions[i], base,
                     decode && base);
    }
}

static void function_reset(struct pci_function *f)
{
    u8 *config = f->state.config;
    memset(&f->state, 0, sizeof(f->state));
    store(&config[PCI_VENDOR], f->id.vendor, 2);
    store(&config[PCI_DEVICE], f->id.device, 2);
    store(&config[PCI_REVISION], f->id.revision | f->id.class_code << 8, 4);
    store(&config[PCI_SUBSYSTEM_VENDOR], f->id.subsystem_vendor, 2);
    store(&config[PCI_SUBSYSTEM], f->id.subsystem, 2);
    config[PCI_INTERRUPT_PIN] = f->id.interrupt_pin;
    if (f->id.interrupt_pin) {
        config[PCI_INTERRUPT_LINE] = f->bus->intx[intx_of(f)].interrupt_line;
    }
    for (unsigned i = 0; i < 6; i++) {
        const struct pci_bar *bar = &f->bars[i];
        config[PCI_BAR0 + 4 * i] =
            (u8)((bar->is_io ? BAR_IO : 0) | (bar->is_64bit ? BAR_64BIT : 0) |
                 (bar->is_prefetchable ? BAR_PREFETCHABLE : 0));
    }
    if (f->msi) {
        config[PCI_STATUS] = STATUS_CAPABILITIES;
        config[PCI_CAPABILITIES] = PCI_MSI;
        config[PCI_MSI] = CAPABILITY_MSI;
        config[PCI_MSI_CONTROL] = MSI_64BIT;
    }
    // A slot says in function 0's header whether it has more functions.
    for (unsigned i = 1; i < 8; i++) {
        if (!(f->devfn & 7) && f->bus->functions[f->devfn + i]) {
            config[PCI_HEADER_TYPE] = 0x80;
        }
    }
}

static void writable_init(struct pci_function *f)
{
    u8 *writable = f->writable;
    store(&writable[PCI_COMMAND], COMMAND_WRITABLE, 2);
    writable[0x0C] = 0xFF; // cache line size
    writable[PCI_INTERRUPT_LINE] = 0xFF;
    for (unsigned i = 0; i < 6; i++) {
        const struct pci_bar *bar = &f->bars[i];
        if (!bar->size) {
            continue;
        }
        u64 mask = ~(bar->size - 1);
        store(&writable[PCI_BAR0 + 4 * i], (u32)mask & (bar->is_io ? ~3u : ~15u), 4);
        if (bar->is_64bit) {
            store(&writable[PCI_BAR0 + 4 * i + 4], (u32)(mask >> 32), 4);
        }
    }
    if (f->msi) {
        writable[PCI_MSI_CONTROL] = MSI_ENABLE;
        store(&writable[PCI_MSI_ADDRESS], ~3u, 4);
        store(&writable[PCI_MSI_ADDRESS_HIGH], ~0u, 4);
        store(&writable[PCI_MSI_DATA], 0xFFFF, 2);
    }
}

struct pci_function *pci_add(struct pci_bus *bus, unsigned devfn, const struct pci_identity *id,
                             const struct pci_bar bars[6], bool msi)
{
    if (devfn >= PCI_FUNCTIONS || bus->functions[devfn]) {
        return NULL;
    }
    CHECK(id->interrupt_pin <= 4);
    struct pci_function *f = xcalloc(1, sizeof(*f));
    f->bus = bus;
    f->devfn = (u8)devfn;
    f->id = *id;
    f->msi = msi;
    for (unsigned i = 0; bars && i < 6; i++) {
        f->bars[i] = bars[i];
        if (bars[i].size) {
            CHECK(!(bars[i].size & (bars[i].size - 1)) && bars[i].size >= 16);
            CHECK(!bars[i].is_64bit || (i < 5 && !bars[i + 1].size));
            f->regions[i] =
                io_space_add_movable(bars[i].is_io ? bus->ports : bus->mmio, bars[i].size,
                                     bars[i].ops, bars[i].dev, bars[i].name);
            if (bars[i].mem) {
                CHECK(bars[i].size >= PAGE_SIZE);
                io_space_set_window(f->regions[i], bars[i].mem, bars[i].window);
            }
        }
    }
    writable_init(f);
    bus->functions[devfn] = f;
    function_reset(f);
    if (devfn & 7 && bus->functions[devfn & ~7u]) {
        function_reset(bus->functions[devfn & ~7u]);
    }
    return f;
}

void pci_bus_reset(struct pci_bus *bus)
{
    for (unsigned i = 0; i < PCI_FUNCTIONS; i++) {
        if (bus->functions[i]) {
            function_reset(bus->functions[i]);
            bars_update(bus->functions[i]);
        }
    }
    for (unsigned n = 0; n < 4; n++) {
        bus->intx[n].level = false;
        irq_set(&bus->intx[n].line, false);
    }
}

u32 pci_config_read(struct pci_bus *bus, unsigned devfn, unsigned offset, unsigned size)
{
    const struct pci_function *f = devfn < PCI_FUNCTIONS ? bus->functions[devfn] : NULL;
    if (!f || size > PCI_CONFIG_BYTES || offset > PCI_CONFIG_BYTES - size) {
        return (u32)bits_truncate(UINT32_MAX, size);
    }
    u32 value = config_get(f, offset, size);
    if (f->state.level && offset <= PCI_STATUS && PCI_STATUS - offset < size) {
        value |= (u32)STATUS_INTERRUPT << (8 * (PCI_STATUS - offset));
    }
    return value;
}

void pci_config_write(struct pci_bus *bus, unsigned devfn, unsigned offset, u32 value,
                      unsigned size)
{
    struct pci_function *f = devfn < PCI_FUNCTIONS ? bus->functions[devfn] : NULL;
    if (!f || size > PCI_CONFIG_BYTES || offset > PCI_CONFIG_BYTES - size) {
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        u8 *byte = &f->state.config[offset + i];
        u8 writable = f->writable[offset + i];
        *byte = (u8)((*byte & ~writable) | ((u8)(value >> (8 * i)) & writable));
    }
    bars_update(f);
    interrupt_update(f);
}

size_t pci_state_size(const struct pci_bus *bus)
{
    size_t size = 0;
    for (unsigned i = 0; i < PCI_FUNCTIONS; i++) {
        size += bus->functions[i] ? sizeof(struct pci_function_state) : 0;
    }
    return size;
}

void pci_state_save(const struct pci_bus *bus, u8 *out)
{
    for (unsigned i = 0; i < PCI_FUNCTIONS; i++) {
        if (bus->functions[i]) {
            memcpy(out, &bus->functions[i]->state, sizeof(struct pci_function_state));
            out += sizeof(struct pci_function_state);
        }
    }
}

void pci_state_load(struct pci_bus *bus, const u8 *in)
{
    for (unsigned i = 0; i < PCI_FUNCTIONS; i++) {
        struct pci_function *f = bus->functions[i];
        if (f) {
            memcpy(&f->state, in, sizeof(struct pci_function_state));
            in += sizeof(struct pci_function_state);
            bars_update(f);
        }
    }
    // The interrupt controllers' own state says what they made of the wires: only our view of them
    // is rebuilt.
    for (unsigned n = 0; n < 4; n++) {
        bus->intx[n].level = wire_level(bus, n);
    }
}
