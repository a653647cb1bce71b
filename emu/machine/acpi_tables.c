// SPDX-License-Identifier: MIT
// The fixed tables: RSDP, XSDT, FADT, FACS, MADT, HPET.
#include "machine/acpi_tables.h"

#include "base/bits.h"
#include "machine/tree.h"

#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES 36
#define TABLES_MAX 8
#define ALIGNMENT 64 // the FACS wants it

// Revision 1, three timers, a counter of 64 bits, legacy replacement, vendor: the low half of the
// capabilities register (devices/timer/hpet.c).
#define HPET_CAPABILITIES UINT32_C(0x8086A201)
#define HPET_MINIMUM_TICKS 100

enum { // FADT, 5.2.9
    BOOT_LEGACY_DEVICES = 1 << 0, BOOT_8042 = 1 << 1, BOOT_NO_VGA = 1 << 2, BOOT_NO_RTC = 1 << 5,
    FLAG_WBINVD = 1 << 0, FLAG_PROC_C1 = 1 << 2, FLAG_PWR_BUTTON = 1 << 4, FLAG_SLP_BUTTON = 1 << 5,
    FLAG_FIX_RTC = 1 << 6, FLAG_RESET_REG = 1 << 10, FLAG_HW_REDUCED = 1 << 20,
    PROFILE_DESKTOP = 1, NO_C2 = 0xFFF, NO_C3 = 0xFFF, CMOS_CENTURY = 0x32,
    RESET_PORT = 0xCF9, RESET_FULL = 0x06, // RST_CPU and SYS_RST, ICH9 13.7.5
    SPACE_PORTS = 1,
};

enum { // MADT, 5.2.12
    MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_LAPIC_NMI = 4,
    FLAGS_CONFORMING = 0, FLAGS_LEVEL_LOW = 0xF, ALL_PROCESSORS = 0xFF,
};

struct tables {
    struct machine *m;
    const void *tree;
    u64 next; // free from here on
    u64 pointers[TABLES_MAX];
    unsigned count;
    bool too_large;
};

static void put_header(struct aml *a, const char *signature, u8 revision)
{
    aml_bytes(a, signature, 4);
    aml_number(a, 0, 4); // length, filled in with the checksum
    aml_number(a, revision, 1);
    aml_number(a, 0, 1);
    aml_bytes(a, "VIV   VIVPC   ", 14);
    aml_number(a, 1, 4);
    aml_bytes(a, "VIV ", 4);
    aml_number(a, 1, 4);
}

static u8 checksum(const u8 *bytes, size_t size)
{
    u8 sum = 0;
    for (size_t i = 0; i < size; i++) {
        sum = (u8)(sum + bytes[i]);
    }
    return (u8)-sum;
}

// Places what a has, and releases it. Returns where.
static u64 place(struct tables *t, struct aml *a)
{
    u64 at = t->next;
    if (a->size > ACPI_TABLES_END - at) {
        t->too_large = true;
    } else {
        physmem_write(machine_memory(t->m), at, a->bytes, a->size);
        t->next = align_up(at + a->size, ALIGNMENT);
        t->next = t->next < ACPI_TABLES_END ? t->next : ACPI_TABLES_END;
    }
    free(a->bytes);
    return at;
}

static u64 place_table(struct tables *t, struct aml *a)
{
    u32 length = (u32)a->size;
    memcpy(a->bytes + 4, &length, sizeof(length));
    a->bytes[9] = checksum(a->bytes, a->size);
    return place(t, a);
}

static u64 write_facs(struct tables *t)
{
    struct aml a = {0};
    aml_bytes(&a, "FACS", 4);
    aml_number(&a, 64, 4);
    for (unsigned i = 8; i < 32; i += 8) {
        aml_number(&a, 0, 8);
    }
    aml_number(&a, 2, 1); // version
    aml_bytes(&a, (const u8[31]){0}, 31);
    return place(t, &a);
}

static u64 write_dsdt(struct tables *t)
{
    struct aml a = {0};
    put_header(&a, "DSDT", 2); // from 2 on integers have 64 bits
    acpi_dsdt_make(&a, t->tree);
    return place_table(t, &a);
}

// Generic address (5.2.3.2) of a port; none: all zero.
static void put_port_address(struct aml *a, u64 port, unsigned bytes)
{
    static const u8 sizes[] = {[1] = 1, [2] = 2, [4] = 3};
    aml_number(a, port ? SPACE_PORTS : 0, 1);
    aml_number(a, port ? bytes * 8 : 0, 1);
    aml_number(a, 0, 1);
    aml_number(a, port ? sizes[bytes] : 0, 1);
    aml_number(a, port, 8);
}

// The PM1a and timer ports of the power node (devices/misc/acpi_power.c), 0 where there are none.
struct power_ports {
    u64 control, events, timer;
    u32 sci;
};

