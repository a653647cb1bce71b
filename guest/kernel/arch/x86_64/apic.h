// SPDX-License-Identifier: MIT
// Local APIC, IOAPIC and interrupt vectors (SDM vol. 3 chapter 10; 82093AA data sheet).
#pragma once

#include "arch/x86_64/regs.h"
#include "lib/types.h"

#define VECTOR_TIMER 0xef
#define VECTOR_SPURIOUS 0xff

typedef void (*irq_handler_t)(unsigned irq, void *data); // hard interrupt context, interrupts off

void apic_init(void);
void apic_eoi(void);
void ioapic_init(void);
// ISA/GSI interrupt to a handler: routes through the IOAPIC and unmasks; several handlers may
// share. 0 or -errno.
int irq_request(unsigned gsi, irq_handler_t fn, void *data, const char *name, bool level);
void irq_mask(unsigned gsi);
void irq_unmask(unsigned gsi);
// A vector for MSI; *msi_addr, *msi_data are what goes into the capability.
int msi_request(irq_handler_t fn, void *data, const char *name, u64 *msi_addr, u32 *msi_data);
// i-th registered source for /proc/interrupts; false at the end.
bool irq_describe(unsigned i, unsigned *number, const char **name, u64 *count);
// Arms the LAPIC timer `delta_ns` from now (0 = as soon as possible); ~0 = never.
void apic_timer_arm(u64 delta_ns);
