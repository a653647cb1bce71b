// SPDX-License-Identifier: MIT
// PCI through CF8/CFC (PCI Local Bus 3.0 section 3.2.2.3.2).
#pragma once

#include "arch/x86_64/apic.h"
#include "lib/list.h"
#include "lib/types.h"

struct pci_bar {
    u64 base, size;
    bool io, is64, prefetch;
};
struct pci_dev {
    u8 bus, slot, func;
    u16 vendor, device;
    u32 class_code; // 24 bits
    u8 revision, header_type, irq_line, irq_pin;
    struct pci_bar bar[6];
    struct list_head entry;
    void *driver_data;
    const char *driver;
};
u32 pci_read32(struct pci_dev *d, u8 off);
u16 pci_read16(struct pci_dev *d, u8 off);
u8 pci_read8(struct pci_dev *d, u8 off);
void pci_write32(struct pci_dev *d, u8 off, u32 v);
void pci_write16(struct pci_dev *d, u8 off, u16 v);
void pci_write8(struct pci_dev *d, u8 off, u8 v);
u8 pci_find_capability(struct pci_dev *d, u8 id);       // offset or 0
void pci_enable(struct pci_dev *d);                     // memory, I/O, bus mastering
volatile void *pci_map_bar(struct pci_dev *d, int bar); // NULL on failure
int pci_enable_msi(struct pci_dev *d, irq_handler_t fn, void *data,
                   const char *name); // 0 or -errno
extern struct list_head pci_devices;
void pci_init(void);
