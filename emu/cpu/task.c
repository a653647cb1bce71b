// SPDX-License-Identifier: MIT
// Hardware task switches of 16- and 32-bit protected mode (SDM 3A chapter 8).
#include "cpu/gate.h"

#include "cpu/interp/operand.h"
#include "cpu/segment.h"

#include <string.h>

#define DR6_BT BIT(15)
#define DR7_LOCAL UINT64_C(0x155) // L0-L3 and LE
#define TASK_FLAGS                                                                                 \
    (u64)(RFLAGS_ARITH | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | \
          RFLAGS_VM | RFLAGS_AC | RFLAGS_VIF | RFLAGS_VIP | RFLAGS_ID)

// The layout of a TSS (SDM 3A figures 8-2 and 8-10).
struct tss_layout {
    u8 bytes, width;
    u8 eip;   // then flags and the eight registers: saved and loaded
    u8 es;    // then CS, SS, DS, FS, GS
    u8 saved; // bytes from eip on that a switch stores
    u8 segments, ldt;
};

static const struct tss_layout layouts[2] = {
    {44, 2, 14, 34, 28, 4, 42},
    {104, 4, 32, 72, 64, 6, 96},
};

// A TSS as it was read.
struct task_image {
    const struct tss_layout *layout;
    u64 base;
    u8 bytes[104];
};

static const struct tss_layout *layout_of(u16 attributes)
{
    return &layouts[attributes >> 3 & 1];
}

static u32 image_get(const struct task_image *image, unsigned at, unsigned width)
{
    u32 value = 0;
    memcpy(&value, image->bytes + at, width);
    return value;
}

static void image_put(struct task_image *image, unsigned at, u32 value)
{
    memcpy(image->bytes + at, &value, image->layout->width);
}

static bool image_read(struct cpu *cpu, u64 base, u32 limit, u16 attributes, u32 error,
                       struct task_image *image)
{
    image->layout = layout_of(attributes);
    image->base = base;
    if (limit + UINT64_C(1) < image->layout->bytes) {
        return raise_fault_code(cpu, EXC_TS, error);
    }
    return mmu_system_read(cpu->mmu, base, image->bytes, image->layout->bytes, &cpu->fault);
}

// Whether the descriptor is a TSS that may be entered this way: available, or busy for IRET.
static bool check_tss(struct cpu *cpu, const struct descriptor *d, const struct task_switch *s)
{
    unsigned type = d->attributes & SEGMENT_TYPE;
    unsigned want = s->how == TASK_IRET ? SYS_TSS16_BUSY : SYS_TSS16;
    u32 error = selector_error(d->selector) | s->ext;
    if ((d->attributes & SEGMENT_S) || (type & ~8u) != want) {
        return raise_fault_code(cpu, s->how == TASK_IRET ? EXC_TS : EXC_GP, error);
    }
    return (d->attributes & SEGMENT_P) || raise_fault_code(cpu, EXC_NP, error);
}

static bool read_tss_descriptor(struct cpu *cpu, const struct task_switch *s, struct descriptor *d)
{
    u8 vector = s->how == TASK_IRET ? EXC_TS : EXC_GP;
    u32 error = selector_error(s->selector) | s->ext;
    if (!error || (s->selector & 4)) {
        return raise_fault_code(cpu, vector, error);
    }
    return descriptor_read(cpu, s->selector, false, vector, s->ext, d) && check_tss(cpu, d, s);
}

// What the old task's TSS will hold.
static void save_state(struct cpu *cpu, const struct task_switch *s, struct task_image *old)
{
    const struct tss_layout *l = old->layout;
    u64 flags = cpu_rflags(cpu) | (s->save_rf ? RFLAGS_RF : 0);
    if (s->how == TASK_IRET) {
        flags &= ~(u64)RFLAGS_NT;
    }
    image_put(old, l->eip, (u32)s->next_rip);
    image_put(old, l->eip + l->width, (u32)flags);
    for (unsigned i = 0; i < 8; i++) {
        image_put(old, l->eip + l->width * (2 + i), (u32)cpu->gpr[i]);
    }
    for (unsigned i = 0; i < l->segments; i++) {
        memcpy(old->bytes + l->es + l->width * i, &cpu->seg[i].selector, 2);
    }
}

static u64 old_descriptor(const struct cpu *cpu)
{
    return (u32)(cpu->gdtr_base + (cpu->tr.selector & 0xFFF8u) + 5);
}

// Everything that the switch will write, checked before the first byte is.
static bool check_writes(struct cpu *cpu, const struct task_switch *s, const struct task_image *old,
                         const struct task_image *image, const struct descriptor *d)
{
    struct fault *fault = &cpu->fault;
    struct mmu *mmu = cpu->mmu;
    return mmu_system_probe_write(mmu, (u32)(old->base + old->layout->eip), old->layout->saved,
                                  fault) &&
           (s->how == TASK_CALL || mmu_system_probe_write(mmu, old_descriptor(cpu), 1, fault)) &&
           (s->how == TASK_IRET || mmu_system_probe_write(mmu, d->linear + 5, 1, fault)) &&
           (s->how != TASK_CALL || mmu_system_probe_write(mmu, image->base, 2, fault));
}

