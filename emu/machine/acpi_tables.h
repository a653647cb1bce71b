// SPDX-License-Identifier: MIT
// ACPI tables (ACPI 6.5, chapter 5) made from the machine's device tree, as firmware would leave
// them in the BIOS area below 1 MiB.
#ifndef VIV_MACHINE_ACPI_TABLES_H
#define VIV_MACHINE_ACPI_TABLES_H

#include "machine/aml.h"
#include "machine/machine.h"

// Where the tables lie: the RSDP first, where a search below 1 MiB finds it.
#define ACPI_TABLES_START 0xF0000
#define ACPI_TABLES_END 0x100000

// Writes RSDP, XSDT, FADT, FACS, MADT, DSDT and, as the tree has them, HPET and MCFG into guest
// memory. STATUS_BAD_INPUT: they do not fit.
struct status acpi_tables_write(struct machine *m, const void *tree);

// The definition block of the DSDT, without its header (acpi_dsdt.c).
void acpi_dsdt_make(struct aml *a, const void *tree);

#endif
