// SPDX-License-Identifier: MIT
// PCI bus 0 and what lies behind its bridges: enumeration through CF8/CFC, BAR sizing and
// assignment, MSI.
#include "drivers/pci.h"

#include "abi/errno.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/paging.h"
#include "lib/printk.h"
#include "mm/slab.h"
#include "sched/lock.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc
#define REG_ID 0x00
#define REG_COMMAND 0x04
#define REG_CLASS 0x08
#define REG_HEADER 0x0c
#define REG_BAR0 0x10
#define REG_CAPS 0x34
#define REG_IRQ 0x3c
#define COMMAND_IO 1
#define COMMAND_MEMORY 2
#define COMMAND_MASTER 4
#define COMMAND_NO_INTX 0x400
#define STATUS_CAPS 0x10
#define CAP_MSI 5
#define MSI_ENABLE 1
#define MSI_64 0x80
// Free windows for BARs that nobody assigned: below the IOAPIC, above legacy I/O.
#define MMIO_WINDOW 0xc0000000u
#define MMIO_WINDOW_END 0xfe000000u
#define IO_WINDOW 0xc000u
#define IO_WINDOW_END 0xff00u

struct list_head pci_devices = LIST_HEAD_INIT(pci_devices);
static DEFINE_SPINLOCK(config_lock);
static u64 mmio_next = MMIO_WINDOW, io_next = IO_WINDOW;

static u32 config_read(u8 bus, u8 slot, u8 func, u8 reg)
{
    unsigned long flags;
    spin_lock_irqsave(&config_lock, flags);
    outl(CONFIG_ADDRESS,
         0x80000000u | (u32)bus << 16 | (u32)slot << 11 | (u32)func << 8 | (reg & 0xfc));
    u32 v = inl(CONFIG_DATA);
    spin_unlock_irqrestore(&config_lock, flags);
    return v;
}

u32 pci_read32(struct pci_dev *d, u8 off)
{
    return config_read(d->bus, d->slot, d->func, off);
}

u16 pci_read16(struct pci_dev *d, u8 off)
{
    return (u16)(pci_read32(d, off) >> (8 * (off & 2)));
}

u8 pci_read8(struct pci_dev *d, u8 off)
{
    return (u8)(pci_read32(d, off) >> (8 * (off & 3)));
}

void pci_write32(struct pci_dev *d, u8 off, u32 v)
{
    unsigned long flags;
    spin_lock_irqsave(&config_lock, flags);
    outl(CONFIG_ADDRESS,
         0x80000000u | (u32)d->bus << 16 | (u32)d->slot << 11 | (u32)d->func << 8 | (off & 0xfc));
    outl(CONFIG_DATA, v);
    spin_unlock_irqrestore(&config_lock, flags);
}

void pci_write16(struct pci_dev *d, u8 off, u16 v)
{
    unsigned shift = 8 * (off & 2);
    pci_write32(d, off, (pci_read32(d, off) & ~(0xffffu << shift)) | (u32)v << shift);
}

void pci_write8(struct pci_dev *d, u8 off, u8 v)
{
    unsigned shift = 8 * (off & 3);
    pci_write32(d, off, (pci_read32(d, off) & ~(0xffu << shift)) | (u32)v << shift);
}

u8 pci_find_capability(struct pci_dev *d, u8 id)
{
    if (!(pci_read16(d, REG_COMMAND + 2) & STATUS_CAPS))
        return 0;
    u8 at = pci_read8(d, REG_CAPS) & 0xfc;
    for (int i = 0; at && i < 48; i++) {
        if (pci_read8(d, at) == id)
            return at;
        at = pci_read8(d, at + 1) & 0xfc;
    }
    return 0;
}

void pci_enable(struct pci_dev *d)
{
    pci_write16(d, REG_COMMAND,
                pci_read16(d, REG_COMMAND) | COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER);
}

volatile void *pci_map_bar(struct pci_dev *d, int bar)
{
    const struct pci_bar *b = &d->bar[bar];
    if (b->io || !b->size || !b->base)
        return NULL;
    return ioremap(b->base, b->size);
}

int pci_enable_msi(struct pci_dev *d, irq_handler_t fn, void *data, const char *name)
{
    u8 cap = pci_find_capability(d, CAP_MSI);
    if (!cap)
        return -ENODEV;
    u64 addr;
    u32 value;
    int err = msi_request(fn, data, name, &addr, &value);
    if (err)
        return err;
    u16 control = pci_read16(d, cap + 2);
    pci_write32(d, cap + 4, (u32)addr);
    if (control & MSI_64) {
        pci_write32(d, cap + 8, (u32)(addr >> 32));
        pci_write16(d, cap + 12, (u16)value);
    } else {
        pci_write16(d, cap + 8, (u16)value);
    }
    pci_write16(d, cap + 2, (u16)((control & ~0x70) | MSI_ENABLE)); // one message
    pci_write16(d, REG_COMMAND, pci_read16(d, REG_COMMAND) | COMMAND_NO_INTX);
    return 0;
}

