// SPDX-License-Identifier: MIT
// Side-effect-free reads of guest structures.
#include "trace/guest_view.h"

#define PTE_P 1u
#define PTE_PS 0x80u
#define PTE_FRAME UINT64_C(0x000FFFFFFFFFF000)

// Where Linux maps each CPU's entry stack: the 512 GiB from here (Documentation/x86/x86_64/mm.rst).
#define LINUX_ENTRY_AREA UINT64_C(0xfffffe0000000000)

u64 guest_task_key(const struct machine *m, unsigned cpu, enum guest_task_identity *identity)
{
    struct cpu_regs regs;
    u64 rsp0 = 0;
    cpu_get_regs(machine_cpu(m, cpu), &regs);
    if (!cpu_debug_read(machine_cpu(m, cpu), regs.tr.base + 4, &rsp0, sizeof(rsp0))) {
        rsp0 = 0;
    }
    *identity = rsp0 >> 39 == LINUX_ENTRY_AREA >> 39 ? GUEST_TASK_BY_MEMORY : GUEST_TASK_BY_STACK;
    if (*identity == GUEST_TASK_BY_STACK) {
        return rsp0;
    }
    // Bit 12 and PCID: the two halves of page-table isolation.
    return (regs.cr3 & ~UINT64_C(0x1FFF)) * UINT64_C(0x9E3779B97F4A7C15) + regs.seg[CPU_FS].base;
}

bool guest_read(const struct machine *m, unsigned cpu, u64 linear, void *out, u64 size)
{
    return cpu_debug_read(machine_cpu(m, cpu), linear, out, size);
}

u64 guest_pte(const struct machine *m, u64 cr3, u64 linear)
{
    u64 table = cr3 & PTE_FRAME;
    u64 entry = 0;
    for (int shift = 39; shift >= 12; shift -= 9) {
        u64 index = linear >> shift & 511;
        if (!physmem_read(machine_memory(m), table + index * 8, &entry, sizeof(entry))) {
            return 0;
        }
        if (!(entry & PTE_P) || ((entry & PTE_PS) && shift < 39)) {
            return entry;
        }
        table = entry & PTE_FRAME;
    }
    return entry;
}
