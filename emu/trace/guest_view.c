// SPDX-License-Identifier: MIT
// Side-effect-free reads of guest structures.
#include "trace/guest_view.h"

#define PTE_P 1u
#define PTE_PS 0x80u
#define PTE_FRAME UINT64_C(0x000FFFFFFFFFF000)

u64 guest_kernel_stack(const struct machine *m, unsigned cpu)
{
    struct cpu_regs regs;
    u64 rsp[2] = {0, 0}; // RSP0, RSP1
    cpu_get_regs(machine_cpu(m, cpu), &regs);
    if (!cpu_debug_read(machine_cpu(m, cpu), regs.tr.base + 4, rsp, sizeof(rsp))) {
        return 0;
    }
    // Linux before 6.2 enters on a stack of the CPU and keeps the task's in RSP1, which the processor never uses.
    return rsp[1] >> 47 ? rsp[1] : rsp[0];
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