// Sizes one BAR by writing ones (PCI 3.0 section 6.2.5.1) with decoding off; returns how many
// registers it takes.
static int bar_read(struct pci_dev *d, int i)
{
    u8 reg = (u8)(REG_BAR0 + 4 * i);
    struct pci_bar *b = &d->bar[i];
    u32 low = pci_read32(d, reg);
    b->io = low & 1;
    b->is64 = !b->io && (low & 6) == 4;
    b->prefetch = !b->io && (low & 8);
    u64 fixed = b->io ? 3 : 15, value = low & ~fixed, mask;
    pci_write32(d, reg, ~0u);
    mask = pci_read32(d, reg) & ~fixed;
    pci_write32(d, reg, low);
    if (b->is64) {
        u32 high = pci_read32(d, reg + 4);
        value |= (u64)high << 32;
        pci_write32(d, reg + 4, ~0u);
        mask |= (u64)pci_read32(d, reg + 4) << 32;
        pci_write32(d, reg + 4, high);
    } else if (mask) {
        mask |= b->io ? 0xffffffffffff0000UL : 0xffffffff00000000UL;
    }
    b->base = value;
    b->size = mask ? ~mask + 1 : 0;
    return b->is64 ? 2 : 1;
}

static void bar_assign(struct pci_dev *d, int i)
{
    struct pci_bar *b = &d->bar[i];
    u64 *next = b->io ? &io_next : &mmio_next, end = b->io ? IO_WINDOW_END : MMIO_WINDOW_END;
    if (!b->size || b->base)
        return;
    u64 at = ALIGN_UP(*next, b->io ? b->size : max(b->size, (u64)PAGE_SIZE));
    if (at + b->size > end) {
        pr_warn("pci: no room for BAR %d of %02x:%02x.%u (%lu bytes)", i, d->bus, d->slot, d->func,
                b->size);
        return;
    }
    *next = at + b->size;
    b->base = at;
    pci_write32(d, (u8)(REG_BAR0 + 4 * i), (u32)at);
    if (b->is64)
        pci_write32(d, (u8)(REG_BAR0 + 4 * i + 4), (u32)(at >> 32));
}

static void bars_read(struct pci_dev *d)
{
    int count = (d->header_type & 0x7f) == 0 ? 6 : (d->header_type & 0x7f) == 1 ? 2 : 0;
    u16 command = pci_read16(d, REG_COMMAND);
    pci_write16(d, REG_COMMAND, command & ~(COMMAND_IO | COMMAND_MEMORY));
    for (int i = 0; i < count;)
        i += bar_read(d, i);
    pci_write16(d, REG_COMMAND, command);
}

// Windows start above whatever firmware has assigned already.
static void windows_raise(const struct pci_dev *d)
{
    for (int i = 0; i < 6; i++) {
        const struct pci_bar *b = &d->bar[i];
        u64 end = b->base + b->size;
        if (!b->size || !b->base)
            continue;
        if (b->io && b->base >= IO_WINDOW && end <= IO_WINDOW_END)
            io_next = max(io_next, end);
        if (!b->io && b->base >= MMIO_WINDOW && end <= MMIO_WINDOW_END)
            mmio_next = max(mmio_next, end);
    }
}

static void function_add(u8 bus, u8 slot, u8 func)
{
    u32 id = config_read(bus, slot, func, REG_ID);
    if ((id & 0xffff) == 0xffff || !(id & 0xffff))
        return;
    struct pci_dev *d = kzalloc(sizeof(*d), GFP_KERNEL);
    if (!d)
        return;
    d->bus = bus;
    d->slot = slot;
    d->func = func;
    d->vendor = (u16)id;
    d->device = (u16)(id >> 16);
    u32 class_rev = pci_read32(d, REG_CLASS);
    d->class_code = class_rev >> 8;
    d->revision = (u8)class_rev;
    d->header_type = pci_read8(d, REG_HEADER + 2);
    d->irq_line = pci_read8(d, REG_IRQ);
    d->irq_pin = pci_read8(d, REG_IRQ + 1);
    bars_read(d);
    windows_raise(d);
    list_add_tail(&d->entry, &pci_devices);
}

static void bus_scan(u8 bus)
{
    for (u8 slot = 0; slot < 32; slot++) {
        if ((config_read(bus, slot, 0, REG_ID) & 0xffff) == 0xffff)
            continue;
        bool multi = config_read(bus, slot, 0, REG_HEADER) >> 16 & 0x80;
        for (u8 func = 0; func < (multi ? 8 : 1); func++)
            function_add(bus, slot, func);
    }
}

void pci_init(void)
{
    if (config_read(0, 0, 0, REG_ID) == ~0u)
        return;
    bus_scan(0);
    struct pci_dev *d;
    unsigned n = 0;
    list_for_each_entry(d, &pci_devices, entry)
    {
        for (int i = 0; i < 6; i++)
            bar_assign(d, i);
        pr_debug("pci: %02x:%02x.%u %04x:%04x class %06x", d->bus, d->slot, d->func, d->vendor,
                 d->device, d->class_code);
        n++;
    }
    pr_info("pci: %u devices", n);
}
