// SPDX-License-Identifier: MIT
// What a device is: one const class, one state structure. See docs/ADDING.md.
#ifndef VIV_DEVICES_DEVICE_H
#define VIV_DEVICES_DEVICE_H

#include "base/field.h"
#include "base/status.h"
#include "bus/cpu_apic.h"
#include "bus/event_queue.h"
#include "bus/io_space.h"
#include "bus/irq_line.h"
#include "bus/pci.h"
#include "bus/vclock.h"
#include "host/host.h"
#include "mem/physmem.h"
#include "trace/probe.h"

struct device;

// What the machine stops for on a device's word.
enum machine_stop { MACHINE_STOP_POWER_OFF, MACHINE_STOP_DEBUG_EXIT, MACHINE_STOP_RESET };

// Everything a device may touch. Owned by the machine, valid for the device's life.
struct device_bus {
    const struct vclock *clock;
    struct event_queue *events;
    struct io_space *ports, *mmio;
    struct physmem *mem;
    struct pci_bus *pci;
    const struct host *host;
    struct probes *probes;
    unsigned cpu_count;
    unsigned current_cpu; // whose access is being served (banked LAPIC registers)
    // ISA interrupt n (0-15): drives the 8259 and the IOAPIC pin (0 -> pin 2). Devices get theirs
    // from device_irq().
    struct irq_line isa_irq[16];
    struct irq_line isa_to_pic[16], isa_to_ioapic[16]; // where isa_irq goes; set by the controllers
    u32 isa_irq_claimed;                               // BIT(n): a device drives it
    // Address line 20 of the CPUs: it passes while any gate's pin is high, or if nothing ever
    // drives one.
    struct irq_line a20;
    struct irq_line ferr;           // CPU 0's FERR#; set by who reports it
    struct irq_line isa_gate;       // set by the HPET: it decides what IRQs 0 and 8 (pin) drive
    struct irq_line ioapic_pin[24]; // set by the IOAPIC: pins that are no ISA interrupts
    // Set by interrupt controllers for each other while the board is built.
    struct irq_line pic_output;                                       // 8259 INTR -> LINT0
    u8 (*pic_acknowledge)(void *pic);                                 // INTA of the 8259 pair
    void *pic;
    void (*apic_message)(void *ctx, u64 address, u32 data);           // MSI and IOAPIC -> LAPICs
    void *apic_message_ctx;
    void (*apic_eoi_broadcast)(void *ctx, u8 vector);                 // LAPIC EOI -> IOAPIC (level)
    void *apic_eoi_ctx;
    const struct cpu_signal *cpu_signals;                             // [cpu_count]
    // [cpu_count], filled in by the LAPIC
    struct cpu_apic *cpu_apics;
    // Asks the machine to stop at this instruction's end. value: debug-exit's status.
    void (*stop)(void *machine, enum machine_stop why, u32 value);
    void *machine;
};

// Connects isa_irq to isa_to_pic and isa_to_ioapic. The machine calls it on its zeroed device_bus,
// before any create().
void device_bus_init(struct device_bus *bus);

// What an ISA interrupt drives, past the gate.
void isa_irq_drive(struct device_bus *bus, unsigned n, bool level);

// What a display shows: where in physmem's RAM its first pixel is, in which form.
enum device_pixels { // a pixel's value, little-endian unless it says otherwise
    DEVICE_XRGB8888,
    DEVICE_XRGB8888_BIG_ENDIAN,
    DEVICE_RGB565,
};
struct device_picture {
    bool on; // false: a black screen of width x height; the rest says nothing
    u32 width, height;
    u32 stride_bytes; // from line to line
    u64 offset;       // from physmem.ram; all lines lie within RAM
    enum device_pixels format;
};

struct device_class {
    const char *name;       // for people: "uart16550"
    const char *compatible; // device tree
    size_t state_size;
    // Reads the node (libfdt), registers ports, MMIO, events and lines. dev->state is zeroed memory
    // of state_size.
    struct status (*create)(struct device *dev, const void *fdt, int node);
    void (*reset)(struct device *dev);          // power-on and platform reset
    void (*destroy)(struct device *dev);        // may be NULL
    // after a snapshot load; may be NULL: rebuild what is derived
    void (*loaded)(struct device *dev);
    const struct field *fields;                 // all hashed state, deadlines included
    // Whether fields from a file, each within its max, go together; state has no wiring. May be
    // NULL: any do.
    bool (*sound)(const void *state);
    // Whether, with every CPU halted and closed to maskable interrupts, it may yet wake one (by
    // NMI, INIT or a start-up message) or has a transfer to end. NULL: never.
    bool (*may_act)(const struct device *dev);
    // Displays only.
    void (*picture)(const struct device *dev, struct device_picture *out);
};

struct device {
    const struct device_class *class;
    struct device_bus *bus;
    char *path; // device-tree path
    void *state;
};

// The class whose compatible string is in the node's list, NULL if none (devices.def).
const struct device_class *device_class_find(const void *fdt, int node);

// The index-th pair of the node's reg, or the first: base and length. Status names the node when it
// is missing or malformed.
struct status device_reg_at(const struct device *dev, const void *fdt, int node, unsigned index,
                            u64 *base, u64 *length);
struct status device_reg(const struct device *dev, const void *fdt, int node, u64 *base,
                         u64 *length);
// The node's index-th interrupt, an ISA one that no other device drives yet.
struct status device_irq(const struct device *dev, const void *fdt, int node, unsigned index,
                         struct irq_line *line);
// Opens or closes a gate of address line 20; reset and loaded call it, too.
enum device_a20_gate { DEVICE_A20_PORT_92, DEVICE_A20_8042 };
void device_set_a20(const struct device *dev, enum device_a20_gate gate, bool open);
// A one-cell property, or the default.
u32 device_cell(const void *fdt, int node, const char *property, u32 fallback);

#endif
