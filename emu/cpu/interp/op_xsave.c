// SPDX-License-Identifier: MIT
// XCR0 and the XSAVE family (SDM 1 chapter 13). XINUSE is defined by value: a component is in use
// when it differs from its initial configuration. The modified optimisation is never applied, and
// IA32_XSS has no bits. So what an area receives depends on the registers alone.
#include "cpu/fxsave.h"
#include "cpu/interp/vector.h"

#define XCOMP_COMPACTED BIT(63)
#define HEADER_AT 512u
#define AVX_AT 576u // the only extended component: the same place in both formats
#define MXCSR_INITIAL 0x1F80u
#define FCW_INITIAL 0x37Fu

struct xsave_area { // SDM 1 13.4
    struct fxsave_area legacy;
    u64 xstate_bv, xcomp_bv, reserved[6];
    u8 ymm_high[16][16];
};
_Static_assert(offsetof(struct xsave_area, ymm_high) == AVX_AT, "SDM 1 13.4.2");

u64 cpu_xcr0_supported(const struct cpu *cpu)
{
    return XCR0_X87 | XCR0_SSE | (cpu_has(cpu, FEATURE_avx) ? XCR0_AVX : 0);
}

unsigned cpu_xsave_bytes(u64 components)
{
    return AVX_AT + (components & XCR0_AVX ? 256 : 0);
}

static unsigned register_count(const struct insn *insn)
{
    return insn->code == CODE_64 ? 16 : 8;
}

static bool is_zero(const u8 *bytes, size_t size)
{
    u8 any = 0;
    for (size_t i = 0; i < size; i++) {
        any |= bytes[i];
    }
    return !any;
}

static u64 xinuse(const struct cpu *cpu, unsigned count)
{
    const struct cpu_fpu *f = &cpu->fpu;
    bool x87 = f->fcw != FCW_INITIAL || f->fsw || f->ftw || f->fop || f->fip || f->fdp ||
               f->fcs || f->fds || !is_zero(f->st[0], sizeof(f->st));
    bool sse = false, avx = false;
    for (unsigned i = 0; i < count; i++) {
        sse |= !is_zero(f->vec[i], 16);
        avx |= !is_zero(f->vec[i] + 16, 16);
    }
    return (x87 ? XCR0_X87 : 0) | (sse ? XCR0_SSE : 0) | (avx ? XCR0_AVX : 0);
}

static bool xsave_available(struct cpu *cpu, bool supervisor)
{
    if (!(cpu->cr4 & CR4_OSXSAVE)) {
        return raise_ud(cpu);
    }
    if (cpu->cr0 & CR0_TS) {
        return raise_fault(cpu, EXC_NM);
    }
    return !supervisor || !cpu->cpl || raise_gp(cpu, 0);
}

static u64 requested(const struct cpu *cpu)
{
    return ((u32)cpu->gpr[CPU_RAX] | cpu->gpr[CPU_RDX] << 32) & cpu->xcr0;
}

static bool area_address(struct cpu *cpu, const struct insn *insn, unsigned size, bool write,
                         u64 *linear)
{
    return operand_ea(cpu, insn, size, write, linear) && (!(*linear & 63) || raise_gp(cpu, 0));
}

enum pass { PASS_PROBE, PASS_WRITE, PASS_READ };

// Slow accesses take at most 64 bytes.
static bool transfer(struct cpu *cpu, const struct insn *insn, u64 linear, struct xsave_area *area,
                     unsigned at, unsigned size, enum pass pass)
{
    const struct tlb_tables *tables = cpu->tables;
    u8 *host = tlb_lookup(pass == PASS_READ ? &tables->read : &tables->write, linear + at, size);
    if (LIKELY(host != NULL)) {
        if (pass == PASS_WRITE) {
            memcpy(host, (u8 *)area + at, size);
        } else if (pass == PASS_READ) {
            memcpy((u8 *)area + at, host, size);
        }
        return true;
    }
    for (unsigned end = at + size; at < end; at += size) {
        u8 *bytes = (u8 *)area + at;
        size = end - at < 32 ? end - at : 32;
        bool done = pass == PASS_PROBE   ? operand_probe_write(cpu, insn, linear + at, size)
                    : pass == PASS_WRITE ? operand_write(cpu, insn, linear + at, bytes, size)
                                         : operand_read(cpu, insn, linear + at, bytes, size);
        if (!done) {
            return false;
        }
    }
    return true;
}

// The parts of an area that a save writes.
struct save {
    u64 components;
    bool mxcsr;
    unsigned count, header; // registers; bytes of the header
};

