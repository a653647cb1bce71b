// SPDX-License-Identifier: MIT
// Matches the driver table with the device tree (or the built-in description of a q35) and with
// PCI.
#include "drivers/driver.h"

#include "drivers/pci.h"
#include "init/init.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"

#define ROW(symbol) extern const struct driver symbol##_driver;
#include "drivers/drivers.def"
#undef ROW
#define ROW(symbol) &symbol##_driver,
static const struct driver *const drivers[] = {
#include "drivers/drivers.def"
};
#undef ROW

// What a q35 has where there is no device tree. PCI finds the rest.
static const struct {
    const char *compatible;
    struct platform_node node;
} q35_nodes[] = {
    {"ns16550a", {"/isa/uart@3f8", 0x3f8, 8, 0, 0, 4}},
    {"ns16550a", {"/isa/uart@2f8", 0x2f8, 8, 0, 0, 3}},
    {"intel,i8042", {"/isa/keyboard@60", 0x60, 1, 0, 0, 1}},
    {"isa-debug-exit", {"/isa/debug-exit@f4", 0xf4, 4, 0, 0, -1}},
};

static u32 be32(const void *p)
{
    const u8 *b = p;
    return (u32)b[0] << 24 | (u32)b[1] << 16 | (u32)b[2] << 8 | b[3];
}

static void probe_platform(const char *compatible, const struct dt_node *dt,
                           const struct platform_node *node)
{
    for (unsigned i = 0; i < ARRAY_SIZE(drivers); i++) {
        const struct driver *d = drivers[i];
        if (!d->compatible)
            continue;
        if (dt ? !dt_compatible(dt, d->compatible) : strcmp(d->compatible, compatible))
            continue;
        int err = d->probe(node);
        if (err)
            pr_warn("%s: %s: error %d", d->name, node->path, err);
    }
}

// Children of /isa: reg = port, length; interrupts = ISA IRQ.
static void probe_isa(const struct dt_node *isa)
{
    for (const struct dt_node *n = isa ? isa->child : NULL; n; n = n->next) {
        struct platform_node node = {.path = n->name, .irq = -1};
        const struct dt_prop *reg = dt_prop_get(n, "reg"), *irq = dt_prop_get(n, "interrupts");
        const struct dt_prop *status = dt_prop_get(n, "status");
        if (status && status->len && strncmp(status->data, "ok", 2))
            continue;
        if (reg && reg->len >= 8) {
            node.port = (u16)be32(reg->data);
            node.port_len = (u16)be32((const u8 *)reg->data + 4);
        }
        if (irq && irq->len >= 4)
            node.irq = (int)be32(irq->data);
        probe_platform(NULL, n, &node);
    }
}

static bool pci_matches(const struct driver *d, const struct pci_dev *p)
{
    if (d->pci_class_mask)
        return (p->class_code & d->pci_class_mask) == (d->pci_class & d->pci_class_mask);
    return (d->pci_vendor == 0xffff || d->pci_vendor == p->vendor) &&
           (d->pci_device == 0xffff || d->pci_device == p->device);
}

static void probe_pci(void)
{
    struct pci_dev *p;
    list_for_each_entry(p, &pci_devices, entry)
    {
        for (unsigned i = 0; i < ARRAY_SIZE(drivers) && !p->driver; i++) {
            const struct driver *d = drivers[i];
            if (!d->pci_probe || !pci_matches(d, p))
                continue;
            int err = d->pci_probe(p);
            if (err)
                pr_warn("%s: PCI %02x:%02x.%u: error %d", d->name, p->bus, p->slot, p->func, err);
            else
                p->driver = d->name;
        }
    }
}

void drivers_init(void)
{
    if (dt_root) {
        for (const struct dt_node *n = dt_root->child; n; n = n->next)
            if (!strncmp(n->name, "isa", 3))
                probe_isa(n);
    } else {
        for (unsigned i = 0; i < ARRAY_SIZE(q35_nodes); i++)
            probe_platform(q35_nodes[i].compatible, NULL, &q35_nodes[i].node);
    }
    pci_init();
    probe_pci();
}
