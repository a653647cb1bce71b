// SPDX-License-Identifier: MIT
// What the files of arch/x86_64 share with each other.
#pragma once

#include "arch/x86_64/percpu.h"
#include "arch/x86_64/regs.h"
#include "lib/types.h"

struct tss {
    u32 reserved0;
    u64 rsp0, rsp1, rsp2;
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3, iomap_base;
} __packed;

#define IST_DOUBLE_FAULT 1
#define IST_NMI 2
#define IST_MCE 3
#define IST_STACK_SIZE 8192

struct arch_cpu {
    u64 gdt[10];
    struct tss tss __aligned(16);
    u8 ist_stacks[3][IST_STACK_SIZE] __aligned(16);
};

struct cpu_features {
    bool nx, smep, smap, pge, rdtscp, pcid, xsave, tsc_deadline, invariant_tsc, gbpages, arat,
        genuine_intel;
    u32 max_leaf;
};
extern struct cpu_features cpu_features;

void cpu_init_early(void);         // GDT, TSS, IDT, GS base, control registers of CPU 0
void cpu_enable_protections(void); // SMEP, SMAP, WP; after the final page tables are in
void cpu_init_ap(struct cpu *c);   // all of that, on another CPU; c is filled in
void interrupt_vector(struct pt_regs *regs, unsigned vector); // vectors >= 32; interrupts off
u64 clock_cycles_per_second(void);
u64 clock_tsc_at(u64 ns); // TSC value at a CLOCK_MONOTONIC time

// Early frames, before the buddy allocator: physical address of size bytes, zeroed. Panics when
// there are none.
u64 boot_alloc(u64 size, u64 align);
// Calls fn for each run of frames that the buddy allocator may have.
void boot_for_each_free(void (*fn)(u64 start, u64 end));
void boot_memory_init(u32 start_info_phys);
void boot_reserve(u64 start, u64 size);
u64 boot_max_ram(void); // one above the last byte of usable RAM
u64 boot_low_page(void); // a page below 640 KiB that holds nothing; 0 if there is none