static bool set_busy(struct cpu *cpu, u64 linear, bool busy)
{
    u8 type;
    if (!mmu_system_read(cpu->mmu, linear, &type, 1, &cpu->fault)) {
        return false;
    }
    type = (u8)(busy ? type | 2 : type & ~2);
    return mmu_system_write(cpu->mmu, linear, &type, 1, &cpu->fault);
}

// The stores. Each was checked, but they may lie in page tables and so make the next one fault.
static bool write_old(struct cpu *cpu, const struct task_switch *s, const struct task_image *old,
                      const struct task_image *image, const struct descriptor *d)
{
    const struct tss_layout *l = old->layout;
    return (s->how == TASK_CALL || set_busy(cpu, old_descriptor(cpu), false)) &&
           mmu_system_write(cpu->mmu, (u32)(old->base + l->eip), old->bytes + l->eip, l->saved,
                            &cpu->fault) &&
           (s->how != TASK_CALL ||
            mmu_system_write(cpu->mmu, image->base, &cpu->tr.selector, 2, &cpu->fault)) &&
           (s->how == TASK_IRET || set_busy(cpu, d->linear + 5, true));
}

// Registers of the new task. Its segment registers have their selectors, nothing behind them yet.
static bool load_registers(struct cpu *cpu, const struct task_switch *s,
                           const struct task_image *image)
{
    const struct tss_layout *l = image->layout;
    u64 flags = image_get(image, l->eip + l->width, l->width) & TASK_FLAGS;
    cpu->rip = image_get(image, l->eip, l->width);
    if (s->how == TASK_CALL) {
        flags |= RFLAGS_NT;
    }
    cpu_set_rflags(cpu, flags | 2);
    for (unsigned i = 0; i < 8; i++) {
        u32 value = image_get(image, l->eip + l->width * (2 + i), l->width);
        cpu->gpr[i] = l->width == 2 ? value | 0xFFFF0000u : value;
    }
    for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++) {
        u16 selector = i < l->segments ? (u16)image_get(image, l->es + l->width * i, 2) : 0;
        segment_set_null(&cpu->seg[i], selector);
    }
    segment_set_null(&cpu->ldtr, (u16)image_get(image, l->ldt, 2));
    cpu->cpl = flags & RFLAGS_VM ? 3 : cpu->seg[CPU_CS].selector & 3;
    cpu->cr0 |= CR0_TS;
    cpu->dr[7] &= ~DR7_LOCAL;
    cpu_debug_changed(cpu);
    bool valid = true;
    if (l->width == 4 && (cpu->cr0 & CR0_PG)) {
        u64 cr3 = image_get(image, 28, 4);
        valid = !(cpu->cr4 & CR4_PAE) || mmu_load_pdptes(cpu->mmu, cr3, cpu->pdpte) ||
                raise_gp(cpu, 0);
        cpu->cr3 = valid ? cr3 : cpu->cr3;
    }
    cpu->boundary = true;
    cpu_context_changed(cpu);
    return valid;
}

static bool load_ldtr(struct cpu *cpu, u32 ext)
{
    struct descriptor d;
    u16 selector = cpu->ldtr.selector;
    u32 error = selector_error(selector) | ext;
    if (!selector_error(selector)) {
        return true;
    }
    if (selector & 4) {
        return raise_fault_code(cpu, EXC_TS, error);
    }
    if (!descriptor_read(cpu, selector, false, EXC_TS, ext, &d)) {
        return false;
    }
    if ((d.attributes & (SEGMENT_S | SEGMENT_TYPE)) != SYS_LDT || !(d.attributes & SEGMENT_P)) {
        return raise_fault_code(cpu, EXC_TS, error);
    }
    segment_set(&cpu->ldtr, selector, &d);
    return true;
}

static bool good_code(const struct cpu *cpu, const struct descriptor *d)
{
    unsigned dpl = descriptor_dpl(d);
    return descriptor_is_code(d) &&
           (d->attributes & SEGMENT_CONFORMING ? dpl <= cpu->cpl : dpl == cpu->cpl);
}

static bool good_stack(const struct cpu *cpu, const struct descriptor *d)
{
    return (d->selector & 3u) == cpu->cpl && descriptor_dpl(d) == cpu->cpl &&
           descriptor_is_writable_data(d);
}

static bool good_data(const struct cpu *cpu, const struct descriptor *d)
{
    bool code = d->attributes & SEGMENT_CODE;
    bool conforming = code && (d->attributes & SEGMENT_CONFORMING);
    unsigned dpl = descriptor_dpl(d);
    return (d->attributes & SEGMENT_S) && (!code || (d->attributes & SEGMENT_READABLE)) &&
           (conforming || (dpl >= cpu->cpl && dpl >= (d->selector & 3u)));
}

