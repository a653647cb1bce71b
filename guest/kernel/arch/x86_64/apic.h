// SPDX-License-Identifier: MIT
// Local APIC, IOAPIC and interrupt vectors (SDM vol. 3 chapter 10; 82093AA data sheet).
#pragma once

#include "arch/x86_64/regs.h"
#include "lib/types.h"

#define VECTOR_TIMER 0xef
#define VECTOR_CALL 0xfb
#define VECTOR_RESCHEDULE 0xfd
#define VECTOR_SPURIOUS 0xff

typedef void (*irq_handler_t)(unsigned irq, void *data); // hard interrupt context, interrupts off

void apic_init(void);
void apic_init_cpu(void); // the local APIC of another CPU than the first
// Interprocessor interrupts to a physical APIC id. Any context.
void apic_send_ipi(u32 apic_id, unsigned vector);
void apic_send_nmi_to_others(void);
void apic_send_init(u32 apic_id);
void apic_send_startup(u32 apic_id, u64 page); // page below 1 MiB
void apic_eoi(void);
void ioapic_init(void);
// ISA/GSI interrupt to a handler: routes through the IOAPIC and unmasks; several handlers may
// share. 0 or -errno.
int irq_request(unsigned gsi, irq_handler_t fn, void *data, const char *name, bool level);
void irq_mask(unsigned gsi);
void irq_unmask(unsigned gsi);
// A vector for MSI; *msi_addr, *msi_data are what goes into the capability.
int msi_request(irq_handler_t fn, void *data, const char *name, u64 *msi_addr, u32 *msi_data);
// i-th source for /proc/interrupts: its vector and name, the number that it goes by (a GSI, or its
// vector), or its label where it is not a device's (else NULL). False at the end.
struct irq_source {
    unsigned vector, number;
    const char *label, *name;
};
bool irq_describe(unsigned i, struct irq_source *s);
u64 irq_count(unsigned vector); // on all CPUs
// Arms the LAPIC timer `delta_ns` from now (0 = as soon as possible); ~0 = never.
void apic_timer_arm(u64 delta_ns);
