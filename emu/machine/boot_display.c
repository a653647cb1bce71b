// SPDX-License-Identifier: MIT
// What firmware does with the display before it starts an operating system: it gives it a place and
// a mode, and says so in what it leaves.
#include "machine/boot_internal.h"

#include "machine/machine_internal.h"
#include "machine/tree.h"

enum { PCI_COMMAND = 0x04, PCI_BAR0 = 0x10, PCI_BAR2 = 0x18, COMMAND_MEMORY = 2 };
enum { DISPI = 0x500, DISPI_XRES = 1, DISPI_YRES, DISPI_BPP, DISPI_ENABLE };
enum { ENABLED_LINEAR = 0x41 };

bool boot_display(struct boot *b, struct boot_screen *screen)
{
    const void *tree = b->params->tree.bytes;
    int node = tree ? tree_find(tree, "pci1234,1111") : -1;
    u32 devfn = tree_cell(tree, node, "reg", 0, UINT32_MAX);
    u32 memory = tree_cell(tree, node, "viv,firmware-bars", 0, 0);
    u32 registers = tree_cell(tree, node, "viv,firmware-bars", 1, 0);
    if (node < 0 || !memory || !registers) {
        return false;
    }
    struct machine *m = b->m;
    pci_config_write(m->pci, devfn, PCI_BAR0, memory, 4);
    pci_config_write(m->pci, devfn, PCI_BAR2, registers, 4);
    pci_config_write(m->pci, devfn, PCI_COMMAND, COMMAND_MEMORY, 2);
    u32 width = tree_cell(tree, node, "viv,mode", 0, 0);
    u32 height = tree_cell(tree, node, "viv,mode", 1, 0);
    u64 dispi = registers + DISPI;
    io_space_write(m->mmio, dispi + 2 * DISPI_XRES, width, 2);
    io_space_write(m->mmio, dispi + 2 * DISPI_YRES, height, 2);
    io_space_write(m->mmio, dispi + 2 * DISPI_BPP, 32, 2);
    io_space_write(m->mmio, dispi + 2 * DISPI_ENABLE, ENABLED_LINEAR, 2);
    struct device_picture picture;
    if (!machine_picture(m, &picture) || !picture.on ||
        physmem_rpn(m->mem, memory) != picture.offset >> PAGE_SHIFT) {
        return false; // the tree gave it a place that is taken
    }
    *screen = (struct boot_screen){memory, tree_cell(tree, node, "viv,memory-size", 0, 0), width,
                                   height, picture.stride_bytes};
    return true;
}