static bool load_one(struct cpu *cpu, unsigned seg, u32 ext)
{
    struct descriptor d;
    u16 selector = cpu->seg[seg].selector;
    u32 error = selector_error(selector) | ext;
    if (!selector_error(selector)) {
        return (seg != CPU_CS && seg != CPU_SS) || raise_fault_code(cpu, EXC_TS, error);
    }
    if (!descriptor_read(cpu, selector, false, EXC_TS, ext, &d)) {
        return false;
    }
    bool good = seg == CPU_CS   ? good_code(cpu, &d)
                : seg == CPU_SS ? good_stack(cpu, &d)
                                : good_data(cpu, &d);
    if (!good) {
        return raise_fault_code(cpu, EXC_TS, error);
    }
    if (!(d.attributes & SEGMENT_P)) {
        return raise_fault_code(cpu, seg == CPU_SS ? EXC_SS : EXC_NP, error);
    }
    if (!descriptor_set_type(cpu, &d, SEGMENT_ACCESSED)) {
        return false;
    }
    segment_set(&cpu->seg[seg], selector, &d);
    return true;
}

static bool load_segments(struct cpu *cpu, u32 ext)
{
    static const u8 order[] = {CPU_CS, CPU_SS, CPU_DS, CPU_ES, CPU_FS, CPU_GS};
    if (!load_ldtr(cpu, ext)) {
        return false;
    }
    if (cpu->rflags & RFLAGS_VM) {
        segments_set_vm86(cpu);
    } else {
        for (size_t i = 0; i < ARRAY_LEN(order); i++) {
            if (!load_one(cpu, order[i], ext)) {
                return false;
            }
        }
    }
    cpu_context_changed(cpu);
    return cpu->rip <= cpu->seg[CPU_CS].limit || raise_gp(cpu, ext);
}

static bool push_error_code(struct cpu *cpu, const struct task_switch *s, unsigned width)
{
    struct stack stack = stack_current(cpu);
    stack.error = s->ext;
    if (s->has_error_code) {
        if (!stack_write(cpu, &stack, &s->error_code, width)) {
            return false;
        }
        stack_commit(cpu, &stack);
    }
    return true;
}

bool task_enter(struct cpu *cpu, const struct task_switch *s)
{
    struct descriptor d;
    struct task_image old, image;
    u16 tr = cpu->tr.attributes;
    u32 tr_error = selector_error(cpu->tr.selector) | s->ext;
    cpu->task_switched = false;
    if (!read_tss_descriptor(cpu, s, &d) ||
        !image_read(cpu, descriptor_base(&d), descriptor_limit(&d), d.attributes,
                    selector_error(s->selector) | s->ext, &image) ||
        !image_read(cpu, cpu->tr.base, tr & SEGMENT_P ? cpu->tr.limit : 0, tr, tr_error, &old)) {
        return false;
    }
    save_state(cpu, s, &old);
    if (!check_writes(cpu, s, &old, &image, &d) || !write_old(cpu, s, &old, &image, &d)) {
        return false;
    }
    // A task that switches to itself finds what was just stored.
    if (image.base == old.base &&
        !mmu_system_read(cpu->mmu, image.base, image.bytes, image.layout->bytes, &cpu->fault)) {
        return false;
    }
    cpu->task_switched = true;
    d.attributes |= 2;
    segment_set(&cpu->tr, s->selector, &d);
    if (!load_registers(cpu, s, &image) || !load_segments(cpu, s->ext) ||
        !push_error_code(cpu, s, image.layout->width)) {
        return false;
    }
    if (image.layout->width == 4 && (image.bytes[100] & 1)) {
        cpu->pending_dr6 |= DR6_BT;
        cpu->pending |= CPU_PENDING_TRAP;
    }
    return true;
}

bool task_switch_insn(struct cpu *cpu, const struct task_switch *s)
{
    u8 from = cpu->cpl;
    if (!task_enter(cpu, s)) {
        if (!cpu->task_switched) {
            return false;
        }
        // The instruction is done; the rest is the new task's, before its first instruction.
        struct fault fault = cpu->fault;
        cpu_deliver_fault(cpu, &fault);
    }
    if (transition_probed(cpu)) {
        struct transition t = {s->how == TASK_IRET ? TRANSITION_IRET : TRANSITION_FAR, from, 0, 0,
                               insn_rip(cpu, cpu->current)};
        cpu_probe_transition(cpu, &t);
    }
    return true;
}

bool task_return(struct cpu *cpu, u64 next_rip)
{
    u16 link;
    if (!tss_read(cpu, 0, &link, 2, 0)) {
        return false;
    }
    struct task_switch s = {.how = TASK_IRET, .selector = link, .next_rip = next_rip};
    if (!task_switch_insn(cpu, &s)) {
        return false;
    }
    cpu->nmi_blocked = false;
    return true;
}
