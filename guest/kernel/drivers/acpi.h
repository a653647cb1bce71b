// SPDX-License-Identifier: MIT
// The few ACPI facts that fern needs (ACPI 6.4 chapter 5): CPUs of the MADT, power-off by PM1a and
// _S5.
#pragma once

#include "lib/types.h"

struct acpi_sleep {
    u16 pm1a_port;
    u16 sleep_type; // SLP_TYPa of _S5
};
bool acpi_s5(struct acpi_sleep *s); // false without FADT or _S5
// APIC ids of the MADT's enabled processors, in its order; 0 without one.
unsigned acpi_cpu_ids(u32 *ids, unsigned max);
const void *acpi_table(const char *signature, u32 *length); // checksum verified; NULL if absent
