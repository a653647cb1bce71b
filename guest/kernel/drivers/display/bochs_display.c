// SPDX-License-Identifier: MIT
// QEMU's bochs-display and standard VGA (PCI 1234:1111): the DISPI registers of Bochs's VBE
// extension, memory-mapped. QEMU docs/specs/standard-vga.txt; Bochs's vbe_display_api.
#include "abi/errno.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/paging.h"
#include "drivers/display/display.h"
#include "drivers/driver.h"
#include "drivers/pci.h"
#include "lib/printk.h"
#include "mm/slab.h"

#define BAR_MEMORY 0
#define BAR_REGISTERS 2
#define DISPI_OFFSET 0x500 // 16-bit registers by index
#define VGA_OFFSET 0x400   // ports 3c0..3df
#define VGA_ATTRIBUTE 0x00
#define VGA_ATTRIBUTE_SHOW 0x20 // palette address source: the screen is not blank
#define VGA_STATUS 0x1a
#define CLASS_VGA 0x0300
#define ID_MASK 0xfff0
#define ID_VALUE 0xb0c0

enum dispi {
    DISPI_ID,
    DISPI_XRES,
    DISPI_YRES,
    DISPI_BPP,
    DISPI_ENABLE,
    DISPI_BANK,
    DISPI_VIRT_WIDTH,
    DISPI_VIRT_HEIGHT,
    DISPI_X_OFFSET,
    DISPI_Y_OFFSET,
};
#define ENABLED 0x01
#define LINEAR 0x40
#define NO_CLEAR 0x80

#define MAX_WIDTH 1920
#define MAX_HEIGHT 1200

struct bochs_display {
    struct display display;
    volatile u8 *registers;
    bool is_vga;
};

static u16 dispi_read(struct bochs_display *b, enum dispi index)
{
    return *(volatile u16 *)(b->registers + DISPI_OFFSET + 2 * index);
}

static void dispi_write(struct bochs_display *b, enum dispi index, unsigned value)
{
    *(volatile u16 *)(b->registers + DISPI_OFFSET + 2 * index) = (u16)value;
}

// A VGA shows nothing until its attribute controller's address has the bit set.
static void vga_show(struct bochs_display *b)
{
    if (!b->is_vga)
        return;
    (void)*(b->registers + VGA_OFFSET + VGA_STATUS); // the next write is an address
    *(b->registers + VGA_OFFSET + VGA_ATTRIBUTE) = VGA_ATTRIBUTE_SHOW;
}

static void set_mode(struct display *d)
{
    struct bochs_display *b = d->driver_data;
    dispi_write(b, DISPI_ENABLE, 0); // sizes change while it is off only
    dispi_write(b, DISPI_XRES, d->width);
    dispi_write(b, DISPI_YRES, d->height);
    dispi_write(b, DISPI_BPP, 32);
    dispi_write(b, DISPI_BANK, 0);
    dispi_write(b, DISPI_VIRT_WIDTH, d->width);
    dispi_write(b, DISPI_X_OFFSET, 0);
    dispi_write(b, DISPI_Y_OFFSET, 0);
    dispi_write(b, DISPI_ENABLE, ENABLED | LINEAR | NO_CLEAR);
    vga_show(b);
}

static void pan(struct display *d)
{
    dispi_write(d->driver_data, DISPI_Y_OFFSET, d->pan_y);
}

static void blank(struct display *d)
{
    dispi_write(d->driver_data, DISPI_ENABLE, d->blanked ? 0 : ENABLED | LINEAR | NO_CLEAR);
    if (!d->blanked) // disabling may have forgotten it
        pan(d);
}

static const struct display_ops bochs_ops = {.set_mode = set_mode, .pan = pan, .blank = blank};

static int probe(struct pci_dev *p)
{
    const struct pci_bar *memory = &p->bar[BAR_MEMORY];
    if (memory->io || !memory->base || !memory->size || p->bar[BAR_REGISTERS].size < PAGE_SIZE)
        return -ENODEV;
    struct bochs_display *b = kzalloc(sizeof(*b), GFP_KERNEL);
    if (!b)
        return -ENOMEM;
    pci_enable(p);
    b->registers = pci_map_bar(p, BAR_REGISTERS);
    if (!b->registers || (dispi_read(b, DISPI_ID) & ID_MASK) != ID_VALUE) {
        pr_warn("bochs-display: no DISPI registers");
        kfree(b);
        return -ENODEV;
    }
    b->is_vga = p->class_code >> 8 == CLASS_VGA;
    b->display = (struct display){.name = "bochs-display",
                                  .ops = &bochs_ops,
                                  .driver_data = b,
                                  .memory = memory->base,
                                  .memory_size = memory->size,
                                  .max_width = MAX_WIDTH,
                                  .max_height = MAX_HEIGHT};
    p->driver_data = b;
    return display_register(&b->display);
}

const struct driver bochs_display_driver = {
    .name = "bochs-display",
    .pci_vendor = 0x1234,
    .pci_device = 0x1111,
    .pci_probe = probe,
};
