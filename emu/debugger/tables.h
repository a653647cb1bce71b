// SPDX-License-Identifier: MIT
// The system structures of a CPU and the state of devices as text for people.
#ifndef VIV_DEBUGGER_TABLES_H
#define VIV_DEBUGGER_TABLES_H

#include "debugger/symbols.h"
#include "machine/machine.h"

#include <stdio.h>

// Interrupt descriptor table (SDM 3A 6.10-6.14). A run of gates alike whose handlers stand at equal
// distances is one line, absent gates are left out. symbols may be NULL.
void tables_idt(FILE *out, const struct machine *m, unsigned cpu, struct symbols *symbols);
// Global descriptor table (SDM 3A 3.4.5).
void tables_gdt(FILE *out, const struct machine *m, unsigned cpu);
// Task state segment (SDM 3A 7.7).
void tables_tss(FILE *out, const struct machine *m, unsigned cpu);
// Model-specific registers and control registers with the names of their set bits (SDM 4).
void tables_msrs(FILE *out, const struct machine *m, unsigned cpu, struct symbols *symbols);
void tables_control(FILE *out, const struct machine *m, unsigned cpu);
// Every field of the saved CPU state (cpu_fields), hidden ones included.
void tables_cpu_fields(FILE *out, const struct machine *m, unsigned cpu);

// A line for each device: class and path.
void tables_devices(FILE *out, const struct machine *m);
// The fields of the devices whose class or path contains name; false: there is none.
bool tables_device(FILE *out, const struct machine *m, const char *name);

#endif
