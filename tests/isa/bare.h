// SPDX-License-Identifier: MIT
// A processor with RAM, page tables, GDT, IDT and nothing else, in 64-bit mode: for tests and
// benchmarks of the CPU alone.
#ifndef VIV_TESTS_ISA_BARE_H
#define VIV_TESTS_ISA_BARE_H

#include "cpu/cpu.h"

// Guest-physical layout; linear = physical. User code and data lie where the host can map the same
// addresses.
enum {
    BARE_RAM_BYTES = 64 << 20,
    BARE_GDT = 0x1000,
    BARE_IDT = 0x2000,
    BARE_TSS = 0x3000,
    BARE_TABLES = 0x10000,       // page tables, one after the other
    BARE_KERNEL_STACK = 0x80000, // top
    BARE_HANDLERS = 0x90000,     // entry of vector n at + n * 16
    BARE_USER =
        0x2000000, // first address that user code may use, 4 KiB pages; up to the end of RAM
};

enum { BARE_PAGE_ABSENT = 0, BARE_PAGE_READ = 5, BARE_PAGE_WRITE = 7 }; // page-table bits

struct bare {
    struct physmem *mem;
    struct mmu_shared *mmu;
    struct io_space *ports, *mmio;
    struct vclock clock;
    struct probes probes;
    struct cpu_apic apic;
    unsigned current_cpu;
    u64 *coverage;
    struct cpu *cpu;
};

struct bare *bare_create(enum tlb_geometry geometry); // with all that is implemented
struct bare *bare_create_model(enum tlb_geometry geometry, const char *model);
void bare_destroy(struct bare *b);

// Rights of the page at linear (BARE_USER and above).
void bare_set_page(struct bare *b, u64 linear, u64 bits);

// For tests that put new code into the same page again and again: writes the page at linear and the
// one behind it as a whole, after which they may be translated as if new (a page that is rewritten
// piece by piece is left to the interpreter from some point on).
void bare_renew_code(struct bare *b, u64 linear);

// A register file for user code at rip: CPL 3, flat segments, IF clear.
struct cpu_regs bare_user_regs(const struct bare *b, u64 rip);

// The segments of bare_user_regs() for code of another kind or CPL: attributes as in cpu_segment.
void bare_flat_segments(struct cpu_regs *r, u16 code, u16 data, u8 cpl);
// Makes it real mode with the code segment at BARE_USER, data segments all over the first 64 KiB,
// and an interrupt table.
void bare_real_mode(struct cpu_regs *r, u64 rip);

// The exception whose handler the CPU stands at after a delivery from user mode; vector -1: none.
struct bare_exception {
    int vector;
    u64 error_code, rip, rflags, rsp;
};
struct bare_exception bare_exception(const struct bare *b);

#endif