static bool save_parts(struct cpu *cpu, const struct insn *insn, u64 linear,
                       struct xsave_area *area, const struct save *s, enum pass pass)
{
    if ((s->components & XCR0_X87) && (!transfer(cpu, insn, linear, area, 0, 24, pass) ||
                                       !transfer(cpu, insn, linear, area, 32, 128, pass))) {
        return false;
    }
    if (s->mxcsr && !transfer(cpu, insn, linear, area, 24, 8, pass)) {
        return false;
    }
    if ((s->components & XCR0_SSE) &&
        !transfer(cpu, insn, linear, area, 160, 16 * s->count, pass)) {
        return false;
    }
    if ((s->components & XCR0_AVX) &&
        !transfer(cpu, insn, linear, area, AVX_AT, 16 * s->count, pass)) {
        return false;
    }
    return transfer(cpu, insn, linear, area, HEADER_AT, s->header, pass);
}

static bool is_wide(const struct insn *insn)
{
    switch (insn->op) {
    case OP_XSAVE64:
    case OP_XSAVEOPT64:
    case OP_XSAVEC64:
    case OP_XSAVES64:
    case OP_XRSTOR64:
    case OP_XRSTORS64:
        return true;
    default:
        return false;
    }
}

static void fill_area(const struct cpu *cpu, const struct insn *insn, struct xsave_area *area)
{
    fxsave_store(&cpu->fpu, is_wide(insn), register_count(insn), &area->legacy);
    for (unsigned i = 0; i < register_count(insn); i++) {
        memcpy(area->ymm_high[i], cpu->fpu.vec[i] + 16, 16);
    }
}

// SDM 1 13.7 (XSAVE), 13.9 (XSAVEOPT), 13.10 (XSAVEC), 13.11 (XSAVES).
static bool op_xsave(struct cpu *cpu, const struct insn *insn)
{
    bool optimised = insn->op == OP_XSAVEOPT || insn->op == OP_XSAVEOPT64;
    bool supervisor = insn->op == OP_XSAVES || insn->op == OP_XSAVES64;
    bool compacted = supervisor || insn->op == OP_XSAVEC || insn->op == OP_XSAVEC64;
    struct xsave_area area = {0};
    u64 linear, rfbm = requested(cpu), in_use = xinuse(cpu, register_count(insn)) & rfbm;
    if (!xsave_available(cpu, supervisor) ||
        !area_address(cpu, insn, cpu_xsave_bytes(rfbm), true, &linear)) {
        return false;
    }
    if (compacted && (rfbm & XCR0_SSE) && cpu->fpu.mxcsr != MXCSR_INITIAL) {
        in_use |= XCR0_SSE; // MXCSR is part of the component here
    }
    struct save save = {
        .components = optimised || compacted ? in_use : rfbm,
        .mxcsr = (compacted ? in_use & XCR0_SSE : rfbm & XCR0_AVX_SSE) != 0,
        .count = register_count(insn),
        .header = compacted ? 16 : 8,
    };
    u64 before = 0;
    if (!save_parts(cpu, insn, linear, &area, &save, PASS_PROBE) ||
        (!compacted && !operand_read(cpu, insn, linear + HEADER_AT, &before, 8))) {
        return false;
    }
    fill_area(cpu, insn, &area);
    area.xstate_bv = compacted ? in_use : (before & ~rfbm) | in_use;
    area.xcomp_bv = XCOMP_COMPACTED | rfbm;
    return save_parts(cpu, insn, linear, &area, &save, PASS_WRITE);
}
BIND_ONE(xsave, op_xsave)

// SDM 1 13.8: what the header may say.
static bool header_valid(const struct cpu *cpu, const struct xsave_area *area, bool supervisor)
{
    const u64 *reserved = area->reserved;
    if (!(area->xcomp_bv & XCOMP_COMPACTED)) {
        return !supervisor && !(area->xstate_bv & ~cpu->xcr0) && !area->xcomp_bv && !reserved[0];
    }
    return (supervisor || cpu_has(cpu, FEATURE_xsavec)) &&
           !(area->xcomp_bv & ~(XCOMP_COMPACTED | cpu->xcr0)) &&
           !(area->xstate_bv & ~area->xcomp_bv) &&
           is_zero((const u8 *)reserved, sizeof(area->reserved));
}

static void restore_x87(struct cpu_fpu *fpu, const struct xsave_area *area, bool wide, bool load)
{
    if (load) {
        struct fxsave_area image = area->legacy;
        image.mxcsr = fpu->mxcsr;
        fxsave_load(fpu, wide, 0, &image);
        return;
    }
    fpu->fcw = FCW_INITIAL;
    fpu->fsw = fpu->fop = fpu->ftw = 0;
    fpu->fip = fpu->fdp = 0;
    fpu->fcs = fpu->fds = 0;
    memset(fpu->st, 0, sizeof(fpu->st));
}

