// SPDX-License-Identifier: MIT
// PCI: configuration space, BARs, INTx and MSI of functions on bus 0. The CF8/CFC host bridge is a
// device that drives it.
#ifndef VIV_BUS_PCI_H
#define VIV_BUS_PCI_H

#include "base/types.h"
#include "bus/io_space.h"
#include "bus/irq_line.h"

struct pci_bus;
struct pci_function;

// One BAR of a function. Size is a power of two.
struct pci_bar {
    const char *name; // kept by reference
    u64 size; // 0: no such BAR
    bool is_io, is_64bit, is_prefetchable;
    const struct io_ops *ops;
    void *dev;
    struct physmem *mem; // the memory behind it, NULL: registers
    unsigned window;     // of mem; ops serve the accesses that do not go there
};

struct pci_identity {
    u16 vendor, device, subsystem_vendor, subsystem;
    u32 class_code; // base class, subclass, programming interface: 24 bits
    u8 revision;
    u8 interrupt_pin; // 0 none, 1 INTA
};

struct pci_bus *pci_bus_create(struct io_space *ports, struct io_space *mmio);
void pci_bus_destroy(struct pci_bus *bus);
void pci_bus_reset(struct pci_bus *bus);

// Pin p (INTA = 0) of slot s drives line (s + p) mod 4. interrupt_line is what firmware would leave
// in the function's Interrupt Line register. Call it before pci_add().
void pci_bus_set_intx(struct pci_bus *bus, unsigned n, struct irq_line line, u8 interrupt_line);
// MSI writes go here (address, data): the machine's message path to the LAPICs.
void pci_bus_set_msi(struct pci_bus *bus, void (*send)(void *ctx, u64 address, u32 data),
                     void *ctx);

// Adds a function at devfn (slot << 3 | function). bars may be NULL (none); a 64-bit BAR takes two
// entries, the second left empty. msi: give it an MSI capability (64-bit, one vector). NULL if
// devfn is taken or above 255.
struct pci_function *pci_add(struct pci_bus *bus, unsigned devfn, const struct pci_identity *id,
                             const struct pci_bar bars[6], bool msi);

// An absent function and offsets beyond 255 read as ones and ignore writes.
u32 pci_config_read(struct pci_bus *bus, unsigned devfn, unsigned offset, unsigned size);
void pci_config_write(struct pci_bus *bus, unsigned devfn, unsigned offset, u32 value,
                      unsigned size);

// Level of the function's interrupt: INTx while MSI is off, a message on each rising edge while it
// is on.
void pci_set_interrupt(struct pci_function *f, bool level);
bool pci_bus_master_enabled(const struct pci_function *f);

// Hashed and snapshotted state of all functions (configuration space), as one flat block.
size_t pci_state_size(const struct pci_bus *bus);
void pci_state_save(const struct pci_bus *bus, u8 *out);
void pci_state_load(struct pci_bus *bus, const u8 *in); // re-maps BARs

#endif
