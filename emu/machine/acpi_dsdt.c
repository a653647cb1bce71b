// SPDX-License-Identifier: MIT
// The DSDT: what cannot be probed. The PCI bridge with its windows and interrupt routing, the
// devices on ISA ports, the HPET, and the sleep state that switches off.
#include "machine/acpi_tables.h"

#include "base/bits.h"
#include "machine/tree.h"

#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>

#define PCI_MEMORY_FIRST UINT32_C(0xC0000000) // RAM ends below (mem/physmem.h)
#define PCI_MEMORY_LAST UINT32_C(0xFEAFFFFF)  // room for the ECAM, then the IOAPIC
#define CONFIG_PORTS 0xCF8
#define SLOTS 32
#define WIRES 4

// How a node on the ISA bus shows: with all of its ports or none, and one of its interrupts.
struct isa_row {
    const char *compatible, *id, *name;
    bool ports, irq;
    unsigned irq_index;
};

static const struct isa_row isa_rows[] = {
    {"intel,i8259", "PNP0000", "PIC", true, false, 0},
    {"intel,i8254", "PNP0100", "TMR", true, false, 0},
    {"motorola,mc146818", "PNP0B00", "RTC", true, true, 0},
    {"ns16550a", "PNP0501", "COM", true, true, 0},
    {"intel,i8042", "PNP0303", "KBD", true, true, 0},
    {"intel,i8042", "PNP0F13", "MOU", false, true, 1},
};

static void put_crs(struct aml *a, struct aml *resources)
{
    resource_end(resources);
    aml_name(a, "_CRS");
    aml_buffer(a, resources);
    free(resources->bytes);
}

static void put_identity(struct aml *a, const char *id, unsigned uid)
{
    aml_name(a, "_HID");
    aml_eisa_id(a, id);
    aml_name(a, "_UID");
    aml_integer(a, uid);
}

static void put_isa_device(struct aml *a, const void *tree, int node, const struct isa_row *row,
                           unsigned number)
{
    char name[5];
    snprintf(name, sizeof(name), "%s%X", row->name, number & 0xF);
    size_t device = aml_open_device(a, name);
    put_identity(a, row->id, number);
    struct aml resources = {0};
    u64 base, length;
    for (unsigned i = 0; row->ports && tree_reg(tree, node, i, &base, &length); i++) {
        resource_io(&resources, (u16)base, (u8)length);
    }
    u32 irq = tree_cell(tree, node, "interrupts", row->irq_index, UINT32_MAX);
    if (row->irq && irq < 16) {
        resource_irq(&resources, irq);
    }
    put_crs(a, &resources);
    aml_close(a, device);
}

static void put_isa_devices(struct aml *a, const void *tree)
{
    for (size_t i = 0; i < ARRAY_LEN(isa_rows); i++) {
        int depth = 0;
        unsigned number = 0;
        for (int node = tree_next_enabled(tree, -1, &depth); node >= 0;
             node = tree_next_enabled(tree, node, &depth)) {
            if (fdt_node_check_compatible(tree, node, isa_rows[i].compatible) == 0) {
                put_isa_device(a, tree, node, &isa_rows[i], ++number);
            }
        }
    }
}

static void put_hpet(struct aml *a, const void *tree)
{
    u64 base, length;
    int node = tree_find(tree, "intel,hpet");
    if (node < 0 || !tree_reg(tree, node, 0, &base, &length)) {
        return;
    }
    size_t device = aml_open_device(a, "HPET");
    put_identity(a, "PNP0103", 0);
    struct aml resources = {0};
    resource_memory(&resources, (u32)base, (u32)length);
    put_crs(a, &resources);
    aml_close(a, device);
}

// _PRT: pin p of slot s is wire (s + p) mod 4 (bus/pci.h), which is an ISA interrupt, and so the
// IOAPIC's pin of that number (6.2.13).
static void put_routing(struct aml *a, const void *tree, int bridge)
{
    u32 slots = 0;
    int node;
    fdt_for_each_subnode(node, tree, bridge)
    {
        u64 devfn, none;
        if (tree_is_enabled(tree, node) && tree_reg(tree, node, 0, &devfn, &none) &&
            devfn < SLOTS * 8) {
            slots |= 1u << (devfn >> 3);
        }
    }
    aml_name(a, "_PRT");
    size_t table = aml_open_package(a, (u8)(WIRES * (unsigned)__builtin_popcount(slots)));
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        for (unsigned pin = 0; pin < WIRES && (slots >> slot & 1); pin++) {
            size_t entry = aml_open_package(a, 4);
            aml_integer(a, (u64)slot << 16 | 0xFFFF);
            aml_integer(a, pin);
            aml_integer(a, 0);
            aml_integer(a, tree_cell(tree, bridge, "interrupts", (slot + pin) % WIRES, 0));
            aml_close(a, entry);
        }
    }
    aml_close(a, table);
}

static void put_pci_bridge(struct aml *a, const void *tree)
{
    int bridge = tree_find(tree, "pci-host-cf8");
    if (bridge < 0) {
        return;
    }
    size_t device = aml_open_device(a, "PCI0");
    put_identity(a, "PNP0A03", 0);
    struct aml resources = {0};
    resource_bus_window(&resources, 0, 0);
    resource_io(&resources, CONFIG_PORTS, 8);
    resource_port_window(&resources, 0, CONFIG_PORTS - 1);
    resource_port_window(&resources, CONFIG_PORTS + 8, 0xFFFF);
    resource_memory_window(&resources, PCI_MEMORY_FIRST, PCI_MEMORY_LAST);
    put_crs(a, &resources);
    put_routing(a, tree, bridge);
    aml_close(a, device);
}

// Soft-off is SLP_TYP 0 (devices/misc/acpi_power.c).
static void put_soft_off(struct aml *a)
{
    aml_name(a, "_S5_");
    size_t package = aml_open_package(a, 4);
    for (unsigned i = 0; i < 4; i++) {
        aml_integer(a, 0);
    }
    aml_close(a, package);
}

void acpi_dsdt_make(struct aml *a, const void *tree)
{
    size_t scope = aml_open_scope(a, "\\_SB_");
    put_pci_bridge(a, tree);
    put_isa_devices(a, tree);
    put_hpet(a, tree);
    aml_close(a, scope);
    if (tree_find(tree, "acpi-pm1a") >= 0) {
        put_soft_off(a);
    }
}
