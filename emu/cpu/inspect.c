// SPDX-License-Identifier: MIT
// Memory and floating-point registers from outside: what a debugger reads and writes.
#include "cpu/fxsave.h"
#include "cpu/interp/vector.h"

#include <string.h>

void fxsave_store(const struct cpu_fpu *fpu, bool wide, unsigned xmm_count,
                  struct fxsave_area *area)
{
    area->fcw = fpu->fcw, area->fsw = fpu->fsw, area->ftw = fpu->ftw, area->fop = fpu->fop;
    area->fip = wide ? fpu->fip : (u32)fpu->fip | (u64)fpu->fcs << 32;
    area->fdp = wide ? fpu->fdp : (u32)fpu->fdp | (u64)fpu->fds << 32;
    area->mxcsr = fpu->mxcsr, area->mxcsr_mask = MXCSR_WRITABLE;
    for (unsigned i = 0; i < 8; i++) {
        memcpy(area->st[i], fpu->st[(i + (fpu->fsw >> 11)) & 7], 10);
    }
    for (unsigned i = 0; i < xmm_count; i++) {
        memcpy(area->xmm[i], fpu->vec[i], 16);
    }
}

void fxsave_load(struct cpu_fpu *fpu, bool wide, unsigned xmm_count, const struct fxsave_area *area)
{
    fpu->fcw = (area->fcw & 0x1F7F) | 0x40;
    fpu->fsw = area->fsw, fpu->ftw = area->ftw, fpu->fop = area->fop & 0x7FF;
    fpu->fip = wide ? area->fip : (u32)area->fip;
    fpu->fdp = wide ? area->fdp : (u32)area->fdp;
    fpu->fcs = wide ? 0 : (u16)(area->fip >> 32);
    fpu->fds = wide ? 0 : (u16)(area->fdp >> 32);
    fpu->mxcsr = area->mxcsr;
    bool pending = fpu->fsw & ~fpu->fcw & 0x3F;
    fpu->fsw = (u16)((fpu->fsw & 0x7F7F) | (pending ? 0x8080 : 0));
    for (unsigned i = 0; i < 8; i++) {
        memcpy(fpu->st[(i + (fpu->fsw >> 11)) & 7], area->st[i], 10);
    }
    for (unsigned i = 0; i < xmm_count; i++) {
        memcpy(fpu->vec[i], area->xmm[i], 16);
    }
}

void cpu_get_fpu(const struct cpu *cpu, u8 image[CPU_FPU_BYTES])
{
    struct fxsave_area area = {0};
    fxsave_store(&cpu->fpu, true, 16, &area);
    memcpy(image, &area, sizeof(area));
    for (unsigned i = 0; i < 16; i++) {
        memcpy(image + CPU_FXSAVE_BYTES + 16 * i, cpu->fpu.vec[i] + 16, 16);
    }
}

void cpu_set_fpu(struct cpu *cpu, const u8 image[CPU_FPU_BYTES])
{
    struct fxsave_area area;
    memcpy(&area, image, sizeof(area));
    area.mxcsr &= MXCSR_WRITABLE;
    u16 fcs = cpu->fpu.fcs, fds = cpu->fpu.fds; // not in the image
    fxsave_load(&cpu->fpu, true, 16, &area);
    cpu->fpu.fcs = fcs, cpu->fpu.fds = fds;
    for (unsigned i = 0; i < 16; i++) {
        memcpy(cpu->fpu.vec[i] + 16, image + CPU_FXSAVE_BYTES + 16 * i, 16);
    }
}

bool cpu_debug_read(const struct cpu *cpu, u64 linear, void *out, u64 size)
{
    u8 *to = out;
    while (size) {
        u64 gpa, room = PAGE_SIZE - (linear & PAGE_MASK), part = size < room ? size : room;
        if (!mmu_debug_translate(cpu->mmu, linear, &gpa) ||
            !physmem_read(cpu->config.mem, gpa, to, part)) {
            return false;
        }
        linear += part, to += part, size -= part;
    }
    return true;
}

static bool is_mapped_ram(const struct cpu *cpu, u64 linear, u64 size)
{
    for (u64 at = linear, left = size; left;) {
        u64 gpa, room = PAGE_SIZE - (at & PAGE_MASK), part = left < room ? left : room;
        if (!mmu_debug_translate(cpu->mmu, at, &gpa) ||
            physmem_rpn(cpu->config.mem, gpa) == PHYSMEM_NO_RPN) {
            return false;
        }
        at += part, left -= part;
    }
    return true;
}

bool cpu_debug_write(struct cpu *cpu, u64 linear, const void *bytes, u64 size)
{
    const u8 *from = bytes;
    if (!is_mapped_ram(cpu, linear, size)) {
        return false;
    }
    while (size) {
        u64 gpa, room = PAGE_SIZE - (linear & PAGE_MASK), part = size < room ? size : room;
        // Its own earlier part may have changed a page table.
        if (!mmu_debug_translate(cpu->mmu, linear, &gpa) ||
            !physmem_write(cpu->config.mem, gpa, from, part)) {
            return false;
        }
        linear += part, from += part, size -= part;
    }
    return true;
}