static struct power_ports find_power(const void *tree)
{
    struct power_ports p = {0};
    u64 length;
    int node = tree_find(tree, "acpi-pm1a");
    if (node >= 0 && (!tree_reg(tree, node, 0, &p.control, &length) ||
                      !tree_reg(tree, node, 1, &p.events, &length))) {
        p.control = p.events = 0;
    } else if (node >= 0) {
        tree_reg(tree, node, 2, &p.timer, &length);
    }
    p.sci = tree_cell(tree, node, "interrupts", 0, 0);
    return p;
}

static u32 fadt_flags(const struct tables *t, const struct power_ports *p)
{
    u32 flags = FLAG_WBINVD | FLAG_PROC_C1 | FLAG_SLP_BUTTON | FLAG_FIX_RTC;
    flags |= p->control ? 0 : FLAG_HW_REDUCED | FLAG_PWR_BUTTON; // set: it is no fixed hardware
    return flags | (tree_find(t->tree, "pci-host-cf8") >= 0 ? FLAG_RESET_REG : 0);
}

static u16 boot_architecture(const void *tree)
{
    unsigned flags = BOOT_LEGACY_DEVICES;
    flags |= tree_find(tree, "intel,i8042") >= 0 ? BOOT_8042 : 0;
    flags |= tree_find(tree, "vga-text") >= 0 ? 0 : BOOT_NO_VGA;
    flags |= tree_find(tree, "motorola,mc146818") >= 0 ? 0 : BOOT_NO_RTC;
    return (u16)flags;
}

static void put_fadt_ports(struct aml *a, const struct power_ports *p)
{
    aml_number(a, p->events, 4);
    aml_number(a, 0, 4);
    aml_number(a, p->control, 4);
    aml_number(a, 0, 4);
    aml_number(a, 0, 4); // PM2
    aml_number(a, p->timer, 4);
    aml_number(a, 0, 8); // no general-purpose events
    aml_number(a, p->events ? 4 : 0, 1);
    aml_number(a, p->control ? 2 : 0, 1);
    aml_number(a, 0, 1);
    aml_number(a, p->timer ? 4 : 0, 1);
    aml_number(a, 0, 4);
}

static void put_fadt_addresses(struct aml *a, const struct power_ports *p)
{
    put_port_address(a, p->events, 4);
    put_port_address(a, 0, 0);
    put_port_address(a, p->control, 2);
    put_port_address(a, 0, 0);
    put_port_address(a, 0, 0);
    put_port_address(a, p->timer, 4);
    for (unsigned i = 0; i < 4; i++) { // general-purpose events; sleep registers
        put_port_address(a, 0, 0);
    }
}

static u64 write_fadt(struct tables *t, u64 facs, u64 dsdt)
{
    struct aml a = {0};
    struct power_ports p = find_power(t->tree);
    u32 flags = fadt_flags(t, &p);
    put_header(&a, "FACP", 6);
    aml_number(&a, facs, 4);
    aml_number(&a, dsdt, 4);
    aml_number(&a, 0, 1);
    aml_number(&a, PROFILE_DESKTOP, 1);
    aml_number(&a, p.sci, 2);
    aml_number(&a, 0, 8); // no SMI command port: always in ACPI mode
    put_fadt_ports(&a, &p);
    aml_number(&a, NO_C2, 2);
    aml_number(&a, NO_C3, 2);
    aml_number(&a, 0, 8); // flush size and stride, duty cycle, alarms
    aml_number(&a, CMOS_CENTURY, 1);
    aml_number(&a, boot_architecture(t->tree), 2);
    aml_number(&a, 0, 1);
    aml_number(&a, flags, 4);
    put_port_address(&a, flags & FLAG_RESET_REG ? RESET_PORT : 0, 1);
    aml_number(&a, RESET_FULL, 1);
    aml_number(&a, 0, 2);
    aml_number(&a, 5, 1); // of 6.5
    // One of the two pointers to the FACS, and both to the DSDT (5.2.9, X_FIRMWARE_CTRL).
    aml_number(&a, 0, 8);
    aml_number(&a, dsdt, 8);
    put_fadt_addresses(&a, &p);
    aml_number(&a, 0, 8); // no hypervisor
    return place_table(t, &a);
}

static void put_override(struct aml *a, unsigned irq, unsigned gsi, unsigned flags)
{
    aml_number(a, MADT_OVERRIDE, 1);
    aml_number(a, 10, 1);
    aml_number(a, 0, 1); // ISA
    aml_number(a, irq, 1);
    aml_number(a, gsi, 4);
    aml_number(a, flags, 2);
}

// ISA interrupts that are no edges: those of the PCI wires, and the SCI (4.8.1.1: level, low).
static u32 level_irqs(const void *tree)
{
    u32 level = tree_cell(tree, tree_find(tree, "intel,i8259"), "elcr-reset", 0, 0);
    struct power_ports p = find_power(tree);
    return level | (p.sci ? 1u << (p.sci & 15) : 0);
}