// One half of the vector registers: from the area, or zero.
static void restore_half(struct cpu_fpu *fpu, unsigned half, unsigned count,
                         const u8 (*from)[16], bool load)
{
    static const u8 zero[16];
    for (unsigned i = 0; i < count; i++) {
        memcpy(fpu->vec[i] + half * 16, load ? from[i] : zero, 16);
    }
}

// The MXCSR after the restore. False: #GP, it would have reserved bits.
static bool restored_mxcsr(const struct xsave_area *area, u64 rfbm, u32 *mxcsr)
{
    bool compacted = area->xcomp_bv & XCOMP_COMPACTED;
    if (compacted ? !(rfbm & XCR0_SSE) : !(rfbm & XCR0_AVX_SSE)) {
        return true;
    }
    bool load = !compacted || (area->xstate_bv & XCR0_SSE);
    *mxcsr = load ? area->legacy.mxcsr : MXCSR_INITIAL;
    return !(*mxcsr & ~MXCSR_WRITABLE);
}

static bool op_xrstor(struct cpu *cpu, const struct insn *insn)
{
    bool supervisor = insn->op == OP_XRSTORS || insn->op == OP_XRSTORS64;
    struct xsave_area area = {0};
    u64 linear, rfbm = requested(cpu);
    if (!xsave_available(cpu, supervisor) ||
        !area_address(cpu, insn, cpu_xsave_bytes(rfbm), false, &linear) ||
        !transfer(cpu, insn, linear, &area, 0, AVX_AT, PASS_READ)) {
        return false;
    }
    u32 mxcsr = cpu->fpu.mxcsr;
    if (!header_valid(cpu, &area, supervisor) || !restored_mxcsr(&area, rfbm, &mxcsr)) {
        return raise_gp(cpu, 0);
    }
    unsigned count = register_count(insn);
    u64 load = rfbm & area.xstate_bv;
    if ((load & XCR0_AVX) &&
        !transfer(cpu, insn, linear, &area, AVX_AT, 16 * count, PASS_READ)) {
        return false;
    }
    cpu->fpu.mxcsr = mxcsr;
    if (rfbm & XCR0_X87) {
        restore_x87(&cpu->fpu, &area, is_wide(insn), load & XCR0_X87);
    }
    if (rfbm & XCR0_SSE) {
        restore_half(&cpu->fpu, 0, count, (const u8(*)[16])area.legacy.xmm, load & XCR0_SSE);
    }
    if (rfbm & XCR0_AVX) {
        restore_half(&cpu->fpu, 1, count, (const u8(*)[16])area.ymm_high, load & XCR0_AVX);
    }
    return true;
}
BIND_ONE(xrstor, op_xrstor)

static bool op_xgetbv(struct cpu *cpu, const struct insn *insn)
{
    u32 index = (u32)cpu->gpr[CPU_RCX];
    if (!(cpu->cr4 & CR4_OSXSAVE)) {
        return raise_ud(cpu);
    }
    if (index > (cpu_has(cpu, FEATURE_xgetbv1) ? 1u : 0u)) {
        return raise_gp(cpu, 0);
    }
    u64 value = cpu->xcr0;
    if (index) { // MXCSR counts as SSE's here, as for XSAVEC
        u64 sse = cpu->fpu.mxcsr != MXCSR_INITIAL ? XCR0_SSE : 0;
        value &= xinuse(cpu, register_count(insn)) | sse;
    }
    cpu->gpr[CPU_RAX] = (u32)value;
    cpu->gpr[CPU_RDX] = value >> 32;
    return true;
}
BIND_ONE(xgetbv, op_xgetbv)

static bool op_xsetbv(struct cpu *cpu, const struct insn *insn)
{
    u64 value = (u32)cpu->gpr[CPU_RAX] | cpu->gpr[CPU_RDX] << 32;
    if (!(cpu->cr4 & CR4_OSXSAVE)) {
        return raise_ud(cpu);
    }
    bool avx_alone = (value & XCR0_AVX_SSE) == XCR0_AVX;
    if (cpu->cpl || (u32)cpu->gpr[CPU_RCX] || (value & ~cpu_xcr0_supported(cpu)) ||
        !(value & XCR0_X87) || avx_alone) {
        return raise_gp(cpu, 0);
    }
    cpu->xcr0 = value;
    return true;
}
BIND_ONE(xsetbv, op_xsetbv)
