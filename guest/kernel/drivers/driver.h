// SPDX-License-Identifier: MIT
// Driver table. A row of drivers.def names a driver; it is probed from the device tree (or the
// built-in q35 one) or by PCI id.
#pragma once

#include "lib/types.h"

struct pci_dev;
struct platform_node {
    const char *path; // in the tree
    u16 port, port_len;
    u64 mmio, mmio_len;
    int irq; // ISA/GSI or -1
};
struct driver {
    const char *name;
    const char *compatible;                         // NULL: PCI only
    int (*probe)(const struct platform_node *node); // 0 or -errno
    u16 pci_vendor, pci_device;                     // 0xffff = any
    u32 pci_class, pci_class_mask; // class << 16 | subclass << 8 | interface; mask 0 = match by id
    int (*pci_probe)(struct pci_dev *dev);
};
void drivers_init(void);