static void put_cpus(struct aml *a, const void *tree)
{
    int depth = 0;
    unsigned uid = 0;
    for (int node = tree_next_enabled(tree, -1, &depth); node >= 0;
         node = tree_next_enabled(tree, node, &depth)) {
        const char *type = fdt_getprop(tree, node, "device_type", NULL);
        if (type && strcmp(type, "cpu") == 0) {
            aml_number(a, MADT_LAPIC, 1);
            aml_number(a, 8, 1);
            aml_number(a, uid, 1);
            aml_number(a, tree_cell(tree, node, "reg", 0, uid), 1);
            aml_number(a, 1, 4); // enabled
            uid++;
        }
    }
}

static u64 write_madt(struct tables *t)
{
    struct aml a = {0};
    u64 lapic = 0, ioapic = 0, length;
    tree_reg(t->tree, tree_find(t->tree, "intel,lapic"), 0, &lapic, &length);
    put_header(&a, "APIC", 5);
    aml_number(&a, lapic, 4);
    aml_number(&a, tree_find(t->tree, "intel,i8259") >= 0, 4); // PCAT_COMPAT
    put_cpus(&a, t->tree);
    if (tree_reg(t->tree, tree_find(t->tree, "intel,ioapic"), 0, &ioapic, &length)) {
        aml_number(&a, MADT_IOAPIC, 1);
        aml_number(&a, 12, 1);
        aml_number(&a, 0, 2); // its ID after reset
        aml_number(&a, ioapic, 4);
        aml_number(&a, 0, 4);
        put_override(&a, 0, 2, FLAGS_CONFORMING);
        u32 level = level_irqs(t->tree);
        for (unsigned irq = 0; irq < 16; irq++) {
            if (level >> irq & 1) {
                put_override(&a, irq, irq, FLAGS_LEVEL_LOW);
            }
        }
    }
    aml_number(&a, MADT_LAPIC_NMI, 1);
    aml_number(&a, 6, 1);
    aml_number(&a, ALL_PROCESSORS, 1);
    aml_number(&a, FLAGS_CONFORMING, 2);
    aml_number(&a, 1, 1); // LINT1
    return place_table(t, &a);
}

// IA-PC HPET 1.0a, 3.2.4.
static void write_hpet(struct tables *t)
{
    u64 base, length;
    int node = tree_find(t->tree, "intel,hpet");
    if (node < 0 || !tree_reg(t->tree, node, 0, &base, &length)) {
        return;
    }
    struct aml a = {0};
    put_header(&a, "HPET", 1);
    aml_number(&a, HPET_CAPABILITIES, 4);
    aml_number(&a, 0, 1); // in memory
    aml_number(&a, 64, 1);
    aml_number(&a, 0, 2);
    aml_number(&a, base, 8);
    aml_number(&a, 0, 1);
    aml_number(&a, HPET_MINIMUM_TICKS, 2);
    aml_number(&a, 0, 1);
    t->pointers[t->count++] = place_table(t, &a);
}

// PCI Firmware Specification 3.0, 4.1.2: configuration space of bus 0 in memory.
static void write_mcfg(struct tables *t)
{
    u32 base = tree_cell(t->tree, tree_find(t->tree, "pci-host-cf8"), "viv,ecam", 0, 0);
    if (!base) {
        return;
    }
    struct aml a = {0};
    put_header(&a, "MCFG", 1);
    aml_number(&a, 0, 8);
    aml_number(&a, base, 8);
    aml_number(&a, 0, 8); // segment, first and last bus
    t->pointers[t->count++] = place_table(t, &a);
}

static u64 write_xsdt(struct tables *t)
{
    struct aml a = {0};
    put_header(&a, "XSDT", 1);
    for (unsigned i = 0; i < t->count; i++) {
        aml_number(&a, t->pointers[i], 8);
    }
    return place_table(t, &a);
}

static void write_rsdp(struct tables *t, u64 xsdt)
{
    struct aml a = {0};
    aml_bytes(&a, "RSD PTR ", 8);
    aml_number(&a, 0, 1);
    aml_bytes(&a, "VIV   ", 6);
    aml_number(&a, 2, 1);
    aml_number(&a, 0, 4); // no RSDT: everybody who boots here knows the XSDT
    aml_number(&a, HEADER_BYTES, 4);
    aml_number(&a, xsdt, 8);
    aml_number(&a, 0, 4);
    a.bytes[8] = checksum(a.bytes, 20);
    a.bytes[32] = checksum(a.bytes, HEADER_BYTES);
    physmem_write(machine_memory(t->m), ACPI_TABLES_START, a.bytes, a.size);
    free(a.bytes);
}

struct status acpi_tables_write(struct machine *m, const void *tree)
{
    struct tables t = {.m = m, .tree = tree, .next = ACPI_TABLES_START + ALIGNMENT};
    u64 facs = write_facs(&t);
    u64 dsdt = write_dsdt(&t);
    t.pointers[t.count++] = write_fadt(&t, facs, dsdt);
    t.pointers[t.count++] = write_madt(&t);
    write_hpet(&t);
    write_mcfg(&t);
    write_rsdp(&t, write_xsdt(&t));
    return t.too_large ? status_error(STATUS_BAD_INPUT, "the device tree has too many devices: its "
                                                        "ACPI tables do not fit below 1 MiB")
                       : status_success();
}
