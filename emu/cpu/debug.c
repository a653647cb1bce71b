// SPDX-License-Identifier: MIT
// Debug exceptions: hardware breakpoints, DR6 (SDM 3B 17.2, 17.3).
#include "cpu/gate.h"

#include "cpu/interp/operand.h"

#define DR6_B0_B3 UINT64_C(0xF)
#define DR7_GD BIT(13)

static bool breakpoint_enabled(const struct cpu *cpu, unsigned n)
{
    return cpu->dr[7] >> (2 * n) & 3;
}

// 0 execute, 1 write, 2 port, 3 read or write.
static unsigned breakpoint_kind(const struct cpu *cpu, unsigned n)
{
    return (unsigned)bits_get(cpu->dr[7], 16 + 4 * n, 2);
}

static u8 breakpoint_size(const struct cpu *cpu, unsigned n)
{
    static const u8 sizes[] = {1, 2, 8, 4};
    return sizes[bits_get(cpu->dr[7], 18 + 4 * n, 2)];
}

static void on_watch(void *ctx, unsigned hit)
{
    struct cpu *cpu = ctx;
    cpu->pending_dr6 |= hit;
    cpu->pending |= CPU_PENDING_TRAP;
    cpu->boundary = true;
}

void cpu_debug_changed(struct cpu *cpu)
{
    struct mmu_watch watches[4] = {0};
    for (unsigned n = 0; n < 4; n++) {
        unsigned kind = breakpoint_kind(cpu, n);
        if (breakpoint_enabled(cpu, n) && (kind == 1 || kind == 3)) {
            u8 size = breakpoint_size(cpu, n);
            watches[n] = (struct mmu_watch){align_down(cpu->dr[n], size), size, kind == 1};
        }
    }
    mmu_set_watches(cpu->mmu, watches, on_watch);
    cpu->tables = cpu->mmu->tables;
}

bool debug_execution_enabled(const struct cpu *cpu)
{
    for (unsigned n = 0; n < 4; n++) {
        if (breakpoint_enabled(cpu, n) && breakpoint_kind(cpu, n) == 0) {
            return true;
        }
    }
    return false;
}

bool debug_execution_breakpoint(struct cpu *cpu)
{
    u64 hit = 0, linear = cpu->long_mode ? cpu->rip : (u32)(cpu->rip + cpu->seg[CPU_CS].base);
    for (unsigned n = 0; n < 4; n++) {
        if (breakpoint_enabled(cpu, n) && breakpoint_kind(cpu, n) == 0 && cpu->dr[n] == linear) {
            hit |= BIT(n);
        }
    }
    cpu->pending_dr6 |= hit;
    return hit != 0;
}

void debug_note_port(struct cpu *cpu, u16 port, unsigned size)
{
    if (!(cpu->cr4 & CR4_DE)) {
        return;
    }
    for (unsigned n = 0; n < 4; n++) {
        u64 first = align_down(cpu->dr[n], breakpoint_size(cpu, n));
        if (breakpoint_enabled(cpu, n) && breakpoint_kind(cpu, n) == 2 &&
            port < first + breakpoint_size(cpu, n) && first < (u64)port + size) {
            on_watch(cpu, 1u << n);
        }
    }
}

void debug_note_exception(struct cpu *cpu)
{
    cpu->dr[6] = (cpu->dr[6] & ~DR6_B0_B3) | cpu->pending_dr6;
    cpu->pending_dr6 = 0;
    cpu->pending &= (u8)~CPU_PENDING_TRAP;
    cpu->dr[7] &= ~DR7_GD;
}
